"""Where a host's transport is, from what hosts send: MIDI clock with song position, MIDI Machine Control.

A `Timecode` is one statement: the second of the song at a moment. Tempo changes are beyond MIDI clock: a song
position counts sixteenth notes, and is turned into seconds by the tempo that the clock has now.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

CLOCKS_PER_BEAT = 24
_DEFAULT_BPM = 120.0
_WINDOW = 32 * CLOCKS_PER_BEAT
_ROUNDS_TO_BPM = 0.01
"""Hosts' tempos are whole hundredths: one measured this near is taken for it, and then does not drift."""


@dataclass(frozen=True)
class Timecode:
    """What a host says of its transport."""

    playing: bool
    position_s: float
    at: float
    """When that was, as of `time.monotonic`."""


class MidiClock:
    """The follower of one MIDI input: feed it bytes with the times they came at."""

    def __init__(self, mmc_device: int | None = None) -> None:
        """`mmc_device`: the id that Machine Control must name; None takes any."""
        self._mmc_device = mmc_device
        self._clocks: deque[float] = deque(maxlen=_WINDOW)
        self._beats = 0.0
        self._since = 0
        """Clocks since the start or continue."""
        self._playing = False
        self._began = 0.0
        self._armed = False
        """Started, and waiting for the clock that begins the first beat."""

    @property
    def bpm(self) -> float:
        """The tempo, from the last 32 beats of clocks at most; 120 while it is not known."""
        count = len(self._clocks)
        if count < CLOCKS_PER_BEAT // 2:
            return _DEFAULT_BPM
        # The slope of a straight line through all of them: single clocks may be milliseconds off.
        first, middle = self._clocks[0], (count - 1) / 2.0
        moment = sum((index - middle) * (one - first) for index, one in enumerate(self._clocks))
        seconds = moment / (count * (count * count - 1) / 12.0)
        bpm = 60.0 / (CLOCKS_PER_BEAT * seconds)
        return round(bpm / _ROUNDS_TO_BPM) * _ROUNDS_TO_BPM if count > _WINDOW // 2 else bpm

    def feed(self, message: Sequence[int], at: float) -> Timecode | None:
        """Take one message; say where the host is now, where the message tells anything of it."""
        status = message[0] if message else 0
        match status:
            case 0xF8:
                return self._clock(at)
            case 0xF2 if len(message) == 3:
                self._beats = (message[1] | message[2] << 7) / 4.0
                return None if self._playing else Timecode(False, self._seconds(self._beats), at)
            case 0xFA | 0xFB:
                if status == 0xFA:
                    self._beats = 0.0
                self._playing, self._armed, self._since = True, True, 0
                return None  # the next clock is the beat
            case 0xFC:
                position_s = self._seconds(self._beats + self._since / CLOCKS_PER_BEAT)
                self._beats += self._since / CLOCKS_PER_BEAT
                self._playing, self._armed, self._since = False, False, 0
                return Timecode(False, position_s, at)
            case 0xF0:
                return self._machine_control(message, at)
        return None

    def _clock(self, at: float) -> Timecode | None:
        # A break in the clock begins another tempo.
        if self._clocks and not 0.0 < at - self._clocks[-1] < 0.5:
            self._clocks.clear()
        self._clocks.append(at)
        if not self._playing:
            return None
        if self._armed:
            self._armed = False
        else:
            self._since += 1
        beats = self._beats + self._since / CLOCKS_PER_BEAT
        return Timecode(True, self._seconds(beats), self._smoothed(at))

    def _smoothed(self, at: float) -> float:
        """When this clock was meant to come: the others of the window know better than its own jitter."""
        if len(self._clocks) < CLOCKS_PER_BEAT // 2 or self._since < CLOCKS_PER_BEAT // 2:
            return at
        count = min(len(self._clocks), self._since + 1, 2 * CLOCKS_PER_BEAT)
        recent = list(self._clocks)[-count:]
        step = 60.0 / (CLOCKS_PER_BEAT * self.bpm)
        return statistics.median(one + (count - 1 - index) * step for index, one in enumerate(recent))

    def _seconds(self, beats: float) -> float:
        return beats * 60.0 / self.bpm

    def _machine_control(self, message: Sequence[int], at: float) -> Timecode | None:
        """F0 7F device 06 command ... F7 (MMC 1.0): play, deferred play, stop, pause, locate."""
        if len(message) < 6 or message[1] != 0x7F or message[3] != 0x06:
            return None
        if self._mmc_device is not None and message[2] not in (0x7F, self._mmc_device):
            return None
        here_s = self._seconds(self._beats)
        match message[4]:
            case 0x01 | 0x09:
                return Timecode(False, here_s, at)
            case 0x02 | 0x03:
                return Timecode(True, here_s, at)
            case 0x44 if len(message) >= 13 and message[5] == 0x06 and message[6] == 0x01:
                rates = {0: 24.0, 1: 25.0, 2: 30000 / 1001, 3: 30.0}
                hours, rate = message[7] & 0x1F, rates[message[7] >> 5 & 0x03]
                frames = message[10] & 0x1F
                parts = message[11] & 0x7F
                position_s = (
                    hours * 3600
                    + (message[8] & 0x3F) * 60
                    + (message[9] & 0x3F)
                    + (frames + parts / 100) / rate
                )
                self._beats = position_s * self.bpm / 60.0
                return Timecode(False, position_s, at)
        return None
