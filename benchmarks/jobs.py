"""How soon a job starts, and whether a bridge that takes in a thousand of them still answers.

    python benchmarks/jobs.py [--runs 20] [--jobs 990] [-o benchmarks/results/jobs.md]

A real `stembridge serve`, asked over UDP. First the time from `/render` to `/job/accepted` (the queue is on
disk) and to the job's first progress, with the worker warm; then a thousand different jobs at once, while
another client sends a ping every few milliseconds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from faults import Bridge, write_songs
from processes import machine
from stembridge.bridge.client import Client

PATIENCE_S = 120.0
_AT_ONCE = 100
"""Requests sent before the answers are read: more would only test the buffers of the system."""


def starts(bridge: Bridge, song: Path, runs: int) -> tuple[list[float], list[float]]:
    """Seconds to acceptance and to the first progress, for jobs one after the other."""
    accepted: list[float] = []
    begun: list[float] = []
    bridge.client.set("/subscribe", "/job/", 600)
    for number in range(runs):
        began = time.perf_counter()
        bridge.client.send("/render", f"start {number}", str(song), "", "seed", number)
        first = False
        for message in bridge.client.messages(PATIENCE_S):
            now = time.perf_counter() - began
            if message.address == "/job/accepted" and len(accepted) == number:
                accepted.append(now)
            elif message.address == "/job/progress" and not first:
                begun.append(now)
                first = True
            elif message.address in ("/job/done", "/job/failed"):
                break
    bridge.client.set("/unsubscribe", "/job/")
    return accepted, begun


class Pings(threading.Thread):
    """Pings a bridge every few milliseconds, and notes how long each takes."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._client = Client(port=port)
        self._stop_ = threading.Event()
        self.seconds: list[float] = []

    def run(self) -> None:
        while not self._stop_.wait(0.002):
            began = time.perf_counter()
            self._client.send("/ping")
            if self._client.receive(PATIENCE_S) is not None:
                self.seconds.append(time.perf_counter() - began)

    def stop(self) -> list[float]:
        """End, and return what was noted."""
        self._stop_.set()
        self.join()
        self._client.close()
        return self.seconds


def flood(bridge: Bridge, port: int, song: Path, jobs: int) -> tuple[int, float, list[float], list[float]]:
    """Jobs accepted, seconds for all, and what pings took before and meanwhile."""
    before = Pings(port)
    before.start()
    time.sleep(2.0)
    quiet = before.stop()
    meanwhile = Pings(port)
    meanwhile.start()
    began, accepted = time.perf_counter(), 0
    for start in range(0, jobs, _AT_ONCE):
        count = min(_AT_ONCE, jobs - start)
        for number in range(start, start + count):
            bridge.client.send("/render", f"flood {number}", str(song), "", "seed", 1_000_000 + number)
        answered = 0
        for message in bridge.client.messages(PATIENCE_S):
            accepted += message.address == "/job/accepted"
            answered += message.address in ("/job/accepted", "/error")
            if answered == count:
                break
    return accepted, time.perf_counter() - began, quiet, meanwhile.stop()


def milliseconds(seconds: Sequence[float]) -> str:
    """Median, 99th percentile and worst, as they stand in a table."""
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return " | ".join(f"{1000 * value:.1f}" for value in (statistics.median(ordered), p99, ordered[-1]))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=990)
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        song = write_songs(folder / "music", seed=1)[0]
        bridge = Bridge(folder)
        port = bridge.port
        until = time.monotonic() + PATIENCE_S
        while b"is warm" not in (folder / "bridge.log").read_bytes() and time.monotonic() < until:
            time.sleep(0.1)
        accepted, begun = starts(bridge, song, arguments.runs)
        taken, seconds, quiet, busy = flood(bridge, port, song, arguments.jobs)
        bridge.stop()
    rows = [
        "| ms | median | 99 % | worst |",
        "|---|---|---|---|",
        f"| `/render` to `/job/accepted` | {milliseconds(accepted)} |",
        f"| `/render` to the first progress, warm worker | {milliseconds(begun)} |",
        f"| a ping, nothing else going on | {milliseconds(quiet)} |",
        f"| a ping, while {taken} jobs are accepted in {seconds:.1f} s | {milliseconds(busy)} |",
        "",
        f"{machine()}.",
    ]
    text = "\n".join(rows)
    print(text)
    if arguments.out is not None:
        head = f"`python benchmarks/jobs.py --runs {arguments.runs} --jobs {arguments.jobs}`"
        arguments.out.write_text(f"# Jobs: how soon they start\n\n{head}\n\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
