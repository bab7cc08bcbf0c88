"""What lies between the bridge and Ardour: the script, requests to it, links to stems, a region's audio."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from stembridge.bridge.daws.ardour_clips import one_file, sources_of
from stembridge.bridge.daws.ardour_imports import import_request
from stembridge.bridge.daws.ardour_script import Links, Requests, find_slot, install
from stembridge.bridge.daws.link import ImportedStem, StemImport
from stembridge.bridge.hub import Refusal


@pytest.fixture(autouse=True)
def nobodys_ardour(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Ardour of whoever runs the tests is given a script."""
    for name in ("HOME", "XDG_CONFIG_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path_factory.mktemp("home")))


def config(folder: Path, name: str, scripts: str | None = None) -> Path:
    """An Ardour's configuration, with what it notes of its Script Manager."""
    made = folder / name
    made.mkdir()
    if scripts is not None:
        packed = base64.b64encode(scripts.encode()).decode()
        (made / "ui_scripts").write_text(
            f'<UIScripts>\n  <ActionScript lua="Lua 5.3">{packed}</ActionScript></UIScripts>'
        )
    return made


def slots(**names: str) -> str:
    return "scripts = {} " + " ".join(
        f'scripts[{slot[1:]}] = {{}} scripts[{slot[1:]}]["s"] = "..." scripts[{slot[1:]}]["n"] = "{name}"'
        for slot, name in names.items()
    )


# The script.


def test_the_script_goes_to_every_ardour_and_knows_our_folder(tmp_path: Path) -> None:
    ours = tmp_path / 'a "folder"'
    configs = [config(tmp_path, "ardour7"), config(tmp_path, "ardour8")]
    places = install(ours, configs)
    assert places == [folder / "scripts" / "stembridge.lua" for folder in configs]
    text = places[0].read_text()
    assert 'a \\"folder\\""' in text
    assert "@FOLDER@" not in text
    assert (ours / "requests.lua").read_text().startswith("-- Carries out")
    before = places[0].stat().st_mtime_ns
    assert install(ours, []) == []
    install(ours, configs)
    assert places[0].stat().st_mtime_ns == before
    places[0].write_text("an older one")
    install(ours, configs)
    assert places[0].read_text() == text


def test_the_slot_is_that_of_the_ardour_that_was_used_last(tmp_path: Path) -> None:
    old = config(tmp_path, "ardour7", slots(_1="Mixer Screenshot", _3="Stembridge"))
    new = config(tmp_path, "ardour8", slots(_1="Mixer Screenshot", _12="Stembridge"))
    os.utime(old / "ui_scripts", (1, 1))
    assert find_slot([old, new]) == 12
    assert find_slot([old]) == 3


@pytest.mark.parametrize("scripts", [None, "", slots(_1="Mixer Screenshot", _2="My Stembridge")])
def test_without_our_script_there_is_no_slot(tmp_path: Path, scripts: str | None) -> None:
    assert find_slot([config(tmp_path, "ardour7", scripts)]) is None


def test_notes_that_are_none_count_as_none(tmp_path: Path) -> None:
    folder = config(tmp_path, "ardour7")
    (folder / "ui_scripts").write_bytes(b"<ActionScript>\xff\x00!</ActionScript>")
    assert find_slot([folder]) is None


# Requests.


def answering(folder: Path, *lines: str, number: str | None = None) -> None:
    """Take a request as the script does, and answer it."""
    (folder / "request").rename(folder / "taken")
    asked = (folder / "taken").read_text().splitlines()[0].split("\t")[1]
    (folder / "answer.part").write_text("\n".join([f"id\t{number or asked}", *lines]) + "\n")
    (folder / "answer.part").rename(folder / "answer")


def test_an_answer_comes_as_its_lines(tmp_path: Path) -> None:
    requests = Requests(
        tmp_path, lambda slot: answering(tmp_path, f"slot\t{slot}", "track\ta b"), lambda: True, slot=5
    )
    assert asyncio.run(requests.ask(("action", "import"))) == [("slot", "5"), ("track", "a b")]
    assert {path.name for path in tmp_path.iterdir()} == {"requests.lua"}


def test_what_the_script_refuses_is_refused(tmp_path: Path) -> None:
    requests = Requests(
        tmp_path, lambda _: answering(tmp_path, "refused\tbusy\tit records"), lambda: True, slot=5
    )
    with pytest.raises(Refusal, match="it records") as refused:
        asyncio.run(requests.ask(("action", "import")))
    assert refused.value.code == "busy"


def test_an_older_answer_is_none(tmp_path: Path) -> None:
    requests = Requests(
        tmp_path, lambda _: answering(tmp_path, number="0"), lambda: True, slot=5, answered_s=0.2
    )
    with pytest.raises(Refusal, match="did not answer within"):
        asyncio.run(requests.ask(("action", "selected")))
    assert {path.name for path in tmp_path.iterdir()} == {"requests.lua"}


def test_an_ardour_that_ends_meanwhile_is_not_waited_for(tmp_path: Path) -> None:
    requests = Requests(tmp_path, lambda _: None, lambda: False, slot=5, taken_s=600)
    with pytest.raises(Refusal, match="does not answer") as refused:
        asyncio.run(requests.ask(("action", "selected")))
    assert refused.value.code == "daw_offline"
    assert not (tmp_path / "request").exists()


def test_a_name_that_would_break_the_lines_is_refused(tmp_path: Path) -> None:
    requests = Requests(tmp_path, lambda _: None, lambda: True, slot=5)
    with pytest.raises(Refusal, match="line's end"):
        asyncio.run(requests.ask(("track", "vocals", "/music/a\nb.wav")))


# Imports.


def test_stems_go_under_the_names_of_their_tracks(tmp_path: Path) -> None:
    song = tmp_path / "Song.flac"
    manifest = tmp_path / "Song.stems.json"
    source = {"path": str(song), "sample_rate": 48000, "frames": 96000}
    manifest.write_text(json.dumps({"source": source}))
    stem = tmp_path / "stem.wav"
    stem.write_bytes(b"audio")
    links = Links(tmp_path / "exchange")
    names = ["vocals - Song", "drums - A/B: \n?"]
    job = StemImport(1, manifest, [ImportedStem(n.split()[0], stem, n) for n in names], 24000, 6.0)
    lines = import_request(job, links, tmp_path / "clips")
    said = {line[0]: line[1:] for line in lines}
    assert said["start_s"] == ("0.500000000",)
    assert float(said["gain"][0]) == pytest.approx(1.995262, abs=1e-6)
    assert said["song"] == (str(song),)
    assert said["name"] == ("Song", "2.000000000")
    paths = [Path(line[2]) for line in lines if line[0] == "track"]
    assert [path.name for path in paths] == ["vocals - Song.wav", "drums - A_B_ __.wav"]
    assert all(path.read_bytes() == b"audio" for path in paths)
    links.clear()
    assert not any(path.exists() for path in paths)
    assert stem.read_bytes() == b"audio"


def test_without_a_manifest_stems_lie_where_their_frames_say(tmp_path: Path) -> None:
    stem = tmp_path / "vocals.wav"
    stem.write_bytes(b"audio")
    job = StemImport(1, tmp_path / "none.json", [ImportedStem("vocals", stem, "vocals")], 44100)
    lines = import_request(job, Links(tmp_path / "exchange"), tmp_path / "clips")
    assert ("start_s", "1.000000000") in lines
    assert not any(line[0] in ("song", "name") for line in lines)


def test_a_stem_that_is_gone_is_an_error(tmp_path: Path) -> None:
    job = StemImport(1, tmp_path / "none.json", [ImportedStem("vocals", tmp_path / "no.wav", "vocals")])
    with pytest.raises(FileNotFoundError):
        import_request(job, Links(tmp_path / "exchange"), tmp_path / "clips")


# A region's audio.


def test_the_channels_that_ardour_keeps_apart_become_one_file(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    channels = [random.uniform(-1, 1, 100_000).astype("float32") for _ in range(2)]
    sources = []
    for name, channel in zip(("Song%L.wav", "Song%R.wav"), channels, strict=True):
        soundfile.write(tmp_path / name, channel, 48000, "FLOAT")
        sources.append(tmp_path / name)
    clips = tmp_path / "clips"
    made = one_file(sources, clips)
    assert made.name == "Song.wav"
    heard, rate = soundfile.read(made, dtype="float32")
    assert rate == 48000
    assert np.array_equal(heard.T, np.stack(channels))
    assert sources_of(made, clips) == sources
    assert sources_of(sources[0], clips) == []
    before = made.stat().st_mtime_ns
    assert one_file(sources, clips) == made
    assert made.stat().st_mtime_ns == before  # asked again, it is there
    soundfile.write(sources[0], channels[1], 48000, "FLOAT")
    os.utime(sources[0], (time.time() + 5, time.time() + 5))
    assert one_file(sources, clips) != made  # another recording is another file


def test_a_file_that_holds_all_channels_is_left_as_it_is(tmp_path: Path) -> None:
    song = tmp_path / "Song.flac"
    assert one_file([song, song], tmp_path / "clips") == song
    assert not (tmp_path / "clips").exists()


def test_clips_that_nobody_asked_for_in_weeks_are_dropped(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    made = []
    for name in "ab":
        sources = [tmp_path / f"{name}%{side}.wav" for side in "LR"]
        for source in sources:
            soundfile.write(source, np.zeros(10), 44100)
        made.append(one_file(sources, clips))
        if name == "a":
            os.utime(made[0].parent, (time.time() - 20 * 86_400,) * 2)
    assert not made[0].exists()
    assert made[1].exists()
