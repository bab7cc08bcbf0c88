"""Subscriptions: who is told what, for how long, and in which packets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from stembridge.model.errors import ArgumentValueError

from .. import events as e
from ..addresses import value_addresses
from ..feedback import Feedback
from ..hub import REPLIED
from ..messages import Message
from ..session import MASTER, Session
from ..translation import to_messages
from .packets import bundles, encode
from .peer import Peer

MOST_CLIENTS = 16
LEASE_S = 60
LONGEST_LEASE_S = 86_400
_SAME = 1e-4
"""Closer than this two values are one after the trip through 32-bit floats."""


class Client:
    """One subscriber: what it wants, and what it has been told."""

    def __init__(self, peer: Peer, *, permanent: bool = False) -> None:
        self.peer = peer
        self.origins = {peer.origin}
        """Where it sends from: often another port than the one it listens at."""
        self.permanent = permanent
        self.leases: dict[str, tuple[float, float]] = {}
        """Prefix -> (seconds, when they end)."""
        self.feedback = Feedback(self._tell, resolution=lambda _control: _SAME)
        self._packets: list[bytes] = []
        self._sending: asyncio.Handle | None = None
        self.traffic: Callable[[str, Peer, Message], None] | None = None

    def wants(self, address: str) -> bool:
        """Whether it subscribed to this address or one above it."""
        return any(address.startswith(prefix) for prefix in self.leases)

    def renew(self, now: float) -> None:
        """Begin all leases anew."""
        self.leases = {prefix: (seconds, now + seconds) for prefix, (seconds, _) in self.leases.items()}

    def expire(self, now: float) -> bool:
        """Drop what has run out; whether nothing is left."""
        if self.permanent:
            return False
        self.leases = {prefix: lease for prefix, lease in self.leases.items() if lease[1] > now}
        return not self.leases

    def offer(self, event: e.Event, session: Session, origin: str) -> None:
        """Tell it an event, if it wants it: values when they may be told, everything else now."""
        own = origin in self.origins
        if own and isinstance(event, REPLIED):
            return
        if isinstance(event, e.FaderTouched):
            if own:
                for leaf in ("gain", "fader"):
                    self.feedback.touch(f"/stem/{event.stem}/{leaf}", event.touched)
            return
        for message in to_messages(event, session.law.position):
            if not self.wants(message.address):
                continue
            if message.address in _values(session):
                value = message.arguments[0]
                if isinstance(value, int | float):
                    self.feedback.offer(message.address, value, own=own)
            else:
                self.send(message)

    def send(self, message: Message) -> None:
        """Send with whatever else this turn of the loop has for it."""
        if self.traffic is not None:
            self.traffic("->", self.peer, message)
        self._packets.append(encode(message))
        if self._sending is None:
            self._sending = asyncio.get_running_loop().call_soon(self._flush)

    def close(self) -> None:
        """Let go of every timer."""
        self.feedback.close()
        if self._sending is not None:
            self._sending.cancel()

    def _tell(self, control: str, value: float) -> None:
        switch = control.endswith(("/mute", "/solo"))
        self.send(Message(control, (int(value) if switch else float(value),)))

    def _flush(self) -> None:
        self._sending = None
        packets, self._packets = self._packets, []
        for packet in bundles(packets):
            self.peer.write(packet)


def _values(session: Session) -> frozenset[str]:
    known = _VALUES.get(session.stems)
    if known is None:
        known = _VALUES[session.stems] = frozenset(value_addresses(session.stems))
    return known


_VALUES: dict[tuple[str, ...], frozenset[str]] = {}


class Clients:
    """All subscribers of one bridge."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._clients: dict[str, Client] = {}
        self._by_origin: dict[str, Client] = {}

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[Client]:
        return iter(tuple(self._clients.values()))

    def get(self, origin: str) -> Client | None:
        """The client that sends from there."""
        return self._by_origin.get(origin)

    def add(
        self,
        peer: Peer,
        prefix: str,
        lease_s: int,
        now: float,
        *,
        sender: str | None = None,
        permanent: bool = False,
    ) -> Client:
        """Subscribe a peer to a prefix, or renew that; `sender` is where it sends from, if elsewhere.

        Raises ArgumentValueError for a bad prefix or lease,
        OverflowError when there are too many clients already."""
        if not prefix.startswith("/") or len(prefix) > 256:
            raise ArgumentValueError(
                f"a prefix starts with / and has at most 256 characters; got {prefix[:40]!r}"
            )
        if not 1 <= lease_s <= LONGEST_LEASE_S:
            raise ArgumentValueError(f"a lease is 1 to {LONGEST_LEASE_S} seconds; got {lease_s}")
        client = self._clients.get(peer.origin)
        if client is None:
            self.expire(now)
            if len(self._clients) >= MOST_CLIENTS and not permanent:
                raise OverflowError(
                    f"{MOST_CLIENTS} clients are subscribed already: unsubscribe one, or wait"
                )
            client = self._clients[peer.origin] = Client(peer, permanent=permanent)
        elif len(client.leases) >= MOST_CLIENTS and prefix not in client.leases:
            raise OverflowError(f"a client has at most {MOST_CLIENTS} prefixes")
        client.leases[prefix] = (float(lease_s), now + lease_s)
        client.origins.add(sender or peer.origin)
        for origin in client.origins:
            self._by_origin[origin] = client
        return client

    def remove(self, origin: str, prefix: str | None = None) -> None:
        """End one subscription of a peer, or all of them; one that is not there is no error."""
        client = self._by_origin.get(origin)
        if client is None or client.permanent:
            return
        if prefix is None:
            client.leases.clear()
        client.leases.pop(prefix or "", None)
        if not client.leases:
            self._drop(client)

    def expire(self, now: float) -> None:
        """Drop the subscribers whose leases have run out."""
        for client in self:
            if client.expire(now):
                self._drop(client)

    def offer(self, event: e.Event, origin: str) -> None:
        """Tell everybody who wants it an event."""
        for client in self:
            client.offer(event, self._session, origin)

    def close(self) -> None:
        """Forget everybody."""
        for client in self:
            self._drop(client)

    def _drop(self, client: Client) -> None:
        client.close()
        self._clients.pop(client.peer.origin, None)
        for origin in client.origins:
            self._by_origin.pop(origin, None)


def snapshot(session: Session, now: float, extra: Sequence[e.Event] = ()) -> list[Message]:
    """Every value of the desk, framed by `/update 1` and `/update 0`."""
    events: list[e.Event] = []
    for stem in (*session.stems, *(() if "residual" in session.stems else ("residual",))):
        strip = session.desk.strips[stem]
        events += [
            e.GainMoved(stem, session.gain_db(stem, now)),
            e.MuteChanged(stem, strip.muted),
            e.SoloChanged(stem, strip.soloed),
            e.PanChanged(stem, strip.pan),
            e.SensitivityChanged(stem, strip.sensitivity),
        ]
    events += [
        e.MasterGainMoved(session.gain_db(MASTER, now)),
        e.MasterMuteChanged(session.desk.master_muted),
        *extra,
    ]
    messages = [message for event in events for message in to_messages(event, session.law.position)]
    return [Message("/update", (1,)), *messages, Message("/update", (0,))]
