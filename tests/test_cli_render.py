"""`stembridge render` as people type it: exit codes, reports, batches, interrupts."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import signals
import soundfile
from stembridge.bridge.advice import advice
from stembridge.model.registry import DEFAULT

SECONDS = 1.5


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's config, presets or cache but the test's own."""
    for variable in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.delenv("STEMBRIDGE_CONFIG", raising=False)


def write_song(path: Path, seed: int = 0, seconds: float = SECONDS) -> Path:
    mix = np.sum(list(signals.song(seconds, seed=seed).values()), axis=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, mix.T, 44100, subtype="PCM_16", format="WAV")
    return path


def stembridge(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stembridge.bridge", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300)


def classic(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A render by `classic`: where it does not matter how well stems are separated, the quickest will do."""
    return stembridge("render", "-n", "classic", *arguments, cwd=cwd)


def outputs(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_the_short_way(tmp_path: Path) -> None:
    write_song(tmp_path / "My Song.wav")
    done = stembridge("render", "My Song.wav", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"separated/{DEFAULT}/My Song/My Song - vocals.wav" in outputs(tmp_path)
    assert re.search(rf"{DEFAULT}, [\d.]+x real time, null depth -1\d\d\.\d dB", done.stdout)
    assert "My Song - bass.wav" in done.stdout
    hints = [line for line in done.stderr.splitlines() if line.startswith("stembridge: ")]
    assert hints == [f"stembridge: {line}" for line in [advice(DEFAULT)] if line]
    again = stembridge("render", "My Song.wav", cwd=tmp_path)
    assert again.returncode == 0
    assert "already rendered" in again.stdout


def test_a_bad_file_among_good_ones(tmp_path: Path) -> None:
    songs = tmp_path / "songs"
    write_song(songs / "a.wav", 1)
    write_song(songs / "sub" / "b.WAV", 2)
    (songs / "broken.wav").write_text("not audio")
    (songs / "cover.jpg").write_text("not a song")
    done = classic(songs, tmp_path / "missing.flac", "-o", tmp_path / "out", "--stems", "bass", "--json")
    assert done.returncode == 1
    results = {Path(line["source"]).name: line for line in map(json.loads, done.stdout.splitlines())}
    assert {name: result["status"] for name, result in results.items()} == {
        "a.wav": "done", "b.WAV": "done", "broken.wav": "failed", "missing.flac": "failed"}  # fmt: skip
    assert results["broken.wav"]["error"]["code"] == "bad_file"
    assert results["missing.flac"]["error"]["code"] == "not_found"
    assert [Path(f).is_file() for f in results["a.wav"]["files"]] == [True]
    assert "classic/sub/b/b - bass.wav" in outputs(tmp_path / "out")
    assert "2 of 4 songs done, 2 failed" in done.stderr


def test_a_name_that_is_no_unicode_fails_alone(tmp_path: Path) -> None:
    write_song(tmp_path / "songs" / "good.wav")
    bad = os.fsencode(tmp_path / "songs") + b"/b\xff.wav"
    os.rename(write_song(tmp_path / "songs" / "b.wav", 1), bad)
    done = classic(tmp_path / "songs", "-o", tmp_path / "out", "--stems", "bass")
    assert done.returncode == 1
    assert "not Unicode" in done.stderr
    assert outputs(tmp_path / "out") == ["classic/good/good - bass.wav", "classic/good/good.stems.json"]


def test_songs_at_once_give_the_same_bytes(tmp_path: Path) -> None:
    for seed in range(3):
        write_song(tmp_path / "songs" / f"{seed}.wav", seed)
    (tmp_path / "songs" / "bad.wav").write_text("x")
    for jobs in (1, 2):
        done = classic(tmp_path / "songs", "-o", tmp_path / f"out{jobs}", "-j", jobs, "--no-cache")
        assert done.returncode == 1, done.stderr
    names = [name for name in outputs(tmp_path / "out1") if name.endswith(".wav")]
    assert len(names) == 12
    for name in names:
        assert (tmp_path / "out1" / name).read_bytes() == (tmp_path / "out2" / name).read_bytes()


def test_a_second_run_over_a_folder_leaves_the_first_ones_stems_alone(tmp_path: Path) -> None:
    write_song(tmp_path / "a.wav")
    for _ in range(2):
        done = classic(".", "-o", ".", "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert [json.loads(line)["source"] for line in done.stdout.splitlines()] == ["a.wav"]


def test_globs_and_names_that_look_like_globs(tmp_path: Path) -> None:
    write_song(tmp_path / "one [live].wav", 1)
    write_song(tmp_path / "two.wav", 2)
    plain = stembridge("render", tmp_path / "one [live].wav", "-o", tmp_path / "a", "--dry-run", "--json")
    assert json.loads(plain.stdout)["source"].endswith("one [live].wav")
    globbed = stembridge("render", tmp_path / "*.wav", "-o", tmp_path / "b", "--dry-run", "--json")
    assert len(globbed.stdout.splitlines()) == 2
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: SONG"),
        (["a.wav", "--stems", "vocal"], "did you mean 'vocals'"),
        (["a.wav", "--gain", "vocals"], "NAME=VALUE"),
        (["a.wav", "--gain", "vocals=loud"], "a number"),
        (["a.wav", "--gain", "vocals=40"], "-144"),
        (["a.wav", "-n", "clasic"], "classic"),
        (["a.wav", "-n", "clasic", "--overlap", "0.5"], "classic"),
        (["a.wav", "--preset", "karaokee"], "karaoke"),
        (["a.wav", "--format", "flac", "--bit-depth", "32f"], "FLAC holds integers"),
        (["a.wav", "--format", "mp3", "--sample-rate", "96000"], "48000"),
        (["a.wav", "--start", "soon"], "seconds"),
        (["a.wav", "--filename", "{artist}/{stem}.{ext}"], "no variable {artist}"),
        (["a.wav", "--filename", "{stem}.{ext}", "b.wav"], "one path"),
        (["a.wav", "--preset", "karaoke", "--preset", "karaoke"], "one name"),
        (["a.wav", "-j", "0"], "1 or more"),
        (["a.wav", "--frobnicate"], "unrecognized"),
        (["empty"], "no songs"),
    ],
)
def test_usage_errors_say_what_to_do_and_write_nothing(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    write_song(tmp_path / "a.wav")
    write_song(tmp_path / "b.wav")
    (tmp_path / "empty").mkdir()
    done = stembridge("render", *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert outputs(tmp_path) == ["a.wav", "b.wav"]


def test_presets_gains_and_stems_together(tmp_path: Path) -> None:
    song = write_song(tmp_path / "a.wav")
    done = classic(song, "-o", tmp_path / "o", "--preset", "karaoke", "--preset", "acapella")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "o/classic/a"
    assert outputs(folder) == ["a - acapella.wav", "a - karaoke.wav", "a.stems.json"]
    sounds = [soundfile.read(folder / f"a - {name}.wav")[0] for name in ("karaoke", "acapella")]
    assert np.abs(sum(sounds) - soundfile.read(song)[0]).max() < 1e-6
    flags = ["--gain", "vocals=-6", "--stems", "vocals,instrumental", "--submix", "band=drums+bass"]
    done = classic(song, "-o", tmp_path / "p", *flags, "--format", "flac", "--bit-depth", "16")
    assert done.returncode == 0, done.stderr
    names = ["a - band.flac", "a - instrumental.flac", "a - mix.flac", "a - vocals.flac", "a.stems.json"]
    assert outputs(tmp_path / "p/classic/a") == names


def test_settings_a_separator_does_not_have_are_named(tmp_path: Path) -> None:
    song = write_song(tmp_path / "a.wav")
    done = classic(song, "-o", tmp_path / "o", "--shifts", "1", "--segment", "8")
    assert done.returncode == 0, done.stderr
    assert "classic has no shifts; --shifts changes nothing" in done.stderr


def test_config_holds_what_flags_do_not_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    song = write_song(tmp_path / "a.wav")
    config = tmp_path / "config.toml"
    settings = f'model = "classic"\nout = "{tmp_path}/configured"\nformat = "flac"\nbit_depth = "16"\n'
    config.write_text(f"schema = 1\n[render]\n{settings}")
    monkeypatch.setenv("STEMBRIDGE_CONFIG", str(config))
    assert stembridge("render", song, "--stems", "bass").returncode == 0
    info = soundfile.info(tmp_path / "configured/classic/a/a - bass.flac")
    assert info.subtype == "PCM_16"
    assert (
        stembridge("render", song, "--stems", "bass", "--format", "wav", "-o", tmp_path / "flag").returncode
        == 0
    )
    assert outputs(tmp_path / "flag") == ["classic/a/a - bass.wav", "classic/a/a.stems.json"]


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_half_file(tmp_path: Path, jobs: int, number: int) -> None:
    for seed in range(4):
        write_song(tmp_path / "songs" / f"{seed}.wav", seed, 20.0)
    command = [
        sys.executable,
        "-m",
        "stembridge.bridge",
        "render",
        "songs",
        "-n",
        "classic",
        "-o",
        "out",
        "-j",
        str(jobs),
    ]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    # The first song's files are under way as soon as something lies in the output folder.
    while process.poll() is None and not outputs(tmp_path / "out"):
        pass
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "interrupted" in errors
    assert "Traceback" not in errors
    left = outputs(tmp_path / "out")
    assert not [name for name in left if Path(name).name.startswith(".")]
    for manifest in (tmp_path / "out").rglob("*.stems.json"):
        assert all((manifest.parent / e["file"]).is_file() for e in json.loads(manifest.read_text())["files"])


def test_a_reader_that_leaves_early_is_no_traceback(tmp_path: Path) -> None:
    write_song(tmp_path / "a.wav")
    command = f"{sys.executable} -m stembridge.bridge render a.wav -n classic | true"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
