"""REAPER's tracks as its surface tells of them, and which of them is which stem's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..desk import STRIPS
from ..hub import Refusal
from ..session import MASTER as MASTER_NAME
from .link import stem_of_track
from .reaper_dialect import MASTER, Said


@dataclass
class Track:
    """What is known of one track."""

    name: str = ""
    values: dict[str, float] = field(default_factory=dict)
    """`gain`, `mute`, `solo`, as far as told."""
    exact: bool = False
    """Its gain comes as a number, so that the text beside it can be left unread."""


class Tracks:
    """All tracks, and the binding by name."""

    def __init__(self) -> None:
        self._tracks: dict[int, Track] = {MASTER: Track("MASTER")}
        self._by_hand: dict[str, str] = {}
        """Stem -> the name of the track that somebody bound to it."""
        self.bound: dict[str, int] = {}
        """Stem -> its track, as of the last `rebind`."""
        self._names: dict[str, str] = {}
        """What those tracks were called then."""

    def __getitem__(self, number: int) -> Track:
        return self._tracks.setdefault(number, Track())

    def take(self, said: Said) -> bool:
        """Note what REAPER says; False where that tells nothing."""
        track = self[said.track]
        if said.what == "name":
            known, track.name = track.name, str(said.value)
            return known != track.name
        if said.what == "gain":
            if said.rounded and track.exact:
                return False
            track.exact = track.exact or not said.rounded
        track.values[said.what] = float(said.value)
        return True

    def stem_of(self, number: int) -> str | None:
        """Whose track this is."""
        if number == MASTER:
            return MASTER_NAME
        return next((stem for stem, bound in self.bound.items() if bound == number), None)

    def track_of(self, stem: str) -> int | None:
        """Where a stem's track is."""
        return MASTER if stem == MASTER_NAME else self.bound.get(stem)

    def name_by_hand(self, stem: str, name: str) -> None:
        """Bind a track to a stem by hand, an empty name unbinds. Raises Refusal for what there is not."""
        if stem not in STRIPS:
            raise Refusal("not_found", f"no stem {stem[:40]!r}; there are {', '.join(STRIPS)}")
        if not name:
            self._by_hand[stem] = ""
            return
        if self._named(name) is None:
            names = [track.name for number, track in sorted(self._tracks.items()) if number and track.name]
            known = ", ".join(names[:12]) or "none; has REAPER said anything yet?"
            raise Refusal("not_found", f"REAPER has no track named {name[:40]!r}; it has {known}")
        self._by_hand[stem] = name

    def rebind(self) -> dict[str, str]:
        """Find every stem's track again; return what changed: stem -> track's name, empty for none.

        A name given by hand counts more than what a track is called; of two tracks of a stem the upper one.
        """
        bound: dict[str, int] = {}
        for stem, name in self._by_hand.items():
            if name and (number := self._named(name)) is not None:
                bound[stem] = number
        for number in sorted(self._tracks):
            named = stem_of_track(self._tracks[number].name) if number else None
            if named is None or named in bound or named in self._by_hand or number in bound.values():
                continue
            bound[named] = number
        self.bound = bound
        before, self._names = self._names, {stem: self[number].name for stem, number in bound.items()}
        both = {**before, **self._names}
        return {s: self._names.get(s, "") for s in both if before.get(s) != self._names.get(s)}

    def values(self, stem: str) -> Mapping[str, float]:
        """What a stem's track stands at."""
        number = self.track_of(stem)
        return {} if number is None else self[number].values

    def _named(self, name: str) -> int | None:
        wanted = name.strip().casefold()
        for number in sorted(self._tracks):
            if number and self._tracks[number].name.strip().casefold() == wanted:
                return number
        return None
