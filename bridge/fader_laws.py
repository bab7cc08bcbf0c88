"""Fader positions and decibels, as the hosts have them.

Every law is a monotonic curve from position 0 (silence) to 1 (its top), with an exact inverse.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from stembridge.model.errors import ArgumentValueError
from stembridge.model.units import MAX_GAIN_DB, SILENCE_DB

UNITY_SNAP_DB = 0.05
"""A position that means this close to 0 dB is taken to mean 0 dB."""


@dataclass(frozen=True)
class FaderLaw:
    """One host's curve."""

    name: str
    db_of: Callable[[float], float]
    position_of: Callable[[float], float]

    def db(self, position: float) -> float:
        """The gain in dB at a position; positions outside 0 to 1 are brought inside, 0 is silence."""
        position = min(max(position, 0.0), 1.0)
        if position <= 0.0:
            return SILENCE_DB
        return min(max(self.db_of(position), SILENCE_DB), MAX_GAIN_DB)

    def position(self, gain_db: float) -> float:
        """The position of a gain in dB; gains the host cannot show are brought to its ends."""
        if gain_db <= SILENCE_DB:
            return 0.0
        return min(max(self.position_of(gain_db), 0.0), 1.0)

    def snapped_db(self, position: float, steps: int = 0) -> float:
        """The gain meant by a control: 0 dB exactly where 0 dB is within 0.05 dB or half of its own step.

        `steps` is the number of positions the control has (128 for a 7-bit one), 0 for a continuous one.
        """
        gain_db = self.db(position)
        if abs(gain_db) <= UNITY_SNAP_DB:
            return 0.0
        # A hair more than half a step: two neighbours at exactly half would leave unity out of reach.
        if steps > 1 and abs(position - self.position(0.0)) <= 0.5000001 / (steps - 1):
            return 0.0
        return gain_db


def fader_law(name: str) -> FaderLaw:
    """A law by its name. Raises ArgumentValueError for others."""
    if name not in FADER_LAWS:
        raise ArgumentValueError(f"a fader law is one of {', '.join(FADER_LAWS)}; got {name!r}")
    return FADER_LAWS[name]


# Ardour: with g the linear gain, p = ((6 log2 g + 192) / 198)^8, +6.02 dB at the top; fits measured points.


def _ardour_db(position: float) -> float:
    return 20.0 * math.log10(2.0) * (198.0 * math.pow(position, 0.125) - 192.0) / 6.0


def _ardour_position(gain_db: float) -> float:
    octaves = gain_db / (20.0 * math.log10(2.0))
    return float(max((6.0 * octaves + 192.0) / 198.0, 0.0) ** 8)


# Ableton Live: a straight line of 40 dB per unit from 0.4 up (0.85 is 0 dB, 1 is +6); below it a parabola in
# dB, then a power. The constants are a published fit to Live's own display.

_KNEE_V, _FOOT_V = 0.4, 0.15
_A, _B, _C, _D = 399.751894, 201.871345, 12630.61132, 799.503788
_P, _Q, _R = 118.426374, 5567 / 7504, 70.0


def _live_db(position: float) -> float:
    if position >= _KNEE_V:
        return 40.0 * position - 34.0
    if position >= _FOOT_V:
        return -((_A * position - _B) ** 2 + _C) / _D
    return _P * math.pow(position, _Q) - _R


def _live_position(gain_db: float) -> float:
    if gain_db >= 40.0 * _KNEE_V - 34.0:
        return (gain_db + 34.0) / 40.0
    if gain_db >= _live_db(_FOOT_V):
        # The rising side of the parabola; its own end at the knee is a few hundredths of a dB off the line.
        return min((_B - math.sqrt(max(-gain_db * _D - _C, 0.0))) / _A, _KNEE_V)
    return float(min(max((gain_db + _R) / _P, 0.0) ** (1.0 / _Q), _FOOT_V))


# REAPER: its formula is not published; a power of the gain through the two points of its default fader that
# are known, 0 dB at 0.716 and +12 dB at the top. Our link to REAPER speaks decibels and needs no law.

_REAPER_UNITY = 0.716
_REAPER_POWER = -20.0 * math.log10(_REAPER_UNITY) / MAX_GAIN_DB


def _reaper_db(position: float) -> float:
    return MAX_GAIN_DB + 20.0 * math.log10(position) / _REAPER_POWER


def _reaper_position(gain_db: float) -> float:
    return float(10.0 ** ((gain_db - MAX_GAIN_DB) * _REAPER_POWER / 20.0))


# Linear in dB: -60 at the bottom (0 itself is silence), +12 at the top.

_LINEAR_BOTTOM_DB = -60.0


def _linear_db(position: float) -> float:
    return _LINEAR_BOTTOM_DB + (MAX_GAIN_DB - _LINEAR_BOTTOM_DB) * position


def _linear_position(gain_db: float) -> float:
    return (gain_db - _LINEAR_BOTTOM_DB) / (MAX_GAIN_DB - _LINEAR_BOTTOM_DB)


FADER_LAWS = {
    law.name: law
    for law in (
        FaderLaw("ardour", _ardour_db, _ardour_position),
        FaderLaw("live", _live_db, _live_position),
        FaderLaw("reaper", _reaper_db, _reaper_position),
        FaderLaw("linear", _linear_db, _linear_position),
    )
}
