"""The true-peak limiter: what holds of any signal, and how it stands beside pedalboard's."""

from __future__ import annotations

import math

import numpy as np
import pedalboard
import pytest
import signals
from hypothesis import given, settings
from hypothesis import strategies as st
from stembridge.model.audio import Audio
from stembridge.model.dsp.limiter import GainCurve, Limiter, reduction_db, turned
from stembridge.model.dsp.loudness import LoudnessMeter
from stembridge.model.dsp.peak_envelope import PeakEnvelope
from stembridge.model.errors import ArgumentValueError

RATE = 44100


def limited(audio: Audio, rate: int = RATE, ceiling: float = -1.0, **times: float) -> Audio:
    limiter = Limiter(rate, audio.shape[0], ceiling, **times)
    return np.concatenate([limiter.push(audio), limiter.flush()], axis=1)


def true_peak_dbtp(audio: Audio, rate: int = RATE) -> float:
    meter = LoudnessMeter(rate, audio.shape[0])
    meter.push(audio)
    return meter.result().true_peak_dbtp


def loud_song(rate: int, seconds: float = 2.0, seed: int = 0) -> Audio:
    """A song that was clipped and then made louder still: squares, steps, peaks between samples."""
    mix = np.sum(list(signals.song(seconds, rate, seed).values()), axis=0)
    return np.asarray(2.5 * np.clip(4 * mix, -1, 1), np.float32)


def clicks(rate: int, seed: int) -> Audio:
    """Single samples of any height over noise: nothing is harder to foresee."""
    rng = np.random.default_rng(seed)
    audio = signals.noise(rate, 2, seed, 0.2)
    places = rng.integers(0, rate, 100)
    audio[rng.integers(0, 2, 100), places] = rng.choice([-1, 1], 100) * rng.uniform(0.5, 4.0, 100)
    return audio


@pytest.mark.parametrize("rate", [8000, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("ceiling", [-1.0, -6.0])
def test_the_ceiling_holds_between_samples_too(rate: int, ceiling: float) -> None:
    for audio in (loud_song(rate, 1.0), clicks(rate, rate), signals.noise(rate, 2, 1, 1.0)):
        assert true_peak_dbtp(audio, rate) > ceiling + 6
        out = limited(audio, rate, ceiling)
        assert out.shape == audio.shape
        assert ceiling - 0.05 < true_peak_dbtp(out, rate) <= ceiling


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    drive=st.floats(0.3, 30.0),
    lookahead=st.floats(0.5, 20.0),
    release=st.floats(5.0, 1000.0),
    rate=st.sampled_from([8000, 22050, 44100]),
    channels=st.sampled_from([1, 2, 3]),
)
def test_any_noise_with_any_settings_stays_below(
    seed: int, drive: float, lookahead: float, release: float, rate: int, channels: int
) -> None:
    rng = np.random.default_rng(seed)
    shape = np.repeat(rng.uniform(0, 1, 40) ** 3, rate // 40)
    audio = np.asarray(drive * shape * rng.standard_normal((channels, shape.size)), np.float32)
    out = limited(audio, rate, -1.0, lookahead_ms=lookahead, release_ms=release)
    assert out.shape == audio.shape
    assert true_peak_dbtp(out, rate) <= -1.0


@settings(max_examples=25, deadline=None)
@given(
    heights=st.lists(st.tuples(st.integers(0, 400), st.floats(0.0, 50.0)), max_size=30),
    ceiling=st.floats(0.05, 1.0),
    lookahead=st.floats(0.5, 50.0),
)
def test_the_gain_is_down_in_time_whatever_comes(
    heights: list[tuple[int, float]], ceiling: float, lookahead: float
) -> None:
    stretches = [np.full(gap, height, np.float32) for gap, height in heights]
    envelope = np.concatenate([np.empty(0, np.float32), *stretches])
    curve = GainCurve(8000, ceiling, lookahead_ms=lookahead)
    gains = np.concatenate([curve.push(envelope), curve.flush()])
    assert gains.size == envelope.size
    assert (gains * envelope <= ceiling * (1 + 1e-6)).all()
    assert (gains <= 1.0).all()
    assert (gains > 0.0).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_cut_changes_no_bit(seed: int) -> None:
    audio = loud_song(RATE, 1.5, seed)
    whole = limited(audio)
    limiter = Limiter(RATE, 2, -1.0)
    parts, at = [], 0
    for size in signals.cuts(audio.shape[1], seed):
        parts.append(limiter.push(audio[:, at : at + size]))
        at += size
    parts.append(limiter.flush())
    assert np.array_equal(np.concatenate(parts, axis=1), whole)


def test_a_stream_after_a_flush_is_a_new_one() -> None:
    audio = loud_song(RATE, 0.5)
    limiter = Limiter(RATE, 2)
    first = np.concatenate([limiter.push(audio), limiter.flush()], axis=1)
    second = np.concatenate([limiter.push(audio), limiter.flush()], axis=1)
    assert np.array_equal(first, second)


@pytest.mark.parametrize("frames", [0, 1, 15, 16, 17, 4096, 4097, 10_000])
def test_any_length_comes_back_whole(frames: int) -> None:
    audio = signals.noise(frames, 2, frames, 3.0)
    out = limited(audio)
    assert out.shape == audio.shape
    if frames:
        assert true_peak_dbtp(out) <= -1.0


def test_below_the_ceiling_samples_pass_as_they_are() -> None:
    audio = signals.noise(RATE, 2, 3, 0.1)
    assert np.array_equal(limited(audio), audio)


def test_samples_far_from_a_peak_pass_as_they_are() -> None:
    audio = signals.noise(6 * RATE, 2, 3, 0.1)
    audio[:, 3 * RATE] = 2.0
    out = limited(audio, lookahead_ms=5.0, release_ms=50.0)
    ahead = 3 * RATE - round(0.006 * RATE) - 32
    assert np.array_equal(out[:, :ahead], audio[:, :ahead])
    assert np.array_equal(out[:, 5 * RATE :], audio[:, 5 * RATE :])
    assert not np.array_equal(out[:, 3 * RATE + 100], audio[:, 3 * RATE + 100])


def test_channels_share_one_gain() -> None:
    audio = signals.noise(RATE, 2, 4, 0.3)
    audio[1] *= 0.1
    out = limited(audio, ceiling=-6.0)
    gains = out[0, audio[0] != 0] / audio[0, audio[0] != 0]
    others = out[1, audio[0] != 0] / audio[1, audio[0] != 0]
    np.testing.assert_allclose(gains, others, rtol=1e-4)
    assert gains.min() < 0.8


def test_the_gain_moves_smoothly() -> None:
    """From full to the deepest in no less than the look-ahead, without a step."""
    audio = np.full((1, RATE), 0.05, np.float32)
    audio[0, RATE // 2] = 4.0
    curve = GainCurve(RATE, 0.5)
    envelope = PeakEnvelope(RATE, 1)
    peaks = np.concatenate([envelope.push(audio), envelope.flush()])
    gains = np.concatenate([curve.push(peaks), curve.flush()])
    depth = 1 - gains.min()
    assert depth == pytest.approx(1 - 0.5 / 4.0, abs=0.01)
    # A bell of three moving averages of a third of 5 ms is at most 9 / 4 as steep as a ramp of 5 ms.
    assert np.abs(np.diff(gains)).max() <= 2.3 * depth / (0.005 * RATE)
    assert np.abs(np.diff(gains, 2)).max() <= 2 * 9 * depth / (0.005 * RATE) ** 2
    assert curve.deepest == pytest.approx(depth)


def test_release_takes_the_time_that_was_given() -> None:
    envelope = np.full(4 * RATE, 0.01, np.float32)
    envelope[RATE] = 1.0
    curve = GainCurve(RATE, 0.5, release_ms=200.0)
    depth = 1 - np.concatenate([curve.push(envelope), curve.flush()])
    later = RATE + round(0.02 * RATE)
    assert depth[later + round(0.2 * RATE)] / depth[later] == pytest.approx(math.exp(-1), rel=1e-3)


def test_nothing_is_late_or_early() -> None:
    """A sine under a limiter that works all the time keeps its zero crossings."""
    audio = signals.sine(441.0, RATE, level=2.0)
    out = limited(audio)
    inner = slice(2000, RATE - 2000)
    crossed = np.flatnonzero(np.diff(np.signbit(audio[0, inner])))
    assert np.array_equal(crossed, np.flatnonzero(np.diff(np.signbit(out[0, inner]))))


def test_pedalboards_limiters_do_not_hold_it() -> None:
    """Why this one is here: what else there is goes over, between samples or at them, or steps."""
    audio = loud_song(RATE, 2.0)
    theirs = {
        "Limiter": pedalboard.Limiter(threshold_db=-1.0, release_ms=100.0),
        "BrickwallLimiter": pedalboard.BrickwallLimiter(
            ceiling_db=-1.0, release_ms=100.0, lookahead_ms=5.0, true_peak=True
        ),
    }
    found = {name: true_peak_dbtp(plugin(audio, RATE)) for name, plugin in theirs.items()}
    assert found["Limiter"] > -1.0 + 0.5
    assert true_peak_dbtp(limited(audio)) <= -1.0
    noise = signals.noise(8000, 2, 1, 1.0)
    assert true_peak_dbtp(theirs["BrickwallLimiter"](noise, 8000), 8000) > -1.0 + 0.05
    assert true_peak_dbtp(limited(noise, 8000), 8000) <= -1.0
    # A click in a soft tone: their gain falls at once, which is a click of its own, 5 ms early.
    soft = np.full((1, RATE), 0.05, np.float32)
    soft[0, RATE // 2] = 4.0

    def largest_step(out: Audio) -> float:
        return float(np.abs(np.diff(np.delete(out[0] / soft[0], RATE // 2))).max())

    assert largest_step(theirs["BrickwallLimiter"](soft, RATE)) > 0.5
    assert largest_step(limited(soft)) < 0.01


def test_the_envelope_is_what_lies_between_samples() -> None:
    tone = 0.5 * np.sin(2 * np.pi * np.arange(RATE) / 4 + np.pi / 4)
    audio = np.asarray(tone[None], np.float32)
    envelope = PeakEnvelope(RATE, 1)
    peaks = np.concatenate([envelope.push(audio), envelope.flush()])
    assert peaks.size == RATE
    assert np.abs(audio).max() == pytest.approx(0.3536, abs=1e-3)
    # The tone peaks half-way between every other pair of samples.
    np.testing.assert_allclose(np.maximum(peaks[100:-100], peaks[101:-99]), 0.5, rtol=0.01)
    assert (peaks >= np.abs(audio[0])).all()


def test_what_rings_after_the_end_counts_for_the_last_frame() -> None:
    audio = np.zeros((1, 5000), np.float32)
    audio[0, -2:] = 1.0  # the curve through two equal samples rises above both
    envelope = PeakEnvelope(RATE, 1)
    peaks = np.concatenate([envelope.push(audio), envelope.flush()])
    assert peaks.size == 5000
    assert peaks[-2:].max() > 1.1
    assert true_peak_dbtp(limited(audio)) <= -1.0


def test_units() -> None:
    assert reduction_db(0.0) == 0.0
    assert reduction_db(0.5) == pytest.approx(6.02, abs=0.01)
    audio = signals.noise(10, 1)
    assert turned(audio, np.ones(10)) is audio


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ArgumentValueError, match=r"looks 0\.5 to 50 ms ahead; got 0\.1"):
        Limiter(RATE, 2, lookahead_ms=0.1)
    with pytest.raises(ArgumentValueError, match="lets go in 5 to 5000 ms"):
        Limiter(RATE, 2, release_ms=1.0)
    with pytest.raises(ArgumentValueError, match="above 0"):
        GainCurve(RATE, 0.0)
