"""OSC figures of a running bridge: how soon a gain is at the mixer, what a flood costs, what idling costs.

    python benchmarks/osc.py [--seconds 60] [--rate 2000] [--json]

Starts `stembridge serve` in a process of its own and talks to it over UDP; every figure is from that process.
The mixer here is the session's target: from the datagram's send to the moment the state has changed and been
told, measured at a subscriber (so one trip back is included) on the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import psutil
from stembridge.bridge.client import Client


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=2000, help="messages a second of the flood")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "stembridge.bridge", "serve", "--port", "0", "--state", f"{folder}/state",
             "--root", folder, "--out", f"{folder}/out"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            figures = _measured(process, began, arguments.seconds, arguments.rate)
        finally:
            process.terminate()
            process.wait(30)
    if arguments.json:
        print(json.dumps(figures, indent=1))
        return
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}\n")
    print("| figure | value |\n|---|---:|")
    for name, value in figures.items():
        print(f"| {name} | {value} |")


def _measured(process: subprocess.Popen[str], began: float, seconds: float, rate: int) -> dict[str, object]:
    assert process.stdout is not None
    port = 0
    for line in process.stdout:
        if found := re.search(r"UDP (\d+)", line):
            port = int(found[1])
        if line.strip() == "ready":
            break
    figures: dict[str, object] = {"start to ready, s": round(time.perf_counter() - began, 2)}
    control = psutil.Process(process.pid)
    time.sleep(10.0)  # the worker warms up beside it
    cpu = sum(control.cpu_times()[:2])
    time.sleep(10.0)
    figures["memory of control, idle, MB"] = round(control.memory_info().rss / 1e6)
    figures["CPU of control, idle, %"] = round((sum(control.cpu_times()[:2]) - cpu) * 10, 2)
    children = control.children(recursive=True)
    figures["memory of the warm worker, MB"] = round(sum(child.memory_info().rss for child in children) / 1e6)
    with Client("127.0.0.1", port) as watcher, Client("127.0.0.1", port) as mover:
        watcher.set("/subscribe", "/stem/bass/gain", 600)
        delays = []
        for step in range(1, 301):
            gain_db = -step / 100
            sent = time.perf_counter()
            mover.send("/stem/bass/gain", gain_db)
            while (message := watcher.receive(5.0)) is not None:
                if (
                    message.address == "/stem/bass/gain"
                    and abs(float(str(message.arguments[0])) - gain_db) < 1e-4
                ):
                    delays.append((time.perf_counter() - sent) * 1e3)
                    break
            time.sleep(0.05)  # slower than what a subscriber is told at most, so that nothing waits its turn
            mover.receive()
        delays.sort()
        figures["gain to subscriber, ms, p50"] = round(statistics.median(delays), 2)
        figures["gain to subscriber, ms, p99"] = round(delays[int(len(delays) * 0.99) - 1], 2)
        figures.update(_flooded(control, mover, seconds, rate))
    return figures


def _flooded(control: psutil.Process, mover: Client, seconds: float, rate: int) -> dict[str, object]:
    stems = ("drums", "bass", "other", "vocals")
    cpu, sent, began = sum(control.cpu_times()[:2]), 0, time.perf_counter()
    last: dict[str, float] = {}
    worst_s = 0.0
    while (now := time.perf_counter() - began) < seconds:
        while sent < now * rate:
            stem = stems[sent % 4]
            last[stem] = -(sent % 6000) / 100
            mover.send(f"/stem/{stem}/gain", last[stem])
            sent += 1
        if sent % rate < rate // 50:
            asked = time.perf_counter()
            mover.set("/ping")
            worst_s = max(worst_s, time.perf_counter() - asked)
        time.sleep(0.001)
    spent = sum(control.cpu_times()[:2]) - cpu
    exact = all(
        abs(float(str(mover.ask(f"/stem/{stem}/gain"))) - value) < 1e-4 for stem, value in last.items()
    )
    return {
        f"flood, messages in {seconds:g} s": sent,
        "flood, CPU of control, %": round(100 * spent / seconds, 1),
        "flood, slowest answer to a ping, ms": round(worst_s * 1e3, 1),
        "flood, final values exact": exact,
    }


if __name__ == "__main__":
    main()
