"""Many songs, one after another or several at once; a bad one never stops the rest."""

from __future__ import annotations

import contextlib
import multiprocessing
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
    context = multiprocessing.get_context("spawn")
    workers: dict[Connection, tuple[BaseProcess, int]] = {}
    waiting = list(enumerate(specs))[::-1]

    def start() -> None:
        song, spec = waiting.pop()
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, cache), daemon=False)
        process.start()
        theirs.close()
        ours.send(spec)
        workers[ours] = (process, song)

    try:
        for _ in range(jobs):
            start()
        while workers:
            for ready in wait(list(workers)):
                assert isinstance(ready, Connection)
                process, song = workers[ready]
                try:
                    news: Progress | StembridgeError = ready.recv()
                except EOFError:
                    process.join()
                    del workers[ready]
                    code = process.exitcode
                    yield Event(
                        song, StembridgeError(f"{specs[song].source}: its process died (exit {code})")
                    )
                    if waiting:
                        start()
                    continue
                yield Event(song, news)
                if isinstance(news, StembridgeError) or news.result is not None:
                    if waiting:
                        next_song, spec = waiting.pop()
                        ready.send(spec)
                        workers[ready] = (process, next_song)
                    else:
                        ready.send(None)
                        process.join()
                        del workers[ready]
    finally:
        for process, _ in workers.values():
            process.terminate()
        for process, _ in workers.values():
            process.join(_STOP_S)
            if process.is_alive():
                process.kill()
                process.join()


def _work(connection: Connection, cache: StemCache | None) -> None:
    """A worker process: render what comes until None comes; stop cleanly when told to terminate."""
    die_with_parent()
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, _cancel)
    with contextlib.suppress(CancelledError, EOFError, BrokenPipeError):
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
    raise CancelledError("cancelled")


def _plain(error: StembridgeError) -> StembridgeError:
    """An error that survives pickling: its kind, its text, its code, nothing attached."""
    plain = StembridgeError(str(error))
    plain.code = error.code
    return plain
