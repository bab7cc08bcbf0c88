"""In time with a clock: the first frame to the sample, drift made up for, without a click."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from stembridge.bridge.player.deck import DeckSong, Seek
from stembridge.bridge.player.following import Clock, Following
from stembridge.bridge.player.ring import Ring
from stembridge.bridge.player.varispeed import Varispeed
from stembridge.bridge.timecode import MidiClock, Timecode
from test_player_deck import RATE, STEMS, Floats, Tape, largest_step, make

SONG = DeckSong(STEMS, 2, RATE)


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Ring]:
    ring = Ring(tmp_path / "ring", SONG.layout, create=True)
    yield ring
    ring.close()


def test_varispeed_at_one_is_the_stream_two_frames_later() -> None:
    stream = np.random.default_rng(1).standard_normal((2, 5000)).astype(np.float32)
    speed, at = Varispeed(2), 0

    def pull(frames: int) -> Floats:
        nonlocal at
        at += frames
        return stream[:, at - frames : at]

    out = np.concatenate([speed.take(size, 1.0, pull) for size in (1, 100, 511, 1000)], axis=1)
    np.testing.assert_array_equal(out[:, 2:], stream[:, : out.shape[1] - 2])
    assert speed.behind == pytest.approx(at - out.shape[1] + 2)


@pytest.mark.parametrize("ratio", [0.997, 0.9995, 1.001, 1.003])
def test_varispeed_changes_the_pitch_and_nothing_else(ratio: float) -> None:
    hertz = 1000.0
    at = 0

    def pull(frames: int) -> Floats:
        nonlocal at
        at += frames
        return np.sin(2 * np.pi * hertz * np.arange(at - frames, at) / RATE)[None].astype(np.float32)

    speed = Varispeed(1)
    out = np.concatenate([speed.take(512, ratio, pull) for _ in range(40)], axis=1)[0, 100:]
    time = np.arange(len(out)) / RATE
    basis = np.stack([np.sin(2 * np.pi * hertz * ratio * time), np.cos(2 * np.pi * hertz * ratio * time)])
    weights, *_ = np.linalg.lstsq(basis.T, out, rcond=None)
    assert np.hypot(*weights) == pytest.approx(1.0, abs=1e-3)
    assert np.max(np.abs(out - weights @ basis)) < 2e-4


def run(
    ring: Ring, clock_rate: float, seconds: float, *, start_at: float = 0.3
) -> tuple[Floats, Following, Tape]:
    """A device with a clock that is right, and another side whose clock runs at a rate."""
    tape, deck = Tape(ring, 8.0), make(SONG, ring)
    following = Following(deck)
    parts = []
    for block in range(round(seconds * RATE / 480)):
        when = block * 480 / RATE
        tape.fill()
        following.clock = Clock((when - start_at) * clock_rate, when)
        parts.append(following.take(480, when)[0])
    return np.concatenate(parts, axis=1), following, tape


def test_first_frame_is_heard_at_its_moment_to_the_sample(ring: Ring) -> None:
    heard, following, tape = run(ring, 1.0, 2.0)
    start = round(0.3 * RATE)
    assert not heard[:, :start].any()
    part = tape.mix[:, 10_000:40_000]
    np.testing.assert_allclose(heard[:, start + 10_000 : start + 40_000], part, atol=0.005)
    assert abs(following.error_ms) < 0.02  # less than a frame
    assert not following.lost


@pytest.mark.parametrize("clock_rate", [0.9995, 1.0008])
def test_drift_is_made_up_for_without_a_click(ring: Ring, clock_rate: float) -> None:
    heard, following, tape = run(ring, clock_rate, 7.0)
    natural = largest_step(tape.mix)
    assert abs(following.error_ms) < 3.0  # a drift of 0.08 % would have come to 5 ms by now, and grow
    assert largest_step(heard) <= natural * 1.01 + np.max(np.abs(tape.mix)) / (0.010 * RATE)
    assert not following.lost


def test_a_jump_of_the_other_side_asks_for_a_seek(ring: Ring) -> None:
    tape, deck = Tape(ring, 8.0), make(SONG, ring)
    following = Following(deck)
    for block in range(200):
        when = block * 480 / RATE
        tape.fill()
        following.clock = Clock(when - 0.1 + (3.0 if block > 100 else 0.0), when)
        following.take(480, when)
    assert following.lost


def test_begin_waits_for_the_seek_and_is_lost_when_it_comes_too_late(ring: Ring) -> None:
    tape, deck = Tape(ring, 8.0), make(SONG, ring)
    deck.seek = Seek(1, 2 * RATE)
    following = Following(deck)
    following.clock = Clock(1.9, 0.0)
    assert not following.take(480, 0.0)[0].any()
    tape.epoch, tape.at = 1, 2 * RATE
    tape.fill()
    assert deck.seek is None
    late = following.take(480, 1.0)[0]  # frame 2 s was due 0.9 s ago
    assert following.lost
    assert not late.any()


def test_a_device_that_fills_up_is_not_believed_yet(ring: Ring) -> None:
    """Blocks asked for in a burst, each said to be heard as if the others were not there."""
    for insist, sounds in ((True, False), (False, True)):
        tape, deck = Tape(ring, 8.0), make(SONG, ring)
        ring.ask(0)
        following = Following(deck, wait_for_steady=insist)
        heard = []
        for _ in range(6):
            tape.fill()
            following.clock = Clock(0.0, 0.005)
            heard.append(following.take(480, 0.0)[0])
        assert np.concatenate(heard, axis=1).any() == sounds


def test_without_a_clock_it_is_the_deck(ring: Ring) -> None:
    tape, deck = Tape(ring), make(SONG, ring)
    tape.fill()
    deck.playing = True
    heard = Following(deck).take(2000, 0.0)[0]
    np.testing.assert_array_equal(heard[:, 1000:], tape.mix[:, 1000:2000])


# MIDI.


def clocks(
    clock: MidiClock, bpm: float, count: int, start: float, jitter_s: float = 0.0
) -> list[Timecode | None]:
    random = np.random.default_rng(2)
    step = 60.0 / bpm / 24
    return [
        clock.feed([0xF8], start + index * step + float(random.uniform(-jitter_s, jitter_s)))
        for index in range(count)
    ]


def test_clock_tells_the_tempo_and_the_place() -> None:
    clock = MidiClock()
    clocks(clock, 127.5, 60, 0.0)
    assert clock.bpm == pytest.approx(127.5)
    assert clock.feed([0xF2, 32, 0], 1.3) == Timecode(False, pytest.approx(8 * 60 / 127.5), 1.3)  # type: ignore[arg-type]
    assert clock.feed([0xFB], 1.31) is None
    step = 60.0 / 127.5 / 24
    told = clocks(clock, 127.5, 49, 59 * step + step)
    assert told[0] is not None
    assert told[0].position_s == pytest.approx(8 * 60 / 127.5)
    assert told[48] is not None
    assert told[48].position_s == pytest.approx(10 * 60 / 127.5)
    stopped = clock.feed([0xFC], 9.0)
    assert stopped == Timecode(False, pytest.approx(10 * 60 / 127.5), 9.0)  # type: ignore[arg-type]


def test_jitter_of_single_clocks_is_smoothed() -> None:
    clock = MidiClock()
    clocks(clock, 120.0, 60, 0.0, 0.003)
    clock.feed([0xFA], 1.24)
    step = 60.0 / 120 / 24
    start = 60 * step
    told = clocks(clock, 120.0, 200, start, 0.003)
    late = [one for one in told[100:] if one is not None]
    errors = [one.position_s - (one.at - start) for one in late]
    assert np.std(errors) < 0.001
    assert abs(np.mean(errors)) < 0.002


def test_machine_control_locates_plays_and_stops() -> None:
    clock = MidiClock(mmc_device=5)
    locate = [0xF0, 0x7F, 5, 0x06, 0x44, 0x06, 0x01, 0x20 | 0, 1, 2, 5, 0, 0xF7]  # 25 frames a second
    told = clock.feed(locate, 1.0)
    assert told is not None
    assert not told.playing
    assert told.position_s == pytest.approx(62.2)
    assert clock.feed([0xF0, 0x7F, 0x7F, 0x06, 0x02, 0xF7], 2.0) == Timecode(True, pytest.approx(62.2), 2.0)  # type: ignore[arg-type]
    assert clock.feed([0xF0, 0x7F, 9, 0x06, 0x01, 0xF7], 3.0) is None
    assert clock.feed([0xF0, 0x7F, 5, 0x06, 0x01, 0xF7], 3.0) is not None
    for odd in ([], [0xF0], [0xF2, 1], [0xF0, 0x7F, 5, 0x06, 0x44, 0x06, 0x01, 0xF7], [0x90, 1, 2]):
        clock.feed(odd, 4.0)
