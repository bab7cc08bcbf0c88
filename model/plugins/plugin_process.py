"""A child process that loads and runs plug-ins, as its parent sees it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from .. import errors
from ..errors import PluginCrashedError, PluginError, PluginTimeoutError, StateError
from ..platform import SharedMemory
from .chain_spec import ChainSpec, PluginSpec
from .isolate_child import HEADER_BYTES, host_command
from .parameters import Value

_GRACE_S = 10.0
"""How much longer than its parent's patience a child loads before it ends itself."""

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
        return dict(self._load("describe", entry=spec.to_json()))

    def open_chain(self, spec: ChainSpec, sample_rate: float, channels: int, capacity: int) -> int:
        """Load a chain and share memory for blocks of up to `capacity` frames; its latency in frames."""
        self.titles = tuple(entry.title for entry in spec.plugins)
        arguments = {"chain": spec.to_json(), "sample_rate": sample_rate, "channels": channels}
        return int(self._load("open", **arguments, capacity=capacity)["latency"])

    def show_window(self) -> None:
        """Open the window of the plug-in that was described; returns when it is closed."""
        self.ask("show_window", _NO_HURRY_S)

    def save(self, file: Path) -> dict[str, Value]:
        """Write the state of the plug-in that was described to a file; return its values."""
        return dict(self.ask("save", self.load_timeout_s, file=str(file))["values"])

    def scan(self, path: Path) -> list[dict[str, Any]]:
        """What a plug-in file holds, in short, per plug-in."""
        self._stage = path.name
        return list(self._load("scan", file=str(path)))

    def _load(self, do: str, **arguments: Any) -> Any:
        return self.ask(do, self.load_timeout_s, deadline_s=self.load_timeout_s + _GRACE_S, **arguments)

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
