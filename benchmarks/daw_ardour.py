"""How soon a fader of a real Ardour is at our stem, and ours at its: medians and 99th percentiles.

    python benchmarks/daw_ardour.py [--moves 200] [--json]

Starts an Ardour without windows (`ardour7-lua`, Dummy backend, its real OSC surface) and a hub with a link to
it in this process. From Ardour to us: from the datagram that moves its fader, sent by another surface, to the
changed gain in our session. From us to Ardour: from the command to the datagram in which Ardour tells that
other surface where its fader is now. Both therefore include one trip to Ardour and one back.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import ardour as real
from stembridge.bridge import commands as c
from stembridge.bridge import events as e
from stembridge.bridge.daws import ardour_dialect as dialect
from stembridge.bridge.daws.ardour import ArdourLink
from stembridge.bridge.hub import Hub
from stembridge.bridge.messages import Message
from stembridge.bridge.osc.packets import decode, encode
from stembridge.bridge.session import Session

STEM = "drums"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--moves", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, real.headless(Path(folder)) as daw:
        figures = asyncio.run(_measured(daw, Path(folder), arguments.moves))
    if arguments.json:
        print(json.dumps(figures, indent=1))
        return
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {sys.version.split()[0]}, Ardour 7\n")
    print("| | median ms | 99 % ms | farthest off dB |\n|---|---:|---:|---:|")
    for name, (median_ms, late_ms, off_db) in figures.items():
        print(f"| {name} | {median_ms:.1f} | {late_ms:.1f} | {off_db:.5f} |")


async def _measured(daw: real.Headless, folder: Path, moves: int) -> dict[str, tuple[float, float, float]]:
    hub = Hub(Session())
    hub.start()
    ours: asyncio.Queue[tuple[float, float]] = asyncio.Queue()
    bound = asyncio.Event()

    def heard(event: e.Event, origin: str) -> None:
        if isinstance(event, e.TrackBound) and event.stem == STEM:
            bound.set()
        elif isinstance(event, e.GainChanged) and origin.startswith("daw:"):
            ours.put_nowait((time.perf_counter(), event.gain_db))

    hub.listen(heard)
    running = asyncio.create_task(ArdourLink(hub, port=daw.port, folder=folder / "exchange").run())
    await asyncio.wait_for(bound.wait(), 60)
    other = _Surface()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: other, local_addr=("127.0.0.1", 0))
    transport.sendto(encode(dialect.hello()), ("127.0.0.1", daw.port))
    strip = real.STEMS.index(STEM) + 1
    await asyncio.sleep(1.0)
    to_us, to_ardour = [], []
    for move in range(moves):
        gain_db = -40.0 + 40.0 * ((move * 37) % moves) / moves
        sent = time.perf_counter()
        transport.sendto(encode(Message("/strip/gain", (strip, gain_db))), ("127.0.0.1", daw.port))
        at, came_db = await asyncio.wait_for(ours.get(), 10)
        to_us.append((at - sent, abs(came_db - gain_db)))
        await asyncio.sleep(0.05)
    await asyncio.sleep(1.0)
    for move in range(moves):
        gain_db = -41.0 + 40.0 * ((move * 37) % moves) / moves
        other.gains = asyncio.Queue()
        sent = time.perf_counter()
        hub.send(c.SetGain(STEM, gain_db), "benchmark")
        at, came_db = await asyncio.wait_for(other.gains.get(), 10)
        to_ardour.append((at - sent, abs(came_db - gain_db)))
        await asyncio.sleep(0.05)
    transport.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await hub.close()
    return {"Ardour's fader to our stem": _figures(to_us), "our stem to Ardour's fader": _figures(to_ardour)}


class _Surface(asyncio.DatagramProtocol):
    """Another control surface, which notes when Ardour tells where the fader is."""

    def __init__(self) -> None:
        self.gains: asyncio.Queue[tuple[float, float]] = asyncio.Queue()

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        for message in decode(data):
            match message.arguments:
                case (int(), float(gain_db)) if message.address == "/strip/gain":
                    self.gains.put_nowait((time.perf_counter(), gain_db))


def _figures(moves: list[tuple[float, float]]) -> tuple[float, float, float]:
    times_ms = [seconds * 1000 for seconds, _ in moves]
    return (
        statistics.median(times_ms),
        statistics.quantiles(times_ms, n=100)[98],
        max(off for _, off in moves),
    )


if __name__ == "__main__":
    main()
