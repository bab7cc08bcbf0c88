"""Samples from libsndfile, where pedalboard cannot be right.

That is what it does not read (W64, CAF, AU, big-endian WAV, ADPCM, AIFF-C's codecs), and MP3: in some
granules with window switching pedalboard 0.9 decodes wrong samples, off by up to 0.02 in a real song at
128 kbit/s (-60 dB over the song), where libsndfile's mpg123 and ffmpeg agree within 3e-6.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from ..audio import Audio
from ..errors import AudioFileError
from .containers.mp3 import INDEX_STEP, PREROLL, Mp3Layout
from .containers.splice import Splice

_ERRORS = (soundfile.SoundFileError, ValueError, RuntimeError, OSError)
_BIT_DEPTHS = {
    "PCM_S8": "8",
    "PCM_U8": "8",
    "PCM_16": "16",
    "PCM_24": "24",
    "PCM_32": "32",
    "FLOAT": "32f",
    "DOUBLE": "64f",
}


class _Forward(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that is not sought behind our back.

    soundfile seeks to where it already is after every read; in an MP3 that throws the bit reservoir away,
    and the next frames come out wrong.
    """

    def seekable(self) -> bool:
        return False


class SoundfileSource:
    """A stream decoded by libsndfile.

    Raises AudioFileError when it cannot open or decode.
    """

    def __init__(self, path: Path, spliced: Splice | None = None) -> None:
        self._path = path
        self._spliced = spliced
        file: Path | BinaryIO | Splice = path if spliced is None else spliced
        try:
            self._file = _Forward(file)
        except _ERRORS as error:
            self._release()
            raise AudioFileError(f"{path}: cannot be decoded ({error})") from error
        self.sample_rate = float(self._file.samplerate)
        self.channels = int(self._file.channels)
        self.frames = int(self._file.frames)
        self.bit_depth = _BIT_DEPTHS.get(self._file.subtype, "lossy")

    def read(self, frames: int) -> Audio:
        try:
            interleaved = self._file.read(frames, dtype="float32", always_2d=True)
        except _ERRORS as error:
            raise AudioFileError(f"{self._path}: decoding failed ({error})") from error
        return np.ascontiguousarray(interleaved.T)

    def seek(self, frame: int) -> None:
        self._file.seek(frame)

    def close(self) -> None:
        self._file.close()
        self._release()

    def _release(self) -> None:
        if self._spliced is not None:
            self._spliced.close()


class Mp3Source:
    """MP3 without the encoder's and decoder's delay, from any sample on.

    Decoders seek MP3 by guess or without the bit reservoir, so each seek opens the decoder anew, on a
    multiple of `INDEX_STEP` frames and early enough for the reservoir, the transform's overlap and the
    filter bank to be what they are when decoding from the start: every sample is then the same, bit for
    bit.
    """

    _OVERLAP = 2
    """MPEG frames until overlap and filter bank have forgotten the silence before them."""
    _CHUNK = 1 << 16

    def __init__(self, path: Path, layout: Mp3Layout) -> None:
        self._path = path
        self._layout = layout
        self._decoder: SoundfileSource | None = None
        self.sample_rate = float(layout.sample_rate)
        self.channels = layout.channels
        self.frames = layout.frames
        self.bit_depth = "lossy"
        self.seek(0)

    def read(self, frames: int) -> Audio:
        assert self._decoder is not None
        return self._decoder.read(frames)

    def seek(self, frame: int) -> None:
        self.close()
        layout = self._layout
        length = layout.frame_length
        sample = frame + layout.skip
        first = max(0, sample // length - self._OVERLAP - PREROLL) // INDEX_STEP * INDEX_STEP
        self._decoder = SoundfileSource(self._path, Splice(self._path, layout.mended(first)))
        # the leading silent frame, less the decoder's own delay that mpg123 has cut off already
        lead = length - ((layout.mpeg_frames - first + 1) * length - self._decoder.frames)
        ahead = sample - first * length + lead
        while ahead > 0 and (n := self._decoder.read(min(ahead, self._CHUNK)).shape[1]):
            ahead -= n

    def close(self) -> None:
        if self._decoder is not None:
            self._decoder.close()
