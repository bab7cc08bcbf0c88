"""Plug-ins at arm's length: a chain whose plug-ins live in a child process.

A plug-in that hangs is given up after a while without progress; one that ends its process ends only
the child. Either way an error names the plug-in that was running, and nothing stays behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from ..audio import Audio
from ..effects.effect import BUFFER_SIZE, Effect
from ..errors import ArgumentValueError, PluginCrashedError, PluginTimeoutError, StateError
from .chain import build
from .chain_spec import ChainSpec
from .isolate_child import HEADER_BYTES
from .plugin_process import PluginProcess


class IsolatedChain(Effect):
    """A chain that runs in a child process; for the caller an effect like any other.

    The child starts at construction and ends with `close`, with this object or with this process. After
    a crash or a time-out the next stream starts a new child.

    Raises what `build` raises, PluginTimeoutError and PluginCrashedError, all naming the plug-in.
    """

    def __init__(
        self,
        spec: ChainSpec,
        sample_rate: float,
        channels: int,
        *,
        block_frames: int = BUFFER_SIZE,
        load_timeout_s: float = 30.0,
        process_timeout_s: float = 20.0,
    ) -> None:
        """`block_frames` is the longest block that crosses over at once; longer ones are cut."""
        super().__init__()
        if block_frames < 1:
            raise ArgumentValueError(f"block_frames must be 1 or more; got {block_frames}")
        self._spec, self._sample_rate, self._channels = spec, sample_rate, channels
        self._block_frames = block_frames
        self._timeouts = {"load_timeout_s": load_timeout_s, "process_timeout_s": process_timeout_s}
        self._child: PluginProcess | None = None
        self._latency = 0
        self._closed = False
        self._open()

    def _open(self) -> PluginProcess:
        """A child with the chain loaded and at its start."""
        process = PluginProcess(8 * self._channels * self._block_frames, **self._timeouts)
        try:
            self._latency = process.open_chain(
                self._spec, self._sample_rate, self._channels, self._block_frames
            )
        except (PluginCrashedError, PluginTimeoutError) as error:
            raise type(error)(f"{self._spec.origin}: {error}") from error
        except BaseException:
            process.close()
            raise
        shape = (2, self._channels, self._block_frames)
        flat = np.frombuffer(process.memory.buffer, np.float32, int(np.prod(shape)), HEADER_BYTES)
        self._to, self._from = flat.reshape(shape)
        self._child = process
        return process

    @property
    def reported_latency_samples(self) -> int:
        """That of the whole chain."""
        return self._latency

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is none."""
        return self._child.pid if self._child is not None else None

    @property
    def running(self) -> str | None:
        """The plug-in whose code runs in the child at this moment, if any. May be asked from any thread."""
        child = self._child
        return child.running if child is not None else None

    def find_idle(self) -> tuple[str, ...]:
        """Which plug-ins change nothing with these settings; ends the stream."""
        with self._lock:
            self.reset()
            return tuple(self._ask("probe")["idle"])

    def close(self) -> None:
        """End the child. Twice is fine."""
        with self._lock:
            self._closed = True
            self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _drop(self) -> None:
        self._to = self._from = np.empty((self._channels, 0), np.float32)
        if self._child is not None:
            self._child.close()
            self._child = None

    def _start(self, sample_rate: float, channels: int) -> None:
        if (sample_rate, channels) != (self._sample_rate, self._channels):
            raise ArgumentValueError(
                f"this chain was opened for {self._channels} channels at {self._sample_rate:g} Hz; "
                f"got {channels} at {sample_rate:g} Hz"
            )
        if self._closed:
            raise StateError("this chain was closed")
        if self._child is None:
            self._open()
        else:
            self._latency = self._ask("reset")["latency"]

    def _push(self, block: Audio, buffer_size: int) -> Audio:
        parts = []
        for start in range(0, block.shape[1], self._block_frames):
            piece = block[:, start : start + self._block_frames]
            frames = piece.shape[1]
            self._to[:, :frames] = piece
            parts += self._taken(self._ask("process", frames=frames, buffer_size=buffer_size))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _finish(self) -> Audio:
        return np.concatenate(self._taken(self._ask("flush")), axis=1)

    def _taken(self, answer: dict[str, Any]) -> list[Audio]:
        """Copy an output over, in as many parts as the shared memory needs."""
        parts = [self._from[:, : answer["frames"]].copy()]
        while answer["more"]:
            answer = self._ask("more")
            parts.append(self._from[:, : answer["frames"]].copy())
        return parts

    def _ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        process = self._child
        if process is None:
            raise StateError("this chain has no process: it was closed, or died; reset() starts another")
        try:
            return dict(process.ask(do, process.process_timeout_s, **arguments))
        except (PluginCrashedError, PluginTimeoutError) as error:
            self._drop()
            raise type(error)(f"{self._spec.origin}: {error}") from error
        except BaseException:
            self._drop()  # interrupted half-way: what it would answer next is not ours
            raise


def open_chain(
    spec: ChainSpec,
    sample_rate: float,
    channels: int,
    *,
    folders: Sequence[Path] = (),
    block_frames: int = BUFFER_SIZE,
    load_timeout_s: float = 30.0,
    process_timeout_s: float = 20.0,
) -> Effect:
    """Make a chain ready to run: pedalboard's own effects in this process, any plug-in file in a child.

    Plug-in files are looked for in `folders` first. Close what comes back if it has a `close`.
    """
    spec = spec.located(folders)
    if spec.native:
        return build(spec, sample_rate, channels)
    return IsolatedChain(
        spec,
        sample_rate,
        channels,
        block_frames=block_frames,
        load_timeout_s=load_timeout_s,
        process_timeout_s=process_timeout_s,
    )
