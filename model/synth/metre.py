"""Bars, steps and sections: where in time everything of a song stands."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .harmony import ChordSpan, Key
from .score import Note


@dataclass(frozen=True)
class Metre:
    """Tempo and time signature; a step is a quarter of a beat."""

    tempo: float
    """Beats per minute."""
    beats: int = 4
    """In a bar."""
    swing: float = 0.0
    """How far every second step (every second half beat with `swing_eighths`) comes late: 0 straight,
    1 triplets."""
    swing_eighths: bool = False

    @property
    def beat_s(self) -> float:
        """Seconds of a beat."""
        return 60.0 / self.tempo

    @property
    def bar_s(self) -> float:
        """Seconds of a bar."""
        return self.beats * self.beat_s

    @property
    def step_s(self) -> float:
        """Seconds of a step where nothing swings."""
        return self.beat_s / 4

    @property
    def steps(self) -> int:
        """In a bar."""
        return 4 * self.beats

    def at(self, bar: int, step: float) -> float:
        """Seconds from the start of the song to a step of a bar; steps may lie outside the bar."""
        late = 0.0
        whole = int(step)
        if self.swing_eighths:
            # Triplet eighths: the half beat moves from 1/2 to 2/3 of the beat, what surrounds it follows.
            place = step % 4
            late = self.swing * (place / 2 if place <= 2 else (4 - place) / 2) * (2 / 3)
        elif whole % 2 == 1 and whole == step:
            late = self.swing / 3
        return bar * self.bar_s + (step + late) * self.step_s


@dataclass(frozen=True)
class Section:
    """A stretch of a song in which the same things happen."""

    name: str
    """`intro`, `verse`, `chorus`, `bridge`, `break` or `solo`."""
    first_bar: int
    bars: int
    energy: float
    """0 to 1."""
    chords: tuple[ChordSpan, ...]

    def chord_at(self, time_s: float) -> ChordSpan:
        """The chord that sounds at a time, the first or last outside the section."""
        for span in reversed(self.chords):
            if time_s >= span.start_s - 1e-3:
                return span
        return self.chords[0]


@dataclass(frozen=True)
class Frame:
    """What every player of a song shares."""

    metre: Metre
    key: Key
    sections: tuple[Section, ...]


def humanised(notes: list[Note], rng: np.random.Generator, timing_s: float, velocity: float) -> list[Note]:
    """The notes as a person plays them: a few milliseconds off, not all equally loud."""
    if not notes:
        return notes
    late = rng.normal(0, timing_s, len(notes))
    louder = rng.normal(0, velocity, len(notes))
    return [
        replace(
            note,
            start_s=max(0.0, note.start_s + float(off)),
            velocity=float(np.clip(note.velocity + more, 0.05, 1.0)),
        )
        for note, off, more in zip(notes, late, louder, strict=True)
    ]


def rhythm(
    metre: Metre, rng: np.random.Generator, density: float, syncopation: float
) -> list[tuple[int, int]]:
    """A bar of (step, length in steps): `density` onsets a beat on average, some off the beat."""
    weights = np.array([_weight(step, syncopation) for step in range(metre.steps)])
    count = int(np.clip(rng.poisson(density * metre.beats), 1, metre.steps))
    chosen = rng.choice(metre.steps, size=count, replace=False, p=weights / weights.sum())
    onsets = sorted({int(step) for step in chosen} | ({0} if rng.random() < 0.8 else set()))
    ends = [*onsets[1:], metre.steps + onsets[0] if onsets[0] else metre.steps]
    return [(onset, end - onset) for onset, end in zip(onsets, ends, strict=True)]


def _weight(step: int, syncopation: float) -> float:
    if step % 4 == 0:
        return 1.0
    if step % 2 == 0:
        return 0.4 + 0.6 * syncopation
    return 0.05 + 0.5 * syncopation**2
