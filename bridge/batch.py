"""Many songs, one after another or several at once; a bad one never stops the rest."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from stembridge.model.errors import CancelledError, StembridgeError
from stembridge.model.platform import die_with_parent, keep_freed_memory
from stembridge.model.rendering import Progress, RenderSpec, render
from stembridge.model.stem_cache import StemCache

_STOP_S = 10.0


@dataclass(frozen=True)
class Event:
    """News of one song: progress (the last with its result), or the error that ended it."""

    song: int
    """Index into the songs given."""
    news: Progress | StembridgeError


def render_all(
    specs: Sequence[RenderSpec], cache: StemCache | None, jobs: int = 1
) -> Generator[Event, None, None]:
    """Render every song, `jobs` at a time in processes of their own (1: here).

    Closing the generator, or an interrupt inside it, cancels what is under way; nothing half-done stays.
    """
    if jobs <= 1 or len(specs) <= 1:
        for song, spec in enumerate(specs):
            try:
                with closing(_rendering(spec, cache)) as news:
                    for progress in news:
                        yield Event(song, progress)
            except StembridgeError as error:
                yield Event(song, error)
        return
    yield from _in_processes(specs, cache, min(jobs, len(specs)))


def _rendering(spec: RenderSpec, cache: StemCache | None) -> Generator[Progress, None, None]:
    """Render one song; whatever goes wrong is one of our errors, so that a batch goes on."""
    try:
        yield from render(spec, cache=cache)
    except StembridgeError:
        raise
    except MemoryError as error:
        failure = StembridgeError(f"{spec.source}: not enough memory")
        failure.code = "out_of_memory"
        raise failure from error
    except Exception as error:
        raise StembridgeError(f"{spec.source}: {type(error).__name__}: {error}") from error


def _in_processes(
    specs: Sequence[RenderSpec], cache: StemCache | None, jobs: int
) -> Generator[Event, None, None]:
    workers: dict[Connection, _Worker] = {}
    waiting = list(enumerate(specs))[::-1]
    try:
        while waiting or workers:
            while waiting and len(workers) < jobs:
                worker = _Worker(cache)
                workers[worker.connection] = worker
                worker.give(*waiting.pop())
            for ready in wait(list(workers)):
                assert isinstance(ready, Connection)
                worker = workers[ready]
                try:
                    news: Progress | StembridgeError = ready.recv()
                except (EOFError, OSError):  # it has died: that costs its song, and no other
                    del workers[ready]
                    code = worker.end()
                    path = specs[worker.song].source
                    yield Event(worker.song, StembridgeError(f"{path}: its process died (exit {code})"))
                    continue
                yield Event(worker.song, news)
                if isinstance(news, StembridgeError) or news.result is not None:
                    if waiting and worker.process.is_alive():
                        worker.give(*waiting.pop())
                    else:
                        del workers[ready]
                        worker.end()
    finally:
        for worker in workers.values():
            worker.process.terminate()
        for worker in workers.values():
            worker.end()


class _Worker:
    """A process that renders one song after the other, and the pipe to it."""

    def __init__(self, cache: StemCache | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(theirs, cache, os.getpid()))
        self.process.start()
        theirs.close()
        self.song = -1

    def give(self, song: int, spec: RenderSpec) -> None:
        """Send it its next song; if it is dead, reading from it will tell."""
        self.song = song
        with contextlib.suppress(OSError):
            self.connection.send(spec)

    def end(self) -> int | None:
        """Let it go, by force if it does not; returns its exit code."""
        with contextlib.suppress(OSError):
            self.connection.send(None)
        self.process.join(_STOP_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()
        return self.process.exitcode


def _work(connection: Connection, cache: StemCache | None, parent_pid: int) -> None:
    """A worker process: render what comes until None comes; stop cleanly when told to terminate."""
    die_with_parent(parent_pid)
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _cancel)
    with contextlib.suppress(CancelledError, EOFError, OSError):
        while (spec := connection.recv()) is not None:
            try:
                with closing(_rendering(spec, cache)) as news:
                    for progress in news:
                        connection.send(progress)
            except CancelledError:
                raise
            except StembridgeError as error:
                connection.send(_plain(error))


def _cancel(_number: int, _frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: a second one would disturb the clearing up
    raise CancelledError("cancelled")


def _plain(error: StembridgeError) -> StembridgeError:
    """An error that survives pickling: its kind, its text, its code, nothing attached."""
    plain = StembridgeError(str(error))
    plain.code = error.code
    return plain
