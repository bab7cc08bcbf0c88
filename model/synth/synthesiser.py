"""Procedural instruments: subtractive and FM synthesisers, basses, organs, plucked strings, mallets.

Polyphonic ones render each different note once and lay copies of it; monophonic ones render a whole line
with its slides. Filters that follow an envelope are two fixed filters that the envelope fades between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from ..audio import Audio
from .oscillators import (
    Signal,
    add,
    adsr,
    hertz,
    high_pass,
    low_pass,
    octave_of,
    pitch_line,
    swept,
    tone,
    wavetable,
)
from .score import Note

Instrument = Callable[[Sequence[Note], int, int, np.random.Generator], Audio]
"""(notes, frames, sample rate, generator) -> audio `(2, frames)`; the generator decides on the timbre."""


@dataclass(frozen=True)
class Patch:
    """A polyphonic subtractive synthesiser's settings."""

    shape: str
    width: float = 0.5
    voices: int = 1
    """Detuned oscillators a note."""
    detune_cents: float = 0.0
    spread: float = 0.0
    """0: all in the centre; 1: hard left to hard right."""
    octave: float = 0.0
    """Level of a second oscillator an octave down."""
    attack_s: float = 0.005
    decay_s: float = 0.4
    sustain: float = 0.7
    release_s: float = 0.2
    dark_hz: float = 800.0
    bright_hz: float = 6000.0
    sweep_s: float = 0.3
    """How fast the filter falls from bright to dark."""
    resonance: float = 0.8
    noise: float = 0.0


def play_patch(
    patch: Patch, notes: Sequence[Note], frames: int, sample_rate: int, rng: np.random.Generator
) -> Audio:
    """Notes on a subtractive synthesiser. Shape: returns `(2, frames)`."""
    dark = np.zeros((2, frames), np.float32)
    bright = np.zeros((2, frames), np.float32)
    sounds: dict[tuple[float, int], tuple[Audio, Audio]] = {}
    tables = wavetable(patch.shape, patch.width)
    offset = 0.5 if patch.shape.startswith("organ") else 1.0
    for note in notes:
        held = round(note.seconds * 100)
        key = (note.pitch, held)
        if key not in sounds:
            envelope = adsr(
                max(held, 2) * sample_rate // 100,
                sample_rate,
                patch.attack_s,
                patch.decay_s,
                patch.sustain,
                patch.release_s,
            )
            raw = (
                _stack(patch, tables, hertz(note.pitch) * offset, len(envelope), sample_rate, rng) * envelope
            )
            fade = np.exp(-np.arange(len(envelope), dtype=np.float32) / (patch.sweep_s * sample_rate))
            sounds[key] = raw * (1 - fade), raw * fade
        start = round(note.start_s * sample_rate)
        add(dark, start, sounds[key][0], note.velocity)
        add(bright, start, sounds[key][1], note.velocity)
    return np.asarray(
        low_pass(dark, patch.dark_hz, sample_rate, patch.resonance)
        + low_pass(bright, patch.bright_hz, sample_rate, patch.resonance),
        np.float32,
    )


def _stack(
    patch: Patch, tables: Signal, hz: float, frames: int, sample_rate: int, rng: np.random.Generator
) -> Audio:
    """The oscillators of one note, spread over the stereo field."""
    stereo = np.zeros((2, frames), np.float32)
    row = tables[octave_of(hz * 1.03)]
    places = np.linspace(-1, 1, patch.voices) if patch.voices > 1 else np.zeros(1)
    for place in places:
        detuned = hz * 2 ** (place * patch.detune_cents / 1200)
        voice = tone(row, detuned, frames, sample_rate, float(rng.random()))
        if patch.octave:
            voice = voice + patch.octave * tone(row, detuned / 2, frames, sample_rate, float(rng.random()))
        pan = float(rng.permutation([place, -place])[0]) * patch.spread
        stereo[0] += voice * np.float32(np.sqrt((1 - pan) / 2))
        stereo[1] += voice * np.float32(np.sqrt((1 + pan) / 2))
    if patch.noise:
        stereo += patch.noise * rng.standard_normal((2, frames), dtype=np.float32)
    return np.asarray(stereo * np.float32(0.25 / np.sqrt(patch.voices)), np.float32)


def _subtractive(make: Callable[[np.random.Generator], Patch]) -> Instrument:
    def play(notes: Sequence[Note], frames: int, sample_rate: int, rng: np.random.Generator) -> Audio:
        return play_patch(make(rng), notes, frames, sample_rate, rng)

    return play


def _shape(rng: np.random.Generator) -> tuple[str, float]:
    return str(rng.choice(["saw", "saw", "pulse", "triangle", "hollow"])), float(rng.uniform(0.15, 0.5))


def _pad_patch(rng: np.random.Generator) -> Patch:
    shape, width = _shape(rng)
    return Patch(
        shape, width, voices=int(rng.integers(2, 5)), detune_cents=float(rng.uniform(5, 22)),
        spread=float(rng.uniform(0.4, 1)), octave=float(rng.choice([0, 0, 0.5])),
        attack_s=float(rng.uniform(0.05, 0.6)), decay_s=1.0, sustain=0.8,
        release_s=float(rng.uniform(0.2, 0.9)), dark_hz=float(rng.uniform(600, 3000)),
        bright_hz=float(rng.uniform(1500, 7000)), sweep_s=float(rng.uniform(0.5, 2)),
        noise=float(rng.choice([0, 0, 0.02])),
    )  # fmt: skip


def _super_saw_patch(rng: np.random.Generator) -> Patch:
    return Patch(
        "saw", voices=int(rng.choice([5, 7])), detune_cents=float(rng.uniform(10, 35)),
        spread=float(rng.uniform(0.6, 1)), attack_s=0.004, decay_s=float(rng.uniform(0.2, 1)),
        sustain=float(rng.uniform(0.5, 0.9)), release_s=float(rng.uniform(0.05, 0.35)),
        dark_hz=float(rng.uniform(2500, 12000)), bright_hz=float(rng.uniform(6000, 15000)), sweep_s=0.3,
    )  # fmt: skip


def _pluck_patch(rng: np.random.Generator) -> Patch:
    shape, width = _shape(rng)
    return Patch(
        shape, width, voices=int(rng.choice([1, 1, 2, 3])), detune_cents=float(rng.uniform(3, 15)),
        spread=float(rng.uniform(0, 0.8)), attack_s=0.002, decay_s=float(rng.uniform(0.06, 0.35)),
        sustain=0.0, release_s=float(rng.uniform(0.05, 0.25)), dark_hz=float(rng.uniform(300, 1500)),
        bright_hz=float(rng.uniform(2000, 10000)), sweep_s=float(rng.uniform(0.02, 0.15)),
        resonance=float(rng.uniform(0.7, 3)),
    )  # fmt: skip


def _key_patch(rng: np.random.Generator) -> Patch:
    shape, width = _shape(rng)
    return Patch(
        shape, width, voices=int(rng.choice([1, 2])), detune_cents=float(rng.uniform(3, 12)),
        spread=float(rng.uniform(0, 0.5)), attack_s=float(rng.uniform(0.002, 0.03)),
        decay_s=float(rng.uniform(0.2, 1)), sustain=float(rng.uniform(0.3, 0.8)), release_s=0.12,
        dark_hz=float(rng.uniform(500, 2500)), bright_hz=float(rng.uniform(1500, 8000)),
        sweep_s=float(rng.uniform(0.05, 0.5)), resonance=float(rng.uniform(0.7, 2.5)),
    )  # fmt: skip


def _organ_patch(rng: np.random.Generator) -> Patch:
    bars = str(
        rng.choice(
            ["888000000", "868600000", "888800008", "008800000", "888888888", "806008000", "688600040"]
        )
    )
    return Patch(
        f"organ:{bars}", attack_s=0.004, decay_s=1.0, sustain=1.0, release_s=0.03, dark_hz=7000.0,
        bright_hz=9000.0, noise=float(rng.uniform(0, 0.006)),
    )  # fmt: skip


def fm_keys(notes: Sequence[Note], frames: int, sample_rate: int, rng: np.random.Generator) -> Audio:
    """Electric pianos, bells and mallets: a decaying modulator on a decaying carrier (Chowning 1973)."""
    ratio = float(rng.choice([1.0, 2.0, 3.0, 7.0, 14.0, 3.5, 1.41]))
    index = float(rng.uniform(0.4, 2.2)) / (1 if ratio < 4 else 2.5)
    decay = float(rng.uniform(0.25, 1.6))
    bite = float(rng.uniform(0.03, 0.4))
    tremolo, rate = float(rng.choice([0, 0, rng.uniform(0.1, 0.5)])), float(rng.uniform(3, 7))
    mono = np.zeros(frames, np.float32)
    sounds: dict[tuple[float, int], Signal] = {}
    for note in notes:
        key = (note.pitch, round(note.seconds * 50))
        if key not in sounds:
            envelope = adsr(max(key[1], 1) * sample_rate // 50, sample_rate, 0.002, decay, 0.0, 0.12)
            t = np.arange(len(envelope), dtype=np.float32) / sample_rate
            w = np.float32(2 * np.pi * hertz(note.pitch))
            strength = np.float32(min(index, 15000 / hertz(note.pitch) / ratio)) * np.exp(-t / bite)
            sounds[key] = envelope * np.sin(w * t + strength * np.sin(np.float32(ratio) * w * t))
        add(mono, round(note.start_s * sample_rate), sounds[key], note.velocity * 0.3)
    t = np.arange(frames, dtype=np.float32) / sample_rate
    swing = np.float32(tremolo) * np.sin(np.float32(2 * np.pi * rate) * t)
    return np.stack([mono * (1 + swing), mono * (1 - swing)])


def plucked_strings(notes: Sequence[Note], frames: int, sample_rate: int, rng: np.random.Generator) -> Audio:
    """Strings after Karplus and Strong (1983): noise in a loop whose averaging filter is the damping."""
    sound = StringMaker(sample_rate, rng)
    mono = np.zeros(frames, np.float32)
    for note in notes:
        add(
            mono,
            round(note.start_s * sample_rate),
            sound.string(note.pitch, note.seconds),
            note.velocity * 0.4,
        )
    return np.stack([mono, mono])


class StringMaker:
    """Plucked strings of one instrument: each pitch rings once, notes are cut from it."""

    def __init__(self, sample_rate: int, rng: np.random.Generator, *, ring_s: float | None = None) -> None:
        self._rate = sample_rate
        self._rng = rng
        self._ring_s = ring_s if ring_s is not None else float(rng.uniform(0.5, 3.0))
        self._blend = float(rng.uniform(0.25, 0.5))
        self._pick = float(rng.uniform(0.08, 0.4))
        self._soft = int(rng.integers(0, 4))
        self._release_s = float(rng.uniform(0.02, 0.12))
        self._rung: dict[tuple[float, int], Signal] = {}

    def string(self, pitch: float, seconds: float, take: int = 0) -> Signal:
        """A note of a pitch, damped after `seconds`; every `take` is plucked a little differently."""
        if (pitch, take) not in self._rung:
            self._rung[pitch, take] = self._ring(hertz(pitch))
        ringing = self._rung[pitch, take]
        held = min(round(seconds * self._rate), len(ringing))
        tail = min(round(self._release_s * self._rate), len(ringing) - held)
        sound = ringing[: held + tail].copy()
        sound[held:] *= np.linspace(1, 0, tail, dtype=np.float32) ** 2
        return sound

    def _ring(self, hz: float) -> Signal:
        period = int(self._rate / hz)
        row = self._rng.uniform(-1, 1, period).astype(np.float32)
        for _ in range(self._soft):
            row = (row + np.roll(row, 1)) * np.float32(0.5)
        # A pick at a fraction of the string takes out the harmonics that have a node there.
        row -= np.roll(row, int(self._pick * period))
        row /= np.abs(row).max() + 1e-6
        seconds = min(2.5, 2.5 * self._ring_s)
        loss = np.float32(10 ** (-3.0 / (self._ring_s * hz)))
        rows = np.empty((int(seconds * hz), period), np.float32)
        blend = np.float32(self._blend * min(1.0, (200.0 / hz) ** 0.5))
        for i in range(len(rows)):
            rows[i] = row
            row = loss * ((1 - blend) * row + blend * np.roll(row, 1))
        flat = rows.ravel()
        # The loop is whole frames long (and the filter adds `blend` of one): read it at the right speed.
        speed = hz * (period + float(blend)) / self._rate
        ringing = np.interp(np.arange(0, len(flat) - 1, speed), np.arange(len(flat)), flat)
        return np.asarray(ringing, np.float32)


def synth_bass(notes: Sequence[Note], frames: int, sample_rate: int, rng: np.random.Generator) -> Audio:
    """One oscillator or two and a sub, through a filter that closes after each note."""
    shape, width = _shape(rng)
    glide = float(rng.choice([0.0, 0.0, 0.015, 0.04]))
    hz = pitch_line(notes, frames, sample_rate, glide_s=glide)
    tables = wavetable(shape, width)
    raw = swept(tables, hz, sample_rate)
    if rng.random() < 0.4:  # a detuned second one: the growl of drum and bass
        raw = raw + swept(tables, hz * 2 ** (float(rng.uniform(4, 30)) / 1200), sample_rate, 0.3)
    raw = raw + np.float32(rng.choice([0.0, 0.6, 1.2])) * swept(
        wavetable("sine"), hz / float(rng.choice([1, 2])), sample_rate
    )
    sweep = float(rng.uniform(0.04, 0.5))
    dark = float(np.exp(rng.uniform(np.log(120), np.log(900))))
    bright = dark * float(rng.uniform(1.5, 12))
    q = float(rng.uniform(0.7, 3.0))
    level, fade = line_envelopes(
        notes, frames, sample_rate, 0.003, float(rng.choice([0.15, 0.5, 3.0])), 0.6, 0.04, sweep
    )
    raw = raw * level
    sound = low_pass(raw * (1 - fade), dark, sample_rate, q) + low_pass(
        raw * fade, min(bright, 9000), sample_rate, q
    )
    drive = float(rng.choice([0.5, 1.0, 3.0]))
    mono = np.tanh(np.float32(drive) * sound) / np.float32(drive)
    return np.stack([mono, mono]).astype(np.float32)


def sine_bass(notes: Sequence[Note], frames: int, sample_rate: int, rng: np.random.Generator) -> Audio:
    """The 808: a sine that drops onto its pitch, rings, glides between notes, and is driven more or less."""
    hz = pitch_line(notes, frames, sample_rate, glide_s=float(rng.choice([0.0, 0.02, 0.06, 0.12])))
    decay = float(rng.choice([0.4, 0.8, 1.6, 5.0]))
    level, drop = line_envelopes(
        notes, frames, sample_rate, 0.003, decay, 0.0 if decay < 3 else 0.9, 0.06, 0.02
    )
    mono = swept(wavetable("sine"), hz * (1 + float(rng.choice([0.0, 0.5, 1.5])) * drop), sample_rate) * level
    drive = float(rng.choice([0.0, 1.0, 2.0, 5.0, 10.0]))
    if drive:
        mono = np.tanh(np.float32(drive) * mono) / np.float32(np.tanh(drive))
    if rng.random() < 0.3:
        mono = (
            mono + np.float32(rng.uniform(0.05, 0.3)) * swept(wavetable("sine"), hz * 2, sample_rate) * level
        )
    return np.stack([mono, mono]).astype(np.float32) * np.float32(0.7)


def fm_bass(notes: Sequence[Note], frames: int, sample_rate: int, rng: np.random.Generator) -> Audio:
    """A carrier and one modulator, as the DX7's basses."""
    hz = pitch_line(notes, frames, sample_rate)
    ratio = float(rng.choice([0.5, 1.0, 2.0, 3.0]))
    level, bite = line_envelopes(
        notes, frames, sample_rate, 0.003, 0.5, 0.45, 0.05, float(rng.uniform(0.05, 0.3))
    )
    phase = 2 * np.pi * np.cumsum(hz / sample_rate)
    index = np.float32(rng.uniform(0.8, 4.0)) * (0.15 + bite)
    mono = np.sin(phase + index * np.sin(ratio * phase)).astype(np.float32) * level
    return np.stack([mono, mono]) * np.float32(0.6)


def line_envelopes(
    notes: Sequence[Note],
    frames: int,
    sample_rate: int,
    attack_s: float,
    decay_s: float,
    sustain: float,
    release_s: float,
    sweep_s: float,
) -> tuple[Signal, Signal]:
    """Loudness of a line, and a sweep from 1 towards 0 that starts again with every note."""
    level = np.zeros(frames, np.float32)
    sweep = np.zeros(frames, np.float32)
    for note, following in zip_longest(notes, notes[1:]):
        start = max(0, round(note.start_s * sample_rate))
        until = frames if following is None else round(following.start_s * sample_rate)
        envelope = adsr(
            max(1, round(note.seconds * sample_rate)), sample_rate, attack_s, decay_s, sustain, release_s
        )[: max(0, min(until, frames) - start)]
        level[start : start + len(envelope)] = envelope * note.velocity
        fall = np.arange(len(envelope), dtype=np.float32) / np.float32(sweep_s * sample_rate)
        sweep[start : start + len(envelope)] = np.exp(-fall)
    # A note cut off by the next would click.
    smooth = np.ones(64, np.float32) / 64
    return np.asarray(np.convolve(level, smooth)[:frames], np.float32), sweep


def noise_riser(notes: Sequence[Note], frames: int, sample_rate: int, rng: np.random.Generator) -> Audio:
    """Noise that swells and brightens up to the end of each note: the effect before a drop."""
    audio = np.zeros((2, frames), np.float32)
    falls = rng.random() < 0.35
    for note in notes:
        length = round(note.seconds * sample_rate)
        noise = rng.standard_normal((2, length), dtype=np.float32) * np.float32(0.2)
        rise = np.linspace(0, 1, length, dtype=np.float32)
        rise = rise[::-1] if falls else rise
        low, high = low_pass(noise, 700, sample_rate), high_pass(noise, 2500, sample_rate)
        add(
            audio,
            round(note.start_s * sample_rate),
            rise**2 * (low * (1 - rise) * 3 + high * rise),
            note.velocity,
        )
    return audio


INSTRUMENTS: dict[str, Instrument] = {
    "synth pad": _subtractive(_pad_patch),
    "super-saw": _subtractive(_super_saw_patch),
    "synth pluck": _subtractive(_pluck_patch),
    "synth keys": _subtractive(_key_patch),
    "drawbar organ": _subtractive(_organ_patch),
    "fm keys": fm_keys,
    "plucked strings": plucked_strings,
    "synth bass": synth_bass,
    "808": sine_bass,
    "fm bass": fm_bass,
    "riser": noise_riser,
}
"""Procedural instruments by name."""
