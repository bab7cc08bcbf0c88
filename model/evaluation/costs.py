"""What separating costs: time, processor time, memory."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType


@dataclass(frozen=True)
class Costs:
    """Of separating one song, loading and reading left out."""

    audio_s: float
    """Length of what was separated, with the context a region needs."""
    wall_s: float
    cpu_s: float
    """Of all threads."""
    peak_mb: float | None
    """The most memory the process has held until then; None where the system does not say."""

    @property
    def speed(self) -> float:
        """Seconds of audio per second."""
        return self.audio_s / self.wall_s if self.wall_s > 0 else float("inf")


class Stopwatch:
    """Adds up the time spent inside its `with` blocks.

    A separator's own threads may work on between two blocks: their processor time is counted from the first
    block on, that of the calling thread inside blocks only.
    """

    def __init__(self) -> None:
        self._wall_s = self._outside_s = 0.0
        self._first = self._left = time.process_time(), time.thread_time()

    def __enter__(self) -> None:
        self._outside_s += time.thread_time() - self._left[1]
        self._began = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wall_s += time.perf_counter() - self._began
        self._left = time.process_time(), time.thread_time()

    def costs(self, audio_s: float) -> Costs:
        """What it has come to."""
        cpu_s = self._left[0] - self._first[0] - self._outside_s
        return Costs(audio_s, self._wall_s, cpu_s, _peak_mb())


def _peak_mb() -> float | None:
    """The most memory this process has held, where Linux tells: what `wait4` tells includes the parent's."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    found = (int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
    return next(found, None)
