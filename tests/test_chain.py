"""Chains: what is built is what was described, and what is wrong is found and named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pedalboard
import peers
import pytest
import signals
from stembridge.model.errors import PluginError, PluginParameterError
from stembridge.model.plugins.chain import build, find_idle
from stembridge.model.plugins.chain_spec import ChainSpec, PluginSpec
from stembridge.model.plugins.trial import validate

RATE = 44100


def chain(*plugins: PluginSpec) -> ChainSpec:
    return ChainSpec(plugins, "test.toml, chain.vocals")


def native(plugin: str, **parameters: Any) -> PluginSpec:
    return PluginSpec(plugin, parameters=parameters)


def vst3(name: str, **parameters: Any) -> PluginSpec:
    return PluginSpec(file=peers.vst3(name), parameters=parameters)


def test_native_effects_sound_as_in_pedalboard() -> None:
    audio = signals.noise(RATE)
    spec = chain(native("Compressor", threshold_db=-25, ratio=4.0), native("LadderFilter", mode="HPF24"))
    ladder = pedalboard.LadderFilter(pedalboard.LadderFilter.Mode.HPF24)
    expected = pedalboard.Chain([pedalboard.Compressor(-25, 4.0), ladder])(audio, RATE)
    np.testing.assert_array_equal(build(spec, RATE, 2)(audio, RATE), expected)


def test_a_plugin_file_sounds_as_in_pedalboard() -> None:
    audio = signals.noise(RATE)
    plugin: Any = pedalboard.load_plugin(peers.vst3("ZamCompX2"))  # type: ignore[attr-defined]
    plugin.threshold_db, plugin.ratio = -30.0, 6.0
    expected = plugin(audio, RATE)
    assert not np.allclose(expected, audio, atol=1e-3)
    built = build(chain(vst3("ZamCompX2", threshold_db=-30.0, ratio=6)), RATE, 2)
    np.testing.assert_array_equal(built(audio, RATE), expected)


def test_a_chain_streams_whatever_the_cut() -> None:
    spec = chain(
        PluginSpec(file=peers.vst3("ZaMaximX2"), parameters={"threshold_db": -12.0}, mix=0.6),
        PluginSpec("Reverb", mix=0.5),
        PluginSpec(file=peers.vst3("ZamComp"), parameters={"threshold_db": -30.0}, dual_mono=True),
    )
    audio = signals.noise(30_000)
    board = build(spec, RATE, 2)
    whole = board(audio, RATE)
    assert whole.shape == audio.shape
    board.reset()
    ends = np.cumsum(signals.cuts(audio.shape[1], seed=3))
    parts = [board.process_planar(part, RATE, reset=False) for part in np.split(audio, ends[:-1], axis=1)]
    streamed = np.concatenate([*parts, board.flush()], axis=1)
    np.testing.assert_allclose(streamed, whole, atol=1e-6)


def test_the_dry_path_waits_for_the_wet_one() -> None:
    # A limiter that has nothing to do is a delay of 480 samples, which is taken out: the sum is the input.
    audio = signals.noise(20_000, level=0.01)
    spec = PluginSpec(file=peers.vst3("ZaMaximX2"), mix=0.5)
    board = build(chain(spec), RATE, 2)
    assert board.reported_latency_samples == 480
    np.testing.assert_allclose(board(audio, RATE), audio, atol=1e-7)


@pytest.mark.parametrize(("mix", "expected"), [(0.0, 1.0), (0.25, 0.5), (0.5, 0.0), (1.0, -1.0)])
def test_mix_runs_from_dry_to_wet(mix: float, expected: float) -> None:
    audio = signals.noise(1000)
    board = build(chain(PluginSpec("Invert", mix=mix)), RATE, 2)
    np.testing.assert_allclose(board(audio, RATE), expected * audio, atol=1e-7)


def test_dual_mono_gives_each_channel_its_own_instance() -> None:
    left, right = signals.noise(RATE, channels=1, seed=1), signals.noise(RATE, channels=1, seed=2, level=0.01)
    values = {"threshold_db": -30.0, "ratio": 8.0}
    spec = PluginSpec(file=peers.vst3("ZamComp"), parameters=values, dual_mono=True)
    both = build(chain(spec), RATE, 2)(np.concatenate([left, right]), RATE)
    alone = build(chain(vst3("ZamComp", **values)), RATE, 1)
    np.testing.assert_array_equal(both[:1], alone(left, RATE))
    np.testing.assert_array_equal(both[1:], alone(right, RATE))


def test_a_state_is_taken_over_and_values_go_on_top(tmp_path: Path) -> None:
    plugin: Any = pedalboard.load_plugin(peers.vst3("ZamCompX2"))  # type: ignore[attr-defined]
    plugin.threshold_db, plugin.ratio = -30.0, 6.0
    plugin.process(np.zeros((2, 512), np.float32), RATE, reset=False)
    (tmp_path / "a.vstpreset").write_bytes(plugin.preset_data)
    (tmp_path / "a.state").write_bytes(plugin.raw_state)
    audio = signals.noise(RATE)
    by_value = build(chain(vst3("ZamCompX2", threshold_db=-30.0, ratio=6.0)), RATE, 2)(audio, RATE)
    for file in ("a.vstpreset", "a.state"):
        spec = PluginSpec(file=peers.vst3("ZamCompX2"), state=tmp_path / file)
        np.testing.assert_allclose(build(chain(spec), RATE, 2)(audio, RATE), by_value, atol=1e-6)
        spec = PluginSpec(file=peers.vst3("ZamCompX2"), state=tmp_path / file, parameters={"ratio": 1.0})
        assert not np.allclose(build(chain(spec), RATE, 2)(audio, RATE), by_value, atol=1e-3)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (native("Compresor"), "Did you mean 'Compressor'"),
        (native("Chain"), "not one of pedalboard's own effects"),
        (native("VST3Plugin"), "not one of pedalboard's own effects"),
        (native("Compressor", treshold_db=-3.0), "no parameter 'treshold_db'. Did you mean 'threshold_db'"),
        (native("Compressor", ratio=0.5), "ratio must be 1 or more; got 0.5"),
        (native("Compressor", threshold_db=float("nan")), "threshold_db must be any number"),
        (native("Compressor", ratio="4"), "ratio must be 1 or more; got '4'"),
        (native("Chorus", centre_delay_ms=500.0), "1 to 100 ms"),
        (native("HighpassFilter", cutoff_frequency_hz=30000), "half the sample rate; got 30000 at 44100 Hz"),
        (native("LadderFilter", mode="HPF42"), "Did you mean 'HPF24'"),
        (native("BrickwallLimiter", true_peak=1.0), "true or false"),
        (native("PitchShift", semitones=2.0), "PitchShift cannot be streamed"),
        (native("Convolution"), "needs impulse_response_filename"),
        (native("Convolution", impulse_response_filename="/no/room.wav"), "not there: '/no/room.wav'"),
    ],
)
def test_what_native_effects_cannot_be_is_said_before_rendering(spec: PluginSpec, message: str) -> None:
    with pytest.raises(PluginError) as caught:
        validate(chain(native("Gain", gain_db=1.0), spec), RATE, 2)
    assert str(caught.value).startswith("test.toml, chain.vocals, plug-in 2: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("ZamCompX2", {"treshold_db": -3.0}, "no parameter 'treshold_db'. Did you mean 'threshold_db'"),
        ("ZamCompX2", {"threshold_db": 3.0}, "threshold_db must be -80 to 0 dB; got 3.0"),
        ("ZamCompX2", {"current_program": "VocalLeveler"}, "Did you mean 'VocalLeveller'"),
        ("ZamEQ2", {}, "takes one channel, the sound has 2: dual_mono = true"),
    ],
)
def test_what_a_plugin_file_cannot_be_is_said_before_rendering(
    name: str, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(PluginError) as caught:
        validate(chain(vst3(name, **parameters)), RATE, 2)
    assert "test.toml, chain.vocals, plug-in 1: " in str(caught.value)
    assert message in str(caught.value)


def test_a_stereo_plugin_refuses_mono() -> None:
    with pytest.raises(PluginError, match=r"ZaMaximX2.vst3 does not take 1 channel; it takes 2"):
        validate(chain(vst3("ZaMaximX2")), RATE, 1)


def test_a_wrong_name_inside_a_file_is_refused() -> None:
    spec = PluginSpec(file=peers.vst3("ZamCompX2"), plugin_name="ZamComp")
    with pytest.raises(PluginError, match=r"plug-in 1: ZamCompX2\.vst3"):
        validate(chain(spec), RATE, 2)


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"plugin": "Gain", "file": "x.vst3"},
        {"plugin": "Gain", "state": Path("x")},
        {"plugin": "Gain", "plugin_name": "x"},
        {"plugin": "Gain", "mix": 1.5},
        {"plugin": "Gain", "mix": True},
        {"plugin": "Gain", "mix": float("nan")},
        {"plugin": "Gain", "parameters": {"gain_db": [1.0]}},
    ],
)
def test_entries_that_mean_nothing_are_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(PluginParameterError):
        PluginSpec(**entry)


def test_plugins_that_change_nothing_are_named() -> None:
    spec = chain(
        native("Gain", gain_db=0.0),
        native("Gain", gain_db=-0.01),
        native("Compressor", threshold_db=0.0, ratio=1.0),
        PluginSpec("Invert", mix=0.0),
        native("Limiter", threshold_db=-1.0),
    )
    report = validate(spec, RATE, 2)
    assert report.idle == ("Gain", "Compressor", "Invert")
    assert report.warnings[0] == "Gain changes nothing with these settings"
    assert find_idle(build(spec, RATE, 1), RATE, 1) == report.idle


def test_an_idle_plugin_file_is_named_and_its_latency_told() -> None:
    flat = PluginSpec(file=peers.vst3("ZamEQ2"), dual_mono=True)
    assert validate(chain(flat), RATE, 2).idle == ("ZamEQ2.vst3",)
    report = validate(chain(vst3("ZaMaximX2", threshold_db=-10.0)), RATE, 2)
    assert (report.idle, report.latency_samples) == ((), 480)


def test_sound_that_is_no_number_is_refused_by_name() -> None:
    board = build(chain(native("Gain", gain_db=1000.0)), RATE, 2)
    with pytest.raises(PluginError, match="plug-in 1: Gain put out NaN or infinity"):
        board(signals.noise(100), RATE)


def test_specs_travel_as_json() -> None:
    spec = chain(
        PluginSpec(file="A.vst3", plugin_name="B", state=Path("c.state"), mix=0.5, dual_mono=True),
        native("LadderFilter", mode="HPF24", drive=2.0),
    )
    assert ChainSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_facts_tell_sounds_apart_and_not_places(tmp_path: Path) -> None:
    file = peers.vst3("ZamCompX2")
    state = tmp_path / "a.state"
    state.write_bytes(b"one")
    spec = chain(PluginSpec(file=file, state=state))
    before = spec.facts()
    moved = tmp_path / "b.state"
    moved.write_bytes(b"one")
    assert ChainSpec((PluginSpec(file=Path(file).name, state=moved),), "elsewhere").facts() == before
    state.write_bytes(b"two")
    assert spec.facts() != before
    assert json.loads(json.dumps(before)) == before


def test_files_that_are_not_there_are_found_out_early(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"plug-in 1: no plug-in 'Nothing\.vst3'"):
        chain(PluginSpec(file="Nothing.vst3")).located()
    with pytest.raises(PluginError, match="its state file is not there"):
        chain(PluginSpec(file=peers.vst3("ZamCompX2"), state=tmp_path / "no.state")).located()
