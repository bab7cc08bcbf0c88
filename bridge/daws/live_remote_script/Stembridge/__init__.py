# ruff: noqa: N999
"""Stembridge for Ableton Live 11 and 12: a Remote Script that joins Live's mixer and clips to a bridge.

Live runs this in its own Python (3.7 in Live 11, 3.11 in Live 12), on its main thread: no packages, no
threads, nothing that waits.
"""

from __future__ import annotations

from typing import Any


def create_instance(c_instance: Any) -> Any:
    """What Live calls when the script is chosen as a control surface."""
    from .surface import StembridgeSurface

    return StembridgeSurface(c_instance)
