"""AIFF files: integers as AIFF, floats as AIFF-C (`fl32`), with an `ID3 ` chunk in front of the samples.

Written here and not by libsndfile, which stamps the wall clock into float files. Source: Apple, "Audio
Interchange File Format AIFF-C", draft 1991-08-26.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from ..audio import BitDepth
from ..errors import ArgumentValueError
from .wav_file import BYTES_PER_SAMPLE

_LARGEST = 0xFFFFFFFF
_AIFC_VERSION = 0xA2805140


def aiff_header(
    bit_depth: BitDepth, sample_rate: int, channels: int, frames: int, *, id3: bytes = b""
) -> bytes:
    """Everything in front of the first sample of an AIFF file of exactly `frames` frames.

    After the samples comes one zero byte if their number of bytes is odd. Raises ArgumentValueError for
    more than 4 GiB, which AIFF cannot say.

    >>> aiff_header("16", 44100, 2, 0)[8:12], aiff_header("32f", 44100, 2, 0)[8:12]
    (b'AIFF', b'AIFC')
    """
    size = BYTES_PER_SAMPLE[bit_depth]
    common = struct.pack(">hIh", channels, frames & _LARGEST, 8 * size) + _extended(sample_rate)
    body = b""
    if bit_depth == "32f":
        body += _chunk(b"FVER", struct.pack(">I", _AIFC_VERSION))
        common += b"fl32" + b"\x0c32-bit float\x00"
    body += _chunk(b"COMM", common)
    if id3:
        body += _chunk(b"ID3 ", id3)
    data_size = 8 + frames * channels * size
    form_size = 4 + len(body) + 8 + data_size + data_size % 2
    if form_size > _LARGEST:
        raise ArgumentValueError(
            f"an AIFF file ends at 4 GiB and this one would have {form_size + 8} bytes: "
            "choose --format wav, which goes on as RF64"
        )
    kind = b"AIFC" if bit_depth == "32f" else b"AIFF"
    sound = b"SSND" + struct.pack(">III", data_size, 0, 0)
    return b"FORM" + struct.pack(">I", form_size) + kind + body + sound


def aiff_samples(samples: NDArray[np.int32] | NDArray[np.float32], bit_depth: BitDepth) -> memoryview:
    """Samples as they stand in an AIFF file: interleaved, big-endian.

    Shape: `(channels, frames)` int32 from `quantise`, or float32 for "32f".
    """
    if bit_depth == "24":
        four = samples.T.astype(">i4", order="C").view(np.uint8).reshape(-1, 4)
        return np.ascontiguousarray(four[:, 1:]).reshape(-1).data
    stored = samples.T.astype(">f4" if bit_depth == "32f" else ">i2", order="C")
    return stored.reshape(-1).view(np.uint8).data


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack(">I", len(body)) + body + b"\0" * (len(body) % 2)


def _extended(sample_rate: int) -> bytes:
    """An 80-bit IEEE 754 number: exponent, then the mantissa with its leading one written out."""
    exponent = sample_rate.bit_length() - 1
    return struct.pack(">HQ", 16383 + exponent, sample_rate << (63 - exponent))
