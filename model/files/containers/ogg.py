"""Ogg as it is on disk (RFC 3533): all pages walked and their checksums compared.

A decoder that loses a page plays on as if nothing was there, everything after it comes too early, and
silence fills the end; only the pages themselves tell.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ...errors import AudioFileError

_CODECS = ((b"\x01vorbis", "vorbis"), (b"OpusHead", "opus"), (b"\x7fFLAC", "flac"), (b"Speex", "speex"))
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class OggLayout:
    """What an Ogg file holds."""

    codec: str
    """`vorbis`, `opus`, `flac`, `speex` or `unknown`, of the first stream."""
    streams: int
    """Logical streams, side by side or one after the other."""
    warnings: tuple[str, ...]


def read_layout(path: Path) -> OggLayout:
    """Walk the pages of an Ogg file.

    Raises AudioFileError when a page is damaged or missing; an end that was cut off is a warning.
    """
    size = path.stat().st_size
    codec, streams, position, ended = "", 0, 0, False
    following: dict[int, int] = {}
    with path.open("rb") as file:
        while position < size:
            page = _page(file, position, size)
            if page is None:
                break
            kind, serial, number = struct.unpack_from("<B8xII", page, 5)
            if kind & 2:
                streams += 1
                codec = codec or _codec(page)
            elif number != following.get(serial, number):
                raise _damaged(path, f"pages are missing before byte {position}")
            if crc32(page[:22] + bytes(4) + page[26:]) != int.from_bytes(page[22:26], "little"):
                raise _damaged(path, f"the page at byte {position} is damaged")
            following[serial] = number + 1
            position += len(page)
            ended = bool(kind & 4)
        if not codec:
            raise _damaged(path, "it has no whole first page")
        rest = _without_padding(file, position)
        if b"OggS" in rest[4:]:
            raise _damaged(path, f"what is at byte {position} is no page")
    if rest.startswith(b"OggS") or not ended:
        return OggLayout(codec, streams, ("cut short: the end of the Ogg stream is missing",))
    if rest:
        return OggLayout(codec, streams, (f"{len(rest)} bytes after the end are not Ogg and were left out",))
    return OggLayout(codec, streams, ())


def crc32(page: bytes) -> int:
    """Ogg's checksum: zlib's polynomial with the bits the other way round, from 0 and not inverted.

    >>> hex(crc32(b"123456789"))
    '0x89a1897f'
    """
    crc = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(crc.to_bytes(4, "little").translate(_REVERSED), "big")


def _page(file: BinaryIO, position: int, size: int) -> bytes | None:
    """The whole page at `position`; None where there is none."""
    file.seek(position)
    head = file.read(27)
    if len(head) < 27 or head[:4] != b"OggS":
        return None
    table = file.read(head[26])
    body = file.read(sum(table))
    page = head + table + body
    return page if len(page) == 27 + head[26] + sum(table) else None


def _without_padding(file: BinaryIO, position: int) -> bytes:
    """What is left from `position` on (16 MiB at most), unless it is only zeros or an ID3v1 tag."""
    file.seek(position)
    rest = file.read(1 << 24)
    return b"" if not rest.strip(b"\0") or (rest[:3] == b"TAG" and len(rest) == 128) else rest


def _codec(page: bytes) -> str:
    packet = page[27 + page[26] :]
    return next((name for beginning, name in _CODECS if packet.startswith(beginning)), "unknown")


def _damaged(path: Path, where: str) -> AudioFileError:
    return AudioFileError(f"{path}: a damaged Ogg file: {where}. Download or export it again")
