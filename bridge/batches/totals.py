"""How far a whole batch is, in seconds of audio, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


class Totals:
    """Counts seconds of audio, not songs; songs not looked at yet count as the mean of those that were."""

    def __init__(self, songs: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        """`songs`: how many there will be, or None where nobody knows (a watched folder).

        >>> seconds = iter([0.0, 10.0])
        >>> totals = Totals(4, lambda: next(seconds))
        >>> totals.planned(60.0); totals.planned(180.0)
        >>> totals.begun()
        >>> totals.ended(0, 60.0, worked=True); totals.step(1, 180.0, 1 / 3)
        >>> round(totals.fraction, 3), totals.left_s()
        (0.25, 30.0)
        """
        self._songs, self._clock = songs, clock
        self._planned = _Sum()
        self._ended = _Sum()
        self._worked = _Sum()
        self._running: dict[int, tuple[float, float]] = {}
        self._began: float | None = None

    def planned(self, audio_s: float) -> None:
        """One more song is known, and its length (0: that is not)."""
        self._planned.add(audio_s)

    def begun(self) -> None:
        """Work begins."""
        if self._began is None:
            self._began = self._clock()

    def step(self, number: int, audio_s: float, fraction: float) -> None:
        """A song is so far."""
        self._running[number] = audio_s, fraction

    def ended(self, number: int, audio_s: float, *, worked: bool) -> None:
        """A song is done, or failed, or needed nothing done (`worked` is False then)."""
        self._running.pop(number, None)
        self._ended.add(audio_s)
        if worked:
            self._worked.add(audio_s)

    @property
    def fraction(self) -> float:
        """0 to 1 over the whole batch."""
        total = self._total_s()
        return min(1.0, (self._ended.seconds(self._mean_s) + self._running_s()) / total) if total else 0.0

    def left_s(self) -> float | None:
        """Seconds until the end, by the speed of the work so far; None while that is not known."""
        worked = self._worked.seconds(self._mean_s) + self._running_s()
        if self._began is None or not worked:
            return None
        left = self._total_s() - self._ended.seconds(self._mean_s) - self._running_s()
        return max(0.0, left) * (self._clock() - self._began) / worked

    @property
    def _mean_s(self) -> float:
        """What a song counts whose length is not known."""
        return self._planned.known_s / self._planned.known if self._planned.known else 1.0

    def _running_s(self) -> float:
        return sum((audio_s or self._mean_s) * fraction for audio_s, fraction in self._running.values())

    def _total_s(self) -> float:
        to_come = max(0, (self._songs or 0) - self._planned.known - self._planned.unknown)
        return self._planned.seconds(self._mean_s) + to_come * self._mean_s


@dataclass
class _Sum:
    """Lengths of songs, some not known."""

    known_s: float = 0.0
    known: int = 0
    unknown: int = 0

    def add(self, audio_s: float) -> None:
        if audio_s:
            self.known += 1
            self.known_s += audio_s
        else:
            self.unknown += 1

    def seconds(self, mean_s: float) -> float:
        """The sum, with a length for those that are not known."""
        return self.known_s + self.unknown * mean_s
