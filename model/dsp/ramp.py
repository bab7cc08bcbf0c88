"""Gains that move: linear ramps whose values depend on frames, never on blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Gain = float | NDArray[np.float64]
"""A gain that holds over a span, or one value per frame."""


@dataclass(frozen=True)
class Span:
    """Frames `start` to `stop` of a block, over which each gain either holds or moves all the way."""

    start: int
    stop: int
    gains: tuple[Gain, ...]


class RampBank:
    """Gains that head for targets, each on a line of `ramp_frames` frames from where it was.

    The k-th frame of a ramp from a to b over n frames is `a + (b - a) k / n`, computed from k and not
    accumulated: the first frame is one step from a, the n-th is b exactly, and cutting the stream
    elsewhere gives the same bits. A ramp redirected on its way starts where it is.

    >>> bank = RampBank(1, ramp_frames=4)
    >>> bank.aim(np.array([0.0]))
    >>> [span.gains[0].tolist() for span in bank.take(2)], bank.values.tolist()
    ([[0.75, 0.5]], [0.5])
    """

    def __init__(self, count: int, ramp_frames: int) -> None:
        self._ramp_frames = ramp_frames
        self._from = np.ones(count)
        self._to = np.ones(count)
        self._done = np.full(count, ramp_frames)
        self._length = np.full(count, ramp_frames)

    @property
    def values(self) -> NDArray[np.float64]:
        """The gains of the frame taken last."""
        return np.array([self._value(i) for i in range(len(self._to))])

    def aim(
        self, targets: NDArray[np.float64], *, jump: bool = False, ramp_frames: int | None = None
    ) -> None:
        """Head for `targets` from the next frame on; with `jump`, be there at once.

        `ramp_frames` takes the place of the bank's own for the gains whose target changes.
        """
        length = self._ramp_frames if ramp_frames is None else ramp_frames
        if jump or length == 0:
            self._to[:] = targets
            self._done[:] = self._length
            return
        for i in np.flatnonzero(targets != self._to):
            self._from[i] = self._value(int(i))
            self._to[i] = targets[i]
            self._done[i] = 0
            self._length[i] = length

    def take(self, frames: int) -> list[Span]:
        """The next `frames` frames as spans, cut where a ramp ends."""
        spans: list[Span] = []
        start = 0
        while start < frames:
            left = self._length - self._done
            moving = left > 0
            length = min(frames - start, int(left[moving].min())) if moving.any() else frames - start
            gains = tuple(
                self._line(i, length) if moving[i] else float(self._to[i]) for i in range(len(left))
            )
            spans.append(Span(start, start + length, gains))
            self._done[moving] += length
            start += length
        return spans

    def _value(self, i: int) -> float:
        if self._done[i] >= self._length[i]:
            return float(self._to[i])
        return float(self._from[i] + (self._to[i] - self._from[i]) * (self._done[i] / self._length[i]))

    def _line(self, i: int, length: int) -> NDArray[np.float64]:
        k = np.arange(self._done[i] + 1, self._done[i] + length + 1)
        line = self._from[i] + (self._to[i] - self._from[i]) * (k / self._length[i])
        if k[-1] == self._length[i]:
            line[-1] = self._to[i]
        return np.asarray(line, dtype=np.float64)
