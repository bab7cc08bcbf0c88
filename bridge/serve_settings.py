"""What `serve` is told: flags over the tables `[serve]`, `[midi]`, `[[daw]]`, `[[osc.client]]` of the file.

[serve]
port = 9331
roots = ["~/Music"]
out = "~/Music/stems"
[midi]
input = "nanoKONTROL2"
takeover = "pickup"
[[daw]]
name = "ardour"
mode = "remote"
[[osc.client]]
host = "192.168.1.20"
port = 9000
prefix = "/stem/"
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import platformdirs
from stembridge.model.errors import StembridgeError

from .config import Config, ConfigError
from .midi.takeover import Takeover
from .osc.transports import DEFAULT_PORT


class SettingError(StembridgeError, ValueError):
    """A flag of `serve` that cannot be."""


@dataclass(frozen=True)
class OscClient:
    """A subscriber for good."""

    host: str
    port: int
    prefix: str = "/"


@dataclass(frozen=True)
class MidiSettings:
    """Which ports, and how a controller takes over."""

    input: str | None = None
    output: str | None = None
    virtual: bool = False
    """Make ports of our own instead of opening named ones."""
    map: str | None = None
    takeover: Takeover | None = None
    """None: as the map says."""
    channel: int | None = None
    """Of the slots; None: as the map says."""
    notes: bool = False
    """Whether notes on channel 16 trigger renders."""

    @property
    def wanted(self) -> bool:
        """Whether there is to be any MIDI."""
        return self.virtual or self.input is not None or self.output is not None


@dataclass(frozen=True)
class PlayerSettings:
    """What songs are played on, and how."""

    output: str | None = None
    """A device by name, part of it or number; None: the system's own."""
    outputs: Mapping[str, str] = field(default_factory=dict)
    """What goes to which of its outputs: `{"drums": "1-2"}`; nothing: the mix to the first two."""
    rate: int | None = None
    """Hz; None: the song's own."""
    buffer: int = 512
    """Frames."""
    latency: float | None = None
    """Seconds that the system may hold of the sound; None: little."""
    model: str = "default"
    chains: Mapping[str, str] = field(default_factory=dict)
    """Stem, or `mix` -> the preset whose chain treats it."""
    input: str | None = None
    """What `live` hears: a device by name, part of it or number; None: the system's own."""
    live_model: str = "live"
    margin: float = 2.0
    """Buffers that `live` holds beyond its separator's latency."""


@dataclass(frozen=True)
class DawSettings:
    """One link: a name, and its options as text."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ServeSettings:
    """Everything a bridge is started with."""

    hosts: tuple[str, ...] = ("127.0.0.1",)
    port: int = DEFAULT_PORT
    announce: bool = False
    """Whether the local network is told of it."""
    roots: tuple[Path, ...] = ()
    """The folders that songs may lie in."""
    out: Path = Path("separated")
    state: Path = field(default_factory=lambda: platformdirs.user_state_path("stembridge"))
    fader_law: str = "ardour"
    no_progress_s: float = 120.0
    memory_gb: float | None = None
    midi: MidiSettings = field(default_factory=MidiSettings)
    player: PlayerSettings = field(default_factory=PlayerSettings)
    daws: tuple[DawSettings, ...] = ()
    clients: tuple[OscClient, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_534:
            raise SettingError(f"a port is 0 (any) to 65534, with room for TCP above it; got {self.port}")
        for host in self.hosts:
            try:
                ipaddress.ip_address(host)
            except ValueError as error:
                raise SettingError(f"listen at an IP address, as 192.168.1.5; got {host!r}") from error


_SERVE_KEYS = ("port", "listen", "roots", "out", "state", "fader_law", "no_progress_s", "memory_gb")
_MIDI_KEYS = ("input", "output", "virtual", "map", "takeover", "channel", "notes")
_PLAYER_KEYS = (
    "output", "outputs", "rate", "buffer", "latency", "model", "chains", "input", "live_model", "margin",
)  # fmt: skip
_CLIENT_KEYS = ("host", "port", "prefix")


def settings_from(config: Config) -> ServeSettings:
    """What the configuration says. Raises ConfigError naming the key that is wrong."""
    tables = config.later
    here = config.path or Path("config.toml")
    serve = _table(here, "serve", tables.get("serve", {}), _SERVE_KEYS)
    midi = _table(here, "midi", tables.get("midi", {}), _MIDI_KEYS)
    player = _table(here, "player", tables.get("player", {}), _PLAYER_KEYS)
    daws = _tables(here, "daw", tables.get("daw", []))
    osc = _table(here, "osc", tables.get("osc", {}), ("client",))
    clients = [
        _table(here, "osc.client", one, _CLIENT_KEYS)
        for one in _tables(here, "osc.client", osc.get("client", []))
    ]
    settings = ServeSettings(out=config.render.out)
    try:
        if "roots" in serve:
            if not isinstance(serve["roots"], list):
                raise SettingError(f'serve.roots is a list of folders, ["~/Music"]; got {serve["roots"]!r}')
            serve["roots"] = tuple(Path(str(root)).expanduser() for root in serve["roots"])
        for key in ("out", "state"):
            if key in serve:
                serve[key] = Path(str(serve[key])).expanduser()
        if "listen" in serve:
            serve["hosts"] = (str(serve.pop("listen")),)
        if "port" in serve and (isinstance(serve["port"], bool) or not isinstance(serve["port"], int)):
            raise SettingError(f"serve.port is a number; got {serve['port']!r}")
        settings = replace(
            settings,
            **serve,
            midi=MidiSettings(**midi),
            player=PlayerSettings(**player),
            daws=tuple(_daw(here, one) for one in daws),
            clients=tuple(
                OscClient(str(one["host"]), int(one["port"]), str(one.get("prefix", "/"))) for one in clients
            ),
        )
        for client in settings.clients:
            ipaddress.ip_address(client.host)
    except (SettingError, KeyError, TypeError, ValueError) as error:
        text = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise ConfigError(f"{here}: {text}") from error
    return settings


def parse_daw(text: str) -> DawSettings:
    """Read `ardour`, `ardour:mode=import,port=3820`. Raises SettingError.

    >>> parse_daw("reaper:mode=import").options
    {'mode': 'import'}
    """
    name, _, rest = text.partition(":")
    options: dict[str, str] = {}
    for pair in filter(None, rest.split(",")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise SettingError(
                f"a link's options are `key=value`, with commas between; got {pair!r} in {text!r}"
            )
        options[key.strip()] = value.strip()
    return DawSettings(name, options)


def _daw(here: Path, table: Mapping[str, Any]) -> DawSettings:
    if not isinstance(table.get("name"), str):
        raise ConfigError(f"{here}: every [[daw]] has a name")
    return DawSettings(table["name"], {key: str(value) for key, value in table.items() if key != "name"})


def _table(here: Path, name: str, table: Any, keys: Sequence[str]) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise ConfigError(f"{here}: {name} is a table, `[{name}]`; got {table!r}")
    for key in table:
        if key not in keys:
            from stembridge.model.plugins.parameters import suggest

            hint = suggest(key, tuple(keys)) or f". It has {', '.join(keys)}"
            raise ConfigError(f"{here}: [{name}] has no key {key!r}{hint}")
    return dict(table)


def _tables(here: Path, name: str, tables: Any) -> list[dict[str, Any]]:
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise ConfigError(f"{here}: {name} is a list of tables, `[[{name}]]`")
    return tables
