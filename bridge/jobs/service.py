"""Render jobs at the hub: taken in, kept, carried out one after the other, told about until they end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from .. import commands as c
from .. import events as e
from ..config import Config
from ..daws.link import ImportedStem, StemImport
from ..hub import Hub, Refusal, Request
from ..serve_settings import ServeSettings
from .acceptance import Acceptance, Order, Settled, check_path
from .aside import Aside, StuckError
from .job import Job
from .options import parse_options
from .process import Died, WorkerSettings
from .queue import KEPT, MOST_QUEUED, JobQueue
from .state_folder import StateFolder
from .store import JobStore
from .worker import Cancelled, Done, Failed, RenderWorker

log = logging.getLogger(__name__)

COMMANDS = (c.Render, c.AskJob, c.ListJobs, c.CancelJob)
LISTED = 50
"""How many jobs that have ended `/job/list` names."""
LONGEST_TAG = 200
_ETA_FROM = 0.02
_ETA_AFTER_S = 0.5


class JobService:
    """The jobs of one hub."""

    def __init__(
        self,
        hub: Hub,
        state: StateFolder,
        settings: ServeSettings,
        config: Config,
        *,
        worker: WorkerSettings | None = None,
        path_timeout_s: float = 5.0,
        most_queued: int = MOST_QUEUED,
        kept: int = KEPT,
    ) -> None:
        """`worker` takes the place of what settings and configuration say about it."""
        self._hub = hub
        self._acceptance = Acceptance(settings.roots, settings.out, config)
        self.queue = JobQueue(JobStore(state.database), most_queued=most_queued, kept=kept)
        self.worker = RenderWorker(worker or _worker_settings(state, settings, config))
        self._aside = Aside(path_timeout_s)
        self._working: asyncio.Task[None] | None = None
        self._progress: e.JobProgress | None = None
        """Of the job that runs."""
        self._over: dict[int, asyncio.Event] = {}
        """Set when a job that somebody waits for has ended."""

    @property
    def waiting(self) -> int:
        """How many jobs are queued or running."""
        return self.queue.waiting

    async def start(self) -> None:
        """Go on with what an earlier bridge has left; call from the loop. Raises QueueFileError."""
        await self.queue.open()
        # What the first job would otherwise import while the loop is wanted elsewhere.
        await self._aside.submit(_import_ahead)
        self.worker.start()
        self._working = asyncio.get_running_loop().create_task(self._work())
        self._hub.handle(COMMANDS, self._carry_out)

    async def close(self) -> None:
        """Stop; the job that runs is in line again when a bridge next starts. Twice is fine."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.wait([self._working])
            self._working = None
        await self.worker.close()
        self._aside.close()
        await self.queue.close()

    async def stems_of(self, job: int) -> StemImport:
        """The files of a finished job, for a DAW. Raises Refusal or NotFoundError."""
        found = self.queue.get(job)
        if found.state != "done":
            raise Refusal("not_found", f"job {job} is {found.state}: only finished jobs have stems")
        if not await self._intact(found):
            raise Refusal("not_found", f"the files of job {job} have changed or gone: render it again")
        files = [file for file in found.result["files"] if file["kind"] in ("stem", "complement")]
        track = found.result["track"]
        stems = [
            ImportedStem(file["stem"], Path(file["path"]), f"{file['stem']} - {track}") for file in files
        ]
        gain_db = -float(files[0]["gain_db"])
        return StemImport(
            job, Path(found.result["manifest"]), tuple(stems), int(files[0]["start_frame"]), gain_db
        )

    # Commands.

    def _carry_out(self, request: Request) -> Coroutine[Any, Any, None] | None:
        match request.command:
            case c.Render() as command:
                return self._render(command, request)
            case c.AskJob(id):
                request.reply(self._state(self._meant(id)))
            case c.ListJobs():
                jobs = self.queue.recent(LISTED)
                for job in jobs:
                    request.reply(self._state(job))
                request.reply(e.JobListEnd(len(jobs)))
            case c.CancelJob(id):
                return self._cancel(self._meant(id).id, request)
        return None

    def _render(self, command: c.Render, request: Request) -> Coroutine[Any, Any, None]:
        """Take a job in: what can be told at once is told at once, and the desk is kept as it is now."""
        if len(command.tag) > LONGEST_TAG or not command.tag.isprintable():
            raise Refusal("bad_args", f"a tag is up to {LONGEST_TAG} printable characters")
        check_path(command.path)
        flags = parse_options(command.options)
        self.queue.check_room(self._aside.pending)
        desk = self._hub.session.desk_at(self._hub.clock())
        order = Order(command.path, command.preset, flags, desk)
        key = self._acceptance.key(command.path)
        settled = self._aside.submit(lambda: self._acceptance.settle(order), key)
        return self._accept(command, settled, request)

    async def _accept(self, command: c.Render, settling: asyncio.Future[Settled], request: Request) -> None:
        try:
            settled = await settling
        except StuckError as error:
            raise Refusal("busy", f"where {command.path[:200]} lies does not answer: {error}") from error
        job = await self._queued(command.tag, settled)
        position = self.queue.position(job) if job.live else 0
        accepted = e.JobAccepted(command.tag, job.id, position)
        request.reply(accepted)
        self._hub.publish(accepted, request.origin)
        if not job.live:
            for event in _endings(job):
                request.reply(event)

    async def _queued(self, tag: str, settled: Settled) -> Job:
        """The job of a tag and a spec: one that is there, or a new one."""
        while True:
            old = self.queue.tagged(tag) if tag else None
            if old is None:
                return await self.queue.add(tag, settled.spec, settled.stamp)
            same = old.spec == settled.spec
            if same and old.stamp == settled.stamp:
                if old.live:
                    return await self.queue.promised(old.id)
                intact = await self._intact(old)
                if self.queue.tagged(tag) is not old:  # somebody else has asked meanwhile
                    continue
                return old if intact else await self.queue.again(old.id)
            if same and old.state == "queued":
                return await self.queue.restamp(old.id, settled.stamp)
            if old.live:
                raise Refusal(
                    "tag_conflict",
                    f"job {old.id} has the tag {tag!r} and is {old.state}, with "
                    f"{'the same song as it was before it changed' if same else 'other wishes'}: "
                    "wait for it, cancel it, or use another tag",
                )
            return await self.queue.add(tag, settled.spec, settled.stamp)

    async def _cancel(self, id: int, request: Request) -> None:
        job = self.queue.get(id)
        if job.state == "queued":
            await self.queue.promised(id)
        if self.queue.get(id).state == "queued":
            job = await self.queue.cancel(id)
            self._hub.publish(e.JobCancelled(id, job.tag))
        elif self.queue.get(id).state == "running":
            over = self._over.setdefault(id, asyncio.Event())
            self.worker.cancel(id)
            await over.wait()
        request.reply(self._state(self.queue.get(id)))

    def _meant(self, id: int | None) -> Job:
        if id is not None:
            return self.queue.get(id)
        if (job := self.queue.running()) is None:
            raise Refusal("not_found", "no job is running")
        return job

    def _state(self, job: Job) -> e.JobState:
        fraction = job.furthest
        if job.state == "done":
            fraction = 1.0
        elif job.state == "running" and self._progress is not None and self._progress.job == job.id:
            fraction = self._progress.fraction
        elif job.live:
            fraction = 0.0
        return e.JobState(job.id, job.state, fraction, job.tag, job.code, job.text)

    async def _intact(self, job: Job) -> bool:
        """Whether the files of a finished job are there as it made them."""
        if job.state != "done":
            return False
        try:
            return await self._aside.submit(lambda: _look(job), str(self._acceptance.out))
        except StuckError:
            return False

    # Work.

    async def _work(self) -> None:
        while True:
            job = await self.queue.head()
            try:
                await self._run(job)
            except Exception:  # one job's trouble is not the next one's
                log.exception("job %d could not be carried out", job.id)
                if self.queue.get(job.id).live:
                    job = await self.queue.fail(job.id, "internal", "the bridge could not carry it out")
                    self._tell_end(job)

    async def _run(self, job: Job) -> None:
        self.queue.begin(job.id)
        began = self._hub.clock()
        reached = 0.0

        def progress(stage: str, fraction: float) -> None:
            nonlocal reached
            reached = max(reached, fraction)
            taken = self._hub.clock() - began
            known = fraction > _ETA_FROM and taken > _ETA_AFTER_S
            eta_s = taken * (1.0 - fraction) / fraction if known else -1.0
            self._progress = e.JobProgress(job.id, job.tag, stage, fraction, eta_s)
            self._hub.publish(self._progress)

        outcome = await self.worker.render(job.id, job.spec, progress)
        match outcome:
            case Done(result):
                job = await self.queue.done(job.id, result)
            case Failed(code, text):
                job = await self.queue.fail(job.id, code, text)
            case Cancelled():
                job = await self.queue.cancel(job.id)
            case Died(code, text):
                job = await self.queue.died(job.id, reached, code, text)
                log.warning("job %d: %s; %d attempts count", job.id, text, job.attempts)
        if not job.live:
            self._tell_end(job)
        elif job.id in self._over:  # asked to stop in the very moment its worker died
            job = await self.queue.cancel(job.id)
            self._tell_end(job)

    def _tell_end(self, job: Job) -> None:
        for event in _endings(job):
            self._hub.publish(event)
        if (over := self._over.pop(job.id, None)) is not None:
            over.set()


def _endings(job: Job) -> list[e.Event]:
    """What is said of a job that has ended."""
    if job.state == "cancelled":
        return [e.JobCancelled(job.id, job.tag)]
    if job.state == "failed":
        return [e.JobFailed(job.id, job.tag, job.code, job.text)]
    files = job.result["files"]
    stems = [
        e.JobStem(
            job.id, job.tag, index, file["stem"], file["path"],
            file["sample_rate"], file["channels"], file["peak_db"],
        )
        for index, file in enumerate(files, 1)
    ]  # fmt: skip
    return [*stems, e.JobDone(job.id, job.tag, len(files), job.result["seconds"])]


def _worker_settings(state: StateFolder, settings: ServeSettings, config: Config) -> WorkerSettings:
    cache = config.cache
    memory = settings.memory_gb
    return WorkerSettings(
        journals=state.journals,
        cache=cache.folder if cache.limit_bytes else None,
        cache_bytes=cache.limit_bytes,
        warm=config.render.model,
        no_progress_s=settings.no_progress_s,
        memory_bytes=None if memory is None else round(memory * 1e9),
    )


def _look(job: Job) -> bool:
    from .outputs import outputs_intact

    return outputs_intact(job.result)


def _import_ahead() -> None:
    from .. import requests
    from . import outputs, spec_json

    del requests, outputs, spec_json
