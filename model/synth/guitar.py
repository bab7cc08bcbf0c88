"""Guitars: strings into an amplifier and a cabinet, each part recorded twice for left and right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..audio import Audio
from .metre import humanised
from .oscillators import Signal, add, band_pass, low_pass
from .score import Note
from .soundfont import FontEntry, Orchestra
from .synthesiser import StringMaker

_CLEAN, _MUTED, _STEEL, _NYLON, _JAZZ = 27, 28, 25, 24, 26
_MUTED_BELOW = 0.5
"""Softer notes of a distorted part are palm-muted."""


@dataclass(frozen=True)
class Amplifier:
    """Gain, tone and cabinet of a guitar amplifier."""

    drive_db: float
    low_cut_hz: float
    """Before the distortion: what keeps it tight."""
    bias: float
    """Asymmetry: even harmonics."""
    body_hz: float
    body_db: float
    presence_hz: float
    presence_db: float
    top_hz: float
    """Where the cabinet stops."""

    def play(self, guitar: Signal, sample_rate: int) -> Signal:
        """The guitar through preamplifier, clipping and cabinet. Shape: `(frames,)` both ways."""
        import pedalboard as pb

        before = pb.Chain(
            [pb.HighpassFilter(self.low_cut_hz), pb.PeakFilter(900.0, 4.0, 0.5), pb.Gain(self.drive_db)]
        )
        level = np.sqrt(np.mean(guitar**2)) + 1e-6
        pushed = before(guitar[None] * np.float32(0.1 / level), sample_rate)
        clipped = np.tanh(pushed + np.float32(self.bias)) - np.float32(np.tanh(self.bias))
        cabinet = pb.Chain(
            [
                pb.HighpassFilter(75.0),
                pb.PeakFilter(self.body_hz, self.body_db, 0.9),
                pb.PeakFilter(420.0, -3.0, 0.8),
                pb.PeakFilter(self.presence_hz, self.presence_db, 1.1),
                pb.LowpassFilter(self.top_hz),
                pb.LowpassFilter(self.top_hz * 1.1),
                pb.LowpassFilter(self.top_hz * 1.5),
            ]
        )
        return np.asarray(cabinet(clipped, sample_rate)[0] * np.float32(0.4))


def random_amplifier(rng: np.random.Generator, *, drive_db: tuple[float, float]) -> Amplifier:
    """An amplifier nobody has heard before, driven within a range."""
    return Amplifier(
        drive_db=float(rng.uniform(*drive_db)),
        low_cut_hz=float(rng.uniform(70, 220)),
        bias=float(rng.choice([0.0, 0.1, 0.3])),
        body_hz=float(rng.uniform(90, 160)),
        body_db=float(rng.uniform(0, 6)),
        presence_hz=float(rng.uniform(1800, 4000)),
        presence_db=float(rng.uniform(1, 8)),
        top_hz=float(rng.uniform(3500, 7500)),
    )


class Guitarist:
    """Plays guitar parts on soundfont or modelled strings, through amplifiers."""

    def __init__(self, orchestra: Orchestra | None, sample_rate: int) -> None:
        self._orchestra = orchestra
        self._rate = sample_rate

    def distorted(self, notes: Sequence[Note], frames: int, rng: np.random.Generator) -> Audio:
        """Power chords, chugs and riffs: two takes hard left and right, or one in the middle.

        Notes below a velocity of 0.5 are palm-muted. Shape: returns `(2, frames)`.
        """
        return self._electric(notes, frames, rng, drive_db=(18.0, 40.0), double=0.8)

    def crunch(self, notes: Sequence[Note], frames: int, rng: np.random.Generator) -> Audio:
        """A guitar through an amplifier that distorts where it is hit: one take or two."""
        return self._electric(notes, frames, rng, drive_db=(4.0, 20.0), double=0.5)

    def _electric(
        self,
        notes: Sequence[Note],
        frames: int,
        rng: np.random.Generator,
        *,
        drive_db: tuple[float, float],
        double: float,
    ) -> Audio:
        """One take in the middle or, with the chance `double`, two on both sides."""
        amplifier = random_amplifier(rng, drive_db=drive_db)
        string = self._strings(rng)
        twice = rng.random() < double
        takes = [
            amplifier.play(string(humanised(list(notes), rng, 0.006, 0.06), frames, take), self._rate)
            for take in range(2 if twice else 1)
        ]
        return _left_and_right(takes, float(rng.uniform(0.6, 1.0)) if twice else 0.0)

    def lead(self, notes: Sequence[Note], frames: int, rng: np.random.Generator) -> Audio:
        """A solo through a singing amplifier, in the middle."""
        amplifier = random_amplifier(rng, drive_db=(14.0, 34.0))
        sound = self._strings(rng)(list(notes), frames, 0)
        return _left_and_right([amplifier.play(sound, self._rate)], 0.0)

    def clean(self, notes: Sequence[Note], frames: int, rng: np.random.Generator) -> Audio:
        """An electric guitar at the edge of breaking up; two takes now and then."""
        return self._electric(notes, frames, rng, drive_db=(-6.0, 12.0), double=0.35)

    def acoustic(self, notes: Sequence[Note], frames: int, rng: np.random.Generator) -> Audio:
        """A steel- or nylon-stringed guitar in front of microphones; two takes wide apart now and then."""
        count = 2 if rng.random() < 0.4 else 1
        font = self._orchestra.choose(rng) if self._orchestra is not None else None
        modelled = font is None or rng.random() < 0.3
        program = int(rng.choice([_STEEL, _STEEL, _NYLON]))
        maker = StringMaker(self._rate, rng, ring_s=float(rng.uniform(0.8, 3.0)))
        boxes = [
            (float(hz), float(rng.uniform(0.1, 0.5))) for hz in rng.uniform([90, 180, 350], [120, 240, 480])
        ]
        takes = []
        for take in range(count):
            played = humanised(list(notes), rng, 0.004, 0.08)
            if modelled or font is None or self._orchestra is None:
                dry = _on_strings(maker, played, frames, self._rate, take)
                for hz, level in boxes:
                    dry = dry + np.float32(level) * _resonance(dry, hz, self._rate)
            else:
                dry = self._orchestra.play(font, program, played, frames, self._rate).mean(0)
            takes.append(dry)
        return _left_and_right(takes, float(rng.uniform(0.5, 1.0)) if count == 2 else 0.0)

    def _strings(self, rng: np.random.Generator) -> _Strings:
        font = self._orchestra.choose(rng) if self._orchestra is not None and rng.random() < 0.6 else None
        program = int(rng.choice([_CLEAN, _CLEAN, _STEEL, _JAZZ]))
        maker = StringMaker(self._rate, rng, ring_s=float(rng.uniform(1.0, 4.0)))
        return _Strings(self._orchestra, font, program, maker, self._rate)


@dataclass(frozen=True)
class _Strings:
    """What is in the player's hands."""

    orchestra: Orchestra | None
    font: FontEntry | None
    program: int
    maker: StringMaker
    sample_rate: int

    def __call__(self, notes: Sequence[Note], frames: int, take: int) -> Signal:
        if self.font is None or self.orchestra is None:
            return _on_strings(self.maker, notes, frames, self.sample_rate, take)
        muted = [note for note in notes if note.velocity < _MUTED_BELOW]
        open_notes = [note for note in notes if note.velocity >= _MUTED_BELOW]
        sound = self.orchestra.play(self.font, self.program, open_notes, frames, self.sample_rate)
        if muted:
            sound = sound + self.orchestra.play(self.font, _MUTED, muted, frames, self.sample_rate)
        return np.asarray(sound.mean(0), np.float32)


def _on_strings(
    maker: StringMaker, notes: Sequence[Note], frames: int, sample_rate: int, take: int
) -> Signal:
    open_strings = np.zeros(frames, np.float32)
    muted_strings = np.zeros(frames, np.float32)
    muted_any = False
    for note in notes:
        muted = note.velocity < _MUTED_BELOW
        seconds = min(note.seconds, 0.09) if muted else note.seconds
        sound = maker.string(note.pitch, seconds, take)
        add(muted_strings if muted else open_strings, round(note.start_s * sample_rate), sound, note.velocity)
        muted_any = muted_any or muted
    if muted_any:
        open_strings += 1.5 * np.asarray(low_pass(muted_strings, 700.0, sample_rate))
    return open_strings * np.float32(0.4)


def _resonance(signal: Signal, hz: float, sample_rate: int) -> Signal:
    return np.asarray(band_pass(signal, hz, sample_rate, 4.0), np.float32)


def _left_and_right(takes: Sequence[Signal], width: float) -> Audio:
    """One take in the centre, or two at `-width` and `width` of the stereo field."""
    if len(takes) == 1:
        return np.stack([takes[0], takes[0]]).astype(np.float32)
    near, far = np.float32(np.sqrt((1 + width) / 2)), np.float32(np.sqrt((1 - width) / 2))
    first, second = takes
    return np.stack([near * first + far * second, far * first + near * second]).astype(np.float32)
