"""Oscillators, envelopes and filters that procedural instruments are made of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio
from .score import Note

Signal = NDArray[np.float32]
"""`(frames,)` float32."""

TABLE = 2048
_LOWEST_HZ = 20.0
_OCTAVES = 10
_HIGHEST_HZ = 19000.0


@lru_cache(maxsize=64)
def wavetable(shape: str, width: float = 0.5) -> Signal:
    """One period of a waveform for every octave, each without harmonics that would fold back.

    Shapes: `saw`, `pulse` (its duty cycle is `width`), `triangle`, `sine`, `hollow`, `organ:888000000`
    (drawbars 16', 5 1/3', 8', 4', 2 2/3', 2', 1 3/5', 1 1/3', 1' from 0 to 8). Returns
    `(octaves, TABLE)`, read at `octave_of(hz)`.
    """
    harmonics = np.arange(1, TABLE // 2)
    if shape == "saw":
        levels = 1.0 / harmonics
    elif shape == "pulse":
        levels = np.sin(np.pi * harmonics * width) / harmonics
    elif shape == "triangle":
        levels = np.where(harmonics % 2, np.where(harmonics % 4 == 1, 1.0, -1.0) / harmonics**2, 0.0)
    elif shape == "hollow":
        levels = np.where(harmonics % 2, 1.0 / harmonics**1.5, 0.15 / harmonics)
    elif shape.startswith("organ:"):
        # Read an octave down, so that the 16' bar is the first harmonic.
        levels = np.zeros(len(harmonics))
        for place, bar in zip((1, 3, 2, 4, 6, 8, 10, 12, 16), shape.removeprefix("organ:"), strict=True):
            levels[place - 1] = int(bar) / 8
    else:
        levels = np.where(harmonics == 1, 1.0, 0.0)
    tables = np.empty((_OCTAVES, TABLE), np.float32)
    for octave in range(_OCTAVES):
        limit = _HIGHEST_HZ / (_LOWEST_HZ * 2.0 ** (octave + 1))
        spectrum = np.zeros(TABLE // 2 + 1, complex)
        spectrum[1:-1] = np.where((harmonics <= limit) | (harmonics == 1), levels, 0.0) * -0.5j * TABLE
        tables[octave] = np.fft.irfft(spectrum)
    tables /= np.sqrt(np.mean(tables[2] ** 2)) + 1e-9
    return tables


def octave_of(hz: float) -> int:
    """The row of a wavetable for a frequency."""
    return int(np.clip(np.ceil(np.log2(max(hz, _LOWEST_HZ) / _LOWEST_HZ)) - 1, 0, _OCTAVES - 1))


def hertz(pitch: float) -> float:
    """Frequency of a MIDI note number."""
    return float(440.0 * 2.0 ** ((pitch - 69.0) / 12.0))


def tone(table: Signal, hz: float, frames: int, sample_rate: int, phase: float = 0.0) -> Signal:
    """A steady tone from one row of a wavetable, `phase` in periods."""
    index = (np.arange(frames, dtype=np.float64) * (hz / sample_rate) + phase % 1.0) * TABLE
    return np.asarray(table[index.astype(np.int64) & (TABLE - 1)])


def swept(tables: Signal, hz: NDArray[np.float64], sample_rate: int, phase: float = 0.0) -> Signal:
    """A tone whose frequency moves; every frame reads the row of its octave."""
    index = (np.cumsum(hz / sample_rate) + phase) * TABLE
    rows = np.clip(
        np.ceil(np.log2(np.maximum(hz, _LOWEST_HZ) / _LOWEST_HZ)).astype(np.int64) - 1, 0, _OCTAVES - 1
    )
    return np.asarray(tables.ravel()[rows * TABLE + (index.astype(np.int64) & (TABLE - 1))])


def adsr(
    frames: int, sample_rate: int, attack_s: float, decay_s: float, sustain: float, release_s: float
) -> Signal:
    """An envelope for a note held `frames`, with its release after that: linear up, exponential down.

    Shape: returns `(frames + release,)`.
    """
    t = np.arange(frames, dtype=np.float32) / sample_rate
    held = sustain + (1.0 - sustain) * np.exp(-np.maximum(t - attack_s, 0.0) / max(decay_s, 1e-3))
    if attack_s > 0:
        held *= np.minimum(t / attack_s, 1.0)
    tail = max(1, round(release_s * sample_rate))
    fall = np.exp(-4.0 * np.arange(tail, dtype=np.float32) / tail) * np.linspace(1, 0, tail, dtype=np.float32)
    last = held[-1] if frames else 0.0
    return np.concatenate([held, last * fall]).astype(np.float32)


def pitch_line(
    notes: Sequence[Note],
    frames: int,
    sample_rate: int,
    *,
    glide_s: float = 0.0,
    vibrato_cents: float = 0.0,
    vibrato_hz: float = 5.5,
    onset_s: float = 0.25,
) -> NDArray[np.float64]:
    """Frequency over time of a player of one note at a time, in Hz.

    Slides of `glide_s` (time constant of an exponential approach) join one note to the next; vibrato grows
    in `onset_s` after a note begins. Shape: returns `(frames,)`.
    """
    stride = 32
    count = frames // stride + 2
    rate = sample_rate / stride
    pitch = np.full(count, float(notes[0].pitch) if notes else 60.0)
    depth = np.zeros(count)
    for note, following in zip_longest(notes, notes[1:]):
        first = int(np.clip(note.start_s * rate, 0, count))
        last = count if following is None else int(np.clip(following.start_s * rate, first, count))
        t = np.arange(last - first) / rate
        before = pitch[first - 1] if first else float(note.pitch)
        if glide_s > 0:
            pitch[first:last] = note.pitch + (before - note.pitch) * np.exp(-t / glide_s)
        else:
            pitch[first:last] = note.pitch
        depth[first:last] = np.clip((t - onset_s) / max(onset_s, 1e-3), 0, 1)
    time = np.arange(count) / rate
    pitch += depth * vibrato_cents / 100 * np.sin(2 * np.pi * vibrato_hz * time)
    exact = np.interp(np.arange(frames), np.arange(count) * stride, pitch)
    return np.asarray(440.0 * 2.0 ** ((exact - 69.0) / 12.0))


def add(target: Audio | Signal, start: int, sound: Audio | Signal, gain: float = 1.0) -> None:
    """Mix a sound into `target` from a frame on; what hangs over either end is cut."""
    skip = max(0, -start)
    start = max(0, start)
    length = min(sound.shape[-1] - skip, target.shape[-1] - start)
    if length > 0:
        target[..., start : start + length] += sound[..., skip : skip + length] * np.float32(gain)


def low_pass(audio: Any, cutoff_hz: float, sample_rate: int, q: float = 0.707) -> Any:
    """A second-order low-pass filter (R. Bristow-Johnson, Audio EQ Cookbook)."""
    return _biquad("low", audio, cutoff_hz, sample_rate, q)


def band_pass(audio: Any, centre_hz: float, sample_rate: int, q: float) -> Any:
    """A second-order band-pass filter of 0 dB at its centre (the same source)."""
    return _biquad("band", audio, centre_hz, sample_rate, q)


def high_pass(audio: Any, cutoff_hz: float, sample_rate: int, q: float = 0.707) -> Any:
    """A second-order high-pass filter (the same source)."""
    return _biquad("high", audio, cutoff_hz, sample_rate, q)


def _biquad(kind: str, audio: Any, hz: float, sample_rate: int, q: float) -> Any:
    from scipy.signal import lfilter

    w = 2 * np.pi * min(hz, 0.45 * sample_rate) / sample_rate
    alpha, cos = np.sin(w) / (2 * q), np.cos(w)
    b = {
        "low": [(1 - cos) / 2, 1 - cos, (1 - cos) / 2],
        "high": [(1 + cos) / 2, -(1 + cos), (1 + cos) / 2],
        "band": [alpha, 0.0, -alpha],
    }[kind]
    a = np.array([1 + alpha, -2 * cos, 1 - alpha])
    # Coefficients of the signal's own type: lfilter would compute in float64 otherwise.
    taps = (np.array(b) / a[0]).astype(np.float32), (a / a[0]).astype(np.float32)
    if hz < 0.003 * sample_rate:  # poles too near 1 for float32
        return lfilter(np.array(b) / a[0], a / a[0], audio).astype(np.float32)
    return lfilter(*taps, audio)
