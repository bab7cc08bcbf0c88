"""Songs: a band that composes, plays and mixes a multitrack of 24 seconds from a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..audio import Audio
from ..errors import ArgumentValueError, ModelMissingError, StembridgeError
from .accompaniment import accompany
from .arrangement import Part, Plan, plan_song
from .bass_lines import bass_line, in_one_voice
from .drum_kits import DrumKits
from .grooves import groove
from .guitar import Guitarist
from .melody import solo
from .metre import humanised
from .mixing import (
    active_level,
    bass_chain,
    doubled,
    drum_chain,
    levelled,
    master,
    part_chain,
    placed,
    pump,
    stem_level,
    swelling,
    through,
    vocal_chain,
)
from .score import Hit, Note, Split
from .singing import Singers
from .soloists import SOLO_PROGRAMS, SOLOISTS, play_solo
from .soundfont import Orchestra
from .synthesiser import INSTRUMENTS
from .vocal_parts import vocal_stem

SAMPLE_RATE = 44100
STEMS = ("drums", "bass", "other", "vocals")

# What plays a family of eight General MIDI programs where there is no soundfont.
_STAND_INS = (
    *("fm keys", "fm keys", "drawbar organ", "plucked strings", "synth bass", "synth pad", "synth pad"),
    *("synth keys", "synth keys", "synth keys", "synth keys", "synth pad", "synth pad", "plucked strings"),
    *("fm keys", "riser"),
)


@dataclass(frozen=True)
class Song:
    """A multitrack."""

    name: str
    seed: int
    sample_rate: int
    stems: dict[str, Audio]
    """`drums`, `bass`, `other`, `vocals`, each `(2, frames)`; the mix is their sum. Some may be silent."""
    description: dict[str, object]
    """Style, tempo, key, parts, sources: what JSON can hold."""


class Band:
    """Players, instruments and singers of one split."""

    def __init__(self, bank: Path, split: Split = "train") -> None:
        """Opens the phrase bank in `bank`, the kits and the soundfonts.

        Without FluidSynth or soundfonts procedural instruments play everything, and `missing` says so.
        Raises StateError for a bank with no voices of that split.
        """
        self._split: Split = split
        self._singers = Singers(bank, split)
        self._kits = DrumKits(split)
        self.missing: tuple[str, ...] = ()
        """What is not installed, and how to install it."""
        self._orchestra: Orchestra | None = None
        try:
            self._orchestra = Orchestra(split)
        except ModelMissingError as error:
            self.missing = (str(error),)
        if not self._kits.kits:
            self.missing += ("no sampled drum kits (Debian: apt install hydrogen-drumkits)",)
        self._guitarist = Guitarist(self._orchestra, SAMPLE_RATE)

    def make_song(self, seed: int, seconds: float = 24.0) -> Song:
        """Compose, play and mix one song; the same seed gives the same samples.

        Raises ArgumentValueError for a length under a second.
        """
        if not seconds >= 1.0:
            raise ArgumentValueError(f"a song lasts a second or more; got {seconds}")
        rng = np.random.default_rng([seed, 0 if self._split == "train" else 1])
        frames = round(seconds * SAMPLE_RATE)
        plan = plan_song(seconds, rng)
        hits, drums, kit = self._drums(plan, frames, rng)
        bass = self._bass(plan, hits, frames, rng)
        other, parts = self._other(plan, frames, rng)
        vocals, voices = vocal_stem(plan, self._singers, frames, rng)
        beat_s = plan.frame.metre.beat_s
        stems = {
            "drums": through(levelled(drums, 0.1), drum_chain(rng), SAMPLE_RATE),
            "bass": through(levelled(bass, 0.1), bass_chain(rng), SAMPLE_RATE),
            "other": other,
            "vocals": through(levelled(vocals, 0.1), vocal_chain(beat_s, rng), SAMPLE_RATE),
        }
        if rng.random() < 0.4:
            stems["bass"] = doubled(stems["bass"], rng.uniform(100, 500), rng.uniform(-24, -8), rng)
        if rng.random() < 0.25:
            stems["vocals"] = doubled(stems["vocals"], rng.uniform(100, 600), rng.uniform(-14, -2), rng)
        if rng.random() < 0.6:
            stems["bass"] = stems["bass"] * swelling(frames, SAMPLE_RATE, rng.uniform(0.5, 3.0), rng)
        if plan.pumping:
            ducked = pump(hits, frames, SAMPLE_RATE, rng)
            stems["other"] = stems["other"] * ducked
            stems["bass"] = stems["bass"] * ducked
        for name in STEMS:
            bias = plan.idiom.balance_db.get(name, 0.0)
            stems[name] = levelled(stems[name], stem_level(name, bias, rng))
        stems = master(stems, plan.idiom.dense, SAMPLE_RATE, rng)
        if not all(np.isfinite(stem).all() for stem in stems.values()):
            raise StembridgeError(f"song {seed} came out with NaN or infinity: leave this seed out")
        description = self._description(plan, seconds, kit, parts, voices, stems)
        return Song(song_name(seed), seed, SAMPLE_RATE, stems, description)

    def _drums(self, plan: Plan, frames: int, rng: np.random.Generator) -> tuple[list[Hit], Audio, str]:
        metre = plan.frame.metre
        hits: list[Hit] = []
        for i in sorted(plan.drums):
            section = plan.frame.sections[i]
            hits += groove(
                plan.drum_style,
                section.bars,
                metre.tempo,
                rng,
                energy=section.energy,
                fill=bool(rng.random() < 0.6),
                start_s=metre.at(section.first_bar, 0),
            )
        hits = [hit for hit in hits if not _stopped(plan, hit.start_s)]
        if not hits:
            return [], np.zeros((2, frames), np.float32), ""
        kit = self._kits.choose(rng, plan.drum_style)
        return hits, kit.play(hits, frames, rng), ", ".join(kit.names)

    def _bass(self, plan: Plan, hits: list[Hit], frames: int, rng: np.random.Generator) -> Audio:
        kicks = [hit.start_s for hit in hits if hit.piece == "kick"]
        lowest = int(rng.integers(26, 34))
        line = str(rng.choice(plan.idiom.lines))
        other_line = str(rng.choice(plan.idiom.lines))
        notes: list[Note] = []
        for i in sorted(plan.bass):
            section = plan.frame.sections[i]
            kind = other_line if section.name in ("chorus", "solo") else line
            notes += bass_line(kind, plan.frame, section, lowest, kicks, rng)
        notes = in_one_voice([note for note in notes if not _stopped(plan, note.start_s)])
        if not notes:
            return np.zeros((2, frames), np.float32)
        kind, _, choice = plan.bass_sound.partition(":")
        if kind == "synth":
            return INSTRUMENTS[choice](notes, frames, SAMPLE_RATE, rng)
        played = humanised(notes, rng, 0.006, rng.uniform(0.05, 0.18))
        middle = self._sampled([int(number) for number in choice.split(",")], played, frames, rng).mean(0)
        return np.stack([middle, middle])

    def _other(self, plan: Plan, frames: int, rng: np.random.Generator) -> tuple[Audio, list[str]]:
        stem = np.zeros((2, frames), np.float32)
        heard = []
        for part in plan.parts:
            notes = self._part_notes(plan, part, rng)
            if not notes:
                continue
            audio = levelled(self._play(part, notes, frames, rng), 0.1)
            kind = part.recipe.sound.partition(":")[0]
            audio = through(audio, part_chain(kind, plan.frame.metre.beat_s, rng), SAMPLE_RATE)
            audio = placed(audio, part.recipe.place, rng)
            if rng.random() < 0.6:
                audio = audio * swelling(frames, SAMPLE_RATE, rng.uniform(0.5, 4.0), rng)
            # What plays where nobody sings is as loud as a singer would be.
            level_db = part.recipe.level_db + rng.normal(0, 2.5) + (3.0 if part.solo else 0.0)
            stem += levelled(audio, 0.1 * 10 ** (level_db / 20))
            heard.append(part.name)
        return stem, heard

    def _part_notes(self, plan: Plan, part: Part, rng: np.random.Generator) -> list[Note]:
        notes: list[Note] = []
        roles = [str(rng.choice(part.recipe.roles)) for _ in range(2)]
        for i in sorted(part.sections):
            section = plan.frame.sections[i]
            role = roles[1 if section.name in ("chorus", "solo") else 0]
            if part.solo and role in ("solo", "counter"):
                role = "solo"
            if role == "solo":
                notes += solo(plan.frame, section, part.centre, rng, speed=float(rng.uniform(0, 0.9)))
            else:
                notes += accompany(role, plan.frame, section, part.centre, rng)
        return [note for note in notes if not _stopped(plan, note.start_s)]

    def _play(self, part: Part, notes: list[Note], frames: int, rng: np.random.Generator) -> Audio:
        kind, _, choice = part.recipe.sound.partition(":")
        if kind == "guitar":
            return self._guitar(choice, notes, frames, rng)
        if kind == "synth":
            return INSTRUMENTS[choice](notes, frames, SAMPLE_RATE, rng)
        if kind == "solo" and choice in SOLOISTS:
            line = notes if choice == "synth choir" else in_one_voice(notes)
            return SOLOISTS[choice](line, frames, SAMPLE_RATE, rng)
        played = humanised(notes, rng, 0.006, rng.uniform(0.05, 0.15))
        if kind == "gm":
            return self._sampled([int(number) for number in choice.split(",")], played, frames, rng)
        programs = SOLO_PROGRAMS[choice]
        if choice == "choir":
            return self._sampled(programs, played, frames, rng)
        line = in_one_voice(played)
        if self._orchestra is None:
            return SOLOISTS["reed"](line, frames, SAMPLE_RATE, rng)
        return play_solo(self._orchestra, int(rng.choice(programs)), line, frames, SAMPLE_RATE, rng)

    def _sampled(
        self, programs: Sequence[int], notes: list[Note], frames: int, rng: np.random.Generator
    ) -> Audio:
        """One of some General MIDI programs, or the procedural instrument that is nearest to it."""
        program = int(rng.choice(programs))
        if self._orchestra is None:
            return INSTRUMENTS[_STAND_INS[program // 8]](notes, frames, SAMPLE_RATE, rng)
        audio = np.zeros((2, frames), np.float32)
        for _ in range(2 if rng.random() < 0.15 else 1):  # two instruments in unison now and then
            font, larger = self._orchestra.choose(rng), _body(rng)
            audio += self._orchestra.play(font, program, notes, frames, SAMPLE_RATE, larger=larger)
        return audio

    def _guitar(self, manner: str, notes: list[Note], frames: int, rng: np.random.Generator) -> Audio:
        manners = {
            "distorted": self._guitarist.distorted,
            "crunch": self._guitarist.crunch,
            "lead": self._guitarist.lead,
            "clean": self._guitarist.clean,
            "acoustic": self._guitarist.acoustic,
        }
        return manners[manner](notes, frames, rng)

    def _description(
        self,
        plan: Plan,
        seconds: float,
        kit: str,
        parts: list[str],
        voices: list[str],
        stems: dict[str, Audio],
    ) -> dict[str, object]:
        return {
            "split": self._split,
            "style": plan.idiom.name,
            "drum_style": plan.drum_style,
            "tempo": round(plan.frame.metre.tempo, 2),
            "beats": plan.frame.metre.beats,
            "key": plan.frame.key.name,
            "seconds": seconds,
            "sections": [section.name for section in plan.frame.sections],
            "drums": kit,
            "bass": plan.bass_sound if plan.bass else "",
            "other": parts,
            "vocals": voices,
            "levels_db": {
                name: round(20 * float(np.log10(active_level(stem) + 1e-9)), 1)
                for name, stem in stems.items()
            },
            "soundfonts": [font.file for font in self._orchestra.fonts] if self._orchestra else [],
        }


def song_name(seed: int) -> str:
    """What the song of a seed is called: `song-000042`."""
    return f"song-{seed:06d}"


def _body(rng: np.random.Generator) -> int:
    """How much bigger or smaller than in the soundfont an instrument is, in semitones."""
    return int(rng.integers(-4, 5)) if rng.random() < 0.4 else 0


def _stopped(plan: Plan, time_s: float) -> bool:
    return any(start - 0.02 <= time_s < end - 0.02 for start, end in plan.stops)
