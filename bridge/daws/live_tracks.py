"""Which of Live's tracks is which stem's, and what a gain of ours is on Live's fader."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from stembridge.model.units import SILENCE_DB

from ..desk import STRIPS
from ..fader_laws import UNITY_SNAP_DB, fader_law
from ..hub import Refusal
from .link import stem_of_track

LAW = fader_law("live")
TOP_DB = LAW.db(1.0)
SAME_DB = 0.01
"""Two gains this close are one: Live keeps positions as 32-bit floats, far finer."""

Key = TypeVar("Key")


def shown_db(gain_db: float) -> float:
    """The gain that Live's fader shows for one of ours: at most +6 dB, and silence below -70.

    >>> shown_db(9.0), shown_db(-6.0), shown_db(-100.0)
    (6.0, -6.0, -144.0)
    """
    return min(gain_db, TOP_DB) if LAW.position(gain_db) > 0.0 else SILENCE_DB


def snapped_db(gain_db: float) -> float:
    """A gain that a fader was moved to: 0 dB exactly, where it is that close."""
    return 0.0 if abs(gain_db) <= UNITY_SNAP_DB else gain_db


class Bindings(Generic[Key]):
    """Stems and tracks, bound by name; tracks are known by a key that the dialect chooses."""

    def __init__(self) -> None:
        self.bound: dict[str, Key] = {}
        """Stem -> its track, as of the last `rebind`."""
        self._names: dict[Key, str] = {}
        self._by_hand: dict[str, str] = {}
        """Stem -> the name of the track that somebody bound to it; empty: none."""

    def name_by_hand(self, stem: str, name: str) -> None:
        """Bind a track to a stem by hand, an empty name unbinds. Raises Refusal for what there is not."""
        if stem not in STRIPS:
            raise Refusal("not_found", f"no stem {stem[:40]!r}; there are {', '.join(STRIPS)}")
        if name and self._named(name) is None:
            known = ", ".join(list(self._names.values())[:12]) or "none; is Live there?"
            raise Refusal("not_found", f"Live has no track named {name[:40]!r}; it has {known}")
        self._by_hand[stem] = name

    def rebind(self, tracks: Iterable[tuple[Key, str]]) -> tuple[dict[str, str], set[str]]:
        """Find every stem's track in Live's list, in its order.

        Returns what is to be told, stem -> track's name (empty for none), and the stems whose track is
        another one now. A name given by hand counts more than what a track is called; of two tracks of a
        stem the first.
        """
        before = {stem: (key, self._names.get(key, "")) for stem, key in self.bound.items()}
        self._names = dict(tracks)
        bound: dict[str, Key] = {}
        for stem, name in self._by_hand.items():
            if name and (key := self._named(name)) is not None:
                bound[stem] = key
        for key, name in self._names.items():
            spoken = stem_of_track(name)
            free = spoken not in bound and spoken not in self._by_hand and key not in bound.values()
            if spoken is not None and free:
                bound[spoken] = key
        self.bound = bound
        after = {stem: (key, self._names[key]) for stem, key in bound.items()}
        told = {
            stem: after.get(stem, ("", ""))[1]
            for stem in {**before, **after}
            if before.get(stem, (None, ""))[1] != after.get(stem, (None, ""))[1]
        }
        others = {stem for stem in after if stem not in before or before[stem][0] != after[stem][0]}
        return told, others

    def again(self) -> tuple[dict[str, str], set[str]]:
        """The same with the list as it is known, after a binding by hand."""
        return self.rebind(list(self._names.items()))

    def stem_of(self, key: Key) -> str | None:
        """Whose track this is."""
        return next((stem for stem, bound in self.bound.items() if bound == key), None)

    def _named(self, name: str) -> Key | None:
        wanted = name.strip().casefold()
        return next((key for key, known in self._names.items() if known.strip().casefold() == wanted), None)
