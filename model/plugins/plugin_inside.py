"""What a plug-in says about itself once it is loaded. Runs its code: call it in a child process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pedalboard
from pedalboard import load_plugin  # type: ignore[attr-defined]

from ..errors import PluginError
from .chain import load_external, takes_channels
from .chain_spec import PluginSpec
from .parameters import Value, external_parameters

_Notice = Callable[[str], None]


def load(spec: PluginSpec, notice: _Notice) -> Any:
    """Load one plug-in with its state and values."""
    notice(spec.title)
    return load_external(spec)


def describe(plugin: Any) -> dict[str, Any]:
    """What a loaded plug-in is, and every parameter it has (fields of `Parameter`)."""
    parameters = [asdict(parameter) for parameter in external_parameters(plugin).values()]
    return {**_summary(plugin), "parameters": parameters}


def save(plugin: Any, file: Path) -> dict[str, Value]:
    """Write a plug-in's state (`.vstpreset`: in that format); return its values.

    Values are those a user can set: what the host or the plug-in itself writes is left out.
    """
    for channels in (2, 1):  # only while sound runs do values reach the plug-in's own state
        if takes_channels(plugin, channels):
            break
    file.write_bytes(plugin.preset_data if file.suffix == ".vstpreset" else plugin.raw_state)
    return {
        name: parameter.value
        for name, parameter in external_parameters(plugin).items()
        if parameter.automatable and parameter.value is not None
    }


def scan(path: Path, notice: _Notice) -> list[dict[str, Any]]:
    """Look into a plug-in file: a summary of each plug-in in it. Raises PluginError."""
    notice(path.name)
    found = []
    try:
        names = _kind(path).get_plugin_names_for_file(str(path))
        for name in names:
            notice(f"{path.name} ({name})" if len(names) > 1 else path.name)
            plugin: Any = load_plugin(str(path), plugin_name=name)
            found.append({**_summary(plugin), "parameters": len(plugin.parameters)})
    except (ImportError, ValueError, RuntimeError) as error:
        raise PluginError(f"{path.name} cannot be loaded: {error}") from error
    return found


def _kind(path: Path) -> Any:
    if path.suffix == ".component":
        return pedalboard.AudioUnitPlugin  # macOS only
    return pedalboard.VST3Plugin


def _summary(plugin: Any) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "manufacturer": plugin.manufacturer_name,
        "version": plugin.version,
        "category": plugin.category,
        "instrument": plugin.is_instrument,
        "channels": [] if plugin.is_instrument else [n for n in (1, 2) if takes_channels(plugin, n)],
        "latency_samples": plugin.reported_latency_samples,
    }
