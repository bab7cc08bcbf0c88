"""Figures on magnitude spectrograms: what a network that knows no phase can be held responsible for.

The spectrogram is that of the U-Net reproductions, whatever the rate of the song: Hann windows of 1/8 s
every 3/32 s (1024 and 768 frames at 8192 Hz), magnitudes of all channels. With M_s that of a reference,
M_e that of its estimate and M_x that of the mix:

- MAE = mean of |M_e - M_s| / max M_x over channels, times and the 512 bins below 4096 Hz: every magnitude
  is divided by the largest one in the whole spectrogram of the song's mix, so that the mix lies in 0..1.
- SNR = 10 log10(sum M_s^2 / sum (M_e - M_s)^2) over all bins. (That of the waveform is the SDR.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..audio import Audio, StemArray
from ..dsp.stft import Spectra, Stft
from .metrics import ratio_db

WINDOW_S = 1 / 8
HOP_S = 3 / 32
HIGHEST_HZ = 4096


@dataclass(frozen=True)
class SpectralFigures:
    """One stem of one song; None where there is nothing to relate to."""

    snr_db: float | None
    mae: float | None


class SpectralSums:
    """Running sums over one song for `stems` stems; memory does not grow."""

    def __init__(self, stems: int, channels: int, sample_rate: int) -> None:
        self._stems, self._channels = stems, channels
        window = 2 * round(WINDOW_S * sample_rate / 2)
        self._stft = Stft(window, round(HOP_S * sample_rate), (1 + 2 * stems) * channels)
        self._low = min(self._stft.bins, round(HIGHEST_HZ * window / sample_rate))
        self._reference, self._square, self._absolute = np.zeros((3, stems))
        self._count = 0
        self._largest = 0.0

    def add(self, mix: Audio, references: StemArray, estimates: StemArray) -> None:
        """Take the next stretch. Shape: mix `(c, n)`; references and estimates `(s, c, n)`."""
        rows = np.concatenate(
            [mix, references.reshape(-1, mix.shape[1]), estimates.reshape(-1, mix.shape[1])]
        )
        self._take(self._stft.push(rows))

    def figures(self) -> list[SpectralFigures]:
        """End the song: one row per stem."""
        self._take(self._stft.flush())
        scale = self._count * self._largest
        return [
            SpectralFigures(
                ratio_db(reference, square, reference) if reference > 0 else None,
                absolute / scale if scale > 0 else None,
            )
            for reference, square, absolute in zip(
                self._reference.tolist(), self._square.tolist(), self._absolute.tolist(), strict=True
            )
        ]

    def _take(self, spectra: Spectra) -> None:
        if spectra.shape[1] == 0:
            return
        magnitudes = np.abs(spectra)
        mix, rest = magnitudes[: self._channels], magnitudes[self._channels :]
        # (2 s c, t, f) -> (2, s, c, t, f)
        true, given = rest.reshape(2, self._stems, self._channels, *rest.shape[1:])
        error = given - true
        self._reference += np.einsum("sctf,sctf->s", true, true, dtype=np.float64)
        self._square += np.einsum("sctf,sctf->s", error, error, dtype=np.float64)
        self._absolute += np.abs(error[..., : self._low]).sum(axis=(1, 2, 3), dtype=np.float64)
        self._count += mix[..., : self._low].size
        self._largest = max(self._largest, float(mix.max()))
