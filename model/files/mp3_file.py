"""MP3 by LAME in pedalboard, with a header that lets decoders give back exactly the frames that went in.

Measured on one core with stereo at 44.1 kHz: at V0 it is four times as fast as LAME in libsndfile, and the
decoded sound is as close to the input.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, BinaryIO, cast

import numpy as np

from ..audio import Audio
from ..dsp.fifo import Fifo
from .codecs import Samples, blocks, guarded
from .sink import Sink
from .tags import Tags, id3_tag

_QUALITY = "V0"
_SHORT = 1152  # frames: one of MP3's own


class Mp3Encoder:
    """MP3 by LAME in pedalboard, variable bit rate V0, ID3 in front.

    LAME's header tells decoders how much to leave out at both ends. Decoders refuse a stream of less than
    two of its frames, so a very short file gets silence behind it, which the header leaves out too.
    (ffmpeg 5.1 reads 529 frames too many where fewer than 47 are left below 32 kHz; mpg123 is exact.)
    """

    def __init__(self, sink: Sink, sample_rate: int, channels: int, frames: int, tags: Tags) -> None:
        from pedalboard.io import AudioFile

        self._sink = sink
        self._queue = Fifo(channels)
        self._extra = _SHORT if frames < _SHORT else 0
        sink.write(id3_tag(tags))
        self._start = sink.tell()
        with guarded(sink):
            body = cast(BinaryIO, _Behind(sink, self._start))
            self._file: Any = AudioFile(body, "w", sample_rate, channels, quality=_QUALITY, format="mp3")

    def write(self, samples: Samples) -> None:
        """Encode whole blocks, keep the rest."""
        for block in blocks(self._queue, samples):
            self._encode(block)

    def finish(self) -> None:
        """Encode the rest and complete LAME's header."""
        rest = self._queue.pop(len(self._queue))
        self._encode(np.pad(rest, ((0, 0), (0, self._extra))))
        with guarded(self._sink):
            self._file.close()
            if self._extra:
                self._leave_out(self._extra)

    def abort(self) -> None:
        """Close LAME."""
        with contextlib.suppress(RuntimeError, OSError):  # the file is given up: its state is no matter
            self._file.close()

    def _encode(self, block: Audio) -> None:
        if block.shape[1]:
            with guarded(self._sink):
                self._file.write(block)

    def _leave_out(self, frames: int) -> None:
        """Add to the padding that LAME's header tells of; its checksum covers what is in front of it."""
        self._sink.seek(self._start)
        header = bytearray(self._sink.read(512))
        tag = header.index(b"LAME")
        padding = tag + 22
        value = int.from_bytes(header[padding : padding + 2], "big") + frames  # 4 bits of delay, 12 of it
        header[padding : padding + 2] = value.to_bytes(2, "big")
        end = tag + 34
        header[end : end + 2] = _crc16(header[:end]).to_bytes(2, "big")
        self._sink.seek(self._start)
        self._sink.write(header[: end + 2])
        self._sink.seek(0, os.SEEK_END)


class _Behind:
    """The part of a sink behind its first `start` bytes, as a file of its own."""

    def __init__(self, sink: Sink, start: int) -> None:
        self._sink = sink
        self._start = start

    def write(self, data: bytes) -> int:
        return self._sink.write(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = self._start if whence == os.SEEK_SET else 0
        return self._sink.seek(start + offset, whence) - self._start

    def tell(self) -> int:
        return self._sink.tell() - self._start

    def read(self, count: int = -1) -> bytes:
        return self._sink.read(count)

    def flush(self) -> None:
        self._sink.flush()

    def seekable(self) -> bool:
        return True


def _crc16(data: bytes | bytearray) -> int:
    """CRC-16 with the polynomial x^16 + x^15 + x^2 + 1, reflected, from 0: that of LAME's header."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value
