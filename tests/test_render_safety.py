"""What a render does when something goes wrong at the worst moment, and what its manifest then says."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rendered import SECONDS, classic_spec, files, read, run, write_song
from stembridge.model.audio import BitDepth, OutputFormat
from stembridge.model.errors import AudioFileError, DiskFullError, OutputError, VerificationError
from stembridge.model.files.encoder import AudioWriter
from stembridge.model.mixer import MixerState
from stembridge.model.rendering import Version, render
from stembridge.model.rendering.output_file import OutputFile, scaled_frames
from stembridge.model.stem_cache import StemCache
from stembridge.model.units import Time


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write_song(tmp_path / "Song.wav")


def test_later_renders_keep_what_earlier_ones_listed(song: Path, tmp_path: Path) -> None:
    run(classic_spec(song, tmp_path / "out"))
    quieter = Version("quiet", MixerState(gains_db={"drums": -6.0}))
    run(classic_spec(song, tmp_path / "out", versions=(quieter,)))
    manifest = json.loads((tmp_path / "out/classic/Song/Song.stems.json").read_text())
    assert [entry["stem"] for entry in manifest["files"]] == ["drums", "bass", "other", "vocals", "quiet"]
    stems, quiet = manifest["renders"]
    assert [entry["render"] for entry in manifest["files"]] == 4 * [stems["id"]] + [quiet["id"]]
    assert stems["null_db"] < -120
    assert quiet["null_db"] is None
    assert quiet["parameters"]["versions"][0]["mixer"]["gains_db"] == {"drums": -6.0}


def test_a_selection_shares_the_manifest_of_the_whole(song: Path, tmp_path: Path) -> None:
    spec = classic_spec(song, tmp_path / "out", filename="{stem}/{track}.{ext}")
    run(spec)
    assert run(replace(spec, stems=("vocals",))).skipped
    run(replace(spec, stems=("vocals",), residual="spread"))
    assert not run(spec).skipped


def test_songs_of_one_name_keep_manifests_of_their_own(tmp_path: Path) -> None:
    songs = [
        write_song(tmp_path / album / "01.wav", level=level) for album, level in (("A", 1.0), ("B", 0.5))
    ]
    template = "{foldername} {track} {stem}.{ext}"
    for _ in range(2):
        results = [run(classic_spec(song, tmp_path / "out", filename=template)) for song in songs]
    assert [result.skipped for result in results] == [True, True]
    assert [result.plan.manifest_path.name for result in results] == ["A 01.stems.json", "B 01.stems.json"]


@pytest.mark.parametrize("published", [0, 2])
def test_killed_between_the_files_and_the_manifest(
    song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: int
) -> None:
    spec = classic_spec(song, tmp_path / "out")
    run(spec)
    before = sounds(tmp_path / "out")
    publish, calls = OutputFile.publish, iter(range(10))

    def killed(file: OutputFile) -> None:
        if next(calls) >= published:
            raise KeyboardInterrupt
        publish(file)

    monkeypatch.setattr(OutputFile, "publish", killed)
    with pytest.raises(KeyboardInterrupt):
        run(replace(spec, residual="spread"))
    monkeypatch.undo()
    # What is there is neither taken for up to date nor for somebody else's.
    assert not run(spec).skipped
    assert sounds(tmp_path / "out") == before


def sounds(folder: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in files(folder).items() if name.endswith(".wav")}


def test_a_file_that_appears_meanwhile_is_not_replaced(song: Path, tmp_path: Path) -> None:
    target = tmp_path / "out/classic/Song/Song - bass.wav"
    with pytest.raises(OutputError, match="appeared since"):  # noqa: PT012
        for progress in render(classic_spec(song, tmp_path / "out")):
            if progress.stage == "separate":
                target.write_text("mine")
    assert files(tmp_path / "out") == {"classic/Song/Song - bass.wav": target}
    assert target.read_text() == "mine"


def test_a_song_that_changes_meanwhile_is_refused_and_not_cached(song: Path, tmp_path: Path) -> None:
    cache = StemCache(tmp_path / "cache")
    with pytest.raises(AudioFileError, match="changed while"):  # noqa: PT012
        for progress in render(classic_spec(song, tmp_path / "out"), cache=cache):
            if progress.stage == "separate":
                os.utime(song, ns=(1, 1))
    assert not files(tmp_path / "out")
    assert cache.count() == 0


def test_a_render_does_not_touch_the_temporary_files_of_another(song: Path, tmp_path: Path) -> None:
    other = write_song(tmp_path / "Song.live.wav")
    spec = classic_spec(other, tmp_path / "out", filename="{track}.{stem}.{ext}")
    steps = render(spec)
    while next(steps).stage != "separate":
        pass
    run(replace(spec, source=song))
    assert list(steps)[-1].result is not None


def test_a_disk_that_fills_as_a_file_is_closed_ends_the_render(
    song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: AudioWriter) -> None:
        raise DiskFullError("no room")

    monkeypatch.setattr(AudioWriter, "close", full)
    with pytest.raises(DiskFullError):
        run(classic_spec(song, tmp_path / "out"))
    assert not files(tmp_path / "out")


def test_a_separator_that_loses_frames_is_found_out(
    song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = OutputFile.write
    monkeypatch.setattr(OutputFile, "write", lambda file, audio: feed(file, audio[:, 1:]))
    with pytest.raises(VerificationError, match="should have 88200 frames"):
        run(classic_spec(song, tmp_path / "out"))
    assert not files(tmp_path / "out")


def test_a_file_that_reads_back_wrong_is_never_published(
    song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = OutputFile.finish

    def spoilt(file: OutputFile) -> None:
        finish(file)
        data = bytearray(file.part.read_bytes())
        data[-4:] = np.float32(7.0).tobytes()
        file.part.write_bytes(data)

    monkeypatch.setattr(OutputFile, "finish", spoilt)
    with pytest.raises(VerificationError, match="peak"):
        run(classic_spec(song, tmp_path / "out", stems=("drums",)))
    assert not files(tmp_path / "out")


@pytest.mark.parametrize("rate", [48000, 22050, 96000])
@pytest.mark.parametrize("bit_depth", ["16", "32f"])
def test_a_region_at_another_rate_is_the_slice_of_the_whole(
    song: Path, tmp_path: Path, rate: int, bit_depth: BitDepth
) -> None:
    fmt = OutputFormat("wav", bit_depth)  # dithered: the noise must be the whole song's, too
    base = classic_spec(song, tmp_path / "whole", sample_rate=rate, stems=("drums",), format=fmt)
    whole = run(base)
    start, end = 20_001, 60_000
    part = run(replace(base, out=tmp_path / "part", start=Time(samples=start), end=Time(samples=end)))
    long = read(tmp_path / "whole/classic/Song" / whole.files[0].file)
    short = read(tmp_path / "part/classic/Song" / part.files[0].file)
    first = scaled_frames(start, 44100, rate)
    assert np.array_equal(short, long[:, first : first + short.shape[1]])


def test_names_as_long_as_the_system_allows(tmp_path: Path) -> None:
    song = write_song(tmp_path / ("x" * 230 + ".wav"))
    result = run(classic_spec(song, tmp_path / "out", stems=("drums",)))
    assert result.files[0].frames == round(SECONDS * 44100)


def test_a_tail_until_silence_keeps_the_songs_length_at_another_rate(song: Path, tmp_path: Path) -> None:
    samples = soundfile.read(song)[0][:44_099]
    samples[30_000:] = 0.0
    soundfile.write(song, samples, 44100, subtype="PCM_16")
    spec = classic_spec(song, tmp_path / "free", stems=("drums",), sample_rate=48000, tail="until-silent")
    assert run(spec).files[0].frames == scaled_frames(44_099, 44100, 48000) == 47_999
