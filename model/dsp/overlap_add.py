"""Segment-wise processing of a stream, the way networks with a fixed input length need it.

Segment k covers the frames k * hop to k * hop + segment, anchored at frame 0. Where segments overlap,
their results are cross-faded by triangular weights, divided by the sum of the weights that are there
(as in Demucs; Defossez 2021): so the edges of a song, which one segment alone covers, keep their level.

>>> halves = OverlapAdd(
...     lambda mix: np.stack([mix / 2, mix / 4]), stems=2, channels=1, segment_frames=100, hop_frames=75
... )
>>> mix = np.random.default_rng(0).standard_normal((1, 1234)).astype(np.float32)
>>> out = np.concatenate([halves.push(mix[:, :500]), halves.push(mix[:, 500:]), halves.flush()], axis=2)
>>> out.shape, bool(np.allclose(out, [mix / 2, mix / 4]))
((2, 1, 1234), True)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio, StemArray
from ..errors import ArgumentValueError, StateError


def triangle(frames: int, power: float = 1.0) -> NDArray[np.float32]:
    """Weights that rise to 1 in the middle and fall again, never 0; `power` above 1 shortens the fades.

    >>> triangle(4).tolist(), triangle(3).tolist()
    ([0.5, 1.0, 1.0, 0.5], [0.5, 1.0, 0.5])
    """
    ramp = np.minimum(np.arange(1, frames + 1), np.arange(frames, 0, -1))
    return np.asarray((ramp / ramp.max()) ** power, np.float32)


class OverlapAdd:
    """Runs `process` over overlapping segments of a stream and fades the results into each other.

    `process` is called with `(channels, segment_frames)`, always that shape (silence after the end of
    the song), segment after segment, and returns `(stems, channels, segment_frames)`. It must depend on
    the segment alone; then how the input is cut changes no bit, and a region that starts
    `context_frames` early on the grid is the slice of the whole.

    Raises ArgumentValueError for sizes that cannot be.
    """

    def __init__(
        self,
        process: Callable[[Audio], StemArray],
        *,
        stems: int,
        channels: int,
        segment_frames: int,
        hop_frames: int,
        transition_power: float = 1.0,
    ) -> None:
        if min(stems, channels) < 1 or not 1 <= hop_frames <= segment_frames or transition_power <= 0:
            raise ArgumentValueError(
                "overlap-add needs 1 or more stems and channels, 1 <= hop_frames <= segment_frames and a "
                f"transition_power above 0; got {stems} stems, {channels} channels, hop {hop_frames}, "
                f"segment {segment_frames}, power {transition_power:g}"
            )
        self.stems = stems
        self.channels = channels
        self.segment_frames = segment_frames
        self.hop_frames = hop_frames
        self.latency = segment_frames - 1
        self.context_frames = segment_frames - 1
        self.grid = hop_frames
        self._process = process
        self._weights = triangle(segment_frames, transition_power)
        self.reset()

    def reset(self, start_frame: int = 0) -> None:
        """Forget everything; the next frame pushed is number `start_frame`, a multiple of `grid`."""
        if start_frame < 0 or start_frame % self.grid:
            raise ArgumentValueError(f"segments start at multiples of {self.grid} frames; got {start_frame}")
        # All three begin with the first frame of the next segment.
        self._pending = np.zeros((self.channels, 0), np.float32)
        self._sums = np.zeros((self.stems, self.channels, self.segment_frames), np.float32)
        self._weight_sums = np.zeros(self.segment_frames, np.float32)

    def push(self, block: Audio) -> StemArray:
        """Take one more block; return the frames no later segment reaches.

        Shape: block `(channels, n)`, n >= 0; returns `(stems, channels, ready)`.
        """
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise ArgumentValueError(f"a block must be ({self.channels}, frames); got {block.shape}")
        self._pending = np.concatenate([self._pending, block], axis=1, dtype=np.float32)
        count = max(0, (self._pending.shape[1] - self.segment_frames) // self.hop_frames + 1)
        ready = np.empty((self.stems, self.channels, count * self.hop_frames), np.float32)
        for k in range(count):
            start = k * self.hop_frames
            self._add(self._pending[:, start : start + self.segment_frames])
            ready[:, :, start : start + self.hop_frames] = self._faded(self.hop_frames)
            self._advance()
        self._pending = self._pending[:, count * self.hop_frames :].copy()
        return ready

    def flush(self) -> StemArray:
        """End the stream: return the frames still held back, then be as after `reset`."""
        left = self._pending.shape[1]
        # A last segment is only run for frames that none has reached yet.
        if left and self._weight_sums[left - 1] == 0.0:
            self._add(np.pad(self._pending, [(0, 0), (0, self.segment_frames - left)]))
        rest = self._faded(left)
        self.reset()
        return rest

    def _add(self, segment: Audio) -> None:
        estimates = self._process(np.ascontiguousarray(segment))
        if estimates.shape != self._sums.shape:
            raise StateError(f"a segment's result must be {self._sums.shape}; got {estimates.shape}")
        self._sums += self._weights * estimates
        self._weight_sums += self._weights

    def _faded(self, frames: int) -> StemArray:
        faded: StemArray = self._sums[:, :, :frames] / self._weight_sums[:frames]
        return faded

    def _advance(self) -> None:
        left = self.segment_frames - self.hop_frames
        self._sums[:, :, :left] = self._sums[:, :, self.hop_frames :]
        self._sums[:, :, left:] = 0.0
        self._weight_sums[:left] = self._weight_sums[self.hop_frames :]
        self._weight_sums[left:] = 0.0
