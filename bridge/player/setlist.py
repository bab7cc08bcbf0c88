"""A set list: songs one after another, each perhaps with a scene of the desk.

A text file with a path per line (relative to the file; `#` begins a comment), an M3U, or TOML:

    [[song]]
    path = "intro.flac"
    scene = "verse"
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from stembridge.model.errors import ArgumentValueError

MOST_SONGS = 1000
_LONGEST = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One song of a list."""

    path: str
    scene: str | None = None
    """The scene to recall when it begins; None leaves the faders where they are."""


def read_setlist(path: Path) -> tuple[Entry, ...]:
    """Read a set list. Raises ArgumentValueError for one that cannot be read or holds no songs."""
    try:
        if path.stat().st_size > _LONGEST:
            raise ArgumentValueError(
                f"{path}: a set list is a short text; this has {path.stat().st_size} bytes"
            )
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentValueError(f"{path}: cannot be read as a set list: {error}") from error
    entries = _from_toml(path, text) if path.suffix.casefold() == ".toml" else _from_lines(text)
    if not 1 <= len(entries) <= MOST_SONGS:
        raise ArgumentValueError(f"{path}: a set list has 1 to {MOST_SONGS} songs; this has {len(entries)}")
    here = path.parent.absolute()
    return tuple(Entry(str(here / entry.path), entry.scene) for entry in entries)


def _from_lines(text: str) -> list[Entry]:
    lines = (line.strip() for line in text.splitlines())
    return [Entry(line) for line in lines if line and not line.startswith("#")]


def _from_toml(path: Path, text: str) -> list[Entry]:
    try:
        songs = tomllib.loads(text)["song"]
        entries = [Entry(str(song["path"]), song.get("scene")) for song in songs]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise ArgumentValueError(
            f"{path}: every [[song]] has a path, and perhaps a scene ({error})"
        ) from error
    return entries
