"""Sound a little faster or slower than it is, by less than anybody hears: how a player keeps up with a clock.

Four-point, third-order Lagrange interpolation: exact where a position falls on a frame, and at a third of the
sample rate's half still 60 dB below the sound. Ratios lie within a fraction of a percent of 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]


class Varispeed:
    """A stream of rows `(rows, frames)` read at a ratio that may change from block to block."""

    def __init__(self, rows: int) -> None:
        self._held: Rows = np.zeros((rows, 3), np.float32)
        """Frames that are still needed; the next position lies between the second and the third."""
        self._phase = 0.0

    @property
    def behind(self) -> float:
        """How many frames of what was pulled have not been heard yet."""
        return float(self._held.shape[1]) - 1.0 - self._phase

    def take(self, frames: int, ratio: float, pull: Callable[[int], Rows]) -> Rows:
        """The next frames at a ratio (frames of the stream per frame out); `pull(n)` gives n more of it."""
        if frames == 0:
            return self._held[:, :0]
        places = self._phase + ratio * np.arange(frames)
        after = self._phase + ratio * frames
        needed = int(places[-1]) + 4
        missing = max(needed - self._held.shape[1], 0)
        stream = np.concatenate([self._held, pull(missing)], axis=1) if missing else self._held
        whole = places.astype(np.int64)
        x = (places - whole).astype(np.float32)
        a, b, c, d = (stream[:, whole + k] for k in range(4))
        out = (
            a * (-x * (x - 1.0) * (x - 2.0) / 6.0)
            + b * ((x + 1.0) * (x - 1.0) * (x - 2.0) / 2.0)
            + c * (-(x + 1.0) * x * (x - 2.0) / 2.0)
            + d * ((x + 1.0) * x * (x - 1.0) / 6.0)
        )
        consumed = min(int(after), stream.shape[1])
        self._held = stream[:, consumed:].copy()
        self._phase = after - consumed
        return np.asarray(out, dtype=np.float32)
