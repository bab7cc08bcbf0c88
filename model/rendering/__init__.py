"""The main job: one song in, stems and mixes out, complete or not at all.

Decoding, separation and encoding overlap: the source is decoded on a thread of its own, separated on
the caller's, and every output is measured and encoded on another.
"""

from __future__ import annotations

from .pipeline import Progress, RenderResult, render
from .plan import Output, Plan, check_collisions, plan_render
from .spec import RenderSpec, Version

__all__ = [
    "Output",
    "Plan",
    "Progress",
    "RenderResult",
    "RenderSpec",
    "Version",
    "check_collisions",
    "plan_render",
    "render",
]
