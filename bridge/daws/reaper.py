"""The link to REAPER: its faders over OSC, its items through a script that runs in it.

Either REAPER's OSC surface is set up with our pattern file, or with its default one (then without the
master). Tracks are found by name and found again whenever one is inserted, moved or renamed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from .. import commands as c
from .. import events as e
from ..feedback import Feedback
from ..hub import Hub, Refusal
from ..messages import Message
from ..osc.packets import PacketError, bundles, decode, encode
from ..session import MASTER as MASTER_NAME
from . import reaper_dialect as dialect
from .datagrams import Datagrams
from .host_clock import HostClock
from .link import Mode, SelectedClip, StemImport
from .reaper_mailbox import Mailbox, default_folder
from .reaper_tracks import Tracks
from .shown import shown

log = logging.getLogger(__name__)

LISTEN_PORT = 9341
"""Where we listen: REAPER's “device port”."""
SEND_PORT = 9342
"""Where REAPER listens: its “local listen port”."""
ONLINE_S = 15.0
"""REAPER has no heartbeat; it is asked for one word every PROBE_S, and this long silent it is offline."""
PROBE_S = 5.0
SETTLE_S = 0.2
"""A track inserted renames all below it, one by one; what belongs to whom is looked at when that is over."""
HAND_S = 0.5
"""After our last move the hand is off the fader, for REAPER's automation."""
_BIND_AGAIN_S = 5.0
_SAME_DB = 0.005

Control = tuple[str, str]
"""A stem (or `master`) and `gain`, `mute` or `solo`."""


class ReaperLink:
    """One REAPER."""

    name = "reaper"

    def __init__(
        self,
        hub: Hub,
        *,
        mode: Mode = "remote",
        listen_port: int = LISTEN_PORT,
        send_host: str = "127.0.0.1",
        send_port: int = SEND_PORT,
        tracks: int = 64,
        folder: Path | None = None,
    ) -> None:
        """`tracks`: how many of REAPER's tracks are looked at; `folder`: where its script looks for us."""
        self.mode: Mode = mode
        self.listen_port = listen_port
        self.mailbox = Mailbox(folder or default_folder())
        self._hub = hub
        self._host, self._port, self._count = send_host, send_port, tracks
        self._origin = f"daw:{self.name}"
        self._tracks = Tracks()
        self._feedback = Feedback(self._tell, resolution=_resolution)
        self._last: dict[Control, float] = {}
        """What REAPER last said of a control or was last told: a rebinding that changes nothing is none."""
        self._heard_at: float | None = None
        self._settling: asyncio.TimerHandle | None = None
        self._hands: dict[int, asyncio.TimerHandle | None] = {}
        """Tracks whose fader we hold; None: for as long as a hand is on the desk's."""
        self._transport: asyncio.DatagramTransport | None = None
        self._clock = HostClock(hub, self.name)

    async def run(self) -> None:
        """Listen and ask until cancelled; a port in use is waited for, and said."""
        loop = asyncio.get_running_loop()
        self._hub.listen(self._on_event)
        try:
            while True:
                try:
                    transport = await self._open(loop)
                except OSError as error:
                    log.error(
                        "REAPER's link cannot listen at UDP port %d (%s): end who has it, or choose another "
                        "port here and as the device port in REAPER",
                        self.listen_port,
                        error.strerror or error,
                    )
                    await asyncio.sleep(_BIND_AGAIN_S)
                    continue
                self._ask_everything()
                while not transport.is_closing():
                    await asyncio.sleep(PROBE_S)
                    if self._online():
                        self._send(dialect.probe(self._count))
                    else:
                        self._ask_everything()
        finally:
            self._hub.forget(self._on_event)
            self._feedback.close()
            for timer in (self._settling, *self._hands.values()):
                if timer is not None:
                    timer.cancel()
            if self._transport is not None:
                self._transport.close()

    def state(self) -> e.DawState:
        """Online while something came within the last 15 seconds; it has no other sign of life."""
        loop = asyncio.get_running_loop()
        age = -1.0 if self._heard_at is None else loop.time() - self._heard_at
        return e.DawState(self.name, self.mode, "online" if self._online() else "offline", age)

    def bind(self, stem: str, track: str) -> None:
        """Bind the track of a name to a stem; an empty name unbinds. Raises Refusal(`not_found`)."""
        self._tracks.name_by_hand(stem, track)
        self._rebind()

    async def import_stems(self, stems: StemImport) -> int:
        """Have the script in REAPER put stems onto tracks. Raises Refusal."""
        answer = await self.mailbox.ask(
            "import",
            job=stems.job,
            manifest=str(stems.manifest),
            stems=[{"stem": s.stem, "path": str(s.path), "track": s.track} for s in stems.stems],
            start_frame=stems.start_frame,
            gain_db=stems.gain_db,
        )
        return int(answer.get("stems", 0))

    async def selected_clip(self) -> SelectedClip:
        """The selected item's file and range, as the script in REAPER tells. Raises Refusal."""
        answer = await self.mailbox.ask("selected")
        path, name = answer.get("path"), answer.get("name")
        start_s, end_s = answer.get("start_s"), answer.get("end_s")
        if not isinstance(path, str) or not path:
            raise Refusal("internal", "REAPER's script named no file for the selected item")
        if not isinstance(start_s, int | float) or not isinstance(end_s, int | float):
            start_s = end_s = None
        return SelectedClip(path, start_s, end_s, name if isinstance(name, str) else "")

    # From REAPER.

    async def _open(self, loop: asyncio.AbstractEventLoop) -> asyncio.DatagramTransport:
        [(_, _, _, _, place), *_] = await loop.getaddrinfo(self._host, self._port)
        self._host = str(place[0])
        local = self._host.startswith("127.")
        transport, _ = await loop.create_datagram_endpoint(
            lambda: Datagrams("REAPER", self._on_packet),
            local_addr=("127.0.0.1" if local else "0.0.0.0", self.listen_port),
        )
        self._transport = transport
        self.listen_port = int(transport.get_extra_info("sockname")[1])
        return transport

    def _on_packet(self, packet: bytes, host: str) -> None:
        if host != self._host:
            return  # nobody but REAPER moves faders here
        try:
            messages = decode(packet)
        except PacketError as error:
            log.warning("not understood from REAPER: %s", error)
            return
        back = self._heard_at is not None and not self._online()
        self._heard_at = asyncio.get_running_loop().time()
        if back:
            self._ask_everything()
        for message in messages:
            self._transport_heard(message)
            if (said := dialect.read(message)) is not None and self._tracks.take(said):
                self._on_said(said)

    def _transport_heard(self, message: Message) -> None:
        """REAPER's own transport, for who plays in time with it."""
        value = message.arguments[0] if message.arguments else None
        if isinstance(value, int | float) and message.address == "/play":
            self._clock.played(value != 0.0)
        elif isinstance(value, int | float) and message.address == "/time" and math.isfinite(value):
            self._clock.located(float(value))

    def _on_said(self, said: dialect.Said) -> None:
        if said.what == "name":
            if self._settling is not None:
                self._settling.cancel()
            self._settling = asyncio.get_running_loop().call_later(SETTLE_S, self._settled)
        elif self._settling is None and (stem := self._tracks.stem_of(said.track)) is not None:
            self._moved(stem, said.what, float(said.value))

    def _moved(self, stem: str, what: str, value: float) -> None:
        if self.mode != "remote":
            return
        self._last[stem, what] = value
        if not self._feedback.heard(_key(stem, what), value):
            return
        for command in _commands(stem, what, value):
            self._hub.send(command, self._origin)

    def _settled(self) -> None:
        self._settling = None
        self._rebind()

    def _rebind(self) -> None:
        if self.mode != "remote":
            return
        for stem, track in self._tracks.rebind().items():
            for what in ("gain", "mute", "solo"):
                self._last.pop((stem, what), None)
            self._hub.publish(e.TrackBound(self.name, stem, track), self._origin)
        for stem in (MASTER_NAME, *self._tracks.bound):
            for what, value in self._tracks.values(stem).items():
                last = self._last.get((stem, what))
                if last is None or abs(value - last) > _resolution(what):
                    self._moved(stem, what, value)  # its faders drive our stems, so they are right
                elif abs((wanted := self._desk(stem, what, value)) - last) > _resolution(what):
                    self._offer(stem, what, wanted, own=False)  # moved while it was unsure where to

    def _desk(self, stem: str, what: str, otherwise: float) -> float:
        """Where a control of the desk stands; `otherwise` for what the desk does not have."""
        session = self._hub.session
        if what == "gain":
            return session.gain_db(stem, self._hub.clock())
        if stem == MASTER_NAME:
            return float(session.desk.master_muted) if what == "mute" else otherwise
        strip = session.desk.strips[stem]
        return float(strip.muted if what == "mute" else strip.soloed)

    # To REAPER.

    def _on_event(self, event: e.Event, origin: str) -> None:
        if self.mode != "remote":
            return
        own = origin == self._origin
        if isinstance(event, e.FaderTouched):
            if not own:
                self._touch(event.stem, event.touched)
        elif (told := shown(event)) is not None and told[1] != "pan":
            self._offer(*told, own)

    def _offer(self, stem: str, what: str, value: float, own: bool) -> None:
        if self._tracks.track_of(stem) is not None:
            self._feedback.offer(_key(stem, what), value, own=own)

    def _tell(self, key: str, value: float) -> None:
        stem, _, what = key.partition("/")
        track = self._tracks.track_of(stem)
        last = self._last.get((stem, what))
        if track is None or self._settling is not None or last is None:
            return  # not known yet which track that is; looked at again when it is
        if abs(value - last) <= _resolution(what):
            return  # it stands there, and a hand that sets it there would look like a move
        self._last[stem, what] = value
        if what == "gain":
            self._hold(track)
            self._send([dialect.gain(track, value)])
        else:
            switch: Literal["mute", "solo"] = "mute" if what == "mute" else "solo"
            self._send([dialect.switch(track, switch, value != 0.0)])

    def _hold(self, track: int) -> None:
        """Have a hand on REAPER's fader while we move it: its touch and latch modes write only then."""
        if track == dialect.MASTER or (track in self._hands and self._hands[track] is None):
            return
        if (timer := self._hands.get(track)) is not None:
            timer.cancel()
        else:
            self._send([dialect.touch(track, True)])
        self._hands[track] = asyncio.get_running_loop().call_later(HAND_S, self._let_go, track)

    def _touch(self, stem: str, touched: bool) -> None:
        if (track := self._tracks.track_of(stem)) is None:
            return
        if not touched:
            self._let_go(track)
            return
        if (timer := self._hands.get(track)) is not None:
            timer.cancel()
        if track not in self._hands:
            self._send([dialect.touch(track, True)])
        self._hands[track] = None

    def _let_go(self, track: int) -> None:
        if track in self._hands:
            if (timer := self._hands.pop(track)) is not None:
                timer.cancel()
            self._send([dialect.touch(track, False)])

    def _ask_everything(self) -> None:
        self._send(dialect.question(self._count))

    def _send(self, messages: Iterable[Message]) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        for packet in bundles([encode(message) for message in messages], _PACKET_BYTES):
            with contextlib.suppress(OSError):
                self._transport.sendto(packet, (self._host, self._port))

    def _online(self) -> bool:
        now = asyncio.get_running_loop().time()
        return self._heard_at is not None and now - self._heard_at < ONLINE_S


_PACKET_BYTES = 1_000
"""Under the 1024 that REAPER's own packets have by default."""


def _key(stem: str, what: str) -> str:
    return f"{stem}/{what}"


def _resolution(control: str) -> float:
    return _SAME_DB if control.endswith("gain") else 0.5


def _commands(stem: str, what: str, value: float) -> tuple[c.Command, ...]:
    """What a move in REAPER asks of the desk; the desk has no solo on its master."""
    match what:
        case "gain":
            return (c.SetMasterGain(value) if stem == MASTER_NAME else c.SetGain(stem, value),)
        case "mute":
            return (c.SetMasterMute(value != 0) if stem == MASTER_NAME else c.SetMute(stem, value != 0),)
        case "solo" if stem != MASTER_NAME:
            return (c.SetSolo(stem, value != 0),)
    return ()
