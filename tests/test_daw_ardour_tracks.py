"""Which of a real Ardour's tracks is which stem's, and what can go wrong between it and us."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import subprocess
from pathlib import Path

import ardour as real
import ardour_link
import pytest
from ardour_link import NEAR_DB, OURS, linked, quiet, run
from peers import require
from stembridge.bridge import commands as c
from stembridge.bridge import events as e
from stembridge.bridge.daws import ardour_surface
from stembridge.bridge.daws.ardour import ArdourLink
from stembridge.bridge.daws.link import ImportedStem, StemImport
from stembridge.bridge.hub import Hub, Refusal
from stembridge.bridge.messages import Message
from stembridge.bridge.osc.packets import decode, encode
from stembridge.bridge.session import Session

engine, daw, folder = ardour_link.engine, ardour_link.daw, ardour_link.folder


# Who is who.


def test_a_track_in_front_leaves_the_binding(daw: real.Headless, folder: Path) -> None:
    async def test() -> None:
        async with linked(daw.port, folder=folder) as here:
            await here.bound(*real.STEMS)
            await asyncio.to_thread(daw.set_gain_db, "vocals", -3.0)
            await here.until(lambda: abs(here.gain_db("vocals") + 3.0) < NEAR_DB, "followed before")
            here.events.clear()
            await asyncio.to_thread(
                daw.lua,
                "session:new_audio_track(2, 2, nil, 1, 'click', 0, ARDOUR.TrackMode.Normal, true)",
            )
            await here.until(lambda: "click" in here.link.tracks, "the new track is known")
            await asyncio.to_thread(daw.set_gain_db, "vocals", -9.0)
            await here.until(lambda: abs(here.gain_db("vocals") + 9.0) < NEAR_DB, "followed after")
            here.hub.send(c.SetGain("drums", -12.0), OURS)
            await here.until_ardour(lambda: daw.gain_db("drums"), -12.0, "and moved after")
            assert daw.gain_db("vocals") == pytest.approx(-9.0, abs=NEAR_DB)
            assert daw.gain_db("click") == pytest.approx(0.0, abs=NEAR_DB)
            moved = [event.stem for event in here.from_ardour() if isinstance(event, e.GainChanged)]
            assert set(moved) == {"vocals"}  # nobody got a neighbour's value in between

    run(test())


def test_tracks_are_bound_by_their_first_word_or_by_hand(daw: real.Headless, folder: Path) -> None:
    async def test() -> None:
        async with linked(daw.port, folder=folder) as here:
            await here.bound(*real.STEMS)
            await asyncio.to_thread(daw.lua, "session:route_by_name('other'):set_name('Keys')")
            await here.until(lambda: e.TrackBound("ardour", "other", "") in here.from_ardour(), "unbound")
            await asyncio.to_thread(daw.set_gain_db, "Keys", -2.0)
            here.link.bind("other", "keys")
            await here.until(lambda: abs(here.gain_db("other") + 2.0) < NEAR_DB, "bound by hand")
            await asyncio.to_thread(daw.lua, "session:route_by_name('Keys'):set_name('Other - Song')")
            here.link.bind("other", "")
            with pytest.raises(Refusal, match=r"it has .*vocals"):
                here.link.bind("other", "no such track")
            await asyncio.to_thread(daw.lua, "session:route_by_name('Other - Song'):set_name('other')")

    run(test())


def test_a_second_surface_leaves_ours_alone(daw: real.Headless, folder: Path) -> None:
    """Ardour sends what it has to say to one port of each address: whoever asked last would get it all."""

    async def test(other: socket.socket) -> None:
        async with linked(daw.port, folder=folder) as here:
            await here.bound(*real.STEMS)
            port = other.getsockname()[1]
            hello = Message("/set_surface", (0, 159, 16387, 2, 0, 0, port))
            other.sendto(encode(hello), ("127.0.0.1", daw.port))
            assert await asyncio.to_thread(_hears, other, "/strip/gain")
            oscsend = [require("oscsend"), "127.0.0.1", str(daw.port)]
            await asyncio.to_thread(
                subprocess.run, [*oscsend, "/strip/gain", "if", "1", "-7.5"], check=True, timeout=30
            )
            name = here.link.tracks[0]
            await here.until_ardour(lambda: daw.gain_db(name), -7.5, "Ardour takes it")
            await asyncio.to_thread(daw.set_gain_db, "bass", -11.0)
            await here.until(lambda: abs(here.gain_db("bass") + 11.0) < NEAR_DB, "we still hear")
            hearing = asyncio.create_task(asyncio.to_thread(_hears, other, "/strip/gain", -4.0))
            await asyncio.to_thread(subprocess.run, [*oscsend, "/strip/list"], check=True, timeout=30)
            here.hub.send(c.SetGain("drums", -4.0), OURS)
            await here.until_ardour(lambda: daw.gain_db("drums"), -4.0, "and are heard")
            assert await hearing

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        other.settimeout(real.PATIENCE_S)
        run(test(other))


def _hears(surface: socket.socket, address: str, value: float | None = None) -> bool:
    """Whether a message comes, in the time a surface waits."""
    while True:
        for message in decode(surface.recv(65_536)):
            if message.address == address and (
                value is None or message.arguments[-1] == pytest.approx(value, abs=0.01)
            ):
                return True


def test_a_link_that_imports_leaves_all_faders_alone(daw: real.Headless, folder: Path) -> None:
    async def test(tap: real.Tap) -> None:
        async with linked(tap.port, "import", folder=folder) as here:
            await here.until(lambda: set(real.STEMS) <= set(here.link.tracks), "tracks are known")
            await quiet(tap)
            tap.sent.clear()
            here.hub.send(c.SetGain("drums", -12.0), OURS)
            await asyncio.to_thread(daw.set_gain_db, "drums", -20.0)
            await quiet(tap)
            assert tap.sent == []
            assert here.gain_db("drums") == -12.0
            assert not any(isinstance(event, e.TrackBound) for event, _ in here.events)
            with pytest.raises(Refusal, match="mode=remote"):
                here.link.bind("drums", "drums")

    tap = real.Tap(daw.port)
    try:
        run(test(tap))
    finally:
        tap.close()


# What can go wrong.


def test_a_killed_ardour_is_noticed_and_found_again(daw: real.Headless, folder: Path) -> None:
    async def test() -> None:
        async with linked(daw.port, folder=folder) as here:
            await here.bound(*real.STEMS)
            daw.kill()
            await here.until(lambda: here.link.state().state == "offline", "its end is noticed")
            told = [event for event in here.from_ardour() if isinstance(event, e.DawState)]
            assert [event.state for event in told] == ["online", "offline"]
            assert told[-1].age_s >= ardour_surface.OFFLINE_S
            here.events.clear()
            await asyncio.to_thread(daw.start)
            await here.bound(*real.STEMS)
            states = [event.state for event in here.from_ardour() if isinstance(event, e.DawState)]
            assert states == ["online"]
            await asyncio.to_thread(daw.set_gain_db, "bass", -13.0)
            await here.until(lambda: abs(here.gain_db("bass") + 13.0) < NEAR_DB, "followed again")
            here.hub.send(c.SetGain("bass", -2.0), OURS)
            await here.until_ardour(lambda: daw.gain_db("bass"), -2.0, "and moved again")

    run(test())


@pytest.mark.parametrize(
    ("slot", "said"), [(0, "Script Manager has no “Stembridge” yet"), (4, "action 4 .* without windows")]
)
def test_an_import_that_no_script_takes_says_what_is_missing(
    daw: real.Headless, folder: Path, slot: int, said: str
) -> None:
    async def test() -> None:
        folder.mkdir()
        stem = folder / "vocals.wav"
        stem.write_bytes(b"RIFF")
        stems = StemImport(1, folder / "none.json", [ImportedStem("vocals", stem, "vocals - Song")])
        async with linked(daw.port, "import", folder=folder, slot=slot) as here:
            await here.until(lambda: here.link.state().state == "online", "Ardour is there")
            with pytest.raises(Refusal, match=said) as refused:
                await here.link.import_stems(stems)
            assert refused.value.code == "daw_offline"
        left = {path.name for path in folder.iterdir()}
        assert left == {"vocals.wav", "requests.lua", "import"}
        assert list((folder / "import").iterdir()) == []

    run(test())


def test_a_remote_link_imports_nothing(folder: Path) -> None:
    link = ArdourLink(Hub(Session()), folder=folder)
    with pytest.raises(Refusal, match="mode=import"):
        asyncio.run(link.import_stems(StemImport(1, folder)))


def test_a_port_in_use_is_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(port: int) -> None:
        async with linked(real.free_port(), listen_port=port, folder=folder) as here:
            await here.until(lambda: f"UDP port {port}" in caplog.text, "the port is named")
            assert here.link.state().state == "offline"

    with contextlib.ExitStack() as taken:
        sockets = [taken.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
        sockets[0].bind(("127.0.0.1", 0))
        port = sockets[0].getsockname()[1]
        sockets[1].bind(("127.0.93.31", port))
        run(test(port))


@pytest.mark.parametrize("taken", [False, True])
def test_an_ardour_that_does_not_answer_is_said(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    monkeypatch.setattr(ardour_surface, "_WARN_S", 0.1)
    expected = "takes the next free one" if taken else "switch on Open Sound Control"

    async def test(port: int) -> None:
        async with linked(port, folder=folder) as here:
            with caplog.at_level(logging.WARNING):
                await here.until(lambda: expected in caplog.text, "it is said")
            with pytest.raises(Refusal, match="no Ardour answers"):
                await here.link.selected_clip()

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        if not taken:
            other.close()
        run(test(port))
