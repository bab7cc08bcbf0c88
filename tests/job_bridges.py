"""A hub that renders, on the test's own loop: real queue, real worker process, and ears for what they say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import soundfile
from stembridge.bridge import commands as c
from stembridge.bridge import events as e
from stembridge.bridge.config import CacheSettings, Config, RenderDefaults
from stembridge.bridge.hub import Hub
from stembridge.bridge.jobs.process import WorkerSettings
from stembridge.bridge.jobs.service import JobService
from stembridge.bridge.jobs.state_folder import StateFolder
from stembridge.bridge.serve_settings import ServeSettings
from stembridge.bridge.session import Session

PATIENCE_S = 120.0
E = TypeVar("E", bound=e.Event)
ENDS = (e.JobDone, e.JobFailed, e.JobCancelled)


@dataclass
class JobBridge:
    """What a test sees of it."""

    hub: Hub
    jobs: JobService
    folder: Path
    events: list[e.Event] = field(default_factory=list)
    _heard: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, event: e.Event, _origin: str) -> None:
        self.events.append(event)
        self._heard.set()

    async def ask(self, command: c.Command) -> list[e.Event]:
        """Send a command, wait until it has been dealt with, and return what was replied."""
        replies: list[e.Event] = []
        self.hub.send(command, "test", replies.append)
        async with asyncio.timeout(PATIENCE_S):
            await self.hub.begun()
        await asyncio.sleep(0)
        return replies

    async def accepted(self, command: c.Render) -> int:
        """Ask for a render, which must be accepted; return its id."""
        replies = await self.ask(command)
        assert isinstance(replies[0], e.JobAccepted), replies
        return replies[0].job

    async def refused(self, command: c.Command) -> e.Problem:
        """Ask for something that must be refused."""
        (problem,) = await self.ask(command)
        assert isinstance(problem, e.Problem), problem
        return problem

    async def heard(self, kind: type[E], holds: Callable[[E], bool] = lambda _: True, since: int = 0) -> E:
        """Wait for an event; those from number `since` count."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self._heard.clear()
                for event in self.events[since:]:
                    if isinstance(event, kind) and holds(event):
                        return event
                await self._heard.wait()

    async def end(self, job: int, since: int = 0) -> e.Event:
        """Wait for a job's end."""
        return await self.heard(e.Event, lambda event: isinstance(event, ENDS) and event.job == job, since)

    async def rendered(self, command: c.Render) -> dict[str, Path]:
        """Render, and return the files by stem."""
        since = len(self.events)
        job = await self.accepted(command)
        end = await self.end(job, since)
        assert isinstance(end, e.JobDone), end
        stems = [event for event in self.events[since:] if isinstance(event, e.JobStem) and event.job == job]
        assert len(stems) == end.stems
        assert [stem.index for stem in stems] == list(range(1, end.stems + 1))
        return {stem.stem: Path(stem.path) for stem in stems}

    async def running(self, job: int, since: int = 0) -> int:
        """Wait until a job is on its way; return the worker's process id."""
        await self.heard(e.JobProgress, lambda event: event.job == job, since)
        assert self.jobs.worker.pid is not None
        return self.jobs.worker.pid


@contextlib.asynccontextmanager
async def job_bridge(folder: Path, model: str = "classic", **settings: Any) -> AsyncIterator[JobBridge]:
    """A bridge with its songs in `music`, its outputs in `out`, its state in `state` below a folder."""
    roots = settings.pop("roots", (folder / "music",))
    service = {name: settings.pop(name) for name in ("most_queued", "kept") if name in settings}
    (folder / "music").mkdir(exist_ok=True)
    config = Config(render=RenderDefaults(model=model), cache=CacheSettings(folder / "cache", 1.0))
    with StateFolder(folder / "state") as state:
        worker = WorkerSettings(
            **{
                "journals": state.journals,
                "cache": folder / "cache",
                "cache_bytes": 10**9,
                "warm": None,
                **settings,
            }
        )
        hub = Hub(Session())
        hub.start()
        where = ServeSettings(roots=roots, out=folder / "out")
        jobs = JobService(hub, state, where, config, worker=worker, **service)
        bridge = JobBridge(hub, jobs, folder)
        hub.listen(bridge.hear)
        try:
            await jobs.start()
            yield bridge
        finally:
            async with asyncio.timeout(PATIENCE_S):
                await jobs.close()
            await hub.close()


def write_noise(path: Path, seconds: float, seed: int = 0) -> Path:
    """A song that takes a while: `classic` does about a hundred seconds in one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    piece = 0.1 * rng.standard_normal((44100, 2)).astype(np.float32)
    with soundfile.SoundFile(path, "w", 44100, 2, subtype="PCM_16") as file:
        for _ in range(round(seconds)):
            file.write(piece)
    return path


def left_half(folder: Path) -> list[str]:
    """Files below a folder that a render, or its cache, has not finished."""
    return [str(p) for p in folder.rglob("*") if p.name.startswith(".stembridge") or p.suffix == ".part"]
