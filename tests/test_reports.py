"""Reports: what they measure, and pages that stand by themselves."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import rendered
import signals
from mastered import chain, run, write_song
from stembridge.model.dsp.third_octaves import BAND_CENTRES_HZ, ThirdOctaves
from stembridge.model.errors import (
    ArgumentTypeError,
    AudioFileError,
    DiskFullError,
    OutputError,
    PluginTimeoutError,
    StembridgeError,
)
from stembridge.model.mastering import MasterSpec
from stembridge.model.reports.messages import MEANINGS, Message, error_message
from stembridge.model.reports.sheet import Sheet, failed_sheet, master_sheet, render_sheet, survey_file
from stembridge.model.reports.survey import POINTS, Survey, Surveyor
from stembridge.model.reports.writer import ReportWriter, write_report


class Page(HTMLParser):
    """Reads a page, complains of tags that do not close, keeps what it would fetch."""

    VOID = frozenset({"meta", "line", "path", "polygon", "polyline"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.seen: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def surveyed(audio: np.ndarray, rate: int = 44100, cuts: list[int] | None = None) -> Survey:
    surveyor = Surveyor(rate, audio.shape[0])
    at = 0
    for size in cuts or [audio.shape[1]]:
        surveyor.push(audio[:, at : at + size])
        at += size
    return surveyor.finish()


def test_a_survey_does_not_depend_on_the_cut() -> None:
    audio = signals.noise(5 * 44100 + 77, 2, 1, 0.4)
    assert surveyed(audio, cuts=signals.cuts(audio.shape[1], 3, 30_000)) == surveyed(audio)


def test_a_survey_of_a_sine() -> None:
    tone = np.tile(np.sin(2 * np.pi * 1000.0 * np.arange(10 * 44100) / 44100), (2, 1)).astype(np.float32)
    found = surveyed(tone)
    assert found.lufs == pytest.approx(0.0, abs=0.1)
    assert found.sample_peak_dbfs == pytest.approx(0.0, abs=0.01)
    band = BAND_CENTRES_HZ.index(1000.0)
    assert found.spectrum_db[band] == pytest.approx(0.0, abs=0.1)
    others = [level for n, level in enumerate(found.spectrum_db) if level is not None and abs(n - band) > 1]
    assert max(others) < -50
    assert found.clipped > 0
    assert surveyed(0.99 * tone).clipped == 0
    assert max(found.highs) == pytest.approx(1.0, abs=1e-3)
    assert min(found.lows) == pytest.approx(-1.0, abs=1e-3)


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
def test_white_noise_grows_a_decibel_per_third_octave(rate: int) -> None:
    bands = ThirdOctaves(rate, 1)
    bands.push(signals.noise(20 * rate, 1, 2, 0.1))
    levels = [level for level in bands.finish() if level is not None]
    steps = np.diff(levels[5:-1])
    assert steps.mean() == pytest.approx(1.0, abs=0.15)
    assert BAND_CENTRES_HZ[len(levels) - 1] < rate / 2
    total = 10 * math.log10(sum(10 ** (level / 10) for level in levels))
    heard = min(1.0, 22_400 / (rate / 2))  # what the bands cover of it
    assert total == pytest.approx(20 * math.log10(0.1) + 10 * math.log10(2 * heard), abs=0.5)


def test_a_waveform_of_hours_keeps_its_size() -> None:
    surveyor = Surveyor(8000, 1)
    block = signals.noise(8000 * 60, 1, 0, 0.1)
    for minute in range(60):
        surveyor.push(block * (1.0 + 0.02 * minute))
    found = surveyor.finish()
    assert POINTS / 2 <= len(found.lows) <= 2 * POINTS
    assert len(found.momentary) <= POINTS
    assert len(found.short_term) <= POINTS
    assert found.highs[-1] > found.highs[0]


def test_silence_has_no_levels() -> None:
    found = surveyed(np.zeros((2, 44100), np.float32))
    assert (found.lufs, found.true_peak_dbtp, found.clipped) == (None, None, 0)
    assert set(found.spectrum_db) == {None}
    assert surveyed(np.zeros((2, 0), np.float32)).frames == 0


def test_messages_have_numbers_of_the_table() -> None:
    assert str(Message(3001, "too loud")) == "M3001 too loud"
    assert Message(3001, "x").worth_a_line
    assert not Message(2001, "x").worth_a_line
    with pytest.raises(ArgumentTypeError, match="1234"):
        Message(1234, "x")
    for error, number in (
        (AudioFileError("x"), 4001), (DiskFullError("x"), 4003), (PluginTimeoutError("x"), 4005),
        (OutputError("x"), 4010), (StembridgeError("x"), 4010),
    ):  # fmt: skip
        assert error_message(error).number == number
    assert all(1000 < number < 5000 for number in MEANINGS)


@pytest.fixture(scope="module")
def sheet(tmp_path_factory: pytest.TempPathFactory) -> Sheet:
    folder = tmp_path_factory.mktemp("song")
    song = write_song(folder / "a <b> & 'c'.wav")
    spec = MasterSpec(
        song,
        folder / "out",
        lufs=-8.0,
        drawn=True,
        preview=True,
        treatment=chain("Compressor", threshold_db=-20.0, ratio=2.0),
    )
    return master_sheet(run(spec))


def test_a_masters_sheet_says_everything(sheet: Sheet) -> None:
    plain = json.loads(json.dumps(sheet.to_json(), allow_nan=False))
    assert plain["schema"] == 1
    assert plain["status"] == "done"
    assert plain["before"]["lufs"] < plain["made"][0]["survey"]["lufs"] == pytest.approx(-8.0, abs=0.1)
    assert plain["made"][0]["survey"]["true_peak_dbtp"] <= -1.0
    assert plain["chain"] == [
        {"line": "mix", "plugin": "Compressor", "parameters": {"threshold_db": -20.0, "ratio": 2.0}}
    ]
    assert {message["number"] for message in plain["messages"]} >= {2001}
    assert all(message["meaning"] for message in plain["messages"])
    assert {"treat", "level", "write", "preview"} <= set(plain["timings"])
    assert len(plain["made"]) == 3
    for key in ("momentary", "short_term", "spectrum_db", "lows", "highs"):
        assert plain["before"][key]
        assert plain["made"][0]["survey"][key]


def test_one_page_stands_by_itself(sheet: Sheet, tmp_path: Path) -> None:
    write_report(tmp_path / "r.html", [sheet])
    text = (tmp_path / "r.html").read_text()
    page = Page(text)
    assert page.links == []
    assert "script" not in page.seen
    assert not re.search(r"https?:|url\(|@import", text)
    assert page.seen.count("svg") == 3
    assert "prefers-color-scheme" in text
    assert "@media print" in text
    said = " ".join(page.words)
    assert "a <b> & 'c'.wav" in said
    for word in ("LUFS", "LRA", "true peak", "clipped", "Compressor", "threshold_db = -20", "M2001", "treat"):
        assert word in said
    data = json.loads((tmp_path / "r.json").read_text())
    assert [song["source"] for song in data["songs"]] == [sheet.source]


def test_data_alone(sheet: Sheet, tmp_path: Path) -> None:
    write_report(tmp_path / "deep/er/r.json", [sheet, sheet])
    assert [path.name for path in (tmp_path / "deep/er").iterdir()] == ["r.json"]
    assert len(json.loads((tmp_path / "deep/er/r.json").read_text())["songs"]) == 2


def test_a_folder_has_a_page_per_song_and_one_of_all(sheet: Sheet, tmp_path: Path) -> None:
    bad = failed_sheet("master", "songs/bad.wav", AudioFileError("bad.wav: it is <damaged>"))
    upper = replace(sheet, source=sheet.source.upper())
    index = replace(bad, source="x/index.wav")
    with ReportWriter(tmp_path / "r") as report:
        for one in (sheet, upper, bad, index):
            report.add(one)
        assert (tmp_path / "r/bad.html").is_file()  # as soon as it is done
        assert not (tmp_path / "r/index.html").exists()
    report.close()
    page = Page((tmp_path / "r/index.html").read_text())
    assert len(page.links) == 4
    names = {path.name for path in (tmp_path / "r").iterdir()}
    assert len(names) == 10
    assert "bad.html" in names
    assert "index (2).html" in names
    assert "M4001 bad.wav: it is <damaged>" in " ".join(page.words)
    rows = json.loads((tmp_path / "r/index.json").read_text())["songs"]
    assert [row["status"] for row in rows] == ["done", "done", "failed", "failed"]
    assert rows[0]["lufs_after"] == pytest.approx(-8.0, abs=0.1)
    assert not [name for name in names if name.endswith(".part")]


def test_several_songs_on_one_page(sheet: Sheet, tmp_path: Path) -> None:
    bad = failed_sheet("master", "songs/bad.wav", AudioFileError("bad.wav: damaged"))
    write_report(tmp_path / "r.html", [sheet, bad], "My album")
    page = Page((tmp_path / "r.html").read_text())
    assert page.seen.count("article") == 3
    assert "2 songs: 1 done, 1 failed" in " ".join(page.words)
    assert "My album" in page.words


def test_a_report_of_nothing_is_a_report(tmp_path: Path) -> None:
    write_report(tmp_path / "r.html", [])
    assert "0 songs" in " ".join(Page((tmp_path / "r.html").read_text()).words)


def test_a_place_that_cannot_be_written_is_told(sheet: Sheet, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        write_report(tmp_path / "file/r.html", [sheet])


def test_renders_have_reports_too(tmp_path: Path) -> None:
    song = rendered.write_song(tmp_path / "song.wav")
    result = rendered.run(rendered.classic_spec(song, tmp_path / "out"))
    files = [result.plan.manifest_path.parent / entry.file for entry in result.files]
    found = render_sheet(result.plan.manifest_path, files, seconds=1.5)
    assert [made.name for made in found.made] == ["drums", "bass", "other", "vocals"]
    assert found.figures["null_db"] == pytest.approx(result.null_db, abs=0.01)
    assert found.before == survey_file(song)
    assert found.after is None
    write_report(tmp_path / "r.html", [found])
    page = Page((tmp_path / "r.html").read_text())
    assert page.seen.count("svg") == 3
    assert "stems null against the song" in " ".join(page.words)


def test_a_skipped_master_is_read_for_its_report(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav", 1.0)
    spec = MasterSpec(song, tmp_path / "out", drawn=True)
    first, again = master_sheet(run(spec)), master_sheet(run(spec))
    assert again.status == "skipped"
    assert again.before == first.before
    assert again.after == first.after
