"""Processes on this machine that do tasks one after the other, each with its models warm.

Processes and not threads: on two cores threads are no slower (`benchmarks/batch.py`), but a plug-in, a
decoder or a kernel out of memory that ends a process ends one song and not the batch, and a process can be
replaced.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Any, Protocol

from stembridge.model.errors import CancelledError, StembridgeError
from stembridge.model.platform import die_with_parent, keep_freed_memory
from stembridge.model.stem_cache import StemCache

from .task import SongReport, Step, Task, carry_out, plain

RECYCLE_AFTER = 100
"""How many songs a process does before another takes its place: what libraries leak goes with it."""
_STOP_S = 10.0


@dataclass(frozen=True)
class News:
    """What a worker says of its task: a step, or the report or error that ends it."""

    number: int
    news: Step | SongReport | StembridgeError
    worker: str


@dataclass(frozen=True)
class Lost:
    """A worker that died over its task."""

    number: int
    how: Callable[[], str]
    """In words; to be asked on the batch's own thread."""
    worker: str


class Workers(Protocol):
    """Whoever does tasks: gives a number back with everything that is said of one, in the batch's inbox."""

    @property
    def room(self) -> int:
        """How many more tasks are welcome now."""

    def give(self, number: int, task: Task) -> None:
        """Hand a task over."""

    def stop(self) -> None:
        """Cancel what is under way, and return when nothing half-done is left."""


class LocalWorkers:
    """Up to `jobs` processes, started when there is something to do, replaced when they die or are worn."""

    def __init__(
        self,
        jobs: int,
        cache: StemCache | None,
        inbox: SimpleQueue[Any],
        *,
        recycle_after: int = RECYCLE_AFTER,
    ) -> None:
        self._jobs, self._cache, self._inbox, self._recycle_after = jobs, cache, inbox, recycle_after
        self._workers: list[_Worker] = []

    @property
    def room(self) -> int:
        """How many more tasks are welcome now."""
        return self._jobs - sum(worker.busy for worker in self._workers)

    def give(self, number: int, task: Task) -> None:
        """Hand a task over to a process that waits, or to a new one."""
        for worker in list(self._workers):
            if worker.busy:
                continue
            if worker.songs < self._recycle_after and worker.give(number, task):
                return
            self._workers.remove(worker)
            worker.end()
        worker = _Worker(self._cache, self._inbox)
        self._workers.append(worker)
        if not worker.give(number, task):
            self._inbox.put(Lost(number, worker.fate, worker.name))

    def stop(self) -> None:
        """Cancel what is under way; returns when all processes are gone, and what they were writing."""
        for worker in self._workers:
            if worker.busy:
                worker.process.terminate()
        for worker in self._workers:
            worker.end()
        self._workers.clear()


class _Worker:
    """A process, the pipe to it, and a thread that listens."""

    def __init__(self, cache: StemCache | None, inbox: SimpleQueue[Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        # On this thread, which must outlive it: see `die_with_parent`.
        self.process: BaseProcess = context.Process(target=_work, args=(theirs, cache, os.getpid()))
        self.process.start()
        theirs.close()
        self.name = f"process {self.process.pid}"
        self.songs = 0
        self._inbox = inbox
        self._number: int | None = None
        self._gone = False
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, name="worker", daemon=True).start()

    @property
    def busy(self) -> bool:
        return self._number is not None

    def give(self, number: int, task: Task) -> bool:
        """Send it its next task; False where it is dead."""
        with self._lock:
            if self._gone:
                return False
            self._number = number
        self.songs += 1
        with contextlib.suppress(OSError):  # dead in this moment: who listens finds out
            self._connection.send(task)
        return True

    def fate(self) -> str:
        """How it ended."""
        return f"its process died (exit {self.end()})"

    def end(self) -> int | None:
        """Let it go, by force if it does not; returns its exit code. Twice is fine."""
        with contextlib.suppress(OSError):
            self._connection.send(None)
        self.process.join(_STOP_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        return self.process.exitcode

    def _listen(self) -> None:
        with self._connection:
            while True:
                try:
                    news = self._connection.recv()
                except (EOFError, OSError):
                    break
                number = self._number
                if number is None:
                    continue
                if not isinstance(news, Step):
                    self._number = None
                self._inbox.put(News(number, news, self.name))
            with self._lock:
                self._gone = True
                number, self._number = self._number, None
            if number is not None:
                self._inbox.put(Lost(number, self.fate, self.name))


def _work(connection: Any, cache: StemCache | None, parent_pid: int) -> None:
    """A worker process: do what comes until None comes; stop cleanly when told to terminate."""
    die_with_parent(parent_pid)
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _cancel)
    with contextlib.suppress(CancelledError, EOFError, OSError):
        while (task := connection.recv()) is not None:
            try:
                with closing(carry_out(task, cache)) as news:
                    for one in news:
                        connection.send(one)
            except CancelledError:
                raise
            except StembridgeError as error:
                connection.send(plain(error))


def _cancel(_number: int, _frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: a second one would disturb the clearing up
    raise CancelledError("cancelled")
