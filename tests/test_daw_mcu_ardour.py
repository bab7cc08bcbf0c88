"""The Mackie Control link against a real Ardour over JACK."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import ardour
import pytest
from ardour import SESSION, Headless, Home
from jack import Controller, jack_server, until
from mcu_desk import LAW, STEP_DB, Desk, running
from peers import require
from stembridge.bridge import commands as c
from stembridge.bridge import events as e
from stembridge.bridge.daws import mcu_messages as mcu
from stembridge.bridge.daws.mcu import VIRTUAL
from stembridge.bridge.desk import Strip


@pytest.fixture(scope="module")
def jack() -> Iterator[str]:
    with jack_server() as name:
        yield name


class JackHome(Home):
    """A home whose Ardour runs on JACK, with a Mackie Control switched on."""

    on_jack = False

    def make_session(self, action: Path | None = None) -> None:
        super().make_session(action)
        file = self.session / f"{SESSION}.ardour"
        text = re.sub(r'<Protocol name="Mackie"[^>]*/?>', "", file.read_text())
        mackie = (
            '<Protocol name="Mackie" bank="0" ipmidi-base="21928" device-profile=""'
            ' device-name="Mackie Control" active="1"/>'
        )
        file.write_text(text.replace("<ControlProtocols>", f"<ControlProtocols>{mackie}"))
        self.on_jack = True

    def _script(self, *parts: str, **values: str) -> str:
        engine = 'AudioEngine:set_backend("JACK", "ardour", "")\n'
        ours = [engine if self.on_jack and part == ardour._ENGINE else part for part in parts]
        return super()._script(*ours, **values)


@contextlib.contextmanager
def mackie_ardour(folder: Path, tracks: Sequence[str]) -> Iterator[Headless]:
    require("ardour7-lua")
    home = JackHome(folder, tracks)
    home.make_session()
    daw = Headless(home)
    try:
        yield daw
    finally:
        daw.close()


async def reaches(true: Callable[[], bool], what: str) -> None:
    """Ask Ardour again and again until something is true."""
    deadline = asyncio.get_running_loop().time() + 60
    while not await asyncio.to_thread(true):
        assert asyncio.get_running_loop().time() < deadline, f"Ardour: {what}"


def connect() -> None:
    """Plug our ports into Ardour's, as a patchbay does."""
    ours = [f"{name}:{name}" for name in VIRTUAL]
    for source, sink in (("ardour:mackie control out", ours[0]), (ours[1], "ardour:mackie control in")):
        subprocess.run([require("jack_connect"), source, sink], check=True, capture_output=True)


def test_ardour(jack: str, tmp_path: Path) -> None:
    """Binding, both directions, mute and solo, no ping-pong, another order of tracks, another name."""

    async def scenario(desk: Desk, daw: Headless) -> None:
        tap = await asyncio.to_thread(Controller, "Tap", VIRTUAL)
        try:
            await asyncio.to_thread(connect)
            await until(lambda: desk.link.state().state == "online", "Ardour shows its tracks")
            await until(lambda: len(desk.tracks) == 4, "all stems are bound")
            await both_ways(desk, daw)
            await no_ping_pong(desk, daw, tap)
            await another_order(desk, daw)
        finally:
            tap.unplug()

    async def both_ways(desk: Desk, daw: Headless) -> None:
        for track, stem in (("vocals - Song", "vocals"), ("Bass", "bass")):
            for gain_db in (-31.5, 3.0, 0.0):
                await asyncio.to_thread(daw.set_gain_db, track, gain_db)
                await until(partial(desk.is_at, stem, gain_db), f"{track} at {gain_db}")
            for gain_db in (-144.0, 4.5, -12.25):
                desk.ask(c.SetGain(stem, gain_db))
                position = round(LAW.position(gain_db) * 1023) / 1023

                def there(track: str = track, position: float = position) -> bool:
                    return abs(LAW.position(daw.gain_db(track)) - position) <= mcu.STEP / 2

                await reaches(there, f"{stem} at {gain_db} dB")
                assert desk.gain(stem) == gain_db
        desk.ask(c.SetMute("bass", True))
        desk.ask(c.SetSolo("drums", True))
        await reaches(
            lambda: bool(daw.control("Bass", "mute") and daw.control("drums", "solo")), "mute and solo"
        )
        for what in ("mute", "solo"):
            await asyncio.to_thread(daw.move, "other", what, 1.0)

        def strips() -> Mapping[str, Strip]:
            return desk.hub.session.desk.strips

        await until(lambda: strips()["other"].muted and strips()["other"].soloed, "and come from there")
        for track in ("other", "drums"):
            await asyncio.to_thread(daw.move, track, "solo", 0.0)
        await until(lambda: not any(strip.soloed for strip in strips().values()), "and end")
        assert strips()["bass"].muted

    async def no_ping_pong(desk: Desk, daw: Headless, tap: Controller) -> None:
        def bends() -> int:
            return sum(message[0] & 0xF0 == 0xE0 for message in tap.heard)

        before, sent = desk.from_host(), bends()
        ride = """
            local control = session:route_by_name("drums"):gain_control()
            for step = 1, 50 do
              control:set_value(step / 50, PBD.GroupControlDisposition.NoGroup)
              sleep(0.03)
            end"""
        await asyncio.to_thread(daw.lua, ride)
        await until(lambda: abs(desk.gain("drums")) <= STEP_DB, "the last of 50 moves")
        assert bends() == sent, "nothing goes back to who moved it"
        assert 10 <= desk.from_host() - before <= 50
        for step in range(50):
            desk.ask(c.SetGain("drums", -30.0 + 0.61 * step))
            await asyncio.sleep(0.03)
        await asyncio.to_thread(daw.set_gain_db, "Bass", -3.0)
        await until(lambda: abs(desk.gain("bass") + 3.0) <= STEP_DB, "everything said before has been heard")
        await asyncio.sleep(0.6)  # until the link has asked itself what is no echo
        told = [(event, origin) for event, origin in desk.moves if isinstance(event, e.GainChanged)]
        first = next(n for n, (event, _) in enumerate(told) if event == e.GainChanged("drums", -30.0))
        back = [event for event, origin in told[first:] if event.stem == "drums" and origin != "osc"]
        assert back == [], "Ardour repeats our moves; none of that counts"
        assert bends() - sent <= 60
        assert desk.gain("drums") == pytest.approx(-30.0 + 0.61 * 49)

    async def another_order(desk: Desk, daw: Headless) -> None:
        new = 'session:new_audio_track(2, 2, nil, 1, "click", 0, ARDOUR.TrackMode.Normal, true)'
        await asyncio.to_thread(daw.lua, new)
        await until(lambda: desk.link._labels[0] == "click", "a track in front")
        await until(
            lambda: desk.link._bound == {"vocals": 1, "drums": 2, "bass": 3, "other": 4}, "all moved on"
        )
        await asyncio.to_thread(daw.set_gain_db, "click", -40.0)
        await asyncio.to_thread(daw.set_gain_db, "vocals - Song", -20.0)
        await until(lambda: abs(desk.gain("vocals") + 20.0) <= STEP_DB, "the vocals are still the vocals")
        assert all(desk.gain(stem) > -39.0 for stem in ("drums", "bass", "other"))
        await asyncio.to_thread(daw.lua, 'session:route_by_name("drums"):set_name("kick")')
        await until(lambda: "drums" not in desk.tracks, "a track that is no stem any more")
        await asyncio.to_thread(daw.lua, 'session:route_by_name("click"):set_name("drums")')
        await until(lambda: desk.tracks.get("drums") == "drums", "and one that has become one")
        await until(lambda: abs(desk.gain("drums") + 40.0) <= STEP_DB, "with its gain")

    async def whole(daw: Headless) -> None:
        async with running() as desk:
            await scenario(desk, daw)

    with mackie_ardour(tmp_path, ("vocals - Song", "drums", "Bass", "other")) as daw:
        asyncio.run(whole(daw))
