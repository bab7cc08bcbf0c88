"""The streamer: takes songs apart ahead of the playhead and hands them to the player, block by block.

A process of its own, for torch and plug-ins may take their time or die here, and the player may not. It is
told what to do in lines on standard input, answers on the pipe it was given, and ends when that closes.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stembridge.model.errors import StembridgeError
from stembridge.model.platform import die_with_parent, keep_freed_memory
from stembridge.model.separation import Separated

from .ahead import PIECE, SongAhead, SongSpec
from .chains import Chains
from .deck import DeckSong
from .live_streamer import LiveStream
from .ring import BLOCK, END, Ring
from .wire import Writer, lines

SPLICE_S = 0.005
"""Where a loop goes back to its start the two ends are faded into each other over this."""
_ROOM_S = 0.002
_SEPARATE_NEXT_AFTER_S = 20.0
"""The next song has its turn once so much of this one lies ready."""


@dataclass
class _Loaded:
    """A song, the thread that takes it apart, and the ring it goes to."""

    key: str
    ahead: SongAhead
    thread: threading.Thread
    ring: Ring | None = None
    chains: Chains | None = None
    """What treats its stems, if anything does."""
    waiting: deque[tuple[int, NDArray[np.float32], int]] = field(default_factory=deque)
    """What came out of the chains and has not gone to the ring: frame, rows, flags."""

    @property
    def song(self) -> DeckSong:
        """As it goes to the player."""
        song = self.ahead.song
        return song if self.chains is None else replace(song, treated=self.chains.treated)

    def begin(self) -> None:
        if not self.thread.is_alive():
            self.thread.start()

    def end(self) -> None:
        self.ahead.close()
        if self.thread.is_alive():
            self.thread.join(10.0)
        if self.ring is not None:
            self.ring.close()
        if self.chains is not None:
            self.chains.close()
        if not self.thread.is_alive():
            self.ahead.release()


class Streamer:
    """What one streamer process does."""

    def __init__(self, spool: Path, answers: Writer) -> None:
        self._spool = spool
        self._answers = answers
        self._current: _Loaded | None = None
        self._next: _Loaded | None = None
        self._lock = threading.Lock()
        self._epoch = 0
        self._frame = 0
        self._loop: tuple[int, int] | None = None
        self._ended = False
        self._told_failed = False
        self._live: LiveStream | None = None

    def take(self, line: dict[str, Any]) -> None:
        """Do what a line says; what cannot be done is answered, never raised."""
        try:
            match line.get("do"):
                case "load":
                    self._load(line)
                case "next":
                    self._load_next(line)
                case "live":
                    self._begin_live(line)
                case "live_end":
                    self._end_live()
                case "seek":
                    self._seek(int(line["epoch"]), int(line["frame"]))
                case "loop":
                    start, end = int(line["start"]), int(line["end"])
                    with self._lock:
                        self._loop = (start, end) if end - start > BLOCK else None
        except StembridgeError as error:
            self._answers.send(
                {"is": "failed", "key": line.get("key", ""), "code": error.code, "text": str(error)}
            )
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            self._answers.send({"is": "failed", "key": line.get("key", ""), "code": "internal", "text": text})

    def feed(self) -> None:
        """Keep the ring full, for ever; runs on a thread of its own."""
        while True:
            with self._lock:
                worked = self._feed_one()
            if not worked:
                time.sleep(_ROOM_S)

    def close(self) -> None:
        """Let go of the songs."""
        with self._lock:
            for loaded in (self._current, self._next):
                if loaded is not None:
                    loaded.end()
            self._current = self._next = None
        self._end_live()

    def _begin_live(self, line: dict[str, Any]) -> None:
        """Take what is heard apart, in place of a song."""
        self._end_live()
        with self._lock:
            before, self._current = self._current, None
        if before is not None:
            before.end()
        live = LiveStream(line, self._bypassed)
        live.start()
        self._live = live
        song = live.song
        self._answers.send(
            {
                "is": "live", "key": live.key, "to": line["to"], "back": line["back"], "stems": song.stems,
                "channels": song.channels, "sample_rate": song.sample_rate, "treated": song.treated,
                "latency": live.latency,
            }
        )  # fmt: skip

    def _end_live(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.close()

    def _bypassed(self, text: str) -> None:
        self._answers.send({"is": "problem", "code": "chain_bypassed", "text": text})

    def _load(self, line: dict[str, Any]) -> None:
        """Make a song the one that goes to the player; it may have been taken apart ahead already."""
        key = str(line["key"])
        self._end_live()
        with self._lock:
            following = self._next
            if following is not None and following.key == key:
                self._next, loaded = None, following
            else:
                loaded = None
        if loaded is None:
            loaded = self._opened(key, line)
        loaded.begin()
        song = loaded.song
        loaded.ring = Ring(Path(line["ring"]), song.layout, create=True)
        with self._lock:
            before, self._current = self._current, loaded
            self._epoch, self._frame, self._loop = 0, int(line.get("frame", 0)), None
            self._ended = self._told_failed = False
            loaded.ahead.want(self._frame)
        self._answers.send(
            {
                "is": "loaded", "key": key, "ring": line["ring"], "stems": song.stems,
                "channels": song.channels, "sample_rate": song.sample_rate, "frames": song.frames,
                "treated": song.treated, "residual_policy": song.residual_policy,
            }
        )  # fmt: skip
        if before is not None:
            before.end()

    def _load_next(self, line: dict[str, Any]) -> None:
        following = self._opened(str(line["key"]), line)
        with self._lock:
            before, self._next = self._next, following
        if before is not None:
            before.end()
        self._answers.send({"is": "next", "key": following.key})

    def _opened(self, key: str, line: dict[str, Any]) -> _Loaded:
        stems_from = line.get("stems_from")
        spec = SongSpec(
            Path(line["path"]),
            line.get("model", "default"),
            Path(stems_from) if stems_from else None,
            line.get("device", "cpu"),
            line.get("sample_rate"),
        )
        ahead = SongAhead(spec, self._spool)
        loaded = _Loaded(key, ahead, threading.Thread(target=ahead.run, name="separate", daemon=True))
        if specs := line.get("chains"):
            song = ahead.song
            chains = Chains(specs, song.stems, song.sample_rate, song.channels, self._bypassed)
            loaded.chains = chains if chains.treated else None
        return loaded

    def _seek(self, epoch: int, frame: int) -> None:
        with self._lock:
            self._epoch, self._frame, self._ended = epoch, frame, False
            if self._current is not None:
                self._current.ahead.want(frame)
                self._current.waiting.clear()
                if self._current.chains is not None:
                    self._current.chains.reset()

    def _feed_one(self) -> bool:
        """Write one block, if one is ready and there is room; False when there was nothing to do."""
        current = self._current
        if current is None or current.ring is None:
            return False
        if current.ahead.failed is not None and not self._told_failed:
            self._told_failed = True
            error = current.ahead.failed
            self._answers.send({"is": "failed", "key": current.key, "code": error.code, "text": str(error)})
        self._begin_next(current)
        if current.ring.room < 2:
            return False
        if current.waiting:
            at, ready, flags = current.waiting.popleft()
            return current.ring.write(ready, epoch=self._epoch, frame=at, flags=flags)
        if self._ended:
            return False
        frame, song = self._frame, current.ahead.song
        current.ahead.want(frame)
        if frame >= song.frames:
            self._ended = True
            self._put(current, frame, np.zeros((song.layout.rows, 0), np.float32), END)
            return True
        stop = min(frame + BLOCK, song.frames, (frame // PIECE + 1) * PIECE)
        loop = self._loop if self._loop is not None and frame < self._loop[1] else None
        if loop is not None:
            stop = min(stop, loop[1])
        rows = current.ahead.read(frame, stop - frame)
        if rows is None:
            return False
        if loop is not None:
            rows = self._spliced(current.ahead, rows, frame, loop)
            if rows is None:
                return False
        at_end = stop >= song.frames and loop is None
        self._put(current, frame, rows, END if at_end else 0)
        self._ended = at_end
        self._frame = loop[0] if loop is not None and stop == loop[1] else stop
        return True

    def _put(self, current: _Loaded, frame: int, rows: NDArray[np.float32], flags: int) -> None:
        """Write a block, with what its chains make of it."""
        assert current.ring is not None
        song, chains = current.song, current.chains
        if chains is None:
            current.ring.write(rows, epoch=self._epoch, frame=frame, flags=flags)
            return
        mix, stems, rest = np.split(rows, [song.channels, -song.channels])
        stems = stems.reshape(len(song.stems), song.channels, rows.shape[1])
        current.waiting += [(at, ready, 0) for at, ready in chains.push(frame, Separated(mix, stems, rest))]
        if flags & END:
            current.waiting += [(at, ready, 0) for at, ready in chains.finish()]
            nothing = np.zeros((song.layout.rows, 0), np.float32)
            current.waiting.append((frame + rows.shape[1], nothing, flags))

    def _spliced(
        self, ahead: SongAhead, rows: NDArray[np.float32], frame: int, loop: tuple[int, int]
    ) -> NDArray[np.float32] | None:
        """The block before a loop's end with what lies before its start faded in; None: not there yet."""
        start, end = loop
        length = min(round(SPLICE_S * ahead.song.sample_rate), start, end - start)
        first = max(end - length, frame)
        if length == 0 or first >= frame + rows.shape[1]:
            return rows
        out, at = rows.copy(), first
        while at < frame + rows.shape[1]:
            before = start - (end - at)
            count = min(frame + rows.shape[1] - at, (before // PIECE + 1) * PIECE - before)
            if (incoming := ahead.read(before, count)) is None:
                ahead.want(before)
                return None
            fade = (np.arange(at, at + count) - (end - length) + 1) / length
            here = slice(at - frame, at - frame + count)
            out[:, here] = rows[:, here] * (1.0 - fade) + incoming * fade
            at += count
        return out

    def _begin_next(self, current: _Loaded) -> None:
        """Let the next song be taken apart once this one has a lead."""
        following = self._next
        if following is None or following.thread.is_alive() or following.thread.ident is not None:
            return
        lead = current.ahead.ready(self._frame) / current.ahead.song.sample_rate
        if current.ahead.complete or lead >= _SEPARATE_NEXT_AFTER_S:
            following.begin()


def main() -> int:
    """Run until standard input ends."""
    die_with_parent(os.getppid())
    keep_freed_memory()
    # What prints to standard output (a plug-in) must not end up between the answers.
    answers = Writer(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    streamer = Streamer(Path(sys.argv[1]), answers)
    threading.Thread(target=streamer.feed, name="feed", daemon=True).start()
    threading.Thread(target=_warm_up, args=(answers,), name="warm", daemon=True).start()
    for line in lines(sys.stdin.buffer):
        streamer.take(line)
    streamer.close()
    return 0


def _warm_up(answers: Writer) -> None:
    """Import what takes seconds and load the default network before the first song asks for it."""
    with contextlib.suppress(StembridgeError):
        from stembridge.model.registry import create_separator

        create_separator("default", 44100, 2)
    answers.send({"is": "warm"})


if __name__ == "__main__":
    sys.exit(main())
