"""Boards: pedalboard's list of effects, for its own plug-ins and ours in one chain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
import pedalboard
from numpy.typing import NDArray

from ..audio import Audio
from ..dsp.fifo import Fifo
from ..dsp.ramp import RampBank
from ..errors import ArgumentTypeError, ArgumentValueError
from ..remix import holds_at, scaled
from ..units import MAX_GAIN_DB, db_to_gain
from .effect import BUFFER_SIZE, Effect
from .items import Item, check_duplicates
from .line import Line
from .plugin_list import PluginList

_GAIN_RAMP_MS = 20.0


class Board(PluginList, Effect):
    """Effects in a row, as a list: what `pedalboard.Pedalboard` is, for pedalboard's plug-ins, ours,
    other boards, and None (which does nothing).

    Neighbouring native plug-ins run natively in one go, so a board of them gives pedalboard's own
    samples. Where pedalboard goes wrong this does not: chunks of a stream may have any sizes, effects
    with latency may stand anywhere (also in a native `Mix`, which runs as `Parallel`), `flush()` returns
    the end, and the list may be edited from any thread: an edit holds from the next call on.

    Two things VST3s ask of a stream: some can only be reset on the main thread (PluginError elsewhere),
    so call `reset()` or `prepare()` there and stream from any one thread; and the first chunk sets the
    block size they run at, so let it be of an ordinary size. `PitchShift` and `GSMFullRateCompressor`
    cannot be streamed at all and say so.

    >>> from pedalboard import Gain
    >>> board = Board([Gain(-6), None, Board([Gain(6)])])
    >>> len(board), board(np.ones(3, np.float32), 44100).round(3).tolist()
    (3, [1.0, 1.0, 1.0])
    """

    def __init__(self, plugins: Sequence[Item] | pedalboard.Chain | None = None) -> None:
        Effect.__init__(self)
        PluginList.__init__(self, plugins)
        self._line = Line(_parallel)
        self._last_spec = (44100.0, 2)

    def parts(self) -> Iterable[Item]:
        """The items."""
        return self.items

    @property
    def reported_latency_samples(self) -> int:
        """The sum over the row. Latencies that depend on the rate are those of the last rate used.

        Where pedalboard does not tell (`Resample`, `MP3Compressor`, whose latency moves by a few frames
        with the block size) a plug-in is asked with silence, once, and is reset by that.
        """
        with self._lock:
            self._arrange()
            return self._latency()

    def _arrange(self) -> None:
        """Take over the edits made so far."""
        self._line.arrange(self.items, streaming=self.streaming)

    def _latency(self) -> int:
        return self._line.latency(*self._last_spec)

    def _start(self, sample_rate: float, channels: int) -> None:
        self._last_spec = (sample_rate, channels)
        self._arrange()
        self._line.start(sample_rate, channels)

    def _push(self, block: Audio, buffer_size: int) -> Audio:
        return self._line.push(block, buffer_size)

    def _finish(self) -> Audio:
        return self._line.finish()

    def _forget(self) -> None:
        self._arrange()
        self._line.reset()

    def _whole(self, audio: Audio, sample_rate: float, buffer_size: int) -> Audio:
        self._last_spec = (sample_rate, audio.shape[0])
        self._arrange()
        out = self._line.whole(audio, sample_rate, buffer_size)
        if self._line.streaming:
            self._resume(sample_rate, audio.shape[0])
        return out

    # A board hands on what its plug-ins give, when they give it.

    def _stream_chunk(self, audio: Audio, buffer_size: int) -> Audio:
        self._arrange()
        out = self._push(audio, buffer_size)
        self._open_stream.taken += audio.shape[1]
        self._open_stream.given += out.shape[1]
        return out

    def _drain(self) -> Audio:
        rest = self._finish()
        self._stream = None
        return rest


Pedalboard = Board
"""The name to import where `from pedalboard import Pedalboard` was."""


class Parallel(Board):
    """Branches that get the same sound and are summed, aligned however late each one is.

    A branch is anything a board holds (None is the dry sound) or a list, which becomes a `Board`. Each
    has a gain in dB, -144 (silence) to +12, 0 unless given; one that changes while a stream runs moves
    there within 20 ms. Without branches there is silence, as in pedalboard's `Mix`, which this replaces.

    >>> from pedalboard import Gain
    >>> both = Parallel([None, [Gain(6), Gain(-6)]], gains_db=[-144, 0])
    >>> both(np.ones(2, np.float32), 44100).round(3).tolist()
    [1.0, 1.0]
    """

    def __init__(
        self,
        branches: Sequence[Any] | None = None,
        gains_db: Sequence[float] | None = None,
    ) -> None:
        super().__init__(branches)
        self._gains_db: tuple[float, ...] = (0.0,) * len(self)
        self._lanes: list[_Lane] = []
        if gains_db is not None:
            self.gains_db = gains_db

    @property
    def gains_db(self) -> Sequence[float]:
        """One gain per branch, in dB."""
        return self._gains_db

    @gains_db.setter
    def gains_db(self, gains_db: Sequence[float]) -> None:
        checked = tuple(_checked_gain(gain_db) for gain_db in gains_db)
        with self._edits:
            if len(checked) != len(self):
                raise ArgumentValueError(
                    f"gains_db needs one gain per branch, {len(self)}; got {len(checked)}"
                )
            self._gains_db = checked

    def __add__(self, other: Iterable[Item]) -> Self:
        both = super().__add__(other)
        if isinstance(other, Parallel) and both is not NotImplemented:
            both.gains_db = (*self.gains_db, *other.gains_db)
        return both

    def _sliced(self, cut: slice) -> Self:
        board = super()._sliced(cut)
        board._gains_db = self._gains_db[cut]
        return board

    def _edit(self, operation: str, *arguments: Any) -> None:
        with self._edits:
            super()._edit(operation, *arguments)
            gains = list(self._gains_db)
            if operation == "insert":
                gains.insert(arguments[0], 0.0)
            elif operation == "__delitem__":
                del gains[arguments[0]]
            elif isinstance(arguments[0], slice):
                gains[arguments[0]] = [0.0] * len(arguments[1])
            self._gains_db = tuple(gains)

    def _accept(self, item: object) -> Item:
        return Board(item) if isinstance(item, list | tuple) else super()._accept(item)

    def _arrange(self) -> None:
        with self._edits:
            items, gains_db = self.items, self._gains_db
        check_duplicates(items)
        old = list(self._lanes)
        lanes = []
        for item, gain_db in zip(items, gains_db, strict=True):
            lane = next((lane for lane in old if lane.item is item), None)
            if lane is None:
                lane = _Lane(item)
                if self._stream is not None:
                    lane.start(self._stream.sample_rate, self._stream.channels, self._stream.inside)
            else:
                old.remove(lane)
            lane.line.arrange([item], streaming=self.streaming)
            lane.gain = db_to_gain(gain_db)
            lanes.append(lane)
        self._lanes = lanes

    def _latency(self) -> int:
        return max((lane.line.latency(*self._last_spec) for lane in self._lanes), default=0)

    def _start(self, sample_rate: float, channels: int) -> None:
        self._last_spec = (sample_rate, channels)
        self._arrange()
        for lane in self._lanes:
            lane.start(sample_rate, channels)

    def _push(self, block: Audio, buffer_size: int) -> Audio:
        for lane in self._lanes:
            lane.ready.push(lane.line.push(block, buffer_size))
        return self._sum(min((len(lane.ready) for lane in self._lanes), default=block.shape[1]))

    def _finish(self) -> Audio:
        for lane in self._lanes:
            lane.ready.push(lane.line.finish())
        # Edits may have left one branch short of frames that went with the plug-in they were in.
        return self._sum(min((len(lane.ready) for lane in self._lanes), default=0))

    def _forget(self) -> None:
        self._arrange()
        for lane in self._lanes:
            lane.line.reset()

    def _whole(self, audio: Audio, sample_rate: float, buffer_size: int) -> Audio:
        channels = audio.shape[0]
        self._last_spec = (sample_rate, channels)
        self._arrange()
        for lane in self._lanes:
            lane.clear(sample_rate, channels)
            lane.ready.push(lane.line.whole(audio, sample_rate, buffer_size))
        out = self._sum(audio.shape[1])
        if all(lane.line.streaming for lane in self._lanes):
            self._resume(sample_rate, channels)
        return out

    def _sum(self, frames: int) -> Audio:
        total = np.zeros((self._last_spec[1], frames), np.float32)
        for lane in self._lanes:
            lane.add_to(total)
        return total


class _Lane:
    """One branch: its row, what has come out of it and waits for the others, and its gain."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.line = Line(_parallel)
        self.gain = 1.0

    def start(self, sample_rate: float, channels: int, frames_behind: int = 0) -> None:
        """Begin a stream, or join one that has `frames_behind` frames inside."""
        self.clear(sample_rate, channels)
        self.ready.push(np.zeros((channels, frames_behind), np.float32))
        self.line.arrange([self.item], streaming=False)
        self.line.start(sample_rate, channels)

    def clear(self, sample_rate: float, channels: int) -> None:
        """Nothing waits; the gain is where it shall be."""
        self.ready = Fifo(channels)
        self._ramp = RampBank(1, round(_GAIN_RAMP_MS * sample_rate / 1000))
        self._started = False

    def add_to(self, total: Audio) -> None:
        """Add the next frames, with their gain, to `total`."""
        frames = total.shape[1]
        self._ramp.aim(np.array([self.gain]), jump=not self._started)
        self._started = self._started or frames > 0
        audio = self.ready.pop(frames)
        for span in self._ramp.take(frames):
            (gain,) = span.gains
            part = audio[:, span.start : span.stop]
            total[:, span.start : span.stop] += part if holds_at(gain, 1.0) else scaled(part, gain)


def process(
    input_array: NDArray[np.floating],
    sample_rate: float,
    plugins: Sequence[Item],
    buffer_size: int = BUFFER_SIZE,
    reset: bool = True,
) -> NDArray[np.float32]:
    """Run audio through a list of plug-ins once, as `pedalboard.process` does.

    Raises ArgumentValueError for `reset=False`: the board is made anew on every call, so there would be
    no stream to continue.
    """
    board = Board(plugins)
    if not reset:
        raise ArgumentValueError(
            "process() makes its board anew on every call and cannot continue a stream; keep one "
            "Board(plugins) and call it with reset=False"
        )
    return board.process(input_array, sample_rate, buffer_size, reset)


def _checked_gain(gain_db: float) -> float:
    if not isinstance(gain_db, int | float | np.floating | np.integer):
        raise ArgumentTypeError(f"a gain must be a number of dB; got {gain_db!r}")
    if not gain_db <= MAX_GAIN_DB:
        raise ArgumentValueError(f"a gain must be at most {MAX_GAIN_DB:+g} dB; got {gain_db:g}")
    return float(gain_db)


def _parallel(branches: tuple[Item, ...]) -> Effect:
    return Parallel(branches)
