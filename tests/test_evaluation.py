"""`stembridge evaluate`: what is scored against what, as it renders, and how it is told."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from multitracks import RATE, STEMS, four_stems, noise, sdr_db, write_song
from stembridge.bridge.cli import UsageError, evaluate
from stembridge.model.errors import ArgumentValueError, AudioFileError, StembridgeError
from stembridge.model.evaluation.evaluation import SongScore, Task, evaluate_song
from stembridge.model.evaluation.runs import run_all
from stembridge.model.evaluation.songs import SongReader, true_parts
from stembridge.model.evaluation.summary import Failure, Results
from stembridge.model.evaluation.tables import markdown
from stembridge.model.registry import create_separator
from stembridge.model.separation import StemStream
from stembridge.model.training.tracks import Track, find_tracks
from stembridge.model.units import parse_time


def test_the_mix_is_the_sum_or_the_file(tmp_path: Path) -> None:
    stems = four_stems(1.0)
    track = write_song(tmp_path / "one", stems)
    with SongReader(track) as song:
        mix, files = song.read(10**6)
        assert song.info.frames == RATE
        assert np.array_equal(mix, files.sum(axis=0))
        song.seek(5000)
        assert np.array_equal(song.read(100)[0], mix[:, 5000:5100])
    louder = write_song(tmp_path / "two", stems | {"mixture": np.sum(list(stems.values()), axis=0) / 2})
    with SongReader(louder) as song:
        assert song.has_mixture
        assert not np.allclose(song.read(1000)[0], mix[:, :1000], atol=1e-3)


def test_songs_of_mono_and_short_stems(tmp_path: Path) -> None:
    stems = four_stems(1.0)
    stems["vocals"] = stems["vocals"][:1, :3000]
    with SongReader(write_song(tmp_path / "one", stems)) as song:
        _, files = song.read(10**6)
        vocals = files[song.names.index("vocals")]
        assert np.array_equal(vocals[0], vocals[1])
        assert not vocals[:, 3000:].any()
    write_song(tmp_path / "two", stems)
    soundfile.write(tmp_path / "two" / "bass.wav", stems["bass"].T, 2 * RATE)
    with pytest.raises(AudioFileError, match="one sample rate"):
        SongReader(find_tracks(tmp_path / "two")[0])


def test_which_files_a_stem_is_held_against(tmp_path: Path) -> None:
    stems = four_stems(0.1)
    track = write_song(tmp_path / "one", stems)
    assert true_parts(track, "accompaniment", ("accompaniment", "vocals")) == ("drums", "bass", "other")
    assert true_parts(track, "harmonic", ("harmonic", "percussive")) == ("bass", "other", "vocals")
    assert true_parts(track, "percussive", ("harmonic", "percussive")) == ("drums",)
    del stems["bass"]
    unknown = write_song(tmp_path / "two", stems)
    assert true_parts(unknown, "bass", STEMS) == ()
    assert true_parts(unknown, "accompaniment", ("accompaniment", "vocals")) == ()


def score(track: Track, model: str, folder: Path, **options: Any) -> SongScore:
    return evaluate_song(Task(track, model, **options), folder)


def test_a_separator_is_scored_as_it_renders(tmp_path: Path) -> None:
    stems = four_stems()
    track = write_song(tmp_path / "song", stems)
    with SongReader(track) as song:
        mix, files = song.read(10**6)
        truth = dict(zip(song.names, files, strict=True))
    stream = StemStream(create_separator("classic", RATE, 2))
    blocks = [stream.push(mix), stream.flush()]
    rendered = np.concatenate([block.stems for block in blocks], axis=2)
    result = score(track, "classic", tmp_path, bss=False)
    for name, estimate in zip(stream.stems, rendered, strict=True):
        assert result.stems[name].plain.sdr_db == pytest.approx(sdr_db(truth[name], estimate), abs=1e-3)
    rest = sdr_db(mix - truth["vocals"], mix - rendered[stream.stems.index("vocals")])
    assert result.stems["accompaniment"].plain.sdr_db == pytest.approx(rest, abs=1e-3)
    assert result.costs is not None
    assert result.costs.audio_s == pytest.approx(3.0)
    assert result.costs.cpu_s > 0


def test_a_region_is_scored_as_in_the_whole_song(tmp_path: Path) -> None:
    track = write_song(tmp_path / "song", four_stems())
    with SongReader(track) as song:
        mix, files = song.read(10**6)
    stream = StemStream(create_separator("hpss", RATE, 2))
    blocks = [stream.push(mix), stream.flush()]
    rendered = np.concatenate([block.stems for block in blocks], axis=2)[:, :, RATE : 2 * RATE]
    drums = files[list(track.files).index("drums")][:, RATE : 2 * RATE]
    result = score(track, "hpss", tmp_path, start=parse_time("1"), seconds=1.0, bss=False)
    assert result.seconds == 1.0
    percussive = rendered[stream.stems.index("percussive")]
    assert result.stems["percussive"].plain.sdr_db == pytest.approx(sdr_db(drums, percussive), abs=1e-4)
    with pytest.raises(ArgumentValueError, match="region"):
        score(track, "hpss", tmp_path, start=parse_time("1:00"))


def test_yardsticks(tmp_path: Path) -> None:
    stems = four_stems()
    track = write_song(tmp_path / "song", stems)
    mix = np.sum(list(stems.values()), axis=0)
    whole, quarter, ratio, binary = (
        score(track, model, tmp_path, bss=False)
        for model in ("mixture", "mixture/4", "oracle IRM", "oracle IBM")
    )
    for name in STEMS:
        assert whole.stems[name].plain.sdr_db == pytest.approx(sdr_db(stems[name], mix), abs=0.01)
        assert quarter.stems[name].plain.sdr_db == pytest.approx(sdr_db(stems[name], mix / 4), abs=0.01)
    rest = mix - stems["vocals"]
    assert whole.stems["accompaniment"].plain.sdr_db == pytest.approx(sdr_db(rest, mix), abs=0.01)
    classic = score(track, "classic", tmp_path, bss=False)
    averages = [
        np.mean([one.stems[name].plain.sdr_db or 0.0 for name in STEMS])
        for one in (whole, quarter, classic, binary, ratio)
    ]
    assert min(averages[3:]) > max(averages[:3]) + 3
    assert whole.costs is None


def test_unknown_and_silent_stems_are_left_out(tmp_path: Path) -> None:
    stems = four_stems()
    del stems["bass"]
    stems["vocals"][:] = 0
    result = score(write_song(tmp_path / "song", stems), "classic", tmp_path)
    assert set(result.stems) == {"drums", "other", "vocals"}
    assert result.stems["vocals"].plain.silent
    assert result.stems["vocals"].bss is None
    assert result.stems["drums"].bss is not None
    assert result.stems["vocals"].facts()["estimate_db"] < 0
    text = markdown(Results((result,), (Failure("repet", "so|ng", "bad_file", "damaged"),)))
    assert "BSSEval v4" in text
    assert "| vocals | classic | silent |" in text
    assert "repet on so\\|ng: damaged" in text


def test_each_measurement_has_a_process_and_its_own_failure(tmp_path: Path) -> None:
    good = write_song(tmp_path / "good", four_stems())
    bad = write_song(tmp_path / "bad", four_stems())
    next((tmp_path / "bad").glob("*")).write_bytes(b"no audio at all")
    tasks = [Task(bad, "classic", bss=False), Task(good, "classic", bss=False)]
    news = {event.task: event.news for event in run_all(tasks, jobs=2)}
    assert isinstance(news[0], StembridgeError)
    assert news[0].code == "bad_file"
    here = score(good, "classic", tmp_path, bss=False)
    assert isinstance(news[1], SongScore)
    assert news[1].stems == here.stems


def command(*arguments: object) -> int:
    """Run `stembridge evaluate` here."""
    parser = argparse.ArgumentParser()
    evaluate.configure(parser)
    return evaluate.run(parser.parse_intermixed_args([str(argument) for argument in arguments]))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_song(tmp_path / "songs" / "one", four_stems(1.5))
    out = tmp_path / "out"
    code = command(
        tmp_path / "songs", "-n", "classic", "--baselines", "--no-bss", "-j", 2,
        "--json", out / "all.json", "--markdown", out / "all.md", "--plots", out,
    )  # fmt: skip
    assert code == 0
    facts = json.loads((out / "all.json").read_text())
    assert list(facts["summary"]) == ["mixture", "mixture/4", "repet", "classic"]
    assert facts["summary"]["classic"]["costs"]["speed"] > 0
    sdr = facts["songs"][0]["stems"]["vocals"]["sdr_db"]
    table = (out / "all.md").read_text()
    assert f"{sdr:.2f}" in table
    assert sorted(path.name for path in out.glob("*.png")) == [
        "one - classic.png", "one - mixture.png", "one - mixture_4.png", "one - repet.png"
    ]  # fmt: skip
    assert capsys.readouterr().out == ""


def test_the_command_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    write_song(tmp_path / "songs" / "voice", {"vocals": noise(2, 4000)})
    with pytest.raises(UsageError, match="did you mean classic"):
        command(tmp_path, "-n", "clasic")
    with pytest.raises(UsageError, match="no song with two stems"):
        command(tmp_path, "-n", "classic")
    with pytest.raises(UsageError, match="without --end"):
        command(tmp_path, "--end", "3", "--seconds", "2")
