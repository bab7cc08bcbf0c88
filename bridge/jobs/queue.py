"""The queue of jobs: who is next, which tag means which job, what an attempt costs.

Lives on one loop; everything that must survive goes through the store, and only what the store has written
is promised to anybody. A job that was running when a bridge died is simply in line again.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from ..desk import NotFoundError
from ..hub import Refusal
from .job import Job, Stamp
from .store import JobStore

log = logging.getLogger(__name__)

MOST_QUEUED = 1000
KEPT = 1000
"""How many jobs that have ended are remembered."""
ATTEMPTS = 2
_LONGEST_TEXT = 1000
FURTHER = 0.01
"""How much further (of 1) an attempt must get than those before it not to count against the job."""


class JobQueue:
    """All jobs of one bridge."""

    def __init__(self, store: JobStore, *, most_queued: int = MOST_QUEUED, kept: int = KEPT) -> None:
        self._store = store
        self._most_queued, self._kept = most_queued, kept
        self._jobs: dict[int, Job] = {}
        self._tags: dict[str, int] = {}
        self._line: list[tuple[int, int]] = []
        """Place and id of all that wait or run, the next one first."""
        self._ended: dict[int, None] = {}
        """Ids of those that have ended, the longest ago first."""
        self._promises: dict[int, asyncio.Future[None]] = {}
        """Jobs that are being written for the first time, and not in line yet."""
        self._last_id = 0
        self._last_place = 0
        self._changed = asyncio.Event()

    async def open(self) -> None:
        """Read what an earlier bridge has left. Raises QueueFileError."""
        stored = await asyncio.wrap_future(self._store.open())
        self._last_id = stored.last_id
        for job in stored.jobs:
            job = replace(job, state="queued") if job.state == "running" else job
            self._jobs[job.id] = job
            self._last_place = max(self._last_place, job.place)
            if job.live:
                self._line.append((job.place, job.id))
            else:
                self._ended[job.id] = None
        self._line.sort()
        for job in sorted(self._jobs.values(), key=lambda job: job.place):
            if job.tag:
                self._tags[job.tag] = job.id

    async def close(self) -> None:
        """Let go of the file, with everything written. Twice is fine."""
        await asyncio.to_thread(self._store.close)

    @property
    def waiting(self) -> int:
        """How many jobs are queued or running."""
        return len(self._line)

    def jobs(self) -> list[Job]:
        """All jobs there are, by their ids."""
        return [self._jobs[id] for id in sorted(self._jobs)]

    def get(self, id: int) -> Job:
        """One job. Raises NotFoundError."""
        if id not in self._jobs:
            raise NotFoundError(f"no job {id}; `/job/list` lists those there are")
        return self._jobs[id]

    def tagged(self, tag: str) -> Job | None:
        """The latest job of a tag; nothing has the empty one."""
        id = self._tags.get(tag)
        return None if id is None else self._jobs.get(id)

    def running(self) -> Job | None:
        """The job that runs, if any does."""
        jobs = (self._jobs[id] for _, id in self._line)
        return next((job for job in jobs if job.state == "running"), None)

    def position(self, job: Job) -> int:
        """How many jobs are ahead of one."""
        return bisect_left(self._line, (job.place, job.id))

    def recent(self, ended: int) -> list[Job]:
        """All that wait or run and the last few that have ended, by their ids."""
        last = set(list(self._ended)[-ended:])
        return [job for job in self.jobs() if job.live or job.id in last]

    # In line.

    async def add(self, tag: str, spec: str, stamp: Stamp) -> Job:
        """Put a new job in line; returns once it is there for good. Raises Refusal when there is no room."""
        self.check_room()
        self._last_id += 1
        job = self._last(Job(self._last_id, 0, tag, spec, stamp))
        before = self._tags.get(tag)
        if tag:
            self._tags[tag] = job.id
        try:
            return await self._promise(job)
        except Exception:
            self._leave(self._jobs.pop(job.id))
            if tag and before is not None:
                self._tags[tag] = before
            elif tag:
                self._tags.pop(tag, None)
            raise

    async def again(self, id: int) -> Job:
        """Put a job that has ended in line once more."""
        self.check_room()
        old = self._jobs[id]
        job = self._last(Job(id, 0, old.tag, old.spec, old.stamp))
        self._ended.pop(id, None)
        try:
            return await self._promise(job)
        except Exception:
            self._leave(job)
            self._jobs[id] = old
            self._ended[id] = None
            raise

    async def promised(self, id: int) -> Job:
        """Wait until a job is in line for good, and return it."""
        if id in self._promises:
            await asyncio.shield(self._promises[id])
        return self._jobs[id]

    async def restamp(self, id: int, stamp: Stamp) -> Job:
        """Note that the song of a job that waits has changed: it is rendered as it is then."""
        job = await self.promised(id)
        return await self._change(replace(job, stamp=stamp))

    def check_room(self, more: int = 0) -> None:
        """Raise Refusal (`busy`) where no further job can be taken, `more` besides."""
        if self.waiting + more >= self._most_queued:
            raise Refusal("busy", f"{self._most_queued} jobs wait already: try again when some are done")

    async def head(self) -> Job:
        """Wait for the job that is next."""
        while True:
            self._changed.clear()
            for _, id in self._line:
                if self._jobs[id].state == "queued" and id not in self._promises:
                    return self._jobs[id]
            await self._changed.wait()

    # On its way.

    def begin(self, id: int) -> None:
        """Say that a job runs."""
        job = self._jobs[id] = replace(self._jobs[id], state="running")
        # Nobody waits for it: a bridge that dies now runs the job again in either state.
        self._store.save(job).add_done_callback(_log_failure)

    async def done(self, id: int, result: Mapping[str, Any]) -> Job:
        """A job is complete."""
        return await self._end(replace(self._jobs[id], state="done", result=dict(result)))

    async def fail(self, id: int, code: str, text: str) -> Job:
        """A job has failed for good."""
        text = text[:_LONGEST_TEXT].encode("utf-8", "backslashreplace").decode()
        return await self._end(replace(self._jobs[id], state="failed", code=code, text=text))

    async def cancel(self, id: int) -> Job:
        """A job was stopped, or left the line."""
        return await self._end(replace(self._jobs[id], state="cancelled"))

    async def died(self, id: int, reached: float, code: str, text: str) -> Job:
        """The worker died over a job: it is in line again, at its place, or has failed."""
        job = self._jobs[id]
        attempts, furthest = job.attempts, job.furthest
        # The first attempt has to get further than nothing at all, any later one clearly further.
        if reached > furthest + (FURTHER if furthest else 0.0):
            furthest = reached
        else:
            attempts += 1
        job = self._jobs[id] = replace(job, attempts=attempts, furthest=furthest)
        if attempts >= ATTEMPTS:
            return await self.fail(id, code, text)
        return await self._change(replace(job, state="queued"))

    # Inside.

    def _last(self, job: Job) -> Job:
        """Put a job at the end of the line."""
        self._last_place += 1
        job = self._jobs[job.id] = replace(job, place=self._last_place)
        self._line.append((job.place, job.id))
        return job

    def _leave(self, job: Job) -> None:
        """Take a job out of the line."""
        place = self.position(job)
        if self._line[place : place + 1] == [(job.place, job.id)]:
            del self._line[place]

    async def _promise(self, job: Job) -> Job:
        promise = self._promises[job.id] = asyncio.get_running_loop().create_future()
        promise.add_done_callback(_retrieved)
        try:
            await asyncio.wrap_future(self._store.save(job))
        except BaseException as error:
            self._promises.pop(job.id)
            if not promise.done():
                promise.set_exception(
                    error if isinstance(error, Exception) else Refusal("busy", "the bridge is closing")
                )
            raise
        self._promises.pop(job.id)
        promise.set_result(None)
        self._changed.set()
        return job

    async def _change(self, job: Job) -> Job:
        """Put a changed job in the place of the old one; returns when it is written, or cannot be."""
        self._jobs[job.id] = job
        self._changed.set()
        try:
            await asyncio.wrap_future(self._store.save(job))
        except Exception as error:  # it is true all the same, as long as this bridge lives
            log.error("job %d is %s, and that is not kept: %s", job.id, job.state, error)
        return job

    async def _end(self, job: Job) -> Job:
        self._leave(job)
        self._ended[job.id] = None
        job = await self._change(job)
        old = list(self._ended)[: max(0, len(self._ended) - self._kept)]
        for id in old:
            del self._ended[id]
            forgotten = self._jobs.pop(id)
            if self._tags.get(forgotten.tag) == id:
                del self._tags[forgotten.tag]
        if old:
            self._store.forget(old).add_done_callback(_log_failure)
        return job


def _retrieved(promise: asyncio.Future[None]) -> None:
    """Whoever made the promise hears of its failure; nobody else need have asked."""
    if not promise.cancelled():
        promise.exception()


def _log_failure(written: Future[None]) -> None:
    if (error := written.exception()) is not None:
        log.error("%s", error)
