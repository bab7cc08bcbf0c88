"""What one peer is told of values, and which of its own words come back as an echo.

A peer is anything that shows values and moves them: an OSC client, a MIDI controller, a DAW's mixer. The
rules, measured against hosts that repeat every message they get:

1. a peer is not told of its own move, unless the value became another one on the way (clamped, snapped);
2. what a peer repeats of what it was just told is no move of its own, also when it comes late; any other is;
3. while a hand is on a control nothing is sent to it;
4. a control is told at most so often, the latest value wins, and the last one always arrives;
5. when a move has ended, everybody is told its end once, the mover too.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

ECHO_S = 0.5
SETTLE_S = 0.25


@dataclass
class _Control:
    """One value at one peer."""

    told_at: float = -1e9
    """When the peer was last told anything."""
    tellings: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=64))
    """What it was told lately, and when: a busy peer repeats a value after it was told the next ones."""
    heard: float | None = None
    """What the peer last said itself, since it was told anything."""
    waiting: float | None = None
    touched: bool = False
    timer: asyncio.TimerHandle | None = None
    settling: asyncio.TimerHandle | None = None

    def told_lately(self, value: float, resolution: float, now: float) -> bool:
        return any(abs(value - told) <= resolution and now - at < ECHO_S for told, at in self.tellings)


class Feedback:
    """One peer's view of all values. Used from the event loop only."""

    def __init__(
        self,
        send: Callable[[str, float], None],
        *,
        resolution: Callable[[str], float] = lambda _control: 1e-6,
        interval_s: float = 1 / 30,
        echoes: bool = True,
    ) -> None:
        """Send through `send(control, value)`.

        `resolution` says how far two values of a control may lie apart and still be the same to this peer;
        `echoes` whether the peer repeats what it is told (a DAW does, a script does not).
        """
        self._send = send
        self._resolution = resolution
        self._interval_s = interval_s
        self._echoes = echoes
        self._controls: dict[str, _Control] = {}

    def heard(self, control: str, value: float) -> bool:
        """Note what the peer says; False where that is only an echo of what it was told."""
        known = self._controls.setdefault(control, _Control())
        now = asyncio.get_running_loop().time()
        if self._echoes and known.heard is None and known.told_lately(value, self._resolution(control), now):
            return False
        known.heard = value
        known.waiting = None
        return True

    def offer(self, control: str, value: float, *, own: bool = False) -> None:
        """Tell the peer a value, as soon as it may be told; `own`: the peer moved it there itself."""
        known = self._controls.setdefault(control, _Control())
        if own:
            same = known.heard is not None and abs(value - known.heard) <= self._resolution(control)
            self._settle_later(control, known, value)
            if same:
                return
        elif known.settling is not None:  # the move has been overtaken; its end would be an old value
            known.settling.cancel()
            known.settling = None
        known.waiting = value
        self._flush(control, known)

    def touch(self, control: str, touched: bool) -> None:
        """Note that a hand is on the control, or has left it."""
        known = self._controls.setdefault(control, _Control())
        known.touched = touched
        if not touched:
            self._flush(control, known)

    def forget(self) -> None:
        """Start anew, as for a peer that has been restarted."""
        for known in self._controls.values():
            for timer in (known.timer, known.settling):
                if timer is not None:
                    timer.cancel()
        self._controls.clear()

    close = forget

    def _flush(self, control: str, known: _Control) -> None:
        if known.waiting is None or known.touched or known.timer is not None:
            return
        loop = asyncio.get_running_loop()
        wait = known.told_at + self._interval_s - loop.time()
        if wait > 0:
            known.timer = loop.call_later(wait, self._due, control, known)
            return
        value, known.waiting = known.waiting, None
        known.told_at, known.heard = loop.time(), None
        known.tellings.append((value, known.told_at))
        self._send(control, value)

    def _due(self, control: str, known: _Control) -> None:
        known.timer = None
        self._flush(control, known)

    def _settle_later(self, control: str, known: _Control, value: float) -> None:
        if known.settling is not None:
            known.settling.cancel()
        known.settling = asyncio.get_running_loop().call_later(SETTLE_S, self._settled, control, known, value)

    def _settled(self, control: str, known: _Control, value: float) -> None:
        known.settling = None
        if known.waiting is None:
            known.waiting = value
        self._flush(control, known)
