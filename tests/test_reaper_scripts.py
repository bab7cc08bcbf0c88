"""Our ReaScripts in a real Lua 5.4: what they ask of the bridge, and what they leave in a project."""

from __future__ import annotations

from pathlib import Path

import pytest
from reaper_runs import Place, one_item, quoted, sound

VALUES_OF_ITEM = """
position = 20.0, D_POSITION = 20.0, D_LENGTH = 4.0, D_SNAPOFFSET = 0.5, D_VOL = 0.5, D_FADEINLEN = 0.3,
D_FADEOUTLEN = 0.7, D_FADEINDIR = 0.25, D_FADEOUTDIR = -0.5, D_FADEINLEN_AUTO = 0.1, C_FADEINSHAPE = 3,
C_FADEOUTSHAPE = 5, C_BEATATTACHMODE = 1, C_AUTOSTRETCH = 1, B_LOOPSRC = 1
"""
VALUES_OF_TAKE = """
D_STARTOFFS = 3.0, D_PLAYRATE = 0.5, D_PITCH = 2.0, B_PPITCH = 0, D_VOL = -0.8, D_PAN = -0.25, I_CHANMODE = 2,
I_PITCHMODE = 589824, D_PANLAW = 1.0
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_stems_lie_and_sound_as_the_item_did(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    place.rendered(song, start_s=2.0, seconds=4.0, gain_db=-1.5)
    after = place.run(one_item(song, VALUES_OF_ITEM, VALUES_OF_TAKE) + "render()")

    assert after.boxes == "" or "not saved" in after.boxes
    assert after.names == ["Band", "drums - Band", "vocals - Band"]
    original = after.item("Band")
    assert original["values"]["B_MUTE"] == 1
    for stem in ("drums", "vocals"):
        item = after.item(f"{stem} - Band")
        kept = set(original["values"]) - {"B_MUTE", "B_LOOPSRC", "I_CUSTOMCOLOR"}
        assert {k: item["values"][k] for k in kept} == {k: original["values"][k] for k in kept}
        assert item["values"]["I_GROUPID"] == original["values"]["I_GROUPID"] > 0
        assert item["values"]["B_MUTE"] == item["values"]["B_LOOPSRC"] == 0
        take, before = item["take"], original["take"]
        assert take["name"] == f"{stem} - Song"
        assert take["file"].endswith(f"Song - {stem}.wav")
        # The file's frame 0 is 2 s into the song.
        assert take["values"]["D_STARTOFFS"] == pytest.approx(3.0 - 2.0)
        # -1.5 dB common to all files are taken back; the polarity stays flipped.
        assert take["values"]["D_VOL"] == pytest.approx(-0.8 * 10 ** (1.5 / 20))
        same = set(before["values"]) - {"D_STARTOFFS", "D_VOL"}
        assert {k: take["values"][k] for k in same} == {k: before["values"][k] for k in same}
    colours = {after.tracks[f"{stem} - Band"]["values"]["I_CUSTOMCOLOR"] for stem in ("drums", "vocals")}
    assert len(colours) == 2
    assert all(int(colour) & 0x1000000 for colour in colours)
    assert after.data["undo_steps"] == 1
    assert after.data["window"] == "closed"


def test_the_range_an_item_plays_is_asked_for_with_handles(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    place.rendered(song, start_s=2.0, seconds=4.0)
    after = place.run(one_item(song, take="D_STARTOFFS = 3, D_PLAYRATE = 0.5") + "render()")

    # 4 s at half speed from second 3 are seconds 3 to 5; a second of handle on both sides.
    [words] = after.sent
    assert words[:2] == ["send", "/render"]
    assert words[3] == f"s:{song}"
    assert words[4:8] == ["s:start", "s:16000s", "s:end", "s:48000s"]
    assert words[8:] == ["--wait", "/job/done", "--json"]


def test_undo_brings_everything_back(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    place.rendered(song)
    outcome = place.run(
        one_item(song) + "local before = stub.dump().tracks; stub.print(before)\nrender()\n"
        "assert(#stub.project.tracks == 3); stub.undo()\n"
        "assert(#stub.project.tracks == 1)"
    )
    assert outcome.names == ["Band"]
    assert outcome.item("Band")["values"]["B_MUTE"] == 0
    assert outcome.item("Band")["values"]["I_GROUPID"] == 0


def test_a_second_render_replaces_its_own_stems_on_the_same_tracks(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    place.rendered(song)
    after = place.run(one_item(song) + "render() render()")
    assert after.names == ["Band", "drums - Band", "vocals - Band"]
    assert [len(track["items"]) for track in after.data["tracks"]] == [1, 1, 1]
    assert after.data["undo_steps"] == 2


def test_items_of_one_track_share_tracks_and_overlapping_ranges_one_render(place: Place) -> None:
    song, other = (sound(place.folder / f"{name}.wav", 10.0) for name in ("Song", "Other"))
    place.rendered(song)
    place.rendered(other)
    after = place.run(
        one_item(song, "D_POSITION = 0, D_LENGTH = 3", "D_STARTOFFS = 1")
        + f"""
        local song, other = {quoted(song)}, {quoted(other)}
        stub.item(track, {{ file = song, D_POSITION = 3, D_LENGTH = 3, take = {{ D_STARTOFFS = 3.5 }} }})
        stub.item(track, {{ file = other, D_POSITION = 9, D_LENGTH = 1, take = {{ D_STARTOFFS = 0 }} }})
        render()"""
    )
    assert [words[3] for words in after.sent] == [f"s:{song}", f"s:{other}"]
    assert after.sent[0][4:8] == ["s:start", "s:0s", "s:end", "s:60000s"]
    assert after.names == ["Band", "drums - Band", "vocals - Band"]
    assert [len(track["items"]) for track in after.data["tracks"]] == [3, 3, 3]
    groups = [item["values"]["I_GROUPID"] for item in after.tracks["Band"]["items"]]
    assert len(set(groups)) == 3
    assert after.data["undo_steps"] == 1


def test_separate_ranges_of_one_file_are_separate_renders(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 100.0)
    place.rendered(song, seconds=100.0)
    after = place.run(
        one_item(song, "D_POSITION = 0, D_LENGTH = 3", "D_STARTOFFS = 1") + f"local song = {quoted(song)}\n"
        "stub.item(track, { file = song, D_POSITION = 3, D_LENGTH = 3, take = { D_STARTOFFS = 50 } })\n"
        "render()"
    )
    assert [words[5:8:2] for words in after.sent] == [["s:0s", "s:40000s"], ["s:392000s", "s:432000s"]]


def test_a_section_is_found_in_its_file(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 30.0)
    place.rendered(song, start_s=10.0, seconds=8.0)
    after = place.run(
        f"""local track = stub.track{{ name = "" }}
        local section = stub.section(stub.file_source({quoted(song)}), 12.0, 5.0)
        stub.item(track, {{ source = section, D_POSITION = 1, D_LENGTH = 3, take = {{ D_STARTOFFS = 0.5 }} }})
        render()"""
    )
    # 12.5 to 15.5 s of the file; a track without a name takes the song's.
    assert after.sent[0][5:8:2] == ["s:92000s", "s:132000s"]
    assert after.names == ["", "drums - Song", "vocals - Song"]
    assert after.item("drums - Song")["take"]["values"]["D_STARTOFFS"] == pytest.approx(12.5 - 10.0)


def test_a_looped_item_gets_the_whole_file_and_loops_on(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    place.rendered(song)
    after = place.run(one_item(song, "D_POSITION = 0, D_LENGTH = 25, B_LOOPSRC = 1") + "render()")
    assert "s:start" not in after.sent[0]
    assert after.item("vocals - Band")["values"]["B_LOOPSRC"] == 1
    assert after.item("vocals - Band")["take"]["values"]["D_STARTOFFS"] == 3.0


def test_an_item_longer_than_its_file_is_clipped_to_it(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    place.rendered(song)
    after = place.run(
        one_item(song, "D_POSITION = 0, D_LENGTH = 25, B_LOOPSRC = 0", "D_STARTOFFS = -2") + "render()"
    )
    assert "s:start" not in after.sent[0]
    assert after.item("vocals - Band")["take"]["values"]["D_STARTOFFS"] == -2.0


def test_stretch_markers_come_along(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    place.rendered(song)
    after = place.run(
        one_item(song) + "item.takes[1].markers = { { 0.0, 3.0, 0.0 }, { 2.0, 6.0, 0.25 } }\nrender()"
    )
    assert "s:start" not in after.sent[0]
    assert after.item("drums - Band")["take"]["markers"] == [[0.0, 3.0, 0.0], [2.0, 6.0, 0.25]]


def test_only_the_time_selection_is_rendered_and_the_rest_plays_on(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 30.0)
    place.rendered(song, start_s=4.0, seconds=10.0)
    after = place.run(
        one_item(song, "D_POSITION = 20, D_LENGTH = 10", "D_STARTOFFS = 2")
        + "stub.project.selection = { 24, 28 }\nscript('render selected items in time selection')"
    )
    # 24 to 28 in the project are 6 to 10 in the file.
    assert after.sent[0][5:8:2] == ["s:40000s", "s:88000s"]
    parts = sorted((i["values"]["D_POSITION"], i["values"]["D_LENGTH"], i["values"]["B_MUTE"])
                   for i in after.tracks["Band"]["items"])  # fmt: skip
    assert parts == [(20.0, 4.0, 0), (24.0, 4.0, 1), (28.0, 2.0, 0)]
    stem = after.item("vocals - Band")
    assert (stem["values"]["D_POSITION"], stem["values"]["D_LENGTH"]) == (24.0, 4.0)
    assert stem["take"]["values"]["D_STARTOFFS"] == pytest.approx(6.0 - 4.0)
    assert after.data["undo_steps"] == 1


def test_stems_stay_in_the_folder_their_track_is_in(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    place.rendered(song)
    after = place.run(
        'local bus = stub.track{ name = "Bus", I_FOLDERDEPTH = 1 }\n'
        + one_item(song)
        + 'track.values.I_FOLDERDEPTH = -1\nstub.track{ name = "Last" }\nrender()'
    )
    assert after.names == ["Bus", "Band", "drums - Band", "vocals - Band", "Last"]
    assert [track["values"]["I_FOLDERDEPTH"] for track in after.data["tracks"]] == [1, 0, 0, -1, 0]


def test_settings_are_asked_for_and_used(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    place.rendered(song)
    after = place.run(
        one_item(song)
        + f"stub.inputs = {quoted(place.program)} .. '\\n9777\\nrepet\\n\\n0\\n'\n"
        + "script('settings')\nassert(stub.asked.count == 6)\nrender()"
    )
    [words] = after.sent
    assert words[4:10] == ["s:model", "s:repet", "s:start", "s:24000s", "s:end", "s:56000s"]
    assert words[-3:] == ["--json", "--port", "9777"]


def test_take_envelopes_and_effects_that_stay_behind_are_said(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    place.rendered(song)
    after = place.run(one_item(song) + "item.takes[1].envelopes = 1 item.takes[1].effects = 2 render()")
    assert "envelopes of the items were not copied" in after.boxes
    assert "effects of the items were not copied" in after.boxes
