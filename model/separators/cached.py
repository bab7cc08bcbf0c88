"""Cached estimates in the place of a separator, and a separator whose estimates go to the cache."""

from __future__ import annotations

import numpy as np

from ..audio import Audio, StemArray
from ..cache_entry import CachedStems, CacheWriter
from .protocol import Separator


class CachedSeparator:
    """Plays a cached entry back as if it were separated now: no latency, no context, any start.

    The audio that is pushed only sets the pace; it must be the audio the entry was made from. Raises
    DamagedEntryError from `push` when the entry turns out to be damaged, and StateError past its end.
    """

    latency = 0
    context_frames = 0
    grid = 1

    def __init__(self, cached: CachedStems) -> None:
        info = cached.info
        self.name = info.separator
        self.stems = info.stems
        self.residual_stem = info.residual_stem
        self.sample_rate = info.sample_rate
        self.channels = info.channels
        self._cached = cached
        self._position = 0

    def reset(self, start_frame: int = 0) -> None:
        """Go on with frame `start_frame` of the song."""
        self._position = start_frame

    def push(self, block: Audio) -> StemArray:
        """The estimates of the next frames. Shape: block `(channels, n)`; `(stems, channels, n)` back."""
        estimates = self._cached.read(self._position, block.shape[1])
        self._position += block.shape[1]
        return estimates

    def flush(self) -> StemArray:
        """Nothing is ever held back; start again at frame 0."""
        self._position = 0
        return np.zeros((len(self.stems), self.channels, 0), np.float32)


class RecordingSeparator:
    """Passes everything on to another separator and writes its estimates to the cache on the way.

    Only a stream that starts at frame 0 is recorded; `flush` publishes the entry. A stream that is
    abandoned before (`reset`, or never flushed) leaves it to the owner of the writer to call `abort`.
    """

    def __init__(self, separator: Separator, writer: CacheWriter) -> None:
        self.name = separator.name
        self.stems = separator.stems
        self.residual_stem = separator.residual_stem
        self.sample_rate = separator.sample_rate
        self.channels = separator.channels
        self.latency = separator.latency
        self.context_frames = separator.context_frames
        self.grid = separator.grid
        self._separator = separator
        self._writer = writer
        self._pushed = False

    def reset(self, start_frame: int = 0) -> None:
        """Start again; the entry is given up unless nothing was pushed and the start is frame 0."""
        if self._pushed or start_frame != 0:
            self._writer.abort()
        self._separator.reset(start_frame)

    def push(self, block: Audio) -> StemArray:
        """Separate one more block, as the other separator does."""
        self._pushed = True
        return self._recorded(self._separator.push(block))

    def flush(self) -> StemArray:
        """End the stream and publish the entry."""
        estimates = self._recorded(self._separator.flush())
        self._writer.close()
        return estimates

    def _recorded(self, estimates: StemArray) -> StemArray:
        self._writer.write(estimates)
        return estimates
