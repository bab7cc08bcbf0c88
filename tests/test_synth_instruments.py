"""The instruments of synthetic songs: in tune, on time, the same whatever was played before."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import peers
import pytest
from numpy.typing import NDArray
from stembridge.model.synth.oscillators import hertz, tone, wavetable
from stembridge.model.synth.score import Note
from stembridge.model.synth.soloists import SOLOISTS
from stembridge.model.synth.song import SAMPLE_RATE
from stembridge.model.synth.soundfont import BLOCK, FONTS, Bends, Orchestra, find_font
from stembridge.model.synth.synthesiser import INSTRUMENTS, StringMaker

RATE = SAMPLE_RATE


def cents_off(audio: NDArray[np.float32], pitch: float) -> float:
    """How far a held note's harmonics are from where they belong, by the best of many combs."""
    n = 1 << 18
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), n))
    cents = np.arange(-60, 61, 2)
    fits = [
        sum(spectrum[round(k * hertz(pitch + c / 100) * n / RATE)] / np.sqrt(k) for k in range(1, 7))
        for c in cents
    ]
    return float(cents[int(np.argmax(fits))])


def test_wavetables_do_not_fold_back() -> None:
    tables = wavetable("saw")
    audio = tone(tables[7], 3000.0, RATE, RATE)
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(RATE))) ** 2
    harmonic = np.zeros(len(spectrum), bool)
    for k in range(3000, len(spectrum), 3000):
        harmonic[k - 3 : k + 4] = True
    assert spectrum[~harmonic].sum() < 1e-4 * spectrum.sum()


@pytest.mark.parametrize("name", [*(n for n in INSTRUMENTS if n != "riser"), *SOLOISTS])
def test_procedural_instruments_are_in_tune_and_on_time(name: str) -> None:
    play = INSTRUMENTS.get(name) or SOLOISTS[name]
    pitch = 45 if name in ("synth bass", "808", "fm bass") else 62
    for seed in range(2):
        audio = play([Note(0.5, 1.2, pitch, 0.8)], 2 * RATE, RATE, np.random.default_rng(seed))
        assert audio.shape == (2, 2 * RATE)
        assert audio.dtype == np.float32
        assert 1e-4 < np.abs(audio).max() < 4
        assert np.abs(audio[:, : int(0.45 * RATE)]).max() < 0.02 * np.abs(audio).max()
        # Detuned oscillators lie on both sides of the note.
        detuned = {"super-saw": 36, "synth pad": 25, "synth choir": 26, "lead synth": 20, "synth bass": 30}
        tolerance = detuned.get(name, 10)
        assert abs(cents_off(audio[0, int(0.6 * RATE) : int(1.5 * RATE)], pitch)) <= tolerance


def test_plucked_strings_are_in_tune_over_the_neck() -> None:
    strings = StringMaker(RATE, np.random.default_rng(4), ring_s=2.0)
    for pitch in (28, 40, 52, 64, 76):
        assert abs(cents_off(strings.string(pitch, 1.0)[2000:40000], pitch)) <= 3


def orchestra() -> Orchestra:
    if find_spec("fluidsynth") is None:
        peers.missing("pyfluidsynth is not installed (pip install pyfluidsynth)")
    if not any(find_font(entry.file) for entry in FONTS):
        peers.missing("no General MIDI soundfont (Debian: apt install timgm6mb-soundfont)")
    return Orchestra("validation")


def test_a_soundfont_player_never_hears_what_was_played_before() -> None:
    players = orchestra()
    font = players.fonts[0]
    chord = [Note(0.2 + 0.01 * k, 0.7, 48 + 4 * k, 0.7) for k in range(6)]
    first = players.play(font, 0, chord, RATE, RATE)
    players.play(font, 48, chord, RATE, RATE, Bends([0, 4410], [1.0, -2.0]))
    assert np.array_equal(first, players.play(font, 0, chord, RATE, RATE))
    assert np.abs(first[:, : int(0.2 * RATE) - 2 * BLOCK]).max() == 0
    assert np.abs(first).max() > 0.01


def test_bends_bend_and_bigger_instruments_keep_the_pitch() -> None:
    players = orchestra()
    font = players.fonts[0]
    note = [Note(0.1, 1.5, 60, 0.8)]
    plain = players.play(font, 16, note, 2 * RATE, RATE)[0, RATE // 2 : RATE]
    bent = players.play(font, 16, note, 2 * RATE, RATE, Bends([0], [0.5]))[0, RATE // 2 : RATE]
    bigger = players.play(font, 16, note, 2 * RATE, RATE, larger=4)[0, RATE // 2 : RATE]
    assert abs(cents_off(plain, 60)) <= 10
    assert abs(cents_off(bent, 60.5)) <= 10
    assert abs(cents_off(bigger, 60)) <= 10
    assert not np.allclose(bigger, plain, atol=1e-3)
