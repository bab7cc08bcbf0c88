"""The link to Ableton Live through AbletonOSC, for those who have that script already.

It counts tracks and tells of no change in their order, and a listener goes on to report the number its track
had when it was put on. So each of ours is put on with a number of our own as one more argument, which comes
back with every value: that says which track it is, wherever it lies by now. The master, the range of warped
clips and undo steps are out of reach; our own Remote Script has them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections import deque
from dataclasses import dataclass
from typing import Literal

from .. import commands as c
from .. import events as e
from ..feedback import Feedback
from ..hub import Hub, Refusal
from ..messages import Value
from ..session import MASTER
from .abletonosc_line import LISTEN_PORT, SEND_PORT, AbletonOscError, Line
from .link import Mode, SelectedClip, StemImport
from .live_tracks import LAW, Bindings
from .shown import shown

log = logging.getLogger(__name__)

TICK_S = 0.1
ECHO_S = 1.5
"""What we set comes back within a tick or two; later than this, it is somebody's move."""
_SAME_POSITION = 2e-6
_RATES = (8000, 11025, 16000, 22050, 32000, 44100, 48000, 88200, 96000, 176400, 192000)

What = Literal["volume", "mute", "solo"]
WHATS: tuple[What, ...] = ("volume", "mute", "solo")


@dataclass(frozen=True)
class _Listening:
    """Listeners on one track: their number of ours, and the track as it was when they were put on."""

    number: int
    index: int
    name: str
    tracks: int
    """How many there were."""


class AbletonOscLink:
    """One Live with AbletonOSC."""

    name = "abletonosc"

    def __init__(
        self, hub: Hub, *, mode: Mode = "remote", send_port: int = SEND_PORT, listen_port: int = LISTEN_PORT
    ) -> None:
        """The ports are AbletonOSC's own, and not to be chosen there."""
        self.mode: Mode = mode
        self._hub = hub
        self._origin = f"daw:{self.name}"
        self._line = Line(send_port, listen_port, self._on_told, self._on_found)
        self._feedback = Feedback(self._tell, resolution=_resolution, interval_s=TICK_S, echoes=False)
        self._bindings: Bindings[int] = Bindings()
        self._names: tuple[str, ...] | None = None
        self._listening: dict[str, _Listening] = {}
        self._next = 0
        self._last: dict[tuple[str, What], float] = {}
        """What Live last said of a control, or was told."""
        self._unsure: set[tuple[str, What]] = set()
        """Controls whose track was bound a moment ago, and has not said yet how it stands."""
        self._echoes: dict[tuple[str, What], deque[tuple[float, float]]] = {}
        self._following: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Look for AbletonOSC, follow it, and look again when it is gone, until cancelled."""
        self._hub.listen(self._on_event)
        try:
            await self._line.run()
        finally:
            self._hub.forget(self._on_event)
            self._feedback.close()
            for task in tuple(self._following):
                task.cancel()

    def state(self) -> e.DawState:
        """Online while AbletonOSC answers."""
        return e.DawState(
            self.name, self.mode, "online" if self._line.online else "offline", self._line.age_s
        )

    def bind(self, stem: str, track: str) -> None:
        """Bind the track of a name to a stem; an empty name unbinds. Raises Refusal(`not_found`)."""
        self._bindings.name_by_hand(stem, track)
        self._bound(*self._bindings.again())

    async def selected_clip(self) -> SelectedClip:
        """The clip in the selected slot, with its range where it is not warped. Raises Refusal."""
        async with self._line.turn:
            try:
                track, scene, *_ = map(int, _numbers(await self._line.ask("/live/view/get/selected_clip")))
                clip = {
                    name: (await self._line.ask(f"/live/clip/get/{name}", track, scene))[0]
                    for name in (
                        "is_audio_clip", "file_path", "name", "warping", "loop_start", "loop_end",
                        "sample_length",
                    )
                }  # fmt: skip
            except (AbletonOscError, ValueError, IndexError) as error:
                raise Refusal(
                    "not_found",
                    "no audio clip is selected in the session view, and AbletonOSC can tell of no other; it "
                    f"says: {error}",
                ) from error
        path, name = str(clip["file_path"]), str(clip["name"])
        if clip["warping"]:
            log.warning("%s is warped, and AbletonOSC does not tell how: taking its whole file", path)
            return SelectedClip(path, name=name)
        start_s, end_s, frames = _numbers((clip["loop_start"], clip["loop_end"], clip["sample_length"]))
        if start_s <= 0.001 and end_s > 0.0 and any(abs(frames / end_s / r - 1) < 1e-5 for r in _RATES):
            return SelectedClip(path, name=name)
        # Its numbers have 32 bits, and must not end up behind the end of the file.
        return SelectedClip(path, max(start_s, 0.0), end_s - 0.0005, name)

    async def import_stems(self, stems: StemImport) -> int:
        """Put stems onto new tracks at Live's song position, if this AbletonOSC can. Raises Refusal."""
        async with self._line.turn:
            await self._probe(stems)
            first = len(await self._line.ask("/live/song/get/track_names"))
            made = 0
            try:
                (position,) = _numbers(await self._line.ask("/live/song/get/current_song_time"))
                for stem in stems.stems:
                    index = first + made
                    self._line.send("/live/song/create_audio_track", -1)
                    await self._until_tracks(index + 1)
                    made += 1
                    self._line.send("/live/track/set/name", index, stem.track)
                    self._line.send("/live/track/set/volume", index, LAW.position(stems.gain_db))
                    self._line.send("/live/track/create_audio_clip", index, str(stem.path), position)
                    if not await self._line.ask("/live/track/get/arrangement_clips/start_time", index):
                        raise AbletonOscError("no clip came to be")
            except (AbletonOscError, Refusal) as error:
                for index in reversed(range(first, first + made)):
                    self._line.send("/live/song/delete_track", index)
                raise Refusal("internal", f"Live did not take the stems: {error}") from error
        log.warning("AbletonOSC cannot turn Warp off: check the new clips, Live has guessed their tempo")
        return len(stems.stems)

    async def _probe(self, stems: StemImport) -> None:
        """See whether it has the address at all: without arguments it can do nothing but complain."""
        try:
            await self._line.ask("/live/track/create_audio_clip")
        except AbletonOscError as error:
            if "Unknown OSC address" not in str(error):
                return
            files = "; ".join(str(stem.path) for stem in stems.stems)
            raise Refusal(
                "internal",
                "this AbletonOSC cannot place files (our own Remote Script can, with Live 12.0.5 or later: "
                f"`stembridge daws install live`): drag them onto tracks, from {files}",
            ) from error

    async def _until_tracks(self, count: int) -> None:
        for _ in range(20):
            if len(await self._line.ask("/live/song/get/track_names")) >= count:
                return
        raise AbletonOscError("no track came to be")

    # From Live.

    def _on_found(self) -> None:
        """It is there, or there again: nothing that was asked for before holds any more."""
        self._names = None
        self._listening.clear()
        self._echoes.clear()
        self._feedback.forget()
        self._bindings.bound = {}
        self._line.send("/live/song/get/track_names")

    def _on_told(self, address: str, arguments: tuple[Value, ...]) -> None:
        if address == "/live/song/get/track_names":
            names = tuple(str(name) for name in arguments)
            if names != self._names:
                self._names = names
                self._bound(*self._bindings.rebind(enumerate(names)))
            return
        what = next((what for what in WHATS if address == f"/live/track/get/{what}"), None)
        if what is None or len(arguments) < 2:
            return
        index, *number, value = _numbers(arguments)
        if number:
            heard = (stem for stem, held in self._listening.items() if held.number == number[0])
            stem = next(heard, None)
        else:
            stem = self._bindings.stem_of(int(index))
        if stem is not None:
            self._on_value(stem, what, value)

    def _bound(self, told: dict[str, str], _others: set[str]) -> None:
        for stem, name in told.items():
            self._hub.publish(e.TrackBound(self.name, stem, name), self._origin)
        if self.mode == "remote":
            task = asyncio.get_running_loop().create_task(self._listen())
            self._following.add(task)
            task.add_done_callback(self._following.discard)

    async def _listen(self) -> None:
        """Put listeners on the tracks that are bound anew; one that only lies elsewhere keeps its own."""
        async with self._line.turn:
            names = self._names or ()
            bound = {stem: index for stem, index in self._bindings.bound.items() if index < len(names)}
            stale = {
                stem: held
                for stem, held in self._listening.items()
                if stem not in bound or names[bound[stem]] != held.name
            }
            for stem, held in stale.items():
                del self._listening[stem]
                if held.tracks == len(names):
                    # It can be taken off by the number it was put on at, and only where that is its track's.
                    for what in WHATS:
                        self._line.send(f"/live/track/stop_listen/{what}", held.index, held.number)
            if stale:
                with contextlib.suppress(Refusal, AbletonOscError):
                    await self._line.ask("/live/application/get/version")  # what it complains of is past then
            for stem, index in bound.items():
                if stem in self._listening:
                    continue
                self._next += 1
                self._listening[stem] = _Listening(self._next, index, names[index], len(names))
                for what in WHATS:
                    self._unsure.add((stem, what))
                    self._line.send(f"/live/track/start_listen/{what}", index, self._next)

    def _on_value(self, stem: str, what: What, value: float) -> None:
        control = (stem, what)
        if self.mode != "remote" or self._is_echo(control, value):
            return
        wanted, last = self._desk(stem, what), self._last.get(control)
        if control in self._unsure:
            self._unsure.discard(control)
            if last is not None and _same(what, value, last):
                if not _same(what, value, wanted):
                    self._feedback.offer(_key(*control), wanted)  # moved while Live was away
                return
        self._last[control] = value
        if not self._feedback.heard(_key(*control), value) or _same(what, value, wanted):
            return  # also a gain above Live's top, which its fader shows as its top
        if what == "volume":
            self._hub.send(c.SetFader(stem, min(max(value, 0.0), 1.0), "live"), self._origin)
        elif what == "mute":
            self._hub.send(c.SetMute(stem, value != 0.0), self._origin)
        else:
            self._hub.send(c.SetSolo(stem, value != 0.0), self._origin)

    def _is_echo(self, control: tuple[str, What], value: float) -> bool:
        """Whether this is what we set ourselves; echoes come in order, those before it are lost."""
        told, now = self._echoes.get(control, deque()), asyncio.get_running_loop().time()
        while told and now - told[0][1] > ECHO_S:
            told.popleft()
        for place, (wanted, _) in enumerate(told):
            if _same(control[1], value, wanted):
                for _ in range(place + 1):
                    told.popleft()
                return True
        return False

    def _desk(self, stem: str, what: What) -> float:
        """What Live should show."""
        session = self._hub.session
        if what == "volume":
            return _single(LAW.position(session.gain_db(stem, self._hub.clock())))
        strip = session.desk.strips[stem]
        return float(strip.muted if what == "mute" else strip.soloed)

    # To Live.

    def _on_event(self, event: e.Event, origin: str) -> None:
        if self.mode != "remote":
            return
        told = shown(event)
        if told is None or told[0] == MASTER or told[1] == "pan":
            return
        stem, what, value = told
        own = origin == self._origin
        if what == "gain":
            self._feedback.offer(_key(stem, "volume"), _single(LAW.position(value)), own=own)
        else:
            self._feedback.offer(_key(stem, what), value, own=own)

    def _tell(self, key: str, value: float) -> None:
        stem, _, leaf = key.partition("/")
        what = next(what for what in WHATS if what == leaf)
        control, index = (stem, what), self._bindings.bound.get(stem)
        last = self._last.get(control)
        if not self._line.online or index is None or last is None or control in self._unsure:
            return  # looked at again when its track has said how it stands
        if _same(what, value, last):
            return  # it stands there
        self._last[control] = value
        self._echoes.setdefault(control, deque(maxlen=64)).append((value, asyncio.get_running_loop().time()))
        sent: float | int = value if what == "volume" else int(value)
        self._line.send(f"/live/track/set/{what}", index, sent)


def _key(stem: str, what: str) -> str:
    return f"{stem}/{what}"


def _resolution(control: str) -> float:
    return _SAME_POSITION if control.endswith("volume") else 0.5


def _same(what: What, one: float, other: float) -> bool:
    return abs(one - other) <= _resolution(what)


def _single(value: float) -> float:
    """As Live keeps it: in 32 bits."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def _numbers(arguments: tuple[Value, ...]) -> list[float]:
    """Arguments that have to be numbers. Raises ValueError."""
    found = [float(value) for value in arguments if isinstance(value, int | float)]
    if len(found) != len(arguments):
        raise ValueError("numbers were expected")
    return found
