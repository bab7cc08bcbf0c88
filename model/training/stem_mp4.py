"""NI stem files (`.stem.mp4`): five AAC streams in one MP4, decoded once by the ffmpeg program.

Source: Native Instruments, "Stems File Specification"; MUSDB18 keeps its songs so: stream 0 is the mix,
1 drums, 2 bass, 3 other, 4 vocals.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import platformdirs

from ..errors import AudioFileError, DiskFullError
from ..files.ffmpeg import how_to_install

STREAMS = ("drums", "bass", "other", "vocals")
"""Streams 1 to 4 of the file."""


def decode(path: Path, cache: Path | None = None) -> Path:
    """A folder with `drums.flac`, `bass.flac`, `other.flac` and `vocals.flac` of a stem file.

    It is made in `cache` (default: this user's cache folder) the first time, whole or not at all, and
    found there from then on, until the file changes. Raises AudioFileError when ffmpeg is not there or
    finds no five audio streams, DiskFullError when the cache is full.
    """
    cache = cache or platformdirs.user_cache_path("stembridge") / "stem-mp4"
    status = path.stat()
    key = f"{path.absolute()}|{status.st_size}|{status.st_mtime_ns}"
    folder = cache / f"{path.name[:60]}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    program = shutil.which("ffmpeg")
    if program is None:
        raise AudioFileError(f"{path}: a stem file, which needs ffmpeg to be read: {how_to_install()}")
    cache.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".making-", dir=cache))
    try:
        _run(program, path, made)
        try:
            os.replace(made, folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


def _run(program: str, path: Path, folder: Path) -> None:
    # `file:` and the whitelist: a name with a colon is a name, and a playlist cannot reach the network
    command = [program, "-nostdin", "-hide_banner", "-loglevel", "error", "-y"]
    command += ["-protocol_whitelist", "file", "-i", f"file:{path.absolute()}"]
    for number, stem in enumerate(STREAMS, 1):
        command += ["-map", f"0:a:{number}", "-c:a", "flac", "-sample_fmt", "s16", "-map_metadata", "-1"]
        command += [f"file:{folder / stem}.flac"]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if run.returncode != 0:
        log = run.stderr.decode("utf-8", "replace").strip()
        if "No space left on device" in log:
            raise DiskFullError(f"{folder.parent} is full while decoding {path}: free room or name another")
        reason = log.splitlines()[-1] if log else f"ffmpeg ended with {run.returncode}"
        raise AudioFileError(
            f"{path}: expected five audio streams (mix, drums, bass, other, vocals); ffmpeg: {reason}"
        )
