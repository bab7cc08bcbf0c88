"""Stems by the few characters of them that a Mackie display shows.

Hosts cut a name (`accompa`) or thin it out: spaces and signs go first, then small vowels, from the end on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..desk import STRIPS
from .link import stem_of_track

_FULL = 6
"""A label at least this long may be a shortened one."""
_VOWELS = frozenset("aeiou")


def stem_of_label(label: str) -> str | None:
    """The stem a label speaks of; None where that is no stem.

    >>> [stem_of_label(label) for label in ("Vocals", "accompa", "vclsSn", "drmsMy", "Voice")]
    ['vocals', 'accompaniment', 'vocals', 'drums', None]
    """
    if (stem := stem_of_track(label)) is not None:
        return stem
    if len(label) < _FULL:
        return None
    for stem in STRIPS:
        if stem.startswith(label.casefold()) or _thinned(label, stem):
            return stem
    return None


def _thinned(label: str, stem: str) -> bool:
    """Whether a label begins with a stem's letters, some vowels left out, and goes on as another word."""
    place, left_out = 0, 0
    for letter in stem:
        if place < len(label) and label[place].casefold() == letter:
            place += 1
        elif letter in _VOWELS:
            left_out += 1
        else:
            # The label may end within the word, if it is as long as labels get.
            return place == len(label) and left_out > 0 and place >= _FULL
    return place == len(label) or not label[place].islower()


def bound(labels: Sequence[str], by_hand: Mapping[str, str]) -> dict[str, int]:
    """Which strip each stem has: those bound by hand first, then whole names, then shortened ones.

    >>> bound(["kick", "drums", "Vox", "vclsSn", "vocals", "", "", ""], {"bass": "Vox"})
    {'bass': 2, 'drums': 1, 'vocals': 4}
    """
    found: dict[str, int] = {}
    for stem, track in by_hand.items():
        if (strip := strip_of(labels, track)) is not None:
            found[stem] = strip
    for reads in (stem_of_track, stem_of_label):
        for strip, label in enumerate(labels):
            named = reads(label)
            if named is not None and named not in found and strip not in found.values():
                found[named] = strip
    return found


def strip_of(labels: Sequence[str], track: str) -> int | None:
    """The strip that shows a track, as much of its name as fits there."""
    for strip, label in enumerate(labels):
        if label and label.casefold() == track.casefold():
            return strip
    for strip, label in enumerate(labels):
        cut = track.casefold().startswith(label.casefold())
        if len(label) >= _FULL and (cut or _thinned(label, track.casefold())):
            return strip
    return None
