"""`live`, there and back: to the sample in time, and as it came in where the stems are late."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from stembridge.bridge.fader_laws import fader_law
from stembridge.bridge.player.history import History
from stembridge.bridge.player.lateness import BACK_S, RETURN_S, Lateness
from stembridge.bridge.player.live_deck import LiveDeck, LiveLine, delay_of, input_layout
from stembridge.bridge.player.live_streamer import LiveStream
from stembridge.bridge.player.ring import Ring
from stembridge.model import StemSeparator
from stembridge.model.mixer import MixerState
from stembridge.model.registry import create_separator

Floats = NDArray[np.float32]
SIZE = 256
MARGIN = 2 * SIZE


class Way:
    """Input to output without a device and without threads: the streamer has its turn between blocks."""

    def __init__(self, folder: Path, rate: int, state: MixerState | None = None, **line: Any) -> None:
        self.failures: list[str] = []
        rings = {"to": str(folder / "to"), "back": str(folder / "back")}
        request = {"key": "1", "sample_rate": rate, "channels": 2, **rings, **line}
        self.streamer = LiveStream(request, self.failures.append)
        song = self.streamer.song
        way = LiveLine(Ring(folder / "to", input_layout(2)), Ring(folder / "back", song.layout))
        delay = delay_of(self.streamer.latency, MARGIN, rate)
        self.deck = LiveDeck(song, way, fader_law("ardour"), state, delay=delay)
        self.deck.playing = True

    def run(self, audio: Floats, *, stopped: range = range(0)) -> Floats:
        """Through it in blocks; the streamer gets no turn while the block's first frame is in `stopped`."""
        out = []
        for start in range(0, audio.shape[1], SIZE):
            block = audio[:, start : start + SIZE]
            self.deck.hear(block)
            out.append(self.deck.take(block.shape[1])[0])
            while start not in stopped and self.streamer.step():
                pass
        return np.concatenate(out, axis=1)

    def close(self) -> None:
        self.deck.close()
        self.streamer.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    paths: list[Way] = []

    def made(rate: int = 44100, state: MixerState | None = None, **line: Any) -> Way:
        folder = tmp_path / str(len(paths))
        folder.mkdir()
        paths.append(Way(folder, rate, state, **line))
        return paths[-1]

    yield made
    for path in paths:
        path.close()


def music(seconds: float, rate: int) -> Floats:
    """Tones that come and go, and some noise: a sum that is smooth enough to show any click."""
    time = np.arange(round(seconds * rate)) / rate
    tones = sum(0.1 * np.sin(2 * np.pi * pitch * time + pitch) for pitch in (55.0, 110.0, 227.0, 409.0))
    return np.stack([tones, 0.7 * tones]).astype(np.float32)


def noise(seconds: float, rate: int) -> Floats:
    return (0.1 * np.random.default_rng(0).standard_normal((2, round(seconds * rate)))).astype(np.float32)


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
def test_at_unity_the_output_is_the_input_late_by_what_is_reported(make: Any, rate: int) -> None:
    path = make(rate)
    audio = noise(1.5, rate)
    heard = path.run(audio)
    delay = path.deck.delay
    assert path.deck.is_wet
    np.testing.assert_array_equal(heard[:, delay + 500 :], audio[:, 500 : audio.shape[1] - delay])
    assert path.deck.overloads == 0
    assert delay - MARGIN - Lateness(rate).reserve == path.streamer.latency
    assert path.streamer.latency <= 0.1 * rate


@pytest.mark.parametrize("rate", [44100, 48000])
def test_what_is_heard_is_what_the_separator_gives_at_that_delay(make: Any, rate: int) -> None:
    state = MixerState(mutes=frozenset({"drums"}), gains_db={"vocals": -6.0})
    path = make(rate, state)
    audio = noise(1.5, rate)
    heard = path.run(audio)
    effect = StemSeparator(model="live", mute="drums", gains_db={"vocals": -6.0})
    expected = effect(audio, rate)
    delay = path.deck.delay
    steady = round((BACK_S + RETURN_S) * rate) + delay + 2 * SIZE
    np.testing.assert_allclose(heard[:, steady:], expected[:, steady - delay : -delay], atol=2e-6)


def test_stop_of_the_streamer_is_heard_as_the_input_without_a_step_or_a_jump(make: Any) -> None:
    rate = 44100
    path = make(rate, MixerState(mutes=frozenset({"bass", "drums"})))
    audio = music(4.0, rate)
    stop = range(round(1.5 * rate), round(2.2 * rate))
    heard = path.run(audio, stopped=stop)
    delay, deck = path.deck.delay, path.deck
    assert deck.overloads == 1
    assert deck.is_wet
    # In the middle of the stop: the input, at the same delay, bit for bit.
    middle = slice(stop.start + round(0.2 * rate), stop.stop)
    np.testing.assert_array_equal(heard[:, middle], audio[:, middle.start - delay : middle.stop - delay])
    # At the end: the remix again, which is far from the input.
    assert np.std(heard[:, -rate // 4 :]) < 0.7 * np.std(audio)
    steepest = float(np.max(np.abs(np.diff(audio, axis=1))))
    assert float(np.max(np.abs(np.diff(heard[:, rate // 2 :], axis=1)))) < 2.0 * steepest


def test_a_stop_longer_than_the_ring_holds_is_made_up_for(make: Any) -> None:
    rate = 44100
    path = make(rate)
    audio = noise(4.0, rate)
    heard = path.run(audio, stopped=range(rate, round(2.5 * rate)))
    delay = path.deck.delay
    np.testing.assert_allclose(heard[:, delay + 500 :], audio[:, 500:-delay], atol=1e-7)
    assert path.deck.overloads == 1
    assert path.deck.is_wet


def test_how_the_device_cuts_changes_nothing(make: Any) -> None:
    rate = 44100
    audio = noise(1.0, rate)
    state = MixerState(mutes=frozenset({"vocals"}))
    one, other = make(rate, state), make(rate, state)
    expected = one.run(audio)
    parts, at = [], 0
    for size in [1, 700, 13, 512, 256] * 1000:
        block = audio[:, at : at + min(size, MARGIN)]
        at += block.shape[1]
        if block.shape[1] == 0:
            break
        other.deck.hear(block)
        parts.append(other.deck.take(block.shape[1])[0])
        while other.streamer.step():
            pass
    steady = rate // 2
    np.testing.assert_allclose(np.concatenate(parts, axis=1)[:, steady:], expected[:, steady:], atol=1e-6)


@pytest.mark.parametrize("rate", [44100, 48000, 88200, 96000])
def test_as_an_effect_the_delay_is_what_is_reported_and_short(rate: int) -> None:
    effect = StemSeparator(model="live")
    audio = noise(0.5, rate)
    out = [effect.process(audio[:, at : at + 512], rate, reset=False) for at in range(0, audio.shape[1], 512)]
    latency = effect.reported_latency_samples
    whole = np.concatenate(out, axis=1)
    assert whole.shape[1] == audio.shape[1] - latency
    np.testing.assert_array_equal(whole, audio[:, :-latency])
    assert latency <= 0.1 * rate
    assert create_separator("live", rate, 2).latency == latency


# The rule, in its own words.


def test_lateness_fades_before_what_is_there_ends_and_counts_once() -> None:
    late = Lateness(44100)
    size = 256
    while not late.wet:
        late.gains(size, 4 * size)
    gains = np.concatenate([np.atleast_1d(late.gains(size, 4 * size)) for _ in range(8)])
    assert np.all(np.diff(gains) >= 0)
    assert late.gains(size, size + late.reserve) == 1.0
    left = size + late.reserve - size  # what was there a block ago, less what was heard of it
    fade = late.gains(size, left)
    assert isinstance(fade, np.ndarray)
    assert late.overloads == 1
    assert not np.any(fade[left:])
    assert np.max(np.abs(np.diff(np.concatenate([[1.0], fade])))) <= 1.0 / late.reserve + 1e-6
    for _ in range(10):
        assert late.gains(size, 0) == 0.0
    assert late.overloads == 1


def test_lateness_comes_back_only_after_a_while_in_time() -> None:
    late, size = Lateness(44100), 441
    blocks = round(BACK_S * 100)
    for turn in range(3):
        for _ in range(blocks):
            assert late.gains(size, 10 * size) == 0.0
        if turn < 2:
            assert late.gains(size, 0) == 0.0
    assert not isinstance(late.gains(size, 10 * size), float)
    assert late.overloads == 0


def test_history_goes_round_and_forgets_what_lies_before_a_gap() -> None:
    history = History(1, 10)
    number = np.arange(100, dtype=np.float32)[None]
    for start in range(0, 30, 3):
        history.write(start, number[:, start : start + 3])
    assert (history.start, history.end) == (20, 30)
    assert history.read(22, 7).tolist() == number[:, 22:29].tolist()
    history.write(28, number[:, 28:32])
    assert history.read(28, 4).tolist() == number[:, 28:32].tolist()
    history.write(50, number[:, 50:53])
    assert (history.available(31), history.available(50), history.available(53)) == (0, 3, 0)
