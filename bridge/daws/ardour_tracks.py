"""Ardour's strips as its surface tells of them, and which of them is which stem's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..desk import STRIPS
from ..hub import Refusal
from ..session import MASTER as MASTER_NAME
from .ardour_dialect import MASTER, Named, Valued
from .link import stem_of_track


@dataclass
class _Strip:
    """What is known of one strip."""

    name: str = ""
    values: dict[str, float] = field(default_factory=dict)


class Tracks:
    """All strips, and the binding by name."""

    def __init__(self) -> None:
        self._strips: dict[int, _Strip] = {}
        self._listed: set[int] = set()
        self._by_hand: dict[str, str] = {}
        """Stem -> the name of the track that somebody bound to it; empty: none."""
        self._bound: dict[str, int] = {}
        """Stem -> its strip, as of the last `rebind`."""
        self._named: dict[str, str] = {}
        """Stem -> the name of that strip then."""

    @property
    def names(self) -> list[str]:
        """The names of all tracks in the order of the mixer."""
        return [strip.name for number, strip in sorted(self._strips.items()) if number != MASTER]

    @property
    def whole(self) -> bool:
        """Whether every strip has told its gain: datagrams can be lost."""
        return all("gain" in strip.values for strip in self._strips.values())

    @property
    def bound(self) -> list[str]:
        """The stems that have a track."""
        return list(self._bound)

    def named(self, said: Named) -> bool:
        """Note a strip's name; False for one that is known."""
        self._listed.add(said.strip)
        strip = self._strips.setdefault(said.strip, _Strip())
        known, strip.name = strip.name, said.name
        return known != said.name

    def valued(self, said: Valued) -> None:
        """Note a strip's value."""
        self._strips.setdefault(said.strip, _Strip()).values[said.what] = said.value

    def list_begins(self) -> None:
        """From here on strips are listed."""
        self._listed = set()

    def list_ends(self) -> None:
        """Drop the strips that were not listed: there are fewer now."""
        self._strips = {n: strip for n, strip in self._strips.items() if n == MASTER or n in self._listed}

    def forget(self) -> None:
        """Start anew, as with an Ardour that has been restarted; bindings by hand stay."""
        self._strips.clear()
        self._bound.clear()
        self._named.clear()

    def stem_of(self, number: int) -> str | None:
        """Whose strip this is."""
        if number == MASTER:
            return MASTER_NAME
        return next((stem for stem, bound in self._bound.items() if bound == number), None)

    def strip_of(self, stem: str) -> int | None:
        """Where a stem's track is, or the master."""
        return MASTER if stem == MASTER_NAME else self._bound.get(stem)

    def values(self, stem: str) -> Mapping[str, float]:
        """What a stem's track stands at."""
        number = self.strip_of(stem)
        return {} if number is None or number not in self._strips else self._strips[number].values

    def name_by_hand(self, stem: str, name: str) -> None:
        """Bind a track to a stem by hand, an empty name unbinds. Raises Refusal for what there is not."""
        if stem not in STRIPS:
            raise Refusal("not_found", f"no stem {stem[:40]!r}; there are {', '.join(STRIPS)}")
        if name and self._number(name) is None:
            known = ", ".join(self.names[:12]) or "none, as far as it has said"
            raise Refusal("not_found", f"Ardour has no track named {name[:40]!r}; it has {known}")
        self._by_hand[stem] = name

    def rebind(self) -> dict[str, str]:
        """Find every stem's track again; return what changed: stem -> its track's name, empty for none.

        A name given by hand counts more than what a track is called; of two tracks of a stem the first one.
        """
        before = self._named
        bound: dict[str, int] = {}
        for stem, name in self._by_hand.items():
            if name and (number := self._number(name)) is not None:
                bound[stem] = number
        for number in sorted(self._strips):
            free = stem_of_track(self._strips[number].name) if number != MASTER else None
            if free is not None and free not in self._by_hand and number not in bound.values():
                bound.setdefault(free, number)
        self._bound = bound
        self._named = {stem: self._strips[number].name for stem, number in bound.items()}
        stems = {**before, **self._named}
        return {s: self._named.get(s, "") for s in stems if before.get(s) != self._named.get(s)}

    def _number(self, name: str) -> int | None:
        wanted = name.strip().casefold()
        for number, strip in sorted(self._strips.items()):
            if number != MASTER and strip.name.strip().casefold() == wanted:
                return number
        return None
