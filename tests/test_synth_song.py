"""Synthetic songs: in balance, stems that add up, the same for the same seed, whole on disk."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from stembridge.bridge.cli import synth
from stembridge.model.audio import Audio
from stembridge.model.errors import ArgumentValueError, StateError
from stembridge.model.synth.formant_voice import Tract, invent_phrase
from stembridge.model.synth.mixing import active_level, levelled, master, placed, pump
from stembridge.model.synth.score import Hit
from stembridge.model.synth.song import SAMPLE_RATE, STEMS, Band, song_name
from stembridge.model.synth.song_files import generate, write_song
from stembridge.model.synth.soundfont import find_font

RATE = SAMPLE_RATE


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Invented phrases saved as if they had been spoken: voices without any program."""
    folder = tmp_path_factory.mktemp("bank")
    for speaker in ("espeak-ng-f5", "festival-lp_diphone"):
        where = folder / "tracks" / speaker
        where.mkdir(parents=True)
        rng = np.random.default_rng(len(speaker))
        invent_phrase(Tract.invent(rng), 8, rng).save(where / "de-00000.npz")
    return folder


@pytest.fixture(scope="module")
def band(bank: Path) -> Band:
    return Band(bank, "validation")


def test_levels_count_what_sounds() -> None:
    rng = np.random.default_rng(0)
    audio = np.zeros((2, 4 * RATE), np.float32)
    audio[:, RATE : 2 * RATE] = rng.standard_normal((2, RATE)) * 0.2
    assert active_level(audio) == pytest.approx(0.2, rel=0.1)
    assert active_level(levelled(audio, 0.05)) == pytest.approx(0.05, rel=0.01)
    assert not levelled(np.zeros((2, RATE), np.float32), 0.1).any()


def test_places_keep_the_power_and_the_middle_is_the_middle() -> None:
    rng = np.random.default_rng(1)
    mono = np.repeat(rng.standard_normal((1, RATE)).astype(np.float32), 2, axis=0)
    for place in ("centre", "side", "wide"):
        for _ in range(10):
            audio = placed(mono, place, rng)
            assert np.mean(audio**2) == pytest.approx(np.mean(mono**2), rel=0.05)
            if place == "centre":
                assert np.allclose(audio[0], audio[1])


def test_a_master_shares_one_gain_and_never_goes_over() -> None:
    rng = np.random.default_rng(2)
    limited = 0
    for _ in range(12):
        stems = {name: bursts(rng) for name in STEMS}
        mastered = master(stems, 0.9, RATE, rng)
        mix = np.sum(list(mastered.values()), axis=0)
        assert np.abs(mix).max() <= 1.0
        gains = [mastered[name] / np.where(stem == 0, 1, stem) for name, stem in stems.items()]
        for gain, stem in zip(gains, stems.values(), strict=True):
            heard = np.abs(stem) > 1e-3
            assert np.allclose(gain[heard], gains[0][heard], rtol=1e-3)
        heard = np.abs(stems["drums"]) > 1e-3
        limited += float(np.ptp(gains[0][heard])) > 0.01
    assert 4 < limited < 12


def bursts(rng: np.random.Generator) -> Audio:
    loud = np.repeat(rng.uniform(0.01, 0.5, 20), RATE // 10)
    return (rng.standard_normal((2, len(loud))) * loud * 0.3).astype(np.float32)


def test_pumping_ducks_after_the_kick() -> None:
    gain = pump([Hit(0.5, "kick", 1.0), Hit(0.9, "snare", 1.0)], RATE, RATE, np.random.default_rng(3))
    assert np.all(gain[: RATE // 2] == 1)
    assert gain[RATE // 2 : RATE // 2 + 2000].min() < 0.75
    assert np.all(gain <= 1)


def test_songs_are_the_same_for_the_same_seed_and_different_for_others(bank: Path, band: Band) -> None:
    first = band.make_song(5, 3.0)
    band.make_song(6, 3.0)
    again = band.make_song(5, 3.0)
    other = Band(bank, "validation").make_song(7, 3.0)
    assert first.description == again.description
    for name in STEMS:
        assert first.stems[name].shape == (2, 3 * RATE)
        assert first.stems[name].dtype == np.float32
        assert np.array_equal(first.stems[name], again.stems[name])
    assert not np.array_equal(first.stems["other"], other.stems["other"])


def test_songs_are_audible_and_described(band: Band) -> None:
    for seed in range(20, 26):
        song = band.make_song(seed, 4.0)
        mix = np.sum(list(song.stems.values()), axis=0)
        assert song.name == song_name(seed)
        assert 0.01 < np.sqrt(np.mean(mix**2)) < 0.5
        assert np.abs(mix).max() <= 1.0
        facts = json.loads(json.dumps(song.description))
        assert facts["split"] == "validation"
        assert (np.abs(song.stems["vocals"]).max() > 0) == bool(facts["vocals"])
    with pytest.raises(ArgumentValueError, match="a second or more"):
        band.make_song(0, 0.5)


def test_written_songs_hold_the_stems_and_leave_nothing_else(band: Band, tmp_path: Path) -> None:
    song = band.make_song(5, 2.0)
    loud = type(song)(song.name, 5, RATE, {name: stem * 40 for name, stem in song.stems.items()}, {})
    for container, source in (("wav", song), ("flac", loud)):
        folder = write_song(source, tmp_path / container, "wav" if container == "wav" else "flac")
        gain = json.loads((folder / "song.json").read_text())["gain"]
        total = np.zeros((2, 2 * RATE))
        for name, stem in source.stems.items():
            data, rate = soundfile.read(folder / f"{name}.{container}", dtype="float64")
            assert rate == RATE
            assert np.abs(data.T - stem * gain).max() < 2**-15
            total += data.T
        assert np.abs(total).max() <= 1.0
        assert sorted(path.name for path in tmp_path.glob(f"{container}/*")) == [song.name]


def test_generation_goes_on_where_it_stopped_and_shares_the_work(bank: Path, tmp_path: Path) -> None:
    steps = generate(tmp_path, 3, 40, bank, "validation", seconds=1.5)
    assert next(steps).name == "song-000040"
    steps.close()
    before = (tmp_path / "song-000040" / "other.wav").stat().st_mtime_ns
    rest = list(generate(tmp_path, 3, 40, bank, "validation", seconds=1.5, workers=2))
    assert [(step.done, step.existed) for step in rest] == [(1, True), (2, False), (3, False)]
    assert (tmp_path / "song-000040" / "other.wav").stat().st_mtime_ns == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [song_name(k) for k in (40, 41, 42)]
    alone = Band(bank, "validation").make_song(42, 1.5)
    data, _ = soundfile.read(tmp_path / "song-000042" / "other.wav", dtype="float32")
    assert np.abs(data.T - alone.stems["other"]).max() < 2**-15


def test_a_missing_bank_is_said_before_any_song(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="bank"):
        next(generate(tmp_path / "songs", 1, 0, tmp_path / "nothing"))
    assert not (tmp_path / "songs").exists()


def test_without_soundfonts_procedural_instruments_play(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stembridge.model.synth.soundfont._PLACES", (str(tmp_path),))
    find_font.cache_clear()
    try:
        alone = Band(bank, "validation")
        assert any("soundfont" in line or "FluidSynth" in line for line in alone.missing)
        for seed in range(4):
            assert active_level(alone.make_song(seed, 2.0).stems["other"]) > 1e-3
    finally:
        find_font.cache_clear()


def command(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    synth.configure(parser)
    return parser.parse_args(flags)


def test_the_command_makes_songs_and_says_where(
    bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [str(tmp_path), "--songs", "2", "--seconds", "1", "--bank", str(bank), "--format", "flac"]
    flags += ["--split", "validation"]
    assert synth.run(command(*flags, "--json")) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["song"] for line in lines] == [str(tmp_path / song_name(k)) for k in (0, 1)]
    assert (tmp_path / "song-000001" / "vocals.flac").exists()
    assert synth.run(command(*flags)) == 0
    assert "0 new songs, 2 in all" in capsys.readouterr().out
    for wrong in (("--songs", "0"), ("--seconds", "0.2"), ("--split", "test"), ("-j", "x")):
        with pytest.raises(SystemExit):
            command(str(tmp_path), *wrong)
