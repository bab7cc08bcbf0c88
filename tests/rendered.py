"""What tests of `render` share: a song on disk, a render run to its end, what lies in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import signals
import soundfile
from stembridge.model.rendering import Progress, RenderResult, RenderSpec, render
from stembridge.model.stem_cache import StemCache

SECONDS = 2.0


def write_song(
    path: Path, rate: int = 44100, channels: int = 2, subtype: str = "PCM_16", level: float = 1.0
) -> Path:
    mix = level * np.sum(list(signals.song(SECONDS, rate).values()), axis=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.clip(mix[:channels].T, -1, 1), rate, subtype=subtype)
    return path


def classic_spec(source: Path, out: Path, **settings: Any) -> RenderSpec:
    """A render by `classic`: where it does not matter how well stems are separated, the quickest will do."""
    return RenderSpec(source, out, model="classic", **settings)


def run(spec: RenderSpec, cache: StemCache | None = None) -> RenderResult:
    last: Progress | None = None
    for progress in render(spec, cache=cache):
        assert last is None or progress.fraction >= last.fraction
        last = progress
    assert last is not None
    assert last.result is not None
    return last.result


def files(folder: Path) -> dict[str, Path]:
    """Everything below a folder, hidden files too."""
    return {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}


def read(path: Path) -> np.ndarray:
    data: np.ndarray = soundfile.read(path, dtype="float64", always_2d=True)[0].T
    return data
