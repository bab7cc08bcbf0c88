"""A batch on a real Dask scheduler with real worker processes: killed, cancelled, of the wrong version."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import psutil
import pytest
import signals
import soundfile
from peers import missing
from stembridge.bridge.batches.batch import run_batch
from stembridge.bridge.batches.task import SongReport, Task
from stembridge.bridge.cluster import ClusterWorkers
from stembridge.model.errors import ArgumentValueError, StateError
from stembridge.model.rendering import RenderSpec

try:
    import distributed
    import fsspec  # noqa: F401
except ImportError:
    missing("dask[distributed] and fsspec")

WAIT_S = 120.0


def until(what: Callable[[], Any]) -> Any:
    """Ask until the answer is yes."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if answer := what():
            return answer
        time.sleep(0.02)
    raise AssertionError("it never came")


class Cluster:
    """A scheduler and its workers, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
        self._file = folder / "scheduler.json"
        self._processes = [self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")]
        self.address = str(until(self._address))

    def _address(self) -> str | None:
        try:
            return str(json.loads(self._file.read_text())["address"])
        except (OSError, ValueError):
            return None

    def _start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:]]
        if arguments[0] == "scheduler":
            command += ["--scheduler-file", str(self._file)]
        with (self._folder / f"{arguments[0]}.log").open("ab") as log:
            return subprocess.Popen(
                command, env=self._environment | environment, stdout=log, stderr=log, cwd=self._folder
            )

    def worker(self, *flags: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start one more, with a nanny that starts it again when it dies; returns when it is there."""
        before = self.workers()
        flags = ("--nthreads", "1", "--no-dashboard", "--local-directory", str(self._folder / "work"), *flags)
        process = self._start("worker", self.address, *flags, **environment)
        self._processes.append(process)
        until(lambda: len(self.workers()) > len(before))
        return process

    def workers(self) -> dict[str, Any]:
        with self._client() as client:
            return dict(client.scheduler_info(n_workers=-1)["workers"])

    def pids(self) -> dict[str, int]:
        with self._client() as client:
            return dict(client.run(os.getpid))

    def _client(self) -> Any:
        connect: Any = distributed.Client
        return connect(self.address, set_as_default=False)

    def close(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            process.wait(60)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    made.worker()
    made.worker()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's config, presets or cache but the test's own."""
    for variable in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.delenv("STEMBRIDGE_CONFIG", raising=False)


def write_songs(folder: Path, count: int, seconds: float) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    frames = round(seconds * 44100)
    for number in range(count):
        noise = signals.noise(frames, 2, number) * np.hanning(frames)
        soundfile.write(folder / f"{number}.wav", noise.T.astype(np.float32), 44100, subtype="PCM_16")
    return folder


def render(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "stembridge.bridge", "render", "-n", "classic", "--json"]
    return subprocess.Popen(
        [*command, *map(str, arguments)], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def sounds(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("* - *.wav")}


def writing(pid: int, folder: Path) -> bool:
    """Whether a process has one of a render's temporary files open."""
    try:
        files = [Path(file.path) for file in psutil.Process(pid).open_files()]
    except psutil.Error:
        return False
    return any(file.name.startswith(".stembridge") and folder in file.parents for file in files)


def test_a_worker_killed_in_a_song_costs_nothing_but_time(cluster: Cluster, tmp_path: Path) -> None:
    write_songs(tmp_path / "songs", 4, 8.0)
    (tmp_path / "songs" / "bad.wav").write_text("not audio")
    pids = cluster.pids()
    batch = render("songs", "-o", "far", "--cluster", cluster.address, "--no-cache", cwd=tmp_path)
    victim = until(lambda: next((pid for pid in pids.values() if writing(pid, tmp_path / "far")), None))
    os.kill(victim, signal.SIGKILL)
    printed, errors = batch.communicate(timeout=WAIT_S)
    assert batch.returncode == 1, errors
    results = {Path(line["source"]).name: line["status"] for line in map(json.loads, printed.splitlines())}
    assert results == {**{f"{n}.wav": "done" for n in range(4)}, "bad.wav": "failed"}
    near = render("songs", "-o", "near", "--no-cache", cwd=tmp_path)
    near.communicate(timeout=WAIT_S)
    assert sounds(tmp_path / "far") == sounds(tmp_path / "near")
    assert len(sounds(tmp_path / "far")) == 16
    assert not list((tmp_path / "far").rglob(".*"))
    until(lambda: len(cluster.workers()) == 2)  # its nanny has started it again
    again = render("songs", "-o", "far", "--cluster", cluster.address, cwd=tmp_path)
    printed, _ = again.communicate(timeout=WAIT_S)
    assert printed.count('"skipped"') == 4


def test_an_interrupt_cancels_what_waits_and_what_runs(cluster: Cluster, tmp_path: Path) -> None:
    write_songs(tmp_path / "songs", 5, 40.0)
    batch = render("songs", "-o", "out", "--cluster", cluster.address, "--no-cache", cwd=tmp_path)
    until(lambda: list((tmp_path / "out").rglob(".stembridge*")))
    batch.send_signal(signal.SIGINT)
    printed, errors = batch.communicate(timeout=WAIT_S)
    assert batch.returncode == 130, errors
    assert "interrupted" in errors
    assert "Traceback" not in errors, errors
    assert not list((tmp_path / "out").rglob(".*"))
    done = [json.loads(line)["source"] for line in printed.splitlines()]
    assert len(sounds(tmp_path / "out")) == 4 * len(done) < 20
    soon = write_songs(tmp_path / "few", 1, 0.5)  # the workers are free again
    after = render(soon, "-o", "after", "--cluster", cluster.address, cwd=tmp_path)
    assert after.wait(WAIT_S) == 0


def test_songs_and_outputs_behind_urls(cluster: Cluster, tmp_path: Path) -> None:
    write_songs(tmp_path / "store" / "songs" / "sub", 2, 0.5)
    (tmp_path / "store" / "songs" / "bad.wav").write_text("not audio")
    store = (tmp_path / "store").as_uri()
    flags = [f"{store}/songs", "-o", f"{store}/stems", "--cluster", cluster.address]
    batch = render(*flags, cwd=tmp_path)
    printed, errors = batch.communicate(timeout=WAIT_S)
    assert batch.returncode == 1, errors
    results = {line["source"]: line for line in map(json.loads, printed.splitlines())}
    assert results[f"{store}/songs/bad.wav"]["error"]["code"] == "bad_file"
    assert f"{store}/songs/bad.wav" in errors
    assert "/stembridge-" not in errors + printed
    made = results[f"{store}/songs/sub/1.wav"]
    assert made["files"][0] == f"{store}/stems/classic/sub/1/1 - drums.wav"
    near = render("store/songs", "-o", "near", cwd=tmp_path)
    near.communicate(timeout=WAIT_S)
    assert sounds(tmp_path / "store" / "stems") == sounds(tmp_path / "near")
    manifest = json.loads((tmp_path / "store/stems/classic/sub/1/1.stems.json").read_text())
    assert manifest["source"]["path"] == f"{store}/songs/sub/1.wav"
    assert not list((tmp_path / "store").rglob(".*"))

    # A second run, and one with everything in one folder, leave all as it is; here without the cluster.
    for inputs in (f"{store}/songs", f"{store}/songs/**/*.wav"):
        again = render(inputs, "-o", f"{store}/stems", "-j", 2, cwd=tmp_path)
        printed, errors = again.communicate(timeout=WAIT_S)
        statuses = sorted(json.loads(line)["status"] for line in printed.splitlines())
        assert statuses in (["failed", "skipped", "skipped"], ["done", "done", "failed"]), errors
    lost = tmp_path / "store/stems/classic/sub/1/1 - bass.wav"
    kept = lost.read_bytes()
    lost.unlink()
    (lost.parent / "1 - mix.wav").write_text("somebody's own")
    mix = render(f"{store}/songs/sub/1.wav", "-o", f"{store}/stems", "--filename",
                 "classic/sub/{track}/{track} - {stem}.{ext}", "--mix", cwd=tmp_path)  # fmt: skip
    printed, errors = mix.communicate(timeout=WAIT_S)
    assert mix.returncode == 1
    assert "was not written by stembridge" in errors
    one = render(f"{store}/songs/sub/*.wav", "-o", f"{store}/stems", "--filename",
                 "classic/sub/{track}/{track} - {stem}.{ext}", cwd=tmp_path)  # fmt: skip
    printed, errors = one.communicate(timeout=WAIT_S)
    assert one.returncode == 0, errors
    assert lost.read_bytes() == kept
    assert (lost.parent / "1 - mix.wav").read_text() == "somebody's own"


def reports(cluster: Cluster, tasks: list[Task]) -> list[SongReport]:
    inbox: SimpleQueue[Any] = SimpleQueue()
    workers = ClusterWorkers(cluster.address, inbox, cached=False)
    events = run_batch(tasks, workers, inbox, total=len(tasks))
    return [event.news for event in events if isinstance(event.news, SongReport)]


def test_what_asks_for_a_gpu_goes_where_one_is_announced(cluster: Cluster, tmp_path: Path) -> None:
    songs = sorted(write_songs(tmp_path / "songs", 2, 0.3).iterdir())

    def tasks(out: str, model: str, device: Any) -> list[Task]:
        specs = [RenderSpec(song, tmp_path / out, model=model, device=device) for song in songs]
        return [Task("render", spec, str(spec.source)) for spec in specs]

    with pytest.raises(ArgumentValueError, match="--resources GPU=1"):
        reports(cluster, tasks("a", "live", "cuda"))
    before = set(cluster.workers())
    process = cluster.worker("--resources", "GPU=1")  # announced; the samples are made on its CPU here
    (special,) = set(cluster.workers()) - before
    try:
        found = reports(cluster, tasks("b", "live", "auto"))
        assert [(report.status, report.worker) for report in found] == [("done", special)] * 2
        anywhere = reports(cluster, tasks("c", "classic", "auto"))
        assert [report.status for report in anywhere] == ["done"] * 2
    finally:
        process.terminate()
        process.wait(60)
        until(lambda: special not in cluster.workers())


def test_other_versions_are_refused(cluster: Cluster, tmp_path: Path) -> None:
    other = tmp_path / "other" / "stembridge-99.0.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: stembridge\nVersion: 99.0\n")
    known = set(cluster.workers())
    process = cluster.worker(PYTHONPATH=str(other.parent))
    try:
        with pytest.raises(StateError, match=r"stembridge .* here, 99\.0 there.*install the same"):
            ClusterWorkers(cluster.address, SimpleQueue())
        songs = write_songs(tmp_path / "songs", 1, 0.2)
        batch = render(songs, "-o", "out", "--cluster", cluster.address, cwd=tmp_path)
        _, errors = batch.communicate(timeout=WAIT_S)
        assert batch.returncode == 1
        assert "99.0 there" in errors
        assert not (tmp_path / "out").exists()
    finally:
        process.terminate()
        process.wait(60)
        until(lambda: set(cluster.workers()) == known)
    with pytest.raises(StateError, match="no Dask scheduler answers"):
        ClusterWorkers("tcp://127.0.0.1:1", SimpleQueue(), connect_s=0.5)
