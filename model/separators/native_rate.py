"""A separator inside a stream of another sample rate.

The mix is resampled to the separator's rate and its estimates back, in step to the sample. What the
inner rate cannot hold is in no estimate, so the residual policy gets the band above.

Down by a whole number (96 to 48 kHz) the filters of `decimator` are used, and a region is the same to
the bit as the slice of the whole; between other rates soxr is, and a region agrees within float
rounding.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from ..audio import Audio, StemArray, as_rows
from ..decimator import BLOCK, REACH, Decimator, Interpolator
from ..errors import ArgumentValueError
from ..fifo import Fifo
from .protocol import Separator

SOXR_REACH_S = 0.05
"""Seconds either way that count as soxr's reach: its filters are shorter from 8 kHz on."""


class _Down(Protocol):
    def push(self, block: Audio) -> Audio: ...
    def flush(self) -> Audio: ...


class _Up(Protocol):
    def push(self, block: Audio) -> Audio: ...
    def flush(self, frames: int) -> Audio: ...


class _SoxrUp:
    """soxr with a stream whose end is told: never a frame more or less than that."""

    def __init__(self, in_rate: int, out_rate: int, channels: int) -> None:
        from ..resampler import Resampler

        self._resampler = Resampler(in_rate, out_rate, channels)
        self._held = Fifo(channels)
        self._channels = channels
        self._given = 0

    def push(self, block: Audio) -> Audio:
        self._held.push(self._resampler.push(block))
        # The last frames wait: rounding there and back may give one too many.
        audio = self._held.pop(max(0, len(self._held) - 16))
        self._given += audio.shape[1]
        return audio

    def flush(self, frames: int) -> Audio:
        self._held.push(self._resampler.flush())
        left = frames - self._given
        rest = np.zeros((self._channels, left), np.float32)
        held = self._held.pop(min(left, len(self._held)))
        rest[:, : held.shape[1]] = held
        return rest


class NativeRate:
    """Runs `separator` in a stream of `sample_rate` Hz: as many frames out as in, aligned.

    Its latency, context and grid are the inner ones in outer frames, with the filters' own.
    """

    def __init__(self, separator: Separator, sample_rate: int) -> None:
        self.separator = separator
        self.name = separator.name
        self.stems = separator.stems
        self.residual_stem = separator.residual_stem
        self.sample_rate = sample_rate
        self.channels = separator.channels
        inner = separator.sample_rate
        if sample_rate == inner:
            raise ArgumentValueError(f"{separator.name} runs at {inner} Hz itself: use it as it is")
        shared = math.gcd(sample_rate, inner)
        self._outer_step, self._inner_step = sample_rate // shared, inner // shared
        self._factor = self._outer_step if self._inner_step == 1 else None
        # Inner frames between starts: on the separator's grid and on whole outer frames.
        grid = math.lcm(separator.grid, BLOCK if self._factor else self._inner_step)
        self.grid = grid // self._inner_step * self._outer_step
        if self._factor:
            filters_latency = 2 * (BLOCK + REACH) * self._factor
            filters_reach = 2 * REACH * self._factor
        else:
            filters_reach = math.ceil(2 * SOXR_REACH_S * sample_rate)
            filters_latency = 2 * filters_reach + math.ceil(16 * sample_rate / inner)
        self.latency = self._outer(separator.latency) + filters_latency
        self.context_frames = self._outer(separator.context_frames) + filters_reach
        self._restart()

    def reset(self, start_frame: int = 0) -> None:
        """Forget everything; the next frame pushed is number `start_frame`, a multiple of `grid`."""
        if start_frame < 0 or start_frame % self.grid:
            raise ArgumentValueError(
                f"{self.name} at {self.sample_rate} Hz starts at multiples of {self.grid} frames; "
                f"got {start_frame}"
            )
        self.separator.reset(start_frame // self._outer_step * self._inner_step)
        self._restart()

    def push(self, block: Audio) -> StemArray:
        """Take one more block of the mix; return the frames that are finished."""
        self._frames += block.shape[1]
        return self._stems(self._up.push(as_rows(self.separator.push(self._down.push(block)))))

    def flush(self) -> StemArray:
        """End the stream: return the frames still held back, then be as after `reset`."""
        estimates = [self.separator.push(self._down.flush()), self.separator.flush()]
        up = [self._up.push(as_rows(part)) for part in estimates]
        rest = np.concatenate([*up, self._up.flush(self._frames)], axis=1)
        self._restart()
        return self._stems(rest)

    def _restart(self) -> None:
        rows = len(self.stems) * self.channels
        inner, outer = self.separator.sample_rate, self.sample_rate
        self._down: _Down
        self._up: _Up
        if self._factor:
            self._down = Decimator(self._factor, self.channels)
            self._up = Interpolator(self._factor, rows)
        else:
            from ..resampler import Resampler

            self._down = Resampler(outer, inner, self.channels)
            self._up = _SoxrUp(inner, outer, rows)
        self._frames = 0

    def _outer(self, inner_frames: int) -> int:
        return -(-inner_frames * self._outer_step // self._inner_step)

    def _stems(self, rows: Audio) -> StemArray:
        return rows.reshape(len(self.stems), self.channels, rows.shape[1])
