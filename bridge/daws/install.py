"""Puts what belongs into a DAW where that DAW looks for it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from stembridge.model.errors import OutputError

SCRIPT = Path(__file__).parent / "live_remote_script" / "Stembridge"
"""Our Remote Script for Live, a folder of Python files."""


@dataclass(frozen=True)
class Setup:
    """How one DAW gets our files."""

    product: str
    put: Callable[[Path | None], list[Path]]
    """Puts them into a folder, or into the usual one; returns what lies there now. Raises OutputError."""
    usual: Callable[[], list[Path]]
    """The folders that are looked for when none is named, existing or not."""
    then: str
    """What is left to do by hand."""


def install(daw: str, to: Path | None = None) -> list[Path]:
    """Put a DAW's files into its folder, or into the one named; return what was written.

    Raises OutputError where there is no such folder, or it cannot be written.
    """
    try:
        return SETUPS[daw].put(to)
    except OutputError:
        raise
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise OutputError(
            f"the files for {SETUPS[daw].product} cannot be put there: {error.strerror or error}{where}; "
            "name another folder with --to"
        ) from error


def user_libraries() -> list[Path]:
    """Where Live keeps a user's library unless told otherwise; Live runs on macOS and Windows only."""
    if sys.platform == "darwin":
        return [Path.home() / "Music" / "Ableton" / "User Library"]
    if sys.platform == "win32":
        homes = [Path.home(), *(Path(os.environ[name]) for name in ("OneDrive",) if name in os.environ)]
        return [home / "Documents" / "Ableton" / "User Library" for home in homes]
    return []


def install_live_script(user_library: Path | None = None) -> Path:
    """Put our Remote Script into Live's User Library, over an older copy of it; return its folder.

    It appears whole or not at all. Raises OutputError where there is no User Library, or something else of
    that name is in the way; OSError where it cannot be written.
    """
    library = user_library or next((path for path in user_libraries() if path.is_dir()), None)
    if library is None or not library.is_dir():
        looked = ", ".join(str(path) for path in ([user_library] if user_library else user_libraries()))
        raise OutputError(
            f"Live's User Library is not there{f' (looked for {looked})' if looked else ''}: name it with "
            "--to; Live shows its place in the settings, Library, Location of User Library"
        )
    scripts = library if library.name == "Remote Scripts" else library / "Remote Scripts"
    scripts.mkdir(exist_ok=True)
    target = scripts / SCRIPT.name
    if target.exists() and not target.is_symlink() and not (target / "surface.py").is_file():
        raise OutputError(f"{target} is there already and not ours: move it away first")
    # Beside the folder that Live looks through, so that it never sees a half of it.
    part = Path(tempfile.mkdtemp(prefix=".stembridge-", dir=scripts.parent))
    try:
        shutil.copytree(SCRIPT, part / "new", ignore=shutil.ignore_patterns("__pycache__"))
        if target.is_symlink():
            target.unlink()
        elif target.exists():
            os.replace(target, part / "old")
        try:
            os.replace(part / "new", target)
        except OSError:
            with contextlib.suppress(OSError):
                os.replace(part / "old", target)
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _reaper(to: Path | None) -> list[Path]:
    from .reaper_setup import install as put

    return put(to)


def _reaper_folders() -> list[Path]:
    from .reaper_setup import resource_folder

    return [resource_folder()]


def _ardour(to: Path | None) -> list[Path]:
    from .ardour_script import config_folders, default_folder
    from .ardour_script import install as put

    configs = [to] if to is not None else config_folders()
    if not configs or not all(path.is_dir() for path in configs):
        raise OutputError(
            f"{to or 'the configuration of Ardour'} is not there: start Ardour once, or name its folder "
            "(on Linux ~/.config/ardour8) with --to"
        )
    return put(default_folder(), configs)


def _ardour_folders() -> list[Path]:
    from .ardour_script import config_folders

    return config_folders()


SETUPS: Mapping[str, Setup] = {
    "live": Setup(
        "Ableton Live",
        lambda to: [install_live_script(to)],
        user_libraries,
        "Restart Live, open its settings, Link, Tempo & MIDI, and choose Stembridge as a control surface "
        "(Input and Output: None). Then: stembridge serve --daw live",
    ),
    "reaper": Setup(
        "REAPER",
        _reaper,
        _reaper_folders,
        "In REAPER's preferences, Control/OSC/web, add an OSC surface with the pattern config Stembridge "
        "(device port 9341, local listen port 9342), and load the scripts in its list of actions. Then: "
        "stembridge serve --daw reaper",
    ),
    "ardour": Setup(
        "Ardour",
        _ardour,
        _ardour_folders,
        "In Ardour, switch on OSC in the preferences, Control Surfaces, and give Stembridge a slot in "
        "Edit, Lua Scripts, Script Manager. Then: stembridge serve --daw ardour",
    ),
}
