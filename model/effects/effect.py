"""What an effect is here: pedalboard's `process` contract, with exact latency and a `flush`.

An `Effect` is deliberately not a `pedalboard.Plugin`: pedalboard's containers run only what is written
in C++ and would skip a Python `process` without a word, so they shall refuse an effect with a
TypeError. `Board` takes both.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio
from ..dsp.fifo import Fifo
from ..errors import ArgumentTypeError, ArgumentValueError, StateError
from .arguments import check_array, checked_arguments, checked_rate
from .layout import Layout, LayoutMemory

BUFFER_SIZE = 8192
"""pedalboard's default: how many frames an effect is fed at a time."""


class Effect(ABC):
    """An audio effect with pedalboard's manners, to be called like any of its plug-ins.

    Subclasses supply a stream, always in `(channels, frames)`: `_start`, `_push`, `_finish` and
    `reported_latency_samples`. This class turns it into the contract:

    - `reset=True`: one whole piece of audio; as many frames come back, aligned with what went in.
    - `reset=False`: the next chunk of a stream. `reported_latency_samples` frames are held back, so the
      first chunks come back short or empty, never longer than they went in; `flush()` returns the rest.
      Put together, the chunks are what one call with `reset=True` gives, however the stream was cut.
    - A stream begins at the first such call after `reset()`, `flush()` or construction. After a call
      with `reset=True` an effect without latency goes on where it was, as in pedalboard; one with
      latency has been emptied, and the next chunk begins a new stream.
    - Arrays may be `(frames,)`, `(channels, frames)` or `(frames, channels)`, of 32- or 64-bit floats;
      what comes back is float32, in the same layout, and never shares memory with the input.
    - An exception inside leaves a stream that cannot go on: further chunks raise StateError until
      `reset()`, or a call with `reset=True`, clears it.

    One lock per effect: calls from several threads follow each other.
    """

    is_effect = True
    is_instrument = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("process", "__call__", "process_planar"):
            if name in vars(cls):
                raise ArgumentTypeError(
                    f"{cls.__name__} overrides {name}, which boards do not call; override _start, _push "
                    "and _finish instead"
                )

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._layouts = LayoutMemory()
        self._stream: _Stream | None = None
        self._broken: str | None = None

    # What a subclass supplies.

    @property
    @abstractmethod
    def reported_latency_samples(self) -> int:
        """Frames that a stream is held back by; constant from one reset to the next."""

    @abstractmethod
    def _start(self, sample_rate: float, channels: int) -> None:
        """Begin a stream from a clean state."""

    @abstractmethod
    def _push(self, block: Audio, buffer_size: int) -> Audio:
        """Take the next block, 1 or more frames; return what is finished of the stream.

        Shape: `(channels, n)` in, not to be changed; `(channels, m)` out. All in all at least
        `n - latency` frames must be out; what is early is held back here. How the stream is cut, and
        `buffer_size` (a hint), must not change the sound.
        """

    def _finish(self) -> Audio:
        """End the stream: return every frame that is still inside."""
        silence = np.zeros((self._open_stream.channels, self.reported_latency_samples), np.float32)
        return self._push(silence, BUFFER_SIZE)

    def parts(self) -> Iterable[object]:
        """The plug-ins and effects inside; boards look there for one that is used twice."""
        return ()

    def _forget(self) -> None:  # noqa: B027 - optional
        """Let go of the stream; called by `reset`. `_start` follows before any `_push`."""

    def _whole(self, audio: Audio, sample_rate: float, buffer_size: int) -> Audio:
        """One whole piece: the stream, then its end."""
        self._begin(sample_rate, audio.shape[0])
        parts = [
            self._feed(audio[:, start : start + buffer_size], buffer_size)
            for start in range(0, audio.shape[1], buffer_size)
        ]
        if self._open_stream.inside:
            parts.append(self._drain())
        return np.concatenate(parts, axis=1)

    # The contract.

    @final
    def process(
        self,
        input_array: NDArray[np.floating],
        sample_rate: float,
        buffer_size: int = BUFFER_SIZE,
        reset: bool = True,
    ) -> NDArray[np.float32]:
        """Run audio through the effect; see the class for layouts, latency and streams.

        Raises ArgumentTypeError (a TypeError) for arguments of the wrong kind, ArgumentValueError (a
        ValueError) for values that cannot be, a rate or channel count that changes within a stream
        among them, and StateError (a RuntimeError) for a layout that cannot be told and for a stream
        that broke.
        """
        array = check_array(input_array)
        sample_rate, buffer_size, reset = checked_arguments(sample_rate, buffer_size, reset)
        with self._lock:
            layout = self._layouts.read(array)
            self._check_stream(sample_rate, layout.channels, reset)
            self._layouts.note(layout)
            # A copy: callers fill the same buffer again while a stream may still hold what it was given.
            audio = layout.planar(array)
            return layout.restored(self._process(audio, sample_rate, buffer_size, reset))

    @final
    def __call__(
        self,
        input_array: NDArray[np.floating],
        sample_rate: float,
        buffer_size: int = BUFFER_SIZE,
        reset: bool = True,
    ) -> NDArray[np.float32]:
        """The same as `process`."""
        return self.process(input_array, sample_rate, buffer_size, reset)

    @final
    def process_planar(
        self, audio: Audio, sample_rate: float, buffer_size: int = BUFFER_SIZE, reset: bool = True
    ) -> Audio:
        """`process` for audio that is `(channels, frames)` whatever its shape looks like.

        Nothing is guessed, so chunks as short as one frame need no earlier array to explain them.
        """
        check_array(audio)
        if audio.ndim != 2 or audio.shape[0] == 0:
            raise ArgumentValueError(f"audio must be (channels, frames); got {audio.shape}")
        sample_rate, buffer_size, reset = checked_arguments(sample_rate, buffer_size, reset)
        with self._lock:
            layout = Layout(audio.shape[0])
            self._check_stream(sample_rate, layout.channels, reset)
            self._layouts.note(layout)
            return self._process(layout.planar(audio), sample_rate, buffer_size, reset)

    @final
    def flush(self, sample_rate: float | None = None) -> NDArray[np.float32]:
        """End the stream: return the frames held back, in the layout of the chunks.

        The state is clean afterwards, and the next chunk begins a new stream. Without a stream there is
        nothing to return. A `sample_rate` that is not the stream's raises ArgumentValueError.
        """
        with self._lock:
            self._check_whole()
            stream = self._stream
            layout = self._layouts.last or Layout(1, flat=True)
            if stream is None:
                return layout.restored(np.empty((layout.channels, 0), np.float32))
            if sample_rate is not None and checked_rate(sample_rate) != stream.sample_rate:
                raise ArgumentValueError(
                    f"the stream runs at {stream.sample_rate:g} Hz; got {sample_rate:g} Hz to flush it at"
                )
            with self._guarded():
                rest = self._drain() if stream.inside else np.empty((stream.channels, 0), np.float32)
            self._stream = None
            return layout.restored(rest)

    @final
    def prepare(self, sample_rate: float, channels: int) -> None:
        """Reset, and open a stream before its first chunk comes.

        From then on `reported_latency_samples` is that of this rate, and arrays are read as having so
        many channels, however short they are. Raises what a first chunk would.
        """
        sample_rate = checked_rate(sample_rate)
        if channels < 1:
            raise ArgumentValueError(f"a stream needs 1 or more channels; got {channels}")
        with self._lock:
            self.reset()
            with self._guarded():
                self._begin(sample_rate, channels)
            self._layouts.note(Layout(channels))

    def reset(self) -> None:
        """Drop the stream and whatever is inside, and forget the array layout."""
        with self._lock:
            self._stream = None
            self._broken = None
            self._layouts.forget()
            self._forget()

    def __repr__(self) -> str:
        return f"<stembridge.{type(self).__name__} at {id(self):#x}>"

    # The stream.

    @property
    def streaming(self) -> bool:
        """Whether a stream is open, which the next chunk (`reset=False`) would continue."""
        return self._stream is not None

    @property
    def _open_stream(self) -> _Stream:
        assert self._stream is not None
        return self._stream

    def _process(self, audio: Audio, sample_rate: float, buffer_size: int, reset: bool) -> Audio:
        channels, frames = audio.shape
        if reset:
            self._stream = None
            self._broken = None
            if frames == 0 or channels == 0:
                self._forget()
                return audio
            with self._guarded():
                out = self._whole(audio, sample_rate, buffer_size)
                if out.shape != audio.shape:
                    raise StateError(f"{self!r} returned {out.shape} for {audio.shape} frames")
            return out
        if frames == 0 or channels == 0:
            return audio
        with self._guarded():
            if self._stream is None:
                self._begin(sample_rate, channels)
            return self._stream_chunk(audio, buffer_size)

    def _stream_chunk(self, audio: Audio, buffer_size: int) -> Audio:
        parts = [
            self._feed(audio[:, start : start + buffer_size], buffer_size)
            for start in range(0, audio.shape[1], buffer_size)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _begin(self, sample_rate: float, channels: int) -> None:
        self._stream = None
        self._start(sample_rate, channels)
        self._stream = _Stream(sample_rate, channels)

    def _resume(self, sample_rate: float, channels: int) -> None:
        """Leave a stream open after a whole piece."""
        self._stream = _Stream(sample_rate, channels)

    def _feed(self, block: Audio, buffer_size: int) -> Audio:
        """One block through `_push`, and exactly as many frames back as the latency lets out."""
        stream = self._open_stream
        stream.taken += block.shape[1]
        stream.ready.push(self._push(np.ascontiguousarray(block), buffer_size))
        due = max(stream.taken - self.reported_latency_samples, stream.given) - stream.given
        if due > len(stream.ready):
            raise StateError(
                f"{self!r} reports a latency of {self.reported_latency_samples} samples and is "
                f"{due - len(stream.ready)} behind it"
            )
        stream.given += due
        return stream.ready.pop(due)

    def _drain(self) -> Audio:
        stream = self._open_stream
        if missing := stream.inside - len(stream.ready):
            stream.ready.push(self._finish()[:, :missing])
        if len(stream.ready) != stream.inside:
            raise StateError(f"{self!r} ended its stream {stream.inside - len(stream.ready)} frames short")
        self._stream = None
        return stream.ready.pop(len(stream.ready))

    def _check_stream(self, sample_rate: float, channels: int, reset: bool) -> None:
        """Refuse a chunk that cannot go on where the one before it ended."""
        if reset:
            return
        self._check_whole()
        stream = self._stream
        if (
            stream is None
            or channels == 0
            or (sample_rate, channels) == (stream.sample_rate, stream.channels)
        ):
            return
        raise ArgumentValueError(
            f"this stream has {stream.channels} channels at {stream.sample_rate:g} Hz; got {channels} at "
            f"{sample_rate:g} Hz. Call reset() to begin another."
        )

    def _check_whole(self) -> None:
        if self._broken is not None:
            raise StateError(
                f"this stream broke ({self._broken}) and cannot go on: call reset(), or process a whole "
                "piece with reset=True"
            )

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self._stream = None
            self._broken = f"{type(error).__name__}: {error}"
            raise


class _Stream:
    """What is known of a stream under way."""

    def __init__(self, sample_rate: float, channels: int) -> None:
        self.sample_rate = sample_rate
        self.channels = channels
        self.taken = 0
        self.given = 0
        self.ready = Fifo(channels)

    @property
    def inside(self) -> int:
        """Frames that went in and have not come out."""
        return self.taken - self.given
