"""AIFF and AIFF-C as they are on disk (Apple, 1989 and 1991)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from ...errors import AudioFileError
from .splice import Piece

DECODED_BY_PEDALBOARD = (b"NONE", b"twos", b"sowt", b"fl32", b"FL32")


@dataclass(frozen=True)
class AiffLayout:
    """Where the samples of an AIFF file are and what they are."""

    compression: bytes
    channels: int
    bits: int
    rate: bytes
    """The sample rate as it is written, an 80-bit float."""
    start: int
    frames: int
    """Frames that are there."""
    mend: bool
    warnings: tuple[str, ...]

    def mended(self) -> list[Piece]:
        """The samples behind a header that tells the truth."""
        size = self.frames * self.channels * ((self.bits + 7) // 8)
        bits = 8 * ((self.bits + 7) // 8)
        comm = struct.pack(">hIh", self.channels, self.frames, bits) + self.rate
        comm += self.compression + b"\0\0"
        body = b"AIFCFVER" + struct.pack(">II", 4, 0xA2805140) + b"COMM" + struct.pack(">I", len(comm)) + comm
        body += b"SSND" + struct.pack(">III", size + 8, 0, 0)
        header = b"FORM" + struct.pack(">I", len(body) + size) + body
        return [header, (self.start, self.start + size)]


def read_layout(path: Path) -> AiffLayout:
    """Walk the chunks of an AIFF file.

    Raises AudioFileError when there is no `COMM` or no `SSND` chunk, or `COMM` makes no sense.
    """
    size_on_disk = path.stat().st_size
    comm, start, bytes_said = b"", -1, 0
    with path.open("rb") as file:
        position = 12
        while position + 8 <= size_on_disk:
            file.seek(position)
            name, size = struct.unpack(">4sI", file.read(8))
            if name == b"COMM":
                comm = file.read(min(size, 64))
            elif name == b"SSND":
                offset = struct.unpack(">I", file.read(4).ljust(4, b"\0"))[0]
                start, bytes_said = position + 16 + offset, max(0, size - 8 - offset)
            position += 8 + size + size % 2
    if len(comm) < 18:
        raise AudioFileError(f"{path}: an AIFF file without a whole 'COMM' chunk. Export it again")
    channels, said, bits = struct.unpack_from(">hIh", comm)
    compression = comm[18:22] if len(comm) >= 22 else b"NONE"
    if start < 0 and said:
        raise AudioFileError(f"{path}: an AIFF file without an 'SSND' chunk. Export it again")
    if channels <= 0 or bits <= 0:
        raise AudioFileError(f"{path}: its header says {channels} channels, {bits} bits. Export it again")
    align = channels * ((bits + 7) // 8)
    there = max(0, size_on_disk - start) // align if start >= 0 else 0
    chunk = bytes_said // align
    frames, warnings = said, []
    if there < said:
        warnings.append(f"cut short: {there} of {said} frames are there")
        frames = there
    elif said != chunk and compression in DECODED_BY_PEDALBOARD:
        frames = min(max(said, chunk), there)
        warnings.append(f"the header counts {said} frames, its sample chunk {chunk}; {frames} were read")
    mend = frames != said or frames != chunk or bits % 8 != 0
    return AiffLayout(compression, channels, bits, comm[8:18], start, frames, mend, tuple(warnings))
