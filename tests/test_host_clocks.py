"""Where a DAW's transport is, as its link tells it to who plays in time with it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable

from lives import Live, free_port
from stembridge.bridge import events as e
from stembridge.bridge.daws.live import LiveLink
from stembridge.bridge.daws.reaper import ReaperLink
from stembridge.bridge.hub import Hub
from stembridge.bridge.messages import Message
from stembridge.bridge.osc.packets import encode
from stembridge.bridge.session import Session

Heard = list[e.HostTransport]


async def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30.0
    while not holds():
        assert time.monotonic() < ends
        await asyncio.sleep(0.01)


def listening(scene: Callable[[Hub, Heard], Awaitable[None]]) -> Heard:
    heard: Heard = []

    async def run() -> None:
        hub = Hub(Session())
        hub.start()
        hub.listen(lambda event, _: heard.append(event) if isinstance(event, e.HostTransport) else None)
        await scene(hub, heard)
        await hub.close()

    asyncio.run(run())
    return heard


def test_reaper_says_that_it_plays_and_where() -> None:
    async def scene(hub: Hub, heard: Heard) -> None:
        link = ReaperLink(hub, listen_port=0, send_port=free_port())
        running = asyncio.create_task(link.run())
        await until(lambda: link.listen_port != 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reaper:
            for message in (Message("/time", (12.5,)), Message("/play", (1.0,)), Message("/time", ("soon",))):
                reaper.sendto(encode(message), ("127.0.0.1", link.listen_port))
            await until(lambda: any(one.playing for one in heard))
            reaper.sendto(encode(Message("/play", (0.0,))), ("127.0.0.1", link.listen_port))
            await until(lambda: heard[-1].playing is False)
        running.cancel()

    heard = listening(scene)
    assert heard[0].source == "reaper"
    assert (heard[0].playing, heard[0].position_s) == (False, 12.5)
    assert heard[1].playing
    assert 12.5 <= heard[1].position_s < 13.0
    assert heard[-1].position_s >= heard[1].position_s


def test_live_says_that_it_plays_and_where_in_seconds() -> None:
    port = free_port()

    async def scene(hub: Hub, heard: Heard) -> None:
        link = LiveLink(hub, port=port)
        running = asyncio.create_task(link.run())
        with Live(port, {"vocals": 0.85}) as live:
            await until(lambda: link.state().state == "online")
            live.do("song.tempo = 90.0\nsong.current_song_time = 12.0\nsong.is_playing = True")
            await until(lambda: any(one.playing and one.position_s > 0.0 for one in heard))
            live.do("song.is_playing = False")
            await until(lambda: heard[-1].playing is False)
        running.cancel()

    heard = listening(scene)
    playing = next(one for one in heard if one.playing)
    assert playing.source == "live"
    assert abs(playing.position_s - 8.0) < 0.5  # 12 beats at 90 a minute
