"""NI stem files: what is written is what three other readers find there."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import mutagen.mp4
import numpy as np
import pytest
from peers import missing, require
from signals import song as make_song
from stembridge.model import OutputFormat
from stembridge.model.audio import Audio
from stembridge.model.errors import AudioFileError, OutputError, VerificationError
from stembridge.model.files.cover import COVER, Picture, cover_text
from stembridge.model.files.decoder import read_audio
from stembridge.model.files.encoder import create_audio
from stembridge.model.packs import Pack, StemMp4Spec, pack_stem_mp4
from stembridge.model.packs.finished import finished
from stembridge.model.packs.mp4_boxes import add_to_udta, read_from_udta
from stembridge.model.packs.stem_mp4 import STEMS, read_mark, read_stem_box
from stembridge.model.packs.stem_streams import Written, check_streams
from stembridge.model.separators.stem_files import stem_files
from stembridge.model.training.stem_mp4 import decode

RATE = 44100
SECONDS = 0.9
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


def stems_in(folder: Path, stems: dict[str, Audio], rate: int = RATE) -> Path:
    folder.mkdir(exist_ok=True)
    for name, audio in stems.items():
        tags = {"title": (f"Sång ({name})",), "artist": ("A",), COVER: (cover_text(Picture(PNG, "")),)}
        path = folder / f"{name}.flac"
        with create_audio(path, OutputFormat("flac", "24"), rate, *audio.shape, tags=tags) as writer:
            writer.write(audio)
    return folder


def on_grid(audio: Audio) -> Audio:
    """Rounded to 24 bits."""
    return (np.rint(audio.astype(np.float64) * (1 << 23)) / (1 << 23)).astype(np.float32)


def packed(folder: Path, path: Path, spec: StemMp4Spec | None = None) -> Pack:
    steps = list(pack_stem_mp4(finished(folder), path, spec or StemMp4Spec()))
    assert [step.fraction for step in steps] == sorted(step.fraction for step in steps)
    (pack,) = steps[-1].packs
    assert [entry.name for entry in path.parent.iterdir() if entry.name.startswith(".")] == []
    return pack


def stream(path: Path, number: int) -> Audio:
    """One stream as ffmpeg decodes it."""
    command = [require("ffmpeg"), "-nostdin", "-v", "error", "-i", str(path), "-map", f"0:a:{number}"]
    done = subprocess.run([*command, "-f", "f32le", "pipe:1"], capture_output=True, check=True)
    return np.frombuffer(done.stdout, "<f4").reshape(-1, 2).T


def same(wanted: Audio, found: Audio, at_least_db: float = 6.0) -> bool:
    """Whether it is the same sound, in step to the frame, as far as AAC leaves it."""
    frames = wanted.shape[1]
    size = 2 * frames
    spectra = np.fft.rfft(found[0, :frames], size) * np.conj(np.fft.rfft(wanted[0], size))
    lag = int(np.argmax(np.fft.irfft(spectra, size)))
    error = np.sum((wanted - found[:, :frames]) ** 2)
    return lag == 0 and float(10 * np.log10(np.sum(wanted**2) / error)) > at_least_db


@pytest.fixture(scope="module")
def stems() -> dict[str, Audio]:
    return {name: on_grid(0.5 * audio) for name, audio in make_song(SECONDS).items()}


@pytest.fixture(scope="module")
def aac(tmp_path_factory: pytest.TempPathFactory, stems: dict[str, Audio]) -> Path:
    require("ffmpeg")
    folder = tmp_path_factory.mktemp("aac")
    path = folder / "Song.stem.mp4"
    assert packed(stems_in(folder / "stems", stems), path).figures["gain_db"] == 0.0
    return path


def test_every_stream_is_its_stem_and_in_step(aac: Path, stems: dict[str, Audio]) -> None:
    mix = np.sum(list(stems.values()), axis=0)
    found = [stream(aac, number) for number in range(5)]
    assert len({audio.shape for audio in found}) == 1
    frames = mix.shape[1]
    assert frames <= found[0].shape[1] < frames + 1024
    for wanted, audio in zip([mix, *(stems[name] for name in STEMS)], found, strict=True):
        assert same(wanted, audio)


def test_the_box_says_what_players_ask_for(aac: Path) -> None:
    box = read_stem_box(aac)
    assert box is not None
    assert box["version"] == 1
    assert [stem["name"] for stem in box["stems"]] == ["Drums", "Bass", "Other", "Vocals"]
    assert all(len(stem["color"]) == 7 for stem in box["stems"])
    assert not box["mastering_dsp"]["compressor"]["enabled"]
    assert not box["mastering_dsp"]["limiter"]["enabled"]


def test_only_the_mix_plays_by_itself(aac: Path) -> None:
    """Track headers (ISO 14496-12, 8.3.2): bit 0 of the flags enables a track."""
    data = aac.read_bytes()
    places = [at for at in range(len(data) - 4) if data[at : at + 4] == b"tkhd"]
    assert [data[at + 7] & 1 for at in places] == [1, 0, 0, 0, 0]
    edits = [at for at in range(len(data) - 4) if data[at : at + 4] == b"elst"]
    told = {struct.unpack(">II", data[at + 12 : at + 20]) for at in edits}
    assert told == {(round(SECONDS * RATE), 1024)}  # exact length, behind the encoder's delay
    assert data.index(b"moov") < data.index(b"mdat")


def test_tags_and_cover(aac: Path) -> None:
    tags: Any = mutagen.mp4.MP4(aac).tags  # type: ignore[no-untyped-call]
    assert tags["\xa9nam"] == ["Sång"]
    assert tags["\xa9ART"] == ["A"]
    assert bytes(tags["covr"][0]) == PNG
    assert len(read_mark(aac) or "") == 32


def test_stempeg_reads_it(aac: Path, stems: dict[str, Audio]) -> None:
    try:
        import stempeg  # type: ignore[import-untyped]
    except ImportError:
        missing("stempeg is not installed (pip install stempeg)")
    assert stempeg.Info(str(aac)).nb_audio_streams == 5
    audio, rate = stempeg.read_stems(str(aac), always_3d=True)
    assert rate == RATE
    assert audio.shape[0] == 5
    for number, name in enumerate(STEMS, 1):
        assert same(stems[name], np.asarray(audio[number].T, np.float32))


def test_our_own_reader_finds_the_stems(aac: Path, tmp_path: Path, stems: dict[str, Audio]) -> None:
    folder = decode(aac, tmp_path)
    for name in STEMS:
        assert same(stems[name], read_audio(folder / f"{name}.flac")[0])
    assert same(np.sum(list(stems.values()), axis=0), read_audio(aac)[0])


def test_alac_is_lossless(tmp_path: Path, stems: dict[str, Audio]) -> None:
    require("ffmpeg")
    path = tmp_path / "Song.stem.mp4"
    packed(stems_in(tmp_path / "stems", stems), path, StemMp4Spec("alac"))
    found = [stream(path, number) for number in range(5)]
    for name, audio in zip(STEMS, found[1:], strict=True):
        assert np.array_equal(audio, stems[name])
    assert np.array_equal(found[0].astype(np.float64), np.sum(found[1:], axis=0, dtype=np.float64))


def test_more_than_four_stems_mono_and_overs(tmp_path: Path) -> None:
    """Piano and guitar go into other, mono to both sides, and one gain keeps all below full scale."""
    require("ffmpeg")
    names = ["drums", "bass", "other", "vocals", "guitar", "piano"]
    rng = np.random.default_rng(3)
    mono = {name: on_grid(0.3 * rng.uniform(-1, 1, (1, 5000)).astype(np.float32)) for name in names}
    mono["drums"][0, 100] = mono["bass"][0, 100] = mono["other"][0, 100] = 0.9
    path = tmp_path / "Song.stem.mp4"
    pack = packed(stems_in(tmp_path / "stems", mono, 48000), path, StemMp4Spec("alac"))
    gain = 10 ** (pack.figures["gain_db"] / 20)
    assert 0.25 < gain < 0.5
    mix, drums, _bass, other, _vocals = [stream(path, number) for number in range(5)]
    assert np.array_equal(drums[0], drums[1])
    summed = np.sum([mono[name] for name in ("other", "guitar", "piano")], axis=0)
    assert np.abs(other[0] - gain * summed[0]).max() < 1e-4
    assert 0.999 < np.abs(mix).max() < 1


def test_the_same_stems_give_the_same_bytes_and_are_not_packed_twice(
    aac: Path, tmp_path: Path, stems: dict[str, Audio]
) -> None:
    stems_in(tmp_path / "stems", stems)
    path = tmp_path / "Song.stem.mp4"
    packed(tmp_path / "stems", path)
    assert path.read_bytes() == aac.read_bytes()
    before = path.stat().st_mtime_ns
    assert packed(tmp_path / "stems", path).skipped
    assert path.stat().st_mtime_ns == before
    stems_in(tmp_path / "stems", {"bass": stems["drums"]})
    assert not packed(tmp_path / "stems", path).skipped
    assert path.read_bytes() != aac.read_bytes()


def test_foreign_and_damaged_files_are_refused_and_left(tmp_path: Path, aac: Path) -> None:
    folder, path = aac.parent / "stems", tmp_path / "Song.stem.mp4"
    for content in (b"mine", aac.read_bytes()[:-1], b""):
        path.write_bytes(content)
        with pytest.raises(OutputError, match="not written by stembridge"):
            packed(folder, path)
        assert path.read_bytes() == content
    packed(folder, path, StemMp4Spec(overwrite=True))
    assert path.read_bytes() == aac.read_bytes()


def test_a_wrong_stream_is_noticed(aac: Path, stems: dict[str, Audio]) -> None:
    """Streams in another order, or of another length, do not pass for what went in."""
    ffmpeg = require("ffmpeg")
    mix = np.sum(list(stems.values()), axis=0)
    written = []
    for audio in [mix, *(stems[name] for name in STEMS)]:
        written.append(Written())
        written[-1].take(audio.T)
    assert list(check_streams(ffmpeg, aac, "x", written, "aac")) == [1, 2, 3, 4, 5]
    with pytest.raises(VerificationError, match="does not sound"):
        list(check_streams(ffmpeg, aac, "x", written[1:3] + written[:1], "aac"))
    written[0].frames += 2048
    with pytest.raises(VerificationError, match="frames"):
        list(check_streams(ffmpeg, aac, "x", written, "aac"))


def test_what_a_stem_file_cannot_hold(tmp_path: Path) -> None:
    require("ffmpeg")
    tone: Audio = np.full((2, 3000), 0.1, np.float32)
    four: dict[str, Audio] = dict.fromkeys(STEMS, tone)
    with pytest.raises(AudioFileError, match="no stems bass, drums"):
        packed(stems_in(tmp_path / "two", {"vocals": tone, "accompaniment": tone}), tmp_path / "o.stem.mp4")
    with pytest.raises(AudioFileError, match="AAC knows no 37800 Hz"):
        packed(stems_in(tmp_path / "rate", four, 37800), tmp_path / "o.stem.mp4")
    with pytest.raises(AudioFileError, match="of one length"):
        packed(stems_in(tmp_path / "long", four | {"bass": tone[:, :2999]}), tmp_path / "o.stem.mp4")
    assert not list(tmp_path.glob("*.mp4"))


def test_without_ffmpeg_it_says_what_to_install(aac: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioFileError, match="install ffmpeg"):
        packed(aac.parent / "stems", tmp_path / "o.stem.mp4")


def box(kind: bytes, content: bytes, *, wide: bool = False) -> bytes:
    if wide:
        return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content
    return struct.pack(">I4s", 8 + len(content), kind) + content


def movie(form: str, *, first: bool, wide: bool = False, udta: bytes = b"") -> tuple[bytes, int]:
    """An MP4 file of three chunks by hand, and where its first chunk is."""
    media = box(b"mdat", b"AAAABBBBCCCC", wide=wide)
    skip = 16 if wide else 8
    ftyp = box(b"ftyp", b"M4A \0\0\0\0")

    def moov(at: int) -> bytes:
        kind = b"stco" if form == "I" else b"co64"
        table = box(kind, struct.pack(f">II3{form}", 0, 3, at, at + 4, at + 8))
        for outer in (b"stbl", b"minf", b"mdia", b"trak"):
            table = box(outer, table)
        return box(b"moov", box(b"mvhd", bytes(100)) + udta + table, wide=wide)

    at = len(ftyp) + (len(moov(0)) if first else 0) + skip
    return (ftyp + moov(at) + media if first else ftyp + media + moov(at)), at


def chunks(data: bytes, form: str) -> bytes:
    """The media the index points to."""
    place = data.index(b"stco" if form == "I" else b"co64")
    offsets = struct.unpack_from(f">3{form}", data, place + 12)
    return b"".join(data[at : at + 4] for at in offsets)


@pytest.mark.parametrize("wide", [False, True], ids=["32", "64"])
@pytest.mark.parametrize("first", [False, True], ids=["mdat-moov", "moov-mdat"])
@pytest.mark.parametrize("form", ["I", "Q"], ids=["stco", "co64"])
def test_offsets_follow_the_media(tmp_path: Path, form: str, first: bool, wide: bool) -> None:
    old, new, newer = (tmp_path / f"{name}.mp4" for name in "abc")
    data, _ = movie(form, first=first, wide=wide, udta=box(b"udta", box(b"name", b"kept") + bytes(4)))
    old.write_bytes(data)
    add_to_udta(old, new, b"stem", b"first" * 50)
    add_to_udta(new, newer, b"stem", b"x")
    for path, content in ((new, b"first" * 50), (newer, b"x")):
        assert chunks(path.read_bytes(), form) == b"AAAABBBBCCCC"
        assert read_from_udta(path, b"stem") == content
        assert read_from_udta(path, b"name") == b"kept"
        assert path.read_bytes().count(b"stem") == 1
    assert read_from_udta(old, b"stem") is None


def test_damaged_and_hostile_files_end_in_an_error(tmp_path: Path) -> None:
    data, _ = movie("I", first=True)
    rng = np.random.default_rng(5)
    path, out = tmp_path / "a.mp4", tmp_path / "b.mp4"
    refused = 0
    cases = [data[:cut] for cut in range(len(data))]
    for _ in range(400):
        bad = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            bad[place] = rng.integers(256)
        cases.append(bytes(bad))
    for case in cases:
        path.write_bytes(case)
        try:
            add_to_udta(path, out, b"stem", b"{}")
        except AudioFileError:
            refused += 1
    assert refused > len(data) // 2
    path.write_bytes(movie("I", first=True)[0] + box(b"moof", b""))
    with pytest.raises(AudioFileError, match="fragmented"):
        add_to_udta(path, out, b"stem", b"{}")
    path.write_bytes(data.replace(struct.pack(">II", 0, 3), struct.pack(">II", 0, 1 << 31)))
    with pytest.raises(AudioFileError, match="more chunks"):
        add_to_udta(path, out, b"stem", b"{}")


def test_offsets_that_would_not_fit_are_refused(tmp_path: Path) -> None:
    data, at = movie("I", first=True)
    path = tmp_path / "a.mp4"
    path.write_bytes(data.replace(struct.pack(">I", at), struct.pack(">I", (1 << 32) - 8)))
    with pytest.raises(AudioFileError, match="32-bit offsets"):
        add_to_udta(path, tmp_path / "b.mp4", b"stem", json.dumps({}).encode() * 10)


def test_a_stem_file_is_a_source_of_stems(aac: Path, tmp_path: Path, stems: dict[str, Audio]) -> None:
    """`render X.stem.mp4 --stems-from X.stem.mp4`: the mix is the song, and its stems are there."""
    folder = tmp_path / "folder"
    stems_in(folder, {"vocals": stems["vocals"]})
    (folder / "Song.stem.mp4").write_bytes(aac.read_bytes())
    assert list(stem_files(folder).paths) == ["vocals"]  # it is no stem among others

    command = [sys.executable, "-m", "stembridge.bridge", "render", str(aac), "--stems-from", str(aac)]
    command += [
        "-o",
        str(tmp_path / "out"),
        "--filename",
        "{stem}.{ext}",
        "--stems",
        "vocals,drums",
        "--json",
    ]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for status in ("done", "skipped"):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["status"] == status
    for name in ("vocals", "drums"):
        assert same(stems[name], read_audio(tmp_path / "out" / f"{name}.wav")[0])
