"""WAV as it is on disk: chunks walked, sizes compared with what is really there.

RIFF, RF64 and BW64 (EBU Tech 3306), WAVE_FORMAT_EXTENSIBLE, the BWF `bext` chunk (EBU Tech 3285).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ...errors import AudioFileError
from .splice import Piece

PCM, ADPCM, FLOAT, ALAW, MULAW, IMA_ADPCM, EXTENSIBLE = 1, 2, 3, 6, 7, 0x11, 0xFFFE
_UNKNOWN_SIZE = 0xFFFFFFFF
_STREAMED = (0, _UNKNOWN_SIZE, _UNKNOWN_SIZE - 36, 0x7FFFFFFF)
"""Sizes that programs write which cannot go back to fill in the real one."""
_TRAILERS = (b"TAG", b"ID3", b"APET", b"LYRI")
"""Tags that taggers of other formats hang behind the end."""


@dataclass(frozen=True)
class WavLayout:
    """Where the samples of a WAV file are and what they are."""

    format_tag: int
    channels: int
    sample_rate: int
    block_align: int
    """Bytes per frame (per block for ADPCM)."""
    bits: int
    """Valid bits per sample; the bytes of a sample may hold more."""
    start: int
    stop: int
    """The samples' byte range in the file."""
    fact_frames: int | None
    """What the `fact` chunk counts: the frames of the song in padded blocks of ADPCM."""
    block_frames: int
    """Frames per block of ADPCM; 0 where the header does not say."""
    time_reference: int
    mend: bool
    """The header must be replaced before a decoder sees the file."""
    warnings: tuple[str, ...]

    @property
    def plain(self) -> bool:
        """One sample after the other, so that bytes say how many frames there are."""
        return self.format_tag in (PCM, FLOAT, ALAW, MULAW)

    @property
    def frames(self) -> int:
        """Frames that are there, for plain samples."""
        return (self.stop - self.start) // self.block_align

    def mended(self) -> list[Piece]:
        """The samples behind a header without secrets: RIFF, or RF64 from 4 GiB on."""
        stop = self.start + self.frames * self.block_align if self.plain else self.stop
        size = stop - self.start
        bits = 8 * self.block_align // self.channels if self.plain else self.bits
        rate, align = self.sample_rate, self.block_align
        fmt = struct.pack(
            "<HHIIHH", self.format_tag, self.channels, rate, rate * align & 0xFFFFFFFF, align, bits
        )
        fmt = b"fmt " + struct.pack("<I", len(fmt)) + fmt
        if size + 36 < _UNKNOWN_SIZE:
            header = (
                b"RIFF" + struct.pack("<I", size + 36) + b"WAVE" + fmt + b"data" + struct.pack("<I", size)
            )
        else:
            ds64 = b"ds64" + struct.pack("<IQQQI", 28, size + 72, size, size // align, 0)
            unknown = struct.pack("<I", _UNKNOWN_SIZE)
            header = b"RF64" + unknown + b"WAVE" + ds64 + fmt + b"data" + unknown
        return [header, (self.start, stop)]


def read_layout(path: Path) -> WavLayout:
    """Walk the chunks of a WAV file.

    Raises AudioFileError when there is no `fmt ` or no `data` chunk, or `fmt ` makes no sense.
    """
    with path.open("rb") as file:
        return _Walk(path, file).layout()


class _Walk:
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.file = file
        self.size = path.stat().st_size
        self.warnings: list[str] = []
        self.mend = False
        self.data64: int | None = None
        self.fmt = b""
        self.data: tuple[int, int] | None = None
        self.fact: int | None = None
        self.time_reference = 0

    def layout(self) -> WavLayout:
        kind = self.file.read(12)[:4]
        self.mend = kind == b"BW64"
        self._chunks(12)
        if len(self.fmt) < 16:
            raise AudioFileError(f"{self.path}: a WAV file without a whole 'fmt ' chunk. Export it again")
        if self.data is None:
            raise AudioFileError(f"{self.path}: a WAV file without a 'data' chunk. Export it again")
        tag, channels, rate, _, align, bits = struct.unpack_from("<HHIIHH", self.fmt)
        container_bits = bits
        if tag == EXTENSIBLE and len(self.fmt) >= 26:
            valid, _, tag = struct.unpack_from("<HIH", self.fmt, 18)
            bits = valid if 0 < valid <= bits else bits
        plain = tag in (PCM, FLOAT, ALAW, MULAW)
        block_frames = struct.unpack_from("<H", self.fmt, 18)[0] if len(self.fmt) >= 20 and not plain else 0
        too_wide = plain and channels * (container_bits + 7) // 8 > 0xFFFF
        if channels == 0 or too_wide or not 0 < rate < 1 << 24 or (bits == 0 if plain else align == 0):
            raise AudioFileError(
                f"{self.path}: its header says {channels} channels, {rate} Hz, {bits} bits. Export it again"
            )
        if plain and align != channels * (container_bits + 7) // 8:
            align, self.mend = channels * ((container_bits + 7) // 8), True
        self.mend |= plain and container_bits % 8 != 0
        start, stop = self.data
        if plain and (extra := (stop - start) % align):
            self.warnings.append(f"{extra} bytes after the last whole frame were left out")
            self.mend = True
        return WavLayout(
            tag, channels, rate, align, bits, start, stop, self.fact, block_frames, self.time_reference,
            self.mend, tuple(self.warnings),
        )  # fmt: skip

    def _chunks(self, position: int) -> None:
        while (header := self._header(position)) is not None:
            name, size = header
            body = position + 8
            if name == b"data":
                if self.data is not None:
                    self.warnings.append("only the first of several 'data' chunks was read")
                    return
                position = self._take_data(body, size)
                continue
            if name == b"ds64" and size >= 24:
                self.data64 = struct.unpack("<QQQ", self._bytes(body, 24))[1]
            elif name == b"fmt ":
                self.fmt = self._bytes(body, min(size, 40))
                self.mend |= self.data is not None
            elif name == b"fact" and size >= 4:
                self.fact = struct.unpack("<I", self._bytes(body, 4))[0]
            elif name == b"bext" and size >= 346:
                self.time_reference = struct.unpack("<Q", self._bytes(body + 338, 8))[0]
            position = body + size
            if size % 2:
                padded = self._header(position + 1)
                if padded is None and self._header(position) is not None:
                    self.mend = True  # written without the padding byte
                else:
                    position += 1

    def _take_data(self, start: int, declared: int) -> int:
        """Decide where the samples end; return where the next chunk starts."""
        if declared == _UNKNOWN_SIZE and self.data64 is not None:
            declared = self.data64
        stop = start + declared
        if declared in _STREAMED and stop != self.size and (declared or self._rest(start)):
            self.warnings.append("the header does not say how long the file is; it was read to its end")
            stop, self.mend = self.size, True
        elif stop > self.size:
            missing = stop - self.size
            self.warnings.append(
                f"cut short: {missing} of {declared} bytes of samples are missing at the end"
            )
            stop, self.mend = self.size, True
        elif extra := self._rest(stop):
            self.warnings.append(
                f"the header counts {declared} bytes of samples, {extra} more follow; all were read"
            )
            stop, self.mend = self.size, True
        self.data = (start, stop)
        return stop + (stop - start) % 2

    def _rest(self, stop: int) -> int:
        """Bytes behind `stop` that are neither chunks, nor padding, nor a known tag: samples then."""
        if stop >= self.size or any(self._header(p) for p in (stop, stop + 1)):
            return 0
        rest = self.size - stop
        beginning = self._bytes(stop, min(rest, 1 << 16))
        if beginning.lstrip(b"\0").startswith(_TRAILERS) or (rest < 1 << 16 and not any(beginning)):
            return 0
        return rest

    def _header(self, position: int) -> tuple[bytes, int] | None:
        """A chunk's name and size, if `position` looks like the start of a chunk."""
        data = self._bytes(position, 8)
        if len(data) < 8 or not all(32 <= c < 127 for c in data[:4]):
            return None
        name, size = data[:4], struct.unpack("<I", data[4:])[0]
        if name != b"data" and position + 8 + size > self.size:
            return None
        return name, size

    def _bytes(self, position: int, count: int) -> bytes:
        self.file.seek(position)
        return self.file.read(count)
