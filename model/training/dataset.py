"""Segments of songs for a network to learn from; sample n is the same whenever and wherever it is made."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..audio import Audio, StemArray
from ..errors import ArgumentValueError, AudioFileError, AudioFileNotFoundError
from ..platform import keep_freed_memory
from .augmentation import Augment, augment
from .crops import CropReader
from .tracks import Track, TrackWarning

Sample = tuple[StemArray, NDArray[np.bool_]]
"""Stems `(s, c, n)` and which of them are known `(s,)`."""

_LENGTH = 2**62
_CHOICES = 3
"""Places in a song that are looked at before a quiet one is taken."""
_QUIET = 1e-3
"""RMS below which a stem counts as silent: -60 dBFS."""
_AHEAD = 1 << 31
"""Bytes of batches that wait in shared memory, about."""
_ATTEMPTS = 50
"""Songs that may turn out unreadable before training stops."""


class SegmentDataset(Dataset[Sample]):
    """Segments of `frames` frames at `sample_rate`, cut from songs at random, remixed and augmented.

    Sample n depends on nothing but `tracks`, `seed` and n. Songs are drawn by their length times their
    weight; where a song has one known stem only, it lends it to others. Raises ArgumentValueError when
    no track has one of the `stems`.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        *,
        stems: Sequence[str],
        sample_rate: int,
        channels: int,
        frames: int,
        seed: int,
        augment: Augment,
    ) -> None:
        self.stems, self.sample_rate, self.channels = tuple(stems), sample_rate, channels
        self.frames, self.seed, self.augment = frames, seed, augment
        self.tracks = list(tracks)
        self._parts = [[track.parts(stem, self.stems) for stem in self.stems] for track in self.tracks]
        share = np.array([track.seconds * track.weight for track in self.tracks])
        known = np.array([[len(parts) > 0 for parts in row] for row in self._parts]).reshape(-1, len(stems))
        # lenders of each stem, and songs to begin with, as running sums of their shares
        self._lenders = [np.cumsum(share * known[:, stem]) for stem in range(len(self.stems))]
        several = known.sum(axis=1) > 1
        self._songs = np.cumsum(share * (several if several.any() else known.any(axis=1)))
        if len(self.tracks) == 0 or self._songs[-1] <= 0.0:
            names = sorted({name for track in self.tracks for name in track.files})
            raise ArgumentValueError(
                f"expected songs with the stems {', '.join(self.stems)}; "
                f"got {len(self.tracks)} with {', '.join(names) or 'nothing'}"
            )
        self._reader = CropReader(sample_rate, channels)
        self._warned: set[str] = set()

    def __len__(self) -> int:
        return _LENGTH

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`: any number from 0 on.

        Raises AudioFileError when one song after the other cannot be read.
        """
        rng = np.random.default_rng([self.seed, index])
        for _ in range(_ATTEMPTS):
            try:
                stems, present = self._segment(rng, self.augment.remix_at(index))
            except (AudioFileError, AudioFileNotFoundError) as error:
                self._warn(str(error))
                continue
            return augment(stems, self.sample_rate, self.augment, rng), present
        raise AudioFileError(f"none of {_ATTEMPTS} songs could be read; are they still there?")

    def _segment(self, rng: np.random.Generator, remix: float) -> Sample:
        number = _draw(self._songs, rng)
        chosen = [number] * len(self.stems)
        for stem, lenders in enumerate(self._lenders):
            if rng.random() < remix and lenders[-1] > 0.0:
                chosen[stem] = _draw(lenders, rng)
        stems = np.zeros((len(self.stems), self.channels, self.frames), np.float32)
        kept = [stem for stem, song in enumerate(chosen) if song == number and self._parts[number][stem]]
        self._cut(number, kept, stems, rng)
        for stem, song in enumerate(chosen):
            if song != number:
                self._cut(song, [stem], stems, rng)
        present = np.array([bool(self._parts[song][stem]) for stem, song in enumerate(chosen)])
        return stems, present

    def _cut(self, number: int, kept: list[int], stems: StemArray, rng: np.random.Generator) -> None:
        """Fill in some stems of one song, from the least quiet of a few places."""
        if not kept:
            return
        speed = self.augment.speed_of_song(rng)
        room = self.tracks[number].seconds - self.frames / self.sample_rate * speed
        wanted = min(2, len(kept))
        best: list[Audio] = []
        most = -1
        for _ in range(_CHOICES):
            # a song shorter than the segment lies anywhere in it
            start_s = rng.uniform(min(room, 0.0), max(room, 0.0))
            crops = [
                self._reader.read(self._parts[number][stem], start_s, self.frames, speed) for stem in kept
            ]
            loud = sum(_rms(crop) > _QUIET for crop in crops)
            if loud > most:
                best, most = crops, loud
            if loud >= wanted:
                break
        for stem, crop in zip(kept, best, strict=True):
            stems[stem] = crop

    def _warn(self, problem: str) -> None:
        if problem not in self._warned:
            self._warned.add(problem)
            warnings.warn(f"left out: {problem}", TrackWarning, stacklevel=3)


def make_loader(
    dataset: SegmentDataset, *, batch: int, start_index: int, workers: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches without end from sample `start_index` on: stems `(b, s, c, n)` and present `(b, s)`.

    The same batches in the same order for every number of `workers` (processes; 0 makes them on
    request). They are pinned where there is CUDA.
    """
    bytes_ahead = 4 * batch * len(dataset.stems) * dataset.channels * dataset.frames * max(workers, 1)
    loader = DataLoader(
        dataset,
        batch_size=batch,
        sampler=_From(start_index),
        num_workers=workers,
        collate_fn=_collate,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_prepare_worker,
        prefetch_factor=max(1, min(4, _AHEAD // bytes_ahead)) if workers else None,
    )
    return cast(Iterator[tuple[Tensor, Tensor]], iter(loader))


class _From:
    """The numbers from `start` on, as a sampler."""

    def __init__(self, start: int) -> None:
        self._start = start

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._start, _LENGTH))

    def __len__(self) -> int:
        return _LENGTH - self._start


def _collate(samples: list[Sample]) -> tuple[Tensor, Tensor]:
    stems = torch.from_numpy(np.stack([stems for stems, _ in samples]))
    return stems, torch.from_numpy(np.stack([present for _, present in samples]))


def _prepare_worker(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process hears Ctrl-C and ends the workers
    keep_freed_memory()


def _draw(shares: NDArray[np.float64], rng: np.random.Generator) -> int:
    """A number drawn by shares that are given as running sums."""
    return int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))


def _rms(audio: Audio) -> float:
    flat = audio.reshape(-1)
    return float(np.sqrt(np.dot(flat, flat) / flat.size))
