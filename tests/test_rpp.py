"""REAPER projects as text, read back by a parser of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from stembridge.bridge.rpp import STEM_COLOURS, Item, Track, project_text, quoted, stem_tracks, write_project
from stembridge.model.errors import ArgumentValueError, OutputError
from stembridge.model.manifest import FileEntry, Manifest, RenderEntry

RATE = 44_100


@dataclass
class Block:
    """`<NAME values` ... `>`."""

    words: list[str]
    lines: dict[str, list[str]] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    def all(self, name: str) -> list[Block]:
        return [block for block in self.blocks if block.words[0] == name]


def words(line: str) -> list[str]:
    """Words of a line: in one of three quotes, without escapes."""
    found: list[str] = []
    place = 0
    while place < len(line):
        if line[place] == " ":
            place += 1
        elif line[place] in "\"'`":
            end = line.index(line[place], place + 1)
            found.append(line[place + 1 : end])
            place = end + 1
        else:
            end = (line + " ").index(" ", place)
            found.append(line[place:end])
            place = end
    return found


def parsed(text: str) -> Block:
    """A project as blocks; every block is closed, nothing is outside."""
    top = Block([])
    stack = [top]
    for line in text.splitlines():
        stripped = line.strip()
        assert line == "  " * (len(stack) - 1 - (stripped == ">")) + stripped, (
            "indentation follows the blocks"
        )
        if stripped.startswith("|"):
            continue
        if stripped.startswith("<"):
            block = Block(words(stripped[1:]))
            stack[-1].blocks.append(block)
            stack.append(block)
        elif stripped == ">":
            stack.pop()
        else:
            name, *values = words(stripped)
            assert name not in stack[-1].lines, f"{name} twice"
            stack[-1].lines[name] = values
    assert stack == [top]
    [project] = top.blocks
    return project


def test_a_project_says_what_was_asked_for(tmp_path: Path) -> None:
    item = Item(
        tmp_path / "stems" / "v.flac", "vocals - Song", 3.25, 12.000022675736961, 0.5, 0.75, -6.0, True
    )
    track = Track("vocals - Song", [item], (213, 94, 0), -3.0, True)
    project = parsed(project_text([track, Track("empty")], RATE, tmp_path))
    assert project.words[0] == "REAPER_PROJECT"
    assert project.lines["SAMPLERATE"][:2] == [str(RATE), "1"]
    vocals, empty = project.all("TRACK")
    assert vocals.lines["NAME"] == ["vocals - Song"]
    assert vocals.lines["MUTESOLO"][0] == "1"
    assert float(vocals.lines["VOLPAN"][0]) == pytest.approx(10 ** (-3 / 20))
    colour = int(vocals.lines["PEAKCOL"][0])
    assert (colour & 255, colour >> 8 & 255, colour >> 16 & 255, colour >> 24) == (213, 94, 0, 1)
    assert vocals.words[1] == vocals.lines["TRACKID"][0] != empty.words[1]
    assert empty.blocks == []
    assert "PEAKCOL" not in empty.lines
    [found] = vocals.all("ITEM")
    lines = found.lines
    assert float(lines["POSITION"][0]) == pytest.approx(12.000022675736961, abs=1e-13)
    assert (lines["LENGTH"], lines["SOFFS"], lines["PLAYRATE"][:2]) == (["3.25"], ["0.5"], ["0.75", "1"])
    assert (lines["LOOP"], lines["MUTE"][0]) == (["0"], "1")
    assert float(lines["FADEIN"][1]) == float(lines["FADEOUT"][1]) == 0
    assert float(lines["VOLPAN"][2]) == pytest.approx(10 ** (-6 / 20))
    [source] = found.blocks
    assert source.words == ["SOURCE", "FLAC"]
    assert source.lines["FILE"] == [str(Path("stems") / "v.flac")]


@pytest.mark.parametrize(
    "name", ["plain", 'a "b"', "it's", 'a "b" it\'s', "naïve 雪", "two\nlines", "<b> | >", ""]
)
def test_names_of_any_kind_come_back(tmp_path: Path, name: str) -> None:
    project = parsed(project_text([Track(name)], RATE, tmp_path))
    assert project.all("TRACK")[0].lines["NAME"] == [name.replace("\n", " ")]


def test_a_name_with_all_quotes_loses_one_kind() -> None:
    assert words(quoted("a\"b'c`d")) == ["a\"b'c'd"]


def manifest(folder: Path, *kinds: str) -> Manifest:
    source = {"path": str(folder / "Song.wav"), "sample_rate": 48_000, "channels": 2, "frames": 480_000}
    render = RenderEntry("r2", "h", {}, {}, None)
    names = ("vocals", "drums", "guitar")
    files = tuple(
        FileEntry(f"stems/{stem}.wav", "r2", kind, stem, "f", 1, 1, "h", RATE, 2, 88_200, "wav", "16",
                  96_000, -1.5, None, None)
        for stem, kind in zip(names, kinds, strict=False)
    )  # fmt: skip
    old = FileEntry(
        "old.wav", "r1", "stem", "bass", "f", 1, 1, "h", RATE, 2, 9, "wav", "16", 0, 0.0, None, None
    )
    return Manifest(source, (RenderEntry("r1", "h", {}, {}, None), render), (old, *files))


def test_stems_of_a_manifest_lie_where_they_are_in_the_song(tmp_path: Path) -> None:
    tracks = stem_tracks(manifest(tmp_path, "stem", "stem", "mix"), tmp_path)
    assert [track.name for track in tracks] == ["Song", "vocals - Song", "drums - Song"]
    assert tracks[0].items[0].muted
    assert tracks[0].items[0].length_s == 10.0
    vocals = tracks[1]
    assert vocals.colour == STEM_COLOURS["vocals"]
    [item] = vocals.items
    assert (item.position_s, item.length_s, item.gain_db) == (2.0, 2.0, 1.5)
    assert item.path == tmp_path / "stems" / "vocals.wav"
    with pytest.raises(ArgumentValueError, match="render stems first"):
        stem_tracks(manifest(tmp_path, "mix"), tmp_path)


def test_colours_are_those_of_the_scripts() -> None:
    lua = (Path(__file__).parent.parent / "bridge/daws/reaper_scripts/stembridge/place.lua").read_text(
        encoding="utf-8"
    )
    for stem, colour in STEM_COLOURS.items():
        assert f"{stem} = {{ {colour[0]}, {colour[1]}, {colour[2]} }}" in lua


def test_a_project_is_there_whole_and_replaces_only_its_own(tmp_path: Path) -> None:
    path = tmp_path / "out" / "Song.rpp"
    write_project(path, [Track("one")], RATE)
    write_project(path, [Track("two")], RATE)
    assert parsed(path.read_text()).all("TRACK")[0].lines["NAME"] == ["two"]
    assert [file.name for file in path.parent.iterdir()] == ["Song.rpp"]
    assert b"\r\n" in path.read_bytes()
    theirs = tmp_path / "theirs.rpp"
    theirs.write_text("<REAPER_PROJECT 0.1\n>\n")
    with pytest.raises(OutputError, match="not a project of ours"):
        write_project(theirs, [], RATE)
    assert theirs.read_text() == "<REAPER_PROJECT 0.1\n>\n"
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_project(tmp_path / "file" / "Song.rpp", [], RATE)


@pytest.mark.parametrize("wrong", [{"length_s": 0.0}, {"position_s": -1.0}, {"playrate": 0.0}])
def test_impossible_items_are_refused(tmp_path: Path, wrong: dict[str, float]) -> None:
    item = Item(**{"path": tmp_path / "a.wav", "name": "a", "length_s": 1.0, **wrong})  # type: ignore[arg-type]
    with pytest.raises(ArgumentValueError, match="an item begins at 0 or later"):
        project_text([Track("a", [item])], RATE, tmp_path)
    with pytest.raises(ArgumentValueError, match="sample rate"):
        project_text([], 0, tmp_path)
