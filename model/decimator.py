"""Whole-number rate changes that are the same to the bit wherever a region starts.

A linear-phase low-pass (Kaiser window, 120 dB; Kaiser 1974) is applied by overlap-save (Stockham 1966)
in blocks of `BLOCK` low-rate frames anchored at frame 0, each by one transform of the same shape. So
neither the cut into blocks nor a start at another multiple of `BLOCK` changes a bit, which a general
resampler cannot promise. Frame k of the low rate is frame k * factor of the high one.

>>> down, up = Decimator(2, channels=1), Interpolator(2, channels=1)
>>> x = np.sin(np.arange(20_000) / 9)[None].astype(np.float32)
>>> low = np.concatenate([down.push(x), down.flush()], axis=1)
>>> high = np.concatenate([up.push(low), up.flush(20_000)], axis=1)
>>> low.shape, high.shape, bool(np.allclose(high[:, 2000:-2000], x[:, 2000:-2000], atol=1e-5))
((1, 10000), (1, 20000), True)
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from .audio import Audio

BLOCK = 2048
"""Low-rate frames per block."""

REACH = 256
"""How far the filter reaches to either side, in low-rate frames."""

_POINTS = BLOCK + 2 * REACH
_ATTENUATION_DB = 120.0


@cache
def _response(factor: int) -> NDArray[np.complex64]:
    """The transform of the low-pass, its middle tap at point 0; gain 1 up to 0.97 of the low Nyquist."""
    half = REACH * factor
    taps = np.arange(-half, half + 1)
    # The transition band of that many taps (Kaiser) ends at the low Nyquist frequency: nothing passes there.
    width = (_ATTENUATION_DB - 7.95) / (14.36 * 2 * half)  # in cycles per high-rate frame
    cutoff = 0.5 / factor - width / 2
    kernel = 2 * cutoff * np.sinc(2 * cutoff * taps) * np.kaiser(len(taps), 0.1102 * (_ATTENUATION_DB - 8.7))
    kernel /= kernel.sum()
    centred = np.zeros(_POINTS * factor)
    centred[: half + 1] = kernel[half:]
    centred[-half:] = kernel[:half]
    return np.asarray(np.fft.rfft(centred), np.complex64)


class Decimator:
    """Takes every `factor`-th frame of the low-passed input."""

    def __init__(self, factor: int, channels: int) -> None:
        self.factor = factor
        self.channels = channels
        self.latency = (BLOCK + REACH) * factor
        self._response = _response(factor)
        self.reset()

    def reset(self) -> None:
        """Forget everything; the next frame pushed is at a multiple of `BLOCK` low-rate frames."""
        self._pending = np.zeros((self.channels, REACH * self.factor), np.float32)
        self._frames = 0
        self._given = 0

    def push(self, block: Audio) -> Audio:
        """Take more high-rate frames; return the low-rate frames that are finished."""
        self._frames += block.shape[1]
        self._pending = np.concatenate([self._pending, block], axis=1, dtype=np.float32)
        return self._blocks()

    def flush(self) -> Audio:
        """End the stream of n frames: return the rest of n / factor, rounded up; then be as after `reset`."""
        total = math.ceil(self._frames / self.factor)
        given = self._given
        blocks = math.ceil((total - given) / BLOCK)
        padding = (blocks * BLOCK + 2 * REACH) * self.factor - self._pending.shape[1]
        self._pending = np.pad(self._pending, [(0, 0), (0, max(0, padding))])
        rest = self._blocks()[:, : total - given]
        self.reset()
        return rest

    def _blocks(self) -> Audio:
        from scipy.fft import irfft, rfft

        points, hop = _POINTS * self.factor, BLOCK * self.factor
        count = max(0, (self._pending.shape[1] - points) // hop + 1)
        out = np.empty((self.channels, count * BLOCK), np.float32)
        first = REACH * self.factor
        for k in range(count):
            spectrum = rfft(np.ascontiguousarray(self._pending[:, k * hop : k * hop + points]), axis=-1)
            filtered = irfft(spectrum * self._response, n=points, axis=-1)
            out[:, k * BLOCK : (k + 1) * BLOCK] = filtered[:, first : first + hop : self.factor]
        self._pending = self._pending[:, count * hop :].copy()
        self._given += out.shape[1]
        return out


class Interpolator:
    """Puts `factor` - 1 frames between the frames of the input; the inverse of `Decimator`."""

    def __init__(self, factor: int, channels: int) -> None:
        self.factor = factor
        self.channels = channels
        self.latency = (BLOCK + REACH) * factor
        self._response = _response(factor) * np.float32(factor)
        self.reset()

    def reset(self) -> None:
        """Forget everything; the next frame pushed is at a multiple of `BLOCK`."""
        self._pending = np.zeros((self.channels, REACH), np.float32)
        self._given = 0

    def push(self, block: Audio) -> Audio:
        """Take more low-rate frames; return the high-rate frames that are finished."""
        self._pending = np.concatenate([self._pending, block], axis=1, dtype=np.float32)
        return self._blocks()

    def flush(self, frames: int) -> Audio:
        """End the stream, `frames` long in all: return the rest; then be as after `reset`."""
        given = self._given
        blocks = max(0, math.ceil((frames - given) / (BLOCK * self.factor)))
        padding = blocks * BLOCK + 2 * REACH - self._pending.shape[1]
        self._pending = np.pad(self._pending, [(0, 0), (0, max(0, padding))])
        rest = self._blocks()[:, : frames - given]
        self.reset()
        return rest

    def _blocks(self) -> Audio:
        from scipy.fft import irfft, rfft

        hop = BLOCK * self.factor
        count = max(0, (self._pending.shape[1] - _POINTS) // BLOCK + 1)
        out = np.empty((self.channels, count * hop), np.float32)
        first = REACH * self.factor
        for k in range(count):
            half = rfft(np.ascontiguousarray(self._pending[:, k * BLOCK : k * BLOCK + _POINTS]), axis=-1)
            # Zeros between the frames repeat the whole spectrum `factor` times.
            whole = np.concatenate([half, half[:, -2:0:-1].conj()], axis=1)
            repeated = np.tile(whole, (1, self.factor))[:, : self._response.shape[0]]
            filtered = irfft(repeated * self._response, n=_POINTS * self.factor, axis=-1)
            out[:, k * hop : (k + 1) * hop] = filtered[:, first : first + hop]
        self._pending = self._pending[:, count * BLOCK :].copy()
        self._given += out.shape[1]
        return out
