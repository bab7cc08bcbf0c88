"""A DAW's transport as its link hears it, told to whoever plays in time with it."""

from __future__ import annotations

import time

from .. import events as e
from ..hub import Hub


class HostClock:
    """What is known of one DAW's transport."""

    def __init__(self, hub: Hub, source: str) -> None:
        self._hub = hub
        self._source = source
        self._playing = False
        self._position_s = 0.0
        self._at = 0.0

    def played(self, playing: bool) -> None:
        """It starts, or stops; hosts say so with every tick as well."""
        if playing == self._playing:
            return
        now = time.monotonic()
        if self._playing:
            self._position_s += now - self._at
        self._playing, self._at = playing, now
        self._tell()

    def located(self, position_s: float) -> None:
        """It is at a second of its timeline now."""
        self._position_s, self._at = position_s, time.monotonic()
        self._tell()

    def _tell(self) -> None:
        self._hub.publish(e.HostTransport(self._source, self._playing, self._position_s, self._at))
