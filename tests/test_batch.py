"""Many songs as one batch: begun at once, resumed after kills, nobody's death but a song's own."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import psutil
import pytest
import signals
import soundfile
from stembridge.bridge.batches.batch import ATTEMPTS, Event, run_batch
from stembridge.bridge.batches.feed import AHEAD, check_collisions
from stembridge.bridge.batches.task import SongReport, Step, Task
from stembridge.bridge.batches.totals import Totals
from stembridge.bridge.batches.workers import LocalWorkers
from stembridge.model.errors import ArgumentValueError
from stembridge.model.rendering import RenderSpec
from stembridge.model.rendering.plan import foreseen_paths, plan_render

RATE = 44100


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's config, presets or cache but the test's own."""
    for variable in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.delenv("STEMBRIDGE_CONFIG", raising=False)


def write_song(path: Path, seed: int = 0, seconds: float = 1.0) -> Path:
    """A song of its own per seed, quickly made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = signals.noise(round(seconds * RATE), 2, seed) * np.hanning(round(seconds * RATE))
    soundfile.write(path, noise.T.astype(np.float32), RATE, subtype="PCM_16", format="WAV")
    return path


def write_songs(folder: Path, count: int, seconds: float = 1.0, broken: tuple[int, ...] = ()) -> Path:
    for number in range(count):
        path = folder / f"album {number % 3}" / f"{number:03d}.wav"
        if number in broken:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"RIFF no song" * 50)
        else:
            write_song(path, number, seconds)
    return folder


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "stembridge.bridge", *map(str, arguments)]


def render(songs: Path, out: Path, *flags: object) -> list[str]:
    return command("render", songs, "-n", "classic", "-o", out, "--format", "flac", "--json", *flags)


def started(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def results(text: str) -> dict[str, dict[str, Any]]:
    return {Path(line["source"]).name: line for line in map(json.loads, text.splitlines())}


def tasks(folder: Path, out: Path, **settings: Any) -> list[Task]:
    return [
        Task("render", RenderSpec(path, out, model="classic", stems=("bass",), **settings), str(path))
        for path in sorted(folder.rglob("*.wav"))
    ]


def whole(folder: Path) -> dict[str, bytes]:
    """Every audio file below a folder, by its relative name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.flac"))}


def kill_twice_and_resume(folder: Path, songs: int, seconds: float, broken: tuple[int, ...]) -> None:
    """Kill a batch twice with -9 at random moments, let it finish, and compare with one left alone."""
    dice = random.Random(songs)
    write_songs(folder / "songs", songs, seconds, broken)
    alone = subprocess.run(
        render(folder / "songs", folder / "alone", "-j", 2, "--no-cache"), capture_output=True, text=True
    )
    assert alone.returncode == 1, alone.stderr
    finished: set[str] = set()
    for turn in (1, 2):
        process = started(render(folder / "songs", folder / "out", "-j", 2))
        assert process.stdout is not None
        for _ in range(dice.randint(songs // 6, songs // 3)):
            line = json.loads(process.stdout.readline())
            if line["status"] == "done":
                assert line["source"] not in finished, "a finished song was rendered again"
                finished.add(line["source"])
        os.killpg(process.pid, signal.SIGKILL)  # the batch and its workers, in the middle of their songs
        rest, _ = process.communicate(timeout=60)
        finished |= {s["source"] for s in results(rest).values() if s["status"] == "done"}
        assert 0 < len(finished) < songs - len(broken), f"turn {turn}"
    last = subprocess.run(
        render(folder / "songs", folder / "out", "-j", 2), capture_output=True, text=True, timeout=900
    )
    assert last.returncode == 1, last.stderr
    found = results(last.stdout)
    assert len(found) == songs
    by_status: dict[str, set[str]] = {}
    for line in found.values():
        by_status.setdefault(line["status"], set()).add(line["source"])
    assert {Path(name).stem for name in by_status["failed"]} == {f"{number:03d}" for number in broken}
    assert finished <= by_status["skipped"]
    assert not finished & by_status["done"]
    for number in broken:
        assert f"{number:03d}.wav" in last.stderr
    assert whole(folder / "out") == whole(folder / "alone")
    assert len(whole(folder / "out")) == 4 * (songs - len(broken))
    assert not list((folder / "out").rglob(".*"))


def test_a_batch_killed_twice_is_resumed_to_the_same_bytes(tmp_path: Path) -> None:
    kill_twice_and_resume(tmp_path, 12, 6.0, (2, 7))


@pytest.mark.soak
def test_two_hundred_songs_killed_twice_are_resumed_to_the_same_bytes(tmp_path: Path) -> None:
    kill_twice_and_resume(tmp_path, 200, 5.0, (11, 99, 150))


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def test_a_worker_that_dies_costs_its_song_one_attempt(tmp_path: Path) -> None:
    write_songs(tmp_path / "songs", 5, 10.0)
    process = started(render(tmp_path / "songs", tmp_path / "out", "-j", 2))
    while process.poll() is None and not list((tmp_path / "out").rglob("*.*")):
        pass
    workers_of(process)[0].kill()
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert [song["status"] for song in results(printed).values()] == ["done"] * 5
    assert "its process died (exit -9); it is tried once more" in errors
    assert not list((tmp_path / "out").rglob(".*"))


def test_a_song_that_kills_every_worker_is_named_and_no_other(tmp_path: Path) -> None:
    write_songs(tmp_path / "songs", 4, 0.5)
    victim = write_song(tmp_path / "songs" / "deadly.wav", 9, 20.0)
    inbox: SimpleQueue[Any] = SimpleQueue()
    workers = LocalWorkers(2, None, inbox)
    reports: dict[str, SongReport] = {}
    notes = []
    for event in run_batch(tasks(tmp_path / "songs", tmp_path / "out"), workers, inbox, total=5):
        if isinstance(event.news, SongReport):
            reports[Path(event.task.source).name] = event.news
        elif isinstance(event.news, str):
            notes.append(event.news)
        elif event.task.source == str(victim):
            for child in psutil.Process().children():
                if any("deadly" in file.path for file in child.open_files()):
                    child.kill()
    error = reports["deadly.wav"].error
    assert error is not None
    assert error.code == "process_died"
    assert reports["deadly.wav"].attempts == ATTEMPTS
    assert len(notes) >= 1
    assert [r.status for name, r in sorted(reports.items()) if name != "deadly.wav"] == ["done"] * 4


def test_workers_are_kept_warm_and_replaced_when_worn(tmp_path: Path) -> None:
    songs = tasks(write_songs(tmp_path / "songs", 5, 0.2), tmp_path / "out")
    inbox: SimpleQueue[Any] = SimpleQueue()
    workers = LocalWorkers(1, None, inbox, recycle_after=3)
    ended = [e.news for e in run_batch(songs, workers, inbox, total=5) if isinstance(e.news, SongReport)]
    names = [report.worker for report in ended]
    assert len(set(names[:3])) == 1
    assert len(set(names[3:])) == 1
    assert names[0] != names[4]
    assert all(report.status == "done" and report.attempts == 1 for report in ended)


def test_the_first_song_begins_before_the_last_one_is_looked_at(tmp_path: Path) -> None:
    songs = tasks(write_songs(tmp_path / "songs", 4, 0.2), tmp_path / "out")
    taken = 0

    def many() -> Iterator[Task]:
        nonlocal taken
        for number in range(3000):  # the same files under ever new names
            taken += 1
            spec = songs[number % 4].spec
            yield Task(
                "render", RenderSpec(spec.source, tmp_path / f"{number}", model="classic"), str(number)
            )

    inbox: SimpleQueue[Any] = SimpleQueue()
    events = run_batch(many(), LocalWorkers(1, None, inbox), inbox, total=3000)
    first = next(event for event in events if isinstance(event.news, SongReport))
    assert first.news.status == "done"  # type: ignore[union-attr]
    assert taken <= AHEAD + 3
    assert first.fraction == pytest.approx(1 / 3000, rel=0.01)
    events.close()


def test_names_that_collide_are_refused_before_anything_is_opened(tmp_path: Path) -> None:
    specs = [
        RenderSpec(tmp_path / name, tmp_path / "out", model="classic") for name in ("a/x.wav", "b/X.flac")
    ]
    both = [Task("render", spec, str(spec.source)) for spec in specs]  # there are no such files
    with pytest.raises(ArgumentValueError, match="one path"):
        check_collisions(both)
    check_collisions(
        [Task("render", RenderSpec(t.spec.source, tmp_path / str(i)), "") for i, t in enumerate(both)]
    )


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"two_stems": "vocals"},
        {"stems": ("bass", "instrumental"), "filename": "{index} {stem}/{track}.{ext}"},
    ],
)
def test_what_is_foreseen_by_name_is_what_is_planned(tmp_path: Path, settings: dict[str, Any]) -> None:
    song = write_song(tmp_path / "Live" / "song.wav", seconds=0.1)
    spec = RenderSpec(song, tmp_path / "out", model="classic", **settings)
    (foreseen,) = foreseen_paths([spec])
    assert list(foreseen) == plan_render(spec).paths
    assert list(foreseen_paths([RenderSpec(song, filename="{sample_rate} {stem}.{ext}")])) == [()]


def test_a_collision_that_only_the_songs_can_tell_costs_the_second_one(tmp_path: Path) -> None:
    for number in range(3):
        write_song(tmp_path / "songs" / f"{number}.wav", number, 0.2)
    done = subprocess.run(
        render(tmp_path / "songs", tmp_path / "out", "--filename", "{sample_rate} {stem}.{ext}", "-j", 2),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert sorted(song["status"] for song in results(done.stdout).values()) == ["done", "failed", "failed"]
    assert "one path" in done.stderr


def test_progress_is_by_seconds_of_audio(tmp_path: Path) -> None:
    write_song(tmp_path / "songs" / "a.wav", 1, 0.5)
    write_song(tmp_path / "songs" / "b.wav", 2, 9.5)
    inbox: SimpleQueue[Any] = SimpleQueue()
    events: list[Event] = list(
        run_batch(tasks(tmp_path / "songs", tmp_path / "out"), LocalWorkers(1, None, inbox), inbox, total=2)
    )
    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions)
    first = next(event for event in events if isinstance(event.news, SongReport))
    assert first.fraction == pytest.approx(0.05)
    assert events[-1].fraction == 1.0
    steps = [event for event in events if isinstance(event.news, Step) and event.fraction > 0.05]
    assert all(event.left_s is not None for event in steps)


def test_songs_that_need_nothing_done_do_not_count_as_speed() -> None:
    now = 0.0
    totals = Totals(100, lambda: now)
    for _ in range(100):
        totals.planned(60.0)
    totals.begun()
    for number in range(90):
        totals.ended(number, 60.0, worked=False)
    now = 10.0
    totals.ended(90, 60.0, worked=True)
    assert totals.left_s() == pytest.approx(90.0)
    assert totals.fraction == pytest.approx(0.91)
