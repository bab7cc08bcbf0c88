"""Moves of a mixer's controls along a song, and the file that people read and edit them in.

The file is CSV, one move a line, in any order:

    time,control,value,ramp_ms
    0s,vocals.gain_db,-6,20
    1:02.5,vocals.mute,1,20
    1:04,master.gain_db,-inf,100

Times are seconds, minutes and seconds, or frames of the song (`48000s`). Controls are `STEM.gain_db`,
`STEM.mute`, `STEM.solo`, `STEM.pan`, `master.gain_db` and `master.mute`. A ramp (20 ms where the column is
empty) begins at the move's frame. Lines that start with `#` are left aside.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ArgumentValueError
from .units import Time, parse_time

if TYPE_CHECKING:
    from .mixer import Mixer, MixerState

HEADER = ("time", "control", "value", "ramp_ms")
MASTER = "master"
PARAMETERS = ("gain_db", "mute", "solo", "pan")
RAMP_MS = 20.0
MOST_MOVES = 1_000_000


@dataclass(frozen=True)
class Move:
    """One control that goes to a value."""

    time: Time
    stem: str
    """A stem, or `master`."""
    parameter: str
    value: float
    """dB (-inf is silence), 0 or 1, or -1 to 1."""
    ramp_ms: float = RAMP_MS


@dataclass(frozen=True)
class Automation:
    """All moves of a performance."""

    moves: tuple[Move, ...] = ()

    def states(self, base: MixerState, sample_rate: int) -> list[tuple[int, MixerState, float]]:
        """Frame, where the controls stand from there on, and the ramp in ms, in order of frames.

        `base` is where they stand before the first move.
        """
        states: list[tuple[int, MixerState, float]] = []
        state = base
        for frame, move in sorted(
            ((move.time.frames(sample_rate), move) for move in self.moves), key=lambda pair: pair[0]
        ):
            state = _moved(state, move)
            if states and states[-1][0] == frame:
                states[-1] = (frame, state, max(states[-1][2], move.ramp_ms))
            else:
                states.append((frame, state, move.ramp_ms))
        return states


def read_automation(path: Path) -> Automation:
    """Read an automation file. Raises ArgumentValueError naming the line that is wrong."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(_rows(path, file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ArgumentValueError(f"{path}: cannot be read as automation: {error}") from error
    return Automation(tuple(rows))


def automation_text(automation: Automation) -> str:
    """What `read_automation` reads."""
    lines = [",".join(HEADER)]
    for move in automation.moves:
        samples, seconds = move.time.samples, move.time.seconds
        time = f"{samples}s" if samples is not None else repr(float(seconds or 0))
        value = f"{move.value:g}" if move.parameter in ("mute", "solo") else repr(float(move.value))
        lines.append(f"{time},{move.stem}.{move.parameter},{value},{move.ramp_ms:.12g}")
    return "\n".join(lines) + "\n"


def moves_between(
    before: MixerState, after: MixerState, frame: int, ramp_ms: float = RAMP_MS
) -> Iterator[Move]:
    """What has to move for the controls to go from one state to another; both complete for every stem."""
    time = Time(samples=frame)
    for stem, gain_db in after.gains_db.items():
        if before.gains_db.get(stem) != gain_db:
            yield Move(time, stem, "gain_db", gain_db, ramp_ms)
        if before.pans.get(stem, 0.0) != after.pans.get(stem, 0.0):
            yield Move(time, stem, "pan", after.pans.get(stem, 0.0), ramp_ms)
    for parameter, old, new in (("mute", before.mutes, after.mutes), ("solo", before.solos, after.solos)):
        for stem in sorted(old ^ new):
            yield Move(time, stem, parameter, float(stem in new), ramp_ms)
    if before.master_gain_db != after.master_gain_db:
        yield Move(time, MASTER, "gain_db", after.master_gain_db, ramp_ms)
    if before.master_mute != after.master_mute:
        yield Move(time, MASTER, "mute", float(after.master_mute), ramp_ms)


class Ride:
    """Moves a mixer's controls as its song goes by: how the song is cut into blocks changes no bit."""

    def __init__(
        self, mixer: Mixer, states: Sequence[tuple[int, MixerState, float]], first_frame: int
    ) -> None:
        """Stand where the moves before `first_frame` have left the controls, ramps on their way included."""
        self._mixer = mixer
        self._states = list(states)
        self._next = 0
        # What moves at frame 0 stands there from the beginning; one silent frame before makes it so.
        self._at = -1
        while self._next < len(self._states) and self._states[self._next][0] <= 0:
            mixer.state = self._states[self._next][1]
            self._next += 1
        for frames in self.parts(first_frame + 1):
            # Only the ramps move: no sound goes by.
            mixer.faders(frames)
            mixer.skip_master(frames)

    def parts(self, frames: int) -> Iterator[int]:
        """The next frames in parts, each after the controls have been moved for it."""
        end = self._at + frames
        while self._at < end:
            while self._next < len(self._states) and self._states[self._next][0] <= self._at:
                _, state, ramp_ms = self._states[self._next]
                self._mixer.set_ramp_ms(ramp_ms)
                self._mixer.state = state
                self._next += 1
            stop = self._states[self._next][0] if self._next < len(self._states) else end
            count = min(stop, end) - self._at
            yield count
            self._at += count


def _rows(path: Path, file: Iterable[str]) -> Iterator[Move]:
    seen_header = False
    for number, row in enumerate(csv.reader(file), 1):
        if not row or row[0].lstrip().startswith("#") or not any(cell.strip() for cell in row):
            continue
        cells = [cell.strip() for cell in row]
        if not seen_header and cells[0].casefold() == HEADER[0]:
            seen_header = True
            continue
        if number > MOST_MOVES:
            raise ArgumentValueError(f"{path}: automation has at most {MOST_MOVES} moves")
        try:
            yield _move(cells)
        except ValueError as error:
            raise ArgumentValueError(f"{path}, line {number}: {error}") from error


def _move(cells: list[str]) -> Move:
    if not 3 <= len(cells) <= 4:
        raise ValueError(f"a line is {','.join(HEADER)}; got {','.join(cells)!r}")
    stem, dot, parameter = cells[1].rpartition(".")
    allowed = ("gain_db", "mute") if stem == MASTER else PARAMETERS
    if not dot or parameter not in allowed:
        known = ", ".join(f"STEM.{name}" for name in PARAMETERS)
        raise ValueError(f"a control is {known}, master.gain_db or master.mute; got {cells[1]!r}")
    value = float(cells[2])
    ramp_ms = float(cells[3]) if len(cells) == 4 and cells[3] else RAMP_MS
    if math.isnan(value) or value == math.inf or (value == -math.inf and parameter != "gain_db"):
        raise ValueError(f"{cells[1]} is a number; got {cells[2]!r}")
    if parameter in ("mute", "solo") and value not in (0.0, 1.0):
        raise ValueError(f"{cells[1]} is 0 or 1; got {cells[2]!r}")
    if not 0.0 <= ramp_ms <= 60_000.0:
        raise ValueError(f"a ramp is 0 to 60000 ms; got {cells[3]!r}")
    return Move(parse_time(cells[0]), stem, parameter, value, ramp_ms)


def _moved(state: MixerState, move: Move) -> MixerState:
    if move.stem == MASTER:
        if move.parameter == "mute":
            return replace(state, master_mute=bool(move.value))
        return replace(state, master_gain_db=move.value)
    match move.parameter:
        case "gain_db":
            return replace(state, gains_db={**state.gains_db, move.stem: move.value})
        case "pan":
            return replace(state, pans={**state.pans, move.stem: move.value})
        case "mute":
            return replace(state, mutes=_with(state.mutes, move.stem, bool(move.value)))
        case _:
            return replace(state, solos=_with(state.solos, move.stem, bool(move.value)))


def _with(names: frozenset[str], name: str, there: bool) -> frozenset[str]:
    return names | {name} if there else names - {name}
