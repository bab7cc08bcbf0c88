"""The link to Ardour: its faders over its own OSC surface, its tracks and regions through a script in it.

Tracks are found by name, and found again whenever strips come, go, move or are renamed.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from .. import events as e
from ..hub import Hub, Refusal
from . import ardour_dialect as dialect
from .ardour_clips import one_file
from .ardour_dialect import ListChanged, ListEnd, Named, Valued
from .ardour_faders import Faders
from .ardour_imports import import_request
from .ardour_script import Links, Requests, default_folder, install
from .ardour_surface import ASK_S, Surface
from .ardour_tracks import Tracks
from .host_clock import HostClock
from .link import Mode, SelectedClip, StemImport

log = logging.getLogger(__name__)

PORT = 3819
"""Where Ardour listens unless its `osc-port` says otherwise."""
SETTLE_S = 0.25
"""A track put in front renames all after it, one by one; who is who is looked at when that is over."""
_MOST_LISTS = 4
_LISTED_S = 15.0
_POLL_S = 0.05


class ArdourLink:
    """One Ardour."""

    name = "ardour"

    def __init__(
        self,
        hub: Hub,
        *,
        mode: Mode = "remote",
        host: str = "127.0.0.1",
        port: int = PORT,
        listen_port: int = 0,
        slot: int = 0,
        folder: Path | None = None,
    ) -> None:
        """Link to the Ardour whose OSC surface listens at a host and a UDP port.

        `listen_port`: where its answers come in, 0 for any (a firewall in between may want one); `slot`:
        which action our script is in its Script Manager, 0 to look that up (the Ardour of another computer
        cannot be); `folder`: where the two look for each other.
        """
        self.mode: Mode = mode
        self._hub = hub
        self._origin = f"daw:{self.name}"
        self._clock = HostClock(hub, self.name)
        self._surface = Surface(host, port, listen_port, on_said=self._on_said, on_change=self._on_change)
        self._requests = Requests(
            folder or default_folder(),
            lambda slot: self._surface.send(dialect.action(slot)),
            lambda: self._surface.online,
            slot=slot,
        )
        self.clips = self._requests.folder / "clips"
        """Where files lie that `selected_clip` made of Ardour's own; renders must be allowed to read them."""
        self._tracks = Tracks()
        self._faders = Faders(hub, self._origin, self._tracks, self._surface.send)
        self._looking: asyncio.TimerHandle | None = None
        """Set while it is unclear which strip is whose."""
        self._lists = 0
        self._listed = False

    async def run(self) -> None:
        """Be a surface of Ardour's until cancelled, whenever there is one."""
        if self.mode == "remote":
            self._hub.listen(self._faders.on_event)
        try:
            await self._install()
            await self._surface.run()
        finally:
            self._hub.forget(self._faders.on_event)
            self._faders.close()
            self._stop_looking()

    @property
    def tracks(self) -> list[str]:
        """The names of Ardour's tracks and busses, in the order of its mixer."""
        return self._tracks.names

    def state(self) -> e.DawState:
        """Online while Ardour's heart beats."""
        state = "online" if self._surface.online else "offline"
        return e.DawState(self.name, self.mode, state, self._surface.age_s)

    def bind(self, stem: str, track: str) -> None:
        """Bind the track of a name to a stem; an empty name unbinds. Raises Refusal(`not_found`)."""
        if self.mode != "remote":
            raise Refusal("not_found", "this link imports: only with mode=remote tracks are bound to stems")
        self._tracks.name_by_hand(stem, track)
        if self._looking is None:
            self._rebind()

    async def import_stems(self, stems: StemImport) -> int:
        """Put stems onto tracks of their own, where the song's region lies, which is muted.

        Returns once Ardour lists the tracks. Raises Refusal.
        """
        if self.mode != "import":
            raise Refusal(
                "bad_args",
                "this link is remote, Ardour's faders drive our stems: stems on its tracks would get every "
                "gain twice. Start the bridge with --daw ardour:mode=import",
            )
        self._need_ardour()
        links = Links(self._requests.folder)
        try:
            request = await asyncio.to_thread(import_request, stems, links, self.clips)
            answer = await self._requests.ask(*request)
        except OSError as error:
            raise Refusal("not_found", f"stems of job {stems.job} cannot be read: {error}") from error
        finally:
            await asyncio.to_thread(links.clear)
        tracks = {fields[0] for kind, *fields in answer if kind == "track" and fields}
        until = asyncio.get_running_loop().time() + _LISTED_S
        while self._looking is not None or not tracks.issubset(self._tracks.names):
            self._need_ardour()
            if asyncio.get_running_loop().time() > until:
                raise Refusal("internal", f"Ardour made {', '.join(sorted(tracks))} and does not list them")
            await asyncio.sleep(_POLL_S)
        return len(tracks)

    async def selected_clip(self) -> SelectedClip:
        """The file and range of the region that is selected, as our script tells. Raises Refusal."""
        self._need_ardour()
        name, start_s, end_s = "", None, None
        sources: list[Path] = []
        for line in await self._requests.ask(("action", "selected")):
            match line:
                case ("name", text):
                    name = text
                case ("range", start, end):
                    start_s, end_s = float(start), float(end)
                case ("source", path, _):
                    sources.append(Path(path))
        try:
            file = await asyncio.to_thread(one_file, sources, self.clips)
        except (OSError, RuntimeError) as error:
            raise Refusal("not_found", f"the region's files cannot be read: {error}") from error
        return SelectedClip(str(file), start_s, end_s, name)

    def _need_ardour(self) -> None:
        if not self._surface.online:
            raise Refusal("daw_offline", f"no Ardour answers at {self._surface.place}")

    async def _install(self) -> None:
        """Have our script in Ardour's list; without it faders still work."""
        try:
            places = await asyncio.to_thread(install, self._requests.folder)
        except OSError as error:
            log.warning("Ardour's script cannot be put in place: %s", error)
        else:
            log.debug("Ardour finds our script at %s", ", ".join(map(str, places)) or "no place yet")

    # What Ardour says.

    def _on_change(self, online: bool) -> None:
        if online:
            self._look_again(changed=True)
        else:
            self._stop_looking()
            self._tracks.forget()
            self._faders.forget()
        self._hub.publish(self.state(), self._origin)

    def _on_said(self, said: dialect.Said) -> None:
        match said:
            case Named():
                if self._tracks.named(said):
                    self._look_again(changed=True)
            case Valued():
                self._tracks.valued(said)
                self._faders.said(said)
            case ListChanged():
                self._look_again(changed=True)
            case dialect.Rolled(rolling):
                self._clock.played(rolling)
            case dialect.Located(position_s):
                self._clock.located(position_s)
            case ListEnd():
                if self._looking is not None and self._lists:
                    self._tracks.list_ends()
                    self._listed = True
                    self._look_again()

    # Which strip is whose.

    def _look_again(self, *, changed: bool = False) -> None:
        """Look who is who once Ardour has been quiet for a while."""
        if changed:
            self._listed, self._lists = False, 0
        self._stop_looking()
        self._faders.sure = False
        self._looking = asyncio.get_running_loop().call_later(SETTLE_S, self._look)

    def _look(self) -> None:
        self._looking = None
        if self._lists < _MOST_LISTS and not (self._listed and self._tracks.whole):
            self._lists += 1
            self._listed = False
            self._tracks.list_begins()
            self._surface.send(dialect.question())
            self._looking = asyncio.get_running_loop().call_later(ASK_S, self._look)
            return
        self._rebind()

    def _rebind(self) -> None:
        if self.mode != "remote" or not self._surface.online:
            return
        changed = self._tracks.rebind()
        for stem, track in changed.items():
            self._hub.publish(e.TrackBound(self.name, stem, track), self._origin)
        self._faders.rebound(list(changed))

    def _stop_looking(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
