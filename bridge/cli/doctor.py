"""`stembridge doctor`: what is set up, what is missing, and why a setting holds."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

_MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    arg = parser.add_argument
    arg("--preset", action="append", default=[], metavar="NAME|FILE", help="show what holds with this preset")
    arg("--full", action="store_true", help="import torch, too, and list its devices (takes seconds)")
    arg("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Print every finding and every setting; 1 if something would stop a render."""
    from stembridge.bridge.checks import all_checks

    config, checks = all_checks(full=arguments.full)
    settings = [
        {"key": one.key, "value": _plain(one.value), "origin": one.origin} for one in config.settings()
    ]
    for preset in arguments.preset:
        _apply(preset, settings)
    ok = all(check.status != "fail" for check in checks)
    if arguments.json:
        facts = {"ok": ok, "checks": [asdict(check) for check in checks], "settings": settings}
        print(json.dumps(facts, ensure_ascii=False))
        return 0 if ok else 1
    for check in checks:
        print(f"{_MARKS[check.status]}  {check.name:<13} {check.text}")
        if check.fix:
            print(f"{'':<19} -> {check.fix}")
    print("\nsettings: flag over preset over config over default")
    key_width = max(len(str(one["key"])) for one in settings)
    value_width = max(len(_text(one["value"])) for one in settings)
    for one in settings:
        print(f"      {one['key']:<{key_width}}  {_text(one['value']):<{value_width}}  {one['origin']}")
    problems = [check.name for check in checks if check.status == "fail"]
    print("\nready to render" if ok else f"\nnot ready: {', '.join(problems)}")
    return 0 if ok else 1


def _apply(name: str, settings: list[dict[str, Any]]) -> None:
    """Put a preset's settings over the configuration's."""
    from stembridge.bridge.presets import load_preset

    preset = load_preset(name)
    for one in settings:
        table, _, key = str(one["key"]).partition(".")
        value = getattr(preset.render, key, None) if table == "render" else None
        if value is not None:
            one["value"], one["origin"] = _plain(value), f"preset {preset.name}"


def _plain(value: object) -> Any:
    """A setting as JSON has it."""
    if isinstance(value, tuple):
        return [str(one) for one in value]
    return value if isinstance(value, str | int | float | bool) else str(value)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
