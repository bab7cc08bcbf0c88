"""The link to REAPER against a stand-in that speaks its surface's dialect over real datagrams."""

from __future__ import annotations

import asyncio
import socket

import pytest
from reaper_bridge import PATIENCE_S, connected, run
from reaper_surface import LIKE_DEFAULT, OURS, Surface, Track
from stembridge.bridge import commands as c
from stembridge.bridge import events as e
from stembridge.bridge.daws import reaper
from stembridge.bridge.daws.reaper import ReaperLink
from stembridge.bridge.hub import Hub, Refusal
from stembridge.bridge.session import Session


def test_a_bridge_started_late_learns_where_everything_stands() -> None:
    async def scenario() -> None:
        async with connected() as both:
            bound = {ev.stem: ev.track for ev, _ in both.events if isinstance(ev, e.TrackBound)}
            assert bound == {"drums": "drums - Song", "bass": "Bass", "vocals": "vocals - Song"}
            assert both.gain("drums") == pytest.approx(-6.0206, abs=1e-3)
            assert both.hub.session.desk.strips["vocals"].muted
            assert not both.hub.session.desk.strips["drums"].muted
            # Asking is no move: nothing in REAPER has changed.
            assert [name for name, _ in both.daw.took] == ["/device/track/count"]

    run(scenario)


def test_a_fader_in_reaper_is_the_stems_gain_and_back() -> None:
    async def scenario() -> None:
        async with connected() as both:
            both.daw.move(2, -12.34)
            await both.until(lambda: abs(both.gain("bass") + 12.34) < 1e-3, "the stem follows")
            both.set(c.SetGain("bass", 3.5))
            await both.until(lambda: abs(both.daw.gain_db(2) - 3.5) < 1e-3, "REAPER follows")
            both.daw.move(2, -150.0)
            await both.until(lambda: both.gain("bass") == -144.0, "silence comes")
            both.set(c.SetGain("bass", 0.0))
            await both.until(lambda: abs(both.daw.gain_db(2)) < 1e-6, "back to 0 dB")
            both.set(c.SetGain("bass", -144.0))
            await both.until(lambda: both.daw.gain_db(2) <= -149.9, "silence goes")
            await both.quiet()
            assert both.gain("bass") == -144.0

    run(scenario)


def test_switches_go_both_ways_and_do_not_come_back() -> None:
    async def scenario() -> None:
        async with connected() as both:
            both.daw.mute(1, True)
            both.daw.solo(2, True)
            await both.until(
                lambda: both.channel("drums").muted and both.channel("bass").soloed, "they follow"
            )
            both.set(c.SetMute("drums", False))
            both.set(c.SetSolo("vocals", True))
            await both.until(
                lambda: not both.daw.tracks[0].mute and both.daw.tracks[3].solo, "REAPER follows"
            )
            await both.quiet()
            news = [
                ev for ev, origin in both.events if origin == "daw:reaper" and isinstance(ev, e.MuteChanged)
            ]
            assert [(ev.stem, ev.muted) for ev in news if ev.stem == "drums"][-1:] == [("drums", True)]
            assert not both.channel("drums").muted

    run(scenario)


def test_fifty_moves_each_way_are_no_ping_pong() -> None:
    async def scenario() -> None:
        async with connected() as both:
            both.daw.took.clear()
            for step in range(50):
                both.daw.move(2, -step / 2)
                await asyncio.sleep(0)
            await both.until(lambda: abs(both.gain("bass") + 24.5) < 1e-3, "all moves came")
            await both.quiet()
            assert [m for m in both.daw.took if "volume" in m[0]] == []
            both.daw.sent.clear()
            for step in range(50):
                both.set(c.SetGain("bass", -step / 2))
                await asyncio.sleep(0.002)
            await both.until(lambda: abs(both.daw.gain_db(2) + 24.5) < 1e-3, "the last one came")
            await both.quiet()
            assert [m for m in both.daw.sent if "volume" in m[0]] == []
            assert both.gain("bass") == -24.5
            assert len([m for m in both.daw.took if m[0] == "/track/2/volume/db"]) <= 52

    run(scenario)


def test_a_track_inserted_in_front_changes_nothing_but_the_number() -> None:
    async def scenario() -> None:
        async with connected() as both:
            both.set(c.SetGain("vocals", -3.0))
            await both.until(lambda: abs(both.daw.gain_db(4) + 3) < 1e-3, "before")
            before = len(both.events)
            both.daw.arrange(lambda tracks: tracks.insert(0, Track("Click", 0.1)))
            await both.until(lambda: both.link._tracks.track_of("vocals") == 5, "it is found again")
            assert [ev for ev, _ in both.events[before:]] == []
            both.daw.move(5, -9.0)
            await both.until(lambda: abs(both.gain("vocals") + 9) < 1e-3, "the moved track still drives it")
            both.set(c.SetGain("drums", -1.0))
            await both.until(lambda: abs(both.daw.gain_db(2) + 1) < 1e-3, "and is driven")
            assert both.daw.gain_db(1) == pytest.approx(-20.0, abs=1e-3)

    run(scenario)


def test_tracks_deleted_renamed_and_doubled() -> None:
    async def scenario() -> None:
        async with connected() as both:
            both.daw.arrange(lambda tracks: tracks.pop(0))
            await both.until(lambda: both.link._tracks.track_of("drums") is None, "gone")
            assert both.gain("drums") == pytest.approx(-6.0206, abs=1e-3)
            both.daw.arrange(lambda tracks: setattr(tracks[1], "name", "VOCALS 2"))
            await both.until(lambda: both.link._tracks.track_of("vocals") == 2, "the upper of two")
            assert (e.TrackBound("reaper", "drums", ""), "daw:reaper") in both.events
            assert (e.TrackBound("reaper", "vocals", "VOCALS 2"), "daw:reaper") in both.events
            await both.until(lambda: not both.hub.session.desk.strips["vocals"].muted, "its switch counts")

    run(scenario)


def test_the_master_is_linked_too() -> None:
    async def scenario() -> None:
        async with connected() as both:
            both.daw.move(0, -4.0)
            await both.until(lambda: abs(both.hub.session.desk.master_gain_db + 4) < 1e-3, "its gain comes")
            both.daw.mute(0, True)
            await both.until(lambda: both.hub.session.desk.master_muted, "its mute comes")
            both.set(c.SetMasterMute(False))
            both.set(c.SetMasterGain(-2.0))
            await both.until(
                lambda: abs(both.daw.gain_db(0) + 2) < 1e-3 and not both.daw.master.mute, "both go"
            )
            assert [track.mute for track in both.daw.tracks] == [False, False, False, True]

    run(scenario)


def test_a_fade_is_ridden_and_a_hand_is_on_the_fader_meanwhile() -> None:
    async def scenario() -> None:
        async with connected() as both:
            both.daw.took.clear()
            both.set(c.SetGain("bass", -20.0, 0.5))
            await both.until(lambda: both.daw.tracks[1].touched, "touched")
            await both.until(lambda: abs(both.daw.gain_db(2) + 20) < 1e-3, "arrived")
            moves = [values[0] for name, values in both.daw.took if name == "/track/2/volume/db"]
            assert len(moves) > 3
            assert moves == sorted(moves, reverse=True)
            await both.until(lambda: not both.daw.tracks[1].touched, "let go")
            both.set(c.TouchFader("bass", True))
            await both.until(lambda: both.daw.tracks[1].touched, "a hand on the desk's fader is passed on")
            both.set(c.TouchFader("bass", False))
            await both.until(lambda: not both.daw.tracks[1].touched, "and leaves it")

    run(scenario)


def test_reaper_quits_and_comes_back_with_other_faders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaper, "ONLINE_S", 0.5)
    monkeypatch.setattr(reaper, "PROBE_S", 0.1)

    async def scenario() -> None:
        async with connected() as both:
            both.daw.close()
            await both.until(lambda: both.link.state().state == "offline", "its silence is noticed")
            assert both.link.state().age_s >= 0.5
            both.set(c.SetGain("bass", -30.0))
            again = Surface(OURS, both.daw.send_to, [Track("bass", 0.25), Track("vocals")])
            await again.open(both.port)
            again.start()
            await both.until(lambda: both.link.state().state == "online", "and its return")
            await both.until(lambda: abs(both.gain("bass") + 12.0412) < 1e-3, "its faders are right")
            both.set(c.SetGain("vocals", -5.0))
            await both.until(lambda: abs(again.gain_db(2) + 5) < 1e-3, "and follow")
            again.close()

    run(scenario)


def test_an_idle_reaper_stays_online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaper, "ONLINE_S", 1.5)
    monkeypatch.setattr(reaper, "PROBE_S", 0.2)

    async def scenario() -> None:
        async with connected() as both:
            both.daw.sent.clear()
            await both.quiet(2.5)
            assert both.link.state().state == "online"
            assert {name for name, _ in both.daw.sent} == {"/track/1/name"}

    run(scenario)


def test_with_reapers_own_pattern_file_all_tracks_are_seen() -> None:
    async def scenario() -> None:
        many = [Track(f"Take {n}") for n in range(11)] + [Track("vocals", 0.0)]
        async with connected(many, patterns=LIKE_DEFAULT) as both:
            await both.until(lambda: both.link._tracks.track_of("vocals") == 12, "beyond the eighth")
            await both.until(lambda: both.gain("vocals") == -144.0, "its silence")
            both.set(c.SetGain("vocals", -7.25))
            await both.until(lambda: abs(both.daw.gain_db(12) + 7.25) < 1e-3, "it follows")
            both.daw.move(12, -1.004)  # the text beside it says -1.00
            await both.until(lambda: abs(both.gain("vocals") + 1.004) < 1e-4, "the number counts")
            await both.quiet()
            assert both.gain("vocals") == pytest.approx(-1.004, abs=1e-4)

    run(scenario)


def test_binding_by_hand() -> None:
    async def scenario() -> None:
        async with connected() as both:
            both.link.bind("vocals", "lead vox")
            await both.until(lambda: both.link._tracks.track_of("vocals") == 3, "by its name")
            both.daw.arrange(lambda tracks: tracks.insert(0, Track("Click")))
            await both.until(lambda: both.link._tracks.track_of("vocals") == 4, "also when it moves")
            both.link.bind("vocals", "")
            assert both.link._tracks.track_of("vocals") is None
            with pytest.raises(
                Refusal, match="no track named 'Kazoo'; it has Click, drums - Song"
            ) as refusal:
                both.link.bind("vocals", "Kazoo")
            assert refusal.value.code == "not_found"
            with pytest.raises(Refusal, match="no stem 'kazoo'"):
                both.link.bind("kazoo", "Bass")

    run(scenario)


def test_in_import_mode_faders_are_left_alone() -> None:
    async def scenario() -> None:
        async with connected(mode="import") as both:
            both.daw.move(2, -12.0)
            both.set(c.SetGain("drums", -20.0))
            await both.quiet()
            assert both.gain("bass") == 0.0
            assert both.daw.gain_db(1) == pytest.approx(-6.0206, abs=1e-3)
            assert both.link.state().mode == "import"

    run(scenario)


MOVE = b"/track/2/volume/db\0\0,f\0\0\xc1\x20\0\0"
BROKEN = [
    b"",
    b"#bundle\0",
    MOVE[:-4],
    b"\xff" * 50,
    MOVE[:-4] + b"\x7f\xc0\0\0",  # not a number
    b"/track/2/name\0\0\0,f\0\0\0\0\0\0",
    b"/track/99999/mute\0\0\0,f\0\0\x3f\x80\0\0",
]


def test_nobody_else_moves_faders_and_no_bytes_stop_the_link() -> None:
    async def scenario() -> None:
        async with connected() as both:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.bind(("127.0.0.2", 0))
                stranger.sendto(MOVE, ("127.0.0.1", both.link.listen_port))
            for packet in BROKEN:
                assert both.daw.transport is not None
                both.daw.transport.sendto(packet, both.daw.send_to)
            await both.quiet(0.3)
            assert both.gain("bass") == 0.0
            both.daw.move(2, -10.0)
            await both.until(lambda: abs(both.gain("bass") + 10) < 1e-3, "it goes on")

    run(scenario)


def test_a_port_in_use_is_waited_for(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaper, "_BIND_AGAIN_S", 0.05)

    async def scenario() -> None:
        hub = Hub(Session())
        hub.start()
        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        taken.bind(("127.0.0.1", 0))
        link = ReaperLink(hub, listen_port=taken.getsockname()[1], send_port=9)
        task = asyncio.create_task(link.run())
        while "cannot listen at UDP port" not in caplog.text:
            await asyncio.sleep(0.01)
        assert link.state().state == "offline"
        taken.close()
        while link._transport is None:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        await hub.close()

    run(lambda: asyncio.wait_for(scenario(), PATIENCE_S))
