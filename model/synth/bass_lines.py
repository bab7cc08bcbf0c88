"""Bass lines: what the low end plays to the chords and to the kick drum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

import numpy as np

from .harmony import Chord, scale_step
from .metre import Frame, Section, rhythm
from .score import Note

Line = Callable[[Frame, Section, int, Sequence[float], np.random.Generator], list[Note]]
"""(frame, section, lowest note, kick times in seconds, generator) -> notes."""


def bass_line(
    kind: str, frame: Frame, section: Section, lowest: int, kicks: Sequence[float], rng: np.random.Generator
) -> list[Note]:
    """The notes of one section in one of the manners of `BASS_LINES`; nothing below `lowest`."""
    return BASS_LINES[kind](frame, section, lowest, kicks, rng)


def _root(chord: Chord, lowest: int) -> int:
    return lowest + (chord.bass - lowest) % 12


def _sustained(
    frame: Frame, section: Section, lowest: int, kicks: Sequence[float], rng: np.random.Generator
) -> list[Note]:
    return [
        Note(span.start_s, span.seconds * 0.97, _root(span.chord, lowest), 0.75) for span in section.chords
    ]


def _pulse(per_beat: int, length: float, octaves: bool = False, skip_beat: bool = False) -> Line:
    """Even notes on the root: driving eighths, disco octaves, off-beats, rolling sixteenths."""

    def play(
        frame: Frame, section: Section, lowest: int, kicks: Sequence[float], rng: np.random.Generator
    ) -> list[Note]:
        metre = frame.metre
        stride = 4 // per_beat
        approach = rng.random() < 0.4
        notes = []
        for bar in range(section.first_bar, section.first_bar + section.bars):
            for step in range(0, metre.steps, stride):
                if skip_beat and step % 4 == 0:
                    continue
                start = metre.at(bar, step)
                chord = section.chord_at(start).chord
                pitch = _root(chord, lowest)
                if octaves and step % 4 == 2:
                    pitch += 12
                elif approach and step == metre.steps - stride:
                    following = _root(section.chord_at(start + stride * metre.step_s).chord, lowest)
                    pitch = scale_step(frame.key.scale, following, -1 if following > pitch else 1)
                accent = 0.85 if step % 4 == 0 else 0.7
                notes.append(Note(start, stride * metre.step_s * length, pitch, accent))
        return notes

    return play


def _with_kick(
    frame: Frame, section: Section, lowest: int, kicks: Sequence[float], rng: np.random.Generator
) -> list[Note]:
    """On the kick, held to the next one or cut short; a repeated rhythm where there is no kick."""
    metre = frame.metre
    first, last = metre.at(section.first_bar, 0), metre.at(section.first_bar + section.bars, 0)
    times = [time for time in kicks if first - 0.02 <= time < last - 0.02]
    if len(times) < section.bars:
        bar_pattern = rhythm(metre, rng, 0.8, 0.4)
        times = [
            metre.at(bar, step)
            for bar in range(section.first_bar, section.first_bar + section.bars)
            for step, _ in bar_pattern
        ]
    times = [time for i, time in enumerate(times) if i == 0 or time - times[i - 1] > 0.09]
    hold = float(rng.choice([0.5, 0.8, 0.97]))
    colour = rng.random() * 0.35
    notes = []
    for i, start in enumerate(times):
        until = times[i + 1] if i + 1 < len(times) else last
        chord = section.chord_at(start + 0.03).chord
        pitch = _root(chord, lowest)
        if i and rng.random() < colour:
            pitch += int(rng.choice([7, 12, -5 if pitch - 5 >= lowest else 12]))
        notes.append(Note(start, min((until - start) * hold, 2.5), pitch, 0.8))
    return notes


def _walking(
    frame: Frame, section: Section, lowest: int, kicks: Sequence[float], rng: np.random.Generator
) -> list[Note]:
    """Quarters: the root where the chord changes, chord and scale notes between, a semitone to the next."""
    metre = frame.metre
    notes = []
    pitch = lowest + 7
    for bar in range(section.first_bar, section.first_bar + section.bars):
        for beat in range(metre.beats):
            start = metre.at(bar, 4 * beat)
            span = section.chord_at(start)
            after = section.chord_at(start + metre.beat_s)
            if abs(span.start_s - start) < 0.02:
                pitch = _root(span.chord, lowest)
            elif after is not span:
                pitch = _root(after.chord, lowest) + int(
                    rng.choice([-1, 1, 2, -5 if pitch > lowest + 6 else 7])
                )
            else:
                steps = int(rng.choice([-2, -1, 1, 1, 2, 3]))
                pitch = scale_step(sorted(span.chord.classes | set(frame.key.scale)), pitch, steps)
            while pitch > lowest + 19:
                pitch -= 12
            while pitch < lowest:
                pitch += 12
            notes.append(Note(start, metre.beat_s * 0.92, pitch, 0.75))
            if rng.random() < 0.12:
                notes.append(Note(metre.at(bar, 4 * beat + 2), metre.beat_s * 0.3, pitch, 0.55))
    return notes


def _root_fifth(
    frame: Frame, section: Section, lowest: int, kicks: Sequence[float], rng: np.random.Generator
) -> list[Note]:
    """Root and fifth in turn, as in country, polka and bossa nova."""
    metre = frame.metre
    dotted = rng.random() < 0.35
    steps = [0, 6, 8, 14] if dotted and metre.beats == 4 else list(range(0, metre.steps, 8))
    if metre.beats == 3:
        steps = [0] if rng.random() < 0.6 else [0, 8]
    notes = []
    for bar in range(section.first_bar, section.first_bar + section.bars):
        for i, step in enumerate(steps):
            start = metre.at(bar, step)
            root = _root(section.chord_at(start).chord, lowest)
            fifth = root - 5 if root - 5 >= lowest else root + 7
            until = steps[i + 1] if i + 1 < len(steps) else metre.steps
            fifth_now = i >= len(steps) / 2 and len(steps) > 1
            seconds = (until - step) * metre.step_s * 0.85
            notes.append(Note(start, seconds, fifth if fifth_now else root, 0.75))
    return notes


def _motif(density: float, syncopation: float, ghost: float, reach: int, length: float) -> Line:
    """A bar or two of rhythm and intervals, moved along with the chords: funk, rock and reggae riffs."""

    def play(
        frame: Frame, section: Section, lowest: int, kicks: Sequence[float], rng: np.random.Generator
    ) -> list[Note]:
        metre = frame.metre
        bars = [
            [
                (step, span, int(rng.integers(-1, reach + 1)) if step and rng.random() < 0.6 else 0)
                for step, span in rhythm(metre, rng, density, syncopation)
            ]
            for _ in range(int(rng.choice([1, 2])))
        ]
        colours = ((0, 7, 10, 12, 15), (0, 7, 12, 5, 3), (0, 12, 7, 10, 5))[int(rng.integers(3))]
        notes = []
        for bar in range(section.first_bar, section.first_bar + section.bars):
            for step, span, degree in bars[(bar - section.first_bar) % len(bars)]:
                start = metre.at(bar, step)
                chord = section.chord_at(start).chord
                interval = -2 if degree < 0 else colours[degree]
                if interval in (3, 15) and 4 in chord.intervals:
                    interval += 1
                pitch = _root(chord, lowest) + interval
                pitch += 12 if pitch < lowest else 0
                seconds = span * metre.step_s * length
                notes.append(Note(start, max(0.06, min(seconds, 1.6)), pitch, 0.8 if step % 4 == 0 else 0.7))
                if span > 2 and rng.random() < ghost:
                    notes.append(Note(metre.at(bar, step + span - 1), 0.05, pitch, 0.35))
        return notes

    return play


def _melodic(
    frame: Frame, section: Section, lowest: int, kicks: Sequence[float], rng: np.random.Generator
) -> list[Note]:
    """Roots joined by steps of the scale, high on the neck now and then."""
    metre = frame.metre
    notes = []
    for i, span in enumerate(section.chords):
        following = section.chords[(i + 1) % len(section.chords)].chord
        root, target = _root(span.chord, lowest), _root(following, lowest)
        beats = max(1, round(span.seconds / metre.beat_s))
        runs = beats >= 2 and rng.random() < 0.7
        held = span.seconds - (metre.beat_s if runs else 0.0)
        third = root + (4 if 4 in span.chord.intervals else 3)
        if beats >= 4 and rng.random() < 0.5:
            notes.append(Note(span.start_s, held * 0.48, root, 0.8))
            middle = third if rng.random() < 0.4 else root + int(rng.choice([7, 12]))
            notes.append(Note(span.start_s + held * 0.5, held * 0.48, middle, 0.7))
        else:
            notes.append(Note(span.start_s, held * 0.97, root, 0.8))
        if runs:
            way = -1 if target < root else 1
            first = scale_step(frame.key.scale, target, -2 * way)
            second = scale_step(frame.key.scale, target, -way)
            for k, pitch in enumerate((first, second)):
                start = span.start_s + held + k * metre.beat_s / 2
                notes.append(Note(start, metre.beat_s * 0.45, max(pitch, lowest - 1), 0.65))
    return notes


def in_one_voice(notes: list[Note], gap_s: float = 0.0) -> list[Note]:
    """The notes in time, each ending where the next begins: one string, one oscillator."""
    ordered = sorted(notes, key=lambda note: note.start_s)
    single = []
    for note, following in zip_longest(ordered, ordered[1:]):
        seconds = note.seconds
        if following is not None:
            seconds = min(seconds, following.start_s - note.start_s - gap_s)
        if seconds > 0.02:
            single.append(Note(note.start_s, seconds, note.pitch, note.velocity))
    return single


BASS_LINES: dict[str, Line] = {
    "sustained": _sustained,
    "eighths": _pulse(2, 0.92),
    "short eighths": _pulse(2, 0.55),
    "quarters": _pulse(1, 0.8),
    "sixteenths": _pulse(4, 0.8),
    "octaves": _pulse(2, 0.8, octaves=True),
    "off-beat": _pulse(2, 0.8, skip_beat=True),
    "rolling": _pulse(4, 0.75, skip_beat=True),
    "with kick": _with_kick,
    "walking": _walking,
    "root-fifth": _root_fifth,
    "riff": _motif(1.3, 0.35, 0.1, 4, 0.9),
    "funk": _motif(1.8, 0.8, 0.4, 4, 0.6),
    "reggae": _motif(1.1, 0.5, 0.0, 3, 0.75),
    "sparse": _motif(0.5, 0.3, 0.0, 2, 0.9),
    "melodic": _melodic,
}
"""Manners of playing by name."""
