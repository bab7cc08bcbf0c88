"""The last frames of a stream, by their number: what a fixed delay is taken from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class History:
    """A circle of frames `(rows, capacity)`; `start` to `end` (exclusive) may be read."""

    def __init__(self, rows: int, capacity: int, *, zeros_before: bool = False) -> None:
        """With `zeros_before` the frames before number 0 are there, and silent."""
        self._audio: Floats = np.zeros((rows, capacity), np.float32)
        self._capacity = capacity
        self.start = -capacity if zeros_before else 0
        self.end = 0

    def write(self, frame: int, audio: Floats) -> None:
        """Put frames `(rows, n)` in, n at most the capacity; after a gap what lies before it is forgotten.

        Frames that were written already are left out.
        """
        if frame > self.end:
            self.start = self.end = frame
        known = min(self.end - frame, audio.shape[1])
        audio = audio[:, known:]
        place, count = self.end % self._capacity, audio.shape[1]
        first = min(count, self._capacity - place)
        self._audio[:, place : place + first] = audio[:, :first]
        self._audio[:, : count - first] = audio[:, first:]
        self.end += count
        self.start = max(self.start, self.end - self._capacity)

    def available(self, frame: int) -> int:
        """How many frames can be read from a frame on."""
        return self.end - frame if self.start <= frame < self.end else 0

    def read(self, frame: int, frames: int) -> Floats:
        """A copy of frames `(rows, frames)` that are there."""
        place = frame % self._capacity
        first = min(frames, self._capacity - place)
        if first == frames:
            return self._audio[:, place : place + frames].copy()
        return np.concatenate([self._audio[:, place:], self._audio[:, : frames - first]], axis=1)
