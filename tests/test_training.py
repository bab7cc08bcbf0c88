"""Training: curves that repeat, and go on after a kill; losses that mean what they say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from stembridge.model.checkpoint import load_network, read_header
from stembridge.model.errors import ArgumentValueError, AudioFileNotFoundError
from stembridge.model.networks.band_mixer import BandMixer, BandMixerConfig
from stembridge.model.training.losses import loss_by_name, sdr
from stembridge.model.training.run_folder import RunFolder
from stembridge.model.training.spec import TrainingSpec
from stembridge.model.training.trainer import TrainingProgress, train

RATE = 8000
SIZES: dict[str, object] = {
    "sample_rate": RATE,
    "window_frames": 256,
    "hop_frames": 64,
    "bands": ((4, 4, 1), (4, 4, 2), (1, 5, 16)),
    "width": 8,
    "shared": 3,
    "mixing": 12,
    "dilations": (1, 2),
    "level_times": 8,
}


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three songs whose stems a filter could tell apart."""
    folder = tmp_path_factory.mktemp("songs")
    rng = np.random.default_rng(3)
    n = 4 * RATE
    t = np.arange(n) / RATE
    for k in range(3):
        clicks = np.zeros((n, 2))
        clicks[:: 2000 + 100 * k] = 0.6
        tone = np.stack([np.sin(2 * np.pi * (100 + 20 * k) * t)] * 2, axis=1) * 0.2
        chord = rng.standard_normal((n, 2)) * 0.02
        voice = np.stack([np.sin(2 * np.pi * (900 + 200 * np.sin(3 * t)) * t)] * 2, axis=1) * 0.2
        (folder / f"song-{k}").mkdir()
        for name, stem in zip(
            ("drums", "bass", "other", "vocals"), (clicks, tone, chord, voice), strict=True
        ):
            soundfile.write(folder / f"song-{k}" / f"{name}.wav", stem, RATE, subtype="PCM_16")
    return folder


def spec(songs: Path, out: Path, **changes: object) -> TrainingSpec:
    """A run of a few seconds."""
    made = TrainingSpec(
        network="band-mixer", out=out, data=(songs,), validation=(songs,), config=SIZES, steps=100, batch=2,
        crop_s=0.5, warm_up=5, learning_rate=5e-3, validate_every=50, save_every=25, workers=0, threads=1,
        precision="float32", ema=0.9,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def finish(run: TrainingSpec) -> list[TrainingProgress]:
    """All its reports."""
    with closing(train(run)) as reports:
        return list(reports)


@pytest.fixture(scope="module")
def trained(
    songs: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainingSpec, list[TrainingProgress]]:
    """A run that nobody disturbed."""
    run = spec(songs, tmp_path_factory.mktemp("run"))
    return run, finish(run)


def curves(run: TrainingSpec) -> bytes:
    """The curves it left."""
    return RunFolder(run.out).curves.read_bytes()


def test_training_learns(trained: tuple[TrainingSpec, list[TrainingProgress]]) -> None:
    run, reports = trained
    scores = [report.validation["average"] for report in reports if report.validation]
    assert len(scores) == 2
    # Nothing learned scores about what the mix itself does (-5 dB); the songs are easy.
    assert scores[-1] > scores[0]
    assert scores[-1] > 3.0
    assert reports[-1].step == run.steps
    assert RunFolder(run.out).picture.stat().st_size > 10_000


def test_the_best_weights_separate_and_say_where_they_come_from(
    trained: tuple[TrainingSpec, list[TrainingProgress]],
) -> None:
    run, reports = trained
    best = RunFolder(run.out).best
    header = read_header(best)
    assert header.facts["validation_sdr_db"]["average"] == pytest.approx(
        max(report.validation["average"] for report in reports if report.validation), abs=1e-3
    )
    assert header.facts["licence"] == run.licence
    assert isinstance(load_network(best), BandMixer)


def test_two_runs_of_one_seed_give_one_curve(
    trained: tuple[TrainingSpec, list[TrainingProgress]], tmp_path: Path
) -> None:
    run, _ = trained
    again = replace(run, out=tmp_path / "again")
    other = replace(run, out=tmp_path / "other", seed=1)
    finish(again)
    finish(other)
    assert curves(again) == curves(run)
    assert curves(other) != curves(run)
    assert read_header(RunFolder(again.out).best).sha256 == read_header(RunFolder(run.out).best).sha256


@pytest.mark.parametrize("stop", [37, 62])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(
    trained: tuple[TrainingSpec, list[TrainingProgress]], tmp_path: Path, stop: int
) -> None:
    run, _ = trained
    short = replace(run, out=tmp_path, steps=run.steps)
    with closing(train(replace(short, save_every=stop))) as reports:
        next(reports)  # 50 steps, of which the last checkpoint holds 37, 50 or none
    header = read_header(RunFolder(tmp_path).last)
    assert header.facts["step"] == 50
    finish(short)
    assert curves(short) == curves(run)


def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(
    trained: tuple[TrainingSpec, list[TrainingProgress]], songs: Path, tmp_path: Path
) -> None:
    run, _ = trained
    killed = replace(run, out=tmp_path / "killed")
    code = (
        "import sys, pathlib\n"
        "sys.path.insert(0, sys.argv[3])\n"
        "from test_training import finish, spec\n"
        "finish(spec(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, songs, killed.out, Path(__file__).parent])
    last = RunFolder(killed.out).last
    deadline = time.monotonic() + 120
    while not last.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 25 <= int(read_header(last).facts["step"]) <= run.steps
    finish(killed)
    assert curves(killed) == curves(run)


def test_a_finished_run_can_be_given_more_steps(
    trained: tuple[TrainingSpec, list[TrainingProgress]], tmp_path: Path
) -> None:
    run, _ = trained
    first = replace(run, out=tmp_path, steps=50)
    finish(first)
    reports = finish(replace(first, steps=100))
    assert [report.step for report in reports] == [100]


def test_a_folder_with_another_run_is_refused(
    trained: tuple[TrainingSpec, list[TrainingProgress]],
) -> None:
    run, _ = trained
    with pytest.raises(ArgumentValueError, match="another folder"):
        finish(replace(run, config={**SIZES, "width": 16}))


def test_no_songs(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioFileNotFoundError, match="no songs"):
        finish(spec(tmp_path / "empty", tmp_path / "run"))
    with pytest.raises(ArgumentValueError, match="folder"):
        spec(tmp_path, tmp_path, data=())


def test_the_learning_rate_rises_stays_and_falls(songs: Path, tmp_path: Path) -> None:
    run = spec(songs, tmp_path, steps=1000, warm_up=100, cool_down=0.3)
    rates = [run.learning_rate_at(step) for step in range(1000)]
    assert rates[0] == pytest.approx(run.learning_rate / 100)
    assert set(rates[100:700]) == {run.learning_rate}
    assert all(np.diff(rates[701:]) < 0)
    assert rates[-1] < run.learning_rate * 1e-3


def test_weights_can_begin_another_run(
    trained: tuple[TrainingSpec, list[TrainingProgress]], songs: Path, tmp_path: Path
) -> None:
    run, reports = trained
    warm = replace(
        run, out=tmp_path / "warm", steps=50, start_from=RunFolder(run.out).best, learning_rate=1e-4
    )
    assert finish(warm)[0].loss < reports[0].loss - 3


def test_sdr_leaves_unknown_stems_out() -> None:
    torch.manual_seed(0)
    network = BandMixer(BandMixerConfig(**SIZES))  # type: ignore[arg-type]
    stems = torch.randn(2, 4, 2, 20, 129, dtype=torch.complex64)
    mix = stems.sum(dim=1)
    present = torch.ones(2, 4, dtype=torch.bool)
    present[0, 2] = False
    other = stems.clone()
    other[0, 2] = 0
    assert sdr(network, mix, stems, present).item() == pytest.approx(
        sdr(network, mix, other, present).item(), rel=1e-5
    )
    assert sdr(network, mix, stems, ~present).isfinite()


def test_sdr_is_what_it_says() -> None:
    network = BandMixer(BandMixerConfig(**SIZES))  # type: ignore[arg-type]
    stems = torch.randn(1, 4, 2, 20, 129, dtype=torch.complex64)
    mix = stems.sum(dim=1)
    with torch.no_grad():
        estimates = network(mix)
        expected = 10 * torch.log10(
            (estimates - stems).abs().square().sum(dim=(2, 3, 4)) / stems.abs().square().sum(dim=(2, 3, 4))
        )
        loss = sdr(network, mix, stems, torch.ones(1, 4, dtype=torch.bool))
    assert loss.item() == pytest.approx(expected.mean().item(), abs=0.1)


def test_an_unknown_loss_is_named() -> None:
    with pytest.raises(ArgumentValueError, match="sdr, l1"):
        loss_by_name("l3")
