"""`play` for minutes on a null sink with another core busy, and how soon a gain is heard.

    python benchmarks/play.py SONG [--minutes 10] [--no-busy]

The song is separated ahead and played in a loop under a bridge, unity gains first: a recorder on the sink's
monitor must hear the song's own samples, so every stretch of a tenth of a second that is not found where it
belongs is a dropout, whatever our own counters say. Then 200 datagrams move a fader: the player writes down
at which frame each took effect, and says when which frame is handed to the device.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import soundfile
from numpy.typing import NDArray
from scipy.signal import fftconvolve

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from pulse import Pulse, pulse
from stembridge.bridge.client import Client

RATE = 44100
Floats = NDArray[np.float32]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("song", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--no-busy", action="store_true", help="leave the other core alone")
    arguments = parser.parse_args()
    with pulse(RATE) as sound, tempfile.TemporaryDirectory() as folder:
        song = Path(folder) / "song.wav"
        audio, rate = soundfile.read(arguments.song, dtype="float32", always_2d=True)
        if rate != RATE:
            raise SystemExit(f"a song at {RATE} Hz is wanted; this has {rate}")
        audio = audio[: 60 * RATE] if audio.shape[1] == 2 else np.repeat(audio[: 60 * RATE, :1], 2, axis=1)
        soundfile.write(song, audio, RATE, subtype="FLOAT")
        figures = _measured(sound, Path(folder), song, audio.T, arguments.minutes, busy=not arguments.no_busy)
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end\n")
    print("| figure | value |\n|---|---:|")
    for name, value in figures.items():
        print(f"| {name} | {value} |")


def _measured(
    sound: Pulse, folder: Path, song: Path, audio: Floats, minutes: float, *, busy: bool
) -> dict[str, object]:
    command = [
        sys.executable, "-m", "stembridge.bridge", "serve", "--port", "0", "--root", str(folder), "--out",
        str(folder / "out"), "--state", str(folder / "state"), "--output", "pulse", "--log", "warning",
    ]  # fmt: skip
    figures: dict[str, object] = {}
    burner = [subprocess.Popen([sys.executable, "-c", "while True: pass"])] if busy else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=sound.env) as bridge:
        try:
            assert bridge.stdout is not None
            said = ""
            while not said.endswith("ready\n"):
                said += bridge.stdout.readline()
            with Client(port=int(re.findall(r"UDP (\d+)", said)[0])) as client:
                time.sleep(15.0)  # the streamer is warm from here on
                began = time.monotonic()
                client.set("/subscribe", "/transport/", 600)
                client.set("/song/load", str(song))
                client.set("/transport/play")
                _until(client, "/transport/position")
                figures["from /song/load to sound, s"] = round(time.monotonic() - began, 2)
                client.set("/transport/loop", 0.5, len(audio[0]) / RATE - 0.5)
                figures.update(_dropouts(sound, client, bridge.pid, audio, minutes))
                figures.update(_latency(client, folder))
        finally:
            bridge.terminate()
            bridge.wait(30)
            for one in burner:
                one.kill()
    return figures


def _dropouts(sound: Pulse, client: Client, pid: int, audio: Floats, minutes: float) -> dict[str, object]:
    """Play for minutes; look in what was heard for every tenth of a second."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    players = [one for one in psutil.process_iter() if "player.process" in " ".join(one.cmdline())]
    streamers = [one for one in psutil.process_iter() if "player.streamer" in " ".join(one.cmdline())]
    watched = {"player": players[:1], "streamer": streamers[:1], "bridge": processes[:1]}
    before = {name: (one.memory_info().rss, sum(one.cpu_times()[:2])) for name, (one,) in watched.items()}
    began = time.monotonic()
    with sound.recording() as heard:
        while time.monotonic() < began + minutes * 60:
            client.send("/ping")
            time.sleep(1.0)
            while client.receive() is not None:
                pass
    seconds = time.monotonic() - began
    found = {
        name: (
            round((one.memory_info().rss - before[name][0]) / 1e6, 1),
            round(100 * (sum(one.cpu_times()[:2]) - before[name][1]) / seconds, 1),
        )
        for name, (one,) in watched.items()
    }
    bad, total = _compared(heard.audio, audio)
    state = next(m for m in client.set("/player/state") if m.address == "/player/state").arguments
    figures: dict[str, object] = {
        "minutes played": round(seconds / 60, 1),
        "tenths of a second heard": total,
        "of them not the song's own samples": bad,
        "gaps by our own counters": state[5],
    }
    for name, (growth, cpu) in found.items():
        figures[f"{name}: CPU, % of a core; growth, MB"] = f"{cpu}; {growth:+}"
    return figures


def _compared(heard: Floats, audio: Floats) -> tuple[int, int]:
    """How many tenths of a second are not where the tenth before says they are, and how many there were."""
    size = RATE // 10
    length = audio.shape[1]
    place, bad, total = -1, 0, 0
    sounding = np.flatnonzero(np.abs(heard[0]) > 1e-5)
    start, stop = int(sounding[0]) + RATE, int(sounding[-1]) - RATE
    for at in range(start, stop - size, size):
        piece = heard[0, at : at + size]
        total += 1
        if place >= 0:
            expected = audio[0, place : place + size]
            if len(expected) == size and np.max(np.abs(piece - expected)) < 2e-4:
                place += size
                continue
        # Anew: after a splice of the loop or a gap.
        match = fftconvolve(audio[0].astype(np.float64), piece[::-1].astype(np.float64), mode="valid")
        energy = np.maximum(np.convolve(audio[0].astype(np.float64) ** 2, np.ones(size), mode="valid"), 1e-9)
        best = int(np.argmax(match / np.sqrt(energy)))
        near_the_splice = best + 2 * size > length - RATE // 2 or best < RATE
        exact = np.max(np.abs(piece - audio[0, best : best + size])) < 2e-4
        if not exact and not near_the_splice:
            bad += 1
        elif exact and place >= 0 and not near_the_splice:
            bad += 1  # the song's samples, but not those that were due
        place = best + size if exact else -1
    return bad, total


def _latency(client: Client, folder: Path) -> dict[str, object]:
    """From the datagram to the first frame that the device is handed with the new gain."""
    random = np.random.default_rng(1)
    client.set("/mix/reset")
    client.set("/transport/loop")
    client.set("/transport/locate", 2.0)
    sent: list[float] = []
    heard: list[tuple[float, float]] = []
    state = next(m for m in client.set("/player/state") if m.address == "/player/state").arguments
    device_s = float(str(state[4]))
    for step in range(200):
        client.send("/stem/vocals/gain", -1.0 - step / 100)
        sent.append(time.monotonic())
        until = time.monotonic() + 0.15 + float(random.uniform(0, 0.05))
        while time.monotonic() < until:
            message = client.receive(0.01)
            if message is not None and message.address == "/transport/position":
                heard.append((float(str(message.arguments[0])), time.monotonic()))
    client.send("/automation/save", "moves")
    _until(client, "/automation/saved")
    rows = (folder / "out" / "automation" / "moves.csv").read_text().splitlines()[1:]
    moves = [row.split(",") for row in rows if row.split(",")[1] == "vocals.gain_db"]
    frames = {round(float(move[2]), 4): int(move[0].rstrip("s")) for move in moves}
    positions, times = np.array([p for p, _ in heard]), np.array([t for _, t in heard])
    # A position is the first frame of the next block, told after the block before was handed over: the
    # soonest telling gives that moment, and a move's own block is handed over one block later.
    offset = float(np.min(times - positions)) + 512 / RATE
    delays = [
        (frames[round(-1.0 - step / 100, 4)] / RATE + offset - when) * 1e3
        for step, when in enumerate(sent)
        if round(-1.0 - step / 100, 4) in frames
    ]
    delays.sort()
    return {
        "datagram to first changed frame handed over, ms, p50": round(statistics.median(delays), 1),
        "the same, p99": round(delays[int(len(delays) * 0.99) - 1], 1),
        "moves found": f"{len(delays)} of 200",
        "ramp, ms": 20,
        "device latency as told, ms": round(device_s * 1e3, 1),
    }


def _until(client: Client, address: str) -> None:
    for message in client.messages(60.0):
        if message.address == address:
            return
    raise SystemExit(f"nothing came at {address}")


if __name__ == "__main__":
    main()
