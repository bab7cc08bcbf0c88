"""Control's end of the player's socket: found or started, written to without waiting, read on the loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stembridge.model.errors import StembridgeError

from .wire import LONGEST_LINE, Line

log = logging.getLogger(__name__)

_START_S = 20.0
_AGAIN_S = 0.05
_MOST_UNSENT = 1 << 20


class PlayerStartError(StembridgeError):
    """A player that cannot be started."""


class PlayerLink:
    """One player. `take` is called on the loop with each of its lines; `lost` when it has gone."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        socket: Path,
        take: Callable[[Line], None],
        lost: Callable[[], None],
    ) -> None:
        self._settings = {**settings, "socket": str(socket)}
        self._socket = socket
        self._take = take
        self._lost = lost
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a player."""
        return self._writer is not None

    async def adopt(self) -> bool:
        """Take over a player that an earlier bridge has left playing; False where there is none."""
        if not self._socket.exists():
            return False
        try:
            reader, self._writer = await asyncio.open_unix_connection(str(self._socket), limit=LONGEST_LINE)
        except OSError:
            return False
        self._reading = asyncio.get_running_loop().create_task(self._read(reader))
        return True

    async def start(self) -> None:
        """Take over the player that is there, or start one. Raises PlayerStartError."""
        if self.connected or await self.adopt():
            return
        command = [sys.executable, "-m", "stembridge.bridge.player.process", json.dumps(self._settings)]
        # A session of its own: it outlives this process, and is not reached by its terminal's Ctrl-C.
        self._process = await asyncio.to_thread(
            subprocess.Popen,
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = asyncio.get_running_loop().time() + _START_S
        while not await self.adopt():
            if self._process.poll() is not None or asyncio.get_running_loop().time() > until:
                raise PlayerStartError("the player did not start; what it said is above")
            await asyncio.sleep(_AGAIN_S)

    def tell(self, **line: Any) -> None:
        """Send a line; one that nobody takes is dropped."""
        writer = self._writer
        if writer is None or writer.transport.get_write_buffer_size() > _MOST_UNSENT:
            return
        writer.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    async def close(self, *, end_player: bool) -> None:
        """Let go of the player; with `end_player` it fades out and ends. Twice is fine."""
        if end_player:
            self.tell(do="quit")
        reading, self._reading = self._reading, None
        if reading is not None:
            if end_player:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(reading), 5.0)
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if end_player and self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, 5.0)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError, ValueError):
            while data := await reader.readline():
                line = json.loads(data)
                if isinstance(line, dict):
                    self._take(line)
        self._writer = None
        self._lost()
