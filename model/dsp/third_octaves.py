"""Spectra as ears and engineers read them: power in bands of a third of an octave."""

from __future__ import annotations

import math

import numpy as np

from ..audio import Audio
from .fifo import Fifo

BAND_CENTRES_HZ: tuple[float, ...] = tuple(1000.0 * 10.0 ** (n / 10.0) for n in range(-16, 14))
"""Third-octave bands, 25 Hz to 20 kHz (IEC 61260-1, base ten)."""


class ThirdOctaves:
    """The long-term spectrum of a stream: mean power per third-octave band, the mean of all channels.

    Hann windows of about 0.37 s, half overlapping (P. D. Welch, 1967). `push` takes `(channels, n)`;
    `finish` gives one level per band in dB below a full-scale sine's, None for silence and for bands
    above half the sample rate. How the stream is cut changes nothing.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._rate = sample_rate
        self._size = 1 << max(10, round(math.log2(0.37 * sample_rate)))
        self._queue = Fifo(channels)
        self._window = np.hanning(self._size + 1)[:-1].astype(np.float32)
        self._power = np.zeros(self._size // 2 + 1)
        self._count = 0
        self._tail = np.zeros((channels, self._size // 2), np.float32)

    def push(self, audio: Audio) -> None:
        """Take the next block."""
        self._queue.push(audio.copy())
        half = self._size // 2
        while len(self._queue) >= half:
            new = self._queue.pop(half)
            spectrum = np.fft.rfft(np.concatenate([self._tail, new], axis=1) * self._window, axis=1)
            self._power += (spectrum.real**2 + spectrum.imag**2).mean(axis=0)
            self._tail = new
            self._count += 1

    def finish(self) -> tuple[float | None, ...]:
        """The level per band of everything pushed."""
        if len(self._queue):
            missing = self._size // 2 - len(self._queue)
            self.push(np.zeros((self._tail.shape[0], missing), np.float32))
        # A sine of full scale has 1/2; by Parseval its bins hold half of sum(window^2) * size / 2 of that.
        scale = max(1, self._count) * self._size * float(np.square(self._window).sum()) / 4
        total = np.concatenate([[0.0], np.cumsum(self._power)])
        edge = 10.0**0.05
        bands: list[float | None] = []
        for centre in BAND_CENTRES_HZ:
            if centre >= self._rate / 2:  # above that nothing is left to look at
                bands.append(None)
                continue
            # Bins are half a bin wide on either side; a band takes its share of those it cuts.
            low, high = (centre * f * self._size / self._rate + 0.5 for f in (1 / edge, edge))
            at = np.arange(total.size)
            power = float(np.interp(high, at, total) - np.interp(low, at, total))
            bands.append(round(10 * math.log10(power / scale), 2) if power > 1e-14 * scale else None)
        return tuple(bands)
