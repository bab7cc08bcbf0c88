"""Ogg pages on their way to the file, made the same each time.

libsndfile gives every stream a random serial number; here it becomes a fixed one. And the first packet of
audio, from which no frame can be decoded yet, gets a page of its own: some decoders cannot find the exact
end of a stream whose first page of audio is its last as well. Source: RFC 3533, section 6.
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

_HEADER = struct.Struct("<4sBBqIIIB")
_SERIAL = 0x53544D42
_HEADER_PACKETS = 3  # identification, comments, codebooks
_LAST = 0x04
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def page_checksum(page: bytes) -> int:
    """The checksum of a page whose checksum field is zero.

    Ogg's CRC has zlib's polynomial, but takes each byte from its other end, starts from zero and is not
    inverted; so zlib computes it from reversed bits.
    """
    backwards = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{backwards:032b}"[::-1], 2)


class OggPages:
    """A file for libsndfile to write a Vorbis stream into; whole pages go on to `file`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._held = bytearray()
        self._taken = 0
        self._packets = 0
        self._sequence = 0
        self._split = False

    def write(self, data: bytes) -> int:
        """Take bytes; pass on the pages that are complete."""
        self._held += data
        self._taken += len(data)
        while page := self._next():
            self._pass_on(*page)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Nothing is ever sought in a stream of pages: asked at the start and for the length only."""
        return self._taken

    def tell(self) -> int:
        """Bytes taken."""
        return self._taken

    def _next(self) -> tuple[int, int, bytes, bytes] | None:
        """Flags, granule position, lacing and body of the next whole page."""
        if len(self._held) < _HEADER.size:
            return None
        _, _, flags, granule, _, _, _, segments = _HEADER.unpack_from(self._held)
        start = _HEADER.size + segments
        lacing = bytes(self._held[_HEADER.size : start])
        stop = start + sum(lacing)
        if len(lacing) < segments or len(self._held) < stop:
            return None
        body = bytes(self._held[start:stop])
        del self._held[:stop]
        return flags, granule, lacing, body

    def _pass_on(self, flags: int, granule: int, lacing: bytes, body: bytes) -> None:
        complete = sum(size < 255 for size in lacing)
        if self._packets >= _HEADER_PACKETS and not self._split:
            self._split = True
            if complete > 1:
                count = next(i for i, size in enumerate(lacing) if size < 255) + 1
                length = sum(lacing[:count])
                self._emit(flags & ~_LAST, 0, lacing[:count], body[:length])
                lacing, body = lacing[count:], body[length:]
        self._packets += complete
        self._emit(flags, granule, lacing, body)

    def _emit(self, flags: int, granule: int, lacing: bytes, body: bytes) -> None:
        header = _HEADER.pack(b"OggS", 0, flags, granule, _SERIAL, self._sequence, 0, len(lacing))
        page = bytearray(header + lacing + body)
        page[22:26] = struct.pack("<I", page_checksum(bytes(page)))
        self._file.write(page)
        self._sequence += 1
