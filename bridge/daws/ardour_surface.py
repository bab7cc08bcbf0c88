"""Our end of Ardour's OSC surface: a port of ours, hello whenever there is an Ardour, its heart watched."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable

from ..messages import Message
from ..osc.packets import PacketError, decode, encode
from . import ardour_dialect as dialect
from .datagrams import Datagrams

log = logging.getLogger(__name__)

OFFLINE_S = 3.5
"""Its heart beats once a second; so long without one it is gone."""
ASK_S = 1.0
"""How often an Ardour that is not there is asked for."""
_LOOK_S = 0.25
_WARN_S = 8.0
_BIND_AGAIN_S = 5.0
_RECEIVE_BYTES = 4 << 20
"""Every strip is told of in 31 datagrams, all of them at once, and twice."""
_OWN_ADDRESS = "127.0.93.31"
"""Ardour keeps one way back for each address it hears from. This one is ours alone, so that neither a control
surface on the same computer takes our feedback away, nor we take its."""


class Surface:
    """One surface at one Ardour, from the event loop."""

    def __init__(
        self,
        host: str,
        port: int,
        listen_port: int,
        *,
        on_said: Callable[[dialect.Said], None],
        on_change: Callable[[bool], None],
    ) -> None:
        """`on_said` takes what Ardour says, `on_change` whether there is one now.

        `listen_port`: where its answers come in; 0 for any.
        """
        self._host, self._port, self._listen_port = host, port, listen_port
        self._on_said = on_said
        self._on_change = on_change
        self._heard_at: float | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self.online = False

    @property
    def place(self) -> str:
        """Where Ardour is looked for."""
        return f"UDP {self._host}:{self._port}"

    @property
    def age_s(self) -> float:
        """Seconds since Ardour said anything; -1 if it never did."""
        return -1.0 if self._heard_at is None else asyncio.get_running_loop().time() - self._heard_at

    async def run(self) -> None:
        """Be a surface until cancelled, whenever there is an Ardour."""
        loop = asyncio.get_running_loop()
        try:
            await self._open(loop)
            asked_at, alone_since, warned = float("-inf"), loop.time(), False
            while True:
                now = loop.time()
                if self.online and self.age_s > OFFLINE_S:
                    self._set_online(False)
                    alone_since, warned = now, False
                if not self.online and now - asked_at >= ASK_S:
                    asked_at = now
                    self.send(dialect.hello())
                if not self.online and not warned and now - alone_since > _WARN_S:
                    warned = True
                    log.warning("%s", await self._why_alone())
                await asyncio.sleep(_LOOK_S)
        finally:
            if self._transport is not None:
                self.send(dialect.goodbye())
                self._transport.close()
            self.online = False

    def send(self, message: Message) -> None:
        """Say something to Ardour, if there is a way."""
        if self._transport is not None and not self._transport.is_closing():
            with contextlib.suppress(OSError):
                self._transport.sendto(encode(message), (self._host, self._port))

    async def _open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open our port; one in use is said, and waited for."""
        while True:
            try:
                found = await loop.getaddrinfo(self._host, self._port, family=socket.AF_INET)
                self._host = str(found[0][4][0])
                sock = _bound(self._host, self._listen_port)
            except OSError as error:
                log.error(
                    "the link to Ardour at %s cannot listen at UDP port %d (%s): end who has it, or leave "
                    "listen_port away and any free one is taken",
                    self._host,
                    self._listen_port,
                    error.strerror or error,
                )
                await asyncio.sleep(_BIND_AGAIN_S)
                continue
            self._transport, _ = await loop.create_datagram_endpoint(
                lambda: Datagrams("Ardour", self._on_packet), sock=sock
            )
            return

    def _on_packet(self, packet: bytes, host: str) -> None:
        if host != self._host:
            return  # nobody but Ardour moves faders here
        self._heard_at = asyncio.get_running_loop().time()
        if not self.online:
            self._set_online(True)
        if not dialect.worth_reading(packet):
            return
        try:
            messages = decode(packet)
        except PacketError as error:
            log.warning("not understood from Ardour: %s", error)
            return
        for message in messages:
            if (said := dialect.read(message)) is not None:
                self._on_said(said)

    def _set_online(self, online: bool) -> None:
        self.online = online
        log.info("Ardour at %s %s", self.place, "is there" if online else "is gone; it is asked for on")
        self._on_change(online)

    async def _why_alone(self) -> str:
        """What to tell somebody who waits for Ardour: a closed port says so to who is connected to it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect((self._host, self._port))
                probe.send(b"")
                await asyncio.sleep(0.1)
                probe.recv(1)
            except ConnectionRefusedError:
                return (
                    f"nothing listens at {self.place}: start Ardour and switch on Open Sound Control (OSC) "
                    "in Edit > Preferences > Control Surfaces"
                )
            except OSError:
                pass
        return (
            f"no Ardour answers at {self.place}: where another program has that port, Ardour takes the next "
            "free one; Edit > Preferences > Control Surfaces > Open Sound Control (OSC) says which, and "
            "port= tells it to the link"
        )


def _bound(host: str, port: int) -> socket.socket:
    """A socket of ours, on this computer under an address of its own where the system has such."""
    places = (_OWN_ADDRESS, "127.0.0.1") if host.startswith("127.") else ("0.0.0.0",)
    for place in places:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
            sock.bind((place, port))
        except OSError:
            sock.close()
            if place == places[-1]:
                raise
        else:
            return sock
    raise OSError(f"no address to listen at for {host}")
