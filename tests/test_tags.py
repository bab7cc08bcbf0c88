"""Tags in and out of every container, as ffprobe and mutagen see them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import mutagen.id3
import peers
import pytest
import signals
import soundfile
from stembridge.model.audio import CONTAINERS, Container, OutputFormat
from stembridge.model.errors import AudioFileError, AudioFileNotFoundError
from stembridge.model.files.encoder import create_audio
from stembridge.model.files.tags import comment_bytes, id3_tag, read_tags, stem_tags, write_tags

TAGS = {
    "title": ("Söng 日本",),
    "artist": ("A", "B"),
    "album": ("L",),
    "albumartist": ("AA",),
    "date": ("2020-05-01",),
    "genre": ("Rock",),
    "tracknumber": ("3/12",),
    "comment": ("hello",),
    "bpm": ("120",),
    "performer:drums": ("J",),
    "mood": ("calm", "dark"),
    "of my own": ("v1", "v2"),
}


def song(folder: Path, container: Container, tags: dict[str, tuple[str, ...]] | None = None) -> Path:
    """A short file with or without tags."""
    path = folder / f"a.{container}"
    with create_audio(path, OutputFormat(container, "16"), 44100, 2, 5000, tags=tags or {}) as writer:
        writer.write(signals.noise(5000, level=0.1))
    return path


def ffprobe(path: Path) -> dict[str, str]:
    """Tags as ffprobe reads them, names in lower case."""
    command = [peers.require("ffprobe"), "-v", "error", "-show_format", "-show_streams", "-of", "json"]
    found = json.loads(subprocess.run([*command, str(path)], capture_output=True, check=True).stdout)
    both = found["streams"][0].get("tags", {}) | found["format"].get("tags", {})
    return {name.lower(): text for name, text in both.items()}


@pytest.mark.parametrize("written", ["with the file", "afterwards"])
@pytest.mark.parametrize("container", CONTAINERS)
def test_tags_come_back_from_every_container(tmp_path: Path, container: Container, written: str) -> None:
    if written == "afterwards":
        path = song(tmp_path, container, {"title": ("old",), "isrc": ("X",)})
        write_tags(path, TAGS)
    else:
        path = song(tmp_path, container, TAGS)
    assert read_tags(path) == TAGS
    seen = ffprobe(path)
    assert (seen["title"], seen["album"]) == ("Söng 日本", "L")
    if (container, written) != ("wav", "with the file"):  # where there is INFO, ffprobe reads no ID3
        assert seen["album_artist"] == "AA"
    assert (seen["track"], seen["genre"], seen["comment"]) == ("3/12", "Rock", "hello")
    assert seen["artist"].startswith("A")
    assert "old" not in seen.values()
    assert soundfile.info(path).frames == 5000


@pytest.mark.parametrize("container", CONTAINERS)
def test_untagged_files_have_no_tags(tmp_path: Path, container: Container) -> None:
    assert read_tags(song(tmp_path, container)).keys() <= {"encoder"}


@pytest.mark.parametrize("container", CONTAINERS)
def test_empty_tags_drop_what_was_there(tmp_path: Path, container: Container) -> None:
    path = song(tmp_path, container, TAGS)
    write_tags(path, {})
    assert read_tags(path) == {}


@pytest.mark.parametrize("container", ["mp3", "wav", "aiff"])
def test_values_that_a_frame_would_not_keep_come_back_all_the_same(
    tmp_path: Path, container: Container
) -> None:
    odd = {"date": ("circa 1990",), "musicbrainz_trackid": ("a", "b"), "genre": ("(17)",), "k=ä": ("v",)}
    assert read_tags(song(tmp_path, container, odd)) == odd


def test_names_that_vorbis_comments_cannot_spell_are_respelt(tmp_path: Path) -> None:
    assert read_tags(song(tmp_path, "flac", {"k=ä": ("v",), "ok": ("w",)})) == {"k__": ("v",), "ok": ("w",)}


def test_pictures_stay_when_text_is_replaced(tmp_path: Path) -> None:
    path = song(tmp_path, "mp3", {"title": ("old",)})
    id3: Any = mutagen.id3
    frames = id3.ID3(path)
    frames.add(id3.APIC(mime="image/png", data=b"picture"))
    frames.save(path)
    write_tags(path, {"title": ("new",)})
    assert id3.ID3(path).getall("APIC")[0].data == b"picture"
    assert read_tags(path)["title"] == ("new",)


def test_a_wav_file_says_the_same_in_info_and_id3(tmp_path: Path) -> None:
    path = song(tmp_path, "wav", {"title": ("one",), "artist": ("A",)})
    with soundfile.SoundFile(path) as file:
        assert file.copy_metadata()["title"] == "one"
    write_tags(path, {"title": ("two",)})
    with soundfile.SoundFile(path) as file:
        assert "title" not in file.copy_metadata()
    assert read_tags(path) == {"title": ("two",)}


def test_info_of_other_programs_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    command = [peers.require("ffmpeg"), "-v", "error", "-f", "lavfi", "-i", "sine=duration=0.1"]
    subprocess.run([*command, "-metadata", "title=T", "-metadata", "artist=Ä", str(path)], check=True)
    found = read_tags(path)
    assert (found["title"], found["artist"]) == (("T",), ("Ä",))


def test_m4a_and_opus_are_read(tmp_path: Path) -> None:
    for suffix in ("m4a", "opus"):
        path = tmp_path / f"a.{suffix}"
        command = [peers.require("ffmpeg"), "-v", "error", "-f", "lavfi", "-i", "sine=duration=0.1"]
        subprocess.run([*command, "-metadata", "title=T", "-metadata", "album=L", str(path)], check=True)
        found = read_tags(path)
        assert (found["title"], found["album"]) == (("T",), ("L",))


@pytest.mark.parametrize(
    "data", [b"", b"RIFF\x04\0\0\0WAVE", b"no audio at all" * 99, b"fLaC\0\0\0\x22", b"ID3\4\0\0"]
)
def test_damaged_files_have_no_tags(tmp_path: Path, data: bytes) -> None:
    for suffix in ("wav", "flac", "mp3", "ogg", "aiff", "m4a"):
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(data)
        assert read_tags(path) == {}


def test_what_cannot_take_tags_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("words")
    with pytest.raises(AudioFileError, match="FLAC, MP3"):
        write_tags(path, TAGS)
    for call in (lambda: read_tags(tmp_path / "x.wav"), lambda: write_tags(tmp_path / "x.wav", {})):
        with pytest.raises(AudioFileNotFoundError, match=r"x\.wav"):
            call()


def test_a_stem_keeps_what_is_true_of_it() -> None:
    false = {
        "ISRC": ("x",),
        "replaygain_track_gain": ("-3 dB",),
        "REPLAYGAIN_ALBUM_PEAK": ("1",),
        "r128_track_gain": ("0",),
        "acoustid_id": ("x",),
        "acoustid_fingerprint": ("x",),
        "musicbrainz_trackid": ("x",),
        "musicbrainz_recordingid": ("x",),
        "musicbrainz_releasetrackid": ("x",),
        "musicip_puid": ("x",),
        "encodedby": ("x",),
        "encoder": ("x",),
        "length": ("1000",),
        "itunsmpb": ("x",),
    }
    expected = {**TAGS, "title": ("Söng 日本 (vocals)",)}
    assert stem_tags({**false, **TAGS}, "vocals") == expected
    assert stem_tags({"musicbrainz_albumid": ("keep",)}, "bass") == {
        "title": ("bass",),
        "musicbrainz_albumid": ("keep",),
    }


def test_sizes_are_as_told() -> None:
    assert id3_tag({}) == b""
    assert id3_tag(TAGS) == id3_tag(TAGS)
    assert comment_bytes({"title": ("日",)}) == 4 + len(b"title=") + 3
