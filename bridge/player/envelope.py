"""A gain that goes to a target in even steps: what keeps starts, stops and seeks from clicking."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Envelope:
    """One gain between 0 and 1 that takes `frames` from end to end."""

    def __init__(self, frames: int, value: float = 0.0) -> None:
        self._step = 1.0 / max(frames, 1)
        self.value = value
        self.target = value

    @property
    def resting(self) -> bool:
        """Whether it is where it is heading."""
        return self.value == self.target

    def take(self, frames: int) -> NDArray[np.float32] | float:
        """The gains of the next frames: one number where it rests, else one for each frame."""
        if self.resting:
            return self.value
        step = self._step if self.target > self.value else -self._step
        line = self.value + step * np.arange(1, frames + 1)
        line = np.minimum(line, self.target) if step > 0 else np.maximum(line, self.target)
        if frames:
            self.value = float(line[-1])
            # Sums of steps miss the end by a rounding error; an end that is missed never rests.
            if abs(self.value - self.target) < 0.5 * self._step:
                self.value = self.target
                line[-1] = self.target
        return np.asarray(line, dtype=np.float32)

    def left(self) -> int:
        """Frames until it rests."""
        return int(np.ceil(abs(self.target - self.value) / self._step - 1e-9))
