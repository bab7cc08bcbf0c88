"""A UDP socket of a link: what comes, and where from; a peer that has closed its port is no error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

log = logging.getLogger(__name__)


class Datagrams(asyncio.DatagramProtocol):
    """Hands every datagram on with its sender's host."""

    def __init__(self, name: str, take: Callable[[bytes, str], None]) -> None:
        self._name = name
        self._take = take

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Called by the loop."""
        self._take(data, address[0])

    def error_received(self, error: Exception) -> None:
        """Called by the loop."""
        log.debug("%s's port: %s", self._name, error)
