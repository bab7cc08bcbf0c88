"""`stembridge master` as people type it: exit codes, what is printed, reports, interrupts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile
from mastered import measured, write_song
from stembridge.bridge.config import Config
from stembridge.bridge.inputs import Song
from stembridge.bridge.master_request import MasterRequest
from stembridge.bridge.presets import PresetError, dump_preset, load_preset, parse_preset
from stembridge.model.errors import ArgumentValueError
from stembridge.model.mastering.spec import DEFAULT_TRUE_PEAK


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's config, presets or cache but the test's own."""
    for variable in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.delenv("STEMBRIDGE_CONFIG", raising=False)


def stembridge(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stembridge.bridge", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300)


def outputs(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_the_short_way(tmp_path: Path) -> None:
    write_song(tmp_path / "My Song.wav")
    done = stembridge("master", "My Song.wav", "--preset", "master-streaming", "--preview", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert outputs(tmp_path / "mastered") == [
        "My Song - preview A (before).wav",
        "My Song - preview B (after).wav",
        "My Song.stems.json",
        "My Song.wav",
    ]
    found = measured(tmp_path / "mastered/My Song.wav")
    assert found.integrated_lufs == pytest.approx(-14.0, abs=0.1)
    assert found.true_peak_dbtp <= -1.0
    assert "My Song.wav  (-14.0 LUFS, true peak" in done.stdout
    again = stembridge("master", "My Song.wav", "--preset", "master-streaming", "--preview", cwd=tmp_path)
    assert again.returncode == 0
    assert "already mastered" in again.stdout


def test_a_bad_file_among_good_ones_with_numbers_and_a_report(tmp_path: Path) -> None:
    songs = tmp_path / "songs"
    write_song(songs / "a.wav", seed=1)
    write_song(songs / "sub" / "b.WAV", seed=2)
    (songs / "broken.wav").write_text("not audio")
    done = stembridge(
        "master", songs, "-o", tmp_path / "out", "--lufs", -6, "--json", "-j", 2,
        "--format", "flac", "--bit-depth", 16, "--report", tmp_path / "report",
    )  # fmt: skip
    assert done.returncode == 1
    results = {Path(line["source"]).name: line for line in map(json.loads, done.stdout.splitlines())}
    assert {name: result["status"] for name, result in results.items()} == {
        "a.wav": "done", "b.WAV": "done", "broken.wav": "failed"}  # fmt: skip
    assert {3002} <= {message["number"] for message in results["a.wav"]["messages"]}
    assert results["a.wav"]["after"]["true_peak_dbtp"] <= -1.0
    assert "a.wav: M3002 the limiter took away" in done.stderr
    assert "broken.wav" in done.stderr
    assert outputs(tmp_path / "out") == ["a.flac", "a.stems.json", "sub/b.flac", "sub/b.stems.json"]
    rows = json.loads((tmp_path / "report/index.json").read_text())["songs"]
    assert sorted(row["status"] for row in rows) == ["done", "done", "failed"]
    assert any("M4001" in message for row in rows for message in row["messages"])
    assert (tmp_path / "report/a.html").is_file()


def test_an_album_on_one_page(tmp_path: Path) -> None:
    for number, level in enumerate((0.5, 0.1)):
        write_song(tmp_path / "songs" / f"{number}.wav", level=level, seed=number)
    done = stembridge(
        "master",
        "songs",
        "--album",
        "--album-anchor",
        "loudest",
        "--lufs",
        -16,
        "--report",
        "r.html",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    loudness = [measured(tmp_path / "mastered" / f"{n}.wav").integrated_lufs for n in (0, 1)]
    assert loudness[0] == pytest.approx(-16.0, abs=0.1)
    assert loudness[1] < -28
    assert "album of 2 songs: gain" in done.stdout
    assert (tmp_path / "r.html").read_text().count("<article>") == 3
    assert len(json.loads((tmp_path / "r.json").read_text())["songs"]) == 2
    (tmp_path / "songs/1.wav").write_text("no longer audio")
    bad = stembridge("master", "songs", "--album", "--lufs", -16, "--json", cwd=tmp_path)
    assert bad.returncode == 1
    facts = json.loads(bad.stdout)
    assert facts["status"] == "failed"
    assert [song["status"] for song in facts["songs"]] == ["done", "failed"]
    assert "1 of 2 songs failed" in bad.stderr


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--lufs", "3"], "-70 to 0 LUFS"),
        (["--true-peak", "loud"], "expected a level in dBTP, or off"),
        (["--mix-amount", "2"], "0 (dry) to 1 (wet)"),
        (["--preset", "nonesuch"], "no preset 'nonesuch'"),
        (["--album-anchor", "loudest"], "give --album too"),
        (["--format", "flac", "--bit-depth", "32f"], "FLAC holds integers only"),
        (["--filename", "all.wav"], "needs {ext}"),
    ],
)
def test_usage_is_told_before_any_work(tmp_path: Path, flags: list[str], text: str) -> None:
    write_song(tmp_path / "song.wav", 0.5)
    done = stembridge("master", "song.wav", *flags, cwd=tmp_path)
    assert done.returncode == 2
    assert text in done.stderr
    assert not (tmp_path / "mastered").exists()


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    write_song(tmp_path / "song.wav", 0.5)
    done = stembridge("master", "song.wav", "--dry-run", "--json", "--report", "r.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["files"] == [os.path.join("mastered", "song.wav")]
    assert outputs(tmp_path) == ["song.wav"]


@pytest.mark.parametrize("flags", [["-j", "2"], ["--album"]])
def test_an_interrupt_leaves_no_half_file(tmp_path: Path, flags: list[str]) -> None:
    for seed in range(3):
        write_song(tmp_path / "songs" / f"{seed}.wav", 20.0, seed=seed)
    command = [
        sys.executable,
        "-m",
        "stembridge.bridge",
        "master",
        "songs",
        "--lufs",
        "-8",
        "-o",
        "out",
        *flags,
    ]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while process.poll() is None and not outputs(tmp_path / "out"):
        pass
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    for path in (tmp_path / "out").rglob("*") if (tmp_path / "out").exists() else []:
        assert not path.name.startswith("."), path
        if path.suffix == ".wav":
            assert soundfile.info(path).frames == 20 * 44100
    assert not [one for one in psutil.process_iter() if one.pid == process.pid and one.is_running()]


def test_what_stems_play_in_a_preset_plays_in_a_master(tmp_path: Path) -> None:
    """`karaoke` mutes the vocals: of a song and its stems on disk, the rest is left."""
    rng = np.random.default_rng(0)
    stems = {name: 0.1 * rng.standard_normal((44100, 2)) for name in ("drums", "bass", "other", "vocals")}
    (tmp_path / "stems").mkdir()
    for name, stem in stems.items():
        soundfile.write(tmp_path / "stems" / f"{name}.wav", stem, 44100, subtype="FLOAT")
    soundfile.write(tmp_path / "song.wav", sum(stems.values()), 44100, subtype="FLOAT")
    done = stembridge(
        "master",
        "song.wav",
        "--preset",
        "karaoke",
        "--stems-from",
        "stems",
        "--true-peak",
        "off",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    made, _ = soundfile.read(tmp_path / "mastered/song.wav")
    rest = stems["drums"] + stems["bass"] + stems["other"]
    np.testing.assert_allclose(made, rest, atol=1e-5)


# What flags and presets make of each other.


def test_flag_over_preset_over_default(tmp_path: Path) -> None:
    preset = tmp_path / "mine.toml"
    preset.write_text(
        'schema = 1\n[render]\nformat = "flac"\nbit_depth = 16\n[[chain.mix]]\nplugin = "Gain"\n'
        "[master]\nlufs = -12\ntrue_peak = -2\nmix_amount = 0.5\nrelease_ms = 50\nreference = 'ref.wav'\n"
    )
    song, config = Song(tmp_path / "song.wav"), Config()
    spec = MasterRequest(preset=str(preset)).spec(song, config)
    assert (spec.lufs, spec.true_peak, spec.mix_amount, spec.release_ms) == (-12.0, -2.0, 0.5, 50.0)
    assert (spec.format.container, spec.format.bit_depth) == ("flac", "16")
    assert spec.reference == tmp_path / "ref.wav"
    assert spec.treatment.mix_chain is not None
    spec = MasterRequest(preset=str(preset), lufs=-9.0, true_peak="off", format="wav").spec(song, config)
    assert (spec.lufs, spec.true_peak, spec.format.container) == (-9.0, None, "wav")
    plain = MasterRequest().spec(song, config)
    assert (plain.lufs, plain.true_peak, plain.mix_amount) == (None, DEFAULT_TRUE_PEAK, 1.0)
    assert not plain.treats
    assert not plain.separates


def test_a_preset_keeps_what_it_aims_at() -> None:
    text = "schema = 1\n[master]\nlufs = -12.0\nmix_amount = 0.25\nlookahead_ms = 3.0\n"
    preset = parse_preset(text, "mine")
    assert parse_preset(dump_preset(preset), "mine") == preset
    assert preset.master.mix_amount == 0.25
    with pytest.raises(PresetError, match=r"line 3: mix_amount is a number, 0 to 1"):
        parse_preset("schema = 1\n[master]\nmix_amount = 3\n", "mine")
    with pytest.raises(PresetError, match="lufs"):
        parse_preset("schema = 1\n[master]\nluffs = -12\n", "mine")


def test_the_shipped_master_is_as_gentle_as_it_says() -> None:
    preset = load_preset("master-streaming")
    assert (preset.master.lufs, preset.master.true_peak) == (-14.0, -1.0)
    assert list(preset.chains) == ["mix"]  # nothing is separated


def test_what_a_song_cannot_be_is_a_usage_error() -> None:
    with pytest.raises(ArgumentValueError, match="number of Hz"):
        MasterRequest(sample_rate="fast").spec(Song(Path("song.wav")), Config())


def test_who_was_killed_leaves_nothing_that_the_next_does_not_clear(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav", 20.0)
    command = [
        sys.executable,
        "-m",
        "stembridge.bridge",
        "master",
        song,
        "--lufs",
        "-8",
        "-o",
        tmp_path / "out",
    ]
    process = subprocess.Popen([str(part) for part in command], stderr=subprocess.DEVNULL)
    while process.poll() is None and not outputs(tmp_path / "out"):
        pass
    process.kill()
    process.wait()
    left = outputs(tmp_path / "out")
    assert left
    assert "song.wav" not in left
    done = stembridge("master", song, "--lufs", -8, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert outputs(tmp_path / "out") == ["song.stems.json", "song.wav"]
