"""Messages between the processes that play: one JSON object per line, on pipes and sockets alike."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from typing import IO, Any

Line = dict[str, Any]
LONGEST_LINE = 1 << 20


class Writer:
    """Writes lines, from any thread; a reader that has gone is noted and not an error."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._lock = threading.Lock()
        self.gone = False

    def send(self, line: Mapping[str, Any]) -> None:
        """Write one line at once."""
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        try:
            with self._lock:
                self._file.write(data)
                self._file.flush()
        except (OSError, ValueError):
            self.gone = True


def lines(file: IO[bytes]) -> Iterator[Line]:
    """The lines that come until the writer goes; what is no object is left out."""
    while True:
        try:
            data = file.readline(LONGEST_LINE)
        except (OSError, ValueError):
            return
        if not data:
            return
        try:
            line = json.loads(data)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line
