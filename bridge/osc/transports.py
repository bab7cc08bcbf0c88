"""The sockets: OSC in UDP datagrams, and in TCP streams with each packet after its size (int32, OSC 1.0)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from stembridge.model.errors import StembridgeError

from .packets import LARGEST_BYTES
from .peer import Peer
from .service import OscService

log = logging.getLogger(__name__)

DEFAULT_PORT = 9331
_RECEIVE_BYTES = 4 << 20
_MOST_UNSENT = 1 << 20
"""A TCP peer that does not read gets so much before it is dropped."""
_MOST_CONNECTIONS = 64


class PortInUseError(StembridgeError, OSError):
    """A port that somebody else has."""


@dataclass(frozen=True)
class Ports:
    """Where a bridge listens."""

    udp: int
    tcp: int


class Transports:
    """All sockets of one OSC service."""

    def __init__(self, service: OscService) -> None:
        self._service = service
        self._udp: list[_Udp] = []
        self._tcp: list[asyncio.Server] = []
        self._streams: set[asyncio.StreamWriter] = set()
        service.conversation.make_peer = self._at_port

    async def open(self, hosts: Sequence[str], port: int) -> Ports:
        """Listen at a UDP port and, one above it, at a TCP port, on every host; port 0 takes free ones.

        Raises PortInUseError, with a word on how to find who has it.
        """
        loop = asyncio.get_running_loop()
        udp, tcp = port, port + 1 if port else 0
        for host in hosts:
            sock = _bound(socket.SOCK_DGRAM, host, udp)
            udp = sock.getsockname()[1]
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
            _, protocol = await loop.create_datagram_endpoint(lambda: _Udp(self._service), sock=sock)
            self._udp.append(protocol)
            stream = _bound(socket.SOCK_STREAM, host, tcp)
            tcp = stream.getsockname()[1]
            self._tcp.append(await asyncio.start_server(self._connected, sock=stream, limit=LARGEST_BYTES))
        return Ports(udp, tcp)

    def peer(self, host: str, port: int) -> Peer:
        """The peer at an address that has not said anything yet.

        Raises ValueError for a host that is no IP address.
        """
        address = ipaddress.ip_address(host)
        fitting = [udp for udp in self._udp if udp.version == address.version] or self._udp
        return fitting[0].peer((host, port))

    async def close(self) -> None:
        """Close every socket. Twice is fine."""
        for udp in self._udp:
            udp.close()
        for server in self._tcp:
            server.close()
        for stream in tuple(self._streams):
            stream.transport.abort()
        self._udp.clear()
        self._tcp.clear()
        await asyncio.sleep(0)

    def _at_port(self, peer: Peer, port: int) -> Peer | None:
        return (
            None
            if peer.stream
            else replace(self.peer(peer.host, port), write=self._through(peer, port), seen=peer.seen)
        )

    def _through(self, peer: Peer, port: int) -> _Write:
        """Send from the socket that the peer itself sent to: another one might not reach it."""
        udp = next((udp for udp in self._udp if udp.knows(peer.origin)), self._udp[0])
        return _Write(udp, (peer.host, port))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = writer.get_extra_info("peername")[:2]
        if len(self._streams) >= _MOST_CONNECTIONS:
            log.warning("%s:%s is turned away: %s connections are open", host, port, _MOST_CONNECTIONS)
            writer.transport.abort()
            return
        writer.transport.set_write_buffer_limits(high=_MOST_UNSENT)
        self._streams.add(writer)
        peer = Peer(f"osc:tcp:{host}:{port}", _Stream(writer), host, port, stream=True)
        self._service.connected(peer)
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(4), "big", signed=True)
                if not 4 <= size <= LARGEST_BYTES:
                    log.warning("%s announces a packet of %s bytes: closed", peer.origin, size)
                    break
                self._service.receive(peer, await reader.readexactly(size))
                while self._service.crowded:  # a stream can wait, where datagrams have to be dropped
                    await asyncio.sleep(0.01)
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass
        finally:
            self._streams.discard(writer)
            self._service.gone(peer)
            writer.close()
            with contextlib.suppress(ConnectionError, TimeoutError):
                await writer.wait_closed()


class _Udp(asyncio.DatagramProtocol):
    """One UDP socket."""

    def __init__(self, service: OscService) -> None:
        self._service = service
        self._transport: asyncio.DatagramTransport | None = None
        self._known: set[str] = set()
        self.version = 4

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.version = ipaddress.ip_address(transport.get_extra_info("sockname")[0]).version

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self._service.receive(self.peer(address[:2]), data)

    def error_received(self, _error: Exception) -> None:
        """A peer that has closed its port: its lease will end."""

    def peer(self, address: tuple[str, int]) -> Peer:
        host, port = address
        origin = f"osc:udp:{host}:{port}"
        return self._service.peer(origin, lambda: self._made(origin, host, port))

    def knows(self, origin: str) -> bool:
        return origin in self._known

    def send(self, packet: bytes, address: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            with contextlib.suppress(OSError):
                self._transport.sendto(packet, address)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _made(self, origin: str, host: str, port: int) -> Peer:
        if len(self._known) > 4096:
            self._known.clear()
        self._known.add(origin)
        return Peer(origin, _Write(self, (host, port)), host, port)


class _Write:
    """Sends datagrams to one address."""

    def __init__(self, udp: _Udp, address: tuple[str, int]) -> None:
        self._udp = udp
        self._address = address

    def __call__(self, packet: bytes) -> None:
        self._udp.send(packet, self._address)


class _Stream:
    """Sends packets down one connection; a reader that has stopped reading loses it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def __call__(self, packet: bytes) -> None:
        transport = self._writer.transport
        if transport.is_closing():
            return
        if transport.get_write_buffer_size() > _MOST_UNSENT:
            transport.abort()
            return
        self._writer.write(len(packet).to_bytes(4, "big") + packet)


def _bound(kind: socket.SocketKind, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    sock = socket.socket(family, kind)
    sock.setblocking(False)
    if kind == socket.SOCK_STREAM and hasattr(socket, "SO_REUSEPORT"):
        # A restarted bridge gets its port back while old connections linger; two bridges still clash.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        if kind == socket.SOCK_STREAM:
            sock.listen()
    except OSError as error:
        sock.close()
        name = "UDP" if kind == socket.SOCK_DGRAM else "TCP"
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(
                f"{name} port {port} on {host} is in use: a bridge is running already, or another program "
                f"has it (`lsof -nP -i{name}:{port}` names it); stop that one, or choose another with --port"
            ) from error
        raise PortInUseError(f"cannot listen at {name} {host}:{port}: {error.strerror or error}") from error
    return sock


def private_address() -> str:
    """This machine's address in its local network. Raises StembridgeError where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: connecting a datagram socket only chooses the interface.
            probe.connect(("192.0.2.1", 9))
            host = str(probe.getsockname()[0])
        except OSError as error:
            raise StembridgeError(f"no network to listen in: {error.strerror or error}") from error
    address = ipaddress.ip_address(host)
    if not address.is_private or address.is_loopback:
        raise StembridgeError(
            f"{host} is no private address, and anybody could reach it: name the address with --listen"
        )
    return host
