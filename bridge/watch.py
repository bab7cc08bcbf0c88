"""Songs as they come into a folder: each is taken once it has stopped growing.

The folder is looked through again and again, which also works on network shares; nothing is asked of the
system but names, sizes and times. What renders write there themselves (their manifests say so) is no song.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stembridge.model.errors import OutputError
from stembridge.model.manifest import read_manifest

from .inputs import SUFFIXES, Song

_MANIFEST_SUFFIX = ".stems.json"
_LONGEST_PAUSE_S = 2.0

Stamp = tuple[int, int, int]
"""Inode, size and time of last change: what differs when a file was written to, or another took its name."""


@dataclass
class _Seen:
    stamp: Stamp
    since: float
    """When it was first seen like this."""
    taken: bool = False


class FolderWatch:
    """Looks for songs below a folder. Sub-folders become the songs' tree, as of any folder input."""

    def __init__(
        self, folder: Path, *, settle_s: float = 2.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`settle_s`: how long a file must stay as it is, and nobody have it open for writing."""
        self._folder = folder
        self._settle_s = settle_s
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._manifests: dict[str, tuple[Stamp, frozenset[str]]] = {}
        self._stopped = threading.Event()

    def songs(self) -> Iterator[Song]:
        """Songs as they are ready, until `stop`; a song again when it has changed since it was taken."""
        pause = min(_LONGEST_PAUSE_S, max(0.05, self._settle_s / 4))
        while not self._stopped.is_set():
            for song in self.look():
                yield song
                if self._stopped.is_set():
                    return
            self._stopped.wait(pause)

    def stop(self) -> None:
        """End `songs`, from any thread."""
        self._stopped.set()

    def look(self) -> list[Song]:
        """Look once; the songs that have become ready, in name order."""
        now = self._clock()
        candidates, there = [], set()
        for path, stamp in self._files():
            there.add(path)
            if path.endswith(_MANIFEST_SUFFIX):
                self._read(path, stamp)
                continue
            seen = self._seen.get(path)
            if seen is None or seen.stamp != stamp:
                self._seen[path] = seen = _Seen(stamp, now)
            if not seen.taken and now - seen.since >= self._settle_s:
                candidates.append((path, seen))
        for path in self._seen.keys() - there:
            del self._seen[path]
        for path in self._manifests.keys() - there:
            del self._manifests[path]
        if not candidates:
            return []
        ours = frozenset[str]().union(*(files for _, files in self._manifests.values()))
        busy = open_for_writing({path for path, _ in candidates})
        ready = []
        for path, seen in sorted(candidates, key=lambda candidate: candidate[0]):
            if path in busy:
                seen.since = now
                continue
            seen.taken = True
            if path not in ours:
                ready.append(self._song(Path(path)))
        return ready

    def _files(self) -> Iterator[tuple[str, Stamp]]:
        """Every manifest and everything that could be a song, hidden files and folders left out."""
        pending = [os.fspath(self._folder)]
        while pending:
            try:
                with os.scandir(pending.pop()) as entries:
                    for entry in entries:
                        if entry.name.startswith("."):
                            continue
                        with contextlib.suppress(OSError):  # gone meanwhile
                            if entry.is_dir():
                                pending.append(entry.path)
                            elif _wanted(entry.name):
                                stat = entry.stat()
                                yield entry.path, (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            except OSError:  # gone meanwhile, or not ours to read
                continue

    def _read(self, path: str, stamp: Stamp) -> None:
        if path in self._manifests and self._manifests[path][0] == stamp:
            return
        folder = os.path.dirname(path)
        files: list[str] = []
        with contextlib.suppress(OutputError):  # somebody else's file of that name
            manifest = read_manifest(Path(path))
            files = [entry.file for entry in manifest.files] if manifest is not None else []
        self._manifests[path] = stamp, frozenset(os.path.normpath(f"{folder}/{file}") for file in files)

    def _song(self, path: Path) -> Song:
        tree = PurePosixPath(path.parent.relative_to(self._folder).as_posix())
        return Song(path, tree if tree.parts else None)


def open_for_writing(paths: set[str]) -> set[str]:
    """Those that a process has open to write to, as far as the system tells (Linux, one's own processes)."""
    if sys.platform != "linux":
        return set()
    wanted: dict[tuple[int, int], str] = {}
    for path in paths:
        with contextlib.suppress(OSError):
            stat = os.stat(path)
            wanted[stat.st_dev, stat.st_ino] = path
    busy = set()
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            handles = os.listdir(f"/proc/{process}/fd")
        except OSError:  # somebody else's, or over
            continue
        for handle in handles:
            with contextlib.suppress(OSError, StopIteration, ValueError):
                stat = os.stat(f"/proc/{process}/fd/{handle}")
                found = wanted.get((stat.st_dev, stat.st_ino))
                if found is not None and _writes(f"/proc/{process}/fdinfo/{handle}"):
                    busy.add(found)
    return busy


def _writes(facts: str) -> bool:
    with open(facts, encoding="ascii") as lines:
        flags = next(line for line in lines if line.startswith("flags:"))
    return int(flags.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY


def _wanted(name: str) -> bool:
    return name.endswith(_MANIFEST_SUFFIX) or os.path.splitext(name)[1].lower() in SUFFIXES
