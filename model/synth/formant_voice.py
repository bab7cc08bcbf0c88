"""Singers who never lived: random vocal tracts, moved from vowel to vowel, with random consonants between.

An acoustic tube model reduced to its formants (Fant 1960): the envelope is a glottal source whose slope
depends on the speaker, times a cascade of five resonators that glide from target to target; consonants are
nasals, glides, noise of a place's colour, and stops (a silence and a burst). What comes out is a
`VoiceTrack`, as if a recording had been analysed, so these voices are sung like any other and need no
program and no bank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .voice_track import BANDS, FLOOR_DB, FRAME_S, NOISE_HZ, VoiceTrack, band_hz

Array = NDArray[np.float64]

VOWELS: dict[str, tuple[float, float, float]] = {
    "i": (280, 2250, 2950), "y": (280, 1850, 2250), "e": (400, 2080, 2600), "ø": (400, 1550, 2250),
    "ɛ": (570, 1860, 2500), "œ": (560, 1420, 2300), "æ": (700, 1700, 2420), "a": (770, 1300, 2480),
    "ɑ": (720, 1080, 2500), "ɔ": (550, 850, 2470), "o": (410, 750, 2450), "u": (300, 720, 2300),
    "ʊ": (390, 980, 2320), "ʌ": (620, 1180, 2480), "ə": (500, 1480, 2500), "ɨ": (310, 1650, 2400),
    "ɝ": (470, 1330, 1700),
}  # fmt: skip
"""The first three formants of a man's vowels in Hz (round figures in the range the textbooks give)."""

CONSONANTS = ("nasal", "glide", "liquid", "hiss", "stop", "voiced-stop", "breath", "none")
CONSONANT_ODDS = (0.16, 0.12, 0.14, 0.18, 0.16, 0.12, 0.04, 0.08)


@dataclass(frozen=True)
class Tract:
    """One invented singer."""

    scale: float
    """Length of the vocal tract: formants are this much higher than a man's."""
    shift: Array
    """`(5,)`: how far each formant is off, as a factor."""
    sharpness: float
    """Factor on the bandwidths."""
    slope_db: float
    """Source slope above 1 kHz per octave; a pressed voice is flat, a soft one steep."""
    ring_db: float
    """The singer's formant: how much formants 3 to 5 gain by being close."""
    breath: float
    """Noise share at 3 kHz, 0 to 1."""
    nasality: float
    vowels: tuple[str, ...]

    @property
    def centre_hz(self) -> float:
        """A speaking pitch that suits the tract."""
        return float(118 * self.scale**3.6)

    @staticmethod
    def invent(rng: np.random.Generator) -> Tract:
        """Draw a singer: half of them women or children."""
        scale = rng.uniform(0.93, 1.08) if rng.random() < 0.5 else rng.uniform(1.1, 1.32)
        count = int(rng.integers(4, 11))
        return Tract(
            scale=float(scale),
            shift=np.exp(rng.normal(0, [0.03, 0.05, 0.05, 0.06, 0.08])),
            sharpness=float(rng.uniform(0.7, 1.6)),
            slope_db=float(rng.uniform(-14, -6)),
            ring_db=float(max(0.0, rng.normal(3, 5))),
            breath=float(rng.uniform(0.03, 0.5) ** 1.3),
            nasality=float(rng.uniform(0, 0.4)),
            vowels=tuple(rng.choice(list(VOWELS), count, replace=False)),
        )

    def formants(self, vowel: str) -> Array:
        """The five formants of a vowel in this tract."""
        low = np.array([*VOWELS[vowel], 3450.0, 4400.0])
        return np.asarray(low * self.scale * self.shift)


@dataclass
class _Timeline:
    """Targets of a phrase under construction: one row per event, interpolated to frames at the end."""

    times: list[float]
    rows: list[Array]
    """Five formants, level (dB), voicing, hiss level (dB), hiss centre (Hz), nasality."""

    def add(self, seconds: float, formants: Array, level: float, voiced: float, hiss: tuple[float, float],
            nasal: float) -> None:  # fmt: skip
        self.rows.append(np.array([*formants, level, voiced, *hiss, nasal]))
        self.times.append(self.times[-1] + seconds if self.times else 0.0)

    @property
    def now(self) -> int:
        return round(self.times[-1] / FRAME_S)


QUIET = (-100.0, 5000.0)


def invent_phrase(tract: Tract, syllables: int, rng: np.random.Generator) -> VoiceTrack:
    """Let the tract say that many random syllables."""
    line = _Timeline([], [])
    line.add(0, tract.formants("ə"), -60, 1, QUIET, 0)
    marks = []
    for k in range(syllables):
        start = line.now
        vowel = tract.formants(str(rng.choice(tract.vowels)))
        vowel[:2] *= np.exp(rng.normal(0, 0.03, 2))
        _consonant(line, str(rng.choice(CONSONANTS, p=CONSONANT_ODDS)), vowel, tract, rng)
        line.add(rng.uniform(0.02, 0.05), vowel, rng.normal(0, 2), 1, QUIET, tract.nasality)
        onset = line.now
        end = tract.formants(str(rng.choice(tract.vowels))) if rng.random() < 0.25 else vowel
        line.add(
            rng.uniform(0.08, 0.25), 0.4 * vowel + 0.6 * end, rng.normal(-1, 1), 1, QUIET, tract.nasality
        )
        coda = line.now
        if rng.random() < 0.3 or k == syllables - 1:
            _consonant(line, str(rng.choice(["nasal", "liquid", "hiss", "none"])), end, tract, rng)
        if k == syllables - 1:
            line.add(0.06, end, -60, 1, QUIET, 0)
        marks.append((start, onset, coda, line.now))
    frames = line.now + 1
    values = np.stack(
        [np.interp(np.arange(frames) * FRAME_S, line.times, column) for column in np.array(line.rows).T],
        axis=1,
    )
    return _track(tract, values, np.array(marks, np.int32), rng)


def _consonant(line: _Timeline, kind: str, vowel: Array, tract: Tract, rng: np.random.Generator) -> None:
    """Append the targets of one consonant, on the way to or from a vowel."""
    where = vowel * np.exp(rng.normal(0, [0.15, 0.2, 0.08, 0.05, 0.05]))
    where[0] = min(where[0], 350.0)
    last = line.rows[-1][:5]
    centre = (
        float(rng.choice([2000.0, 3000.0, 4200.0, 6500.0, 8500.0]))
        * tract.scale
        * float(rng.uniform(0.85, 1.15))
    )
    loud = float(rng.normal(-4, 5)) if centre > 2500 else float(rng.normal(-16, 4))
    hold = float(rng.uniform(0.04, 0.11))
    if kind == "nasal":
        line.add(0.02, where, -9, 1, QUIET, 1)
        line.add(hold, where, -8, 1, QUIET, 1)
    elif kind in ("glide", "liquid"):
        if kind == "liquid" and rng.random() < 0.5:
            where[2] = where[1] * 1.35  # an r pulls the third formant down
        line.add(0.03, where, -6, 1, QUIET, 0)
        line.add(0.6 * hold, where, -5, 1, QUIET, 0)
    elif kind == "hiss":
        voiced = float(rng.random() < 0.3) * 0.6
        line.add(0.02, last, -30, voiced, (loud, centre), 0)
        line.add(1.2 * hold, where, -30, voiced, (loud, centre), 0)
    elif kind in ("stop", "voiced-stop"):
        voiced = 0.5 if kind == "voiced-stop" else 0.0
        line.add(0.012, last, -55 + 25 * voiced, voiced, QUIET, 0)
        line.add(0.7 * hold, where, -60 + 30 * voiced, voiced, QUIET, 0)
        line.add(0.004, where, -40, voiced, (loud + 2, centre), 0)
        line.add(0.008, where, -25, voiced, (loud - 6, centre), 0)
        line.add(float(rng.uniform(0, 0.04)), where, -14, voiced, (loud - 18, 1500.0), 0)
    elif kind == "breath":
        line.add(0.02, vowel, -18, 0, QUIET, 0)
        line.add(hold, vowel, -14, 0, QUIET, 0)


def _cascade(formants: NDArray[Any], widths: NDArray[Any]) -> Array:
    """The response of resonators in series at the bands, in dB.

    One is F^2 / sqrt((f^2 - F^2)^2 + (B f)^2), 1 at f = 0. Shape: both `(n, 5)`, returns `(n, BANDS)`.
    """
    hz = band_hz()[:, None]
    square = formants[:, None, :] ** 2
    return np.asarray(
        np.sum(10 * np.log10(square**2 / ((hz**2 - square) ** 2 + (widths[:, None, :] * hz) ** 2)), axis=2)
    )


def _track(tract: Tract, values: Array, marks: NDArray[np.int32], rng: np.random.Generator) -> VoiceTrack:
    """Turn targets per frame into an envelope, noise shares and a speaking pitch.

    Shape: values `(frames, 10)`, columns as in `_Timeline`.
    """
    hz = band_hz()
    formants, level, voiced = values[:, :5], values[:, 5], values[:, 6]
    widths = tract.sharpness * np.array([60.0, 80.0, 120.0, 180.0, 240.0]) * (1 + values[:, [9]])
    spectrum = _cascade(formants, widths)
    # A whole tract has formants up to any frequency and no slope of its own: take away that of the first
    # five, as a neutral tube with wide formants has it.
    neutral = (np.arange(5) * 1000.0 + 500.0)[None] * tract.scale
    spectrum -= _cascade(neutral, np.full((1, 5), 600.0))
    near = np.exp(-0.5 * ((hz - 2900 * tract.scale) / 500) ** 2)
    spectrum += (
        tract.ring_db * near
        + tract.slope_db * np.maximum(np.log2(hz / 1000), 0)
        + 3 * np.log2(hz / 500 + 0.2)
    )
    dip = np.exp(-0.5 * (np.log2(hz / (850 * tract.scale)) / 0.35) ** 2)
    high = 1 / (1 + (1200 / hz) ** 2)
    spectrum -= values[:, [9]] * (12 * dip + 14 * high)
    spectrum += level[:, None] - np.percentile(spectrum.max(axis=1), 80)
    away = np.log2(hz / values[:, [8]])
    hiss = values[:, [7]] - np.where(away < 0, 14, 7) * away**2 - 14
    envelope = 10 * np.log10(10 ** (spectrum / 10) + 10 ** (hiss / 10) + 1e-11)
    steps = np.array(NOISE_HZ) / 3000
    own = np.clip(tract.breath * (0.3 + 0.7 * steps), 0.01, 0.95)
    noise = np.where(voiced[:, None] > 0.1, own, 1.0)
    hissing = np.clip(
        (hiss - spectrum)[:, [int(np.argmin(np.abs(hz - f))) for f in NOISE_HZ]] / 10 + 0.5, 0, 1
    )
    noise = np.maximum(noise, hissing)
    frames = len(values)
    wave = np.interp(
        np.arange(frames), np.arange(0, frames + 40, 40), rng.normal(0, 0.08, len(range(0, frames + 40, 40)))
    )
    f0 = np.where(voiced > 0.1, tract.centre_hz * np.exp(wave - 0.15 * np.arange(frames) / frames), 0.0)
    return VoiceTrack(
        np.maximum(envelope, FLOOR_DB).astype(np.float32).reshape(frames, BANDS),
        noise.astype(np.float32),
        f0.astype(np.float32),
        marks,
        22050.0,
    )
