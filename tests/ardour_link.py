"""A hub linked to a real Ardour without windows: fixtures and waiting, for the tests of that link.

A test module takes the fixtures as its own: `engine, daw, folder = ...`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import ardour as real
import pytest
from stembridge.bridge import events as e
from stembridge.bridge.daws.ardour import ArdourLink
from stembridge.bridge.daws.link import Mode
from stembridge.bridge.hub import Hub
from stembridge.bridge.session import Session

OURS = "osc:udp:127.0.0.1:5005"
THEIRS = "daw:ardour"
NEAR_DB = 0.05


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real.Headless]:
    """One Ardour for all tests of a module."""
    with real.headless(tmp_path_factory.mktemp("ardour")) as running:
        yield running


@pytest.fixture
def daw(engine: real.Headless) -> real.Headless:
    """The same with its faders at 0 dB, and nothing muted, soloed or panned."""
    engine.lua(
        """
        for route in session:get_routes():iter() do
          local none = PBD.GroupControlDisposition.NoGroup
          route:gain_control():set_value(1, none)
          route:mute_control():set_value(0, none)
          route:solo_control():set_value(0, none)
          if not route:pan_azimuth_control():isnil() then
            route:pan_azimuth_control():set_value(0.5, none)
          end
        end
        """
    )
    return engine


class Linked:
    """A hub with a link to Ardour, and everything that happened on it."""

    def __init__(self, hub: Hub, link: ArdourLink) -> None:
        self.hub = hub
        self.link = link
        self.events: list[tuple[e.Event, str]] = []

    def gain_db(self, stem: str) -> float:
        return self.hub.session.desk.strips[stem].gain_db

    def from_ardour(self) -> list[e.Event]:
        return [event for event, origin in self.events if origin == THEIRS]

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + real.PATIENCE_S
        while not holds():
            assert time.monotonic() < end, f"{what}; {self.events[-5:]}"
            await asyncio.sleep(0.005)

    async def until_ardour(self, asked: Callable[[], float], value: float, what: str) -> None:
        end = time.monotonic() + real.PATIENCE_S
        while abs((got := await asyncio.to_thread(asked)) - value) > NEAR_DB:
            assert time.monotonic() < end, f"{what}: {got}, not {value}"

    async def bound(self, *stems: str) -> None:
        """Wait until these stems have tracks."""
        await self.until(
            lambda: {
                event.stem for event, _ in self.events if isinstance(event, e.TrackBound) and event.track
            }.issuperset(stems),
            f"{', '.join(stems)} are bound",
        )


@contextlib.asynccontextmanager
async def linked(port: int, mode: Mode = "remote", **options: Any) -> AsyncIterator[Linked]:
    hub = Hub(Session())
    hub.start()
    link = ArdourLink(hub, mode=mode, port=port, **options)
    here = Linked(hub, link)
    hub.listen(lambda event, origin: here.events.append((event, origin)))
    running = asyncio.create_task(link.run())
    try:
        yield here
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await hub.close()


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where link and script would meet; no Ardour of whoever runs the tests is given a script."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "exchange"


async def quiet(tap: real.Tap, seconds: float = 1.0) -> None:
    """Wait until nothing was sent for so long: past every echo window and settled move."""
    count, since = len(tap.sent), time.monotonic()
    while time.monotonic() - since < seconds:
        await asyncio.sleep(0.02)
        if len(tap.sent) != count:
            count, since = len(tap.sent), time.monotonic()
