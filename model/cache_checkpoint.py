"""A cache entry that outlives its writer: what a killed separation had finished is where the next begins.

Beside the unfinished entry lies a list of the checksums of its whole blocks, one added after each block.
The next writer of the same entry keeps as many blocks from the start as still have their checksums, so
that a power cut or a torn write costs the blocks it spoilt and those after them, never a wrong sample.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .cache_entry import BLOCK_FRAMES, CachedStems, CacheWriter, Checksums, EntryInfo, header, reason, remove

SUFFIX = ".checkpoint"
_MARKS_SUFFIX = ".marks"


class CheckpointWriter(CacheWriter):
    """Writes an entry, going on where an earlier writer of the same one was stopped.

    `kept_frames` are there already and can be read from `kept`; `write` takes the frames after them. A
    writer that is aborted leaves its blocks to the next one.
    """

    def __init__(self, digest: str, info: EntryInfo, path: Path, published: Callable[[], None]) -> None:
        super().__init__(digest, info, path, published)
        self.kept_frames = 0
        self.kept: CachedStems | None = None
        self._marks: BinaryIO | None = None

    def continue_from(self, part: Path, lock: contextlib.AbstractContextManager[object]) -> None:
        """Take over the unfinished entry, or begin it; the cache calls this, with the lock it has taken."""
        self._held.enter_context(lock)
        self._part = part
        start = header(self._digest, self.info)
        checksums = _sound_blocks(part, start, self.info)
        self.kept_frames = BLOCK_FRAMES * checksums.size
        self._written = self.kept_frames
        self._checksums = [int(checksum) for checksum in checksums]
        self._file = part.open("r+b" if checksums.size else "wb")
        if checksums.size:
            self.kept = CachedStems(part, part.open("rb"), self.info, len(start), checksums)
            self._file.truncate(len(start) + self.kept_frames * self.info.frame_bytes)
            self._file.seek(0, 2)
        else:
            self._file.write(start)
        self._marks = _marks_path(part).open("wb")
        self._mark(self._checksums)
        self._allocate()

    def close(self) -> bool:
        """Publish the entry; True if it is there now."""
        done = super().close()
        self._let_go()
        if done and self._part is not None:
            remove(_marks_path(self._part))
        return done

    def abort(self) -> None:
        """Stop, and leave what is written to who continues. Does nothing after `close`."""
        if self._file is None:
            return
        if not self._checksums:
            super().abort()
            return
        self.failed = self.failed or "the render was given up"
        with contextlib.suppress(OSError):
            self._file.close()
        self._file = None
        self._let_go()
        self._held.close()

    def give_up(self, reason: str) -> None:
        """Stop for a reason that the next writer would meet as well, and clean up."""
        self._let_go()
        if self._part is not None:
            remove(_marks_path(self._part))
        super().give_up(reason)

    def _write_block(self) -> None:
        super()._write_block()
        if self._file is None:
            return
        try:
            self._file.flush()  # the block before its checksum, should the process end between the two
            self._mark(self._checksums[-1:])
        except OSError as error:
            self.give_up(reason(error))

    def _mark(self, checksums: list[int]) -> None:
        if self._marks is not None:
            self._marks.write(np.array(checksums, "<u4").tobytes())
            self._marks.flush()

    def _let_go(self) -> None:
        if self._marks is not None:
            with contextlib.suppress(OSError):
                self._marks.close()
            self._marks = None


def remove_checkpoint(part: Path) -> int:
    """Delete an unfinished entry, whose lock is held; returns the bytes freed."""
    try:
        size = part.stat().st_size
    except OSError:
        size = 0
    remove(_marks_path(part))
    return size if remove(part) else 0


def _sound_blocks(part: Path, start: bytes, info: EntryInfo) -> Checksums:
    """The checksums of the blocks that can be kept: whole, from the first on, and never the last."""
    found: list[int] = []
    try:
        data = _marks_path(part).read_bytes()
        # Whole numbers only: the last one may be torn. The last block is made again, so that there is an end.
        marks = np.frombuffer(data[: 4 * min(len(data) // 4, max(0, info.blocks - 1))], "<u4")
        with part.open("rb") as file:
            if file.read(len(start)) != start:
                return np.zeros(0, np.uint32)
            for mark in marks:
                if zlib.crc32(file.read(BLOCK_FRAMES * info.frame_bytes)) != mark:
                    break
                found.append(int(mark))
    except OSError:  # nothing there
        pass
    return np.array(found, np.uint32)


def _marks_path(part: Path) -> Path:
    return part.with_suffix(_MARKS_SUFFIX)
