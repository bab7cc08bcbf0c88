"""Samples from what `pedalboard.io` decodes, scaled so that integers come out exactly."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from pedalboard.io import AudioFile, ReadableAudioFile

from .audio import Audio
from .errors import AudioFileError

_BIT_DEPTHS = {"int8": "8", "int16": "16", "int24": "24", "int32": "32", "float32": "32f", "float64": "64f"}


class Source(Protocol):
    """Something that gives samples of one stream in order and can be sent to a frame."""

    sample_rate: float
    channels: int
    frames: int

    def read(self, frames: int) -> Audio:
        """The next `frames` frames, or fewer; none at the end. Shape `(channels, n)`."""

    def seek(self, frame: int) -> None:
        """Let the next read start at `frame`."""

    def close(self) -> None:
        """Release the file; calling it twice is fine."""


class PedalboardSource:
    """A stream decoded by pedalboard from a path or from an open binary file.

    pedalboard scales integers by 1 / (2^(bits-1) - 1), so that +1.0 is reached and -1.0 overshot. Here a
    sample is n / 2^(bits-1): exact in float32 up to 24 bits, and what every other reader gives.

    Raises AudioFileError when pedalboard cannot open or decode.
    """

    def __init__(self, file: Path | BinaryIO, name: str) -> None:
        self._name = name
        try:
            # pedalboard's stubs lack the overload for file-likes in read mode with a plain BinaryIO
            opened = AudioFile(str(file)) if isinstance(file, Path) else AudioFile(file)
        except (ValueError, RuntimeError, OSError) as error:
            raise AudioFileError(f"{name}: cannot be decoded ({error})") from error
        assert isinstance(opened, ReadableAudioFile)
        self._file = opened
        self._dtype = opened.file_dtype
        self.sample_rate = float(opened.samplerate)
        self.channels = int(opened.num_channels)
        self.frames = int(opened.frames)
        self.bit_depth = _BIT_DEPTHS.get(self._dtype, "32f")

    def read(self, frames: int) -> Audio:
        try:
            if self._dtype in ("int8", "int16"):
                raw = self._file.read_raw(frames)
                scale = np.float32(2.0 ** (1 - 8 * raw.dtype.itemsize))
                return np.multiply(raw, scale, dtype=np.float32)
            audio: Audio = self._file.read(frames)
        except (ValueError, RuntimeError, OSError) as error:
            raise AudioFileError(f"{self._name}: decoding failed ({error})") from error
        if self._dtype == "int24":
            # read_raw refuses 24 bits; undoing the scale and rounding finds every one of the 2^24
            # integers again, also in float32
            np.multiply(audio, np.float32(2**23 - 1), out=audio)
            np.rint(audio, out=audio)
            np.multiply(audio, np.float32(2.0**-23), out=audio)
        return audio

    def seek(self, frame: int) -> None:
        self._file.seek(frame)

    def close(self) -> None:
        self._file.close()
