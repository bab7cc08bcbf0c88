"""Boards with real VST3 plug-ins: Debian's zam-plugins, one of which has a latency of 480 frames."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import peers
import pytest
import signals
from effects import RATE, Late, evenly, streamed
from pedalboard import Chain, Compressor, Delay, Gain, Mix, Reverb, VST3Plugin
from stembridge.model.audio import Audio
from stembridge.model.effects.board import Board, Parallel
from stembridge.model.errors import PluginError

FRAMES = 12000
AUDIO = signals.noise(FRAMES)

CHUNKS = {
    "1": [1] * 700 + [FRAMES - 700],
    "256": evenly(FRAMES, 256),
    "480": evenly(FRAMES, 480),
    "1000": evenly(FRAMES, 1000),
    "4096": evenly(FRAMES, 4096),
    "growing": [7, 100, 500, 1000, 3000, 7393],
    "shrinking": [7393, 3000, 1000, 500, 100, 7],
    "random": signals.cuts(FRAMES, seed=11, largest=4000),
}


def maximiser() -> Any:
    """A limiter with a latency, set so that it has work to do."""
    plugin: Any = VST3Plugin(peers.vst3("ZaMaximX2"))
    plugin.threshold_db = -20.0
    return plugin


def equaliser() -> Any:
    """A mono plug-in."""
    plugin: Any = VST3Plugin(peers.vst3("ZamEQ2"))
    return plugin


@pytest.mark.parametrize("sizes", CHUNKS.values(), ids=CHUNKS)
def test_a_stream_through_a_late_plugin_is_the_whole_bit_for_bit(sizes: list[int]) -> None:
    plugin = maximiser()
    expected = plugin(AUDIO, RATE)
    assert np.abs(expected - AUDIO).max() > 0.1
    board = Board([plugin])
    assert board.reported_latency_samples == 480
    np.testing.assert_array_equal(board(AUDIO, RATE), expected)
    np.testing.assert_array_equal(streamed(board, AUDIO, sizes), expected)


@pytest.mark.parametrize("name", ["growing", "random", "256"])
def test_a_chain_around_a_late_plugin(name: str) -> None:
    plugin = maximiser()
    row: list[Any] = [Gain(3), Reverb(), plugin, Delay(0.01), Compressor(-20, 3)]
    board = Board([*row[:2], Late(33), *row[2:]])
    assert board.reported_latency_samples == 513
    whole = board(AUDIO, RATE)
    # A piece ends at an effect of ours: the limiter does not look ahead into what would ring on.
    np.testing.assert_array_equal(whole[:, :-480], Chain(row)(AUDIO, RATE)[:, :-480])
    np.testing.assert_array_equal(streamed(board, AUDIO, CHUNKS[name]), whole)


@pytest.mark.parametrize("name", ["growing", "random"])
def test_parallel_and_native_mix_align_it(name: str) -> None:
    plugin = maximiser()
    dry_and_wet = Mix([plugin, Gain(-3)])(AUDIO, RATE)
    for board in (Board([Mix([plugin, Gain(-3)])]), Parallel([plugin, Gain(-3)])):
        assert board.reported_latency_samples == 480
        np.testing.assert_array_equal(board(AUDIO, RATE), dry_and_wet)
        np.testing.assert_array_equal(streamed(board, AUDIO, CHUNKS[name]), dry_and_wet)


@pytest.mark.parametrize("rate", [22050, 48000, 96000])
@pytest.mark.parametrize("buffer_size", [64, 8192, 16384])
def test_latency_is_made_up_for(rate: int, buffer_size: int) -> None:
    plugin = maximiser()
    plugin.threshold_db = 0.0
    quiet = 0.01 * AUDIO
    np.testing.assert_allclose(Board([plugin])(quiet, rate, buffer_size), quiet, atol=1e-6)


def test_a_plugin_fresh_from_loading_streams_in_step() -> None:
    # pedalboard by itself returns this 480 frames late.
    board = Board([maximiser()])
    out = np.concatenate([board.process(AUDIO, RATE, reset=False), board.flush()], axis=1)
    np.testing.assert_array_equal(out, Board([maximiser()])(AUDIO, RATE))


def test_state_ends_with_reset_and_only_then() -> None:
    plugin: Any = VST3Plugin(peers.vst3("ZamDelay"))
    board = Board([plugin])
    mono, silence = AUDIO[:1], np.zeros((1, FRAMES), np.float32)
    plugin.time_ms = 50.0
    board.process(mono, RATE, reset=False)
    assert np.abs(board.process(silence, RATE, reset=False)).max() > 1e-3
    board.process(mono, RATE, reset=False)
    assert np.abs(board(silence, RATE)).max() < 1e-6
    board.process(mono, RATE, reset=False)
    board.reset()
    assert np.abs(board.process(silence, RATE, reset=False)).max() < 1e-6


def test_wrong_channel_counts_are_clear_and_leave_the_plugin_usable() -> None:
    stereo, mono = Board([Gain(), maximiser()]), Board([equaliser()])
    for board, wrong, right in ((stereo, AUDIO[:1], AUDIO), (mono, AUDIO, AUDIO[:1])):
        for reset in (True, False):
            with pytest.raises(ValueError, match=rf"channel.*The audio has {wrong.shape[0]}"):
                board.process(wrong, RATE, reset=reset)
            board.reset()
            assert board.process(right, RATE, reset=reset).shape[0] == right.shape[0]
            board.reset()


def test_parameters_move_while_it_streams() -> None:
    plugin = maximiser()
    board = Board([plugin])
    plugin.threshold_db = 0.0
    quiet = board.process(0.01 * AUDIO, RATE, reset=False)
    plugin.threshold_db = -30.0
    loud = board.process(0.01 * AUDIO, RATE, reset=False)
    assert np.abs(loud[:, 2000:]).max() > 5 * np.abs(quiet).max()


def test_streams_run_on_other_threads() -> None:
    boards = [Board([maximiser(), Gain(-1)]) for _ in range(4)]
    expected = boards[0](AUDIO, RATE)
    for board in boards:
        board.reset()

    def work(board: Board) -> Audio:
        parts = [
            board.process_planar(AUDIO[:, i : i + 500], RATE, reset=False) for i in range(0, FRAMES, 500)
        ]
        return np.concatenate([*parts, board.flush()], axis=1)

    with ThreadPoolExecutor(4) as pool:
        for out in pool.map(work, boards):
            np.testing.assert_array_equal(out, expected)


def test_a_plugin_reset_on_the_main_thread_only_streams_elsewhere_after_reset() -> None:
    # pedalboard finds out by listening how a plug-in resets, and now and then mishears this one.
    loaded: list[Any] = [VST3Plugin(peers.vst3("ZamTube")) for _ in range(8)]
    plugin = next(plugin for plugin in loaded if plugin._reload_type.name != "ClearsAudioOnReset")
    board = Board([plugin])
    mono = AUDIO[:1, :2000]
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(PluginError, match=r"call reset\(\) of the board there"):
            pool.submit(board.process, mono, RATE, reset=False).result()
        board.reset()
        out = pool.submit(board.process, mono, RATE, reset=False).result()
    assert out.shape == mono.shape
    assert np.isfinite(out).all()
