"""Maps as TOML: those that ship, those of users, and what was learned.

schema = 1
name = "My controller"
ports = ["my controller"]     # taken for a port whose name contains this
takeover = "pickup"           # or jump, scale
channel = 1                   # of controls that name none
control = [
    { cc = 20, address = "/stem/drums/gain" },
    { note = 36, address = "/stem/drums/mute/toggle", led = "note 1 36", lit = 127 },
    { pitchbend = true, channel = 9, address = "/master/gain", motor = true },
    { program = 5, address = "/mix/recall chorus" },
]
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable
from collections.abc import Mapping as Mapped
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from stembridge.model.errors import ArgumentValueError

from .controls import KINDS, Control, Kind, MidiError, Source, parse_control
from .mapping import Mapping, MidiMap, target
from .takeover import TAKEOVERS

SCHEMA = 1
_SOURCES: tuple[Source, ...] = ("cc", "note", "pitchbend", "program")
_KEYS = (*_SOURCES, "channel", "address", "kind", "takeover", "led", "lit", "unlit", "motor")
_TOP_KEYS = ("schema", "name", "ports", "takeover", "channel", "control", "forgotten")
_LONGEST = 1 << 20


@dataclass(frozen=True)
class Learned:
    """What a user has changed in a map: controls taken for addresses, and addresses without any."""

    mappings: tuple[Mapping, ...] = ()
    forgotten: tuple[str, ...] = ()

    def applied(self, base: MidiMap) -> MidiMap:
        """A map with the changes made."""
        changed = base.without([m for address in self.forgotten for m in base.at(address)])
        for mapping in self.mappings:
            changed, _ = changed.learn(mapping)
        return changed

    def learn(self, mapping: Mapping, lost: Iterable[str]) -> Learned:
        """With one more; `lost` are the addresses whose control it took."""
        gone = (mapping.address, *lost)
        rest = tuple(m for m in self.mappings if m.address not in gone)
        forgotten = [address for address in self.forgotten if address not in gone]
        return Learned((*rest, mapping), tuple(forgotten))

    def forget(self, address: str) -> Learned:
        """With an address that has no control any more."""
        rest = tuple(m for m in self.mappings if m.address != address)
        return Learned(rest, tuple(dict.fromkeys((*self.forgotten, address))))


def shipped_maps() -> dict[str, MidiMap]:
    """The maps that come with the program, by the names of their files."""
    folder = resources.files(__package__) / "maps"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda f: f.name)
    return {
        file.name.removesuffix(".toml"): parse_map(file.read_text(encoding="utf-8"), file.name)
        for file in files
    }


def find_map(name: str, channel: int | None = None) -> MidiMap:
    """A map that ships (`slots`, `channels`, `nanokontrol2`, ...) or one in a file. Raises MidiError.

    `channel` moves the map `slots` to another channel.
    """
    maps = shipped_maps()
    if name in maps:
        found = maps[name]
        if name == "slots" and channel is not None:
            moved = tuple(replace(m, control=replace(m.control, channel=channel)) for m in found)
            return replace(found, mappings=moved)
        return found
    path = Path(name).expanduser()
    if path.suffix != ".toml":
        raise MidiError(f"a MIDI map is one of {', '.join(maps)}, or a file ending in .toml; got {name!r}")
    return load_map(path)


def map_for_port(port: str) -> MidiMap | None:
    """The map that ships for a controller, by its port's name."""
    name = port.casefold()
    for midi_map in shipped_maps().values():
        if any(part.casefold() in name for part in midi_map.ports):
            return midi_map
    return None


def load_map(path: Path) -> MidiMap:
    """Read a map. Raises MidiError naming the file."""
    return parse_map(_read(path), str(path))


def load_learned(path: Path) -> Learned:
    """Read what was learned; nothing where there is no file. Raises MidiError naming the file."""
    if not path.exists():
        return Learned()
    data = _parse(_read(path), str(path))
    forgotten = data.get("forgotten", [])
    if not isinstance(forgotten, list) or not all(isinstance(address, str) for address in forgotten):
        raise MidiError(f"{path}: forgotten is a list of addresses; got {forgotten!r}")
    return Learned(_map(data, str(path)).mappings, tuple(forgotten))


def save_learned(learned: Learned, path: Path) -> None:
    """Write what was learned; the old file stays until the new one is complete. Raises OSError."""
    lines = [f"schema = {SCHEMA}", f"forgotten = {json.dumps(list(learned.forgotten))}", "control = ["]
    lines += [f"    {_entry(mapping)}," for mapping in learned.mappings]
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    with new.open("w", encoding="utf-8") as file:
        file.write("\n".join([*lines, "]", ""]))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def parse_map(text: str, name: str) -> MidiMap:
    """Understand a map; `name` is what errors call it. Raises MidiError."""
    return _map(_parse(text, name), name)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LONGEST:
            raise MidiError(f"{path}: too long for a MIDI map")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MidiError(f"{path}: cannot be read as text: {error}") from error


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MidiError(f"{name}: not TOML: {error}") from error
    if data.get("schema") != SCHEMA:
        raise MidiError(f"{name}: a MIDI map starts with `schema = {SCHEMA}`; got {data.get('schema')!r}")
    for key in data:
        if key not in _TOP_KEYS:
            raise MidiError(f"{name}: a MIDI map has no key {key!r}. It has {', '.join(_TOP_KEYS)}")
    return data


def _map(data: Mapped[str, Any], name: str) -> MidiMap:
    entries, ports = data.get("control", []), data.get("ports", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise MidiError(f"{name}: control is a list of tables, each under `[[control]]`")
    if not isinstance(ports, list) or not all(isinstance(port, str) and port for port in ports):
        raise MidiError(f"{name}: ports is a list of texts; got {ports!r}")
    mappings = []
    for place, entry in enumerate(entries, 1):
        try:
            mappings.append(_mapping(entry, data.get("channel", 1)))
        except ArgumentValueError as error:
            raise MidiError(f"{name}, control {place}: {error}") from error
    takeover = data.get("takeover")
    if takeover is not None and takeover not in TAKEOVERS:
        raise MidiError(f"{name}: takeover is one of {', '.join(TAKEOVERS)}; got {takeover!r}")
    try:
        return MidiMap(tuple(mappings), str(data.get("name", name)), tuple(ports), takeover)
    except MidiError as error:
        raise MidiError(f"{name}: {error}") from error


def _mapping(entry: Mapped[str, Any], channel: Any) -> Mapping:
    for key in entry:
        if key not in _KEYS:
            raise MidiError(f"a control has no key {key!r}. It has {', '.join(_KEYS)}")
    sources = [source for source in _SOURCES if source in entry]
    if len(sources) != 1:
        raise MidiError(f"a control has one of {', '.join(_SOURCES)}; got {', '.join(sources) or 'none'}")
    source = sources[0]
    number = 0 if source == "pitchbend" else _whole(entry, source, 0)
    control = Control(source, _whole(entry, "channel", channel), number)
    address = entry.get("address")
    if not isinstance(address, str):
        raise MidiError(f"a control has an address, a text; got {address!r}")
    reached = target(address)
    kind = entry.get("kind", _natural_kind(source, reached.positioned))
    if kind not in KINDS or source not in _FITTING.get(kind, (source,)):
        raise MidiError(f"{control} is no {kind!r}; kinds are {', '.join(KINDS)}")
    if reached.positioned and kind in ("note", "button", "switch", "program"):
        raise MidiError(f"{reached.text} takes a position: a {kind} has none")
    takeover = entry.get("takeover")
    if takeover is not None and takeover not in TAKEOVERS:
        raise MidiError(f"takeover is one of {', '.join(TAKEOVERS)}; got {takeover!r}")
    led = entry.get("led")
    motor = entry.get("motor", False)
    if not isinstance(motor, bool) or not isinstance(led, str | None):
        raise MidiError('motor is true or false, led a control as a text, "note 1 36"')
    return Mapping(
        control,
        reached.text,
        kind,
        takeover,
        parse_control(led) if led is not None else None,
        _whole(entry, "lit", 127),
        _whole(entry, "unlit", 0),
        motor,
    )


_FITTING: dict[str, tuple[str, ...]] = {
    "auto": ("cc",),
    "7-bit": ("cc",),
    "14-bit": ("cc",),
    "pitch-bend": ("pitchbend",),
    "note": ("note",),
    "button": ("cc",),
    "switch": ("cc",),
    "program": ("program",),
    "relative-twos": ("cc",),
    "relative-offset": ("cc",),
    "relative-sign": ("cc",),
}


def _natural_kind(source: Source, positioned: bool) -> Kind:
    match source:
        case "pitchbend":
            return "pitch-bend"
        case "note":
            return "note"
        case "program":
            return "program"
    return "auto" if positioned else "button"


def _whole(entry: Mapped[str, Any], key: str, default: Any) -> int:
    value = entry.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 128:
        raise MidiError(f"{key} is a whole number, 0 to 127; got {value!r}")
    return value


def _entry(mapping: Mapping) -> str:
    """A mapping as an inline table."""
    control = mapping.control
    number = "true" if control.source == "pitchbend" else str(control.number)
    parts = [f"{control.source} = {number}", f"channel = {control.channel}"]
    parts += [f"address = {json.dumps(mapping.address)}", f"kind = {json.dumps(mapping.kind)}"]
    if mapping.takeover is not None:
        parts.append(f"takeover = {json.dumps(mapping.takeover)}")
    if mapping.led is not None:
        parts.append(f"led = {json.dumps(str(mapping.led))}")
    if (mapping.lit, mapping.unlit) != (127, 0):
        parts += [f"lit = {mapping.lit}", f"unlit = {mapping.unlit}"]
    if mapping.motor:
        parts.append("motor = true")
    return "{ " + ", ".join(parts) + " }"
