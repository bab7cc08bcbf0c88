"""Fader laws: monotonic, exact inverses, unity where the hosts have it, and the snap to it."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stembridge.bridge.fader_laws import FADER_LAWS, fader_law
from stembridge.model.errors import ArgumentValueError
from stembridge.model.units import MAX_GAIN_DB, SILENCE_DB

LAWS = sorted(FADER_LAWS)


@pytest.mark.parametrize("name", LAWS)
def test_law_rises_from_silence_to_its_top(name: str) -> None:
    law = fader_law(name)
    gains = [law.db(place / 1000) for place in range(1001)]
    assert gains[0] == SILENCE_DB
    assert all(higher >= lower for lower, higher in itertools.pairwise(gains))
    assert 5.9 < gains[-1] <= MAX_GAIN_DB


@pytest.mark.parametrize("name", LAWS)
@given(gain_db=st.floats(-58.0, 5.9))
def test_position_of_a_gain_gives_the_gain_back(name: str, gain_db: float) -> None:
    law = fader_law(name)
    # Live's two pieces of curve do not meet exactly where they join, at -18 and -41 dB.
    assert law.db(law.position(gain_db)) == pytest.approx(gain_db, abs=0.1 if name == "live" else 1e-9)


@pytest.mark.parametrize(
    ("name", "position", "gain_db"),
    [
        ("ardour", 0.781787, 0.0),  # measured in Ardour 7
        ("ardour", 0.606968, -6.0),
        ("ardour", 1.0, 6.0206),
        ("live", 0.85, 0.0),
        ("live", 1.0, 6.0),
        ("live", 0.4, -18.0),
        ("reaper", 0.716, 0.0),
        ("reaper", 1.0, 12.0),
        ("linear", 1.0, 12.0),
    ],
)
def test_known_points(name: str, position: float, gain_db: float) -> None:
    assert fader_law(name).db(position) == pytest.approx(gain_db, abs=1e-3)
    assert fader_law(name).position(gain_db) == pytest.approx(position, abs=1e-5)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("steps", [128, 1024, 16384])
def test_every_control_can_reach_unity_and_both_ends(name: str, steps: int) -> None:
    law = fader_law(name)
    gains = [law.snapped_db(step / (steps - 1), steps) for step in range(steps)]
    assert 0.0 in gains
    assert gains[0] == SILENCE_DB
    assert gains[-1] == law.db(1.0)
    assert all(higher >= lower for lower, higher in itertools.pairwise(gains))


def test_snap_takes_nothing_else() -> None:
    law = fader_law("linear")
    assert law.snapped_db(law.position(0.04)) == 0.0
    assert law.snapped_db(law.position(-0.06)) == pytest.approx(-0.06)
    assert law.snapped_db(law.position(3.0), 128) == pytest.approx(3.0)


@pytest.mark.parametrize("position", [-1.0, 0.0, 1.0, 2.0])
def test_positions_outside_are_brought_inside(position: float) -> None:
    for law in FADER_LAWS.values():
        assert SILENCE_DB <= law.db(position) <= MAX_GAIN_DB
        assert 0.0 <= law.position(-math.inf) <= law.position(100.0) <= 1.0


def test_unknown_law_names_those_there_are() -> None:
    with pytest.raises(ArgumentValueError, match="ardour"):
        fader_law("yamaha")
