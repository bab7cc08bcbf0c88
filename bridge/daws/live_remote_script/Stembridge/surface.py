"""The control surface that Live sees. Nothing that goes wrong here reaches Live; it is written to its log."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import Any

import Live  # type: ignore[import-not-found]
from _Framework.ControlSurface import ControlSurface  # type: ignore[import-not-found]

from .service import PORT, Service

_AGAIN_TICKS = 50
"""A port that is taken is tried again every five seconds."""


class StembridgeSurface(ControlSurface):  # type: ignore[misc]
    """Owns the service; Live calls `update_display` every 100 ms."""

    def __init__(self, c_instance: Any) -> None:
        super().__init__(c_instance)
        self._stembridge: Service | None = None
        self._stembridge_wait = 0
        self._stembridge_failures = 0
        self._stembridge_guarded(self._stembridge_open)

    def update_display(self) -> None:
        """Live's tick."""
        super().update_display()
        self._stembridge_guarded(self._stembridge_tick)

    def disconnect(self) -> None:
        """Live ends, another set is opened, or another surface is chosen."""
        self._stembridge_guarded(self._stembridge_close)
        super().disconnect()

    def _stembridge_open(self) -> None:
        application = Live.Application.get_application()
        version = f"{application.get_major_version()}.{application.get_minor_version()}"
        port = int(os.environ.get("STEMBRIDGE_LIVE_PORT", PORT))
        try:
            self._stembridge = Service(self.song(), Live, version, self._stembridge_log, port)
        except OSError as error:
            if self._stembridge_wait == 0:
                self.show_message(f"Stembridge: port {port} is taken ({error}); trying again")
                self._stembridge_log(f"port {port} is taken ({error}): another Live, or another program")
            self._stembridge_wait = _AGAIN_TICKS
            return
        self._stembridge_wait = 0
        self.show_message(f"Stembridge: waiting for a bridge at port {self._stembridge.port}")

    def _stembridge_tick(self) -> None:
        if self._stembridge is not None:
            self._stembridge.tick()
        elif self._stembridge_wait > 1:
            self._stembridge_wait -= 1
        elif self._stembridge_wait == 1:
            self._stembridge_open()

    def _stembridge_close(self) -> None:
        if self._stembridge is not None:
            self._stembridge.close()
            self._stembridge = None

    def _stembridge_guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # Live itself must go on
            self._stembridge_failures += 1
            if self._stembridge_failures <= 20:
                self._stembridge_log(traceback.format_exc())

    def _stembridge_log(self, text: str) -> None:
        self.log_message(f"Stembridge: {text}")
