"""All links to DAWs of one bridge: kept running, asked, bound, and given stems."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from .. import commands as c
from .. import events as e
from ..desk import STRIPS, NotFoundError
from ..hub import Hub, Refusal, Request
from .link import DawLink, StemImport

log = logging.getLogger(__name__)

_AGAIN_S = 2.0
COMMANDS = (c.ListDaws, c.AskDaw, c.BindTrack, c.ImportStems, c.RenderSelected)


class DawService:
    """The links of one hub."""

    def __init__(
        self,
        hub: Hub,
        links: Sequence[DawLink],
        stems_of: Callable[[int], Coroutine[Any, Any, StemImport]],
    ) -> None:
        """`stems_of` gives the files of a finished job, or raises Refusal."""
        self._hub = hub
        self._links = {link.name: link for link in links}
        self._stems_of = stems_of
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Let every link run; call from the loop."""
        self._hub.handle(COMMANDS, self._carry_out)
        self._tasks = [asyncio.create_task(_kept_running(link)) for link in self._links.values()]

    async def close(self) -> None:
        """End every link. Twice is fine."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []

    def _carry_out(self, request: Request) -> Coroutine[Any, Any, None] | None:
        match request.command:
            case c.ListDaws():
                for link in self._links.values():
                    request.reply(link.state())
                request.reply(e.DawListEnd(len(self._links)))
            case c.AskDaw(daw):
                request.reply(self._link(daw).state())
            case c.BindTrack(daw, stem, track):
                if stem not in STRIPS:
                    raise NotFoundError(f"no stem {stem[:40]!r}; there are {', '.join(STRIPS)}")
                self._link(daw).bind(stem, track)
                bound = e.TrackBound(daw, stem, track)
                request.reply(bound)
                self._hub.publish(bound, request.origin)
            case c.ImportStems() as command:
                return self._import(command, request)
            case c.RenderSelected() as command:
                return self._render_selected(command, request)
        return None

    async def _import(self, command: c.ImportStems, request: Request) -> None:
        try:
            link = self._one(command.daw, lambda link: link.mode == "import")
            stems = await self._stems_of(command.job)
            count = await link.import_stems(stems)
        except (Refusal, NotFoundError) as error:
            code = error.code if isinstance(error, Refusal) else "not_found"
            failed = e.ImportFailed(command.job, code, str(error))
            request.reply(failed)
            self._hub.publish(failed, request.origin)
            return
        done = e.ImportDone(command.job, count, link.name)
        request.reply(done)
        self._hub.publish(done, request.origin)

    async def _render_selected(self, command: c.RenderSelected, request: Request) -> None:
        clip = await self._one(command.daw, lambda _link: True).selected_clip()
        options: list[tuple[str, str]] = []
        if clip.start_s is not None:
            options.append(("start", f"{clip.start_s:.6f}"))
        if clip.end_s is not None:
            options.append(("end", f"{clip.end_s:.6f}"))
        render = c.Render(command.tag, clip.path, None, tuple(options))
        self._hub.send(render, request.origin, request.reply, "/render/selected")

    def _link(self, daw: str) -> DawLink:
        if daw not in self._links:
            there = ", ".join(self._links) or "none; start the bridge with --daw"
            raise NotFoundError(f"no link to {daw[:40]!r}; there are: {there}")
        return self._links[daw]

    def _one(self, daw: str | None, fits: Callable[[DawLink], bool]) -> DawLink:
        """The link that is meant: the named one, or the only one that fits and is online."""
        if daw is not None:
            return self._link(daw)
        fitting = [link for link in self._links.values() if fits(link)]
        online = [link for link in fitting if link.state().state == "online"] or fitting
        if len(online) == 1:
            return online[0]
        if not online:
            raise Refusal(
                "daw_offline", "no DAW is linked for this: start the bridge with `--daw NAME:mode=import`"
            )
        names = ", ".join(link.name for link in online)
        raise Refusal("bad_args", f"several DAWs are linked ({names}): name one")


async def _kept_running(link: DawLink) -> None:
    """Run a link; one that fails is started again, and named in the log."""
    while True:
        try:
            await link.run()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.warning("the link to %s failed and starts again: %s", link.name, error, exc_info=True)
        await asyncio.sleep(_AGAIN_S)
