"""Chains while it plays: where they belong in time, and gone without a click when a plug-in goes."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import peers
import psutil
import pytest
import soundfile
from numpy.typing import NDArray
from pulse import wait_until
from stembridge.bridge.fader_laws import fader_law
from stembridge.bridge.player.chains import FADE_S, Chains
from stembridge.bridge.player.deck import Deck, DeckSong
from stembridge.bridge.player.mix_chain import MixChain, open_mix_chain
from stembridge.bridge.player.ring import BLOCK, END, Ring
from stembridge.bridge.player.streamer import Streamer
from stembridge.bridge.player.wire import Writer
from stembridge.model.plugins.chain_spec import ChainSpec, PluginSpec
from stembridge.model.plugins.isolate import open_chain
from stembridge.model.separation import Separated

RATE = 44100
STEMS = ("drums", "bass", "other", "vocals")
FRAMES = 30_000
Floats = NDArray[np.float32]


def latent() -> dict[str, Any]:
    """A limiter with latency, whose process can be killed."""
    file = peers.vst3("ZaMaximX2")
    spec = ChainSpec((PluginSpec(file=file, parameters={"threshold_db": -20.0}),), "test, chain.drums")
    return spec.to_json()


def native(gain_db: float = -6.0) -> dict[str, Any]:
    return ChainSpec((PluginSpec("Gain", parameters={"gain_db": gain_db}),), "test, chain.vocals").to_json()


def tones() -> Separated:
    """Slow sines: any click would be the largest step by far."""
    time = np.arange(FRAMES) / RATE
    sines = np.stack(
        [np.stack([0.2 * np.sin(2 * np.pi * f * time)] * 2) for f in (90.0, 140.0, 210.0, 330.0)]
    )
    stems: Floats = sines.astype(np.float32)
    mix: Floats = stems.sum(axis=0).astype(np.float32)
    return Separated(mix, stems, np.zeros_like(mix))


def part(block: Separated, start: int, stop: int) -> Separated:
    return Separated(block.mix[:, start:stop], block.stems[:, :, start:stop], block.residual[:, start:stop])


def children() -> list[psutil.Process]:
    return list(psutil.Process().children())


@pytest.fixture
def opened() -> Iterator[Any]:
    made: list[Any] = []

    def make(specs: dict[str, Any], **options: Any) -> tuple[Chains, list[str]]:
        told: list[str] = []
        chains = Chains(specs, STEMS, RATE, 2, told.append, **options)
        made.append(chains)
        return chains, told

    yield make
    for chains in made:
        chains.close()


def collected(pieces: Iterator[tuple[int, Floats]], out: Floats, at: int) -> int:
    """Put rows where they say they belong; they follow each other."""
    for frame, rows in pieces:
        assert frame == at
        assert rows.shape[1] <= BLOCK
        out[:, frame : frame + rows.shape[1]] = rows
        at += rows.shape[1]
    return at


def test_treated_stems_lie_where_the_untreated_do_whatever_their_chains_hold_back(opened: Any) -> None:
    specs = {"drums": latent(), "vocals": native()}
    chains, told = opened(specs)
    assert chains.treated == ("drums", "vocals")
    assert chains.latency > 0
    song = tones()
    out = np.full((2 * (2 + len(STEMS) + 2), FRAMES), np.nan, np.float32)
    rng, pushed, at = np.random.default_rng(3), 0, 0
    while pushed < FRAMES:
        stop = min(pushed + int(rng.integers(1, 900)), FRAMES)
        at = collected(chains.push(pushed, part(song, pushed, stop)), out, at)
        assert at >= stop - chains.latency
        pushed = stop
    assert collected(chains.finish(), out, at) == FRAMES
    np.testing.assert_array_equal(out[:2], song.mix)
    np.testing.assert_array_equal(out[2:10], song.stems.reshape(8, -1))
    chain = open_chain(ChainSpec.from_json(specs["drums"]), RATE, 2)
    expected = chain(song.stems[0], RATE)
    chain.close()  # type: ignore[attr-defined]
    np.testing.assert_allclose(out[12:14], expected, atol=1e-6)
    assert float(np.max(np.abs(expected - song.stems[0]))) > 0.01  # it does something
    np.testing.assert_allclose(out[14:16], song.stems[3] * 10 ** (-6 / 20), atol=1e-5)
    assert told == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_plugin_that_dies_or_hangs_is_bypassed_with_a_fade_and_named(
    opened: Any, number: signal.Signals
) -> None:
    before = {child.pid for child in children()}
    chains, told = opened({"drums": latent()}, patience_s=1.0)
    (pid,) = {child.pid for child in children()} - before
    song = tones()
    out = np.zeros((2 * (3 + len(STEMS)), FRAMES), np.float32)
    at = 0
    for start in range(0, FRAMES, 500):
        if start == 15_000:
            os.kill(pid, number)
        at = collected(chains.push(start, part(song, start, start + 500)), out, at)
    assert collected(chains.finish(), out, at) == FRAMES
    assert len(told) == 1
    assert told[0].startswith("drums: ")
    assert "ZaMaximX2" in told[0]
    treated = out[12:14]
    np.testing.assert_array_equal(treated[:, 16_000:], song.stems[0][:, 16_000:])
    steps = np.max(np.abs(np.diff(treated, axis=1)), axis=0)
    apart = float(np.max(np.abs(treated - song.stems[0])))
    assert np.max(steps[14_000:17_000]) < np.max(steps[2_000:14_000]) + apart / (FADE_S * RATE)


def test_a_chain_that_cannot_be_loaded_is_left_out_and_told(opened: Any, tmp_path: Path) -> None:
    spec = ChainSpec((PluginSpec(file=str(tmp_path / "none.vst3")),), "test, chain.bass").to_json()
    chains, told = opened({"bass": spec, "vocals": native()})
    assert chains.treated == ("vocals",)
    assert len(told) == 1
    assert told[0].startswith("bass: ")


# Through the streamer, onto the ring.


class Song:
    """A streamer with a song of chains, and what its ring gives."""

    def __init__(self, folder: Path, chains: dict[str, Any]) -> None:
        stems = tones()
        self.stems = stems.stems
        (folder / "song").mkdir()
        for name, audio in zip(STEMS, stems.stems, strict=True):
            soundfile.write(folder / "song" / f"{name}.wav", audio.T, RATE, subtype="FLOAT")
        self.said = io.BytesIO()
        self.streamer = Streamer(folder, Writer(self.said))
        self.streamer.take(
            {
                "do": "load",
                "key": "1",
                "path": str(folder / "song"),
                "ring": str(folder / "ring"),
                "chains": chains,
            }
        )
        assert b'"loaded"' in self.said.getvalue(), self.said.getvalue()
        treated = tuple(name for name in STEMS if name in chains)
        self.song = DeckSong(STEMS, 2, RATE, "other", treated, FRAMES)
        self.ring = Ring(folder / "ring", self.song.layout)
        threading.Thread(target=self.streamer.feed, daemon=True).start()

    def read(self, epoch: int) -> tuple[int, Floats]:
        """From the first frame of an epoch to the end of the song."""
        self.ring.ask(epoch)
        parts: list[Floats] = []
        first = -1
        while True:
            wait_until(lambda: self.ring.peek() is not None, "nothing comes")
            block = self.ring.peek()
            assert block is not None
            if first < 0:
                first = block.frame
            assert block.frame == first + sum(one.shape[1] for one in parts)
            parts.append(block.audio.copy())
            ended = bool(block.flags & END)
            self.ring.done()
            if ended:
                return first, np.concatenate(parts, axis=1)


@pytest.fixture
def make_song(tmp_path: Path) -> Iterator[Any]:
    made: list[Song] = []

    def make(chains: dict[str, Any]) -> Song:
        made.append(Song(tmp_path, chains))
        return made[-1]

    yield make
    for song in made:
        song.streamer.close()
        song.ring.close()


def test_a_song_comes_off_the_ring_whole_with_its_chains_also_after_a_seek(make_song: Any) -> None:
    song = make_song({"drums": latent(), "vocals": native()})
    for epoch, start in ((0, 0), (1, 10_001)):
        if epoch:
            song.streamer.take({"do": "seek", "epoch": epoch, "frame": start})
        first, rows = song.read(epoch)
        assert (first, rows.shape[1]) == (start, FRAMES - start)
        np.testing.assert_allclose(rows[2:10], song.stems[:, :, start:].reshape(8, -1), atol=1e-6)
        chain = open_chain(ChainSpec.from_json(latent()), RATE, 2)
        expected = chain(np.ascontiguousarray(song.stems[0][:, start:]), RATE)
        chain.close()  # type: ignore[attr-defined]
        np.testing.assert_allclose(rows[12:14], expected, atol=1e-6)
        np.testing.assert_allclose(rows[14:16], song.stems[3][:, start:] * 10 ** (-6 / 20), atol=1e-5)


# The chain of the mix.


def through(chain: MixChain, audio: Floats, size: int = 441, *, wait: bool = True) -> Floats:
    """As a device asks for it; with `wait` as slowly as the chain needs."""
    parts: list[Floats] = []
    for start in range(0, audio.shape[1], size):
        parts.append(chain(np.ascontiguousarray(audio[:, start : start + size])))
        if wait:
            idle = getattr(chain, "_tasks", None)
            if idle is not None:
                wait_until(idle.empty, "the chain does not go on")
                threading.Event().wait(0.003)
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("spec", [native, latent])
def test_the_mix_is_treated_and_late_by_what_is_reported(spec: Any) -> None:
    told: list[str] = []
    chain = open_mix_chain(spec(), RATE, 2, 2 * 441, told.append)
    mix = tones().mix
    heard = through(chain, mix)
    effect = open_chain(ChainSpec.from_json(spec()), RATE, 2)
    expected = effect(mix, RATE)
    late = chain.latency
    chain.close()
    np.testing.assert_allclose(heard[:, late:], expected[:, :-late] if late else expected, atol=1e-6)
    assert not np.any(heard[:, :late])
    assert chain.overloads == 0
    assert told == []


def test_a_mix_chain_that_dies_leaves_the_untreated_mix_in_time() -> None:
    before = {child.pid for child in children()}
    told: list[str] = []
    chain = open_mix_chain(latent(), RATE, 2, 2 * 441, told.append)
    (pid,) = {child.pid for child in children()} - before
    mix = tones().mix
    first = through(chain, mix[:, :13_230])
    os.kill(pid, signal.SIGKILL)
    second = through(chain, mix[:, 13_230:], wait=False)
    wait_until(lambda: bool(told), "nothing was told")
    chain.close()
    heard = np.concatenate([first, second], axis=1)
    late = chain.latency
    assert "ZaMaximX2" in told[0]
    assert chain.overloads == 1
    np.testing.assert_array_equal(heard[:, 20_000:], mix[:, 20_000 - late : FRAMES - late])
    assert float(np.max(np.abs(np.diff(heard, axis=1)))) < 0.05


def test_the_deck_says_where_the_sound_is_that_is_heard(tmp_path: Path) -> None:
    song = DeckSong(STEMS, 2, RATE)
    ring = Ring(tmp_path / "ring", song.layout, create=True)
    deck = Deck(song, ring, fader_law("ardour"))
    deck.mix_chain = open_mix_chain(native(-6.0), RATE, 2, 882, lambda _text: None)
    tape = tones()
    rows = np.concatenate([tape.mix, *tape.stems, tape.residual])
    for start in range(0, 10 * BLOCK, BLOCK):
        ring.write(rows[:, start : start + BLOCK], epoch=0, frame=start)
    deck.playing = True
    heard = np.concatenate([deck.take(500)[0] for _ in range(8)], axis=1)
    np.testing.assert_allclose(heard[:, 1000:], tape.mix[:, 1000:4000] * 10 ** (-6 / 20), atol=1e-5)
    assert deck.audible == deck.frame - deck.mix_chain.latency == 4000
    deck.close()
