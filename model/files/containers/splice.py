"""A read-only file made of pieces: bytes of our own and ranges of a file on disk.

So a decoder sees a mended header in front of the samples of a file that stays as it is.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

Piece = bytes | tuple[int, int]
"""Bytes themselves, or (start, stop) in the file on disk."""


class Splice(io.RawIOBase):
    """The pieces one after the other, as one seekable binary file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "digits"
    ...     _ = path.write_bytes(b"0123456789")
    ...     with Splice(path, [b"<", (2, 4), b"|", (8, 10), b">"]) as spliced:
    ...         spliced.read()
    b'<23|89>'
    """

    def __init__(self, path: Path, pieces: Iterable[Piece]) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._pieces = [p for p in pieces if (len(p) if isinstance(p, bytes) else p[1] - p[0])]
        sizes = (len(p) if isinstance(p, bytes) else p[1] - p[0] for p in self._pieces)
        self._starts = [0, *accumulate(sizes)]
        self._position = 0

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes (all that is left when negative), across pieces; none at the end."""
        left = max(0, self._starts[-1] - self._position)
        left = left if size < 0 else min(left, size)
        parts: list[bytes] = []
        while left > 0:
            index = bisect_right(self._starts, self._position) - 1
            piece, skip = self._pieces[index], self._position - self._starts[index]
            count = min(left, self._starts[index + 1] - self._position)
            if isinstance(piece, bytes):
                part = piece[skip : skip + count]
            else:
                self._file.seek(piece[0] + skip)
                part = self._file.read(count)
            if not part:
                break
            parts.append(part)
            self._position += len(part)
            left -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Fill `buffer` as far as possible; return how many bytes that were."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._starts[-1]}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()
