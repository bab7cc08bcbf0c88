"""Which songs and folders of stems may be played when somebody on the network asks for them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from ..hub import Refusal
from ..jobs.acceptance import check_path

_PATIENCE_S = 5.0


async def find_playable(roots: Sequence[Path], text: str) -> Path:
    """The file or folder that a path leads to, links followed; one that lies under a root. Raises Refusal."""
    check_path(text)
    try:
        return await asyncio.wait_for(asyncio.to_thread(_found, roots, text), _PATIENCE_S)
    except TimeoutError:
        raise Refusal("busy", f"where {text[:200]} lies does not answer") from None


def _found(roots: Sequence[Path], text: str) -> Path:
    real_roots = [os.path.realpath(root) for root in roots]
    text = os.path.expanduser(text) if text.startswith("~/") else text
    places = [text] if os.path.isabs(text) else [os.path.join(root, text) for root in real_roots]
    denied = False
    for place in places:
        real = os.path.realpath(place)
        if not any(real == root or real.startswith(root.rstrip(os.sep) + os.sep) for root in real_roots):
            denied = True
        elif os.path.isfile(real) or os.path.isdir(real):
            return Path(real)
    if denied:
        raise Refusal(
            "path_denied",
            f"{text[:200]} is not in a folder that is open to this (--root, serve.roots), links followed",
        )
    raise Refusal("not_found", f"no song and no folder of stems at {text[:200]}")
