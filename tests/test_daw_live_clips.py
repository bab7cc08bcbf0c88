"""Clips of Live, and stems onto its tracks, through the Remote Script; Live is a fake in its own process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lives import Live, write_wav
from stembridge.bridge.daws.link import ImportedStem, StemImport
from stembridge.bridge.hub import Refusal
from test_daw_live import live_and_bridge


def place(live: Live, path: str, start: float, code: str = "") -> None:
    """Put a song onto the second track's arrangement, select it, and go on with `clip`."""
    live.do(
        f"clip = song.tracks[1].create_audio_clip({path!r}, {start})\nclip.warping = False\n"
        f"clip.loop_end = clip.end_marker = clip.seconds\nsong.view.put('detail_clip', clip)\n{code}"
    )


WARPED = (
    "clip.warping = True\n"
    # Beat 0 at 0.5 s, 120 BPM up to beat 8, then 60 BPM.
    "clip.markers = [(0.0, 0.5), (8.0, 4.5), (12.0, 8.5), (12.03125, 8.53125)]\n"
    "clip.loop_start = clip.start_marker = 4.0\nclip.loop_end = clip.end_marker = 10.0\n"
)


@pytest.fixture
def song(tmp_path: Path) -> str:
    return write_wav(tmp_path / "Søng.wav", 12.0)


def test_the_selected_clip(song: str) -> None:
    with live_and_bridge() as (live, bridge):
        with pytest.raises(Refusal, match="no audio clip is selected"):
            bridge.selected()
        place(live, song, 16.0)
        whole = bridge.selected()
        assert (whole.path, whole.start_s, whole.end_s, whole.warping) == (song, None, None, False)
        live.do("clip.loop_start, clip.loop_end = 1.25, 7.5; clip.pitch_coarse = -2; clip.pitch_fine = 50.0")
        part = bridge.selected()
        assert part.start_s == pytest.approx(1.25)
        assert part.end_s == pytest.approx(7.5)
        assert part.semitones == pytest.approx(-1.5)
        assert part.in_arrangement
        live.do(WARPED + "clip.warp_mode = 4; clip.gain_display_string = '-3.0 dB'")
        warped = bridge.selected()
        # Beat 4 is at 0.5 + 4 x 0.5 s, beat 10 at 4.5 + 2 x 1 s.
        assert warped.start_s == pytest.approx(2.5)
        assert warped.end_s == pytest.approx(6.5)
        assert (warped.warping, warped.warp_mode, warped.gain) == (True, 4, "-3.0 dB")
        # Before the first marker its tempo goes on, after the last the invisible one's.
        live.do("clip.loop_start, clip.loop_end = -0.5, 14.0")
        beyond = bridge.selected()
        assert beyond.start_s == pytest.approx(0.25)
        assert beyond.end_s == pytest.approx(10.5)
        # A clip that starts before its file, and ends behind it, plays no more than the file.
        live.do("clip.loop_start, clip.loop_end = -8.0, 100.0")
        assert (bridge.selected().start_s, bridge.selected().end_s) == (None, None)


def test_the_selected_clip_that_loops(song: str) -> None:
    with live_and_bridge() as (live, bridge):
        place(live, song, 0.0, WARPED)
        live.do("clip.looping = True; clip.extent = 40.0; clip.start_marker = 2.0")
        looped = bridge.selected()
        assert looped.start_s == pytest.approx(1.5)
        assert looped.end_s == pytest.approx(6.5)
        live.do("clip.extent = 3.0")  # shorter than its loop
        shorter = bridge.selected()
        assert shorter.start_s == pytest.approx(1.5)
        assert shorter.end_s == pytest.approx(3.0)
        live.do(
            f"slot = song.tracks[2].clip_slots[1]\nclip = slot.create_audio_clip({song!r})\n"
            "song.view.put('detail_clip', None); song.view.highlighted_clip_slot = slot"
        )
        in_slot = bridge.selected()
        assert (in_slot.path, in_slot.in_arrangement) == (song, False)


def test_a_warp_that_makes_no_sense_is_no_range(song: str, caplog: pytest.LogCaptureFixture) -> None:
    with live_and_bridge() as (live, bridge):
        place(live, song, 0.0, WARPED + "clip.markers = [(0.0, 0.5), (0.0, 0.5)]")
        clip = bridge.selected()
        assert (clip.start_s, clip.end_s) == (None, None)
        assert "does not tell how it is warped" in caplog.text


# Imports.


def stems_of(
    folder: Path, song: str, seconds: float, start_frame: int = 0, gain_db: float = 0.0
) -> StemImport:
    names = ("drums", "vocals")
    paths = [Path(write_wav(folder / f"{name}.wav", seconds)) for name in names]
    manifest = folder / "Song.stems.json"
    source = {"path": song, "sample_rate": 44100, "hash": "", "channels": 1, "frames": 12 * 44100}
    manifest.write_text(json.dumps({"schema": 1, "source": source, "renders": [], "files": []}))
    files = [ImportedStem(name, path, f"{name} - Song") for name, path in zip(names, paths, strict=True)]
    return StemImport(1, manifest, files, start_frame, gain_db)


def new_clips(live: Live, *fields: str) -> list[Any]:
    """Of the two new tracks, the clips' fields."""
    shown = ", ".join(fields)
    return list(
        live.ask(
            "[(lambda clip, track: ["
            + shown
            + "])(([s.clip for s in t.clip_slots if s.clip] + t.arrangement_clips)[0], t)"
            " for t in song.tracks[2:4]]"
        )
    )


def test_stems_of_an_unwarped_clip(song: str, tmp_path: Path) -> None:
    with live_and_bridge("import") as (live, bridge):
        place(
            live,
            song,
            16.0,
            "clip.loop_start, clip.loop_end = 2.0, 8.0; clip.gain = 0.55; clip.pitch_coarse = 3",
        )
        live.do("song.tracks[1].mixer_device.panning.put('value', -0.5); world.changes.clear()")
        assert bridge.take(stems_of(tmp_path, song, 12.0)) == 2
        names = live.ask("[t.name for t in song.tracks]")
        assert names == ["drums - Song", "Click", "drums - Song", "vocals - Song", "vocals - Song"]
        clips = new_clips(
            live, "clip.file_path", "clip.warping", "clip.start_time", "clip.loop_start", "clip.loop_end",
            "clip.end_time", "clip.gain", "clip.pitch_coarse", "track.color", "clip.muted", "clip.name",
        )  # fmt: skip
        for name, clip in zip(("drums", "vocals"), clips, strict=True):
            assert clip[0] == str(tmp_path / f"{name}.wav")
            assert clip[1:8] == [False, 16.0, 2.0, 8.0, 28.0, 0.55, 3]
            assert clip[8] > 0
            assert clip[9:] == [False, f"{name} - Song"]
        assert live.ask("clip.muted") is True
        # One undo step, with everything in it; the level of the original's track.
        assert live.ask(
            "[world.steps, world.undo_depth, [c for c, inside in world.changes if not inside]]"
        ) == [
            1,
            0,
            [],
        ]
        levels = live.ask(
            "[[t.mixer_device.volume.value, t.mixer_device.panning.value] for t in song.tracks[2:4]]"
        )
        assert levels == [[pytest.approx(0.5), -0.5]] * 2
        assert live.log() == []


def test_stems_of_a_region_lie_where_the_region_was(song: str, tmp_path: Path) -> None:
    with live_and_bridge("import") as (live, bridge):
        place(live, song, 4.0, "clip.loop_start, clip.loop_end = 2.0, 8.0")
        live.do("song.tracks[1].mixer_device.volume.put('value', 0.85)")
        bridge.take(stems_of(tmp_path, song, 6.0, start_frame=2 * 44100, gain_db=2.0))
        fields = ("clip.warping", "clip.start_time", "clip.loop_start", "clip.loop_end", "clip.end_time")
        for clip in new_clips(live, *fields, "track.mixer_device.volume.value"):
            assert clip == [False, 4.0, 0.0, 6.0, 16.0, pytest.approx(0.9)]


def test_stems_lie_where_the_original_does_also_where_a_start_drags_the_clip_along(
    song: str, tmp_path: Path
) -> None:
    with live_and_bridge("import") as (live, bridge):
        place(live, song, 16.0, "clip.loop_start, clip.loop_end = 2.0, 8.0; world.start_moves_clip = True")
        bridge.take(stems_of(tmp_path, song, 12.0))
        for clip in new_clips(live, "clip.start_time", "clip.loop_start", "clip.loop_end", "clip.end_time"):
            assert clip == [16.0, 2.0, 8.0, 28.0]
        assert live.ask("[len(t.arrangement_clips) for t in song.tracks[2:4]]") == [1, 1]


def test_stems_of_a_warped_clip_are_warped_alike(song: str, tmp_path: Path) -> None:
    with live_and_bridge("import") as (live, bridge):
        place(live, song, 8.0, WARPED + "clip.warp_mode = 6")
        assert bridge.take(stems_of(tmp_path, song, 12.0)) == 2
        for clip in new_clips(
            live, "clip.warping", "clip.warp_mode", "clip.start_time", "clip.end_time", "clip.loop_start",
            "clip.loop_end", "clip.markers",
        ):  # fmt: skip
            assert clip[:4] == [True, 6, 8.0, 14.0]
            start, end, markers = clip[4:]
            # Beats are counted from the file's start; what they lie on has to be the same.
            assert second_at(markers, start) == pytest.approx(2.5, abs=1e-3)
            assert second_at(markers, end) == pytest.approx(6.5, abs=1e-3)
            assert second_at(markers, (start + end) / 2) == pytest.approx(4.0, abs=1e-3)
        # A region of it, which begins behind its first two markers.
        bridge.take(stems_of(tmp_path, song, 7.0, start_frame=5 * 44100))
        for start, end, last, markers in new_clips(
            live, "clip.start_time", "clip.end_time", "clip.loop_end", "clip.markers"
        ):
            assert (start, end) == (8.0, 14.0)
            assert second_at(markers, last) == pytest.approx(1.5, abs=1e-3)
            assert second_at(markers, last - 1.5) == pytest.approx(0.0, abs=1e-3)


def second_at(markers: list[list[float]], beat: float) -> float:
    return float(np.interp(beat, [m[0] for m in markers], [m[1] for m in markers]))


def test_stems_of_a_looped_session_clip_go_into_its_row(song: str, tmp_path: Path) -> None:
    with live_and_bridge("import") as (live, bridge):
        live.do(
            f"slot = song.tracks[1].clip_slots[2]\nclip = slot.create_audio_clip({song!r})\n"
            + WARPED
            + "clip.looping = True; clip.loop_start = 6.0; clip.loop_end = 10.0; clip.start_marker = 4.0\n"
            "song.view.put('detail_clip', clip)"
        )
        assert bridge.take(stems_of(tmp_path, song, 12.0)) == 2
        rows = live.ask("[[s.clip is not None for s in t.clip_slots] for t in song.tracks[2:4]]")
        assert rows == [[False, False, True, False]] * 2
        for looping, start, loop_start, loop_end, markers in new_clips(
            live, "clip.looping", "clip.start_marker", "clip.loop_start", "clip.loop_end", "clip.markers"
        ):
            assert looping
            places = [second_at(markers, beat) for beat in (start, loop_start, loop_end)]
            assert places == pytest.approx([2.5, 3.5, 6.5], abs=1e-3)


def test_stems_whose_song_is_not_in_the_set(song: str, tmp_path: Path) -> None:
    with live_and_bridge("import") as (live, bridge):
        live.do("song.tracks[0].group = True")  # which has no arrangement to be looked through
        assert bridge.take(stems_of(tmp_path, song, 12.0)) == 2
        shown = "[t.name, t.arrangement_clips[0].start_time, t.arrangement_clips[0].loop_end]"
        assert live.ask(f"[{shown} for t in song.tracks[3:]]") == [
            ["drums - Song", 0.0, 12.0],
            ["vocals - Song", 0.0, 12.0],
        ]


def test_an_older_live_says_what_to_do_instead(song: str, tmp_path: Path) -> None:
    with live_and_bridge("import", flags=("--cannot-place", "--version", "11.3")) as (live, bridge):
        with pytest.raises(Refusal) as refused:
            bridge.take(stems_of(tmp_path, song, 12.0))
        assert "12.0.5" in refused.value.text
        assert str(tmp_path / "vocals.wav") in refused.value.text
        assert live.ask("[len(song.tracks), world.steps]") == [3, 0]


def test_an_import_that_cannot_be_finished_is_taken_back(song: str, tmp_path: Path) -> None:
    with live_and_bridge("import") as (live, bridge):
        place(live, song, 0.0)
        stems = stems_of(tmp_path, song, 12.0)
        (tmp_path / "vocals.wav").unlink()
        with pytest.raises(Refusal, match="valid audio file"):
            bridge.take(stems)
        assert live.ask("[len(song.tracks), world.undo_depth, clip.muted]") == [3, 0, False]
        write_wav(tmp_path / "vocals.wav", 12.0)
        assert bridge.take(stems) == 2
