"""WAV headers: read by other programs, RF64 from 4 GiB on, `bext`, INFO."""

from __future__ import annotations

import io
import json
import struct
import subprocess
from pathlib import Path

import numpy as np
import peers
import pytest
import soundfile
from stembridge.model.audio import BIT_DEPTHS, BitDepth
from stembridge.model.files.wav_file import BYTES_PER_SAMPLE, SPEAKERS, find_info, wav_header, wav_samples


def chunks(header: bytes) -> dict[bytes, bytes]:
    """The chunks of a header by name, `data` without its body."""
    found, position = {}, 12
    while position < len(header):
        name, size = struct.unpack_from("<4sI", header, position)
        found[name] = header[position + 8 : position + 8 + size]
        position += 8 + (0 if name == b"data" else size + size % 2)
    assert position == len(header)
    return found


@pytest.mark.parametrize("depth", BIT_DEPTHS)
@pytest.mark.parametrize(("channels", "frames"), [(1, 0), (1, 3), (2, 5), (6, 7)])
def test_the_riff_size_is_that_of_the_file(depth: BitDepth, channels: int, frames: int) -> None:
    header = wav_header(depth, 48000, channels, frames, tags={"title": ("odd",)}, time_reference=7)
    data = frames * channels * BYTES_PER_SAMPLE[depth]
    assert struct.unpack_from("<I", header, 4)[0] == len(header) + data + data % 2 - 8
    assert struct.unpack_from("<I", header, len(header) - 4)[0] == data


@pytest.mark.parametrize("frames", [(2**32 - 1 - 36) // 4, (2**32 - 1 - 36) // 4 + 1])
def test_a_file_is_rf64_only_where_riff_cannot_say_its_size(frames: int) -> None:
    header = wav_header("16", 44100, 2, frames)
    assert len(header) == (44 if header[:4] == b"RIFF" else 80)
    assert (header[:4] == b"RF64") == (frames * 4 + 36 > 0xFFFFFFFF)


def test_rf64_says_its_sizes_in_64_bits() -> None:
    frames = 3 * 2**30
    header = wav_header("32f", 96000, 2, frames, tags={"title": ("t",)}, time_reference=2**40)
    found = chunks(header)
    riff, data, samples, table = struct.unpack("<QQQI", found[b"ds64"])
    assert (riff, data, samples, table) == (len(header) + frames * 8 - 8, frames * 8, frames, 0)
    assert header[4:8] == header[-4:] == b"\xff\xff\xff\xff"
    assert found[b"fact"] == struct.pack("<I", frames)


def test_a_real_file_above_4_gib_is_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    frames = 2**30
    header = wav_header("24", 96000, 2, frames, time_reference=10**10, tags={"title": ("t",)})
    with path.open("wb") as file:  # sparse: 6 GiB that take no room
        file.write(header)
        try:
            file.truncate(len(header) + 6 * frames)
        except OSError as error:
            pytest.skip(f"no file of 6 GiB can be made here: {error}")
        file.seek(len(header) + 6 * (frames - 1))
        file.write(wav_samples(np.array([[2**22], [-(2**22)]], np.int32), "24"))
    with soundfile.SoundFile(path) as handle:
        assert (handle.format, handle.frames, handle.samplerate) == ("RF64", frames, 96000)
        handle.seek(frames - 1)
        assert handle.read(2).tolist() == [[0.5, -0.5]]
    stream, tags = probe(path)
    assert (stream["duration_ts"], tags["time_reference"], tags["title"]) == (frames, "10000000000", "t")
    path.unlink()


@pytest.mark.parametrize(
    ("depth", "channels", "tag", "size"),
    [
        ("16", 2, 1, 16),
        ("32f", 2, 3, 18),
        ("24", 2, 0xFFFE, 40),
        ("16", 3, 0xFFFE, 40),
        ("32f", 6, 0xFFFE, 40),
    ],
)
def test_the_extensible_form_is_used_where_it_is_needed(
    depth: BitDepth, channels: int, tag: int, size: int
) -> None:
    fmt = chunks(wav_header(depth, 44100, channels, 1))[b"fmt "]
    assert (struct.unpack_from("<H", fmt)[0], len(fmt)) == (tag, size)
    if size == 40:
        bits, mask = struct.unpack_from("<HI", fmt, 18)
        assert (bits, mask) == (8 * BYTES_PER_SAMPLE[depth], SPEAKERS[channels])
    assert (b"fact" in chunks(wav_header(depth, 44100, channels, 1))) == (depth == "32f")


def probe(path: Path) -> tuple[dict[str, object], dict[str, str]]:
    """What ffprobe says of the stream and the tags."""
    command = [peers.require("ffprobe"), "-v", "error", "-show_streams", "-show_format", "-of", "json"]
    found = json.loads(subprocess.run([*command, str(path)], capture_output=True, check=True).stdout)
    return found["streams"][0], found["format"].get("tags", {})


def test_the_time_reference_is_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    frame = 48000 * 3600 + 24000
    path.write_bytes(wav_header("16", 48000, 1, 2, time_reference=frame) + b"\1\0\2\0")
    assert probe(path)[1]["time_reference"] == str(frame)
    command = [peers.require("mediainfo"), "--Inform=Audio;%Delay%", str(path)]
    delay = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert float(delay) == pytest.approx(3_600_500.0)
    bext = chunks(path.read_bytes()[:-4])[b"bext"]
    assert len(bext) == 602
    assert struct.unpack_from("<QH", bext, 338) == (frame, 1)


def test_no_time_reference_no_bext() -> None:
    assert b"bext" not in wav_header("16", 48000, 1, 2)


def test_info_is_read_by_others_and_by_us(tmp_path: Path) -> None:
    tags = {"title": ("Söng",), "artist": ("A", "B"), "date": ("1990",), "tracknumber": ("3",)}
    path = tmp_path / "a.wav"
    path.write_bytes(wav_header("16", 48000, 1, 1, tags=tags) + b"\1\0")
    with soundfile.SoundFile(path) as file:
        found = file.copy_metadata()
    assert (found["title"], found["artist"], found["date"]) == ("Söng", "A; B", "1990")
    with path.open("rb") as raw:
        position, texts = find_info(raw)
    assert texts == {"INAM": "Söng", "IART": "A; B", "ICRD": "1990", "ITRK": "3"}
    assert path.read_bytes()[position:][:4] == b"LIST"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        b"OggS" * 9,
        b"RIFF\0\0\0\0WAVELIST\xff\xff\xff\x7fINFOINAM\xff\xff\xff\xffx",
        b"RIFF\0\0\0\0WAVE" * 4,
    ],
)
def test_damaged_files_have_no_info_but_do_no_harm(data: bytes) -> None:
    assert set(find_info(io.BytesIO(data))[1]) <= {"INAM"}


def test_info_of_windows_programs_is_read() -> None:
    body = b"INFOINAM\x05\0\0\0Caf\xe9\0\0"
    data = b"RIFF\0\0\0\0WAVELIST" + struct.pack("<I", len(body)) + body
    assert find_info(io.BytesIO(data))[1] == {"INAM": "Café"}


def test_samples_are_interleaved_little_endian() -> None:
    values = np.array([[1, -2], [0x123456, -(2**23)]], np.int32)
    assert bytes(wav_samples(values, "24")) == bytes.fromhex("010000 563412 feffff 000080")
    assert bytes(wav_samples(values[:1], "16")) == bytes.fromhex("0100 feff")
    assert bytes(wav_samples(np.array([[1.0], [-0.5]], np.float32), "32f")) == struct.pack("<ff", 1, -0.5)
