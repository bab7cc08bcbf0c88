"""One song through the whole pipeline: what lands on disk, and what is left when it goes wrong."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import peers
import pytest
import signals
import soundfile
from rendered import SECONDS, classic_spec, files, read, run, write_song
from stembridge.model.audio import OutputFormat
from stembridge.model.errors import (
    ArgumentValueError,
    AudioFileError,
    AudioFileNotFoundError,
    DiskFullError,
    OutputError,
    PluginError,
)
from stembridge.model.mixer import MixerState
from stembridge.model.plugins.chain_spec import ChainSpec, PluginSpec
from stembridge.model.rendering import RenderSpec, Version, plan_render, render
from stembridge.model.residual import RESIDUAL_POLICIES, ResidualPolicy
from stembridge.model.stem_cache import StemCache
from stembridge.model.units import Time


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write_song(tmp_path / "Song.wav")


def test_four_stems_land_beside_their_manifest(song: Path, tmp_path: Path) -> None:
    result = run(classic_spec(song, tmp_path / "out"))
    names = [
        "Song - bass.wav",
        "Song - drums.wav",
        "Song - other.wav",
        "Song - vocals.wav",
        "Song.stems.json",
    ]
    assert list(files(tmp_path / "out")) == [f"classic/Song/{name}" for name in names]
    manifest = json.loads((tmp_path / "out/classic/Song/Song.stems.json").read_text())
    (record,) = manifest["renders"]
    assert record["model"]["name"] == "classic"
    assert {entry["render"] for entry in manifest["files"]} == {record["id"]}
    assert [entry["stem"] for entry in manifest["files"]] == ["drums", "bass", "other", "vocals"]
    for entry in manifest["files"]:
        info = soundfile.info(tmp_path / "out/classic/Song" / entry["file"])
        assert (info.samplerate, info.channels, info.frames) == (44100, 2, round(SECONDS * 44100))
        assert (entry["sample_rate"], entry["channels"], entry["frames"]) == (44100, 2, info.frames)
    assert result.null_db is not None
    assert result.null_db < -120
    assert record["null_db"] == round(result.null_db, 2)


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2])
def test_stems_null_against_the_song(tmp_path: Path, rate: int, channels: int) -> None:
    song = write_song(tmp_path / "Song.flac", rate, channels, "PCM_24")
    mix = read(song)
    for fmt, floor in ((OutputFormat("wav", "32f"), -120.0), (OutputFormat("flac", "24"), None)):
        result = run(classic_spec(song, tmp_path / fmt.container, format=fmt))
        stems = [read(tmp_path / fmt.container / f"classic/Song/{entry.file}") for entry in result.files]
        error = mix - sum(stems)
        assert stems[0].shape == mix.shape
        depth = 10 * np.log10(np.sum(error**2) / np.sum(mix**2))
        assert result.null_db == pytest.approx(depth, abs=0.01)
        if floor is not None:
            assert depth < floor
        else:
            # Four roundings with triangular dither: each adds (1/12 + 1/6) LSB^2, and no more.
            noise = 4 * (1 / 12 + 1 / 6) * (2.0**-23) ** 2
            assert np.mean(error**2) < 1.1 * noise


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_a_mix_at_unity_is_the_source_bit_for_bit(tmp_path: Path, subtype: str) -> None:
    song = write_song(tmp_path / "Song.wav", subtype=subtype)
    fmt = OutputFormat("wav", "16" if subtype == "PCM_16" else "24")
    run(classic_spec(song, tmp_path / "out", versions=(Version(mix=True),), format=fmt))
    source = soundfile.read(song, dtype="int32")[0]
    mix = soundfile.read(tmp_path / "out/classic/Song/Song - mix.wav", dtype="int32")[0]
    assert np.array_equal(source, mix)


def test_a_master_that_would_clip_gets_one_common_gain(song: Path, tmp_path: Path) -> None:
    # Stems of a loud master overshoot it and cancel each other: here a stem is 5 times the song.
    mix = soundfile.read(song)[0]
    (tmp_path / "stems").mkdir()
    soundfile.write(tmp_path / "stems/drums.wav", 5 * mix, 44100, subtype="FLOAT")
    soundfile.write(tmp_path / "stems/bass.wav", -4 * mix, 44100, subtype="FLOAT")
    spec = RenderSpec(song, tmp_path / "out", stems_from=tmp_path / "stems", format=OutputFormat("wav", "24"))
    folder = Path("stems-from/Song")
    result = run(spec)
    assert result.gain_db < 0
    assert {entry.gain_db for entry in result.files} == {result.gain_db}
    stems = [read(tmp_path / "out" / folder / entry.file) for entry in result.files]
    assert 0.999 < max(np.abs(stem).max() for stem in stems) < 1.0
    error = read(song) - sum(stems) / 10 ** (result.files[0].gain_db / 20)
    depth = 10 * np.log10(np.mean(error**2) / np.mean(read(song) ** 2))
    assert depth < -110
    assert result.null_db == pytest.approx(depth, abs=0.01)
    with pytest.raises(OutputError, match=r"would clip.*--overs gain"):
        run(replace(spec, out=tmp_path / "refused", overs="error"))
    assert not files(tmp_path / "refused")
    clipped = run(replace(spec, out=tmp_path / "clipped", overs="clip"))
    assert clipped.gain_db == 0
    peak = max(np.abs(read(tmp_path / "clipped" / folder / entry.file)).max() for entry in clipped.files)
    assert peak == 1.0
    assert max(entry.peak_db or 0.0 for entry in clipped.files) == 0.0
    assert "samples were clipped" in clipped.warnings[0]
    floats = run(replace(spec, out=tmp_path / "float", format=OutputFormat("wav", "32f")))
    assert floats.gain_db == 0
    assert floats.null_db is not None
    assert floats.null_db < -120


def test_a_region_is_the_slice_of_the_whole(song: Path, tmp_path: Path) -> None:
    whole = run(classic_spec(song, tmp_path / "whole"))
    region = run(classic_spec(song, tmp_path / "part", start=Time(samples=30_001), end=Time(samples=61_003)))
    for a, b in zip(whole.files, region.files, strict=True):
        assert "@30001s-61003s" in b.file
        assert b.start_frame == 30_001
        long = read(tmp_path / "whole/classic/Song" / a.file)
        assert np.array_equal(read(tmp_path / "part/classic/Song" / b.file), long[:, 30_001:61_003])


def test_a_chain_runs_from_the_start_of_the_song_unless_told_otherwise(song: Path, tmp_path: Path) -> None:
    chain = ChainSpec((PluginSpec(plugin="Reverb", parameters={"room_size": 0.9, "wet_level": 0.8}),))
    version = Version(chains={"drums": chain}, mix_chain=ChainSpec((PluginSpec(plugin="Chorus"),)), mix=True)
    base = classic_spec(song, tmp_path / "whole", stems=("drums",), versions=(version,))
    whole = run(base)
    part = replace(base, out=tmp_path / "same", start=Time(samples=44_100), end=Time(samples=70_000))
    same = run(part)
    short = run(replace(part, out=tmp_path / "short", preroll_s=0.1))
    for a, b, c in zip(whole.files, same.files, short.files, strict=True):
        expected = read(tmp_path / "whole/classic/Song" / a.file)[:, 44_100:70_000]
        assert np.array_equal(read(tmp_path / "same/classic/Song" / b.file), expected)
        assert not np.array_equal(read(tmp_path / "short/classic/Song" / c.file), expected)


def test_the_mix_beside_the_stems(song: Path, tmp_path: Path) -> None:
    result = run(classic_spec(song, tmp_path, versions=(Version(mix=True),)))
    assert [entry.stem for entry in result.files] == ["drums", "bass", "other", "vocals", "mix"]


def test_paths_may_be_text(song: Path, tmp_path: Path) -> None:
    texts = {"source": str(song), "out": str(tmp_path / "out")}
    spec = RenderSpec(**texts, model="classic", stems=("bass",))  # type: ignore[arg-type]
    assert run(spec).files[0].stem == "bass"


def test_solo_equals_the_export(song: Path, tmp_path: Path) -> None:
    version = Version("solo", MixerState(solos=frozenset({"vocals"})))
    run(classic_spec(song, tmp_path, stems=("vocals",), versions=(version,)))
    mix, stem = (read(tmp_path / f"classic/Song/Song - {name}.wav") for name in ("solo", "vocals"))
    assert np.abs(mix - stem).max() < 1e-6


def test_several_versions_come_from_one_separation(song: Path, tmp_path: Path) -> None:
    versions = (
        Version("karaoke", MixerState(mutes=frozenset({"vocals"}))),
        Version("quiet", MixerState(gains_db={"drums": -20.0}), submixes={"band": ("drums", "bass")}),
    )
    result = run(classic_spec(song, tmp_path, versions=versions))
    assert [entry.stem for entry in result.files] == ["karaoke", "band", "quiet"]
    alone = run(classic_spec(song, tmp_path / "alone", versions=versions[:1]))
    assert np.array_equal(
        read(tmp_path / "classic/Song/Song - karaoke.wav"),
        read(tmp_path / "alone/classic/Song" / alone.files[0].file),
    )


@pytest.mark.parametrize("policy", RESIDUAL_POLICIES)
def test_two_stems_and_the_residual(song: Path, tmp_path: Path, policy: ResidualPolicy) -> None:
    spec = classic_spec(song, tmp_path, two_stems="vocals", residual=policy)
    result = run(spec)
    third = ["residual"] if policy == "file" else []
    assert [entry.stem for entry in result.files] == ["vocals", "no_vocals", *third]
    error = read(song) - sum(read(tmp_path / "classic/Song" / entry.file) for entry in result.files)
    depth = 10 * np.log10(np.sum(error**2) / np.sum(read(song) ** 2))
    if policy == "none":
        assert result.null_db is None
    else:
        assert depth < -120
        assert result.null_db == pytest.approx(depth, abs=0.01)


def test_post_fader_stems_add_up_to_the_mix(song: Path, tmp_path: Path) -> None:
    state = MixerState(
        gains_db={"drums": -9.0, "vocals": 3.0}, pans={"other": 0.5}, mutes=frozenset({"bass"})
    )
    result = run(classic_spec(song, tmp_path, versions=(Version(mixer=state),), post_fader=True))
    sounds = {entry.stem: read(tmp_path / "classic/Song" / entry.file) for entry in result.files}
    mix = sounds.pop("mix")
    assert np.abs(mix - sum(sounds.values())).max() < 1e-6
    assert not sounds["bass"].any()


def test_what_is_there_already_is_not_made_again(song: Path, tmp_path: Path) -> None:
    spec = classic_spec(song, tmp_path / "out")
    first = run(spec)
    stamps = {name: path.stat().st_mtime_ns for name, path in files(tmp_path / "out").items()}
    again = run(spec)
    assert again.skipped
    assert not first.skipped
    assert {name: path.stat().st_mtime_ns for name, path in files(tmp_path / "out").items()} == stamps
    assert not run(replace(spec, residual="spread")).skipped
    write_song(song, level=0.5)
    assert not run(replace(spec, residual="spread")).skipped


def test_stems_that_were_edited_are_safe_and_copied_ones_are_ours(song: Path, tmp_path: Path) -> None:
    spec = classic_spec(song, tmp_path / "out")
    run(spec)
    drums = tmp_path / "out/classic/Song/Song - drums.wav"
    whole = drums.read_bytes()
    for edited in (whole[:-4] + bytes(4), whole[:-4]):
        drums.write_bytes(edited)
        for again in (spec, replace(spec, residual="spread")):
            with pytest.raises(OutputError, match="changed since"):
                run(again)
        assert drums.read_bytes() == edited
    drums.write_bytes(whole)
    os.utime(drums, ns=(1, 1))
    assert run(spec).skipped
    drums.unlink()
    assert not run(spec).skipped
    assert drums.read_bytes() == whole


def test_our_own_stems_are_taken_for_what_they_are(song: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    base = classic_spec(song, out, filename="{track} - {stem}.{ext}")
    plain = run(base)
    run(replace(base, versions=(Version("karaoke", MixerState(mutes=frozenset({"vocals"}))),)))
    run(replace(base, versions=(Version("vocal-up", MixerState(gains_db={"vocals": 3.0})),)))
    run(replace(base, two_stems="bass"))
    run(replace(base, start=Time(samples=10_000), end=Time(samples=20_000)))
    again = run(replace(base, out=tmp_path / "again", model="default", stems_from=out))
    assert [entry.stem for entry in again.files] == ["drums", "bass", "other", "vocals"]
    for before, after in zip(plain.files, again.files, strict=True):
        assert np.abs(read(out / before.file) - read(tmp_path / "again" / after.file)).max() < 1e-6


def test_a_common_gain_and_a_regions_start_are_undone_on_the_way_back(song: Path, tmp_path: Path) -> None:
    mix = soundfile.read(song)[0]
    (tmp_path / "stems").mkdir()
    soundfile.write(tmp_path / "stems/drums.wav", 5 * mix, 44100, subtype="FLOAT")
    soundfile.write(tmp_path / "stems/bass.wav", -4 * mix, 44100, subtype="FLOAT")
    template = "{track} - {stem}.{ext}"
    turned_down = RenderSpec(song, tmp_path / "a", template, stems_from=tmp_path / "stems")
    turned_down = replace(turned_down, format=OutputFormat("wav", "24"), start=Time(samples=20_000))
    assert run(turned_down).gain_db < 0
    result = run(RenderSpec(song, tmp_path / "b", template, stems_from=tmp_path / "a", stems=("drums",)))
    drums = read(tmp_path / "b" / result.files[0].file)
    assert not drums[:, :20_000].any()
    assert np.abs(drums[:, 20_000:] - 5 * mix.T[:, 20_000:]).max() < 1e-5


def test_foreign_files_are_safe_unless_overwrite_is_said(song: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "out/classic/Song/Song - bass.wav"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("mine")
    with pytest.raises(OutputError, match="not written by stembridge, or changed since"):
        run(classic_spec(song, tmp_path / "out"))
    assert list(files(tmp_path / "out")) == ["classic/Song/Song - bass.wav"]
    assert foreign.read_text() == "mine"
    run(classic_spec(song, tmp_path / "out", overwrite=True))
    assert soundfile.info(foreign).frames == round(SECONDS * 44100)


def test_the_source_is_never_an_output(song: Path, tmp_path: Path) -> None:
    spec = classic_spec(song, tmp_path, filename="{stem}.{ext}", versions=(Version("Song"),), overwrite=True)
    with pytest.raises(OutputError, match="the source itself"):
        plan_render(spec)


def test_two_outputs_on_one_path_are_refused_before_any_work(song: Path, tmp_path: Path) -> None:
    for template in (
        "{track}.{ext}",
        "../{stem}.{ext}",
        "/{stem}.{ext}",
        "{stem}-{tempo}.{ext}",
        "{stem.{ext}",
    ):
        with pytest.raises(ArgumentValueError):
            classic_spec(song, tmp_path, filename=template)
    state = MixerState(gains_db={"bass": 1.0})
    with pytest.raises(ArgumentValueError, match="one path"):
        plan_render(classic_spec(song, tmp_path, stems=("bass",), versions=(Version("BASS", state),)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stems": ("vocal",)}, "did you mean 'vocals'"),
        ({"two_stems": "guitar"}, "no stem 'guitar'"),
        ({"sensitivity": {"vocals": 11.0}}, "0 to 10"),
        ({"two_stems": "vocals", "stems": ("drums",)}, "leave one out"),
        ({"preview_s": 0.0}, "holds nothing"),
        ({"model": "repet", "stems_from": Path("stems")}, "leave one out"),
        ({"versions": (Version(mixer=MixerState(gains_db={"drum": 0})),)}, "did you mean 'drums'"),
        ({"start": Time(samples=10**9)}, "is empty"),
        ({"sample_rate": 96000, "format": OutputFormat("mp3")}, "96000"),
        ({"versions": (Version(submixes={"bass": ("drums",)}),)}, "is taken"),
    ],
)
def test_what_does_not_fit_is_said_before_any_work(
    song: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(ArgumentValueError, match=message):
        plan_render(replace(classic_spec(song, tmp_path / "out"), **change))  # type: ignore[arg-type]


def test_a_cancelled_render_leaves_nothing(song: Path, tmp_path: Path) -> None:
    for stage in ("read", "separate", "verify"):
        with closing(render(classic_spec(song, tmp_path / "out"))) as steps:
            for progress in steps:
                if progress.stage == stage:
                    break
        assert not files(tmp_path / "out")


def test_a_failed_render_leaves_nothing_and_keeps_what_was_there(song: Path, tmp_path: Path) -> None:
    run(classic_spec(song, tmp_path / "out"))
    before = {name: path.read_bytes() for name, path in files(tmp_path / "out").items()}
    samples = soundfile.read(song)[0]
    samples[50_000] = np.nan
    soundfile.write(song, samples, 44100, subtype="FLOAT")
    with pytest.raises(AudioFileError, match=r"0:01\.134"):
        run(classic_spec(song, tmp_path / "out"))
    assert {name: path.read_bytes() for name, path in files(tmp_path / "out").items()} == before
    with pytest.raises(AudioFileNotFoundError):
        run(classic_spec(tmp_path / "nothing.wav", tmp_path / "out"))


def test_a_full_disk_is_named_and_leaves_nothing(song: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs is not allowed here")
    try:
        with pytest.raises(DiskFullError, match="4 files need about"):
            run(classic_spec(song, disk))
        # What is written meanwhile by somebody else cannot be foreseen.
        steps = render(classic_spec(song, disk, stems=("bass",)))
        with pytest.raises(DiskFullError, match=r"no room in .*Song - bass\.wav"):  # noqa: PT012
            for progress in steps:
                if progress.stage != "separate":
                    continue
                with contextlib.suppress(OSError), open(disk / "ballast", "ab", buffering=0) as ballast:
                    ballast.write(bytes(4 << 20))
        (disk / "ballast").unlink()
        assert not files(disk)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_read_only_target_is_named(song: Path, tmp_path: Path) -> None:
    target = tmp_path / "ro"
    target.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", target], capture_output=True)
    if mounted.returncode:
        if os.geteuid() == 0:
            pytest.skip("mounting a read-only folder is not allowed here, and root may write anywhere")
        target.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            run(classic_spec(song, target))
    finally:
        if not mounted.returncode:
            subprocess.run(["umount", target], check=True)


def test_the_cache_gives_the_same_bytes_also_for_a_region(song: Path, tmp_path: Path) -> None:
    cache = StemCache(tmp_path / "cache")
    plain = run(classic_spec(song, tmp_path / "a"))
    recorded = run(classic_spec(song, tmp_path / "b"), cache)
    cached = run(classic_spec(song, tmp_path / "c"), cache)
    assert (plain.cached, recorded.cached, cached.cached) == (False, False, True)
    contents = [
        {name: path.read_bytes() for name, path in files(tmp_path / part).items() if path.suffix == ".wav"}
        for part in "abc"
    ]
    assert contents[0] == contents[1] == contents[2]
    part = classic_spec(song, tmp_path / "d", start=Time(samples=12_345), end=Time(samples=50_000))
    run(part)
    assert run(replace(part, out=tmp_path / "e"), cache).cached
    for name, path in files(tmp_path / "d").items():
        if path.suffix == ".wav":
            assert path.read_bytes() == (tmp_path / "e" / name).read_bytes()


def test_stems_that_exist_already_can_be_remixed(song: Path, tmp_path: Path) -> None:
    folder = tmp_path / "multitrack"
    folder.mkdir()
    for name, stem in signals.song(SECONDS).items():
        soundfile.write(folder / f"{name}.wav", stem.T, 44100, subtype="FLOAT")
    result = run(RenderSpec(song, tmp_path / "out", stems_from=folder))
    drums = read(tmp_path / "out/stems-from/Song/Song - drums.wav")
    assert np.abs(drums - signals.song(SECONDS)["drums"]).max() < 1e-6
    assert result.null_db is not None
    assert result.null_db < -120


def test_other_rates_and_lossy_files_keep_the_length(song: Path, tmp_path: Path) -> None:
    peers.require("ffmpeg")
    for fmt, rate in (
        (OutputFormat("mp3"), None),
        (OutputFormat("ogg"), 48000),
        (OutputFormat("aiff", "16"), 22050),
    ):
        result = run(classic_spec(song, tmp_path / fmt.container, format=fmt, sample_rate=rate))
        for entry in result.files:
            assert entry.frames == round(SECONDS * (rate or 44100))
            decoded = subprocess.run(
                ["ffmpeg", "-v", "error", "-i", tmp_path / fmt.container / "classic/Song" / entry.file,
                 "-f", "f32le", "-"], capture_output=True, check=True).stdout  # fmt: skip
            assert len(decoded) // 8 == entry.frames
        assert result.null_db is None


def test_chains_ring_out_as_long_as_asked(song: Path, tmp_path: Path) -> None:
    chain = ChainSpec(
        (PluginSpec(plugin="Delay", parameters={"delay_seconds": 0.5, "feedback": 0.5, "mix": 0.5}),)
    )
    version = Version(mix_chain=chain, mix=True)
    fixed = run(classic_spec(song, tmp_path / "a", versions=(version,), tail=1.5))
    assert fixed.files[0].frames == round((SECONDS + 1.5) * 44100)
    free = run(classic_spec(song, tmp_path / "b", versions=(version,), tail="until-silent"))
    long = read(tmp_path / "b/classic/Song" / free.files[0].file)
    assert free.files[0].frames > fixed.files[0].frames
    assert np.abs(long[:, -200:]).max() > 10 ** (-90 / 20)
    assert np.array_equal(
        long[:, : fixed.files[0].frames], read(tmp_path / "a/classic/Song" / fixed.files[0].file)
    )
    silent = run(classic_spec(song, tmp_path / "c", stems=("drums",), tail="until-silent"))
    assert silent.files[0].frames == round(SECONDS * 44100)


def test_real_plugins_treat_a_stem_and_the_mix(song: Path, tmp_path: Path) -> None:
    limiter = PluginSpec(file=peers.vst3("ZaMaximX2"))
    version = Version("loud", chains={"drums": ChainSpec((limiter,))}, mix_chain=ChainSpec((limiter,)))
    result = run(classic_spec(song, tmp_path, stems=("drums",), versions=(version,)))
    assert [entry.frames for entry in result.files] == [round(SECONDS * 44100)] * 2
    again = run(classic_spec(song, tmp_path / "again", stems=("drums",), versions=(version,)))
    for a, b in zip(result.files, again.files, strict=True):
        assert (tmp_path / "classic/Song" / a.file).read_bytes() == (
            tmp_path / "again/classic/Song" / b.file
        ).read_bytes()


def test_a_missing_plugin_stops_the_render_before_it_starts(song: Path, tmp_path: Path) -> None:
    version = Version("x", mix_chain=ChainSpec((PluginSpec(file="NoSuchPlugin.vst3"),), "x.toml, chain.mix"))
    with pytest.raises(PluginError, match="NoSuchPlugin"):
        run(classic_spec(song, tmp_path / "out", versions=(version,)))
    assert not files(tmp_path / "out")


def test_a_plugin_that_changes_nothing_is_reported(song: Path, tmp_path: Path) -> None:
    chain = ChainSpec((PluginSpec(plugin="Gain", parameters={"gain_db": 0.0}),), "mine.toml, chain.mix")
    result = run(classic_spec(song, tmp_path, versions=(Version("same", mix_chain=chain),)))
    assert result.warnings == ("mine.toml, chain.mix: Gain changes nothing with these settings",)
    (record,) = json.loads((tmp_path / "classic/Song/Song.stems.json").read_text())["renders"]
    assert record["warnings"] == list(result.warnings)
    assert record["parameters"]["versions"][0]["chains"]["mix"][0]["plugin"] == "Gain"


@pytest.mark.parametrize("frames", [0, 1, 2, 100])
def test_the_shortest_songs(tmp_path: Path, frames: int) -> None:
    song = tmp_path / "Short.wav"
    soundfile.write(song, 0.5 * np.ones((frames, 2)), 44100, subtype="PCM_24")
    result = run(classic_spec(song, tmp_path / "out"))
    assert [entry.frames for entry in result.files] == [frames] * 4


def test_silence_in_silence_out(tmp_path: Path) -> None:
    song = tmp_path / "Silence.wav"
    soundfile.write(song, np.zeros((30_000, 2)), 44100, subtype="PCM_16")
    result = run(classic_spec(song, tmp_path / "out", format=OutputFormat("flac", "16")))
    for entry in result.files:
        assert not read(tmp_path / "out/classic/Silence" / entry.file).any()
        assert (entry.peak_db, entry.lufs) == (None, None)


def test_six_channels_stay_six(tmp_path: Path) -> None:
    song = tmp_path / "Surround.wav"
    soundfile.write(song, signals.noise(40_000, 6).T, 48000, subtype="PCM_24")
    result = run(classic_spec(song, tmp_path / "out"))
    assert {entry.channels for entry in result.files} == {6}
    assert result.null_db is not None
    assert result.null_db < -120


def test_names_people_give_their_files(tmp_path: Path) -> None:
    song = write_song(tmp_path / "日本 [x] #1 (Vocals)_ä.WAV")
    result = run(
        classic_spec(
            song, tmp_path / "out put", filename="{sample_rate}/{index:02d} {filename}_{instr}.{codec}"
        )
    )
    assert result.files[0].file == "01 日本 [x] #1 (Vocals)_ä_drums.wav"
    assert (tmp_path / "out put/44100" / result.files[3].file).is_file()


def test_only_the_loudest_part_as_a_preview(tmp_path: Path) -> None:
    audio = signals.noise(6 * 44100, level=0.01)
    audio[:, 3 * 44100 : 4 * 44100] *= 20
    soundfile.write(tmp_path / "Song.wav", audio.T, 44100, subtype="FLOAT")
    plan = plan_render(classic_spec(tmp_path / "Song.wav", tmp_path, preview_s=1.0))
    assert (plan.start, plan.end) == (3 * 44100, 4 * 44100)


SCRIPT = """
import sys
from pathlib import Path
from stembridge.model.rendering import RenderSpec, render
spec = RenderSpec(Path(sys.argv[1]), Path(sys.argv[2]), model="classic", overwrite=len(sys.argv) > 3)
for progress in render(spec):
    print(progress.stage, flush=True)
"""


def test_kill_9_leaves_no_final_file_and_the_next_render_cleans_up(song: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    killed = subprocess.Popen([sys.executable, "-c", SCRIPT, song, out], stdout=subprocess.PIPE, text=True)
    assert killed.stdout is not None
    for line in killed.stdout:
        if line.strip() == "separate":
            break
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    left = files(out)
    assert left
    assert all(Path(name).name.startswith(".") for name in left)
    run(classic_spec(song, out))
    assert not any(Path(name).name.startswith(".") for name in files(out))


def test_two_renders_on_one_target_take_turns(song: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    both = [
        subprocess.Popen([sys.executable, "-c", SCRIPT, song, out], stdout=subprocess.PIPE) for _ in range(2)
    ]
    outputs = [process.communicate()[0].decode().split() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    separated = [output for output in outputs if "separate" in output]
    assert len(separated) == 1
    assert len(files(out)) == 5


def test_time_of_renders_does_not_show_in_the_bytes(song: Path, tmp_path: Path) -> None:
    spec = classic_spec(song, tmp_path / "a", format=OutputFormat("flac", "16"))
    run(spec)
    time.sleep(1.1)  # a clock in a header counts seconds
    run(replace(spec, out=tmp_path / "b"))
    for name, path in files(tmp_path / "a").items():
        if path.suffix == ".flac":
            assert path.read_bytes() == (tmp_path / "b" / name).read_bytes()
