"""The two filters of a loudness meter, as products of matrices: K weighting, and the interpolated peak.

A recursive filter over a block of 32 samples is one product with a Toeplitz matrix plus one with the state
at the block's start, and the states of all blocks follow from each other by a doubling scan. That is faster
than a compiled per-sample loop and needs no `scipy.signal`, whose import alone costs more than metering a
song.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from .audio import Audio

_Matrix = NDArray[np.float64]

BLOCK = 32
"""Frames per matrix row: the filters take whole numbers of blocks."""


class KWeighting:
    """The two-stage K filter of BS.1770-4 at any rate, as products of matrices.

    With the state x[n+1] = A x[n] + B u[n], y[n] = C x[n] + D u[n], a block of N inputs u gives
    y = T u + O x[0] and x[N] = A^N x[0] + R u, where T is the Toeplitz matrix of the impulse response.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        a, b, c, d = k_weighting(sample_rate)
        powers = [np.linalg.matrix_power(a, n) for n in range(BLOCK)]
        response = np.array([d, *(c @ power @ b for power in powers[:-1])])
        lag = np.arange(BLOCK)[None, :] - np.arange(BLOCK)[:, None]  # [input, output]
        toeplitz = np.where(lag >= 0, response[np.maximum(lag, 0)], 0.0)
        reach = np.array([power @ b for power in reversed(powers)])  # (block, state)
        self._inputs = np.hstack([toeplitz, reach]).astype(np.float32)
        self._observe = np.array([c @ power for power in powers]).T.astype(np.float32)  # (state, block)
        self._step = np.linalg.matrix_power(a, BLOCK).T
        self._channels = channels
        self.reset()

    def reset(self) -> None:
        self._state = np.zeros((self._channels, self._step.shape[0]))

    def push(self, audio: Audio) -> NDArray[np.float32]:
        """Filter a whole number of blocks. Shape: `(channels, n)` in and out."""
        channels, frames = audio.shape
        product = audio.reshape(channels, -1, BLOCK) @ self._inputs
        states = np.concatenate([self._state[:, None], product[..., BLOCK:]], axis=1)
        step, reach = self._step, 1
        while reach < states.shape[1]:  # doubling: afterwards each state holds 2 * reach blocks of the past
            states[:, reach:] += states[:, :-reach] @ step
            step, reach = step @ step, 2 * reach
        self._state = states[:, -1]
        product[..., :BLOCK] += states[:, :-1].astype(np.float32) @ self._observe
        return np.ascontiguousarray(product[..., :BLOCK]).reshape(channels, frames)


class TruePeak:
    """The peak between the samples: BS.1770-4 Annex 2, four times oversampled (twice from 96 kHz on).

    Each phase of the interpolator is a 32-tap sinc under a Kaiser window (half band of the new rate, so
    the samples themselves are its first phase). A segment that cannot exceed what was already found,
    because its largest sample times the filter's largest gain stays below, is not computed.
    """

    _TAPS = BLOCK

    def __init__(self, sample_rate: int, channels: int) -> None:
        times = 4 if sample_rate < 96_000 else 2
        delay = np.arange(self._TAPS) - self._TAPS / 2
        phases = []
        for phase in range(1, times):
            at = delay + phase / times
            window = np.i0(6.0 * np.sqrt(np.maximum(1 - (at / (self._TAPS / 2)) ** 2, 0.0))) / np.i0(6.0)
            taps = np.sinc(at) * window
            phases.append(taps / taps.sum())
        self._gain = max(float(np.abs(taps).sum()) for taps in phases)
        # The output at frame n of a phase is sum_k taps[k] u[n - k]: the part of each block that comes
        # from the block itself, and the part that comes from the block before it.
        lag = np.arange(BLOCK)[None, :] - np.arange(BLOCK)[:, None]
        here = [np.where(lag >= 0, taps[np.maximum(lag, 0)], 0.0) for taps in phases]
        before = [np.where(lag < 0, taps[np.where(lag < 0, lag + BLOCK, 0)], 0.0) for taps in phases]
        self._here = np.hstack(here).astype(np.float32)
        self._before = np.hstack(before).astype(np.float32)
        self._channels = channels
        self.reset()

    def reset(self) -> None:
        self._last = np.zeros((self._channels, 1, BLOCK), np.float32)
        self._last_peak = 0.0

    def push(self, audio: Audio, peak: float, found: float) -> float:
        """The larger of `found` and what a whole number of blocks reaches; `peak` is their largest sample."""
        blocks = audio.reshape(self._channels, -1, BLOCK)
        if max(peak, self._last_peak) * self._gain > found:
            joined = np.concatenate([self._last, blocks], axis=1)
            curve = joined[:, 1:] @ self._here
            curve += joined[:, :-1] @ self._before
            found = max(found, float(curve.max()), -float(curve.min()))
        self._last = blocks[:, -1:].copy()
        self._last_peak = peak
        return found


@functools.lru_cache(maxsize=8)
def k_weighting(sample_rate: int) -> tuple[_Matrix, _Matrix, _Matrix, float]:
    """A, B, C, D of the cascade: the shelf and the high-pass whose 48 kHz coefficients BS.1770-4 lists.

    The analogue prototypes behind those coefficients (found by B. De Man) go through the bilinear
    transform again at each rate.
    """
    warped = math.tan(math.pi * 1681.974450955533 / sample_rate)
    q, high = 0.7071752369554196, 10.0 ** (3.999843853973347 / 20.0)
    middle = high**0.4996667741545416
    scale = 1.0 + warped / q + warped**2
    shelf = (
        ((high + middle * warped / q + warped**2) / scale),
        (2.0 * (warped**2 - high) / scale),
        ((high - middle * warped / q + warped**2) / scale),
        (2.0 * (warped**2 - 1.0) / scale),
        ((1.0 - warped / q + warped**2) / scale),
    )
    warped, q = math.tan(math.pi * 38.13547087602444 / sample_rate), 0.5003270373238773
    scale = 1.0 + warped / q + warped**2
    highpass = (1.0, -2.0, 1.0, 2.0 * (warped**2 - 1.0) / scale, (1.0 - warped / q + warped**2) / scale)
    a1, b1, c1, d1 = _state_space(*shelf)
    a2, b2, c2, d2 = _state_space(*highpass)
    a = np.block([[a1, np.zeros((2, 2))], [np.outer(b2, c1), a2]])
    return a, np.concatenate([b1, b2 * d1]), np.concatenate([d2 * c1, c2]), d1 * d2


def _state_space(
    b0: float, b1: float, b2: float, a1: float, a2: float
) -> tuple[_Matrix, _Matrix, _Matrix, float]:
    """A biquad in transposed direct form II."""
    a = np.array([[-a1, 1.0], [-a2, 0.0]])
    return a, np.array([b1 - a1 * b0, b2 - a2 * b0]), np.array([1.0, 0.0]), b0
