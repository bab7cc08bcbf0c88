"""Singers: lead voices, harmonies, rap, choirs and ad-libs from a bank of analysed voices.

Every call casts its own singer: a speaker of the bank or an invented vocal tract, with a formant shift, a
tone and a style. Words belong to the singer and to the moment: a generator in the same state casts the same
singer with the same words, so harmonies can double a lead by starting from a copy of its generator.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio
from ..errors import ArgumentValueError
from .delivery import SPOKEN, STYLES, Delivery, Style, Syllable, Words, deliver, sung_phrases, wander
from .formant_voice import Tract, invent_phrase
from .phrases import PhraseBank, phrase
from .score import Note, Split
from .tone import Tone
from .vocoder import HOP, SAMPLE_RATE, Take, synthesise

LEVEL = 0.1
"""RMS of what sounds."""
PEAK = 0.9
INVENTED = 0.25
"""How many singers have an invented vocal tract."""

KINDS = {"espeak-ng-": 0.45, "festival-": 0.32, "flite-": 0.11, "sung-": 0.12}
"""How often the others come from each kind of source."""


def midi(hz: float) -> float:
    """The MIDI note number of a frequency, with its fraction."""
    return float(69 + 12 * np.log2(hz / 440))


@dataclass(frozen=True)
class Singer:
    """Who sings, and in what voice."""

    name: str
    source: tuple[Path, ...] | Tract
    seed: int
    """Of the words."""
    tone: Tone
    centre: float
    """The comfortable middle of the range, a MIDI note number."""

    def words(self, first: Note) -> Iterator[Syllable]:
        """Syllables for the phrase that starts with that note, for as long as it lasts."""
        rng = np.random.default_rng([self.seed, round(first.start_s * 8)])
        near = self._near(first.pitch)
        while True:
            if isinstance(self.source, Tract):
                track = invent_phrase(self.source, 8, rng)
            else:
                track = phrase(near[int(rng.integers(len(near)))])
            track = self.tone.coloured(track)
            for row in range(len(track.syllables)):
                yield track, row

    def vowel(self, first: Note) -> Iterator[Syllable]:
        """One vowel again and again: oohs and aahs."""
        words = self.words(first)
        found = [next(words) for _ in range(12)]

        def length(syllable: Syllable) -> int:
            track, row = syllable
            return int(track.syllables[row, 2] - track.syllables[row, 1])

        track, row = max(found, key=length)
        _, begin, stop, _ = (int(v) for v in track.syllables[row])
        alone = replace(track, syllables=np.array([[max(0, begin - 3), begin, stop, stop]], np.int32))
        while True:
            yield alone, 0

    def _near(self, pitch: float) -> tuple[Path, ...]:
        """Recorded singing is used near the pitch it was sung at, where there is such."""
        if isinstance(self.source, Tract) or not self.name.startswith("sung-"):
            return self.source if not isinstance(self.source, Tract) else ()
        near = [path for path in self.source if abs(midi(phrase(path).median_hz or 1.0) - pitch) < 5]
        return tuple(near) or self.source


class Singers:
    """The voices of one split."""

    def __init__(self, bank: Path, split: Split) -> None:
        """Raises StateError when the bank holds nothing for that split."""
        self._bank = PhraseBank(bank, split)
        # Validation hears other tracts than training does.
        self._tracts = 0 if split == "train" else 1

    def cast(self, rng: np.random.Generator, near: float | None = None) -> Singer:
        """Draw a singer; with `near`, one whose range is about that pitch."""
        candidates = [self._draw(rng) for _ in range(1 if near is None else 5)]
        if near is None:
            return candidates[0]
        return min(candidates, key=lambda singer: abs(singer.centre - near))

    def _draw(self, rng: np.random.Generator) -> Singer:
        seed = int(rng.integers(2**31))
        if rng.random() < INVENTED:
            tract = Tract.invent(np.random.default_rng([int(rng.integers(2**20)), self._tracts]))
            tone = Tone.draw(rng, 0.95, 1.05)
            return Singer("invented", tract, seed, tone, midi(tract.centre_hz) + 6 + rng.normal(0, 2))
        kinds = [kind for kind in KINDS if self._of(kind)]
        odds = np.array([KINDS[kind] for kind in kinds])
        speakers = self._of(kinds[int(rng.choice(len(kinds), p=odds / odds.sum()))])
        counts = np.sqrt([len(self._bank.phrases(speaker)) for speaker in speakers])
        name = speakers[int(rng.choice(len(speakers), p=counts / counts.sum()))]
        sung = name.startswith("sung-")
        files = self._spoken(name, rng)
        tone = Tone.draw(rng, 0.92, 1.1) if sung else Tone.draw(rng, 0.82, 1.2)
        pitch = phrase(files[int(rng.integers(len(files)))]).median_hz or 150.0
        centre = midi(pitch) if sung else midi(pitch) + 30 * np.log2(tone.warp) + rng.uniform(5, 14)
        return Singer(name, files, seed, tone, float(np.clip(centre, 47, 75)))

    def _of(self, kind: str) -> list[str]:
        return [name for name in self._bank.speakers if name.startswith(kind)]

    def _spoken(self, name: str, rng: np.random.Generator) -> tuple[Path, ...]:
        """The speaker's phrases in one of its languages."""
        files = self._bank.phrases(name)
        languages = sorted({path.name.rsplit("-", 1)[0] for path in files})
        language = languages[int(rng.integers(len(languages)))]
        return tuple(path for path in files if path.name.rsplit("-", 1)[0] == language)

    def sing(self, notes: Sequence[Note], frames: int, rng: np.random.Generator) -> Audio:
        """A lead voice on a melody, moved by octaves into the singer's range.

        Shape: `(1, frames)` at 44.1 kHz. One note sounds at a time: a later one ends an earlier one.
        """
        singer = self.cast(rng)
        style = _style(rng)
        doubled = rng.random() < 0.15
        line = deliver(_in_range(notes, singer), singer.words, style, frames, rng)
        takes = [_take(line, style, rng, 0.0, 0.0)]
        if doubled:
            takes.append(_take(line, style, rng, 7.0, 0.02))
        return _levelled(_sound(line, singer, takes, frames, rng))

    def harmonies(
        self, parts: Sequence[Sequence[Note]], frames: int, rng: np.random.Generator, voices: int
    ) -> Audio:
        """Backing voices on the given parts, in turn, spread in stereo.

        Shape: `(2, frames)`. The singers share their words, differ in timbre, are a little late and out of
        tune. Raises ArgumentValueError when there is no part or no voice.
        """
        if voices < 1 or not parts:
            raise ArgumentValueError(
                f"harmonies need a part and a voice; got {len(parts)} parts, {voices} voices"
            )
        lead = self.cast(rng)
        manner = _style(rng)
        mix = np.zeros((2, frames), np.float32)
        for k in range(voices):
            tone = Tone.draw(rng, 0.87, 1.15)
            tone = replace(tone, warp=float(np.clip(tone.warp * lead.tone.warp, 0.82, 1.22)))
            singer = replace(lead, tone=tone, centre=lead.centre + 24 * np.log2(tone.warp / lead.tone.warp))
            own = manner if rng.random() < 0.6 else _style(rng)
            style = replace(own, late_s=0.02, melisma=manner.melisma, hold=manner.hold)
            line = deliver(_in_range(parts[k % len(parts)], singer), singer.words, style, frames, rng)
            angle = rng.uniform(0, np.pi / 2)
            take = _take(line, style, rng, 8.0, 0.02)
            voice = _levelled(_sound(line, singer, [take], frames, rng))[0]
            mix[0] += np.float32(np.cos(angle)) * voice
            mix[1] += np.float32(np.sin(angle)) * voice
        return _levelled(mix)

    def rap(
        self, start_s: float, seconds: float, beat_s: float, frames: int, rng: np.random.Generator
    ) -> Audio:
        """Rhythmic speech on sixteenth notes (a quarter of `beat_s` each), from `start_s` for `seconds`.

        Shape: `(1, frames)`. Raises ArgumentValueError when a beat has no length.
        """
        if beat_s <= 0:
            raise ArgumentValueError(f"a beat must last longer than 0 s; got {beat_s}")
        singer = self.cast(rng)
        centre = singer.centre - 6 + rng.normal(0, 2)
        notes = _flow(start_s, seconds, beat_s, centre, rng)
        style = replace(SPOKEN.draw(rng), speech=float(rng.uniform(0.5, 1.3)))
        line = deliver(notes, singer.words, style, frames, rng)
        takes = [_take(line, style, rng, 0.0, 0.0)]
        if rng.random() < 0.15:
            takes.append(_take(line, style, rng, 20.0, 0.015))
        return _levelled(_sound(line, singer, takes, frames, rng))

    def choir(self, notes: Sequence[Note], frames: int, rng: np.random.Generator) -> Audio:
        """Groups of voices on vowels (now and then on words), at the pitches given. Shape: `(2, frames)`.

        Notes may overlap; each of up to six lines is sung by three to five voices.
        """
        mix = np.zeros((2, frames), np.float32)
        worded = rng.random() < 0.25
        for part in _lines(notes)[:6]:
            singer = self.cast(rng, near=float(np.median([n.pitch for n in part])))
            style = replace(
                STYLES["legato"][1].draw(rng), late_s=0.03, inhale=0.1, melisma=0.3, release_s=0.2
            )
            words: Words = singer.words if worded else singer.vowel
            line = deliver(part, words, style, frames, rng)
            takes = []
            for _ in range(int(rng.integers(3, 6))):
                angle = rng.uniform(0, np.pi / 2)
                take = _take(line, style, rng, 12.0, 0.04)
                takes.append(replace(take, left=float(np.cos(angle)), right=float(np.sin(angle))))
            mix += _levelled(_sound(line, singer, takes, frames, rng, channels=2))
        return _levelled(mix)

    def adlibs(self, notes: Sequence[Note], frames: int, rng: np.random.Generator) -> Audio:
        """Answers, runs, hums, murmurs and shouts of a few after the phrases of a melody, not after all.

        Shape: `(1, frames)`.
        """
        mix = np.zeros((1, frames), np.float32)
        length_s = frames / SAMPLE_RATE
        kinds: dict[str, list[Note]] = {"answer": [], "run": [], "hum": [], "murmur": [], "shout": []}
        for group in sung_phrases(notes, length_s):
            last = group[-1]
            if rng.random() < 0.55:
                kind = str(rng.choice(list(kinds), p=[0.35, 0.2, 0.15, 0.15, 0.15]))
                start = last.start_s + last.seconds + rng.uniform(-0.1, 0.4)
                kinds[kind] += _motif(kind, start, last.pitch, rng)
        singer = self.cast(rng)
        for kind, motif in kinds.items():
            if not motif:
                continue
            style = SPOKEN.draw(rng) if kind in ("murmur", "shout") else _style(rng)
            if kind == "run":
                style = replace(style, melisma=0.9, glide_s=0.03)
            voice = replace(singer, tone=singer.tone.hummed()) if kind == "hum" else singer
            words: Words = voice.vowel if kind == "hum" else voice.words
            line = deliver(_in_range(motif, voice), words, style, frames, rng)
            if kind == "murmur" and rng.random() < 0.5:
                line.voiced[:] = 0
                line.noise[:] = 1
            crowd = int(rng.integers(2, 6)) if kind == "shout" else 1
            takes = [_take(line, style, rng, 60.0 if crowd > 1 else 5.0, 0.03) for _ in range(crowd)]
            level = np.float32(rng.uniform(0.4, 1))
            mix += level * _levelled(_sound(line, voice, takes, frames, rng))
        return _levelled(mix)


def _style(rng: np.random.Generator) -> Style:
    odds = np.array([share for share, _ in STYLES.values()])
    name = list(STYLES)[int(rng.choice(len(odds), p=odds / odds.sum()))]
    return STYLES[name][1].draw(rng)


def _in_range(notes: Sequence[Note], singer: Singer) -> list[Note]:
    """The melody by whole octaves nearest to the middle of the singer's range."""
    if not notes:
        return []
    middle = float(np.average([n.pitch for n in notes], weights=[n.seconds for n in notes]))
    octaves = 12 * round((singer.centre - middle) / 12)
    return [replace(note, pitch=note.pitch + octaves) for note in notes]


def _take(line: Delivery, style: Style, rng: np.random.Generator, detune_cents: float, late_s: float) -> Take:
    """One pass of a line: the first as it is, further ones out of tune and late by about that much."""
    pitch = line.pitch
    if detune_cents > 0:
        pitch = pitch + detune_cents / 100 * (rng.normal() + wander(len(pitch), 0.4, rng)[:, 0])
    f0: NDArray[np.float64] = 440 * 2 ** ((np.clip(pitch, 24, 100) - 69) / 12)
    return Take(f0, 1.0, 1.0, abs(rng.normal(0, late_s)), style.jitter, style.shimmer, line.growl)


def _sound(
    line: Delivery,
    singer: Singer,
    takes: Sequence[Take],
    frames: int,
    rng: np.random.Generator,
    channels: int = 1,
) -> Audio:
    envelope = singer.tone.balanced(line.envelope_db)
    phase, pulsation = singer.tone.phase, singer.tone.pulsation
    audio = synthesise(
        envelope,
        line.noise,
        line.voiced,
        takes,
        rng,
        channels=channels,
        phase=phase,
        breath_pulsation=pulsation,
    )
    return audio[:, :frames]


def _levelled(audio: Audio) -> Audio:
    """At `LEVEL` where it sounds, no higher than `PEAK`."""
    blocks = audio[:, : audio.shape[1] // HOP * HOP].reshape(audio.shape[0], -1, HOP)
    power = np.mean(blocks * blocks, axis=(0, 2))
    peak = float(np.abs(audio).max(initial=0.0))
    if peak < 1e-6 or not len(power):
        return np.zeros_like(audio)
    rms = float(np.sqrt(np.mean(power[power > 1e-3 * power.max()])))
    return np.ascontiguousarray(audio * np.float32(min(LEVEL / rms, PEAK / peak)))


def _lines(notes: Sequence[Note]) -> list[list[Note]]:
    """Chords as lines of one note at a time: each note goes to the free line with the nearest last pitch."""
    lines: list[list[Note]] = []
    for note in sorted(notes, key=lambda n: (n.start_s, n.pitch)):
        free = [line for line in lines if line[-1].start_s + line[-1].seconds <= note.start_s + 0.02]
        if free:
            min(free, key=lambda line: abs(line[-1].pitch - note.pitch)).append(note)
        else:
            lines.append([note])
    return lines


def _flow(
    start_s: float, seconds: float, beat_s: float, centre: float, rng: np.random.Generator
) -> list[Note]:
    """Sixteenths of a bar of four beats: a pattern that repeats with changes, and pauses for breath."""
    step = beat_s / 4
    density = rng.uniform(0.45, 0.85)
    pattern = rng.random(16) < density
    notes: list[Note] = []
    for bar in range(int(seconds / (4 * beat_s)) + 1):
        hits = np.where(rng.random(16) < 0.2, rng.random(16) < density, pattern)
        hits[int(rng.integers(13, 17)) :] = False
        places = np.flatnonzero(hits)
        for k, place in enumerate(places):
            begin = start_s + (16 * bar + place) * step
            until = places[k + 1] if k + 1 < len(places) else place + 2
            lasts = min(until - place, 3) * step
            if begin + lasts <= start_s + seconds:
                accent = 0.95 if place % 4 == 0 else rng.uniform(0.5, 0.85)
                notes.append(
                    Note(float(begin), float(lasts), centre + (2.0 if accent > 0.9 else 0.0), float(accent))
                )
    return notes


def _motif(kind: str, start_s: float, pitch: float, rng: np.random.Generator) -> list[Note]:
    if kind == "run":
        steps, seconds = np.cumsum(-rng.integers(1, 4, int(rng.integers(4, 8)))) + 9, 0.11
    elif kind == "hum":
        steps, seconds = np.array([0, rng.choice([-2, 2, 0])]), 0.6
    else:
        steps, seconds = rng.choice([0, 0, 2, 3, -2, 5, -3], int(rng.integers(1, 5))), rng.uniform(0.12, 0.35)
    long = np.where(np.arange(len(steps)) == len(steps) - 1, 2.0, 1.0) * seconds
    starts = start_s + np.cumsum(long) - long
    velocity = float(rng.uniform(0.4, 0.9))
    return [
        Note(float(s), float(d), pitch + float(p), velocity)
        for s, d, p in zip(starts, long, steps, strict=True)
    ]
