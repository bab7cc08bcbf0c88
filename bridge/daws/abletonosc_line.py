"""The line to AbletonOSC: it answers at UDP port 11001 and nowhere else, without saying what it answers.

So that port has to be ours, questions are asked one after the other, and an error that comes meanwhile is
taken for the answer. It works through what it got ten times a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Callable
from dataclasses import dataclass

from ..hub import Refusal
from ..messages import Message, Value
from ..osc.packets import PacketError, decode, encode
from .datagrams import Datagrams

log = logging.getLogger(__name__)

SEND_PORT = 11000
LISTEN_PORT = 11001
PULSE_S = 0.5
"""How often the names of all tracks are asked for: a sign of life, and AbletonOSC tells of no new track."""
OFFLINE_S = 4.0
PROBE_S = 2.0
ANSWER_S = 3.0
_BIND_AGAIN_S = 5.0


class AbletonOscError(Exception):
    """What AbletonOSC says in `/live/error`."""


@dataclass
class _Question:
    address: str
    ids: tuple[Value, ...]
    answer: asyncio.Future[tuple[Value, ...]]


class Line:
    """One socket to one AbletonOSC."""

    def __init__(
        self,
        send_port: int,
        listen_port: int,
        take: Callable[[str, tuple[Value, ...]], None],
        found: Callable[[], None],
    ) -> None:
        """`take(address, arguments)` hears what is told unasked; `found()` that AbletonOSC is there, anew."""
        self.listen_port = listen_port
        self.turn = asyncio.Lock()
        """Held by who asks; `ask` wants it held."""
        self._send_port = send_port
        self._take = take
        self._found = found
        self._there = False
        self._heard_at: float | None = None
        self._problem = ""
        self._question: _Question | None = None
        self._transport: asyncio.DatagramTransport | None = None

    async def run(self) -> None:
        """Look for AbletonOSC until cancelled; a port that is taken is said, and tried again."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    self._transport, _ = await loop.create_datagram_endpoint(
                        lambda: Datagrams("AbletonOSC", self._on_packet),
                        local_addr=("127.0.0.1", self.listen_port),
                    )
                except OSError as error:
                    self._problem = _taken(self.listen_port, error)
                    log.error("%s", self._problem)
                    await asyncio.sleep(_BIND_AGAIN_S)
                    continue
                self._problem = ""
                self.listen_port = int(self._transport.get_extra_info("sockname")[1])
                while not self._transport.is_closing():
                    if not self.online:
                        self._there = False
                        self.send("/live/test")  # it shows this in Live's status bar, so not all the time
                        await asyncio.sleep(PROBE_S)
                    else:
                        self.send("/live/song/get/track_names")
                        await asyncio.sleep(PULSE_S)
        finally:
            if self._transport is not None:
                self._transport.close()

    @property
    def online(self) -> bool:
        """Whether something came lately."""
        return self._there and 0.0 <= self.age_s < OFFLINE_S

    @property
    def age_s(self) -> float:
        """Seconds since something came; -1: never."""
        if self._heard_at is None:
            return -1.0
        return asyncio.get_running_loop().time() - self._heard_at

    def send(self, address: str, *arguments: int | float | str) -> None:
        """Send one message; nothing while the port is not ours."""
        if self._transport is not None and not self._transport.is_closing():
            with contextlib.suppress(OSError):
                self._transport.sendto(encode(Message(address, arguments)), ("127.0.0.1", self._send_port))

    async def ask(self, address: str, *ids: int | float | str) -> tuple[Value, ...]:
        """Ask for something, and return what comes after the ids. Hold `turn`.

        Raises AbletonOscError for what it says in `/live/error`, Refusal(`daw_offline`) for silence.
        """
        if not self.online:
            raise Refusal("daw_offline", self._problem or _OFFLINE)
        self._question = _Question(address, ids, asyncio.get_running_loop().create_future())
        try:
            self.send(address, *ids)
            return await asyncio.wait_for(self._question.answer, ANSWER_S)
        except TimeoutError as error:
            raise Refusal("daw_offline", f"AbletonOSC did not answer {address}") from error
        finally:
            self._question = None

    def _on_packet(self, packet: bytes, host: str) -> None:
        if host != "127.0.0.1":
            return
        try:
            messages = decode(packet)
        except PacketError as error:
            log.warning("not understood from AbletonOSC: %s", error)
            return
        self._there = self.online  # silent for long, it may have missed things, and so may we
        self._heard_at = asyncio.get_running_loop().time()
        for message in messages:
            self._on_message(message)

    def _on_message(self, message: Message) -> None:
        question, arguments = self._question, message.arguments
        if message.address == "/live/startup" or not self._there:
            self._there = True
            self._found()
        if message.address == "/live/error":
            if question is not None and not question.answer.done():
                question.answer.set_exception(AbletonOscError(str(arguments[0] if arguments else "")))
            else:
                log.debug("AbletonOSC says: %s", message)
            return
        if question is not None and not question.answer.done() and question.address == message.address:
            count = len(question.ids)
            if arguments[:count] == question.ids:
                question.answer.set_result(arguments[count:])
        try:
            self._take(message.address, arguments)
        except (ValueError, TypeError, IndexError) as error:
            log.warning("not understood from AbletonOSC: %s (%s)", message, error)


_OFFLINE = (
    "AbletonOSC does not answer: start Live, and choose AbletonOSC as a control surface in its Link, Tempo & "
    "MIDI settings"
)


def _taken(port: int, error: OSError) -> str:
    if error.errno != errno.EADDRINUSE:
        return f"cannot listen at UDP port {port}: {error.strerror or error}"
    return (
        f"UDP port {port} is taken, and AbletonOSC answers nowhere else, to one program only: end the one "
        f"that has it (another bridge, TouchOSC, a script; `lsof -nP -iUDP:{port}` names it)"
    )
