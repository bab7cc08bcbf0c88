"""Tasks on their way to the workers: planned as they are wanted, on a thread, a bounded number ahead.

A batch of thousands begins with its first song and not after the last one was looked at, and needs no more
memory than a short one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from stembridge.model.errors import ArgumentValueError, StembridgeError

from .task import Planned, Task, kind_of

AHEAD = 64
"""How many tasks are planned before they can be given to anyone."""
_STOP_S = 5.0


@dataclass(frozen=True)
class Refused:
    """A task that cannot be begun, and why."""

    task: Task
    error: StembridgeError


@dataclass(frozen=True)
class Ended:
    """There are no more tasks; or the source of tasks has failed."""

    error: BaseException | None = None


def check_collisions(tasks: Iterable[Task]) -> None:
    """Refuse, before anything is opened, two tasks whose outputs share a name. Raises ArgumentValueError."""
    seen = _Paths()
    by_kind: dict[str, list[Task]] = {}
    for task in tasks:
        by_kind.setdefault(task.kind, []).append(task)
    for kind, same in by_kind.items():
        for task, paths in zip(same, kind_of(kind).foreseen(task.spec for task in same), strict=True):
            seen.add(_place(task), paths, object())


def planned(
    tasks: Iterable[Task], *, watching: bool = False
) -> Iterator[tuple[Task, Planned | None] | Refused]:
    """Plan one task after the other; what lies elsewhere is planned where it is fetched (None here).

    With `watching` the same task may come again: its song has changed.
    """
    seen = _Paths()
    for task in tasks:
        if task.remote is not None:
            yield task, None
            continue
        try:
            found = kind_of(task.kind).plan(task.spec)
            seen.add(_place(task), found.paths, repr(task) if watching else object())
        except StembridgeError as error:
            yield Refused(task, error)
        except Exception as error:
            yield Refused(task, StembridgeError(f"{task.source}: {type(error).__name__}: {error}"))
        else:
            yield replace(task, spec=found.spec, audio_s=found.audio_s), found


class Feed:
    """Plans tasks on a thread and puts them, or why not, into an inbox; `taken` asks for one more."""

    def __init__(
        self, tasks: Iterable[Task], inbox: SimpleQueue[Any], end: Callable[[], None] | None = None
    ) -> None:
        """`end` lets `tasks` end that wait for what may come: they are watched for, and may come again."""
        self._tasks, self._inbox, self._end = tasks, inbox, end
        self._room = threading.Semaphore(AHEAD)
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="plan", daemon=True)
        self._thread.start()

    def taken(self) -> None:
        """One of those that were put into the inbox is out of it."""
        self._room.release()

    def stop(self) -> None:
        """End the thread; one that hangs on a dead network drive is left to itself."""
        self._stopped = True
        if self._end is not None:
            self._end()
        self._room.release()
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        try:
            for item in planned(self._tasks, watching=self._end is not None):
                self._room.acquire()
                if self._stopped:
                    return
                self._inbox.put(item if isinstance(item, Refused) else item[0])
            self._inbox.put(Ended())
        except BaseException as error:  # raised again where the batch runs
            self._inbox.put(Ended(error))


class _Paths:
    """The outputs so far, by 64-bit hashes: thousands of names in little memory."""

    def __init__(self) -> None:
        self._owners: dict[int, int] = {}

    def add(self, place: str, paths: Iterable[Path], owner: object) -> None:
        """Raise ArgumentValueError where another owner has a path; upper and lower case count as the same."""
        number = len(self._owners) if type(owner) is object else hash(owner)
        for path in paths:
            key = hash((place, str(path).casefold()))
            if self._owners.setdefault(key, number) != number:
                raise ArgumentValueError(
                    f"two outputs would be written to one path, {path}: "
                    "use {track}, {foldername} and {stem} in --filename to tell them apart"
                )


def _place(task: Task) -> str:
    return (task.remote.out if task.remote is not None else None) or ""
