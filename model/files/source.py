"""Where samples come from: one small protocol, and pedalboard behind it."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pedalboard.io import ReadableAudioFile

from ..audio import Audio
from ..errors import AudioFileError
from .containers.splice import Splice

_BIT_DEPTHS = {"int8": "8", "int16": "16", "int24": "24", "int32": "32", "float64": "64f"}
_DECODE_ERRORS = (ValueError, RuntimeError, OSError)


class Source(Protocol):
    """Something that gives the samples of one file in order and can be sent to a frame."""

    sample_rate: float
    channels: int
    frames: int
    bit_depth: str

    def read(self, frames: int) -> Audio:
        """The next `frames` frames, or fewer; none at the end. Shape `(channels, n)`."""

    def seek(self, frame: int) -> None:
        """Let the next read start at `frame`."""

    def close(self) -> None:
        """Release the file; calling it twice is fine."""


_LAST_READ_S = 10.0


class PedalboardSource:
    """A stream decoded by pedalboard from a file, or from a splice of it.

    pedalboard scales integers by 1 / (2^(bits-1) - 1), so that +1.0 is reached and -1.0 overshot. Here a
    sample is n / 2^(bits-1): exact in float32 up to 24 bits, and what other readers give.

    Raises AudioFileError when pedalboard cannot open or decode.
    """

    def __init__(self, path: Path, spliced: Splice | None = None, *, delete: bool = False) -> None:
        self._path = path
        self._spliced = spliced
        self._delete = delete
        try:
            # the stubs know nothing of the file-likes that the documentation promises
            self._file = ReadableAudioFile(str(path) if spliced is None else spliced)  # type: ignore[arg-type]
        except _DECODE_ERRORS as error:
            self._release()
            raise AudioFileError(f"{path}: cannot be decoded ({error})") from error
        self._dtype = self._file.file_dtype
        self.sample_rate = float(self._file.samplerate)
        self.channels = int(self._file.num_channels)
        self.frames = int(self._file.frames)
        self.bit_depth = _BIT_DEPTHS.get(self._dtype, "32f")

    def read(self, frames: int) -> Audio:
        try:
            if self._dtype in ("int8", "int16"):
                raw = self._file.read_raw(frames)
                self._see(raw)
                scale = np.float32(2.0 ** (1 - 8 * raw.dtype.itemsize))
                return np.multiply(raw, scale, dtype=np.float32)
            audio: Audio = self._file.read(frames)
        except _DECODE_ERRORS as error:
            raise AudioFileError(f"{self._path}: decoding failed ({error})") from error
        if self._dtype == "int24":
            # read_raw refuses 24 bits; undoing the scale and rounding finds every one of the 2^24
            # integers again, in float32 too
            np.multiply(audio, np.float32(2**23 - 1), out=audio)
            np.rint(audio, out=audio)
            self._see(audio)
            np.multiply(audio, np.float32(2.0**-23), out=audio)
        return audio

    def _see(self, integers: NDArray[np.integer[Any] | np.float32]) -> None:
        """For those who want to see 8, 16 and 24 bit samples as integers, `(channels, frames)`."""

    def seek(self, frame: int) -> None:
        self._file.seek(frame)

    def close(self) -> None:
        # After an interrupt a thread that reads ahead may still be in the middle of a block.
        until = time.monotonic() + _LAST_READ_S
        while True:
            try:
                self._file.close()
                break
            except RuntimeError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.005)
        self._release()

    def _release(self) -> None:
        if self._spliced is not None:
            self._spliced.close()
        if self._delete:
            self._path.unlink(missing_ok=True)


class FlacSource(PedalboardSource):
    """FLAC, compared with the checksum of its samples when it is read from start to end.

    A FLAC decoder passes silence or noise on where the file is damaged; only the checksum tells.
    """

    def __init__(self, path: Path, spliced: Splice | None, frames: int, md5: bytes | None) -> None:
        super().__init__(path, spliced)
        self._md5 = md5
        self._total = frames
        self._at = 0
        self._hash: hashlib._Hash | None = hashlib.md5(usedforsecurity=False) if md5 else None

    def read(self, frames: int) -> Audio:
        audio = super().read(min(frames, self._total - self._at))
        self._at += audio.shape[1]
        if self._hash is not None and self._at == self._total and self._hash.digest() != self._md5:
            raise AudioFileError(
                f"{self._path}: its samples do not match the checksum in its header: it is damaged. "
                "Download or export it again (or decode it to WAV, to use it as it is)"
            )
        return audio

    def _see(self, integers: NDArray[np.integer[Any] | np.float32]) -> None:
        if self._hash is None or integers.shape[1] == 0:
            return
        if integers.dtype == np.float32:
            grid = integers.T.astype("<i4", order="C")
            self._hash.update(np.ascontiguousarray(grid.view(np.uint8).reshape(-1, 4)[:, :3]).data)
        else:
            little = integers.dtype.newbyteorder("<")
            self._hash.update(integers.T.astype(little, order="C").data)

    def seek(self, frame: int) -> None:
        super().seek(frame)
        self._at = frame
        self._hash = hashlib.md5(usedforsecurity=False) if self._md5 and frame == 0 else None
