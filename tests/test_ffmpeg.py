"""What only ffmpeg decodes: exact lengths, exact seeks, errors that name the fix, nothing left behind."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import peers
import pytest
import signals
import soundfile
from stembridge.model.audio import Audio
from stembridge.model.errors import AudioFileError
from stembridge.model.files.containers import flac
from stembridge.model.files.decoder import open_audio, read_audio

FRAMES = 60_123
CODECS = {
    "x.m4a": ("-c:a aac", "aac", "lossy"),
    "x.mp4": ("-c:a aac", "aac", "lossy"),
    "lossless.m4a": ("-c:a alac -sample_fmt s16p", "alac", "16"),
    "deep.m4a": ("-c:a alac -sample_fmt s32p", "alac", "24"),
    "x.opus": ("-c:a libopus", "opus", "lossy"),
    "x.webm": ("-c:a libopus", "opus", "lossy"),
    "x.wma": ("-c:a wmav2", "wmav2", "lossy"),
    "x.wv": ("-c:a wavpack -sample_fmt s16p", "wavpack", "16"),
    "x.aac": ("-c:a aac", "aac", "lossy"),
    "x.oga": ("-c:a flac -sample_fmt s16 -f ogg", "flac", "16"),
}


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, which must be empty whenever nothing is open."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def ffmpeg(*arguments: str) -> bytes:
    command = [peers.require("ffmpeg"), "-v", "error", "-y", *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def encode(folder: Path, name: str, options: str) -> tuple[Path, Audio]:
    audio = np.round(signals.noise(FRAMES, level=0.1) * 32768) / np.float32(32768)
    wav = folder / "source.wav"
    soundfile.write(wav, audio.T, 44100, subtype="PCM_16")
    ffmpeg("-i", str(wav), *options.split(), str(folder / name))
    return folder / name, audio


@pytest.mark.parametrize("name", CODECS)
def test_containers(tmp_path: Path, scratch: Path, name: str) -> None:
    options, codec, depth = CODECS[name]
    path, source = encode(tmp_path, name, options)
    with open_audio(path) as reader:
        info = reader.info
        audio = reader.read(info.frames + 100)
        assert audio.shape[1] == info.frames
        for start in (0, 1, 30_000, info.frames - 5, 7):
            reader.seek(start)
            assert np.array_equal(reader.read(2000), audio[:, start : start + 2000])
    assert not list(scratch.iterdir())
    raw = ffmpeg("-i", str(path), "-map", "0:a:0", "-f", "f32le", "-")
    assert np.array_equal(np.frombuffer(raw, "<f4").reshape(-1, 2).T, audio)
    assert (info.codec, info.bit_depth, info.warnings) == (codec, depth, ())
    if depth != "lossy":
        assert np.array_equal(audio, source)


def test_first_of_several_streams(tmp_path: Path) -> None:
    low, high = tmp_path / "low.wav", tmp_path / "high.wav"
    soundfile.write(low, signals.sine(200, FRAMES).T, 44100)
    soundfile.write(high, signals.sine(3000, FRAMES).T, 44100)
    path = tmp_path / "two.stem.mp4"
    picture = ("-f", "lavfi", "-i", "color=c=red:s=32x32:d=1")
    ffmpeg(*picture, "-i", str(low), "-i", str(high), "-map", "0", "-map", "1", "-map", "2", str(path))
    audio, _ = read_audio(path)
    spectrum = np.abs(np.fft.rfft(audio[0, :44100]))
    assert int(spectrum.argmax()) == 200


def test_two_ogg_songs_in_one_file_are_both_read(tmp_path: Path) -> None:
    path, _ = encode(tmp_path, "x.ogg", "-c:a libvorbis")
    single, _ = read_audio(path)
    other, _ = encode(tmp_path, "y.ogg", "-c:a libvorbis -serial_offset 77")
    path.write_bytes(path.read_bytes() + other.read_bytes())
    _, info = read_audio(path)
    assert info.codec == "ogg"
    assert info.frames > 1.9 * single.shape[1]


def test_damage_is_told(tmp_path: Path, scratch: Path) -> None:
    path, _ = encode(tmp_path, "x.m4a", "-c:a aac -movflags +faststart")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    audio, info = read_audio(path)
    assert 0 < audio.shape[1] == info.frames < FRAMES
    assert any("partial file" in warning for warning in info.warnings)
    path.write_bytes(whole[:100])
    with pytest.raises(AudioFileError, match="neither pedalboard nor ffmpeg"):
        open_audio(path)
    assert not list(scratch.iterdir())


def test_names_that_look_like_protocols(tmp_path: Path) -> None:
    path, _ = encode(tmp_path, "x.m4a", "-c:a aac")
    odd = path.rename(tmp_path / "concat:日本 [x]%d|b.m4a")
    assert read_audio(odd)[1].codec == "aac"


def test_a_playlist_cannot_reach_out(tmp_path: Path) -> None:
    peers.require("ffmpeg")
    path = tmp_path / "list.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(AudioFileError):
        open_audio(path)


def test_no_audio_in_it(tmp_path: Path) -> None:
    path = tmp_path / "silent.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=c=red:s=32x32:d=1", str(path))
    with pytest.raises(AudioFileError, match="neither pedalboard nor ffmpeg"):
        open_audio(path)


def test_without_ffmpeg_the_error_names_the_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = encode(tmp_path, "x.m4a", "-c:a aac")
    monkeypatch.setenv("PATH", str(tmp_path))
    command = {"linux": "apt install ffmpeg", "darwin": "brew install ffmpeg"}.get(sys.platform, "ffmpeg")
    with pytest.raises(AudioFileError, match=command):
        open_audio(path)


def test_flac_glued_together_is_read_to_its_end(tmp_path: Path) -> None:
    # the frame numbers start again at the seam; libFLAC stops there, at the length in the header
    peers.require("ffmpeg")
    path = tmp_path / "glued.flac"
    audio = signals.noise(FRAMES)
    soundfile.write(path, audio.T, 44100, subtype="PCM_16")
    one, _ = read_audio(path)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[flac.read_layout(path).start :])
    two, info = read_audio(path)
    assert (info.codec, info.bit_depth, info.frames) == ("flac", "16", 2 * FRAMES)
    assert np.array_equal(two, np.concatenate([one, one], axis=1))
