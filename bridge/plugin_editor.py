"""A plug-in's own window, and what is kept of it: a preset with values, and the state beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from stembridge.model.chain import ChainSpec, PluginSpec, load_external
from stembridge.model.errors import OutputError, PluginError
from stembridge.model.parameters import Value, external_parameters
from stembridge.model.platform import quiet_descriptors
from stembridge.model.plugins import installed_plugins

from .presets import MIX, Preset, dump_preset, load_preset


@dataclass(frozen=True)
class Saved:
    """The two files an edit leaves."""

    preset: Path
    state: Path


def starting_point(path: Path, plugin_name: str | None, preset: str | None) -> PluginSpec:
    """How the plug-in stands when its window opens: as installed, or as a preset or `.vstpreset` has it.

    Raises PluginError when the preset says nothing about this plug-in, PresetError when it is not one.
    """
    if preset is None:
        return PluginSpec(file=str(path), plugin_name=plugin_name)
    if preset.lower().endswith(".vstpreset"):
        return PluginSpec(file=str(path), plugin_name=plugin_name, state=Path(preset))
    for chain in load_preset(preset).chains.values():
        for spec in chain.plugins:
            if spec.file is not None and Path(spec.file).stem.lower() == path.stem.lower():
                return replace(spec, file=str(path), plugin_name=plugin_name or spec.plugin_name)
    raise PluginError(f"preset {preset} has no {path.name} in any chain")


def edit(spec: PluginSpec, save: Path, *, overwrite: bool = False) -> Saved:
    """Open the plug-in's window, wait until it is closed, and save what was set there.

    Writes `save` with the endings `.toml` and `.vstpreset` (`.state` for Audio Units), complete or not
    at all. Must run on the main thread. Raises OutputError when there is something in the way, PluginError
    when there is no window to open, and passes KeyboardInterrupt on: then nothing is saved.
    """
    target = Saved(_ending(save, ".toml"), _ending(save, _state_suffix(spec)))
    for path in (target.preset, target.state):
        if path.exists() and not overwrite:
            raise OutputError(f"{path} is there already: --overwrite replaces it")
    if not target.preset.parent.is_dir():
        raise OutputError(f"no folder {target.preset.parent} to save in")
    with quiet_descriptors():
        plugin = load_external(spec)
        try:
            plugin.show_editor()
        except RuntimeError as error:
            raise PluginError(f"{spec.title} did not open its window: {error}") from error
    return save_plugin(plugin, spec, target)


def save_plugin(plugin: Any, spec: PluginSpec, target: Saved) -> Saved:
    """Save how a loaded plug-in stands now."""
    values = present_values(plugin)
    entry = replace(spec, file=_shortest(Path(spec.file or "")), parameters=values, state=None)
    chain = ChainSpec((entry,))
    text = dump_preset(
        Preset(target.preset.stem, f"{spec.title} as set in its window.", chains={MIX: chain})
    ).replace("[[chain.mix]]\n", f'[[chain.mix]]\nstate = "{target.state.name}"\n', 1)
    vst3 = target.state.suffix == ".vstpreset"
    with quiet_descriptors():
        _settle(plugin)
        state: bytes = plugin.preset_data if vst3 else plugin.raw_state
    _write(target.state, state)
    _write(target.preset, text.encode())
    return target


def present_values(plugin: Any) -> dict[str, Value]:
    """Every value a user can set, as it stands; what the host or the plug-in itself writes is left out."""
    return {
        name: parameter.value
        for name, parameter in external_parameters(plugin).items()
        if parameter.automatable and parameter.value is not None
    }


def _settle(plugin: Any) -> None:
    """Run a little silence: only then do values that were just set reach the plug-in's own state."""
    for channels in (2, 1):
        try:
            plugin.process(np.zeros((channels, 512), np.float32), 44100, reset=False)
        except ValueError:  # not with so many channels
            continue
        return


def _shortest(path: Path) -> str:
    """The file's name where that is enough to find it again, also on another machine; else all of its path."""
    found = [installed for installed in installed_plugins() if installed.name == path.name]
    return path.name if found == [path] else str(path)


def _state_suffix(spec: PluginSpec) -> str:
    return ".state" if (spec.file or "").endswith(".component") else ".vstpreset"


def _ending(path: Path, suffix: str) -> Path:
    return (
        path.with_suffix(suffix)
        if path.suffix in (".toml", ".vstpreset", ".state")
        else Path(f"{path}{suffix}")
    )


def _write(path: Path, data: bytes) -> None:
    """Write a file so that it is complete or as it was."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error
