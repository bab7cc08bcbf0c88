"""The link to Ableton Live through our own Remote Script, which runs inside of it.

The script tells names, gains in dB, mutes and solos as they change, and takes the same; it knows what we
set and does not repeat it. Every value it tells carries the number of our last `set` it has carried out, so
that what was said before that can be told from what came after; and every `set` carries the number of the
last move in Live that we have heard of, so that a hand there wins over what was on its way.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Literal

from stembridge.model.errors import StembridgeError
from stembridge.model.manifest import read_manifest

from .. import commands as c
from .. import events as e
from ..feedback import Feedback
from ..hub import Hub, Refusal
from ..messages import Value
from ..session import MASTER
from .host_clock import HostClock
from .link import Mode, SelectedClip, StemImport
from .live_line import Line
from .live_tracks import SAME_DB, Bindings, shown_db, snapped_db
from .shown import shown

log = logging.getLogger(__name__)

PORT = 9337
TICK_S = 0.1
MASTER_NUMBER = 0
IMPORT_S = 120.0

What = Literal["gain", "mute", "solo"]
_CONTROLS: dict[What, str] = {"gain": "volume", "mute": "mute", "solo": "solo"}
_WHATS: dict[str, What] = {"volume": "gain", "mute": "mute", "solo": "solo"}


@dataclass(frozen=True)
class LiveClip(SelectedClip):
    """What is selected in Live, with how Live plays it."""

    warping: bool = False
    warp_mode: int = 0
    """0 Beats, 1 Tones, 2 Texture, 3 Re-Pitch, 4 Complex, 5 REX, 6 Complex Pro."""
    looping: bool = False
    in_arrangement: bool = False
    gain: str = ""
    """As Live shows it."""
    semitones: float = 0.0


@dataclass
class _Track:
    name: str
    values: dict[What, float] = field(default_factory=dict)
    sequence: int = 0
    """The last of our sets that these values have seen."""


class LiveLink:
    """One Live."""

    name = "live"

    def __init__(self, hub: Hub, *, mode: Mode = "remote", port: int = PORT) -> None:
        """`port`: where the script listens."""
        self.mode: Mode = mode
        self._hub = hub
        self._clock = HostClock(hub, "live")
        self._origin = f"daw:{self.name}"
        self._line = Line(port, self._on_word, self._begin)
        self._feedback = Feedback(self._tell, resolution=_resolution, interval_s=TICK_S)
        self._bindings: Bindings[int] = Bindings()
        self._tracks: dict[int, _Track] = {}
        self._coming: dict[int, tuple[int, _Track]] = {}
        """A list of tracks that is not complete: number -> place, track."""
        self._generation = -1
        self._last: dict[tuple[str, What], float] = {}
        """What Live last said of a control, or was told."""
        self._sequence = 0
        self._set_by: dict[tuple[str, What], int] = {}
        """The number of our last `set` of a control."""
        self._heard = 0
        """The number of the last move in Live that we know of."""

    async def run(self) -> None:
        """Look for Live, follow it, and look again when it is gone, until cancelled."""
        self._hub.listen(self._on_event)
        try:
            await self._line.run()
        finally:
            self._hub.forget(self._on_event)
            self._feedback.close()

    def state(self) -> e.DawState:
        """Online while the script answers."""
        return e.DawState(
            self.name, self.mode, "online" if self._line.online else "offline", self._line.age_s
        )

    def bind(self, stem: str, track: str) -> None:
        """Bind the track of a name to a stem; an empty name unbinds. Raises Refusal(`not_found`)."""
        self._bindings.name_by_hand(stem, track)
        self._bound(*self._bindings.again())

    async def import_stems(self, stems: StemImport) -> int:
        """Have the script put stems onto new tracks beside the original's. Raises Refusal."""
        source, offset_s = await asyncio.to_thread(_source, stems)
        words: list[tuple[str, list[int | float | str]]] = [
            ("import", [len(stems.stems), source, repr(offset_s), repr(float(stems.gain_db))])
        ]
        for place, stem in enumerate(stems.stems):
            words.append(("stem", [place, stem.stem, stem.track, str(stem.path)]))
        _, (count, notes) = await self._line.ask(words, ["imported"], IMPORT_S, accepted_s=5.0)
        if notes:
            log.warning("Live has the stems, but: %s", notes)
        return int(count) if isinstance(count, int) else len(stems.stems)

    async def selected_clip(self) -> LiveClip:
        """The clip in Live's clip view. Raises Refusal."""
        _, values = await self._line.ask([("selected", [])], ["clip"], 3.0)
        match values:
            case (
                str(path), str(name), float(start_s), float(end_s), float(file_s), int(warping),
                int(warp_mode), int(looping), int(arrangement), float(), str(gain), float(semitones), *_,
            ):  # fmt: skip
                pass
            case _:
                raise Refusal("internal", "Live's script told of the clip in a way that is not known here")
        whole = start_s <= 0.001 and file_s > 0.0 and end_s >= file_s - 0.001
        if start_s < 0.0:
            log.warning("%s: Live does not tell how it is warped; taking its whole file", path)
        return LiveClip(
            path,
            None if whole or start_s < 0.0 else start_s,
            None if whole or start_s < 0.0 else end_s,
            name,
            warping=bool(warping),
            warp_mode=warp_mode,
            looping=bool(looping),
            in_arrangement=bool(arrangement),
            gain=gain,
            semitones=semitones,
        )

    # From Live.

    def _begin(self) -> int:
        """Whatever was on its way is told anew when all tracks are known; the number of our last `set`."""
        self._generation, self._heard = -1, 0
        self._feedback.forget()
        return self._sequence

    def _on_word(self, word: str, arguments: tuple[Value, ...]) -> None:
        match word, arguments:
            case "track", (int(generation), int(number), int(index), str(name), int(sequence), *values):
                if generation != self._generation:
                    self._generation, self._coming = generation, {}
                numbers = [float(value) for value in values if isinstance(value, int | float)]
                whats: tuple[What, ...] = ("gain", "mute", "solo")
                track = _Track(name, dict(zip(whats, numbers, strict=False)), sequence)
                self._coming[number] = (index, track)
            case "tracks/end", (int(generation), int(count)):
                if generation != self._generation or count != len(self._coming):
                    self._line.send("tracks")  # some were lost on the way
                    return
                self._on_tracks()
            case "moved", (int(number), str(control), float(value), float(), int(sequence), int(move)):
                what, self._heard = _WHATS[control], move
                track_of = self._tracks.get(number)
                if track_of is not None:
                    track_of.values[what] = float(value)
                stem = MASTER if number == MASTER_NUMBER else self._bindings.stem_of(number)
                if stem is not None and sequence >= self._set_by.get((stem, what), 0):
                    self._moved(stem, what, float(value))
            case "transport", (int(playing), float(position_s)):
                self._clock.located(position_s)
                self._clock.played(bool(playing))
            case _:
                raise ValueError(f"{word} is not known")

    def _on_tracks(self) -> None:
        ordered = sorted(self._coming.items(), key=lambda item: item[1][0])
        self._tracks = {number: track for number, (_, track) in ordered}
        names = [(number, track.name) for number, track in self._tracks.items() if number != MASTER_NUMBER]
        self._bound(*self._bindings.rebind(names))

    def _bound(self, told: dict[str, str], others: set[str]) -> None:
        """Follow a new binding; a track that is bound anew shows where its stem is to be."""
        for stem, name in told.items():
            self._hub.publish(e.TrackBound(self.name, stem, name), self._origin)
        if self.mode != "remote":
            return
        for stem, number in {MASTER: MASTER_NUMBER, **self._bindings.bound}.items():
            track = self._tracks.get(number, _Track(""))
            for what, value in track.values.items():
                if track.sequence < self._set_by.get((stem, what), 0):
                    continue  # from before our last word
                last = self._last.get((stem, what))
                if last is None or abs(value - last) > _resolution(what):
                    self._moved(stem, what, value)
                elif abs((wanted := self._desk(stem, what, value)) - last) > _resolution(what):
                    self._feedback.offer(_key(stem, what), wanted)

    def _moved(self, stem: str, what: What, value: float) -> None:
        if self.mode != "remote":
            return
        self._last[stem, what] = value
        heard = self._feedback.heard(_key(stem, what), value)
        if not heard or abs(value - self._desk(stem, what, value)) <= _resolution(what):
            return  # also a gain above Live's top, which its fader shows as its top
        for command in _commands(stem, what, value):
            self._hub.send(command, self._origin)

    def _desk(self, stem: str, what: What, otherwise: float) -> float:
        """What Live should show; `otherwise` for what the desk does not have."""
        session = self._hub.session
        if what == "gain":
            return shown_db(session.gain_db(stem, self._hub.clock()))
        if stem == MASTER:
            return otherwise
        strip = session.desk.strips[stem]
        return float(strip.muted if what == "mute" else strip.soloed)

    # To Live.

    def _on_event(self, event: e.Event, origin: str) -> None:
        if self.mode != "remote":
            return
        told = shown(event)
        if told is None or told[1] == "pan" or (told[0] == MASTER and told[1] == "mute"):
            return
        stem, what, value = told
        own = origin == self._origin
        self._feedback.offer(_key(stem, what), shown_db(value) if what == "gain" else value, own=own)

    def _tell(self, key: str, value: float) -> None:
        stem, _, leaf = key.partition("/")
        what: What = "gain" if leaf == "gain" else "mute" if leaf == "mute" else "solo"
        number = MASTER_NUMBER if stem == MASTER else self._bindings.bound.get(stem)
        last = self._last.get((stem, what))
        if not self._line.online or number is None or last is None:
            return  # looked at again when its track is there
        if abs(value - last) <= _resolution(what):
            return  # it stands there
        self._sequence += 1
        self._set_by[stem, what] = self._sequence
        self._last[stem, what] = value
        self._line.send("set", number, _CONTROLS[what], float(value), self._sequence, self._heard)


def _key(stem: str, what: str) -> str:
    return f"{stem}/{what}"


def _resolution(control: str) -> float:
    return SAME_DB if control.endswith("gain") else 0.5


def _commands(stem: str, what: What, value: float) -> tuple[c.Command, ...]:
    """What a move in Live asks of the desk."""
    match what:
        case "gain" if stem == MASTER:
            return (c.SetMasterGain(snapped_db(value)),)
        case "gain":
            return (c.SetGain(stem, snapped_db(value)),)
        case "mute":
            return (c.SetMute(stem, value != 0.0),)
        case "solo":
            return (c.SetSolo(stem, value != 0.0),)


def _source(stems: StemImport) -> tuple[str, float]:
    """The file the stems were made from, and where in it they begin, in seconds. Raises Refusal."""
    try:
        manifest = read_manifest(stems.manifest)
    except (StembridgeError, OSError) as error:
        raise Refusal("internal", f"the stems' manifest cannot be read: {error}") from error
    if manifest is None:
        raise Refusal("not_found", f"{stems.manifest} is gone: render the stems again")
    rate = float(manifest.source.get("sample_rate", 0))
    if stems.start_frame and rate <= 0.0:
        raise Refusal("internal", f"{stems.manifest} does not tell the song's sample rate")
    return str(manifest.source.get("path", "")), stems.start_frame / rate if rate > 0.0 else 0.0
