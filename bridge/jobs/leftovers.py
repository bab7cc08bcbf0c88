"""What a worker notes about where it writes, so that whoever comes after its death can clear up.

A note is no promise to a disk: it has to outlive the process, not the power.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from stembridge.model.platform import file_lock

log = logging.getLogger(__name__)

_PATIENCE_S = 20.0
"""How long to wait for a process that was killed to be gone."""


class Journal:
    """One process's notes; the lock beside them says that it lives."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{os.getpid()}.json"
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._held.enter_context(file_lock(self._path.with_suffix(".lock")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()
        self._path.with_suffix(".lock").unlink(missing_ok=True)
        self._held.close()

    def note(self, folders: Sequence[Path]) -> None:
        """Note, before the first file is made, which folders will be written to."""
        made = [folder for folder in _with_parents(folders) if not folder.exists()]
        notes = {
            "pid": os.getpid(),
            "folders": [str(folder) for folder in folders],
            "made": [str(folder) for folder in made],
        }
        # Not by renaming: notes that are cut off are those of a process that has made no file yet.
        self._path.write_text(json.dumps(notes), encoding="ascii")

    def clear(self) -> None:
        """Nothing is being written any more."""
        self._path.unlink(missing_ok=True)


def sweep(folder: Path, patience_s: float = _PATIENCE_S) -> int:
    """Remove what dead processes have left half-done; returns how many files that were.

    Waits for one that is just dying; what a living one has is left alone.
    """
    removed = 0
    for path in sorted({*folder.glob("*.json"), *(p.with_suffix(".json") for p in folder.glob("*.lock"))}):
        lock = path.with_suffix(".lock")
        until = time.monotonic() + patience_s
        while True:
            with file_lock(lock, wait=False) as dead:
                if dead:
                    removed += _clear_up(path)
                    lock.unlink(missing_ok=True)
                    break
            if time.monotonic() > until:
                log.warning("process %s is still there: what it was writing is left alone", path.stem)
                break
            time.sleep(0.02)
    return removed


def _clear_up(path: Path) -> int:
    """Do what a process's notes make necessary, and drop them."""
    try:
        notes = json.loads(path.read_text(encoding="ascii"))
        pid, folders, made = int(notes["pid"]), notes["folders"], notes["made"]
    except (OSError, ValueError, KeyError, TypeError):  # it had nothing under way, or only just begun
        path.unlink(missing_ok=True)
        return 0
    removed = 0
    for folder in folders:
        with contextlib.suppress(OSError):
            for entry in list(os.scandir(folder)):
                if is_temporary(entry.name, pid):
                    os.unlink(entry.path)
                    removed += 1
    for folder in sorted(made, key=len, reverse=True):
        with contextlib.suppress(OSError):  # there is something in it, or it was never made
            os.rmdir(folder)
    path.unlink(missing_ok=True)
    return removed


def is_temporary(name: str, pid: int) -> bool:
    """Whether a file of this name is one that a render of process `pid` has not finished.

    >>> is_temporary(".stembridge-0a1b2c3d4e5f6071-4242-9f8e7d.part.wav", 4242)
    True
    """
    return name.startswith(".stembridge-") and (f"-{pid}-" in name or name.startswith(f".stembridge-{pid}."))


def _with_parents(folders: Sequence[Path]) -> list[Path]:
    return list(dict.fromkeys(one for folder in folders for one in (folder, *folder.parents)))
