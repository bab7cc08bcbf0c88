"""A quick figure for a network in training: the SDR of its stems on fixed excerpts of known songs.

Axes: b segments, s stems, c channels, t times (spectra), f frequency bins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, median

import numpy as np
import torch
from numpy.typing import NDArray

from ..audio import Audio, StemArray
from ..dsp.stft import Istft, Spectra, Stft, spectra_of
from ..errors import ArgumentValueError
from ..networks.spectral_network import SpectralNetwork
from ..residual import joined
from ..training.crops import CropReader
from ..training.tracks import StemFile, Track
from .metrics import Sums
from .songs import worth_evaluating

_STRETCH_S = 30
_SOUNDING = 1e-4
"""A stem sounds in a second where it has more than this much of the mix's mean energy (-40 dB)."""


@dataclass(frozen=True)
class Excerpt:
    """A stretch of a song with its stems, at the network's rate.

    Shape: `stems` `(s, c, n)`, the mix being their sum; `present` `(s,)` is False where a stem is unknown
    (its audio is zero, and it is not scored).
    """

    name: str
    stems: StemArray
    present: NDArray[np.bool_]


@dataclass(frozen=True)
class Validation:
    """Whole-excerpt SDR in dB: `rows` by excerpt and stem, without silent and unknown references."""

    stems: tuple[str, ...]
    rows: Mapping[str, Mapping[str, float]]

    @cached_property
    def mean(self) -> dict[str, float]:
        """Each stem's mean over the excerpts; a stem that was never scored is left out."""
        return self._over(fmean)

    @cached_property
    def median(self) -> dict[str, float]:
        """Each stem's median over the excerpts."""
        return self._over(median)

    @property
    def average(self) -> float:
        """The mean over stems of `mean`, NaN when nothing was scored."""
        return fmean(self.mean.values()) if self.mean else float("nan")

    def _over(self, middle: Callable[[Sequence[float]], float]) -> dict[str, float]:
        columns = {stem: [row[stem] for row in self.rows.values() if stem in row] for stem in self.stems}
        return {stem: middle(column) for stem, column in columns.items() if column}


def validation_sdr(
    network: SpectralNetwork, tracks: Iterable[Track], *, seconds: float | None = None, batch: int = 4
) -> dict[str, float]:
    """The mean SDR in dB of every stem that is known and not silent somewhere in `tracks`.

    Of each track `seconds` are taken, or all of it: see `read_excerpts`; and `validate` for all figures.
    """
    return validate(network, read_excerpts(network, tracks, seconds=seconds), batch=batch).mean


def read_excerpts(
    network: SpectralNetwork, tracks: Iterable[Track], *, seconds: float | None = None
) -> Iterator[Excerpt]:
    """Read `seconds` (None: all) of each track at the network's rate and channels, one by one.

    It is the stretch where most stems sound, and of equal ones the middlemost; always the same. Tracks with
    nothing to take apart (a single stem) or no stem of the network's are passed over.
    """
    config = network.config
    reader = CropReader(config.sample_rate, config.channels)
    for track in tracks:
        files = [track.parts(stem, config.stems) for stem in config.stems]
        if not worth_evaluating(track) or not any(files):
            continue
        start_s, length_s = 0.0, track.seconds
        if seconds is not None and seconds < track.seconds:
            start_s, length_s = _busiest(reader, track.seconds, files, seconds), seconds
        frames = round(length_s * config.sample_rate)
        stems = np.stack([reader.read(parts, start_s, frames) for parts in files])
        yield Excerpt(track.name, stems, np.array([bool(parts) for parts in files]))


def _busiest(
    reader: CropReader, track_s: float, files: Sequence[Sequence[StemFile]], seconds: float
) -> float:
    """Where most stems sound for `seconds`: the start in whole seconds."""
    # (stems, whole seconds of the track)
    energy = np.zeros((len(files), int(track_s)))
    for row, parts in zip(energy, files, strict=True):
        for first in range(0, len(row) if parts else 0, _STRETCH_S):
            count = min(_STRETCH_S, len(row) - first)
            block = reader.read(parts, float(first), count * reader.sample_rate)
            by_second = block.reshape(reader.channels, count, reader.sample_rate)
            row[first : first + count] = np.square(by_second, dtype=np.float64).sum(axis=(0, 2))
    sounding = energy > energy.sum(axis=0).mean() * _SOUNDING
    before = np.concatenate([[0], np.cumsum(sounding.sum(axis=0))])
    length = min(len(before) - 1, int(seconds))
    counts = before[length:] - before[: len(before) - length]
    starts = np.flatnonzero(counts == counts.max())
    return float(starts[np.argmin(np.abs(starts - (len(counts) - 1) / 2))])


def validate(network: SpectralNetwork, excerpts: Iterable[Excerpt], *, batch: int = 4) -> Validation:
    """Separate excerpts and score them against their stems.

    The network runs as it does in a render (segments with context, the residual joins its stem), in
    evaluation mode on the device it is on, `batch` segments at once, and is left in the mode it was in.
    Memory is that of one excerpt. Excerpts of one name share a row, the last one's.
    """
    config = network.config
    rows: dict[str, dict[str, float]] = {}
    training = network.training
    network.eval()
    try:
        for excerpt in excerpts:
            if excerpt.stems.shape[:2] != (len(config.stems), config.channels):
                raise ArgumentValueError(
                    f"{excerpt.name}: expected {len(config.stems)} stems of {config.channels} channels, "
                    f"got shape {excerpt.stems.shape}; read them with read_excerpts"
                )
            rows[excerpt.name] = _scores(network, excerpt, batch)
    finally:
        network.train(training)
    return Validation(config.stems, rows)


def _scores(network: SpectralNetwork, excerpt: Excerpt, batch: int) -> dict[str, float]:
    config = network.config
    mix: Audio = excerpt.stems.sum(axis=0)
    residual_row = config.stems.index(config.residual_stem) if config.residual_stem in config.stems else None
    sums = Sums(len(config.stems))
    at = 0
    for stems in separate(network, mix, batch):
        stretch = slice(at, at + stems.shape[2])
        at = stretch.stop
        if residual_row is not None:
            stems = joined(mix[:, stretch], stems, residual_row)
        sums.add(mix[:, stretch], excerpt.stems[:, :, stretch], stems)
    figures = sums.figures()
    scored = zip(config.stems, figures, excerpt.present, strict=True)
    return {name: figure.sdr_db for name, figure, known in scored if known and figure.sdr_db is not None}


def separate(network: SpectralNetwork, mix: Audio, batch: int = 4) -> Iterator[StemArray]:
    """Yield the network's own estimates of a mix, stretch by stretch.

    Shape: mix `(c, n)`; yields `(s, c, m)`, n frames in all. Segments are as `SpectralNetwork` says.
    """
    config = network.config
    keep = network.segment_times - 2 * network.context_times
    stems, channels, frames = len(config.stems), config.channels, mix.shape[1]
    istft = Istft(config.window_frames, config.hop_frames, stems * channels)
    left = spectra_of(frames, config.window_frames, config.hop_frames)
    for estimates in _segments(network, mix, keep, batch):
        used = estimates[:, :, :left]  # beyond the end there is nothing but padding
        left -= used.shape[2]
        audio = istft.push(used.reshape(stems * channels, *used.shape[2:]))
        yield audio.reshape(stems, channels, -1)
    yield istft.flush(frames).reshape(stems, channels, -1)


def _segments(network: SpectralNetwork, mix: Audio, keep: int, batch: int) -> Iterator[Spectra]:
    """Estimates `(s, c, t, f)` of `keep * batch` spectra at a time, zeros before and after the song."""
    config, context = network.config, network.context_times
    device = next(iter(network.parameters()), torch.empty(0)).device
    stft = Stft(config.window_frames, config.hop_frames, config.channels)
    waiting = np.zeros((config.channels, context, config.bins), np.complex64)
    step = keep * batch * config.hop_frames
    left = spectra_of(mix.shape[1], config.window_frames, config.hop_frames)
    for start in range(0, mix.shape[1], step):
        parts = [waiting, stft.push(mix[:, start : start + step])]
        if start + step >= mix.shape[1]:
            parts += [stft.flush()]
        waiting = np.concatenate(parts, axis=1)
        last = start + step >= mix.shape[1]
        while left > 0 and (last or waiting.shape[1] >= keep * batch + 2 * context):
            count = min(batch, -(-left // keep))
            needed = keep * count + 2 * context
            padded = np.pad(waiting[:, :needed], [(0, 0), (0, max(0, needed - waiting.shape[1])), (0, 0)])
            segments = [padded[:, k * keep : (k + 1) * keep + 2 * context] for k in range(count)]
            with torch.no_grad():
                # (b, c, t, f) -> (b, s, c, t, f)
                estimates = network(torch.from_numpy(np.stack(segments)).to(device)).cpu().numpy()
            kept = estimates[:, :, :, context : context + keep]
            # (b, s, c, t, f) -> (s, c, b * t, f)
            yield np.concatenate(list(kept), axis=2)
            waiting = waiting[:, keep * count :]
            left -= keep * count
