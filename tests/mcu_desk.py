"""A hub with the Mackie Control link on it, for tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from jack import until
from stembridge.bridge import commands as c
from stembridge.bridge import events as e
from stembridge.bridge.daws.mcu import McuLink
from stembridge.bridge.fader_laws import fader_law
from stembridge.bridge.hub import Hub
from stembridge.bridge.session import Session

LAW = fader_law("ardour")
STEP_DB = 0.05


class Desk:
    """A hub with the link on it, and what it told."""

    def __init__(self) -> None:
        self.hub = Hub(Session())
        self.link = McuLink(self.hub, api="jack")
        self.moves: list[tuple[e.Event, str]] = []
        self.hub.listen(lambda event, origin: self.moves.append((event, origin)))

    def gain(self, stem: str) -> float:
        desk = self.hub.session.desk
        return desk.master_gain_db if stem == "master" else desk.strips[stem].gain_db

    def is_at(self, stem: str, gain_db: float) -> bool:
        return abs(self.gain(stem) - gain_db) <= STEP_DB

    def ask(self, command: c.Command) -> None:
        self.hub.send(command, "osc")

    @property
    def tracks(self) -> dict[str, str]:
        """Which track each stem is bound to, by what was told."""
        told: dict[str, str] = {}
        for event, _ in self.moves:
            if isinstance(event, e.TrackBound):
                told[event.stem] = event.track
        return {stem: track for stem, track in told.items() if track}

    def from_host(self) -> int:
        """How many gains the host has changed."""
        return sum(isinstance(event, e.GainChanged) and origin == "daw:mcu" for event, origin in self.moves)


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Desk]:
    desk = Desk()
    desk.hub.start()
    task = asyncio.create_task(desk.link.run())
    try:
        await until(lambda: desk.link._ports.open, "the ports are open")
        yield desk
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await desk.hub.close()
