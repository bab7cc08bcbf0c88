"""Where a render's stems come from: the song read ahead, separated (or cached), cut to the region."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from types import TracebackType
from typing import Self

from ..audio import Audio, StemArray
from ..decoder import AudioReader
from ..registry import create_separator
from ..separation import Separated, StemStream
from ..separators.protocol import Separator
from ..separators.stems_from import StemsFrom
from ..stem_cache import CachedSeparator, CacheKey, CacheWriter, StemCache
from .plan import Plan

BLOCK_FRAMES = 1 << 16
_READ_AHEAD_BLOCKS = 3


@dataclass(frozen=True)
class Span:
    """The frames of the song that a render needs, from reading to the last one handed on."""

    first: int
    """Where the chains (or, without any, the outputs) start."""
    last: int
    """Where the stream handed on ends: past the region by what chains hold back, within the song."""


class StemSource:
    """The separated song, from `span.first` to `span.last`, in order, in step.

    The separator reads its context before and after, so a region is the slice of the whole.
    """

    def __init__(self, plan: Plan, separator: Separator, span: Span) -> None:
        self._plan = plan
        self._span = span
        spec = plan.spec
        self._stream = StemStream(separator, residual=spec.residual, sensitivity=spec.sensitivity)
        self.stems = self._stream.stems

    def blocks(self, reader: AudioReader) -> Iterator[tuple[Separated, float]]:
        """Yield what is separated, with the fraction done."""
        first, last = self._span.first, self._span.last
        begin = max(0, first - self._stream.context_frames)
        begin -= begin % self._stream.grid
        end = min(self._plan.info.frames, last + self._stream.context_frames)
        self._stream.reset(begin)
        at = begin
        with ReadAhead(reader, begin, end) as blocks:
            read = begin
            for block in blocks:
                read += block.shape[1]
                separated = self._stream.push(block)
                yield _cut(separated, first - at, last - at), (read - begin) / max(1, end - begin)
                at += separated.mix.shape[1]
        separated = self._stream.flush()
        yield _cut(separated, first - at, last - at), 1.0


def open_separator(
    plan: Plan, source_hash: str, cache: StemCache | None
) -> tuple[Separator, CacheWriter | None, bool]:
    """Make the separator for a plan: from files, from the cache, or by the model.

    Returns it, the cache entry it is being recorded into (to be closed when the song is complete, or
    aborted), and whether the stems come from the cache.
    """
    spec, info = plan.spec, plan.info
    if spec.stems_from is not None:
        return StemsFrom(spec.stems_from, info.sample_rate, info.channels), None, False
    identity = f"{plan.model} {version('stembridge')} {sorted(spec.options.items())}"
    key = CacheKey.of(source_hash, identity, info.sample_rate, info.channels, info.frames)
    if cache is not None and (cached := cache.lookup(key)) is not None:
        return CachedSeparator(cached), None, True
    separator = create_separator(
        plan.model, info.sample_rate, info.channels, device=spec.device, **spec.options
    )
    if cache is None or plan.region:
        return separator, None, False
    writer = cache.store(key, separator.stems, info.sample_rate, info.channels, info.frames)
    return Recording(separator, writer), writer, False


class Recording:
    """A separator whose estimates are written to the cache as they pass."""

    def __init__(self, separator: Separator, writer: CacheWriter) -> None:
        self._separator = separator
        self._writer = writer
        self.name = separator.name
        self.stems = separator.stems
        self.residual_stem = separator.residual_stem
        self.sample_rate = separator.sample_rate
        self.channels = separator.channels
        self.latency = separator.latency
        self.context_frames = separator.context_frames
        self.grid = separator.grid

    def reset(self, start_frame: int = 0) -> None:
        """Forget everything; only whole songs are recorded."""
        assert start_frame == 0
        self._separator.reset()

    def push(self, block: Audio) -> StemArray:
        """Separate and record."""
        return self._recorded(self._separator.push(block))

    def flush(self) -> StemArray:
        """Separate and record the rest."""
        return self._recorded(self._separator.flush())

    def _recorded(self, stems: StemArray) -> StemArray:
        self._writer.write(stems)
        return stems


class ReadAhead:
    """Decodes a stretch of a file on a thread of its own, a few blocks ahead of who iterates."""

    def __init__(self, reader: AudioReader, start: int, stop: int) -> None:
        self._reader, self._start, self._stop = reader, start, stop
        self._queue: queue.Queue[Audio | BaseException | None] = queue.Queue(_READ_AHEAD_BLOCKS)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="decode", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    def __iter__(self) -> Iterator[Audio]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def _run(self) -> None:
        try:
            self._reader.seek(self._start)
            left = self._stop - self._start
            while left and not self._closed.is_set():
                block = self._reader.read(min(BLOCK_FRAMES, left))
                left -= block.shape[1]
                self._queue.put(block)
            self._queue.put(None)
        except BaseException as error:  # raised again where the blocks are consumed
            self._queue.put(error)


def _cut(block: Separated, first: int, last: int) -> Separated:
    start = max(0, first)
    stop = max(start, last)
    return Separated(block.mix[:, start:stop], block.stems[:, :, start:stop], block.residual[:, start:stop])
