"""Live's tracks: names, volumes, mutes and solos, followed by listeners and set from the bridge.

Listeners only note that something moved, since Live forbids changes while it notifies; everything is read
and done in the tick. A track keeps its number while it is moved and renamed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

from .fader import gain_db, position_of
from .listeners import Listeners

MASTER = 0
CONTROLS = ("volume", "mute", "solo")
_SAME_POSITION = 2e-7


class Strip:
    """One track, or the master, which has a volume only."""

    def __init__(self, number: int, track: Any, changed: Callable[[Strip, str], None]) -> None:
        self.number = number
        self.track = track
        self.listeners = Listeners()
        self.known: dict[str, float] = {}
        """What the bridge knows: what it was last told, or set itself."""
        volume = track.mixer_device.volume
        self.listeners.add(volume, "value", lambda: changed(self, "volume"))
        if number != MASTER:
            for name in ("name", "mute", "solo"):
                self.listeners.add(track, name, lambda name=name: changed(self, name))  # type: ignore[misc]
        for control in self.controls:
            self.known[control] = self.read(control)

    @property
    def controls(self) -> tuple[str, ...]:
        """What it has."""
        return CONTROLS[:1] if self.number == MASTER else CONTROLS

    @property
    def name(self) -> str:
        """What it is called."""
        return "MASTER" if self.number == MASTER else str(self.track.name)

    def read(self, control: str) -> float:
        """A volume as Live's position, a switch as 0 or 1."""
        if control == "volume":
            return float(self.track.mixer_device.volume.value)
        return float(bool(getattr(self.track, control)))

    def value(self, control: str) -> float:
        """The same, a volume in dB."""
        if control == "volume":
            return gain_db(self.track.mixer_device.volume, self.known[control])
        return self.known[control]

    def set(self, control: str, value: float) -> bool:
        """Set a volume in dB, or a switch; False where Live made something else of it."""
        if control == "volume":
            volume = self.track.mixer_device.volume
            position = _single(position_of(volume, value))
            if abs(position - float(volume.value)) > _SAME_POSITION:
                volume.value = position
            self.known[control] = self.read(control)
            return abs(self.known[control] - position) <= _SAME_POSITION
        if self.read(control) != float(value != 0.0):
            setattr(self.track, control, value != 0.0)
        self.known[control] = self.read(control)
        return self.known[control] == float(value != 0.0)


class Mixer:
    """All of them."""

    def __init__(self, song: Any, log: Callable[[str], None]) -> None:
        self._song = song
        self._log = log
        self._listeners = Listeners()
        self._strips: dict[int, Strip] = {}
        """By the address of Live's object."""
        self._order: list[int] = []
        self._waiting: list[tuple[int, Any]] = []
        """Tracks that have no listeners yet."""
        self._next = MASTER + 1
        self._tracks_changed = True
        self.names_changed = True
        """Whether the bridge has to hear of all tracks again."""
        self._moved: dict[tuple[int, str], Strip] = {}
        self.moves_told = 0
        self._told: dict[tuple[int, str], int] = {}
        """The number of the last move of a hand in Live, for each control."""
        self._must_tell: set[tuple[int, str]] = set()
        self._master = Strip(MASTER, song.master_track, self._changed)
        self._listeners.add(song, "tracks", self._on_tracks)

    def close(self) -> None:
        """Take all listeners off. Twice is fine."""
        self._listeners.clear()
        for strip in (self._master, *self._strips.values()):
            strip.listeners.clear()
        self._strips, self._waiting, self._order = {}, [], []

    @property
    def complete(self) -> bool:
        """Whether every track is followed."""
        return not self._waiting and not self._tracks_changed

    def strips(self) -> list[tuple[int, Strip]]:
        """All that are followed, with their places; the master's is -1."""
        there = [(index, self._strips[key]) for index, key in enumerate(self._order) if key in self._strips]
        return [(-1, self._master), *there]

    def follow(self, most: int) -> None:
        """Catch up with tracks that came, went or moved, at most so many new ones."""
        if self._tracks_changed:
            self._tracks_changed = False
            self._catch_up()
        for _ in range(min(most, len(self._waiting))):
            key, track = self._waiting.pop(0)
            try:
                self._strips[key] = Strip(self._next, track, self._changed)
                self._next += 1
            except Exception as error:  # deleted a moment ago; Live tells of the new list as well
                self._log(f"a track cannot be followed: {error!r}")

    def moves(self, most: int) -> Iterator[tuple[Strip, str]]:
        """What was moved in Live since the last tick, what the bridge set itself left out."""
        for key in list(self._moved)[:most]:
            strip, control = self._moved.pop(key), key[1]
            try:
                value = strip.read(control)
            except Exception:  # its track is gone
                continue
            if value != strip.known[control] or key in self._must_tell:
                self.moves_told += 1
                self._told[key] = self.moves_told
                self._must_tell.discard(key)
                strip.known[control] = value
                yield strip, control

    def begin(self) -> None:
        """Another bridge, or one that was away: it is told everything, and no move is news to it."""
        self._told.clear()
        self.names_changed = True

    def set(self, number: int, control: str, value: float, heard: int) -> None:
        """Do what the bridge asks, unless a hand in Live was there first: a move it had not heard of then.

        `heard` is the number of the last move it had heard of.
        """
        strip = self._numbered(number)
        if strip is None or control not in strip.controls or value != value:
            return
        key = (number, control)
        unheard = self._told.get(key, 0) > heard or strip.read(control) != strip.known[control]
        if unheard or not strip.set(control, value):
            self._must_tell.add(key)
            self._moved[key] = strip

    def _numbered(self, number: int) -> Strip | None:
        if number == MASTER:
            return self._master
        return next((strip for strip in self._strips.values() if strip.number == number), None)

    def _on_tracks(self) -> None:
        self._tracks_changed = True

    def _changed(self, strip: Strip, what: str) -> None:
        if what == "name":
            self.names_changed = True
        else:
            self._moved[strip.number, what] = strip

    def _catch_up(self) -> None:
        tracks = {_address(track): track for track in self._song.tracks}
        for key, strip in list(self._strips.items()):
            if key not in tracks or not strip.listeners.alive():
                strip.listeners.clear()
                del self._strips[key]
        self._order = list(tracks)
        self._waiting = [(key, track) for key, track in tracks.items() if key not in self._strips]
        self.names_changed = True


def _address(track: Any) -> int:
    """What tells one track from another: Live hands out a new Python object for the same track."""
    return int(track._live_ptr)


def _single(value: float) -> float:
    """As Live keeps it: in 32 bits."""
    return float(struct.unpack("f", struct.pack("f", value))[0])
