"""The session: one desk, moved by commands, telling what changed."""

from __future__ import annotations

import math
import random

import pytest
from stembridge.bridge import commands as c
from stembridge.bridge import events as e
from stembridge.bridge.desk import Desk, NotFoundError, Strip
from stembridge.bridge.session import MOST_SCENES, Session
from stembridge.model.errors import ArgumentValueError
from stembridge.model.units import SILENCE_DB


def test_gain_is_set_and_told() -> None:
    session = Session()
    assert session.apply(c.SetGain("vocals", -6.0), 0.0) == (e.GainChanged("vocals", -6.0),)
    assert session.apply(c.AskStrip("vocals", "gain"), 0.0) == (e.StripValue("vocals", "gain", -6.0),)
    assert session.desk.strips["drums"].gain_db == 0.0


@pytest.mark.parametrize(
    ("asked", "got"), [(99.0, 12.0), (-200.0, SILENCE_DB), (-math.inf, SILENCE_DB), (12.0, 12.0)]
)
def test_gain_is_brought_into_range_and_told_as_it_is(asked: float, got: float) -> None:
    assert Session().apply(c.SetGain("bass", asked), 0.0) == (e.GainChanged("bass", got),)


@pytest.mark.parametrize(
    "command",
    [
        c.SetGain("bass", math.nan),
        c.SetGain("bass", math.inf),
        c.SetGain("bass", 0.0, -1.0),
        c.SetGain("bass", 0.0, math.nan),
        c.SetGain("bass", 0.0, 1e9),
        c.SetFader("bass", 1.5),
        c.SetPan("bass", math.nan),
        c.SetPan("instrumental", 2.0),
        c.SetSensitivity("bass", 11.0),
        c.StoreScene(""),
        c.StoreScene("a\nb"),
    ],
)
def test_what_makes_no_sense_changes_nothing(command: c.Command) -> None:
    session = Session()
    before = session.desk
    with pytest.raises(ArgumentValueError):
        session.apply(command, 0.0)
    assert session.desk == before
    assert not session.scenes
    assert not session.fading


@pytest.mark.parametrize("stem", ["kazoo", "", "0", "5", "99999999999", "½"])
def test_unknown_stems_are_not_found(stem: str) -> None:
    with pytest.raises(NotFoundError, match="vocals"):
        Session().apply(c.SetMute(stem, True), 0.0)


def test_stems_by_number_and_group() -> None:
    session = Session()
    assert session.apply(c.SetMute("4", True), 0.0) == (e.MuteChanged("vocals", True),)
    changed = session.apply(c.SetGain("instrumental", -3.0), 0.0)
    assert changed == tuple(e.GainChanged(stem, -3.0) for stem in ("drums", "bass", "other"))
    session.set_stems(("accompaniment", "vocals"))
    assert session.apply(c.SetSolo("instrumental", None), 0.0) == (e.SoloChanged("accompaniment", True),)
    assert session.apply(c.SetSolo("1", None), 0.0) == (e.SoloChanged("accompaniment", False),)


def test_fader_and_gain_are_one_value() -> None:
    session = Session()
    (changed,) = session.apply(c.SetFader("vocals", 0.606968), 0.0)
    assert isinstance(changed, e.GainChanged)
    assert changed.gain_db == pytest.approx(-6.0, abs=1e-3)
    (answer,) = session.apply(c.AskStrip("vocals", "fader"), 0.0)
    assert isinstance(answer, e.StripValue)
    assert answer.value == pytest.approx(0.606968, abs=1e-6)
    assert session.apply(c.SetFader("vocals", 99 / 127, steps=128), 0.0) == (e.GainChanged("vocals", 0.0),)


def test_fade_moves_evenly_and_ends_exactly() -> None:
    session = Session(law="linear")
    assert session.apply(c.SetGain("vocals", -24.0, 2.0), 10.0) == (e.GainChanged("vocals", -24.0, 2.0),)
    assert session.fading
    (moved,) = session.tick(11.0)
    assert isinstance(moved, e.GainMoved)
    assert moved.gain_db == pytest.approx(-12.0)
    assert session.desk_at(11.0).strips["vocals"].gain_db == pytest.approx(-12.0)
    assert session.desk.strips["vocals"].gain_db == -24.0
    assert session.tick(12.0) == (e.GainMoved("vocals", -24.0),)
    assert not session.fading
    assert session.tick(13.0) == ()


def test_fade_from_silence_is_a_fade() -> None:
    session = Session()
    session.apply(c.SetGain("vocals", -math.inf), 0.0)
    session.apply(c.SetGain("vocals", 0.0, 10.0), 0.0)
    gains = [session.gain_db("vocals", now) for now in range(11)]
    assert gains[0] == SILENCE_DB
    assert gains == sorted(gains)
    assert -30.0 < gains[5] < -3.0
    assert gains[10] == 0.0


def test_a_new_move_takes_over_from_where_a_fade_is() -> None:
    session = Session(law="linear")
    session.apply(c.SetGain("vocals", -24.0, 2.0), 0.0)
    session.apply(c.SetGain("vocals", 0.0, 1.0), 1.0)
    assert session.gain_db("vocals", 1.5) == pytest.approx(-6.0)
    session.apply(c.SetGain("vocals", -1.0), 1.6)
    assert not session.fading
    assert session.gain_db("vocals", 1.6) == -1.0


def test_scenes_are_recalled_by_name_and_number_with_a_fade() -> None:
    session = Session(law="linear")
    session.apply(c.SetGain("vocals", -12.0), 0.0)
    session.apply(c.SetMute("drums", True), 0.0)
    session.apply(c.SetMasterGain(-3.0), 0.0)
    assert session.apply(c.StoreScene("verse"), 0.0) == (e.SceneStored("verse"),)
    reset = session.apply(c.ResetMix(), 0.0)
    assert set(reset) == {
        e.GainChanged("vocals", 0.0),
        e.MuteChanged("drums", False),
        e.MasterGainChanged(0.0),
    }
    assert session.desk == Desk()
    changed = session.apply(c.RecallScene("1", 4.0), 100.0)
    assert e.GainChanged("vocals", -12.0, 4.0) in changed
    assert e.MuteChanged("drums", True) in changed
    assert e.MasterGainChanged(-3.0, 4.0) in changed
    assert changed[-1] == e.SceneRecalled("verse")
    assert session.gain_db("vocals", 102.0) == pytest.approx(-6.0)
    with pytest.raises(NotFoundError, match="verse"):
        session.apply(c.RecallScene("2"), 0.0)
    assert session.apply(c.ListScenes(), 0.0) == (e.SceneItem(1, "verse"), e.SceneListEnd(1))
    assert session.apply(c.ForgetScene("verse"), 0.0) == (e.SceneForgotten("verse"),)


def test_a_scene_named_as_a_number_wins_over_the_number() -> None:
    session = Session()
    for name in ("intro", "1"):
        session.apply(c.StoreScene(name), 0.0)
    assert session.apply(c.RecallScene("1"), 0.0)[-1] == e.SceneRecalled("1")


def test_storing_in_the_middle_of_a_fade_keeps_what_is_heard() -> None:
    session = Session(law="linear")
    session.apply(c.SetGain("bass", -24.0, 2.0), 0.0)
    session.apply(c.StoreScene("half"), 1.0)
    assert session.scenes["half"].strips["bass"].gain_db == pytest.approx(-12.0)


def test_scenes_end_somewhere() -> None:
    session = Session()
    for number in range(MOST_SCENES):
        session.apply(c.StoreScene(f"scene {number}"), 0.0)
    with pytest.raises(ArgumentValueError, match="forget"):
        session.apply(c.StoreScene("one more"), 0.0)
    session.apply(c.StoreScene("scene 3"), 0.0)


def test_desk_survives_the_trip_through_plain_data() -> None:
    session = Session()
    session.apply(c.SetGain("vocals", -7.5), 0.0)
    session.apply(c.SetPan("drums", 0.25), 0.0)
    session.apply(c.SetMasterMute(None), 0.0)
    assert Desk.from_data(session.desk.to_data()) == session.desk
    newer = session.desk.to_data()
    newer["strips"]["kazoo"] = {"gain_db": 1.0}
    assert Desk.from_data(newer) == session.desk
    for broken in ({}, {"strips": {"bass": {"gain_db": 99}}, "master_gain_db": 0, "master_muted": 0}):
        with pytest.raises(ArgumentValueError):
            Desk.from_data(broken)


def test_desk_tells_a_mixer_only_of_the_stems_it_has() -> None:
    desk = Desk({**Desk().strips, "vocals": Strip(-6.0, muted=True), "guitar": Strip(3.0, soloed=True)})
    state = desk.mixer_state(("drums", "vocals"))
    assert state.gains_db == {"drums": 0.0, "vocals": -6.0}
    assert state.mutes == {"vocals"}
    assert not state.solos


def test_events_tell_everything_that_changes() -> None:
    """A mirror that hears only the events stands where the desk stands, after any commands."""
    random_ = random.Random(7)
    session = Session()
    mirror = Desk()
    names = ["drums", "bass", "other", "vocals", "residual", "instrumental", "2"]
    for step in range(2000):
        stem = random_.choice(names)
        command: c.Command = random_.choice(
            [
                c.SetGain(stem, random_.uniform(-150, 15)),
                c.SetFader(stem, random_.random(), steps=random_.choice([0, 128])),
                c.SetMute(stem, random_.choice([True, False, None])),
                c.SetSolo(stem, random_.choice([True, False, None])),
                c.SetPan(stem, random_.uniform(-1, 1)),
                c.SetSensitivity(stem, random_.uniform(0, 10)),
                c.SetMasterGain(random_.uniform(-20, 3)),
                c.SetMasterMute(None),
                c.StoreScene(f"s{random_.randrange(5)}"),
                c.RecallScene(random_.choice(list(session.scenes) or ["none"])),
                *([c.ResetMix()] if step % 50 == 0 else []),
            ]
        )
        try:
            changed = session.apply(command, float(step))
        except NotFoundError:
            continue
        for event in changed:
            mirror = _mirrored(mirror, event)
        assert mirror == session.desk


def _mirrored(desk: Desk, event: e.Event) -> Desk:
    from dataclasses import replace

    def strip(stem: str, **values: object) -> Desk:
        edited = replace(desk.strips[stem], **values)  # type: ignore[arg-type]
        return replace(desk, strips={**desk.strips, stem: edited})

    match event:
        case e.GainChanged(stem, gain_db):
            return strip(stem, gain_db=gain_db)
        case e.MuteChanged(stem, on):
            return strip(stem, muted=on)
        case e.SoloChanged(stem, on):
            return strip(stem, soloed=on)
        case e.PanChanged(stem, pan):
            return strip(stem, pan=pan)
        case e.SensitivityChanged(stem, value):
            return strip(stem, sensitivity=value)
        case e.MasterGainChanged(gain_db):
            return replace(desk, master_gain_db=gain_db)
        case e.MasterMuteChanged(on):
            return replace(desk, master_muted=on)
    return desk
