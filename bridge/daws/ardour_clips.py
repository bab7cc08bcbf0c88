"""A region's audio as one file: Ardour keeps its own copy of a stereo file as one mono file per channel."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

_KEPT_S = 14 * 86_400.0
_BLOCK_FRAMES = 1 << 16
_WAV_BYTES = 4_000_000_000
_SOURCES = "sources.txt"


def one_file(sources: Sequence[Path], folder: Path) -> Path:
    """The file that holds what these have together: the one they all are, or one made in a folder.

    What was made two weeks ago and not asked for since is dropped. Raises OSError, and what soundfile
    raises for files it cannot read. Takes as long as copying the files: never call it on the loop.
    """
    if len(set(sources)) == 1:
        return sources[0]
    stats = [(os.fspath(source), source.stat().st_size, source.stat().st_mtime_ns) for source in sources]
    here = folder / hashlib.blake2b(repr(stats).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    place = here / f"{re.sub(r'%[A-Z0-9]+$', '', sources[0].stem)}.wav"
    if folder.is_dir():
        for old in folder.iterdir():
            if time.time() - old.stat().st_mtime > _KEPT_S and old != here:
                shutil.rmtree(old, ignore_errors=True)
    here.mkdir(parents=True, exist_ok=True)
    os.utime(here)
    if not place.exists():
        (here / _SOURCES).write_bytes(b"".join(os.fsencode(source) + b"\n" for source in sources))
        part = place.with_suffix(".part")
        _join(sources, part)
        os.replace(part, place)
    return place


def sources_of(path: Path, folder: Path) -> list[Path]:
    """The files a file was made of by `one_file`; none for any other."""
    if path.parent.parent != folder:
        return []
    try:
        lines = (path.parent / _SOURCES).read_bytes().split(b"\n")
    except OSError:
        return []
    return [Path(os.fsdecode(line)) for line in lines if line]


def _join(sources: Sequence[Path], path: Path) -> None:
    import numpy as np
    import soundfile

    files = [soundfile.SoundFile(source) for source in sources]
    try:
        channels = sum(file.channels for file in files)
        big = 4 * channels * max(file.frames for file in files) > _WAV_BYTES
        with soundfile.SoundFile(
            path, "w", files[0].samplerate, channels, "FLOAT", format="RF64" if big else "WAV"
        ) as joined:
            while True:
                blocks = [file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True) for file in files]
                frames = max(len(block) for block in blocks)
                if frames == 0:
                    return
                whole = [np.pad(block, ((0, frames - len(block)), (0, 0))) for block in blocks]
                joined.write(np.concatenate(whole, axis=1))
    finally:
        for file in files:
            file.close()
