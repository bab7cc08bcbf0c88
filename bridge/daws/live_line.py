"""The line to our Remote Script in Live: who is there, and questions with answers, over lossy datagrams."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
from collections.abc import Callable, Sequence

from ..hub import Refusal
from ..messages import Message, Value
from ..osc.packets import PacketError, decode, encode

log = logging.getLogger(__name__)

PROTOCOL = 1
ROOT = "/stembridge/"
PULSE_S = 1.0
OFFLINE_S = 3.5
"""Silent this long, Live is taken to be gone; its script answers every tick, ten times a second."""
ASK_AGAIN_S = 0.5

Answer = tuple[str, tuple[Value, ...]]


class Line:
    """One socket to one script."""

    def __init__(
        self, port: int, take: Callable[[str, tuple[Value, ...]], None], begin: Callable[[], int]
    ) -> None:
        """`take(word, arguments)` hears what is no answer; `begin()` is called when a script is looked for
        and returns the number of the last `set` that was sent.
        """
        self.port = port
        self.version = ""
        """Live's, while one is there."""
        self._take = take
        self._begin = begin
        self._instance: int | None = None
        """The script that welcomed us; None while there is none."""
        self._heard_at: float | None = None
        self._questions: dict[int, asyncio.Queue[Answer]] = {}
        self._number = random.SystemRandom().randrange(1 << 30)
        """Questions of a restarted bridge have other numbers than those of the one before."""
        self._pulse = 0
        self._complaint = ""
        """What was said last of why there is no link; it is said once."""
        self._transport: asyncio.DatagramTransport | None = None

    async def run(self) -> None:
        """Look for the script until cancelled, and again whenever it is lost."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self._on_packet, self._lost),
            remote_addr=("127.0.0.1", self.port),
            family=socket.AF_INET,
        )
        self._transport = transport
        try:
            while not transport.is_closing():
                if self._instance is not None and not self.online:
                    self._lost()
                if self._instance is None:
                    self._hello()
                else:
                    self._pulse = (self._pulse + 1) % (1 << 30)
                    self.send("ping", self._pulse)
                await asyncio.sleep(PULSE_S)
        finally:
            self.send("bye")
            self._lost()
            transport.close()

    @property
    def online(self) -> bool:
        """Whether a script has welcomed us and is not silent."""
        return self._instance is not None and 0.0 <= self.age_s < OFFLINE_S

    @property
    def age_s(self) -> float:
        """Seconds since something came; -1: never."""
        if self._heard_at is None:
            return -1.0
        return asyncio.get_running_loop().time() - self._heard_at

    def send(self, word: str, *arguments: int | float | str) -> None:
        """Send one message; nothing where nobody is."""
        if self._transport is not None and not self._transport.is_closing():
            with contextlib.suppress(OSError):
                self._transport.sendto(encode(Message(ROOT + word, arguments)))

    async def ask(
        self,
        words: Sequence[tuple[str, Sequence[int | float | str]]],
        ends: Sequence[str],
        seconds: float,
        accepted_s: float | None = None,
    ) -> Answer:
        """Send messages, each with the question's number in front, until one of the answers `ends` comes.

        With `accepted_s`, `accepted` has to come within that time. Raises Refusal: `daw_offline`, or what
        the script gives as its reason.
        """
        if not self.online:
            raise Refusal("daw_offline", self._complaint or _OFFLINE)
        self._number = (self._number + 1) % (1 << 30)
        number, loop = self._number, asyncio.get_running_loop()
        queue = self._questions[number] = asyncio.Queue()
        until = loop.time() + (seconds if accepted_s is None else accepted_s)
        try:
            while True:
                for word, arguments in words:
                    self.send(word, number, *arguments)
                again = loop.time() + ASK_AGAIN_S
                while (left := min(again, until) - loop.time()) > 0:
                    try:
                        answer, values = await asyncio.wait_for(queue.get(), left)
                    except TimeoutError:
                        break
                    if answer == "accepted" and accepted_s is not None:
                        # From here on the first message alone asks how it stands.
                        words, accepted_s, until = words[:1], None, loop.time() + seconds
                    elif answer == "failed":
                        raise Refusal(str(values[0]), str(values[1]))
                    elif answer in ends:
                        return answer, values
                if loop.time() >= until:
                    raise Refusal("daw_offline", "Live did not answer: see whether a window of it is open")
        finally:
            del self._questions[number]

    def _hello(self) -> None:
        self.send("hello", PROTOCOL, self._begin())

    def _lost(self) -> None:
        self._instance, self.version = None, ""
        for queue in self._questions.values():
            queue.put_nowait(("failed", ("daw_offline", "Live ended, or opened another set, meanwhile")))

    def _on_packet(self, packet: bytes) -> None:
        try:
            messages = decode(packet)
        except PacketError as error:
            log.warning("not understood from Live: %s", error)
            return
        if self._instance is not None and not self.online:
            self._lost()  # it was away: what was to be told meanwhile is told when all is known again
            self._hello()
        for message in messages:
            if not message.address.startswith(ROOT):
                continue
            try:
                self._on_message(message.address[len(ROOT) :], message.arguments)
            except (ValueError, TypeError, IndexError) as error:
                log.warning("not understood from Live: %s (%s)", message, error)

    def _on_message(self, word: str, arguments: tuple[Value, ...]) -> None:
        match word, arguments:
            case "welcome", (int(), int(instance), str(version), *_):
                self._heard()
                if instance != self._instance:
                    log.info("Live %s is there", version)
                self._instance, self.version, self._complaint = instance, version, ""
            case "busy", _:
                self._complain(f"another bridge has Live's script at UDP port {self.port}: end that one")
            case (("unknown" | "bye"), _):
                self._lost()
                if word == "unknown":
                    self._hello()
            case "failed", (0, str(), str(text)):
                self._complain(f"Live's script refuses: {text}")
            case "pong", (int(), int(instance)):
                if self._instance not in (None, instance):
                    self._lost()
                    self._hello()
                elif self._instance is not None:
                    self._heard()
            case (("accepted" | "imported" | "failed" | "clip"), (int(number), *rest)):
                self._heard()
                if (queue := self._questions.get(number)) is not None:
                    queue.put_nowait((word, tuple(rest)))
            case _:
                self._heard()
                self._take(word, arguments)

    def _complain(self, text: str) -> None:
        if text != self._complaint:
            log.error("%s", text)
        self._complaint = text

    def _heard(self) -> None:
        self._heard_at = asyncio.get_running_loop().time()


_OFFLINE = (
    "Live is not there: start it, and choose Stembridge as a control surface in its Link, Tempo & MIDI "
    "settings (`stembridge daws install live` puts it there)"
)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self._take = take
        self._lost = lost

    def datagram_received(self, data: bytes, _address: tuple[str, int]) -> None:
        self._take(data)

    def error_received(self, error: Exception) -> None:
        log.debug("Live's port: %s", error)
        if isinstance(error, ConnectionRefusedError):
            self._lost()  # nobody has that port any more, which says so sooner than silence
