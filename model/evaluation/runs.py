"""Many measurements, each in a process of its own, so that memory is that of one separator on one song."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from ..errors import StembridgeError
from ..platform import die_with_parent, keep_freed_memory
from .evaluation import SongScore, Task, evaluate_song

_STEP = 0.01
"""Progress is told when it has grown by so much."""


@dataclass(frozen=True)
class Event:
    """News of one task: how far it is, its result, or what ended it."""

    task: int
    """Index into the tasks given."""
    news: float | SongScore | StembridgeError


def run_all(tasks: Sequence[Task], jobs: int = 1) -> Generator[Event, None, None]:
    """Run tasks in order, `jobs` at a time (more than one, and they slow each other down).

    A task that fails, or whose process dies, costs its own result only. Closing the generator, or an
    interrupt inside it, ends what is under way; nothing stays behind.
    """
    waiting = list(range(len(tasks)))[::-1]
    running: dict[Connection, _Child] = {}
    with tempfile.TemporaryDirectory(prefix="stembridge-") as folder:
        try:
            while waiting or running:
                while waiting and len(running) < max(1, jobs):
                    child = _Child(waiting.pop(), tasks, Path(folder))
                    running[child.connection] = child
                for ready in wait(list(running)):
                    assert isinstance(ready, Connection)
                    child = running[ready]
                    try:
                        news: float | SongScore | StembridgeError = ready.recv()
                    except (EOFError, OSError):
                        child.end()
                        news = StembridgeError(f"its process died (exit {child.process.exitcode})")
                    if not isinstance(news, float):
                        child.end()
                        del running[ready]
                    yield Event(child.task, news)
        finally:
            for child in running.values():
                child.process.terminate()
            for child in running.values():
                child.end()


class _Child:
    """A process that runs one task, and the pipe to it."""

    def __init__(self, task: int, tasks: Sequence[Task], folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.task = task
        self.connection, theirs = context.Pipe(duplex=False)
        self.process = context.Process(target=_work, args=(theirs, tasks[task], folder, os.getpid()))
        self.process.start()
        theirs.close()

    def end(self) -> None:
        """Wait for it, by force if it does not end."""
        self.process.join(10.0)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


def _work(connection: Connection, task: Task, folder: Path, parent_pid: int) -> None:
    """In the child: run the task and send what comes of it."""
    die_with_parent(parent_pid)
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    told = 0.0

    def progress(fraction: float) -> None:
        nonlocal told
        if fraction - told >= _STEP:
            told = fraction
            connection.send(fraction)

    news: SongScore | StembridgeError
    try:
        news = evaluate_song(task, folder, progress)
    except StembridgeError as error:
        news = _plain(error)
    except MemoryError:
        news = StembridgeError("not enough memory")
        news.code = "out_of_memory"
    except Exception as error:  # a separator may fail in any way; that is its result
        news = StembridgeError(f"{type(error).__name__}: {error}")
    with contextlib.suppress(OSError):
        connection.send(news)


def _plain(error: StembridgeError) -> StembridgeError:
    """The same as one that any process can read: its class may be one that only the child has loaded."""
    plain = StembridgeError(str(error))
    plain.code = error.code
    return plain
