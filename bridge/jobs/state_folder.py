"""The folder in which one bridge keeps what it must not forget; a second bridge is told who has it."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from stembridge.model.errors import StembridgeError
from stembridge.model.platform import file_lock


class StateFolderError(StembridgeError, OSError):
    """A state folder that cannot be used: taken by another bridge, or not writable."""


class StateFolder:
    """A state folder, held by this process from `with` to the end of the block, however that comes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._holder = path / "bridge.json"
        self._held = contextlib.ExitStack()

    @property
    def database(self) -> Path:
        """Where the queue of jobs lies."""
        return self.path / "jobs.sqlite"

    @property
    def journals(self) -> Path:
        """Where workers note what they are writing."""
        return self.path / "workers"

    def __enter__(self) -> Self:
        """Take the folder. Raises StateFolderError, naming the bridge that has it."""
        try:
            held = self._held.enter_context(file_lock(self.path / "bridge.lock", wait=False))
        except OSError as error:
            raise StateFolderError(
                f"the state folder {self.path} cannot be used: {error.strerror or error}; "
                "choose another with --state"
            ) from error
        if not held:
            self._held.close()
            raise StateFolderError(
                f"the state folder {self.path} is in use by {self._who()}: "
                "stop that one, or give this one a folder of its own with --state"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.unlink(missing_ok=True)
        self._held.close()

    def note(self, pid: int, port: int) -> None:
        """Write down who has the folder and where it listens. Raises StateFolderError."""
        part = self._holder.with_name(f".{self._holder.name}.part")
        try:
            part.write_text(json.dumps({"pid": pid, "port": port}), encoding="utf-8")
            os.replace(part, self._holder)
        except OSError as error:
            raise StateFolderError(
                f"the state folder {self.path} cannot be written: {error.strerror or error}; "
                "choose another with --state"
            ) from error

    def _who(self) -> str:
        try:
            holder = json.loads(self._holder.read_text(encoding="utf-8"))
            return f"the bridge with process id {int(holder['pid'])} at port {int(holder['port'])}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another bridge, which is just starting"
