"""From envelopes to sound: pulses and noise through a filter that changes every 5.8 ms.

A source-filter model. Pulse trains and white noise of the same spectral density are cut into short windows;
each window is filtered by the minimum-phase response of its envelope and overlap-added. The logarithm of a
minimum-phase spectrum is linear in its log magnitude (its phase is the Hilbert transform of it, Oppenheim
and Schafer), so both come from the bands of `voice_track` by one matrix product each, without a single
cepstrum: 24 s of singing cost a fraction of a second, whatever the pitch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..audio import Audio
from .voice_track import BANDS, NOISE_HZ, Floats, band_positions, interpolation

SAMPLE_RATE = 44100
HOP = 256
"""Frames of audio per row of an envelope."""
WINDOW = 2 * HOP
FFT = 2048
SILENT_DB = -85.0
"""Rows that stay below this are left out."""
TAPS = 16


@dataclass(frozen=True)
class Take:
    """One pass at the microphone: its pitch, and how regular its voice is. Several takes are a choir."""

    f0_hz: NDArray[np.float64]
    """`(rows,)`, above 0 everywhere."""
    left: float = 1.0
    right: float = 1.0
    delay_s: float = 0.0
    jitter: float = 0.004
    """Standard deviation of a period, relative to it."""
    shimmer: float = 0.03
    growl: Floats | None = None
    """`(rows,)`, 0 to 1: how much weaker every other pulse is (a period doubled, as in growl and fry)."""


def pulses(take: Take, voiced: Floats, rng: np.random.Generator) -> tuple[Floats, NDArray[np.float64]]:
    """The pulse train of one take, and the times of its pulses in frames.

    Shape: voiced `(rows,)`, the amplitude of the pulses; returns `(rows * HOP,)`. Its power density is 1
    where voiced is 1: a pulse is as high as the root of its period.
    """
    rows = len(voiced)
    cycles = np.concatenate([[0.0], np.cumsum(take.f0_hz * (HOP / SAMPLE_RATE))])
    count = np.arange(1, int(cycles[-1]))
    times = np.interp(count, cycles, np.arange(rows + 1.0) * HOP)
    row = np.minimum((times / HOP).astype(int), rows - 1)
    period = SAMPLE_RATE / take.f0_hz[row]
    height = np.sqrt(period) * voiced[row] * (1 + take.shimmer * rng.standard_normal(len(times)))
    if take.growl is not None:
        height *= 1 - take.growl[row] * (count % 2)
    times = times + period * take.jitter * rng.standard_normal(len(times)) + take.delay_s * SAMPLE_RATE
    kept = (height > 1e-4) & (times > TAPS) & (times < rows * HOP - TAPS)
    at, height = times[kept], height[kept]
    # Band-limited impulses: a Hann-windowed sinc around the exact time of each.
    whole = np.floor(at).astype(int)
    steps = np.arange(TAPS) - TAPS // 2 + 1
    away = steps - (at - whole)[:, None]
    values = np.sinc(away) * (0.5 + 0.5 * np.cos(np.pi * away / (TAPS // 2 + 1))) * height[:, None]
    where = (whole[:, None] + steps).ravel()
    train = np.bincount(where, values.ravel(), minlength=rows * HOP)[: rows * HOP]
    return train.astype(np.float32), times


def _aspiration(frames: int, times: NDArray[np.float64], depth: float, rng: np.random.Generator) -> Floats:
    """Noise that swells once a period, as breath through opening vocal folds does."""
    noise = rng.standard_normal(frames, dtype=np.float32)
    if len(times) < 2 or depth == 0:
        return noise
    cycle = np.interp(np.arange(0, frames, 4), np.maximum.accumulate(times), np.arange(len(times))) % 1.0
    swell = 1 + depth * np.cos(2 * np.pi * cycle.astype(np.float32))
    noise *= np.repeat(swell, 4)[:frames] / np.float32(np.sqrt(1 + depth**2 / 2))
    return noise


@lru_cache
def _filters() -> tuple[Floats, Floats, Floats]:
    """The matrices from bands (dB) to log magnitude and phase of the bins, and from `NOISE_HZ` to the bins.

    Shape: `(BANDS, bins)`, `(BANDS, bins)`, `(len(NOISE_HZ), bins)`.
    """
    from scipy.fft import irfft, rfft

    hz = np.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1, dtype=np.float64)
    magnitude = interpolation(band_positions(hz), BANDS) * (np.log(10) / 20)
    cepstrum = irfft(magnitude.astype(np.float64), axis=1)
    cepstrum[:, 1 : FFT // 2] *= 2
    cepstrum[:, FFT // 2 + 1 :] = 0
    phase = rfft(cepstrum, axis=1).imag
    share = interpolation(np.clip(hz / NOISE_HZ[1], 0, len(NOISE_HZ) - 1), len(NOISE_HZ))
    return magnitude.astype(np.float32), phase.astype(np.float32), share


def synthesise(
    envelope_db: Floats,
    noise: Floats,
    voiced: Floats,
    takes: Sequence[Take],
    rng: np.random.Generator,
    *,
    channels: int = 1,
    phase: float = 1.0,
    breath_pulsation: float = 0.5,
) -> Audio:
    """Sound the rows: every take's pulses, and one noise per channel, through one filter.

    Shape: envelope_db `(rows, BANDS)`, noise `(rows, len(NOISE_HZ))`, voiced `(rows,)`; returns
    `(channels, rows * HOP)`. `phase` scales the minimum phase (1 is a mouth, 0 a symmetric click); the level
    is such that an envelope of 0 dB everywhere is noise or pulses of RMS 1.
    """
    from scipy.fft import irfft, rfft

    rows = len(voiced)
    frames = rows * HOP
    trains = np.zeros((channels, frames + WINDOW), np.float32)
    times = np.zeros(0)
    for take in takes:
        train, times = pulses(take, voiced, rng)
        trains[0, HOP : HOP + frames] += train * np.float32(take.left)
        if channels == 2:
            trains[1, HOP : HOP + frames] += train * np.float32(take.right)
    hiss = np.zeros_like(trains)
    for row_of_noise in hiss:
        row_of_noise[HOP : HOP + frames] = _aspiration(frames, times, breath_pulsation, rng)
    window = np.hanning(WINDOW + 1)[:WINDOW].astype(np.float32)
    magnitudes, phases, shares = _filters()
    active = np.flatnonzero(envelope_db.max(axis=1) > SILENT_DB)
    out = np.zeros((channels, rows + FFT // HOP + 1, HOP), np.float32)
    for start in range(0, len(active), 256):
        row = active[start : start + 256]
        decibels = np.ascontiguousarray(envelope_db[row])
        gain = np.exp(decibels @ magnitudes)
        angle = (decibels @ phases) * np.float32(phase)
        response = np.empty(gain.shape, np.complex64)
        response.real = gain * np.cos(angle)
        response.imag = gain * np.sin(angle)
        breath = noise[row] @ shares
        tone = np.sqrt(np.maximum(1 - breath * breath, 0))
        for channel in range(channels):
            spectrum = rfft(sliding_window_view(trains[channel], WINDOW)[row * HOP] * window, FFT, axis=1)
            spectrum *= tone
            air = rfft(sliding_window_view(hiss[channel], WINDOW)[row * HOP] * window, FFT, axis=1)
            spectrum += air * breath
            spectrum *= response
            pieces = irfft(spectrum, axis=1).reshape(len(row), FFT // HOP, HOP)
            for k in range(FFT // HOP):
                out[channel, row + k] += pieces[:, k]
    # Window t starts one hop before row t.
    return np.ascontiguousarray(out.reshape(channels, -1)[:, HOP : HOP + frames])
