"""What a look inside each plug-in file says.

Looking inside runs the plug-in's code, so that happens in a child process with a time limit, and what
was seen is kept by path and time of change.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

from ..errors import PluginError
from .plugin_files import changed_ns
from .plugin_process import PluginProcess

_CACHE_SCHEMA = 1


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
