"""A hub with a link to REAPER, and a stand-in for REAPER's surface, for tests of both together."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from reaper_surface import OURS, Surface, Track
from stembridge.bridge import commands as c
from stembridge.bridge import events as e
from stembridge.bridge.daws.link import Mode
from stembridge.bridge.daws.reaper import ReaperLink
from stembridge.bridge.desk import Strip
from stembridge.bridge.hub import Hub
from stembridge.bridge.session import Session

PATIENCE_S = 30.0


@dataclass
class Both:
    """A bridge and a REAPER that are connected."""

    hub: Hub
    link: ReaperLink
    daw: Surface
    events: list[tuple[e.Event, str]]
    port: int
    """Where REAPER listens."""

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something holds."""
        ends = asyncio.get_running_loop().time() + PATIENCE_S
        while not holds():
            assert asyncio.get_running_loop().time() < ends, f"never: {what}"
            await asyncio.sleep(0.005)

    async def quiet(self, seconds: float = 0.6) -> None:
        """Let time pass in which something must not happen."""
        await asyncio.sleep(seconds)

    def channel(self, stem: str) -> Strip:
        return self.hub.session.desk.strips[stem]

    def gain(self, stem: str) -> float:
        return self.channel(stem).gain_db

    def set(self, command: c.Command) -> None:
        self.hub.send(command, "osc:somebody")


def band() -> list[Track]:
    return [Track("drums - Song", 0.5), Track("Bass"), Track("Lead Vox"), Track("vocals - Song", mute=True)]


@asynccontextmanager
async def connected(
    tracks: list[Track] | None = None,
    *,
    patterns: str = OURS,
    mode: Mode = "remote",
    folder: Path | None = None,
    started: bool = True,
) -> AsyncIterator[Both]:
    """A hub with a link, and a REAPER that has been started before it."""
    daw = Surface(patterns, ("127.0.0.1", 0), band() if tracks is None else tracks)
    port = await daw.open()
    hub = Hub(Session())
    hub.start()
    events: list[tuple[e.Event, str]] = []
    hub.listen(lambda event, origin: events.append((event, origin)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        daw.send_to = probe.getsockname()
    if started:
        daw.start()  # into the void: all that it says now it takes for known
    link = ReaperLink(hub, mode=mode, listen_port=daw.send_to[1], send_port=port, folder=folder)
    task = asyncio.create_task(link.run())
    both = Both(hub, link, daw, events, port)
    try:
        await both.until(lambda: link.state().state == "online", "REAPER is heard")
        if mode == "remote" and tracks is None:
            await both.until(
                lambda: any(isinstance(ev, e.TrackBound) for ev, _ in events), "tracks are bound"
            )
        yield both
    finally:
        task.cancel()
        await asyncio.wait([task])
        daw.close()
        await hub.close()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await scenario()

    asyncio.run(whole())
