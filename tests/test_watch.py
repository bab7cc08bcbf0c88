"""A watched folder: files are taken once they are whole, and once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
import pytest
import signals
import soundfile
from stembridge.bridge.inputs import Song
from stembridge.bridge.watch import FolderWatch, open_for_writing


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's config, presets or cache but the test's own."""
    for variable in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.delenv("STEMBRIDGE_CONFIG", raising=False)


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """A folder and who looks at it, a given time apart."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.clock = folder, Clock()
        self.watch = FolderWatch(folder, settle_s=2.0, clock=self.clock)

    def look(self, after_s: float = 1.0) -> list[str]:
        self.clock.now += after_s
        return [song.path.relative_to(self.folder).as_posix() for song in self.watch.look()]


def test_a_file_is_taken_once_it_has_stopped_growing(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "in")
    song = watched.folder / "a.wav"
    song.write_bytes(b"1")
    assert [watched.look() for _ in range(2)] == [[], []]
    song.write_bytes(b"12")
    assert [watched.look() for _ in range(4)] == [[], [], ["a.wav"], []]
    assert watched.look(100.0) == []
    song.write_bytes(b"another")  # replaced, or broken and now repaired
    assert [watched.look() for _ in range(3)] == [[], [], ["a.wav"]]
    song.unlink()
    assert watched.look() == []
    song.write_bytes(b"another")
    assert [watched.look() for _ in range(3)] == [[], [], ["a.wav"]]


def test_a_file_that_somebody_has_open_for_writing_is_left_alone(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells who has a file open")
    watched = Watched(tmp_path / "in")
    song = watched.folder / "slow.wav"
    code = "import sys\nf = open(sys.argv[1], 'wb', 0)\nf.write(b'x')\nprint('ok', flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", code, song], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline()
        assert [watched.look(10.0) for _ in range(3)] == [[], [], []]
        with song.open("rb"):  # a reader disturbs nobody
            assert open_for_writing({str(song)}) == {str(song)}
            writer.communicate("\n", timeout=30)
            assert open_for_writing({str(song)}) == set()
    assert [watched.look(10.0) for _ in range(2)] == [["slow.wav"], []]


def test_renamed_into_place_folders_and_what_is_no_song(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "in")
    (watched.folder / "sub" / "deep").mkdir(parents=True)
    (watched.folder / ".hidden").mkdir()
    for name in ("sub/deep/b.FLAC", "cover.jpg", ".part.wav", ".hidden/c.wav", "d.wav.tmp"):
        (watched.folder / name).write_bytes(b"x")
    assert [watched.look(3.0) for _ in range(2)] == [[], ["sub/deep/b.FLAC"]]
    os.rename(watched.folder / "d.wav.tmp", watched.folder / "d.wav")
    assert [watched.look(3.0) for _ in range(2)] == [[], ["d.wav"]]
    again = FolderWatch(watched.folder, settle_s=0.0, clock=watched.clock)
    assert again.look()[1] == Song(watched.folder / "sub/deep/b.FLAC", PurePosixPath("sub/deep"))


def test_a_watch_is_ended_from_another_thread(tmp_path: Path) -> None:
    watch = FolderWatch(tmp_path, settle_s=60.0)
    found: list[Song] = []
    thread = threading.Thread(target=lambda: found.extend(watch.songs()))
    thread.start()
    watch.stop()
    thread.join(30)
    assert not thread.is_alive()
    assert found == []


def write_song(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = signals.noise(22050, 2, seed) * np.hanning(22050)
    soundfile.write(path, noise.T.astype(np.float32), 44100, subtype="PCM_16", format="WAV")
    return path


def lines(stream: IO[str]) -> Iterator[dict[str, Any]]:
    for line in stream:
        yield json.loads(line)


def test_a_drop_folder_with_its_outputs_inside(tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    write_song(drop / "early.wav", 1)
    flags = ["-n", "classic", "-o", "drop/stems", "--stems", "bass", "--settle", "0.3", "--json", "-j", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "stembridge.bridge", "render", "--watch", "drop", *flags],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    said = lines(process.stdout)
    first = next(said)
    assert (first["source"], first["status"]) == ("drop/early.wav", "done")
    bad = tmp_path / "drop/sub/bad.wav"
    bad.parent.mkdir()
    bad.write_text("not audio")
    assert next(said)["status"] == "failed"
    write_song(tmp_path / "elsewhere.wav", 2).rename(drop / "late.wav")
    assert next(said)["source"] == "drop/late.wav"
    write_song(bad, 3)  # repaired: tried again
    repaired = next(said)
    assert (repaired["source"], repaired["status"]) == ("drop/sub/bad.wav", "done")
    assert repaired["files"] == ["drop/stems/classic/sub/bad/bad - bass.wav"]
    os.utime(drop / "late.wav", (time.time(), time.time() + 5))  # touched: looked at, and nothing done
    assert next(said)["status"] == "skipped"
    os.killpg(process.pid, signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert rest == ""  # no stem was taken for a song
    assert "no longer watching; 4 of 5 songs done, 1 failed" in errors
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert not list(drop.rglob(".*"))


def test_nothing_to_watch_and_too_much_to_do_are_usage_errors(tmp_path: Path) -> None:
    for arguments in (["--watch", "none"], ["a.wav", "--watch", "."], ["--watch", ".", "--dry-run"]):
        done = subprocess.run(
            [sys.executable, "-m", "stembridge.bridge", "render", *arguments],
            cwd=tmp_path, capture_output=True, text=True, timeout=60)  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert "watch" in done.stderr or "--dry-run" in done.stderr
