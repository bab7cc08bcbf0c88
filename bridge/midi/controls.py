"""What moves on a controller, named as a channel and a number; and how it tells its value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import mido
from stembridge.model.errors import ArgumentValueError

Source = Literal["cc", "note", "pitchbend", "program"]
Kind = Literal[
    "auto", "7-bit", "14-bit", "pitch-bend", "note", "button", "switch",
    "relative-twos", "relative-offset", "relative-sign", "program",
]  # fmt: skip
"""`auto`: 7 bits until a second controller refines them. `button`: 127 while it is held, each press counts.
`switch`: its value is its state. `relative-*`: steps up and down, written as two's complement, around 64, or
with bit 6 as the sign."""
KINDS: tuple[Kind, ...] = get_args(Kind)

FINE_CC = 32
"""Controllers 0 to 31 are refined by those 32 higher."""


class MidiError(ArgumentValueError):
    """MIDI that is not there, or a map that cannot be read."""


@dataclass(frozen=True, order=True)
class Control:
    """One thing that moves, as a message names it. Channels count from 1, programs too."""

    source: Source
    channel: int
    number: int = 0
    """Of the controller, note or program; 0 for pitch bend."""

    def __post_init__(self) -> None:
        low, high = (1, 128) if self.source == "program" else (0, 127)
        if self.source not in get_args(Source):
            raise MidiError(f"a control is one of {', '.join(get_args(Source))}; got {self.source!r}")
        if not 1 <= self.channel <= 16:
            raise MidiError(f"a MIDI channel is 1 to 16; got {self.channel}")
        if not low <= self.number <= high:
            raise MidiError(f"{self.source} is {low} to {high}; got {self.number}")

    def __str__(self) -> str:
        number = "" if self.source == "pitchbend" else f" {self.number}"
        return f"{self.source} {self.channel}{number}"

    @property
    def fine(self) -> Control | None:
        """The controller that refines this one, if there can be one."""
        if self.source != "cc" or self.number >= FINE_CC:
            return None
        return Control("cc", self.channel, self.number + FINE_CC)

    @property
    def coarse(self) -> Control | None:
        """The controller that this one would refine, if there can be one."""
        if self.source != "cc" or not FINE_CC <= self.number < 2 * FINE_CC:
            return None
        return Control("cc", self.channel, self.number - FINE_CC)


def parse_control(text: str) -> Control:
    """The inverse of `str(control)`. Raises MidiError.

    >>> parse_control("cc 1 20"), str(parse_control("pitchbend 9"))
    (Control(source='cc', channel=1, number=20), 'pitchbend 9')
    """
    source, *numbers = text.split() or [""]
    if len(numbers) != (1 if source == "pitchbend" else 2) or not all(
        n.isascii() and n.isdigit() for n in numbers
    ):
        raise MidiError(f"a control reads `cc 1 20` (what, channel, number); got {text[:40]!r}")
    return Control(source, *(int(number[:4]) for number in numbers))  # type: ignore[arg-type]


def control_of(message: mido.Message) -> tuple[Control, int] | None:
    """Which control a message is from, and its value: 0 to 127, or 16383 for pitch bend; a note's velocity,
    0 when it ends. None for anything else (clock, sysex, aftertouch).
    """
    channel = getattr(message, "channel", -1) + 1
    match message.type:
        case "control_change":
            return Control("cc", channel, message.control), message.value
        case "pitchwheel":
            return Control("pitchbend", channel), message.pitch + 8192
        case "note_on":
            return Control("note", channel, message.note), message.velocity
        case "note_off":
            return Control("note", channel, message.note), 0
        case "program_change":
            return Control("program", channel, message.program + 1), 127
    return None


def messages_for(control: Control, value: int, *, fine: bool = False) -> tuple[mido.Message, ...]:
    """What shows a value on a control: a LED, a ring, a motor fader. `fine`: the value has 14 bits."""
    channel = control.channel - 1
    match control.source:
        case "pitchbend":
            return (mido.Message("pitchwheel", channel=channel, pitch=value - 8192),)
        case "note":
            return (mido.Message("note_on", channel=channel, note=control.number, velocity=value),)
        case "program":
            return ()
    if not fine or control.fine is None:
        return (mido.Message("control_change", channel=channel, control=control.number, value=value),)
    return (
        mido.Message("control_change", channel=channel, control=control.number, value=value >> 7),
        mido.Message("control_change", channel=channel, control=control.fine.number, value=value & 0x7F),
    )
