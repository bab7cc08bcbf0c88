"""A phase for magnitudes that have none of their own.

Griffin and Lim, "Signal estimation from modified short-time Fourier transform", IEEE Transactions on
Acoustics, Speech and Signal Processing 32(2), 1984: go to audio and back, keep the phase that comes out,
put the wanted magnitudes in its place, again and again. The inverse transform of `stft` is the least-squares
one of that paper, so no round makes the result worse.

>>> tone = np.sin(np.arange(4096, dtype=np.float32) / 7)[np.newaxis]
>>> wanted = np.abs(stft(tone, 256, 64))
>>> found = griffin_lim(wanted, 256, 64, 4096, iterations=60)
>>> found.shape, spectral_convergence(wanted, found, 256, 64) < 0.1
((1, 4096), True)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio
from ..errors import ArgumentValueError
from .masks import TINY, energy
from .stft import Spectra, istft, spectra_of, stft

Magnitudes = NDArray[np.float32]
"""`(channels, times, bins)` float32, all >= 0."""


def griffin_lim(
    magnitudes: Magnitudes,
    window_frames: int,
    hop_frames: int,
    frames: int,
    *,
    iterations: int = 32,
    start: Spectra | None = None,
) -> Audio:
    """The audio whose spectra come near these magnitudes.

    Shape: `(channels, times, bins)` -> `(channels, frames)`. `start` has the first phase, in the same shape,
    for a stem best that of the mix; without it the phase starts at random, the same every time. Costs one
    transform and one inverse for each iteration; needs the whole signal, so it is no part of a stream.

    Raises ArgumentValueError for shapes that do not belong together.
    """
    channels = magnitudes.shape[0]
    expected = (channels, spectra_of(frames, window_frames, hop_frames), window_frames // 2 + 1)
    for given in (magnitudes, *(() if start is None else (start,))):
        if given.shape != expected:
            raise ArgumentValueError(
                f"{frames} frames with window {window_frames} and hop {hop_frames} have spectra of shape "
                f"{expected}; got {given.shape}"
            )
    if iterations < 0:
        raise ArgumentValueError(f"iterations must be 0 or more; got {iterations}")
    if start is None:
        turns = np.random.default_rng(0).random(expected, np.float32)
        start = np.exp(2j * np.pi * turns).astype(np.complex64)
    audio = istft(_with_phase_of(start, magnitudes), window_frames, hop_frames, frames)
    for _ in range(iterations):
        spectra = stft(audio, window_frames, hop_frames)
        audio = istft(_with_phase_of(spectra, magnitudes), window_frames, hop_frames, frames)
    return audio


def spectral_convergence(magnitudes: Magnitudes, audio: Audio, window_frames: int, hop_frames: int) -> float:
    """How far the audio's magnitudes are from those wanted, relative to them: 0 is reached.

    The root of the summed squared differences over that of the summed squares (Sturmel and Daudet 2011).
    """
    off = np.sqrt(energy(stft(audio, window_frames, hop_frames))) - magnitudes
    return float(np.linalg.norm(off) / max(float(np.linalg.norm(magnitudes)), float(TINY)))


def _with_phase_of(spectra: Spectra, magnitudes: Magnitudes) -> Spectra:
    """These magnitudes with that phase; 0 where there is no phase."""
    size = np.sqrt(energy(spectra))
    return np.asarray(spectra * (magnitudes / np.maximum(size, TINY)), np.complex64)
