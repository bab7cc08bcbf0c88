"""Plug-ins on this machine: where they live, which there are, what a look inside each says.

Looking inside runs the plug-in's code, so that happens in child processes with a time limit, and what
was seen is kept by path and time of change.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

from ..errors import PluginError
from .parameters import suggest

SUFFIXES = (".vst3", ".component") if sys.platform == "darwin" else (".vst3",)
"""What plug-in files are called here: VST3 everywhere, Audio Units on macOS."""

_CACHE_SCHEMA = 1


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


@dataclass(frozen=True)
class PluginInfo:
    """What a look inside a plug-in file said about one plug-in in it."""

    path: str
    name: str
    changed_ns: int
    """When the file last changed, so that an update is looked at again."""
    manufacturer: str = ""
    version: str = ""
    category: str = ""
    instrument: bool = False
    channels: tuple[int, ...] = ()
    """Which of 1 and 2 it processes."""
    latency_samples: int = 0
    parameters: int = 0
    error: str = ""
    """Why it cannot be used; empty when it can."""

    @property
    def file(self) -> str:
        """What a preset calls it."""
        return Path(self.path).name


def scan_plugins(
    paths: Iterable[Path], *, timeout_s: float = 20.0, again: bool = False, cache: Path | None = None
) -> Iterator[PluginInfo]:
    """Say what each plug-in file holds, as each becomes known; a file that fails has an `error`.

    Looks inside (in a child process, `timeout_s` seconds at most without progress) only where nothing is
    known of the present state of the file, or `again` is set.
    """
    from .plugin_process import PluginProcess

    store = cache or platformdirs.user_cache_path("stembridge") / "plugins.json"
    known = _load(store)
    process: PluginProcess | None = None
    try:
        for path in paths:
            changed = changed_ns(path)
            entries = known.get(str(path), [])
            if again or not entries or any(entry.changed_ns != changed for entry in entries):
                try:
                    process = process or PluginProcess(load_timeout_s=timeout_s)
                    entries = [
                        PluginInfo(str(path), changed_ns=changed, **_described(seen))
                        for seen in process.scan(path)
                    ]
                except PluginError as error:
                    entries = [PluginInfo(str(path), path.stem, changed, error=str(error))]
                    if process is not None and not process.alive:
                        process.close()
                        process = None
                known[str(path)] = entries
                _save(store, known)
            yield from entries
    finally:
        if process is not None:
            process.close()


def _described(seen: Mapping[str, Any]) -> dict[str, Any]:
    fields = PluginInfo.__dataclass_fields__
    return {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in seen.items()
        if key in fields
    }


def changed_ns(path: Path) -> int:
    """When anything in a plug-in file or bundle last changed."""
    inside = path.rglob("*") if path.is_dir() else ()
    return max((item.stat().st_mtime_ns for item in (path, *inside) if item.exists()), default=0)


def _load(store: Path) -> dict[str, list[PluginInfo]]:
    try:
        data = json.loads(store.read_text())
        if data["schema"] != _CACHE_SCHEMA:
            return {}
        return {
            path: [replace(PluginInfo(**entry), channels=tuple(entry["channels"])) for entry in entries]
            for path, entries in data["plugins"].items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}  # nothing seen yet, or written by another version: look again


def _save(store: Path, known: Mapping[str, list[PluginInfo]]) -> None:
    store.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(
        {
            "schema": _CACHE_SCHEMA,
            "plugins": {path: [asdict(entry) for entry in entries] for path, entries in known.items()},
        }
    )
    temporary = store.with_name(f"{store.name}.{os.getpid()}.tmp")
    temporary.write_text(text)
    temporary.replace(store)
