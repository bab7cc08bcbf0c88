"""One render process as its parent sees it: started, spoken to through pipes, ended, asked how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stembridge.model.platform import total_memory

from .render_worker import EXIT_OUT_OF_MEMORY

log = logging.getLogger(__name__)

_STOP_S = 6.0
_LONGEST_LINE = 1 << 24


@dataclass(frozen=True)
class WorkerSettings:
    """How a worker is set up and watched."""

    journals: Path
    cache: Path | None = None
    cache_bytes: int = 0
    warm: str | None = "default"
    """The model it loads before it is asked; None: none."""
    no_progress_s: float = 120.0
    memory_bytes: int | None = None
    """What it may hold; None: half of the machine's."""
    cancel_grace_s: float = 5.0
    jobs: int = 100
    """How many jobs it does before another takes its place: what libraries leak goes with it."""

    @property
    def most_memory(self) -> int | None:
        """The limit that holds, in bytes."""
        if self.memory_bytes is not None:
            return self.memory_bytes
        total = total_memory()
        return None if total is None else total // 2


@dataclass(frozen=True)
class Died:
    """The worker died over a job, or had to be ended; what it left is cleared up."""

    code: str
    text: str


class WorkerProcess:
    """One child process and the two ends of its pipes."""

    def __init__(self, process: asyncio.subprocess.Process, warm: asyncio.Event) -> None:
        self._process = process
        self._warm = warm
        self.news: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        """What it says of jobs; None at its end."""
        self.ended = asyncio.Event()
        """Set when it is dead."""
        self.gone = asyncio.Event()
        """Set when what it left is cleared up, too."""
        self.jobs = 0
        """How many it was given."""
        self.begun: int | None = None
        """The job it last spoke of."""
        self.stopped = False
        """Whether it was asked to end."""
        self._reason: tuple[str, str] | None = None
        self._reading = asyncio.get_running_loop().create_task(self._read())

    @classmethod
    async def start(cls, settings: WorkerSettings, warm: asyncio.Event) -> WorkerProcess:
        # On the loop's own thread, which lives as long as the bridge: see `die_with_parent`.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "stembridge.bridge.jobs.render_worker",
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
        )
        made = cls(process, warm)
        made.send(
            cache=None if settings.cache is None else str(settings.cache),
            cache_bytes=settings.cache_bytes,
            journals=str(settings.journals),
            warm=settings.warm,
        )
        return made

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be given something to do."""
        return not (self.stopped or self.ended.is_set() or self._reason is not None)

    @property
    def ended_by_us(self) -> bool:
        """Whether it was killed for a reason that we had."""
        return self._reason is not None

    def send(self, **message: Any) -> None:
        """Tell it something; if it is dead, its end will be heard of soon."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._process.stdin.write(json.dumps(message).encode() + b"\n")

    def stop(self) -> None:
        """Ask it to end, once it has stopped what it does."""
        self.stopped = True
        self.send(do="stop")

    def kill(self, code: str, text: str) -> None:
        """End it, for a reason."""
        if self._reason is None:
            self._reason = code, text
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def close(self) -> None:
        """Ask it to end, and see to it that it does."""
        self.stop()
        try:
            async with asyncio.timeout(_STOP_S):
                await self.ended.wait()
        except TimeoutError:
            self.kill("internal", "it did not end when asked to")
            await self.ended.wait()

    def fate(self) -> Died:
        """How it ended."""
        if self._reason is not None:
            return Died(*self._reason)
        code = self._process.returncode
        if code == EXIT_OUT_OF_MEMORY:
            return Died("out_of_memory", "there was no memory left")
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return Died("internal", f"the render worker was ended by {signal.Signals(-code).name}")
        return Died("internal", f"the render worker ended with code {code}")

    async def _read(self) -> None:
        """Hear it out."""
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            while line := await self._process.stdout.readline():
                self._take(json.loads(line))
        try:
            async with asyncio.timeout(_STOP_S):
                await self._process.wait()
        except TimeoutError:  # it has closed its pipe, or cannot be understood, and lives
            self.kill("internal", "it could not be understood")
            await self._process.wait()
        self.ended.set()
        self.news.put_nowait(None)

    def _take(self, news: dict[str, Any]) -> None:
        match news["say"]:
            case "warm":
                log.info("the render worker is warm, after %.1f s", news["seconds"])
                self._warm.set()
            case "cold":
                log.warning("the render worker could not load its model ahead: %s", news["text"])
            case "ready":
                pass
            case _:
                self.news.put_nowait(news)
