"""The deck of `live`: what is heard goes out to be taken apart, and comes back a fixed delay later.

Frame n of the output is frame n - delay of the input, whatever happens: what has not come back in time is
replaced by the input itself (see `lateness`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from stembridge.model.audio import Audio
from stembridge.model.mixer import MixerState

from ..fader_laws import FaderLaw
from .deck import Deck, DeckSong
from .history import History
from .lateness import RESERVE_S, Lateness
from .ring import BLOCK, Layout, Ring

_SWITCH_S = 1.0
_KEPT_S = 1.0
"""How much more than the delay is kept of what went in and of what came back."""


@dataclass(frozen=True)
class LiveLine:
    """The way to the streamer and back."""

    to: Ring
    back: Ring


def input_layout(channels: int) -> Layout:
    """Of the ring that takes the input to the streamer."""
    return Layout(channels, 0, plain=True)


def delay_of(latency: int, margin: int, sample_rate: int) -> int:
    """Frames from input to output: the separator's, what the cross-fade needs, and the margin."""
    return latency + round(RESERVE_S * sample_rate) + margin


class LiveDeck(Deck):
    """One input on its way to the device. `hear` a block, then `take` one as long."""

    def __init__(
        self,
        song: DeckSong,
        line: LiveLine,
        law: FaderLaw,
        state: MixerState | None = None,
        *,
        delay: int,
    ) -> None:
        super().__init__(song, line.back, law, state)
        self.delay = delay
        """Input frame n is output frame n + delay."""
        self.performance.recording = False
        self._line = line
        self.attaching: tuple[DeckSong, LiveLine] | None = None
        """Another streamer, whose stems may have other chains: it is gone over to at the next block."""
        capacity = delay + round(_KEPT_S * song.sample_rate)
        self._sent = History(song.channels, capacity, zeros_before=True)
        self._came = History(song.layout.rows, capacity)
        self._lateness = Lateness(song.sample_rate)
        self._wet_gains: NDArray[np.float32] | float = 0.0
        self.frame = -delay
        self.heard = 0
        """Input frames so far."""

    @property
    def overloads(self) -> int:
        """How often the input had to stand in for its stems."""
        return self._lateness.overloads

    @property
    def is_wet(self) -> bool:
        """Whether stems are heard, and not the input in their place."""
        return self._lateness.wet

    def close(self) -> None:
        """Let go of both rings, and of their files. Twice is fine."""
        _forget(self._line)

    def go_over(self, song: DeckSong, line: LiveLine) -> None:
        """Go on with another streamer; returns when the old line is not used any more, or nobody asks."""
        old, self.attaching = self._line, (song, line)
        until = time.monotonic() + _SWITCH_S
        while self.attaching is not None and time.monotonic() < until:
            time.sleep(0.002)
        _forget(old)

    def hear(self, audio: Audio) -> None:
        """Take a block of the input `(channels, frames)`; what the streamer has no room for it never gets."""
        if self.attaching is not None:
            (self.song, self._line), self.attaching = self.attaching, None
            self.ring = self._line.back
            self._came = History(self.song.layout.rows, self.delay + round(_KEPT_S * self.song.sample_rate))
        for start in range(0, audio.shape[1], BLOCK):
            piece = np.ascontiguousarray(audio[:, start : start + BLOCK], np.float32)
            self._sent.write(self.heard, piece)
            self._line.to.write(piece, epoch=0, frame=self.heard)
            self.heard += piece.shape[1]

    def take(self, frames: int) -> tuple[Audio, Sequence[Audio]]:
        """The next frames to be heard: the mix `(channels, frames)`, and each stem as it is in it."""
        song = self.song
        self._fetch()
        out = np.zeros((song.channels, frames), np.float32)
        stems = [np.zeros((song.channels, frames), np.float32) for _ in song.stems]
        first, self.frame = self.frame, self.frame + frames
        available = self._came.available(first)
        gains = self._lateness.gains(frames, available)
        self._gate.target = 1.0 if self.playing else 0.0
        if not (self._gate.resting and self._gate.value == 0.0):
            there = min(frames, available)
            if there:
                self._wet_gains = gains if isinstance(gains, float) else gains[:there]
                rows = self._came.read(first, there)
                self._mix(first, rows, False, out[:, :there], [stem[:, :there] for stem in stems])
            if there < frames:
                self._wet_gains = 0.0
                rows = np.zeros((song.layout.rows, frames - there), np.float32)
                rows[: song.channels] = self._sent.read(first + there, frames - there)
                self._mix(first + there, rows, True, out[:, there:], [stem[:, there:] for stem in stems])
        self._meter(out, stems)
        return out, stems

    def _wetness(self, is_dry: bool, frames: int) -> NDArray[np.float32] | float:
        return self._wet_gains

    def _fetch(self) -> None:
        """Take what has come back off the ring, so that there is room for more."""
        ring = self._line.back
        while (block := ring.peek()) is not None:
            if block.frame > self._came.end and self._came.available(self.frame):
                return  # after a gap: what lies before it is heard first
            self._came.write(block.frame, block.audio)
            ring.done()


def _forget(line: LiveLine) -> None:
    for ring in (line.to, line.back):
        ring.close()
        with contextlib.suppress(OSError):
            ring.path.unlink()
