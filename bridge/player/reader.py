"""The plain song, or the sum of a folder of stems, frame by frame at the device's rate, from any place."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
from stembridge.model.audio import Audio
from stembridge.model.dsp.resampler import Resampler
from stembridge.model.errors import AudioFileError
from stembridge.model.files.decoder import open_audio
from stembridge.model.separators.stem_files import stem_files


class SongReader:
    """Reads a song as the device wants it. Not for several threads at once."""

    def __init__(self, path: Path, sample_rate: int | None = None) -> None:
        """Open a file or a folder of stems; `sample_rate` None keeps the song's own.

        Raises AudioFileError or AudioFileNotFoundError for what cannot be read, or stems of several rates.
        """
        self.path = path
        self._files = ExitStack()
        try:
            paths = list(stem_files(path).paths.values()) if path.is_dir() else [path]
            self._readers = [self._files.enter_context(open_audio(one)) for one in paths]
        except BaseException:
            self._files.close()
            raise
        infos = [reader.info for reader in self._readers]
        rates = {info.sample_rate for info in infos}
        if len(rates) > 1:
            self._files.close()
            raise AudioFileError(
                f"{path}: stems of one rate are expected; got {', '.join(map(str, sorted(rates)))} Hz"
            )
        self.own_rate = infos[0].sample_rate
        self.sample_rate = sample_rate or self.own_rate
        self.channels = max(info.channels for info in infos)
        self._own_frames = max(info.frames for info in infos)
        self._resampler = Resampler(self.own_rate, self.sample_rate, self.channels, anchored=True)
        self.frames = (2 * self._own_frames * self.sample_rate + self.own_rate) // (2 * self.own_rate)
        self._at = 0
        """The frame that the next `read` gives."""
        self._own_at = 0
        self._ready = np.zeros((self.channels, 0), np.float32)
        self._skip = 0

    def seek(self, frame: int) -> None:
        """Go on from a frame."""
        if frame == self._at:
            return
        self._at = frame
        self._ready = np.zeros((self.channels, 0), np.float32)
        if self._resampler.passthrough:
            self._own_at, self._skip = frame, 0
            return
        # Begin at an anchor whose context lies before the frame: then every sample is as in one go.
        own = frame * self.own_rate // self.sample_rate
        grid = self._resampler.grid
        start = max(own - self._resampler.context_frames, 0) // grid * grid
        self._resampler.reset(start)
        self._own_at = start
        self._skip = frame - start * self.sample_rate // self.own_rate

    def read(self, frames: int) -> Audio:
        """The next frames `(channels, n)`; fewer only at the end."""
        frames = min(frames, self.frames - self._at)
        while self._ready.shape[1] < frames + self._skip:
            count = min(65_536, self._own_frames - self._own_at)
            more = self._resampler.push(self._own(count)) if count else self._resampler.flush()
            self._ready = np.concatenate([self._ready, more], axis=1)
            if count == 0 and self._ready.shape[1] < frames + self._skip:
                short = frames + self._skip - self._ready.shape[1]
                self._ready = np.pad(self._ready, ((0, 0), (0, short)))
        out = self._ready[:, self._skip : self._skip + frames]
        self._ready = self._ready[:, self._skip + frames :]
        self._skip = 0
        self._at += frames
        return np.ascontiguousarray(out)

    def close(self) -> None:
        """Release the files. Twice is fine."""
        self._files.close()

    def _own(self, frames: int) -> Audio:
        """Frames at the song's own rate; stems are summed, mono ones in every channel."""
        total = np.zeros((self.channels, frames), np.float32)
        for reader in self._readers:
            left = max(min(frames, reader.info.frames - self._own_at), 0)
            if left:
                reader.seek(self._own_at)
                audio = reader.read(left)
                total[:, :left] += audio if audio.shape[0] == self.channels else audio.mean(axis=0)
        self._own_at += frames
        return total
