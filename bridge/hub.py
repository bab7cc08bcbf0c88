"""Where everything meets: commands from any edge go to whoever carries them out, events to whoever listens.

Runs on one asyncio loop and is touched from there only; `post` is the way in for other threads.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from stembridge.model.errors import ArgumentValueError

from . import commands as c
from . import events as e
from .desk import NotFoundError
from .session import Session

log = logging.getLogger(__name__)

TICK_S = 1 / 30
"""How often a fade is told about while it runs."""

Reply = Callable[[e.Event], None]
Listener = Callable[[e.Event, str], None]
"""Takes an event and the origin of the command that caused it (empty: nobody's)."""


@dataclass(frozen=True)
class Request:
    """A command, who sent it, and the way back to them."""

    command: c.Command
    origin: str
    """`osc:udp:127.0.0.1:5005`, `midi`, `daw:ardour`: nobody is told of their own moves as news."""
    reply: Reply
    """Answers go to the sender only; called on the loop, also later."""


Handler = Callable[[Request], "Coroutine[Any, Any, None] | None"]
"""Carries out a command. What takes long is returned as a coroutine; `/sync` waits for those."""


class Refusal(Exception):
    """A command that cannot be carried out, said with one of the codes of `/error`."""

    def __init__(self, code: str, text: str, tag: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.tag = tag


def _nowhere(_event: e.Event) -> None:
    """The reply of those who do not listen."""


class Hub:
    """The middle of a bridge."""

    def __init__(self, session: Session, clock: Callable[[], float] = time.monotonic) -> None:
        self.session = session
        self.clock = clock
        self._listeners: list[Listener] = []
        self._handlers: dict[type[c.Command], Handler] = dict.fromkeys(session.commands, self._on_desk)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticking: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Note the loop that everything runs on; call from within it."""
        self._loop = asyncio.get_running_loop()

    def handle(self, commands: Iterable[type[c.Command]], handler: Handler) -> None:
        """Say who carries out commands of these kinds."""
        for command in commands:
            self._handlers[command] = handler

    def listen(self, listener: Listener) -> None:
        """Tell a listener everything that happens, in order."""
        self._listeners.append(listener)

    def forget(self, listener: Listener) -> None:
        """Tell it no more; one that does not listen is no error."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def post(self, command: c.Command, origin: str, reply: Reply = _nowhere) -> None:
        """Carry a command out soon; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.send, command, origin, reply)

    def send(self, command: c.Command, origin: str, reply: Reply = _nowhere, address: str = "") -> None:
        """Carry a command out now. Every failure is an answer to the sender; none is raised."""
        try:
            handler = self._handlers.get(type(command))
            if handler is None:
                raise Refusal("unknown_address", f"nothing here carries out {type(command).__name__}")
            work = handler(Request(command, origin, reply))
        except Exception as error:  # whatever a peer sends, the bridge goes on
            reply(problem(error, command, address))
            return
        if work is not None:
            task = asyncio.get_running_loop().create_task(self._finish(work, command, reply, address))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def begun(self) -> Coroutine[Any, Any, None]:
        """What waits for everything that was begun before this call, and for nothing begun later."""
        return _all_of(tuple(self._tasks))

    def publish(self, event: e.Event, origin: str = "") -> None:
        """Tell every listener; one that fails is named in the log and keeps nobody else from hearing."""
        for listener in tuple(self._listeners):
            try:
                listener(event, origin)
            except Exception:
                log.exception("a listener failed on %r", event)

    async def close(self) -> None:
        """End what was begun. Twice is fine."""
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def _finish(
        self, work: Coroutine[Any, Any, None], command: c.Command, reply: Reply, address: str
    ) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception as error:
            reply(problem(error, command, address))

    def _on_desk(self, request: Request) -> None:
        for event in self.session.apply(request.command, self.clock()):
            if isinstance(event, _ANSWERS):
                request.reply(event)
            else:
                self.publish(event, request.origin)
                if isinstance(event, _NOTED):
                    request.reply(event)
        self._tick_soon()

    def _tick_soon(self) -> None:
        if self.session.fading and self._ticking is None:
            self._ticking = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        self._ticking = None
        for event in self.session.tick(self.clock()):
            self.publish(event)
        self._tick_soon()


async def _all_of(tasks: tuple[asyncio.Task[None], ...]) -> None:
    if tasks:
        await asyncio.wait(tasks)


_ANSWERS = (e.StripValue, e.MasterValue, e.StemItem, e.StemListEnd, e.SceneItem, e.SceneListEnd)
_NOTED = (e.SceneStored, e.SceneRecalled, e.SceneForgotten)

REPLIED = (
    *_NOTED, e.JobAccepted, e.AutomationSaved, e.AutomationRecording, e.Following, e.ImportDone,
    e.ImportFailed, e.TrackBound, e.MidiForgotten, e.MidiLearned, e.ChainChanged,
)  # fmt: skip
"""News to everybody that whoever asked for it has had as an answer."""


def problem(error: Exception, command: c.Command, address: str) -> e.Problem:
    """What a sender is told of an error."""
    tag = getattr(command, "tag", "")
    match error:
        case Refusal():
            return e.Problem(error.code, address, error.text, error.tag or tag)
        case NotFoundError():
            return e.Problem("not_found", address, str(error), tag)
        case ArgumentValueError():
            return e.Problem("bad_range", address, str(error), tag)
    log.error("%s failed", command, exc_info=error)
    return e.Problem("internal", address, f"{type(error).__name__}: {error}"[:300], tag)
