"""Audio files in: opened, checked, read in blocks.

with open_audio("song.wav") as reader:
    while (block := reader.read(8192)).shape[1]:
        ...
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from ..audio import Audio, AudioInfo
from ..errors import ArgumentValueError, AudioFileError, AudioFileNotFoundError, StateError
from ..units import format_time
from .openers import open_source
from .source import Source

RATES = (8000, 192_000)
"""Lowest and highest sample rate that is read, in Hz."""

MAX_CHANNELS = 64
"""More is a damaged header, on which decoders spin for minutes."""


class AudioReader:
    """An open audio file, read in blocks from any frame on.

    Use it as a context manager, from one thread at a time (not necessarily the one that opened it).
    """

    def __init__(self, source: Source, info: AudioInfo) -> None:
        self.info = info
        self._source: Source | None = source
        self._floats = info.bit_depth not in ("8", "16", "24", "32")
        self._position = 0

    def read(self, frames: int) -> Audio:
        """The next `frames` frames, shape `(channels, n)`; n < frames only at the end of the file.

        Raises AudioFileError where the samples are NaN or infinite or the file cannot be decoded on.
        """
        if frames < 0:
            raise ArgumentValueError(f"read() takes 0 or more frames; got {frames}")
        wanted = min(frames, self.info.frames - self._position)
        block = self._read_exactly(wanted)
        if self._floats and not np.isfinite(block).all():
            self._refuse(block)
        self._position += wanted
        return block

    def seek(self, frame: int) -> None:
        """Let the next read start at `frame` (0 to `info.frames`), to the sample in every format."""
        if not 0 <= frame <= self.info.frames:
            raise ArgumentValueError(f"seek() takes a frame from 0 to {self.info.frames}; got {frame}")
        if frame != self._position:
            self._open_source().seek(frame)
            self._position = frame

    def tell(self) -> int:
        """The number of the frame the next read starts with."""
        return self._position

    def close(self) -> None:
        """Release the file; calling it twice is fine."""
        if self._source is not None:
            self._source.close()
            self._source = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open_source(self) -> Source:
        if self._source is None:
            raise StateError(f"{self.info.path} has been closed; open it again")
        return self._source

    def _read_exactly(self, frames: int) -> Audio:
        source = self._open_source()
        if frames == 0:
            return np.zeros((self.info.channels, 0), np.float32)
        block = source.read(frames)
        while block.shape[1] < frames:
            more = source.read(frames - block.shape[1])
            if more.shape[1] == 0:
                at = format_time((self._position + block.shape[1]) / self.info.sample_rate)
                raise AudioFileError(
                    f"{self.info.path}: decoding ended at {at}, expected {format_time(self.info.seconds)}: "
                    "the file is damaged there. Export or download it again"
                )
            block = np.concatenate([block, more], axis=1)
        return block

    def _refuse(self, block: Audio) -> None:
        frame = int(np.argmax(~np.isfinite(block).all(axis=0)))
        channel = int(np.argmax(~np.isfinite(block[:, frame])))
        at = format_time((self._position + frame) / self.info.sample_rate)
        raise AudioFileError(
            f"{self.info.path}: expected numbers, got {block[channel, frame]} at {at} (frame "
            f"{self._position + frame}) in channel {channel + 1}. Export it again without NaN"
        )


def open_audio(path: str | os.PathLike[str]) -> AudioReader:
    """Open an audio file for reading in blocks; `reader.info` is complete and exact from then on.

    WAV, AIFF, FLAC, MP3 and Ogg Vorbis are decoded by pedalboard, W64, CAF and AU by libsndfile, anything
    else by ffmpeg when it is on PATH. Integers arrive as n / 2^(bits-1). The file is told by its content,
    whatever its name says.

    Raises AudioFileNotFoundError, and AudioFileError for what is not a file, not audio, or cannot be
    decoded here; the message says what to do. What could be read although something was wrong with it is
    told in `reader.info.warnings`.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise AudioFileNotFoundError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise AudioFileError(f"{path}: cannot be read ({error})") from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or device"
        raise AudioFileError(f"{path}: expected an audio file, got {kind}")
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError as error:
        raise AudioFileError(f"{path}: its name is not Unicode, which decoders need. Rename it") from error
    opened = open_source(path)
    rate = opened.source.sample_rate
    if not (RATES[0] <= rate <= RATES[1] and rate == int(rate)):
        opened.source.close()
        low, high = RATES
        raise AudioFileError(f"{path}: expected {low} to {high} Hz, got {rate:g} Hz. Convert it first")
    if not 1 <= opened.source.channels <= MAX_CHANNELS:
        opened.source.close()
        raise AudioFileError(
            f"{path}: expected 1 to {MAX_CHANNELS} channels, got {opened.source.channels}. Split it first"
        )
    rounded = {"32": "32-bit integers", "64f": "64-bit floats"}.get(opened.bit_depth)
    warnings = opened.warnings
    if rounded:
        warnings += (f"{rounded} were rounded to 32-bit floats, which hold 24 bits",)
    info = AudioInfo(
        path=path,
        sample_rate=int(rate),
        channels=opened.source.channels,
        frames=opened.frames,
        bit_depth=opened.bit_depth,
        codec=opened.codec,
        time_reference=opened.time_reference,
        tags=_LazyTags(path),
        warnings=warnings,
    )
    return AudioReader(opened.source, info)


def read_audio(
    path: str | os.PathLike[str], start: int = 0, stop: int | None = None
) -> tuple[Audio, AudioInfo]:
    """Read frames `start` to `stop` (default: the end) of a file at once.

    Raises what `open_audio` and `AudioReader.read` raise, and ArgumentValueError for a range outside.
    """
    with open_audio(path) as reader:
        stop = reader.info.frames if stop is None else min(stop, reader.info.frames)
        if not 0 <= start <= stop:
            raise ArgumentValueError(f"a range is 0 <= start <= stop; got start {start}, stop {stop}")
        reader.seek(start)
        return reader.read(stop - start), reader.info


class _LazyTags(Mapping[str, tuple[str, ...]]):
    """A file's tags, read when somebody asks for one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _tags(self) -> Mapping[str, tuple[str, ...]]:
        from .tags import read_tags

        return read_tags(self._path)

    def __getitem__(self, name: str) -> tuple[str, ...]:
        return self._tags[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tags)

    def __len__(self) -> int:
        return len(self._tags)

    def __repr__(self) -> str:
        from .cover import COVER

        return repr({name: values if name != COVER else "..." for name, values in self._tags.items()})
