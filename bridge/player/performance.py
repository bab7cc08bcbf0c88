"""What the faders did while a song played, by its frames: as on tape, a later pass over an earlier."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from stembridge.model.automation import Automation, Move, moves_between
from stembridge.model.mixer import MixerState

Row = tuple[int, MixerState, float]
"""A frame of the song, where the controls stand from there on, the ramp in ms."""

MOST_ROWS = 1_000_000


class Performance:
    """One song's moves. `hear` is called for every stretch that is mixed, with the state it is mixed by."""

    def __init__(self) -> None:
        self.recording = True
        self._rows: list[Row] = []
        self._end = 0
        """Where what was performed so far ends."""
        self._pass: list[Row] = []
        self._to = -1

    def hear(self, frame: int, frames: int, state: MixerState, ramp_ms: float) -> None:
        """Note a stretch; one that does not begin where the last one ended begins another pass."""
        if not self.recording:
            self.cut()
            return
        if frame != self._to:
            self.cut()
            self._pass = [(frame, state, 0.0)]
        elif self._pass[-1][1] is not state and len(self._rows) + len(self._pass) < MOST_ROWS:
            self._pass.append((frame, state, ramp_ms))
        self._to = frame + frames

    def cut(self) -> None:
        """End the pass: it takes the place of what was there before, and what comes after it stays."""
        if self._pass:
            self._rows = self._joined(self._rows, list(self._pass), self._to)
            self._end = max(self._end, self._to)
            self._pass, self._to = [], -1

    def _joined(self, rows: list[Row], passed: list[Row], end: int) -> list[Row]:
        """What was there before with a pass in the place of what it went over; both are left as they are."""
        if not passed:
            return rows
        begin = passed[0][0]
        frames = [frame for frame, _, _ in rows]
        first, last = bisect_left(frames, begin), bisect_right(frames, end)
        before, after = rows[:first], rows[last:]
        back: list[Row] = []
        if self._end > end and last > 0:
            back = [(end, rows[last - 1][1], 20.0)]
        if before:
            # In the middle of a performance the pass begins with a ramp from where that stood.
            passed = [(begin, passed[0][1], 20.0), *passed[1:]]
        return [*before, *passed, *back, *after]

    def automation(self) -> Automation:
        """Everything that was performed, as moves from unity on. From any thread: the pass goes on."""
        return Automation(tuple(self._moves(self._joined(self._rows, list(self._pass), self._to))))

    def _moves(self, rows: list[Row]) -> Iterator[Move]:
        if not rows:
            return
        _, state, _ = rows[0]
        neutral = MixerState(gains_db=dict.fromkeys(state.gains_db, 0.0), pans=dict.fromkeys(state.pans, 0.0))
        # Where the first pass began somewhere in the song, the faders stood there before as well.
        yield from moves_between(neutral, state, 0, 0.0)
        for frame, after, ramp_ms in rows[1:]:
            yield from moves_between(state, after, frame, ramp_ms)
            state = after
