"""What Ardour's OSC surface says, and what is said to it; as Ardour 7.3 does it, not as it is described.

Strips are counted from 1 in the order of the mixer; a strip's number is another one once a track is put in
front of it. Numbers go out as floats: Ardour repeats other kinds as if it had taken them, and takes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from stembridge.model.units import SILENCE_DB

from ..messages import Message, Value

TOP_DB = 6.0206
"""The top of Ardour's faders (a gain of 2); ours go on to +12."""
MASTER = 0
"""The master's number here; strips have theirs from 1."""

What = Literal["gain", "mute", "solo", "pan"]

_SILENCE_DB = -200.0
"""Ardour's silence; -144 is a gain to it like any other."""
_STRIPS = 1 + 2 + 4 + 8 + 16
"""Tracks and busses for audio and MIDI, and VCAs; no master, no monitor, nothing hidden."""
_FEEDBACK = 1 + 2 + 8 + 16 + 2048 + 16384
"""Switches, values, a heartbeat each second, the master, the position as time, answers under `/reply`."""
_DECIBELS = 2
"""Gains come in dB as well as as positions."""
_SENDERS_PORT = 0
"""Answers go to the port the question came from; any other number is for all surfaces of a computer."""

_VALUES: dict[str, What] = {"gain": "gain", "mute": "mute", "solo": "solo", "pan_stereo_position": "pan"}
_LEAVES: dict[str, str] = {what: leaf for leaf, what in _VALUES.items()}


@dataclass(frozen=True)
class Named:
    """A strip's name."""

    strip: int
    name: str


@dataclass(frozen=True)
class Valued:
    """A strip's value: dB (silence is -144), 0 or 1, or a balance of -1 to 1."""

    strip: int
    what: What
    value: float


@dataclass(frozen=True)
class ListChanged:
    """Strips came, went or moved."""


@dataclass(frozen=True)
class ListEnd:
    """All strips have been listed."""


@dataclass(frozen=True)
class Rolled:
    """The transport rolls, or has stopped."""

    rolling: bool


@dataclass(frozen=True)
class Located:
    """The transport is at a second of the session."""

    position_s: float


Said = Named | Valued | ListChanged | ListEnd | Rolled | Located


def hello() -> Message:
    """Be a surface: without banks, told of everything. Ardour answers with all it has, twice."""
    return Message("/set_surface", (0, _STRIPS, _FEEDBACK, _DECIBELS, 0, 0, _SENDERS_PORT))


def goodbye() -> Message:
    """Be told of nothing any more."""
    return Message("/set_surface", (0, _STRIPS, 0, _DECIBELS, 0, 0, _SENDERS_PORT))


def question() -> Message:
    """Ask which strips there are; the answer is followed by everything else once more."""
    return Message("/strip/list")


def move(strip: int, what: str, value: float) -> Message:
    """Set a value."""
    if what == "gain":
        value = _SILENCE_DB if value <= SILENCE_DB else min(value, TOP_DB)
    elif what == "pan":
        value = (1.0 - value) / 2.0  # 0 is right, 1 is left
    if strip == MASTER:
        return Message(f"/master/{_LEAVES[what]}", (float(value),))
    return Message(f"/strip/{_LEAVES[what]}", (strip, float(value)))


def touch(strip: int, touched: bool) -> Message:
    """Put a hand on a fader, for Ardour's automation, or take it off."""
    return Message("/strip/fader/touch", (strip, float(touched)))


def action(slot: int) -> Message:
    """Run the script that lies in a slot of the Script Manager."""
    return Message("/access_action", (f"LuaAction/script-{slot}",))


def shown(what: str, value: float) -> float:
    """What of a value Ardour can show."""
    return min(max(value, SILENCE_DB), TOP_DB) if what == "gain" else value


def read(message: Message) -> Said | None:
    """What a message tells; None for one that tells nothing of use here."""
    reader = _READERS.get(message.address)
    return None if reader is None else reader(message.arguments)


def worth_reading(packet: bytes) -> bool:
    """Whether a packet can tell anything: of Ardour's 31 messages for a strip, five do."""
    return packet.startswith(b"#bundle\0") or packet[: packet.find(b"\0")] in _READ


def _name(arguments: tuple[Value, ...]) -> Said | None:
    match arguments:
        case (int(strip), str(name)) if strip > 0:
            return Named(strip, name)
    return None


def _reply(arguments: tuple[Value, ...]) -> Said | None:
    """`AT vocals 2 2 0 0 1 0`: kind, name, inputs, outputs, mute, solo, number, record."""
    match arguments:
        case ("end_route_list", *_):
            return ListEnd()
        case (str(), str(name), _, _, _, _, int(strip), *_) if strip > 0:
            return Named(strip, name)
    return None


def _list(arguments: tuple[Value, ...]) -> Said | None:
    return None if arguments else ListChanged()


def _strip_value(what: What) -> Callable[[tuple[Value, ...]], Said | None]:
    def read_value(arguments: tuple[Value, ...]) -> Said | None:
        match arguments:
            case (int(strip), float() | int() as value) if strip > 0:
                return _valued(strip, what, value)
        return None

    return read_value


def _master_value(what: What) -> Callable[[tuple[Value, ...]], Said | None]:
    def read_value(arguments: tuple[Value, ...]) -> Said | None:
        match arguments:
            case (float() | int() as value,):
                return _valued(MASTER, what, value)
        return None

    return read_value


def _rolled(arguments: tuple[Value, ...]) -> Said | None:
    match arguments:
        case (float() | int() as value,):
            return Rolled(value != 0)
    return None


def _located(arguments: tuple[Value, ...]) -> Said | None:
    """`00:01:02.345`."""
    match arguments:
        case (str(text),) if (found := _CLOCK.fullmatch(text.strip())) is not None:
            return Located(int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]))
    return None


_CLOCK = re.compile(r"(\d{1,3}):(\d{2}):(\d{2}(?:\.\d+)?)", re.ASCII)


def _valued(strip: int, what: What, value: float) -> Said | None:
    if value != value:
        return None
    match what:
        case "gain":
            return Valued(strip, what, min(max(value, SILENCE_DB), TOP_DB))
        case "pan":
            return Valued(strip, what, min(max(1.0 - 2.0 * value, -1.0), 1.0))
    return Valued(strip, what, float(value != 0.0))


_READERS: dict[str, Callable[[tuple[Value, ...]], Said | None]] = {
    "/strip/name": _name,
    "/strip/list": _list,
    "/reply": _reply,
    "/transport_play": _rolled,
    "/position/time": _located,
    **{f"/strip/{leaf}": _strip_value(what) for leaf, what in _VALUES.items()},
    **{f"/master/{_LEAVES[what]}": _master_value(what) for what in ("gain", "mute")},
}
_READ = frozenset(address.encode() for address in _READERS)
