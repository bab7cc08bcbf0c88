"""Presets by name and by path: those of the user first, then those that ship."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import platformdirs
from stembridge.model.plugins.parameters import suggest

from .preset_spec import MIX, SCHEMA, MasterSettings, Preset, PresetError, RenderSettings
from .preset_toml import dump_preset, parse_preset

__all__ = [
    "MIX",
    "SCHEMA",
    "MasterSettings",
    "Preset",
    "PresetError",
    "RenderSettings",
    "dump_preset",
    "load_preset",
    "parse_preset",
    "preset_paths",
    "read_preset",
    "user_folder",
]


def user_folder() -> Path:
    """Where a user's own presets live."""
    return platformdirs.user_config_path("stembridge") / "presets"


def preset_paths() -> dict[str, Path]:
    """Every preset by name: shipped ones, and the user's, which go before shipped ones of the same name."""
    with resources.as_file(resources.files("stembridge.presets")) as shipped:
        folders = (shipped, user_folder())
    found = {path.stem: path for folder in folders for path in folder.glob("*.toml")}
    return dict(sorted(found.items()))


def load_preset(name_or_path: str | Path) -> Preset:
    """Read a preset by name, or by path when there is a folder or `.toml` in it.

    Raises PresetError naming the file, the line where it can be told, and the nearest valid key or name.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text or "\\" in text:
        path = Path(text).expanduser()
        if not path.is_file():
            raise PresetError(f"no preset file at {path}")
        return read_preset(path)
    known = preset_paths()
    if text not in known:
        raise PresetError(
            f"no preset {text!r}; there are {', '.join(sorted(known))}{suggest(text, known) or '.'} "
            f"Your own belong in {user_folder()}; a file is given by its path."
        )
    return read_preset(known[text])


def read_preset(path: Path) -> Preset:
    """Read a preset file. Raises PresetError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PresetError(f"{path}: cannot be read as text: {error}") from error
    return parse_preset(text, path.stem, path)
