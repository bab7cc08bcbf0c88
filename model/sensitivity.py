"""Bleed against artefacts: an exponent on a stem's mask."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .audio import Audio, StemArray, as_rows
from .dsp.fifo import Fifo
from .dsp.stft import Istft, Stft, stft_latency, window_at
from .errors import ArgumentValueError
from .remix import stem_index

NEUTRAL = 5.0
"""The sensitivity that leaves a stem as the model made it."""

FLOOR = 1e-3
"""Masks below this (-60 dB) are not raised further."""


def mask_exponent(sensitivity: float) -> float:
    """The exponent a sensitivity of 0 to 10 puts on the mask: 4 at 0, 1 at 5, a quarter at 10.

    Above 1, what the mask only partly lets through is turned down: less bleed, more holes. Below 1 it
    is let through: fewer artefacts, more bleed.

    >>> mask_exponent(0), mask_exponent(5), mask_exponent(10)
    (4.0, 1.0, 0.25)
    """
    return float(2.0 ** ((NEUTRAL - sensitivity) / 2.5))


def check_sensitivity(sensitivity: Mapping[str, float], stems: tuple[str, ...]) -> dict[str, float]:
    """The entries that are not neutral. Raises ArgumentValueError for unknown stems and for values
    outside 0 to 10."""
    for stem, value in sensitivity.items():
        stem_index(stems, stem)
        if not 0.0 <= value <= 10.0:
            raise ArgumentValueError(f"the sensitivity of {stem} must be 0 to 10; got {value:g}")
    return {stem: float(value) for stem, value in sensitivity.items() if value != NEUTRAL}


class Sensitivity:
    """Puts an exponent p on the masks m = |S| / |X| of some stems: S becomes `S m^(p - 1)`.

    That is |X| m^p with the phase of the estimate. A mask above 1 (an estimate louder than the mix, as
    networks make them) stays; below `FLOOR` it is scaled with the floor's factor, so what the model
    silenced is not dug up again. Stems at 5 pass as their own bits.
    """

    def __init__(
        self, sensitivity: Mapping[str, float], stems: tuple[str, ...], channels: int, sample_rate: int
    ) -> None:
        changed = check_sensitivity(sensitivity, stems)
        self._stems = len(stems)
        self._channels = channels
        self._rows = [row for row, stem in enumerate(stems) if stem in changed]
        powers = [(mask_exponent(changed[stems[row]]) - 1.0) / 2.0 for row in self._rows]  # of |S|^2/|X|^2
        self._powers = [np.float32(power) for power in powers]
        window = window_at(sample_rate)
        self.grid = window // 4
        self.latency = stft_latency(window, self.grid)
        self.context_frames = window
        self._stft = Stft(window, self.grid, (1 + len(self._rows)) * channels)
        self._istft = Istft(window, self.grid, len(self._rows) * channels)
        self.reset()

    def reset(self) -> None:
        """Forget everything; the next frame pushed is on the grid."""
        self._stft.reset()
        self._istft.reset()
        self._waiting = Fifo((1 + self._stems) * self._channels)
        self._frames = 0

    def push(self, mix: Audio, stems: StemArray) -> tuple[Audio, StemArray]:
        """Take more of mix and stems, equally long; return what is finished of both."""
        self._frames += mix.shape[1]
        self._waiting.push(np.concatenate([mix, as_rows(stems)]))
        changed = as_rows(stems[self._rows])
        return self._finished(self._istft.push(self._masked(self._stft.push(np.concatenate([mix, changed])))))

    def flush(self) -> tuple[Audio, StemArray]:
        """End the stream: return the rest, then be as after `reset`."""
        tail = self._istft.push(self._masked(self._stft.flush()))
        finished = self._finished(np.concatenate([tail, self._istft.flush(self._frames)], axis=1))
        self.reset()
        return finished

    def _masked(self, spectra: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """From the spectra of mix and changed stems to the stems', `(rows * channels, times, bins)`."""
        split = spectra.reshape(1 + len(self._rows), self._channels, *spectra.shape[1:])  # s c t f
        energy = split.real**2 + split.imag**2
        mix_energy = np.maximum(energy[0], np.float32(1e-30))
        out = np.empty_like(split[1:])
        for k, power in enumerate(self._powers):
            squared_mask = np.clip(energy[1 + k] / mix_energy, np.float32(FLOOR**2), np.float32(1.0))
            out[k] = split[1 + k] * squared_mask**power
        return out.reshape(len(self._rows) * self._channels, *spectra.shape[1:])

    def _finished(self, changed: Audio) -> tuple[Audio, StemArray]:
        waiting = self._waiting.pop(changed.shape[1])
        mix = np.ascontiguousarray(waiting[: self._channels])
        stems = waiting[self._channels :].reshape(self._stems, *mix.shape).copy()
        stems[self._rows] = changed.reshape(len(self._rows), *mix.shape)
        return mix, stems
