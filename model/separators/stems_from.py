"""Stems that exist already, as files in a folder, in the place of a separator.

Any tool's stems will do, and so will a real multitrack: see `stem_files` for how files are told by
their names. What the files do not add up to is the residual, mix - sum of stems.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from ..audio import Audio, StemArray
from ..errors import AudioFileError
from ..files.decoder import AudioReader, open_audio
from ..units import db_to_gain, format_time
from .stem_files import stem_files

if TYPE_CHECKING:
    from ..dsp.resampler import Resampler

LONGER_S = 0.5
"""How much longer than the song a stem may be before it is taken for another song's."""


def find_stems(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """The stems in a folder by name, in stem order; raises as `stem_files` does."""
    return stem_files(folder).paths


class StemsFrom:
    """A separator that reads its stems from files, in step with the mix.

    The audio that is pushed only sets the pace. Stems at another rate are resampled, mono is copied to
    all channels and folded from more by the mean. A stem that ends early goes on as silence; with the
    song's length given as `frames`, that is told in `warnings`, and a stem that is longer by more than
    `LONGER_S` is refused.

    Raises AudioFileNotFoundError for a folder without stems, ArgumentValueError when two files claim
    one stem, AudioFileError for a file that cannot be read or does not fit the song.
    """

    name = "stems-from"
    latency = 0
    context_frames = 0
    grid = 1

    def __init__(
        self, folder: str | os.PathLike[str], sample_rate: int, channels: int, *, frames: int | None = None
    ) -> None:
        found = stem_files(folder)
        self.sample_rate = sample_rate
        self.channels = channels
        self.stems = tuple(found.paths)
        self.residual_stem = residual_stem_of(self.stems)
        warnings = list(found.left_out)
        self._files: list[_StemFile] = []
        try:
            for name, path in found.paths.items():
                start = round(found.starts_s.get(name, 0) * sample_rate)
                gain = 1 / db_to_gain(found.gains_db.get(name, 0.0))
                self._files.append(_StemFile(path, sample_rate, channels, start, gain))
                warnings += self._files[-1].check_length(frames)
        except Exception:
            self.close()
            raise
        self.warnings = tuple(warnings)

    def reset(self, start_frame: int = 0) -> None:
        """Go on with frame `start_frame` of the song, any frame."""
        for file in self._files:
            file.seek(start_frame)

    def push(self, block: Audio) -> StemArray:
        """The stems' next frames. Shape: block `(channels, n)`; returns `(stems, channels, n)`."""
        return np.stack([file.read(block.shape[1]) for file in self._files])

    def flush(self) -> StemArray:
        """Nothing is held back; start again at frame 0."""
        self.reset()
        return np.zeros((len(self.stems), self.channels, 0), np.float32)

    def close(self) -> None:
        """Release the files; calling it twice is fine."""
        for file in self._files:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _StemFile:
    """One file, read at the rate and channels of the song, with silence around it.

    It begins at frame `start` of the song; `gain` undoes what it was written with.
    """

    def __init__(self, path: Path, sample_rate: int, channels: int, start: int, gain: float) -> None:
        self._start = start
        self._gain = gain
        self._reader: AudioReader = open_audio(path)
        self._path = path
        self._rate = sample_rate
        self._channels = channels
        info = self._reader.info
        if channels not in (1, info.channels) and info.channels != 1:
            self._reader.close()
            raise AudioFileError(
                f"{path}: expected {channels} channels as in the song, or mono; got {info.channels}. "
                "Convert it first"
            )
        self._frames = math.floor(info.frames * sample_rate / info.sample_rate + 0.5)
        self._resampler: Resampler | None = None
        # Rates that are whole multiples of these steps coincide: outer frame k * out = file frame k * in.
        shared = math.gcd(info.sample_rate, sample_rate)
        self._step_in, self._step_out = info.sample_rate // shared, sample_rate // shared
        self.seek(0)

    def check_length(self, frames: int | None) -> list[str]:
        """Warn when the song, `frames` long, goes on after the stem; refuse a stem much longer."""
        end = self._start + self._frames
        if frames is None or end == frames:
            return []
        here, song = format_time(end / self._rate), format_time(frames / self._rate)
        if end > frames + LONGER_S * self._rate:
            raise AudioFileError(
                f"{self._path}: lasts {here}, but the song only {song}: are these another song's stems?"
            )
        if end < frames:
            return [f"{self._path.name}: ends at {here}, the song at {song}; silence follows"]
        return []

    def seek(self, frame: int) -> None:
        """Let the next read start at `frame` of the song."""
        self._silent = max(0, self._start - frame)
        frame = max(0, frame - self._start)
        self._position = frame
        self._ready = np.zeros((self._channels, 0), np.float32)
        info = self._reader.info
        if info.sample_rate == self._rate:
            self._reader.seek(min(frame, info.frames))
            return
        from ..dsp.resampler import Resampler

        # Start so early that the resampler's filter has forgotten the silence before, on a frame that
        # both rates share.
        lead = self._rate // 4
        steps = max(0, frame - lead) // self._step_out
        self._resampler = Resampler(info.sample_rate, self._rate, self._channels)
        self._reader.seek(min(steps * self._step_in, info.frames))
        self._skip = frame - steps * self._step_out

    def read(self, frames: int) -> Audio:
        """The next `frames` frames of the song, shape `(channels, frames)`."""
        out = np.zeros((self._channels, frames), np.float32)
        silent = min(self._silent, frames)
        self._silent -= silent
        frames -= silent
        if self._reader.info.sample_rate == self._rate:
            block = self._adapted(self._reader.read(frames))
        else:
            block = self._resampled(min(frames, max(0, self._frames - self._position)))
        if self._gain != 1.0:
            block = (block.astype(np.float64) * self._gain).astype(np.float32)
        out[:, silent : silent + block.shape[1]] = block
        self._position += frames
        return out

    def close(self) -> None:
        self._reader.close()

    def _resampled(self, frames: int) -> Audio:
        while self._ready.shape[1] < self._skip + frames and self._resampler is not None:
            block = self._reader.read(8192)
            if block.shape[1]:
                more = self._resampler.push(self._adapted(block))
            else:
                more = self._resampler.flush()
                self._resampler = None
            self._ready = np.concatenate([self._ready, more], axis=1)
        block = self._ready[:, self._skip : self._skip + frames]
        self._ready = self._ready[:, self._skip + frames :]
        self._skip = 0
        return block

    def _adapted(self, block: Audio) -> Audio:
        if block.shape[0] == self._channels:
            return block
        if self._channels == 1:
            return np.asarray(block.mean(axis=0, keepdims=True, dtype=np.float64), np.float32)
        return np.repeat(block, self._channels, axis=0)


def residual_stem_of(stems: tuple[str, ...]) -> str:
    for stem in ("other", "accompaniment"):
        if stem in stems:
            return stem
    for stem in stems:
        if stem.startswith("no_"):
            return stem
    return "accompaniment" if stems == ("vocals",) else "other"
