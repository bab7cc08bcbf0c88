"""Ardour's mixer and our desk, kept together: its faders drive our stems, and ours move its faders."""

from __future__ import annotations

from collections.abc import Callable

from .. import commands as c
from .. import events as e
from ..feedback import Feedback
from ..hub import Hub
from ..messages import Message
from ..session import MASTER as MASTER_NAME
from . import ardour_dialect as dialect
from .ardour_tracks import Tracks
from .shown import shown

_SAME = {"gain": 0.002, "mute": 0.5, "solo": 0.5, "pan": 0.001}
"""Values so close are one: Ardour repeats gains to within 0.00002 dB."""


class Faders:
    """The controls of one Ardour that are bound to the desk."""

    def __init__(self, hub: Hub, origin: str, tracks: Tracks, send: Callable[[Message], None]) -> None:
        """`origin` marks the commands that come from Ardour; `send` says something to it."""
        self.sure = False
        """Whether it is known which strip is whose; until then nothing is moved on either side."""
        self._hub = hub
        self._origin = origin
        self._tracks = tracks
        self._send = send
        self._feedback = Feedback(self._tell, resolution=lambda key: _SAME[key.partition("/")[2]])
        self._stands: dict[str, float] = {}
        """Where Ardour's controls stand, as far as it said or was told: what does not differ is no news."""

    def forget(self) -> None:
        """Start anew, as with an Ardour that has been restarted."""
        self.sure = False
        self._stands.clear()
        self._feedback.forget()

    def close(self) -> None:
        """End what was begun. Twice is fine."""
        self._feedback.close()

    def said(self, said: dialect.Valued) -> None:
        """Follow a control of Ardour's, if a stem is bound to it."""
        if self.sure and (stem := self._tracks.stem_of(said.strip)) is not None:
            self._follow(stem, said.what, said.value)

    def rebound(self, stems: list[str]) -> None:
        """Bring both sides together once it is known who is who; `stems` have another track now."""
        self.sure = True
        for stem in stems:
            for what in _SAME:
                self._stands.pop(f"{stem}/{what}", None)
        for stem in (MASTER_NAME, *self._tracks.bound):
            for what, value in dict(self._tracks.values(stem)).items():
                stood = self._stands.get(f"{stem}/{what}")
                if stood is None or abs(value - stood) > _SAME[what]:
                    self._follow(stem, what, value)  # its faders drive our stems, so they are right
                else:
                    self._offer(stem, what, self._desk(stem, what, value), own=False)

    def on_event(self, event: e.Event, origin: str) -> None:
        """Show Ardour what happened on the desk."""
        own = origin == self._origin
        if isinstance(event, e.FaderTouched):
            strip = self._tracks.strip_of(event.stem)
            if not own and self.sure and strip is not None:
                self._send(dialect.touch(strip, event.touched))
        elif (told := shown(event)) is not None:
            self._offer(*told, own)

    def _follow(self, stem: str, what: str, value: float) -> None:
        key, same = f"{stem}/{what}", _SAME[what]
        stood = self._stands.get(key)
        if stood is not None and abs(value - stood) <= same:
            return
        if not self._feedback.heard(key, value):
            return
        self._stands[key] = value
        if abs(value - dialect.shown(what, self._desk(stem, what, value))) <= same:
            return  # it shows what the desk has, as far as it can: +12 is at its top too
        self._hub.send(_command(stem, what, value), self._origin)

    def _offer(self, stem: str, what: str, value: float, own: bool) -> None:
        if what in self._tracks.values(stem):
            self._feedback.offer(f"{stem}/{what}", dialect.shown(what, value), own=own)

    def _tell(self, key: str, value: float) -> None:
        stem, _, what = key.partition("/")
        strip, stood = self._tracks.strip_of(stem), self._stands.get(key)
        if strip is None or not self.sure or stood is None:
            return  # not known yet which strip that is; looked at again when it is
        if abs(value - stood) <= _SAME[what]:
            return  # it stands there
        self._stands[key] = value
        self._send(dialect.move(strip, what, value))

    def _desk(self, stem: str, what: str, otherwise: float) -> float:
        """Where a control of the desk stands; `otherwise` for what the desk does not have."""
        session = self._hub.session
        if what == "gain":
            return session.gain_db(stem, self._hub.clock())
        if stem == MASTER_NAME:
            return float(session.desk.master_muted) if what == "mute" else otherwise
        strip = session.desk.strips[stem]
        return {"mute": float(strip.muted), "solo": float(strip.soloed), "pan": strip.pan}[what]


def _command(stem: str, what: str, value: float) -> c.Command:
    """What a move in Ardour asks of the desk."""
    if stem == MASTER_NAME:
        return c.SetMasterGain(value) if what == "gain" else c.SetMasterMute(value != 0.0)
    match what:
        case "gain":
            return c.SetGain(stem, value)
        case "mute":
            return c.SetMute(stem, value != 0.0)
        case "solo":
            return c.SetSolo(stem, value != 0.0)
    return c.SetPan(stem, value)
