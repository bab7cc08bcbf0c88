"""The render worker as the bridge sees it: started early, watched, ended when it must be, started again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stembridge.model.platform import resident_memory

from .aside import Aside, StuckError
from .leftovers import sweep
from .process import Died, WorkerProcess, WorkerSettings

log = logging.getLogger(__name__)

_LOOK_S = 0.5
_BACKOFF_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_STARTS = 5
"""How many workers may die before they look at a job until it is given up."""
_LIVED_S = 30.0
"""A worker that ends sooner without having done a job is started again only after a while."""


@dataclass(frozen=True)
class Done:
    """A job is complete."""

    result: Mapping[str, Any]


@dataclass(frozen=True)
class Failed:
    """A job cannot be done."""

    code: str
    text: str


@dataclass(frozen=True)
class Cancelled:
    """A job was stopped on request; nothing of it is left."""


Outcome = Done | Failed | Cancelled | Died
Progress = Callable[[str, float], None]


class RenderWorker:
    """One process at a time; jobs are given to it one after the other."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._aside = Aside(timeout_s=60.0)
        self._process: WorkerProcess | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        """Set when there is a process, or a reason not to wait for one."""
        self._job: int | None = None
        self._cancelled_at: float | None = None
        self.warm = asyncio.Event()
        """Set while the process has its model loaded."""

    @property
    def pid(self) -> int | None:
        """The worker's process id; None while there is none."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start a process, and another one whenever it ends; call from the loop."""
        self._keeping = asyncio.get_running_loop().create_task(self._keep())

    async def close(self) -> None:
        """End it: it stops what it does and clears up. Twice is fine."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
            self._keeping = None
        self._aside.close()

    async def render(self, job: int, spec: str, progress: Progress) -> Outcome:
        """Do one job and say how it ended; `progress` is told stage and fraction on the way."""
        self._job, self._cancelled_at = job, None
        try:
            for _ in range(_STARTS):
                while (process := self._process) is None or not process.alive:
                    if self._cancelled_at is not None:
                        return Cancelled()
                    self._news.clear()
                    await self._news.wait()
                outcome = await self._attend(process, job, spec, progress)
                if not isinstance(outcome, Died):
                    if process.jobs >= self._settings.jobs:
                        process.stop()
                    return outcome
                await process.gone.wait()
                if self._cancelled_at is not None:
                    return Cancelled()
                if process.begun == job or process.ended_by_us:
                    return outcome
                # It died before it even looked at the job, which is not the job's fault.
            return outcome
        finally:
            self._job = None

    def cancel(self, job: int) -> None:
        """Ask for a running job to be stopped; after a while it is stopped without asking."""
        if job == self._job and self._cancelled_at is None:
            self._cancelled_at = time.monotonic()
            if self._process is not None:
                self._process.send(do="cancel", job=job)
            self._news.set()

    async def _attend(self, process: WorkerProcess, job: int, spec: str, progress: Progress) -> Outcome:
        process.jobs += 1
        process.send(do="render", job=job, spec=spec)
        alive_at = time.monotonic()
        publishing = False
        while True:
            try:
                async with asyncio.timeout(_LOOK_S):
                    news = await process.news.get()
            except TimeoutError:
                self._look_after(process, alive_at, publishing)
                continue
            if news is None:
                return process.fate()
            if news.get("job") != job:
                continue
            alive_at, process.begun = time.monotonic(), job
            match news["say"]:
                case "publishing":
                    publishing = True
                case "progress":
                    progress(news["stage"], news["fraction"])
                    self._look_after(process, alive_at, publishing)
                case "done":
                    return Done(news["result"])
                case "failed":
                    return Failed(news["code"], news["text"])
                case "cancelled":
                    return Cancelled()

    def _look_after(self, process: WorkerProcess, alive_at: float, publishing: bool) -> None:
        """End a process that hangs, takes too much memory, or does not stop when asked to."""
        settings, now = self._settings, time.monotonic()
        held, most = resident_memory(process.pid), settings.most_memory
        stopping_s = 0.0 if self._cancelled_at is None else now - self._cancelled_at
        if now - alive_at > settings.no_progress_s:
            process.kill("no_progress", f"nothing moved for {now - alive_at:.0f} seconds")
        elif held is not None and most is not None and held > most:
            limits = f"{held / 1e9:.1f} GB of memory, and {most / 1e9:.1f} GB are allowed"
            process.kill("out_of_memory", f"it took {limits} (serve.memory_gb)")
        elif stopping_s > settings.cancel_grace_s and not publishing:
            # Files that are just getting their names are let finish: half of them would be worse.
            process.kill("cancelled", "it did not stop when asked to")

    async def _keep(self) -> None:
        """Keep a process there, until cancelled."""
        tries = 0
        try:
            while True:
                await self._clear_up()
                await asyncio.sleep(_BACKOFF_S[min(tries, len(_BACKOFF_S) - 1)])
                began = time.monotonic()
                try:
                    self._process = process = await WorkerProcess.start(self._settings, self.warm)
                except OSError as error:
                    log.error("the render worker cannot be started: %s", error)
                    tries += 1
                    continue
                self._news.set()
                await process.ended.wait()
                self.warm.clear()
                self._process = None
                fate = process.fate()
                if not process.stopped:
                    log.warning("the render worker (process %d) has ended: %s", process.pid, fate.text)
                await self._clear_up()
                process.gone.set()
                lived = process.jobs > 0 or time.monotonic() - began > _LIVED_S
                tries = 0 if lived else tries + 1
        finally:
            self.warm.clear()
            if (last := self._process) is not None:
                self._process = None
                await last.close()
                await self._clear_up()
                last.gone.set()

    async def _clear_up(self) -> None:
        journals = self._settings.journals
        try:
            if removed := await self._aside.submit(lambda: sweep(journals)):
                log.warning("%d files that a worker had not finished were removed", removed)
        except (OSError, StuckError) as error:
            log.warning("what a worker has left cannot be cleared up now: %s", error)
