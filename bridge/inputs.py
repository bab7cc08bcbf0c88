"""Songs, folders and globs on a command line, made into a list of songs."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stembridge.model.errors import OutputError
from stembridge.model.manifest import read_manifest

SUFFIXES = frozenset(
    [
        ".wav",
        ".wave",
        ".rf64",
        ".bwf",
        ".flac",
        ".aif",
        ".aiff",
        ".aifc",
        ".mp3",
        ".ogg",
        ".oga",
        ".opus",
        ".m4a",
        ".mp4",
        ".aac",
        ".wma",
        ".webm",
        ".caf",
    ]
)
"""What a folder is searched for; a file named by itself is tried whatever it is called."""


@dataclass(frozen=True)
class Song:
    """A file to render, and the sub-folder of a folder input it was found in."""

    path: Path
    tree: PurePosixPath | None = None
    url: str | None = None
    """Where it lies, if that is no path; `path` is its name then."""


def find_songs(inputs: Iterable[str | os.PathLike[str]]) -> list[Song]:
    """Every song named, found in folders (recursively, in name order) or matched, each once.

    What exists is taken by its name, brackets and all; only what does not is tried as a glob. What an
    earlier render wrote (its manifest says so) is left out of folders and globs, so that a second run
    does not render the first one's stems. A name that matches nothing stays, to fail by itself. URLs are
    looked through in the same way, by fsspec.
    """
    songs: dict[Path | str, Song] = {}
    for item in inputs:
        for song in _expanded(os.fspath(item)):
            songs.setdefault(song.url or song.path.resolve(), song)
    return list(songs.values())


def _expanded(text: str) -> Iterator[Song]:
    if "://" in text:
        from .batches.remote import find_urls

        for url, tree in find_urls(text, SUFFIXES):
            yield Song(Path(PurePosixPath(url).name), tree, url)
        return
    path = Path(text)
    if path.is_dir():
        yield from _in_folder(path)
    elif path.exists() or not glob.has_magic(text):
        yield Song(path)
    else:
        matches = sorted(glob.glob(text, recursive=True))
        if not matches:
            yield Song(path)
        ours = {file for folder in {Path(match).parent for match in matches} for file in _rendered(folder)}
        for match in map(Path, matches):
            if match.is_dir():
                yield from _in_folder(match)
            elif match.suffix.lower() in SUFFIXES and match.resolve() not in ours:
                yield Song(match)


def _in_folder(folder: Path) -> Iterator[Song]:
    ours = set(_rendered(folder, "**/"))
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and path.is_file() and not hidden and path.resolve() not in ours:
            tree = PurePosixPath(path.parent.relative_to(folder).as_posix())
            yield Song(path, tree if tree.parts else None)


def _rendered(folder: Path, below: str = "") -> Iterator[Path]:
    """The files that manifests in a folder call their own."""
    for path in folder.glob(f"{below}*.stems.json"):
        try:
            manifest = read_manifest(path)
        except OutputError:  # somebody else's file of that name
            continue
        for entry in manifest.files if manifest is not None else ():
            yield (path.parent / entry.file).resolve()
