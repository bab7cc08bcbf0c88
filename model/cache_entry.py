"""One entry of the stem cache: its file format, its writer, its reader.

A file holds a fixed head, a JSON header, the estimates in blocks of float32 `(stems, channels, n)`, and one
CRC-32 per block. It is written beside its place and renamed when whole, so readers see all of it or nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self, TypeAlias

import numpy as np

from .audio import StemArray
from .errors import ArgumentTypeError, DamagedEntryError, StateError
from .platform import file_lock

SCHEMA = 1

BLOCK_FRAMES = 32768  # frames per stored block: 1 MiB for four stereo stems
Checksums: TypeAlias = np.ndarray[tuple[int], np.dtype[np.uint32]]
"""The CRC-32 of each block."""

_HEAD = struct.Struct("<8sII")  # magic, bytes of the JSON header, its CRC-32
_MAGIC = b"SBSTEMS\x01"


@dataclass(frozen=True)
class EntryInfo:
    """What an entry holds."""

    separator: str
    stems: tuple[str, ...]
    residual_stem: str
    sample_rate: int
    channels: int
    frames: int
    facts: Mapping[str, object]
    """Whatever its maker wanted to be remembered (weights hash, parameters), JSON-able."""

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame of all stems."""
        return 4 * len(self.stems) * self.channels

    @property
    def blocks(self) -> int:
        """Number of stored blocks."""
        return -(-self.frames // BLOCK_FRAMES)

    @property
    def body_bytes(self) -> int:
        """Bytes of the samples and their checksums."""
        return self.frames * self.frame_bytes + 4 * self.blocks


class CacheWriter:
    """Takes the estimates of one song in order; publishes them in one step, or leaves no trace."""

    def __init__(self, digest: str, info: EntryInfo, path: Path, published: Callable[[], None]) -> None:
        self.info = info
        self.failed: str | None = None
        """Why nothing will be cached, in words, or None."""
        self.published = False
        self._digest = digest
        self._path = path
        self._after = published
        self._file: BinaryIO | None = None
        self._part: Path | None = None
        self._held = contextlib.ExitStack()
        self._block = np.zeros((len(info.stems), info.channels, 0), np.float32)
        self._filled = 0
        self._written = 0
        self._checksums: list[int] = []

    def open(self, part: Path) -> None:
        """Start the temporary file; the cache calls this."""
        lock = part.with_suffix(".lock")
        self._held.callback(remove, lock)
        self._held.enter_context(file_lock(lock))
        self._part = part
        self._file = part.open("xb")
        self._file.write(header(self._digest, self.info))
        self._allocate()

    def _allocate(self) -> None:
        self._block = np.empty((len(self.info.stems), self.info.channels, BLOCK_FRAMES), np.float32)

    def write(self, estimates: StemArray) -> None:
        """Add the next frames. Shape: `(stems, channels, n)`, n >= 0. Does nothing once it has failed."""
        if estimates.ndim != 3 or estimates.shape[:2] != (len(self.info.stems), self.info.channels):
            expected = f"({len(self.info.stems)}, {self.info.channels}, frames)"
            raise ArgumentTypeError(f"estimates must be {expected}; got {estimates.shape}")
        start = 0
        while self._file is not None and start < estimates.shape[2]:
            taken = min(BLOCK_FRAMES - self._filled, estimates.shape[2] - start)
            self._block[:, :, self._filled : self._filled + taken] = estimates[:, :, start : start + taken]
            self._filled += taken
            start += taken
            if self._filled == BLOCK_FRAMES:
                self._write_block()

    def close(self) -> bool:
        """Publish the entry; True if it is there now. Closing twice is fine."""
        if self._file is None or self._part is None:
            return self.published
        if self._filled:
            self._write_block()
        if self._file is not None and self._written != self.info.frames:
            self.give_up(f"{self._written} frames of estimates came where {self.info.frames} were promised")
        if self._file is None:
            return False
        try:
            self._file.write(np.array(self._checksums, "<u4").tobytes())
            self._file.close()
            self._file = None
            os.replace(self._part, self._path)
        except OSError as error:  # on Windows: also when somebody reads an entry of the same key
            self.give_up(reason(error))
            return False
        self.published = True
        self._held.close()
        self._after()
        return True

    def abort(self) -> None:
        """Throw away what was written. Does nothing after `close`."""
        if not self.published:
            self.give_up(self.failed or "the render was given up")

    def give_up(self, reason: str) -> None:
        """Stop caching this song for a reason, and clean up."""
        self.failed = self.failed or reason
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
        if self._part is not None:
            remove(self._part)
        self._held.close()

    def _write_block(self) -> None:
        assert self._file is not None
        data = np.ascontiguousarray(self._block[:, :, : self._filled], "<f4").data.cast("B")
        self._written += self._filled
        self._filled = 0
        self._checksums.append(zlib.crc32(data))
        try:
            self._file.write(data)
        except OSError as error:
            self.give_up(reason(error))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


class CachedStems:
    """An open entry. Memory: one block, however long the song."""

    def __init__(
        self,
        path: Path,
        file: BinaryIO,
        info: EntryInfo,
        body_start: int,
        checksums: Checksums | None = None,
    ) -> None:
        """`checksums` are those of the first blocks, where the file does not hold them itself (yet)."""
        self.path = path
        self.info = info
        self._file = file
        self._body_start = body_start
        self._block_number = -1
        self._block = np.zeros((len(info.stems), info.channels, 0), np.float32)
        self._checksums = checksums

    @property
    def stems(self) -> tuple[str, ...]:
        """Names, in the order of the first axis."""
        return self.info.stems

    def read(self, start: int, frames: int) -> StemArray:
        """The estimates of frames `start` to `start + frames`. Shape: `(stems, channels, frames)`.

        Raises StateError outside the song, and DamagedEntryError where the file no longer holds what was
        written: the entry is gone then, and the song must be separated again.
        """
        if start < 0 or frames < 0 or start + frames > self.info.frames:
            raise StateError(
                f"frames {start} to {start + frames} were asked of estimates with {self.info.frames} frames"
            )
        out = np.empty((len(self.stems), self.info.channels, frames), np.float32)
        done = 0
        while done < frames:
            number, offset = divmod(start + done, BLOCK_FRAMES)
            if number != self._block_number:
                self._load(number)
            taken = min(self._block.shape[2] - offset, frames - done)
            out[:, :, done : done + taken] = self._block[:, :, offset : offset + taken]
            done += taken
        return out

    def verify(self, start: int = 0, stop: int | None = None) -> bool:
        """Read the blocks of a region once; False, and the entry is dropped, if one of them is damaged."""
        stop = self.info.frames if stop is None else stop
        try:
            for number in range(start // BLOCK_FRAMES, -(-stop // BLOCK_FRAMES)):
                self._load(number)
        except DamagedEntryError:
            return False
        return True

    def close(self) -> None:
        """Let the file go. Closing twice is fine."""
        self._file.close()

    def _load(self, number: int) -> None:
        info = self.info
        frames = min(BLOCK_FRAMES, info.frames - number * BLOCK_FRAMES)
        try:
            if self._checksums is None:
                self._file.seek(self._body_start + info.frames * info.frame_bytes)
                self._checksums = np.frombuffer(self._file.read(4 * info.blocks), "<u4")
            self._file.seek(self._body_start + number * BLOCK_FRAMES * info.frame_bytes)
            data = self._file.read(frames * info.frame_bytes)
            sound = number < self._checksums.size and zlib.crc32(data) == self._checksums[number]
        except (OSError, ValueError) as error:
            raise self._damaged() from error
        if not sound:
            raise self._damaged()
        shape = (len(info.stems), info.channels, frames)
        self._block = np.frombuffer(data, "<f4").reshape(shape).astype(np.float32, copy=False)
        self._block_number = number

    def _damaged(self) -> DamagedEntryError:
        self.close()
        remove(self.path)
        return DamagedEntryError(
            f"the cached stems {self.path.name} were damaged on disk and have been dropped; "
            "separate the song again"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def header(digest: str, info: EntryInfo) -> bytes:
    fields = {
        "schema": SCHEMA,
        "key": digest,
        "separator": info.separator,
        "stems": info.stems,
        "residual_stem": info.residual_stem,
        "sample_rate": info.sample_rate,
        "channels": info.channels,
        "frames": info.frames,
        "block_frames": BLOCK_FRAMES,
        "facts": dict(info.facts),
    }
    text = json.dumps(fields, sort_keys=True).encode()
    return _HEAD.pack(_MAGIC, len(text), zlib.crc32(text)) + text


def read_header(file: BinaryIO, digest: str) -> tuple[EntryInfo, int]:
    """The header and where the samples start. Raises DamagedEntryError unless the whole file is plausible."""
    try:
        magic, length, checksum = _HEAD.unpack(file.read(_HEAD.size))
        size = os.fstat(file.fileno()).st_size
        text = file.read(length) if magic == _MAGIC and length < size else b""
        if not text or zlib.crc32(text) != checksum:
            raise DamagedEntryError("not a header of ours")
        fields = json.loads(text)
        info = EntryInfo(
            separator=fields["separator"],
            stems=tuple(fields["stems"]),
            residual_stem=fields["residual_stem"],
            sample_rate=fields["sample_rate"],
            channels=fields["channels"],
            frames=fields["frames"],
            facts=fields["facts"],
        )
        start = _HEAD.size + length
        whole = start + info.body_bytes
        same = (fields["schema"], fields["key"], fields["block_frames"]) == (SCHEMA, digest, BLOCK_FRAMES)
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise DamagedEntryError(f"the header cannot be read: {error}") from error
    if not same or size != whole:
        raise DamagedEntryError(f"expected {whole} bytes; the file has {size}")
    return info, start


def remove(path: Path) -> bool:
    """Delete a file if the system lets us; True if it is gone by our hand."""
    try:
        path.unlink()
    except OSError:
        return False
    return True


def reason(error: OSError) -> str:
    return f"the cache cannot be written: {error.strerror or error}"
