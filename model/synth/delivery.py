"""How a line is delivered: notes and syllables become an envelope, a pitch and a loudness over time.

Vowels start on the beat, consonants before it; vowels stretch, consonants keep their length. The pitch glides
from note to note, scoops into phrases, and carries vibrato (late, on long notes) and drift.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from .score import Note
from .vocoder import HOP, SAMPLE_RATE
from .voice_track import BANDS, FLOOR_DB, FRAME_S, NOISE_HZ, Floats, VoiceTrack, band_hz

Array = NDArray[np.float64]

Syllable = tuple[VoiceTrack, int]
"""A phrase and the index of one of its syllables."""

Words = Callable[[Note], Iterator[Syllable]]
"""An endless line of syllables for the phrase that starts with that note."""

ROWS_PER_S = SAMPLE_RATE / HOP
PAUSE_S = 0.22
"""A gap this long ends a sung phrase."""


@dataclass(frozen=True)
class Style:
    """A way of singing. Everything is varied a little by `draw`."""

    glide_s: float = 0.07
    scoop: float = 0.8
    """Semitones below the note a phrase starts at, at most."""
    vibrato_hz: float = 5.5
    vibrato_cents: float = 35.0
    vibrato_delay_s: float = 0.25
    drift_cents: float = 12.0
    speech: float = 0.0
    """How much of the spoken melody is kept: 0 sings, 1 raps."""
    hold: float = 0.97
    """How much of a note sounds."""
    melisma: float = 0.12
    """How often a note keeps the vowel of the one before."""
    breath: float = 0.1
    """Noise added to the voice, 0 to 1."""
    effort_db: float = 0.0
    """Spectral slope per octave above 1 kHz, added to the voice's own."""
    accent_db: float = 2.5
    """Standard deviation of the level from note to note."""
    late_s: float = 0.012
    jitter: float = 0.005
    shimmer: float = 0.04
    growl: float = 0.0
    inhale: float = 0.6
    """How often a breath is heard before a phrase."""
    release_s: float = 0.08

    def draw(self, rng: np.random.Generator) -> Style:
        """The style as one singer has it today."""
        varied = {
            field.name: getattr(self, field.name) * float(np.exp(rng.normal(0, 0.3)))
            for field in fields(self)
        }
        varied["vibrato_hz"] = float(np.clip(rng.normal(5.5, 0.5), 4.5, 6.5))
        varied["hold"] = float(np.clip(self.hold + rng.normal(0, 0.05), 0.2, 1.0))
        varied["breath"] = min(0.9, varied["breath"])
        varied["speech"] = self.speech
        return replace(self, **varied)


STYLES: dict[str, tuple[float, Style]] = {
    "plain": (0.28, Style()),
    "legato": (0.14, Style(glide_s=0.13, scoop=1.5, vibrato_cents=55, melisma=0.3, release_s=0.15)),
    "staccato": (0.06, Style(hold=0.5, glide_s=0.03, vibrato_cents=0, melisma=0, release_s=0.03)),
    "belted": (0.15, Style(effort_db=2.5, scoop=1.8, vibrato_cents=50, breath=0.03, growl=0.15)),
    "whispery": (0.09, Style(effort_db=-2, breath=0.6, vibrato_cents=10, inhale=0.9, release_s=0.12)),
    "falsetto": (0.08, Style(effort_db=-4, breath=0.25, vibrato_cents=45, glide_s=0.1, jitter=0.003)),
    "tuned": (0.12, Style(glide_s=0.008, scoop=0, vibrato_cents=0, drift_cents=0, melisma=0.2, jitter=1e-3)),
    "rough": (0.08, Style(growl=0.5, jitter=0.015, shimmer=0.12, effort_db=2, scoop=2, vibrato_cents=20)),
    "shouted": (0.05, Style(growl=0.7, jitter=0.04, shimmer=0.2, effort_db=3, scoop=3, breath=0.3)),
}  # fmt: skip
"""How often each style is sung, and what it is."""

SPOKEN = Style(
    speech=1.0,
    glide_s=0.04,
    scoop=0.5,
    vibrato_cents=0,
    hold=0.92,
    melisma=0,
    accent_db=4,
    late_s=0.008,
    inhale=0.5,
)


@dataclass
class Delivery:
    """A line, ready for the vocoder: rows of `HOP` frames."""

    envelope_db: Floats
    noise: Floats
    voiced: Floats
    pitch: Array
    """MIDI note numbers, everywhere."""
    growl: Floats

    @staticmethod
    def silent(rows: int) -> Delivery:
        """Nothing to be heard."""
        return Delivery(
            np.full((rows, BANDS), FLOOR_DB, np.float32),
            np.ones((rows, len(NOISE_HZ)), np.float32),
            np.zeros(rows, np.float32),
            np.full(rows, 57.0),
            np.zeros(rows, np.float32),
        )


def wander(rows: int, every_s: float, rng: np.random.Generator, columns: int = 1) -> Array:
    """Smooth noise of variance near 1 that turns about every `every_s`. Shape: `(rows, columns)`."""
    step = max(1.0, every_s * ROWS_PER_S)
    knots = rng.standard_normal((int(rows / step) + 3, columns))
    at = np.arange(rows) / step
    whole = at.astype(int)
    part = (0.5 - 0.5 * np.cos(np.pi * (at - whole)))[:, None]
    return np.asarray(knots[whole] * (1 - part) + knots[whole + 1] * part)


def sung_phrases(notes: Sequence[Note], length_s: float) -> list[list[Note]]:
    """The notes, one at a time and in order, cut at pauses; a note ends where the next begins."""
    ordered = sorted(
        (n for n in notes if n.start_s < length_s - 0.05 and n.seconds > 0.02), key=lambda n: n.start_s
    )
    groups: list[list[Note]] = []
    for k, note in enumerate(ordered):
        end = min(note.start_s + note.seconds, length_s)
        if k + 1 < len(ordered):
            end = min(end, ordered[k + 1].start_s)
        if end - note.start_s < 0.03:
            continue
        note = replace(note, start_s=max(0.0, note.start_s), seconds=end - max(0.0, note.start_s))
        before = groups[-1][-1] if groups else None
        if before is None or note.start_s - (before.start_s + before.seconds) > PAUSE_S:
            groups.append([])
        groups[-1].append(note)
    return groups


def deliver(
    notes: Sequence[Note], words: Words, style: Style, frames: int, rng: np.random.Generator
) -> Delivery:
    """Sing or say the notes, `frames` of audio in all."""
    rows = -(-frames // HOP)
    line = Delivery.silent(rows)
    level = np.zeros(rows)
    previous_end = 0.0
    for group in sung_phrases(notes, frames / SAMPLE_RATE):
        start = _sing_phrase(line, level, group, words(group[0]), style, rng)
        if start - previous_end > 0.3 and rng.random() < style.inhale:
            _inhale(line, start, min(0.5, start - previous_end - 0.05), rng)
        previous_end = group[-1].start_s + group[-1].seconds
    # What is louder is brighter; and no held vowel is ever quite still.
    octaves = np.log2(np.maximum(band_hz(), 1000) / 1000)
    tilt = style.effort_db + 0.15 * level
    knots = wander(rows, 0.12, rng, 8) @ _spread()
    line.envelope_db += (level[:, None] + tilt[:, None] * np.minimum(octaves, 2.5) + 0.9 * knots).astype(
        np.float32
    )
    share = np.array([0.05, 0.5, 0.8, 1, 1, 1], np.float32) * np.float32(style.breath)
    line.noise += (1 - line.noise) * share
    if style.growl > 0:
        turns = np.clip(wander(rows, 0.5, rng)[:, 0] - 0.6, 0, 1) * style.growl
        line.growl = np.clip(turns, 0, 0.7).astype(np.float32)
    return line


def _spread() -> Array:
    """From 8 knots to the bands. Shape: `(8, BANDS)`."""
    return np.asarray([np.interp(np.linspace(0, 7, BANDS), np.arange(8), row) for row in np.eye(8)])


@dataclass
class _Event:
    """One syllable and when it is sung."""

    syllable: Syllable
    first: int
    """Index of its first note."""
    vowel_s: float
    stop_s: float
    onset_s: float
    """How long before the vowel its consonants start."""


def _sing_phrase(
    line: Delivery,
    level: Array,
    notes: list[Note],
    syllables: Iterator[Syllable],
    style: Style,
    rng: np.random.Generator,
) -> float:
    """Write one phrase into the line; return when it starts."""
    times = np.array([n.start_s for n in notes]) + np.clip(
        rng.normal(0, style.late_s, len(notes)), -0.03, 0.05
    )
    times = np.maximum.accumulate(np.maximum(times, 0.0) + 1e-3 * np.arange(len(notes)))
    events = _events(notes, times, syllables, style, rng)
    rows = len(level)
    first = min(max(0, round((events[0].vowel_s - events[0].onset_s) * ROWS_PER_S)), rows - 1)
    last = min(rows, max(first + 1, round(events[-1].stop_s * ROWS_PER_S)))
    for k, event in enumerate(events):
        joined = k + 1 < len(events) and events[k + 1].vowel_s - events[k + 1].onset_s - event.stop_s < 0.02
        begun = k > 0 and event.vowel_s - event.onset_s - events[k - 1].stop_s < 0.02
        _write(line, event, style, (begun, joined), rng)
    at = np.arange(first, last) / ROWS_PER_S
    spoken = line.pitch[first:last].copy()
    curve = _pitch(notes, times, at, style, rng)
    if style.speech > 0:
        curve += style.speech * spoken
    line.pitch[first:last] = curve
    loud = np.array([20 * np.log10(0.3 + 0.7 * n.velocity) for n in notes]) + rng.normal(
        0, style.accent_db, len(notes)
    )
    arc = np.interp(at, [times[0], (times[0] + at[-1]) / 2, at[-1]], [-1.0, 1.0, -2.0])
    centres = np.concatenate([times - 0.03, times + 0.05])
    order = np.argsort(centres)
    steps = np.concatenate([np.concatenate([loud[:1], loud[:-1]]), loud])
    level[first:last] = np.interp(at, centres[order], steps[order]) + arc
    return float(first / ROWS_PER_S)


def _events(
    notes: list[Note], times: Array, syllables: Iterator[Syllable], style: Style, rng: np.random.Generator
) -> list[_Event]:
    events: list[_Event] = []
    for k, note in enumerate(notes):
        end = times[k] + style.hold * note.seconds
        if style.hold > 0.85 and k + 1 < len(notes) and times[k + 1] - end < 0.12:
            end = times[k + 1]
        if events and _lot(note.start_s) < style.melisma and times[k] - events[-1].stop_s < 0.1:
            events[-1].stop_s = end
            continue
        track, row = syllable = next(syllables)
        start, vowel, _, _ = track.syllables[row]
        room = 0.4 * (times[k] - events[-1].vowel_s) if events else min(0.25, times[k])
        onset = min((vowel - start) * FRAME_S * rng.uniform(0.8, 1.15), room, 0.25)
        if events:
            events[-1].stop_s = min(events[-1].stop_s, times[k] - onset)
        events.append(_Event(syllable, k, float(times[k]), float(end), float(onset)))
    return events


def _lot(start_s: float) -> float:
    """A number from 0 to 1 that belongs to a moment: voices that sing together tie the same notes."""
    return zlib.crc32(str(round(start_s * 100)).encode()) / 2**32


def _write(
    line: Delivery, event: _Event, style: Style, joins: tuple[bool, bool], rng: np.random.Generator
) -> None:
    """Copy one syllable into the line, its vowel stretched."""
    track, index = event.syllable
    start, vowel, coda, end = (int(v) for v in track.syllables[index])
    sung = max(0.04, event.stop_s - event.vowel_s)
    tail = min((end - coda) * FRAME_S, 0.3 * sung)
    natural = (coda - vowel) * FRAME_S
    if natural > 1.5 * (sung - tail):  # a held recording: a part of it at its own speed
        wanted = max(4, round((sung - tail) / FRAME_S))
        vowel += int(rng.integers(0, coda - vowel - wanted + 1))
        coda = vowel + wanted
    begin = max(0, round((event.vowel_s - event.onset_s) * ROWS_PER_S))
    stop = min(len(line.voiced), round(event.stop_s * ROWS_PER_S))
    if stop - begin < 3:
        return
    at = np.arange(begin, stop) / ROWS_PER_S
    knots = [event.vowel_s - event.onset_s - 1e-3, event.vowel_s, event.stop_s - tail, event.stop_s]
    place = np.interp(at, knots, [start, vowel, coda, end])
    held = (at > event.vowel_s) & (at < event.stop_s - tail)
    if sung > 0.3:  # a long vowel is read back and forth rather than slowly
        wave = wander(len(at), 0.2, rng)[:, 0] * 0.2 * (coda - vowel)
        place = np.where(held, np.clip(place + wave, vowel, max(vowel, coda - 1)), place)
    place = np.clip(place, 0, track.frames - 1.001)
    whole = place.astype(int)
    part = (place - whole).astype(np.float32)[:, None]
    rows = slice(begin, stop)
    line.envelope_db[rows] = track.envelope_db[whole] * (1 - part) + track.envelope_db[whole + 1] * part
    line.noise[rows] = track.noise[whole] * (1 - part) + track.noise[whole + 1] * part
    voiced = track.f0_hz > 0
    line.voiced[rows] = voiced[whole] * (1 - part[:, 0]) + voiced[whole + 1] * part[:, 0]
    if style.speech > 0 and voiced.any():
        known = np.flatnonzero(voiced)
        melody = 12 * np.log2(np.interp(place, known, track.f0_hz[known]) / track.median_hz)
        line.pitch[rows] = np.clip(melody, -7, 9)
    begun, joined = joins
    fade = np.zeros(len(at))
    if not begun:
        fade = np.minimum(fade, np.interp(at - at[0], [0, 0.015], [-40, 0]))
    if not joined:
        release = min(style.release_s, 0.4 * sung)
        fade = np.minimum(fade, np.interp(event.stop_s - at, [0, release], [-45, 0]))
    line.envelope_db[rows] += fade[:, None].astype(np.float32)


def _pitch(notes: list[Note], times: Array, at: Array, style: Style, rng: np.random.Generator) -> Array:
    """The melody as it is sung, at those times."""
    curve = np.full(len(at), float(notes[0].pitch))
    for k in range(1, len(notes)):
        glide = max(0.005, style.glide_s * rng.uniform(0.7, 1.5))
        glide = min(glide, 0.5 * notes[k].seconds)
        step = np.clip((at - times[k]) / glide + 0.5, 0, 1)
        curve += (notes[k].pitch - notes[k - 1].pitch) * (0.5 - 0.5 * np.cos(np.pi * step))
    if style.scoop > 0 and rng.random() < 0.6:
        below = min(style.scoop, 3.0) * rng.uniform(0.3, 1)
        curve -= below * np.exp(-np.maximum(at - times[0], 0) / rng.uniform(0.03, 0.08))
    if style.scoop > 0 and rng.random() < 0.25:  # falls off at the end
        curve -= style.scoop * 1.5 * np.clip((at - at[-1]) / 0.15 + 1, 0, 1) ** 2
    if style.vibrato_cents > 3:
        rate = style.vibrato_hz * (1 + 0.05 * wander(len(at), 0.4, rng)[:, 0])
        wave = np.sin(2 * np.pi * np.cumsum(rate) / ROWS_PER_S + rng.uniform(0, 6))
        depth = np.zeros(len(at))
        for note, start in zip(notes, times, strict=True):
            if note.seconds > style.vibrato_delay_s + 0.12:
                inside = (at >= start) & (at < start + note.seconds)
                grown = np.clip((at[inside] - start - style.vibrato_delay_s) / 0.3, 0, 1)
                depth[inside] = grown * rng.uniform(0.4, 1.2)
        curve += style.vibrato_cents / 100 * depth * wave
    slow, quick = wander(len(at), 0.35, rng)[:, 0], wander(len(at), 0.05, rng)[:, 0]
    return np.asarray(curve + style.drift_cents / 100 * (slow + 0.25 * quick))


def _inhale(line: Delivery, until_s: float, longest_s: float, rng: np.random.Generator) -> None:
    """A breath that ends just before a phrase."""
    seconds = min(longest_s, float(rng.uniform(0.12, 0.45)))
    stop = round((until_s - 0.03) * ROWS_PER_S)
    begin = max(0, stop - round(seconds * ROWS_PER_S))
    if stop - begin < 8:
        return
    swell = np.sin(np.linspace(0.05, np.pi - 0.3, stop - begin)) ** 2
    line.envelope_db[begin:stop] = _air(rng) + 10 * np.log10(swell + 1e-4)[:, None] + rng.uniform(-58, -36)
    line.noise[begin:stop] = 1
    line.voiced[begin:stop] = 0


def _air(rng: np.random.Generator) -> Array:
    """The colour of a breath: broad, with the weak resonances of an open mouth. Shape: `(BANDS,)`."""
    hz = band_hz()
    colour = -6 * np.abs(np.log2(hz / rng.uniform(1200, 3000)))
    for centre in (rng.uniform(500, 1100), rng.uniform(1300, 2200), rng.uniform(2500, 6000)):
        colour += rng.uniform(3, 10) * np.exp(-0.5 * (np.log2(hz / centre) / 0.2) ** 2)
    return np.asarray(colour)
