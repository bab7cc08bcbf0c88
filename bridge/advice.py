"""What another model would give: one line after a render, from the registry's figures."""

from __future__ import annotations

from stembridge.model.registry import SeparatorEntry, list_separators, separator_entry

_WORTH_A_WORD_DB = 0.3
"""Less is within what songs differ by."""


def better_model(used: str) -> SeparatorEntry | None:
    """The best model that gives the same stems and measured better: one that is here, else one to install."""
    entry = separator_entry(used)
    least = entry.sdr_db.get("average", 0.0) + _WORTH_A_WORD_DB
    better = [
        other
        for other in list_separators()
        if set(entry.stems) <= set(other.stems) and other.sdr_db.get("average", least) > least
    ]
    return max(better, key=lambda other: (not other.missing, other.sdr_db["average"]), default=None)


def advice(used: str) -> str:
    """A line on what a better installed or installable model would give; empty where there is none.

    >>> "--stems-from" in advice("classic") or "-n " in advice("classic")
    True
    """
    entry, better = separator_entry(used), better_model(used)
    if better is None:
        if entry.weights is not None:
            return ""
        return (
            f"{entry.name} is training-free, and no trained separator is installed; "
            "stems from any other tool can be ridden with --stems-from DIR"
        )
    gain = better.sdr_db["average"] - entry.sdr_db.get("average", 0.0)
    songs = f" on {better.sdr_songs}" if better.sdr_songs else ""
    speed = f", at {better.speed:.3g}x real time on one core" if better.speed else ""
    how = f"{better.missing}, then -n {better.name}" if better.missing else f"-n {better.name}"
    comparable = "average" in entry.sdr_db and entry.sdr_songs == better.sdr_songs
    known = f" ({gain:+.1f} dB)" if comparable else ""
    return f"{better.name} measured {better.sdr_db['average']:.1f} dB SDR{songs}{known}{speed}: {how}"
