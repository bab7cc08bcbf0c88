"""FLAC as it is on disk (RFC 9639): STREAMINFO, and where the last whole frame ends.

A FLAC decoder plays silence for what a cut file lacks; the header of the last frame tells how many
samples there really are, and its checksums that they are sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ...errors import AudioFileError
from .splice import Piece

_TAIL = 1 << 18
_BITS = {1: 8, 2: 12, 3: 0, 4: 16, 5: 20, 6: 24, 7: 32}
"""Bits per sample by a frame header's code; without an entry it is what STREAMINFO says."""


@dataclass(frozen=True)
class FlacLayout:
    """What STREAMINFO says and what the frames at the end say."""

    streaminfo: bytes
    channels: int
    bits: int
    start: int
    """Where the first frame begins."""
    stop: int
    """Where the last whole frame ends."""
    frames: int
    """Samples per channel that are there."""
    md5: bytes | None
    """Of all samples, interleaved little-endian integers; None when the encoder did not count."""
    mend: bool
    rising: bool
    """Frames are numbered upwards throughout; not so in files glued together from several."""
    warnings: tuple[str, ...]

    def mended(self) -> list[Piece]:
        """The frames behind a STREAMINFO that tells the truth, without seek table."""
        info = bytearray(self.streaminfo)
        info[13] = info[13] & 0xF0 | self.frames >> 32
        info[14:18] = (self.frames & 0xFFFFFFFF).to_bytes(4, "big")
        return [b"fLaC\x80\0\0\x22" + bytes(info), (self.start, self.stop)]


def read_layout(path: Path) -> FlacLayout:
    """Read STREAMINFO and look for the last whole frame.

    Raises AudioFileError when there is no STREAMINFO or the file holds nothing that is a frame.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        info, start = _metadata(path, file)
        channels, bits = _channels_and_bits(info)
        said = (info[13] & 0x0F) << 32 | int.from_bytes(info[14:18], "big")
        stop, frames, broken = _last_frame(file, info, start, _without_tag(file, size))
        rising = _rising(file, info, start, stop)
    warnings = []
    if frames == 0 and (said or stop > start):
        raise AudioFileError(
            f"{path}: no whole FLAC frame in it, the file is cut. Download or export it again"
        )
    if frames < said:
        warnings.append(f"cut short: {frames} of {said} frames are there")
    elif said and frames > said:
        warnings.append(f"the header counts {said} frames, {frames} are there and were read")
    elif broken:
        warnings.append(f"the end is damaged; the {frames} frames before it were read")
    checked = info[18:34] if any(info[18:34]) and not warnings else None
    return FlacLayout(
        info, channels, bits, start, stop, frames, checked, frames != said, rising, tuple(warnings)
    )


def _channels_and_bits(info: bytes) -> tuple[int, int]:
    return (info[12] >> 1 & 7) + 1, ((info[12] & 1) << 4 | info[13] >> 4) + 1


def _metadata(path: Path, file: BinaryIO) -> tuple[bytes, int]:
    """STREAMINFO's 34 bytes and where the frames begin."""
    file.seek(id3_length(file, 0))
    file.read(4)
    info, last = b"", False
    while not last:
        header = file.read(4)
        if len(header) < 4:
            raise AudioFileError(f"{path}: a FLAC file that ends in its header. Download or export it again")
        last, kind, length = bool(header[0] & 0x80), header[0] & 0x7F, int.from_bytes(header[1:], "big")
        if kind == 0:
            info = file.read(length)
        else:
            file.seek(length, 1)
    if len(info) < 34 or file.tell() > path.stat().st_size:
        raise AudioFileError(f"{path}: a FLAC file without a whole header. Download or export it again")
    return info[:34], file.tell()


def id3_length(file: BinaryIO, position: int) -> int:
    """Bytes of an ID3v2 tag at `position`; 0 when there is none."""
    file.seek(position)
    head = file.read(10)
    if len(head) < 10 or head[:3] != b"ID3":
        return 0
    footer = 10 if head[5] & 0x10 else 0
    return 10 + footer + sum((byte & 0x7F) << 7 * (3 - k) for k, byte in enumerate(head[6:10]))


def _without_tag(file: BinaryIO, size: int) -> int:
    """The end of the file before an ID3v1 and an APE tag."""
    file.seek(max(0, size - 128))
    if size > 128 and file.read(3) == b"TAG":
        size -= 128
    file.seek(max(0, size - 32))
    footer = file.read(32)
    if size > 32 and footer[:8] == b"APETAGEX":
        header = 32 if footer[23] & 0x80 else 0
        size = max(0, size - header - int.from_bytes(footer[12:16], "little"))
    return size


def _last_frame(file: BinaryIO, info: bytes, start: int, size: int) -> tuple[int, int, bool]:
    """(byte where the last whole frame ends, samples up to there, whether bytes follow it)."""
    tail = _TAIL
    while True:
        low = max(start, size - tail)
        file.seek(low)
        data = file.read(size - low)
        ends = [len(data)]
        position = len(data)
        while (position := data.rfind(b"\xff", 0, position)) >= 0:
            header = _frame_header(data, position, info)
            if header is None:
                continue
            # a frame ends where the file ends, or where a frame that is cut begins; of the headers
            # found so far one may be sound that happens to look like one
            for end in ends[-3:]:
                if _crc16(data[position:end]) == 0:
                    return low + end, sum(header), end != len(data)
            ends.append(position)
        if low == start:
            return start, 0, size > start
        tail *= 8


def _rising(file: BinaryIO, info: bytes, start: int, stop: int, probes: int = 16) -> bool:
    """Whether sample numbers rise from probe to probe through the file."""
    highest = -1
    for probe in range(probes):
        file.seek(start + (stop - start) * probe // probes)
        data = file.read(min(_TAIL, stop - file.tell()))
        position = -1
        while (position := data.find(b"\xff", position + 1)) >= 0:
            header = _frame_header(data, position, info)
            if header is None or (header[0] < highest and not _whole_frame(data, position, info)):
                continue
            if header[0] < highest:
                return False
            highest = header[0]
            break
    return True


def _whole_frame(data: bytes, at: int, info: bytes) -> bool:
    """Whether one of the next frame headers ends a frame that begins at `at`, by its CRC-16."""
    ends, position = 0, at + 1
    while ends < 3 and (position := data.find(b"\xff", position + 1)) >= 0:
        if _frame_header(data, position, info) is not None:
            if _crc16(data[at:position]) == 0:
                return True
            ends += 1
    return False


def _frame_header(data: bytes, at: int, info: bytes) -> tuple[int, int] | None:
    """(first sample, samples) when a frame header with a right CRC-8 begins at `at`."""
    head = data[at : at + 16]
    if len(head) < 6 or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return None
    size_code, rate_code, bits_code = head[2] >> 4, head[2] & 15, head[3] >> 1 & 7
    if size_code == 0 or rate_code == 15 or head[3] >> 4 > 10:
        return None
    # frames that contradict STREAMINFO make pedalboard read memory that is not there
    channels, bits = _channels_and_bits(info)
    if (2 if head[3] >> 4 > 7 else (head[3] >> 4) + 1) != channels or _BITS.get(bits_code, bits) != bits:
        return None
    lead = head[4]
    extra = 0 if lead < 0x80 else 8 - (lead ^ 0xFF).bit_length() - 1
    if lead == 0xFF or (lead >= 0x80 and extra == 0):
        return None
    number = lead if extra == 0 else lead & (0x3F >> extra)
    position = 5
    for byte in head[5 : 5 + extra]:
        if byte & 0xC0 != 0x80:
            return None
        number = number << 6 | byte & 0x3F
    position += extra
    if size_code == 6:
        count, position = head[position] + 1 if position < len(head) else 0, position + 1
    elif size_code == 7:
        count, position = int.from_bytes(head[position : position + 2], "big") + 1, position + 2
    elif size_code == 1:
        count = 192
    else:
        count = 576 << size_code - 2 if size_code < 6 else 256 << size_code - 8
    position += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if position >= len(head) or _crc8(head[:position]) != head[position]:
        return None
    variable = bool(head[1] & 1)
    return (number if variable else number * int.from_bytes(info[2:4], "big")), count


def _table(bits: int, polynomial: int) -> list[int]:
    table = []
    for byte in range(256):
        crc = byte << bits - 8
        for _ in range(8):
            crc = (crc << 1 ^ polynomial) if crc >> bits - 1 else crc << 1
            crc &= (1 << bits) - 1
        table.append(crc)
    return table


_CRC8, _CRC16 = _table(8, 0x07), _table(16, 0x8005)


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc = _CRC8[crc ^ byte]
    return crc


def _crc16(data: bytes) -> int:
    """CRC-16 of a frame with its own CRC behind it: 0 when it is sound."""
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFF00) ^ _CRC16[crc >> 8 ^ byte]
    return crc
