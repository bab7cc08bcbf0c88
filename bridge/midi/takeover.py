"""What a fader does whose place is not where the value is: jump there, wait to pass it, or approach it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Takeover = Literal["jump", "pickup", "scale"]
"""`jump`: the value follows at once. `pickup`: only after the fader has reached or passed it. `scale`: the
value moves the fader's way by the share of the travel that is left, until the two meet."""
TAKEOVERS: tuple[Takeover, ...] = get_args(Takeover)


@dataclass
class Grip:
    """Whether one control has hold of its value."""

    mode: Takeover
    place: float | None = None
    """Where the control was last seen, 0 to 1."""
    held: bool = False

    def release(self) -> None:
        """Note that the value was moved by somebody else."""
        self.held = False

    def move(self, place: float, value: float, step: float) -> float | None:
        """The new value for a control that has come to a place, or None for none.

        `value` is where the value stands, 0 to 1; `step` is how far apart two places of the control are.
        """
        before, self.place = self.place, place
        if self.mode == "jump" or self.held:
            self.held = True
            return place
        # Close is enough to pick up; who approaches by shares arrives by itself, without a last leap.
        near = 1.5 * step if self.mode == "pickup" else 0.0
        passed = before is not None and (before - value) * (place - value) <= 0.0
        if abs(place - value) <= near or passed:
            self.held = True
            return place
        if self.mode == "pickup" or before is None or before == place:
            return None
        if place > before:
            return value + (place - before) * (1.0 - value) / (1.0 - before)
        return value - (before - place) * value / before
