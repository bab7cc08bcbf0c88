"""Our ReaScripts where something is in the way: what cannot be rendered, fails, or changes meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from reaper_runs import Place, one_item, quoted, said, sound


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_without_a_time_selection_that_action_says_so(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    after = place.run(one_item(song) + "script('render selected items in time selection')")
    assert "no time selection" in after.boxes
    assert not after.sent


@pytest.mark.parametrize(
    ("setup", "word"),
    [
        ("stub.item(track, { D_LENGTH = 3 })", "empty"),
        ("stub.item(track, { source = stub.file_source(song), midi = true, D_LENGTH = 3 })", "MIDI"),
        ("stub.item(track, { file = song .. '.gone', D_LENGTH = 3 })", "missing"),
        ("stub.item(track, { file = broken, D_LENGTH = 3 })", "offline"),
        (
            "stub.item(track, { source = stub.section(stub.file_source(song), 0, 3, true), D_LENGTH = 3 })",
            "reversed",
        ),
        (
            "stub.item(track, { source = stub.section(stub.file_source(song), 0, 3), D_LENGTH = 9 })",
            "repeats a section",
        ),
        (
            "local s = stub.file_source(song) s.type = 'RPP_PROJECT'\n"
            "stub.item(track, { source = s, D_LENGTH = 1 })",
            "sub-project",
        ),
        (
            "stub.item(track, { file = song, D_LENGTH = 3, B_LOOPSRC = 0, take = { D_STARTOFFS = 20 } })",
            "plays nothing",
        ),
        ("", "No item is selected"),
    ],
)
def test_what_cannot_be_rendered_is_said_and_nothing_changes(place: Place, setup: str, word: str) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    broken = place.folder / "broken.wav"
    broken.write_bytes(b"no sound")
    after = place.run(
        f"local song, broken = {quoted(song)}, {quoted(broken)}\n"
        f'local track = stub.track{{ name = "Band" }}\n{setup}\nrender()'
    )
    assert word in after.boxes
    assert after.data["undo_steps"] == 0
    assert not after.sent


@pytest.mark.parametrize(("answer", "rendered"), [(1, True), (2, False)])
def test_of_several_items_the_good_ones_go_on_when_wanted(place: Place, answer: int, rendered: bool) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    place.rendered(song)
    after = place.run(
        one_item(song) + f"stub.item(track, {{ D_LENGTH = 3 }}) stub.answers = {{ {answer} }} render()"
    )
    assert "empty" in after.boxes
    assert (len(after.sent) == 1) is rendered
    assert (after.data["undo_steps"] == 1) is rendered


def test_a_failed_render_says_why_and_the_others_are_placed(place: Place) -> None:
    song, bad = sound(place.folder / "Song.wav", 10.0), sound(place.folder / "Bad.wav", 10.0)
    place.rendered(song)
    place.answer(bad, said("/job/failed", 6, "t", "bad_file", "no audio in there"), code=1)
    place.replies[str(bad)]["lines"][-1]["arguments"][0] = place.job
    after = place.run(
        one_item(bad)
        + f"stub.item(track, {{ file = {quoted(song)}, D_POSITION = 9, D_LENGTH = 2 }}) render()"
    )
    assert "Bad: no audio in there (bad_file)" in after.boxes
    assert [len(track["items"]) for track in after.data["tracks"]] == [2, 1, 1]
    assert [item["values"]["B_MUTE"] for item in after.tracks["Band"]["items"]] == [0, 1]


def test_words_about_other_jobs_are_not_taken_for_ours(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    place.rendered(song)
    lines = place.replies[str(song)]["lines"]
    stranger = said("/job/stem", 999, "x", 9, "kazoo", "/nowhere.wav", 8000, 1, 0.0)
    lines.insert(0, stranger)
    lines.insert(2, stranger)
    lines.insert(2, said("/job/failed", 999, "x", "bad_file", "theirs"))
    after = place.run(one_item(song) + "render()")
    assert after.names == ["Band", "drums - Band", "vocals - Band"]


def test_a_bridge_that_is_not_there_is_named(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    place.replies[str(song)] = {"lines": [], "code": 1, "error": "stembridge: error: no bridge answers"}
    after = place.run(one_item(song) + "render()")
    assert "Song: no bridge answers" in after.boxes
    assert after.names == ["Band"]


def test_stems_that_got_lost_are_asked_for_once_more(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    place.rendered(song)
    whole = place.replies[str(song)]
    place.replies[str(song)] = {"lines": [whole["lines"][0], whole["lines"][-1]], "once": whole}
    after = place.run(one_item(song) + "render()")
    assert len(after.sent) == 2
    assert after.sent[0][2] == after.sent[1][2]  # the same tag: the same job
    assert "vocals - Band" in after.names


def test_closing_the_window_cancels_and_changes_nothing(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    place.answer(song, said("/job/progress", 6, "t", "separate", 0.25, 12.0), "wait",
                 said("/job/cancelled", 6, "t"), code=1)  # fmt: skip
    after = place.run(
        one_item(song)
        + """render(function()
            for _, line in ipairs(gfx.drawn) do
                if line:find("25 %%") then stub.window = "closed" end
            end
        end)"""
    )
    assert any("separate: 25 %, 12 s left" in line for line in after.data["drawn"])
    assert after.sent[1][:3] == ["send", "/job/cancel", f"i:{place.job}"]
    assert after.names == ["Band"]
    assert after.data["undo_steps"] == 0
    left = [path.name for path in (place.folder / "REAPER ü" / "Data" / "Stembridge").iterdir()]
    assert left == []


def test_a_program_that_is_not_found_is_asked_for_and_kept(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    place.rendered(song)
    after = place.run(
        one_item(song)
        + f"""stub.ext["Stembridge/program"] = "/nowhere/stembridge"
        stub.answers = {{ 1 }}
        stub.files_chosen = {{ {quoted(place.program)} }}
        render()
        assert(#stub.project.tracks == 1)
        render()"""
    )
    assert "not where programs are looked for" in after.boxes
    assert after.data["ext"]["Stembridge/program"] == str(place.program)
    assert "vocals - Band" in after.names


def test_what_happens_meanwhile_is_respected(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    place.rendered(song)
    moved = place.run(one_item(song) + "render(function() item.values.D_POSITION = 50 end)")
    assert moved.item("vocals - Band")["values"]["D_POSITION"] == 50
    gone = place.run(one_item(song) + "render(function() table.remove(track.items) return false end)")
    assert "deleted while it was rendered" in gone.boxes
    assert gone.names == ["Band"]
    longer_file = sound(place.folder / "l.wav", 60.0)
    longer = place.run(
        one_item(song, "D_POSITION = 0, D_LENGTH = 2, B_LOOPSRC = 0")
        + f"stub.ext['Stembridge/handles'] = '0'\nlocal long = stub.file_source({quoted(longer_file)})\n"
        + "long.path = item.takes[1].source.path\n"
        + "render(function() item.takes[1].source = long; item.values.D_LENGTH = 40 end)"
    )
    assert "render it again" in longer.boxes
    assert longer.data["undo_steps"] == 0


def test_a_project_closed_meanwhile_can_have_its_stems_later(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    place.rendered(song, start_s=1.0)
    after = place.run(
        one_item(song)
        + f"""
        local other = stub.new_project("other.rpp")
        render(function() stub.close_project(stub.project) end)
        assert(#other.tracks == 0)
        local there = stub.track{{ name = "There", project = other }}
        local song = {quoted(song)}
        stub.item(there, {{ file = song, D_POSITION = 7, D_LENGTH = 4, take = {{ D_STARTOFFS = 3 }} }})
        script("import stems of last job")
        stub.project = other"""
    )
    assert "was closed while" in after.boxes
    assert after.names == ["There", "drums - There", "vocals - There"]
    assert after.item("vocals - There")["take"]["values"]["D_STARTOFFS"] == pytest.approx(2.0)


def test_a_project_in_another_tab_gets_its_own_stems(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    place.rendered(song)
    after = place.run(
        one_item(song)
        + """
        local other = stub.new_project("other.rpp")
        render(function() reaper.SelectProjectInstance(other) end)
        assert(#other.tracks == 0 and reaper.EnumProjects(-1) == other)"""
    )
    assert after.names == ["Band", "drums - Band", "vocals - Band"]


def test_stems_of_a_manifest_are_placed_at_the_cursor_where_nothing_plays_their_song(place: Place) -> None:
    song = place.folder / "elsewhere" / "Song.wav"
    place.rendered(song, seconds=6.0, gain_db=-2.0)
    manifest = place.folder / "separated" / "Song" / "Song.stems.json"
    after = place.run(
        "stub.track{ name = 'Mine' } stub.project.cursor = 33.0\n"
        f"stub.files_chosen = {{ {quoted(manifest)} }}\n"
        "script('import stems of last job')"
    )
    assert after.names == ["Mine", "drums - Song", "vocals - Song"]
    item = after.item("drums - Song")
    assert (item["values"]["D_POSITION"], item["values"]["D_LENGTH"]) == (33.0, 6.0)
    assert item["take"]["values"]["D_VOL"] == pytest.approx(10 ** (2.0 / 20))
