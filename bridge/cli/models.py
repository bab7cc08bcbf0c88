"""`stembridge models`: the separators there are."""

from __future__ import annotations

import argparse
import json
from typing import Any


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="describe one, with its options")
    parser.add_argument("--json", action="store_true", help="JSON on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Print every separator in a line, or one with everything known about it."""
    from stembridge.model.registry import list_separators, separator_entry

    if arguments.name is not None:
        entry = separator_entry(arguments.name)
        facts = _facts(entry)
        facts["options"] = entry.options() if facts["installed"] else {}
        if arguments.json:
            print(json.dumps(facts, default=str))
        else:
            _describe(facts)
        return 0
    models = [_facts(entry) for entry in list_separators()]
    if arguments.json:
        print(json.dumps(models))
        return 0
    rows = [(m["name"], ", ".join(m["stems"]) or "by file name", _delay(m), _state(m)) for m in models]
    heads = ("name", "stems", "latency", "")
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(3)]
    for row, model in zip((heads, *rows), ({"description": ""}, *models), strict=True):
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True))
        print(f"{cells}  {row[3]}".rstrip())
        if model["description"]:
            print(f"    {model['description']}")
    return 0


def _facts(entry: Any) -> dict[str, Any]:
    from stembridge.bridge.checks import installed
    from stembridge.model.registry import resolve

    return {
        "name": entry.name,
        "default": entry.name == resolve("default"),
        "description": entry.description,
        "stems": list(entry.stems),
        "residual_stem": entry.residual_stem,
        "latency_s": entry.latency_s,
        "max_rate": entry.max_rate,
        "max_channels": entry.max_channels,
        "licence": entry.licence,
        "needs": entry.needs,
        "installed": installed(entry.module),
    }


def _describe(facts: dict[str, Any]) -> None:
    rate = f"any; resampled inside above {facts['max_rate']} Hz" if facts["max_rate"] else "any"
    rows = {
        "stems": ", ".join(facts["stems"]) or "by file name",
        "sample rate": rate,
        "latency": _delay(facts),
        "needs": facts["needs"],
        "licence": facts["licence"],
        "state": _state(facts),
    }
    print(f"{facts['name']}: {facts['description']}")
    for key, value in rows.items():
        print(f"  {key:<12} {value}")
    for name, default in facts["options"].items():
        print(f"  option       {name} = {default}")


def _delay(facts: dict[str, Any]) -> str:
    return f"{facts['latency_s']:g} s"


def _state(facts: dict[str, Any]) -> str:
    state = "installed" if facts["installed"] else "not installed"
    return f"{state}, the default" if facts["default"] else state
