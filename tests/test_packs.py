"""Zips, acapella and instrumental, and the command that packs many songs."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from peers import require
from signals import song as make_song
from stembridge.bridge.cli import main
from stembridge.model import OutputFormat, RenderSpec, render
from stembridge.model.audio import Audio
from stembridge.model.errors import AudioFileError, OutputError
from stembridge.model.files.cover import COVER, Picture, cover_of, cover_text
from stembridge.model.files.decoder import read_audio
from stembridge.model.files.encoder import create_audio
from stembridge.model.files.tags import read_tags
from stembridge.model.manifest import read_manifest
from stembridge.model.packs import AcapellaSpec, Pack, ZipSpec, find_finished, pack_acapella, pack_zip
from stembridge.model.packs.finished import Finished, finished

RATE = 44100
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
FLAC = OutputFormat("flac", "24")


def write(path: Path, audio: Audio, fmt: OutputFormat = FLAC, title: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tags = {"artist": ("A",), COVER: (cover_text(Picture(PNG, "")),)} | ({"title": (title,)} if title else {})
    with create_audio(path, fmt, RATE, *audio.shape, tags=tags) as writer:
        writer.write(audio)
    return path


def rendered(folder: Path, title: str = "Song", fmt: OutputFormat = FLAC) -> Path:
    """A song separated by a real render; returns its manifest."""
    mix = np.sum(list(make_song(0.6).values()), axis=0) * np.float32(0.4)
    source = write(folder / f"{title}.flac", mix.astype(np.float32), title=title)
    for step in render(RenderSpec(source, folder / "out", model="classic", format=fmt)):
        result = step.result
    assert result is not None
    return result.plan.manifest_path


def zipped(song: Finished, path: Path, spec: ZipSpec | None = None) -> Pack:
    *_, last = pack_zip(song, path, spec or ZipSpec())
    return last.packs[0]


def test_a_zip_holds_the_stems_and_a_manifest_of_them(tmp_path: Path) -> None:
    manifest = rendered(tmp_path)
    path = tmp_path / "Song.zip"
    pack = zipped(finished(manifest), path)
    before = read_manifest(manifest)
    assert before is not None
    with zipfile.ZipFile(path) as made:
        names = {f"Song/{entry.file}" for entry in before.files} | {"Song/Song.stems.json"}
        assert set(made.namelist()) == names
        assert pack.figures["files"] == len(names)
        for info in made.infolist():
            stored = info.filename.endswith(".flac")
            assert info.compress_type == (zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)
        made.extractall(tmp_path / "there")
    after = read_manifest(tmp_path / "there" / "Song" / "Song.stems.json")
    assert after is not None
    assert after.source["path"] == "Song.flac"
    assert str(tmp_path) not in after.to_json()
    # what comes out is a finished render again, its files intact
    again = finished(tmp_path / "there" / "Song" / "Song.stems.json")
    assert list(again.stems) == list(finished(manifest).stems)
    for name, stem in again.stems.items():
        assert stem.read_bytes() == finished(manifest).stems[name].read_bytes()


def test_the_same_stems_give_the_same_bytes_anywhere(tmp_path: Path) -> None:
    digests = set()
    for place in ("a", "b"):
        path = tmp_path / place / "Song.zip"
        zipped(finished(rendered(tmp_path / place)), path)
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_folder_of_any_stems_gets_a_manifest(tmp_path: Path) -> None:
    stems = make_song(0.5)
    for name, audio in stems.items():
        write(tmp_path / "My Song" / f"{name}.wav", audio, OutputFormat("wav", "32f"))
    zipped(finished(tmp_path / "My Song"), tmp_path / "o.zip")
    with zipfile.ZipFile(tmp_path / "o.zip") as made:
        assert made.getinfo("My Song/bass.wav").compress_type == zipfile.ZIP_DEFLATED
        made.extractall(tmp_path / "there")
    song = finished(tmp_path / "there" / "My Song" / "My Song.stems.json")
    assert list(song.stems) == ["drums", "bass", "other", "vocals"]
    entry = next(entry for entry in song.entries if entry.stem == "bass")
    assert entry.frames == stems["bass"].shape[1]
    assert entry.peak_db == pytest.approx(20 * np.log10(np.abs(stems["bass"]).max()), abs=0.01)
    for name, path in song.stems.items():
        assert np.array_equal(read_audio(path)[0], stems[name])


def test_zips_over_four_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The format's limit lowered, so that every member is over it: ZIP64 records are there and read back."""
    write(tmp_path / "s" / "vocals.flac", make_song(0.5)["vocals"])
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)
    zipped(finished(tmp_path / "s"), tmp_path / "o.zip")
    data = (tmp_path / "o.zip").read_bytes()
    assert b"PK\x06\x06" in data  # the ZIP64 end of the central directory (APPNOTE 4.3.14)
    monkeypatch.undo()
    with zipfile.ZipFile(tmp_path / "o.zip") as made:
        assert made.testzip() is None


def test_foreign_files_stay_and_finished_ones_are_skipped(tmp_path: Path) -> None:
    write(tmp_path / "s" / "vocals.flac", make_song(0.5)["vocals"])
    path = tmp_path / "o.zip"
    with zipfile.ZipFile(path, "w") as foreign:
        foreign.writestr("mine", b"mine")
    before = path.read_bytes()
    with pytest.raises(OutputError, match="not written by stembridge"):
        zipped(finished(tmp_path / "s"), path)
    assert path.read_bytes() == before
    assert not zipped(finished(tmp_path / "s"), path, ZipSpec(overwrite=True)).skipped
    assert zipped(finished(tmp_path / "s"), path).skipped
    path.write_bytes(path.read_bytes()[:-30])  # cut off: nobody can tell that it was ours
    with pytest.raises(OutputError, match="not written by stembridge"):
        zipped(finished(tmp_path / "s"), path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["o.zip", "s"]


def test_a_render_that_was_tampered_with_is_not_packed(tmp_path: Path) -> None:
    manifest = rendered(tmp_path)
    stem = next(iter(finished(manifest).stems.values()))
    data = stem.read_bytes()
    stem.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(OutputError, match="not as its render left it"):
        finished(manifest)
    stem.unlink()
    with pytest.raises(OutputError, match="is gone"):
        finished(manifest)
    text = manifest.read_text().replace('"file": "', '"file": "../', 1)
    manifest.write_text(text)
    with pytest.raises(OutputError, match="outside its folder"):
        finished(manifest)


@pytest.mark.parametrize("fmt", [FLAC, OutputFormat("wav", "32f"), OutputFormat("mp3")], ids=str)
def test_acapella_and_instrumental(tmp_path: Path, fmt: OutputFormat) -> None:
    stems = {name: (0.5 * audio).astype(np.float32) for name, audio in make_song(0.6).items()}
    for name, audio in stems.items():
        write(tmp_path / "s" / f"{name}.wav", audio, OutputFormat("wav", "32f"), title=f"Name ({name})")
    song = finished(tmp_path / "s")
    *_, last = pack_acapella(song, tmp_path, AcapellaSpec(fmt))
    assert [pack.kind for pack in last.packs] == ["acapella", "instrumental"]
    voice, rest = last.packs
    assert [voice.path.name, rest.path.name] == [
        f"s (Acapella).{fmt.container}",
        f"s (Instrumental).{fmt.container}",
    ]
    wanted = [stems["vocals"], stems["drums"] + stems["bass"] + stems["other"]]
    for pack, audio, name in zip(last.packs, wanted, ("Acapella", "Instrumental"), strict=True):
        found, info = read_audio(pack.path)
        assert found.shape == audio.shape
        assert np.abs(found - audio).max() < (0.3 if fmt.lossy else 1e-6)
        assert info.tags["title"] == (f"Name ({name})",)
        assert info.tags["artist"] == ("A",)
        cover = cover_of(read_tags(pack.path))
        assert cover is not None
        assert cover.data == PNG
    *_, again = pack_acapella(song, tmp_path, AcapellaSpec(fmt))
    assert all(pack.skipped for pack in again.packs)


def test_overs_are_turned_down_together(tmp_path: Path) -> None:
    tone = np.full((2, 4000), 0.7, np.float32)
    for name in ("vocals", "drums", "bass"):
        write(tmp_path / "s" / f"{name}.flac", tone)
    *_, last = pack_acapella(finished(tmp_path / "s"), tmp_path, AcapellaSpec(OutputFormat("flac", "16")))
    gains = {pack.figures["gain_db"] for pack in last.packs}
    assert len(gains) == 1
    levels = [float(np.abs(read_audio(pack.path)[0]).max()) for pack in last.packs]
    assert 0.999 < levels[1] < 1
    assert levels[1] == pytest.approx(2 * levels[0], abs=1e-4)


def test_two_stems_are_enough(tmp_path: Path) -> None:
    mix = np.sum(list(make_song(0.6).values()), axis=0) * np.float32(0.4)
    source = write(tmp_path / "Song.flac", mix.astype(np.float32), title="Song")
    for step in render(RenderSpec(source, tmp_path / "out", model="classic", two_stems="vocals")):
        result = step.result
    assert result is not None
    *_, last = pack_acapella(finished(result.plan.manifest_path), tmp_path, AcapellaSpec())
    voice, rest = (read_audio(pack.path)[0] for pack in last.packs)
    assert np.abs(voice + rest - mix).max() < 1e-6  # 24 bits each
    assert read_tags(last.packs[1].path)["title"] == ("Song (Instrumental)",)


def test_no_voice_no_acapella(tmp_path: Path) -> None:
    write(tmp_path / "s" / "drums.flac", np.zeros((2, 100), np.float32))
    with pytest.raises(AudioFileError, match="expected the stem vocals"):
        list(pack_acapella(finished(tmp_path / "s"), tmp_path, AcapellaSpec()))


def test_many_songs_in_one_go_and_the_bad_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for title in ("One", "Two", "Three"):
        rendered(tmp_path, title)
    broken = next((tmp_path / "out").rglob("Two.stems.json"))
    broken.write_text("{}")
    arguments = ["pack", str(tmp_path / "out"), "--format", "zip", "--acapella-instrumental", "--json"]
    arguments += ["-o", str(tmp_path / "packed")]
    assert main(arguments) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [bool(song["error"]) for song in told] == [False, False, True]
    assert "Two.stems.json" in told[2]["song"]
    assert sorted(path.name for path in (tmp_path / "packed").iterdir()) == [
        "One (Acapella).flac",
        "One (Instrumental).flac",
        "One.zip",
        "Three (Acapella).flac",
        "Three (Instrumental).flac",
        "Three.zip",
    ]
    assert main([*arguments, "--overwrite"]) == 1
    rendered(tmp_path / "more", "One")
    capsys.readouterr()
    places = [str(tmp_path / "out" / "classic" / "One"), str(tmp_path / "more" / "out")]
    assert main(["pack", *places, "--format", "zip", "-o", str(tmp_path / "packed")]) == 1
    captured = capsys.readouterr()
    assert "One.zip (it was there)" in captured.out
    assert "has the same name" in captured.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "what to make"),
        (["--format", "zip", "--codec", "alac"], "--codec and --mix"),
        (["--format", "zip", "--bit-depth", "16"], "--bit-depth"),
        (["--format", "stem.mp4", "-o", "x.zip"], "names one zip file"),
        (["--acapella-instrumental", "--bit-depth", "32f"], "FLAC"),
        (["--format", "stem.mp4", "--mix", "not there"], "no such file"),
    ],
)
def test_contradictions_are_usage_errors(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["pack", "stems", *flags])
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_nothing_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pack", str(tmp_path / "no.stems.json"), "--format", "zip"]) == 1
    assert "there is no such file" in capsys.readouterr().err
    assert main(["pack", str(tmp_path), "--format", "zip"]) == 1
    assert "no audio files" in capsys.readouterr().err
    assert len(list(find_finished([tmp_path, tmp_path]))) == 1


def test_interrupted_it_leaves_nothing(tmp_path: Path) -> None:
    """Ended by SIGTERM while ffmpeg works, it takes ffmpeg along and leaves no file."""
    require("ffmpeg")
    rng = np.random.default_rng(0)
    audio = (0.1 * rng.standard_normal((2, RATE * 40))).astype(np.float32)
    for name in ("drums", "bass", "other", "vocals"):
        write(tmp_path / "s" / f"{name}.wav", audio, OutputFormat("wav", "16"))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "stembridge.bridge", "pack", str(tmp_path / "s"), "--format", "stem.mp4"]
    process = subprocess.Popen([*command, "-o", str(out)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (out.is_dir() and any(file.stat().st_size for file in out.iterdir())):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "interrupted" in said
    assert not out.exists()
