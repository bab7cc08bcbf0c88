"""Melodies: phrases that breathe, for lead voices, the lines that harmonise with them, and solos."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from .harmony import nearest_in, scale_step
from .metre import Frame, Section
from .score import Note

_MAX_LEAP = 9


@dataclass(frozen=True)
class Motif:
    """Rhythm and contour of one phrase."""

    steps: tuple[tuple[int, int], ...]
    """(step from the phrase's start, length in steps)."""
    moves: tuple[int, ...]
    """Scale steps from one note to the next."""


def vocal_melody(
    frame: Frame, section: Section, centre: float, rng: np.random.Generator, *, drive: float
) -> list[Note]:
    """What a lead voice sings in a section.

    Phrases of one, two or four bars with rests between them repeat as AABA, ABAB or AAAB; `drive` (0 to 1)
    makes them higher, longer-held and less broken, as in a chorus.
    """
    metre = frame.metre
    bars = int(rng.choice([1, 2, 2, 2, 4])) if metre.bar_s > 1.2 else int(rng.choice([2, 4, 4]))
    bars = max(1, min(bars, section.bars))
    wordy = float(np.clip(rng.normal(1.55 - 0.5 * drive, 0.4), 0.5, 2.6))
    wordy *= min(1.0, metre.beat_s / 0.42) ** 0.7
    motifs = {name: _motif(bars * metre.steps, wordy, drive, rng) for name in "AB"}
    form = str(rng.choice(["AABA", "ABAB", "AAAB", "ABAA", "AAAA"]))
    pickup = int(rng.choice([0, 0, 0, 2, -2, 4]))
    centre = centre + 4 * (drive - 0.4)
    notes: list[Note] = []
    pitch = nearest_in(section.chords[0].chord.classes, centre)
    for i, bar in enumerate(range(section.first_bar, section.first_bar + section.bars, bars)):
        if i and rng.random() < 0.06:
            continue
        motif = motifs[form[i % 4]]
        pitch = nearest_in(section.chord_at(metre.at(bar, 0)).chord.classes, pitch + 0.5 * (centre - pitch))
        room = (section.first_bar + section.bars - bar) * metre.steps
        for k, (step, length) in enumerate(motif.steps):
            start = metre.at(bar, step + pickup)
            if start < 0 or step + pickup + length > room:
                continue
            pitch = _next_pitch(frame, section, pitch, motif.moves[k], start, length, centre)
            loud = 0.6 + 0.25 * drive + (0.08 if step % 4 == 0 else 0.0)
            notes.append(Note(start, length * metre.step_s * 0.97, pitch, min(1.0, loud)))
    return _without_overlaps(notes)


def _motif(steps: int, wordy: float, drive: float, rng: np.random.Generator) -> Motif:
    """Notes until about three quarters of the phrase, the last one held."""
    unit = 2 if wordy < 1.8 else 1
    weights = np.array([0.5 + wordy * 0.3, 0.45, 0.2 + 0.2 * drive, 0.12 + 0.3 * drive])
    lengths = np.array([1, 2, 3, 4]) * unit
    singing = steps * float(rng.uniform(0.55, 0.95))
    at = 0
    placed: list[tuple[int, int]] = []
    while at < singing:
        length = int(rng.choice(lengths, p=weights / weights.sum()))
        if rng.random() < 0.08 and placed:
            at += unit
            continue
        placed.append((at, length))
        at += length
    last_step, last_length = placed[-1]
    hold = min(steps - last_step - 1, last_length + int(rng.integers(0, 6 + int(6 * drive))))
    placed[-1] = (last_step, max(hold, 1))
    moves = rng.choice(
        [-3, -2, -1, 0, 1, 2, 3, 4], len(placed), p=[0.04, 0.12, 0.24, 0.22, 0.2, 0.1, 0.05, 0.03]
    )
    return Motif(tuple(placed), tuple(int(move) for move in moves))


def _next_pitch(
    frame: Frame, section: Section, pitch: int, move: int, start: float, length: int, centre: float
) -> int:
    """One move on, pulled back to the register, on a chord note where it is held or stressed."""
    following = scale_step(frame.key.scale, pitch, move)
    if abs(following - centre) > 8 or abs(following - pitch) > _MAX_LEAP:
        following = scale_step(frame.key.scale, pitch, -move if move else 0)
    if length >= 4:
        following = nearest_in(section.chord_at(start + 0.01).chord.classes, following)
    return following


def _without_overlaps(notes: list[Note]) -> list[Note]:
    ordered = sorted(notes, key=lambda note: note.start_s)
    kept: list[Note] = []
    for note, following in zip_longest(ordered, ordered[1:]):
        seconds = note.seconds if following is None else min(note.seconds, following.start_s - note.start_s)
        if seconds > 0.05:
            kept.append(Note(note.start_s, seconds, note.pitch, note.velocity))
    return kept


def harmony_line(frame: Frame, section: Section, melody: list[Note], kind: str) -> list[Note]:
    """A second voice: `third above`, `third below`, `sixth below`, `octave below`, `octave above`, `unison`
    or `chord` (the chord note under each long note)."""
    shift = {"third above": 2, "third below": -2, "sixth below": -5, "fourth below": -3}
    octave = {"octave below": -12, "octave above": 12, "unison": 0}
    line = []
    for note in melody:
        pitch = float(note.pitch)
        if kind in shift:
            pitch = scale_step(frame.key.scale, round(note.pitch), shift[kind])
            if note.seconds > 0.5:
                pitch = nearest_in(section.chord_at(note.start_s + 0.02).chord.classes, pitch)
        elif kind in octave:
            pitch = note.pitch + octave[kind]
        else:
            pitch = nearest_in(section.chord_at(note.start_s + 0.02).chord.classes, note.pitch - 4)
        line.append(Note(note.start_s, note.seconds, pitch, note.velocity * 0.9))
    return line


def solo(
    frame: Frame, section: Section, centre: float, rng: np.random.Generator, *, speed: float
) -> list[Note]:
    """An instrumental lead: bursts of scale, held notes, repeated figures; `speed` 0 (lyrical) to 1."""
    metre = frame.metre
    scale = frame.key.scale
    pitch = nearest_in(section.chords[0].chord.classes, centre)
    notes: list[Note] = []
    end = metre.steps * section.bars
    at = int(rng.choice([0, 0, 2, 4, 6]))
    while at < end:
        kind = rng.random()
        if kind < 0.25 + 0.25 * speed:
            unit = 1 if rng.random() < speed else 2
            way = int(rng.choice([-1, 1]))
            for _ in range(int(rng.integers(3, 9))):
                notes.append(_solo_note(frame, section, at, unit, pitch))
                pitch = scale_step(scale, pitch, way if rng.random() < 0.75 else -way)
                at += unit
        elif kind < 0.5 + 0.25 * speed:
            figure = [int(move) for move in rng.integers(-2, 3, 3)]
            unit = int(rng.choice([1, 2, 2]))
            for _ in range(int(rng.integers(2, 4))):
                for move in figure:
                    notes.append(_solo_note(frame, section, at, unit, scale_step(scale, pitch, move)))
                    at += unit
        else:
            length = int(rng.choice([4, 6, 8, 12]))
            pitch = nearest_in(section.chord_at(metre.at(section.first_bar, at)).chord.classes, pitch)
            notes.append(_solo_note(frame, section, at, length, pitch))
            at += length
        if abs(pitch - centre) > 9:
            pitch = scale_step(scale, round(centre), int(rng.integers(-2, 3)))
        if rng.random() < 0.35:
            at += int(rng.choice([2, 4, 6]))
    return _without_overlaps([note for note in notes if note.start_s < metre.at(section.first_bar, end - 1)])


def _solo_note(frame: Frame, section: Section, at: int, length: int, pitch: int) -> Note:
    metre = frame.metre
    return Note(metre.at(section.first_bar, at), length * metre.step_s * 0.97, pitch, 0.75)
