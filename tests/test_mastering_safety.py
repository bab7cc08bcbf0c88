"""What `master` leaves behind: the same again is skipped, foreign files stay, nothing is half there."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from mastered import chain, measured, numbers, run, write_song
from stembridge.model.audio import OutputFormat
from stembridge.model.errors import AudioFileError, OutputError
from stembridge.model.mastering import MasterSpec, master


def test_the_same_again_is_skipped_and_another_is_not(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav")
    spec = MasterSpec(song, tmp_path / "out", lufs=-12.0)
    first = run(spec)
    stamp = (tmp_path / "out/song.wav").stat().st_mtime_ns
    again = run(spec)
    assert not first.skipped
    assert again.skipped
    assert numbers(again) == [1002]
    assert again.figures["gain_db"] == first.figures["gain_db"]
    assert (tmp_path / "out/song.wav").stat().st_mtime_ns == stamp
    assert not run(replace(spec, lufs=-13.0)).skipped
    assert measured(tmp_path / "out/song.wav").integrated_lufs == pytest.approx(-13.0, abs=0.1)
    assert not run(replace(spec, lufs=-13.0, release_ms=50.0)).skipped
    write_song(song, seed=1)
    assert not run(replace(spec, lufs=-13.0, release_ms=50.0)).skipped


def test_the_same_bytes_each_time(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav")
    spec = MasterSpec(song, tmp_path / "a", lufs=-8.0, format=OutputFormat("flac", "16"))
    run(spec)
    run(replace(spec, out=tmp_path / "b"))
    assert (tmp_path / "a/song.flac").read_bytes() == (tmp_path / "b/song.flac").read_bytes()


def test_foreign_and_edited_files_are_refused(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav")
    spec = MasterSpec(song, tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/song.wav").write_bytes(b"somebody's")
    with pytest.raises(OutputError, match="was not written by stembridge"):
        run(spec)
    run(replace(spec, overwrite=True))
    with (tmp_path / "out/song.wav").open("ab") as file:
        file.write(b"edited")
    with pytest.raises(OutputError, match="changed since"):
        run(replace(spec, lufs=-10.0))
    with pytest.raises(OutputError, match="is the source itself"):
        run(MasterSpec(song, tmp_path))


@pytest.mark.parametrize("steps", [1, 2, 5, 9, 14])
def test_who_stops_half_way_leaves_nothing(tmp_path: Path, steps: int) -> None:
    song = write_song(tmp_path / "song.wav", 4.0)
    work = master(MasterSpec(song, tmp_path / "out", lufs=-9.0, preview=True, treatment=chain("Compressor")))
    for progress in itertools.islice(work, steps):
        assert progress.result is None
    work.close()
    assert not (tmp_path / "out").exists()


def test_what_a_killed_master_left_is_swept_away(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav")
    spec = MasterSpec(song, tmp_path / "out", lufs=-9.0)
    work = master(spec)
    while not list((tmp_path / "out").glob(".*")):
        next(work)
    left = [path.with_name(path.name + ".spool") for path in (tmp_path / "out").glob(".*.spool")]
    for path in left:
        path.write_bytes(b"of a process that is no more")
    work.close()
    assert all(path.exists() for path in left)
    run(spec)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["song.stems.json", "song.wav"]


def test_a_song_that_changes_meanwhile_is_given_up(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav", 8.0)
    work = master(MasterSpec(song, tmp_path / "out"))
    next(work)
    next(work)
    write_song(song, 8.0, seed=1)
    with pytest.raises(AudioFileError, match="changed while it was being mastered"):
        list(work)
    assert not (tmp_path / "out").exists()
