"""Plug-ins at arm's length: a chain whose plug-ins live in a child process.

A plug-in that hangs is given up after a while without progress; one that ends its process ends only
the child. Either way an error names the plug-in that was running, and nothing stays behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from . import errors
from .audio import Audio
from .chain import ChainSpec, PluginSpec, build
from .effect import BUFFER_SIZE, Effect
from .errors import ArgumentValueError, PluginCrashedError, PluginError, PluginTimeoutError, StateError
from .isolate_child import HEADER_BYTES, host_command
from .parameters import Value
from .platform import SharedMemory

_NO_HURRY_S = 1e8
"""For what lasts as long as a person likes."""


class PluginProcess:
    """A child process that loads and runs plug-ins, and the wire to it.

    Watches progress, not total time: `load_timeout_s` seconds for each plug-in to load, `process_timeout_s`
    for each to run a block. May be made and used on any thread, one at a time.
    """

    def __init__(
        self, audio_bytes: int = 0, *, load_timeout_s: float = 30.0, process_timeout_s: float = 20.0
    ) -> None:
        self.load_timeout_s = load_timeout_s
        self.process_timeout_s = process_timeout_s
        self.titles: tuple[str, ...] = ()
        """The plug-ins of the chain that runs, for messages."""
        self._stage = "a plug-in host"
        size = HEADER_BYTES + audio_bytes
        self.memory = SharedMemory(size)
        self._header = np.frombuffer(self.memory.buffer, np.int64, 2)
        self._header[1] = -1
        command = [*host_command(), str(os.getpid()), self.memory.token, str(size)]
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # The kernel takes the thread that starts a child for its parent, so the child is started on a
        # thread that lives as long as it does, not on one of the caller's.
        threading.Thread(
            target=_serve, args=(command, self.memory.options, self._inbox), name="plug-in host", daemon=True
        ).start()
        started = self._inbox.get()
        if not isinstance(started, subprocess.Popen):
            raise PluginError(f"the process for plug-ins cannot be started: {started}")
        self._process: subprocess.Popen[bytes] = started
        self._end = weakref.finalize(self, _end, started, self.memory)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return self._end.alive and self._process.poll() is None

    def close(self) -> None:
        """End the child and wait until it is gone. Twice is fine."""
        self._header = np.zeros(2, np.int64)
        self._end()

    def ask(self, do: str, timeout_s: float, **arguments: Any) -> Any:
        """Send one command and wait for its answer.

        Raises the child's own errors, PluginCrashedError when it dies, and PluginTimeoutError after
        `timeout_s` without progress; the child is gone after either of those.
        """
        if not self._end.alive:
            raise StateError("this plug-in process was closed")
        line = json.dumps({"do": do, **arguments}).encode() + b"\n"
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # dead: the answer will say so
            self._process.stdin.write(line)
            self._process.stdin.flush()
        seen, since = int(self._header[0]), time.monotonic()
        while True:
            try:
                answer = self._inbox.get(timeout=max(0.0, since + timeout_s - time.monotonic()))
            except queue.Empty:
                if int(self._header[0]) == seen:
                    raise self._gave_up(do, timeout_s) from None
                seen, since = int(self._header[0]), time.monotonic()
                continue
            if answer is None:
                raise self._died(do)
            message = json.loads(answer)
            if "ok" in message:
                return message["ok"]
            if "error" in message:
                raise _error(message)
            self._stage, since = message["stage"], time.monotonic()

    def describe(self, spec: PluginSpec) -> dict[str, Any]:
        """Load one plug-in and keep it; what it is, with every parameter (fields of `Parameter`)."""
        return dict(self.ask("describe", self.load_timeout_s, entry=spec.to_json()))

    def show_window(self) -> None:
        """Open the window of the plug-in that was described; returns when it is closed."""
        self.ask("show_window", _NO_HURRY_S)

    def save(self, file: Path) -> dict[str, Value]:
        """Write the state of the plug-in that was described to a file; return its values."""
        return dict(self.ask("save", self.load_timeout_s, file=str(file))["values"])

    def scan(self, path: Path) -> list[dict[str, Any]]:
        """What a plug-in file holds, in short, per plug-in."""
        self._stage = path.name
        return list(self.ask("scan", self.load_timeout_s, file=str(path)))

    @property
    def running(self) -> str | None:
        """The plug-in of the chain whose code runs at this moment, if any."""
        number = int(self._header[1])
        return self.titles[number] if 0 <= number < len(self.titles) else None

    def _running(self, do: str) -> tuple[str, str]:
        """Which plug-in has the child, and what it does there."""
        if do in ("process", "flush", "probe", "reset"):
            return self.running or " > ".join(self.titles), "processing"
        return self._stage, "showing its window" if do == "show_window" else "loading"

    def _gave_up(self, do: str, timeout_s: float) -> PluginTimeoutError:
        name, doing = self._running(do)
        self.close()
        return PluginTimeoutError(
            f"{name} did not come back from {doing} within {timeout_s:g} s and was ended; "
            "leave it out of the chain, or update it"
        )

    def _died(self, do: str) -> PluginCrashedError:
        name, doing = self._running(do)
        code = self._process.wait()
        self.close()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return PluginCrashedError(
            f"{name} took its process down while {doing} ({how}); leave it out of the chain, or update it"
        )


def _serve(command: list[str], options: dict[str, Any], inbox: queue.SimpleQueue[Any]) -> None:
    """Start the child and pass on what it says, line by line; None when it has ended."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            **options,
        )
    except OSError as error:
        inbox.put(error)
        return
    assert process.stdout is not None
    inbox.put(process)
    with process.stdout as lines:
        for line in lines:
            inbox.put(line)
    inbox.put(None)


def _end(process: subprocess.Popen[bytes], memory: SharedMemory) -> None:
    """End a child that may be anything: idle, hung, dead. It has nothing to save."""
    process.kill()
    process.wait()
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    memory.close()


def _error(message: dict[str, str]) -> Exception:
    kind = getattr(errors, message["error"], PluginError)
    return (
        PluginError(message["text"])
        if not issubclass(kind, errors.StembridgeError)
        else kind(message["text"])
    )


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
            opened = process.ask(
                "open",
                process.load_timeout_s,
                chain=self._spec.to_json(),
                sample_rate=self._sample_rate,
                channels=self._channels,
                capacity=self._block_frames,
            )
        except (PluginCrashedError, PluginTimeoutError) as error:
            raise type(error)(f"{self._spec.origin}: {error}") from error
        except BaseException:
            process.close()
            raise
        process.titles = tuple(entry.title for entry in self._spec.plugins)
        self._latency = opened["latency"]
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
