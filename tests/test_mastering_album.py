"""Albums by one gain, and songs that shall sound like another."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pedalboard
import pytest
import signals
import soundfile
from mastered import chain, measured, numbers, run, run_album, sound, write_song
from stembridge.model.dsp.loudness import LoudnessMeter, programme_loudness
from stembridge.model.dsp.third_octaves import BAND_CENTRES_HZ, ThirdOctaves
from stembridge.model.errors import ArgumentValueError, AudioFileError, StembridgeError
from stembridge.model.mastering import AlbumSpec, MasterResult, MasterSpec, master_album

LEVELS = (0.5, 0.1, 0.25)


def album(folder: Path, out: str = "out", anchor: str = "programme", lufs: float | None = -14.0) -> AlbumSpec:
    songs = []
    for number, level in enumerate(LEVELS):
        path = folder / "songs" / f"{number}.wav"
        if not path.exists():
            write_song(path, 4.0, level=level, seed=number)
        songs.append(MasterSpec(path, folder / out, lufs=lufs))
    return AlbumSpec(tuple(songs), anchor)  # type: ignore[arg-type]


def as_one_programme(paths: list[Path]) -> float:
    blocks = []
    for path in paths:
        meter = LoudnessMeter(44100, 2)
        meter.push(sound(path))
        blocks.append(meter.gating_blocks())
    return programme_loudness(blocks)


def outcomes(folder: Path) -> list[Path]:
    return [folder / f"{number}.wav" for number in range(len(LEVELS))]


def test_an_album_is_as_loud_as_one_programme_and_keeps_its_levels(tmp_path: Path) -> None:
    result = run_album(album(tmp_path))
    assert as_one_programme(outcomes(tmp_path / "out")) == pytest.approx(-14.0, abs=0.1)
    assert result.lufs == pytest.approx(-14.0, abs=0.05)
    for number in (1, 2):  # those that the limiter leaves alone
        song = result.songs[number]
        assert isinstance(song, MasterResult)
        assert song.before is not None
        assert song.after is not None
        assert song.before.lufs is not None
        assert song.after.lufs == pytest.approx(song.before.lufs + result.gain_db, abs=0.05)
    for path in outcomes(tmp_path / "out"):
        assert measured(path).true_peak_dbtp <= -1.0
    assert all(2005 in numbers(song) for song in result.songs if isinstance(song, MasterResult))


def test_an_album_anchored_on_its_loudest_song(tmp_path: Path) -> None:
    result = run_album(album(tmp_path, anchor="loudest"))
    loudness = [measured(path).integrated_lufs for path in outcomes(tmp_path / "out")]
    assert max(loudness) == pytest.approx(-14.0, abs=0.1)
    assert loudness[0] == max(loudness)
    assert result.gain_db < run_album(album(tmp_path, "other")).gain_db


def test_an_album_without_a_target_is_left_as_loud_as_it_is(tmp_path: Path) -> None:
    result = run_album(album(tmp_path, lufs=None))
    assert result.gain_db == 0.0
    for number, path in enumerate(outcomes(tmp_path / "out")):
        assert np.array_equal(sound(path), sound(tmp_path / "songs" / f"{number}.wav"))


def test_an_album_is_finished_where_it_was_left(tmp_path: Path) -> None:
    """The gain is the album's, also for the one song that is missing."""
    first = run_album(album(tmp_path))
    whole = [path.read_bytes() for path in outcomes(tmp_path / "out")]
    again = run_album(album(tmp_path))
    assert all(isinstance(song, MasterResult) and song.skipped for song in again.songs)
    (tmp_path / "out/1.wav").unlink()
    third = run_album(album(tmp_path))
    assert [song.skipped for song in third.songs if isinstance(song, MasterResult)] == [True, False, True]
    assert third.gain_db == first.gain_db == again.gain_db
    assert [path.read_bytes() for path in outcomes(tmp_path / "out")] == whole


def test_an_album_of_other_songs_is_another(tmp_path: Path) -> None:
    spec = album(tmp_path)
    three = run_album(spec)
    two = run_album(replace(spec, songs=spec.songs[:2]))
    assert two.gain_db != three.gain_db
    assert all(isinstance(song, MasterResult) and not song.skipped for song in two.songs)


def test_a_bad_song_costs_itself_and_is_told_to_the_others(tmp_path: Path) -> None:
    spec = album(tmp_path)
    (tmp_path / "songs/1.wav").write_text("not audio")
    result = run_album(spec)
    assert isinstance(result.songs[1], StembridgeError)
    good = [result.songs[0], result.songs[2]]
    assert all(isinstance(song, MasterResult) and 3006 in numbers(song) for song in good)
    assert as_one_programme([tmp_path / "out/0.wav", tmp_path / "out/2.wav"]) == pytest.approx(-14.0, abs=0.1)
    # Once it is there, the gain is another, and all are made anew.
    write_song(tmp_path / "songs/1.wav", 4.0, level=LEVELS[1], seed=1)
    whole = run_album(spec)
    assert all(isinstance(song, MasterResult) and not song.skipped for song in whole.songs)
    assert whole.gain_db != result.gain_db


def test_a_song_that_breaks_off_costs_itself(tmp_path: Path) -> None:
    """A header that promises more than is there passes the plan and fails on the way."""
    spec = album(tmp_path)
    flac = tmp_path / "songs/1.flac"
    soundfile.write(flac, sound(tmp_path / "songs/1.wav").T, 44100)
    data = bytearray(flac.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    flac.write_bytes(bytes(data))
    songs = (spec.songs[0], replace(spec.songs[1], source=flac), spec.songs[2])
    result = run_album(replace(spec, songs=songs))
    assert isinstance(result.songs[1], StembridgeError)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "0.stems.json", "0.wav", "2.stems.json", "2.wav"]  # fmt: skip


def test_an_album_of_bad_songs_fails(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("not audio")
    with pytest.raises(AudioFileError, match=r"a\.wav"):
        run_album(AlbumSpec((MasterSpec(tmp_path / "a.wav", tmp_path / "out"),)))


@pytest.mark.parametrize("steps", [3, 8, 14])
def test_who_stops_an_album_leaves_whole_songs_only(tmp_path: Path, steps: int) -> None:
    work = master_album(album(tmp_path))
    list(itertools.islice(work, steps))
    work.close()
    left = list((tmp_path / "out").rglob("*")) if (tmp_path / "out").exists() else []
    assert all(path.suffix in {".wav", ".json"} and not path.name.startswith(".") for path in left)


def test_albums_that_cannot_be_are_refused(tmp_path: Path) -> None:
    song = MasterSpec(tmp_path / "a.wav", lufs=-14.0)
    with pytest.raises(ArgumentValueError, match="one song or more"):
        AlbumSpec(())
    with pytest.raises(ArgumentValueError, match="several"):
        AlbumSpec((song, replace(song, lufs=-12.0)))
    with pytest.raises(ArgumentValueError, match="programme, loudest"):
        AlbumSpec((song,), "quietest")  # type: ignore[arg-type]
    (tmp_path / "x").mkdir()
    first, second = write_song(tmp_path / "a.wav", 1.0), write_song(tmp_path / "x/a.wav", 1.0)
    with pytest.raises(ArgumentValueError, match="one path"):
        run_album(AlbumSpec(tuple(MasterSpec(path, tmp_path / "out") for path in (first, second))))


# References


def spectrum(path: Path) -> np.ndarray:
    audio = sound(path)
    bands = ThirdOctaves(soundfile.info(path).samplerate, audio.shape[0])
    bands.push(audio)
    return np.array([-200.0 if level is None else level for level in bands.finish()])


@pytest.fixture
def bright(tmp_path: Path) -> Path:
    """A song to sound like: noise, with much more at the top than the one that shall sound like it."""
    noise = signals.noise(6 * 44100, 2, 7, 0.12)
    noise[1] = 0.7 * noise[0] + 0.3 * noise[1]
    soundfile.write(tmp_path / "bright.wav", noise.T, 44100, subtype="FLOAT")
    return tmp_path / "bright.wav"


def dull(path: Path, rate: int) -> Path:
    pytest.importorskip("matchering")
    shelf = pedalboard.HighShelfFilter(cutoff_frequency_hz=3000.0, gain_db=-15.0)
    noise = shelf(signals.noise(6 * rate, 2, 8, 0.1), rate)
    soundfile.write(path, noise.T, rate, subtype="FLOAT")
    return path


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
def test_a_reference_is_matched_at_the_songs_own_rate(tmp_path: Path, bright: Path, rate: int) -> None:
    song = dull(tmp_path / "song.wav", rate)
    result = run(MasterSpec(song, tmp_path / "out", reference=bright, true_peak=None))
    made = tmp_path / "out/song.wav"
    assert (soundfile.info(made).samplerate, soundfile.info(made).frames) == (rate, 6 * rate)
    assert 2004 in numbers(result)
    bands = (np.array(BAND_CENTRES_HZ) > 300) & (np.array(BAND_CENTRES_HZ) < 13_000)
    before, after, wanted = spectrum(song)[bands], spectrum(made)[bands], spectrum(bright)[bands]
    assert np.abs((after - wanted) - (after - wanted).mean()).max() < 1.5
    assert np.abs((before - wanted) - (before - wanted).mean()).max() > 3.0


def test_half_a_reference_is_half_way(tmp_path: Path, bright: Path) -> None:
    song = dull(tmp_path / "song.wav", 44100)
    for amount in (1.0, 0.5):
        spec = MasterSpec(song, tmp_path / f"{amount}", reference=bright, mix_amount=amount, true_peak=None)
        run(spec)
    whole, half = (sound(tmp_path / f"{amount}/song.wav") for amount in (1.0, 0.5))
    np.testing.assert_allclose(half, 0.5 * whole + 0.5 * sound(song), atol=1e-6)


def test_a_reference_is_matched_after_the_chain_and_before_the_level(tmp_path: Path, bright: Path) -> None:
    song = dull(tmp_path / "song.wav", 44100)
    treatment = chain("Gain", gain_db=-12.0)
    spec = MasterSpec(song, tmp_path / "out", treatment=treatment, reference=bright, lufs=-16.0)
    run(spec)
    found = measured(tmp_path / "out/song.wav")
    assert found.integrated_lufs == pytest.approx(-16.0, abs=0.1)
    assert found.true_peak_dbtp <= -1.0
    assert run(spec).skipped
    soundfile.write(bright, 0.2 * sound(bright).T, 44100, subtype="FLOAT")
    assert not run(spec).skipped  # another reference


def test_mono_has_no_sides_to_match(tmp_path: Path, bright: Path) -> None:
    pytest.importorskip("matchering")
    song = write_song(tmp_path / "song.wav", channels=1)
    with pytest.raises(ArgumentValueError, match=r"song\.wav has 1 channel; .* make it stereo first"):
        run(MasterSpec(song, tmp_path / "out", reference=bright))
    stereo = write_song(tmp_path / "stereo.wav")
    with pytest.raises(ArgumentValueError, match=r"song\.wav has 1 channel"):
        run(MasterSpec(stereo, tmp_path / "out", reference=song))
    assert not (tmp_path / "out").exists()


def test_what_matchering_refuses_is_told_in_its_words(tmp_path: Path, bright: Path) -> None:
    pytest.importorskip("matchering")
    short = write_song(tmp_path / "song.wav", 0.05)
    with pytest.raises(
        ArgumentValueError, match=r"matchering does not match these songs: The track length is too small"
    ):
        run(MasterSpec(short, tmp_path / "out", reference=bright))
    assert not (tmp_path / "out").exists()
