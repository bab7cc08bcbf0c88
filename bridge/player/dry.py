"""The plain song in the streamer's place: read from its file by the player itself while there is none."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import numpy as np
from stembridge.model.errors import StembridgeError

from .deck import Deck
from .reader import SongReader
from .ring import BLOCK, DRY, END

log = logging.getLogger(__name__)

_AHEAD = 16
"""Blocks that are kept ready: little, so that the streamer's return is soon heard."""


class DrySource:
    """Writes the mix alone to a deck's ring, from where the streamer stopped."""

    def __init__(self, path: Path, deck: Deck, epoch: int) -> None:
        """Open the song and begin. A song that cannot be read is told in the log, and nothing is heard."""
        self._deck = deck
        self._path = path
        self._lock = threading.Lock()
        self._epoch = epoch
        written = deck.ring.written_until(epoch)
        self._frame = deck.frame if written is None else written
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dry", daemon=True)
        self._thread.start()

    def seek(self, epoch: int, frame: int) -> None:
        """Go on from another place."""
        with self._lock:
            self._epoch, self._frame = epoch, frame

    def close(self) -> None:
        """Stop writing; when this returns the ring is somebody else's."""
        self._closing.set()
        if self._thread is not threading.current_thread():
            self._thread.join(5.0)

    def _run(self) -> None:
        try:
            reader = SongReader(self._path, self._deck.song.sample_rate)
        except StembridgeError as error:
            log.error("the plain song cannot be read either: %s", error)
            return
        try:
            while not self._closing.is_set():
                if not self._write_one(reader):
                    self._closing.wait(0.003)
        except StembridgeError as error:
            log.error("the plain song cannot be read on: %s", error)
        finally:
            reader.close()

    def _write_one(self, reader: SongReader) -> bool:
        deck = self._deck
        with self._lock:
            epoch, frame = self._epoch, self._frame
            if frame >= deck.song.frames or deck.ring.waiting >= _AHEAD:
                return False
            reader.seek(frame)
            mix = reader.read(BLOCK)
            rows = np.zeros((deck.song.layout.rows, mix.shape[1]), np.float32)
            rows[: deck.song.channels] = mix
            self._frame = frame + mix.shape[1]
            flags = DRY | (END if self._frame >= deck.song.frames else 0)
            return deck.ring.write(rows, epoch=epoch, frame=frame, flags=flags)
