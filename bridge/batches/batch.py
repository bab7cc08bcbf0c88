"""Many tasks, several at once, here or elsewhere; a bad one never stops the rest."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any

from stembridge.model.errors import ArgumentValueError, ModelMissingError, StembridgeError
from stembridge.model.stem_cache import StemCache

from .feed import Ended, Feed, Refused, planned
from .task import SongReport, Step, Task, carry_out, failed
from .totals import Totals
from .workers import Lost, News, Workers

ATTEMPTS = 2
"""How often a song is tried when workers die over it."""


@dataclass(frozen=True)
class Event:
    """News of one task, and how far the whole batch is with it."""

    task: Task
    news: Step | SongReport | str
    """A step, the report that ends it, or something to tell people."""
    fraction: float
    left_s: float | None


def run_here(task: Task, cache: StemCache | None) -> Generator[Event, None, None]:
    """A batch of one, in this process. Raises as `run_batch`."""
    found = next(planned([task]))
    if isinstance(found, Refused):
        if isinstance(found.error, ArgumentValueError | ModelMissingError):
            raise found.error
        yield Event(task, failed(task, found.error), 1.0, None)
        return
    task, totals = found[0], Totals(1)
    totals.planned(task.audio_s or 1.0)
    totals.begun()
    try:
        with closing(carry_out(task, cache)) as steps:
            for news in steps:
                fraction = news.fraction if isinstance(news, Step) else 1.0
                totals.step(0, task.audio_s or 1.0, fraction)
                yield Event(task, news, totals.fraction, totals.left_s())
    except StembridgeError as error:
        yield Event(task, failed(task, error), 1.0, None)


def run_batch(
    tasks: Iterable[Task],
    workers: Workers,
    inbox: SimpleQueue[Any],
    *,
    total: int | None = None,
    end: Callable[[], None] | None = None,
) -> Generator[Event, None, None]:
    """Do every task; `inbox` is where the workers put their news, `total` how many tasks there are.

    With `end`, which lets them end, `tasks` may wait for what will come, and give the same song again.
    Closing the generator, or an interrupt inside it, cancels what is under way; nothing half-done stays.

    Raises ArgumentValueError or ModelMissingError where no task can even be begun, for a reason that is
    not the songs'.
    """
    batch = _Batch(workers, Totals(total), end is not None)
    feed = Feed(tasks, inbox, end)
    try:
        while not batch.over:
            message = inbox.get()
            if isinstance(message, Ended):
                yield from batch.no_more(message)
            elif isinstance(message, Refused):
                feed.taken()
                yield from batch.refuse(message)
            elif isinstance(message, Task):
                yield from batch.take(message)
            elif isinstance(message, News):
                yield from batch.hear(message)
            elif isinstance(message, Lost):
                yield from batch.lose(message)
            for _ in range(batch.give()):
                feed.taken()
    finally:
        workers.stop()
        feed.stop()


class _Batch:
    """What is waiting, what is running, and what the events say of it."""

    def __init__(self, workers: Workers, totals: Totals, watching: bool) -> None:
        self._workers, self._totals, self._watching = workers, totals, watching
        self._waiting: deque[tuple[int, Task]] = deque()
        self._running: dict[int, Task] = {}
        self._attempts: dict[int, int] = {}
        self._held: list[Refused] = []
        self._count = 0
        self._ended = False

    @property
    def over(self) -> bool:
        """Whether everything is done."""
        return self._ended and not self._waiting and not self._running

    def give(self) -> int:
        """Hand out what there is room for; returns how many tasks went out for the first time."""
        given = 0
        while self._waiting and self._workers.room > 0:
            number, task = self._waiting.popleft()
            self._running[number] = task
            self._attempts[number] = self._attempts.get(number, 0) + 1
            given += self._attempts[number] == 1
            self._totals.begun()
            self._workers.give(number, task)
        return given

    def take(self, task: Task) -> Generator[Event, None, None]:
        """One more task, planned."""
        self._waiting.append((self._count, task))
        self._count += 1
        self._totals.planned(task.audio_s)
        held, self._held = self._held, []
        for refused in held:  # the songs' own fault, for here is one that can be begun
            yield self._failed(refused.task, refused.error)

    def refuse(self, refused: Refused) -> Generator[Event, None, None]:
        """A task that cannot be begun."""
        self._totals.planned(0.0)
        self._totals.ended(-1, 0.0, worked=False)
        if self._count or self._watching:
            yield self._failed(refused.task, refused.error)
        elif isinstance(refused.error, ModelMissingError):
            raise refused.error
        else:
            self._held.append(refused)

    def no_more(self, ended: Ended) -> Generator[Event, None, None]:
        """All tasks have come."""
        self._ended = True
        if ended.error is not None:
            raise ended.error
        held, self._held = self._held, []
        if held and all(isinstance(refused.error, ArgumentValueError) for refused in held):
            raise held[0].error
        for refused in held:
            yield self._failed(refused.task, refused.error)

    def hear(self, news: News) -> Generator[Event, None, None]:
        """What a worker says of its task."""
        task = self._running[news.number]
        if isinstance(news.news, Step):
            self._totals.step(news.number, task.audio_s, news.news.fraction)
            yield self._event(task, news.news)
            return
        del self._running[news.number]
        attempts = self._attempts.pop(news.number)
        if isinstance(news.news, SongReport):
            report = replace(news.news, source=task.source, attempts=attempts, worker=news.worker)
        else:
            report = failed(task, news.news, attempts, news.worker)
        self._totals.ended(news.number, task.audio_s, worked=report.status == "done")
        yield self._event(task, report)

    def lose(self, lost: Lost) -> Generator[Event, None, None]:
        """A worker died: its song is tried once more, at the end of what waits, then named."""
        task = self._running.pop(lost.number)
        self._totals.step(lost.number, task.audio_s, 0.0)
        attempts, how = self._attempts[lost.number], lost.how()
        if attempts < ATTEMPTS:
            self._waiting.append((lost.number, task))
            yield self._event(task, f"{task.source}: {how}; it is tried once more")
            return
        del self._attempts[lost.number]
        error = StembridgeError(f"{task.source}: {how}, {attempts} times")
        error.code = "process_died"
        self._totals.ended(lost.number, task.audio_s, worked=False)
        yield self._event(task, failed(task, error, attempts, lost.worker))

    def _failed(self, task: Task, error: StembridgeError) -> Event:
        return self._event(task, failed(task, error))

    def _event(self, task: Task, news: Step | SongReport | str) -> Event:
        return Event(task, news, self._totals.fraction, self._totals.left_s())
