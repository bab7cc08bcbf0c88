"""A hub and its OSC edge on a loop of their own thread, on real sockets, for tests around them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from stembridge.bridge.hub import Hub
from stembridge.bridge.osc.service import OscService
from stembridge.bridge.osc.transports import Ports, Transports
from stembridge.bridge.session import Session

PATIENCE_S = 30.0
T = TypeVar("T")


@dataclass
class RunningHub:
    """What a test sees of it."""

    hub: Hub
    osc: OscService
    ports: Ports
    loop: asyncio.AbstractEventLoop
    transports: Transports

    def call(self, work: Callable[[], T]) -> T:
        """Run something on the loop, and return what it returns."""

        async def there() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(there(), self.loop).result(PATIENCE_S)


@contextlib.contextmanager
def running_hub(session: Session | None = None) -> Iterator[RunningHub]:
    """A hub that answers OSC at free ports of 127.0.0.1 until the block ends."""
    ready = threading.Event()
    parts: list[RunningHub] = []
    failed: list[BaseException] = []

    async def run() -> None:
        hub = Hub(session or Session())
        hub.start()
        osc = OscService(hub)
        osc.start()
        transports = Transports(osc)
        ports = await transports.open(["127.0.0.1"], 0)
        parts.append(RunningHub(hub, osc, ports, asyncio.get_running_loop(), transports))
        stop = asyncio.Event()
        stops.append(stop)
        ready.set()
        await stop.wait()
        await transports.close()
        osc.close()
        await hub.close()

    stops: list[asyncio.Event] = []

    def body() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            failed.append(error)
            ready.set()

    thread = threading.Thread(target=body)
    thread.start()
    assert ready.wait(PATIENCE_S)
    try:
        if failed:
            raise failed[0]
        yield parts[0]
    finally:
        if parts:
            parts[0].loop.call_soon_threadsafe(stops[0].set)
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    if failed:
        raise failed[0]


def wait_for(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds; fails, saying what, when it does not in a long time."""
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until, what
        time.sleep(0.005)
