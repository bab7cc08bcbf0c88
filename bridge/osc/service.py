"""OSC in the bridge: packets from any transport become commands, events become packets to subscribers.

Incoming packets are worked through in slices of a few milliseconds, so that whatever a peer sends, nobody
else waits; where packets pile up, of several values for one address only the last is applied.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from .. import events as e
from ..addresses import (
    Address,
    BadArgumentsError,
    BadRangeError,
    find,
    value_addresses,
)
from ..desk import NotFoundError, members
from ..hub import Hub
from ..messages import Message, Value
from ..translation import to_command, to_messages
from . import conversation
from .clients import LONGEST_LEASE_S, Clients
from .conversation import Conversation
from .packets import PacketError, Timed, bundles, encode, walk
from .patterns import is_pattern, matching
from .peer import Peer

log = logging.getLogger(__name__)

SLICE_S = 0.004
MOST_WAITING_BYTES = 8 << 20
"""What may pile up before more is dropped: thousands of datagrams."""
SCHEDULED_S = 2.0
"""Bundles dated further ahead than this are applied at once: their sender's clock is wrong."""
_SWEEP_S = 1.0
_FORGET_S = 300.0
_MOST_SCHEDULED = 10_000


class OscService:
    """The OSC edge of one hub."""

    def __init__(self, hub: Hub, *, jobs_waiting: Callable[[], int] = lambda: 0) -> None:
        self.hub = hub
        self.clients = Clients(hub.session)
        self.conversation = Conversation(hub, self.clients, self.send, jobs_waiting)
        self._waiting: deque[tuple[Peer, bytes]] = deque()
        self._waiting_bytes = 0
        self._pump: asyncio.Handle | None = None
        self._walking: tuple[Peer, Any] | None = None
        self._scheduled: set[asyncio.TimerHandle] = set()
        self._sweeping: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to answer; call from the loop."""
        self.hub.handle(conversation.COMMANDS, self.conversation.answer)
        self.hub.listen(self.clients.offer)
        self._sweeping = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    def close(self) -> None:
        """Forget everybody and everything. Twice is fine."""
        self.hub.forget(self.clients.offer)
        for handle in (self._pump, self._sweeping, *self._scheduled):
            if handle is not None:
                handle.cancel()
        self._scheduled.clear()
        self.clients.close()

    # In.

    def receive(self, peer: Peer, packet: bytes) -> None:
        """Take a packet; it is worked through soon."""
        peer.seen = asyncio.get_running_loop().time()
        if self._waiting_bytes + len(packet) > MOST_WAITING_BYTES:
            self._refuse(peer)
            return
        self._waiting.append((peer, packet))
        self._waiting_bytes += len(packet)
        if self._pump is None:
            self._pump = asyncio.get_running_loop().call_soon(self._work)

    def peer(self, origin: str, make: Callable[[], Peer]) -> Peer:
        """The peer of an origin that has no connection: known from before, or new."""
        if (peer := self.conversation.peers.get(origin)) is None:
            peer = self.conversation.peers[origin] = make()
        return peer

    def gone(self, peer: Peer) -> None:
        """Note that a connection has ended."""
        self.clients.remove(peer.origin)
        self.conversation.peers.pop(peer.origin, None)

    def _work(self) -> None:
        """Work for a slice, then let others have their turn."""
        self._pump = None
        until = time.perf_counter() + SLICE_S
        # Values waiting to be applied, by who sent them and where to: the last one wins.
        values: dict[tuple[Peer, str], Message] = {}
        while time.perf_counter() < until and (self._walking or self._waiting):
            if self._walking is None:
                peer, packet = self._waiting.popleft()
                self._waiting_bytes -= len(packet)
                if client := self.clients.get(peer.origin):
                    client.renew(peer.seen)
                self._walking = (peer, walk(packet))
            peer, messages = self._walking
            try:
                timed: Timed | None = next(messages, None)
            except PacketError as error:
                self._walking = None
                self._apply_all(values)
                self._error(peer, e.Problem("bad_args", error.address, str(error)))
                continue
            if timed is None:
                self._walking = None
            elif timed.due is not None and self._schedule(peer, timed):
                continue
            elif _is_value(timed.message):
                values.pop((peer, timed.message.address), None)
                values[peer, timed.message.address] = timed.message
            else:
                self._apply_all(values)
                self._take(peer, timed.message)
        self._apply_all(values)
        if (self._walking or self._waiting) and self._pump is None:
            self._pump = asyncio.get_running_loop().call_soon(self._work)

    def _apply_all(self, values: dict[tuple[Peer, str], Message]) -> None:
        for (peer, _), message in values.items():
            self._take(peer, message)
        values.clear()

    def _schedule(self, peer: Peer, timed: Timed) -> bool:
        """Apply a message of a dated bundle when it is due; False where it has to be applied now."""
        wait = (timed.due or 0.0) - time.time()
        if wait <= 0.0 or len(self._scheduled) >= _MOST_SCHEDULED:
            return False
        if wait > SCHEDULED_S:
            log.warning("%s dates a bundle %.1f s ahead: applied now; compare the clocks", peer.origin, wait)
            return False

        def due() -> None:
            self._scheduled.discard(handle)
            self._take(peer, timed.message)

        handle = asyncio.get_running_loop().call_later(wait, due)
        self._scheduled.add(handle)
        return True

    def _take(self, peer: Peer, message: Message) -> None:
        """Carry one message out, or tell its sender why not."""
        if self.conversation.dumping:
            self.conversation.traffic("<-", peer, message)
        row_and_stem = find(message.address)
        if (row_and_stem is None or not row_and_stem[0].value) and not peer.bucket.take(time.monotonic()):
            self._refuse(peer)
            return
        if is_pattern(message.address):
            reached = matching(message.address, value_addresses(self.hub.session.stems))
            if not reached:
                self._error(
                    peer, e.Problem("unknown_address", message.address[:256], "the pattern reaches nothing")
                )
            for address in reached:
                if (row_and_stem := find(address)) is not None:
                    self._carry_out(peer, address, *row_and_stem, message.arguments)
        elif row_and_stem is None:
            text = "no such address; `stembridge addresses` lists them"
            self._error(peer, e.Problem("unknown_address", message.address[:256], text))
        else:
            self._carry_out(peer, message.address, *row_and_stem, message.arguments)

    def _carry_out(
        self, peer: Peer, address: str, row: Address, stem: str, arguments: tuple[Value, ...]
    ) -> None:
        try:
            command = to_command(row, stem, arguments)
        except BadArgumentsError as error:
            self._error(peer, e.Problem("bad_args", address, str(error), _tag(row, arguments)))
            return
        except BadRangeError as error:
            self._error(peer, e.Problem("bad_range", address, str(error), _tag(row, arguments)))
            return
        if command is None:
            return
        client = self.clients.get(peer.origin)
        if client is not None and row.value and arguments and isinstance(arguments[0], int | float):
            value = float(arguments[0])
            # Not any(): every member of a group is noted, also after the first that is news.
            if not sum([client.feedback.heard(control, value) for control in self._controls(row, stem)]):
                return
        self.hub.send(command, peer.origin, lambda event: self._reply(peer, event), address)

    def _controls(self, row: Address, stem: str) -> list[str]:
        """The addresses at which a value that was set is told."""
        if not stem:
            return [row.path]
        try:
            return [row.path.replace("{stem}", name) for name in members(stem, self.hub.session.stems)]
        except NotFoundError:
            return [row.path]  # the session says so to the sender

    # Out.

    def _reply(self, peer: Peer, event: e.Event) -> None:
        if isinstance(event, e.Problem):
            self._error(peer, event)
            return
        self.send(peer, to_messages(event, self.hub.session.law.position))

    def send(self, peer: Peer, messages: Sequence[Message]) -> None:
        """Send messages to a peer in as few packets as they need."""
        for message in messages:
            if self.conversation.dumping:
                self.conversation.traffic("->", peer, message)
        for packet in bundles([encode(message) for message in messages]):
            peer.write(packet)

    def _error(self, peer: Peer, problem: e.Problem) -> None:
        """Tell a peer what went wrong; one that makes errors all the time is told of few."""
        if peer.errors.take(time.monotonic()):
            self.send(peer, to_messages(problem, self.hub.session.law.position))

    def _refuse(self, peer: Peer) -> None:
        """Drop a message, and say so once a second with how many they were."""
        peer.refused += 1
        now = time.monotonic()
        if now - peer.told_refused >= 1.0:
            text = f"too many messages: {peer.refused} dropped; desk values are never limited"
            peer.refused, peer.told_refused = 0, now
            self.send(peer, to_messages(e.Problem("rate_limited", "", text), self.hub.session.law.position))

    def add_permanent(self, peer: Peer, prefix: str) -> None:
        """Subscribe a client that the configuration names, for good."""
        self.conversation.peers[peer.origin] = peer
        client = self.clients.add(peer, prefix, LONGEST_LEASE_S, 0.0, permanent=True)
        self.send(peer, self.conversation.shown(client))

    @property
    def crowded(self) -> bool:
        """Whether so much waits that who can wait should."""
        return self._waiting_bytes > MOST_WAITING_BYTES // 8

    def connected(self, peer: Peer) -> None:
        """Note a peer that has a connection."""
        self.conversation.peers[peer.origin] = peer

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeping = loop.call_later(_SWEEP_S, self._sweep)
        self.clients.expire(loop.time())
        if len(self.conversation.peers) > 256:
            quiet = [
                origin for origin, peer in self.conversation.peers.items() if loop.time() - peer.seen > 300
            ]
            for origin in quiet:
                if self.clients.get(origin) is None:
                    del self.conversation.peers[origin]


def _is_value(message: Message) -> bool:
    if not message.arguments:
        return False
    row_and_stem = find(message.address)
    return row_and_stem is not None and row_and_stem[0].value


def _tag(row: Address, arguments: tuple[Value, ...]) -> str:
    """The tag of a request that cannot be carried out, so that its sender can tell which it was."""
    if row.arguments and row.arguments[0].name == "tag" and arguments and isinstance(arguments[0], str):
        return arguments[0][:256]
    return ""
