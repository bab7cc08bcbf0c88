"""Reading audio files: the same integers, the same length, every frame in its place."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import signals
import soundfile
from numpy.typing import NDArray
from pedalboard.io import AudioFile
from stembridge.model.audio import Audio
from stembridge.model.errors import (
    ArgumentValueError,
    AudioFileError,
    AudioFileNotFoundError,
    StateError,
)
from stembridge.model.files.decoder import open_audio, read_audio

RATE = 44100


def integers(bits: int, frames: int = 5000, channels: int = 2) -> NDArray[np.int64]:
    """Samples with both ends of the range and both signs of one step among them."""
    values = np.random.default_rng(bits).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (channels, frames))
    values[:, :5] = [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 1, -1, 0]
    return values


def write_integers(path: Path, values: NDArray[np.int64], bits: int, container: str, subtype: str) -> None:
    left_justified = (values << 32 - bits).astype(np.int32).T
    soundfile.write(path, left_justified, RATE, subtype=subtype, format=container)


@pytest.mark.parametrize(
    ("container", "subtype", "bits"),
    [
        ("WAV", "PCM_U8", 8),
        ("WAV", "PCM_16", 16),
        ("WAV", "PCM_24", 24),
        ("WAVEX", "PCM_16", 16),
        ("WAVEX", "PCM_24", 24),
        ("RF64", "PCM_24", 24),
        ("AIFF", "PCM_S8", 8),
        ("AIFF", "PCM_16", 16),
        ("AIFF", "PCM_24", 24),
        ("FLAC", "PCM_S8", 8),
        ("FLAC", "PCM_16", 16),
        ("FLAC", "PCM_24", 24),
        ("W64", "PCM_16", 16),
        ("CAF", "PCM_24", 24),
        ("AU", "PCM_16", 16),
    ],
)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_integers_survive_to_the_bit(
    tmp_path: Path, container: str, subtype: str, bits: int, channels: int
) -> None:
    suffix = {"WAVEX": "wav", "RF64": "wav"}.get(container, container.lower())
    path = tmp_path / f"source.{suffix}"
    values = integers(bits, channels=channels)
    write_integers(path, values, bits, container, subtype)
    audio, info = read_audio(path)
    assert np.array_equal(audio * 2.0 ** (bits - 1), values)
    assert audio.dtype == np.float32
    assert audio.flags.c_contiguous
    assert (info.sample_rate, info.channels, info.frames) == (RATE, channels, values.shape[1])
    assert (info.bit_depth, info.codec, info.warnings) == (str(bits), suffix, ())


def test_all_24_bit_integers_survive(tmp_path: Path) -> None:
    # pedalboard gives n / (2^23 - 1); every 17th of the 2^24 integers, and the ends
    values = np.unique(np.append(np.arange(-(2**23), 2**23, 17), [-(2**23), 2**23 - 1]))[np.newaxis]
    path = tmp_path / "all.wav"
    write_integers(path, values, 24, "WAV", "PCM_24")
    audio, _ = read_audio(path)
    assert np.array_equal(audio.astype(np.float64) * 2**23, values)


@pytest.mark.parametrize("container", ["WAV", "AIFF"])
def test_floats_survive_to_the_bit(tmp_path: Path, container: str) -> None:
    audio = signals.noise(3000, level=1.5)  # above full scale too
    audio[0, :3] = [1e-40, -0.0, 3.5]
    path = tmp_path / f"f.{container.lower()}"
    soundfile.write(path, audio.T, RATE, subtype="FLOAT", format=container)
    decoded, info = read_audio(path)
    assert decoded.tobytes() == audio.tobytes()
    assert info.bit_depth == "32f"
    assert info.warnings == ()


@pytest.mark.parametrize(
    ("container", "subtype", "depth"),
    [("WAV", "PCM_32", "32"), ("AIFF", "PCM_32", "32"), ("WAV", "DOUBLE", "64f"), ("AIFF", "DOUBLE", "64f")],
)
def test_what_float32_cannot_hold_is_rounded_and_said(
    tmp_path: Path, container: str, subtype: str, depth: str
) -> None:
    exact = np.random.default_rng(1).uniform(-0.999, 0.999, (2, 3000))
    path = tmp_path / f"f.{container.lower()}"
    soundfile.write(path, exact.T, RATE, subtype=subtype, format=container)
    decoded, info = read_audio(path)
    assert np.abs(decoded - exact).max() <= 2.0**-25 + 2.0**-31
    assert info.bit_depth == depth
    assert "rounded" in info.warnings[0]


@pytest.mark.parametrize("container", ["WAV", "AIFF"])
@pytest.mark.parametrize("subtype", ["ALAW", "ULAW"])
def test_telephone_codecs(tmp_path: Path, container: str, subtype: str) -> None:
    audio = signals.sine(440, 4000, 8000, 1)
    path = tmp_path / "t.wav"
    soundfile.write(path, audio.T, 8000, subtype=subtype, format=container)
    decoded, info = read_audio(path)
    assert decoded.shape == audio.shape
    assert np.abs(decoded - audio).max() < 0.02
    assert info.bit_depth == "lossy"


@pytest.mark.parametrize("subtype", ["MS_ADPCM", "IMA_ADPCM"])
def test_adpcm_in_wav(tmp_path: Path, subtype: str) -> None:
    audio = signals.sine(440, 10_000, RATE, 2)
    path = tmp_path / "a.wav"
    soundfile.write(path, audio.T, RATE, subtype=subtype)
    decoded, info = read_audio(path)
    assert 10_000 <= info.frames == decoded.shape[1] < 12_048
    assert np.abs(decoded[:, 100:10_000] - audio[:, 100:]).max() < 0.05
    assert info.codec == "wav"


def encoded(folder: Path, name: str, audio: Audio, rate: int = RATE, **options: Any) -> Path:
    path = folder / name
    with AudioFile(str(path), "w", rate, audio.shape[0], **options) as file:
        file.write(audio)
    return path


@pytest.mark.parametrize(
    "name",
    ["s.wav", "s24.wav", "s.aiff", "s.flac", "s24.flac", "s.mp3", "mono.mp3", "s.ogg", "s.w64", "s.caf"],
)
def test_seek_is_exact_and_cuts_change_nothing(tmp_path: Path, name: str) -> None:
    channels = 1 if "mono" in name else 2
    audio = signals.noise(70_000, channels, seed=2, level=0.1)
    if name.endswith((".w64", ".caf")):
        path = tmp_path / name
        soundfile.write(path, audio.T, RATE, format=name[2:].upper(), subtype="PCM_24")
    else:
        path = encoded(tmp_path, name, audio, **({"bit_depth": 24} if "24" in name else {}))
    with open_audio(path) as reader:
        frames = reader.info.frames
        assert frames == 70_000
        whole = reader.read(frames)
        assert whole.shape == (channels, frames)
        assert reader.read(10).shape == (channels, 0)
        rng = np.random.default_rng(3)
        for start in [
            0,
            1,
            1151,
            1152,
            1153,
            40_000,
            frames - 1,
            frames,
            *map(int, rng.integers(0, frames, 12)),
        ]:
            reader.seek(start)
            assert reader.tell() == start
            assert np.array_equal(reader.read(3000), whole[:, start : start + 3000])
        reader.seek(0)
        blocks = [reader.read(size) for size in signals.cuts(frames, seed=4)]
        assert np.array_equal(np.concatenate(blocks, axis=1), whole)


@pytest.mark.parametrize("rate", [8000, 11025, 96000, 192_000])
@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff"])
def test_rates(tmp_path: Path, rate: int, suffix: str) -> None:
    path = encoded(tmp_path, f"r.{suffix}", signals.noise(800), rate)
    _, info = read_audio(path)
    assert (info.sample_rate, info.frames) == (rate, 800)
    assert info.seconds == 800 / rate


def test_absurd_rates_are_refused(tmp_path: Path) -> None:
    for rate in (100, 384_000):
        path = encoded(tmp_path, f"{rate}.wav", signals.noise(800), rate)
        with pytest.raises(AudioFileError, match=f"got {rate}"):
            open_audio(path)


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff", "ogg", "mp3"])
@pytest.mark.parametrize("frames", [0, 1])
def test_nothing_and_one_sample(tmp_path: Path, suffix: str, frames: int) -> None:
    path = encoded(tmp_path, f"short.{suffix}", np.full((2, frames), 0.5, np.float32))
    with open_audio(path) as reader:
        assert reader.info.frames == frames
        assert reader.read(100).shape == (2, frames)
        reader.seek(0)
        assert reader.read(1).shape == (2, min(1, frames))


@pytest.mark.parametrize(
    "name", ["日本 [x] #1 (Vocals)_.wav", "LOUD.WAV", "a:b%d.flac", "-dash.ogg", "noname"]
)
def test_names_do_not_matter(tmp_path: Path, name: str) -> None:
    audio = signals.noise(2000)
    plain = encoded(tmp_path, "plain.wav" if "." not in name else f"plain{Path(name).suffix.lower()}", audio)
    path = tmp_path / name
    plain.rename(path)
    assert read_audio(path)[1].frames == 2000


def test_content_decides_not_the_suffix(tmp_path: Path) -> None:
    audio = signals.noise(3000)
    for real, suffix in (("mp3", "wav"), ("wav", "mp3"), ("flac", "ogg"), ("ogg", "flac")):
        path = encoded(tmp_path, f"x.{real}", audio).rename(tmp_path / f"{real}.{suffix}")
        decoded, info = read_audio(path)
        assert info.codec == real
        assert decoded.shape == audio.shape


@pytest.mark.parametrize(("value", "channel"), [(np.nan, 1), (np.inf, 2), (-np.inf, 1)])
def test_nan_and_infinity_are_refused_with_their_time(tmp_path: Path, value: float, channel: int) -> None:
    audio = signals.noise(80 * 8000, 2, level=0.1)
    audio[channel - 1, 8000 * 75 + 2000 :] = value
    path = tmp_path / "nan.wav"
    soundfile.write(path, audio.T, 8000, subtype="FLOAT")
    with open_audio(path) as reader:
        assert reader.read(8000 * 75).shape[1] == 8000 * 75  # what comes before is good
        with pytest.raises(AudioFileError, match=rf"1:15\.250 .*602000.* channel {channel}"):
            reader.read(5000)


def test_what_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(AudioFileNotFoundError, match="no such file"):
        open_audio(tmp_path / "none.wav")
    with pytest.raises(AudioFileError, match="a folder"):
        open_audio(tmp_path)
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AudioFileError, match="empty file"):
        open_audio(tmp_path / "empty.wav")
    with pytest.raises(AudioFileError, match="null byte"):
        open_audio(f"{tmp_path}/a\0b.wav")


@pytest.mark.skipif(os.name == "nt", reason="named pipes and devices have other names there")
def test_pipes_and_devices_do_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    for path in (tmp_path / "pipe.wav", Path("/dev/zero")):
        with pytest.raises(AudioFileError, match="pipe or device"):
            open_audio(path)


def test_a_reader_goes_to_another_thread(tmp_path: Path) -> None:
    audio = signals.noise(50_000)
    for name in ("t.flac", "t.mp3"):
        expected, _ = read_audio(encoded(tmp_path, name, audio))
        blocks: list[Audio] = []
        with open_audio(tmp_path / name) as reader:
            blocks.append(reader.read(20_000))
            thread = threading.Thread(target=lambda r=reader, b=blocks: b.append(r.read(50_000)))
            thread.start()
            thread.join()
        assert np.array_equal(np.concatenate(blocks, axis=1), expected)


def test_ranges_and_states(tmp_path: Path) -> None:
    audio = signals.noise(1000)
    path = tmp_path / "r.wav"
    soundfile.write(path, audio.T, RATE, subtype="FLOAT")
    assert np.array_equal(read_audio(path, 100, 300)[0], audio[:, 100:300])
    assert read_audio(path, 1000)[0].shape == (2, 0)
    with pytest.raises(ArgumentValueError, match="start 1001"):
        read_audio(path, 1001)
    reader = open_audio(path)
    with pytest.raises(ArgumentValueError, match="0 to 1000"):
        reader.seek(1001)
    with pytest.raises(ArgumentValueError, match="-1"):
        reader.read(-1)
    reader.close()
    reader.close()
    with pytest.raises(StateError, match="closed"):
        reader.read(1)


def test_time_reference_of_a_broadcast_wav(tmp_path: Path) -> None:
    path = encoded(tmp_path, "b.wav", signals.noise(100))
    plain = path.read_bytes()
    bext = bytes(338) + struct.pack("<Q", 2**33 + 7) + bytes(602 - 346)
    path.write_bytes(plain[:12] + b"bext" + struct.pack("<I", len(bext)) + bext + plain[12:])
    audio, info = read_audio(path)
    assert info.time_reference == 2**33 + 7
    assert audio.shape == (2, 100)


def test_tags_are_read_when_asked_for(tmp_path: Path) -> None:
    path = encoded(tmp_path, "t.flac", signals.noise(100))
    import mutagen

    file = mutagen.File(path)
    file["title"], file["artist"] = ["Été"], ["A", "B"]
    file.save()
    program = f"""
import sys
from stembridge.model.files.decoder import read_audio
audio, info = read_audio({str(path)!r})
heavy = {{"mutagen", "soundfile", "torch", "scipy", "matplotlib", "soxr"}} & set(sys.modules)
assert not heavy, heavy
assert info.tags["title"] == ("Été",), dict(info.tags)
assert info.tags["artist"] == ("A", "B")
"""
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    subprocess.run([sys.executable, "-X", "utf8", "-c", program], check=True, env=environment)
