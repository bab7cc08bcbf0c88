"""Songs whose stems are known, read in step with their mix.

A song is a `training.tracks.Track`. Its mix is a file called `mixture` beside the stems, or their sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from ..audio import Audio, AudioInfo, StemArray
from ..errors import AudioFileError
from ..files.decoder import AudioReader, open_audio
from ..separators.stem_files import SUFFIXES
from ..training.tracks import Track

_SAME_AS = {"harmonic": "no_drums", "percussive": "drums"}
"""Which true stem the stems of a separator without instruments are held against."""


def true_parts(track: Track, stem: str, stems: Sequence[str]) -> tuple[str, ...]:
    """The names of the files whose sum is `stem` of a separator that has `stems`; none when not known.

    As `Track.parts`; harmonic is held against everything but the drums, percussive against the drums.
    """
    parts = track.parts(_SAME_AS.get(stem, stem), stems)
    return tuple(name for name, file in track.files.items() if file in parts)


def worth_evaluating(track: Track) -> bool:
    """Whether there is something to take apart: two stems or more, or one beside a mixture."""
    return len(track.files) > 1 or mixture_path(track) is not None


def mixture_path(track: Track) -> Path | None:
    """The file called `mixture` beside a song's stems, if there is one."""
    folder = next(iter(track.files.values())).path.parent
    files = (path for path in sorted(folder.glob("mixture.*")) if path.suffix.lower() in SUFFIXES)
    return next(files, None)


class SongReader:
    """A song's stems and mix, read block by block.

    `info` tells rate, channels and length: those of the mixture, else the first stem's rate, the most
    channels and the greatest length of any stem. Mono stems are copied to all channels; after the end of
    a shorter stem there is silence.

    Raises AudioFileError for files of several rates or channel counts that do not fit each other, and
    what `open_audio` raises.
    """

    def __init__(self, track: Track) -> None:
        self.names = tuple(track.files)
        mixture = mixture_path(track)
        paths = [file.path for file in track.files.values()]
        self._readers: list[AudioReader] = []
        self._mixture: AudioReader | None = None
        try:
            for path in (*paths, *([mixture] if mixture is not None else [])):
                self._readers.append(open_audio(path))
            self._gains = [np.float32(file.gain) for file in track.files.values()]
            if mixture is not None:
                self._mixture = self._readers.pop()
            self.info = self._checked(track.name, mixture or paths[0].parent)
        except Exception:
            self.close()
            raise

    @property
    def has_mixture(self) -> bool:
        """Whether the mix is a file of its own, which may hold more than the stems."""
        return self._mixture is not None

    def seek(self, frame: int) -> None:
        """Let the next read start at `frame`."""
        for reader in self._all():
            reader.seek(min(frame, reader.info.frames))

    def read(self, frames: int) -> tuple[Audio, StemArray]:
        """The next frames of mix and stems, fewer at the end.

        Shape: `(channels, n)` and `(stems, channels, n)`, stems in the order of `names`.
        """
        first = self._mixture or self._readers[0]
        wanted = min(frames, self.info.frames - first.tell()) if self._mixture else frames
        blocks = [reader.read(wanted) for reader in self._readers]
        if self._mixture is None:
            wanted = max(block.shape[1] for block in blocks)
        stems = np.zeros((len(self.names), self.info.channels, wanted), np.float32)
        for stem, block, gain in zip(stems, blocks, self._gains, strict=True):
            # one row goes to all channels
            stem[:, : block.shape[1]] = block if gain == 1 else block * gain
        if self._mixture is None:
            return stems.sum(axis=0), stems
        mix = self._mixture.read(wanted)
        return (mix if mix.shape[0] == self.info.channels else np.repeat(mix, self.info.channels, 0)), stems

    def close(self) -> None:
        """Release the files; calling it twice is fine."""
        for reader in self._all():
            reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _all(self) -> Iterable[AudioReader]:
        return self._readers if self._mixture is None else (*self._readers, self._mixture)

    def _checked(self, name: str, path: Path) -> AudioInfo:
        infos = [reader.info for reader in self._all()]
        rates = sorted({info.sample_rate for info in infos})
        if len(rates) > 1:
            raise AudioFileError(
                f"{name}: expected all files at one sample rate, got {', '.join(map(str, rates))} Hz. "
                "Convert them first"
            )
        counts = {info.channels for info in infos}
        channels = max(counts)
        if counts - {1, channels}:
            raise AudioFileError(
                f"{name}: expected files of {channels} channels or mono, got {sorted(counts)}. "
                "Convert them first"
            )
        frames = infos[-1].frames if self._mixture is not None else max(info.frames for info in infos)
        return AudioInfo(path, rates[0], channels, frames, "32f", "stems")
