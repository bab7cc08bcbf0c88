"""Codecs that a library encodes, fed with blocks of one size however the audio comes.

All of them write into a `Sink`, which keeps what goes wrong in the file under the library.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .audio import BitDepth
from .sink import Sink

Samples = NDArray[np.int32] | NDArray[np.float32]

_BLOCK = 16384  # frames; a Vorbis write of a minute at once overflows libsndfile's stack


class Encoder(Protocol):
    """Takes samples `(channels, frames)`, int32 from `quantise` or float32, and fills a sink."""

    def write(self, samples: Samples) -> None:
        """Encode some more."""

    def finish(self) -> None:
        """Encode what is held back and complete the file; the sink stays open."""

    def abort(self) -> None:
        """Let go of the library's handles."""


class FlacEncoder:
    """FLAC by libsndfile, 16 or 24 bits."""

    def __init__(self, sink: Sink, bit_depth: BitDepth, sample_rate: int, channels: int) -> None:
        import soundfile

        self._sink = sink
        self._shift = 16 if bit_depth == "16" else 8  # libsndfile wants full-scale 32-bit integers
        self._file: Any = soundfile.SoundFile(
            sink, "w", sample_rate, channels, subtype=f"PCM_{bit_depth}", format="FLAC"
        )
        sink.check()

    def write(self, samples: Samples) -> None:
        """Encode integers."""
        interleaved = np.ascontiguousarray(samples.T, dtype=np.int32)
        for start in range(0, len(interleaved), _BLOCK):
            self._file.write(interleaved[start : start + _BLOCK] << self._shift)
            self._sink.check()

    def finish(self) -> None:
        """Write the last frame and the stream's length and checksum."""
        self._file.close()
        self._sink.check()

    def abort(self) -> None:
        """Close libsndfile's handle."""
        self._file.close()
