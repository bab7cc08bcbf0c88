"""The deck: takes blocks off the ring, mixes them by the faders, and is asked for frames by the device.

Everything here runs in the device's callback: no locks, no files, nobody to wait for. Commands arrive as
single assignments of frozen data.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from stembridge.model.audio import Audio
from stembridge.model.mixer import Mixer, MixerState
from stembridge.model.residual import ResidualPolicy

from ..fader_laws import FaderLaw
from .envelope import Envelope
from .meters import Meters
from .performance import Performance
from .ring import DRY, END, Block, Layout, Ring

if TYPE_CHECKING:
    from .mix_chain import MixChain

FADE_S = 0.010
"""Starts, stops and seeks fade over this."""
WET_S = 0.020
"""Between the remix and the plain mix, where a streamer is lost or late."""


@dataclass(frozen=True)
class DeckSong:
    """What is on a deck."""

    stems: tuple[str, ...]
    channels: int
    sample_rate: int
    residual_policy: ResidualPolicy = "other"
    treated: tuple[str, ...] = ()
    """The stems that have a chain, in order."""
    frames: int = 0

    @property
    def layout(self) -> Layout:
        """Of the ring that carries it."""
        return Layout(self.channels, len(self.stems), len(self.treated))


@dataclass(frozen=True)
class GainFade:
    """A fader on its way: where from, where to, over how many frames, and how many have passed."""

    start_db: float
    end_db: float
    frames: int
    passed: int = 0

    def gain_db(self, law: FaderLaw) -> float:
        """Where it is: even along the fader's travel, as in the session."""
        if self.passed >= self.frames:
            return self.end_db
        start, end = law.position(self.start_db), law.position(self.end_db)
        return law.db(start + (end - start) * self.passed / self.frames)


@dataclass(frozen=True)
class Seek:
    """Where to go on: blocks of another epoch, whose first frame this is."""

    epoch: int
    frame: int


class Deck:
    """One song on its way to the device."""

    def __init__(self, song: DeckSong, ring: Ring, law: FaderLaw, state: MixerState | None = None) -> None:
        self.song = song
        self.ring = ring
        self._law = law
        self.mixer = Mixer(
            song.stems, song.channels, song.sample_rate, residual_policy=song.residual_policy, state=state
        )
        self.meters = Meters((*song.stems, "master"), song.sample_rate)
        self.metered: Callable[[list[tuple[str, float, float]]], None] = lambda _rows: None
        self.performance = Performance()
        self.mix_chain: MixChain | None = None
        """What the mix goes through after the faders; it makes everything later by its latency."""
        self._gate = Envelope(round(FADE_S * song.sample_rate))
        self._wet = Envelope(round(WET_S * song.sample_rate), 1.0)
        self._block: Block | None = None
        self._used = 0
        self._last = np.zeros((song.channels, 1), np.float32)
        self._arriving = True
        """Whether the first block of a place has not come yet: waiting for it is no gap."""
        # Commands: each a single assignment, read once a block.
        self.playing = False
        self.dry = False
        """Whether the plain mix is to be heard instead of the stems."""
        self.seek: Seek | None = None
        self.fades: Mapping[str, GainFade] = {}
        self.follow: tuple[Deck, int] | None = None
        """Another deck with the same song, which takes over at a frame."""
        self.followed = False
        """Whether it has."""
        # What the outside may read.
        self.frame = 0
        """The next frame to be heard."""
        self.ended = False
        self.starved = False
        """Whether it plays and has nothing to play."""
        self.underruns = 0

    def set_state(self, state: MixerState, *, keep: Sequence[str] = (), ramp_ms: float = 20.0) -> None:
        """Move the faders there over a ramp; fades that are on their way end, but for those to `keep`."""
        now, gains = self.mixer.state, dict(state.gains_db)
        self.fades = {name: fade for name, fade in self.fades.items() if name in keep}
        for name in self.fades:
            if name in gains:
                gains[name] = now.gains_db[name]
        master_db = now.master_gain_db if "master" in self.fades else state.master_gain_db
        self.mixer.set_ramp_ms(ramp_ms)
        self.mixer.state = replace(state, gains_db=gains, master_gain_db=master_db)

    def fade(self, stem: str, gain_db: float, seconds: float) -> None:
        """Let one fader (or `master`) travel."""
        now = self.mixer.state
        start_db = now.master_gain_db if stem == "master" else now.gains_db.get(stem, 0.0)
        frames = max(round(seconds * self.song.sample_rate), 1)
        self.fades = {**self.fades, stem: GainFade(start_db, gain_db, frames)}

    def begin_dry(self) -> None:
        """Begin without a fade-in, with the plain mix, and go over to the stems from there."""
        self._gate.value = self._gate.target = 1.0
        self._wet.value = 0.0

    def take(self, frames: int) -> tuple[Audio, Sequence[Audio]]:
        """The next frames to be heard: the mix `(channels, frames)`, and each stem as it is in it."""
        if self.followed and self.follow is not None:
            return self.follow[0].take(frames)
        song = self.song
        out = np.zeros((song.channels, frames), np.float32)
        stems = [np.zeros((song.channels, frames), np.float32) for _ in song.stems]
        filled = 0
        while filled < frames:
            count = self._piece(out[:, filled:], [stem[:, filled:] for stem in stems])
            if count == 0:
                break
            filled += count
            if self.follow is not None and self.frame >= self.follow[1]:
                self.followed = True
                rest, of_stems = self.follow[0].take(frames - filled)
                out[:, filled:] = rest
                for stem, part in zip(stems, of_stems, strict=True):
                    stem[:, filled:] = part
                return out, stems
        if filled:
            self._last = out[:, filled - 1 : filled].copy()
        if filled < frames:
            self._run_dry(out[:, filled:])
        self._meter(out, stems)
        return out, stems

    @property
    def audible(self) -> int:
        """The frame that comes out of the next `take` first."""
        return self.frame - (self.mix_chain.latency if self.mix_chain is not None else 0)

    def close(self) -> None:
        """Let go of the ring, and of its file; once the callback has another deck. Twice is fine."""
        self.ring.close()
        with contextlib.suppress(OSError):
            self.ring.path.unlink()

    def _meter(self, out: Audio, stems: Sequence[Audio]) -> None:
        for index, stem in enumerate(stems):
            self.meters.note(index, stem)
        self.meters.note(len(stems), out)
        if (rows := self.meters.advance(int(out.shape[1]))) is not None:
            self.metered(rows)

    # One piece: what can be done in one go, from one block.

    def _piece(self, out: Audio, stems: Sequence[Audio]) -> int:
        """Fill the beginning of `out`; how many frames that were, 0 where there is nothing to hear."""
        self._gate.target = 1.0 if self.playing and self.seek is None and not self.ended else 0.0
        if self._gate.resting and self._gate.value == 0.0:
            if self.seek is None:
                return 0
            self._go(self.seek)
            return self._piece(out, stems) if self.playing else 0
        block = self._next_block()
        if block is None:
            if self.seek is not None:  # nothing is left to fade away
                self._gate.value = 0.0
                return self._piece(out, stems)
            return 0
        count = min(int(out.shape[1]), int(block.audio.shape[1]) - self._used)
        if not self._gate.resting:
            count = min(count, self._gate.left())
        if self.follow is not None:
            count = min(count, max(self.follow[1] - block.frame - self._used, 1))
        audio = block.audio[:, self._used : self._used + count]
        self._mix(
            block.frame + self._used,
            audio,
            bool(block.flags & DRY),
            out[:, :count],
            [stem[:, :count] for stem in stems],
        )
        self._used += count
        self.frame = block.frame + self._used
        if self._used >= block.audio.shape[1]:
            self.ended = self.ended or bool(block.flags & END)
            self._drop()
        return count

    def _next_block(self) -> Block | None:
        if self._block is None:
            block = self.ring.peek()
            while block is not None and block.audio.shape[1] == 0:
                self.ended = self.ended or bool(block.flags & END)
                self.ring.done()
                block = self.ring.peek()
            if block is None:
                return None
            self._block, self._used = block, 0
            self._arriving = False
            if self.starved:
                self.starved = False
                self._gate.value = 0.0
        return self._block

    def _go(self, seek: Seek) -> None:
        """Everything of the old place has faded away: want the new one."""
        self._drop()
        self.ring.ask(seek.epoch)
        self.frame, self.ended, self.starved = seek.frame, False, False
        self.seek = None
        self._arriving = True
        self.mixer.reset()
        if self.mix_chain is not None:
            self.mix_chain.clear()

    def _drop(self) -> None:
        if self._block is not None:
            self.ring.done()
        self._block, self._used = None, 0

    def _mix(
        self, frame: int, audio: NDArray[np.float32], is_dry: bool, out: Audio, stems: Sequence[Audio]
    ) -> None:
        song, channels = self.song, self.song.channels
        frames = int(audio.shape[1])
        self._step_fades(frames)
        mix = audio[:channels]
        separated = audio[channels : channels * (1 + len(song.stems))].reshape(
            len(song.stems), channels, frames
        )
        residual = audio[channels * (1 + len(song.stems)) : channels * (2 + len(song.stems))]
        treated: list[Audio | None] | None = None
        if song.treated:
            after = audio[channels * (2 + len(song.stems)) :].reshape(len(song.treated), channels, frames)
            by_name = dict(zip(song.treated, after, strict=True))
            treated = [by_name.get(name) for name in song.stems]
        faders = self.mixer.faders(frames)
        self.performance.hear(frame, frames, self.mixer.in_effect, self.mixer.ramp_ms)
        summed = mix if is_dry else faders.mix(mix, separated, residual, treated)
        wet = self._wetness(is_dry, frames)
        if not (isinstance(wet, float) and wet == 1.0):
            summed = mix + (summed - mix) * wet
        if self.mix_chain is not None:
            summed = self.mix_chain(np.ascontiguousarray(summed, dtype=np.float32))
        gate = self._gate.take(frames)
        out[:] = self.mixer.master(np.asarray(summed, dtype=np.float32))
        for index, name in enumerate(song.stems):
            source = separated[index] if treated is None or treated[index] is None else treated[index]
            stems[index][:] = faders.post_fader(name, np.asarray(source, dtype=np.float32))
        if not (isinstance(wet, float) and wet == 1.0):
            for stem in stems:
                stem *= wet
        if not (isinstance(gate, float) and gate == 1.0):
            out *= gate
            for stem in stems:
                stem *= gate

    def _wetness(self, is_dry: bool, frames: int) -> NDArray[np.float32] | float:
        """How much of the remix is in the next frames; the rest is the plain mix."""
        self._wet.target = 0.0 if is_dry or self.dry else 1.0
        if is_dry:
            self._wet.value = 0.0  # the blocks before have faded already, or there were none
        return self._wet.take(frames)

    def _step_fades(self, frames: int) -> None:
        fades = self.fades
        if not fades:
            return
        state = self.mixer.state
        gains = dict(state.gains_db)
        master = state.master_gain_db
        going: dict[str, GainFade] = {}
        for name, fade in fades.items():
            moved = replace(fade, passed=fade.passed + frames)
            if name == "master":
                master = moved.gain_db(self._law)
            elif name in gains:
                gains[name] = moved.gain_db(self._law)
            if moved.passed < moved.frames:
                going[name] = moved
        self.mixer.state = replace(state, gains_db=gains, master_gain_db=master)
        # A command that came meanwhile has put other fades there: those stay.
        if self.fades is fades:
            self.fades = going

    def _run_dry(self, out: Audio) -> None:
        """Nothing to hear: silence where that is meant, else a gap, whose edges are rounded and counted."""
        wanted = self.playing and self.seek is None and not self.ended
        if not wanted or self._arriving:
            self._last[:] = 0.0
            return
        if not self.starved:
            self.starved = True
            self.underruns += 1
            frames = min(out.shape[1], round(FADE_S * self.song.sample_rate))
            out[:, :frames] = self._last * np.linspace(1.0, 0.0, frames, endpoint=False, dtype=np.float32)
        self._last[:] = 0.0
