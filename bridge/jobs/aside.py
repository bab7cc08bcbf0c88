"""Work that may wait for a disk, done beside the loop, in order; what a dead share holds is given up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

_MOST_UNDELIVERED = 16
"""How many answers may pile up: what a loop does with them in one turn must not keep others waiting."""


class StuckError(TimeoutError):
    """A disk that does not answer."""


@dataclass
class _Item:
    work: Callable[[], Any]
    key: str
    answer: asyncio.Future[Any]
    began: float | None = None


class Aside:
    """A thread that does one thing after the other for one loop.

    When something has held it for `timeout_s`, its caller is told so, the thread is left to itself and
    another one goes on with the rest; until it comes back, everything with the same key is refused at once,
    so that one dead share costs one thread.
    """

    def __init__(self, timeout_s: float = 5.0) -> None:
        self._timeout_s = timeout_s
        self._lock = threading.Condition()
        self._waiting: deque[_Item] = deque()
        self._current: _Item | None = None
        self._thread: threading.Thread | None = None
        self._stuck: dict[str, int] = {}
        """Key -> how many threads are held by it."""
        self._watch: asyncio.TimerHandle | None = None
        self._undelivered = threading.Semaphore(_MOST_UNDELIVERED)
        self._closed = False

    @property
    def pending(self) -> int:
        """How much is waiting or being done."""
        with self._lock:
            return len(self._waiting) + (self._current is not None)

    def submit(self, work: Callable[[], T], key: str = "") -> asyncio.Future[T]:
        """Do something soon, after what was submitted before; call from the loop.

        The future fails with what `work` raises, or StuckError.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        with self._lock:
            if key in self._stuck or self._closed:
                answer.set_exception(StuckError("it has not answered for some time"))
                return answer
            self._waiting.append(_Item(work, key, answer))
            if self._thread is None:
                self._start(loop)
            self._lock.notify()
        if self._watch is None:
            self._watch = loop.call_later(self._timeout_s / 4, self._look)
        return answer

    def close(self) -> None:
        """Take nothing more; the thread ends by itself. Twice is fine."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        with self._lock:
            self._closed = True
            self._lock.notify_all()

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        # A daemon: one that is held by a dead share must not hold the end of the program.
        self._thread = threading.Thread(target=self._run, args=(loop,), name="aside", daemon=True)
        self._thread.start()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """The thread: until closed, or given up."""
        me = threading.current_thread()
        while True:
            with self._lock:
                while not self._waiting:
                    if self._closed or self._thread is not me:
                        return
                    self._lock.wait()
                item = self._current = self._waiting.popleft()
                item.began = time.monotonic()
            value, error = None, None
            try:
                value = item.work()
            except BaseException as failure:
                error = failure
            with self._lock:
                given_up = self._thread is not me
                if given_up:
                    self._release(item.key)
                else:
                    self._current = None
            if given_up:
                return
            self._undelivered.acquire()
            try:
                loop.call_soon_threadsafe(self._deliver, item.answer, value, error)
            except RuntimeError:  # the loop is closed
                return

    def _deliver(self, answer: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
        self._undelivered.release()
        _answer(answer, value, error)

    def _look(self) -> None:
        """See whether the thread is held, and go on without it if so."""
        loop = asyncio.get_running_loop()
        self._watch = None
        with self._lock:
            item = self._current
            if item is not None and item.began is not None:
                held = time.monotonic() - item.began
                if held > self._timeout_s:
                    self._stuck[item.key] = self._stuck.get(item.key, 0) + 1
                    self._current = None
                    _answer(item.answer, None, StuckError(f"it has not answered for {held:.0f} seconds"))
                    same = [other for other in self._waiting if other.key == item.key]
                    self._waiting = deque(other for other in self._waiting if other.key != item.key)
                    for other in same:
                        _answer(other.answer, None, StuckError("it has not answered for some time"))
                    self._start(loop)
            busy = bool(self._waiting) or self._current is not None
        if busy and not self._closed:
            self._watch = loop.call_later(self._timeout_s / 4, self._look)

    def _release(self, key: str) -> None:
        self._stuck[key] -= 1
        if not self._stuck[key]:
            del self._stuck[key]


def _answer(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if future.done():  # its caller has gone
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)
