"""What controls are for: each maps to an address of the OSC table, with whatever that takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ..addresses import Address, find
from ..commands import INSTRUMENTAL
from ..desk import RESIDUAL, STRIPS, members
from ..messages import Value
from .controls import Control, Kind, MidiError
from .takeover import Takeover

MASTER = "master"
IMPORT = "/stems/import"
_POSITIONS = ("gain", "fader", "pan", "sensitivity")
_SWITCHES = ("mute", "solo")


@dataclass(frozen=True)
class Target:
    """An address as a control reaches it."""

    text: str
    """The address and, after a space, a text it takes: `/mix/recall verse`."""
    row: Address
    stem: str
    arguments: tuple[Value, ...] = ()

    @property
    def strip(self) -> str:
        """The strip or group it belongs to, `master`, or empty."""
        return self.stem or (MASTER if self.row.path.startswith("/master/") else "")

    @property
    def parameter(self) -> str:
        """What it sets and shows: `gain`, `pan`, `sensitivity`, `mute` or `solo`; empty for what it does."""
        leaf = self.row.path.removesuffix("/toggle").rsplit("/", 1)[-1]
        if not self.strip or leaf not in (*_POSITIONS, *_SWITCHES):
            return ""
        return "gain" if leaf == "fader" else leaf

    @property
    def positioned(self) -> bool:
        """Whether it takes a position, as of a fader; otherwise it takes presses."""
        return self.parameter in _POSITIONS

    @property
    def reached(self) -> tuple[str, ...]:
        """The strips it may be about: itself, `master`, or the members of its group."""
        return tuple(s for s in STRIPS if s != "vocals") if self.stem == INSTRUMENTAL else (self.strip,)

    def present(self, stems: Sequence[str]) -> bool:
        """Whether its stem is there; one that is not ignores its control."""
        return self.stem in (*stems, RESIDUAL, INSTRUMENTAL, "")


def target(text: str, stems: Sequence[str] = STRIPS) -> Target:
    """Understand an address that a control shall reach; a stem's number counts in `stems`.

    Raises MidiError for addresses no control can reach, NotFoundError for stems that there are not.
    """
    address, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    found = find(address) if address.startswith("/") and len(text) <= 200 else None
    if found is None:
        raise MidiError(f"{address[:80]!r} is no address; `stembridge addresses` lists them")
    row, stem = found
    if stem:
        reached = members(stem, stems)
        stem = stem if stem == INSTRUMENTAL else reached[0]
    arguments: tuple[Value, ...] = ()
    if row.path in ("/mix/recall", "/mix/store", "/mix/forget"):
        if not rest:
            raise MidiError(f"{row.path} takes a scene: `{row.path} verse`")
        arguments = (rest,)
    elif rest:
        raise MidiError(f"{row.path} takes nothing more from a control; got {rest[:40]!r}")
    elif row.trigger:
        arguments = (1.0,)
    elif not row.value and row.path != IMPORT:
        raise MidiError(
            f"{row.path} cannot be reached from a control: values, toggles, buttons and scenes can"
        )
    return Target(row.path.replace("{stem}", stem) + (f" {rest}" if rest else ""), row, stem, arguments)


@dataclass(frozen=True)
class Mapping:
    """One control, what it is for, and how it is shown there."""

    control: Control
    address: str
    kind: Kind
    takeover: Takeover | None = None
    """None: as the map or the user says."""
    led: Control | None = None
    """Where a switch is shown, if not at the control itself."""
    lit: int = 127
    unlit: int = 0
    motor: bool = False
    """Whether the control moves by itself to a value it is told."""


@dataclass(frozen=True)
class MidiMap:
    """All mappings of a controller; one control does one thing."""

    mappings: tuple[Mapping, ...] = ()
    name: str = ""
    ports: tuple[str, ...] = ()
    """What the names of its ports contain."""
    takeover: Takeover | None = None
    _by_control: dict[Control, Mapping] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for mapping in self.mappings:
            if mapping.control in self._by_control:
                raise MidiError(f"{self.name or 'a map'} uses {mapping.control} twice")
            self._by_control[mapping.control] = mapping

    def __iter__(self) -> Iterator[Mapping]:
        return iter(self.mappings)

    def __len__(self) -> int:
        return len(self.mappings)

    def get(self, control: Control) -> Mapping | None:
        """What a control is for."""
        return self._by_control.get(control)

    def kind_of(self, control: Control) -> Kind | None:
        """How a control speaks, where it is for anything."""
        mapping = self._by_control.get(control)
        return None if mapping is None else mapping.kind

    def at(self, address: str) -> tuple[Mapping, ...]:
        """The controls of an address."""
        return tuple(mapping for mapping in self.mappings if mapping.address == address)

    def without(self, mappings: Iterable[Mapping]) -> MidiMap:
        """The same without some."""
        gone = tuple(mappings)
        return self._with(tuple(mapping for mapping in self.mappings if mapping not in gone))

    def learn(self, mapping: Mapping) -> tuple[MidiMap, tuple[str, ...]]:
        """The map with a control for an address in place of its earlier ones; and what lost its control.

        A fine half that was free before belongs to its coarse half now.
        """
        taken = [mapping.control]
        if mapping.kind == "14-bit" and mapping.control.fine is not None:
            taken.append(mapping.control.fine)
        stolen = [m for m in self.mappings if m.control in taken and m.address != mapping.address]
        rest = self.without([*stolen, *self.at(mapping.address)])
        return rest._with((*rest.mappings, mapping)), tuple(m.address for m in stolen)

    def _with(self, mappings: tuple[Mapping, ...]) -> MidiMap:
        return MidiMap(mappings, self.name, self.ports, self.takeover)
