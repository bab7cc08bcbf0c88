"""Messages into moves: what a control says, whatever way it says it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mido

from .controls import Control, Kind, control_of
from .pairs import TOP_7, TOP_14, Pair

PRESSED = 64
"""From this value on a button or a switch is on."""


@dataclass(frozen=True)
class Move:
    """One thing a control has said."""

    control: Control
    value: int = 0
    """Where it stands, 0 to `top`; 0 where it only steps or presses."""
    top: int = TOP_7
    steps: int = 0
    """How far it was turned, for a knob without ends."""
    pressed: bool | None = None
    """True for a press, False for a release; None for what has a position."""

    @property
    def position(self) -> float:
        """The value as 0 to 1; the ends are exact."""
        return self.value / self.top


def relative_steps(kind: Kind, value: int) -> int:
    """How far a knob without ends was turned.

    >>> relative_steps("relative-twos", 127), relative_steps("relative-offset", 63)
    (-1, -1)
    """
    match kind:
        case "relative-twos":
            return value if value < 64 else value - 128
        case "relative-offset":
            return value - 64
    return value if value < 64 else 64 - value


class Decoder:
    """Remembers what moves need to be understood: the other half of 14 bits, whether a button is down."""

    def __init__(self, kind_of: Callable[[Control], Kind | None]) -> None:
        """`kind_of` says how a control speaks; None: nobody wants to know of it."""
        self._kind_of = kind_of
        self._pairs: dict[Control, Pair] = {}
        self._down: dict[Control, bool] = {}

    def forget(self) -> None:
        """Start anew, as for another controller."""
        self._pairs.clear()
        self._down.clear()

    def feed(self, message: mido.Message, at: float) -> Move | None:
        """The move that a message is, at a time in seconds; None where it is none, or not yet."""
        found = control_of(message)
        if found is None:
            return None
        control, value = found
        kind = self._kind_of(control)
        if kind is None:
            return self._fine_half(control, value, at)
        match kind:
            case "auto" | "14-bit" if control.fine is not None:
                pair = self._pairs.setdefault(control, Pair(known=kind == "14-bit"))
                return Move(control, *pair.take_coarse(value, at))
            case "pitch-bend":
                return Move(control, value, TOP_14)
            case "note" | "button":
                return self._press(control, value >= (PRESSED if kind == "button" else 1))
            case "program":
                return Move(control, pressed=True)
            case "relative-twos" | "relative-offset" | "relative-sign":
                return Move(control, steps=relative_steps(kind, value))
        return Move(control, value)

    def _fine_half(self, control: Control, value: int, at: float) -> Move | None:
        coarse = control.coarse
        if coarse is None or (kind := self._kind_of(coarse)) not in ("auto", "14-bit"):
            return None
        refined = self._pairs.setdefault(coarse, Pair(known=kind == "14-bit")).take_fine(value, at)
        return None if refined is None else Move(coarse, *refined)

    def _press(self, control: Control, down: bool) -> Move | None:
        """A press or a release; a button that says twice that it is down has been pressed once.

        A note that starts again without having ended is pressed again: pads do that.
        """
        was = self._down.get(control, False)
        self._down[control] = down
        if down == was and not (down and control.source == "note"):
            return None
        return Move(control, pressed=down)
