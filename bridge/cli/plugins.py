"""`stembridge plugins`: which plug-ins are installed, their parameters, their windows."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stembridge.model.plugins.parameters import Parameter

EXAMPLES = """\
examples:
  stembridge plugins list
  stembridge plugins show Compressor                   one of pedalboard's own
  stembridge plugins show ZaMaximX2.vst3               an installed one
  stembridge plugins edit ZaMaximX2.vst3 --save glue   then: stembridge render SONG --preset glue.toml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="plugins_command", metavar="list|show|edit", required=True)

    command = commands.add_parser("list", help="installed plug-ins, and pedalboard's own effects")
    command.add_argument("--scan", action="store_true", help="look inside all again, not only new ones")
    _common(command)

    command = commands.add_parser("show", help="every parameter of one plug-in: range, choices, default")
    command.add_argument("plugin", metavar="NAME|FILE")
    command.add_argument("--plugin-name", metavar="NAME", help="which of several plug-ins in the file")
    _common(command)

    command = commands.add_parser("edit", help="open the vendor's window; save its state and values")
    command.add_argument("plugin", metavar="NAME|FILE")
    command.add_argument("--plugin-name", metavar="NAME", help="which of several plug-ins in the file")
    command.add_argument("--save", required=True, type=Path, metavar="FILE",
                         help="writes FILE.toml, a preset for `render`, and the state beside it")  # fmt: skip
    command.add_argument("--preset", metavar="FILE", help="start from this preset or .vstpreset")
    command.add_argument("--overwrite", action="store_true", help="replace what --save finds there")
    _common(command)


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--folder", action="append", type=Path, default=[], metavar="DIR",
                         help="look for plug-ins here first (may repeat)")  # fmt: skip
    command.add_argument("--timeout", type=float, default=20.0, metavar="S",
                         help="give up on a plug-in that takes longer to load (default: 20)")  # fmt: skip
    command.add_argument("--json", action="store_true", help="machine-readable, on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Run `list`, `show` or `edit`."""
    from stembridge.bridge.config import load_config

    folders = (*arguments.folder, *load_config().plugins.folders)
    return {"list": _list, "show": _show, "edit": _edit}[arguments.plugins_command](arguments, folders)


def _list(arguments: argparse.Namespace, folders: tuple[Path, ...]) -> int:
    from stembridge.model.plugins.parameters import native_effects
    from stembridge.model.plugins.plugin_files import installed_plugins, plugin_folders
    from stembridge.model.plugins.scan import PluginInfo, scan_plugins

    paths = installed_plugins(folders)
    if not paths:
        print(f"no plug-ins in {', '.join(map(str, plugin_folders(folders)))}", file=sys.stderr)
    found: list[PluginInfo] = []
    for info in scan_plugins(paths, timeout_s=arguments.timeout, again=arguments.scan):
        found.append(info)
        if info.error:
            print(f"stembridge: warning: {info.error}", file=sys.stderr)
    native = list(native_effects())
    if arguments.json:
        print(json.dumps({"native": native, "installed": [asdict(info) for info in found]}, indent=2))
        return 0
    rows = [(info.file, info.name, info.manufacturer, _kind(info)) for info in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    print(f"pedalboard's own: {', '.join(native)}")
    return 0


def _kind(info: Any) -> str:
    if info.error:
        return "cannot be used"
    if info.instrument:
        return "instrument"
    channels = {(1, 2): "mono, stereo", (1,): "mono only", (2,): "stereo only"}.get(
        info.channels, "other layouts"
    )
    return channels + (f", {info.latency_samples} samples of latency" if info.latency_samples else "")


def _show(arguments: argparse.Namespace, folders: tuple[Path, ...]) -> int:
    from stembridge.model.plugins.chain_spec import PluginSpec
    from stembridge.model.plugins.parameters import Parameter, native_effects, native_parameters

    if arguments.plugin in native_effects():
        about: dict[str, Any] = {"name": arguments.plugin, "plugin": arguments.plugin}
        parameters = list(native_parameters(arguments.plugin).values())
    else:
        path = _find(arguments.plugin, folders)
        seen = _describe(PluginSpec(file=str(path), plugin_name=arguments.plugin_name), arguments.timeout)
        parameters = [
            Parameter(**{**entry, "choices": tuple(entry["choices"])}) for entry in seen.pop("parameters")
        ]
        about = {"file": path.name, "path": str(path), **seen}
    if arguments.json:
        listed = [{**_finite(parameter), "range": parameter.range_text} for parameter in parameters]
        print(json.dumps({**about, "parameters": listed}, indent=2))
        return 0
    print(_headline(about))
    width = max((len(parameter.name) for parameter in parameters), default=0)
    for parameter in parameters:
        print(f"  {parameter.name:{width}}  {_line(parameter)}")
    return 0


def _headline(about: dict[str, Any]) -> str:
    if "plugin" in about:
        return f"{about['name']}, one of pedalboard's own"
    channels = " or ".join(map(str, about["channels"])) or "no mono or stereo"
    return (
        f"{about['name']} {about['version']} by {about['manufacturer']} ({about['path']}): "
        f"{'instrument' if about['instrument'] else f'{channels} channels'}, "
        f"{about['latency_samples']} samples of latency"
    )


def _line(parameter: Parameter) -> str:
    text = parameter.range_text
    if parameter.default is not None:
        text += f"; default {_said(parameter.default)}"
    if parameter.value is not None and _said(parameter.value) != _said(parameter.default):
        text += f"; now {_said(parameter.value)}"
    return text if parameter.automatable else text + " (set by the host or the plug-in)"


def _said(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _finite(parameter: Parameter) -> dict[str, Any]:
    """Fields for JSON, which has no infinity: `high` null where the range text says what bounds it."""
    plain = {field.name: getattr(parameter, field.name) for field in fields(parameter)}
    return {key: None if value == float("inf") else value for key, value in plain.items()}


def _find(name: str, folders: tuple[Path, ...]) -> Path:
    from stembridge.model.errors import PluginError
    from stembridge.model.plugins.parameters import native_effects, suggest
    from stembridge.model.plugins.plugin_files import find_plugin

    try:
        return find_plugin(name, folders)
    except PluginError as error:
        hint = suggest(name, native_effects()) if "Did you mean" not in str(error) else ""
        raise PluginError(f"{error} Of pedalboard's own effects there is none of that name{hint}") from error


def _describe(spec: Any, timeout_s: float) -> dict[str, Any]:
    """Load a plug-in where it can do no harm, and hear what it says about itself."""
    from stembridge.model.plugins.plugin_process import PluginProcess

    process = PluginProcess(load_timeout_s=timeout_s)
    try:
        return process.describe(spec)
    finally:
        process.close()


def _edit(arguments: argparse.Namespace, folders: tuple[Path, ...]) -> int:
    from stembridge.bridge.plugin_editor import check_free, edit, starting_point
    from stembridge.model.errors import PluginError
    from stembridge.model.plugins.parameters import native_effects

    if arguments.plugin in native_effects():
        raise PluginError(
            f"{arguments.plugin} is one of pedalboard's own effects and has no window: "
            f"see `stembridge plugins show {arguments.plugin}`"
        )
    path = _find(arguments.plugin, folders)
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        raise PluginError(
            "a plug-in's window needs a display, and DISPLAY is not set: run this on a desktop, or set "
            "values in a preset (`stembridge plugins show` lists them)"
        )
    target = check_free(arguments.save, path, overwrite=arguments.overwrite)
    spec = starting_point(path, arguments.plugin_name, arguments.preset)
    saved = edit(spec, target, load_timeout_s=arguments.timeout)
    if arguments.json:
        print(json.dumps({"preset": str(saved.preset), "state": str(saved.state)}))
    else:
        print(f"saved {saved.preset} and {saved.state.name}: stembridge render SONG --preset {saved.preset}")
    return 0
