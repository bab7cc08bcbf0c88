"""Peak and RMS of every stem and of the master, over twentieths of a second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from stembridge.model.units import SILENCE_DB

PER_SECOND = 20


class Meters:
    """Sums what is heard until somebody reads them."""

    def __init__(self, names: Sequence[str], sample_rate: int) -> None:
        self.names = tuple(names)
        self._frames = sample_rate // PER_SECOND
        self._peaks = np.zeros(len(self.names))
        self._squares = np.zeros(len(self.names))
        self._seen = 0
        self._channels = 1

    def note(self, index: int, audio: NDArray[np.float32]) -> None:
        """Hear a block `(channels, frames)` of one name."""
        if audio.size:
            self._channels = audio.shape[0]
            self._peaks[index] = max(self._peaks[index], float(np.max(np.abs(audio))))
            flat = audio.reshape(-1)
            self._squares[index] += float(np.dot(flat, flat))

    def advance(self, frames: int) -> list[tuple[str, float, float]] | None:
        """Go on by a block; every twentieth of a second the name, peak and RMS in dBFS of each."""
        self._seen += frames
        if self._seen < self._frames:
            return None
        mean = self._squares / (self._seen * self._channels)
        rows = [
            (name, _db(peak), _db(float(np.sqrt(square))))
            for name, peak, square in zip(self.names, self._peaks, mean, strict=True)
        ]
        self._peaks[:] = 0.0
        self._squares[:] = 0.0
        self._seen = 0
        return rows


def _db(level: float) -> float:
    return max(20.0 * float(np.log10(level)), SILENCE_DB) if level > 0.0 else SILENCE_DB
