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
    heads = ("name", "stems", "rate", "latency", "size", "SDR (vocals)", "speed", "")
    rows = [
        (m["name"], _stems(m), _rate(m), _delay(m), _size(m), _sdr(m), _speed(m), _state(m)) for m in models
    ]
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    for row, model in zip((heads, *rows), (None, *models), strict=True):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if model is not None:
            print(f"    {model['description']}; licence: {model['licence']}")
    print(
        "\nSDR in dB, average over the stems (`stembridge models NAME` says of which songs); "
        "speed in seconds of audio per second of one core"
    )
    return 0


def _facts(entry: Any) -> dict[str, Any]:
    from stembridge.bridge.checks import installed
    from stembridge.model.registry import DEFAULT

    return {
        "name": entry.name,
        "default": entry.name == DEFAULT,
        "description": entry.description,
        "stems": list(entry.stems),
        "residual_stem": entry.residual_stem,
        "latency_s": entry.latency_s,
        "rate": entry.rate,
        "max_rate": entry.max_rate,
        "max_channels": entry.max_channels,
        "licence": entry.licence,
        "needs": entry.needs,
        "size_bytes": entry.size_bytes,
        "parameters": entry.parameters,
        "weights": str(entry.weights) if entry.weights is not None else None,
        "weights_sha256": entry.weights_sha256,
        "sdr_db": dict(entry.sdr_db),
        "sdr_songs": entry.sdr_songs,
        "speed": entry.speed,
        "installed": installed(entry.module) and not entry.missing,
        "missing": entry.missing,
    }


def _describe(facts: dict[str, Any]) -> None:
    rate = f"any; resampled inside above {facts['max_rate']} Hz" if facts["max_rate"] else "any"
    if facts["rate"]:
        rate = f"{facts['rate']} Hz; any other is resampled inside"
    scores = ", ".join(f"{stem} {score:.1f}" for stem, score in facts["sdr_db"].items())
    songs = f" on {facts['sdr_songs']}" if facts["sdr_songs"] else ""
    rows = {
        "stems": _stems(facts),
        "sample rate": rate,
        "latency": _delay(facts),
        "needs": facts["needs"],
        "size": f"{_size(facts)}, {facts['parameters']} parameters" if facts["parameters"] else _size(facts),
        "weights": f"{facts['weights']}, sha256 {facts['weights_sha256']}" if facts["weights"] else "",
        "SDR": f"{scores} dB{songs}" if scores else "",
        "speed": f"{_speed(facts)} real time on one core" if facts["speed"] else "",
        "licence": facts["licence"],
        "state": _state(facts),
    }
    print(f"{facts['name']}: {facts['description']}")
    for key, value in rows.items():
        if value:
            print(f"  {key:<12} {value}")
    for name, default in facts["options"].items():
        print(f"  option       {name} = {default}")


def _stems(facts: dict[str, Any]) -> str:
    return ", ".join(facts["stems"]) or "by file name"


def _rate(facts: dict[str, Any]) -> str:
    return f"{facts['rate'] / 1000:g} kHz" if facts["rate"] else "any"


def _delay(facts: dict[str, Any]) -> str:
    return f"{facts['latency_s']:.3g} s"


def _size(facts: dict[str, Any]) -> str:
    return f"{facts['size_bytes'] / 1e6:.1f} MB" if facts["size_bytes"] else ""


def _sdr(facts: dict[str, Any]) -> str:
    scores = facts["sdr_db"]
    average = f"{scores['average']:.1f}" if "average" in scores else ""
    return f"{average} ({scores['vocals']:.1f})".strip() if "vocals" in scores else average


def _speed(facts: dict[str, Any]) -> str:
    return f"{facts['speed']:.3g}x" if facts["speed"] else ""


def _state(facts: dict[str, Any]) -> str:
    state = "installed" if facts["installed"] else f"not installed: {facts['missing']}".rstrip(": ")
    return f"{state}, the default" if facts["default"] else state
