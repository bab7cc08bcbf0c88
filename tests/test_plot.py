"""Spectrograms: what is drawn where, how loud, in how much memory, and the PNG that comes of it."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import signals
import soundfile
from stembridge.bridge.cli import main
from stembridge.model.audio import AudioInfo
from stembridge.model.dsp.spectrogram import MAX_COLUMNS, Scale, Spectrogram, window_frames
from stembridge.model.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    AudioFileNotFoundError,
    OutputError,
    StateError,
)
from stembridge.model.files.decoder import open_audio
from stembridge.model.plot import Panel, Picture, PlottingMissingError, plot_song, separate_region, write_png
from stembridge.model.registry import create_separator
from stembridge.model.separation import StemStream
from stembridge.model.separators.protocol import Separator
from stembridge.model.separators.stems_from import StemsFrom

RATE = 44100


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """Three seconds of a made-up song, with its stems in a folder beside it."""
    stems = signals.song(3.0)
    (tmp_path / "stems").mkdir()
    for name, stem in stems.items():
        soundfile.write(tmp_path / "stems" / f"{name}.wav", stem.T, RATE, subtype="FLOAT")
    path = tmp_path / "Söng.wav"
    soundfile.write(path, np.sum(list(stems.values()), axis=0).T, RATE, subtype="FLOAT")
    return path


def from_files(info: AudioInfo) -> StemsFrom:
    return StemsFrom(info.path.parent / "stems", info.sample_rate, info.channels)


def hpss(info: AudioInfo) -> Separator:
    return create_separator("hpss", info.sample_rate, info.channels)


def peak_hz(level_db: np.ndarray[tuple[int, int], np.dtype[np.float32]], spectrogram: Spectrogram) -> float:
    return float(spectrogram.row_hz[level_db.mean(axis=1).argmax()])


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("hz", [60.0, 440.0, 3000.0, 15_000.0])
@pytest.mark.parametrize("rate", [22050, 44100, 96000])
def test_a_sine_is_a_line_at_its_frequency_and_level(scale: Scale, hz: float, rate: int) -> None:
    if hz > rate / 2:
        hz = rate / 4
    spectrogram = Spectrogram(rate, 2, rate, scale=scale)
    spectrogram.push(signals.sine(hz, rate, rate, level=0.1))
    level_db = spectrogram.finish()
    assert level_db.shape == (spectrogram.row_hz.size, spectrogram.columns)
    width = 2 * np.diff(spectrogram.row_hz)[np.searchsorted(spectrogram.row_hz, hz) - 1]
    assert abs(peak_hz(level_db, spectrogram) - hz) <= max(width, 1.5 * rate / 2048)
    middle = level_db[:, spectrogram.columns // 2]
    assert -20 - 1.6 <= middle.max() <= -20 + 0.2  # a Hann window's bins lie up to 1.42 dB apart
    far = np.abs(spectrogram.row_hz - hz) > max(hz / 2, 8 * rate / window_frames(rate, scale))
    assert middle[far].max() < -70


@pytest.mark.parametrize("seconds", [0.02, 1.0, 7.3, 60.0])
def test_an_event_is_drawn_where_it_sounds(seconds: float) -> None:
    rate = 16000
    frames = round(seconds * rate)
    for place in (0.1, 0.5, 0.93):
        click = np.zeros((1, frames), np.float32)
        click[0, int(place * frames)] = 1.0
        spectrogram = Spectrogram(rate, 1, frames)
        spectrogram.push(click)
        columns = spectrogram.finish().max(axis=0)
        loud = np.flatnonzero(columns > columns.max() - 1)
        width = 1.0 / spectrogram.columns + 512 / frames / 2
        assert abs((loud.mean() + 0.5) / spectrogram.columns - place) <= width


def test_opposite_channels_do_not_cancel() -> None:
    tone = signals.sine(1000, RATE, channels=1)
    spectrogram = Spectrogram(RATE, 2, RATE)
    spectrogram.push(np.concatenate([tone, -tone]))
    assert spectrogram.finish().max() > -8


@pytest.mark.parametrize("frames", [1, 100, 5000, 200_000])
def test_the_picture_does_not_depend_on_the_cut(frames: int) -> None:
    audio = signals.noise(frames, 1)
    whole = Spectrogram(RATE, 1, frames)
    whole.push(audio)
    pieces = Spectrogram(RATE, 1, frames)
    start = 0
    for size in signals.cuts(frames, seed=frames, largest=20_000):
        pieces.push(audio[:, start : start + size])
        start += size
    np.testing.assert_allclose(pieces.finish(), whole.finish(), atol=1e-3)


def test_an_excerpt_looks_as_it_does_in_the_whole() -> None:
    """A steady tone has no click at the excerpt's edges when its surroundings are given."""
    audio = signals.sine(2000, RATE, channels=1)
    cut = Spectrogram(RATE, 1, 10_000, before=1024, after=1024)
    cut.push(audio[:, 20_000 - 1024 : 30_000 + 1024])
    level_db = cut.finish()
    far = np.abs(cut.row_hz - 2000) > 500
    assert level_db[far].max() < -70
    bare = Spectrogram(RATE, 1, 10_000)
    bare.push(audio[:, 20_000:30_000])
    assert bare.finish()[far].max() > -70


def test_a_long_file_takes_no_more_memory() -> None:
    block = signals.noise(160_000, 1)
    spectrogram = Spectrogram(8000, 1, 200 * 160_000)  # more than an hour
    assert spectrogram.columns == MAX_COLUMNS
    for _ in range(20):
        spectrogram.push(block)
    assert spectrogram._held.size < 2 * 8000
    assert spectrogram._sum.shape[0] == MAX_COLUMNS


def test_lengths_that_were_not_promised_are_refused() -> None:
    with pytest.raises(StateError, match="0 frames"):
        Spectrogram(RATE, 1, 0)
    spectrogram = Spectrogram(RATE, 1, 10)
    with pytest.raises(ArgumentTypeError, match=r"\(1, frames\)"):
        spectrogram.push(np.zeros((2, 5), np.float32))
    with pytest.raises(StateError, match="promised 10 frames; 0 came"):
        spectrogram.finish()
    with pytest.raises(StateError, match="promised 10 frames; 11 came"):
        spectrogram.push(np.zeros((1, 11), np.float32))
    with pytest.raises(ArgumentValueError, match="go before"):
        Spectrogram(RATE, 1, 10, before=5000)


def test_a_region_is_the_slice_of_the_whole(song: Path) -> None:
    with open_audio(song) as reader:
        stream = StemStream(hpss(reader.info))
        parts = [
            list(separate_region(reader, stream, *region, lambda fraction: None))
            for region in ((0, reader.info.frames), (50_001, 80_002))
        ]
    whole, region = (
        (np.concatenate([p.mix for p in part], axis=1), np.concatenate([p.stems for p in part], axis=2))
        for part in parts
    )
    np.testing.assert_array_equal(region[0], whole[0][:, 50_001:80_002])
    np.testing.assert_array_equal(region[1], whole[1][:, :, 50_001:80_002])


def test_all_stems_or_foreground_and_background(song: Path, tmp_path: Path) -> None:
    every = plot_song(song, tmp_path / "all.png", from_files)
    assert [panel.title for panel in every.panels] == ["mix", "drums", "bass", "other", "vocals"]
    assert every.panels[0].level_db.max() > every.panels[4].level_db.max()
    two = plot_song(song, tmp_path / "two.png", from_files, view="fg-bg")
    titles = [panel.title for panel in two.panels]
    assert titles == ["mix", "foreground: vocals", "background: drums + bass + other"]
    np.testing.assert_array_equal(two.panels[1].level_db, every.panels[4].level_db)
    parts = plot_song(song, tmp_path / "hpss.png", hpss)
    assert [panel.title for panel in parts.panels] == ["mix", "harmonic", "percussive"]


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_the_png_is_a_picture_and_the_same_each_time(song: Path, tmp_path: Path, scale: Scale) -> None:
    from matplotlib.image import imread

    first, second = tmp_path / "new folder" / "a.png", tmp_path / "b.png"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for out in (first, second):
            plot_song(song, out, hpss, start=RATE, stop=2 * RATE, scale=scale)
    assert first.read_bytes() == second.read_bytes()
    height, width, _ = imread(first).shape
    assert (height, width) == (1095, 1800)
    assert len(np.unique(imread(first).reshape(-1, 4), axis=0)) > 500  # colours
    assert [path.name for path in first.parent.iterdir()] == ["a.png"]


def test_a_users_own_matplotlib_settings_change_nothing(tmp_path: Path) -> None:
    import matplotlib

    level = np.linspace(-90, -10, 200, dtype=np.float32).reshape(10, 20)
    picture = Picture("x", (Panel("mix", level),), np.linspace(50, 950, 10), "linear", 0.0, 3.0)
    write_png(picture, tmp_path / "a.png")
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30}):
        write_png(picture, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    ("start_s", "end_s"), [(0.0, 0.001), (0.0, 7200.0), (3599.0, 3602.5), (0.0, 90_000.0)]
)
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_axes_fit_any_length(tmp_path: Path, start_s: float, end_s: float, scale: Scale) -> None:
    silent = np.full((10, 20), -140.0, np.float32)
    picture = Picture("x", (Panel("mix", silent),), np.geomspace(40, 90_000, 10), scale, start_s, end_s)
    write_png(picture, tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000


def test_what_cannot_be_drawn_is_refused_and_leaves_nothing(song: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    with pytest.raises(ArgumentValueError, match=r"\.png"):
        plot_song(song, tmp_path / "out.jpg", hpss)
    with pytest.raises(ArgumentValueError, match=r"is empty: Söng\.wav lasts 0:03\.000"):
        plot_song(song, out, hpss, start=4 * RATE)
    with pytest.raises(AudioFileNotFoundError):
        plot_song(tmp_path / "none.wav", out, hpss)
    soundfile.write(tmp_path / "empty.wav", np.zeros((0, 2)), RATE)
    with pytest.raises(ArgumentValueError, match="is empty"):
        plot_song(tmp_path / "empty.wav", out, hpss)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError):
        plot_song(song, tmp_path / "file" / "out.png", hpss)
    assert not list(tmp_path.glob("*.png"))
    assert not list(tmp_path.glob(".*"))


def test_without_matplotlib_it_says_what_to_install(
    song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PlottingMissingError, match=r"pip install 'stembridge\[plot\]'"):
        plot_song(song, tmp_path / "x.png", hpss)


def test_the_command(
    song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEMBRIDGE_CONFIG", str(tmp_path / "none.toml"))
    arguments = [
        "plot",
        str(song),
        "--stems-from",
        "stems",
        "--stems",
        "fg-bg",
        "--start",
        "1",
        "--end",
        "88200s",
    ]
    assert main([*arguments, "--log-frequency", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["start_s"], facts["end_s"], facts["scale"]) == (1.0, 2.0, "log")
    assert facts["picture"] == "Söng - spectrogram @1-2.png"
    assert Path(facts["picture"]).is_file()
    assert main(["plot", str(song), "-n", "hpss", "-o", "x.png"]) == 0
    assert capsys.readouterr().out == "x.png\n"
    assert main(["plot", "none.wav"]) == 1
    assert "none.wav" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        ["-n", "hpss", "--stems-from", "stems"],
        ["-n", "hpsss"],
        ["--start", "soon"],
        ["--start", "9"],
        ["-o", "song.wav"],
    ],
)
def test_usage_errors(
    song: Path, wrong: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(song.parent)
    with pytest.raises(SystemExit) as caught:
        main(["plot", str(song), *wrong])
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_matplotlib_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, stembridge.model.plot; print({'matplotlib', 'torch'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "set()"
