"""Keys, chord loops and voicings: what is in tune, before anybody plays it.

Chords are written as Roman numerals against the key's own major scale, as charts do: `I vi IV V`,
`i bVII bVI V7`, `ii7 V7 Imaj7`, `I IV/5` (over the fifth degree), `i5` (no third).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentValueError

MODES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "major pentatonic": (0, 2, 4, 7, 9),
    "minor pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
}
"""Semitones above the tonic."""

_DEGREES = {"I": 0, "II": 2, "III": 4, "IV": 5, "V": 7, "VI": 9, "VII": 11}

_QUALITIES: dict[str, tuple[int, ...]] = {
    "": (),
    "5": (0, 7),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "7": (10,),
    "maj7": (11,),
    "6": (9,),
    "9": (10, 14),
    "maj9": (11, 14),
    "add9": (14,),
    "7sus4": (0, 5, 7, 10),
    "o": (0, 3, 6),
    "o7": (0, 3, 6, 9),
    "ø": (0, 3, 6, 10),
    "+": (0, 4, 8),
}
"""What is added to the triad, or, from 0 on, what replaces it."""

_NUMERAL = re.compile(r"([b#]?)(VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i)([a-zø+0-9]*)(?:/([b#]?)(\d))?$")

# Loops by how they feel; a style names the feelings it likes. One chord lasts a bar, or less where a loop
# is played at double speed.
LOOPS: dict[str, tuple[str, ...]] = {
    "major": (
        "I V vi IV",
        "vi IV I V",
        "I vi IV V",
        "IV I V vi",
        "I IV vi V",
        "I iii IV V",
        "I IV I V",
        "I IV V IV",
        "I V IV V",
        "I V/7 vi IV",
        "I I/3 IV V",
        "I ii IV V",
        "I IV ii V",
        "vi V IV V",
        "IV V vi I",
        "I V ii IV",
        "I iii vi IV",
        "Iadd9 Vsus4 vi7 IVadd9",
        "I iv I V",
        "I III vi IV",
        "I IV iv I",
        "I II IV I",
        "I V vi iii IV I IV V",
        "I Imaj7 I7 IV",
        "I vi ii V",
        "IVmaj7 V iii vi",
    ),
    "minor": (
        "i bVI bIII bVII",
        "i bVII bVI bVII",
        "i iv bVI V",
        "i bVII bVI V7",
        "i iv v i",
        "i bIII bVII iv",
        "i bVI iv V",
        "i v bVI bVII",
        "bVI bVII i i",
        "i i iv iv",
        "i bVII iv bVI",
        "i bIII iv bVI",
        "i iø bVI V7",
        "i V i bVII bIII bVII i V",
        "i7 iv7 i7 v7",
        "i iadd9 bVImaj7 bVII",
    ),
    "rock": (
        "I bVII IV I",
        "I IV bVII IV",
        "i5 bIII5 IV5 bVI5",
        "i5 i5 bVI5 bVII5",
        "I5 IV5 V5 IV5",
        "i5 bVII5 iv5 i5",
        "I5 bIII5 IV5 I5",
        "i5 bII5 i5 bVII5",
        "vi5 IV5 I5 V5",
        "I5 V5 vi5 IV5",
        "i5 bVI5 bIII5 bVII5",
        "I bIII bVII IV",
        "I5 I5 bVII5 IV5",
    ),
    "riff": (
        "i i i i",
        "i i bVI bVII",
        "i i i bVII",
        "I I IV IV",
        "i i iv i",
        "i5 i5 bII5 i5",
        "I7 I7 I7 IV7",
    ),
    "folk": (
        "I I IV I",
        "I V I IV",
        "I IV I V",
        "I V vi IV",
        "vi IV I V",
        "I bVII IV I",
        "i bVII i v",
        "i bIII bVII i",
        "I ii V I",
        "I/3 IV I V",
        "I V/7 vi V IV I/3 ii V",
        "I I V V IV IV I V",
    ),
    "blues": (
        "I7 I7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7",
        "I7 IV7 I7 I7 IV7 IV7 I7 VI7 ii7 V7 I7 V7",
        "i7 i7 i7 i7 iv7 iv7 i7 i7 bVI7 V7 i7 V7",
        "I7 I7 IV7 IV7",
        "I7 IV7 I7 V7",
    ),
    "funk": (
        "i7 i7 IV7 IV7",
        "I9 I9 IV9 I9",
        "i7 i7 i7 i7",
        "i7 bVII i7 IV7",
        "ii7 V7 ii7 V7",
        "I7 I7 bVII bVII",
    ),
    "soul": (
        "ii7 V7 Imaj7 vi7",
        "Imaj7 iii7 IVmaj7 V7sus4",
        "IVmaj7 iii7 ii7 Imaj7",
        "Imaj7 IVmaj7 iii7 vi7",
        "i7 iv9 bVII7 bIIImaj7",
        "IVmaj7 V6 iii7 vi7",
        "vi7 ii7 V7 Imaj9",
        "bVImaj7 bVII i7 i7",
        "Imaj7 io7 ii7 V7",
    ),
    "jazz": (
        "ii7 V7 Imaj7 VI7",
        "Imaj7 vi7 ii7 V7",
        "i6 iiø V7 i6",
        "iii7 VI7 ii7 V7",
        "Imaj7 bIIImaj7 bVImaj7 V7",
    ),
    "dance": (
        "i bVI bIII bVII",
        "i i bVI bVII",
        "vi IV I V",
        "i7 i7 iv7 iv7",
        "IVmaj7 V vi7 I",
        "i v bVI iv",
    ),
    "reggae": ("I IV I IV", "i iv i iv", "I V vi IV", "i bVII i bVII", "I ii I ii", "I IV V IV"),
}


@dataclass(frozen=True)
class Chord:
    """A chord without octaves."""

    root: int
    """Pitch class, 0 = C."""
    intervals: tuple[int, ...]
    """Semitones above the root, ascending from 0; ninths are 14."""
    bass: int
    """Pitch class of the lowest note."""

    @property
    def classes(self) -> frozenset[int]:
        """The pitch classes it holds."""
        return frozenset((self.root + interval) % 12 for interval in self.intervals)


@dataclass(frozen=True)
class ChordSpan:
    """A chord and when it sounds."""

    start_s: float
    seconds: float
    chord: Chord


@dataclass(frozen=True)
class Key:
    """A tonic and the scale melodies are made from."""

    tonic: int
    """Pitch class, 0 = C."""
    mode: str
    """One of `MODES`."""

    @property
    def scale(self) -> tuple[int, ...]:
        """Pitch classes of the scale, ascending from the tonic."""
        return tuple((self.tonic + step) % 12 for step in MODES[self.mode])

    @property
    def name(self) -> str:
        """`F# minor`."""
        return f"{('C', 'C#', 'D', 'Eb', 'E', 'F', 'F#', 'G', 'Ab', 'A', 'Bb', 'B')[self.tonic]} {self.mode}"


def parse_chord(numeral: str, tonic: int) -> Chord:
    """A chord from a Roman numeral in the key of `tonic`; raises ArgumentValueError if it is not one.

    >>> parse_chord("V7", 0)
    Chord(root=7, intervals=(0, 4, 7, 10), bass=7)
    """
    match = _NUMERAL.fullmatch(numeral)
    if match is None or match[3] not in _QUALITIES:
        raise ArgumentValueError(f"a chord is a Roman numeral such as I, bVII, vi7 or IV/5; got {numeral!r}")
    accidental, degree, quality, over_accidental, over = match.groups()
    root = (tonic + _DEGREES[degree.upper()] + _shift(accidental)) % 12
    added = _QUALITIES[quality]
    third = 4 if degree.isupper() else 3
    intervals = added if added and added[0] == 0 else (0, third, 7, *added)
    bass = root
    if over:
        bass = (tonic + MODES["major"][int(over) - 1] + _shift(over_accidental or "")) % 12
    return Chord(root, intervals, bass)


def _shift(accidental: str) -> int:
    return {"": 0, "b": -1, "#": 1}[accidental]


def choose_loop(feelings: Sequence[str], rng: np.random.Generator) -> str:
    """One chord loop that one of these feelings has."""
    return str(rng.choice(LOOPS[feelings[int(rng.integers(len(feelings)))]]))


def fitting_mode(loop: str, rng: np.random.Generator) -> str:
    """A mode in which melodies over this loop sound at home."""
    numerals = loop.split()
    home_is_minor = any(re.match("i(?![iv])", numeral) for numeral in numerals)
    if home_is_minor:
        modes = ["minor", "minor", "minor pentatonic", "dorian"]
        if any(re.match("V(?!I)", numeral) for numeral in numerals):
            modes = ["harmonic minor", "minor"]
    elif "bVII" in numerals or "IV7" in numerals:
        modes = ["mixolydian", "mixolydian", "major pentatonic", "blues"]
    else:
        modes = ["major", "major", "major pentatonic"]
    return str(rng.choice(modes))


def chord_spans(
    loop: str, tonic: int, bars: int, bar_s: float, start_s: float, per_bar: int = 1
) -> list[ChordSpan]:
    """The loop from its beginning over so many bars, with `per_bar` chords in each."""
    chords = [parse_chord(numeral, tonic) for numeral in loop.split()]
    seconds = bar_s / per_bar
    return [ChordSpan(start_s + i * seconds, seconds, chords[i % len(chords)]) for i in range(bars * per_bar)]


def voicing(chord: Chord, count: int, centre: float, before: Sequence[int] = ()) -> tuple[int, ...]:
    """`count` MIDI notes of the chord around `centre`, each moving little from the voicing before.

    The root may be left out of chords with four notes and more, as accompanists do over a bass.
    """
    wanted = list(chord.intervals)
    if len(wanted) > count:
        wanted = [interval for interval in wanted if interval not in (0, 7)] + [0, 7]
        wanted = wanted[:count]
    classes = [(chord.root + interval) % 12 for interval in wanted]
    best: tuple[int, ...] = ()
    best_cost = np.inf
    for turn in range(len(classes)):
        order = sorted(classes, key=lambda pitch: (pitch - classes[turn]) % 12)
        lowest = _nearest(order[0], centre - 5)
        notes = [lowest]
        for i in range(1, count):
            above = notes[-1] + 1
            notes.append(above + (order[i % len(order)] - above) % 12)
        for octave in (-12, 0, 12):
            moved = tuple(note + octave for note in notes)
            cost = abs(float(np.mean(moved)) - centre) * (0.4 if before else 1.0)
            if before:
                cost += float(np.mean([min(abs(note - other) for other in before) for note in moved]))
            if cost < best_cost:
                best, best_cost = moved, cost
    return best


def power_chord(chord: Chord, lowest: int, octave: bool = True) -> tuple[int, ...]:
    """Root, fifth and perhaps octave, the root at or above `lowest`."""
    root = lowest + (chord.root - lowest) % 12
    return (root, root + 7, root + 12) if octave else (root, root + 7)


def guitar_voicing(
    chord: Chord, capo: int = 0, strings: Sequence[int] = (40, 45, 50, 55, 59, 64)
) -> tuple[int, ...]:
    """A strummed shape: on each string the lowest fret that is in the chord, the root at the bottom."""
    notes: list[int] = []
    for string in strings:
        open_note = string + capo
        frets = sorted((pitch - open_note) % 12 for pitch in (chord.classes if notes else {chord.root}))
        if frets[0] <= 4:
            notes.append(open_note + frets[0])
    return tuple(notes)


def _nearest(pitch_class: int, centre: float) -> int:
    return round(centre + ((pitch_class - centre + 6) % 12) - 6)


def nearest_in(classes: Collection[int], pitch: float) -> int:
    """The note nearest `pitch` whose pitch class is one of `classes`."""
    return min((_nearest(one, pitch) for one in classes), key=lambda note: abs(note - pitch))


def scale_step(scale: Sequence[int], pitch: int, steps: int) -> int:
    """The note so many scale steps above (or below) `pitch`, which is taken to the scale first.

    >>> scale_step((0, 2, 4, 5, 7, 9, 11), 64, 2)
    67
    """
    ordered = sorted(scale)
    at = nearest_in(ordered, pitch)
    index = ordered.index(at % 12) + steps
    return at - at % 12 + ordered[index % len(ordered)] + 12 * (index // len(ordered))
