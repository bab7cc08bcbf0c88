"""The vocal stem: lead, doubles, harmonies, ad-libs, rap and choirs, section by section."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np

from ..audio import Audio
from .accompaniment import accompany
from .arrangement import Plan
from .melody import harmony_line, vocal_melody
from .mixing import levelled
from .score import Note

_DRIVE = {
    "chorus": 0.85,
    "pre-chorus": 0.55,
    "bridge": 0.6,
    "solo": 0.5,
    "verse": 0.35,
    "intro": 0.25,
    "break": 0.4,
    "outro": 0.5,
}
_HARMONIES = (
    ("third above",),
    ("third below",),
    ("third above", "third below"),
    ("octave below",),
    ("octave above",),
    ("unison", "unison"),
    ("third above", "chord"),
    ("sixth below", "third above"),
    ("fourth below",),
    ("third above", "fourth below", "octave below"),
)


class Voices(Protocol):
    """What is asked of singers (`singing.Singers` is them)."""

    def sing(self, notes: list[Note], frames: int, rng: np.random.Generator) -> Audio: ...
    def harmonies(
        self, parts: list[list[Note]], frames: int, rng: np.random.Generator, voices: int
    ) -> Audio: ...
    def rap(
        self, start_s: float, seconds: float, beat_s: float, frames: int, rng: np.random.Generator
    ) -> Audio: ...
    def choir(self, notes: list[Note], frames: int, rng: np.random.Generator) -> Audio: ...
    def adlibs(self, notes: list[Note], frames: int, rng: np.random.Generator) -> Audio: ...


def vocal_stem(plan: Plan, singers: Voices, frames: int, rng: np.random.Generator) -> tuple[Audio, list[str]]:
    """Everything voices do in a song, in balance and in place, dry, and what it consists of.

    Shape: returns `(2, frames)`.
    """
    stem = np.zeros((2, frames), np.float32)
    if plan.voices == "none":
        return stem, []
    if plan.voices == "rap":
        return _rapped(plan, singers, frames, rng)
    if plan.voices == "backing":
        return _backing(plan, singers, frames, rng)
    return _sung(plan, singers, frames, rng)


def lead_melody(plan: Plan, rng: np.random.Generator) -> list[Note]:
    """The lead voice's notes in all sections it sings in."""
    centre = float(rng.uniform(52, 66))
    bias = float(rng.normal(0, 0.15))
    notes: list[Note] = []
    for i in sorted(plan.vocals):
        section = plan.frame.sections[i]
        drive = float(np.clip(_DRIVE[section.name] + bias, 0.05, 1.0))
        notes += vocal_melody(plan.frame, section, centre, rng, drive=drive)
    return sorted(notes, key=lambda note: note.start_s)


def _sung(plan: Plan, singers: Voices, frames: int, rng: np.random.Generator) -> tuple[Audio, list[str]]:
    sections = plan.frame.sections
    melody = lead_melody(plan, rng)
    # Harmonies that start from the same generator are sung by the same singer with the same words.
    singer = int(rng.integers(2**31))
    stem = _spread(
        levelled(singers.sing(melody, frames, np.random.default_rng(singer)), 0.1), rng.normal(0, 0.04)
    )
    heard = ["lead"]
    high = (
        {"chorus", "pre-chorus", "bridge"} if rng.random() < 0.6 else {"chorus", "verse", "bridge", "break"}
    )
    backed = [i for i in sorted(plan.vocals) if sections[i].name in high and rng.random() < 0.65]
    if backed:
        kinds = _HARMONIES[int(rng.integers(len(_HARMONIES)))]
        shortest_s = 0.0 if rng.random() < 0.7 else 0.35
        own = [[note for note in _inside(plan, i, melody) if note.seconds > shortest_s] for i in backed]
        sung = [(sections[i], notes) for i, notes in zip(backed, own, strict=True)]
        lines = [
            [note for section, notes in sung for note in harmony_line(plan.frame, section, notes, kind)]
            for kind in kinds
        ]
        if any(own):
            sound = singers.harmonies(lines, frames, np.random.default_rng(singer), len(lines))
            stem += levelled(sound, 0.1 * 10 ** (rng.uniform(-11, -2) / 20))
            heard.append("harmonies " + ", ".join(kinds))
    if rng.random() < 0.16:
        stem += _spread(
            levelled(singers.adlibs(melody, frames, rng), 0.1 * 10 ** (rng.uniform(-9, -1) / 20)),
            rng.uniform(-0.8, 0.8),
        )
        heard.append("ad-libs")
    if rng.random() < 0.07:
        stem += levelled(
            _choir(plan, singers, backed or sorted(plan.vocals), frames, rng),
            0.1 * 10 ** (rng.uniform(-10, -3) / 20),
        )
        heard.append("choir")
    return stem, heard


def _rapped(plan: Plan, singers: Voices, frames: int, rng: np.random.Generator) -> tuple[Audio, list[str]]:
    metre = plan.frame.metre
    beat_s = metre.beat_s if metre.tempo < 118 else 2 * metre.beat_s
    stem = np.zeros((2, frames), np.float32)
    heard = ["rap"]
    rapper = int(rng.integers(2**31))
    hooks = [
        i for i in sorted(plan.vocals) if plan.frame.sections[i].name == "chorus" and rng.random() < 0.55
    ]
    for i in sorted(plan.vocals - set(hooks)):
        section = plan.frame.sections[i]
        start = metre.at(section.first_bar, 0)
        until = min(metre.at(section.first_bar + section.bars, 0), frames / 44100)
        if until - start > beat_s:
            sound = singers.rap(start, until - start, beat_s, frames, np.random.default_rng(rapper))
            stem += _spread(levelled(sound, 0.1), 0.0)
    if hooks:
        sung = replace(plan, vocals=frozenset(hooks))
        hook, words = _sung(sung, singers, frames, rng)
        stem += hook * np.float32(10 ** (rng.uniform(-5, 1) / 20))
        heard += words
    elif rng.random() < 0.4:
        ends = [
            Note(metre.at(bar, 0), metre.beat_s, 55.0, 0.7)
            for bar in range(0, 2 * len(plan.frame.sections) + 8, 2)
        ]
        stem += _spread(
            levelled(singers.adlibs(ends, frames, rng), 0.1 * 10 ** (rng.uniform(-9, -2) / 20)),
            rng.uniform(-0.8, 0.8),
        )
        heard.append("ad-libs")
    return stem, heard


def _backing(plan: Plan, singers: Voices, frames: int, rng: np.random.Generator) -> tuple[Audio, list[str]]:
    """No lead: a choir, or harmonies that answer."""
    where = sorted(plan.vocals)
    if rng.random() < 0.6:
        return levelled(_choir(plan, singers, where, frames, rng), 0.1), ["choir"]
    melody = lead_melody(plan, rng)
    kinds = _HARMONIES[int(rng.integers(2, len(_HARMONIES)))]
    sections = plan.frame.sections
    lines = [melody]
    for kind in kinds:
        lines.append(
            [
                note
                for i in where
                for note in harmony_line(plan.frame, sections[i], _inside(plan, i, melody), kind)
            ]
        )
    lines = [line for line in lines if line]
    if not lines:
        return np.zeros((2, frames), np.float32), []
    return levelled(singers.harmonies(lines, frames, rng, len(lines)), 0.1), ["harmonies only"]


def _choir(plan: Plan, singers: Voices, sections: list[int], frames: int, rng: np.random.Generator) -> Audio:
    role = str(rng.choice(["pad", "thin pad", "counter", "hits"], p=[0.4, 0.3, 0.2, 0.1]))
    centre = float(rng.uniform(56, 69))
    notes: list[Note] = []
    for i in sections:
        notes += accompany(role, plan.frame, plan.frame.sections[i], centre, rng)
    return singers.choir(notes, frames, rng)


def _inside(plan: Plan, section: int, melody: list[Note]) -> list[Note]:
    own = plan.frame.sections[section]
    first, last = plan.frame.metre.at(own.first_bar, -2), plan.frame.metre.at(own.first_bar + own.bars, -2)
    return [note for note in melody if first <= note.start_s < last]


def _spread(mono: Audio, pan: float) -> Audio:
    """One voice at a place, -1 left to 1 right."""
    pan = float(np.clip(pan, -1, 1))
    return np.concatenate([mono * np.float32(np.sqrt(1 - pan)), mono * np.float32(np.sqrt(1 + pan))])
