"""The file bytes go into: it remembers the first failure, so no codec library can lose it.

libsndfile and JUCE see a file object's write as a number of bytes and may go on after a short one; what
went wrong is kept here and raised by `check`, as an error that names the folder and what was missing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from ..errors import DiskFullError, OutputError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BUFFER = 1 << 18


class Sink:
    """A new file, written by codecs through the file protocol (write, seek, tell, read, flush).

    `needed` is the size of the whole file in bytes where it is known beforehand. Raises OutputError
    when the file cannot be made.
    """

    def __init__(self, path: Path, needed: int | None = None) -> None:
        self.path = path
        self._needed = needed
        self._failure: OSError | None = None
        try:
            self._file: BinaryIO = path.open("w+b", buffering=_BUFFER)
        except OSError as error:
            raise write_error(error, path, needed, 0) from error

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append bytes; never raises, because codecs call it from C: a failure is kept for `check`."""
        if self._failure is not None:
            return 0
        try:
            return self._file.write(data)
        except OSError as error:
            self._failure = error
            return 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move; like `write`, it keeps a failure (a full disk shows when the buffer is emptied)."""
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            self._failure = self._failure or error
            return 0

    def tell(self) -> int:
        """The position in bytes."""
        return self._file.tell()

    def read(self, count: int = -1) -> bytes:
        """Read back what was written."""
        return self._file.read(count)

    def truncate(self, size: int | None = None) -> int:
        """Cut the file."""
        return self._file.truncate(size)

    def flush(self) -> None:
        """Hand what is buffered to the system; a failure is kept for `check`."""
        try:
            self._file.flush()
        except OSError as error:
            self._failure = self._failure or error

    def seekable(self) -> bool:
        """True: it is a real file."""
        return True

    def fail(self, error: OSError) -> None:
        """Keep a failure that a library met on its own."""
        self._failure = self._failure or error

    def check(self) -> None:
        """Raise what went wrong so far: DiskFullError where there is no room, else OutputError."""
        if self._failure is not None:
            raise write_error(self._failure, self.path, self._needed, self._size()) from self._failure

    def finish(self) -> None:
        """Bring all bytes onto the disk and close; raises as `check` does."""
        self.flush()
        if self._failure is None:
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                self._failure = error
        try:
            self.check()
        finally:
            self.close()

    def close(self) -> None:
        """Close without a word; calling it again does nothing."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _size(self) -> int:
        with contextlib.suppress(OSError):
            return os.stat(self.path).st_size
        return 0


def write_error(error: OSError, path: Path, needed: int | None, written: int) -> OutputError:
    """Say what failed while a file was written, in words that name the folder and the remedy."""
    folder = path.parent
    if error.errno in _FULL:
        size = f"{needed} bytes in all" if needed is not None else f"more than {written} bytes"
        try:
            free = f"{shutil.disk_usage(folder).free} bytes are free"
        except OSError:
            free = "how much is free cannot be told"
        why = " (a file there cannot be that big)" if error.errno == errno.EFBIG else ""
        return DiskFullError(
            f"no room in {folder}{why}: {path.name} needs {size}, {written} are written, {free}. "
            "Free some space or choose another folder"
        )
    if error.errno == errno.ENOENT:
        return OutputError(f"the folder {folder} does not exist: make it or choose another folder")
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return OutputError(
            f"{path.name} cannot be written in {folder} ({error.strerror}): "
            "choose a folder that you may write to"
        )
    return OutputError(f"{path} cannot be written: {error.strerror or error}")
