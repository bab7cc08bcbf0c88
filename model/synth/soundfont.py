"""General MIDI instruments: notes through FluidSynth and whatever General MIDI soundfonts are installed."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..audio import Audio
from ..errors import ModelMissingError
from .score import Note, Split

BLOCK = 64
"""FluidSynth computes 64 frames at a time and hears events between them only."""

_BEND_RANGE = 12
_GAIN = 0.6
_POLYPHONY = 256


@dataclass(frozen=True)
class FontEntry:
    """A soundfont that may be installed."""

    file: str
    split: Split
    weight: float
    """How often it is chosen among those of its split."""
    licence: str
    debian: str
    """The package that brings it."""


FONTS: tuple[FontEntry, ...] = (
    FontEntry("FluidR3_GM.sf2", "train", 1.0, "MIT", "fluid-soundfont-gm"),
    FontEntry("MuseScore_General_Full.sf3", "train", 0.8, "MIT, parts CC0", "musescore-general-soundfont"),
    FontEntry("OPL-3_FM_128M.sf2", "train", 0.12, "CC-BY-SA-4.0", "opl3-soundfont"),
    FontEntry("TimGM6mb.sf2", "validation", 1.0, "GPL-2", "timgm6mb-soundfont"),
)
"""Every soundfont belongs to one split, so that no sample of an instrument is in both."""

_PLACES = (
    "/usr/share/sounds/sf2",
    "/usr/share/sounds/sf3",
    "/usr/share/soundfonts",
    "/usr/local/share/soundfonts",
    "/opt/homebrew/share/soundfonts",
    "~/.local/share/soundfonts",
    "~/soundfonts",
    "C:/soundfonts",
)


@dataclass(frozen=True)
class Bends:
    """Pitch over time for one player: vibrato, scoops and slides, in semitones."""

    frames: Sequence[int] = field(default=())
    semitones: Sequence[float] = field(default=())


class Orchestra:
    """Every General MIDI instrument of the soundfonts of one split.

    Fonts are opened when first asked for and stay open. What is played depends on the notes alone: a
    player never hears what was played before.
    """

    def __init__(self, split: Split = "train") -> None:
        """Raises ModelMissingError where FluidSynth or every soundfont is missing."""
        self._library()
        self._fonts = {entry: path for entry in FONTS if (path := find_font(entry.file)) is not None}
        own = {entry: path for entry, path in self._fonts.items() if entry.split == split}
        # With a single soundfont about, hearing it in both splits is better than no instruments.
        self._fonts = own or self._fonts
        if not self._fonts:
            raise ModelMissingError(
                f"no General MIDI soundfont in {', '.join(_PLACES[:3])}: install one "
                f"(Debian: apt install {' '.join(entry.debian for entry in FONTS)})"
            )
        self._open: dict[FontEntry, tuple[Any, int]] = {}

    @property
    def fonts(self) -> tuple[FontEntry, ...]:
        """The soundfonts that are used."""
        return tuple(self._fonts)

    def choose(self, rng: np.random.Generator) -> FontEntry:
        """One of the soundfonts, by weight."""
        weights = np.array([entry.weight for entry in self._fonts])
        return tuple(self._fonts)[int(rng.choice(len(weights), p=weights / weights.sum()))]

    def play(
        self,
        font: FontEntry,
        program: int,
        notes: Sequence[Note],
        frames: int,
        sample_rate: int,
        bends: Bends | None = None,
        *,
        larger: int = 0,
    ) -> Audio:
        """Notes on one instrument (a program of General MIDI, from 0), dry.

        `larger` makes the instrument's body that many semitones bigger (below 0: smaller): samples of higher
        notes are played slower, so that the pitch stays and formants and decays move. Shape: returns
        `(2, frames)`.
        """
        synth, number = self._synth(font)
        self._library().fluid_synth_set_sample_rate(
            ctypes.c_void_p(synth.synth), ctypes.c_float(sample_rate * 2 ** (larger / 12))
        )
        synth.system_reset()
        synth.program_select(0, number, 0, program)
        self._wipe(synth)
        for controller, value in ((101, 0), (100, 0), (6, _BEND_RANGE), (38, 0)):
            synth.cc(0, controller, value)
        audio = np.zeros((2, -(-frames // BLOCK) * BLOCK), np.float32)
        self._run(synth, _events(notes, bends or Bends(), sample_rate, larger), audio)
        return np.ascontiguousarray(audio[:, :frames])

    def _run(self, synth: Any, events: list[tuple[int, int, int, int]], audio: Audio) -> None:
        """Play the events; what lies between the last sounding voice and the next note stays zero."""
        at = 0
        for block, kind, first, second in [*events, (audio.shape[1] // BLOCK, 3, 0, 0)]:
            until = min(block * BLOCK, audio.shape[1])
            while at < until:
                if synth.get_active_voice_count() == 0:
                    at = until
                    break
                ahead = min(until, at + 128 * BLOCK)
                self._write(synth, audio, at, ahead - at)
                at = ahead
            if kind == 0:
                synth.noteoff(0, first)
            elif kind == 1:
                synth.pitch_bend(0, first)
            elif kind == 2:
                synth.noteon(0, first, second)
        synth.all_sounds_off(0)
        # Voices leave the mixer while it runs, not when they are told.
        self._write(synth, np.zeros((2, 8 * BLOCK), np.float32), 0, 8 * BLOCK)

    def _wipe(self, synth: Any) -> None:
        """Give every voice the same past: what a voice did before shows in its first milliseconds."""
        past = np.zeros((2, 8 * BLOCK), np.float32)
        for _ in range(2):
            for key in range(_POLYPHONY):
                if synth.get_active_voice_count() >= _POLYPHONY - 4:
                    break
                synth.noteon(0, 24 + key % 96, 1)
            self._write(synth, past, 0, 2 * BLOCK)
            synth.all_sounds_off(0)
            self._write(synth, past, 0, 8 * BLOCK)

    def _write(self, synth: Any, audio: Audio, start: int, frames: int) -> None:
        base, row = audio.ctypes.data, audio.strides[0]
        self._library().fluid_synth_write_float(
            ctypes.c_void_p(synth.synth),
            frames,
            ctypes.c_void_p(base),
            start,
            1,
            ctypes.c_void_p(base + row),
            start,
            1,
        )

    def _synth(self, font: FontEntry) -> tuple[Any, int]:
        if font not in self._open:
            import fluidsynth  # type: ignore[import-untyped]

            # It would warn of every voice that `_wipe` takes away.
            self._library().fluid_set_log_function(2, None, None)
            quiet = {"synth.reverb.active": 0, "synth.chorus.active": 0, "synth.polyphony": _POLYPHONY}
            synth = fluidsynth.Synth(gain=_GAIN, channels=16, **quiet)
            number = synth.sfload(str(self._fonts[font]))
            if number < 0:
                raise ModelMissingError(f"{self._fonts[font]} does not load: install {font.debian} again")
            self._open[font] = synth, number
        return self._open[font]

    @staticmethod
    def _library() -> Any:
        try:
            import fluidsynth
        except (ImportError, OSError) as error:
            raise ModelMissingError(
                "FluidSynth is missing: pip install pyfluidsynth (and the library; Debian: apt install "
                "libfluidsynth3)"
            ) from error
        return fluidsynth._fl


@cache
def find_font(file: str) -> Path | None:
    """Where a soundfont lies: in the folder STEMBRIDGE_SOUNDFONTS or one of the usual places."""
    own = os.environ.get("STEMBRIDGE_SOUNDFONTS")
    for folder in (*([own] if own else []), *_PLACES):
        path = Path(folder).expanduser() / file
        if path.is_file():
            return path
    return None


def _events(
    notes: Sequence[Note], bends: Bends, sample_rate: int, larger: int
) -> list[tuple[int, int, int, int]]:
    """(block, kind, key or bend, velocity) in the order to be played; 0 off, 1 bend, 2 on."""
    events = []
    for frame, semitones in zip(bends.frames, bends.semitones, strict=True):
        value = int(np.clip(round(semitones / _BEND_RANGE * 8192), -8192, 8191))
        events.append((frame // BLOCK, 1, value, 0))
    for note in notes:
        key = int(np.clip(round(note.pitch) + larger, 0, 127))
        on = max(0, round(note.start_s * sample_rate / BLOCK))
        off = max(on + 1, round((note.start_s + note.seconds) * sample_rate / BLOCK))
        velocity = int(np.clip(round(note.velocity * 127), 1, 127))
        events.append((on, 2, key, velocity))
        events.append((off, 0, key, 0))
    return sorted(events)
