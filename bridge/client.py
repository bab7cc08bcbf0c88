"""A client of a running bridge, over its public OSC: for scripts, `stembridge send` and the terminal desk.

>>> from stembridge.bridge.client import Client
>>> with Client() as bridge:                                     # doctest: +SKIP
...     bridge.set("/stem/vocals/gain", -6.0)
...     job = bridge.render("song.flac", preset="karaoke")
...     print(job.stems)
"""

from __future__ import annotations

import itertools
import os
import socket
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from stembridge.model.errors import CancelledError, StembridgeError

from .messages import Message, Value
from .osc.packets import LARGEST_BYTES, PacketError, decode, encode

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 9331
_ANSWER_S = 5.0
_ASK_AGAIN_S = 2.0


class BridgeOfflineError(StembridgeError, ConnectionError):
    """No bridge answers."""


class BridgeError(StembridgeError):
    """The bridge refused a request; `code` is one of the codes of `/error` or of a failed job."""

    def __init__(self, code: str, address: str, text: str) -> None:
        super().__init__(f"{text} ({code})")
        self.code = code
        self.address = address


@dataclass(frozen=True)
class Rendered:
    """A finished job."""

    job: int
    tag: str
    stems: dict[str, Path] = field(default_factory=dict)
    """Stem (or mix) -> file."""
    seconds: float = 0.0


@dataclass(frozen=True)
class JobProgress:
    """How far a job has got; `eta_s` is -1 while it cannot be told."""

    job: int
    stage: str
    fraction: float
    eta_s: float


class Client:
    """A conversation with one bridge. Not for several threads at once."""

    def __init__(self, host: str = DEFAULT_HOST, port: int = DEFAULT_PORT) -> None:
        """Say where the bridge listens; nothing is sent yet. Raises BridgeOfflineError for an unknown one."""
        self.place = f"{host}:{port}"
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        except OSError as error:
            raise BridgeOfflineError(f"no host {host!r}: {error.strerror or error}") from error
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.connect(address)
        self._numbers = itertools.count(int.from_bytes(os.urandom(3), "big"))
        self._early: deque[Message] = deque()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the conversation. Twice is fine."""
        self._socket.close()

    def fileno(self) -> int:
        """For `select`."""
        return self._socket.fileno()

    def send(self, address: str, *arguments: Value) -> None:
        """Send one message: ints, floats and strings. Raises BridgeOfflineError where no bridge listens."""
        try:
            self._socket.send(encode(Message(address, arguments)))
        except OSError as error:
            raise self._offline(error) from error

    def receive(self, timeout_s: float = 0.0) -> Message | None:
        """The next message, or None when none comes in time."""
        until = time.monotonic() + timeout_s
        while not self._early:
            self._socket.settimeout(max(until - time.monotonic(), 0.0) or 1e-6)
            try:
                self._early.extend(decode(self._socket.recv(LARGEST_BYTES)))
            except (TimeoutError, BlockingIOError):
                return None
            except PacketError:
                continue
            except OSError as error:
                raise self._offline(error) from error
        return self._early.popleft()

    def messages(self, timeout_s: float) -> Iterator[Message]:
        """What comes in until so many seconds have passed."""
        until = time.monotonic() + timeout_s
        while (left := until - time.monotonic()) > 0:
            if (message := self.receive(left)) is not None:
                yield message

    def set(self, address: str, *arguments: Value) -> list[Message]:
        """Send, and wait until it has been applied; return what was answered.

        Raises BridgeError for what the bridge refuses, BridgeOfflineError where none answers.
        """
        answers = []
        for message in self.exchange(address, *arguments):
            if message.address == "/error":
                code, where, text, *_ = (str(argument) for argument in (*message.arguments, "", "", ""))
                raise BridgeError(code, where, text)
            answers.append(message)
        return answers

    def ask(self, address: str, *arguments: Value) -> Value:
        """Ask for one value (`/stem/vocals/gain`); the first argument of the answer. Raises as `set`."""
        leaf = address.rpartition("/")[2]
        for message in self.set(address, *arguments):
            # Stems that were asked for by number or pattern are answered by name.
            if message.address.endswith(f"/{leaf}") and message.arguments:
                return message.arguments[0]
        raise BridgeError("unknown_address", address, f"{address} has no value to ask for")

    def exchange(self, address: str, *arguments: Value) -> Iterator[Message]:
        """Send, and yield what comes until the bridge has dealt with it, errors too."""
        number = next(self._numbers) & 0x7FFFFFFF
        self.send(address, *arguments)
        self.send("/sync", number)
        for message in self.messages(_ANSWER_S):
            if message == Message("/synced", (number,)):
                return
            yield message
        raise BridgeOfflineError(
            f"no answer from {self.place} within {_ANSWER_S:g} seconds: is a bridge running?"
        )

    def render(
        self,
        song: Path | str,
        *,
        tag: str | None = None,
        preset: str | None = None,
        on_progress: Callable[[JobProgress], None] | None = None,
        timeout_s: float | None = None,
        **options: object,
    ) -> Rendered:
        """Render a song and wait for the result; `options` are flags of `render` (`format="flac"`).

        A tag makes asking twice the same as asking once. Raises BridgeError for a job that fails,
        CancelledError for one that somebody stops, TimeoutError, BridgeOfflineError. An interrupt cancels it.
        """
        tag = tag or f"client-{uuid.uuid4().hex[:12]}"
        pairs = [str(text) for pair in options.items() for text in pair]
        request = ("/render", tag, str(Path(song).absolute()), preset or "", *pairs)
        self.set("/subscribe", "/job/", 60)
        job = self._accepted(request)
        try:
            return self._finished(job, tag, request, on_progress, timeout_s)
        except KeyboardInterrupt:
            self.send("/job/cancel", job)
            raise

    def _accepted(self, request: tuple[Value, ...]) -> int:
        address, *arguments = request
        for message in self.set(str(address), *arguments):
            if message.address == "/job/accepted" and message.arguments[0] == request[1]:
                return int(str(message.arguments[1]))
        raise BridgeError("internal", "/render", "the job was neither accepted nor refused")

    def _finished(
        self,
        job: int,
        tag: str,
        request: tuple[Value, ...],
        on_progress: Callable[[JobProgress], None] | None,
        timeout_s: float | None,
    ) -> Rendered:
        stems: dict[str, Path] = {}
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while until is None or time.monotonic() < until:
            if (message := self.receive(_ASK_AGAIN_S)) is None:
                # Datagrams may be lost: a job's end can be asked for, and this renews the subscription.
                self.send("/job/status", job)
                continue
            match message.address, message.arguments:
                case "/job/progress", (at, _, stage, fraction, eta_s) if (
                    at == job and on_progress is not None
                ):
                    on_progress(JobProgress(job, str(stage), float(fraction or 0), float(eta_s or 0)))
                case "/job/stem", (at, _, _, stem, path, *_) if at == job:
                    stems[str(stem)] = Path(str(path))
                case "/job/done", (at, _, count, seconds) if at == job:
                    if len(stems) == count:
                        return Rendered(job, tag, stems, float(seconds or 0))
                    self._again(request)
                case "/job/failed", (at, _, code, text) if at == job:
                    raise BridgeError(str(code), "/render", str(text))
                case "/job/cancelled", (at, *_) if at == job:
                    raise CancelledError(f"job {job} was cancelled")
                case "/job/state", (at, state, _, _, code, text) if at == job:
                    if state == "failed":
                        raise BridgeError(str(code), "/render", str(text))
                    if state == "cancelled":
                        raise CancelledError(f"job {job} was cancelled")
                    if state == "done":
                        self._again(request)
        raise TimeoutError(f"job {job} was not finished within {timeout_s:g} seconds; it goes on")

    def _again(self, request: tuple[Value, ...]) -> None:
        """Ask for the same job again: its files are named once more."""
        address, *arguments = request
        self.send(str(address), *arguments)

    def _offline(self, error: OSError) -> BridgeOfflineError:
        reason = f": {error.strerror}" if error.strerror else ""
        return BridgeOfflineError(
            f"no bridge answers at {self.place}{reason}; start one with `stembridge serve`"
        )
