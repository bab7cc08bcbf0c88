"""Songs found in every layout, segments that are the same each time, augmentation that keeps the truth."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import peers
import pytest
import signals
import torch
from stembridge.model.audio import Audio, BitDepth, Container, OutputFormat
from stembridge.model.dsp.resampler import resample
from stembridge.model.errors import ArgumentValueError, AudioFileError, AudioFileNotFoundError
from stembridge.model.files.encoder import create_audio
from stembridge.model.training.augmentation import Augment, augment
from stembridge.model.training.crops import CropReader
from stembridge.model.training.dataset import SegmentDataset, make_loader
from stembridge.model.training.equaliser import filter_with, random_curve
from stembridge.model.training.tracks import Track, TrackWarning, find_tracks

RATE = 8000
STEMS = ("drums", "bass", "other", "vocals")


def write(path: Path, audio: Audio, rate: int = RATE, depth: BitDepth = "16") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    containers: tuple[Container, ...] = ("wav", "flac", "mp3", "ogg", "aiff")
    (container,) = (name for name in containers if name.startswith(path.suffix[1:]))
    with create_audio(path, OutputFormat(container, depth), rate, *audio.shape) as writer:
        writer.write(audio)


def song(folder: Path, seed: int = 0, seconds: float = 3.0, stems: tuple[str, ...] = STEMS) -> None:
    for name, audio in signals.song(seconds, RATE, seed).items():
        if name in stems:
            write(folder / f"{name}.wav", audio)


def constant(folder: Path, levels: dict[str, float], seconds: float = 2.0) -> None:
    """A song whose stems are told by their level."""
    for stem, level in levels.items():
        write(folder / f"{stem}.wav", np.full((2, round(seconds * RATE)), level, np.float32))


def segments(
    tracks: list[Track], settings: Augment | None = None, frames: int = 4000, stems: tuple[str, ...] = STEMS
) -> SegmentDataset:
    return SegmentDataset(
        tracks,
        stems=stems,
        sample_rate=RATE,
        channels=2,
        frames=frames,
        seed=3,
        augment=settings or Augment.none(),
    )


def only(**settings: object) -> Augment:
    return replace(Augment.none(), **settings)  # type: ignore[arg-type]


def noise(*shape: int, seed: int = 0) -> Audio:
    return np.random.default_rng(seed).normal(0.0, 0.1, shape).astype(np.float32)


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> list[Track]:
    folder = tmp_path_factory.mktemp("songs")
    for number in range(4):
        song(folder / f"song-{number:06}", number)
    return find_tracks(folder)


# Layouts


def test_plain_folders_of_any_format_are_songs(tmp_path: Path) -> None:
    audio = signals.song(1.0, 44100)
    endings = {"drums": "wav", "bass": "flac", "other": "ogg", "vocals": "mp3"}
    for stem, ending in endings.items():
        write(tmp_path / "a" / f"My Song - {stem}.{ending}", audio[stem], 44100)
    write(tmp_path / "a" / "My Song.wav", sum(audio.values()), 44100)  # type: ignore[arg-type]
    write(tmp_path / "b" / "deeper" / "vocals.aif", audio["vocals"], 44100, "24")
    first, second = find_tracks(tmp_path)
    assert (first.name, second.name) == ("a", "b/deeper")
    assert {stem: file.path.suffix[1:] for stem, file in first.files.items()} == endings
    assert list(second.files) == ["vocals"]
    reader = CropReader(44100, 2)
    for stem, file in {**first.files, "vocals": second.files["vocals"]}.items():
        error = reader.read([file], 0.25, 22050) - audio[stem][:, 11025:33075]
        assert np.abs(error).max() < (0.05 if stem == "other" else 2**-15), stem


def test_musdb_and_dsd_layouts_say_what_songs_are_for(tmp_path: Path) -> None:
    for split in ("train", "test"):
        song(tmp_path / "musdb" / split / "A - B")
        write(tmp_path / "musdb" / split / "A - B" / "mixture.wav", noise(2, RATE))
    for split in ("Dev", "Test"):
        song(tmp_path / "dsd" / "Sources" / split / "001 - A")
        write(tmp_path / "dsd" / "Mixtures" / split / "001 - A" / "mixture.wav", noise(2, RATE))
    for folder in ("musdb", "dsd"):
        tracks = find_tracks(tmp_path / folder)
        assert sorted(track.split for track in tracks) == ["test", "train"]
        assert all(set(track.files) == set(STEMS) for track in tracks)
    # asked for by name, it is simply a folder of songs
    assert [track.split for track in find_tracks(tmp_path / "musdb" / "test")] == [""]


def test_stem_mp4_is_decoded_once(tmp_path: Path) -> None:
    ffmpeg = peers.require("ffmpeg")
    audio = signals.song(2.0, 44100)
    streams = {"mix": sum(audio.values()), **{stem: audio[stem] for stem in STEMS}}
    command = [ffmpeg, "-loglevel", "error"]
    for stem, samples in streams.items():
        write(tmp_path / f"{stem}.wav", samples, 44100)  # type: ignore[arg-type]
        command += ["-i", str(tmp_path / f"{stem}.wav")]
    for number in range(5):
        command += ["-map", f"{number}:a"]
    (tmp_path / "songs" / "train").mkdir(parents=True)
    path = tmp_path / "songs" / "train" / "A - B.stem.mp4"
    subprocess.run([*command, "-c:a", "aac", "-b:a", "256k", str(path)], check=True)

    (track,) = find_tracks(tmp_path / "songs", cache=tmp_path / "cache")
    assert (track.name, track.split) == ("train/A - B", "train")
    reader = CropReader(44100, 2)
    for stem in STEMS:
        decoded = reader.read([track.files[stem]], 0.5, 44100)
        error = decoded - audio[stem][:, 22050:66150]
        assert np.square(error).sum() < 0.05 * np.square(audio[stem]).sum(), stem

    made = {file: file.stat().st_mtime_ns for file in (tmp_path / "cache").rglob("*")}
    assert len(made) == 5  # four stems in one folder, nothing half done
    assert find_tracks(tmp_path / "songs", cache=tmp_path / "cache") == [track]
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "cache").rglob("*")} == made


def test_stem_mp4_fails_clearly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "songs").mkdir()
    path = tmp_path / "songs" / "x.stem.mp4"
    path.write_bytes(b"not a song")
    if shutil.which("ffmpeg"):
        with pytest.warns(TrackWarning), pytest.raises(AudioFileNotFoundError, match="five audio streams"):
            find_tracks(tmp_path / "songs", cache=tmp_path / "cache")
        assert list((tmp_path / "cache").iterdir()) == []
    monkeypatch.setenv("PATH", "")
    with pytest.warns(TrackWarning), pytest.raises(AudioFileNotFoundError, match="install ffmpeg"):
        find_tracks(tmp_path / "songs", cache=tmp_path / "cache")


def test_one_bad_file_is_told_once_and_left_out(tmp_path: Path) -> None:
    for number in range(20):
        constant(tmp_path / f"{number:02}", {"vocals": 0.1, "drums": 0.2}, 0.6)
    (tmp_path / "07" / "vocals.wav").write_bytes(b"RIFF, but no more of it")
    with pytest.warns(TrackWarning, match=r"07.*vocals\.wav") as caught:
        tracks = find_tracks(tmp_path)
    assert len(caught) == 1
    assert [track.name for track in tracks] == [f"{number:02}" for number in range(20) if number != 7]


def test_folders_without_songs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioFileNotFoundError, match="no songs in it"):
        find_tracks(tmp_path)
    with pytest.raises(AudioFileNotFoundError, match="found none there"):
        find_tracks(tmp_path / "nowhere")
    for name in ("one", "two"):  # finished songs, not stems
        write(tmp_path / f"{name}.wav", noise(2, RATE))
    with pytest.warns(TrackWarning), pytest.raises(AudioFileNotFoundError, match="named by stems"):
        find_tracks(tmp_path)


def test_a_folder_may_be_one_song_and_link_back_to_itself(tmp_path: Path) -> None:
    song(tmp_path / "a song", seconds=1.0)
    assert [track.name for track in find_tracks(tmp_path / "a song")] == ["a song"]
    try:
        (tmp_path / "a song" / "again").symlink_to(tmp_path, target_is_directory=True)
    except OSError:
        pytest.skip("links cannot be made here")
    assert [track.name for track in find_tracks(tmp_path)] == ["a song"]


def test_stems_are_sums_of_files_where_the_network_asks_for_them(tmp_path: Path) -> None:
    constant(tmp_path / "six", {"drums": 0.01, "bass": 0.02, "other": 0.04, "vocals": 0.08, "guitar": 0.16})
    constant(tmp_path / "three", {"drums": 0.01, "bass": 0.02, "vocals": 0.08})
    constant(tmp_path / "two", {"accompaniment": 0.3, "vocals": 0.08})
    tracks = {track.name: track for track in find_tracks(tmp_path)}

    def levels(name: str, stems: tuple[str, ...]) -> dict[str, float]:
        data, present = segments([tracks[name]], frames=100, stems=stems)[0]
        assert np.array_equal(present, data.any(axis=(1, 2)))
        return {stem: round(float(data[row].mean()), 2) for row, stem in enumerate(stems) if present[row]}

    two = ("accompaniment", "vocals")
    assert levels("six", STEMS) == {"drums": 0.01, "bass": 0.02, "other": 0.2, "vocals": 0.08}
    assert levels("six", two) == {"accompaniment": 0.23, "vocals": 0.08}
    assert levels("six", ("no_drums", "drums")) == {"no_drums": 0.3, "drums": 0.01}
    assert levels("six", (*STEMS, "guitar"))["other"] == 0.04
    assert levels("three", STEMS) == {"drums": 0.01, "bass": 0.02, "vocals": 0.08}
    assert levels("three", two) == {"vocals": 0.08}
    assert levels("two", two) == {"accompaniment": 0.3, "vocals": 0.08}
    assert levels("two", STEMS) == {"vocals": 0.08}


# Segments


def test_segments_are_slices_of_the_files(songs: list[Track]) -> None:
    dataset = segments(songs)
    whole = [
        np.stack([CropReader(RATE, 2).read([track.files[stem]], 0.0, 24000) for stem in STEMS])
        for track in songs
    ]
    starts = set()
    for index in range(8):
        stems, present = dataset[index]
        assert present.all()
        assert stems.shape == (4, 2, 4000)
        assert stems.dtype == np.float32
        found = [
            (number, start)
            for number, song in enumerate(whole)
            for start in np.flatnonzero((song[:, :, :20001, None] == stems[:, :, None, :1]).all(axis=(0, 1)))
            if np.array_equal(song[:, :, start : start + 4000], stems)
        ]
        assert len(found) >= 1
        starts.add(found[0])
    assert len(starts) == 8


def test_a_silent_file_is_known_and_a_missing_one_is_not(tmp_path: Path) -> None:
    song(tmp_path, stems=("drums", "other"))
    write(tmp_path / "vocals.wav", np.zeros((2, 3 * RATE), np.float32))
    (track,) = find_tracks(tmp_path)
    for index in range(3):
        stems, present = segments([track])[index]
        assert present.tolist() == [True, False, True, True]
        assert not stems[[1, 3]].any()
        assert stems[0].any()
    _, present = segments([track.without("vocals")])[0]
    assert present.tolist() == [True, False, True, False]


def test_other_rates_and_mono_become_what_the_network_hears(tmp_path: Path) -> None:
    rate = 12000
    t = np.arange(3 * rate) / rate
    mono = (0.3 * np.sin(2 * np.pi * 440.0 * t) + 0.2 * np.sin(2 * np.pi * 3000.0 * t)).astype(np.float32)
    write(tmp_path / "vocals.wav", mono[None], rate, "32f")
    (track,) = find_tracks(tmp_path)
    expected = resample(mono[None], rate, RATE)[0]
    stereo = CropReader(RATE, 2).read([track.files["vocals"]], 1.0, 4000)
    assert np.abs(stereo - expected[RATE : RATE + 4000]).max() < 1e-4
    single = CropReader(RATE, 1).read([track.files["vocals"]], 1.0, 4000)
    assert np.array_equal(single[0], stereo[1])
    # before its beginning and after its end a song is silent
    around = CropReader(RATE, 2).read([track.files["vocals"]], -0.5, 4 * RATE)
    assert np.abs(around[:, : RATE // 2 - 200]).max() < 1e-3
    assert np.abs(around[0, RATE : 2 * RATE] - expected[RATE // 2 : RATE // 2 + RATE]).max() < 1e-4
    assert np.abs(around[:, 7 * RATE // 2 + 200 :]).max() < 1e-6
    # played faster it is higher
    fast = CropReader(RATE, 1).read([track.files["vocals"]], 0.5, RATE, speed=1.2)[0]
    assert np.argmax(np.abs(np.fft.rfft(fast * np.hanning(RATE)))) == round(440 * 1.2)


def test_a_sample_depends_on_seed_and_number_only(songs: list[Track]) -> None:
    dataset = segments(songs, Augment())
    forward = [dataset[index] for index in range(5)]
    again = pickle.loads(pickle.dumps(segments(songs, Augment())))
    for index in (4, 0, 2, 1, 3):
        stems, present = again[index]
        assert np.array_equal(stems, forward[index][0])
        assert np.array_equal(present, forward[index][1])
    dataset.seed += 1
    assert not np.array_equal(dataset[0][0], forward[0][0])


def test_batches_are_the_same_for_any_number_of_workers_and_after_a_resume(songs: list[Track]) -> None:
    dataset = segments(songs, Augment())
    batches = []
    for workers in (0, 1, 2):
        loader = make_loader(dataset, batch=2, start_index=0, workers=workers)
        batches.append([next(loader) for _ in range(4)])
    resumed = make_loader(dataset, batch=2, start_index=4, workers=1)
    batches.append([*batches[0][:2], next(resumed), next(resumed)])
    for run in batches:
        for number, (stems, present) in enumerate(run):
            assert stems.shape == (2, 4, 2, 4000)
            assert present.dtype == torch.bool
            assert torch.equal(stems, batches[0][number][0])
            assert np.array_equal(stems[1].numpy(), dataset[2 * number + 1][0])


def test_quiet_places_are_avoided(tmp_path: Path) -> None:
    sparse = np.zeros((2, 10 * RATE), np.float32)
    sparse[:, 2 * RATE : 5 * RATE] = 0.1
    write(tmp_path / "vocals.wav", sparse)
    dataset = segments(find_tracks(tmp_path), frames=800)
    heard = sum(dataset[index][0].any() for index in range(200))
    # 32 % of all places; three looks leave 1 - 0.68^3 = 69 %
    assert 110 < heard < 165


def test_files_that_vanish_cost_their_song_only(tmp_path: Path) -> None:
    for number in range(4):
        constant(tmp_path / f"{number}", {"vocals": 0.1 * (number + 1), "drums": 0.2}, 1.0)
    dataset = segments(find_tracks(tmp_path), frames=400)
    (tmp_path / "0" / "vocals.wav").unlink()
    (tmp_path / "1" / "drums.wav").write_bytes((tmp_path / "1" / "drums.wav").read_bytes()[:100])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        levels = {round(float(dataset[index][0][3].mean()), 1) for index in range(30)}
    assert levels == {0.3, 0.4}
    assert sorted(Path(str(entry.message).split(": ")[1]).parent.name for entry in caught) == ["0", "1"]
    shutil.rmtree(tmp_path)
    with pytest.warns(TrackWarning), pytest.raises(AudioFileError, match="are they still there"):
        dataset[0]


def test_tracks_without_the_stems_are_refused(songs: list[Track]) -> None:
    with pytest.raises(ArgumentValueError, match="expected songs with the stems piano"):
        segments(songs, stems=("piano", "guitar"))
    with pytest.raises(ArgumentValueError):
        segments([])


# Augmentation


def test_remixing_takes_stems_of_other_songs_as_often_as_told(tmp_path: Path) -> None:
    for number in range(10):
        constant(tmp_path / f"{number}", dict.fromkeys(STEMS, 0.05 * (number + 1)), 1.0)
    write(tmp_path / "voice" / "vocals.wav", np.full((2, RATE), 0.9, np.float32))
    tracks = find_tracks(tmp_path)
    dataset = segments(tracks, only(remix=(0.0, 0.6, 300)), frames=10)

    def strangers(first: int) -> float:
        """How many of the stems are not of the same song as the most."""
        count = 0
        for index in range(first, first + 150):
            levels = np.round(dataset[index][0][:, 0, 0], 2)
            count += int((levels != max(levels.tolist(), key=levels.tolist().count)).sum())
        return count / 600

    assert strangers(0) < 0.2 < strangers(10_000) < 0.6
    voices = [round(float(dataset[index][0][3, 0, 0]), 2) for index in range(1000, 1200)]
    assert 0.9 in voices  # a song with one stem is lent to others
    assert all(dataset[index][1].all() for index in range(1000, 1200))  # and never begins with


def test_songs_are_drawn_by_length_and_weight(tmp_path: Path) -> None:
    constant(tmp_path / "a", {"drums": 0.1, "bass": 0.1}, 1.0)
    constant(tmp_path / "b", {"drums": 0.2, "bass": 0.2}, 3.0)
    first, second = find_tracks(tmp_path)
    for tracks, share in (([first, second], 0.75), ([replace(first, weight=9.0), second], 0.25)):
        dataset = segments(tracks, frames=10)
        drawn = np.mean([round(float(dataset[index][0][0, 0, 0]), 1) == 0.2 for index in range(400)])
        assert abs(drawn - share) < 0.08


def test_a_filter_does_what_its_curve_says_without_delay() -> None:
    rate, frames = 44100, 30000
    curve = random_curve(np.random.default_rng(5), rate, 3.0)
    click = np.zeros((2, frames), np.float32)
    click[:, 9000] = 1.0
    response = filter_with(click, curve)
    assert response.shape == click.shape
    assert np.argmax(np.abs(response[0])) == 9000
    assert np.allclose(response[0, 9001:11000], response[0, 8999:7000:-1], atol=1e-6)
    hz = np.fft.rfftfreq(frames, 1 / rate)
    heard = np.abs(np.fft.rfft(response[1]))
    for octave in (100.0, 440.0, 3000.0, 12000.0):
        said = np.interp(octave, np.linspace(0, rate / 2, len(curve)), curve)
        assert abs(20 * np.log10(np.interp(octave, hz, heard) / said)) < 0.7
    # no mean shift: over all curves and octaves it is neither louder nor softer
    rng = np.random.default_rng(0)
    octaves = np.geomspace(25.0, 16000.0, 40)
    drawn = [
        20 * np.log10(np.interp(octaves, np.linspace(0, rate / 2, len(curve)), random_curve(rng, rate, 3.0)))
        for _ in range(200)
    ]
    assert abs(np.mean(drawn)) < 0.3
    assert 2.5 < np.std(drawn) < 5.5


def test_gains_signs_and_channels() -> None:
    stems = noise(4, 2, 3000)
    gains = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        out = augment(stems.copy(), RATE, only(gain_sd_db=4.0, swap=0.5, polarity=0.5), rng)
        for before, after in zip(stems, out, strict=True):
            swapped = abs(np.corrcoef(before[0], after[1])[0, 1]) > 0.5
            gain = (after[:, 7] / (before[::-1, 7] if swapped else before[:, 7]))[0]
            assert np.allclose(after, (before[::-1] if swapped else before) * gain, atol=1e-6)
            gains.append((swapped, gain < 0, 20 * np.log10(abs(gain))))
    swapped_, negative, gain_db = np.array(gains).T
    assert 0.42 < swapped_.mean() < 0.58
    assert 0.42 < negative.mean() < 0.58
    assert 3.3 < gain_db.std() < 4.5
    assert abs(gain_db.mean()) < 0.6
    (mono,) = augment(stems[:1].copy(), RATE, only(mono=1.0), np.random.default_rng(0))
    assert np.allclose(mono, stems[0].mean(axis=0), atol=1e-6)
    (wide,) = augment(stems[:1].copy(), RATE, only(width=1.0), np.random.default_rng(1))
    assert np.allclose(wide.sum(axis=0), stems[0].sum(axis=0), atol=1e-6)
    assert not np.allclose(wide[0] - wide[1], stems[0, 0] - stems[0, 1], atol=1e-3)


def test_never_all_stems_are_dropped() -> None:
    stems = noise(4, 2, 50)
    stems[1] = 0.0  # silent from the beginning does not count as kept
    left = []
    for seed in range(300):
        out = augment(stems.copy(), RATE, only(drop=0.7), np.random.default_rng(seed))
        audible = out.any(axis=(1, 2))
        assert np.array_equal(out[audible], stems[audible])
        left.append(int(audible.sum()))
    assert set(left) == {1, 2, 3}


def test_silences_are_faded_sections() -> None:
    stems = np.ones((1, 2, 8000), np.float32)
    for seed in range(40):
        (out,) = augment(stems.copy(), RATE, only(silence=1.0), np.random.default_rng(seed))
        assert 0.1 < (out[0] == 0.0).mean() < 0.76
        assert np.abs(np.diff(out[0])).max() < 0.02
        assert np.array_equal(out[0], out[1])
    tiny = augment(np.ones((1, 1, 8), np.float32), RATE, only(silence=1.0), np.random.default_rng(0))
    assert tiny.shape == (1, 1, 8)


def test_the_stems_of_a_clipped_mix_add_up_to_it() -> None:
    stems = noise(4, 2, 5000)
    mix = stems.sum(axis=0)
    out = augment(stems.copy(), RATE, only(clip=1.0), np.random.default_rng(0))
    limited = out.sum(axis=0)
    order = np.argsort(mix, axis=None)
    assert (np.diff(limited.reshape(-1)[order]) > -1e-5).all()  # one bent curve for all samples
    assert np.abs(limited).max() < 0.95 * np.abs(mix).max()
    ratio = out[0] / stems[0]
    assert np.allclose(out[2], stems[2] * ratio, atol=1e-5)
    assert not augment(np.zeros((4, 2, 9), np.float32), RATE, only(clip=1.0), np.random.default_rng(0)).any()


def test_the_level_of_the_mix_is_drawn_evenly() -> None:
    stems = noise(2, 2, 500)
    gains = []
    for seed in range(200):
        out = augment(stems.copy(), RATE, only(level_db=(-30.0, 6.0)), np.random.default_rng(seed))
        gain = out[0, 0, 0] / stems[0, 0, 0]
        assert np.allclose(out, stems * gain, rtol=1e-4)
        gains.append(20 * np.log10(gain))
    assert -30.0 <= min(gains) < -27.0
    assert 3.0 < max(gains) <= 6.0
    assert abs(np.mean(gains) + 12.0) < 2.5


def test_a_codec_takes_details_and_keeps_time_and_level() -> None:
    audio = np.stack(list(signals.song(2.0, 44100).values()))
    audio[1] = 0.0
    out = augment(audio.copy(), 44100, only(codec=1.0), np.random.default_rng(0))
    assert out.shape == audio.shape
    assert not out[1].any()
    error = np.square(out - audio).sum() / np.square(audio).sum()
    assert 1e-6 < error < 0.1
    odd = noise(1, 2, 3000)  # a rate that MP3 does not know passes
    assert np.array_equal(augment(odd.copy(), 8192, only(codec=1.0), np.random.default_rng(0)), odd)


def test_no_augmentation_changes_nothing() -> None:
    stems = noise(4, 2, 500)
    assert np.array_equal(augment(stems.copy(), RATE, Augment.none(), np.random.default_rng(0)), stems)
    with pytest.raises(ArgumentValueError, match="drop is a probability"):
        Augment(drop=1.5)
    with pytest.raises(ArgumentValueError, match="remix"):
        Augment(remix=(0.3, 2.0, 10))
