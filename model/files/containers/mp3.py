"""MPEG layer III as it is on disk (ISO 11172-3, 13818-3): every frame found, the LAME tag read.

A decoder trusts the Xing header's count or guesses from the bit rate; both can be wrong. Walking the
frame headers costs under a microsecond each and gives the count, so lengths are exact, a cut is seen,
and decoding can start at any frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

from ...errors import AudioFileError
from .flac import id3_length
from .splice import Piece

DECODER_DELAY = 529
"""Frames a decoder adds itself (528 + 1): LAME's tag does not count them."""
INDEX_STEP = 16
"""Frames between remembered positions; the decoder's filter bank is in the same phase there."""
PREROLL = 32
"""Muted frames where decoding starts amid a file: their data hold the longest reservoir."""
_BIT_RATES = {
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_CHUNK = 1 << 20
_TRAILERS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN")
"""Tags behind the last frame."""


@dataclass(frozen=True)
class Mp3Layout:
    """Where the frames of an MP3 file are and which of their samples are the song."""

    sample_rate: int
    channels: int
    frame_length: int
    """Samples per channel in an MPEG frame: 1152, or 576 below 32 kHz."""
    skip: int
    """Samples at the start that only encoder and decoder put there."""
    frames: int
    """Samples per channel that are the song."""
    path: Path
    header: bytes
    """Of the first frame."""
    mpeg_frames: int
    index: tuple[int, ...]
    """Where every `INDEX_STEP`th frame begins in the file."""
    ranges: tuple[tuple[int, int], ...]
    """Byte ranges that hold frames and nothing else."""
    warnings: tuple[str, ...]

    def mended(self, first: int = 0) -> list[Piece]:
        """MPEG frames from number `first` (a multiple of `INDEX_STEP`) on, behind a true Xing header.

        A silent frame comes first: decoders that see a Xing header drop their first 529 samples. Where
        `first` is not the start, the first `PREROLL` frames are muted: see `_head`.
        """
        pieces: list[Piece] = [self._silent(self.mpeg_frames - first + 1), self._silent()]
        position = self.index[first // INDEX_STEP]
        mute = PREROLL if first else 0
        for low, high in self.ranges:
            if high > position:
                head, position, mute = self._head(max(low, position), high, mute)
                pieces += [head, (position, high)]
        return pieces

    def _head(self, position: int, stop: int, mute: int) -> tuple[bytes, int, int]:
        """The first frames of a range as a decoder needs them; where the next begins; what `mute` is left.

        A frame may keep up to 511 bytes of its data in the frames before it (the bit reservoir). A decoder
        drops frames whose reservoir it has not seen, and then everything comes too early: such frames,
        and the first `mute`, are muted. With nothing but `main_data_begin` in its side information a
        frame decodes to silence, while its own data fill the reservoir; pointing back as far as there are
        data keeps them there.
        """
        lengths, side = _lengths(self.header), _side_info(self.header)
        # main_data_begin: the first 9 bits of the side information, the first 8 below 32 kHz
        limit, shift = (511, 7) if self.header[1] & 0x08 else (255, 8)
        head, reservoir = bytearray(), 0
        with self.path.open("rb") as file:
            file.seek(position)
            while (mute > 0 or reservoir < limit) and position < stop:
                header = file.read(4)
                length = lengths[_key(header)]
                frame = bytearray(header + file.read(length - 4))
                at = 4 if frame[1] & 1 else 6
                if mute > 0 or int.from_bytes(frame[at : at + 2], "big") >> shift > reservoir:
                    begin = min(reservoir, limit) << shift
                    frame[at : at + side] = begin.to_bytes(2, "big").ljust(side, b"\0")
                reservoir += length - at - side
                head += frame
                position += length
                mute = max(0, mute - 1)
        return bytes(head), position, mute

    def _silent(self, following: int = 0) -> bytes:
        """A silent frame, or with `following` a Xing header that says how many frames follow."""
        # no CRC, the highest bit rate: room for the header in every version
        header = bytes([0xFF, self.header[1] | 1, self.header[2] & 0x0C | 0xE0, self.header[3]])
        length = _lengths(header)[_key(header)]
        side = _side_info(self.header)
        xing = b"Xing" + (1).to_bytes(4, "big") + following.to_bytes(4, "big")
        body = header + bytes(side) + (xing if following else b"")
        return body.ljust(length, b"\0")


def read_layout(path: Path) -> Mp3Layout:
    """Find all frames of an MP3 file.

    Raises AudioFileError when there are none.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = 0
        while length := id3_length(file, start):
            start += length
        first = find_frame(file, start, size)
        if first is None:
            raise AudioFileError(f"{path}: no MP3 frame in it. Download or export it again")
        file.seek(first)
        frame = file.read(2881)
        walk = _Walk(file, frame[:4], size)
        tag = _Tag.of(frame)
        if tag is not None:
            first += walk.lengths[_key(frame)]
        walk.run(first)
    if walk.count == 0:
        raise AudioFileError(
            f"{path}: cut short before its first whole MP3 frame. Download or export it again"
        )
    return _layout(path, frame[:4], tag, walk)


def find_frame(
    file: BinaryIO, start: int, size: int, limit: int = 1 << 18, kind: dict[int, int] | None = None
) -> int | None:
    """Where two frames of one kind follow each other (or one ends the file), from `start` on.

    `kind` are the lengths of the frames to look for, from `_lengths`; any when left out.
    """
    file.seek(start)
    data = file.read(limit + 2 * 2881)
    position = -1
    while (position := data.find(b"\xff", position + 1, limit)) >= 0:
        header = data[position : position + 4]
        if not _valid(header):
            continue
        lengths = kind if kind is not None else _lengths(header)
        if (length := lengths.get(_key(header))) is None:
            continue
        after = position + length
        if start + after == size or _key(data[after : after + 4]) in lengths:
            return start + position
    return None


def _layout(path: Path, header: bytes, tag: _Tag | None, walk: _Walk) -> Mp3Layout:
    mpeg2 = not header[1] & 0x08
    frame_length = 576 if mpeg2 else 1152
    warnings = list(walk.warnings)
    delay, padding, said = (tag.delay, tag.padding, tag.frames) if tag else (0, 0, None)
    total = walk.count * frame_length
    skip = delay + DECODER_DELAY if delay or padding else 0
    if said is not None and walk.count < said:
        warnings.append(
            f"cut short: {walk.count} of {said} MPEG frames are there ({said - walk.count} missing)"
        )
        padding = 0
    elif said is not None and walk.count > said:
        warnings.append(f"the header counts {said} MPEG frames, {walk.count} are there and were read")
        padding = 0
    ending = max(0, padding - DECODER_DELAY) if skip else 0
    channels = 1 if header[3] >> 6 == 3 else 2
    rate = _RATES[header[1] >> 3 & 3][header[2] >> 2 & 3]
    return Mp3Layout(
        sample_rate=rate,
        channels=channels,
        frame_length=frame_length,
        skip=skip,
        frames=max(0, total - skip - ending),
        path=path,
        header=header,
        mpeg_frames=walk.count,
        index=tuple(walk.index),
        ranges=tuple(walk.ranges),
        warnings=tuple(warnings),
    )


@dataclass(frozen=True)
class _Tag:
    """The Xing, Info or VBRI header in a first frame that holds no sound."""

    frames: int | None
    delay: int
    padding: int

    @staticmethod
    def of(frame: bytes) -> _Tag | None:
        if frame[36:40] == b"VBRI":
            return _Tag(int.from_bytes(frame[50:54], "big"), 0, 0)
        at = 4 + _side_info(frame) + (0 if frame[1] & 1 else 2)
        if frame[at : at + 4] not in (b"Xing", b"Info"):
            at = 4 + _side_info(frame)
        if frame[at : at + 4] not in (b"Xing", b"Info"):
            return None
        flags = int.from_bytes(frame[at + 4 : at + 8], "big")
        at += 8
        frames = int.from_bytes(frame[at : at + 4], "big") if flags & 1 else None
        # optional fields: frame count, byte count, seek table, quality; then LAME's own
        at += 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
        lame = frame[at : at + 24]
        if len(lame) < 24 or not lame[:4].isalnum():
            return _Tag(frames, 0, 0)
        both = int.from_bytes(lame[21:24], "big")
        return _Tag(frames, both >> 12, both & 0xFFF)


class _Walk:
    """One pass over all frame headers."""

    def __init__(self, file: BinaryIO, header: bytes, size: int) -> None:
        self.file = file
        self.size = size
        self.lengths = _lengths(header)
        self.count = 0
        self.index: list[int] = []
        self.ranges: list[tuple[int, int]] = []
        self.warnings: list[str] = []

    def run(self, position: int) -> None:
        begin = position
        while True:
            stop = self._frames(position)
            if stop > begin:
                self.ranges.append((begin, stop))
            found = self._resync(stop)
            if found is None:
                break
            self.warnings.append(f"{found - stop} bytes at byte {stop} are not MP3 and were left out")
            begin = position = found
        self._end(stop)

    def _resync(self, position: int) -> int | None:
        """Where frames of the same kind go on after something else."""
        while position < self.size:
            found = find_frame(self.file, position, self.size, _CHUNK, self.lengths)
            if found is not None:
                return found
            position += _CHUNK
        return None

    def _frames(self, position: int) -> int:
        """Count frames from `position` until something else comes; return where."""
        lengths, count, index = self.lengths, self.count, self.index
        base, data = position, b""
        while True:
            at = position - base
            if at + 4 > len(data):
                self.file.seek(position)
                base, data, at = position, self.file.read(_CHUNK), 0
            key = int.from_bytes(data[at : at + 4], "big") & _KEY_MASK
            length = lengths.get(key)
            if length is None or position + length > self.size:
                self.count = count
                return position
            if count % INDEX_STEP == 0:
                index.append(position)
            count += 1
            position += length

    def _end(self, stop: int) -> None:
        stop += id3_length(self.file, stop)
        self.file.seek(stop)
        rest = self.file.read(_CHUNK)
        if len(rest) >= 4 and _key(rest) in self.lengths:
            self.warnings.append("cut short inside its last MPEG frame, which was left out")
        elif rest.strip(b"\0") and not rest.lstrip(b"\0").startswith(_TRAILERS):
            self.warnings.append(f"{self.size - stop} bytes at the end are not MP3 and were left out")


_KEY_MASK = 0xFFFEFEC0
"""Sync, version, layer; bit rate, sample rate, padding; channel mode."""


def _key(header: bytes | bytearray) -> int:
    return int.from_bytes(header[:4], "big") & _KEY_MASK


def _valid(header: bytes) -> bool:
    """Whether four bytes can be the header of a layer III frame with a known bit rate."""
    return (
        len(header) == 4
        and header[0] == 0xFF
        and header[1] & 0xE6 == 0xE2
        and header[1] >> 3 & 3 != 1
        and header[2] >> 4 not in (0, 15)
        and header[2] >> 2 & 3 != 3
    )


def _lengths(header: bytes) -> dict[int, int]:
    """Frame lengths in bytes by `_key`, for all frames that can follow a frame with this header."""
    return _table(header[1] & 0xFE, header[2] >> 2 & 3, header[3] >> 6 == 3)


@cache
def _table(second: int, rate_index: int, mono: bool) -> dict[int, int]:
    version = second >> 3 & 3
    slots = 144 if version == 3 else 72
    table = {}
    for number, kbps in enumerate(_BIT_RATES[3 if version == 3 else 2], 1):
        for padding in (0, 1):
            length = slots * 1000 * kbps // _RATES[version][rate_index] + padding
            for mode in (3,) if mono else (0, 1, 2):
                key = bytes([0xFF, second, number << 4 | rate_index << 2 | padding << 1, mode << 6])
                table[int.from_bytes(key, "big")] = length
    return table


def _side_info(header: bytes) -> int:
    """Bytes of side information in a frame."""
    mono = header[3] >> 6 == 3
    if header[1] & 0x08:
        return 17 if mono else 32
    return 9 if mono else 17
