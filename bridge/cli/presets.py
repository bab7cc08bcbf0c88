"""`stembridge presets`: which presets there are, and what each does."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stembridge.bridge.presets import Preset
    from stembridge.model.plugins.chain_spec import PluginSpec


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("name", nargs="?", metavar="NAME|FILE", help="describe this one in full")
    parser.add_argument("--json", action="store_true", help="machine-readable, on standard output")


def run(arguments: argparse.Namespace) -> int:
    """List all presets, a line each, or describe one. 1 if one of the user's own cannot be read."""
    from stembridge.bridge.presets import load_preset

    if arguments.name is None:
        return _list(arguments.json)
    preset = load_preset(arguments.name)
    if arguments.json:
        print(json.dumps(_plain(preset), indent=2))
    else:
        print("\n".join(_description(preset)))
    return 0


def _list(as_json: bool) -> int:
    import sys

    from stembridge.bridge.presets import PresetError, preset_paths, read_preset

    found, failed = [], 0
    for path in preset_paths().values():
        try:
            found.append(read_preset(path))
        except PresetError as error:
            failed = 1
            print(f"stembridge: error: {error}", file=sys.stderr)
    if as_json:
        print(json.dumps([_plain(preset) for preset in found], indent=2))
        return failed
    width = max((len(preset.name) for preset in found), default=0)
    for preset in found:
        print(f"{preset.name:{width}}  {preset.description or '(no description)'}")
    return failed


def _plain(preset: Preset) -> dict[str, Any]:
    """A preset as JSON can hold it: silence as -144 dB, settings that are not set left out."""
    from stembridge.model.units import SILENCE_DB

    return {
        "name": preset.name,
        "description": preset.description,
        "path": None if preset.path is None else str(preset.path),
        "render": _set(preset.render),
        "gains_db": {stem: max(gain, SILENCE_DB) for stem, gain in preset.gains_db.items()},
        "pan": dict(preset.pan),
        "chain": {stem: chain.to_json()["plugins"] for stem, chain in preset.chains.items()},
        "master": _set(preset.master),
    }


def _set(settings: Any) -> dict[str, Any]:
    return {key: value for key, value in dataclasses.asdict(settings).items() if value not in (None, (), {})}


def _description(preset: Preset) -> list[str]:
    lines = [f"{preset.name}: {preset.description}", f"  file: {preset.path}"]
    for title, settings in (("render", preset.render), ("master", preset.master)):
        lines += [
            f"  {title}: {key.replace('_', ' ')} = {_said(value)}" for key, value in _set(settings).items()
        ]
    for stem, gain in preset.gains_db.items():
        lines.append(f"  {stem}: " + (f"{gain:+g} dB" if gain > -144 else "silent"))
    lines += [f"  {stem}: balance {pan:+g}" for stem, pan in preset.pan.items()]
    for stem, chain in preset.chains.items():
        lines.append(f"  chain of {'the mix' if stem == 'mix' else stem}:")
        lines += [f"    {_entry(spec)}" for spec in chain.plugins]
    return lines


def _entry(spec: PluginSpec) -> str:
    said = [f"{key}={value}" for key, value in spec.parameters.items()]
    if spec.state is not None:
        said.append(f"state from {spec.state}")
    if spec.mix != 1.0:
        said.append(f"{spec.mix:.0%} wet")
    if spec.dual_mono:
        said.append("one instance per channel")
    return f"{spec.title}  {', '.join(said)}".rstrip()


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_said(entry)}" for key, entry in value.items())
    if isinstance(value, tuple | list):
        return "+".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
