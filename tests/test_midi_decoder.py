"""MIDI messages into moves: 7 and 14 bits, whichever half comes first, buttons, notes, knobs without ends."""

from __future__ import annotations

import random
from collections.abc import Mapping

import mido
import pytest
from stembridge.bridge.midi.controls import (
    Control,
    Kind,
    MidiError,
    control_of,
    messages_for,
    parse_control,
)
from stembridge.bridge.midi.decoder import Decoder, Move

FADER = Control("cc", 1, 20)


def decoder(kinds: Mapping[Control, Kind]) -> Decoder:
    return Decoder(kinds.get)


def cc(number: int, value: int, channel: int = 1) -> mido.Message:
    return mido.Message("control_change", channel=channel - 1, control=number, value=value)


def feed(one: Decoder, *messages: tuple[float, mido.Message]) -> list[Move]:
    """The moves of messages that come at times in milliseconds."""
    moves = [one.feed(message, at / 1000) for at, message in messages]
    return [move for move in moves if move is not None]


def positions(moves: list[Move]) -> list[float]:
    return [move.position for move in moves]


def test_seven_bits_reach_both_ends_exactly() -> None:
    moves = feed(decoder({FADER: "auto"}), *((n * 30.0, cc(20, n)) for n in range(128)))
    assert positions(moves) == [n / 127 for n in range(128)]
    assert {move.top for move in moves} == {127}


def test_the_coarse_half_counts_at_once_and_the_fine_one_refines_it() -> None:
    one = decoder({FADER: "auto"})
    assert positions(feed(one, (0, cc(20, 64)))) == [64 / 127]
    assert positions(feed(one, (1, cc(52, 5)))) == [(64 << 7 | 5) / 16383]
    assert positions(feed(one, (30, cc(20, 65)), (31, cc(52, 127)))) == [
        (65 << 7) / 16383,
        (65 << 7 | 127) / 16383,
    ]


def test_fourteen_bits_reach_both_ends_exactly() -> None:
    one = decoder({FADER: "14-bit"})
    assert positions(feed(one, (0, cc(20, 127)), (1, cc(52, 127)))) == [1.0, 1.0]
    assert positions(feed(one, (50, cc(20, 0)), (51, cc(52, 0)))) == [0.0, 0.0]
    assert positions(feed(one, (200, cc(20, 127)))) == [1.0], (
        "a fine half that got lost leaves no gap at the top"
    )


def test_a_late_fine_half_is_another_controller() -> None:
    assert positions(feed(decoder({FADER: "auto"}), (0, cc(20, 64)), (21, cc(52, 100)))) == [64 / 127]


def test_a_known_fine_half_counts_alone() -> None:
    one = decoder({FADER: "14-bit"})
    feed(one, (0, cc(20, 64)), (1, cc(52, 0)))
    assert positions(feed(one, (500, cc(52, 9)))) == [(64 << 7 | 9) / 16383]


@pytest.mark.parametrize("gap_ms", [0.2, 1.0, 3.0])
def test_a_device_that_sends_the_fine_half_first(gap_ms: float) -> None:
    """Its first gesture already reads right, and no value ever mixes the halves of two."""
    one = decoder({FADER: "auto"})
    values = [8000, 8100, 8192, 8300, 9000, 0, 16383]
    messages: list[tuple[float, mido.Message]] = []
    for place, value in enumerate(values):
        at = 1000 + place * 2 * gap_ms
        messages += [(at, cc(52, value & 0x7F)), (at + gap_ms, cc(20, value >> 7))]
    assert positions(feed(one, *messages)) == [value / 16383 for value in values]


def test_a_fast_device_that_sends_the_coarse_half_first_is_not_mistaken() -> None:
    one = decoder({FADER: "auto"})
    values = list(range(8000, 9000, 37))
    messages: list[tuple[float, mido.Message]] = []
    for place, value in enumerate(values):
        at = 1000 + place * 1.0
        messages += [(at, cc(20, value >> 7)), (at + 0.5, cc(52, value & 0x7F))]
    moves = feed(one, *messages)
    assert [move.value for move in moves[1::2]] == values
    assert all(move.value <= value for move, value in zip(moves[2::2], values[1:], strict=True))


def test_a_controller_of_seven_bits_after_one_of_fourteen() -> None:
    one = decoder({FADER: "auto"})
    feed(one, (0, cc(20, 64)), (1, cc(52, 3)))
    moves = feed(one, (1000, cc(20, 10)), (1100, cc(20, 11)), (1200, cc(20, 12)))
    assert moves[-1].position == 12 / 127


def test_channels_are_controls_of_their_own() -> None:
    other = Control("cc", 2, 20)
    one = decoder({FADER: "auto", other: "auto"})
    moves = feed(one, (0, cc(20, 64)), (1, cc(20, 3, channel=2)), (2, cc(52, 1)), (3, cc(52, 2, channel=2)))
    assert [(move.control, move.value) for move in moves] == [
        (FADER, 64), (other, 3), (FADER, 64 << 7 | 1), (other, 3 << 7 | 2),
    ]  # fmt: skip


def test_a_button_where_a_fine_half_could_be_is_a_button() -> None:
    one = decoder({Control("cc", 1, 0): "auto", Control("cc", 1, 32): "button"})
    moves = feed(one, (0, cc(0, 64)), (1, cc(32, 127)), (2, cc(32, 0)))
    assert [(move.value, move.pressed) for move in moves] == [(64, None), (0, True), (0, False)]


def test_a_button_that_repeats_itself_is_pressed_once() -> None:
    one = decoder({FADER: "button"})
    moves = feed(one, (0, cc(20, 127)), (5, cc(20, 127)), (9, cc(20, 0)), (12, cc(20, 0)), (20, cc(20, 127)))
    assert [move.pressed for move in moves] == [True, False, True]


def test_notes_are_pressed_whether_they_end_or_not() -> None:
    pad = Control("note", 10, 36)
    on = mido.Message("note_on", channel=9, note=36, velocity=1)
    one = decoder({pad: "note"})
    moves = feed(
        one, (0, on), (5, on), (9, on.copy(velocity=0)), (12, mido.Message("note_off", channel=9, note=36))
    )
    assert [move.pressed for move in moves] == [True, True, False]


@pytest.mark.parametrize(
    ("kind", "up", "down"),
    [
        ("relative-twos", (1, 3), (127, 125)),
        ("relative-offset", (65, 67), (63, 61)),
        ("relative-sign", (1, 3), (65, 67)),
    ],
)
def test_knobs_without_ends(kind: Kind, up: tuple[int, int], down: tuple[int, int]) -> None:
    moves = feed(decoder({FADER: kind}), *((n, cc(20, value)) for n, value in enumerate((*up, *down))))
    assert [move.steps for move in moves] == [1, 3, -1, -3]


def test_pitch_bend_and_programs() -> None:
    bend, program = Control("pitchbend", 9), Control("program", 1, 5)
    one = decoder({bend: "pitch-bend", program: "program"})
    moves = feed(
        one,
        (0, mido.Message("pitchwheel", channel=8, pitch=-8192)),
        (1, mido.Message("pitchwheel", channel=8, pitch=8191)),
        (2, mido.Message("program_change", channel=0, program=4)),
    )
    assert [(move.position, move.pressed) for move in moves] == [(0.0, None), (1.0, None), (0.0, True)]


def test_what_nobody_asked_for_is_nothing() -> None:
    rng = random.Random(4)
    one = decoder({})
    for at in range(2000):
        message = rng.choice(
            [cc(rng.randrange(128), rng.randrange(128)), mido.Message("clock"), mido.Message("stop")]
        )
        assert one.feed(message, at / 1000) is None


def test_controls_as_text() -> None:
    for control in (FADER, Control("note", 16, 0), Control("pitchbend", 3), Control("program", 1, 128)):
        assert parse_control(str(control)) == control
    for text in (
        "",
        "cc",
        "cc 1",
        "cc 17 3",
        "cc 1 128",
        "fader 1 2",
        "pitchbend 1 2",
        "cc 1 -3",
        "program 1 0",
    ):
        with pytest.raises(MidiError):
            parse_control(text)


@pytest.mark.parametrize("control", [FADER, Control("pitchbend", 9), Control("note", 1, 8)])
def test_what_is_shown_reads_the_same(control: Control) -> None:
    value = 9944 if control.source == "pitchbend" else 99
    (message,) = messages_for(control, value)
    assert control_of(message) == (control, value)


def test_fourteen_bits_are_shown_in_two_messages() -> None:
    one = decoder({FADER: "14-bit"})
    moves = [one.feed(message, 0.0) for message in messages_for(FADER, 12345, fine=True)]
    assert moves[-1] is not None
    assert moves[-1].value == 12345
