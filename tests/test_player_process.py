"""The player as a process: on a real audio device, heard by a real recorder, its parts really killed."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from pulse import Pulse, pulse, wait_until
from scipy.signal import fftconvolve
from stembridge.bridge.player.following import FAR_S

RATE = 44100
Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def sound() -> Iterator[Pulse]:
    with pulse(RATE) as server:
        yield server


@pytest.fixture(scope="module")
def stems_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A multitrack whose stems are told apart by their pitch; slow sines, so that a click would stand out."""
    folder = tmp_path_factory.mktemp("stems")
    time_s = np.arange(20 * RATE) / RATE
    for name, hertz in (("drums", 110.0), ("bass", 165.0), ("other", 220.0), ("vocals", 330.0)):
        # A sweep of its own in each stem: every place of the song sounds different from every other.
        phase = 2 * np.pi * (hertz * time_s + 4.0 * time_s**2)
        soundfile.write(
            folder / f"{name}.wav", np.stack([0.15 * np.sin(phase)] * 2, 1), RATE, subtype="FLOAT"
        )
    return folder


def mix_of(folder: Path, *names: str) -> Floats:
    wanted = names or ("drums", "bass", "other", "vocals")
    parts = [soundfile.read(folder / f"{name}.wav", dtype="float32")[0].T for name in wanted]
    total: Floats = np.sum(parts, axis=0, dtype=np.float32)
    return total


class Talk:
    """A conversation with a player process, as a bridge has it."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        wait_until(lambda: self._connects(path), "the player has no socket")
        self._file = self._socket.makefile("rwb")
        self.said: list[dict[str, Any]] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def do(self, **line: Any) -> None:
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()

    def wait(self, holds: Callable[[dict[str, Any]], bool], since: int = 0) -> dict[str, Any]:
        """The first thing said that a test holds for."""

        def found() -> bool:
            return any(holds(line) for line in self.said[since:])

        wait_until(found, f"never said: {self.said[-3:]}")
        return next(line for line in self.said[since:] if holds(line))

    def state(self) -> dict[str, Any]:
        since = len(self.said)
        self.do(do="state")
        return self.wait(lambda line: line["is"] == "state", since)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _connects(self, path: Path) -> bool:
        try:
            self._socket.connect(str(path))
        except OSError:
            return False
        return True

    def _listen(self) -> None:
        try:
            for data in self._file:
                self.said.append(json.loads(data))
        except (OSError, ValueError):
            return


@pytest.fixture
def player(sound: Pulse, tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    path = tmp_path / "player.sock"
    settings = {"socket": str(path), "device": {"output": "pulse", "buffer_frames": 512, "latency_s": 0.1}}
    command = [sys.executable, "-m", "stembridge.bridge.player.process", json.dumps(settings)]
    with subprocess.Popen(command, env=sound.env, stdout=subprocess.DEVNULL) as process:
        yield path, process
        if process.poll() is None:
            talk = Talk(path)
            talk.do(do="quit")
            process.wait(30)


def aligned(heard: Floats, expected: Floats) -> int:
    """Where in what was heard a stretch of sound begins."""
    match = fftconvolve(heard[0].astype(np.float64), expected[0, ::-1].astype(np.float64), mode="valid")
    return int(np.argmax(match))


def load(talk: Talk, folder: Path, key: str = "1", **more: Any) -> None:
    talk.do(do="load", key=key, path=str(folder), model="default", **more)
    talk.wait(lambda line: line["is"] == "state" and line["key"] == key and line["state"] != "loading")


def gains(**gains_db: float) -> dict[str, Any]:
    neutral = {"mutes": [], "solos": [], "pans": {}, "master_gain_db": 0.0, "master_mute": False}
    return {"gains_db": gains_db, **neutral}


def test_song_is_heard_as_it_is_and_ridden_without_a_click(
    sound: Pulse, player: tuple[Path, subprocess.Popen[bytes]], stems_folder: Path
) -> None:
    mix = mix_of(stems_folder)
    talk = Talk(player[0])
    load(talk, stems_folder)
    with sound.recording() as heard:
        talk.do(do="play")
        talk.wait(lambda line: line["is"] == "position" and line["position_s"] > 3.0)
        talk.do(do="gains", state=gains(vocals=-144.0, drums=-144.0))
        talk.wait(lambda line: line["is"] == "position" and line["position_s"] > 5.0)
        meters = [line for line in talk.said if line["is"] == "meters"][-1]["rows"]
        talk.do(do="stop")
        talk.wait(lambda line: line["is"] == "state" and line["state"] == "stopped")
        wait_until(lambda: not heard.audio[:, -4410:].any(), "it never fell silent")
    state = talk.state()
    audio = heard.audio
    if not state["device"][
        "underruns"
    ]:  # where this machine is too busy to play, the gaps at least are counted
        place = aligned(audio, mix[:, RATE : 2 * RATE])
        np.testing.assert_allclose(audio[:, place : place + RATE], mix[:, RATE : 2 * RATE], atol=1e-4)
        later = mix_of(stems_folder, "bass", "other")[:, 4 * RATE : 4 * RATE + 22050]
        place = aligned(audio, later)
        np.testing.assert_allclose(audio[:, place : place + 22050], later, atol=1e-4)
        natural = float(np.max(np.abs(np.diff(mix, axis=1))))
        assert float(np.max(np.abs(np.diff(audio, axis=1)))) <= natural + 0.6 / (0.010 * RATE)
    levels = {name: peak for name, peak, _ in meters}
    assert levels["vocals"] == levels["drums"] == -144.0
    assert levels["bass"] == pytest.approx(20 * np.log10(0.15), abs=0.5)


def test_seek_and_loop_go_where_they_are_told(
    sound: Pulse, player: tuple[Path, subprocess.Popen[bytes]], stems_folder: Path
) -> None:
    mix = mix_of(stems_folder)
    talk = Talk(player[0])
    load(talk, stems_folder)
    with sound.recording() as heard:
        talk.do(do="locate", position_s=10.0)
        talk.do(do="play")
        talk.wait(lambda line: line["is"] == "position" and line["position_s"] > 11.0)
        since = len(talk.said)
        talk.do(do="loop", start_s=2.0, end_s=3.0)
        talk.wait(lambda line: line["is"] == "position" and 2.0 <= line["position_s"] < 2.5, since)
        time.sleep(3.0)
        positions = [line["position_s"] for line in talk.said[since:] if line["is"] == "position"]
        talk.do(do="loop", start_s=0.0, end_s=0.0)
        talk.wait(lambda line: line["is"] == "position" and line["position_s"] > 3.2, since)
        talk.do(do="stop")
    assert max(positions[5:]) <= 3.1
    assert sum(later < earlier for earlier, later in itertools.pairwise(positions)) >= 2
    if not talk.state()["device"]["underruns"]:
        for start in (10 * RATE + 4410, 2 * RATE + 4410):
            part = mix[:, start : start + RATE // 2]
            place = aligned(heard.audio, part)
            np.testing.assert_allclose(heard.audio[:, place : place + RATE // 2], part, atol=1e-4)


def test_song_goes_on_as_plain_mix_when_the_streamer_is_killed_and_stems_come_back(
    sound: Pulse, player: tuple[Path, subprocess.Popen[bytes]], stems_folder: Path
) -> None:
    talk = Talk(player[0])
    load(talk, stems_folder)
    talk.do(do="gains", state=gains(vocals=-144.0, other=-144.0))
    with sound.recording() as heard:
        talk.do(do="play")
        talk.wait(lambda line: line["is"] == "position" and line["position_s"] > 1.5)
        os.kill(talk.state()["streamer"], signal.SIGKILL)
        talk.wait(lambda line: line["is"] == "problem" and line["code"] == "streamer_lost")
        talk.wait(lambda line: line["is"] == "problem" and line["code"] == "streamer_back")
        back = talk.state()["position_s"]
        talk.wait(lambda line: line["is"] == "position" and line["position_s"] > min(back + 2.0, 19.0))
        talk.do(do="stop")
    state, audio = talk.state(), heard.audio
    assert back < 17.0
    if not state["device"]["underruns"]:
        natural = float(np.max(np.abs(np.diff(mix_of(stems_folder), axis=1))))
        assert float(np.max(np.abs(np.diff(audio, axis=1)))) <= natural + 0.6 / (0.010 * RATE)
        start = round((back + 1.0) * RATE)
        part = mix_of(stems_folder, "drums", "bass")[:, start : start + RATE // 2]
        place = aligned(audio, part)
        np.testing.assert_allclose(audio[:, place : place + RATE // 2], part, atol=1e-4)


def test_song_plays_on_without_control_and_another_control_takes_over(
    sound: Pulse, player: tuple[Path, subprocess.Popen[bytes]], stems_folder: Path
) -> None:
    talk = Talk(player[0])
    load(talk, stems_folder, note={"songs": [["x", None]], "index": 0})
    talk.do(do="gains", state=gains(vocals=-7.0))
    talk.do(do="play")
    talk.wait(lambda line: line["is"] == "position" and line["position_s"] > 0.5)
    talk.close()
    time.sleep(1.0)
    other = Talk(player[0])
    found = other.wait(lambda line: line["is"] == "state")
    assert found["state"] == "playing"
    assert found["position_s"] > 1.0
    assert found["mixer"]["gains_db"]["vocals"] == -7.0
    assert found["note"] == {"songs": [["x", None]], "index": 0}
    other.do(do="stop")
    other.wait(lambda line: line["is"] == "state" and line["state"] == "stopped")


def test_ride_is_saved_and_replays(
    sound: Pulse, player: tuple[Path, subprocess.Popen[bytes]], stems_folder: Path, tmp_path: Path
) -> None:
    from stembridge.model.automation import read_automation

    talk = Talk(player[0])
    load(talk, stems_folder)
    talk.do(do="play")
    talk.wait(lambda line: line["is"] == "position" and line["position_s"] > 0.5)
    talk.do(do="gains", state=gains(vocals=-9.0))
    talk.wait(lambda line: line["is"] == "position" and line["position_s"] > 1.5)
    talk.do(do="stop")
    talk.do(do="save_automation", name="ride", file=str(tmp_path / "new" / "ride.csv"))
    saved = talk.wait(lambda line: line["is"] == "automation")
    moves = read_automation(Path(saved["file"])).moves
    assert [(move.stem, move.parameter, move.value) for move in moves] == [("vocals", "gain_db", -9.0)]
    assert moves[0].time.samples is not None
    assert 0.4 * RATE < moves[0].time.samples < 1.5 * RATE
    assert [one.name for one in (tmp_path / "new").iterdir()] == ["ride.csv"]


def test_what_cannot_be_played_is_said(player: tuple[Path, subprocess.Popen[bytes]], tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF nonsense")
    talk = Talk(player[0])
    talk.do(do="load", key="1", path=str(broken), model="default")
    problem = talk.wait(lambda line: line["is"] == "problem")
    assert problem["code"] == "bad_file"
    assert "broken.wav" in problem["text"]
    talk.do(do="loop")
    assert talk.wait(lambda line: line["is"] == "problem" and line["code"] == "internal")
    assert talk.state()["state"] in ("loading", "empty")


def test_device_that_is_not_there_is_said(sound: Pulse, tmp_path: Path, stems_folder: Path) -> None:
    path = tmp_path / "player.sock"
    settings = {"socket": str(path), "device": {"output": "no such device"}}
    command = [sys.executable, "-m", "stembridge.bridge.player.process", json.dumps(settings)]
    with subprocess.Popen(command, env=sound.env, stdout=subprocess.DEVNULL) as process:
        talk = Talk(path)
        load(talk, stems_folder)
        talk.do(do="play")
        problem = talk.wait(lambda line: line["is"] == "problem")
        assert problem["code"] == "device_lost"
        assert "stembridge devices" in problem["text"]
        talk.do(do="quit")
        process.wait(30)


def test_it_plays_in_time_with_a_clock_that_runs_its_own_way(
    sound: Pulse, player: tuple[Path, subprocess.Popen[bytes]], stems_folder: Path
) -> None:
    """A host that is 0.05 % fast, tells where it is twenty times a second, jumps once, and stops."""
    talk = Talk(player[0])
    load(talk, stems_folder)
    began, jumped = time.monotonic() - 2.0, 0.0

    def host(at: float) -> float:
        return (at - began) * 1.0005 + jumped

    def run(seconds: float) -> float:
        """Tell the clock for a while; how far off the player was in the end."""
        until, since = time.monotonic() + seconds, len(talk.said)
        while time.monotonic() < until:
            now = time.monotonic()
            talk.do(do="chase", playing=True, position_s=host(now), at=now)
            time.sleep(0.05)
        told = [line for line in talk.said[since:] if line["is"] == "position"][-10:]
        assert told, "it never played"
        return float(np.median([abs(host(line["when"]) - line["frame"] / RATE) for line in told]))

    # How near it stays is for the tests without a device to say: on a busy machine it must be where no
    # seek is called for.
    assert run(6.0) < FAR_S
    jumped = 4.0
    assert run(4.0) < FAR_S
    now = time.monotonic()
    talk.do(do="chase", playing=False, position_s=3.0, at=now)
    stopped = talk.wait(lambda line: line["is"] == "state" and line["state"] == "stopped")
    assert stopped
    wait_until(
        lambda: talk.state()["position_s"] == pytest.approx(3.0, abs=0.01), "it did not go where the host is"
    )
