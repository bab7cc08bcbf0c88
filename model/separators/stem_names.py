"""What other people's models call the stems that have a name here."""

from __future__ import annotations

import re

_OURS = {
    "instrumental": "accompaniment",
    "inst": "accompaniment",
    "no_vocals": "accompaniment",
    "music": "accompaniment",
    "vocal": "vocals",
    "voice": "vocals",
    "drum": "drums",
    "keys": "piano",
}


def stem_name(name: str) -> str:
    """The name of a stem here: lower case, words joined by underscores, known ones as everywhere.

    >>> stem_name("Vocals"), stem_name("Instrumental"), stem_name("Lead Guitar"), stem_name("../x")
    ('vocals', 'accompaniment', 'lead_guitar', 'x')
    """
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return _OURS.get(plain, plain or "stem")


def pair_of(name: str) -> tuple[tuple[str], str]:
    """The stem of a network that gives one, and its rest.

    >>> pair_of("Vocals"), pair_of("Instrumental"), pair_of("Bass")
    ((('vocals',), 'accompaniment'), (('accompaniment',), 'vocals'), (('bass',), 'no_bass'))
    """
    stem = stem_name(name)
    return (stem,), {"vocals": "accompaniment", "accompaniment": "vocals"}.get(stem, f"no_{stem}")
