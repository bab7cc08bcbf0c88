"""A separator inside a stream of another rate: aligned, as long as the mix, the rest for the residual."""

from __future__ import annotations

import numpy as np
import pytest
import signals
from numpy.typing import NDArray
from stembridge.model.errors import ArgumentValueError
from stembridge.model.registry import create_separator
from stembridge.model.separation import StemStream
from stembridge.model.separators.native_rate import NativeRate
from stembridge.model.separators.protocol import Separator

Audio = signals.Audio


class Copy:
    """Its only stem is the mix itself, `latency` frames late."""

    name = "copy"
    residual_stem = "other"

    def __init__(self, sample_rate: int, channels: int = 1, latency: int = 300, grid: int = 64) -> None:
        self.stems: tuple[str, ...] = ("other",)
        self.sample_rate = sample_rate
        self.channels = channels
        self.latency = latency
        self.context_frames = 0
        self.grid = grid
        self.started_at = 0
        self._pending = np.zeros((channels, 0), np.float32)

    def reset(self, start_frame: int = 0) -> None:
        assert start_frame % self.grid == 0
        self.started_at = start_frame
        self._pending = self._pending[:, :0]

    def push(self, block: Audio) -> NDArray[np.float32]:
        self._pending = np.concatenate([self._pending, block], axis=1)
        return self._give(max(0, self._pending.shape[1] - self.latency))

    def flush(self) -> NDArray[np.float32]:
        return self._give(self._pending.shape[1])

    def _give(self, frames: int) -> NDArray[np.float32]:
        ready, self._pending = self._pending[:, :frames], self._pending[:, frames:]
        return ready[None]


def run(separator: Separator, mix: Audio, cuts: list[int] | None = None) -> NDArray[np.float32]:
    blocks, at = [], 0
    for size in cuts or [mix.shape[1]]:
        blocks.append(separator.push(mix[:, at : at + size]))
        at += size
        assert sum(block.shape[2] for block in blocks) >= at - separator.latency
    return np.concatenate([*blocks, separator.flush()], axis=2)


WHOLE = [(96000, 48000), (88200, 44100), (192000, 48000), (176400, 44100), (132300, 44100)]
BETWEEN = [(48000, 44100), (44100, 48000), (32000, 44100), (50000, 48000), (44100, 8192)]


@pytest.mark.parametrize(("outer", "inner"), WHOLE + BETWEEN)
def test_what_fits_the_inner_band_comes_out_in_place(outer: int, inner: int) -> None:
    frames = outer
    tone = signals.sine(0.3 * min(outer, inner), frames, outer, channels=1)
    out = run(NativeRate(Copy(inner), outer), tone)
    middle = slice(outer // 4, -outer // 4)
    np.testing.assert_allclose(out[0][:, middle], tone[:, middle], atol=1e-4)


@pytest.mark.parametrize(("outer", "inner"), [*WHOLE, (48000, 44100), (48000, 8192)])
def test_the_band_above_stays_out_and_joins_the_residual(outer: int, inner: int) -> None:
    above = signals.sine(0.53 * inner, outer, outer, channels=1)
    middle = slice(outer // 4, -outer // 4)
    assert np.max(np.abs(run(NativeRate(Copy(inner), outer), above)[0][:, middle])) < 1e-4
    stream = StemStream(NativeRate(Copy(inner), outer), residual="none")
    first, rest = stream.push(above), stream.flush()
    residual = np.concatenate([first.residual, rest.residual], axis=1)
    np.testing.assert_allclose(residual[:, middle], above[:, middle], atol=1e-4)


@pytest.mark.parametrize(("outer", "inner"), WHOLE[:3] + BETWEEN)
@pytest.mark.parametrize("frames", [0, 1, 2, 7, 300, 10_007])
def test_as_many_frames_out_as_in(outer: int, inner: int, frames: int) -> None:
    separator = NativeRate(Copy(inner, channels=2), outer)
    for seed in range(2):  # the second time after a flush
        mix = signals.noise(frames)
        assert run(separator, mix, signals.cuts(frames, seed)).shape == (1, 2, frames)


@pytest.mark.parametrize(("outer", "inner"), [*WHOLE[:3], *BETWEEN[:2]])
def test_the_cut_changes_no_bit(outer: int, inner: int) -> None:
    mix = signals.noise(50_000)
    separator = NativeRate(Copy(inner, channels=2), outer)
    whole = run(separator, mix)
    for seed in range(2):
        assert run(separator, mix, signals.cuts(50_000, seed)).tobytes() == whole.tobytes()


@pytest.mark.parametrize(("outer", "inner"), [*WHOLE[:3], *BETWEEN[:3]])
def test_a_region_is_the_slice_of_the_whole(outer: int, inner: int) -> None:
    separator = NativeRate(create_separator("hpss", inner, 1), outer)
    begin, context = separator.grid, separator.context_frames
    assert begin <= 6 * outer  # seconds, not minutes: regions need not start at 0
    mix = signals.noise(begin + 2 * context + 10_000, channels=1)
    whole = run(separator, mix)
    separator.reset(begin)
    part = run(separator, mix[:, begin:], signals.cuts(mix.shape[1] - begin, seed=5, largest=50_000))
    assert part[:, :, context:].tobytes() == whole[:, :, begin + context :].tobytes()
    stop = begin + context + 10_000  # and the song may be cut off after the region
    separator.reset(begin)
    part = run(separator, mix[:, begin : stop + context])
    here = slice(context, context + 10_000)
    assert part[:, :, here].tobytes() == whole[:, :, begin + context : stop].tobytes()


def test_stem_streams_of_high_rates_null() -> None:
    mix = signals.noise(96_000, 2)
    stream = StemStream(create_separator("hpss", 96000, 2), sensitivity={"percussive": 4})
    blocks = [stream.push(mix), stream.flush()]
    err = mix - np.concatenate([block.stems for block in blocks], axis=2).sum(axis=0, dtype=np.float64)
    assert 10 * np.log10(np.sum(err**2) / np.sum(mix**2)) < -120


def test_starts_are_told_in_inner_frames() -> None:
    for outer, inner in (*WHOLE, *BETWEEN):
        copy = Copy(inner, grid=64)
        separator = NativeRate(copy, outer)
        separator.reset(2 * separator.grid)
        assert copy.started_at * outer == 2 * separator.grid * inner
        with pytest.raises(ArgumentValueError, match=f"multiples of {separator.grid} frames; got 64"):
            separator.reset(64)


def test_latency_and_context_are_in_outer_frames() -> None:
    plain, late = NativeRate(Copy(48000, latency=0), 192000), NativeRate(Copy(48000, latency=1000), 192000)
    assert late.latency - plain.latency == 4000
    assert late.context_frames == plain.context_frames > 0
    with pytest.raises(ArgumentValueError, match="runs at 48000 Hz itself"):
        NativeRate(Copy(48000), 48000)
