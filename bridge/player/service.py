"""Playing at the hub: songs and set lists loaded, the transport moved, the faders sent to the player."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stembridge.model.errors import StembridgeError

from .. import commands as c
from .. import events as e
from ..hub import Hub, Refusal, Request
from ..session import MASTER
from .chain_presets import find_chain, read_chain
from .link import PlayerLink, PlayerStartError
from .outputs import MIX
from .setlist import Entry, read_setlist
from .wire import Line

log = logging.getLogger(__name__)

COMMANDS = (
    c.LoadSong, c.LoadSetlist, c.NextSong, c.SetChain, c.StartLive, c.StopLive, c.Play, c.Stop,
    c.Locate, c.Loop, c.AskTransport, c.AskPlayer, c.RecordAutomation, c.SaveAutomation,
)  # fmt: skip
_MOVES = (
    e.GainChanged, e.MuteChanged, e.SoloChanged, e.PanChanged, e.MasterGainChanged, e.MasterMuteChanged,
)  # fmt: skip
_CHASE_S = 0.05
RAMP_MS = 20.0
LONGEST_RAMP_MS = 120.0
"""Faders that move in steps are ridden from step to step, where the steps are no further apart than this."""

Find = Callable[[str], Coroutine[Any, Any, Path]]
"""Finds a song or folder that may be opened, or raises Refusal."""


@dataclass(frozen=True)
class LiveSettings:
    """What `live` hears, and how it takes it apart."""

    input: str | None = None
    model: str = "live"
    margin: float = 2.0
    """Buffers that are held beyond the separator's latency."""


class PlayerService:
    """The player of one hub; started when it is first needed, adopted where one plays already."""

    def __init__(
        self,
        hub: Hub,
        settings: Mapping[str, Any],
        socket: Path,
        find: Find,
        *,
        out: Path = Path("separated"),
        model: str = "default",
        live: LiveSettings | None = None,
        chains: Mapping[str, str] | None = None,
        plugin_folders: Sequence[Path] = (),
    ) -> None:
        """`settings` are those of the player's process: device, outputs, fader law."""
        self._hub = hub
        self._find = find
        self._model = model
        self._live = live or LiveSettings()
        self._chains = dict(chains or {})
        """Stem, or `mix` -> the preset whose chain treats it."""
        self._plugin_folders = plugin_folders
        self._out = out
        self._saving: Request | None = None
        self._follow = ""
        self._chased = 0.0
        self._host_playing = False
        self._link = PlayerLink(settings, socket, self._told, self._gone)
        self._state: Line = {}
        self._songs: tuple[Entry, ...] = ()
        self._index = 0
        self._loads = 0
        self._loaded = ""
        """The key of the load that was told of last."""
        self._sending: asyncio.Handle | None = None
        self._moved: dict[str, float] = {}
        """When each control last moved, and what its steps make the ramp."""
        self._ramp_ms = RAMP_MS
        self.position: tuple[float, float] = (0.0, 0.0)
        """Seconds in the song, and when (`time.monotonic`) they are heard."""

    @property
    def song(self) -> str:
        """The path of what is loaded; empty: nothing."""
        return str(self._state.get("path", ""))

    @property
    def playing(self) -> bool:
        """Whether it plays."""
        return self._state.get("state") == "playing"

    async def start(self) -> None:
        """Begin to answer, and take over a player that is still playing."""
        self._hub.handle(COMMANDS, self._carry_out)
        self._hub.listen(self._noted)
        if await self._link.adopt():
            log.info("a player that was left playing is taken over")

    async def close(self) -> None:
        """Fade out and end the player. Twice is fine."""
        self._hub.forget(self._noted)
        if self._sending is not None:
            self._sending.cancel()
        await self._link.close(end_player=True)

    # Commands.

    def _carry_out(self, request: Request) -> Coroutine[Any, Any, None] | None:
        match request.command:
            case c.LoadSong(path):
                return self._load_song(path, request)
            case c.LoadSetlist(path):
                return self._load_setlist(path, request)
            case c.NextSong():
                return self._next_song(request)
            case c.SetChain(stem, preset):
                return self._set_chain(stem, preset, request)
            case c.StartLive(name):
                return self._start_live(name)
            case c.StopLive():
                self._link.tell(do="live_end")
            case c.Play():
                self._need_song()
                self._link.tell(do="play")
            case c.Stop():
                self._link.tell(do="stop")
            case c.Locate(position_s):
                self._need_song()
                self._link.tell(do="locate", position_s=position_s)
            case c.Loop(start_s, end_s):
                if end_s and end_s <= start_s:
                    raise Refusal("bad_range", f"a loop ends after its start; got {start_s:g} to {end_s:g}")
                self._need_song()
                self._link.tell(do="loop", start_s=start_s, end_s=end_s)
            case c.RecordAutomation(on):
                self._link.tell(do="record", on=on)
                self._hub.publish(e.AutomationRecording(on), request.origin)
                request.reply(e.AutomationRecording(on))
            case c.SaveAutomation(name):
                self._need_song()
                self._saving = request
                self._link.tell(do="save_automation", name=name, file=str(self._automation_file(name)))
            case c.FollowTransport(source):
                self._follow = source
                self._link.tell(do="free")
                self._hub.publish(e.Following(source), request.origin)
                request.reply(e.Following(source))
            case c.AskTransport():
                request.reply(self._transport())
            case c.AskPlayer():
                request.reply(self._player())
        return None

    async def _load_song(self, path: str, request: Request) -> None:
        found = await self._find(path)
        self._songs, self._index = (Entry(str(found)),), 0
        await self._put_on(request, play=False)

    async def _load_setlist(self, path: str, request: Request) -> None:
        entries = await asyncio.to_thread(read_setlist, await self._find(path))
        found = [Entry(str(await self._find(entry.path)), entry.scene) for entry in entries]
        self._songs, self._index = tuple(found), 0
        await self._put_on(request, play=False)

    async def _next_song(self, request: Request | None, *, play: bool | None = None) -> None:
        if self._index + 1 >= len(self._songs):
            raise Refusal("not_found", "there is no next song: load a set list (/setlist/load)")
        self._index += 1
        await self._put_on(request, play=self.playing if play is None else play)

    async def _put_on(self, request: Request | None, *, play: bool) -> None:
        """Load the song of the list that it is the turn of, and have the next one taken apart."""
        try:
            await self._link.start()
        except PlayerStartError as error:
            raise Refusal("internal", str(error)) from error
        entry = self._songs[self._index]
        if entry.scene is not None:
            self._hub.send(c.RecallScene(entry.scene), "setlist")
        self._loads += 1
        self._send_gains()
        note = {"songs": [(song.path, song.scene) for song in self._songs], "index": self._index}
        key = self._key(self._index, self._loads)
        chains = await self._chain_specs()
        self._link.tell(
            do="load", key=key, path=entry.path, model=self._model, play=play, note=note, **chains
        )
        if self._index + 1 < len(self._songs):
            following = self._songs[self._index + 1]
            key = self._key(self._index + 1, self._loads + 1)
            self._link.tell(do="next", key=key, path=following.path, model=self._model, **chains)

    async def _set_chain(self, stem: str, preset: str, request: Request) -> None:
        """Remember a chain, by the name of its preset only, for the next load."""
        if preset:
            await asyncio.to_thread(find_chain, stem, preset, self._plugin_folders)
            self._chains[stem] = preset
        else:
            self._chains.pop(stem, None)
        self._hub.publish(e.ChainChanged(stem, preset), request.origin)
        request.reply(e.ChainChanged(stem, preset))

    async def _chain_specs(self) -> dict[str, Any]:
        """The chains as the player takes them. What cannot be had is told, and left out."""
        specs: dict[str, Any] = {}
        for stem, preset in self._chains.items():
            try:
                spec = await asyncio.to_thread(read_chain, stem, preset, self._plugin_folders)
            except StembridgeError as error:
                self._hub.publish(e.PlayerProblem("chain_bypassed", f"{stem}: {error}; it is left out"))
            else:
                specs[stem] = spec
        return {"mix_chain": specs.pop(MIX, None), "chains": specs}

    async def _start_live(self, name: str) -> None:
        try:
            await self._link.start()
        except PlayerStartError as error:
            raise Refusal("internal", str(error)) from error
        self._songs, self._index = (), 0
        self._loads += 1
        self._send_gains()
        live = self._live
        self._link.tell(
            do="live", key=f"{self._loads}:live", input=name or live.input, model=live.model,
            margin=live.margin, **await self._chain_specs(),
        )  # fmt: skip

    def _key(self, index: int, load: int) -> str:
        """What tells one load of a song from the next; a song taken apart ahead has the key it will have."""
        return f"{load}:{index}:{self._songs[index].path}"

    def _need_song(self) -> None:
        # A song that is still on its way counts: it begins as soon as it is there.
        if not self._state.get("key") and not (self._songs and self._link.connected):
            raise Refusal("not_found", "nothing is loaded: /song/load first")

    def _automation_file(self, name: str) -> Path:
        if (
            not 1 <= len(name) <= 100
            or not name.isprintable()
            or set(name) & set('/\\:*?"<>|')
            or name[0] == "."
        ):
            raise Refusal(
                "bad_args", f"a name of 1 to 100 characters that a file can have; got {name[:20]!r}"
            )
        return self._out / "automation" / f"{name}.csv"

    # Faders.

    def _chase(self, event: e.HostTransport) -> None:
        """Tell the player where the host is: changes at once, the rest some times a second."""
        now = asyncio.get_running_loop().time()
        changed = event.playing != self._host_playing
        if not changed and (now - self._chased < _CHASE_S):
            return
        self._host_playing, self._chased = event.playing, now
        self._link.tell(do="chase", playing=event.playing, position_s=event.position_s, at=event.at)

    def _noted(self, event: e.Event, _origin: str) -> None:
        if isinstance(event, e.HostTransport):
            if event.source == self._follow and self._state.get("key"):
                self._chase(event)
            return
        if not isinstance(event, _MOVES) or not self._link.connected:
            return
        if isinstance(event, e.GainChanged | e.MasterGainChanged):
            strip = event.stem if isinstance(event, e.GainChanged) else MASTER
            if event.fade_s > 0:
                self._link.tell(do="fade", stem=strip, gain_db=event.gain_db, seconds=event.fade_s)
                return
            self._pace(strip)
        if self._sending is None:
            self._sending = asyncio.get_running_loop().call_soon(self._send_gains)

    def _pace(self, strip: str) -> None:
        """Note how far apart the steps of a moving fader are: the ramp lasts until the next is due."""
        now = asyncio.get_running_loop().time()
        apart_ms = (now - self._moved.get(strip, 0.0)) * 1e3
        self._moved[strip] = now
        self._ramp_ms = (
            min(max(apart_ms, RAMP_MS), LONGEST_RAMP_MS) if apart_ms <= LONGEST_RAMP_MS else RAMP_MS
        )

    def _send_gains(self) -> None:
        self._sending = None
        session = self._hub.session
        state = session.desk.mixer_state(tuple(session.desk.strips))
        self._link.tell(
            do="gains",
            state={
                "gains_db": dict(state.gains_db), "mutes": sorted(state.mutes), "solos": sorted(state.solos),
                "pans": dict(state.pans), "master_gain_db": state.master_gain_db,
                "master_mute": state.master_mute,
            },
            keep=session.fading_strips,
            ramp_ms=self._ramp_ms,
        )  # fmt: skip

    # What the player says.

    def _told(self, line: Line) -> None:
        match line.get("is"):
            case "state":
                self._take_state(line)
            case "position":
                self.position = (float(line["position_s"]), float(line["when"]))
                self._state["position_s"] = line["position_s"]
                self._hub.publish(e.TransportPosition(float(line["position_s"])))
            case "meters":
                for name, peak_db, rms_db in line["rows"]:
                    self._hub.publish(e.Metered(name, peak_db, rms_db))
            case "problem":
                self._hub.publish(e.PlayerProblem(str(line["code"]), str(line["text"])))
                if line["code"] in ("device_lost", "device_back", "underrun", "overload"):
                    self._link.tell(do="state")
            case "automation":
                saved = e.AutomationSaved(line["name"], line["file"], int(line["moves"]))
                if self._saving is not None:
                    self._saving.reply(saved)
                self._hub.publish(saved, "" if self._saving is None else self._saving.origin)
                self._saving = None
            case "ended":
                if self._index + 1 < len(self._songs):
                    task = self._next_song(None, play=True)
                    asyncio.get_running_loop().create_task(task)

    def _take_state(self, line: Line) -> None:
        before, self._state = self._state, line
        stems = [stem for stem in line["stems"] if stem in self._hub.session.desk.strips]
        if stems:
            for event in self._hub.session.set_stems(stems):
                self._hub.publish(event)
        if not self._songs and (note := line.get("note")):
            self._songs = tuple(Entry(str(path), scene) for path, scene in note["songs"])
            self._index = int(note["index"])
        if line["key"] and line["state"] not in ("loading", "live") and self._loaded != line["key"]:
            self._loaded = line["key"]
            following = self._songs[self._index + 1].path if self._index + 1 < len(self._songs) else ""
            self._hub.publish(e.SongLoaded(line["path"], float(line["length_s"]), following))
        if line["state"] != "loading" or before.get("state") != "loading":
            self._hub.publish(self._transport())
        if before.get("device") != line["device"]:
            self._hub.publish(self._player())

    def _gone(self) -> None:
        if self._state:
            self._state = {}
            self._hub.publish(
                e.PlayerProblem("player_lost", "the player has ended; /song/load starts another")
            )
            self._hub.publish(self._transport())

    def _transport(self) -> e.TransportState:
        state = self._state
        return e.TransportState(
            str(state.get("state", "empty")),
            float(state.get("position_s", 0.0)),
            float(state.get("length_s", 0.0)),
            str(state.get("path", "")),
        )

    def _player(self) -> e.PlayerState:
        device = self._state.get("device", {})
        return e.PlayerState(
            str(device.get("state", "off")),
            str(device.get("name", "")),
            int(device.get("sample_rate", 0)),
            int(device.get("buffer_frames", 0)),
            float(device.get("latency_s", 0.0)),
            int(device.get("underruns", 0)),
            int(device.get("overloads", 0)),
        )
