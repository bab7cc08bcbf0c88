"""`live` for minutes on a sound server of its own, with another core busy; and its round trip on JACK.

    python benchmarks/live.py [--minutes 10] [--rate 44100] [--buffer 512] [--no-busy] [--realtime]
    python benchmarks/live.py --jack [--rate 48000] [--buffer 256]

Noise goes into one null sink, whose monitor is what the player listens to, and it plays on another. Both
monitors are recorded: at unity the one must be the other, bit for bit, a constant time later. Every stretch
of a tenth of a second that is not is a dropout, whatever our own counters say.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from scipy.signal import fftconvolve

Floats = NDArray[np.float32]
_WARM_S = 30.0


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=0)
    parser.add_argument("--buffer", type=int, default=0)
    parser.add_argument("--no-busy", action="store_true", help="leave the other cores alone")
    parser.add_argument(
        "--realtime",
        action="store_true",
        help="run the sound server, the source and the recorders ahead of other work",
    )
    parser.add_argument(
        "--control", action="store_true", help="a program that only copies in the player's place"
    )
    parser.add_argument("--jack", action="store_true", help="measure the round trip on JACK's dummy driver")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        if arguments.jack:
            figures = _round_trip(Path(folder), stack, arguments.rate or 48000, arguments.buffer or 256)
        else:
            figures = _minutes(Path(folder), stack, arguments)
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| figure | value |\n|---|---:|")
    for name, value in figures.items():
        print(f"| {name} | {value} |")


_COPY = """
import sys, time
import sounddevice
rate, buffer = int(sys.argv[1]), int(sys.argv[2])
def turn(given, out, *_rest):
    out[:] = given
with sounddevice.Stream(device=("pulse", "pulse"), samplerate=rate, channels=(2, 2), blocksize=buffer,
                        dtype="float32", latency=0.1, callback=turn):
    sys.stdin.read()
"""


class _Player:
    """A player's process, spoken to as a bridge does."""

    def __init__(self, folder: Path, env: dict[str, str], device: str, rate: int, buffer: int) -> None:
        path = folder / "player.sock"
        settings = {
            "socket": str(path), "sample_rate": rate, "device": {"output": device, "buffer_frames": buffer},
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stembridge.bridge.player.process", json.dumps(settings)],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + _WARM_S
        while not path.exists() and time.monotonic() < until:
            time.sleep(0.02)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rwb")
        self.state: dict[str, Any] = {}
        self._live = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()
        self.do(do="live", key="1", input=device)
        if not self._live.wait(_WARM_S):
            raise RuntimeError("live does not start")

    def do(self, **line: Any) -> None:
        """Send a line."""
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()

    def ask(self) -> dict[str, Any]:
        """The state now."""
        self.do(do="state")
        time.sleep(0.5)
        return dict(self.state["device"])

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self.do(do="quit")
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for data in self._file:
                line = json.loads(data)
                if line["is"] == "state":
                    self.state = line
                    if line["state"] == "live":
                        self._live.set()


def _minutes(folder: Path, stack: contextlib.ExitStack, arguments: argparse.Namespace) -> dict[str, object]:
    rate, buffer = arguments.rate or 44100, arguments.buffer or 512
    env = stack.enter_context(_sound_server(folder, rate, arguments.realtime))
    seconds = 60.0 * arguments.minutes
    ahead = ["chrt", "-r", "6"] if arguments.realtime else []
    raw = ["--format=float32le", f"--rate={rate}", "--channels=1", "--raw"]
    noise = (0.05 * np.random.default_rng(0).standard_normal(round(seconds * rate))).astype(np.float32)
    noise.tofile(folder / "noise.raw")
    if arguments.control:
        return _control(folder, stack, env, noise, raw, ahead, buffer)
    player = _Player(folder, env, "pulse", rate, buffer)
    stack.callback(player.close)
    _record(folder, stack, env, raw, ahead)
    if not arguments.no_busy:
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        stack.callback(busy.wait)
        stack.callback(busy.kill)
    time.sleep(2.0)
    before = player.ask()
    parts = [psutil.Process(player.process.pid), psutil.Process(int(player.state["streamer"]))]
    cpu_before = [sum(part.cpu_times()[:2]) for part in parts]
    memory_before = [part.memory_info().rss for part in parts]
    began = time.monotonic()
    subprocess.run(
        [*ahead, "pacat", "-d", "in", *raw, str(folder / "noise.raw")],
        env=env,
        check=True,
        timeout=seconds + 60,
    )
    passed = time.monotonic() - began
    cpu = [sum(part.cpu_times()[:2]) - was for part, was in zip(parts, cpu_before, strict=True)]
    memory = [part.memory_info().rss - was for part, was in zip(parts, memory_before, strict=True)]
    after = player.ask()
    time.sleep(1.0)
    sent, heard = (np.fromfile(folder / f"{name}.raw", np.float32) for name in ("in", "out"))
    dropouts, silent_s, late = _compared(noise, sent, heard, rate)
    return {
        "seconds": f"{seconds:g}",
        "stretches of 0.1 s that are not heard as they came in": dropouts,
        "of them silence in part, s": f"{silent_s:.4f}",
        "input monitor to output monitor, ms": late,
        "reported, ms": f"{1e3 * after['latency_s']:.1f}",
        "gaps of the device (our count)": after["underruns"] - before["underruns"],
        "overloads (our count)": after["overloads"] - before["overloads"],
        "CPU of the player": f"{100 * cpu[0] / passed:.1f} % of a core",
        "CPU of the streamer": f"{100 * cpu[1] / passed:.1f} % of a core",
        "memory growth of the player, MB": f"{memory[0] / 1e6:+.1f}",
        "memory growth of the streamer, MB": f"{memory[1] / 1e6:+.1f}",
    }


def _record(
    folder: Path, stack: contextlib.ExitStack, env: dict[str, str], raw: list[str], ahead: list[str]
) -> None:
    """Record what goes to both sinks until the stack ends."""
    for name in ("in", "out"):
        file = stack.enter_context((folder / f"{name}.raw").open("wb"))
        command = [*ahead, "parec", "-d", f"{name}.monitor", "--latency-msec=50", *raw]
        recorder = subprocess.Popen(command, env=env, stdout=file)
        stack.callback(recorder.wait)
        stack.callback(recorder.terminate)
    time.sleep(2.0)


def _control(
    folder: Path,
    stack: contextlib.ExitStack,
    env: dict[str, str],
    noise: Floats,
    raw: list[str],
    ahead: list[str],
    buffer: int,
) -> dict[str, object]:
    """What the sound server itself loses: the same with a program that only copies."""
    rate = int(raw[1].removeprefix("--rate="))
    copy = subprocess.Popen(
        [sys.executable, "-c", _COPY, str(rate), str(buffer)],
        env=env, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    stack.callback(copy.wait)
    stack.callback(copy.kill)
    time.sleep(2.0)
    _record(folder, stack, env, raw, ahead)
    command = [*ahead, "pacat", "-d", "in", *raw, str(folder / "noise.raw")]
    subprocess.run(command, env=env, check=True, timeout=len(noise) / rate + 60)
    time.sleep(1.0)
    sent, heard = (np.fromfile(folder / f"{name}.raw", np.float32) for name in ("in", "out"))
    dropouts, silent_s, late = _compared(noise, sent, heard, rate)
    return {
        "seconds, with a program that only copies": f"{len(noise) / rate:g}",
        "stretches of 0.1 s that are not heard as they came in": dropouts,
        "of them silence in part, s": f"{silent_s:.4f}",
        "input monitor to output monitor, ms": late,
    }


def _compared(noise: Floats, sent: Floats, heard: Floats, rate: int) -> tuple[str, float, str]:
    """How many tenths of a second that reached the input are not heard as they were; silence; how late.

    What the sound server or the program that plays into it lost before the input does not count.
    """
    step, bad, count, silent = rate // 10, 0, 0, 0
    lags: set[int] = set()
    at_sent, at_heard = _find(sent, noise[:rate], 0), _find(heard, noise[:rate], 0)
    for number in range(len(noise) // step - 1):
        part = noise[number * step : (number + 1) * step]
        at_sent = _there(sent, part, at_sent + (step if number else 0), rate)
        at_heard = _there(heard, part, at_heard + (step if number else 0), rate)
        if not np.array_equal(sent[at_sent : at_sent + step], part):
            continue
        count += 1
        if np.array_equal(heard[at_heard : at_heard + step], part):
            lags.add(at_heard - at_sent)
        else:
            bad += 1
            silent += int(np.sum(heard[at_heard : at_heard + step] == 0.0))
    late = sorted(1e3 * lag / rate for lag in lags)
    return f"{bad} of {count}", silent / rate, f"{late[0]:.1f} to {late[-1]:.1f}" if late else "never"


def _there(audio: Floats, part: Floats, expected: int, rate: int) -> int:
    """Where a part lies, which is where it is expected unless something was lost or put in before it."""
    if np.array_equal(audio[expected : expected + len(part)], part):
        return expected
    start = max(expected - rate, 0)
    if len(audio) < start + 2 * len(part):
        return expected
    found = _find(audio[: expected + 3 * rate], part, start)
    return found if np.array_equal(audio[found : found + len(part)], part) else expected


def _find(audio: Floats, part: Floats, start: int) -> int:
    match = fftconvolve(audio[start:].astype(np.float64), part[::-1].astype(np.float64), mode="valid")
    return start + int(np.argmax(match))


@contextlib.contextmanager
def _sound_server(folder: Path, rate: int, realtime: bool) -> Iterator[dict[str, str]]:
    """PulseAudio with two null sinks, reached through ALSA as `pulse`; yields the environment for it."""
    (folder / ".asoundrc").write_text("pcm.pulse { type pulse }\n")
    env = {
        **os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PULSE_RUNTIME_PATH": str(folder),
        "PULSE_SERVER": f"unix:{folder}/native", "PULSE_SINK": "out", "PULSE_SOURCE": "in.monitor",
    }  # fmt: skip
    sink = f"rate={rate} channels=2 format=float32le"
    server = subprocess.Popen(
        [
            *(["chrt", "-r", "6"] if realtime else []), "pulseaudio", "-n", "--daemonize=no",
            "--exit-idle-time=-1", "--use-pid-file=no",
            "-L", f"module-native-protocol-unix socket={folder}/native auth-anonymous=1",
            "-L", f"module-null-sink sink_name=out {sink}", "-L", f"module-null-sink sink_name=in {sink}",
        ],
        env=env, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until = time.monotonic() + 10.0
        while not (folder / "native").exists() and time.monotonic() < until:
            time.sleep(0.05)
        yield env
    finally:
        server.terminate()
        server.wait()


_MEASURE = """
import sys, time
import numpy as np
import sounddevice
rate, buffer, file = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
noise = (0.05 * np.random.default_rng(0).standard_normal(8 * rate)).astype(np.float32)
heard, at = np.zeros_like(noise), 0
def turn(given, out, frames, _time, _status):
    global at
    out[:] = noise[at : at + frames, None] if at + frames <= len(noise) else 0.0
    if at + frames <= len(noise):
        heard[at : at + frames] = given[:, 0]
    at += frames
stream = sounddevice.Stream(device=("system", "system"), samplerate=rate, channels=(2, 2), blocksize=buffer,
                            dtype="float32", latency="low", callback=turn)
stream.start()
print(stream.latency[1], flush=True)
while at < len(noise):
    time.sleep(0.1)
np.save(file, np.stack([noise, heard]))
print("done", flush=True)
sys.stdin.read()
"""


def _round_trip(folder: Path, stack: contextlib.ExitStack, rate: int, buffer: int) -> dict[str, object]:
    """A client whose output is live's input and whose input is live's output: how late is what it sent?"""
    env = {
        **os.environ, "JACK_DEFAULT_SERVER": f"stembridge-{os.getpid()}", "JACK_NO_START_SERVER": "1",
        "JACK_NO_AUDIO_RESERVATION": "1",
    }  # fmt: skip
    server = subprocess.Popen(
        ["jackd", "-n", env["JACK_DEFAULT_SERVER"], "-r", "-S", "-t", "2000", "-d", "dummy", "-r", str(rate),
         "-p", str(buffer)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    stack.callback(server.wait)
    stack.callback(server.terminate)
    time.sleep(2.0)
    player = _Player(folder, env, "system", rate, buffer)
    stack.callback(player.close)
    meter = subprocess.Popen(
        [sys.executable, "-c", _MEASURE, str(rate), str(buffer), str(folder / "heard.npy")],
        env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    stack.callback(meter.wait)
    stack.callback(meter.kill)
    assert meter.stdout is not None
    own_s = float(meter.stdout.readline())
    for k in (0, 1):
        for client in ("PortAudio", "PortAudio-01"):
            _jack(env, "jack_disconnect", f"system:capture_{k + 1}", f"{client}:in_{k}")
            _jack(env, "jack_disconnect", f"{client}:out_{k}", f"system:playback_{k + 1}")
        _jack(env, "jack_connect", f"PortAudio-01:out_{k}", f"PortAudio:in_{k}")
        _jack(env, "jack_connect", f"PortAudio:out_{k}", f"PortAudio-01:in_{k}")
    meter.stdout.readline()
    device = player.ask()
    noise, heard = np.load(folder / "heard.npy")
    start = 3 * rate
    place = _find(heard, noise[start : start + rate], 0)
    exact = np.array_equal(heard[place : place + rate], noise[start : start + rate])
    reported = round(device["latency_s"] * rate)
    return {
        "round trip, frames": place - start,
        "reported (live, its device's output), frames": reported,
        "the measuring client's own output, frames": round(own_s * rate),
        "left: periods in the loop between the two clients": (place - start - reported - round(own_s * rate))
        / buffer,
        "a second of it bit for bit": exact,
        "overloads (our count)": device["overloads"],
    }


def _jack(env: dict[str, str], *command: str) -> None:
    subprocess.run(command, env=env, capture_output=True, timeout=10, check=False)


if __name__ == "__main__":
    main()
