"""A separator inside a stream of another sample rate.

The mix is resampled to the separator's rate and its estimates back, in step to the sample. What the
inner rate cannot hold is in no estimate, so the residual policy gets the band above.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..audio import Audio, StemArray, as_rows
from ..errors import ArgumentValueError
from .protocol import Separator

if TYPE_CHECKING:
    from ..dsp.resampler import Resampler
    from ..dsp.short_resampler import ShortResampler


class NativeRate:
    """Runs `separator` in a stream of `sample_rate` Hz: as many frames out as in, aligned.

    Latency, context and grid are the inner ones in outer frames, plus what resampling adds. Both
    resamplers are anchored, so a region is the slice of the whole to the bit here too. With `short` they
    are those that hardly hold anything back, where there are such for these rates. Raises
    ArgumentValueError when the separator runs at that rate itself.
    """

    def __init__(self, separator: Separator, sample_rate: int, *, short: bool = False) -> None:
        self.separator = separator
        self.name = separator.name
        self.stems = separator.stems
        self.residual_stem = separator.residual_stem
        self.sample_rate = sample_rate
        self.channels = separator.channels
        inner = separator.sample_rate
        if sample_rate == inner:
            raise ArgumentValueError(f"{separator.name} runs at {inner} Hz itself: use it as it is")
        rows = len(self.stems) * self.channels
        self._down = _resampler(sample_rate, inner, self.channels, short)
        self._up = _resampler(inner, sample_rate, rows, short)
        shared = math.gcd(sample_rate, inner)
        self._outer_step, self._inner_step = sample_rate // shared, inner // shared
        # Start k is outer frame k * outer_step and inner frame k * inner_step; both must be on all grids.
        inner_grid = math.lcm(separator.grid, self._up.grid)
        k = math.lcm(
            self._down.grid // math.gcd(self._down.grid, self._outer_step),
            inner_grid // math.gcd(inner_grid, self._inner_step),
        )
        self.grid = k * self._outer_step
        self.latency = self._down.latency + self._outer(separator.latency + self._up.latency) + 1
        self.context_frames = (
            self._down.context_frames + self._outer(separator.context_frames + self._up.context_frames) + 1
        )
        self._frames = 0
        self._given = 0

    def reset(self, start_frame: int = 0) -> None:
        """Forget everything; the next frame pushed is number `start_frame`, a multiple of `grid`."""
        if start_frame < 0 or start_frame % self.grid:
            raise ArgumentValueError(
                f"{self.name} at {self.sample_rate} Hz starts at multiples of {self.grid} frames; "
                f"got {start_frame}"
            )
        inner_start = start_frame // self._outer_step * self._inner_step
        self._down.reset(start_frame)
        self.separator.reset(inner_start)
        self._up.reset(inner_start)
        self._frames = 0
        self._given = 0

    def push(self, block: Audio) -> StemArray:
        """Take one more block of the mix; return the frames that are finished."""
        self._frames += block.shape[1]
        rows = self._up.push(as_rows(self.separator.push(self._down.push(block))))
        self._given += rows.shape[1]
        return self._stems(rows)

    def flush(self) -> StemArray:
        """End the stream: return the frames still held back, then be as after `reset`."""
        parts = [self._up.push(as_rows(self.separator.push(self._down.flush())))]
        parts += [self._up.push(as_rows(self.separator.flush())), self._up.flush()]
        rest = np.concatenate(parts, axis=1)
        # Lengths are rounded at both resamplers, so the end may be a frame or a few off the mix's.
        left = self._frames - self._given
        rows = np.zeros((rest.shape[0], left), np.float32)
        rows[:, : rest.shape[1]] = rest[:, :left]
        self._frames = 0
        self._given = 0
        return self._stems(rows)

    def _outer(self, inner_frames: int) -> int:
        return -(-inner_frames * self._outer_step // self._inner_step)

    def _stems(self, rows: Audio) -> StemArray:
        return rows.reshape(len(self.stems), self.channels, rows.shape[1])


def _resampler(in_rate: int, out_rate: int, channels: int, short: bool) -> Resampler | ShortResampler:
    from ..dsp.resampler import Resampler
    from ..dsp.short_resampler import ShortResampler

    if short and ShortResampler.suits(in_rate, out_rate):
        return ShortResampler(in_rate, out_rate, channels)
    return Resampler(in_rate, out_rate, channels, anchored=True)
