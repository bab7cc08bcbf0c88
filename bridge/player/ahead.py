"""A song being separated ahead of a playhead, into a spool on disk, so that any place near it can be heard.

The separator goes through the song in order from wherever the playhead was put; places it has been to stay in
the spool until it holds `WINDOW_S` of sound, then those furthest behind the playhead make room. Separators
are anchored at frame 0, so what is heard after a jump is what the whole song would have given.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from stembridge.model.errors import StembridgeError
from stembridge.model.registry import Device, create_separator
from stembridge.model.residual import rest_of
from stembridge.model.separation import StemStream
from stembridge.model.separators.protocol import Separator
from stembridge.model.separators.stem_files import is_stem_mp4
from stembridge.model.separators.stems_from import StemsFrom

from .deck import DeckSong
from .reader import SongReader

log = logging.getLogger(__name__)

PIECE = 16_384
"""Frames of a piece of the spool."""
WINDOW_S = 900.0
_PUSH = 16_384


@dataclass(frozen=True)
class SongSpec:
    """What to play, and how to take it apart."""

    path: Path
    model: str = "default"
    stems_from: Path | None = None
    device: Device = "cpu"
    sample_rate: int | None = None
    """The device's; None: the song's own."""


class SongAhead:
    """One song, taken apart by a thread of its own."""

    def __init__(
        self,
        spec: SongSpec,
        spool: Path,
        *,
        cached: Callable[[SongReader], Separator | None] = lambda _reader: None,
    ) -> None:
        """Open the song; `run` (on a thread) does the work. `cached` finds stems of it that exist already.

        Raises StembridgeError for a song that cannot be read or a separator that cannot be had.
        """
        self.spec = spec
        self._open = ExitStack()
        self._mix = SongReader(spec.path, spec.sample_rate)
        self._open.callback(self._mix.close)
        try:
            self._stream = StemStream(self._separator(cached))
        except BaseException:
            self._open.close()
            raise
        self.song = DeckSong(
            self._stream.stems, self._mix.channels, self._mix.sample_rate, "other", (), self._mix.frames
        )
        rows = self.song.channels * (1 + len(self.song.stems))
        self._pieces = max(round(WINDOW_S * self.song.sample_rate / PIECE), 8)
        self._pieces = min(self._pieces, -(-max(self.song.frames, 1) // PIECE))
        file = tempfile.TemporaryFile(dir=spool)  # noqa: SIM115
        self._open.callback(file.close)
        file.truncate(self._pieces * rows * PIECE * 4)
        self._spool = np.memmap(file, np.float32, "r+", shape=(self._pieces, rows, PIECE))
        self._place: dict[int, int] = {}
        """Piece of the song -> piece of the spool, for those that are complete."""
        self._free = list(range(self._pieces))
        self._lock = threading.Condition()
        self._head = 0
        self._closing = False
        self.failed: StembridgeError | None = None

    @property
    def complete(self) -> bool:
        """Whether all that fits has been separated."""
        with self._lock:
            return self._wanted() is None

    def want(self, frame: int) -> None:
        """Say where the playhead is."""
        with self._lock:
            self._head = frame // PIECE
            self._lock.notify_all()

    def ready(self, frame: int) -> int:
        """How many frames from a frame on can be read without waiting."""
        with self._lock:
            piece = frame // PIECE
            while piece in self._place:
                piece += 1
            return max(min(piece * PIECE, self.song.frames) - frame, 0)

    def read(self, frame: int, frames: int) -> NDArray[np.float32] | None:
        """Mix, stems and residual `(rows, frames)` of a part that lies in one piece; None: not there yet."""
        piece, start = divmod(frame, PIECE)
        with self._lock:
            if (place := self._place.get(piece)) is None:
                return None
            rows = np.array(self._spool[place, :, start : start + frames])
        channels = self.song.channels
        mix, stems = rows[:channels], rows[channels:].reshape(len(self.song.stems), channels, rows.shape[1])
        return np.concatenate([rows, rest_of(mix, stems).astype(np.float32)])

    def run(self) -> None:
        """Separate until closed; what goes wrong is in `failed`."""
        try:
            while True:
                with self._lock:
                    while (target := self._wanted()) is None and not self._closing:
                        self._lock.wait()
                    if self._closing:
                        return
                assert target is not None
                self._separate_from(target)
        except StembridgeError as error:
            self.failed = error
        except Exception as error:
            log.exception("%s cannot be separated", self.spec.path)
            self.failed = StembridgeError(f"{self.spec.path}: {type(error).__name__}: {error}")

    def close(self) -> None:
        """End the thread soon and let go of everything. Twice is fine."""
        with self._lock:
            self._closing = True
            self._lock.notify_all()

    def release(self) -> None:
        """Let go of files; after `run` has returned."""
        del self._spool
        self._open.close()

    def _separator(self, cached: Callable[[SongReader], Separator | None]) -> Separator:
        spec, rate, channels = self.spec, self._mix.sample_rate, self._mix.channels
        folder = spec.stems_from or (spec.path if spec.path.is_dir() or is_stem_mp4(spec.path) else None)
        if folder is not None:
            return self._open.enter_context(StemsFrom(folder, rate, channels, frames=self._mix.frames))
        if (found := cached(self._mix)) is not None:
            return found
        return create_separator(spec.model, rate, channels, device=spec.device)

    def _wanted(self) -> int | None:
        """The piece to separate next: the first that is missing from the playhead on, as far as room goes."""
        last = -(-self.song.frames // PIECE)
        for piece in range(self._head, min(last, self._head + self._pieces)):
            if piece not in self._place:
                return piece
        return next((piece for piece in range(self._head) if piece not in self._place and self._free), None)

    def _separate_from(self, piece: int) -> None:
        """Go through the song from a piece on until the playhead wants something else."""
        stream, frames = self._stream, self.song.frames
        start = max(piece * PIECE - stream.context_frames, 0) // stream.grid * stream.grid
        stream.reset(start)
        self._mix.seek(start)
        at, rows = start, np.zeros((self.song.channels * (1 + len(self.song.stems)), 0), np.float32)
        pushed = start
        while True:
            count = min(_PUSH, frames - pushed)
            block = stream.push(self._mix.read(count)) if count else stream.flush()
            pushed += count
            stems = block.stems.reshape(len(rows) - self.song.channels, block.frames)
            more = np.concatenate([block.mix, stems])
            rows = np.concatenate([rows, more], axis=1)
            if at < piece * PIECE:  # context that was only pushed for what comes after it
                drop = min(piece * PIECE - at, rows.shape[1])
                rows, at = rows[:, drop:], at + drop
            while rows.shape[1] >= PIECE or (count == 0 and rows.shape[1]):
                self._keep(piece, rows[:, :PIECE])
                rows, at, piece = rows[:, PIECE:], at + PIECE, piece + 1
            with self._lock:
                if self._closing or count == 0 or self._elsewhere(piece):
                    return

    def _elsewhere(self, piece: int) -> bool:
        """Whether the stream, which now gives `piece`, should go on at another place."""
        wanted = self._wanted()
        behind = self._stream.context_frames // PIECE + 8
        return wanted is None or not piece <= wanted <= piece + behind

    def _keep(self, piece: int, rows: NDArray[np.float32]) -> None:
        with self._lock:
            if piece in self._place:
                place = self._place.pop(piece)
            elif self._free:
                place = self._free.pop()
            else:
                # What lies furthest behind the playhead goes, and only then what lies furthest ahead.
                behind = [one for one in self._place if one < self._head]
                gone = min(behind) if behind else max(self._place)
                place = self._place.pop(gone)
            self._spool[place, :, : rows.shape[1]] = rows
            self._place[piece] = place
