"""Resampling: exact lengths, sample 0 on sample 0, no trace of how the stream was cut."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import signals
from stembridge.model.audio import Audio
from stembridge.model.dsp.resampler import Resampler, resample
from stembridge.model.errors import ArgumentTypeError, ArgumentValueError

RATES = [(48000, 44100), (44100, 48000), (96000, 44100), (44100, 22050), (8000, 44100), (44100, 8192)]


def stream(resampler: Resampler, audio: Audio, sizes: list[int]) -> Audio:
    parts, at = [], 0
    for size in sizes:
        parts.append(resampler.push(audio[:, at : at + size]))
        at += size
    assert at == audio.shape[1]
    return np.concatenate([*parts, resampler.flush()], axis=1)


def rounded(frames: int, in_rate: int, out_rate: int) -> int:
    return math.floor(Fraction(frames * out_rate, in_rate) + Fraction(1, 2))


@pytest.mark.parametrize("anchored", [False, True])
@pytest.mark.parametrize(("in_rate", "out_rate"), RATES)
def test_cuts_change_no_bit(in_rate: int, out_rate: int, anchored: bool) -> None:
    audio = signals.noise(40_001, seed=in_rate)
    resampler = Resampler(in_rate, out_rate, 2, anchored=anchored)
    whole = stream(resampler, audio, [audio.shape[1]])
    assert whole.shape == (2, rounded(audio.shape[1], in_rate, out_rate))
    assert whole.flags.c_contiguous
    assert whole.dtype == np.float32
    for seed in (1, 2):
        assert np.array_equal(stream(resampler, audio, signals.cuts(audio.shape[1], seed)), whole)


@pytest.mark.parametrize("anchored", [False, True])
@pytest.mark.parametrize(("in_rate", "out_rate"), RATES)
def test_lengths_are_exact_from_nothing_on(in_rate: int, out_rate: int, anchored: bool) -> None:
    resampler = Resampler(in_rate, out_rate, 1, anchored=anchored)
    for frames in (0, 1, 2, 3, 5, 160, 1601):
        out = stream(resampler, signals.noise(frames, 1), [frames])
        assert out.shape[1] == rounded(frames, in_rate, out_rate)


def test_half_a_frame_is_rounded_up() -> None:
    # 100,000 frames are 45,937.5 at the new rate; soxr alone gives 45,937
    assert resample(np.zeros((1, 100_000), np.float32), 96000, 44100).shape[1] == 45938


@pytest.mark.parametrize("anchored", [False, True])
def test_frames_held_back_stay_below_the_latency(anchored: bool) -> None:
    for in_rate, out_rate in [*RATES, (192_000, 8000), (44100, 44101)]:
        resampler = Resampler(in_rate, out_rate, 1, anchored=anchored)
        audio, pushed, given = signals.noise(resampler.latency * 3, 1), 0, 0
        while pushed < audio.shape[1]:
            given += resampler.push(audio[:, pushed : pushed + 256]).shape[1]
            pushed = min(audio.shape[1], pushed + 256)
            assert given >= (pushed - resampler.latency) * out_rate / in_rate


@pytest.mark.parametrize(("in_rate", "out_rate"), [*RATES, (8192, 44100)])
def test_anchored_region_is_the_slice_of_the_whole(in_rate: int, out_rate: int) -> None:
    resampler = Resampler(in_rate, out_rate, 2, anchored=True)
    grid, context = resampler.grid, resampler.context_frames
    audio = signals.noise(3 * grid + 4 * context, seed=3)
    whole = stream(resampler, audio, [audio.shape[1]])
    resampler.reset(grid)
    stop = audio.shape[1] - 777
    region = stream(resampler, audio[:, grid:stop], signals.cuts(stop - grid, 5, 20_000))
    first, after = grid * out_rate // in_rate, math.ceil(context * out_rate / in_rate)
    length = region.shape[1] - 2 * after
    assert length > 1000
    begin = first + after
    assert np.array_equal(region[:, after : after + length], whole[:, begin : begin + length])


@pytest.mark.parametrize(("in_rate", "out_rate"), RATES)
def test_streamed_region_is_the_slice_within_rounding(in_rate: int, out_rate: int) -> None:
    resampler = Resampler(in_rate, out_rate, 1)
    audio = signals.noise(60_000, 1, seed=4)
    whole = resample(audio, in_rate, out_rate)
    start = 12_345 // resampler.grid * resampler.grid
    resampler.reset(start)
    region = stream(resampler, audio[:, start:], [audio.shape[1] - start])
    after = math.ceil(resampler.context_frames * out_rate / in_rate)
    expected = whole[:, start * out_rate // in_rate :]
    assert np.abs(region[:, after:] - expected[:, after:]).max() < 2e-7


@pytest.mark.parametrize(("in_rate", "out_rate"), RATES)
def test_both_constructions_agree(in_rate: int, out_rate: int) -> None:
    audio = signals.noise(50_000, 1, seed=6)
    anchored = stream(Resampler(in_rate, out_rate, 1, anchored=True), audio, [50_000])
    # also at frame 0, where soxr alone starts with half-empty filters
    assert np.abs(anchored - resample(audio, in_rate, out_rate)).max() < 2e-7


@pytest.mark.parametrize("anchored", [False, True])
@pytest.mark.parametrize(("in_rate", "out_rate"), [*RATES, (44100, 192_000)])
def test_an_impulse_stays_where_it_is(in_rate: int, out_rate: int, anchored: bool) -> None:
    resampler = Resampler(in_rate, out_rate, 1, anchored=anchored)
    step = in_rate // math.gcd(in_rate, out_rate)
    for place in (0, step * (9000 // step + 1)):
        audio = np.zeros((1, 30_000), np.float32)
        audio[0, place] = 1.0
        out = stream(resampler, audio, [30_000])[0]
        assert int(np.abs(out).argmax()) == place * out_rate // in_rate
    # linear phase: the same on both sides of the impulse
    centre = place * out_rate // in_rate
    assert np.abs(out[centre : centre + 500] - out[centre - 499 : centre + 1][::-1]).max() < 1e-6


@pytest.mark.parametrize(("in_rate", "out_rate"), RATES)
def test_tones_keep_level_and_aliases_vanish(in_rate: int, out_rate: int) -> None:
    nyquist = min(in_rate, out_rate) / 2
    frames = in_rate
    passed = resample(signals.sine(0.9 * nyquist, frames, in_rate, 1), in_rate, out_rate)[0]
    middle = passed[len(passed) // 4 : -len(passed) // 4]
    assert np.sqrt(2 * np.mean(middle.astype(np.float64) ** 2)) == pytest.approx(0.5, rel=2e-3)
    if in_rate > out_rate:
        above = min(1.1 * nyquist, 0.99 * in_rate / 2)
        stopped = resample(signals.sine(above, frames, in_rate, 1), in_rate, out_rate)[0]
        assert np.abs(stopped[len(stopped) // 4 : -len(stopped) // 4]).max() < 1e-7


def test_equal_rates_pass_the_same_bits() -> None:
    resampler = Resampler(44100, 44100, 2)
    audio = signals.noise(1000)
    audio[0, 0] = np.float32(1e-42)  # a denormal survives too
    assert np.array_equal(stream(resampler, audio, [0, 1, 999]), audio)
    assert (resampler.grid, resampler.context_frames, resampler.latency) == (1, 0, 0)


def test_channels_do_not_mix() -> None:
    audio = signals.noise(5000, 6)
    out = resample(audio, 48000, 44100)
    for channel in range(6):
        assert np.array_equal(out[channel], resample(audio[channel : channel + 1], 48000, 44100)[0])


def test_wrong_arguments_are_named() -> None:
    resampler = Resampler(48000, 44100, 2)
    with pytest.raises(ArgumentValueError, match=r"\(2, frames\)"):
        resampler.push(np.zeros((1, 10), np.float32))
    with pytest.raises(ArgumentTypeError, match="float32"):
        resampler.push(np.zeros((2, 10), np.float64))
    with pytest.raises(ArgumentValueError, match="multiples of 160"):
        resampler.reset(100)
    with pytest.raises(ArgumentValueError, match="out_rate"):
        Resampler(48000, 0, 2)
