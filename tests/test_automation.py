"""Automation: the file people edit, and a mixer that follows it to the frame, however the song is cut."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rendered import classic_spec, read, run, write_song
from stembridge.model.automation import (
    Automation,
    Move,
    Ride,
    automation_text,
    moves_between,
    read_automation,
)
from stembridge.model.errors import ArgumentValueError
from stembridge.model.mixer import Mixer, MixerState
from stembridge.model.rendering import Version
from stembridge.model.units import Time, parse_time

RATE = 44100
STEMS = ("accompaniment", "vocals")


def ridden(automation: Automation, frames: int, sizes: list[int], first: int = 0) -> np.ndarray:
    """What a mixer makes of ones that are half accompaniment and half vocals."""
    mixer = Mixer(STEMS, 1, RATE)
    ride = Ride(mixer, automation.states(mixer.state, RATE), first)
    parts: list[np.ndarray] = []
    at = first
    while at < frames:
        size = min(sizes[len(parts) % len(sizes)], frames - at)
        for count in ride.parts(size):
            half = np.full((1, count), 0.5, np.float32)
            parts.append(mixer.mix(half + half, np.stack([half, half]), np.zeros_like(half)))
        at += size
    total: np.ndarray = np.concatenate(parts, axis=1)[0]
    return total


PERFORMANCE = Automation(
    (
        Move(Time(samples=1000), "vocals", "gain_db", -math.inf, 10.0),
        Move(Time(samples=5000), "vocals", "gain_db", 0.0, 50.0),
        Move(Time(samples=5000), "accompaniment", "mute", 1.0, 20.0),
        Move(Time(samples=5600), "vocals", "gain_db", -6.0, 20.0),
        Move(Time(samples=9000), "master", "gain_db", -6.0, 0.0),
    )
)


def test_every_move_begins_at_its_frame_and_takes_its_ramp() -> None:
    out = ridden(PERFORMANCE, 12_000, [12_000])
    ramp = 441
    assert out[:1000].tolist() == [1.0] * 1000
    np.testing.assert_allclose(out[1000 : 1000 + ramp], 1.0 - 0.5 * np.arange(1, ramp + 1) / ramp, atol=1e-6)
    assert set(out[1000 + ramp : 5000].tolist()) == {0.5}
    assert out[9000] == pytest.approx(0.5 * 10 ** (-12 / 20), abs=1e-6)
    assert set(out[9000:].tolist()) == {out[9000]}


@pytest.mark.parametrize("sizes", [[1, 7, 300], [512], [4999, 2], [8192]])
def test_how_it_is_cut_changes_nothing(sizes: list[int]) -> None:
    whole = ridden(PERFORMANCE, 12_000, [12_000])
    np.testing.assert_array_equal(ridden(PERFORMANCE, 12_000, sizes), whole)


@pytest.mark.parametrize("first", [1, 1200, 5300, 5650, 9000, 11_000])
def test_a_region_is_the_slice_of_the_whole(first: int) -> None:
    whole = ridden(PERFORMANCE, 12_000, [12_000])
    np.testing.assert_array_equal(ridden(PERFORMANCE, 12_000, [700], first), whole[first:])


def test_text_and_back() -> None:
    text = automation_text(PERFORMANCE)
    assert text.splitlines()[:2] == ["time,control,value,ramp_ms", "1000s,vocals.gain_db,-inf,10"]


def test_file_is_read_as_people_write_it(tmp_path: Path) -> None:
    path = tmp_path / "ride.csv"
    path.write_text(
        "time,control,value,ramp_ms\n# the chorus\n1:02.5, vocals.gain_db, 3\n\n"
        "0,master.gain_db,-1,0\n48000s,drums.mute,1,\n"
    )
    automation = read_automation(path)
    assert automation.moves == (
        Move(parse_time("1:02.5"), "vocals", "gain_db", 3.0),
        Move(parse_time("0"), "master", "gain_db", -1.0, 0.0),
        Move(Time(samples=48000), "drums", "mute", 1.0),
    )
    assert [frame for frame, _, _ in automation.states(MixerState(), 48000)] == [0, 48000, 3_000_000]
    path.write_text(automation_text(automation))
    assert read_automation(path) == automation


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1,vocals.gain_db", "a line is"),
        ("1,vocals,3", "STEM.gain_db"),
        ("1,vocals.volume,3", "STEM.gain_db"),
        ("1,master.pan,0", "master"),
        ("soon,vocals.gain_db,3", "time"),
        ("1,vocals.gain_db,loud", "loud"),
        ("1,vocals.gain_db,nan", "number"),
        ("1,vocals.mute,2", "0 or 1"),
        ("1,vocals.gain_db,3,-5", "ramp"),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "ride.csv"
    path.write_text(f"time,control,value,ramp_ms\n{line}\n")
    with pytest.raises(ArgumentValueError, match=f"line 2.*{said}"):
        read_automation(path)
    with pytest.raises(ArgumentValueError, match="cannot be read"):
        read_automation(tmp_path / "none.csv")


def test_moves_between_two_states_lead_from_one_to_the_other() -> None:
    mixer = Mixer(STEMS, 1, RATE)
    before = mixer.state
    mixer.state = MixerState(
        {"vocals": -3.0}, frozenset({"accompaniment"}), frozenset({"vocals"}), {"vocals": 0.5}, -2.0, True
    )
    after = mixer.state
    moves = tuple(moves_between(before, after, 77))
    ((frame, state, _),) = Automation(moves).states(before, RATE)
    assert (frame, state) == (77, after)
    assert not tuple(moves_between(after, after, 0))


def test_render_follows_a_file(tmp_path: Path) -> None:
    source = write_song(tmp_path / "song.wav", subtype="FLOAT")
    audio = read(source)
    moves = Automation((Move(Time(samples=10_000), "master", "gain_db", -6.0, 0.0),))

    def rendered(**changes: Any) -> np.ndarray:
        spec = classic_spec(source, tmp_path / "out", versions=(Version(automation=moves),), **changes)
        return read(next(path for path in run(spec).plan.paths if path.suffix == ".wav"))

    whole = rendered()
    np.testing.assert_array_equal(whole[:, :10_000], audio[:, :10_000])
    np.testing.assert_allclose(whole[:, 10_000:], audio[:, 10_000:] * 10 ** (-6 / 20), atol=1e-7)
    region = rendered(start=Time(samples=9000), end=Time(samples=20_000))
    np.testing.assert_array_equal(region, whole[:, 9000:20_000])


def test_unknown_stem_is_refused_before_the_work(tmp_path: Path) -> None:
    mixer = Mixer(STEMS, 1, RATE)
    moves = Automation((Move(Time(samples=0), "kazoo", "mute", 1.0),))
    ((_, state, _),) = moves.states(mixer.state, RATE)
    with pytest.raises(ArgumentValueError, match="kazoo"):
        mixer.state = state
