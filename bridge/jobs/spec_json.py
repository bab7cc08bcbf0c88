"""A `RenderSpec` as JSON text: what the queue keeps of a job. Equal specs, equal texts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

from stembridge.model.audio import OutputFormat
from stembridge.model.automation import Automation, Move
from stembridge.model.errors import ArgumentValueError
from stembridge.model.mixer import MixerState
from stembridge.model.plugins.chain_spec import ChainSpec
from stembridge.model.rendering import RenderSpec, Version
from stembridge.model.units import SILENCE_DB, Time

SCHEMA = 1


def spec_to_json(spec: RenderSpec) -> str:
    """Write a spec down; ASCII only, whatever its paths hold."""
    data = {field.name: _plain(getattr(spec, field.name)) for field in fields(spec)}
    return json.dumps({"schema": SCHEMA, **data}, sort_keys=True, separators=(",", ":"), allow_nan=False)


def spec_from_json(text: str) -> RenderSpec:
    """The spec that was written. Raises ArgumentValueError for a text that is none."""
    try:
        data = json.loads(text)
        if data.pop("schema") != SCHEMA:
            raise ArgumentValueError("this job was queued by another version of Stembridge: queue it again")
        return RenderSpec(**{name: _READ.get(name, _same)(value) for name, value in data.items()})
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ArgumentValueError(
            f"not a job that this version can read ({error!r}): queue it again"
        ) from error


def _plain(value: Any) -> Any:
    """A value as JSON has it: data classes as objects, sets in order, silence as a number."""
    match value:
        case Path() | PurePosixPath():
            return str(value)
        case Fraction():
            return [value.numerator, value.denominator]
        case ChainSpec():
            return value.to_json()
        case frozenset():
            return sorted(value)
        case tuple() | list():
            return [_plain(one) for one in value]
        case Mapping():
            return {str(key): _plain(one) for key, one in value.items()}
        case float() if value == -math.inf:
            return SILENCE_DB
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value


def _same(value: Any) -> Any:
    return value


def _optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


def _time(data: Mapping[str, Any]) -> Time:
    seconds = None if data["seconds"] is None else Fraction(*data["seconds"])
    return Time(seconds, data["samples"])


def _mixer(data: Mapping[str, Any]) -> MixerState:
    return MixerState(**{**data, "mutes": frozenset(data["mutes"]), "solos": frozenset(data["solos"])})


def _automation(data: Mapping[str, Any]) -> Automation:
    return Automation(tuple(Move(**{**move, "time": _time(move["time"])}) for move in data["moves"]))


def _version(data: Mapping[str, Any]) -> Version:
    return Version(**{name: _READ_VERSION.get(name, _same)(value) for name, value in data.items()})


_READ_VERSION: Mapping[str, Callable[[Any], Any]] = {
    "mixer": _mixer,
    "submixes": lambda submixes: {name: tuple(members) for name, members in submixes.items()},
    "chains": lambda chains: {stem: ChainSpec.from_json(chain) for stem, chain in chains.items()},
    "mix_chain": _optional(ChainSpec.from_json),
    "automation": _optional(_automation),
}
_READ: Mapping[str, Callable[[Any], Any]] = {
    "source": Path,
    "out": Path,
    "tree": _optional(PurePosixPath),
    "stems_from": _optional(Path),
    "stems": _optional(tuple),
    "versions": lambda versions: tuple(_version(data) for data in versions),
    "format": lambda data: OutputFormat(**data),
    "start": _optional(_time),
    "end": _optional(_time),
    "plugin_folders": lambda folders: tuple(Path(folder) for folder in folders),
}
"""How the values of those fields are read that JSON has no form of; of versions above."""
