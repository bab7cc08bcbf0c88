"""Batches: two processes against one, threads against processes, two Dask workers against one, one killed.

    python benchmarks/batch.py [--songs 12] [--seconds 30] [--model classic] [--runs 3] [-o TABLE.md]

Every run is a whole `stembridge render` of all songs into an empty folder, without the cache; the ways are
run in turn, so that a machine whose speed drifts treats all alike. Dask's workers have one thread each, run
on this machine, and are there before the clock starts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from processes import machine, measure

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))
from demo_song import make_song, mixed

THREADS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from stembridge.bridge.batches.task import Task, carry_out
from stembridge.model.platform import keep_freed_memory
from stembridge.model.rendering import RenderSpec
keep_freed_memory()
songs = sorted(Path(sys.argv[1]).iterdir())
tasks = [Task("render", RenderSpec(song, Path(sys.argv[2]), model=sys.argv[3]), str(song)) for song in songs]
with ThreadPoolExecutor(2) as pool:
    list(pool.map(lambda task: list(carry_out(task, None)), tasks))
"""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--model", default="classic")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        songs = write_songs(folder / "songs", arguments.songs, arguments.seconds)
        out = folder / "out"
        render = [sys.executable, "-m", "stembridge.bridge", "render", str(songs), "-o", str(out),
                  "-n", arguments.model, "--no-cache"]  # fmt: skip
        threads = [sys.executable, "-c", THREADS, str(songs), str(out), arguments.model]
        one, two = (stack.enter_context(cluster(folder / f"dask{count}", count)) for count in (1, 2))
        ways: dict[str, Callable[[], float]] = {
            "`-j 1`": lambda: measure([*render, "-j", "1"]).wall_s,
            "`-j 2`": lambda: measure([*render, "-j", "2"]).wall_s,
            "two threads of one process": lambda: measure(threads).wall_s,
            "one Dask worker": lambda: measure([*render, "--cluster", one]).wall_s,
            "two Dask workers": lambda: measure([*render, "--cluster", two]).wall_s,
            "two Dask workers, one killed half-way": lambda: killed(
                [*render, "--cluster", two], two, out, arguments.songs
            ),
        }
        walls: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(arguments.runs):
            for way, run in ways.items():
                shutil.rmtree(out, ignore_errors=True)
                walls[way].append(run())
    audio_s = arguments.songs * arguments.seconds
    base = {way: "one Dask worker" if "Dask" in way else "`-j 1`" for way in walls}
    lines = [
        f"{arguments.songs} songs of {arguments.seconds:g} s by {arguments.model}, four 32-bit stems each, "
        f"{machine()}, load {os.getloadavg()[0]:.1f}; {arguments.runs} runs in turn, median (lowest to "
        "highest).",
        "",
        "| way | seconds | x real time | against one |",
        "|---|---:|---:|---:|",
    ]
    for way, times in walls.items():
        wall_s = statistics.median(times)
        against = statistics.median(a / b for a, b in zip(walls[base[way]], times, strict=True))
        span = f"{wall_s:.1f} ({min(times):.1f} to {max(times):.1f})"
        lines.append(f"| {way} | {span} | {audio_s / wall_s:.0f} | {against:.2f} |")
    table = "\n".join(lines) + "\n"
    print(table)
    if arguments.out is not None:
        arguments.out.write_text(table, encoding="utf-8")


def write_songs(folder: Path, count: int, seconds: float) -> Path:
    """The same song at levels of its own, so that no two files are alike."""
    folder.mkdir()
    song = mixed(make_song(seconds)).astype(np.float32)
    for number in range(count):
        soundfile.write(
            folder / f"{number:03d}.wav", (song * (0.5 + 0.01 * number)).T, 44100, subtype="PCM_16"
        )
    return folder


@contextlib.contextmanager
def cluster(folder: Path, workers: int) -> Iterator[str]:
    """A scheduler and its workers; yields its address."""
    folder.mkdir()
    file = folder / "scheduler.json"
    with (folder / "log").open("wb") as log, contextlib.ExitStack() as stack:

        def start(*arguments: str) -> None:
            command = [sys.executable, "-m", f"distributed.cli.dask_{arguments[0]}", *arguments[1:]]
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
            stack.callback(process.wait)
            stack.callback(process.terminate)

        start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
              "--scheduler-file", str(file))  # fmt: skip
        while not file.exists() or not file.read_text().strip():
            time.sleep(0.1)
        address = str(json.loads(file.read_text())["address"])
        for _ in range(workers):
            start("worker", address, "--nthreads", "1", "--no-dashboard", "--local-directory", str(folder))
        pids(address, workers)
        yield address


def pids(address: str, workers: int) -> list[int]:
    """The process ids of all workers, as soon as that many are there."""
    from distributed import Client

    connect: Any = Client
    with connect(address, set_as_default=False) as client:
        client.wait_for_workers(workers)
        return list(client.run(os.getpid).values())


def killed(command: list[str], address: str, out: Path, songs: int) -> float:
    """Seconds that a batch takes when one worker is killed once half of the songs are there."""
    victim = pids(address, 2)[0]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list(out.rglob("*.stems.json"))) < songs // 2:
        time.sleep(0.05)
    os.kill(victim, signal.SIGKILL)
    if process.wait():
        raise RuntimeError(f"{' '.join(command)} exited with {process.returncode}")
    return time.monotonic() - began


if __name__ == "__main__":
    main()
