"""The desk and its scenes on disk, so that a bridge that starts again stands where the last one stood."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from pathlib import Path

from stembridge.model.errors import ArgumentValueError

from . import events as e
from .desk import Desk
from .hub import Hub
from .session import Session

log = logging.getLogger(__name__)

SCHEMA = 1
_SETTLE_S = 0.5
"""A fader that moves is written once it has come to rest so long, or has moved for ten times that."""

_KEPT = (
    e.GainChanged, e.MuteChanged, e.SoloChanged, e.PanChanged, e.SensitivityChanged, e.MasterGainChanged,
    e.MasterMuteChanged, e.SceneStored, e.SceneForgotten,
)  # fmt: skip


def load_session(path: Path, law: str) -> Session:
    """A session as the file left it; a new one where there is no file, or none that can be read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema"] > SCHEMA:
            raise ArgumentValueError(f"schema {data['schema']} is newer than this version knows ({SCHEMA})")
        scenes = {str(name): Desk.from_data(scene) for name, scene in data["scenes"].items()}
        return Session(Desk.from_data(data["desk"]), scenes, law=law)
    except FileNotFoundError:
        return Session(law=law)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        kept = path.with_suffix(".damaged.json")
        log.warning("%s cannot be read (%s): kept as %s, the desk starts at unity", path, error, kept.name)
        with contextlib.suppress(OSError):
            os.replace(path, kept)
        return Session(law=law)


class DeskFile:
    """Writes the session's desk and scenes whenever they have changed and come to rest."""

    def __init__(self, hub: Hub, path: Path) -> None:
        self._hub = hub
        self._path = path
        self._due: asyncio.TimerHandle | None = None
        self._first_change = 0.0
        self._writing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow the hub's events."""
        self._hub.listen(self._noted)

    async def close(self) -> None:
        """Write what has not been written. Twice is fine."""
        self._hub.forget(self._noted)
        if self._due is not None:
            self._due.cancel()
            self._due = None
            await self._write()

    def _noted(self, event: e.Event, _origin: str) -> None:
        if not isinstance(event, _KEPT):
            return
        loop = asyncio.get_running_loop()
        if self._due is None:
            self._first_change = loop.time()
        else:
            self._due.cancel()
        wait = min(_SETTLE_S, max(self._first_change + 10 * _SETTLE_S - loop.time(), 0.0))
        self._due = loop.call_later(wait, self._write_soon)

    def _write_soon(self) -> None:
        self._due = None
        self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        session = self._hub.session
        scenes = {name: desk.to_data() for name, desk in session.scenes.items()}
        text = json.dumps({"schema": SCHEMA, "desk": session.desk.to_data(), "scenes": scenes}, indent=1)
        try:
            await asyncio.to_thread(_replace, self._path, text)
        except OSError as error:
            log.warning("the desk is not kept: %s: %s", self._path, error.strerror or error)


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
