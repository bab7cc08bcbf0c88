"""How high a sound stands between its samples, frame by frame: what a limiter looks at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio
from .meter_filters import BLOCK, interpolation

_SEGMENT = (
    128 * BLOCK
)  # frames looked at at once, on a grid anchored at frame 0; its products stay in the cache
_CENTRE = BLOCK // 2  # frames that the interpolator is late
REACH = 2 * BLOCK
"""Frames on either side of a point between samples that its interpolation reads, at most."""


class PeakEnvelope:
    """Per frame the largest absolute value, over all channels, of the sound from it to the next frame.

    The sound between samples is that of BS.1770-4 Annex 2, by the meter's own interpolator at twice the
    meter's resolution: eight points per frame below 96 kHz, four from there on. A meter that reads four
    misses up to 0.7 dB at the top of the band, one that reads eight up to 0.2 dB.

    A stream: `push` takes `(channels, n)` and returns `(m,)` float32 for the frames that are finished,
    `flush` the rest; all in all as many as went in. What rings before the first and after the last frame
    counts for these. How the stream is cut changes nothing.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._channels = channels
        self._taps, _ = interpolation(8 if sample_rate < 96_000 else 4)
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._window = np.zeros((self._channels, BLOCK + _SEGMENT), np.float32)
        self._filled = BLOCK
        self._early = _CENTRE  # values that belong before the first frame
        self._before = 0.0  # the largest of them
        self._taken = self._given = 0

    def push(self, audio: Audio) -> NDArray[np.float32]:
        """Take the next block; return the frames that are finished."""
        parts = []
        at = 0
        self._taken += audio.shape[1]
        while at < audio.shape[1]:
            count = min(self._window.shape[1] - self._filled, audio.shape[1] - at)
            self._window[:, self._filled : self._filled + count] = audio[:, at : at + count]
            self._filled += count
            at += count
            if self._filled == self._window.shape[1]:
                parts.append(self._segment())
        return np.concatenate(parts) if parts else np.empty(0, np.float32)

    def flush(self) -> NDArray[np.float32]:
        """End the stream; return what is left of it."""
        taken, left = self._taken, self._taken - self._given
        if not taken:
            return np.empty(0, np.float32)
        # The rest of this segment and one more hold everything that the last samples ring into.
        silence = np.zeros((self._channels, 2 * self._window.shape[1] - self._filled - BLOCK), np.float32)
        rest = self.push(silence)
        out = rest[:left].copy()
        out[-1] = max(out[-1], float(rest[left:].max(initial=0.0)))
        self.reset()
        return out

    def _segment(self) -> NDArray[np.float32]:
        blocks = self._window.reshape(self._channels, -1, BLOCK)
        pairs = np.concatenate([blocks[:, :-1], blocks[:, 1:]], axis=2)
        curve = pairs @ self._taps
        np.abs(curve, out=curve)
        between = curve.reshape(self._channels, _SEGMENT // BLOCK, -1, BLOCK).max(axis=(0, 2)).reshape(-1)
        # The values are those of _CENTRE frames ago; there are the samples themselves.
        samples = np.abs(self._window[:, BLOCK - _CENTRE : -_CENTRE]).max(axis=0)
        peaks: NDArray[np.float32] = np.maximum(between, samples)
        self._window[:, :BLOCK] = self._window[:, -BLOCK:].copy()
        self._filled = BLOCK
        if self._early:
            self._before = float(peaks[: self._early].max())
            peaks = peaks[self._early :]
            peaks[0] = max(peaks[0], self._before)
            self._early = 0
        self._given += peaks.size
        return peaks
