"""Presets as TOML text: read key by key, each checked; written back as text that reads the same.

A key that means nothing is an error that names the file, the line and the nearest key there is.

In a chain entry every key but plugin, file, plugin_name, state, mix and dual_mono is a parameter. An
effect with a `mix` of its own (Chorus, Delay, Phaser, Convolution) has that under `parameters`:

    [[chain.vocals]]
    plugin = "Delay"
    mix = 0.5                      # half of the line stays dry
    parameters = { mix = 0.2 }     # the effect's own
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from stembridge.model.audio import BIT_DEPTHS, CONTAINERS
from stembridge.model.errors import PluginError
from stembridge.model.plugins.chain_spec import ChainSpec, PluginSpec
from stembridge.model.plugins.parameters import Value, native_parameters, suggest
from stembridge.model.residual import RESIDUAL_POLICIES
from stembridge.model.units import MAX_GAIN_DB

from .preset_spec import SCHEMA, MasterSettings, Preset, PresetError, RenderSettings

_STEM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.+-]*")
_ENTRY_KEYS = ("plugin", "file", "plugin_name", "parameters", "state", "mix", "dual_mono")

# As in model/rendering/spec.py, which would load the whole renderer; a test holds them together.
OVERS = ("gain", "clip", "error")
UNTIL_SILENT = "until-silent"

_Read = Callable[[Any], Any]
"""Turns a TOML value into a setting; raises ValueError saying what it must be."""


def parse_preset(text: str, name: str, path: Path | None = None) -> Preset:
    """Turn the text of a preset into a Preset; `path` is what its relative paths start from.

    Raises PresetError.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PresetError(f"{path or name}: not TOML: {error}") from error
    return _Reader(text, name, path).preset(data)


class _Reader:
    """Reads one preset; knows the text, so that errors can say the line."""

    def __init__(self, text: str, name: str, path: Path | None) -> None:
        self._lines = text.splitlines()
        self._name = name
        self._path = path

    def preset(self, data: dict[str, Any]) -> Preset:
        schema = data.get("schema")
        if isinstance(schema, int) and not isinstance(schema, bool) and schema > SCHEMA:
            self._fail(
                "", "schema", f"schema {schema} is newer than this Stembridge knows ({SCHEMA}): update it"
            )
        if schema != SCHEMA or isinstance(schema, bool):
            self._fail("", "schema", f"a preset starts with `schema = {SCHEMA}`; got {schema!r}")
        tables = {"render", "gains_db", "pan", "chain", "master"}
        self._known("", data, {"schema", "description", *tables})
        for key in tables:
            if not isinstance(data.get(key, {}), dict):
                self._fail("", key, f"{key} is a table, `[{key}]`; got {data[key]!r}")
        description = data.get("description", "")
        if not isinstance(description, str):
            self._fail("", "description", f"description is a text; got {description!r}")
        return Preset(
            name=self._name,
            description=description,
            render=RenderSettings(**self._table("render", data, _RENDER)),
            gains_db=self._numbers("gains_db", data, -math.inf, MAX_GAIN_DB, "dB (-inf is silence)"),
            pan=self._numbers("pan", data, -1.0, 1.0, "(left to right)"),
            chains={stem: self._chain(stem, list_) for stem, list_ in data.get("chain", {}).items()},
            master=self._master(data),
            path=self._path,
        )

    def _master(self, data: Mapping[str, Any]) -> MasterSettings:
        settings = self._table("master", data, _MASTER)
        if "reference" in settings:
            settings["reference"] = str(self._beside(settings["reference"]))
        return MasterSettings(**settings)

    def _table(self, table: str, data: Mapping[str, Any], readers: Mapping[str, _Read]) -> dict[str, Any]:
        entries = data.get(table, {})
        self._known(table, entries, readers)
        read = {}
        for key, value in entries.items():
            try:
                read[key] = readers[key](value)
            except ValueError as error:
                self._fail(table, key, f"{key} {error}; got {value!r}")
        return read

    def _numbers(
        self, table: str, data: Mapping[str, Any], low: float, high: float, unit: str
    ) -> dict[str, float]:
        numbers = {}
        for stem, value in data.get(table, {}).items():
            try:
                numbers[_stem(stem)] = _number(low, high, unit)(value)
            except ValueError as error:
                self._fail(table, stem, f"{stem} {error}; got {value!r}")
        return numbers

    def _chain(self, stem: str, entries: object) -> ChainSpec:
        table = f"chain.{stem}"
        if not _STEM_NAME.fullmatch(stem):
            self._fail("chain", stem, f"{stem!r} is no name of a stem")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            self._fail("chain", stem, f"a chain is a list of plug-ins, each under `[[{table}]]`")
        origin = f"{self._path.name if self._path else self._name}, {table}"
        return ChainSpec(tuple(self._entry(table, n, entry) for n, entry in enumerate(entries)), origin)

    def _entry(self, table: str, index: int, entry: dict[str, Any]) -> PluginSpec:
        def fail(key: str | None, text: str) -> NoReturn:
            self._fail(table, key, text, index)

        for key in ("plugin", "file", "plugin_name", "state"):
            if not isinstance(entry.get(key, ""), str):
                fail(key, f"{key} is a text; got {entry[key]!r}")
        if not isinstance(entry.get("dual_mono", False), bool):
            fail("dual_mono", f"dual_mono is true or false; got {entry['dual_mono']!r}")
        values = entry.get("parameters", {})
        if not isinstance(values, dict):
            fail("parameters", f"parameters is a table of names and values; got {values!r}")
        inline = {key: value for key, value in entry.items() if key not in _ENTRY_KEYS}
        for key in inline:
            if key in values:
                fail(key, f"{key} is given twice, in the entry and under parameters")
        values = {**inline, **values}
        for key, value in values.items():
            if not isinstance(value, bool | int | float | str):
                fail(key, f"{key} is a number, a text or true/false; got {value!r}")
        fixed = {
            key: entry[key] for key in _ENTRY_KEYS if key in entry and key not in ("parameters", "state")
        }
        try:
            values = self._native_values(entry.get("plugin"), values, fail)
            state = self._beside(entry["state"]) if "state" in entry else None
            return PluginSpec(**fixed, parameters=values, state=state)
        except PluginError as error:
            fail(None, str(error))

    def _native_values(
        self, plugin: str | None, values: dict[str, Value], fail: Callable[[str | None, str], NoReturn]
    ) -> dict[str, Value]:
        """Check the values for one of pedalboard's own effects, which needs no plug-in to be loaded."""
        if plugin is None:
            return values
        known = native_parameters(plugin)
        for key, value in values.items():
            if key not in known:
                hint = suggest(key, [*known, *_ENTRY_KEYS]) or "."
                fail(key, f"{plugin} has no parameter {key!r}{hint} It has {', '.join(known) or 'none'}")
            if known[key].kind == "file" and isinstance(value, str):
                values[key] = value = str(self._beside(value))
            try:
                known[key].check(value, plugin)
            except PluginError as error:
                fail(key, str(error))
        return values

    def _beside(self, file: str) -> Path:
        """A path as written in the preset: relative to the preset."""
        path = Path(file).expanduser()
        return path if self._path is None else self._path.parent.absolute() / path

    def _known(self, table: str, entries: Mapping[str, Any], known: Iterable[str]) -> None:
        for key in entries:
            if key not in known:
                where = f"[{table}] has" if table else "a preset has"
                hint = suggest(key, known) or f". It has {', '.join(sorted(known))}"
                self._fail(table, key, f"{where} no key {key!r}{hint}")

    def _fail(self, table: str, key: str | None, text: str, index: int = 0) -> NoReturn:
        line = self._line(table, key, index)
        raise PresetError(f"{self._path or self._name}{f', line {line}' if line else ''}: {text}")

    def _line(self, table: str, key: str | None, index: int) -> int | None:
        """The line of a key in the nth table of that name, or of the table; None when written otherwise."""
        here, seen, header_line = "", -1, None
        name = r"""["']?{}["']?"""
        for number, line in enumerate(self._lines, 1):
            if header := re.match(r"\s*(\[\[?)\s*([^\]]+?)\s*\]", line):
                here = re.sub(r"""\s*\.\s*|["']""", lambda found: "." if "." in found[0] else "", header[2])
                if here == table and (header[1] == "[" or (seen := seen + 1) == index):
                    header_line = number
                if key is not None and here == (f"{table}.{key}" if table else key):
                    return number
            mine = here == table and (header_line is not None or not table)
            inside = mine or (header_line is not None and here == f"{table}.parameters")
            if key is not None and inside and re.match(rf"\s*{name.format(re.escape(key))}\s*[=.]", line):
                return number
            if inside and seen > index:
                break
        return header_line


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("is a text")
    return value


def _stem(value: Any) -> str:
    if not isinstance(value, str) or not _STEM_NAME.fullmatch(value):
        raise ValueError("is the name of a stem")
    return value


def _stems(value: Any) -> tuple[str, ...]:
    names = [name.strip() for name in value.split(",")] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(n, str) and _STEM_NAME.fullmatch(n) for n in names):
        raise ValueError('is a list of stems, ["drums", "bass"]')
    return tuple(names)


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is true or false")
    return value


def _number(low: float, high: float, unit: str) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            start = "at most" if low == -math.inf else f"{low:g} to"
            raise ValueError(f"is a number, {start} {high:g} {unit}".rstrip())
        return float(value)

    return read


def _choice(*choices: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if text not in choices:
            raise ValueError(f"is one of {', '.join(choices)}")
        return str(text)

    return read


def _submixes(value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise ValueError('is a table, { beat = ["drums", "bass"] }')
    plain = {name: stems.split("+") if isinstance(stems, str) else stems for name, stems in value.items()}
    return {_stem(name): _stems(stems) for name, stems in plain.items()}


def _sensitivities(value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        raise ValueError("is a table, { vocals = 7 }")
    return {_stem(stem): _number(0.0, 10.0, "")(number) for stem, number in value.items()}


def _tail(value: Any) -> float | str:
    if value == UNTIL_SILENT:
        return UNTIL_SILENT
    try:
        return _number(0.0, 600.0, "seconds")(value)
    except ValueError as error:
        raise ValueError(f"{error}, or {UNTIL_SILENT!r}") from error


def _sample_rate(value: Any) -> int | str:
    if value == "keep":
        return "keep"
    if not isinstance(value, int) or isinstance(value, bool) or not 8000 <= value <= 192_000:
        raise ValueError('is "keep" or a rate from 8000 to 192000 Hz')
    return value


_RENDER: Mapping[str, _Read] = {
    "model": _text,
    "stems": _stems,
    "two_stems": _stem,
    "mute": _stems,
    "solo": _stems,
    "submix": _submixes,
    "sensitivity": _sensitivities,
    "tail": _tail,
    "mix": _switch,
    "post_fader": _switch,
    "residual": _choice(*RESIDUAL_POLICIES),
    "format": _choice(*CONTAINERS),
    "bit_depth": _choice(*BIT_DEPTHS),
    "overs": _choice(*OVERS),
    "sample_rate": _sample_rate,
}

_MASTER: Mapping[str, _Read] = {
    "lufs": _number(-70.0, 0.0, "LUFS"),
    "true_peak": _number(-40.0, 0.0, "dBTP"),
    "mix_amount": _number(0.0, 1.0, "(dry to wet)"),
    "reference": _text,
    "lookahead_ms": _number(0.5, 50.0, "ms"),
    "release_ms": _number(5.0, 5000.0, "ms"),
}


_ENTRY_DEFAULTS = PluginSpec(plugin="any").to_json() | {"plugin": None}


def dump_preset(preset: Preset) -> str:
    """Write a preset as TOML that `parse_preset` reads as the same preset; its paths are written whole."""
    lines = [f"schema = {SCHEMA}"]
    if preset.description:
        lines.append(f"description = {_toml(preset.description)}")
    for table, values in (
        ("render", _set_fields(preset.render)),
        ("gains_db", preset.gains_db),
        ("pan", preset.pan),
        ("master", _set_fields(preset.master)),
    ):
        if values:
            lines += ["", f"[{table}]", *_pairs(values)]
    for stem, chain in preset.chains.items():
        for spec in chain.plugins:
            plain = spec.to_json()
            parameters = plain.pop("parameters")
            entry = {key: plain[key] for key in plain if plain[key] != _ENTRY_DEFAULTS[key]}
            lines += ["", f"[[chain.{_key(stem)}]]", *_pairs(entry)]
            if parameters:
                lines += [f"[chain.{_key(stem)}.parameters]", *_pairs(parameters)]
    return "\n".join(lines) + "\n"


def _set_fields(settings: RenderSettings | MasterSettings) -> dict[str, Any]:
    values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    return {key: value for key, value in values.items() if value not in (None, (), {})}


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {_toml(value)}" for key, value in values.items()]


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml(key)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(_pairs(value)) + " }"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
