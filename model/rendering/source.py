"""Where a render's stems come from: the song read ahead, separated (or cached), cut to the region."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

from ..audio import Audio
from ..cache_checkpoint import CheckpointWriter
from ..cache_entry import CacheWriter
from ..errors import AudioFileError, ModelMissingError
from ..files.decoder import AudioReader
from ..registry import create_separator, separator_entry
from ..separation import Separated, StemStream
from ..separators.cached import CachedSeparator, ContinuedSeparator, RecordingSeparator
from ..separators.protocol import Separator
from ..separators.stems_from import StemsFrom
from ..stem_cache import CacheKey, StemCache
from .plan import Plan
from .record import device

BLOCK_FRAMES = 1 << 16
CHECKPOINTS_FROM_S = 300.0
"""How long a song must be for a killed render of it to be continued, not begun again."""
_READ_AHEAD_BLOCKS = 3
_SOUND_DEPENDS_ON = ("stembridge", "pedalboard", "soundfile", "soxr", "numpy", "scipy")
_NETWORKS_DEPEND_ON = ("torch",)


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

    def __init__(self, plan: Plan, separator: Separator, span: Span, stamp: tuple[int, ...]) -> None:
        self._plan = plan
        self._stamp = stamp
        self._span = span
        spec = plan.spec
        self._stream = StemStream(separator, residual=spec.residual, sensitivity=spec.sensitivity)

    def blocks(self, reader: AudioReader) -> Generator[tuple[Separated, float], None, None]:
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
                # Before these frames are separated: else their stems would be kept under a wrong name.
                self._check_unchanged()
                read += block.shape[1]
                separated = self._stream.push(block)
                yield _cut(separated, first - at, last - at), (read - begin) / max(1, end - begin)
                at += separated.mix.shape[1]
        self._check_unchanged()
        separated = self._stream.flush()
        yield _cut(separated, first - at, last - at), 1.0

    def _check_unchanged(self) -> None:
        path = self._plan.info.path
        try:
            same = file_stamp(path) == self._stamp
        except OSError as error:
            raise AudioFileError(f"{path} went away while it was being rendered") from error
        if not same:
            raise AudioFileError(f"{path} changed while it was being rendered: render it again")


def file_stamp(path: Path) -> tuple[int, ...]:
    """What changes when a file does, as far as the file system tells."""
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


@dataclass(frozen=True)
class OpenSeparator:
    """A separator ready for one song."""

    separator: Separator
    cached: bool = False
    """Whether its stems come from the cache."""
    recording: CacheWriter | None = None
    """The cache entry it fills as it goes, if any."""
    continued_frames: int = 0
    """How many frames from the start a checkpoint holds: those need not be separated again."""
    warnings: Sequence[str] = ()
    """What is wrong with the stems' files; of a separator, what it has said so far."""


def open_separator(plan: Plan, source_hash: str, cache: StemCache | None, stack: ExitStack) -> OpenSeparator:
    """Make the separator for a plan: from files, from the cache, or by the model, recorded in the cache.

    `stack` releases what it holds.
    """
    spec, info = plan.spec, plan.info
    if spec.stems_from is not None:
        stems = StemsFrom(spec.stems_from, info.sample_rate, info.channels, frames=info.frames)
        stack.enter_context(stems)
        return OpenSeparator(stems, warnings=stems.warnings)
    entry = separator_entry(spec.model)
    if entry.identity != plan.weights_identity:
        raise ModelMissingError(f"{entry.weights} was replaced while it was in use: render again")
    depends_on = _SOUND_DEPENDS_ON + (_NETWORKS_DEPEND_ON if entry.uses_device else ())
    key = CacheKey.of(
        source_hash,
        plan.model,
        sample_rate=info.sample_rate,
        channels=info.channels,
        frames=info.frames,
        weights=plan.weights_identity,
        parameters={
            **{name: version(name) for name in depends_on},
            "codec": info.codec,
            "options": dict(spec.options),
            "device": device(plan),
        },
    )
    if cache is not None and (cached := cache.lookup(key)) is not None:
        stack.callback(cached.close)
        return OpenSeparator(CachedSeparator(cached), cached=True)
    said: list[str] = []
    separator = create_separator(
        spec.model, info.sample_rate, info.channels, device=spec.device, warn=said.append, **spec.options
    )
    if cache is None or plan.region:
        return OpenSeparator(separator, warnings=said)
    writer = cache.store(
        key,
        separator=separator.name,
        stems=separator.stems,
        residual_stem=separator.residual_stem,
        sample_rate=info.sample_rate,
        channels=info.channels,
        frames=info.frames,
        checkpoints=info.seconds >= CHECKPOINTS_FROM_S,
    )
    stack.callback(writer.abort)  # does nothing once the song is complete
    if not isinstance(writer, CheckpointWriter) or writer.kept is None:
        return OpenSeparator(RecordingSeparator(separator, writer), recording=writer, warnings=said)
    stack.callback(writer.kept.close)
    continued = ContinuedSeparator(separator, writer)
    return OpenSeparator(continued, False, writer, writer.kept_frames, said)


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
