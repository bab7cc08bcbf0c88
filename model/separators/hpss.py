"""Harmonic and percussive parts by median filters.

Tones are lines along time in a spectrogram, hits are lines along frequency: a running median along time
keeps the one and removes the other, along frequency the other way round (Fitzgerald, "Harmonic/percussive
separation using median filtering", DAFx 2010). Margins above 1 keep what is neither out of both (Driedger,
Mueller and Disch, "Extending harmonic-percussive separation of audio signals", ISMIR 2014). The same as
`librosa.decompose.hpss`, channel by channel.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..dsp.masks import energy, share
from ..dsp.median import RunningMedian, along_frequency
from ..dsp.stft import Spectra, window_at
from ..errors import ArgumentValueError
from .spectral import SpectralSeparator


class Hpss(SpectralSeparator):
    """Harmonic and percussive parts; training-free."""

    name: str = "hpss"
    stems: tuple[str, ...] = ("harmonic", "percussive")
    residual_stem: str = "harmonic"

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        *,
        harmonic_frames: int = 31,
        percussive_bins: int = 31,
        margin_harmonic: float = 1.0,
        margin_percussive: float = 1.0,
        power: float = 2.0,
    ) -> None:
        """The two lengths are those of the medians, odd, in hops (11.6 ms) and bins (21.5 Hz)."""
        if min(margin_harmonic, margin_percussive) < 1 or power <= 0:
            raise ArgumentValueError(
                "hpss needs margins of 1 or more and a power above 0; "
                f"got {margin_harmonic}, {margin_percussive} and {power}"
            )
        window = window_at(sample_rate)
        self._along_time = RunningMedian(harmonic_frames)
        self._percussive_bins = percussive_bins
        self._margins = margin_harmonic, margin_percussive
        self._power = power
        self._waiting = np.zeros((channels, 0, window // 2 + 1), np.complex64)
        super().__init__(
            sample_rate,
            channels,
            window_frames=window,
            hop_frames=window // 4,
            behind=harmonic_frames // 2,
            ahead=harmonic_frames // 2,
            held=self._along_time.latency - harmonic_frames // 2,
        )

    def _restart(self) -> None:
        self._along_time.reset()
        self._waiting = self._waiting[:, :0]

    def _estimate(self, spectra: Spectra, last: bool) -> Iterator[Spectra]:
        channels, times, bins = spectra.shape
        rows = np.sqrt(energy(spectra)).swapaxes(0, 1).reshape(times, channels * bins)
        harmonic = self._along_time.push(rows, last)
        waiting = np.concatenate([self._waiting, spectra], axis=1)
        mix, self._waiting = waiting[:, : len(harmonic)], waiting[:, len(harmonic) :].copy()
        harmonic = harmonic.reshape(len(harmonic), channels, bins).swapaxes(0, 1)
        percussive = along_frequency(np.sqrt(energy(mix)), self._percussive_bins)
        # What is silent in both medians is shared, unless margins say that some of it belongs to neither.
        neither = 0.5 if self._margins == (1, 1) else 0.0
        masks = (
            share(harmonic, percussive, self._power, self._margins[0], neither),
            share(percussive, harmonic, self._power, self._margins[1], neither),
        )
        yield np.stack([mask * mix for mask in masks])
