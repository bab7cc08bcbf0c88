"""Who sent a message, and the way back there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..messages import Message

BURST = 1000
PER_SECOND = 2000.0
ERRORS_BURST = 5
ERRORS_PER_SECOND = 5.0


class Bucket:
    """So many at once, and so many more each second."""

    def __init__(self, burst: float, per_second: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._left = burst
        self._then = 0.0

    def take(self, now: float) -> bool:
        """Whether one more may pass at a time in seconds that never runs backwards."""
        self._left = min(self._burst, self._left + (now - self._then) * self._per_second)
        self._then = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


@dataclass(eq=False)
class Peer:
    """One address on the other side: a UDP socket's, or a TCP connection."""

    origin: str
    """`osc:udp:127.0.0.1:5005`."""
    write: Callable[[bytes], None]
    """Sends one packet; never waits, never raises."""
    host: str
    port: int
    stream: bool = False
    """Whether packets of any size arrive whole (TCP)."""
    seen: float = 0.0
    bucket: Bucket = field(default_factory=lambda: Bucket(BURST, PER_SECOND))
    errors: Bucket = field(default_factory=lambda: Bucket(ERRORS_BURST, ERRORS_PER_SECOND))
    refused: int = 0
    """Messages dropped since it was last told so."""
    told_refused: float = 0.0


@dataclass(frozen=True)
class Incoming:
    """A packet as it came in."""

    peer: Peer
    packet: bytes
    messages: tuple[Message, ...] = ()
