"""A plug-in's own window, and what is kept of it: a preset with values, and the state beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from stembridge.model.errors import OutputError, PluginError
from stembridge.model.plugins.chain_spec import ChainSpec, PluginSpec
from stembridge.model.plugins.plugin_files import installed_plugins
from stembridge.model.plugins.plugin_process import PluginProcess

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


def check_free(save: Path, plugin: Path, *, overwrite: bool = False) -> Saved:
    """Where saving a plug-in as `save` writes. Raises OutputError for files in the way, or no folder."""
    base = save.with_suffix("") if save.suffix in (".toml", ".vstpreset", ".state") else save
    ending = ".vstpreset" if plugin.suffix == ".vst3" else ".state"
    target = Saved(base.with_name(f"{base.name}.toml"), base.with_name(base.name + ending))
    for path in (target.preset, target.state):
        if path.exists() and not overwrite:
            raise OutputError(f"{path} is there already: --overwrite replaces it")
    if not base.parent.is_dir():
        raise OutputError(f"no folder {base.parent} to save in")
    return target


def edit(spec: PluginSpec, target: Saved, *, load_timeout_s: float = 20.0) -> Saved:
    """Open the plug-in's window, wait until it is closed, and save what was set there.

    The plug-in runs in a child process. Raises PluginError when there is no window to open, and what
    loading raises; KeyboardInterrupt passes, and nothing is saved then.
    """
    process = PluginProcess(load_timeout_s=load_timeout_s)
    try:
        process.describe(spec)
        process.show_window()
        return save_plugin(process, spec, target)
    finally:
        process.close()


def save_plugin(process: PluginProcess, spec: PluginSpec, target: Saved) -> Saved:
    """Save how the plug-in that `process` has loaded stands now: complete files, or none."""
    temporary = target.state.with_name(f".tmp-{target.state.name}")
    text = target.preset.with_name(f".tmp-{target.preset.name}")
    try:
        values = process.save(temporary)
        entry = replace(spec, file=_shortest(Path(spec.file or "")), parameters=values, state=None)
        preset = Preset(
            target.preset.stem, f"{spec.title} as set in its window.", chains={MIX: ChainSpec((entry,))}
        )
        state = json.dumps(target.state.name)
        lines = dump_preset(preset).replace("[[chain.mix]]\n", f"[[chain.mix]]\nstate = {state}\n", 1)
        text.write_text(lines, encoding="utf-8")
        temporary.replace(target.state)
        text.replace(target.preset)
    except OSError as error:
        raise OutputError(f"{target.preset} cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
        text.unlink(missing_ok=True)
    return target


def _shortest(path: Path) -> str:
    """The file's name where that is enough to find it again, also elsewhere; else all of its path."""
    found = [installed for installed in installed_plugins() if installed.name == path.name]
    return path.name if found == [path] else str(path)
