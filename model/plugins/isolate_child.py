"""The program that runs plug-ins in a process of their own, so that theirs is the only one they can crash.

Commands come in as lines of JSON, answers go out the same way; audio lies in memory shared with the
parent: a header, one region in, one region out. Before a plug-in's code is entered the parent is told
which one it is: by a `stage` line while loading, by the header while audio runs.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio
from ..errors import StembridgeError
from ..platform import SharedMemory, die_with_parent, survive_x_errors

HEADER_BYTES = 64
FLAG = "--stembridge-plugin-host"
"""First argument of a frozen program that is started as a plug-in host."""

_START = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "sys.path = sys.argv.pop(1).split(os.pathsep); "
    "from stembridge.model.plugins.isolate_child import main; main(sys.argv[1:])"
)


def host_command() -> list[str]:
    """The command that starts this program, to which `main`'s arguments are added.

    A frozen program (PyInstaller and the like) has no Python to start: it is started itself, with FLAG,
    and must call `run_if_asked` first thing.
    """
    if getattr(sys, "frozen", False):
        return [sys.executable, FLAG]
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return [sys.executable, "-P", "-c", _START, path]


def run_if_asked() -> None:
    """Be the plug-in host and exit, if this frozen program was started as one; otherwise return."""
    if sys.argv[1:2] == [FLAG]:
        main(sys.argv[2:])


def main(arguments: list[str]) -> None:
    """Serve commands until the parent closes the pipe or dies. Does not return.

    Arguments: the parent's process id, the token and the size of the shared memory.
    """
    die_with_parent(int(arguments[0]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    commands, answers = _private_pipes()
    host = Host(SharedMemory(int(arguments[2]), arguments[1]), answers)
    for line in commands:
        host.answer(json.loads(line))
    os._exit(0)  # without the plug-ins' clean-up, where many crash


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Move the pipes to descriptors of our own: plug-ins print on 1 and 2 and may read 0."""
    commands, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    return os.fdopen(commands, "rb"), os.fdopen(answers, "wb", buffering=0)


class Host:
    """Does what the parent asks, one command at a time."""

    def __init__(self, memory: SharedMemory, answers: BinaryIO) -> None:
        self._memory = memory
        self._answers = answers
        self._header: NDArray[np.int64] = np.frombuffer(memory.buffer, np.int64, 2)
        self._chain: Any = None
        self._plugin: Any = None
        self._deadline_s: float | None = None
        self._nowhere = open(os.devnull, "w")  # noqa: SIM115  # as long as the process lives
        self._rest: Audio | None = None

    def answer(self, command: dict[str, Any]) -> None:
        """Do one command and send its answer, or what went wrong.

        With a `deadline_s` this process ends itself where one plug-in takes longer, even while native
        code holds Python's lock. The parent's own watchdog is faster; this one is for when it is gone.
        """
        self._deadline_s = command.pop("deadline_s", None)
        self._wind_up()
        try:
            answer: dict[str, Any] = {"ok": getattr(self, f"do_{command.pop('do')}")(**command)}
        except StembridgeError as error:
            answer = {"error": type(error).__name__, "text": str(error)}
        except Exception as error:  # the parent names the plug-in and raises it as a PluginError
            answer = {"error": "PluginError", "text": f"{type(error).__name__}: {error}"}
        faulthandler.cancel_dump_traceback_later()
        self._header[1] = -1
        self._send(answer)

    def _send(self, message: dict[str, Any]) -> None:
        self._answers.write(json.dumps(message).encode() + b"\n")

    def _enter(self, stage: str) -> None:
        self._wind_up()
        self._send({"stage": stage})

    def _wind_up(self) -> None:
        if self._deadline_s is not None:
            faulthandler.dump_traceback_later(self._deadline_s, exit=True, file=self._nowhere)

    def _run(self, number: int) -> None:
        """Note in the shared header that plug-in `number` (from 0) runs now."""
        self._header[1] = number
        self._header[0] += 1

    def do_open(self, chain: dict[str, Any], sample_rate: float, channels: int, capacity: int) -> Any:
        """Build a chain and lay out the shared memory for blocks of up to `capacity` frames."""
        from .chain import build
        from .chain_spec import ChainSpec

        spec = ChainSpec.from_json(chain)
        self._chain = build(spec, sample_rate, channels, on_load=self._enter, on_run=self._run)
        self._spec, self._sample_rate, self._channels = spec, sample_rate, channels
        self._chain.reset()
        shape = (2, channels, capacity)
        size = 2 * channels * capacity
        self._audio = np.frombuffer(self._memory.buffer, np.float32, size, HEADER_BYTES).reshape(shape)
        gc.freeze()  # what is loaded stays; the collector need not walk it between blocks
        return {"latency": self._chain.reported_latency_samples}

    def do_process(self, frames: int, buffer_size: int) -> Any:
        """Run `frames` frames from the shared memory through the chain."""
        block = self._audio[0, :, :frames].copy()
        return self._give(self._chain.process_planar(block, self._sample_rate, buffer_size, reset=False))

    def do_flush(self) -> Any:
        """End the stream: what the chain still holds."""
        return self._give(self._chain.flush())

    def do_more(self) -> Any:
        """The next part of an output that was longer than the shared memory."""
        assert self._rest is not None
        return self._give(self._rest)

    def do_reset(self) -> Any:
        """Start a new stream."""
        self._rest = None
        self._chain.reset()
        return {"latency": self._chain.reported_latency_samples}

    def _give(self, out: Audio) -> Any:
        frames = min(out.shape[1], self._audio.shape[2])
        self._audio[1, :, :frames] = out[:, :frames]
        self._rest = out[:, frames:] if frames < out.shape[1] else None
        return {"frames": frames, "more": self._rest is not None}

    def do_probe(self) -> Any:
        """Which plug-ins of the chain change nothing."""
        from .chain import find_idle

        return {"idle": find_idle(self._chain, self._sample_rate, self._channels)}

    def do_describe(self, entry: dict[str, Any]) -> Any:
        """Load one plug-in with its state and values, and keep it; everything about it."""
        from .chain_spec import PluginSpec
        from .plugin_inside import describe, load

        self._plugin = load(PluginSpec.from_json(entry), self._enter)
        return describe(self._plugin)

    def do_show_window(self) -> Any:
        """Open the window of the plug-in that was described, and wait until it is closed."""
        survive_x_errors()
        self._plugin.show_editor()

    def do_save(self, file: str) -> Any:
        """Write the state of the plug-in that was described to a file; its values."""
        from .plugin_inside import save

        return {"values": save(self._plugin, Path(file))}

    def do_scan(self, file: str) -> Any:
        """What a plug-in file holds, in short, for each plug-in in it."""
        from .plugin_inside import scan

        return scan(Path(file), self._enter)
