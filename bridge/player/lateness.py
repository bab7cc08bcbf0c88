"""When what comes back from elsewhere is heard, and when what was sent there is heard instead.

The rule: whoever asks for a block must find `reserve` frames more than that waiting. Does it not, then that
is an overload: what did come back fades out over the last of those frames, into what was sent, at the same
delay, so that neither level nor time jumps. Once `BACK_S` long everything has been in time again it fades
back over `RETURN_S`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RESERVE_S = 0.005
RETURN_S = 0.020
BACK_S = 0.250


class Lateness:
    """Follows one line there and back, block by block."""

    def __init__(self, sample_rate: int, *, wet: bool = False) -> None:
        """`wet`: what comes back is heard from the start."""
        self.reserve = round(RESERVE_S * sample_rate)
        """Frames that have to wait beyond a block for it to be in time."""
        self._return = round(RETURN_S * sample_rate)
        self._back = round(BACK_S * sample_rate)
        self._value = float(wet)
        self._wet = wet
        self._good = 0
        """Frames since something was late."""
        self.overloads = 0

    @property
    def wet(self) -> bool:
        """Whether what comes back is heard, or fading in."""
        return self._wet

    def gains(self, frames: int, available: int) -> NDArray[np.float32] | float:
        """How loud what comes back is in the next block, of which (and of what follows) so much is there.

        0 from frame `available` on at the latest.
        """
        in_time = available >= frames + self.reserve
        self._good = self._good + frames if in_time else 0
        start = 0
        if self._wet and not in_time:
            self._wet = False
            self.overloads += 1
            start = max(available - self.reserve, 0)
        elif not self._wet and self._value == 0.0 and self._good > self._back:
            self._wet = True
        target = 1.0 if self._wet else 0.0
        if self._value == target:
            return target
        step = 1.0 / self._return if self._wet else -1.0 / self.reserve
        passed = np.maximum(np.arange(1 - start, frames + 1 - start), 0)
        line = np.clip(self._value + step * passed, 0.0, 1.0)
        self._value = float(line[-1]) if frames else self._value
        # Sums of steps miss the end by a rounding error; an end that is missed never rests.
        if abs(self._value - target) < 0.5 * abs(step):
            self._value = target
            line[-1] = target
        return np.asarray(line, np.float32)
