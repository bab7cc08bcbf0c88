"""WAV files: RIFF or RF64, `fmt `, `bext`, LIST INFO and `id3 ` in front of the samples.

Written here and not by libsndfile, because one file needs a `bext` chunk, RF64 and the same bytes each
time (libsndfile stamps the wall clock into the PEAK chunk of float files). The number of frames is known
before the first one, so the header is final when it is written and nothing is ever sought back to.

Sources: Microsoft, "Multiple channel audio data and WAVE files"; EBU Tech 3285 (bext), 3306 (RF64).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..audio import BitDepth

BYTES_PER_SAMPLE: Mapping[BitDepth, int] = {"16": 2, "24": 3, "32f": 4}

SPEAKERS: Mapping[int, int] = {1: 0x4, 2: 0x3, 3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x70F, 8: 0x63F}
"""Speaker masks: what a FLAC file of so many channels means by definition; 0 (no claim) for others."""

INFO_NAMES: Mapping[str, str] = {
    "title": "INAM",
    "artist": "IART",
    "album": "IPRD",
    "date": "ICRD",
    "genre": "IGNR",
    "tracknumber": "ITRK",
    "copyright": "ICOP",
    "comment": "ICMT",
    "encodedby": "ITCH",
    "engineer": "IENG",
}
"""LIST INFO chunks by mutagen's easy names."""

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_LARGEST = 0xFFFFFFFF
_ORIGINATOR = b"Stembridge"


def wav_header(
    bit_depth: BitDepth,
    sample_rate: int,
    channels: int,
    frames: int,
    *,
    tags: Mapping[str, Sequence[str]] | None = None,
    id3: bytes = b"",
    time_reference: int | None = None,
) -> bytes:
    """Everything in front of the first sample of a WAV file of exactly `frames` frames.

    `time_reference` (frames since midnight) asks for a `bext` chunk; `id3` is a whole ID3v2 tag. The
    file is RF64 when it would be larger than 4 GiB. After the samples comes one zero byte if their
    number of bytes is odd.

    >>> wav_header("16", 44100, 2, 0)[:4], wav_header("24", 96000, 2, 2**30)[:4]
    (b'RIFF', b'RF64')
    """
    data_size = frames * channels * BYTES_PER_SAMPLE[bit_depth]
    body = _format_chunk(bit_depth, sample_rate, channels)
    if bit_depth == "32f":
        body += _chunk(b"fact", struct.pack("<I", min(frames, _LARGEST)))
    if time_reference is not None:
        body += _chunk(b"bext", _bext(time_reference))
    if info := _info(tags or {}):
        body += _chunk(b"LIST", info)
    if id3:
        body += _chunk(b"id3 ", id3)
    riff_size = 4 + len(body) + 8 + data_size + data_size % 2
    if riff_size <= _LARGEST:
        return b"RIFF" + struct.pack("<I", riff_size) + b"WAVE" + body + _head(b"data", data_size)
    ds64 = struct.pack("<QQQI", riff_size + 36, data_size, frames, 0)
    return b"RF64\xff\xff\xff\xffWAVE" + _chunk(b"ds64", ds64) + body + _head(b"data", _LARGEST)


def wav_samples(samples: NDArray[np.int32] | NDArray[np.float32], bit_depth: BitDepth) -> memoryview:
    """Samples as they stand in a WAV file: interleaved, little-endian.

    Shape: `(channels, frames)` int32 from `quantise`, or float32 for "32f".
    """
    if bit_depth == "32f":
        return _view(np.ascontiguousarray(samples.T, dtype="<f4"))
    if bit_depth == "16":
        return _view(samples.T.astype("<i2", order="C"))
    four = np.ascontiguousarray(samples.T, dtype="<i4").view(np.uint8).reshape(-1, 4)
    three = np.empty((len(four), 3), np.uint8)
    for byte in range(3):
        three[:, byte] = four[:, byte]
    return _view(three)


def find_info(file: BinaryIO) -> tuple[int | None, dict[str, str]]:
    """The position of a WAV file's LIST INFO chunk, and what it holds by its own four-letter names."""
    file.seek(0)
    head = file.read(12)
    if head[:4] not in {b"RIFF", b"RF64", b"BW64"} or head[8:] != b"WAVE":
        return None, {}
    long_data = 0
    while len(head := file.read(8)) == 8:
        name, size = head[:4], int(struct.unpack("<I", head[4:])[0])
        start = file.tell()
        if name == b"ds64":
            long_data = int(struct.unpack("<Q", file.read(16)[8:])[0])
        if name == b"data" and size == _LARGEST:
            size = long_data
        if name == b"LIST" and file.read(4) == b"INFO":
            return start - 8, _info_texts(file.read(size - 4))
        file.seek(start + size + size % 2)
    return None, {}


def _info_texts(data: bytes) -> dict[str, str]:
    texts = {}
    while len(data) >= 8:
        size = int(struct.unpack("<I", data[4:8])[0])
        raw = data[8 : 8 + size].split(b"\0")[0]
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = raw.decode("cp1252", "replace")  # what Windows programs write
        texts[data[:4].decode("ascii", "replace")] = text.strip()
        data = data[8 + size + size % 2 :]
    return texts


def _view(array: NDArray[np.generic]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _head(name: bytes, size: int) -> bytes:
    return name + struct.pack("<I", size)


def _chunk(name: bytes, body: bytes) -> bytes:
    return _head(name, len(body)) + body + b"\0" * (len(body) % 2)


def _format_chunk(bit_depth: BitDepth, sample_rate: int, channels: int) -> bytes:
    size = BYTES_PER_SAMPLE[bit_depth]
    kind = _FLOAT if bit_depth == "32f" else _PCM
    # Integers above 16 bits and more than two channels are defined in the extensible form only.
    extensible = channels > 2 or bit_depth == "24"
    head = struct.pack(
        "<HHIIHH",
        _EXTENSIBLE if extensible else kind,
        channels,
        sample_rate,
        sample_rate * channels * size,
        channels * size,
        8 * size,
    )
    if extensible:
        # 22 bytes more: valid bits, speakers, and the kind as the first two bytes of a GUID.
        head += struct.pack("<HHIH", 22, 8 * size, SPEAKERS.get(channels, 0), kind) + _GUID_TAIL
    elif kind == _FLOAT:
        head += struct.pack("<H", 0)
    return _chunk(b"fmt ", head)


def _bext(time_reference: int) -> bytes:
    # Version 1. Description, reference and date stay empty: the same song must give the same bytes.
    return struct.pack(
        "<256s32s32s10s8sQH64s190s", b"", _ORIGINATOR, b"", b"", b"", time_reference, 1, b"", b""
    )


def _info(tags: Mapping[str, Sequence[str]]) -> bytes:
    chunks = b""
    for name, key in INFO_NAMES.items():
        if values := tags.get(name):
            chunks += _chunk(key.encode(), "; ".join(values).encode() + b"\0")
    return b"INFO" + chunks if chunks else b""
