"""Two 7-bit controllers that make one value of 14 bits, whichever half comes first.

MIDI 1.0 sends the coarse half first, which also sets the fine half to zero; some devices send the fine half
first, and many have no fine half at all. Which it is shows when a hand begins to move: after a silence, the
half that comes first is the one this device always sends first.
"""

from __future__ import annotations

from dataclasses import dataclass

TOGETHER_S = 0.020
"""A fine half later than this after its coarse half is another controller's."""
FINE_FIRST_S = 0.005
SILENCE_S = 0.100
_LONG_AGO = -1e9

TOP_7 = 127
TOP_14 = 16383


@dataclass
class Pair:
    """The state of one pair. Times are seconds of any clock that runs forward."""

    known: bool = False
    """Whether there is a fine half for sure: learned, or said by a map."""
    paired: bool = False
    """Whether a fine half has come with the last coarse one."""
    fine_first: bool | None = None
    coarse: int = 0
    coarse_at: float = _LONG_AGO
    fine: int = 0
    fine_at: float = _LONG_AGO
    _fine_opened: bool = False
    """Whether the last fine half came out of silence."""

    def take_coarse(self, value: int, at: float) -> tuple[int, int]:
        """The value that a coarse half makes, and the highest there is: (64, 127) or (8192, 16383).

        127 alone is the top, so that a device without a fine half reaches it.
        """
        fresh = at - self.fine_at <= (TOGETHER_S if self.fine_first else FINE_FIRST_S)
        if self.fine_first is None and fresh and self._fine_opened:
            self.fine_first = True
        if not self.known and self.fine_at < self.coarse_at and at - self.coarse_at > TOGETHER_S:
            self.paired = False
        self.coarse, self.coarse_at, self._fine_opened = value, at, False
        if self.fine_first and fresh:
            self.paired = True
            return value << 7 | self.fine, TOP_14
        if not self.paired and not self.known:
            return value, TOP_7
        return (TOP_14 if value == TOP_7 else value << 7), TOP_14

    def take_fine(self, value: int, at: float) -> tuple[int, int] | None:
        """The value that a fine half makes with its coarse half; None where it has to wait, or has none."""
        self._fine_opened = at - max(self.coarse_at, self.fine_at) > SILENCE_S
        self.fine, self.fine_at = value, at
        follows = at - self.coarse_at <= TOGETHER_S
        if self.fine_first:
            return None
        if follows and self.fine_first is None:
            self.fine_first = False
        if follows or (self.known and self.fine_first is False):
            self.paired = True
            return self.coarse << 7 | value, TOP_14
        return None
