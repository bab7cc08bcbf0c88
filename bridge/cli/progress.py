"""How far work is, on standard error: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

_BAR_EVERY_S = 0.1
_LINE_EVERY_S = 10.0
_WIDTH = 24


class ProgressPrinter:
    """Shows one job after another with percent and time left; silent when `quiet`."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._quiet = quiet
        self._began = self._shown = time.monotonic()
        self._drawn = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def start(self) -> None:
        """Begin timing the whole of the work."""
        self._began = self._shown = time.monotonic()

    def show(self, label: str, stage: str, fraction: float) -> None:
        """Show how far the whole of the work is, 0 to 1."""
        now = time.monotonic()
        if self._quiet or now - self._shown < (_BAR_EVERY_S if self._terminal else _LINE_EVERY_S):
            return
        self._shown = now
        text = f"{fraction:4.0%} {stage}{_left(now - self._began, fraction)}  {label}"
        if self._terminal:
            filled = round(_WIDTH * fraction)
            self._draw(f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {text}")
        else:
            print(text, file=self._stream, flush=True)

    def note(self, text: str) -> None:
        """Print a line that stays."""
        self.clear()
        print(text, file=self._stream, flush=True)

    def clear(self) -> None:
        """Take the bar off the screen."""
        if self._drawn:
            self._draw("")

    def _draw(self, text: str) -> None:
        import shutil

        text = text[: shutil.get_terminal_size().columns - 1]
        self._stream.write("\r" + text + " " * max(0, self._drawn - len(text)) + ("\r" if not text else ""))
        self._stream.flush()
        self._drawn = len(text)


def _left(elapsed: float, fraction: float) -> str:
    if fraction < 0.02 or elapsed < 1.0:
        return ""
    seconds = round(elapsed * (1 - fraction) / fraction)
    return f", {seconds // 60}:{seconds % 60:02d} left"
