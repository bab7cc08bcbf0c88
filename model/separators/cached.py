"""Cached estimates in the place of a separator, and a separator whose estimates go to the cache."""

from __future__ import annotations

import numpy as np

from ..audio import Audio, StemArray
from ..cache_checkpoint import CheckpointWriter
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


class ContinuedSeparator(RecordingSeparator):
    """Plays what a checkpoint holds, and has only the rest separated (and recorded).

    The separator begins its context before the first frame that is missing, at its grid, as for a region;
    so the rest is the slice of the whole. Raises DamagedEntryError from `push` where the checkpoint turns
    out to be damaged.
    """

    def __init__(self, separator: Separator, writer: CheckpointWriter) -> None:
        super().__init__(separator, writer)
        self._kept = writer.kept
        self._rewind(writer.kept_frames)

    def _rewind(self, kept_frames: int) -> None:
        self._missing = kept_frames
        begin = max(0, kept_frames - self.context_frames)
        self._begin = begin - begin % self.grid
        self._in = self._out = 0
        self._made = self._begin
        """The frame that the separator gives next; those before `_missing` are thrown away."""

    def reset(self, start_frame: int = 0) -> None:
        """Start again; anything but the song's start, once, is plain separation, with nothing recorded."""
        again = self._pushed or start_frame != 0
        super().reset(start_frame)
        self._rewind(0 if again else self._missing)
        if not again:
            self._separator.reset(self._begin)

    def push(self, block: Audio) -> StemArray:
        """Take one more block; what the checkpoint holds comes back at once."""
        self._pushed = True
        skipped = min(block.shape[1], max(0, self._begin - self._in))
        self._in += block.shape[1]
        return self._joined(self._separator.push(block[:, skipped:]))

    def flush(self) -> StemArray:
        """End the stream and publish the entry."""
        estimates = self._joined(self._separator.flush())
        self._writer.close()
        return estimates

    def _joined(self, made: StemArray) -> StemArray:
        fresh = made[:, :, max(0, self._missing - self._made) :]
        self._made += made.shape[2]
        self._recorded(fresh)
        stop = min(self._missing, self._in)
        if self._kept is None or stop <= self._out:
            return fresh
        kept = self._kept.read(self._out, stop - self._out)
        self._out = stop
        return np.concatenate([kept, fresh], axis=2)
