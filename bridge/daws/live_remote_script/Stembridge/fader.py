"""Live's volume fader: positions 0 to 1, and the decibels that Live itself shows for them.

From position 0.4 up Live's law is a straight line, 40 dB per unit with 0 dB at 0.85; below, the formulas are
a published fit, good to some hundredths. So there Live's own display, `str_for_value`, is the measure, and
above it the judge: where the formula leaves what the display says, the display is right.
"""

from __future__ import annotations

import math
from typing import Any

SILENCE_DB = -144.0
TOP_DB = 6.0

_KNEE, _FOOT = 0.4, 0.15
_A, _B, _C, _D = 399.751894, 201.871345, 12630.61132, 799.503788
_P, _Q, _R = 118.426374, 5567 / 7504, 70.0


def gain_db(volume: Any, position: float) -> float:
    """The gain in dB of a volume parameter at a position."""
    if position <= 0.0:
        return SILENCE_DB
    law_db = law_gain_db(position)
    shown = shown_db(volume, position)
    if shown is None or (position >= _KNEE and abs(law_db - shown[0]) <= 1.02 * shown[1]):
        return law_db
    value, half = shown
    if value <= SILENCE_DB:
        return SILENCE_DB
    low, high = _edges(volume, value, half, position)
    return value - half + 2.0 * half * (position - low) / (high - low) if low < high else value


def position_of(volume: Any, wanted_db: float) -> float:
    """The position at which a volume parameter gives a gain in dB; beyond its ends, the end."""
    if wanted_db <= SILENCE_DB or wanted_db != wanted_db:
        return 0.0
    position = law_position(wanted_db)
    shown = shown_db(volume, position)
    if position in (0.0, 1.0) or shown is None:
        return position
    if position >= _KNEE and abs(wanted_db - shown[0]) <= 1.02 * shown[1]:
        return position
    half = shown[1] or 0.05
    value = round(wanted_db / (2.0 * half)) * 2.0 * half
    low, high = _edges(volume, value, half, position)
    return min(max(low + (high - low) * (wanted_db - value + half) / (2.0 * half), 0.0), 1.0)


def _edges(volume: Any, value: float, half: float, near: float) -> tuple[float, float]:
    """Where the display turns to a value and where to the next one: half a digit below it and above.

    So a display of one digit tells far more than one digit. The fader is nowhere flatter than 40 dB per
    unit, which says how far to look.
    """
    reach = 0.1 * half
    edges = []
    for level in (value - half, value + half):
        low, high = max(near - reach, 0.0), min(near + reach, 1.0)
        for _ in range(16):
            middle = (low + high) / 2.0
            shown = shown_db(volume, middle)
            if shown is not None and shown[0] > level:
                high = middle
            else:
                low = middle
        edges.append((low + high) / 2.0)
    return edges[0], edges[1]


def law_gain_db(position: float) -> float:
    """The formula."""
    if position >= _KNEE:
        return 40.0 * position - 34.0
    if position >= _FOOT:
        return -((_A * position - _B) ** 2 + _C) / _D
    return _P * math.pow(position, _Q) - _R


def law_position(wanted_db: float) -> float:
    """Its inverse."""
    if wanted_db >= 40.0 * _KNEE - 34.0:
        return min((wanted_db + 34.0) / 40.0, 1.0)
    if wanted_db >= law_gain_db(_FOOT):
        return min((_B - math.sqrt(max(-wanted_db * _D - _C, 0.0))) / _A, _KNEE)
    return float(min(max((wanted_db + _R) / _P, 0.0) ** (1.0 / _Q), _FOOT))


def shown_db(volume: Any, position: float) -> tuple[float, float] | None:
    """What Live shows at a position, and half a step of its last digit; None where that is no number."""
    try:
        text = str(volume.str_for_value(position))
    except Exception:  # an older Live, or one that shows something else
        return None
    number = text.replace("\u2212", "-").replace(",", ".").lower().replace("db", "").strip()
    if "inf" in number:
        return SILENCE_DB, 0.0
    try:
        value = float(number)
    except ValueError:
        return None
    return value, 0.5 * 10.0 ** -len(number.partition(".")[2])
