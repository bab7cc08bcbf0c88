"""One job: what is to be rendered, and what became of it. Frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["queued", "running", "done", "failed", "cancelled"]

Stamp = tuple[int, int, int]
"""Size, time of the last change in nanoseconds and inode of a song: what tells one content from another
without reading it."""


@dataclass(frozen=True)
class Job:
    """One job."""

    id: int
    place: int
    """Its place in line: jobs run in this order."""
    tag: str
    spec: str
    """What to render, as `spec_json` writes it; equal specs, equal texts."""
    stamp: Stamp
    state: State = "queued"
    attempts: int = 0
    """How many attempts count: workers that died over it without getting further than one before."""
    furthest: float = 0.0
    """How far (0 to 1) any attempt has got that ended with its worker's death."""
    code: str = ""
    text: str = ""
    """Why it failed."""
    result: Mapping[str, Any] = field(default_factory=dict)
    """What the worker said of it in the end: `manifest`, `seconds`, `files`, `cached`, ..."""

    @property
    def live(self) -> bool:
        """Whether something is still to come of it."""
        return self.state in ("queued", "running")
