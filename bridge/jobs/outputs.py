"""The files of a finished job, looked at again: are they still what it made?"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stembridge.model.errors import OutputError
from stembridge.model.manifest import Manifest, read_manifest


def outputs_intact(result: Mapping[str, Any]) -> bool:
    """Whether every file is there as the job made it; nothing is read but the manifest.

    A later job may have written the same stems anew: then the manifest says that their content is the same.
    """
    path = Path(result["manifest"])
    try:
        manifest = read_manifest(path)
        return manifest is not None and all(_intact(file, path, manifest) for file in result["files"])
    except (OSError, OutputError):
        return False


def _intact(file: Mapping[str, Any], manifest_path: Path, manifest: Manifest) -> bool:
    status = os.stat(file["path"])
    there = status.st_size, status.st_mtime_ns
    if there == (file["bytes"], file["changed_ns"]):
        return True
    entry = manifest.entry(Path(os.path.relpath(file["path"], manifest_path.parent)).as_posix())
    return entry is not None and entry.hash == file["hash"] and there == (entry.bytes, entry.changed_ns)
