"""The chain of a preset, as the processes that play take it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stembridge.model.errors import StembridgeError

from ..hub import Refusal
from .outputs import MIX


def find_chain(stem: str, preset: str, folders: Sequence[Path]) -> None:
    """Look whether a preset, given by name and never by path, has a chain for a stem. Raises Refusal."""
    from ..presets import preset_paths

    if preset not in preset_paths():
        raise Refusal("not_found", f"no preset {preset[:80]!r}; presets are given by name here")
    try:
        read_chain(stem, preset, folders)
    except StembridgeError as error:
        raise Refusal("not_found", str(error)) from error


def read_chain(stem: str, preset: str, folders: Sequence[Path]) -> dict[str, Any]:
    """The chain that a preset, by name or path, has for a stem, or else for the mix; as plain data.

    Raises PresetError for a preset without one, PluginError for a plug-in that is not installed.
    """
    from ..presets import PresetError, load_preset

    found = load_preset(preset)
    chain = found.chains.get(stem) or found.chains.get(MIX)
    if chain is None:
        there = ", ".join(found.chains) or "none"
        raise PresetError(
            f"preset {preset} has no chain for {stem} and none for the mix (its chains: {there})"
        )
    return chain.located(folders).to_json()
