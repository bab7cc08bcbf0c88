"""`live` in the streamer: what is heard comes off one ring, is taken apart, and goes back on another.

It runs on a thread of its own, ahead of other work where the system allows it, and has been through a few
seconds of silence before the first frame comes, so that nothing is loaded or built while it counts.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from stembridge.model.platform import hurry
from stembridge.model.registry import create_separator
from stembridge.model.separation import Separated, StemStream

from .chains import Chains
from .deck import DeckSong
from .live_deck import input_layout
from .ring import BLOCK, Ring

log = logging.getLogger(__name__)

_LOOK_S = 0.002
_WARM_S = 1.0
_PATIENCE_S = 0.25
"""A plug-in that takes longer over a block is bypassed: it has been an overload for long by then."""


class LiveStream:
    """One input being taken apart as it comes."""

    def __init__(self, line: dict[str, Any], failed: Callable[[str], None]) -> None:
        """Load what `line` asks for, and make the rings; `failed` is told of chains that are bypassed.

        Raises StembridgeError for what cannot be had.
        """
        rate, channels = int(line["sample_rate"]), int(line["channels"])
        self.key = str(line["key"])
        separator = create_separator(line.get("model", "live"), rate, channels, device="cpu")
        self._stream = StemStream(separator)
        self._chains = Chains(
            line.get("chains", {}), self._stream.stems, rate, channels, failed, patience_s=_PATIENCE_S
        )
        self.song = DeckSong(self._stream.stems, channels, rate, "other", self._chains.treated)
        self.latency = self._stream.latency + self._chains.latency
        self._to = Ring(Path(line["to"]), input_layout(channels), create=True)
        self._back = Ring(Path(line["back"]), self.song.layout, create=True)
        self._heard = 0
        """The input frame that is due."""
        self._given = 0
        """The frame that comes out next."""
        self._closing = threading.Event()
        self._ready = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)

    def start(self) -> None:
        """Begin; returns once everything is warm. Raises what went wrong until then."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """End, and let go of the rings and the chains."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(5.0)
        self._chains.close()
        self._to.close()
        self._back.close()

    def step(self) -> bool:
        """Take one block apart, if one is there."""
        block = self._to.peek()
        if block is None:
            return False
        if block.frame != self._heard:
            # The player had no room for what lies between: what comes now has nothing before it.
            self._begin(block.frame)
        audio = block.audio.copy()
        self._to.done()
        self._heard = block.frame + audio.shape[1]
        self._write(self._stream.push(audio))
        return True

    def _run(self) -> None:
        hurry()
        try:
            self._warm_up()
        except Exception as error:
            self._failure = error
            return
        finally:
            self._ready.set()
        try:
            while not self._closing.is_set():
                if not self.step():
                    time.sleep(_LOOK_S)
        except Exception:
            # Nothing would come back any more: the player starts another process in place of this one.
            log.exception("live separation failed")
            os._exit(1)

    def _warm_up(self) -> None:
        song = self.song
        silence = np.zeros((song.channels, BLOCK), np.float32)
        for _ in range(round((_WARM_S * song.sample_rate + self.latency) / BLOCK)):
            for _ in self._chains.push(0, self._stream.push(silence)):
                pass
        self._begin(0)
        gc.collect()
        gc.freeze()  # what is loaded by now stays: later collections need not look at it

    def _begin(self, frame: int) -> None:
        self._stream.reset()
        self._chains.reset()
        self._heard = self._given = frame

    def _write(self, block: Separated) -> None:
        for start in range(0, block.frames, BLOCK):
            stop = min(start + BLOCK, block.frames)
            piece = Separated(
                block.mix[:, start:stop], block.stems[:, :, start:stop], block.residual[:, start:stop]
            )
            for frame, rows in self._chains.push(self._given, piece):
                # Without room nobody listens; what is missing there is the listener's to make up for.
                self._back.write(rows, epoch=0, frame=frame)
            self._given += stop - start
