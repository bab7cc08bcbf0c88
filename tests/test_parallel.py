"""Parallel: branches aligned and summed, gains that move, edits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import signals
from effects import RATE, Fragile, Late, Smooth, evenly, streamed
from pedalboard import Chain, Chorus, Compressor, Delay, Distortion, Gain, Mix, PitchShift, Reverb
from pedalboard_native._internal import AddLatency
from stembridge.model.effects.board import Board, Parallel

CUTS = ([1, 2, 3, 50, 200, 1000, 4000, 3746], evenly(9002, 256), signals.cuts(9002, seed=9, largest=3000))


def test_it_sums_what_pedalboards_mix_sums() -> None:
    audio = signals.noise(9002)
    cases: list[list[Any]] = [
        [Gain(-6), Reverb()],
        [Chain([Delay(0.01), Chorus()]), AddLatency(333), Compressor(-20, 3)],
        [AddLatency(1), Chain([Mix([AddLatency(77), Gain(3)]), Distortion()])],
        [PitchShift(0), Gain(0)],
    ]
    for branches in cases:
        expected = Mix(branches)(audio, RATE)
        np.testing.assert_array_equal(Parallel(branches)(audio, RATE), expected)
        if not isinstance(branches[0], PitchShift):
            for sizes in CUTS:
                np.testing.assert_array_equal(streamed(Parallel(branches), audio, sizes), expected)


@pytest.mark.parametrize("rate", [22050, 44100, 96000])
@pytest.mark.parametrize("buffer_size", [128, 8192, 65536])
@pytest.mark.parametrize("latencies", [(0, 1), (10, 0), (500, 999), (0, 5000, 20)])
def test_late_branches_are_aligned(rate: int, buffer_size: int, latencies: tuple[int, ...]) -> None:
    audio = signals.noise(9000)
    for make in (AddLatency, Late):
        both = Parallel([make(latency) for latency in latencies])
        np.testing.assert_allclose(both(audio, rate, buffer_size), len(latencies) * audio, rtol=1e-6)
        both.prepare(rate, 2)
        assert both.reported_latency_samples == max(latencies)
        out = both.process(audio, rate, buffer_size, reset=False)
        assert out.shape[1] == 9000 - max(latencies)
        out = np.concatenate([out, both.flush()], axis=1)
        np.testing.assert_allclose(out, len(latencies) * audio, rtol=1e-6)


def test_branches_of_every_kind_in_a_stream() -> None:
    audio = signals.noise(9002)
    both = Parallel(
        [
            None,
            Late(40),
            [Reverb(), Late(500)],
            Board([Smooth(), AddLatency(20)]),
            Parallel([Gain(-3), None]),
        ],
        gains_db=[0, -6, -3, -12, 1],
    )
    assert both.reported_latency_samples == 500
    assert isinstance(both[2], Board)
    whole = both(audio, RATE)
    branches = [
        audio,
        audio,
        Board([Reverb()])(audio, RATE),
        Smooth()(audio, RATE),
        audio + Board([Gain(-3)])(audio, RATE),
    ]
    gains = [10 ** (gain_db / 20) for gain_db in both.gains_db]
    np.testing.assert_allclose(whole, sum(g * b for g, b in zip(gains, branches, strict=True)), atol=1e-5)
    for sizes in CUTS:
        np.testing.assert_array_equal(streamed(both, audio, sizes), whole)


def test_it_stands_in_a_board_between_other_effects() -> None:
    audio = signals.noise(9002)
    board = Board([Delay(0.01), Parallel([AddLatency(100), Late(30)], gains_db=[-6, -6]), Reverb(), Late(9)])
    assert board.reported_latency_samples == 109
    whole = board(audio, RATE)
    for sizes in CUTS:
        np.testing.assert_array_equal(streamed(board, audio, sizes), whole)


def test_silence_without_branches_and_when_turned_down() -> None:
    ones = np.ones((2, 40), np.float32)
    assert not Parallel()(ones, RATE).any()
    assert not Parallel([None, Gain()], gains_db=[-144, float("-inf")])(ones, RATE).any()


def test_gains_are_checked() -> None:
    both = Parallel([None, Gain()])
    assert list(both.gains_db) == [0.0, 0.0]
    for wrong, error in (
        ([0.0], ValueError),
        ([0.0, 12.1], ValueError),
        ([0.0, float("nan")], ValueError),
        ([0.0, "loud"], TypeError),
    ):
        with pytest.raises(error, match="gain"):
            both.gains_db = wrong  # type: ignore[assignment]
        with pytest.raises(error, match="gain"):
            Parallel([None, Gain()], gains_db=wrong)  # type: ignore[arg-type]
    assert list(both.gains_db) == [0.0, 0.0]


def test_a_gain_that_moves_is_a_straight_ramp_whatever_the_chunks() -> None:
    ones = np.ones((1, 4000), np.float32)
    outs = []
    for sizes in (evenly(4000, 4000), evenly(4000, 37), signals.cuts(4000, 2, 900)):
        both = Parallel([None])
        both.process_planar(ones[:, :10], RATE, reset=False)
        both.gains_db = [-144]
        start, parts = 0, []
        for size in sizes:
            parts.append(both.process_planar(ones[:, start : start + size], RATE, reset=False))
            start += size
        outs.append(np.concatenate(parts, axis=1))
    for out in outs[1:]:
        np.testing.assert_array_equal(out, outs[0])
    steps = np.diff(outs[0][0], prepend=1.0)
    frames = round(0.020 * RATE)
    np.testing.assert_allclose(steps[:frames], -1 / frames, rtol=1e-3)
    assert not outs[0][0, frames - 1 :].any()


def test_a_gain_set_between_pieces_holds_from_the_first_frame() -> None:
    both = Parallel([None])
    ones = np.ones(100)
    both(ones, RATE)
    both.gains_db = [-144]
    assert not both(ones, RATE).any()
    both.gains_db = [0]
    both.reset()
    np.testing.assert_array_equal(both.process(ones, RATE, reset=False), ones)


def test_edits_keep_gains_with_their_branches() -> None:
    first, second, third = Gain(1), Gain(2), Late(3)
    both = Parallel([first, second], gains_db=[-1, -2])
    both.insert(0, third)
    assert list(both.gains_db) == [0, -1, -2]
    both.append(None)
    both[1] = Chorus()
    assert list(both.gains_db) == [0, -1, -2, 0]
    assert list(both[1:3].gains_db) == [-1, -2]
    del both[0]
    assert list(both.gains_db) == [-1, -2, 0]
    both[0:2] = [[Gain()], None, None]
    assert list(both.gains_db) == [0, 0, 0, 0]
    both.pop()
    assert len(both.gains_db) == len(both) == 3
    joined = Parallel([first], gains_db=[-1]) + Parallel([second], gains_db=[-2])
    assert list(joined.gains_db) == [-1, -2]
    assert list((joined + [None]).gains_db) == [-1, -2, 0]  # noqa: RUF005
    assert list(joined.copy().gains_db) == [-1, -2]


def test_branches_join_and_leave_a_stream_in_step() -> None:
    ones = np.ones((1, 1000), np.float32)
    both = Parallel([None, Late(300)])
    assert both.process(ones, RATE, reset=False).tolist() == [[2.0] * 700]
    both.append(None)
    out = both.process(ones, RATE, reset=False)
    # What joins at frame 1000 is heard from frame 1000 on, and 700 frames are out by then.
    assert out.tolist() == [[2.0] * 300 + [3.0] * 700]
    del both[1]
    assert both.process(ones, RATE, reset=False).tolist() == [[2.0] * 1300]
    assert both.flush().shape == (1, 0)


def test_the_same_item_may_not_be_in_two_branches() -> None:
    gain, late = Gain(), Late(0)
    for branches in ([gain, gain], [late, [late]], [Chain([gain]), gain]):
        with pytest.raises(RuntimeError, match="same plugin instance"):
            Parallel(branches)(np.ones((2, 9)), RATE)
    np.testing.assert_array_equal(Parallel([None, None])(np.ones(9), RATE), np.full(9, 2.0))


def test_a_failing_branch_breaks_the_stream() -> None:
    both = Parallel([None, Fragile(0)])
    with pytest.raises(OverflowError):
        both.process(np.full(9, 2.0), RATE, reset=False)
    with pytest.raises(RuntimeError, match="reset"):
        both.process(np.ones(9), RATE, reset=False)
    both.reset()
    np.testing.assert_array_equal(both.process(np.ones(9), RATE, reset=False), np.full(9, 2.0))


def test_a_tail_rings_on_after_a_whole_piece() -> None:
    both = Parallel([None, Reverb(wet_level=1.0)])
    both(signals.noise(3000), RATE)
    assert both.process(np.zeros((2, 500)), RATE, reset=False).any()
    late = Parallel([None, Late(3), Reverb(wet_level=1.0)])
    late(signals.noise(3000), RATE)
    assert not late.process(np.zeros((2, 500)), RATE, reset=False).any()
