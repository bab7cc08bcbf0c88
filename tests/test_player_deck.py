"""The deck in its own words: what comes off a ring, mixed, without clicks, whatever happens to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from stembridge.bridge.fader_laws import fader_law
from stembridge.bridge.player.deck import FADE_S, Deck, DeckSong, Seek
from stembridge.bridge.player.envelope import Envelope
from stembridge.bridge.player.meters import Meters
from stembridge.bridge.player.performance import Performance
from stembridge.bridge.player.ring import BLOCK, DRY, END, Layout, Ring
from stembridge.model.automation import Automation, Ride, automation_text, read_automation
from stembridge.model.errors import ArgumentValueError, StateError
from stembridge.model.mixer import Mixer, MixerState

RATE = 44100
STEMS = ("drums", "bass", "other", "vocals")
Floats = NDArray[np.float32]


class Tape:
    """A song on its way into a ring, as a streamer would write it: stems that add up, a slow mix."""

    def __init__(self, ring: Ring, seconds: float = 4.0, *, loud: float = 0.2) -> None:
        self.ring = ring
        frames = round(seconds * RATE)
        time = np.arange(frames) / RATE
        pitches = (55.0, 110.0, 220.0, 330.0)
        tones = [loud * np.sin(2 * np.pi * pitch * time + phase) for phase, pitch in enumerate(pitches)]
        self.stems = np.stack([np.stack([tone, 0.8 * tone]) for tone in tones]).astype(np.float32)
        self.mix = self.stems.sum(axis=0).astype(np.float32)
        self.at = 0
        self.epoch = 0
        self.dry = False

    def block(self, start: int, stop: int) -> Floats:
        mix = self.mix[:, start:stop]
        stems = np.zeros_like(self.stems[:, :, start:stop]) if self.dry else self.stems[:, :, start:stop]
        rest = np.zeros_like(mix) if self.dry else mix - stems.sum(axis=0)
        return np.concatenate([mix, stems.reshape(-1, stop - start), rest]).astype(np.float32)

    def fill(self, blocks: int = 1 << 30) -> None:
        """Write as many blocks as there is room for, at most so many."""
        while blocks and self.ring.room and self.at < self.mix.shape[1]:
            stop = min(self.at + BLOCK, self.mix.shape[1])
            flags = (END if stop == self.mix.shape[1] else 0) | (DRY if self.dry else 0)
            assert self.ring.write(self.block(self.at, stop), epoch=self.epoch, frame=self.at, flags=flags)
            self.at = stop
            blocks -= 1


@pytest.fixture
def song() -> DeckSong:
    return DeckSong(STEMS, 2, RATE)


@pytest.fixture
def ring(tmp_path: Path, song: DeckSong) -> Iterator[Ring]:
    ring = Ring(tmp_path / "ring", song.layout, create=True)
    yield ring
    ring.close()


def make(song: DeckSong, ring: Ring, state: MixerState | None = None) -> Deck:
    return Deck(song, ring, fader_law("ardour"), state)


def play(
    deck: Deck, tape: Tape, frames: int, size: int = 480, each: Callable[[int], None] | None = None
) -> Floats:
    """Play so many frames in blocks of a size; `each` is called with the frame before every block."""
    deck.playing = True
    parts = []
    for start in range(0, frames, size):
        tape.fill()
        if each is not None:
            each(start)
        parts.append(deck.take(min(size, frames - start))[0])
    return np.concatenate(parts, axis=1)


def largest_step(audio: Floats) -> float:
    return float(np.max(np.abs(np.diff(audio, axis=1))))


def test_unity_is_the_mix_bit_for_bit_after_the_fade_in(song: DeckSong, ring: Ring) -> None:
    tape, deck = Tape(ring), make(song, ring)
    heard = play(deck, tape, RATE)
    fade = round(FADE_S * RATE)
    np.testing.assert_array_equal(heard[:, fade:], tape.mix[:, fade:RATE])
    assert deck.underruns == 0
    assert deck.frame == RATE


@pytest.mark.parametrize("size", [1, 64, 333, 512, 1024, 4096])
def test_size_of_the_device_changes_nothing(song: DeckSong, tmp_path: Path, size: int) -> None:
    heard = []
    for one in (size, 480):
        ring = Ring(tmp_path / f"ring{one}", song.layout, create=True)
        state = MixerState(gains_db={"vocals": -6.0}, mutes=frozenset({"bass"}))
        heard.append(play(make(song, ring, state), Tape(ring), 20_000, one))
        ring.close()
    np.testing.assert_array_equal(heard[0], heard[1])


def test_gains_are_those_of_a_render(song: DeckSong, ring: Ring) -> None:
    state = MixerState(gains_db={"vocals": -12.0, "drums": 3.0}, pans={"bass": 0.5}, master_gain_db=-1.0)
    tape = Tape(ring)
    heard = play(make(song, ring, state), tape, RATE)
    offline = Mixer(STEMS, 2, RATE, state=state)
    residual = tape.mix - tape.stems.sum(axis=0)
    expected = offline.mix(tape.mix[:, :RATE], tape.stems[:, :, :RATE], residual[:, :RATE])
    np.testing.assert_allclose(heard[:, 2000:], expected[:, 2000:], atol=1e-6)


def test_a_gain_move_makes_no_step(song: DeckSong, ring: Ring) -> None:
    tape, deck = Tape(ring), make(song, ring)
    natural = largest_step(tape.mix)

    def ride(frame: int) -> None:
        if frame == 9600:
            deck.set_state(MixerState(gains_db=dict.fromkeys(STEMS, -60.0)))

    heard = play(deck, tape, 40_000, 480, ride)
    ramp = 0.020 * RATE
    assert largest_step(heard) <= natural + float(np.max(np.abs(tape.mix))) / ramp + 1e-6
    assert np.max(np.abs(heard[:, 12_000:])) < 0.002


def test_a_fade_arrives_exactly_and_on_time(song: DeckSong, ring: Ring) -> None:
    tape, deck = Tape(ring), make(song, ring)

    def start(frame: int) -> None:
        if frame == 480 * 10:
            deck.fade("vocals", -20.0, 0.5)
            deck.fade("master", -3.0, 0.25)

    play(deck, tape, 480 * 10 + round(0.5 * RATE) + 960, 480, start)
    assert deck.mixer.state.gains_db["vocals"] == -20.0
    assert deck.mixer.state.master_gain_db == -3.0
    assert not deck.fades


def test_a_command_ends_a_fade(song: DeckSong, ring: Ring) -> None:
    tape, deck = Tape(ring), make(song, ring)
    deck.fade("vocals", -20.0, 10.0)
    play(deck, tape, 4800)
    deck.set_state(MixerState(gains_db={"vocals": -1.0}))
    play(deck, tape, 4800)
    assert deck.mixer.state.gains_db["vocals"] == -1.0


def test_stop_and_start_fade_and_stay_in_place(song: DeckSong, ring: Ring) -> None:
    tape, deck = Tape(ring), make(song, ring)
    natural = largest_step(tape.mix)
    first = play(deck, tape, 9600)
    deck.playing = False
    pause = np.concatenate([deck.take(480)[0] for _ in range(10)], axis=1)
    place = deck.frame
    assert not pause[:, 480:].any()
    assert place - 9600 == round(FADE_S * RATE)
    second = play(deck, tape, 9600)
    whole = np.concatenate([first, pause, second], axis=1)
    assert largest_step(whole) <= natural + np.max(np.abs(tape.mix)) / (FADE_S * RATE) + 1e-6
    np.testing.assert_array_equal(second[:, 1000:], tape.mix[:, place + 1000 : place + 9600])
    assert deck.underruns == 0


def test_seek_goes_to_the_frame_without_a_click(song: DeckSong, ring: Ring) -> None:
    tape, deck = Tape(ring), make(song, ring)
    natural = largest_step(tape.mix)

    def ask(frame: int) -> None:
        if frame == 9600:
            deck.seek = Seek(1, 100_000)
        if deck.seek is None and tape.epoch == 0 and frame > 12_000:  # the streamer took its time
            tape.epoch, tape.at = 1, 100_000

    deck.playing = True
    parts = []
    for start in range(0, 40_000, 480):
        tape.fill()
        ask(start)
        parts.append(deck.take(480)[0])
    heard = np.concatenate(parts, axis=1)
    assert largest_step(heard) <= natural + np.max(np.abs(tape.mix)) / (FADE_S * RATE) + 1e-6
    played = deck.frame - 100_000
    np.testing.assert_array_equal(heard[:, -10_000:], tape.mix[:, deck.frame - 10_000 : deck.frame])
    assert played > 20_000
    assert deck.underruns == 0


def test_blocks_of_a_later_place_wait_until_it_is_wanted(song: DeckSong, ring: Ring) -> None:
    tape, deck = Tape(ring), make(song, ring)
    tape.fill(4)
    tape.epoch, tape.at = 1, 100_000
    tape.fill(8)
    deck.playing = True
    first = deck.take(4 * BLOCK + 100)[0]  # more than there is of the first place
    np.testing.assert_array_equal(first[:, 1000 : 4 * BLOCK], tape.mix[:, 1000 : 4 * BLOCK])
    deck.seek = Seek(1, 100_000)
    second = deck.take(2000)[0]
    np.testing.assert_array_equal(second[:, 500:], tape.mix[:, 100_500:102_000])


def test_song_ends_with_its_last_frame(song: DeckSong, ring: Ring) -> None:
    tape = Tape(ring, 0.5)
    deck = make(song, ring)
    heard = play(deck, tape, RATE)
    frames = tape.mix.shape[1]
    np.testing.assert_array_equal(heard[:, 1000:frames], tape.mix[:, 1000:])
    assert not heard[:, frames:].any()
    assert deck.ended
    assert deck.underruns == 0


def test_gap_is_rounded_counted_and_over_when_sound_comes(song: DeckSong, ring: Ring) -> None:
    tape, deck = Tape(ring), make(song, ring)
    natural = largest_step(tape.mix)
    deck.playing = True
    parts = []
    for start in range(0, 40_000, 480):
        while not 10_000 < start < 20_000 and tape.at < deck.frame + 2 * BLOCK:
            tape.fill(1)
        parts.append(deck.take(480)[0])
    heard = np.concatenate(parts, axis=1)
    assert deck.underruns == 1
    assert largest_step(heard) <= natural + np.max(np.abs(tape.mix)) / (FADE_S * RATE) * 1.5 + 1e-6
    np.testing.assert_array_equal(heard[:, -5000:], tape.mix[:, deck.frame - 5000 : deck.frame])


def test_lost_streamer_is_the_plain_mix_and_back_without_a_step(song: DeckSong, ring: Ring) -> None:
    tape, deck = Tape(ring), make(song, ring, MixerState(mutes=frozenset({"vocals", "other"})))
    natural = largest_step(tape.mix)
    deck.playing = True
    parts = []
    for start in range(0, 60_000, 480):
        if start == 9600:
            deck.dry = True  # told at once; the blocks that are there still hold the mix
        if start == 14_400:
            tape.dry = True  # from here on somebody else reads the plain song
        if start == 30_720:
            tape.dry = deck.dry = False
        while tape.at < deck.frame + 3 * BLOCK:
            tape.fill(1)
        parts.append(deck.take(480)[0])
    heard = np.concatenate(parts, axis=1)
    assert largest_step(heard) <= natural + np.max(np.abs(tape.mix)) / (0.020 * RATE) + 1e-6
    np.testing.assert_array_equal(heard[:, 12_000:28_000], tape.mix[:, 12_000:28_000])
    without = (tape.stems[0] + tape.stems[1])[:, 45_000:55_000]
    np.testing.assert_allclose(heard[:, 45_000:55_000], without, atol=1e-6)
    assert deck.underruns == 0


def test_chained_stems_are_heard_as_their_chains_left_them(tmp_path: Path) -> None:
    song = DeckSong(STEMS, 2, RATE, treated=("vocals",))
    ring = Ring(tmp_path / "ring", song.layout, create=True)
    tape, deck = Tape(ring), make(song, ring)
    deck.playing = True
    doubled = tape.stems[3] * 2.0
    for start in range(0, 10_240, BLOCK):
        audio = np.concatenate([tape.block(start, start + BLOCK), doubled[:, start : start + BLOCK]])
        assert ring.write(audio.astype(np.float32), epoch=0, frame=start)
    heard = np.concatenate([deck.take(512)[0] for _ in range(20)], axis=1)
    np.testing.assert_allclose(heard[:, 2000:], (tape.mix + tape.stems[3])[:, 2000:10_240], atol=1e-6)
    ring.close()


def test_stems_for_outputs_of_their_own_add_up_to_the_mix(song: DeckSong, ring: Ring) -> None:
    tape, deck = Tape(ring), make(song, ring, MixerState(gains_db={"vocals": -6.0}))
    tape.fill()
    deck.playing = True
    mix, stems = deck.take(4096)
    np.testing.assert_allclose(np.sum(stems, axis=0), mix, atol=1e-6)


def test_meters_say_peak_and_rms_twenty_times_a_second() -> None:
    meters = Meters(("a",), 48_000)
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(2400) / 48_000).astype(np.float32)
    meters.note(0, np.stack([tone, tone]))
    rows = meters.advance(2400)
    assert rows is not None
    ((name, peak_db, rms_db),) = rows
    assert name == "a"
    assert peak_db == pytest.approx(-6.02, abs=0.01)
    assert rms_db == pytest.approx(-9.03, abs=0.01)
    assert meters.advance(2399) is None
    assert meters.advance(1) == [("a", -144.0, -144.0)]


def test_ring_carries_blocks_in_order_and_forgets_old_epochs(tmp_path: Path) -> None:
    layout = Layout(2, 4, slots=4)
    writer = Ring(tmp_path / "ring", layout, create=True)
    reader = Ring(tmp_path / "ring", layout)
    for index in range(4):
        assert writer.write(np.full((layout.rows, 10), index, np.float32), epoch=0, frame=index * 10)
    assert not writer.write(np.zeros((layout.rows, 1), np.float32), epoch=0, frame=40)
    block = reader.peek()
    assert block is not None
    assert (block.frame, block.audio.shape, float(block.audio[0, 0])) == (0, (layout.rows, 10), 0.0)
    reader.done()
    assert writer.room == 1
    reader.ask(1)
    assert reader.peek() is None
    assert writer.room == 4
    assert writer.epoch == 1
    with pytest.raises(ArgumentValueError):
        writer.write(np.zeros((3, 10), np.float32), epoch=1, frame=0)
    with pytest.raises(StateError):
        Ring(tmp_path / "ring", Layout(1, 4))
    reader.close()
    writer.close()
    writer.close()


def test_ring_between_two_processes_loses_nothing(tmp_path: Path) -> None:
    import subprocess
    import sys

    layout = Layout(1, 1, slots=8)
    reader = Ring(tmp_path / "ring", layout, create=True)
    program = """
import sys, time, numpy as np
from pathlib import Path
from stembridge.bridge.player.ring import Layout, Ring
layout = Layout(1, 1, slots=8)
ring = Ring(Path(sys.argv[1]), layout)
for index in range(5000):
    while not ring.write(np.full((layout.rows, 512), index, np.float32), epoch=0, frame=index * 512):
        time.sleep(0.0001)
"""
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "ring")]) as writer:
        index = 0
        while index < 5000:
            block = reader.peek()
            if block is None:
                assert writer.poll() in (None, 0)
                continue
            assert block.frame == index * 512
            assert block.audio.min() == block.audio.max() == index
            reader.done()
            index += 1
    reader.close()


def test_envelope_takes_its_time_and_rests() -> None:
    envelope = Envelope(4)
    envelope.target = 1.0
    assert envelope.left() == 4
    assert np.asarray(envelope.take(2)).tolist() == [0.25, 0.5]
    envelope.target = 0.0
    assert np.asarray(envelope.take(9)).tolist() == [0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert envelope.resting
    assert envelope.take(3) == 0.0


def test_bounce_of_a_ride_is_what_was_heard(song: DeckSong, ring: Ring) -> None:
    """Fader moves, a fade, a mute and a solo while it plays; then the same moves offline, frame by frame."""
    tape, deck = Tape(ring), make(song, ring, MixerState(gains_db=dict.fromkeys(STEMS, 0.0)))

    def ride(frame: int) -> None:
        match frame // 480:
            case 20:
                deck.set_state(MixerState(gains_db={**dict.fromkeys(STEMS, 0.0), "vocals": -12.0}))
            case 40:
                deck.fade("drums", -30.0, 0.3)
            case 50:
                deck.set_state(
                    MixerState(dict.fromkeys(STEMS, -1.0), frozenset({"bass"})), keep=("drums",), ramp_ms=60.0
                )
            case 90:
                deck.set_state(MixerState(dict.fromkeys(STEMS, 0.0), solos=frozenset({"vocals"})))

    heard = play(deck, tape, 480 * 110, 480, ride)
    automation = read_text(automation_text(deck.performance.automation()))
    mixer = Mixer(STEMS, 2, RATE)
    replay = Ride(mixer, automation.states(mixer.state, RATE), 0)
    parts, at = [], 0
    residual = (tape.mix - tape.stems.sum(axis=0)).astype(np.float32)
    for count in replay.parts(480 * 110):
        here = slice(at, at + count)
        parts.append(mixer.mix(tape.mix[:, here], tape.stems[:, :, here], residual[:, here]))
        at += count
    bounced = np.concatenate(parts, axis=1)
    fade = round(FADE_S * RATE)
    np.testing.assert_array_equal(bounced[:, fade:], heard[:, fade:])
    assert len({move.stem for move in automation.moves}) == 4


def read_text(text: str) -> Automation:
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write(text)
        file.flush()
        return read_automation(Path(file.name))


def test_a_second_pass_takes_the_place_of_the_first_where_it_went() -> None:
    def state(gain_db: float) -> MixerState:
        return MixerState(gains_db={"vocals": gain_db})

    performance = Performance()
    first = [state(0.0), state(-1.0), state(-2.0)]
    for index, one in enumerate(first):
        performance.hear(index * 1000, 1000, one, 20.0)
    second = state(-9.0)
    performance.hear(1500, 1000, second, 20.0)
    moves = performance.automation().moves
    assert [(m.time.samples, m.value) for m in moves] == [(1000, -1.0), (1500, -9.0), (2500, -2.0)]
    performance.recording = False
    performance.hear(0, 5000, state(-20.0), 20.0)
    assert performance.automation().moves == moves
