"""Boards: the list, pedalboard's own samples, and the places where pedalboard goes wrong."""

from __future__ import annotations

import copy
import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import pedalboard as natives_typed
import pytest
import signals
from effects import RATE, Fragile, Late, Smooth, evenly, streamed
from pedalboard import (
    BrickwallLimiter,
    Chain,
    Chorus,
    Clipping,
    Compressor,
    Convolution,
    Delay,
    Distortion,
    Gain,
    GSMFullRateCompressor,
    HighpassFilter,
    LadderFilter,
    Limiter,
    LowpassFilter,
    Mix,
    MP3Compressor,
    NoiseGate,
    Phaser,
    PitchShift,
    Resample,
    Reverb,
)
from pedalboard_native._internal import AddLatency
from stembridge.model.audio import Audio
from stembridge.model.effects.board import Board, Parallel, Pedalboard, process
from stembridge.model.effects.effect import Effect
from stembridge.model.errors import ArgumentValueError, PluginError, StateError

pedalboard: Any = natives_typed
"""Its own `Pedalboard` is not among what it exports to type checkers."""


def native(plugins: list[Any], audio: Audio, rate: float = RATE, buffer_size: int = 8192) -> Audio:
    """What pedalboard itself makes of a whole piece."""
    out: Audio = pedalboard.Pedalboard(plugins)(audio, rate, buffer_size)
    return out


# A list.


def test_it_is_a_list() -> None:
    gain, reverb, late = Gain(), Reverb(), Late(1)
    board = Board([gain, late])
    board.append(reverb)
    board.insert(1, None)
    assert [len(board), board[0], board[1], board[-1]] == [4, gain, None, reverb]
    assert board[0] is gain
    assert list(board) == [gain, None, late, reverb]
    assert late in board
    assert Gain() not in board
    assert cast("Any", "gain") not in board
    assert board.index(late) == 2
    assert board.count(None) == 1
    board.remove(late)
    assert board.pop() is reverb
    del board[1]
    board[0] = late
    board += [gain, reverb]
    assert list(board) == [late, gain, reverb]
    board.reverse()
    assert list(reversed(board)) == [late, gain, reverb]
    board.clear()
    assert len(board) == 0
    assert not board


def test_slices_sums_and_copies_are_boards_with_the_same_plugins() -> None:
    gain, reverb, late = Gain(), Reverb(), Late(1)
    board = Board([gain, reverb, late])
    assert isinstance(board[1:], Board)
    assert list(board[::-1]) == [late, reverb, gain]
    assert list(board[:1] + [None]) == [gain, None]  # noqa: RUF005
    assert list(board[:1] + Chain([reverb])) == [gain, reverb]
    assert list(board.copy()) == list(copy.copy(board)) == list(board)
    board[0:2] = [reverb]
    assert list(board) == [reverb, late]
    del board[:1]
    assert list(board) == [late]
    with pytest.raises(TypeError):
        board + cast("Any", "x")


def test_it_is_made_from_lists_tuples_boards_and_native_chains() -> None:
    gain, reverb = Gain(), Reverb()
    for given in (
        [gain, reverb],
        (gain, reverb),
        Board([gain, reverb]),
        pedalboard.Pedalboard([gain, reverb]),
    ):
        assert list(Board(given)) == [gain, reverb]
    assert list(Board()) == list(Board(None)) == list(Board([])) == []


@pytest.mark.parametrize(
    "given", ["I want a reverb please", {1}, 5, Gain(), iter([Gain()]), (x for x in [Gain()])]
)
def test_it_is_made_from_nothing_else(given: Any) -> None:
    with pytest.raises(TypeError, match="list"):
        Board(given)


@pytest.mark.parametrize("wrong", ["reverb", 3, [Gain()], Gain, np.zeros(3), object()])
def test_it_holds_effects_only(wrong: Any) -> None:
    board = Board([Gain()])
    attempts: list[Callable[[], object]] = [
        lambda: Board([wrong]),
        lambda: board.append(wrong),
        lambda: board.insert(0, wrong),
        lambda: board.__setitem__(0, wrong),
        lambda: board.__setitem__(slice(0, 1), [Gain(), wrong]),
        lambda: board.extend([wrong]),
    ]
    for attempt in attempts:
        with pytest.raises(TypeError, match="holds pedalboard plug-ins"):
            attempt()
    assert len(board) == 1


def test_errors_say_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"Did you mean Gain\(\)"):
        Board([Gain])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"Board\(\[\.\.\.\]\)"):
        Board([[Gain()]])  # type: ignore[list-item]
    for bad in (5, -5):
        with pytest.raises(IndexError):
            Board([Gain()])[bad]
        with pytest.raises(IndexError):
            del Board([Gain()])[bad]
        with pytest.raises(IndexError):
            Board([Gain()])[bad] = Gain()
    with pytest.raises(ValueError, match="not in"):
        Board([Gain()]).remove(Gain())


def test_instruments_are_refused() -> None:
    class Synth(Late):
        is_effect = False
        is_instrument = True

    with pytest.raises(ValueError, match="instrument"):
        Board([Synth(0)])


def test_native_subclasses_whose_python_would_be_skipped_are_refused() -> None:
    class Loud(Gain):
        def process(self, *args: Any, **kwargs: Any) -> Any:
            return 1

    loud = Loud()
    for item in (loud, Chain([loud])):
        with pytest.raises(TypeError, match="would skip"):
            Board([item])(np.ones(9, np.float32), RATE)


def test_repr_shows_the_list() -> None:
    gain, late = Gain(-6), Late(1)
    assert repr(Board([gain, None, late])) == f"<Board with 3 plugins: [{gain!r}, None, {late!r}]>"
    assert repr(Parallel([gain])) == f"<Parallel with 1 plugin: [{gain!r}]>"
    assert Pedalboard is Board


def test_wrappers_stay_alive() -> None:
    class Marked(Gain):
        pass

    board = Board([Marked(), pedalboard.Pedalboard([Gain()])])
    gc.collect()
    assert type(board[0]) is Marked
    assert type(board[1]) is pedalboard.Pedalboard


def test_a_board_cannot_hold_itself() -> None:
    inner = Board()
    outer = Board([Parallel([inner])])
    for attempt in (lambda: inner.append(inner), lambda: inner.append(outer)):
        with pytest.raises(ValueError, match="hold itself"):
            attempt()  # type: ignore[no-untyped-call]


# pedalboard's own samples.

IMPULSE = (np.random.default_rng(3).standard_normal(600) * np.exp(-np.arange(600) / 90)).astype(np.float32)

EFFECTS: dict[str, Callable[[], Any]] = {
    "Chorus": Chorus,
    "Clipping": lambda: Clipping(-12),
    "Compressor": lambda: Compressor(-30, 4),
    "Delay": lambda: Delay(0.01, 0.5),
    "Distortion": Distortion,
    "Gain": lambda: Gain(-3),
    "HighpassFilter": lambda: HighpassFilter(900),
    "LadderFilter": LadderFilter,
    "Limiter": lambda: Limiter(-20),
    "LowpassFilter": lambda: LowpassFilter(900),
    "NoiseGate": lambda: NoiseGate(-20),
    "Phaser": Phaser,
    "Reverb": Reverb,
    "BrickwallLimiter": lambda: BrickwallLimiter(ceiling_db=-12),
    "AddLatency": lambda: AddLatency(700),
    "Resample": lambda: Resample(11025),
    "MP3Compressor": MP3Compressor,
}

CHUNKS: dict[str, list[int]] = {
    "grow": [1, 2, 3, 50, 200, 1000, 4000, 3746],
    "shrink": [4000, 1000, 3000, 999, 1, 0, 2],
    "even": evenly(9002, 256),
    "random": signals.cuts(9002, seed=5, largest=3000),
}


@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.parametrize("channels", [1, 2])
def test_native_effects_give_native_samples_whole_and_in_chunks(name: str, channels: int) -> None:
    audio = signals.noise(9002, channels)
    plugin = EFFECTS[name]()
    expected = native([plugin], audio)
    board = Board([plugin])
    np.testing.assert_array_equal(board(audio, RATE), expected)
    for sizes in CHUNKS.values():
        np.testing.assert_array_equal(streamed(board, audio, sizes), expected)


def test_convolution_differs_by_rounding_only() -> None:
    audio = signals.noise(9002)
    board = Board([Convolution(IMPULSE, sample_rate=RATE)])
    expected = native(list(board), audio)
    np.testing.assert_array_equal(board(audio, RATE), expected)
    for sizes in CHUNKS.values():
        np.testing.assert_allclose(streamed(board, audio, sizes), expected, atol=1e-6)


def test_rows_of_native_effects_give_native_samples() -> None:
    audio = signals.noise(9002)
    rows: list[list[Any]] = [
        [Gain(-3), Reverb()],
        [Gain(3), AddLatency(1500), Reverb(), Delay(0.01), Chorus()],
        [Chain([AddLatency(10), Chain([Reverb()])]), None, Compressor(-20, 4)],
        [Reverb(), Resample(8000), BrickwallLimiter(), Gain(2), Resample(22050)],
    ]
    for row in rows:
        board = Board(row)
        expected = native(row, audio)
        np.testing.assert_array_equal(board(audio, RATE), expected)
        np.testing.assert_array_equal(board(audio, RATE, buffer_size=300), expected)
        for sizes in CHUNKS.values():
            np.testing.assert_array_equal(streamed(board, audio, sizes), expected)


def test_mp3_behind_latency_is_the_same_whole_and_in_chunks() -> None:
    # By itself pedalboard hands it a short block there, after which it loses frames.
    audio = signals.noise(9002)
    board = Board([AddLatency(100), MP3Compressor(), Gain(0)])
    expected = native([MP3Compressor()], audio)
    np.testing.assert_array_equal(board(audio, RATE), expected)
    for sizes in CHUNKS.values():
        np.testing.assert_array_equal(streamed(board, audio, sizes), expected)


@pytest.mark.parametrize("buffer_size", [128, 8192, 65536])
@pytest.mark.parametrize("rate", [22050, 44100, 48000])
def test_many_effects_nested_and_parallel(buffer_size: int, rate: int) -> None:
    # As a first-time user would build it: everything in everything.
    board = Board(
        [
            Compressor(-50, 25),
            Gain(30),
            Chorus(),
            LadderFilter(cutoff_hz=900),
            Parallel([Gain(1), Board([PitchShift(semitones=7), Delay(0.25)]), [PitchShift(12), Gain(-12)]]),
            Phaser(),
            Reverb(room_size=0.25),
        ]
    )
    out = board(signals.noise(rate // 4, 1), rate, buffer_size)
    assert out.shape == (1, rate // 4)
    assert np.isfinite(out).all()
    assert out.any()


@pytest.mark.parametrize("shape", [(9000,), (9000, 1), (9000, 2), (1, 4), (2, 4)])
def test_an_empty_board_changes_nothing(shape: tuple[int, ...]) -> None:
    audio = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for board in (Board(), Board([None, Board([None])])):
        np.testing.assert_array_equal(board(audio, RATE), audio)
        np.testing.assert_array_equal(board.process(audio, RATE, reset=False), audio)


@pytest.mark.parametrize("rate", [22050, 48000])
@pytest.mark.parametrize("buffer_size", [1, 64, 65, 128, 8192, 8193])
@pytest.mark.parametrize("latency", [0, 1, 900, 12000])
@pytest.mark.parametrize("channels", [1, 2])
def test_latency_is_made_up_for(rate: int, buffer_size: int, latency: int, channels: int) -> None:
    audio = signals.noise(700 if buffer_size == 1 else 9000, channels)
    board = Board([AddLatency(latency), Late(latency), Chain([AddLatency(latency)])])
    np.testing.assert_array_equal(board(audio, rate, buffer_size), audio)
    assert board.reported_latency_samples == 3 * latency


@pytest.mark.parametrize("sizes", CHUNKS.values(), ids=CHUNKS)
def test_native_and_own_effects_mix_in_a_stream(sizes: list[int]) -> None:
    audio = signals.noise(9002)
    board = Board(
        [Reverb(), Late(300), Delay(0.01), Board([Late(77, 0.5), Chorus()]), AddLatency(45), Smooth()]
    )
    assert board.reported_latency_samples == 422
    np.testing.assert_array_equal(streamed(board, audio, sizes), board(audio, RATE))
    plain = native([Reverb(), Delay(0.01), Gain(-6.0206), Chorus()], audio)
    np.testing.assert_allclose(board(audio, RATE), Smooth()(plain, RATE), atol=1e-4)


def test_a_stream_holds_back_exactly_the_reported_latency() -> None:
    board = Board([AddLatency(100), Late(50), Resample(8000), MP3Compressor()])
    board.prepare(RATE, 2)
    latency = board.reported_latency_samples
    audio = signals.noise(9002)
    fed = given = 0
    for size in CHUNKS["random"]:
        given += board.process(audio[:, fed : fed + size], RATE, reset=False).shape[1]
        fed += size
        assert given == max(0, fed - latency)
    assert board.reported_latency_samples == latency
    assert board.flush().shape == (2, min(latency, fed))


def test_zeros_push_out_what_flush_would() -> None:
    audio = signals.noise(3000)
    board = Board([Late(40), AddLatency(60)])
    head = board.process(audio, RATE, reset=False)
    tail = board.process(np.zeros((2, 100), np.float32), RATE, reset=False)
    np.testing.assert_array_equal(np.concatenate([head, tail], axis=1), audio)


@pytest.mark.parametrize("transpose", [False, True])
def test_chunks_smaller_than_the_channel_count(transpose: bool) -> None:
    audio = signals.noise(17)
    board = Board([Reverb(), Late(2), Gain()])
    expected = board(audio, RATE)
    board.prepare(RATE, 2)
    parts = []
    for start in (0, 1, 3, 6, 9, 12, 15):
        stop = {0: 1, 1: 3, 15: 17}.get(start, start + 3)
        chunk = audio[:, start:stop]
        out = board(chunk.T if transpose else chunk, RATE, reset=False)
        parts.append(out.T if transpose else out)
    rest = board.flush()
    parts.append(rest.T if transpose else rest)
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), expected)


def test_every_call_with_reset_is_its_own_piece() -> None:
    audio = signals.noise(3000)
    board = Board([Reverb(wet_level=1.0), Late(10), Delay(0.01)])
    first = board(audio, RATE)
    assert not board(np.zeros((2, 3000), np.float32), RATE).any()
    np.testing.assert_array_equal(board(audio, RATE), first)


@pytest.mark.parametrize("frames", [3000, 700])
def test_sound_rings_on_without_reset(frames: int) -> None:
    audio = signals.noise(3000)
    board = Board([Reverb(wet_level=1.0)])
    silence = np.zeros((2, frames), np.float32)
    for first in (True, False):
        board.process(audio, RATE, reset=first)
        assert np.abs(board.process(silence, RATE, reset=False)).max() > 0.01
    board.reset()
    assert not board.process(silence, RATE, reset=False).any()


def test_an_empty_piece_resets_too() -> None:
    board = Board([Reverb(wet_level=1.0)])
    board.process(signals.noise(3000), RATE, reset=False)
    board.process(np.zeros((2, 0)), RATE, reset=True)
    assert not board.process(np.zeros((2, 900)), RATE, reset=False).any()


def test_a_plugin_used_before_starts_clean() -> None:
    reverb = Reverb(wet_level=1.0)
    reverb(signals.noise(3000), RATE, reset=False)
    assert not Board([reverb]).process(np.zeros((2, 900)), RATE, reset=False).any()


# Where pedalboard would crash, hang or go wrong.


def test_native_mix_with_late_branches_streams_exactly() -> None:
    audio = signals.noise(9002)
    row = [
        Mix([AddLatency(500), Gain(-6), None, Chain([Reverb(), AddLatency(20), Mix([Delay(0.01), Gain()])])])  # type: ignore[list-item]
    ]
    expected = native(row, audio)
    board = Board(row)
    assert board.reported_latency_samples == 500
    np.testing.assert_array_equal(board(audio, RATE), expected)
    for sizes in CHUNKS.values():
        np.testing.assert_array_equal(streamed(board, audio, sizes), expected)


def test_a_native_mix_may_be_edited() -> None:
    mix = Mix([Gain(0), Gain(0)])
    board = Board([mix])
    ones = np.ones((2, 50), np.float32)
    assert board(ones, RATE).max() == 2.0
    for _ in range(20):
        mix.append(Gain(0))
    assert board(ones, RATE).max() == 22.0
    for _ in range(21):
        del mix[0]
    assert board(ones, RATE).max() == 1.0
    assert not board(0 * ones, RATE).any()


def test_none_and_empty_containers_do_no_harm() -> None:
    ones = np.ones((2, 50), np.float32)
    np.testing.assert_array_equal(process(ones, RATE, [None, Chain([]), Chain(cast("Any", [None]))]), ones)
    np.testing.assert_array_equal(process(ones, RATE, [Parallel([None, None])]), 2 * ones)
    assert not process(ones, RATE, [Mix([])]).any()
    assert not process(ones, RATE, [Parallel()]).any()
    assert not Parallel().process(ones, RATE, reset=False).any()


def test_buffer_size_0_is_refused_before_it_can_hang() -> None:
    for call in (Board([Gain()]), Parallel([Gain()])):
        with pytest.raises(ValueError, match="buffer_size"):
            call(np.ones(5), RATE, 0)
    with pytest.raises(ValueError, match="buffer_size"):
        process(np.ones(5), RATE, [Gain()], 0)


@pytest.mark.parametrize("plugin", [PitchShift, GSMFullRateCompressor])
def test_effects_that_cannot_be_streamed_say_so(plugin: Callable[[], Any]) -> None:
    audio = signals.noise(5000)
    board = Board([Mix([plugin(), Gain()])])
    np.testing.assert_array_equal(board(audio, RATE), native([plugin()], audio) + native([Gain()], audio))
    for _ in range(2):
        board.reset()
        with pytest.raises(PluginError, match="cannot be streamed"):
            board.process(audio, RATE, reset=False)
    assert board(audio, RATE).shape == audio.shape
    with pytest.raises(RuntimeError):
        Board([plugin()]).process(audio, RATE, reset=False)


@pytest.mark.parametrize(
    "wrap", [lambda g: [g, g], lambda g: [g, Chain([Mix([g])])], lambda g: [Board([g]), g]]
)
def test_one_instance_twice_is_refused(wrap: Callable[[Any], list[Any]]) -> None:
    for instance in (Gain(), Late(1)):
        try:
            board = Board(wrap(instance))
        except TypeError:
            assert isinstance(instance, Late)  # native containers refuse it by themselves
            continue
        for reset in (True, False):
            with pytest.raises(RuntimeError, match="same plugin instance is being used multiple times"):
                board.process(np.ones((2, 9)), RATE, reset=reset)
        board[:] = [instance]
        board.reset()
        assert board(np.ones((2, 9)), RATE).shape == (2, 9)


def test_a_failing_effect_breaks_the_stream_of_the_board() -> None:
    board = Board([Gain(0), Board([Fragile(0)])])
    board.process(np.ones(9), RATE, reset=False)
    with pytest.raises(OverflowError, match="too loud"):
        board.process(np.full(9, 2.0), RATE, reset=False)
    with pytest.raises(StateError, match="too loud"):
        board.process(np.ones(9), RATE, reset=False)
    board.reset()
    assert board.process(np.ones(9), RATE, reset=False).tolist() == [1.0] * 9


def test_rate_and_channels_hold_for_a_stream() -> None:
    board = Board([Reverb()])
    board.process(np.ones((2, 9)), RATE, reset=False)
    for array, rate in ((np.ones((2, 9)), 48000), (np.ones((1, 9)), RATE)):
        with pytest.raises(ArgumentValueError, match=r"reset\(\)"):
            board.process(array, rate, reset=False)
    board(np.ones((1, 9)), 48000)
    board.reset()
    board.process(np.ones((5, 9)), 96000, reset=False)


def test_rates_change_latencies_of_effects_that_count_in_milliseconds() -> None:
    board = Board([BrickwallLimiter(lookahead_ms=5.0)])
    for rate, latency in ((44100, 220), (96000, 480)):
        audio = signals.noise(4000)
        board.prepare(rate, 2)
        assert board.reported_latency_samples == latency
        assert board.process(audio, rate, reset=False).shape == (2, 4000 - latency)
        assert board.flush().shape == (2, latency)


def test_the_module_function_is_one_piece() -> None:
    audio = signals.noise(3000)
    np.testing.assert_array_equal(
        process(audio, RATE, [Reverb(), Gain(1)]), native([Reverb(), Gain(1)], audio)
    )
    np.testing.assert_array_equal(process(audio, RATE, [Late(5)], 64, True), audio)
    with pytest.raises(ValueError, match="reset=False"):
        process(audio, RATE, [Reverb()], reset=False)
    with pytest.raises(TypeError):
        process(audio, RATE, Gain())  # type: ignore[arg-type]


# Edits.


def test_an_edit_keeps_the_sound_of_what_stays() -> None:
    audio = signals.noise(8000)
    reverb, delay = Reverb(wet_level=0.8), Delay(0.01)
    expected = native([reverb, delay], audio)
    board = Board([reverb, delay])
    parts = []
    for start in range(0, 8000, 1000):
        parts.append(board.process(audio[:, start : start + 1000], RATE, reset=False))
        if start == 2000:
            board.insert(1, Gain(0))
            board.append(None)
        elif start == 4000:
            board.insert(1, Late(0))
        elif start == 6000:
            del board[1:3]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), expected)


def test_what_joins_a_stream_joins_clean_and_delays_it() -> None:
    reverb = Reverb(wet_level=1.0)
    reverb(signals.noise(4000), RATE, reset=False)
    board = Board([Gain(0)])
    silence = np.zeros((2, 1000), np.float32)
    board.process(silence, RATE, reset=False)
    board.append(reverb)
    assert not board.process(silence, RATE, reset=False).any()
    board.append(AddLatency(300))
    assert board.reported_latency_samples == 300
    assert board.process(silence, RATE, reset=False).shape[1] == 700
    board.append(Late(100))
    assert board.process(silence, RATE, reset=False).shape[1] == 900
    assert board.flush().shape[1] == 400


def test_what_cannot_be_streamed_cannot_join_a_stream() -> None:
    board = Board([Gain(0)])
    ones = np.ones((1, 10), np.float32)
    board.process(ones, RATE, reset=False)
    board.append(PitchShift(0))
    for _ in range(2):
        with pytest.raises(PluginError, match="cannot be streamed"):
            _ = board.reported_latency_samples
    with pytest.raises(PluginError, match="cannot be streamed"):
        board.process(ones, RATE, reset=False)
    board.pop()
    board.reset()
    np.testing.assert_array_equal(board.process(ones, RATE, reset=False), ones)


def test_what_leaves_a_stream_takes_its_frames_along() -> None:
    late = Late(300)
    board = Board([AddLatency(200), late])
    ones = np.ones((1, 1000), np.float32)
    assert board.process(ones, RATE, reset=False).shape[1] == 500
    board.remove(late)
    assert board.process(ones, RATE, reset=False).shape[1] == 1000
    assert board.flush().shape[1] == 200


def test_plugins_are_freed_with_the_board_and_when_they_leave() -> None:
    ones = np.ones((1, 10), np.float32)
    plugins: list[Any] = [Gain(), Late(1), Reverb(), Mix([Delay()])]
    seen = [weakref.ref(plugin) for plugin in plugins]
    board = Board(plugins)
    board.process(ones, RATE, reset=False)
    del plugins, board[0]
    board.process(ones, RATE, reset=False)
    gc.collect()
    assert seen[0]() is None
    assert all(plugin() is not None for plugin in seen[1:])
    del board
    gc.collect()
    assert all(plugin() is None for plugin in seen)


def test_parameters_of_plugins_may_change_within_a_stream() -> None:
    gain = Gain(0)
    board = Board([gain])
    ones = np.ones((1, 10), np.float32)
    assert board.process(ones, RATE, reset=False)[0, -1] == 1.0
    gain.gain_db = -20
    np.testing.assert_allclose(board.process(ones, RATE, reset=False), 0.1, rtol=1e-5)


def test_edits_from_other_threads_do_no_harm() -> None:
    board = Board([Reverb(), Mix([Gain(), Delay()]), Late(5)])
    audio = signals.noise(3000)
    done = threading.Event()
    edits = 0

    def edit() -> None:
        nonlocal edits
        while not done.is_set():
            board.append(Gain(-1))
            board.insert(0, Late(3))
            board[0:0] = [None, Chain([Compressor()])]
            del board[0:2]
            board.pop(0)
            board.pop()
            edits += 1

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(edit) for _ in range(2)]
        for turn in range(60):
            out = board.process(audio, RATE, 500, reset=turn % 3 == 0)
            assert out.shape[0] == 2
        done.set()
        for future in futures:
            future.result()
    assert edits > 0
    assert len(board) == 3


def test_edits_do_not_wait_for_the_sound() -> None:
    class Waiting(Late):
        def _push(self, block: Audio, buffer_size: int) -> Audio:
            inside.set()
            assert edited.wait(60)
            return super()._push(block, buffer_size)

    inside, edited = threading.Event(), threading.Event()
    board = Board([Waiting(0)])
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(board, np.ones(9), RATE)
        assert inside.wait(60)
        board.append(Gain(-200))
        edited.set()
        assert future.result().tolist() == [1.0] * 9
    assert board(np.ones(9), RATE).max() < 1e-6


@pytest.mark.parametrize("boards", [2, 8])
def test_plugins_shared_by_boards_on_many_threads(boards: int) -> None:
    shared: list[Any] = [Reverb(), Compressor(-20, 3), Delay(0.01), Smooth()]
    audio = signals.noise(1500)
    orders = [list(np.random.default_rng(seed).permutation(4)) for seed in range(boards)]
    expected = [Board([shared[i] for i in order])(audio, RATE) for order in orders]

    def work(order: list[int]) -> Audio:
        board: Effect = Board([shared[i] for i in order])
        for _ in range(3):
            out = board(audio, RATE)
        return out

    with ThreadPoolExecutor(boards) as pool:
        for out, wanted in zip(pool.map(work, orders), expected, strict=True):
            np.testing.assert_allclose(out, wanted, atol=1e-6)


@pytest.mark.parametrize("name", ["Reverb", "Chorus", "Compressor", "Delay", "MP3Compressor", "Resample"])
def test_instances_on_many_threads_agree(name: str) -> None:
    audio = signals.noise(6000)

    def work(_: int) -> Audio:
        return streamed(Board([EFFECTS[name]()]), audio, evenly(6000, 700))

    with ThreadPoolExecutor(8) as pool:
        first, *rest = pool.map(work, range(8))
    for out in rest:
        np.testing.assert_array_equal(out, first)


def test_a_buffer_size_that_would_crash_pedalboard_is_cut() -> None:
    audio = signals.noise(3_000_000, channels=1)
    assert np.array_equal(Board([Gain(0.0)])(audio, 44100, buffer_size=3_000_000), audio)
