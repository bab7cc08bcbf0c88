"""Any number of channels through separators that know mono and stereo."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..audio import Audio, StemArray, as_rows
from ..dsp.fifo import Fifo
from .protocol import Separator


class ChannelPairs:
    """Separates channels 1 and 2, 3 and 4, ... as stereo pairs of their own, an odd last one as mono.

    That suits stereo buses side by side and the front and rear pairs of surround alike; nothing of one
    pair ever reaches another.
    """

    def __init__(self, make: Callable[[int], Separator], channels: int) -> None:
        """Take the separators from `make(channels)`, called with 2 for each pair and 1 for a last one."""
        self._widths = [2] * (channels // 2) + [1] * (channels % 2)
        self._parts = [make(width) for width in self._widths]
        first = self._parts[0]
        self.name = first.name
        self.stems = first.stems
        self.residual_stem = first.residual_stem
        self.sample_rate = first.sample_rate
        self.channels = channels
        self.latency = max(part.latency for part in self._parts)
        self.context_frames = max(part.context_frames for part in self._parts)
        self.grid = first.grid
        self._clear()

    def _clear(self) -> None:
        # A mono and a stereo separator need not finish the same frames at the same time.
        self._ready = [Fifo(len(self.stems) * width) for width in self._widths]

    def reset(self, start_frame: int = 0) -> None:
        """Forget everything; the next frame pushed is number `start_frame`, a multiple of `grid`."""
        for part in self._parts:
            part.reset(start_frame)
        self._clear()

    def push(self, block: Audio) -> StemArray:
        """Take one more block; return the frames that are finished in all pairs."""
        first = 0
        for part, width, ready in zip(self._parts, self._widths, self._ready, strict=True):
            ready.push(as_rows(part.push(block[first : first + width])))
            first += width
        return self._finished()

    def flush(self) -> StemArray:
        """End the stream: return the frames still held back, then be as after `reset`."""
        for part, ready in zip(self._parts, self._ready, strict=True):
            ready.push(as_rows(part.flush()))
        finished = self._finished()
        self._clear()
        return finished

    def _finished(self) -> StemArray:
        frames = min(len(ready) for ready in self._ready)
        parts = [
            ready.pop(frames).reshape(len(self.stems), width, frames)
            for ready, width in zip(self._ready, self._widths, strict=True)
        ]
        return np.concatenate(parts, axis=1)
