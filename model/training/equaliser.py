"""Random filters: what another microphone, room or taste would have done to a stem."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ..audio import Audio

_TAPS = 4096
_LOWEST_HZ = 20.0
_LARGEST_DB = 12.0


def random_curve(rng: np.random.Generator, sample_rate: int, sd_db: float) -> NDArray[np.float64]:
    """Gains of a smooth random equaliser, one for each of the `_TAPS / 2 + 1` bins.

    A random walk over the octaves from 20 Hz up, with steps of `sd_db` (standard deviation) an octave,
    straight lines between them, the mean over the octaves 0 dB.
    """
    octaves = _octaves(sample_rate)
    walk = np.cumsum(rng.normal(0.0, sd_db, int(octaves[-1]) + 2))
    walk = np.clip(walk - walk.mean(), -_LARGEST_DB, _LARGEST_DB)
    gains: NDArray[np.float64] = 10.0 ** (np.interp(octaves, np.arange(len(walk)), walk) / 20.0)
    return gains


def random_cut(rng: np.random.Generator, sample_rate: int) -> NDArray[np.float64]:
    """Gains of a Butterworth high-pass (60 to 300 Hz) or low-pass (3 to 12 kHz), order 1 to 4."""
    order = int(rng.integers(1, 5))
    hz = np.linspace(0.0, sample_rate / 2, _TAPS // 2 + 1)
    if rng.random() < 0.5:
        corner = 60.0 * 5.0 ** rng.random()
        power = (corner / np.maximum(hz, 1.0)) ** (2 * order)
    else:
        corner = min(3000.0 * 4.0 ** rng.random(), 0.45 * sample_rate)
        power = (hz / corner) ** (2 * order)
    gains: NDArray[np.float64] = 1.0 / np.sqrt(1.0 + power)
    return gains


def filter_with(audio: Audio, gains: NDArray[np.float64]) -> Audio:
    """Audio through a filter of these gains and no delay.

    Shape: `(channels, n)` -> the same. An FIR of 4096 taps, symmetric, convolved by overlap-add.
    """
    channels, frames = audio.shape
    taps = np.roll(scipy.fft.irfft(gains, _TAPS), _TAPS // 2) * np.hanning(_TAPS + 1)[:-1]
    response = scipy.fft.rfft(taps.astype(np.float32), 2 * _TAPS)
    blocks = -(-frames // _TAPS)
    padded = np.zeros((channels, blocks, _TAPS), np.float32)
    padded.reshape(channels, -1)[:, :frames] = audio
    spectra = scipy.fft.rfft(padded, 2 * _TAPS, axis=-1, overwrite_x=True)
    spectra *= response
    pieces = scipy.fft.irfft(spectra, 2 * _TAPS, axis=-1, overwrite_x=True)
    out = np.zeros((channels, blocks + 1, _TAPS), np.float32)
    out[:, :-1] = pieces[..., :_TAPS]
    out[:, 1:] += pieces[..., _TAPS:]
    delay = _TAPS // 2
    return out.reshape(channels, -1)[:, delay : delay + frames]


@lru_cache(maxsize=4)
def _octaves(sample_rate: int) -> NDArray[np.float64]:
    hz = np.linspace(0.0, sample_rate / 2, _TAPS // 2 + 1)
    octaves: NDArray[np.float64] = np.log2(np.maximum(hz, _LOWEST_HZ) / _LOWEST_HZ)
    return octaves
