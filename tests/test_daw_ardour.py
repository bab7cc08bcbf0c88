"""Faders of a real Ardour without windows and our stems."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path

import ardour as real
import ardour_link
import pytest
from ardour_link import NEAR_DB, OURS, linked, quiet, run
from stembridge.bridge import commands as c
from stembridge.bridge import events as e
from stembridge.bridge.daws import ardour_dialect as dialect
from stembridge.bridge.messages import Message
from stembridge.bridge.osc.packets import encode
from stembridge.model.units import SILENCE_DB

engine, daw, folder = ardour_link.engine, ardour_link.daw, ardour_link.folder


# What is said.


def test_messages_are_read_as_ardour_sends_them() -> None:
    said = [
        (Message("/strip/gain", (2, -6.0)), dialect.Valued(2, "gain", -6.0)),
        (Message("/strip/gain", (2, -200.0)), dialect.Valued(2, "gain", SILENCE_DB)),
        (Message("/strip/mute", (2, 1.0)), dialect.Valued(2, "mute", 1.0)),
        (Message("/strip/solo", (2, 0)), dialect.Valued(2, "solo", 0.0)),
        (Message("/strip/pan_stereo_position", (2, 0.25)), dialect.Valued(2, "pan", 0.5)),
        (Message("/strip/name", (3, "vocals")), dialect.Named(3, "vocals")),
        (Message("/reply", ("AT", "vocals", 2, 2, 0, 0, 1, 0)), dialect.Named(1, "vocals")),
        (Message("/reply", ("end_route_list", 44100, 0, 0)), dialect.ListEnd()),
        (Message("/strip/list"), dialect.ListChanged()),
        (Message("/master/gain", (-3.0,)), dialect.Valued(dialect.MASTER, "gain", -3.0)),
    ]
    for message, expected in said:
        assert dialect.read(message) == expected
        assert dialect.worth_reading(encode(message))


@pytest.mark.parametrize(
    "message",
    [
        Message("/strip/gain", (-6.0,)),
        Message("/strip/gain", (0, -6.0)),
        Message("/strip/gain", (1, "loud")),
        Message("/strip/gain", (1, float("nan"))),
        Message("/strip/name", (1, 2.0)),
        Message("/reply", ("AT",)),
        Message("/reply", ()),
        Message("/strip/fader", (1, 0.5)),
    ],
)
def test_what_tells_nothing_is_read_as_nothing(message: Message) -> None:
    assert dialect.read(message) is None


def test_numbers_go_out_as_floats_and_within_what_ardour_has() -> None:
    assert dialect.move(2, "gain", 12.0) == Message("/strip/gain", (2, dialect.TOP_DB))
    assert dialect.move(2, "gain", SILENCE_DB) == Message("/strip/gain", (2, -200.0))
    assert dialect.move(2, "mute", True) == Message("/strip/mute", (2, 1.0))
    assert dialect.move(dialect.MASTER, "gain", 0) == Message("/master/gain", (0.0,))
    assert all(isinstance(dialect.move(1, what, 1).arguments[1], float) for what in ("mute", "solo", "pan"))
    assert not dialect.worth_reading(encode(Message("/strip/fader/automation_name", (1, "Manual"))))


# Faders.


@pytest.mark.parametrize("gain_db", [-6.0, 3.0, -40.0, dialect.TOP_DB, SILENCE_DB])
def test_ardours_fader_moves_our_stem(daw: real.Headless, folder: Path, gain_db: float) -> None:
    async def test() -> None:
        async with linked(daw.port, folder=folder) as here:
            await here.bound(*real.STEMS)
            await asyncio.to_thread(daw.set_gain_db, "drums", gain_db)
            await here.until(lambda: abs(here.gain_db("drums") - gain_db) < NEAR_DB, "our stem follows")
            assert all(here.gain_db(stem) == 0.0 for stem in ("vocals", "bass", "other"))

    run(test())


@pytest.mark.parametrize("gain_db", [-6.0, 3.0, -90.0])
def test_our_stem_moves_ardours_fader(daw: real.Headless, folder: Path, gain_db: float) -> None:
    async def test() -> None:
        async with linked(daw.port, folder=folder) as here:
            await here.bound("bass")
            here.hub.send(c.SetGain("bass", gain_db), OURS)
            await here.until_ardour(lambda: daw.gain_db("bass"), gain_db, "Ardour follows")
            assert here.gain_db("bass") == gain_db

    run(test())


def test_our_silence_is_ardours(daw: real.Headless, folder: Path) -> None:
    async def test() -> None:
        async with linked(daw.port, folder=folder) as here:
            await here.bound("bass")
            here.hub.send(c.SetGain("bass", -150.0), OURS)
            await here.until(lambda: float(daw.control("bass", "gain")) == 0.0, "Ardour is silent")
            assert here.gain_db("bass") == SILENCE_DB

    run(test())


def test_more_than_ardour_has_stays_more_here(daw: real.Headless, folder: Path) -> None:
    async def test() -> None:
        async with linked(daw.port, folder=folder) as here:
            await here.bound(*real.STEMS)
            here.hub.send(c.SetGain("vocals", 12.0), OURS)
            await here.until_ardour(lambda: daw.gain_db("vocals"), dialect.TOP_DB, "Ardour at its top")
            here.events.clear()
            # Everything is told anew: by then nothing says any more that it was our own move.
            await asyncio.to_thread(daw.lua, "session:route_by_name('other'):set_name('bass 2')")
            await here.until(
                lambda: e.TrackBound("ardour", "other", "") in here.from_ardour(), "looked again"
            )
            assert here.gain_db("vocals") == 12.0
            await asyncio.to_thread(daw.set_gain_db, "vocals", 5.0)
            await here.until(lambda: abs(here.gain_db("vocals") - 5.0) < NEAR_DB, "a hand moves it")
            await asyncio.to_thread(daw.lua, "session:route_by_name('bass 2'):set_name('other')")
            await here.bound("other")

    run(test())


def test_switches_pan_and_master_go_both_ways(daw: real.Headless, folder: Path) -> None:
    async def test() -> None:
        async with linked(daw.port, folder=folder) as here:
            await here.bound(*real.STEMS)
            await asyncio.to_thread(daw.move, "drums", "mute", 1.0)
            await here.until(lambda: here.hub.session.desk.strips["drums"].muted, "muted by Ardour")
            await asyncio.to_thread(daw.move, "vocals", "solo", 1.0)
            await here.until(lambda: here.hub.session.desk.strips["vocals"].soloed, "soloed by Ardour")
            await asyncio.to_thread(daw.move, "Master", "gain", 0.5)
            await here.until(
                lambda: abs(here.hub.session.desk.master_gain_db + 6.02) < NEAR_DB, "the master follows"
            )
            for command in (
                c.SetMute("drums", False),
                c.SetSolo("vocals", False),
                c.SetPan("bass", -0.5),
                c.SetMasterMute(True),
                c.SetMasterGain(0.0),
            ):
                here.hub.send(command, OURS)
            for track, what, value in (
                ("drums", "mute", 0.0),
                ("vocals", "solo", 0.0),
                ("Master", "mute", 1.0),
                ("Master", "gain", 1.0),
                ("bass", "pan_azimuth", 0.25),
            ):
                await here.until_ardour(partial(daw.control, track, what), value, f"{track}'s {what}")
            assert here.hub.session.desk.strips["bass"].pan == -0.5
            await asyncio.to_thread(daw.move, "bass", "pan_azimuth", 0.75)
            await here.until(lambda: abs(here.hub.session.desk.strips["bass"].pan - 0.5) < 0.01, "panned")

    run(test())


def test_a_hand_on_our_fader_is_one_on_ardours(daw: real.Headless, folder: Path) -> None:
    async def test() -> None:
        async with linked(daw.port, folder=folder) as here:
            await here.bound("vocals")
            control = "session:route_by_name('vocals'):gain_control()"
            await asyncio.to_thread(daw.lua, f"{control}:set_automation_state(ARDOUR.AutoState.Touch)")
            for touched in (True, False):
                here.hub.send(c.TouchFader("vocals", touched), OURS)
                end = time.monotonic() + real.PATIENCE_S
                asked = f"return tostring({control}:alist():touching())"
                while await asyncio.to_thread(daw.lua, asked) != str(touched).lower():
                    assert time.monotonic() < end, f"touched: {touched}"
            await asyncio.to_thread(daw.lua, f"{control}:set_automation_state(ARDOUR.AutoState.Off)")

    run(test())


def test_fifty_moves_make_no_ping_pong(daw: real.Headless, folder: Path) -> None:
    async def test(tap: real.Tap) -> None:
        async with linked(tap.port, folder=folder) as here:
            await here.bound(*real.STEMS)
            here.events.clear()
            tap.sent.clear()
            for step in range(50):
                here.hub.send(c.SetGain("drums", -30.0 + step / 2), OURS)
                await asyncio.sleep(0.02)
            await here.until_ardour(lambda: daw.gain_db("drums"), -5.5, "the last one arrives")
            await quiet(tap)
            assert 10 <= len(tap.sent) <= 60
            assert here.from_ardour() == []

            here.events.clear()
            tap.sent.clear()
            for step in range(50):
                await asyncio.to_thread(daw.set_gain_db, "drums", -30.0 + step / 2)
            await here.until(lambda: abs(here.gain_db("drums") + 5.5) < NEAR_DB, "the last one arrives")
            await quiet(tap)
            assert tap.sent == []  # nothing that came in went out again

    tap = real.Tap(daw.port)
    try:
        run(test(tap))
    finally:
        tap.close()


def test_echoes_that_come_late_are_no_moves(daw: real.Headless, folder: Path) -> None:
    """A busy Ardour repeats a move when we have long told it the next ones."""

    async def test(tap: real.Tap) -> None:
        async with linked(tap.port, folder=folder) as here:
            await here.bound(*real.STEMS)
            here.events.clear()
            for step in range(50):
                here.hub.send(c.SetGain("drums", -30.0 + step / 2), OURS)
                await asyncio.sleep(0.02)
            await here.until_ardour(lambda: daw.gain_db("drums"), -5.5, "the last one arrives")
            await quiet(tap)
            assert here.from_ardour() == []
            assert here.gain_db("drums") == -5.5

    tap = real.Tap(daw.port, late_s=0.15)
    try:
        run(test(tap))
    finally:
        tap.close()


def test_transport_is_told_to_who_plays_in_time(daw: real.Headless, folder: Path) -> None:
    async def test() -> None:
        async with linked(daw.port, folder=folder) as here:

            def told() -> list[e.HostTransport]:
                return [event for event, _ in here.events if isinstance(event, e.HostTransport)]

            await here.bound("vocals")
            rolling = "session:request_roll(ARDOUR.TransportRequestSource.TRS_UI)"
            await asyncio.to_thread(daw.lua, rolling)
            await here.until(lambda: any(one.playing for one in told()), "Ardour rolls")
            began = next(one for one in told() if one.playing)
            await here.until(lambda: told()[-1].position_s > began.position_s + 1.0, "it gets on")
            late = told()[-1]
            # Ardour's own clock, as it comes over the wire: steady to a few blocks of its engine.
            assert abs((late.position_s - began.position_s) - (late.at - began.at)) < 0.2
            stop = "session:request_stop(false, false, ARDOUR.TransportRequestSource.TRS_UI)"
            await asyncio.to_thread(daw.lua, stop)
            await here.until(lambda: not told()[-1].playing, "Ardour stops")

    run(test())
