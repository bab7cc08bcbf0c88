"""Which control is meant, and how it speaks: every kind of control, and what must not be mistaken for one."""

from __future__ import annotations

import pytest
from stembridge.bridge.midi.controls import Control, Kind
from stembridge.bridge.midi.learning import Learner, relative_kind

CC = Control("cc", 3, 20)
FINE = Control("cc", 3, 52)


def decided(
    *heard: tuple[Control, int], positioned: bool = True, gap_ms: float = 15.0, after_s: float = 0.3
) -> tuple[Control, Kind] | None:
    """What is decided some time after messages that follow each other at a distance."""
    learner = Learner(positioned=positioned)
    at = 100.0
    for control, value in heard:
        learner.feed(control, value, at)
        at += gap_ms / 1000
    return learner.decide(at + after_s)


def test_a_fader() -> None:
    assert decided(*((CC, value) for value in range(40, 50))) == (CC, "7-bit")
    assert decided(*((CC, value) for value in (1, 2, 3, 4, 5))) == (CC, "7-bit")
    assert decided(*((CC, value) for value in (127, 126, 124, 120))) == (CC, "7-bit")


def test_a_knock_is_no_move() -> None:
    assert decided((CC, 64), (CC, 65)) is None
    assert decided((Control("cc", 1, 1), 3), (Control("cc", 1, 2), 9), (Control("cc", 1, 1), 4)) is None


def test_a_fader_among_noise() -> None:
    noise = Control("cc", 1, 74)
    assert decided((noise, 3), (CC, 1), (CC, 2), (noise, 4), (CC, 3), (CC, 4)) == (CC, "7-bit")


@pytest.mark.parametrize("fine_first", [False, True])
def test_a_fader_of_fourteen_bits(fine_first: bool) -> None:
    heard = []
    for value in range(8000, 9000, 100):
        pair = [(CC, value >> 7), (FINE, value & 0x7F)]
        heard += pair[::-1] if fine_first else pair
    assert decided(*heard, gap_ms=1.0) == (CC, "14-bit")


def test_two_knobs_that_are_32_apart_and_not_one() -> None:
    """Moved one after the other; the first of them counts."""
    assert decided(
        *((CC, value) for value in range(5)), *((FINE, value) for value in range(5)), gap_ms=30.0
    ) == (
        CC,
        "7-bit",
    )


def test_a_motor_fader_is_not_its_touch_note() -> None:
    bend = Control("pitchbend", 2)
    touch = Control("note", 1, 105)
    assert decided((touch, 127), (bend, 8000), (bend, 8100), (bend, 8200), (touch, 0)) == (bend, "pitch-bend")
    assert decided((touch, 127), (bend, 8000)) is None


def test_a_note_at_once() -> None:
    pad = Control("note", 10, 36)
    assert decided((pad, 100), positioned=False, after_s=0.0) == (pad, "note")
    assert decided((pad, 100), positioned=True) is None
    program = Control("program", 1, 7)
    assert decided((program, 127), positioned=False, after_s=0.0) == (program, "program")


def test_a_button_that_is_held_and_one_that_stays() -> None:
    assert decided((CC, 127), (CC, 0), positioned=False, after_s=0.0) == (CC, "button")
    assert decided((CC, 127), positioned=False, after_s=0.1) is None
    assert decided((CC, 127), positioned=False, after_s=0.8) == (CC, "switch")
    assert decided((CC, 0), positioned=False, after_s=0.8) == (CC, "switch")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((1, 1, 2, 1, 127, 127, 126), "relative-twos"),
        ((65, 65, 66, 63, 63, 62), "relative-offset"),
        ((1, 1, 2, 65, 65, 66), "relative-sign"),
        ((127, 127, 127), "relative-twos"),
        ((63, 63, 62), "relative-offset"),
    ],
)
def test_a_knob_without_ends(values: tuple[int, ...], kind: Kind) -> None:
    assert decided(*((CC, value) for value in values)) == (CC, kind)


def test_a_knob_turned_one_way_waits_for_the_other() -> None:
    right = [(CC, 1)] * 5
    assert decided(*right, after_s=0.5) is None
    assert decided(*right, after_s=2.5) == (CC, "relative-twos")
    assert decided(*right, (CC, 65), after_s=0.5) == (CC, "relative-sign")


def test_what_has_a_place_never_looks_relative() -> None:
    """Every sweep of a fader, at any speed, up or down."""
    for step in (1, 2, 3, 5, 8, 13):
        for start in range(128 - 4 * step):
            sweep = [start + n * step for n in range(4)]
            assert relative_kind(sweep) == (None, True)
            assert relative_kind(sweep[::-1]) == (None, True)
