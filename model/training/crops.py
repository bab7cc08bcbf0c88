"""A stretch of a song's stem at the network's rate, wherever it is and whatever the file is."""

from __future__ import annotations

import math
import os
from collections import OrderedDict
from collections.abc import Iterable

import numpy as np
import soxr
from numpy.typing import NDArray

from ..audio import Audio
from ..errors import AudioFileError
from ..files.decoder import AudioReader, open_audio
from .tracks import StemFile

_QUALITY = "HQ"
_MARGIN = 128
"""Frames, of the lower rate, that the resampler's filter reads on either side."""
_GRID = 160
"""Places to begin from which the best is taken: exact for 44.1 and 48 kHz, 1/300 of a frame for others."""
_OPEN_FILES = 64


class CropReader:
    """Reads stretches of files; keeps the decoders of the last few open.

    It may be copied into other processes: each has its own open files.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self.sample_rate = sample_rate
        self.channels = channels
        self._open: OrderedDict[os.PathLike[str], AudioReader] = OrderedDict()
        self._process = os.getpid()

    def read(self, files: Iterable[StemFile], start_s: float, frames: int, speed: float = 1.0) -> Audio:
        """The sum of `files` from `start_s` on, played `speed` times as fast (and as high).

        Shape: `(channels, frames)`. Silence before the beginning and after the end; mono becomes stereo,
        stereo mono, and of more channels the first are taken. Raises AudioFileError for what cannot be
        read.
        """
        total: Audio | None = None
        for file in files:
            crop = self._crop(file, start_s, frames, speed)
            total = crop if total is None else np.add(total, crop, out=total)
        return np.zeros((self.channels, frames), np.float32) if total is None else total

    def _crop(self, file: StemFile, start_s: float, frames: int, speed: float) -> Audio:
        # source frames for one frame of the network's
        ratio = file.sample_rate * speed / self.sample_rate
        if ratio == 1.0:
            return self._samples(file, math.floor(start_s * file.sample_rate + 0.5), frames)
        first = start_s * file.sample_rate
        # the resampler starts `lead` frames before, where a source frame (almost) falls on one of ours
        leads = math.ceil(_MARGIN / min(1.0, ratio)) + np.arange(_GRID)
        places = first - leads * ratio
        best = int(np.argmin(np.abs(places - np.rint(places))))
        lead, begin = int(leads[best]), round(places[best])
        source = self._samples(file, begin, math.ceil((frames + 2 * lead) * ratio))
        if not source.any():
            return np.zeros((self.channels, frames), np.float32)
        out: NDArray[np.float32] = soxr.resample(
            source.T, file.sample_rate * speed, self.sample_rate, quality=_QUALITY
        )
        return np.ascontiguousarray(out[lead : lead + frames].T)

    def _samples(self, file: StemFile, begin: int, frames: int) -> Audio:
        """Frames from `begin` on, silence where the file has none; shape `(channels, frames)`."""
        start, stop = max(begin, 0), min(begin + frames, file.frames)
        crop = np.empty((self.channels, frames), np.float32)
        if stop <= start:
            crop.fill(0.0)
            return crop
        crop[:, : start - begin] = 0.0
        crop[:, stop - begin :] = 0.0
        inside = crop[:, start - begin : stop - begin]
        if file.wav_start is not None:
            first_byte = file.wav_start + start * 2 * file.channels
            self._mix_channels(self._integers(file, first_byte, stop - start), inside, file.gain * 2.0**-15)
        else:
            self._mix_channels(self._decoded(file, start, stop - start), inside, file.gain)
        return crop

    def _integers(self, file: StemFile, first_byte: int, frames: int) -> NDArray[np.int16]:
        """Plain 16-bit samples, shape `(file's channels, frames)`."""
        try:
            with file.path.open("rb", buffering=0) as opened:
                opened.seek(first_byte)
                raw = opened.read(frames * 2 * file.channels)
        except OSError as error:
            raise AudioFileError(f"{file.path}: cannot be read ({error})") from error
        if len(raw) != frames * 2 * file.channels:
            raise AudioFileError(f"{file.path}: is shorter than it was when training began")
        return np.frombuffer(raw, "<i2").reshape(frames, file.channels).T

    def _decoded(self, file: StemFile, start: int, frames: int) -> Audio:
        if self._process != os.getpid():  # after a fork; the files are the other process's
            self._open, self._process = OrderedDict(), os.getpid()
        reader = self._open.pop(file.path, None) or open_audio(file.path)
        try:
            reader.seek(start)
            audio = reader.read(frames)
        except BaseException:
            reader.close()
            raise
        self._open[file.path] = reader
        if len(self._open) > _OPEN_FILES:
            self._open.popitem(last=False)[1].close()
        return audio

    def _mix_channels(self, source: NDArray[np.float32] | NDArray[np.int16], out: Audio, gain: float) -> None:
        """Write `source` times `gain` to `out`, with as many channels as that has."""
        if self.channels == 1 and len(source) > 1:
            np.multiply(source[:2].mean(axis=0, dtype=np.float32), np.float32(gain), out=out[0])
            return
        for channel in range(self.channels):
            np.multiply(source[min(channel, len(source) - 1)], np.float32(gain), out=out[channel])

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_open": OrderedDict()}
