"""A short song made of nothing but arithmetic: four stereo stems, for demos without any download."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Stem = NDArray[np.float32]

BEAT_S = 60 / 112
# A minor, F, C, G: the root as a MIDI note and the triad above it.
CHORDS = ((45, (57, 60, 64)), (41, (57, 60, 65)), (48, (55, 60, 64)), (43, (55, 59, 62)))
MELODY = (69, 72, 71, 67, 69, 64, 67, 65, 64, 67, 72, 71, 67, 62, 64, 67)
# Formants in Hz of the vowels "ah" and "oh", and how loud each is.
VOWELS = (((800, 1.0), (1150, 0.5), (2900, 0.15)), ((450, 1.0), (800, 0.35), (2830, 0.08)))


def make_song(seconds: float = 24.0, sample_rate: int = 44100, seed: int = 1) -> dict[str, Stem]:
    """Make drums, bass, other and vocals, each `(2, frames)`; they sum to a mix below full scale."""
    frames = round(seconds * sample_rate)
    rng = np.random.default_rng(seed)
    stems = {
        "drums": drums(frames, sample_rate, rng),
        "bass": bass(frames, sample_rate),
        "other": keys(frames, sample_rate),
        "vocals": voice(frames, sample_rate, rng),
    }
    peak = max(1e-9, float(np.abs(np.sum(list(stems.values()), axis=0)).max()))
    return {name: (stem * (0.8 / peak)).astype(np.float32) for name, stem in stems.items()}


def mixed(stems: dict[str, Stem]) -> Stem:
    """The song: its stems added up."""
    mix: Stem = np.sum(list(stems.values()), axis=0, dtype=np.float32)
    return mix


def hertz(note: float) -> float:
    """The frequency of a MIDI note."""
    return float(440 * 2 ** ((note - 69) / 12))


def drums(frames: int, rate: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Kick on one and three, snare on two and four, hi-hats on eighths."""
    out = np.zeros((2, frames))
    for eighth in range(int(frames / rate / BEAT_S * 2) + 1):
        start = round(eighth * BEAT_S / 2 * rate)
        n = min(round(0.25 * rate), frames - start)
        if n <= 0:
            break
        t = np.arange(n) / rate
        hat = np.diff(rng.standard_normal((2, n + 1)), axis=1) * np.exp(-t / 0.02)
        out[:, start : start + n] += 0.12 * hat * ([1.0], [0.7])
        if eighth % 4 == 0:
            out[:, start : start + n] += np.sin(2 * np.pi * (50 * t - 4 * np.exp(-t / 0.03))) * np.exp(
                -t / 0.09
            )
        elif eighth % 4 == 2:
            snap = rng.standard_normal((2, n)) * np.exp(-t / 0.05) + np.sin(2 * np.pi * 190 * t) * np.exp(
                -t / 0.06
            )
            out[:, start : start + n] += 0.4 * snap
    return out


def bass(frames: int, rate: int) -> NDArray[np.float64]:
    """The root of each chord in eighths, a few harmonics deep."""
    out = np.zeros(frames)
    for eighth in range(int(frames / rate / BEAT_S * 2) + 1):
        start = round(eighth * BEAT_S / 2 * rate)
        n = min(round(BEAT_S / 2 * rate), frames - start)
        if n <= 0:
            break
        root = CHORDS[eighth // 8 % len(CHORDS)][0] - 12 * (eighth % 8 != 6)
        t = np.arange(n) / rate
        shape = np.minimum(1, np.minimum(t / 0.005, (t[-1] - t) / 0.01)) * np.exp(-t / 0.4)
        out[start : start + n] += shape * sum(
            np.sin(2 * np.pi * h * hertz(root) * t) / h**1.5 for h in range(1, 6)
        )
    return np.tile(0.6 * out, (2, 1))


def keys(frames: int, rate: int) -> NDArray[np.float64]:
    """Sustained chords, slightly detuned between left and right so that they stand wide."""
    out = np.zeros((2, frames))
    bar = round(4 * BEAT_S * rate)
    for number, start in enumerate(range(0, frames, bar)):
        n = min(bar, frames - start)
        t = np.arange(n) / rate
        shape = np.minimum(1, np.minimum(t / 0.03, (t[-1] - t) / 0.05)) * (0.5 + 0.5 * np.exp(-t / 0.7))
        for place, note in enumerate(CHORDS[number % len(CHORDS)][1]):
            for side, cents in enumerate((-5, 5)):
                tone = sum(
                    np.sin(2 * np.pi * h * hertz(note + cents / 100) * t + place + 2 * side) / h**2
                    for h in range(1, 7)
                )
                out[side, start : start + n] += 0.16 * shape * tone
    return out


def voice(frames: int, rate: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A sung line in the middle: harmonics under a vowel's formants, with glide, vibrato and breath."""
    note_s = 2 * BEAT_S
    t = np.arange(frames) / rate
    index = (t / note_s).astype(int)
    notes = np.array(MELODY)[index % len(MELODY)].astype(float)
    glide = round(0.06 * rate)
    notes = np.convolve(np.pad(notes, (glide - 1, 0), mode="edge"), np.ones(glide) / glide, mode="valid")
    since = t - index * note_s
    vibrato = 0.3 * np.sin(2 * np.pi * 5.6 * t) * np.clip((since - 0.25) / 0.3, 0, 1)
    pitch = 440 * 2 ** ((notes + vibrato - 69) / 12)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    sings = (index % 8 != 7) & (t > 4 * BEAT_S)  # an empty bar first, a breath in each phrase
    envelope = np.convolve(
        sings * np.clip(np.minimum(since / 0.05, (note_s - since) / 0.08), 0, 1), [1.0], "same"
    )
    out = np.zeros(frames)
    for vowel, formants in enumerate(VOWELS):
        chosen = envelope * (index % 2 == vowel)
        for harmonic in range(1, 25):
            hz = harmonic * pitch
            weight = sum(
                level * np.exp(-(((hz - centre) / (0.16 * centre + 60)) ** 2)) for centre, level in formants
            )
            out += chosen * (weight + 0.02) * (hz < 0.45 * rate) * np.sin(harmonic * phase) / harmonic**0.3
    out += 0.01 * envelope * rng.standard_normal(frames)
    return np.tile(0.35 * out, (2, 1))
