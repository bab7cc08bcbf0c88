"""The player's process: sockets that tell the player what to do, and nothing that it depends on.

If the bridge dies, the song plays to its end with the faders where they are, and a bridge that starts again
finds the socket in the state folder and takes the player over.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import sys
import threading
import time
from pathlib import Path

from .player import Player
from .wire import Line, Writer, lines

ALONE_S = 30.0
"""How long a player that does not play waits for a bridge before it ends."""


class _Controls:
    """The sockets: any number may listen, whoever speaks is obeyed."""

    def __init__(self) -> None:
        self._writers: list[Writer] = []
        self._lock = threading.Lock()
        self.alone_since = time.monotonic()

    def tell(self, line: Line) -> None:
        with self._lock:
            for writer in tuple(self._writers):
                writer.send(line)
                if writer.gone:
                    self._writers.remove(writer)

    def serve(self, connection: socket.socket, player: Player) -> None:
        file = connection.makefile("rwb")
        writer = Writer(file)  # type: ignore[arg-type]
        with self._lock:
            self._writers.append(writer)
        writer.send(player.state())
        for line in lines(file):  # type: ignore[arg-type]
            if line.get("do") == "quit":
                player.close()
                os._exit(0)
            player.take(line)
        with self._lock:
            if writer in self._writers:
                self._writers.remove(writer)
            if not self._writers:
                self.alone_since = time.monotonic()
        connection.close()

    @property
    def alone(self) -> bool:
        with self._lock:
            return not self._writers


def main() -> int:
    """Run until told to quit, or until nobody is there and nothing plays."""
    settings = json.loads(sys.argv[1])
    logging.basicConfig(level="INFO", format="player: %(message)s")
    controls = _Controls()
    player = Player(settings, controls.tell)
    listener = _listener(Path(settings["socket"]))
    player.start()
    threading.Thread(target=_accept, args=(listener, controls, player), name="accept", daemon=True).start()
    while True:
        time.sleep(0.2)
        if controls.alone and not player.busy and time.monotonic() - controls.alone_since > ALONE_S:
            player.close()
            with contextlib.suppress(OSError):
                Path(settings["socket"]).unlink()
            return 0


def _listener(path: Path) -> socket.socket:
    """Where control finds this player: a socket in the state folder, which only its user may open."""
    with contextlib.suppress(OSError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o077)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen()
    return listener


def _accept(listener: socket.socket, controls: _Controls, player: Player) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(
            target=controls.serve, args=(connection, player), name="control", daemon=True
        ).start()


if __name__ == "__main__":
    sys.exit(main())
