"""A PulseAudio of our own with null sinks, for tests that must really play and really hear."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from peers import missing, require


@dataclass
class Pulse:
    """One server; `env` makes ALSA's device `pulse` of a child lead here."""

    folder: Path
    env: dict[str, str]
    rate: int
    channels: int
    recordings: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @contextlib.contextmanager
    def recording(self, source: str = "out.monitor") -> Iterator[Recording]:
        """Hear what goes to a sink until the block ends."""
        path = self.folder / f"heard-{len(list(self.folder.glob('heard-*')))}.raw"
        command = [
            "parec", "-d", source, "--format=float32le", f"--rate={self.rate}", f"--channels={self.channels}",
            "--raw", "--latency-msec=20",
        ]  # fmt: skip
        with path.open("wb") as file, subprocess.Popen(command, stdout=file, env=self.env) as process:
            heard = Recording(path, self.channels)
            try:
                wait_until(lambda: path.stat().st_size > 0, "parec hears nothing")
                yield heard
            finally:
                process.terminate()


@dataclass
class Recording:
    """What was heard, so far or in all."""

    path: Path
    channels: int

    @property
    def audio(self) -> NDArray[np.float32]:
        """`(channels, frames)`."""
        data = np.fromfile(self.path, np.float32)
        whole = len(data) // self.channels * self.channels
        return np.ascontiguousarray(data[:whole].reshape(-1, self.channels).T)


@contextlib.contextmanager
def pulse(rate: int = 44100, channels: int = 2) -> Iterator[Pulse]:
    """A server with the null sinks `out` and `in`, gone with the block."""
    program = require("pulseaudio")
    require("parec")
    try:
        import sounddevice  # noqa: F401
    except (ImportError, OSError) as error:
        missing(f"PortAudio cannot be used: {error}")
    with tempfile.TemporaryDirectory(prefix="pulse-") as text:
        folder = Path(text)
        socket = folder / "native"
        sink = f"rate={rate} channels={channels} format=float32le"
        env = {
            **os.environ, "PULSE_RUNTIME_PATH": text, "XDG_RUNTIME_DIR": text, "HOME": text,
            "PULSE_SERVER": f"unix:{socket}", "PULSE_SINK": "out", "PULSE_SOURCE": "in.monitor",
        }  # fmt: skip
        (folder / ".asoundrc").write_text("pcm.pulse { type pulse }\nctl.pulse { type pulse }\n")
        command = [
            program, "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
            "-L", f"module-native-protocol-unix socket={socket} auth-anonymous=1",
            "-L", f"module-null-sink sink_name=out {sink}",
            "-L", f"module-null-sink sink_name=in {sink}",
        ]  # fmt: skip
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, stdout=quiet, stderr=quiet, env=env) as server:
            try:
                wait_until(socket.exists, "PulseAudio does not start")
                yield Pulse(folder, env, rate, channels)
            finally:
                server.terminate()
                server.wait(20)


def wait_until(holds: object, what: str, seconds: float = 60.0) -> None:
    """Wait until a call returns true; fails, saying what, when it does not in a long time."""
    assert callable(holds)
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, what
        time.sleep(0.01)
