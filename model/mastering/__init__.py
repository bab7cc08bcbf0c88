"""Mastering: one song, or an album by one gain, in; one file each out, as loud and as high as asked for.

A song is treated once, onto a spool; everything that has to be tried (the gain that a loudness needs
through a limiter, the ceiling that a codec leaves) goes over the spool again, in flat memory.
"""

from __future__ import annotations

from .pipeline import AlbumProgress, AlbumResult, Progress, master, master_album
from .plan import MasterPlan, foreseen_masters, plan_album, plan_master
from .song import MasterResult
from .spec import ANCHORS, AlbumSpec, MasterSpec

__all__ = [
    "ANCHORS",
    "AlbumProgress",
    "AlbumResult",
    "AlbumSpec",
    "MasterPlan",
    "MasterResult",
    "MasterSpec",
    "Progress",
    "foreseen_masters",
    "master",
    "master_album",
    "plan_album",
    "plan_master",
]
