"""What accompanying parts play: pads, comping, strumming, picking, riffs, arpeggios, stabs.

Each role is a function of the frame, a section, a register and a generator; roles keep one rhythm through a
section and play it over the chords, as bands do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .harmony import guitar_voicing, nearest_in, power_chord, scale_step, voicing
from .metre import Frame, Section, rhythm
from .score import Note

Role = Callable[[Frame, Section, float, np.random.Generator], list[Note]]
"""(frame, section, centre of the register as a MIDI note, generator) -> notes."""


def accompany(
    role: str, frame: Frame, section: Section, centre: float, rng: np.random.Generator
) -> list[Note]:
    """The notes of one section in one of the `ROLES`."""
    return ROLES[role](frame, section, centre, rng)


def _pad(count: int) -> Role:
    """Held chords that move by the nearest way; a repeated chord may be held through."""

    def play(frame: Frame, section: Section, centre: float, rng: np.random.Generator) -> list[Note]:
        notes: list[Note] = []
        before: tuple[int, ...] = ()
        length = float(rng.choice([0.98, 1.02, 0.9]))
        for span in section.chords:
            before = voicing(span.chord, count, centre, before)
            notes += [Note(span.start_s, span.seconds * length, pitch, 0.6) for pitch in before]
        return notes

    return play


def _comp(density: float, syncopation: float, length: float, count: int = 4, top_only: float = 0.0) -> Role:
    """Chords in a rhythm of a bar or two."""

    def play(frame: Frame, section: Section, centre: float, rng: np.random.Generator) -> list[Note]:
        metre = frame.metre
        bars = [rhythm(metre, rng, density, syncopation) for _ in range(int(rng.choice([1, 1, 2])))]
        notes: list[Note] = []
        before: tuple[int, ...] = ()
        span = section.chords[0]
        for bar in range(section.first_bar, section.first_bar + section.bars):
            for step, steps in bars[(bar - section.first_bar) % len(bars)]:
                start = metre.at(bar, step)
                now = section.chord_at(start)
                if not before or now is not span:
                    before, span = voicing(now.chord, count, centre, before), now
                played = before[-2:] if top_only and rng.random() < top_only else before
                loud = 0.75 if step % 4 == 0 else 0.6
                seconds = max(0.06, min(steps * metre.step_s * length, span.start_s + span.seconds - start))
                notes += [Note(start, seconds, pitch, loud) for pitch in played]
        return notes

    return play


def _two_hands(right: Role) -> Role:
    """A keyboard's right hand as given, and a left that plays the bass of every chord, often in octaves."""

    def play(frame: Frame, section: Section, centre: float, rng: np.random.Generator) -> list[Note]:
        notes = right(frame, section, centre, rng)
        metre = frame.metre
        lowest = max(34.0, centre - float(rng.uniform(16, 26)))
        octaves = (0, 12) if rng.random() < 0.5 else (0,)
        again = float(rng.choice([0.0, 0.0, 2.0, 1.0])) * metre.beat_s
        for span in section.chords:
            low = nearest_in({span.chord.bass}, lowest)
            count = max(1, round(span.seconds / again)) if again else 1
            each = span.seconds / count
            for i in range(count):
                start = span.start_s + i * each
                notes += [Note(start, each * 0.95, low + octave, 0.6) for octave in octaves]
        return notes

    return play


def _quarters(frame: Frame, section: Section, centre: float, rng: np.random.Generator) -> list[Note]:
    """Piano-ballad chords on every beat or eighth, a broken low octave under them."""
    metre = frame.metre
    stride = int(rng.choice([4, 4, 2, 8]))
    low_hand = rng.random() < 0.7
    notes: list[Note] = []
    before: tuple[int, ...] = ()
    for span in section.chords:
        before = voicing(span.chord, 3, centre, before)
        if low_hand:
            low = nearest_in({span.chord.bass}, centre - 21)
            notes += [Note(span.start_s, span.seconds * 0.95, low + shift, 0.6) for shift in (0, 12)]
    for bar in range(section.first_bar, section.first_bar + section.bars):
        for step in range(0, metre.steps, stride):
            start = metre.at(bar, step)
            chord = voicing(section.chord_at(start).chord, 3, centre)
            loud = 0.65 if step % 8 == 0 else 0.5
            notes += [Note(start, stride * metre.step_s * 0.95, pitch, loud) for pitch in chord]
    return notes


def _strum(frame: Frame, section: Section, centre: float, rng: np.random.Generator) -> list[Note]:
    """Down and up strokes over a guitar's shapes, string after string, some strokes left out."""
    metre = frame.metre
    capo = int(np.clip(round(centre - 52), 0, 9))
    patterns = {
        4: ("D...D.U.", "D.DU.UDU", "D...D.UU", "D.D.D.D.", "D.DUDUDU", "D..UD.DU", "D..U.UDU"),
        3: ("D.D.D.", "D.DUDU", "D.DUD."),
    }
    pattern = str(rng.choice(patterns.get(metre.beats, patterns[4])))
    spread = float(rng.uniform(0.006, 0.022))
    ring = float(rng.choice([0.95, 0.95, 0.6]))
    notes: list[Note] = []
    for bar in range(section.first_bar, section.first_bar + section.bars):
        for eighth in range(2 * metre.beats):
            stroke = pattern[eighth % len(pattern)]
            if stroke == ".":
                continue
            start = metre.at(bar, 2 * eighth)
            shape = guitar_voicing(section.chord_at(start + 0.01).chord, capo)
            if stroke == "U":
                shape = shape[-int(rng.integers(3, 5)) :][::-1]
            rests = 1
            while eighth + rests < 2 * metre.beats and pattern[(eighth + rests) % len(pattern)] == ".":
                rests += 1
            loud = (0.75 if eighth % 4 == 0 else 0.6) * float(rng.uniform(0.85, 1.1))
            for i, pitch in enumerate(shape):
                late = i * spread / 2
                notes.append(Note(start + late, rests * 2 * metre.step_s * ring, pitch, min(1.0, loud)))
    return notes


def _pick(frame: Frame, section: Section, centre: float, rng: np.random.Generator) -> list[Note]:
    """Fingers on a guitar's shapes: the thumb alternates, the others follow a fixed order."""
    metre = frame.metre
    capo = int(np.clip(round(centre - 52), 0, 9))
    stride = int(rng.choice([2, 2, 1])) if metre.tempo < 110 else 2
    order = rng.permutation(3)
    pinch = rng.random() < 0.4
    notes: list[Note] = []
    for bar in range(section.first_bar, section.first_bar + section.bars):
        for i, step in enumerate(range(0, metre.steps, stride)):
            start = metre.at(bar, step)
            span = section.chord_at(start + 0.01)
            shape = guitar_voicing(span.chord, capo)
            upper = shape[-3:]
            until = min(span.start_s + span.seconds, start + 3 * stride * metre.step_s) - start
            if step % 4 == 0:
                thumb = shape[0] if (step // 4) % 2 == 0 else shape[min(1, len(shape) - 1)]
                notes.append(Note(start, metre.beat_s * 1.6, thumb, 0.7))
                if pinch and step == 0:
                    notes.append(Note(start, until, upper[-1], 0.6))
            else:
                notes.append(Note(start, max(until, 0.15), upper[int(order[i % 3]) % len(upper)], 0.55))
    return notes


def _arpeggio(stride: int, octaves: int, length: float) -> Role:
    """Chord notes one by one: up, down, both ways, or in a fixed random order."""

    def play(frame: Frame, section: Section, centre: float, rng: np.random.Generator) -> list[Note]:
        metre = frame.metre
        way = str(rng.choice(["up", "down", "both", "fixed"]))
        gaps = rng.random(8) < float(rng.choice([0.0, 0.0, 0.25]))
        count = int(rng.choice([3, 4]))
        fixed = rng.permutation(count * octaves)
        notes: list[Note] = []
        before: tuple[int, ...] = ()
        for bar in range(section.first_bar, section.first_bar + section.bars):
            for i, step in enumerate(range(0, metre.steps, stride)):
                if gaps[i % 8]:
                    continue
                start = metre.at(bar, step)
                before = voicing(section.chord_at(start + 0.01).chord, count, centre, before)
                ladder = [pitch + 12 * octave for octave in range(octaves) for pitch in before]
                n = len(ladder)
                turn = {"up": i % n, "down": n - 1 - i % n, "fixed": int(fixed[i % n])}.get(way)
                if turn is None:
                    turn = min(i % (2 * n - 2), (2 * n - 2) - i % (2 * n - 2))
                loud = 0.75 if step % 4 == 0 else 0.55
                notes.append(Note(start, stride * metre.step_s * length, ladder[turn], loud))
        return notes

    return play


def _power(sustained: bool) -> Role:
    """Power chords: held through or in a rhythm with the drums."""

    def play(frame: Frame, section: Section, centre: float, rng: np.random.Generator) -> list[Note]:
        metre = frame.metre
        lowest = round(centre) - 6
        octave = bool(rng.random() < 0.6)
        full = rng.random() < 0.3
        notes: list[Note] = []
        pattern = rhythm(metre, rng, 0.35 if sustained else 1.6, 0.4)
        for bar in range(section.first_bar, section.first_bar + section.bars):
            for step, steps in pattern:
                start = metre.at(bar, step)
                chord = section.chord_at(start + 0.01).chord
                shape = power_chord(chord, lowest, octave)
                if full and len(chord.intervals) >= 3:
                    shape = (*shape[:2], shape[0] + 12, shape[0] + 12 + chord.intervals[1])
                seconds = steps * metre.step_s * (0.98 if sustained or steps > 2 else 0.8)
                notes += [Note(start, seconds, pitch, 0.8) for pitch in shape]
        return notes

    return play


def _chug(frame: Frame, section: Section, centre: float, rng: np.random.Generator) -> list[Note]:
    """Muted eighths or sixteenths on the root with open accents: velocity under 0.5 means palm-muted."""
    metre = frame.metre
    lowest = round(centre) - 6
    stride = 1 if metre.tempo < 125 and rng.random() < 0.4 else 2
    accents = {step for step, _ in rhythm(metre, rng, 0.6, 0.5)}
    gallop = stride == 1 and rng.random() < 0.5
    notes: list[Note] = []
    for bar in range(section.first_bar, section.first_bar + section.bars):
        for step in range(0, metre.steps, stride):
            if gallop and step % 4 == 1:
                continue
            start = metre.at(bar, step)
            shape = power_chord(section.chord_at(start + 0.01).chord, lowest, octave=False)
            accent = step in accents
            seconds = metre.step_s * stride * (0.95 if accent else 0.7)
            notes += [Note(start, seconds, pitch, 0.85 if accent else 0.4) for pitch in shape]
    return notes


def _riff(frame: Frame, section: Section, centre: float, rng: np.random.Generator) -> list[Note]:
    """One or two bars of melody in octaves of the register, moved with the chords or kept."""
    metre = frame.metre
    scale = frame.key.scale
    moves = rng.random() < 0.5
    bars = [
        [(step, steps, int(rng.integers(-2, 5))) for step, steps in rhythm(metre, rng, 1.5, 0.5)]
        for _ in range(int(rng.choice([1, 2])))
    ]
    fifths = rng.random() < 0.25
    notes: list[Note] = []
    for bar in range(section.first_bar, section.first_bar + section.bars):
        for i, (step, steps, degree) in enumerate(bars[(bar - section.first_bar) % len(bars)]):
            start = metre.at(bar, step)
            root = section.chord_at(start + 0.01).chord.root if moves else frame.key.tonic
            home = nearest_in({root}, centre)
            pitch = home if i == 0 else scale_step(scale, home, degree)
            seconds = min(steps, 6) * metre.step_s * 0.92
            notes.append(Note(start, seconds, pitch, 0.8))
            if fifths:
                notes.append(Note(start, seconds, pitch + 7, 0.7))
    return notes


def _off_beat(frame: Frame, section: Section, centre: float, rng: np.random.Generator) -> list[Note]:
    """The skank: short chords between the beats, or on the second and fourth."""
    metre = frame.metre
    steps = [2, 6, 10, 14] if rng.random() < 0.6 else [4, 12]
    double = rng.random() < 0.2
    notes: list[Note] = []
    for bar in range(section.first_bar, section.first_bar + section.bars):
        for step in steps:
            if step >= metre.steps:
                continue
            start = metre.at(bar, step)
            chord = voicing(section.chord_at(start).chord, 3, centre)
            notes += [Note(start, metre.step_s * 0.9, pitch, 0.7) for pitch in chord]
            if double:
                again = metre.at(bar, step + 1)
                notes += [Note(again, metre.step_s * 0.7, pitch, 0.5) for pitch in chord]
    return notes


def _scratch(frame: Frame, section: Section, centre: float, rng: np.random.Generator) -> list[Note]:
    """Sixteenth strokes on high strings, most of them damped: funk and disco guitars."""
    metre = frame.metre
    ringing = rng.random(metre.steps) < 0.4
    sounding = rng.random(metre.steps) < 0.8
    notes: list[Note] = []
    for bar in range(section.first_bar, section.first_bar + section.bars):
        for step in range(metre.steps):
            if not sounding[step]:
                continue
            start = metre.at(bar, step)
            chord = voicing(section.chord_at(start).chord, 3, centre)
            seconds = metre.step_s * (1.1 if ringing[step] else 0.3)
            loud = 0.75 if ringing[step] else 0.35
            notes += [Note(start + 0.004 * i, seconds, pitch, loud) for i, pitch in enumerate(chord)]
    return notes


def _counter(frame: Frame, section: Section, centre: float, rng: np.random.Generator) -> list[Note]:
    """A slow line of chord notes beside the melody: strings and horns answering."""
    pitch = nearest_in(section.chords[0].chord.classes, centre)
    notes: list[Note] = []
    for span in section.chords:
        pitch = nearest_in(span.chord.classes, pitch + float(rng.choice([-2, -1, 1, 2, 3])))
        pitch = nearest_in(span.chord.classes, pitch + (centre - pitch) * 0.3)
        if rng.random() < 0.35:
            notes.append(Note(span.start_s, span.seconds / 2, pitch, 0.65))
            passing = scale_step(frame.key.scale, pitch, int(rng.choice([-1, 1, 2])))
            notes.append(Note(span.start_s + span.seconds / 2, span.seconds * 0.48, passing, 0.6))
        else:
            notes.append(Note(span.start_s, span.seconds * 0.97, pitch, 0.65))
    return notes


def _hits(frame: Frame, section: Section, centre: float, rng: np.random.Generator) -> list[Note]:
    """A few loud short chords in every second bar: brass and orchestra stabs."""
    metre = frame.metre
    figure = rhythm(metre, rng, 0.7, 0.7)
    offset = int(rng.integers(2))
    notes: list[Note] = []
    for bar in range(section.first_bar + offset, section.first_bar + section.bars, 2):
        for step, steps in figure:
            start = metre.at(bar, step)
            chord = voicing(section.chord_at(start).chord, 3, centre)
            notes += [Note(start, metre.step_s * min(steps, 3) * 0.8, pitch, 0.85) for pitch in chord]
    return notes


def _lead_up(frame: Frame, section: Section, centre: float, rng: np.random.Generator) -> list[Note]:
    """One note over the last bars of a section, for effects that lead up to the next."""
    bars = min(section.bars, int(rng.choice([1, 2, 4])))
    last = section.first_bar + section.bars
    return [Note(frame.metre.at(last - bars, 0), bars * frame.metre.bar_s, round(centre), 0.8)]


ROLES: dict[str, Role] = {
    "pad": _pad(4),
    "thin pad": _pad(2),
    "comp": _comp(1.0, 0.5, 0.85),
    "busy comp": _comp(1.7, 0.8, 0.6),
    "sparse comp": _comp(0.45, 0.4, 0.95),
    "two hands": _two_hands(_comp(0.8, 0.5, 0.9)),
    "busy hands": _two_hands(_comp(1.6, 0.7, 0.65)),
    "quarters": _quarters,
    "strum": _strum,
    "pick": _pick,
    "arpeggio": _arpeggio(2, 1, 0.95),
    "fast arpeggio": _arpeggio(1, 2, 0.8),
    "ringing arpeggio": _arpeggio(2, 1, 3.0),
    "power": _power(sustained=True),
    "power rhythm": _power(sustained=False),
    "chug": _chug,
    "riff": _riff,
    "off-beat": _off_beat,
    "scratch": _scratch,
    "counter": _counter,
    "hits": _hits,
    "lead-up": _lead_up,
}
"""Manners of accompanying by name."""
