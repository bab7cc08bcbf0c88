"""Copies our pattern file and scripts to where REAPER looks for such."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from stembridge.model.errors import OutputError

FILES = Path(__file__).parent / "reaper_scripts"
"""What belongs into REAPER: `Stembridge.ReaperOSC`, and scripts with a folder of parts."""


def resource_folder() -> Path:
    """Where REAPER keeps a user's files unless it is a portable installation."""
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", Path.home() / "AppData" / "Roaming")) / "REAPER"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "REAPER"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "REAPER"


def install(folder: Path | None = None) -> list[Path]:
    """Copy everything into a resource folder (REAPER: Options, Show REAPER resource path), over older copies.

    Returns what was written. Raises OutputError where there is no such folder or it cannot be written.
    """
    folder = folder or resource_folder()
    if not folder.is_dir():
        raise OutputError(
            f"{folder} is not there: start REAPER once, or name the folder that its menu Options, "
            "“Show REAPER resource path” opens"
        )
    written = []
    try:
        for source in sorted(FILES.rglob("*")):
            if source.suffix not in (".lua", ".ReaperOSC"):
                continue
            place = "OSC" if source.suffix == ".ReaperOSC" else "Scripts/Stembridge"
            target = folder / place / source.relative_to(FILES)
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f"{target.name}.part")
            shutil.copyfile(source, part)
            os.replace(part, target)
            written.append(target)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from error
    return written
