"""What REAPER's OSC surface says and understands, with our pattern file or with its default one.

Facts, from the surface's published source: it listens for `i`, `f` and `s` only and drops a message with any
other type; a fader at silence is -150 dB; tracks beyond the last are told as `Track 9` at -150 dB; a value
is sent only when it differs from the last one sent, and a message without arguments makes it forget that
last one. It has no query of its own: asking is to make it forget, then to set the number of tracks, which
sends everything that is not known to be known.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from stembridge.model.units import SILENCE_DB

from ..messages import Message, Value

What = Literal["name", "gain", "mute", "solo"]
MASTER = 0
"""The number of the master track."""

REAPER_SILENCE_DB = -150.0
_TRACK = re.compile(r"/track/([1-9][0-9]{0,3})/(name|volume/db|volume/str|mute|solo)", re.ASCII)
_MASTER = {"/master/volume/db": "volume/db", "/master/volume/str": "volume/str", "/master/mute": "mute"}
_DB = re.compile(r"\s*([-+]?\d+(?:[.,]\d+)?)\s*(?:dB)?\s*", re.ASCII | re.IGNORECASE)
_MINUS_SIGNS = str.maketrans({"−": "-", "–": "-"})


@dataclass(frozen=True)
class Said:
    """One thing REAPER says about one track."""

    track: int
    """From 1; `MASTER` is the master."""
    what: What
    value: float | str
    """A name, a gain in dB, or 0 and 1."""
    rounded: bool = False
    """Read from a text for people: other digits are missing."""


def read(message: Message) -> Said | None:
    """What a message says; None for anything else REAPER sends (meters, time, selection)."""
    if (leaf := _MASTER.get(message.address)) is not None:
        track = MASTER
    elif found := _TRACK.fullmatch(message.address):
        track, leaf = int(found[1]), found[2]
    else:
        return None
    value = message.arguments[0] if message.arguments else None
    if leaf == "name":
        return Said(track, "name", value) if isinstance(value, str) else None
    if leaf in ("mute", "solo"):
        number = _number(value)
        return None if number is None else Said(track, leaf, float(number != 0.0))  # type: ignore[arg-type]
    gain_db = decibels(value)
    return None if gain_db is None else Said(track, "gain", gain_db, rounded=isinstance(value, str))


def decibels(value: Value) -> float | None:
    """A gain in dB from a number, or from REAPER's text for it; silence is -144.

    >>> decibels("-6.02dB"), decibels("-inf dB"), decibels("+3,5 dB"), decibels(-150.0), decibels("loud")
    (-6.02, -144.0, 3.5, -144.0, None)
    """
    if isinstance(value, str):
        text = value.translate(_MINUS_SIGNS).casefold().strip()
        if text.startswith(("-inf", "-∞")):
            return SILENCE_DB
        found = _DB.fullmatch(text)
        number = float(found[1].replace(",", ".")) if found else None
    else:
        number = _number(value, infinite=True)
    return None if number is None else max(number, SILENCE_DB)


def gain(track: int, gain_db: float) -> Message:
    """Move a fader; REAPER has more below our silence, so silence is sent as its own."""
    sent = REAPER_SILENCE_DB if gain_db <= SILENCE_DB else float(gain_db)
    return Message("/master/volume/db" if track == MASTER else f"/track/{track}/volume/db", (sent,))


def switch(track: int, what: Literal["mute", "solo"], on: bool) -> Message:
    """Set a switch; floats, as REAPER's own surfaces send them."""
    head = "/master" if track == MASTER else f"/track/{track}"
    return Message(f"{head}/{what}", (float(on),))


def touch(track: int, touched: bool) -> Message:
    """Say that a hand is on a fader, so that an automation mode that waits for one writes."""
    return Message(f"/track/{track}/volume/touch", (float(touched),))


def count(tracks: int) -> Message:
    """Have REAPER tell of so many tracks, with all it has not told yet."""
    return Message("/device/track/count", (tracks,))


def question(tracks: int) -> Iterator[Message]:
    """Have REAPER tell everything again."""
    for track in range(1, tracks + 1):
        for leaf in ("name", "volume/db", "volume/str", "mute", "solo"):
            yield Message(f"/track/{track}/{leaf}")
    yield from (Message(address) for address in _MASTER)
    yield count(tracks)


def probe(tracks: int) -> Iterator[Message]:
    """Have REAPER tell one thing again, as a sign of life."""
    yield Message("/track/1/name")
    yield count(tracks)


def _number(value: Value, *, infinite: bool = False) -> float | None:
    if isinstance(value, bytes | str) or value is None:
        return None
    number = float(value)
    if math.isnan(number) or number == math.inf or (number == -math.inf and not infinite):
        return None
    return number
