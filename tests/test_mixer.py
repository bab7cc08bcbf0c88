"""The remix law: unity to the bit, solo = export, muted = silence, ramps without steps."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import signals
from stembridge.model.errors import ArgumentValueError
from stembridge.model.mixer import Mixer, MixerState
from stembridge.model.residual import RESIDUAL_POLICIES, ResidualPolicy
from stembridge.model.units import db_to_gain

RATE = 44100
NAMES = ("drums", "bass", "other", "vocals")
Audio = signals.Audio


def parts(frames: int = 4000, channels: int = 2, *, loose: float = 0.0) -> tuple[Audio, Audio, Audio]:
    """A mix, four stems, and the residual mix - sum(stems): dust, or a sound of the level `loose`."""
    stems = np.stack([signals.noise(frames, channels, seed) for seed in range(4)])
    mix = stems.sum(axis=0, dtype=np.float64) + loose * signals.noise(frames, channels, 9, level=1.0)
    mix = mix.astype(np.float32)
    return mix, stems, (mix - stems.sum(axis=0, dtype=np.float64)).astype(np.float32)


def mixer(policy: ResidualPolicy = "other", channels: int = 2, ramp_ms: float = 20.0) -> Mixer:
    names = (*NAMES[:3], "residual") if policy == "file" else NAMES
    return Mixer(names, channels, RATE, residual_policy=policy, ramp_ms=ramp_ms)


@pytest.mark.parametrize("policy", RESIDUAL_POLICIES)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_unity_returns_the_input_s_own_bits(policy: ResidualPolicy, channels: int) -> None:
    mix, stems, residual = parts(channels=channels, loose=0.1)
    mix[0, :3] = [-0.0, 1e-42, 3.5]  # signed zero, a denormal and an over survive too
    out = mixer(policy, channels).mix(mix, stems, residual, [None] * 4)
    assert out.tobytes() == mix.tobytes()
    assert not np.shares_memory(out, mix)


@pytest.mark.parametrize("policy", RESIDUAL_POLICIES)
@pytest.mark.parametrize("loose", [0.0, 0.1])
def test_a_soloed_stem_is_its_export(policy: ResidualPolicy, loose: float) -> None:
    mix, stems, residual = parts(loose=loose)
    desk = mixer(policy)
    desk.set_solo("bass")
    assert np.max(np.abs(desk.mix(mix, stems, residual) - stems[1])) <= 1e-6
    desk.set_solo("other")
    desk.reset()
    np.testing.assert_allclose(desk.mix(mix, stems, residual), stems[1] + stems[2], atol=1e-6)


@pytest.mark.parametrize("policy", ["other", "spread", "file"])
def test_everything_muted_is_exact_silence(policy: ResidualPolicy) -> None:
    mix, stems, residual = parts()
    desk = mixer(policy)
    for stem in desk.stems:
        desk.set_mute(stem)
    assert not desk.mix(mix, stems, residual).any()


def test_sound_outside_the_stems_plays_on_until_a_solo() -> None:
    mix, stems, residual = parts(loose=0.1)
    desk = mixer("none")
    for stem in NAMES:
        desk.set_mute(stem)
    np.testing.assert_allclose(desk.mix(mix, stems, residual), residual, atol=1e-6)
    desk.set_solo("drums")  # soloed and muted: mute wins, and the solo takes the residual away
    desk.reset()
    assert not desk.mix(mix, stems, residual).any()


def test_a_muted_stem_is_taken_out_of_the_mix() -> None:
    mix, stems, residual = parts()
    desk = mixer()
    desk.set_mute("vocals")
    np.testing.assert_allclose(desk.mix(mix, stems, residual), mix - stems[3], atol=1e-6)


def test_chains_replace_their_stems_only() -> None:
    mix, stems, residual = parts()
    chained = np.tanh(3 * stems[0])
    desk = mixer()
    desk.set_gain_db("drums", -6.0)
    out = desk.mix(mix, stems, residual, [chained, None, None, None])
    np.testing.assert_allclose(out, mix - stems[0] + db_to_gain(-6.0) * chained, atol=1e-6)
    whole = np.stack([chained, *stems[1:]])
    np.testing.assert_allclose(desk.mix(mix, stems, residual, whole), out, atol=1e-6)
    desk.set_solo("drums")
    desk.set_gain_db("drums", 0.0)
    desk.reset()
    np.testing.assert_array_equal(desk.mix(mix, stems, residual, [chained, None, None, None]), chained)


@pytest.mark.parametrize(("pan", "left", "right"), [(0.0, 1, 1), (-1.0, 1, 0), (1.0, 0, 1), (0.25, 0.75, 1)])
def test_balance_turns_the_far_side_down(pan: float, left: float, right: float) -> None:
    mix, stems, residual = parts()
    desk = mixer()
    desk.set_pan("bass", pan)
    out = desk.mix(mix, stems, residual)
    np.testing.assert_array_equal(desk.audible("bass"), [left, right])
    np.testing.assert_allclose(out[0], mix[0] - (1 - left) * stems[1, 0], atol=1e-6)
    np.testing.assert_allclose(out[1], mix[1] - (1 - right) * stems[1, 1], atol=1e-6)
    near = 0 if left == 1 else 1
    assert out[near].tobytes() == mix[near].tobytes()


def test_balance_leaves_a_channel_without_partner_alone() -> None:
    for channels, gains in ((1, [1.0]), (3, [0.5, 1.0, 1.0]), (4, [0.5, 1.0, 0.5, 1.0])):
        desk = mixer(channels=channels)
        desk.set_pan("bass", 0.5)
        assert desk.audible("bass").tolist() == gains


def test_post_fader_stems_add_up_to_the_mix() -> None:
    mix, stems, residual = parts()
    desk = mixer()
    desk.state = MixerState({"drums": -3.0}, frozenset({"bass"}), frozenset(), {"other": -0.5})
    total = sum(desk.post_fader(name, stem) for name, stem in zip(NAMES, stems, strict=True)) + residual
    np.testing.assert_allclose(desk.mix(mix, stems, residual), total, atol=1e-6)
    faders = desk.faders(4000)
    np.testing.assert_array_equal(faders.post_fader("drums", stems[0]), desk.post_fader("drums", stems[0]))
    desk.set_solo("vocals")
    assert not desk.post_fader("drums", stems[0]).any()
    assert desk.post_fader("vocals", stems[3]).tobytes() == stems[3].tobytes()


# Ramps


def ramp_of(desk: Mixer, frames: int) -> Audio:
    """The gain of the drums alone, read off a constant 1."""
    ones = np.ones((1, frames), np.float32)
    zeros = np.zeros((1, frames), np.float32)
    out: Audio = desk.mix(ones, np.stack([ones, zeros, zeros, zeros]), zeros)[0]
    return out


@pytest.mark.parametrize("change", ["gain", "mute", "solo of another", "master"])
def test_a_change_is_a_line_without_steps(change: str) -> None:
    desk = mixer(channels=1)
    n = round(0.020 * RATE)
    assert ramp_of(desk, 100).tolist() == [1.0] * 100
    {
        "gain": lambda: desk.set_gain_db("drums", -144.0),
        "mute": lambda: desk.set_mute("drums"),
        "solo of another": lambda: desk.set_solo("vocals"),
        "master": lambda: desk.set_master_gain_db(-np.inf),
    }[change]()
    line = np.concatenate([[1.0], ramp_of(desk, 300), ramp_of(desk, n - 300), ramp_of(desk, 50)])
    assert np.max(np.abs(np.diff(line))) <= 1.0 / n + 1e-6
    np.testing.assert_allclose(line[: n + 1], np.linspace(1, 0, n + 1), atol=1e-6)
    assert not line[n:].any()


def test_a_ramp_redirected_on_its_way_goes_on_from_there() -> None:
    desk = mixer(channels=1)
    n = round(0.020 * RATE)
    ramp_of(desk, 1)
    desk.set_gain_db("drums", 12.0)
    up = ramp_of(desk, n // 2)
    desk.set_mute("drums")
    down = ramp_of(desk, n + 10)
    half = (1 + db_to_gain(12.0)) / 2
    assert abs(up[-1] - half) < 0.01
    assert abs(down[0] - up[-1]) <= half / n + 1e-6
    assert not down[n - 1 :].any()


@pytest.mark.parametrize("policy", RESIDUAL_POLICIES)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_cut_changes_no_bit_of_a_moving_mix(policy: ResidualPolicy, seed: int) -> None:
    mix, stems, residual = parts(6000, loose=0.05)
    treated = [np.tanh(stems[0]), None, None, np.tanh(stems[3])]
    changes = {
        0: MixerState({"drums": -6.0}),
        1000: MixerState({"drums": 3.0}, solos=frozenset({"bass"}), pans={"bass": 0.3}),
        1500: MixerState(mutes=frozenset({"bass"}), master_gain_db=-3.0),
        3000: MixerState(),
    }

    def run(cuts: list[int]) -> Audio:
        desk = mixer(policy)
        out: list[Audio] = []
        at = 0
        for size in cuts:
            stop = at + size
            while at < stop or size == 0:
                if at in changes:
                    desk.state = changes[at]
                end = min([stop, *(frame for frame in changes if at < frame)])
                cut = slice(at, end)
                chained = [None if t is None else t[:, cut] for t in treated]
                out.append(desk.mix(mix[:, cut], stems[:, :, cut], residual[:, cut], chained))
                at = end
                if size == 0:
                    break
        return np.concatenate(out, axis=1)

    whole = run([6000])
    assert run(signals.cuts(6000, seed, largest=900)).tobytes() == whole.tobytes()
    assert whole[:, 4500:].tobytes() == run([4500, 1500])[:, 4500:].tobytes()


def test_back_at_unity_the_bits_are_the_input_s_again() -> None:
    mix, stems, residual = parts(5000)
    desk = mixer(ramp_ms=10.0)
    desk.set_gain_db("vocals", -20.0)
    desk.mix(mix[:, :1000], stems[:, :, :1000], residual[:, :1000])
    assert not desk.unity
    desk.state = MixerState()
    assert desk.unity
    out = desk.mix(mix[:, 1000:], stems[:, :, 1000:], residual[:, 1000:])
    assert out[:, 441:].tobytes() == mix[:, 1441:].tobytes()
    assert np.max(np.abs(out[:, :400] - mix[:, 1000:1400])) > 0.01


def test_controls_of_another_thread_are_heard_whole() -> None:
    desk = mixer(channels=1, ramp_ms=0.0)
    loud, quiet = MixerState({"drums": 6.0}), MixerState({"drums": -6.0}, master_gain_db=-60.0)
    allowed = {np.float32(db_to_gain(6.0)), np.float32(db_to_gain(-6.0) * db_to_gain(-60.0))}
    desk.state = loud
    done = threading.Event()

    def turn() -> None:
        while not done.is_set():
            desk.state = quiet
            desk.state = loud

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        heard = [set(ramp_of(desk, 5).tolist()) for _ in range(300)]
    finally:
        done.set()
        thread.join()
    assert all(len(values) == 1 and np.float32(max(values)) in allowed for values in heard)


# Validation


def test_unknown_stems_name_the_nearest() -> None:
    desk = mixer()
    with pytest.raises(ArgumentValueError, match="no stem 'vocal': did you mean 'vocals'"):
        desk.set_gain_db("vocal", -3.0)
    with pytest.raises(ArgumentValueError, match="the stems are drums, bass, other, vocals"):
        desk.set_solo("xylophone")
    with pytest.raises(ArgumentValueError, match="no stem 'residual'"):
        desk.set_gain_db("residual", 0.0)


@pytest.mark.parametrize("gain_db", [12.01, float("nan"), float("inf")])
def test_gains_outside_the_range_are_refused_and_change_nothing(gain_db: float) -> None:
    desk = mixer()
    desk.set_gain_db("bass", -3.0)
    before = desk.state
    with pytest.raises(ArgumentValueError, match=r"gain of bass must be -144 to \+12 dB"):
        desk.set_gain_db("bass", gain_db)
    with pytest.raises(ArgumentValueError, match="gain of master"):
        desk.set_master_gain_db(gain_db)
    assert desk.state == before
    desk.set_gain_db("bass", float("-inf"))
    assert desk.state.gains_db["bass"] == -144.0
    assert not desk.audible("bass").any()


def test_other_bad_arguments_are_refused() -> None:
    desk = mixer()
    mix, stems, residual = parts(100)
    for pan in (1.1, float("nan")):
        with pytest.raises(ArgumentValueError, match="pan of bass"):
            desk.set_pan("bass", pan)
    with pytest.raises(ArgumentValueError, match="stems must have the shape"):
        desk.mix(mix, stems[:3], residual)
    with pytest.raises(ArgumentValueError, match="treated vocals"):
        desk.mix(mix, stems, residual, [None, None, None, stems[3][:, :50]])
    with pytest.raises(ArgumentValueError, match="one entry per stem"):
        desk.mix(mix, stems, residual, [None])
    with pytest.raises(ArgumentValueError, match="one stem is 'residual'"):
        Mixer(NAMES, 2, RATE, residual_policy="file")
    with pytest.raises(ArgumentValueError, match="different names"):
        Mixer(("a", "a"), 2, RATE)
    with pytest.raises(ArgumentValueError, match="residual policy is one of"):
        Mixer(NAMES, 2, RATE, residual_policy="others")  # type: ignore[arg-type]


@pytest.mark.parametrize("frames", [0, 1])
def test_tiny_blocks(frames: int) -> None:
    mix, stems, residual = parts(frames)
    desk = mixer()
    desk.set_gain_db("bass", -6.0)
    assert desk.mix(mix, stems, residual).shape == (2, frames)
    assert desk.post_fader("bass", stems[1]).shape == (2, frames)
