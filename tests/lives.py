"""A fake Live in a process of its own, with our Remote Script in it, and a person's hands on it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FAKE = Path(__file__).with_name("fake_live.py")
SCRIPTS = Path(__file__).resolve().parent.parent / "bridge" / "daws" / "live_remote_script"


def free_port() -> int:
    """A UDP port of 127.0.0.1 that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_wav(path: Path, seconds: float, rate: int = 44100) -> str:
    """Silence of a length, mono; the path as text."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * round(seconds * rate)))
    return str(path)


class Live:
    """One of them. Leaving the block ends it as a person ends Live, and no listener may be left."""

    def __init__(
        self,
        port: int,
        tracks: Mapping[str, float] | None = None,
        *,
        tick_s: float = 0.02,
        flags: tuple[str, ...] = (),
        python: str = sys.executable,
    ) -> None:
        """`tracks`: names and fader positions."""
        self.port = port
        self._process = subprocess.Popen(
            [python, str(FAKE), str(SCRIPTS), "--tick", str(tick_s), *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "STEMBRIDGE_LIVE_PORT": str(port), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        for name, position in (tracks or {}).items():
            self.add(name, position)

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *error: object) -> None:
        left = self.quit()
        if error[0] is None:
            assert left == 0, f"{left} listeners are left"

    def do(self, code: str) -> None:
        """Do something as a person would."""
        self.ask("None", code)

    def ask(self, expression: str, code: str = "") -> Any:
        """Look at something, perhaps after having done something."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": code, "ask": expression}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"error": "the fake Live has died"}')
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["value"]

    def add(self, name: str, position: float = 0.85, index: int = -1) -> None:
        """Add a track."""
        track = "song.tracks[-1]" if index < 0 else f"song.tracks[{index}]"
        self.do(
            f"song.create_audio_track({index})\n{track}.put('name', {name!r})\n"
            f"{track}.mixer_device.volume.put('value', {position})"
        )

    def fader(self, name: str, position: float) -> None:
        """Move a fader."""
        self.do(
            f"[t for t in song.tracks if t.name == {name!r}][0].mixer_device.volume.put('value', {position})"
        )

    def position(self, name: str) -> float:
        """Where a fader stands."""
        return float(self.ask(f"[t for t in song.tracks if t.name == {name!r}][0].mixer_device.volume.value"))

    def log(self) -> list[str]:
        """What the script wrote to Live's log."""
        return list(self.ask("world.log"))

    def quit(self) -> int:
        """End it; how many listeners its script left behind."""
        if self._process.poll() is not None:
            return 0
        out, _ = self._process.communicate(timeout=30)
        return int(json.loads(out.splitlines()[-1])["listeners"])

    def freeze(self, on: bool) -> None:
        """Stop it in its tracks, or let it go on."""
        self._process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def kill(self) -> None:
        """As a crash would."""
        self._process.kill()
        self._process.communicate(timeout=30)
