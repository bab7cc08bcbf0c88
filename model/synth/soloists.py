"""Lead instruments that sing without being voices: what a separator takes for vocals unless it is shown.

Saxophones, solo violins and flutes bend, vibrate and scoop; lead synthesisers glide; a talk-box speaks
vowels; choirs of oscillators hum. All of them belong to the stem `other`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

import numpy as np

from ..audio import Audio
from .oscillators import Signal, band_pass, high_pass, low_pass, pitch_line, swept, wavetable
from .score import Note
from .soundfont import Bends, Orchestra
from .synthesiser import Patch, line_envelopes, play_patch

_VOWELS: tuple[tuple[tuple[float, float, float], ...], ...] = (
    ((730, 1.0, 6), (1090, 0.6, 8), (2440, 0.25, 10), (3400, 0.12, 10)),
    ((530, 1.0, 6), (1840, 0.45, 9), (2480, 0.3, 10), (3400, 0.15, 10)),
    ((300, 1.0, 5), (2290, 0.35, 10), (3010, 0.3, 10), (3600, 0.15, 10)),
    ((570, 1.0, 6), (840, 0.7, 7), (2410, 0.15, 10), (3300, 0.08, 10)),
    ((320, 1.0, 5), (870, 0.4, 7), (2240, 0.1, 10), (3300, 0.05, 10)),
)
"""(Hz, level, Q) of the formants of a, e, i, o, u: Peterson and Barney (1952)."""

Soloist = Callable[[Sequence[Note], int, int, np.random.Generator], Audio]


def lead_synth(notes: Sequence[Note], frames: int, sample_rate: int, rng: np.random.Generator) -> Audio:
    """One or two oscillators with glide and vibrato."""
    hz = _singing_line(notes, frames, sample_rate, rng)
    shape = str(rng.choice(["saw", "pulse", "triangle", "hollow", "sine"]))
    tables = wavetable(shape, float(rng.uniform(0.2, 0.5)))
    raw = swept(tables, hz, sample_rate)
    if rng.random() < 0.5:
        raw = raw + swept(tables, hz * 2 ** (float(rng.uniform(4, 14)) / 1200), sample_rate, 0.4)
    level, fade = line_envelopes(
        notes, frames, sample_rate, float(rng.uniform(0.005, 0.06)), 0.6, 0.8, 0.08, 0.4
    )
    dark, bright = float(rng.uniform(1200, 4000)), float(rng.uniform(3000, 12000))
    raw = raw * level * np.float32(0.25)
    mono = low_pass(raw * (1 - fade), dark, sample_rate, 1.2) + low_pass(raw * fade, bright, sample_rate, 1.2)
    return np.stack([mono, mono]).astype(np.float32)


def talk_box(notes: Sequence[Note], frames: int, sample_rate: int, rng: np.random.Generator) -> Audio:
    """A saw through a mouth: vowels follow one another, one a note, through a bank of formants."""
    hz = _singing_line(notes, frames, sample_rate, rng)
    level, _ = line_envelopes(notes, frames, sample_rate, 0.02, 1.0, 0.9, 0.06, 0.1)
    raw = swept(wavetable(str(rng.choice(["saw", "pulse"])), 0.2), hz, sample_rate) * level
    chosen = [int(vowel) for vowel in rng.permutation(len(_VOWELS))[:3]]
    turns = rng.integers(len(chosen), size=max(1, len(notes)))
    stretch = float(rng.uniform(0.85, 1.2))
    mono = np.zeros(frames, np.float32)
    for k, vowel in enumerate(chosen):
        mouth = _mouth(notes, turns == k, frames, sample_rate)
        mono += mouth * _formants(raw, vowel, stretch, sample_rate)
    return np.stack([mono, mono]) * np.float32(0.5)


def reed(notes: Sequence[Note], frames: int, sample_rate: int, rng: np.random.Generator) -> Audio:
    """A saxophone of oscillators: brightness follows loudness, breath rides on top."""
    hz = _singing_line(notes, frames, sample_rate, rng)
    level, bite = line_envelopes(notes, frames, sample_rate, 0.03, 1.5, 0.75, 0.07, 0.15)
    raw = swept(wavetable("saw"), hz, sample_rate) * level
    breath = rng.standard_normal(frames, dtype=np.float32) * level * np.float32(rng.uniform(0.02, 0.12))
    body = low_pass(raw, 1200, sample_rate) + low_pass(raw * (0.4 + bite), 4500, sample_rate) * np.float32(
        0.7
    )
    nose = band_pass(raw, float(rng.uniform(1100, 1900)), sample_rate, 3.0)
    mono = np.tanh((body + nose) * np.float32(0.5)) * np.float32(0.4) + high_pass(breath, 1500, sample_rate)
    return np.stack([mono, mono]).astype(np.float32)


def synth_choir(notes: Sequence[Note], frames: int, sample_rate: int, rng: np.random.Generator) -> Audio:
    """Detuned saws through one vowel: choirs that were never people."""
    patch = Patch(
        "saw", voices=4, detune_cents=float(rng.uniform(10, 25)), spread=0.9,
        attack_s=float(rng.uniform(0.05, 0.3)), decay_s=2.0, sustain=0.9, release_s=0.4, dark_hz=5000.0,
        bright_hz=7000.0, noise=0.05,
    )  # fmt: skip
    raw = play_patch(patch, notes, frames, sample_rate, rng)
    vowel = int(rng.integers(len(_VOWELS)))
    return np.asarray(_formants(raw, vowel, float(rng.uniform(0.85, 1.2)), sample_rate) * np.float32(1.5))


def play_solo(
    orchestra: Orchestra,
    program: int,
    notes: Sequence[Note],
    frames: int,
    sample_rate: int,
    rng: np.random.Generator,
) -> Audio:
    """A line on a soundfont's program with scoops into notes and vibrato on long ones, as breath and bow do.

    Shape: returns `(2, frames)`.
    """
    scoop, depth = float(rng.uniform(0.0, 1.2)), float(rng.uniform(0.05, 0.45))
    speed = float(rng.uniform(4.5, 6.5))
    moments = np.arange(0, frames, 512)
    time = moments / sample_rate
    bend = np.zeros(len(moments))
    for note in notes:
        inside = (time >= note.start_s - 0.01) & (time < note.start_s + note.seconds)
        t = time[inside] - note.start_s
        scooped = scoop if rng.random() < 0.5 else 0.0
        grown = np.clip((t - 0.2) / 0.3, 0, 1) * depth
        bend[inside] = -scooped * np.exp(-np.maximum(t, 0) / 0.05) + grown * np.sin(2 * np.pi * speed * t)
    moved = np.flatnonzero(np.diff(bend, prepend=1.0) != 0)
    bends = Bends(frames=[int(moments[i]) for i in moved], semitones=[float(bend[i]) for i in moved])
    larger = int(rng.choice([0, 0, -3, -2, 2, 3]))
    font = orchestra.choose(rng)
    return orchestra.play(font, program, notes, frames, sample_rate, bends, larger=larger)


def _singing_line(
    notes: Sequence[Note], frames: int, sample_rate: int, rng: np.random.Generator
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return pitch_line(
        notes,
        frames,
        sample_rate,
        glide_s=float(rng.choice([0.0, 0.02, 0.05, 0.1])),
        vibrato_cents=float(rng.uniform(5, 60)),
        vibrato_hz=float(rng.uniform(4.5, 6.5)),
        onset_s=float(rng.uniform(0.1, 0.4)),
    )


def _mouth(
    notes: Sequence[Note], chosen: np.ndarray[tuple[int], np.dtype[np.bool_]], frames: int, sample_rate: int
) -> Signal:
    """Where one vowel is spoken, 0 to 1, the lips moving in some 60 ms."""
    stride = 256
    shape = np.zeros(frames // stride + 2, np.float32)
    for note, spoken, following in zip_longest(notes, chosen, notes[1:]):
        if spoken:
            first = int(note.start_s * sample_rate / stride)
            last = len(shape) if following is None else int(following.start_s * sample_rate / stride)
            shape[first:last] = 1.0
    shape = np.convolve(shape, np.hanning(13)[1:-1] / np.hanning(13).sum(), "same").astype(np.float32)
    return np.interp(np.arange(frames), np.arange(len(shape)) * stride, shape).astype(np.float32)


def _formants(
    sound: Signal | Audio, vowel: int, stretch: float, sample_rate: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    total = np.zeros_like(sound)
    for hz, level, q in _VOWELS[vowel]:
        total += np.float32(level) * band_pass(sound, hz * stretch, sample_rate, q)
    return total


SOLOISTS: dict[str, Soloist] = {
    "lead synth": lead_synth,
    "talk-box": talk_box,
    "reed": reed,
    "synth choir": synth_choir,
}
"""Procedural soloists by name."""

SOLO_PROGRAMS: dict[str, tuple[int, ...]] = {
    "saxophone": (64, 65, 66, 67),
    "violin": (40, 41),
    "cello": (42,),
    "flute": (73, 72, 75),
    "clarinet": (71, 68),
    "trumpet": (56, 59, 57),
    "harmonica": (22,),
    "whistle": (78, 79),
    "voice lead": (85, 54, 53),
    "gm lead": (80, 81, 87, 82),
    "choir": (52, 53, 54, 91),
}
"""Soloists of the soundfonts, as General MIDI programs from 0. Choir samples here are instruments."""
