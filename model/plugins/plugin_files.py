"""Plug-in files on this machine: where they live, which there are, when they last changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import PluginError
from .parameters import suggest

SUFFIXES = (".vst3", ".component") if sys.platform == "darwin" else (".vst3",)
"""What plug-in files are called here: VST3 everywhere, Audio Units on macOS."""


def plugin_folders(configured: Sequence[Path] = ()) -> tuple[Path, ...]:
    """The folders plug-ins are looked for in: configured ones, `VST3_PATH`, then this system's own."""
    home = Path.home()
    if sys.platform == "darwin":
        own = [
            base / "Library/Audio/Plug-Ins" / kind
            for base in (home, Path("/"))
            for kind in ("VST3", "Components")
        ]
    elif sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", str(home / "AppData/Local"))
        common = os.environ.get("COMMONPROGRAMFILES", r"C:\Program Files\Common Files")
        own = [Path(local, "Programs/Common/VST3"), Path(common, "VST3")]
    else:
        own = [home / ".vst3", Path("/usr/local/lib/vst3"), Path("/usr/lib/vst3"), Path("/usr/lib64/vst3")]
    listed = [Path(part) for part in os.environ.get("VST3_PATH", "").split(os.pathsep) if part]
    return tuple(dict.fromkeys([*(Path(folder).expanduser() for folder in configured), *listed, *own]))


def installed_plugins(configured: Sequence[Path] = ()) -> list[Path]:
    """Every plug-in file in the plug-in folders and the folders below them, sorted by name.

    Of two with one name the one in the earlier folder counts.
    """
    found: dict[str, Path] = {}
    for folder in plugin_folders(configured):
        for path in _walk(folder):
            found.setdefault(path.name, path)
    return sorted(found.values(), key=lambda path: path.name.lower())


def _walk(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:  # not there, or not ours to read
        return
    for entry in entries:
        if entry.suffix.lower() in SUFFIXES:
            yield entry  # a bundle is a folder: what is inside it is its own business
        elif entry.is_dir() and not entry.is_symlink():
            yield from _walk(entry)


def find_plugin(file: str, configured: Sequence[Path] = ()) -> Path:
    """The path of a plug-in given by path, or by file name (with or without its ending) in the folders.

    Raises PluginError that names the nearest installed plug-in and the folders that were searched.
    """
    given = Path(file).expanduser()
    if given.is_absolute() or len(given.parts) > 1:
        if given.exists():
            return given.absolute()
        if given.is_absolute():
            raise PluginError(f"no plug-in at {given}")
    installed = installed_plugins(configured)
    for same in (str.__eq__, lambda a, b: a.lower() == b.lower()):
        for path in installed:
            tail = Path(*path.parts[-len(given.parts) :])
            if same(str(tail), str(given)) or same(str(tail.with_suffix("")), str(given)):
                return path
    hint = suggest(file, [path.name for path in installed])
    folders = ", ".join(str(folder) for folder in plugin_folders(configured))
    raise PluginError(f"no plug-in {file!r} in {folders}{hint or '.'} Other places: give the whole path.")


def changed_ns(path: Path) -> int:
    """When anything in a plug-in file or bundle last changed."""
    inside = path.rglob("*") if path.is_dir() else ()
    return max((item.stat().st_mtime_ns for item in (path, *inside) if item.exists()), default=0)
