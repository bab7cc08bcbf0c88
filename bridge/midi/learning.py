"""Which control a hand is moving, and in which way that control speaks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from .controls import Control, Kind
from .pairs import TOGETHER_S

WINDOW_S = 10.0
LEAST = 3
"""So many values make a move; fewer are a knock against the table."""
GUESS_S = 0.25
"""After so long it shows whether a second controller comes along."""
TURN_S = 2.0
"""So long a knob without ends is given to be turned both ways, which tells how it writes minus."""
PRESS_S = 0.7

Heard = list[tuple[int, float]]


class Learner:
    """Watches everything that comes in until it is clear."""

    def __init__(self, *, positioned: bool) -> None:
        """`positioned`: a fader or knob is looked for, not a button."""
        self._positioned = positioned
        self._heard: dict[Control, Heard] = {}

    def feed(self, control: Control, value: int, at: float) -> None:
        """Note one message, at a time in seconds."""
        self._heard.setdefault(control, []).append((value, at))

    def decide(self, now: float) -> tuple[Control, Kind] | None:
        """The control and its kind, once that is clear."""
        for control, heard in self._heard.items():
            if (kind := self._kind(control, heard, now)) is not None:
                coarse = control.coarse
                if kind == "14-bit" and coarse is not None and coarse in self._heard:
                    return coarse, kind
                return control, kind
        return None

    def _kind(self, control: Control, heard: Heard, now: float) -> Kind | None:
        values = [value for value, _ in heard]
        since = now - heard[0][1]
        if not self._positioned:
            if control.source == "note" and any(values):
                return "note"
            if control.source == "program":
                return "program"
            if control.source == "cc" and set(values) <= {0, 127}:
                return _button(values, since)
        if len(heard) < LEAST:
            return None
        if control.source == "pitchbend" and self._positioned:
            return "pitch-bend"
        if control.source != "cc" or since < GUESS_S:
            return None
        return self._continuous(control, heard, since)

    def _continuous(self, control: Control, heard: Heard, since: float) -> Kind | None:
        for other in (control.fine, control.coarse):
            if other is not None and _together(heard, self._heard.get(other, [])):
                return "14-bit"
        if not self._positioned:
            return "switch"
        kind, sure = relative_kind([value for value, _ in heard])
        if kind is None:
            return "7-bit"
        return kind if sure or since >= TURN_S else None


def _button(values: Sequence[int], since: float) -> Kind | None:
    if 127 in values and values[-1] == 0:
        return "button"
    return "switch" if since >= PRESS_S else None


def _together(one: Heard, other: Heard) -> bool:
    """Whether two controllers moved in step: two messages of one each have one of the other close by."""
    close = sum(any(abs(at - then) <= TOGETHER_S for _, then in other) for _, at in one)
    return close >= 2 and len(other) >= 2


def relative_kind(values: Sequence[int]) -> tuple[Kind | None, bool]:
    """How a knob without ends writes its steps, and whether that is sure; None for a fader or a pot.

    Such a knob repeats itself or leaps from one end to the other, which what has a place never does.
    Until it has been turned both ways, minus may still be written in another way.
    """
    if not any(a == b or abs(a - b) > 100 for a, b in itertools.pairwise(values)):
        return None, True
    few, many = {*range(1, 11)}, {*range(118, 128)}
    below, above = {*range(54, 64)}, {*range(65, 75)}
    seen = set(values)
    if seen <= few | many:
        return "relative-twos", bool(seen & many)
    if seen <= below | above:
        return "relative-offset", bool(seen & below)
    if seen <= few | above:
        return "relative-sign", True
    return None, True
