"""A box put into the `udta` of an MP4 file, and read from there (ISO/IEC 14496-12, sections 4.2 and 8).

Media data stays where chunk offsets say it is: they are moved along where a growing `moov` pushes it.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import AudioFileError

MOST_MOOV_BYTES = 1 << 28
"""A larger index is not taken into memory; a day of five AAC streams takes a third of it."""

_MOST_BOXES = 10_000
_CONTAINERS = {b"trak", b"mdia", b"minf", b"stbl"}


@dataclass(frozen=True)
class Box:
    """Where a box lies: `start` to `end`, its content from `body` on."""

    kind: bytes
    start: int
    body: int
    end: int


def add_to_udta(source: Path, target: Path, kind: bytes, content: bytes) -> None:
    """Copy an MP4 file with a box in `moov.udta`, in the place of one of its kind.

    Raises AudioFileError for what is no whole MP4 file, is fragmented, or has no room left in 32-bit
    offsets.
    """
    with source.open("rb") as file, target.open("wb") as out:
        boxes = _top(file, source)
        moov = _moov(boxes, source)
        if any(box.kind in {b"moof", b"sidx", b"mfra"} for box in boxes):
            raise AudioFileError(f"{source}: a fragmented MP4 file, whose index cannot be moved")
        old = _bytes(file, moov)
        new = bytearray(_with_box(old, kind, content, source))
        grown = len(new) + 8 - (moov.end - moov.start)
        _shift(new, moov.end, grown, source)
        file.seek(0)
        _copy(file, out, moov.start)
        out.write(struct.pack(">I4s", len(new) + 8, b"moov"))
        out.write(new)
        file.seek(moov.end)
        shutil.copyfileobj(file, out, 1 << 20)


def read_from_udta(path: Path, kind: bytes) -> bytes | None:
    """The content of a box in `moov.udta`; None without one. Raises AudioFileError for no whole MP4 file."""
    with path.open("rb") as file:
        moov = _bytes(file, _moov(_top(file, path), path))
    for udta in _inside(moov, 0, len(moov), path):
        if udta.kind == b"udta":
            for box in _inside(moov, udta.body, udta.end, path):
                if box.kind == kind:
                    return moov[box.body : box.end]
    return None


def _top(file: BinaryIO, path: Path) -> list[Box]:
    """The outermost boxes, from the first to the last byte."""
    size = file.seek(0, os.SEEK_END)
    boxes: list[Box] = []
    at = 0
    while at < size and len(boxes) < _MOST_BOXES:
        file.seek(at)
        box = _head(file.read(16), at, size, path)
        boxes.append(box)
        at = box.end
    if not boxes or boxes[0].kind != b"ftyp" or at != size:
        raise AudioFileError(f"{path}: expected an MP4 file, got something else")
    return boxes


def _moov(boxes: list[Box], path: Path) -> Box:
    found = [box for box in boxes if box.kind == b"moov"]
    if len(found) != 1:
        raise AudioFileError(f"{path}: expected an MP4 file with one moov box, found {len(found)}")
    if found[0].end - found[0].start > MOST_MOOV_BYTES:
        raise AudioFileError(f"{path}: its index is larger than {MOST_MOOV_BYTES} bytes")
    return found[0]


def _bytes(file: BinaryIO, box: Box) -> bytes:
    file.seek(box.body)
    return file.read(box.end - box.body)


def _head(head: bytes, at: int, end: int, path: Path) -> Box:
    """A box by its first bytes, `end` being that of what it lies in."""
    if len(head) >= 8:
        size, kind = struct.unpack(">I4s", head[:8])
        body = at + 8
        if size == 1 and len(head) >= 16:
            size, body = struct.unpack(">Q", head[8:16])[0], at + 16
        elif size == 0:
            size = end - at
        if body <= at + size <= end:
            return Box(kind, at, body, at + size)
    raise AudioFileError(f"{path}: a damaged MP4 file: the box at byte {at} goes past its end")


def _inside(data: bytes | bytearray, start: int, end: int, path: Path) -> Iterator[Box]:
    """The boxes in a stretch of `moov`; QuickTime ends a `udta` with four zeros."""
    at, count = start, 0
    while at + 8 <= end and count < _MOST_BOXES:
        box = _head(bytes(data[at : min(at + 16, end)]), at, end, path)
        yield box
        at, count = box.end, count + 1


def _with_box(moov: bytes, kind: bytes, content: bytes, path: Path) -> bytes:
    """The content of `moov` with the box in its `udta`, which becomes its last."""
    new = struct.pack(">I4s", 8 + len(content), kind) + content
    rest, inner = [], []
    for box in _inside(moov, 0, len(moov), path):
        if box.kind != b"udta":
            rest.append(moov[box.start : box.end])
            continue
        inner += [
            moov[one.start : one.end] for one in _inside(moov, box.body, box.end, path) if one.kind != kind
        ]
    udta = b"".join([*inner, new])
    return b"".join([*rest, struct.pack(">I4s", 8 + len(udta), b"udta"), udta])


def _shift(moov: bytearray, behind: int, by: int, path: Path) -> None:
    """Move chunk offsets that point at or behind byte `behind` of the old file."""
    pending = list(_inside(moov, 0, len(moov), path))
    while pending:
        box = pending.pop()
        if box.kind in _CONTAINERS:
            pending += _inside(moov, box.body, box.end, path)
        elif box.kind in {b"stco", b"co64"}:
            form = ">I" if box.kind == b"stco" else ">Q"
            width = struct.calcsize(form)
            (count,) = struct.unpack_from(">I", moov, box.body + 4)
            if box.body + 8 + count * width > box.end:
                raise AudioFileError(f"{path}: a damaged MP4 file: more chunks than its index has room for")
            for at in range(box.body + 8, box.body + 8 + count * width, width):
                (offset,) = struct.unpack_from(form, moov, at)
                if offset >= behind:
                    if width == 4 and offset + by >= 1 << 32:
                        raise AudioFileError(f"{path}: too large for its index of 32-bit offsets")
                    struct.pack_into(form, moov, at, offset + by)


def _copy(file: BinaryIO, out: BinaryIO, count: int) -> None:
    while count:
        data = file.read(min(count, 1 << 20))
        if not data:
            return
        out.write(data)
        count -= len(data)
