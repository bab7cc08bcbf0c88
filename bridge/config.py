"""What a user has settled once: `config.toml`, read and checked, with the reason for every value.

The file lives in the user's configuration folder (`STEMBRIDGE_CONFIG` names another) and may be missing:

    schema = 1
    [render]
    model = "repet"
    out = "~/Music/stems"
    format = "flac"
    [plugins]
    folders = ["~/vst3"]
    [cache]
    limit_gb = 20
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import platformdirs
from stembridge.model.errors import ArgumentValueError, StembridgeError

if TYPE_CHECKING:
    from stembridge.model.audio import BitDepth, Container
    from stembridge.model.rendering.spec import Overs
    from stembridge.model.residual import ResidualPolicy

SCHEMA = 1
"""The newest form of the file that this version reads."""

PATH_VARIABLE = "STEMBRIDGE_CONFIG"
DEFAULT_TEMPLATE = "{model}/{track}/{track} - {stem}.{ext}"

LATER_TABLES = ("serve", "midi", "player", "daw", "osc")
"""Settings of `serve`: kept as they are, and left to it."""


class ConfigError(StembridgeError, ValueError):
    """A configuration that cannot be read or says what it cannot say."""


@dataclass(frozen=True)
class RenderDefaults:
    """What `render` does unless a flag or a preset says otherwise; named as its flags."""

    model: str = "default"
    out: Path = Path("separated")
    """Relative: to the folder `stembridge` is started in."""
    filename: str = DEFAULT_TEMPLATE
    format: Container = "wav"
    bit_depth: BitDepth = "32f"
    overs: Overs = "gain"
    sample_rate: int | str = "keep"
    """Hz, or `keep`: the source's own."""
    residual: ResidualPolicy = "other"
    device: str = "auto"
    jobs: int = 1
    overwrite: bool = False


@dataclass(frozen=True)
class PluginSettings:
    """Where plug-ins are looked for, before the system's own folders."""

    folders: tuple[Path, ...] = ()


@dataclass(frozen=True)
class CacheSettings:
    """Where separated stems are kept, and how many."""

    folder: Path = field(default_factory=lambda: platformdirs.user_cache_path("stembridge") / "stems")
    limit_gb: float = 10.0

    @property
    def limit_bytes(self) -> int:
        """The limit in bytes (1 GB = 10^9)."""
        return round(self.limit_gb * 1e9)


@dataclass(frozen=True)
class Setting:
    """One value that holds, and why."""

    key: str
    """As in the file, `render.model`."""
    value: Any
    origin: str
    """`default`, or the file and line it comes from."""


@dataclass(frozen=True)
class Config:
    """Everything the file can say, with defaults for what it does not."""

    render: RenderDefaults = field(default_factory=RenderDefaults)
    plugins: PluginSettings = field(default_factory=PluginSettings)
    cache: CacheSettings = field(default_factory=CacheSettings)
    later: Mapping[str, Any] = field(default_factory=dict)
    """The tables of `serve`, unread."""
    path: Path | None = None
    """The file that was read, or None."""
    lines: Mapping[str, int | None] = field(default_factory=dict)
    """The keys that the file sets, with their lines where they can be told."""

    def origin(self, key: str) -> str:
        """Why a key (`render.model`) has its value: `default`, or the file and line."""
        if key not in self.lines:
            return "default"
        line = self.lines[key]
        return f"{self.path}, line {line}" if line else str(self.path)

    def settings(self) -> Iterator[Setting]:
        """Every value that holds, in the order of the file's documentation."""
        for table in _TABLES:
            for one in fields(getattr(self, table)):
                key = f"{table}.{one.name}"
                yield Setting(key, getattr(getattr(self, table), one.name), self.origin(key))


def config_path() -> Path:
    """Where the file is looked for: `STEMBRIDGE_CONFIG`, or the user's configuration folder."""
    if named := os.environ.get(PATH_VARIABLE):
        return Path(named).expanduser()
    return platformdirs.user_config_path("stembridge") / "config.toml"


def load_config(path: Path | None = None) -> Config:
    """Read the configuration; all defaults where there is no file.

    Raises ConfigError naming the file, the line, and the nearest key there is.
    """
    path = path if path is not None else config_path()
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text: {error}") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    return _Reader(path, text).config(data)


class _Reader:
    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._found: dict[str, int | None] = {}

    def config(self, data: Mapping[str, Any]) -> Config:
        schema = data.get("schema", SCHEMA)
        if isinstance(schema, bool) or not isinstance(schema, int) or schema < 1:
            self._fail("", "schema", f"schema is a number, {SCHEMA}; got {schema!r}")
        if schema > SCHEMA:
            self._fail(
                "", "schema", f"schema {schema} is newer than this Stembridge knows ({SCHEMA}): update it"
            )
        self._known("", data, ("schema", *_TABLES, *LATER_TABLES))
        return Config(
            render=RenderDefaults(**self._table("render", data)),
            plugins=PluginSettings(**self._table("plugins", data)),
            cache=CacheSettings(**self._table("cache", data)),
            later={name: data[name] for name in LATER_TABLES if name in data},
            path=self._path,
            lines=self._found,
        )

    def _table(self, table: str, data: Mapping[str, Any]) -> dict[str, Any]:
        entries, readers = data.get(table, {}), _TABLES[table]
        if not isinstance(entries, dict):
            self._fail("", table, f"{table} is a table, `[{table}]`; got {entries!r}")
        self._known(table, entries, tuple(readers))
        read: dict[str, Any] = {}
        for key, value in entries.items():
            try:
                read[key] = readers[key](value, self._path)
            except ArgumentValueError as error:
                self._fail(table, key, str(error))
            except ValueError as error:
                self._fail(table, key, f"{key} {error}; got {value!r}")
            self._found[f"{table}.{key}"] = self._line(table, key)
        return read

    def _known(self, table: str, entries: Mapping[str, Any], known: tuple[str, ...]) -> None:
        from stembridge.model.plugins.parameters import suggest

        for key in entries:
            if key not in known:
                where = f"[{table}] has" if table else "the configuration has"
                hint = suggest(key, known) or f". It has {', '.join(known)}"
                self._fail(table, key, f"{where} no key {key!r}{hint}")

    def _fail(self, table: str, key: str, text: str) -> NoReturn:
        line = self._line(table, key)
        raise ConfigError(f"{self._path}{f', line {line}' if line else ''}: {text}")

    def _line(self, table: str, key: str) -> int | None:
        """The line of a key; None where it is written in a way this does not follow."""
        here = ""
        for number, line in enumerate(self._lines, 1):
            if header := re.match(r"""\s*\[\[?\s*["']?([^\]"']+?)["']?\s*\]""", line):
                here = header[1]
                if not table and here.split(".")[0] == key:
                    return number
            elif here == table and re.match(rf"""\s*["']?{re.escape(key)}["']?\s*[=.]""", line):
                return number
        return None


_Read = Callable[[Any, Path], Any]
"""Turns a TOML value into a setting, given the file; raises ValueError saying what it must be."""


def _text(value: Any, _path: Path) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("is a text")
    return value


def _template(value: Any, path: Path) -> str:
    from stembridge.model.rendering.naming import check_template

    check_template(_text(value, path))
    return str(value)


def _folder(value: Any, path: Path) -> Path:
    """Relative to the configuration file."""
    if not isinstance(value, str) or not value:
        raise ValueError("is a folder")
    return path.parent.absolute() / Path(value).expanduser()


def _output_folder(value: Any, _path: Path) -> Path:
    if not isinstance(value, str) or not value:
        raise ValueError("is a folder")
    return Path(value).expanduser()


def _folders(value: Any, path: Path) -> tuple[Path, ...]:
    if not isinstance(value, list):
        raise ValueError('is a list of folders, ["~/vst3"]')
    return tuple(_folder(one, path) for one in value)


def _switch(value: Any, _path: Path) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is true or false")
    return value


def _count(value: Any, _path: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 256:
        raise ValueError("is a whole number, 1 to 256")
    return value


def _gigabytes(value: Any, _path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e6:
        raise ValueError("is a number of gigabytes, 0 (off) or more")
    return float(value)


def _rate(value: Any, _path: Path) -> int | str:
    hz = isinstance(value, int) and not isinstance(value, bool) and 8000 <= value <= 192_000
    if value != "keep" and not hz:
        raise ValueError("is 'keep' or 8000 to 192000 Hz")
    return value  # type: ignore[no-any-return]


def _choice(choices: Callable[[], tuple[str, ...]]) -> _Read:
    def read(value: Any, _path: Path) -> str:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if text not in choices():
            raise ValueError(f"is one of {', '.join(choices())}")
        return str(text)

    return read


# The lists of choices live where they are used; they are imported when a file names one.
def _containers() -> tuple[str, ...]:
    from stembridge.model.audio import CONTAINERS

    return CONTAINERS


def _bit_depths() -> tuple[str, ...]:
    from stembridge.model.audio import BIT_DEPTHS

    return BIT_DEPTHS


def _overs() -> tuple[str, ...]:
    from stembridge.model.rendering.spec import OVERS

    return OVERS


def _residuals() -> tuple[str, ...]:
    from stembridge.model.residual import RESIDUAL_POLICIES

    return RESIDUAL_POLICIES


def _devices() -> tuple[str, ...]:
    from stembridge.model.registry import DEVICES

    return DEVICES


_TABLES: Mapping[str, Mapping[str, _Read]] = {
    "render": {
        "model": _text,
        "out": _output_folder,
        "filename": _template,
        "format": _choice(_containers),
        "bit_depth": _choice(_bit_depths),
        "overs": _choice(_overs),
        "sample_rate": _rate,
        "residual": _choice(_residuals),
        "device": _choice(_devices),
        "jobs": _count,
        "overwrite": _switch,
    },
    "plugins": {"folders": _folders},
    "cache": {"folder": _folder, "limit_gb": _gigabytes},
}
