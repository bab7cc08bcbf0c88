"""MP3: the length of the source, sample 0 on sample 0, every seek exact, whatever the headers say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import peers
import pytest
import signals
import soundfile
from pedalboard.io import AudioFile
from stembridge.model.audio import Audio
from stembridge.model.errors import AudioFileError
from stembridge.model.files.containers import mp3
from stembridge.model.files.decoder import open_audio, read_audio

FRAMES = 100_317
ENCODINGS = {
    "vbr": "-q:a 2",
    "cbr": "-b:a 128k",
    "320": "-b:a 320k",
    "abr": "-abr 1 -b:a 160k",
    "mono": "-ac 1 -b:a 64k",
    "mpeg2": "-ar 22050 -b:a 64k",
    "mpeg2.5": "-ac 1 -ar 8000 -b:a 8k",
    "32 kHz": "-ar 32000 -b:a 32k",
    "no joint stereo": "-joint_stereo 0 -b:a 192k",
}


def source() -> Audio:
    """Music-like noise: pink enough to be encoded well, random enough to be aligned to the sample."""
    white = signals.noise(FRAMES, seed=5)
    pink = np.cumsum(white, axis=1) * 0.02
    # pedalboard's own decoder fails on this signal: its clipping makes the encoder switch windows
    clipped: Audio = np.clip(pink - pink.mean(axis=1, keepdims=True), -0.5, 0.5).astype(np.float32)
    return clipped


def encode(folder: Path, options: str, name: str = "song.mp3") -> Path:
    ffmpeg = peers.require("ffmpeg")
    wav, path = folder / "source.wav", folder / name
    soundfile.write(wav, source().T, 44100, subtype="FLOAT")
    command = [ffmpeg, "-v", "error", "-y", "-i", str(wav), *options.split(), str(path)]
    subprocess.run(command, check=True)
    return path


def decode_with_ffmpeg(path: Path, channels: int) -> Audio:
    command = [peers.require("ffmpeg"), "-v", "error", "-i", str(path), "-f", "f32le", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, "<f4").reshape(-1, channels).T


def lag(audio: Audio, reference: Audio) -> int:
    """By how many frames `audio` comes later than `reference`, from the cross-correlation's peak."""
    frames = min(audio.shape[1], reference.shape[1])
    spectra = (np.fft.rfft(x[0, :frames], 2 * frames) for x in (audio, reference))
    first, second = spectra
    peak = int(np.fft.irfft(first * np.conj(second)).argmax())
    return peak if peak < frames else peak - 2 * frames


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_gapless_and_every_seek_exact(tmp_path: Path, encoding: str) -> None:
    path = encode(tmp_path, ENCODINGS[encoding])
    audio, info = read_audio(path)
    expected = decode_with_ffmpeg(path, info.channels)
    assert audio.shape == expected.shape
    assert np.abs(audio - expected).max() < 1e-5
    assert info.warnings == ()
    if info.sample_rate == 44100 and info.channels == 2:
        assert info.frames == FRAMES
        assert lag(audio, source()) == 0
    rng = np.random.default_rng(1)
    with open_audio(path) as reader:
        for start in [1, 1151, info.frames - 1, *map(int, rng.integers(0, info.frames, 25))]:
            reader.seek(start)
            assert np.array_equal(reader.read(2500), audio[:, start : start + 2500]), start


def test_pedalboards_own_mp3_is_gapless(tmp_path: Path) -> None:
    path = tmp_path / "p.mp3"
    for frames in (1, 1000, FRAMES):
        with AudioFile(str(path), "w", 44100, 2, quality="V2") as file:
            file.write(source()[:, :frames])
        audio, _ = read_audio(path)
        assert audio.shape == (2, frames)
    assert lag(audio, source()) == 0


@pytest.mark.parametrize("options", ["-b:a 128k -write_xing 0", "-q:a 2 -write_xing 0"])
def test_without_a_header_all_frames_are_read(tmp_path: Path, options: str) -> None:
    # without Xing header pedalboard and libsndfile guess the length of VBR: half of this one
    path = encode(tmp_path, options)
    audio, info = read_audio(path)
    assert info.frames % 1152 == 0
    assert FRAMES + 1105 <= info.frames < FRAMES + 1105 + 2 * 1152
    assert np.abs(audio - decode_with_ffmpeg(path, 2)).max() < 1e-5
    with open_audio(path) as reader:
        reader.seek(70_000)
        assert np.array_equal(reader.read(1000), audio[:, 70_000:71_000])


def test_tags_and_junk_around_the_frames(tmp_path: Path) -> None:
    whole = encode(tmp_path, "-b:a 128k -id3v2_version 0").read_bytes()
    expected, _ = read_audio(tmp_path / "song.mp3")
    path = tmp_path / "tagged.mp3"
    id3 = b"ID3\4\0\0\0\0\7\x68" + bytes(1000)
    for before, after in ((id3, b""), (id3 + id3, b""), (bytes(777), b""), (b"", b"TAG" + bytes(125))):
        path.write_bytes(before + whole + after)
        audio, info = read_audio(path)
        assert info.warnings == ()
        assert np.array_equal(audio, expected)


def test_cut_mp3(tmp_path: Path) -> None:
    whole = encode(tmp_path, "-q:a 2").read_bytes()
    expected, _ = read_audio(tmp_path / "song.mp3")
    path = tmp_path / "cut.mp3"
    path.write_bytes(whole[: len(whole) // 2])
    audio, info = read_audio(path)
    assert info.frames == audio.shape[1]
    assert 0.3 * FRAMES < info.frames < 0.7 * FRAMES
    assert any("cut short" in warning and "missing" in warning for warning in info.warnings)
    assert np.array_equal(audio, expected[:, : info.frames])
    path.write_bytes(whole[:700])
    with pytest.raises(AudioFileError, match="cut short"):
        open_audio(path)


def test_beginning_amid_a_stream_stays_aligned(tmp_path: Path) -> None:
    # a recorded web radio begins anywhere: its first frames lack the data of those before them
    whole = encode(tmp_path, "-b:a 128k -write_xing 0").read_bytes()
    expected, _ = read_audio(tmp_path / "song.mp3")
    path = tmp_path / "late.mp3"
    path.write_bytes(whole[20_001:])
    audio, info = read_audio(path)
    assert info.frames % 1152 == 0
    missing = expected.shape[1] - info.frames
    assert np.array_equal(audio[:, 5000:], expected[:, missing + 5000 :])


def test_foreign_bytes_in_the_middle_are_left_out_and_said(tmp_path: Path) -> None:
    whole = encode(tmp_path, "-b:a 128k").read_bytes()
    expected, _ = read_audio(tmp_path / "song.mp3")
    layout = mp3.read_layout(tmp_path / "song.mp3")
    place = layout.index[2]
    path = tmp_path / "junk.mp3"
    path.write_bytes(whole[:place] + b"\x55" * 3000 + whole[place:])
    audio, info = read_audio(path)
    assert "3000 bytes" in info.warnings[0]
    assert audio.shape == expected.shape
    far = 40 * 1152
    assert np.array_equal(audio[:, far:], expected[:, far:])


def test_vbri_header_is_not_played(tmp_path: Path) -> None:
    plain = encode(tmp_path, "-b:a 128k -write_xing 0 -id3v2_version 0").read_bytes()
    expected, _ = read_audio(tmp_path / "song.mp3")
    frames = expected.shape[1] // 1152
    length = mp3.read_layout(tmp_path / "song.mp3").index
    header = plain[:4] + bytes(32) + b"VBRI\0\1\0\0\0\0" + bytes(4) + frames.to_bytes(4, "big")
    assert length[0] == 0
    path = tmp_path / "vbri.mp3"
    size = 417 + (plain[2] >> 1 & 1)
    path.write_bytes(header.ljust(size, b"\0") + plain)
    audio, info = read_audio(path)
    assert info.warnings == ()
    assert np.array_equal(audio, expected)


def test_frames_of_another_kind_are_not_mixed_in(tmp_path: Path) -> None:
    whole = encode(tmp_path, "-b:a 128k").read_bytes()
    expected, _ = read_audio(tmp_path / "song.mp3")
    other = encode(tmp_path, "-ar 22050 -b:a 64k", "other.mp3").read_bytes()
    path = tmp_path / "both.mp3"
    path.write_bytes(whole + other)
    audio, info = read_audio(path)
    assert (info.sample_rate, audio.shape) == (44100, expected.shape)
    assert "are not MP3" in info.warnings[0]
