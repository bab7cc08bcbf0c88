"""The separator as an effect: unity, gains, solos, chains, streams, parameters."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pedalboard
import peers
import pytest
import signals
import soundfile
from effects import RATE, Late, Smooth, evenly, streamed
from pedalboard import Compressor, Gain, HighpassFilter, Reverb, VST3Plugin
from stembridge.model.audio import Audio
from stembridge.model.effects.board import Board, Parallel
from stembridge.model.effects.stem_separator import StemSeparator
from stembridge.model.errors import ArgumentTypeError, ModelMissingError

SONG = signals.song(1.2)
MIX: Audio = np.asarray(np.sum(list(SONG.values()), axis=0), dtype=np.float32)
FRAMES = MIX.shape[1]
CUTS = (evenly(FRAMES, 4096), signals.cuts(FRAMES, seed=4, largest=20000))


def repet(**arguments: Any) -> StemSeparator:
    """A separator with little latency, for short songs."""
    return StemSeparator("repet", window_s=0.4, separation_s=0.1, **arguments)


@pytest.fixture(scope="module")
def taken_apart() -> dict[str, Audio]:
    """The stems of the song, by the separator of `repet()`."""
    return repet().stems(MIX, RATE)


# Nothing changed.


@pytest.mark.parametrize(
    ("model", "rate", "channels"), [("classic", 44100, 2), ("repet", 48000, 1), ("classic", 96000, 3)]
)
def test_unity_returns_the_input_bit_for_bit(model: str, rate: int, channels: int) -> None:
    audio = signals.noise(30000, channels)
    effect = StemSeparator(model)
    np.testing.assert_array_equal(effect(audio, rate), audio)
    np.testing.assert_array_equal(streamed(effect, audio, signals.cuts(30000, 1), rate), audio)


def test_unity_reached_by_moving_controls_back_is_unity() -> None:
    effect = repet(gains_db={"vocals": -6}, mute=["accompaniment"], pan={"vocals": 1})
    assert not np.array_equal(effect(MIX, RATE), MIX)
    effect.vocals_gain_db = 0
    effect.accompaniment_mute = False
    effect.vocals_pan = 0.0
    np.testing.assert_array_equal(effect(MIX, RATE), MIX)


# Stems.


def test_stems_add_up_to_the_mix_in_its_own_layout(taken_apart: dict[str, Audio]) -> None:
    effect = repet()
    assert effect.stem_names == ("accompaniment", "vocals") == tuple(taken_apart)
    np.testing.assert_allclose(sum(taken_apart.values()), MIX, atol=1e-6)
    for name, stem in effect.stems(MIX.T.astype(np.float64), RATE).items():
        assert stem.dtype == np.float32
        np.testing.assert_array_equal(stem, taken_apart[name].T)
    mono = effect.stems(MIX[0], RATE)
    assert {stem.shape for stem in mono.values()} == {(FRAMES,)}
    np.testing.assert_allclose(sum(mono.values()), MIX[0], atol=1e-6)


def test_estimates_are_what_the_model_says() -> None:
    effect = StemSeparator("classic", residual="file")
    estimates, stems = effect.estimates(MIX, RATE), effect.stems(MIX, RATE)
    assert [*estimates, "residual"] == list(stems)
    for name, estimate in estimates.items():
        np.testing.assert_array_equal(stems[name], estimate)
    np.testing.assert_allclose(stems["residual"], MIX - sum(estimates.values()), atol=1e-6)


def test_taking_apart_leaves_an_open_stream_alone(taken_apart: dict[str, Audio]) -> None:
    effect = repet(gains_db={"vocals": -9})
    expected = effect(MIX, RATE)
    head = effect.process(MIX[:, :20000], RATE, reset=False)
    np.testing.assert_array_equal(effect.stems(MIX, RATE)["vocals"], taken_apart["vocals"])
    effect.estimates(MIX[:, :9000], 48000)
    rest = [effect.process(MIX[:, 20000:], RATE, reset=False), effect.flush()]
    np.testing.assert_array_equal(np.concatenate([head, *rest], axis=1), expected)


@pytest.mark.parametrize("policy", ["other", "spread", "file", "none"])
def test_every_policy_plays_the_whole_mix_at_unity_and_its_stems_alone(policy: Any) -> None:
    effect = repet(residual=policy)
    assert effect.residual == policy
    np.testing.assert_array_equal(streamed(effect, MIX, CUTS[0]), MIX)
    effect.vocals_solo = True
    np.testing.assert_allclose(effect(MIX, RATE), effect.stems(MIX, RATE)["vocals"], atol=1e-6)


# Gains.


def test_gains_follow_the_remix_law(taken_apart: dict[str, Audio]) -> None:
    vocals, accompaniment = taken_apart["vocals"], taken_apart["accompaniment"]
    effect = repet(gains_db={"vocals": -6.0, "accompaniment": 3.0}, master_gain_db=-1.0)
    expected = 10 ** (-1 / 20) * (10 ** (-6 / 20) * vocals + 10 ** (3 / 20) * accompaniment)
    np.testing.assert_allclose(effect(MIX, RATE), expected, atol=2e-6)
    karaoke = repet(gains_db={"vocals": float("-inf")})
    np.testing.assert_allclose(karaoke(MIX, RATE), accompaniment, atol=1e-6)
    np.testing.assert_array_equal(repet(mute="vocals")(MIX, RATE), karaoke(MIX, RATE))
    left = repet(solo=["vocals"], pan={"vocals": -1.0})(MIX, RATE)
    np.testing.assert_allclose(left, np.stack([vocals[0], 0 * vocals[1]]), atol=1e-6)
    both = repet(solo=["vocals"], mute=["vocals"])(MIX, RATE)
    assert not both.any()


def test_gains_move_smoothly_in_a_stream() -> None:
    effect = repet()
    ones = np.full((1, 2 * effect.reported_latency_samples), 0.5, np.float32)
    effect.process(ones, RATE, reset=False)
    effect.master_gain_db = -144
    out = effect.process(ones, RATE, reset=False)
    steps = np.abs(np.diff(out[0]))
    assert steps.max() < 0.5 / (0.019 * RATE)
    assert not out[0, -1000:].any()


def test_sensitivity_waits_for_the_next_stream_and_counts_in_the_latency() -> None:
    effect = repet(residual="none")
    plain = effect.reported_latency_samples
    effect.process(MIX[:, :9000], RATE, reset=False)
    effect.vocals_sensitivity = 1.0
    assert effect.reported_latency_samples == plain
    effect.reset()
    assert effect.reported_latency_samples > plain
    bled = effect.stems(MIX, RATE)["vocals"]
    assert np.square(bled).sum() < 0.9 * np.square(repet(residual="none").stems(MIX, RATE)["vocals"]).sum()
    effect.vocals_mute = True
    whole = effect(MIX, RATE)
    for sizes in CUTS:
        np.testing.assert_array_equal(streamed(effect, MIX, sizes), whole)


# Streams.


@pytest.mark.parametrize(
    ("model", "rate", "channels"),
    [("classic", 44100, 2), ("hpss", 22050, 1), ("repet", 48000, 2), ("classic", 88200, 2)],
)
def test_any_chunks_give_the_whole_at_any_rate(model: str, rate: int, channels: int) -> None:
    audio = signals.noise(rate * 2 // 3, channels)
    effect = StemSeparator(model)
    stem = effect.stem_names[0]
    setattr(effect, f"{stem}_gain_db", -12.0)
    whole = effect(audio, rate)
    assert whole.shape == audio.shape
    assert not np.array_equal(whole, audio)
    effect.prepare(rate, channels)
    fed = given = 0
    parts = []
    for size in signals.cuts(audio.shape[1], seed=8, largest=9000):
        parts.append(effect.process_planar(audio[:, fed : fed + size], rate, reset=False))
        fed, given = fed + size, given + parts[-1].shape[1]
        assert given == max(0, fed - effect.reported_latency_samples)
    np.testing.assert_array_equal(np.concatenate([*parts, effect.flush()], axis=1), whole)


@pytest.mark.parametrize("frames", [0, 1, 2, 3, 700])
def test_songs_of_hardly_any_length(frames: int) -> None:
    effect = StemSeparator("classic", gains_db={"vocals": -3})
    audio = signals.noise(frames)
    expected = effect.process_planar(audio, RATE)
    assert expected.shape == audio.shape
    np.testing.assert_array_equal(streamed(effect, audio, evenly(frames, 1) or [0]), expected)
    if frames > 2:
        assert all(stem.shape == audio.shape for stem in effect.stems(audio, RATE).values())


def test_a_stream_holds_its_rate_and_channels() -> None:
    effect = repet(gains_db={"vocals": -3})
    effect.process(MIX, RATE, reset=False)
    for array, rate in ((MIX, 48000), (MIX[:1], RATE)):
        with pytest.raises(ValueError, match=r"reset\(\)"):
            effect.process(array, rate, reset=False)
    effect.reset()
    assert effect.process(MIX[:1], 48000, reset=False).shape[0] == 1
    with pytest.raises(ValueError, match="whole number of hertz"):
        effect(MIX, 44100.5)


# Chains.


def test_chains_treat_their_stems_only(taken_apart: dict[str, Audio]) -> None:
    effect = repet(chains={"vocals": [Reverb(), Gain(-3)], "accompaniment": HighpassFilter(500)})
    expected = Board([Reverb(), Gain(-3)])(taken_apart["vocals"], RATE)
    expected = expected + Board([HighpassFilter(500)])(taken_apart["accompaniment"], RATE)
    whole = effect(MIX, RATE)
    np.testing.assert_allclose(whole, expected, atol=1e-5)
    for sizes in CUTS:
        np.testing.assert_array_equal(streamed(effect, MIX, sizes), whole)


def test_chains_that_are_late_stay_in_step() -> None:
    effect = repet(chains={"vocals": [Late(700)], "accompaniment": Parallel([Late(30)])})
    assert effect.reported_latency_samples == repet().reported_latency_samples + 700
    np.testing.assert_allclose(effect(MIX, RATE), MIX, atol=1e-6)
    for sizes in CUTS:
        np.testing.assert_allclose(streamed(effect, MIX, sizes), MIX, atol=1e-6)


def test_a_real_plugin_with_latency_in_a_chain(taken_apart: dict[str, Audio]) -> None:
    limiter: Any = VST3Plugin(peers.vst3("ZaMaximX2"))
    limiter.threshold_db = -25.0
    effect = repet(chains={"vocals": [limiter]}, solo=["vocals"])
    assert effect.reported_latency_samples == repet().reported_latency_samples + 480
    whole = effect(MIX, RATE)
    np.testing.assert_allclose(whole, limiter(taken_apart["vocals"], RATE), atol=1e-6)
    for sizes in CUTS:
        np.testing.assert_array_equal(streamed(effect, MIX, sizes), whole)


def test_chains_can_be_edited_between_and_within_streams() -> None:
    effect = repet(chains={"vocals": []}, solo=["vocals"])
    dry = effect(MIX, RATE)
    board: Any = effect.chains["vocals"]
    board.append(Gain(-6))
    np.testing.assert_allclose(effect(MIX, RATE), 10 ** (-6 / 20) * dry, atol=1e-6)
    effect.reset()
    head = effect.process(MIX[:, :40000], RATE, reset=False)
    board.clear()
    tail = np.concatenate([effect.process(MIX[:, 40000:], RATE, reset=False), effect.flush()], axis=1)
    start = head.shape[1]
    np.testing.assert_allclose(head, 10 ** (-6 / 20) * dry[:, :start], atol=1e-6)
    np.testing.assert_allclose(tail[:, -4000:], dry[:, -4000:], atol=1e-6)
    with pytest.raises(TypeError):
        effect.chains["vocals"] = board  # type: ignore[index]


def test_one_plugin_in_two_chains_is_refused() -> None:
    gain = Gain()
    with pytest.raises(RuntimeError, match="same plugin instance"):
        repet(chains={"vocals": [gain], "accompaniment": [gain]})
    with pytest.raises(RuntimeError, match="same plugin instance"):
        Board([repet(chains={"vocals": [gain]}), gain])(MIX, RATE)


# In boards.


@pytest.mark.parametrize("sizes", CUTS, ids=["even", "random"])
def test_a_board_of_separator_real_plugin_and_native_effects(sizes: list[int]) -> None:
    limiter: Any = VST3Plugin(peers.vst3("ZaMaximX2"))
    limiter.threshold_db = -15.0
    separator = repet(gains_db={"vocals": float("-inf")})
    board = Board([separator, limiter, Compressor(threshold_db=-18, ratio=2), Smooth()])
    whole = board(MIX, RATE)
    by_hand = Smooth()(pedalboard.Chain([limiter, Compressor(-18, 2)])(separator(MIX, RATE), RATE), RATE)
    np.testing.assert_array_equal(whole, by_hand)
    board.prepare(RATE, 2)
    assert board.reported_latency_samples == separator.reported_latency_samples + 480
    np.testing.assert_array_equal(streamed(board, MIX, sizes), whole)


def test_native_containers_refuse_it_loudly() -> None:
    for container in (pedalboard.Chain, pedalboard.Mix):
        with pytest.raises(TypeError):
            container([repet()])  # type: ignore[list-item]


# Stems from files.


def test_stems_from_files_are_ridden_like_any_others(tmp_path: Path) -> None:
    for name, stem in SONG.items():
        soundfile.write(tmp_path / f"{name}.wav", stem.T, RATE, subtype="FLOAT")
    with StemSeparator(stems_from=tmp_path, mute=["drums", "vocals"], residual="file") as effect:
        assert effect.model == "stems-from"
        assert effect.stem_names == (*SONG, "residual")
        assert effect.reported_latency_samples == 0
        whole = effect(MIX, RATE)
        np.testing.assert_allclose(whole, SONG["bass"] + SONG["other"], atol=1e-6)
        for sizes in CUTS:
            np.testing.assert_array_equal(streamed(effect, MIX, sizes), whole)
        effect.close()
        np.testing.assert_array_equal(effect(MIX, RATE), whole)
        effect.drums_mute = effect.vocals_mute = False
        np.testing.assert_array_equal(effect(MIX, RATE), MIX)
    with pytest.raises(ValueError, match="not both"):
        StemSeparator("repet", stems_from=tmp_path)


def test_names_that_python_cannot_spell_get_underscores(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "vocals.wav", SONG["vocals"].T, RATE)
    soundfile.write(tmp_path / "lead guitar.wav", SONG["other"].T, RATE)
    effect = StemSeparator(stems_from=tmp_path)
    (name,) = (stem for stem in effect.stem_names if "guitar" in stem)
    setattr(effect, f"{name.replace(' ', '_').replace('-', '_')}_gain_db", -3.0)
    assert -3.0 in effect.parameters.values()


# Parameters.


def test_parameters_are_attributes_with_the_values_given() -> None:
    effect = StemSeparator(
        "classic",
        gains_db={"vocals": -3, "bass": float("-inf")},
        mute=["drums"],
        solo=("bass", "other"),
        pan={"other": 0.5},
        sensitivity={"vocals": 7},
        master_gain_db=-1.5,
    )
    assert effect.model == "classic"
    values = {
        "vocals_gain_db": -3.0,
        "bass_gain_db": -144.0,
        "drums_mute": True,
        "bass_solo": True,
        "other_solo": True,
        "other_pan": 0.5,
        "vocals_sensitivity": 7.0,
        "master_gain_db": -1.5,
    }
    for name, value in values.items():
        assert getattr(effect, name) == value == effect.parameters[name]
        assert name in dir(effect)
        assert f"{name}={value:g}" in repr(effect)
    untouched = set(effect.parameters) - set(values)
    assert len(untouched) == 4 * 5 + 1 - len(values)
    assert {effect.parameters[name] for name in untouched} == {0.0, 5.0}


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("vocals_gain_db", 12.5, ValueError),
        ("vocals_gain_db", float("nan"), ValueError),
        ("vocals_gain_db", "loud", TypeError),
        ("vocals_gain_db", True, TypeError),
        ("vocals_pan", 1.01, ValueError),
        ("vocals_sensitivity", -0.1, ValueError),
        ("vocals_sensitivity", float("nan"), ValueError),
        ("vocals_mute", "off", TypeError),
        ("vocals_solo", 2, TypeError),
        ("master_gain_db", 13, ValueError),
        ("master_gain_db", None, TypeError),
        ("vocal_gain_db", -3, AttributeError),
        ("gain_db", -3, AttributeError),
        ("model", "repet", AttributeError),
        ("stem_names", (), AttributeError),
    ],
)
def test_wrong_values_and_names_change_nothing(name: str, value: Any, error: type[Exception]) -> None:
    effect = repet()
    before = effect.parameters
    with pytest.raises(error):
        setattr(effect, name, value)
    assert effect.parameters == before


def test_a_wrong_name_is_told_the_nearest_one() -> None:
    effect: Any = repet()
    with pytest.raises(AttributeError, match="did you mean 'vocals_gain_db'"):
        effect.vocal_gain_db = -3
    with pytest.raises(AttributeError, match="did you mean 'vocals_solo'"):
        _ = effect.vocals_sol
    assert not hasattr(effect, "shape")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": "repett"}, ModelMissingError, "repet"),
        ({"model": "repet", "windows": 3}, ValueError, "windows"),
        ({"model": "repet", "gains_db": {"vocal": 0}}, ValueError, "did you mean 'vocals'"),
        ({"model": "repet", "mute": ["vocal"]}, ValueError, "did you mean 'vocals'"),
        ({"model": "repet", "sensitivity": {"drum": 1}}, ValueError, "drum"),
        ({"model": "repet", "chains": {"vocal": []}}, ValueError, "did you mean 'vocals'"),
        ({"model": "repet", "chains": {"vocals": ["reverb"]}}, TypeError, "holds pedalboard"),
        ({"model": "repet", "residual": "drop"}, ValueError, "residual"),
        ({"model": "repet", "device": "tpu"}, ValueError, "device"),
        ({"model": "repet", "gains_db": {"vocals": 99}}, ValueError, "vocals"),
    ],
)
def test_construction_checks_everything(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        StemSeparator(**arguments)


def test_several_are_set_together_or_not_at_all() -> None:
    effect = repet()
    with pytest.raises(ArgumentTypeError):
        effect.set_parameters(vocals_gain_db=-3, accompaniment_pan="left")  # type: ignore[arg-type]
    with pytest.raises(AttributeError, match="vocals_mute"):
        effect.set_parameters(vocals_gain_db=-3, vocals_muted=True)
    assert effect.vocals_gain_db == 0
    effect.set_parameters(vocals_gain_db=-3, accompaniment_mute=True, vocals_sensitivity=4, master_gain_db=1)
    values = [
        effect.vocals_gain_db,
        effect.accompaniment_mute,
        effect.vocals_sensitivity,
        effect.master_gain_db,
    ]
    assert values == [-3.0, True, 4.0, 1.0]


def test_faders_move_on_other_threads_while_it_plays() -> None:
    effect = repet()
    done = threading.Event()

    def ride() -> int:
        moves = 0
        while not done.is_set():
            effect.vocals_gain_db = -float(moves % 24)
            effect.accompaniment_mute = moves % 2 == 0
            effect.vocals_sensitivity = float(moves % 10)
            moves += 1
        return moves

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(ride) for _ in range(2)]
        for turn in range(12):
            out = effect.process(MIX[:, :20000], RATE, reset=turn % 4 == 3)
            assert np.isfinite(out).all()
        done.set()
        assert min(future.result() for future in futures) > 0
    effect.set_parameters(vocals_gain_db=0, accompaniment_mute=False, vocals_sensitivity=5)
    np.testing.assert_array_equal(effect(MIX, RATE), MIX)


def test_no_torch_for_models_without_networks() -> None:
    code = (
        "import sys, numpy as np\n"
        "from stembridge.model.effects.stem_separator import StemSeparator\n"
        "StemSeparator('classic', gains_db={'vocals': -3})(np.zeros((2, 5000), np.float32), 44100)\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
