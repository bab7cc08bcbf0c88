"""`stembridge run JOBS.toml`: checked before any work, then as the commands it stands for."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import signals
import soundfile
from stembridge.bridge.cli import render as render_command
from stembridge.bridge.cli.run import _batch_keys, _flags
from stembridge.bridge.jobs_toml import JobsError, read_jobs


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's config, presets or cache but the test's own."""
    for variable in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.delenv("STEMBRIDGE_CONFIG", raising=False)


def write_song(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = signals.noise(22050, 2, seed) * np.hanning(22050)
    soundfile.write(path, noise.T.astype(np.float32), 44100, subtype="PCM_16")
    return path


def run(file: Path, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stembridge.bridge", "run", file, *arguments]
    return subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=120)


JOB = 'schema = 1\n[[job]]\nkind = "render"\n'
HEAD = 'schema = 1\n[defaults]\nmodel = "classic"\nformat = "flac"\n'


def test_mixed_jobs_relative_to_their_file(tmp_path: Path) -> None:
    for number in range(2):
        write_song(tmp_path / "work" / "album" / f"{number}.wav", number)
    preset = tmp_path / "work" / "mine.toml"
    preset.write_text("schema = 1\n[render]\nmix = true\n[gains_db]\nvocals = -6\n")
    jobs = tmp_path / "work" / "jobs.toml"
    jobs.write_text(
        HEAD + "[[job]]\n"
        'kind = "render"\ninputs = "album"\nout = "a"\ntwo_stems = "vocals"\nbit_depth = "16"\n'
        "[[job]]\n"
        'kind = "render"\ninputs = ["album/1.wav"]\nout = "b"\nmodel = "hpss"\nformat = "wav"\nmix = true\n'
        "gain = { harmonic = -3, percussive = 1.5 }\nsubmix = { all = ['harmonic', 'percussive'] }\n"
        "[[job]]\n"
        'kind = "render"\ninputs = ["album/0.wav"]\nout = "c"\npreset = ["mine.toml", "karaoke"]\n'
        "[[job]]\n"
        'kind = "master"\ninputs = "album"\nout = "d"\nalbum = true\nlufs = -20\n'
        'filename = "{track} - m.{ext}"\n'
    )
    done = run(jobs, "--json", "-j", 2, "--report", "pages", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["status"] for result in results] == ["done"] * 5
    assert sorted(result["kind"] for result in results) == ["master"] + ["render"] * 4
    assert len(list((tmp_path / "pages").glob("0*.html"))) == 3
    made = sorted(p.relative_to(tmp_path / "work").as_posix() for p in (tmp_path / "work").rglob("* - *[cv]"))
    assert made == [
        "a/classic/0/0 - no_vocals.flac",
        "a/classic/0/0 - vocals.flac",
        "a/classic/1/1 - no_vocals.flac",
        "a/classic/1/1 - vocals.flac",
        "b/hpss/1/1 - all.wav",
        "b/hpss/1/1 - mix.wav",
        "c/classic/0/0 - karaoke.flac",
        "c/classic/0/0 - mine.flac",
        "d/0 - m.flac",
        "d/1 - m.flac",
    ]
    flags = ["--gain", "harmonic=-3", "--gain", "percussive=1.5", "--submix", "all=harmonic+percussive"]
    command = [sys.executable, "-m", "stembridge.bridge", "render", "work/album/1.wav", "-n", "hpss", "--mix"]
    typed = subprocess.run([*command, *flags, "-o", "typed"], cwd=tmp_path, capture_output=True, text=True)
    assert typed.returncode == 0, typed.stderr
    for name in ("all", "mix"):
        ours, theirs = (tmp_path / f"{out}/hpss/1/1 - {name}.wav" for out in ("work/b", "typed"))
        assert ours.read_bytes() == theirs.read_bytes()
    again = run(jobs, cwd=tmp_path / "work")
    assert again.returncode == 0
    assert again.stdout.count("already rendered") == 4
    assert again.stdout.count("already mastered") == 2
    planned = run(jobs, "--dry-run", "--json", cwd=tmp_path)
    assert len(planned.stdout.splitlines()) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema = 2", "expected schema = 1; got 2"),
        ("schema = 1", r"expected one \[\[job\]\]"),
        ("schema = 1\n[[jobs]]", "did you mean 'job'"),
        ("schema = ", "not TOML"),
        ('schema = 1\n[[job]]\nkind = "rendr"', "job 1: expected kind.*did you mean 'render'"),
        ("schema = 1\n[[job]]\ninputs = 'a'", "got none"),
        (JOB + 'inputs = "a"\ntwo_stem = "vocals"', "did you mean 'two_stems'"),
        ('schema = 1\n[defaults]\nbitdepth = "16"\n[[job]]\nkind = "render"\ninputs = "a"', "'bit_depth'"),
        (JOB, "expected inputs"),
        (JOB + 'inputs = [1]', "expected inputs"),
        (JOB + 'inputs = "a"\nmix = "yes"', "mix takes true or false"),
        (JOB + 'inputs = "a"\nmodel = { a = 1 }', "model takes one value"),
        (JOB + 'inputs = "a"\ngain = -6', r"gain takes a table \(name = value\)"),
        (JOB + 'inputs = "a"\njobs = 2', "give --jobs to `stembridge run`"),
    ],
)  # fmt: skip
def test_every_key_is_checked(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "jobs.toml"
    file.write_text(text + "\n")
    parser = argparse.ArgumentParser()
    render_command.configure(parser)
    with pytest.raises(JobsError, match=message):
        read_jobs(file, {"render": _flags(parser)}, _batch_keys())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('gain = { vocals = "loud" }', "job 2.*a number"),
        ('format = "flak"', "job 2.*flac"),
        ('preset = "karaokee"', "karaoke"),
        ('out = "a"', "one path"),
        ('inputs = "nothing-*.wav"', "not_found|no such file"),
    ],
)
def test_a_mistake_in_the_last_job_is_found_before_the_first_begins(
    tmp_path: Path, line: str, message: str
) -> None:
    write_song(tmp_path / "a.wav")
    inputs = "" if line.startswith("inputs") else 'inputs = "a.wav"\n'
    out = "" if line.startswith("out") else 'out = "b"\n'
    jobs = tmp_path / "jobs.toml"
    jobs.write_text(
        f'{HEAD}[[job]]\nkind = "render"\ninputs = "a.wav"\nout = "a"\n'
        f'[[job]]\nkind = "render"\n{inputs}{out}{line}\n'
    )
    done = run(jobs, cwd=tmp_path)
    assert re.search(message, done.stderr), done.stderr
    if line.startswith("inputs"):  # a song that is not there fails by itself
        assert done.returncode == 1
    else:
        assert done.returncode == 2
        assert not (tmp_path / "a").exists()


def test_every_flag_of_a_render_is_a_key() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    render_command.configure(parser)
    flags = _flags(parser)
    assert {"two_stems", "bit_depth", "no_cache", "json"} & set(flags) == {"two_stems", "bit_depth"}
    assert {name: flag.takes for name, flag in flags.items() if name in ("mix", "gain", "preset", "out")} == {
        "mix": "switch",
        "gain": "pairs",
        "preset": "many",
        "out": "one",
    }
    assert {name: flag.path for name, flag in flags.items() if name in ("out", "preset", "stems")} == {
        "out": "always",
        "preset": "where there is one",
        "stems": "never",
    }
