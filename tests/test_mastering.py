"""`master` from the library: what the files sound like, measured on them as they lie there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pedalboard
import peers
import pytest
import signals
import soundfile
from mastered import chain, measured, numbers, run, sound, write_song
from stembridge.model.audio import OutputFormat
from stembridge.model.errors import (
    ArgumentValueError,
    AudioFileError,
    AudioFileNotFoundError,
    PluginError,
)
from stembridge.model.manifest import read_manifest
from stembridge.model.mastering import MasterSpec, plan_master
from stembridge.model.mixer import MixerState
from stembridge.model.plugins.chain_spec import ChainSpec, PluginSpec
from stembridge.model.rendering import Version
from stembridge.model.stem_cache import StemCache


def test_nothing_asked_for_is_the_very_samples(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav")
    result = run(MasterSpec(song, tmp_path / "out", format=OutputFormat("wav", "16")))
    assert np.array_equal(
        soundfile.read(song, dtype="int16")[0], soundfile.read(tmp_path / "out/song.wav", dtype="int16")[0]
    )
    assert numbers(result) == []
    assert result.before is not None
    assert result.after is not None
    assert result.before.lufs == result.after.lufs


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 2), (96000, 2), (192000, 1)])
def test_no_file_loses_a_bit_in_floats(tmp_path: Path, subtype: str, rate: int, channels: int) -> None:
    song = write_song(tmp_path / "song.wav", 0.7, rate, channels, subtype=subtype)
    run(MasterSpec(song, tmp_path / "out"))
    assert np.array_equal(sound(song), sound(tmp_path / "out/song.wav"))
    assert soundfile.info(tmp_path / "out/song.wav").samplerate == rate


@pytest.mark.parametrize(
    ("container", "depth"),
    [
        ("wav", "16"),
        ("wav", "24"),
        ("wav", "32f"),
        ("flac", "16"),
        ("aiff", "24"),
        ("mp3", "32f"),
        ("ogg", "32f"),
    ],
)
def test_loudness_and_ceiling_hold_in_the_file_as_written(tmp_path: Path, container: Any, depth: Any) -> None:
    song = write_song(tmp_path / "song.wav")
    spec = MasterSpec(song, tmp_path / "out", lufs=-9.0, format=OutputFormat(container, depth))
    result = run(spec)
    found = measured(tmp_path / f"out/song.{container}")
    assert found.integrated_lufs == pytest.approx(-9.0, abs=0.1)
    assert found.true_peak_dbtp <= -1.0 + 1e-6
    assert result.after is not None
    assert result.after.lufs == pytest.approx(found.integrated_lufs, abs=1e-3)
    assert result.figures["holds"] is True
    assert result.figures["reached"] is True
    assert 2001 in numbers(result)


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (22050, 2), (48000, 1), (96000, 2), (192000, 2)])
def test_at_any_rate_mono_and_stereo(tmp_path: Path, rate: int, channels: int) -> None:
    song = write_song(tmp_path / "song.wav", 2.0, rate, channels)
    run(MasterSpec(song, tmp_path / "out", lufs=-14.0, true_peak=-4.0))
    found = measured(tmp_path / "out/song.wav")
    info = soundfile.info(tmp_path / "out/song.wav")
    assert (info.samplerate, info.channels, info.frames) == (rate, channels, soundfile.info(song).frames)
    assert found.integrated_lufs == pytest.approx(-14.0, abs=0.1)
    assert found.true_peak_dbtp <= -4.0


@pytest.mark.parametrize(("rate", "to"), [(44100, 48000), (96000, 44100), (48000, 8000)])
def test_the_rate_is_changed_before_the_limiter(tmp_path: Path, rate: int, to: int) -> None:
    """What resampling makes of peaks is limited too."""
    song = write_song(tmp_path / "song.wav", 2.0, rate, level=1.0)
    result = run(MasterSpec(song, tmp_path / "out", sample_rate=to, format=OutputFormat("wav", "16")))
    info = soundfile.info(tmp_path / "out/song.wav")
    assert (info.samplerate, info.frames) == (to, 2 * to)
    assert measured(tmp_path / "out/song.wav").true_peak_dbtp <= -1.0
    assert 2003 in numbers(result)


def test_without_a_target_loudness_is_left_alone(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav", level=0.05)
    result = run(MasterSpec(song, tmp_path / "out", treatment=chain("Gain", gain_db=3.0)))
    assert result.before is not None
    assert result.after is not None
    assert result.before.lufs is not None
    assert result.after.lufs == pytest.approx(result.before.lufs + 3.0, abs=0.01)
    np.testing.assert_allclose(sound(tmp_path / "out/song.wav"), sound(song) * 10 ** (3 / 20), atol=1e-6)


def test_a_chain_is_pedalboards_own_sound(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav")
    settings = {"threshold_db": -24.0, "ratio": 3.0}
    run(MasterSpec(song, tmp_path / "out", treatment=chain("Compressor", **settings), true_peak=None))
    wanted = pedalboard.Compressor(**settings)(sound(song), 44100)
    np.testing.assert_allclose(sound(tmp_path / "out/song.wav"), wanted, atol=1e-6)


def test_a_vst3_with_latency_stays_in_place_and_blends(tmp_path: Path) -> None:
    """ZaMaximX2 reports 480 frames; below its threshold it changes nothing, so any blend is the song."""
    entry = PluginSpec(file=peers.vst3("ZaMaximX2"), parameters={"threshold_db": 0.0})
    treatment = Version(mix_chain=ChainSpec((entry,)))
    song = write_song(tmp_path / "song.wav", level=0.3)
    for amount in (1.0, 0.5):
        spec = MasterSpec(song, tmp_path / f"out{amount}", treatment=treatment, mix_amount=amount)
        run(spec)
        np.testing.assert_allclose(sound(tmp_path / f"out{amount}/song.wav"), sound(song), atol=1e-4)


def test_a_missing_plugin_is_told_before_any_work(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav")
    treatment = Version(mix_chain=ChainSpec((PluginSpec(file="NoSuchThing.vst3"),)))
    with pytest.raises(PluginError, match=r"NoSuchThing\.vst3"):
        run(MasterSpec(song, tmp_path / "out", treatment=treatment))
    assert not (tmp_path / "out").exists()


def test_dry_and_wet_are_parts_of_one(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav", level=0.2)
    wet = chain("HighShelfFilter", cutoff_frequency_hz=3000.0, gain_db=6.0)
    made = {}
    for amount in (0.0, 0.25, 1.0):
        run(MasterSpec(song, tmp_path / f"{amount}", treatment=wet, mix_amount=amount))
        made[amount] = sound(tmp_path / f"{amount}" / "song.wav").astype(np.float64)
    assert np.array_equal(made[0.0], sound(song))
    np.testing.assert_allclose(made[0.25], 0.75 * made[0.0] + 0.25 * made[1.0], atol=1e-6)


def test_stems_are_treated_and_summed_by_the_remix_law(tmp_path: Path) -> None:
    """A gain on one stem is that stem's share of the mix, no more and no less."""
    song = write_song(tmp_path / "song.wav", level=0.2)
    quiet = Version(chains={"vocals": ChainSpec((PluginSpec("Gain", parameters={"gain_db": -6.0}),))})
    by_fader = Version(mixer=MixerState(gains_db={"vocals": -6.0}))
    cache = StemCache(tmp_path / "cache", 1 << 30)
    for name, treatment in (("chain", quiet), ("fader", by_fader)):
        run(MasterSpec(song, tmp_path / name, model="classic", treatment=treatment), cache)
    np.testing.assert_allclose(
        sound(tmp_path / "chain/song.wav"), sound(tmp_path / "fader/song.wav"), atol=1e-5
    )
    assert np.abs(sound(tmp_path / "chain/song.wav") - sound(song)).max() > 0.01
    again = run(MasterSpec(song, tmp_path / "again", model="classic", treatment=quiet), cache)
    assert 1003 in numbers(again)


def test_stems_that_exist_need_no_separator(tmp_path: Path) -> None:
    stems = signals.song(2.0)
    for name, stem in stems.items():
        (tmp_path / "stems").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "stems" / f"{name}.wav", 0.2 * stem.T, 44100, subtype="FLOAT")
    mix = 0.2 * np.sum(list(stems.values()), axis=0)
    soundfile.write(tmp_path / "song.wav", mix.T, 44100, subtype="FLOAT")
    muted = Version(mixer=MixerState(mutes=frozenset({"drums"})))
    spec = MasterSpec(tmp_path / "song.wav", tmp_path / "out", stems_from=tmp_path / "stems", treatment=muted)
    run(spec)
    np.testing.assert_allclose(sound(tmp_path / "out/song.wav"), mix - 0.2 * stems["drums"], atol=1e-5)


def test_how_it_is_limited_is_said(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav")
    gentle = run(MasterSpec(song, tmp_path / "a", lufs=-11.0))
    hard = run(MasterSpec(song, tmp_path / "b", lufs=-7.5))
    assert 0 < gentle.figures["reduction_db"] < 6
    assert {2001, 2002} <= set(numbers(gentle))
    assert hard.figures["reduction_db"] > 6
    assert 3002 in numbers(hard)
    assert any(text.startswith("M3002") for text in hard.warnings)
    assert not gentle.warnings


def test_a_loudness_that_cannot_be_is_said_and_not_forced(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav")
    result = run(MasterSpec(song, tmp_path / "out", lufs=-0.5))
    assert 3001 in numbers(result)
    assert result.figures["reached"] is False
    found = measured(tmp_path / "out/song.wav")
    assert found.true_peak_dbtp <= -1.0
    assert -12 < found.integrated_lufs < -1
    assert result.figures["gain_db"] < 30


def test_silence_stays_silence(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", np.zeros((44100, 2)), 44100)
    result = run(MasterSpec(tmp_path / "song.wav", tmp_path / "out", lufs=-14.0, preview=True))
    assert not sound(tmp_path / "out/song.wav").any()
    assert 3004 in numbers(result)


@pytest.mark.parametrize("frames", [0, 1, 300])
def test_next_to_nothing(tmp_path: Path, frames: int) -> None:
    soundfile.write(tmp_path / "song.wav", np.full((frames, 2), 0.25), 44100)
    treatment = chain("Compressor")
    run(MasterSpec(tmp_path / "song.wav", tmp_path / "out", lufs=-14.0, treatment=treatment, drawn=True))
    assert sound(tmp_path / "out/song.wav").shape == (2, frames)


def test_no_ceiling_clips_and_says_so(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav")
    spec = MasterSpec(song, tmp_path / "out", lufs=-6.0, true_peak=None, format=OutputFormat("wav", "16"))
    result = run(spec)
    assert 3005 in numbers(result)
    assert np.abs(soundfile.read(tmp_path / "out/song.wav", dtype="int16")[0].astype(int)).max() == 32768
    floats = run(replace(spec, out=tmp_path / "f", format=OutputFormat()))
    assert 3005 not in numbers(floats)
    assert measured(tmp_path / "f/song.wav").integrated_lufs == pytest.approx(-6.0, abs=0.05)


def test_a_hot_lossy_or_damaged_song_is_remarked_on(tmp_path: Path) -> None:
    loud = np.clip(8 * np.sum(list(signals.song(2.0).values()), axis=0), -1, 1)
    soundfile.write(tmp_path / "hot.wav", loud.T, 44100)
    soundfile.write(tmp_path / "lossy.mp3", 0.2 * loud.T, 44100)
    assert 2101 in numbers(run(MasterSpec(tmp_path / "hot.wav", tmp_path / "out")))
    assert 2102 in numbers(run(MasterSpec(tmp_path / "lossy.mp3", tmp_path / "out")))


def test_previews_are_the_loudest_part_equally_loud(tmp_path: Path) -> None:
    mix = np.sum(list(signals.song(50.0, 8000).values()), axis=0)
    mix[:, : 15 * 8000] *= 0.1
    soundfile.write(tmp_path / "song.wav", 0.3 * mix.T, 8000)
    spec = MasterSpec(tmp_path / "song.wav", tmp_path / "out", lufs=-9.0, preview=True, sample_rate=16000)
    result = run(spec)
    before, after = (tmp_path / f"out/song - preview {n}.wav" for n in ("A (before)", "B (after)"))
    assert [Path(entry.file).name for entry in result.files] == ["song.wav", before.name, after.name]
    assert soundfile.info(before).frames == soundfile.info(after).frames == 30 * 16000
    loudness = [measured(path).integrated_lufs for path in (before, after)]
    assert loudness[0] == pytest.approx(loudness[1], abs=0.1)
    start = result.files[1].start_frame
    assert start >= 15 * 8000 - 4000
    # A is the song as it came: the same wave, up to one gain.
    there = sound(before)[0, 8000:-8000:2]
    came = 0.3 * mix[0, start + 4000 : start + 4000 + there.size]
    gain = float(there @ came / (came @ came))
    assert np.sum((there - gain * came) ** 2) < 0.02 * np.sum(there**2)  # but for the end of the band


def test_tags_stay_but_what_became_false(tmp_path: Path) -> None:
    from stembridge.model.files.tags import read_tags, write_tags

    mix = np.sum(list(signals.song(1.0).values()), axis=0)
    soundfile.write(tmp_path / "song.flac", 0.3 * mix.T, 44100)
    write_tags(
        tmp_path / "song.flac",
        {"title": ("Song",), "artist": ("Some One",), "replaygain_track_gain": ("-3 dB",)},
    )
    run(MasterSpec(tmp_path / "song.flac", tmp_path / "out", format=OutputFormat("flac", "24")))
    tags = read_tags(tmp_path / "out/song.flac")
    assert tags["title"] == ("Song",)
    assert tags["artist"] == ("Some One",)
    assert "replaygain_track_gain" not in tags


def test_the_manifest_says_what_was_done(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav")
    run(MasterSpec(song, tmp_path / "out", lufs=-9.0, treatment=chain("Gain", gain_db=1.0)))
    manifest = read_manifest(tmp_path / "out/song.stems.json")
    assert manifest is not None
    (entry,) = manifest.files
    assert (entry.kind, entry.file, entry.gain_db) == ("master", "song.wav", 0.0)
    assert entry.lufs == pytest.approx(-9.0, abs=0.1)
    figures = manifest.renders[0].parameters["master"]
    assert figures["lufs"] == -9.0
    assert figures["gain_db"] > 0
    assert manifest.renders[0].parameters["versions"][0]["chains"]["mix"][0]["plugin"] == "Gain"


def test_the_plan_knows_what_will_be_written(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav")
    spec = MasterSpec(song, tmp_path / "out", filename="{foldername}/{track} [{stem}].{ext}", preview=True)
    plan = plan_master(replace(spec, format=OutputFormat("flac", "16")))
    folder = tmp_path / "out" / tmp_path.name
    assert plan.path == folder / "song [master].flac"
    assert plan.paths[1].name == "song [master] - preview A (before).flac"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"lufs": 3.0}, "-70 to 0 LUFS"),
        ({"lufs": float("nan")}, "-70 to 0 LUFS"),
        ({"true_peak": 1.0}, "-40 to 0 dBTP"),
        ({"mix_amount": 1.5}, "0 .dry. to 1"),
        ({"release_ms": 1.0}, "5 to 5000 ms"),
        ({"sample_rate": 4000}, "8000 and 192000"),
        ({"filename": "{track}.wav"}, "needs {ext}"),
        ({"filename": "{nothing}.{ext}"}, "no variable {nothing}"),
        ({"filename": "../{track}.{ext}"}, "stays under"),
        ({"treatment": Version(submixes={"beat": ("drums",)})}, "submixes are for render"),
    ],
)
def test_what_cannot_be_is_refused_at_once(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ArgumentValueError, match=text):
        MasterSpec(Path("song.wav"), **settings)


def test_bad_songs_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("no sound")
    with pytest.raises(AudioFileError, match=r"bad\.wav"):
        run(MasterSpec(tmp_path / "bad.wav", tmp_path / "out"))
    with pytest.raises(AudioFileNotFoundError):
        run(MasterSpec(tmp_path / "none.wav", tmp_path / "out"))
    song = write_song(tmp_path / "song.wav", 1.0, 96000)
    with pytest.raises(ArgumentValueError, match="MP3 has no 96000 Hz"):
        run(MasterSpec(song, tmp_path / "out", format=OutputFormat("mp3")))
