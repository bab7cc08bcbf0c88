"""Playing in time with somebody else: begin at a moment, stay there, and say when that cannot be.

The other side says which second of the song it is at and when that was. The first frame is put at its moment
to the sample, drift is made up for by varispeed of a fraction of a percent, and what is further off than
that can mend asks for another seek.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from stembridge.model.audio import Audio

from .deck import Deck
from .varispeed import Varispeed

LEAD_S = 0.4
"""A seek is aimed so far ahead of where the other side is: what it takes until blocks have come."""
FAR_S = 0.080
"""Further off than this is mended by a seek."""
FASTEST = 0.003
_STEADY_BLOCKS = 12
_STEADY_S = 0.003
_MEND_S = 2.0
"""An error is made up for within about this."""
_SMOOTH_S = 0.25
"""What the other side says jitters by milliseconds: this much of it is averaged."""


@dataclass(frozen=True)
class Clock:
    """Where the other side is."""

    position_s: float
    at: float
    """When it was there, as of `time.monotonic`."""

    def position(self, when: float) -> float:
        """The second of the song that is due at a moment."""
        return self.position_s + (when - self.at)


class Following:
    """One deck kept in time with a clock. `take` runs in the device's callback."""

    def __init__(self, deck: Deck, *, wait_for_steady: bool = True) -> None:
        """`wait_for_steady`: begin only once the device's own times can be relied on."""
        self._wait_for_steady = wait_for_steady
        self.deck = deck
        self._rate = deck.song.sample_rate
        rows = deck.song.channels * (1 + len(deck.song.stems))
        self._speed = Varispeed(rows)
        self._error_s: float | None = None
        self._started = False
        self.clock: Clock | None = None
        """Assigned by others, read once a block."""
        self.lost = False
        """Whether only another seek can help."""
        self.late = False
        """Whether it is lost because its first frame came too late: the next seek aims further ahead."""
        self._origins: deque[float] = deque(maxlen=_STEADY_BLOCKS)
        self._frames = 0

    @property
    def error_ms(self) -> float:
        """How far behind the clock what is heard is; smoothed."""
        return (self._error_s or 0.0) * 1e3

    def take(self, frames: int, when: float) -> tuple[Audio, Sequence[Audio]]:
        """The next frames, the first of which is heard at `when`."""
        clock, deck = self.clock, self.deck
        if clock is None:
            return deck.take(frames)
        if not self._started:
            return self._begin(frames, when, clock)
        place_s = (deck.frame - self._speed.behind) / self._rate
        error_s = clock.position(when) - place_s
        before_s = error_s if self._error_s is None else self._error_s
        self._error_s = before_s + min(frames / self._rate / _SMOOTH_S, 1.0) * (error_s - before_s)
        if abs(self._error_s) > FAR_S and not deck.ended:
            self.lost = True
        ratio = 1.0 + min(max(self._error_s / _MEND_S, -FASTEST), FASTEST)
        return self._split(self._speed.take(frames, ratio, self._pull))

    def _begin(self, frames: int, when: float, clock: Clock) -> tuple[Audio, Sequence[Audio]]:
        """Silence up to the moment at which the frame that is ready is due, then sound."""
        deck = self.deck
        self._origins.append(when - self._frames / self._rate)
        self._frames += frames
        due_s = deck.frame / self._rate - clock.position(when)
        wait = round(due_s * self._rate)
        if deck.seek is not None or wait >= frames:
            return deck.take(frames)  # it does not play yet: silence, and the seek goes its way
        if wait < -round(0.005 * self._rate):
            self.lost = self.late = True
            return deck.take(frames)
        if self._wait_for_steady and not self._steady:
            return deck.take(frames)
        wait = max(wait, 0)
        deck.playing = True
        self._started = True
        # The interpolation holds two frames back: the nothing before the first frame is not waited for.
        sound = self._speed.take(frames - wait + 2, 1.0, self._pull)[:, 2:]
        silence = np.zeros((sound.shape[0], wait), np.float32)
        return self._split(np.concatenate([silence, sound], axis=1))

    @property
    def _steady(self) -> bool:
        """Whether the device says evenly when blocks are heard; while it fills up it does not."""
        known = len(self._origins) == _STEADY_BLOCKS
        return known and max(self._origins) - min(self._origins) < _STEADY_S

    def _pull(self, frames: int) -> Audio:
        mix, stems = self.deck.take(frames)
        return np.concatenate([mix, *stems])

    def _split(self, rows: Audio) -> tuple[Audio, Sequence[Audio]]:
        channels = self.deck.song.channels
        parts = rows.reshape(-1, channels, rows.shape[1])
        return parts[0], list(parts[1:])
