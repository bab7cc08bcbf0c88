"""Playing as a bridge does it: `serve` in a process of its own, a real sound server, its public OSC."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pulse import Pulse, pulse
from stembridge.bridge.client import BridgeError, Client
from stembridge.bridge.messages import Message

RATE = 44100


@pytest.fixture(scope="module")
def sound() -> Iterator[Pulse]:
    with pulse(RATE) as server:
        yield server


@pytest.fixture
def bridge(sound: Pulse, tmp_path: Path) -> Iterator[Client]:
    songs = tmp_path / "songs"
    songs.mkdir()
    for name, hertz in (("one", 220.0), ("two", 330.0)):
        tone = 0.2 * np.sin(2 * np.pi * hertz * np.arange(3 * RATE) / RATE)
        soundfile.write(songs / f"{name}.wav", np.stack([tone, tone], 1), RATE)
    (songs / "set.m3u").write_text("#EXTM3U\none.wav\ntwo.wav\n")
    command = [
        sys.executable, "-m", "stembridge.bridge", "serve", "--port", "0", "--root", str(songs), "--out",
        str(tmp_path / "out"), "--state", str(tmp_path / "state"), "--output", "pulse", "--log", "warning",
    ]  # fmt: skip
    config = tmp_path / "config.toml"
    config.write_text('[player]\nmodel = "hpss"\n')
    env = {**sound.env, "STEMBRIDGE_CONFIG": str(config)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        said = ""
        while not said.endswith("ready\n"):
            line = process.stdout.readline()
            assert line, said
            said += line
        with Client(port=int(re.findall(r"UDP (\d+)", said)[0])) as client:
            yield client
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def until(client: Client, address: str, *first: object) -> Message:
    for message in client.messages(60.0):
        if message.address == address and message.arguments[: len(first)] == first:
            return message
    raise AssertionError(f"no {address} {first}")


def test_set_list_plays_through_and_everything_is_told(bridge: Client, tmp_path: Path) -> None:
    songs = tmp_path / "songs"
    with pytest.raises(BridgeError) as refused:
        bridge.set("/transport/play")
    assert refused.value.code == "not_found"
    with pytest.raises(BridgeError) as refused:
        bridge.set("/song/load", "/etc/passwd")
    assert refused.value.code == "path_denied"
    for prefix in ("/transport/", "/song/", "/player/", "/meter/"):
        bridge.set("/subscribe", prefix, 600)
    bridge.set("/setlist/load", str(songs / "set.m3u"))
    bridge.set("/transport/play")  # at once: it begins as soon as the song is there
    assert until(bridge, "/song/loaded", str(songs / "one.wav")).arguments[2] == str(songs / "two.wav")
    assert until(bridge, "/meter/master").arguments[0] > -20.0  # type: ignore[operator]
    loaded = until(bridge, "/song/loaded", str(songs / "two.wav"))
    assert loaded.arguments[1:] == (3.0, "")
    ended = until(bridge, "/transport/state", "stopped")
    assert ended.arguments[1] == pytest.approx(3.0)
    assert [m.arguments[0] for m in bridge.set("/player/state") if m.address == "/player/state"] == [
        "running"
    ]


def test_what_was_ridden_is_saved_beside_the_renders(bridge: Client, tmp_path: Path) -> None:
    bridge.set("/subscribe", "/transport/", 600)
    bridge.set("/song/load", str(tmp_path / "songs" / "one.wav"))
    bridge.set("/transport/play")
    until(bridge, "/transport/position")
    bridge.set("/master/gain", -9.0)
    (state,) = [
        message for message in bridge.set("/transport/state") if message.address == "/transport/state"
    ]
    since = float(str(state.arguments[1]))
    # Positions may lie in the socket from before.
    while float(str(until(bridge, "/transport/position").arguments[0])) < since + 0.5:
        pass
    with pytest.raises(BridgeError):
        bridge.set("/automation/save", "../outside")
    bridge.set("/automation/save", "ride")
    saved = until(bridge, "/automation/saved", "ride")
    assert saved.arguments[1] == str(tmp_path / "out" / "automation" / "ride.csv")
    assert "master.gain_db,-9" in Path(str(saved.arguments[1])).read_text()
