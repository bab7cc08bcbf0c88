"""Timing whole commands: each run a process of its own, measured by the operating system."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One finished process."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def measure(command: Sequence[str], env: dict[str, str] | None = None) -> Run:
    """Run a command to its end; raise if it fails."""
    began = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **(env or {})}
    )
    peak = _Peak(process.pid)
    peak.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    peak.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} exited with {process.returncode}")
    return Run(wall_s, usage.ru_utime + usage.ru_stime, peak.megabytes or usage.ru_maxrss / 1024)


class _Peak(threading.Thread):
    """Watches the most memory a process holds; what wait4 reports includes its parent's at the fork."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._status = Path(f"/proc/{pid}/status")
        self.megabytes = 0.0

    def run(self) -> None:
        while True:
            try:
                lines = self._status.read_text().splitlines()
                kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
            except (OSError, StopIteration):  # it has ended, or this is no Linux
                return
            self.megabytes = max(self.megabytes, kilobytes / 1024)
            time.sleep(0.01)


def alternate(commands: Mapping[str, Sequence[str]], runs: int) -> dict[str, list[Run]]:
    """Run several commands in turn, A B A B, so that a machine whose speed drifts treats all alike."""
    results: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            results[name].append(measure(command))
    return results


def median(runs: Sequence[Run], field: str) -> float:
    """The median of one figure."""
    return float(statistics.median(getattr(run, field) for run in runs))


def machine() -> str:
    """What it ran on, in a line."""
    cpu = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            cpu = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{cpu}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
