"""A queue of audio frames."""

from __future__ import annotations

from collections import deque

import numpy as np

from ..audio import Audio


class Fifo:
    """Blocks in, frames out, in order; nothing is copied twice.

    >>> queue = Fifo(channels=1)
    >>> queue.push(np.ones((1, 3), np.float32)); queue.push(np.zeros((1, 2), np.float32))
    >>> len(queue), queue.pop(4).tolist(), len(queue)
    (5, [[1.0, 1.0, 1.0, 0.0]], 1)
    """

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._blocks: deque[Audio] = deque()
        self._frames = 0

    def __len__(self) -> int:
        return self._frames

    def push(self, block: Audio) -> None:
        """Append `(channels, n)` frames; the block must not be changed afterwards."""
        if block.shape[1]:
            self._blocks.append(block)
            self._frames += block.shape[1]

    def pop(self, frames: int) -> Audio:
        """Take exactly `frames` (at most `len(self)`) from the front."""
        taken: list[Audio] = []
        left = frames
        while left:
            block = self._blocks.popleft()
            if block.shape[1] > left:
                self._blocks.appendleft(block[:, left:])
                block = block[:, :left]
            taken.append(block)
            left -= block.shape[1]
        self._frames -= frames
        if len(taken) == 1:
            return np.ascontiguousarray(taken[0])
        return np.concatenate(taken, axis=1) if taken else np.empty((self._channels, 0), np.float32)
