"""What a player is told: notes and hits, in seconds from the start of the song."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Split = Literal["train", "validation"]
"""Whole voices, kits and soundfonts belong to one split; nothing is ever heard in both."""


@dataclass(frozen=True)
class Note:
    """One pitched note."""

    start_s: float
    seconds: float
    pitch: float
    """MIDI note number, 69 = 440 Hz; fractions are cents / 100."""
    velocity: float
    """0 to 1."""


@dataclass(frozen=True)
class Hit:
    """One stroke on one piece of a drum kit."""

    start_s: float
    piece: str
    """`kick`, `snare`, `rim`, `clap`, `hihat-closed`, `hihat-open`, `hihat-pedal`, `tom-low`, `tom-mid`,
    `tom-high`, `crash`, `ride`, `splash`, `tambourine`, `shaker`, `cowbell`, `conga`."""
    velocity: float
    """0 to 1."""
