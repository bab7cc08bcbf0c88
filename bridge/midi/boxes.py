"""Messages on their way between a driver and the loop: bounded, and the newest value always gets through."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

MOST_WAITING = 256

Packet = tuple[Sequence[int], float]
"""The bytes of a message, and when it came."""


class Inbox:
    """Where the driver's thread leaves messages for the loop."""

    def __init__(self, wake: Callable[[], None], limit: int = MOST_WAITING) -> None:
        """`wake` is called from the driver's thread when there is something after there was nothing."""
        self._wake = wake
        self._limit = limit
        self._lock = threading.Lock()
        self._packets: list[Packet] = []
        self.dropped = 0
        """Older values of controllers that had to make room; their newest never does."""

    def put(self, message: Sequence[int], at: float) -> None:
        """Leave one message. Never waits for anything but the lock, which nobody holds for long."""
        with self._lock:
            first = not self._packets
            self._packets.append((message, at))
            if len(self._packets) > self._limit:
                self._make_room()
        if first:
            self._wake()

    def take(self) -> list[Packet]:
        """Everything there is, in order."""
        with self._lock:
            packets, self._packets = self._packets, []
        return packets

    def _make_room(self) -> None:
        """Keep the newest value of every controller, and as many notes as there is room for."""
        newest: dict[tuple[int, ...], int] = {}
        for place, (message, _) in enumerate(self._packets):
            key = _value_key(message)
            newest[(-1, place) if key is None else key] = place
        kept = sorted(newest.values())
        events = [place for place in kept if _value_key(self._packets[place][0]) is None]
        if len(events) > self._limit // 2:
            crowd = set(events[: len(events) - self._limit // 2])
            kept = [place for place in kept if place not in crowd]
        self.dropped += len(self._packets) - len(kept)
        self._packets = [self._packets[place] for place in kept]
        # All of 16 x 128 controllers may be moving: then the box is as large as they are many.
        self._limit = max(self._limit, 2 * len(kept))


def _value_key(message: Sequence[int]) -> tuple[int, ...] | None:
    """What a message is the value of; None for those that count one by one."""
    status = message[0] & 0xF0 if message else 0
    if status == 0xB0 and len(message) == 3:
        return (message[0], message[1])
    return (message[0],) if status == 0xE0 else None


class Outbox:
    """Messages on their way out, a few at a time: drivers drop what comes too fast, and say nothing.

    A message with a key replaces one of the same key that has not gone out yet.
    """

    AT_ONCE = 16
    EVERY_S = 0.010

    def __init__(self, write: Callable[[Sequence[int]], None]) -> None:
        self._write = write
        self._waiting: dict[object, Sequence[int]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._gone = 0

    def send(self, message: Sequence[int], key: object = None) -> None:
        """Send a message soon; call from the loop."""
        self._waiting.pop(key, None)
        self._waiting[object() if key is None else key] = message
        if self._timer is None:
            self._flush()

    def clear(self) -> None:
        """Drop what has not gone out."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _flush(self) -> None:
        self._timer = None
        for key in list(self._waiting)[: self.AT_ONCE]:
            self._write(self._waiting.pop(key))
        self._timer = asyncio.get_running_loop().call_later(self.EVERY_S, self._again)

    def _again(self) -> None:
        self._timer = None
        if self._waiting:
            self._flush()
