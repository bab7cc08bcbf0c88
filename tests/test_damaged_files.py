"""Files that are cut, that lie about their length, or are put together oddly: never silently short."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import signals
import soundfile
from pedalboard.io import AudioFile
from stembridge.model.audio import Audio
from stembridge.model.errors import AudioFileError
from stembridge.model.files.containers import ogg
from stembridge.model.files.decoder import open_audio, read_audio

FRAMES = 20_000
PCM_16 = struct.pack("<HHIIHH", 1, 2, 44100, 4 * 44100, 4, 16)
EXTENSIBLE_PCM = bytes.fromhex("0100000000001000800000aa00389b71")
ODD_STARTS = [0, 1, 4095, 4096, 7000]

VALUES = np.random.default_rng(0).integers(-20000, 20000, (2, FRAMES)).astype("<i2")
DATA = VALUES.T.tobytes()
AUDIO: Audio = VALUES.astype(np.float32) / np.float32(32768)


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    """A RIFF chunk, padded; `size` is what its header says instead of the truth."""
    said = len(body) if size is None else size
    return name + struct.pack("<I", said) + body + bytes(len(body) % 2)


def riff(*chunks: bytes, name: bytes = b"RIFF", size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return name + struct.pack("<I", len(body) if size is None else size) + body


FMT, SAMPLES = chunk(b"fmt ", PCM_16), chunk(b"data", DATA)
UNKNOWN = 0xFFFFFFFF
STREAMED = chunk(b"data", DATA, UNKNOWN)


def check(path: Path, audio: Audio, warnings: Sequence[str] = ()) -> None:
    """The file holds exactly `audio`, from every start, and says in order what was wrong with it."""
    with open_audio(path) as reader:
        assert len(reader.info.warnings) == len(warnings), reader.info.warnings
        for text, expected in zip(reader.info.warnings, warnings, strict=True):
            assert expected in text
        assert reader.info.frames == audio.shape[1]
        assert np.array_equal(reader.read(10 * FRAMES), audio)
        for start in ODD_STARTS:
            if start <= audio.shape[1]:
                reader.seek(start)
                assert np.array_equal(reader.read(500), audio[:, start : start + 500])


WHOLE_WAVS = {
    "plain": riff(FMT, SAMPLES),
    "list before fmt": riff(chunk(b"LIST", b"INFOIART\5\0\0\0abcd\0\0"), FMT, SAMPLES),
    "data before fmt": riff(SAMPLES, FMT),
    "odd chunks": riff(chunk(b"JUNK", b"abc"), FMT, chunk(b"odd ", b"x"), SAMPLES),
    "odd chunk without padding": riff(b"JUNK\3\0\0\0abc", FMT, SAMPLES),
    "chunks after data": riff(FMT, SAMPLES, chunk(b"LIST", b"INFO")),
    "ID3v1 behind": riff(FMT, SAMPLES) + b"TAG" + bytes(125),
    "zeros behind": riff(FMT, SAMPLES) + bytes(512),
    "wrong RIFF size": riff(FMT, SAMPLES, size=12),
    "RF64": riff(
        chunk(b"ds64", struct.pack("<QQQI", 0, len(DATA), FRAMES, 0)),
        FMT,
        STREAMED,
        name=b"RF64",
        size=UNKNOWN,
    ),
    "BW64": riff(
        chunk(b"ds64", struct.pack("<QQQI", 0, len(DATA), FRAMES, 0)),
        FMT,
        STREAMED,
        name=b"BW64",
        size=UNKNOWN,
    ),
    "extensible": riff(
        chunk(b"fmt ", b"\xfe\xff" + PCM_16[2:] + struct.pack("<HHI", 22, 16, 3) + EXTENSIBLE_PCM),
        SAMPLES,
    ),
    "12 bits in 16": riff(chunk(b"fmt ", struct.pack("<HHIIHH", 1, 2, 44100, 4 * 44100, 4, 12)), SAMPLES),
    "no block align": riff(chunk(b"fmt ", PCM_16[:12] + b"\0\0" + PCM_16[14:]), SAMPLES),
}


@pytest.mark.parametrize("case", WHOLE_WAVS)
def test_odd_but_whole_wav(tmp_path: Path, case: str) -> None:
    path = tmp_path / "odd.wav"
    path.write_bytes(WHOLE_WAVS[case])
    check(path, AUDIO)


LYING_WAVS = {
    "says more than there is": (riff(FMT, chunk(b"data", DATA, len(DATA) + 4000)), "cut short"),
    "says less than there is": (riff(FMT, chunk(b"data", DATA, 1000)), "79000 more follow"),
    "stale after a crash": (riff(FMT, chunk(b"data", DATA, 1000), size=1036), "79000 more follow"),
    "size 0": (riff(FMT, chunk(b"data", DATA, 0), size=0), "does not say how long"),
    "size unknown": (riff(FMT, STREAMED, size=UNKNOWN), "does not say how long"),
    "RF64 without ds64": (
        riff(FMT, STREAMED, name=b"RF64", size=UNKNOWN),
        "does not say how long",
    ),
}


@pytest.mark.parametrize("case", LYING_WAVS)
def test_lying_wav_is_read_to_its_end(tmp_path: Path, case: str) -> None:
    path = tmp_path / "lie.wav"
    content, warning = LYING_WAVS[case]
    path.write_bytes(content)
    check(path, AUDIO, [warning])


def test_cut_wav_is_read_to_the_last_whole_frame(tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    path.write_bytes(WHOLE_WAVS["plain"][:-30_001])
    check(path, AUDIO[:, :12_499], ["30001 of 80000 bytes", "last whole frame"])


NO_AUDIO = "neither pedalboard nor ffmpeg|got something else"  # with and without ffmpeg on PATH


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (riff(FMT), "'data'"),
        (riff(SAMPLES), "'fmt '"),
        (
            riff(chunk(b"fmt ", struct.pack("<HHIIHH", 1, 0, 44100, 0, 0, 16)), SAMPLES),
            "0 channels",
        ),
        (riff(chunk(b"fmt ", struct.pack("<HHIIHH", 1, 2, 0, 0, 4, 16)), SAMPLES), "0 Hz"),
        (riff(chunk(b"fmt ", struct.pack("<HHIIHH", 1, 2, 4 * 10**9, 0, 4, 16)), SAMPLES), "Hz"),
        (b"RIFF", NO_AUDIO),
        (b"just some words, no audio at all\n" * 50, NO_AUDIO),
        (b"fLaC", "ends in its header"),
        (b"OggS", "no whole first page"),
        (b"FORM\0\0\0\4AIFF", "'COMM'"),
        (bytes(5000), NO_AUDIO),
    ],
)
def test_hopeless_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "hopeless.wav"
    path.write_bytes(content)
    with pytest.raises(AudioFileError, match=message) as caught:
        open_audio(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", ["RF64", "streamed"])
def test_wav_beyond_4_gib(tmp_path: Path, kind: str) -> None:
    frames = (9 << 29) // 4  # 4.5 GiB of 16-bit stereo, sparse but for its end
    size = 4 * frames
    head = (
        riff(
            chunk(b"ds64", struct.pack("<QQQI", size + 72, size, frames, 0)),
            FMT,
            chunk(b"data", b"", UNKNOWN),
            name=b"RF64",
            size=UNKNOWN,
        )
        if kind == "RF64"
        else riff(FMT, chunk(b"data", b"", UNKNOWN), size=UNKNOWN)
    )
    path = tmp_path / "huge.wav"
    with path.open("wb") as file:
        file.write(head)
        try:
            file.truncate(len(head) + size)
        except OSError:
            pytest.skip("this file system has no sparse files of 4.5 GiB")
        file.seek(len(head) + size - len(DATA))
        file.write(DATA)
    with open_audio(path) as reader:
        assert reader.info.frames == frames
        reader.seek(frames - FRAMES - 10)
        end = reader.read(FRAMES + 100)
    assert np.array_equal(end[:, 10:], AUDIO)
    assert not end[:, :10].any()


def test_aiff_cut_and_lying(tmp_path: Path) -> None:
    path = tmp_path / "a.aiff"
    soundfile.write(path, VALUES.T, 44100, subtype="PCM_16")
    whole = path.read_bytes()
    path.write_bytes(whole[:-40_000])
    check(path, AUDIO[:, :10_000], ["10000 of 20000 frames"])
    at = whole.index(b"COMM") + 10
    path.write_bytes(whole[:at] + struct.pack(">I", 500) + whole[at + 4 :])
    check(path, AUDIO, ["counts 500 frames"])


def flac(path: Path, subtype: str = "PCM_16") -> bytes:
    soundfile.write(path, VALUES.T, 44100, subtype=subtype)
    return path.read_bytes()


def with_total(whole: bytes, frames: int) -> bytes:
    """The FLAC file with another number of samples in STREAMINFO (below 2^32)."""
    return whole[:21] + bytes([whole[21] & 0xF0]) + frames.to_bytes(4, "big") + whole[26:]


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_flac_that_lies(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "f.flac"
    whole = flac(path, subtype)
    path.write_bytes(with_total(whole, 0))  # written by a program that could not seek back
    check(path, AUDIO)
    path.write_bytes(with_total(whole, 900_000))
    check(path, AUDIO, ["20000 of 900000 frames"])
    path.write_bytes(with_total(whole, 5000))
    check(path, AUDIO, ["counts 5000 frames"])
    path.write_bytes(whole + b"TAG" + bytes(125))
    check(path, AUDIO)
    path.write_bytes(b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + whole)
    check(path, AUDIO)


def test_flac_that_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "f.flac"
    whole = flac(path)
    for cut in (1, 3000, len(whole) // 2):
        path.write_bytes(whole[:-cut])
        with open_audio(path) as reader:
            frames = reader.info.frames
        assert 0 < frames < FRAMES
        assert frames % 4096 == 0
        assert frames > (len(whole) - cut) / len(whole) * FRAMES - 2 * 4096
        check(path, AUDIO[:, :frames], [f"{frames} of 20000 frames"])
    path.write_bytes(whole[:200])
    with pytest.raises(AudioFileError, match="no whole FLAC frame"):
        open_audio(path)


def test_flac_damaged_in_the_middle_is_refused_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "f.flac"
    whole = bytearray(flac(path))
    whole[len(whole) // 2 : len(whole) // 2 + 50] = bytes(50)
    path.write_bytes(whole)
    with open_audio(path) as reader:
        assert reader.read(FRAMES - 1).shape == (2, FRAMES - 1)
        with pytest.raises(AudioFileError, match="checksum"):
            reader.read(1)
    with open_audio(path) as reader:
        reader.seek(100)  # a part of a damaged file cannot be checked
        assert np.array_equal(reader.read(1000), AUDIO[:, 100:1100])


def vorbis(path: Path, seconds: float = 3.0) -> bytes:
    with AudioFile(str(path), "w", 44100, 2) as file:
        file.write(signals.noise(round(seconds * 44100), level=0.1))
    return path.read_bytes()


def test_ogg_that_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "o.ogg"
    whole = vorbis(path)
    audio, _ = read_audio(path)
    path.write_bytes(whole[: 2 * len(whole) // 3])
    cut, info = read_audio(path)
    assert info.frames == cut.shape[1]
    assert 0.4 * audio.shape[1] < info.frames < audio.shape[1]
    assert "cut short" in info.warnings[0]
    assert np.array_equal(cut, audio[:, : info.frames])


def test_ogg_damaged_or_incomplete_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "o.ogg"
    whole = vorbis(path)
    middle = whole.index(b"OggS", len(whole) // 2)
    after = whole.index(b"OggS", middle + 1)
    damaged = bytearray(whole)
    damaged[middle + 500] ^= 1
    for content, message in (
        (bytes(damaged), f"the page at byte {middle} is damaged"),
        (whole[:middle] + whole[after:], f"missing before byte {middle}"),
        (whole[:middle] + bytes(100) + whole[middle:], f"at byte {middle} is no page"),
    ):
        path.write_bytes(content)
        with pytest.raises(AudioFileError, match=message):
            open_audio(path)


def test_ogg_checksum_is_that_of_real_pages(tmp_path: Path) -> None:
    page = vorbis(tmp_path / "o.ogg", 0.1)
    page = page[: page.index(b"OggS", 1)]
    assert ogg.crc32(page[:22] + bytes(4) + page[26:]) == int.from_bytes(page[22:26], "little")


def test_flac_whose_header_contradicts_its_frames(tmp_path: Path) -> None:
    # pedalboard would read memory that is not there, hang or crash
    path = tmp_path / "f.flac"
    whole = bytearray(flac(path))
    whole[20] = whole[20] & 0xF1 | 6 << 1  # seven channels
    path.write_bytes(whole)
    with pytest.raises(AudioFileError, match="no whole FLAC frame"):
        open_audio(path)


def test_aiff_with_thousands_of_channels(tmp_path: Path) -> None:
    path = tmp_path / "a.aiff"
    soundfile.write(path, VALUES.T, 44100, subtype="PCM_16")
    whole = bytearray(path.read_bytes())
    at = whole.index(b"COMM") + 8
    whole[at : at + 2] = (5890).to_bytes(2, "big")
    path.write_bytes(whole)
    with pytest.raises(AudioFileError, match="1 to 64 channels"):
        open_audio(path)


@pytest.mark.parametrize("suffix", ["wav", "aiff", "flac", "mp3", "ogg", "w64"])
def test_random_damage_gives_audio_or_an_error(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"whole.{suffix}"
    if suffix == "w64":
        soundfile.write(path, VALUES.T, 44100, format="W64", subtype="PCM_16")
    else:
        with AudioFile(str(path), "w", 44100, 2) as file:
            file.write(AUDIO)
    monkeypatch.setenv("PATH", str(tmp_path))  # ffmpeg would be asked about every other file
    rng = np.random.default_rng(7)
    whole = path.read_bytes()
    read = refused = 0
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(int(rng.integers(1, 5))):
            # headers more often than samples
            within = min(len(whole), int(rng.choice([64, 600, len(whole)])))
            content[int(rng.integers(0, within))] = int(rng.integers(256))
        if rng.random() < 0.3:
            del content[int(rng.integers(0, len(content))) :]
        path.write_bytes(content)
        try:
            with open_audio(path) as reader:
                frames = min(reader.info.frames, 200_000)
                assert reader.read(frames).shape == (reader.info.channels, frames)
            read += 1
        except AudioFileError:
            refused += 1
    assert read > 0
    assert refused > 0
