"""`live` on a real sound server, commanded as the bridge is, its streamer really stopped and killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from pulse import Pulse, pulse
from scipy.signal import fftconvolve
from stembridge.bridge import commands as c
from stembridge.bridge import events as e
from stembridge.bridge.hub import Hub
from stembridge.bridge.player.service import LiveSettings, PlayerService
from stembridge.bridge.session import Session

RATE = 44100
PATIENCE_S = 60.0
BUFFER = 512
Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def sound() -> Iterator[Pulse]:
    with pulse(RATE) as server:
        yield server


class Bridge:
    """A hub with a player, and everything that was published."""

    def __init__(self, folder: Path, *, chains: dict[str, str] | None = None) -> None:
        self.hub = Hub(Session())
        self.events: list[e.Event] = []
        self.hub.listen(lambda event, _origin: self.events.append(event))
        device = {"output": "pulse", "buffer_frames": BUFFER, "latency_s": 0.4}
        self.player = PlayerService(
            self.hub,
            {"device": device, "sample_rate": RATE},
            folder / "player.sock",
            self._nothing,
            live=LiveSettings("pulse"),
            chains=chains,
        )

    async def wait(self, kind: type[Any], holds: Callable[[Any], bool] = lambda _event: True) -> Any:
        until = asyncio.get_running_loop().time() + PATIENCE_S
        at = 0
        while True:
            while at < len(self.events):
                event = self.events[at]
                at += 1
                if isinstance(event, kind) and holds(event):
                    return event
            assert asyncio.get_running_loop().time() < until, self.events[-5:]
            await asyncio.sleep(0.01)

    async def problem(self, code: str) -> e.PlayerProblem:
        problem: e.PlayerProblem = await self.wait(e.PlayerProblem, lambda event: event.code == code)
        return problem

    def count(self, code: str) -> int:
        return sum(isinstance(event, e.PlayerProblem) and event.code == code for event in self.events)

    @staticmethod
    async def _nothing(_text: str) -> Path:
        raise AssertionError("no song is asked for")


def run(
    sound: Pulse,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    talk: Callable[[Bridge], Awaitable[None]],
    **options: Any,
) -> Bridge:
    """Start `live`, talk, and end it."""
    for key, value in sound.env.items():
        monkeypatch.setenv(key, value)
    bridge = Bridge(folder, **options)

    async def whole() -> None:
        bridge.hub.start()
        await bridge.player.start()
        try:
            bridge.hub.send(c.StartLive(), "test")
            await bridge.wait(e.TransportState, lambda event: event.state == "live")
            await talk(bridge)
            bridge.hub.send(c.StopLive(), "test")
            await bridge.wait(e.TransportState, lambda event: event.state == "empty")
        finally:
            await bridge.player.close()
            await bridge.hub.close()

    asyncio.run(whole())
    return bridge


def streamer() -> int:
    """The process id of the only streamer there is below this process."""
    found = [
        one.pid
        for one in psutil.Process().children(recursive=True)
        if "stembridge.bridge.player.streamer" in one.cmdline()
    ]
    assert len(found) == 1, found
    return int(found[0])


def noise(seconds: float) -> Floats:
    return (0.05 * np.random.default_rng(5).standard_normal(round(seconds * RATE))).astype(np.float32)


def place_of(audio: Floats, part: Floats) -> int:
    """Where a part lies, bit for bit; -1: nowhere."""
    match = fftconvolve(audio.astype(np.float64), part[::-1].astype(np.float64), mode="valid")
    place = int(np.argmax(match))
    return place if np.array_equal(audio[place : place + len(part)], part) else -1


@pytest.mark.soak
def test_what_goes_in_comes_out_in_time_also_while_the_streamer_stands_still(
    sound: Pulse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = noise(6.0)
    (tmp_path / "noise.raw").write_bytes(np.repeat(sent, 2).tobytes())

    async def talk(bridge: Bridge) -> None:
        await asyncio.sleep(0)
        with sound.recording("in.monitor") as given, sound.recording() as heard:
            command = ["pacat", "-d", "in", "--raw", "--format=float32le", f"--rate={RATE}", "--channels=2"]
            pacat = await asyncio.create_subprocess_exec(
                *command, str(tmp_path / "noise.raw"), env=sound.env, stderr=subprocess.DEVNULL
            )
            pid = streamer()
            await bridge.wait(e.Metered, lambda event: event.stem == "master" and event.peak_db > -60.0)
            os.kill(pid, signal.SIGSTOP)
            await bridge.problem("overload")
            os.kill(pid, signal.SIGCONT)
            await pacat.wait()
            last = sent[-RATE // 4 - 2000 : -2000]

            def there() -> bool:
                return place_of(heard.audio[0], last) >= 0

            until = asyncio.get_running_loop().time() + 5.0
            while not there() and asyncio.get_running_loop().time() < until:
                await asyncio.sleep(0.2)
            bridge.given, bridge.heard = given.audio[0], heard.audio[0]  # type: ignore[attr-defined]

    bridge = run(sound, tmp_path, monkeypatch, talk)
    given, heard = bridge.given, bridge.heard  # type: ignore[attr-defined]
    step = RATE // 10
    lags = []
    for start in range(step, len(sent) - step, step):
        part = sent[start : start + step]
        at, came = place_of(given, part), place_of(heard, part)
        if at >= 0 and came >= 0:
            lags.append(came - at)
    # The clocks of two null sinks drift apart, by frames; a time that jumps would jump by a buffer or more.
    assert len(lags) > 30
    if bridge.count("underrun") == 0:
        assert max(lags) - min(lags) < BUFFER
    state = [event for event in bridge.events if isinstance(event, e.PlayerState)][-1]
    assert state.overloads >= 1


def test_a_killed_streamer_is_told_of_and_another_takes_over(
    sound: Pulse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def talk(bridge: Bridge) -> None:
        first = streamer()
        os.kill(first, signal.SIGKILL)
        await bridge.problem("streamer_lost")
        await bridge.problem("streamer_back")
        assert streamer() != first

    bridge = run(sound, tmp_path, monkeypatch, talk)
    assert bridge.count("streamer_back") == 1


def test_an_input_that_is_not_there_is_told(
    sound: Pulse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def talk(bridge: Bridge) -> None:
        bridge.hub.send(c.StartLive("no such input"), "test")
        problem = await bridge.problem("device_lost")
        assert "no such input" in problem.text

    run(sound, tmp_path, monkeypatch, talk)
