"""Stems that exist already: told by their names, read in step with the mix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import signals
import soundfile
from numpy.typing import NDArray
from stembridge.model.errors import ArgumentValueError, AudioFileError, AudioFileNotFoundError
from stembridge.model.separation import StemStream
from stembridge.model.separators.protocol import Separator
from stembridge.model.separators.stem_files import stem_files
from stembridge.model.separators.stems_from import StemsFrom, find_stems

RATE = 44100
Audio = signals.Audio


def write(path: Path, audio: Audio, rate: int = RATE, subtype: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio.T, rate, subtype=subtype or ("FLOAT" if path.suffix == ".wav" else None))
    return path


def folder_of(folder: Path, *names: str) -> Path:
    """Files of that name; names are all that telling them apart looks at."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def run(separator: Separator, mix: Audio, cuts: list[int]) -> NDArray[np.float32]:
    blocks, at = [], 0
    for size in cuts:
        blocks.append(separator.push(mix[:, at : at + size]))
        at += size
    return np.concatenate([*blocks, separator.flush()], axis=2)


# Names


@pytest.mark.parametrize(
    ("file", "stem"),
    [
        ("vocals.wav", "vocals"),
        ("VOCALS.WAV", "vocals"),
        ("Song - vocals.flac", "vocals"),
        ("song_(Vocals)_model.wav", "vocals"),
        ("1_Song_(Instrumental)_UVR-MDX-NET-Inst_HQ_3.wav", "accompaniment"),
        ("01 drums.aif", "drums"),
        ("Song-no_vocals.wav", "accompaniment"),
        ("Song (No Vocals).wav", "accompaniment"),
        ("no_drums.wav", "no_drums"),
        ("accompaniment.wav", "accompaniment"),
        ("Bass Hymn - vocals.wav", "vocals"),
        ("Song.drum.wav", "drums"),
        ("03_Lead Guitar.wav", "guitar"),
        ("Song - piano.flac", "piano"),
        ("Song - residual.wav", "residual"),
        ("02 Lead Synth.wav", "lead-synth"),
        ("Glöckchen.wav", "glöckchen"),
    ],
)
def test_files_are_told_by_their_last_name_word(tmp_path: Path, file: str, stem: str) -> None:
    assert list(find_stems(folder_of(tmp_path, file))) == [stem]


def test_a_real_multitrack_keeps_its_own_names(tmp_path: Path) -> None:
    names = ("Strings", "vocals", "Lead Synth", "Drums", "bass", "Percussion")
    found = stem_files(folder_of(tmp_path, *(f"My Song - {name}.wav" for name in names), "My Song.wav"))
    assert list(found.paths) == ["drums", "bass", "vocals", "lead-synth", "percussion", "strings"]
    assert found.left_out == ("My Song.wav: taken for the mix",)


def test_a_title_is_not_a_stem(tmp_path: Path) -> None:
    folder_of(tmp_path, "Voices - strings.wav", "Voices - drums.wav", "Voices.wav")
    assert list(find_stems(tmp_path)) == ["drums", "strings"]
    folder_of(tmp_path / "takes", "Vocals 1.wav", "Vocals 2.wav")
    with pytest.raises(ArgumentValueError, match=r"Vocals 1.wav and Vocals 2.wav both name .*'vocals'"):
        find_stems(tmp_path / "takes")


@pytest.mark.parametrize("mix", ["mixture.wav", "Mix.wav", "Song original.wav"])
def test_the_mix_beside_its_stems_is_left_out(tmp_path: Path, mix: str) -> None:
    found = stem_files(folder_of(tmp_path, "drums.wav", "vocals.wav", mix))
    assert list(found.paths) == ["drums", "vocals"]
    assert found.left_out == (f"{mix}: taken for the mix",)


def test_what_would_sound_twice_is_left_out(tmp_path: Path) -> None:
    found = stem_files(folder_of(tmp_path, "drums.wav", "vocals.wav", "instrumental.wav", "other.wav"))
    assert list(found.paths) == ["drums", "other", "vocals"]
    assert found.left_out == ("instrumental.wav: drums, other would sound twice",)
    pair = stem_files(folder_of(tmp_path / "two", "Song - drums.wav", "Song - no_drums.wav"))
    assert list(pair.paths) == ["drums", "no_drums"]
    uvr = stem_files(folder_of(tmp_path / "uvr", "1_S_(Vocals)_m.wav", "1_S_(Instrumental)_m.wav"))
    assert list(uvr.paths) == ["accompaniment", "vocals"]


def test_two_files_for_one_stem_are_refused(tmp_path: Path) -> None:
    folder_of(tmp_path, "A - vocals.wav", "B - vocals.flac")
    with pytest.raises(ArgumentValueError, match=r"A - vocals.wav and B - vocals.flac both name .*'vocals'"):
        find_stems(tmp_path)


def test_folders_without_stems_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioFileNotFoundError, match="expected a folder of stems"):
        find_stems(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("no sound")
    (tmp_path / "sub.wav").mkdir()
    with pytest.raises(AudioFileNotFoundError, match="no audio files in it"):
        find_stems(tmp_path)
    folder_of(tmp_path, "mix.wav")
    with pytest.raises(AudioFileNotFoundError, match=r"no stems in it \(mix.wav: taken for the mix\)"):
        find_stems(tmp_path)


# Sound


@pytest.fixture
def song(tmp_path: Path) -> tuple[Path, dict[str, Audio]]:
    parts = signals.song(1.0)
    for name, part in parts.items():
        write(tmp_path / f"Song - {name}.wav", part)
    return tmp_path, parts


def test_stems_come_as_they_are_however_the_stream_is_cut(song: tuple[Path, dict[str, Audio]]) -> None:
    folder, parts = song
    mix = sum(parts.values(), np.zeros((2, 1), np.float32))
    separator = StemsFrom(folder, RATE, 2)
    assert separator.stems == tuple(parts)
    for seed in range(2):
        out = run(separator, mix, signals.cuts(mix.shape[1], seed))
        assert out.tobytes() == np.stack(list(parts.values())).tobytes()
    separator.reset(12_345)
    assert (
        separator.push(mix[:, :100]).tobytes()
        == np.stack([part[:, 12_345:12_445] for part in parts.values()]).tobytes()
    )
    separator.close()
    separator.close()


def test_the_residual_is_what_the_files_do_not_hold(song: tuple[Path, dict[str, Audio]]) -> None:
    folder, parts = song
    extra = signals.noise(RATE, seed=5, level=0.01)
    mix = (sum(parts.values()) + extra).astype(np.float32)
    (folder / "Song - other.wav").unlink()
    stream = StemStream(StemsFrom(folder, RATE, 2))
    out = stream.push(mix)
    assert stream.stems == ("drums", "bass", "other", "vocals")
    np.testing.assert_allclose(out.stems[2], parts["other"] + extra, atol=1e-6)
    (folder / "Song - bass.wav").unlink()
    (folder / "Song - drums.wav").unlink()
    assert StemStream(StemsFrom(folder, RATE, 2)).stems == ("accompaniment", "vocals")
    assert StemStream(StemsFrom(folder, RATE, 2), residual="file").stems == ("vocals", "residual")


@pytest.mark.parametrize("file_rate", [48000, 22050, 96000])
def test_stems_at_another_rate_are_resampled_in_place(tmp_path: Path, file_rate: int) -> None:
    tone = signals.sine(1000, file_rate, file_rate)
    write(tmp_path / "vocals.wav", tone, file_rate)
    expected = signals.sine(1000, RATE, RATE)
    with StemsFrom(tmp_path, RATE, 2, frames=RATE) as separator:
        whole = run(separator, expected, [RATE])[0]
        assert run(separator, expected, signals.cuts(RATE, 1))[0].tobytes() == whole.tobytes()
        middle = slice(2000, -2000)
        np.testing.assert_allclose(whole[:, middle], expected[:, middle], atol=1e-4)
        for start in (1, 20_011, 40_000, RATE + 5):
            separator.reset(start)
            part = separator.push(np.zeros((2, 3000), np.float32))[0]
            there = np.pad(whole, [(0, 0), (0, 10_000)])[:, start : start + 3000]
            np.testing.assert_allclose(part, there, atol=1e-6)


def test_channels_are_adapted(tmp_path: Path) -> None:
    stereo = write(tmp_path / "stereo" / "vocals.wav", signals.noise(500, 2))
    mono = write(tmp_path / "mono" / "vocals.wav", signals.noise(500, 1, seed=4))
    block = np.zeros((1, 500), np.float32)
    folded = StemsFrom(stereo.parent, RATE, 1).push(block)[0]
    np.testing.assert_allclose(folded, signals.noise(500, 2).mean(axis=0, keepdims=True), atol=1e-7)
    copied = StemsFrom(mono.parent, RATE, 2).push(np.zeros((2, 500), np.float32))[0]
    assert copied.tobytes() == np.repeat(signals.noise(500, 1, seed=4), 2, axis=0).tobytes()
    with pytest.raises(AudioFileError, match="expected 6 channels as in the song, or mono; got 2"):
        StemsFrom(stereo.parent, RATE, 6)


def test_a_short_stem_goes_on_as_silence_and_says_so(tmp_path: Path) -> None:
    write(tmp_path / "vocals.wav", signals.noise(RATE, 1))
    separator = StemsFrom(tmp_path, RATE, 1, frames=2 * RATE)
    assert separator.warnings == ("vocals.wav: ends at 0:01.000, the song at 0:02.000; silence follows",)
    out = separator.push(np.zeros((1, 2 * RATE), np.float32))[0]
    assert out[:, :RATE].tobytes() == signals.noise(RATE, 1).tobytes()
    assert not out[:, RATE:].any()


def test_a_stem_of_another_song_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "vocals.wav", signals.noise(2 * RATE, 1))
    assert StemsFrom(tmp_path, RATE, 1, frames=2 * RATE - 1000).warnings == ()
    with pytest.raises(
        AudioFileError, match=r"lasts 0:02.000, but the song only 0:01.000: are these another"
    ):
        StemsFrom(tmp_path, RATE, 1, frames=RATE)


def test_damaged_stems_are_named(tmp_path: Path) -> None:
    (tmp_path / "vocals.wav").write_bytes(b"RIFF nonsense")
    with pytest.raises(AudioFileError, match=r"vocals\.wav"):
        StemsFrom(tmp_path, RATE, 2)
