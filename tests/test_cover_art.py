"""The front cover goes from a song of any container to its stems in any other."""

from __future__ import annotations

import base64
import struct
import subprocess
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mutagen
import mutagen.flac
import mutagen.id3
import mutagen.mp4
import numpy as np
import pytest
from peers import require
from stembridge.model import OutputFormat, RenderSpec, render
from stembridge.model.audio import Audio
from stembridge.model.files.cover import COVER, MAX_COVER_BYTES, Picture, cover_of, cover_text, read_cover
from stembridge.model.files.decoder import read_audio
from stembridge.model.files.encoder import create_audio
from stembridge.model.files.tags import master_tags, read_tags, stem_tags, write_tags

FORMATS = [
    OutputFormat("wav", "24"),
    OutputFormat("aiff", "16"),
    OutputFormat("flac", "24"),
    OutputFormat("mp3"),
    OutputFormat("ogg"),
]
RATE = 44100

ID3: Any = mutagen.id3
MP4: Any = mutagen.mp4
FLAC: Any = mutagen.flac


def png(red: int = 200, extra: int = 0) -> bytes:
    """A picture of one pixel, with `extra` bytes of a private chunk that nobody draws."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(bytes([0, red, 0, 0]))
    filler = [chunk(b"stBr", np.random.default_rng(red).bytes(extra))] if extra else []
    body = [chunk(b"IHDR", header), *filler, chunk(b"IDAT", pixel), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def tone(frames: int = 22050) -> Audio:
    wave = 0.3 * np.sin(np.arange(frames) * 0.05)
    return np.stack([wave, -0.5 * wave]).astype(np.float32)


def song(path: Path, fmt: OutputFormat, tags: Mapping[str, tuple[str, ...]] | None = None) -> Path:
    audio = tone()
    with create_audio(path, fmt, RATE, 2, audio.shape[1], tags=tags or {}) as writer:
        writer.write(audio)
    return path


def picture_in(path: Path) -> tuple[bytes, str]:
    """The picture as mutagen finds it where players of this container look."""
    file: Any = mutagen.File(path)
    if hasattr(file, "pictures"):
        (block,) = file.pictures
        return block.data, block.mime
    if hasattr(file.tags, "getall"):
        (frame,) = file.tags.getall("APIC")
        return frame.data, frame.mime
    (text,) = file.tags[COVER]
    block = FLAC.Picture(base64.b64decode(text))
    return block.data, block.mime


@pytest.mark.parametrize("into", FORMATS, ids=lambda fmt: fmt.container)
@pytest.mark.parametrize("source", FORMATS, ids=lambda fmt: fmt.container)
def test_from_any_container_into_any(tmp_path: Path, source: OutputFormat, into: OutputFormat) -> None:
    art = {"title": ("Song",), COVER: (cover_text(Picture(png(), "image/png", "front")),)}
    first = song(tmp_path / f"a.{source.container}", source, art)
    second = song(tmp_path / f"b.{into.container}", into, stem_tags(read_tags(first), "vocals"))
    assert picture_in(second) == (png(), "image/png")
    tags = read_tags(second)
    assert tags["title"] == ("Song (vocals)",)
    assert cover_of(tags).desc == "front"  # type: ignore[union-attr]
    plain = read_audio(song(tmp_path / f"c.{into.container}", into))[0]
    assert np.array_equal(read_audio(second)[0], plain)  # the sound is none the wiser


def test_a_render_and_a_master_keep_it(tmp_path: Path) -> None:
    art = {"title": ("Song",), COVER: (cover_text(Picture(png(7), "image/png")),)}
    source = song(tmp_path / "Song.flac", OutputFormat("flac", "16"), art)
    for step in render(RenderSpec(source, tmp_path / "out", model="classic", format=FORMATS[2])):
        result = step.result
    assert result is not None
    assert len(result.files) >= 2
    for entry in result.files:
        assert picture_in(result.plan.manifest_path.parent / entry.file)[0] == png(7)
    assert COVER in master_tags(read_tags(source), "Song")


@pytest.mark.parametrize("fmt", [FORMATS[0], FORMATS[2], FORMATS[4]], ids=lambda fmt: fmt.container)
def test_big_ones_fit_and_bigger_ones_stay_behind(tmp_path: Path, fmt: OutputFormat) -> None:
    largest = png(extra=MAX_COVER_BYTES - len(png()) - 12)
    assert len(largest) == MAX_COVER_BYTES
    source = song(tmp_path / "a.mp3", OutputFormat("mp3"))
    tags: Any = ID3.ID3()
    tags.add(ID3.APIC(encoding=3, mime="image/png", type=3, data=largest))
    tags.save(source)
    made = song(tmp_path / f"b.{fmt.container}", fmt, read_tags(source))
    assert picture_in(made)[0] == largest
    assert made.stat().st_size < MAX_COVER_BYTES * (1.4 if fmt.container == "ogg" else 1.05) + 200_000
    read_audio(made)

    tags.delall("APIC")
    tags.add(ID3.APIC(encoding=3, mime="image/png", type=3, data=largest + b"\0"))
    tags.add(ID3.TIT2(encoding=3, text=["Big"]))
    tags.save(source)
    assert read_tags(source) == {"title": ("Big",)}


def test_the_front_cover_goes_before_others(tmp_path: Path) -> None:
    source = song(tmp_path / "a.flac", OutputFormat("flac", "16"))
    file = FLAC.FLAC(source)
    for kind, red in ((4, 1), (3, 2), (0, 3)):
        block: Any = FLAC.Picture()
        block.type, block.mime, block.data, block.width, block.height = kind, "image/png", png(red), 1, 1
        file.add_picture(block)
    file.save()
    cover = cover_of(read_tags(source))
    assert cover is not None
    assert (cover.data, cover.type, cover.width, cover.height) == (png(2), 3, 1, 1)


def test_the_kind_is_told_by_the_data(tmp_path: Path) -> None:
    """Addresses in the place of a picture are none; a JPEG that calls itself PNG is a JPEG."""
    source = song(tmp_path / "a.mp3", OutputFormat("mp3"))
    tags: Any = ID3.ID3()
    tags.add(ID3.APIC(encoding=3, mime="-->", type=3, data=b"http://example.com/a.png"))
    tags.save(source)
    assert read_cover(source) is None
    tags.add(ID3.APIC(encoding=3, mime="PNG", type=0, desc="x", data=b"\xff\xd8\xff\xe0jpeg"))
    tags.save(source)
    cover = cover_of(read_tags(source))
    assert cover is not None
    assert (cover.mime, cover.type) == ("image/jpeg", 3)


def test_m4a_gives_its_cover(tmp_path: Path) -> None:
    ffmpeg = require("ffmpeg")
    plain, made = song(tmp_path / "a.wav", FORMATS[0]), tmp_path / "a.m4a"
    subprocess.run([ffmpeg, "-v", "error", "-i", plain, "-c:a", "aac", made], check=True)
    file = MP4.MP4(made)
    file["covr"] = [MP4.MP4Cover(png(9), MP4.MP4Cover.FORMAT_PNG)]
    file["\xa9nam"] = ["Song"]
    file.save()
    tags = read_tags(made)
    assert tags["title"] == ("Song",)
    assert picture_in(song(tmp_path / "b.flac", FORMATS[2], tags)) == (png(9), "image/png")


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.container)
def test_writing_tags_replaces_the_cover_or_leaves_it(tmp_path: Path, fmt: OutputFormat) -> None:
    path = song(tmp_path / f"a.{fmt.container}", fmt, {COVER: (cover_text(Picture(png(1), "")),)})
    write_tags(path, {"title": ("New",)})
    assert picture_in(path)[0] == png(1)
    write_tags(path, {"title": ("New",), COVER: (cover_text(Picture(png(2), "")),)})
    assert picture_in(path)[0] == png(2)
    assert read_tags(path)["title"] == ("New",)


def test_a_damaged_cover_costs_nothing_else(tmp_path: Path) -> None:
    for text in ("not base64!", base64.b64encode(b"\0\0\0").decode()):
        for fmt in FORMATS:
            path = song(tmp_path / f"a.{fmt.container}", fmt, {"title": ("T",), COVER: (text,)})
            assert read_tags(path) == {"title": ("T",)}
    assert read_audio(path)[1].tags["title"] == ("T",)


def test_a_cover_is_not_spelt_out_where_tags_are_shown(tmp_path: Path) -> None:
    path = song(tmp_path / "a.flac", FORMATS[2], {COVER: (cover_text(Picture(png(extra=5000), "")),)})
    assert len(repr(read_audio(path)[1])) < 1000
