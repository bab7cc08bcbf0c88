"""The streamer as the player sees it: a child that is started, told, listened to, and started again."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .wire import Line, Writer, lines


class StreamerProcess:
    """One streamer at a time; `answer` gets each line and `died` the end, on a thread of their own."""

    def __init__(self, spool: Path, answer: Callable[[Line], None], died: Callable[[int], None]) -> None:
        self._spool = spool
        self._answer = answer
        self._died = died
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: Writer | None = None
        self._closing = False
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """Its process id, while there is one."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start one, the first or another after `died`; from a thread that lives as long as the player.

        A child of a thread that ends would be taken for an orphan.
        """
        self.starts += 1
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stembridge.bridge.player.streamer", str(self._spool)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")},
        )
        assert self._process.stdin is not None
        self._writer = Writer(self._process.stdin)
        threading.Thread(target=self._listen, args=(self._process,), name="streamer", daemon=True).start()

    def tell(self, **line: Any) -> None:
        """Send a line; one that nobody takes any more is dropped."""
        if self._writer is not None:
            self._writer.send(line)

    def kill(self) -> None:
        """End it at once; `died` follows."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End it for good. Twice is fine."""
        self._closing = True
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        try:
            process.wait(3.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in lines(process.stdout):
            self._answer(line)
        code = process.wait()
        if not self._closing:
            self._died(code)
