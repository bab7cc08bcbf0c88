"""The plainest training-free ways to four stems, streaming, to measure separators against."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from stembridge.model.audio import Audio, StemArray
from stembridge.model.dsp.masks import TINY, energy, share
from stembridge.model.dsp.median import RunningMedian, along_frequency
from stembridge.model.dsp.stft import Spectra, window_at
from stembridge.model.evaluation.yardsticks import STEMS
from stembridge.model.separators.protocol import Separator
from stembridge.model.separators.repet import Repet
from stembridge.model.separators.spectral import SpectralSeparator

SPLIT_HZ = 180


class Split(SpectralSeparator):
    """Hits to drums, tones below 180 Hz to bass, the rest to other, or its centre to vocals."""

    name: str = "split"
    stems: tuple[str, ...] = STEMS
    residual_stem: str = "other"

    def __init__(self, sample_rate: int, channels: int, *, centre: bool) -> None:
        window = window_at(sample_rate)
        self._centre = centre
        self._low = np.arange(window // 2 + 1) * (sample_rate / window) < SPLIT_HZ
        self._along_time = RunningMedian(31)
        self._waiting = np.zeros((channels, 0, window // 2 + 1), np.complex64)
        super().__init__(
            sample_rate, channels, window_frames=window, hop_frames=window // 4, behind=15, ahead=15, held=16
        )

    def _restart(self) -> None:
        self._along_time.reset()
        self._waiting = self._waiting[:, :0]

    def _estimate(self, spectra: Spectra, last: bool) -> Iterator[Spectra]:
        tones = self._along_time.push(np.sqrt(energy(spectra).sum(axis=0)), last)
        waiting = np.concatenate([self._waiting, spectra], axis=1)
        mix, self._waiting = waiting[:, : len(tones)], waiting[:, len(tones) :].copy()
        total = energy(mix).sum(axis=0)
        tonal = share(tones, along_frequency(np.sqrt(total), 31))
        centre = np.zeros_like(tonal)
        if self._centre:
            alike = (energy(mix.sum(axis=0)) - total) / np.maximum(total, TINY)
            centre = np.clip(alike, 0, 1) ** np.float32(8)
        high = tonal * ~self._low
        masks = (1 - tonal, tonal * self._low, high * (1 - centre), high * centre)
        yield np.stack([np.asarray(mask * mix, np.complex64) for mask in masks])


class RepetSplit:
    """What does not repeat to vocals, the rest split without them."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._repet: Separator = Repet(sample_rate, channels)
        self._split = Split(sample_rate, channels, centre=False)
        self._mix = np.zeros((channels, 0), np.float32)
        self._vocals = np.zeros((channels, 0), np.float32)

    def push(self, block: Audio) -> StemArray:
        """Four stems, as far as both stages have come."""
        self._mix = np.concatenate([self._mix, block], axis=1)
        return self._after(self._repet.push(block)[1], last=False)

    def flush(self) -> StemArray:
        """The rest."""
        return self._after(self._repet.flush()[1], last=True)

    def _after(self, vocals: Audio, last: bool) -> StemArray:
        frames = vocals.shape[1]
        rest, self._mix = self._mix[:, :frames] - vocals, self._mix[:, frames:]
        stems = self._split.push(rest)
        if last:
            stems = np.concatenate([stems, self._split.flush()], axis=2)
        self._vocals = np.concatenate([self._vocals, vocals], axis=1)
        ready = stems.shape[2]
        stems[3] += self._vocals[:, :ready]
        self._vocals = self._vocals[:, ready:]
        return stems


class Plain:
    """One of them as a yardstick: it is not told the stems."""

    def __init__(self, separator: Split | RepetSplit) -> None:
        self._separator = separator

    def push(self, mix: Audio, stems: StemArray) -> StemArray:
        """Finished frames of the four stems."""
        return self._separator.push(mix)

    def flush(self) -> StemArray:
        """The rest."""
        return self._separator.flush()


def split(sample_rate: int, channels: int) -> Plain:
    """HPSS and a split at 180 Hz."""
    return Plain(Split(sample_rate, channels, centre=False))


def repet_split(sample_rate: int, channels: int) -> Plain:
    """The same behind REPET-SIM."""
    return Plain(RepetSplit(sample_rate, channels))


def centre_split(sample_rate: int, channels: int) -> Plain:
    """The first, with the centre of its highs to vocals."""
    return Plain(Split(sample_rate, channels, centre=True))
