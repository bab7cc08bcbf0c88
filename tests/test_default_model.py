"""The networks as they are shipped, with their real weights: renders, streams, and what they can hear."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import separating
import signals
import soundfile
from rendered import files, read, run
from stembridge.model import StemSeparator, registry
from stembridge.model.audio import Audio
from stembridge.model.checkpoint import read_header
from stembridge.model.rendering import RenderSpec
from stembridge.model.synth.formant_voice import Tract, invent_phrase
from stembridge.model.synth.score import Note
from stembridge.model.synth.singing import Singers
from stembridge.model.units import Time

RATE = 44100
SHIPPED = [name for name in registry.NETWORKS if (registry.WEIGHTS / f"{name}.safetensors").is_file()]

# SDR in dB on the multitrack below, as measured with the weights as they lie here. The same weights give the
# same on any machine; others may win on one stem what they lose on another, but not more than the margin.
SDR_DB = {
    "band-mixer": {"drums": 3.0, "bass": 14.9, "other": 8.9, "vocals": 7.4},
    "live": {"drums": 2.0, "bass": 14.6, "other": 4.7, "vocals": 4.5},
    "unet": {"vocals": 4.2},
    "cnn-blstm": {"bass": 7.9, "other": 4.4, "vocals": 4.9},
    "parallel-encoder": {"bass": 7.2, "vocals": 3.2},
}
MARGIN_DB = 3.0
"""Vocals that are silent everywhere, which is 0 dB, would be further off."""


def write_song(path: Path, seconds: float, rate: int = RATE, channels: int = 2) -> Path:
    soundfile.write(path, separating.song(seconds, rate, channels).T, rate, subtype="FLOAT")
    return path


def stems_in(folder: Path) -> dict[str, Path]:
    return {name: path for name, path in files(folder).items() if path.suffix == ".wav"}


def check_null(song: Path, stems: list[Path]) -> None:
    """As long as the song, each of them something, and together the song."""
    mix, sounds = read(song), [read(stem) for stem in stems]
    assert {sound.shape for sound in sounds} == {mix.shape}
    assert all(sound.any() for sound in sounds)
    assert 10 * np.log10(np.sum((mix - sum(sounds)) ** 2) / np.sum(mix**2)) < -120


@pytest.fixture(scope="module")
def multitrack(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Audio]:
    """Six seconds of the made-up song, sung by an invented singer rather than by a buzz."""
    bank = tmp_path_factory.mktemp("bank")
    (folder := bank / "tracks/festival-lp_diphone").mkdir(parents=True)
    rng = np.random.default_rng([0, 19])
    invent_phrase(Tract.invent(rng), 8, rng).save(folder / "de-00000.npz")
    melody = [
        Note(0.2 + 0.5 * k, 0.48, pitch, 0.8)
        for k, pitch in enumerate((60, 62, 64, 67, 65, 64, 62, 60, 64, 67, 72))
    ]
    voice = Singers(bank, "train").sing(melody, 6 * RATE, np.random.default_rng(2))
    return {**signals.song(6.0), "vocals": np.repeat(0.12 / voice.std() * voice, 2, axis=0)}


@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (48000, 1)])
def test_a_render_without_a_model_named(tmp_path: Path, rate: int, channels: int) -> None:
    song = write_song(tmp_path / "Song.wav", 3.0, rate, channels)
    result = run(RenderSpec(song, tmp_path / "out"))
    folder = tmp_path / "out" / registry.DEFAULT / "Song"
    stems = [folder / f"Song - {stem}.wav" for stem in ("drums", "bass", "other", "vocals")]
    assert [folder / entry.file for entry in result.files] == stems
    check_null(song, stems)
    text = (folder / "Song.stems.json").read_text()
    (record,) = json.loads(text)["renders"]
    weights = registry.WEIGHTS / f"{registry.DEFAULT}.safetensors"
    assert record["model"]["name"] == registry.DEFAULT
    assert record["model"]["weights_sha256"] == read_header(weights).sha256
    assert '"default"' not in text


def test_processes_threads_and_turns_change_no_byte(tmp_path: Path) -> None:
    songs = [write_song(tmp_path / "a.wav", 2.0), write_song(tmp_path / "b.wav", 1.5, 48000)]
    for out in ("once", "twice"):
        for song in songs:
            run(RenderSpec(song, tmp_path / out))
    command = [sys.executable, "-m", "stembridge.bridge", "render", "a.wav", "b.wav"]
    done = subprocess.run(
        [*command, "-o", "batch", "-j", "2", "--no-cache"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "3", "STEMBRIDGE_CONFIG": str(tmp_path / "none.toml")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    once = stems_in(tmp_path / "once")
    assert len(once) == 8
    for other in ("twice", "batch"):
        assert {name: path.read_bytes() for name, path in stems_in(tmp_path / other).items()} == {
            name: path.read_bytes() for name, path in once.items()
        }


def test_a_region_is_the_slice_of_the_whole(tmp_path: Path) -> None:
    start, end = round(6.1 * RATE), round(6.5 * RATE)
    separator = registry.create_separator("default", RATE, 2)
    assert start > separator.context_frames + separator.grid, "it must not reach back to the song's start"
    song = write_song(tmp_path / "Song.wav", 12.0)
    assert end + separator.context_frames < 12 * RATE, "nor on to its end"
    whole = run(RenderSpec(song, tmp_path / "whole"))
    part = run(RenderSpec(song, tmp_path / "part", start=Time(samples=start), end=Time(samples=end)))
    for a, b in zip(whole.files, part.files, strict=True):
        long, short = (
            read(result.plan.manifest_path.parent / entry.file) for result, entry in ((whole, a), (part, b))
        )
        assert np.array_equal(short, long[:, start:end])


def test_the_effect_at_unity_is_the_input_as_late_as_it_says() -> None:
    effect = StemSeparator()
    assert effect.model == registry.DEFAULT
    latency = effect.reported_latency_samples
    assert latency / RATE == pytest.approx(registry.separator_entry("default").latency_s, abs=0.001)
    mix = separating.song(latency / RATE + 1.0)
    assert np.array_equal(effect(mix, RATE), mix)
    fed, parts = 0, []
    for size in signals.cuts(mix.shape[1], seed=3, largest=60_000):
        parts.append(effect.process_planar(mix[:, fed : fed + size], RATE, reset=False))
        fed += size
        assert sum(part.shape[1] for part in parts) == max(0, fed - latency)
    assert np.array_equal(np.concatenate([*parts, effect.flush()], axis=1), mix)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_network_renders_and_repeats_itself(tmp_path: Path, name: str) -> None:
    song = write_song(tmp_path / "Song.wav", 2.0)
    folders = [tmp_path / out for out in ("once", "twice")]
    for folder in folders:
        run(RenderSpec(song, folder, model=name))
    once, twice = (stems_in(folder) for folder in folders)
    entry = registry.separator_entry(name)
    assert set(once) == {f"{name}/Song/Song - {stem}.wav" for stem in entry.stems}
    check_null(song, list(once.values()))
    assert [path.read_bytes() for path in once.values()] == [path.read_bytes() for path in twice.values()]


@pytest.mark.parametrize("name", SHIPPED)
def test_nothing_and_silence_come_back_as_they_are(name: str) -> None:
    separating.check_edges(lambda rate, channels: registry.create_separator(name, rate, channels), RATE, 2)


@pytest.mark.parametrize("name", SHIPPED)
def test_stems_come_closer_to_the_truth_than_the_mix_does(multitrack: dict[str, Audio], name: str) -> None:
    mix = separating.mix_of(multitrack)
    stems = StemSeparator(name).stems(mix, RATE)
    for stem, expected in SDR_DB[name].items():
        found = -separating.error_db(multitrack[stem], stems[stem])
        assert found > expected - MARGIN_DB, stem
        assert found > -separating.error_db(multitrack[stem], mix) + 3, stem
