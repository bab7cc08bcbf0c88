"""What an OSC peer asks about the conversation itself: subscriptions, signs of life, order, versions."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from importlib.metadata import version
from typing import Any

from .. import commands as c
from .. import events as e
from ..addresses import PROTOCOL, BadRangeError
from ..hub import Hub, Refusal, Reply, Request
from ..messages import Message
from ..translation import to_messages
from .clients import Client, Clients, snapshot
from .peer import Peer

log = logging.getLogger(__name__)

COMMANDS = (c.Subscribe, c.Unsubscribe, c.Ping, c.Sync, c.AskVersion, c.AskStatus, c.DumpTraffic)


class Conversation:
    """Answers for all peers of one OSC edge."""

    def __init__(
        self,
        hub: Hub,
        clients: Clients,
        send: Callable[[Peer, Sequence[Message]], None],
        jobs_waiting: Callable[[], int],
    ) -> None:
        self.peers: dict[str, Peer] = {}
        self.dumping = False
        self.make_peer: Callable[[Peer, int], Peer | None] = lambda _peer, _port: None
        """The peer at another port of the same host, for `/subscribe ... port`."""
        self._hub = hub
        self._clients = clients
        self._send = send
        self._jobs_waiting = jobs_waiting
        self._began = time.monotonic()

    def answer(self, request: Request) -> Coroutine[Any, Any, None] | None:
        """Carry out one of `COMMANDS`."""
        reply = request.reply
        match request.command:
            case c.Ping(arguments):
                reply(e.Pong(tuple(a for a in arguments if isinstance(a, int | float | str))))
            case c.Sync(number):
                return _synced(number, self._hub.begun(), reply)
            case c.AskVersion():
                reply(e.Version(f"stembridge {version('stembridge')}", PROTOCOL))
            case c.AskStatus():
                jobs = self._jobs_waiting()
                up = time.monotonic() - self._began
                stems = len(self._hub.session.stems)
                reply(e.Status("rendering" if jobs else "idle", jobs, len(self._clients), stems, up))
            case c.DumpTraffic(on):
                self._dump(on)
            case c.Subscribe() as command:
                self._subscribe(command, request)
            case c.Unsubscribe(prefix):
                self._clients.remove(request.origin, prefix)
                reply(e.Unsubscribed(prefix))
        return None

    def shown(self, client: Client) -> list[Message]:
        """A snapshot of what a client wants to see."""
        every = snapshot(self._hub.session, self._hub.clock())
        return [m for m in every if m.address == "/update" or client.wants(m.address)]

    def traffic(self, way: str, peer: Peer, message: Message) -> None:
        """Write a message to the log; asked for by `/dump 1`."""
        log.info("%s %s %s", way, peer.origin, message)

    def _dump(self, on: bool) -> None:
        self.dumping = on
        for client in self._clients:
            client.traffic = self.traffic if on else None
        log.info("traffic is %s", "written here from now on" if on else "no longer written here")

    def _subscribe(self, command: c.Subscribe, request: Request) -> None:
        peer = self.peers.get(request.origin)
        if peer is not None and command.port:
            if not 1 <= command.port <= 65_535:
                raise BadRangeError(f"a port is 1 to 65535; got {command.port}")
            peer = self.make_peer(peer, command.port)
        if peer is None:
            raise Refusal("bad_args", "another port to send to can only be had over UDP")
        now = asyncio.get_running_loop().time()
        try:
            client = self._clients.add(peer, command.prefix, command.lease_s, now, sender=request.origin)
        except OverflowError as error:
            raise Refusal("busy", str(error)) from error
        client.traffic = self.traffic if self.dumping else None
        subscribed = e.Subscribed(command.prefix, peer.origin, int(client.leases[command.prefix][0]))
        first = to_messages(subscribed, self._hub.session.law.position)
        self._send(peer, [*first, *self.shown(client)])


async def _synced(number: int, earlier: Coroutine[Any, Any, None], reply: Reply) -> None:
    await earlier
    reply(e.Synced(number))
