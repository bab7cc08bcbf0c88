"""Files as other programs read them: exact samples, exact lengths, the same bytes, no lost failure."""

from __future__ import annotations

import itertools
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import peers
import pytest
import signals
import soundfile
from stembridge.model.audio import Audio, BitDepth, Container, OutputFormat
from stembridge.model.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    DiskFullError,
    OutputError,
    StateError,
    VerificationError,
)
from stembridge.model.files.encoder import create_audio
from stembridge.model.files.format_limits import check_format
from stembridge.model.files.quantise import Dither, quantise
from stembridge.model.files.tags import read_tags

LOSSLESS = [
    OutputFormat("wav", "16"),
    OutputFormat("wav", "24"),
    OutputFormat("wav", "32f"),
    OutputFormat("aiff", "16"),
    OutputFormat("aiff", "24"),
    OutputFormat("aiff", "32f"),
    OutputFormat("flac", "16"),
    OutputFormat("flac", "24"),
]
LOSSY = [OutputFormat("mp3", "16"), OutputFormat("ogg", "16")]
RATES = [8000, 44100, 48000, 96000, 192000]
TAGS = {"title": ("Söng",), "artist": ("A", "B")}


def name(fmt: OutputFormat) -> str:
    """How a format is called in test names."""
    return f"{fmt.container}-{fmt.bit_depth}"


every_format = pytest.mark.parametrize("fmt", LOSSLESS + LOSSY, ids=name)


def write(
    path: Path,
    fmt: OutputFormat,
    audio: Audio,
    rate: int = 44100,
    sizes: list[int] | None = None,
    dither: Dither | None = None,
) -> float:
    """Write a file in blocks of the given sizes; returns the peak."""
    channels, frames = audio.shape
    start = 0
    with create_audio(
        path, fmt, rate, channels, frames, tags=TAGS, time_reference=5, dither=dither
    ) as writer:
        for size in sizes if sizes is not None else [frames]:
            writer.write(audio[:, start : start + size])
            start += size
    return writer.peak


def ffmpeg(path: Path, channels: int) -> Audio:
    """Decode with ffmpeg."""
    command = [peers.require("ffmpeg"), "-v", "error", "-i", str(path), "-f", "f32le", "-"]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(data, np.float32).reshape(-1, channels).T


def snr_db(audio: Audio, reference: Audio) -> float:
    """Signal to noise ratio."""
    return float(10 * np.log10(np.square(reference).sum() / np.square(audio - reference).sum()))


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("fmt", LOSSLESS, ids=name)
def test_lossless_samples_are_exact(tmp_path: Path, fmt: OutputFormat, rate: int, channels: int) -> None:
    audio = np.clip(signals.noise(2001, channels), -1, 1).astype(np.float32)
    path = tmp_path / f"a.{fmt.container}"
    dither = Dither(1, "vocals")
    write(path, fmt, audio, rate, dither=dither)
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.frames) == (rate, channels, 2001)
    assert info.subtype == ("FLOAT" if fmt.bit_depth == "32f" else f"PCM_{fmt.bit_depth}")
    if fmt.bit_depth == "32f":
        assert np.array_equal(soundfile.read(path, dtype="float32", always_2d=True)[0].T, audio)
    else:
        bits = int(fmt.bit_depth)
        read = soundfile.read(path, dtype="int32", always_2d=True)[0].T >> (32 - bits)
        assert np.array_equal(read, quantise(audio, bits, dither))


@pytest.mark.parametrize("fmt", LOSSLESS, ids=name)
def test_ffmpeg_reads_the_same_samples_and_speakers(tmp_path: Path, fmt: OutputFormat) -> None:
    audio = np.clip(signals.noise(3001, 6), -1, 1).astype(np.float32)
    path = tmp_path / f"a.{fmt.container}"
    write(path, fmt, audio)
    expected = audio if fmt.bit_depth == "32f" else None
    if expected is None:
        bits = int(fmt.bit_depth)
        expected = (quantise(audio, bits) / 2 ** (bits - 1)).astype(np.float32)
    assert np.array_equal(ffmpeg(path, 6), expected)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("fmt", "rate"), [*itertools.product(LOSSY, RATES[:3]), *[(LOSSY[1], r) for r in RATES[3:]]]
)
@pytest.mark.parametrize("frames", [0, 1, 1151, 1152, 1153, 3500, 40_000])
def test_lossy_files_decode_to_the_exact_length(
    tmp_path: Path, fmt: OutputFormat, rate: int, channels: int, frames: int
) -> None:
    path = tmp_path / f"a.{fmt.container}"
    write(path, fmt, signals.noise(frames, channels, level=0.1), rate)
    assert len(soundfile.read(path, always_2d=True)[0]) == frames
    if frames > 1 or (fmt.container, rate) != ("mp3", 8000):  # what ffmpeg cannot read is said in mp3_file
        assert ffmpeg(path, channels).shape == (channels, frames)


@pytest.mark.parametrize("fmt", LOSSY, ids=name)
def test_lossy_sound_is_in_place_and_good(tmp_path: Path, fmt: OutputFormat) -> None:
    audio = sum(signals.song(2.0).values(), 0.02 * signals.noise(88_200))
    path = tmp_path / f"a.{fmt.container}"
    write(path, fmt, audio)
    assert snr_db(ffmpeg(path, 2), audio) > 20
    assert 200_000 < 8 * path.stat().st_size / 2.0 < 420_000


@pytest.mark.parametrize("channels", [3, 5, 6, 7, 8])
def test_ogg_channels_are_where_the_format_wants_them(tmp_path: Path, channels: int) -> None:
    # Frequencies that the channel of the low end keeps too.
    rows = [signals.sine(40 + 10 * channel, 40_000, channels=1, level=0.3) for channel in range(channels)]
    audio = np.concatenate(rows)
    path = tmp_path / "a.ogg"
    write(path, LOSSY[1], audio)
    likeness = np.abs(np.corrcoef(audio, ffmpeg(path, channels))[:channels, channels:])
    assert likeness.argmax(axis=1).tolist() == list(range(channels))
    assert likeness.diagonal().min() > 0.9


@pytest.mark.parametrize("frames", [0, 1])
@every_format
def test_the_smallest_files_are_whole(tmp_path: Path, fmt: OutputFormat, frames: int) -> None:
    path = tmp_path / f"a.{fmt.container}"
    write(path, fmt, np.full((2, frames), 0.25, np.float32))
    decoded = ffmpeg(path, 2)
    assert decoded.shape == (2, frames)
    if not fmt.lossy:
        assert np.array_equal(decoded, np.full((2, frames), 0.25, np.float32))


@pytest.mark.parametrize("channels", [1, 2])
@every_format
def test_cuts_change_no_byte(tmp_path: Path, fmt: OutputFormat, channels: int) -> None:
    audio = signals.noise(60_000, channels, level=0.2)
    dither = Dither(4, "bass")
    first = tmp_path / f"0.{fmt.container}"
    write(first, fmt, audio, dither=dither)
    for seed in (1, 2):
        other = tmp_path / f"{seed}.{fmt.container}"
        write(other, fmt, audio, sizes=signals.cuts(60_000, seed), dither=dither)
        assert other.read_bytes() == first.read_bytes()


@every_format
def test_tags_and_the_time_reference_do_not_touch_the_sound(tmp_path: Path, fmt: OutputFormat) -> None:
    audio = signals.noise(5000, level=0.1)
    plain, tagged = tmp_path / f"p.{fmt.container}", tmp_path / f"t.{fmt.container}"
    with create_audio(plain, fmt, 44100, 2, 5000) as writer:
        writer.write(audio)
    write(tagged, fmt, audio)
    assert read_tags(plain).keys() <= {"encoder"}
    assert read_tags(tagged) == TAGS
    assert np.array_equal(ffmpeg(plain, 2), ffmpeg(tagged, 2))


def test_big_tags_fit_into_every_container(tmp_path: Path) -> None:
    tags = {"comment": ("x" * 200_000,), "lyrics": ("日本" * 40_000,)}
    for fmt in LOSSLESS + LOSSY:
        path = tmp_path / f"a.{fmt.container}"
        with create_audio(path, fmt, 44100, 1, 3000, tags=tags) as writer:
            writer.write(signals.noise(3000, 1, level=0.1))
        assert read_tags(path) == tags
        assert ffmpeg(path, 1).shape == (1, 3000)


def test_float_files_hold_what_is_over_and_the_peak_says_so(tmp_path: Path) -> None:
    loud = np.array([[0.5, -1.75, 1.5]], np.float32)
    assert write(tmp_path / "a.wav", OutputFormat("wav", "32f"), loud) == 1.75
    assert soundfile.read(tmp_path / "a.wav", dtype="float32")[0].tolist() == loud[0].tolist()
    assert write(tmp_path / "b.wav", OutputFormat("wav", "16"), loud, sizes=[1, 1, 1]) == 1.75
    assert soundfile.read(tmp_path / "b.wav", dtype="int16")[0].tolist() == [16384, -32768, 32767]


@pytest.mark.parametrize(
    ("container", "depth", "rate", "channels", "words"),
    [
        ("mp3", "16", 96000, 2, "--sample-rate 48000"),
        ("mp3", "16", 47000, 2, "--sample-rate 44100 or 48000"),
        ("mp3", "16", 44100, 3, "1 to 2 channels, not 3"),
        ("mp3", "16", 4000, 1, "--sample-rate 8000"),
        ("ogg", "16", 384_000, 2, "--sample-rate 200000"),
        ("ogg", "16", 44100, 256, "1 to 255 channels"),
        ("flac", "24", 44100, 9, "1 to 8 channels"),
        ("flac", "24", 700_000, 2, "--sample-rate 655350"),
        ("wav", "16", 0, 2, "--sample-rate 1"),
        ("wav", "16", 44100, 0, "not 0"),
        ("aiff", "16", 44100, 2000, "--format wav"),
    ],
)
def test_what_no_file_can_hold_is_refused_before_anything_is_written(
    tmp_path: Path, container: Container, depth: BitDepth, rate: int, channels: int, words: str
) -> None:
    path = tmp_path / "a.x"
    with pytest.raises(ArgumentValueError, match=words):
        create_audio(path, OutputFormat(container, depth), rate, channels, 10)
    assert not path.exists()


def test_integer_only_formats_and_lengths_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ArgumentValueError, match="FLAC holds integers"):
        OutputFormat("flac", "32f")
    with pytest.raises(ArgumentValueError, match="0 or more frames"):
        check_format(OutputFormat(), 44100, 2, -1)
    path = tmp_path / "a.aiff"
    with pytest.raises(ArgumentValueError, match=r"4 GiB.*--format wav"):
        create_audio(path, OutputFormat("aiff", "24"), 44100, 2, 2**30)
    assert not path.exists()


@every_format
def test_too_few_and_too_many_frames_are_refused(tmp_path: Path, fmt: OutputFormat) -> None:
    writer = create_audio(tmp_path / "a", fmt, 44100, 2, 100)
    writer.write(signals.noise(60, level=0.1))
    with pytest.raises(VerificationError, match="hold 100 frames; 101 came"):
        writer.write(signals.noise(41, level=0.1))
    with pytest.raises(VerificationError, match="hold 100 frames, 60 came"):
        writer.close()
    writer.close()
    with pytest.raises(StateError, match="closed"):
        writer.write(signals.noise(1))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused_with_their_time(tmp_path: Path, value: float) -> None:
    audio = signals.noise(1000)
    audio[1, 480] = value
    writer = create_audio(tmp_path / "a.wav", OutputFormat(), 48000, 2, 2000)
    writer.write(signals.noise(960))
    with pytest.raises(VerificationError, match=rf"{value} at 0\.030000 s \(frame 1440\)"):
        writer.write(audio)
    writer.abort()


@pytest.mark.parametrize(
    ("audio", "error"),
    [
        (np.zeros((3, 5), np.float32), ArgumentValueError),
        (np.zeros(5, np.float32), ArgumentValueError),
        (np.zeros((2, 5), np.float64), ArgumentTypeError),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, audio: Audio, error: type[Exception]) -> None:
    writer = create_audio(tmp_path / "a.wav", OutputFormat(), 48000, 2, 5)
    with pytest.raises(error):
        writer.write(audio)
    writer.abort()


@every_format
def test_an_exception_inside_aborts_and_is_the_one_that_is_seen(tmp_path: Path, fmt: OutputFormat) -> None:
    writer = create_audio(tmp_path / "a", fmt, 44100, 2, 100)

    def fail_inside() -> None:
        with writer:
            writer.write(signals.noise(50, level=0.1))
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail_inside()
    writer.abort()
    writer.close()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("missing", [1, 100, 5000, 40_000])
@every_format
def test_no_byte_that_does_not_fit_is_lost_without_a_word(
    tmp_path: Path, fmt: OutputFormat, missing: int
) -> None:
    audio = signals.noise(40_000, level=0.1)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    write(whole, fmt, audio)
    with (
        pytest.raises(DiskFullError, match=f"no room in {tmp_path}"),
        largest_file(whole.stat().st_size - missing),
    ):
        write(cut, fmt, audio, sizes=[10_000] * 4)
    with largest_file(whole.stat().st_size):
        write(cut, fmt, audio, sizes=[10_000] * 4)
    assert cut.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("frames", [10, 200_000])
@every_format
def test_a_full_device_is_reported(fmt: OutputFormat, frames: int) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(DiskFullError, match="bytes are free"):
        write(full, fmt, signals.noise(frames, level=0.1))


@every_format
def test_a_small_file_system_is_reported(tmp_path: Path, fmt: OutputFormat) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small tmpfs; the tests of the file size limit cover the same code")
    try:
        with pytest.raises(DiskFullError, match=f"no room in {folder}.*written, 0 bytes are free"):
            write(folder / "a", fmt, signals.noise(120_000, level=0.1), sizes=[30_000] * 4)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_the_bytes_needed_are_told_where_they_are_known(tmp_path: Path) -> None:
    audio = signals.noise(100_000, 1)
    plain = OutputFormat("wav", "32f")
    write(tmp_path / "whole.wav", plain, audio)
    size = (tmp_path / "whole.wav").stat().st_size
    with pytest.raises(DiskFullError, match=f"needs {size} bytes in all, 100000 are"), largest_file(100_000):
        write(tmp_path / "a.wav", plain, audio)


def test_a_folder_that_is_not_there_or_not_ours_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"folder .*nowhere does not exist"):
        create_audio(tmp_path / "nowhere" / "a.wav", OutputFormat(), 44100, 2, 1)
    with pytest.raises(OutputError, match="cannot be written"):
        create_audio(tmp_path, OutputFormat(), 44100, 2, 1)
    read_only = Path("/proc/self/comm/a.wav") if os.geteuid() == 0 else Path("/root.wav")
    with pytest.raises(OutputError):
        create_audio(read_only, OutputFormat(), 44100, 2, 1)
