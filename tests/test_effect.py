"""The contract of an effect: layouts, types, latency, streams, errors."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pedalboard
import pytest
import signals
from effects import RATE, Fragile, Late, Smooth, streamed
from numpy.typing import NDArray
from stembridge.model.audio import Audio
from stembridge.model.effects.effect import Effect
from stembridge.model.errors import ArgumentValueError, StateError, StembridgeError

# Arrays in and out.


@pytest.mark.parametrize("shape", [(100,), (100, 1), (1, 100), (2, 100), (100, 2), (6, 100), (1, 1), (1,)])
@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", ">f8"])
def test_output_is_float32_in_the_same_layout_and_owns_its_memory(shape: tuple[int, ...], dtype: str) -> None:
    given = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    before = given.copy()
    for reset in (True, False):
        effect = Late(0)
        out = effect.process(given, RATE, reset=reset)
        assert out.dtype == np.float32
        assert out.dtype.isnative
        assert out.shape == shape
        assert out.flags.c_contiguous
        assert not np.may_share_memory(out, given)
        np.testing.assert_array_equal(out, given.astype(np.float32))
        out[:] = 7
    np.testing.assert_array_equal(given, before)


def test_strided_and_read_only_arrays_are_taken() -> None:
    big = signals.noise(400, 4)
    for view in (big[::2, ::3], big[::-1], np.asfortranarray(big)):
        np.testing.assert_array_equal(Late(0)(view, RATE), view)
    big.flags.writeable = False
    np.testing.assert_array_equal(Late(0)(big, RATE), big)


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 2), (1, 0), (0, 1), (7, 0)])
@pytest.mark.parametrize("reset", [True, False])
def test_empty_arrays_come_back_empty(shape: tuple[int, ...], reset: bool) -> None:
    out = Late(3).process(np.zeros(shape), RATE, reset=reset)
    assert out.shape == shape
    assert out.dtype == np.float32


@pytest.mark.parametrize("shape", [(2, 2), (5, 5), (0, 0)])
def test_square_arrays_need_one_before_them_that_is_not(shape: tuple[int, int]) -> None:
    square = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    effect = Smooth()
    with pytest.raises(RuntimeError, match="Unable to determine channel layout from shape"):
        effect(square, RATE)
    effect(np.zeros((2, 0), np.float32), RATE)
    rows = effect(square, RATE)
    effect(np.zeros((0, 2), np.float32), RATE)
    np.testing.assert_array_equal(effect(square.T.copy(), RATE), rows.T)
    effect.reset()
    with pytest.raises(RuntimeError):
        effect(square, RATE)


@pytest.mark.parametrize("shape", [(), (2, 3, 4), (1, 1, 1, 1)])
def test_other_dimensions_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(RuntimeError, match="Number of input dimensions must be 1 or 2"):
        Late(0)(np.zeros(shape, np.float32), RATE)


def test_layouts_are_read_as_pedalboard_reads_them() -> None:
    # A filter tells frames from channels: what it makes of a sequence of shapes shows how each was read.
    class Filter(Effect):
        reported_latency_samples = 0

        def _start(self, sample_rate: float, channels: int) -> None:
            self.level = np.zeros((channels, 1), np.float32)

        def _push(self, block: Audio, buffer_size: int) -> Audio:
            wide = pedalboard.Chain([pedalboard.HighpassFilter(4000)])
            rows = [wide(np.ascontiguousarray(row), RATE) for row in block]
            return np.stack(rows)

    rng = np.random.default_rng(1)
    compared = 0
    for _ in range(60):
        ours, theirs = Filter(), pedalboard.HighpassFilter(4000)
        for _ in range(6):
            shape = tuple(rng.choice([0, 1, 2, 3, 5, 9], size=rng.choice([1, 2, 2, 2])))
            array = rng.standard_normal(shape).astype(np.float32)
            try:
                expected = theirs(array, RATE)
            except RuntimeError:
                with pytest.raises(RuntimeError):
                    ours(array, RATE)
                continue
            np.testing.assert_allclose(ours(array, RATE), expected, atol=1e-6)
            compared += 1
    assert compared > 200


def test_planar_chunks_are_never_guessed() -> None:
    effect = Late(1)
    for frames in (1, 2, 2, 1):
        assert effect.process_planar(np.ones((2, frames), np.float32), RATE, reset=False).shape[0] == 2
    assert effect.flush().shape == (2, 1)
    for wrong in ((3,), (0, 3), (1, 2, 3)):
        with pytest.raises(ValueError, match="must be"):
            effect.process_planar(np.zeros(wrong, np.float32), RATE)


# Arguments.


@pytest.mark.parametrize("dtype", ["i2", "i4", "f2", "c8", "?", "U1"])
def test_other_sample_types_are_refused(dtype: str) -> None:
    with pytest.raises(TypeError, match="only supports 32-bit and 64-bit floating point"):
        Late(0)(np.zeros(9, dtype), RATE)


@pytest.mark.parametrize("array", [[0.0, 1.0], (1.0,), None, "audio", 1.0, memoryview(b"1234")])
def test_what_is_no_array_is_refused(array: Any) -> None:
    with pytest.raises(TypeError, match=r"numpy\.ndarray"):
        Late(0)(array, RATE)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"sample_rate": "44100"}, TypeError),
        ({"sample_rate": None}, TypeError),
        ({"sample_rate": 0}, ValueError),
        ({"sample_rate": -1.0}, ValueError),
        ({"sample_rate": float("nan")}, ValueError),
        ({"sample_rate": float("inf")}, ValueError),
        ({"buffer_size": 0}, ValueError),
        ({"buffer_size": -1}, TypeError),
        ({"buffer_size": 512.0}, TypeError),
        ({"buffer_size": "512"}, TypeError),
        ({"buffer_size": None}, TypeError),
        ({"reset": "no"}, TypeError),
    ],
)
def test_arguments_are_checked_and_leave_the_stream_alone(
    arguments: dict[str, Any], error: type[Exception]
) -> None:
    effect = Late(2)
    audio = signals.noise(9, 1)
    first = effect.process(audio, RATE, reset=False)
    with pytest.raises(error) as caught:
        effect.process(audio, **{"sample_rate": RATE, "reset": False, **arguments})
    assert isinstance(caught.value, StembridgeError)
    np.testing.assert_array_equal(np.concatenate([first, effect.flush()], axis=1), audio)


def test_numpy_numbers_are_numbers() -> None:
    out = Late(0)(np.ones(5), np.float32(48000), np.int32(2), np.bool_(True))  # type: ignore[arg-type]
    assert out.tolist() == [1.0] * 5
    with pytest.raises(TypeError):
        Late(0)(np.ones(5))  # type: ignore[call-arg]


# Whole pieces.


@pytest.mark.parametrize("rate", [22050, 44100, 48000])
@pytest.mark.parametrize("buffer_size", [1, 64, 65, 128, 8192, 8193])
@pytest.mark.parametrize("latency", [0, 1, 64, 1000, 20000])
@pytest.mark.parametrize("channels", [1, 2])
def test_latency_is_made_up_for(rate: int, buffer_size: int, latency: int, channels: int) -> None:
    audio = signals.noise(900 if buffer_size == 1 else 9000, channels)
    np.testing.assert_array_equal(Late(latency)(audio, rate, buffer_size), audio)


def test_blocks_are_as_large_as_asked_for() -> None:
    effect = Late(0)
    effect(np.ones(20), RATE, buffer_size=8)
    assert effect.seen == [8, 8, 4]


def test_one_call_after_another_starts_clean() -> None:
    effect = Smooth()
    audio = signals.noise(50)
    first = effect(audio, RATE)
    np.testing.assert_array_equal(effect(audio, RATE), first)
    assert not effect(np.zeros((2, 50), np.float32), RATE).any()


def test_an_effect_without_latency_goes_on_after_a_whole_piece() -> None:
    audio = signals.noise(80)
    effect = Smooth()
    whole = effect(audio, RATE)
    np.testing.assert_array_equal(effect(audio[:, :30], RATE), whole[:, :30])
    np.testing.assert_array_equal(effect.process(audio[:, 30:], RATE, reset=False), whole[:, 30:])


def test_an_effect_with_latency_begins_anew_after_a_whole_piece() -> None:
    effect = Late(4)
    effect(np.ones(9), RATE)
    assert not effect.streaming
    assert effect.process(np.full(9, 2.0), RATE, reset=False).tolist() == [2.0] * 5


# Streams.


@pytest.mark.parametrize("latency", [0, 1, 7, 999, 5000])
@pytest.mark.parametrize("seed", range(4))
def test_any_chunks_add_up_to_the_whole(latency: int, seed: int) -> None:
    audio = signals.noise(4000, 1 + seed % 2, seed)
    effect = Late(latency)
    fed = given = 0
    parts = []
    for size in signals.cuts(4000, seed, 900):
        out = effect.process_planar(audio[:, fed : fed + size], RATE, 1 + 400 * (seed % 3), reset=False)
        fed, given = fed + size, given + out.shape[1]
        assert out.shape[1] <= size or given <= fed
        assert given == max(0, fed - latency)
        parts.append(out)
    tail = effect.flush(RATE)
    assert tail.shape[1] == min(latency, 4000)
    np.testing.assert_array_equal(np.concatenate([*parts, tail], axis=1), audio)


def test_what_comes_early_is_held_back() -> None:
    effect = Late(3, claims=10)
    out = effect.process(np.arange(12.0), RATE, reset=False)
    assert out.tolist() == [0.0, 1.0]
    assert effect.flush().tolist() == list(np.arange(2.0, 12.0))
    np.testing.assert_array_equal(effect(np.arange(5.0), RATE), np.arange(5.0))


def test_zeros_push_the_tail_out_as_flush_does() -> None:
    audio = signals.noise(100)
    fed, flushed = Late(30), Late(30)
    head = fed.process(audio, RATE, reset=False)
    flushed.process(audio, RATE, reset=False)
    tail = fed.process(np.zeros((2, 30), np.float32), RATE, reset=False)
    np.testing.assert_array_equal(tail, flushed.flush())
    np.testing.assert_array_equal(np.concatenate([head, tail], axis=1), audio)


def test_state_carries_over_chunks_and_ends_with_reset_and_flush() -> None:
    audio = signals.noise(90)
    effect = Smooth()
    np.testing.assert_array_equal(streamed(effect, audio, [1, 0, 40, 49]), Smooth()(audio, RATE))
    assert not effect.process_planar(np.zeros((2, 5), np.float32), RATE, reset=False).any()
    effect.process_planar(audio, RATE, reset=False)
    effect.reset()
    assert not effect.process_planar(np.zeros((2, 5), np.float32), RATE, reset=False).any()


def test_flush_comes_in_the_layout_of_the_stream() -> None:
    effect = Late(4)
    assert effect.flush().shape == (0,)
    effect.process(np.ones((9, 2)), RATE, reset=False)
    assert effect.flush().shape == (4, 2)
    assert effect.flush().shape == (0, 2)
    effect.process(np.ones(9), RATE, reset=False)
    assert effect.flush().shape == (4,)


def test_the_caller_may_fill_its_buffer_again() -> None:
    effect = Late(5)
    buffer = np.ones((1, 5), np.float32)
    effect.process_planar(buffer, RATE, reset=False)
    buffer[:] = 2
    assert effect.process_planar(buffer, RATE, reset=False).tolist() == [[1.0] * 5]
    buffer[:] = 3
    assert effect.flush().tolist() == [[2.0] * 5]


@pytest.mark.parametrize(
    ("array", "rate"), [(np.ones((2, 9)), 48000), (np.ones((3, 9)), RATE), (np.ones(9), RATE)]
)
def test_rate_and_channels_hold_for_a_stream(array: NDArray[np.float64], rate: float) -> None:
    effect = Late(4)
    effect.process(np.ones((2, 9)), RATE, reset=False)
    with pytest.raises(ArgumentValueError, match="2 channels at 44100 Hz"):
        effect.process(array, rate, reset=False)
    with pytest.raises(ValueError, match="44100"):
        effect.flush(96000)
    assert effect.flush(RATE).size == 8
    effect.reset()
    effect.process(array, rate, reset=False)


def test_prepare_opens_a_stream_before_its_first_chunk() -> None:
    effect = Late(1)
    effect.prepare(RATE, 2)
    assert effect.streaming
    out = effect.process(np.array([[1.0], [2.0]]), RATE, reset=False)
    assert out.shape == (2, 0)
    assert effect.flush().tolist() == [[1.0], [2.0]]
    with pytest.raises(ValueError, match="1 or more channels"):
        effect.prepare(RATE, 0)


# Failures.


def test_a_stream_that_broke_stays_broken_until_reset() -> None:
    effect = Fragile(0)
    effect.process(np.ones(4), RATE, reset=False)
    with pytest.raises(OverflowError, match="too loud"):
        effect.process(np.full(4, 2.0), RATE, reset=False)
    for _ in range(2):
        with pytest.raises(StateError, match="too loud"):
            effect.process(np.ones(4), RATE, reset=False)
    with pytest.raises(RuntimeError, match="reset"):
        effect.flush()
    assert effect(np.ones(4), RATE).tolist() == [1.0] * 4
    with pytest.raises(OverflowError):
        effect(np.full(4, 2.0), RATE)
    with pytest.raises(StateError):
        effect.process(np.ones(4), RATE, reset=False)
    effect.reset()
    assert effect.process(np.ones(4), RATE, reset=False).tolist() == [1.0] * 4


def test_an_effect_later_than_it_says_is_found_out() -> None:
    effect = Late(9, claims=5)
    with pytest.raises(StateError, match="reports a latency of 5 samples and is 4 behind"):
        effect.process(np.ones(20), RATE, reset=False)


def test_an_effect_that_loses_frames_is_found_out() -> None:
    class Short(Late):
        def _finish(self) -> Audio:
            return super()._finish()[:, :-2]

    with pytest.raises(StateError, match="2 frames short"):
        Short(9)(np.ones(20), RATE)


def test_overriding_what_boards_do_not_call_is_refused() -> None:
    for name in ("process", "__call__", "process_planar"):
        with pytest.raises(TypeError, match=name):
            type("Wrong", (Late,), {name: lambda self: None})


def test_an_effect_is_no_native_plugin_and_native_containers_say_so() -> None:
    effect: Any = Late(0)
    assert effect.is_effect
    assert not effect.is_instrument
    assert not isinstance(effect, pedalboard.Plugin)
    natives: Any = pedalboard
    for container in (natives.Pedalboard, natives.Chain, natives.Mix):
        with pytest.raises(TypeError):
            container([effect])
        with pytest.raises(TypeError):
            container([]).append(effect)
    with pytest.raises(TypeError):
        pedalboard.process(np.ones(9, np.float32), RATE, [effect])


def test_repr_names_the_class_and_the_instance() -> None:
    effect = Late(0)
    assert repr(effect) == f"<stembridge.Late at {id(effect):#x}>"


# Threads.


def test_calls_from_many_threads_follow_each_other() -> None:
    effect = Smooth()
    pieces = [signals.noise(400, 2, seed) for seed in range(8)]
    expected = [Smooth()(piece, RATE) for piece in pieces]
    together = threading.Barrier(8)

    def work(piece: Audio) -> Audio:
        together.wait()
        for _ in range(3):
            out = effect(piece, RATE, buffer_size=50)
        return out

    with ThreadPoolExecutor(8) as pool:
        for out, wanted in zip(pool.map(work, pieces), expected, strict=True):
            np.testing.assert_array_equal(out, wanted)


def test_a_stream_may_move_between_threads() -> None:
    audio = signals.noise(1000)
    effect = Late(100)
    parts = []
    for start in range(0, 1000, 125):
        with ThreadPoolExecutor(1) as pool:
            chunk = audio[:, start : start + 125]
            parts.append(pool.submit(effect.process_planar, chunk, RATE, reset=False).result())
    np.testing.assert_array_equal(np.concatenate([*parts, effect.flush()], axis=1), audio)
