"""The link to Live and the Remote Script in it, over real UDP; Live itself is a fake in its own process."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import random
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from bridges import RunningHub, running_hub, wait_for
from fake_lom import true_db
from lives import Live, free_port
from stembridge.bridge import commands as c
from stembridge.bridge import events as e
from stembridge.bridge.daws.link import Mode, StemImport
from stembridge.bridge.daws.live import LiveClip, LiveLink
from stembridge.bridge.fader_laws import fader_law
from stembridge.bridge.hub import Refusal
from stembridge.bridge.messages import Message
from stembridge.bridge.osc.packets import encode

PATIENCE_S = 30.0
LAW = fader_law("live")
TRACKS = {"drums - Song": 0.85, "Click": 0.5, "vocals - Song": 0.7}


class Linked:
    """A hub with a link to Live, and what happened on it."""

    def __init__(self, running: RunningHub, link: LiveLink) -> None:
        self.running, self.link = running, link
        self.events: list[tuple[e.Event, str]] = []
        running.call(lambda: running.hub.listen(lambda event, origin: self.events.append((event, origin))))
        self._task: concurrent.futures.Future[None] = asyncio.run_coroutine_threadsafe(
            link.run(), running.loop
        )

    def send(self, command: c.Command, origin: str = "test") -> None:
        self.running.call(lambda: self.running.hub.send(command, origin))

    def gain(self, stem: str) -> float:
        return self.running.call(lambda: self.running.hub.session.desk.strips[stem].gain_db)

    def strip(self, stem: str) -> Any:
        return self.running.call(lambda: self.running.hub.session.desk.strips[stem])

    def online(self) -> bool:
        return self.running.call(lambda: self.link.state().state) == "online"

    def bound(self) -> dict[str, str]:
        """Stem -> track, as told by events."""
        told = {event.stem: event.track for event, _ in list(self.events) if isinstance(event, e.TrackBound)}
        return {stem: track for stem, track in told.items() if track}

    def selected(self) -> LiveClip:
        return asyncio.run_coroutine_threadsafe(self.link.selected_clip(), self.running.loop).result(
            PATIENCE_S
        )

    def take(self, stems: StemImport) -> int:
        return asyncio.run_coroutine_threadsafe(self.link.import_stems(stems), self.running.loop).result(
            PATIENCE_S
        )

    def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(concurrent.futures.CancelledError):
            self._task.result(PATIENCE_S)


@contextlib.contextmanager
def linked(port: int, mode: Mode = "remote") -> Iterator[Linked]:
    with running_hub() as running:
        one = Linked(running, running.call(lambda: LiveLink(running.hub, mode=mode, port=port)))
        try:
            yield one
        finally:
            one.close()


@contextlib.contextmanager
def live_and_bridge(mode: Mode = "remote", flags: tuple[str, ...] = ()) -> Iterator[tuple[Live, Linked]]:
    port = free_port()
    with Live(port, TRACKS, flags=flags) as live, linked(port, mode) as bridge:
        wait_for(lambda: len(bridge.bound()) == 2, "the tracks are bound")
        yield live, bridge


def test_faders_go_both_ways() -> None:
    with live_and_bridge() as (live, bridge):
        # At the start Live's faders are right: they drive our stems.
        wait_for(lambda: abs(bridge.gain("vocals") - LAW.db(0.7)) < 0.05, "Live's gain at the start")
        for position in (1.0, 0.85, 0.6, 0.401, 0.399, 0.3, 0.16, 0.12, 0.05, 0.0):
            live.fader("vocals - Song", position)
            wanted = max(true_db(position), -144.0)
            wait_for(lambda w=wanted: abs(bridge.gain("vocals") - w) <= 0.05, f"position {position}")  # type: ignore[misc]
        for gain_db in (-3.0, 0.0, 6.0, -12.5, -17.9, -24.0, -40.0, -61.0):
            bridge.send(c.SetGain("vocals", gain_db))
            wait_for(
                lambda g=gain_db: abs(true_db(live.position("vocals - Song")) - g) <= 0.05,  # type: ignore[misc]
                f"{gain_db} dB",
            )
        bridge.send(c.SetGain("vocals", -144.0))
        wait_for(lambda: live.position("vocals - Song") == 0.0, "silence")
        assert live.log() == []


def test_unity_in_live_is_unity_exactly() -> None:
    with live_and_bridge() as (live, bridge):
        live.fader("vocals - Song", 0.8505)
        wait_for(lambda: bridge.gain("vocals") == 0.0, "snapped")
        wait_for(lambda: abs(live.position("vocals - Song") - 0.85) < 1e-6, "told Live where it snapped to")


def test_mute_solo_and_master() -> None:
    with live_and_bridge() as (live, bridge):
        live.do("song.tracks[2].put('mute', True); song.tracks[0].put('solo', True)")
        wait_for(lambda: bridge.strip("vocals").muted and bridge.strip("drums").soloed, "from Live")
        bridge.send(c.SetMute("vocals", False))
        bridge.send(c.SetSolo("vocals", True))
        wait_for(lambda: live.ask("[song.tracks[2].mute, song.tracks[2].solo]") == [False, True], "to Live")
        live.do("song.master_track.mixer_device.volume.put('value', 0.75)")
        wait_for(
            lambda: (
                abs(bridge.running.call(lambda: bridge.running.hub.session.desk.master_gain_db) + 4) < 1e-3
            ),
            "the master",
        )
        bridge.send(c.SetMasterGain(-10.0))
        wait_for(
            lambda: abs(live.ask("song.master_track.mixer_device.volume.value") - 0.6) < 1e-6, "and back"
        )


def test_fifty_moves_make_no_ping_pong() -> None:
    rng = random.Random(4)
    with live_and_bridge() as (live, bridge):
        bridge.events.clear()
        live.do(
            "moves, volume = [], song.tracks[2].mixer_device.volume\n"
            "volume.callbacks['value'].append(lambda: moves.append(volume.value))\nworld.listeners += 1"
        )
        for _ in range(50):
            live.fader("vocals - Song", rng.uniform(0.2, 0.8))
        live.fader("vocals - Song", 0.8)
        wait_for(lambda: abs(bridge.gain("vocals") + 2.0) < 0.01, "the last of Live's moves")
        for _ in range(50):
            bridge.send(c.SetGain("vocals", rng.uniform(-30.0, 0.0)))
        bridge.send(c.SetGain("vocals", -5.0))
        wait_for(lambda: abs(true_db(live.position("vocals - Song")) + 5.0) < 0.01, "the last of ours")
        ours = [x for x, origin in list(bridge.events) if isinstance(x, e.GainChanged) and origin == "test"]
        theirs = [x for x, origin in list(bridge.events) if isinstance(x, e.GainChanged) and origin != "test"]
        assert len(ours) == 51
        assert len(theirs) <= 51
        # Nothing of ours may come back as a move of theirs, also later.
        bridge.send(c.SetGain("drums", -1.0))
        wait_for(lambda: abs(true_db(live.position("drums - Song")) + 1.0) < 0.01, "a word after it all")
        late = [x for x, o in list(bridge.events) if isinstance(x, e.GainChanged) and o != "test"]
        assert len(late) == len(theirs)
        assert len(live.ask("moves")) <= 51 + 51 + 2
        live.do("volume.callbacks['value'].pop(); world.listeners -= 1")


def test_moves_that_cross_what_live_still_has_to_say_do_no_harm() -> None:
    """A Live slower than we are: what it says of our moves comes when we have moved on."""
    port = free_port()
    with Live(port, TRACKS, tick_s=0.15) as live, linked(port) as bridge:
        wait_for(lambda: abs(bridge.gain("vocals") + 6.0) < 0.01, "known")
        bridge.events.clear()
        rng = random.Random(6)
        gains = [rng.uniform(-30.0, 0.0) for _ in range(49)] + [-5.0]

        def start() -> None:
            loop = asyncio.get_running_loop()
            for place, gain_db in enumerate(gains):
                loop.call_later(0.03 * place, bridge.running.hub.send, c.SetGain("vocals", gain_db), "test")

        bridge.running.call(start)
        wait_for(lambda: bridge.gain("vocals") == -5.0, "all moves were made")
        live.do("song.tracks[2].put('name', 'vocals too')")  # and in the middle of them all is told anew
        wait_for(lambda: abs(true_db(live.position("vocals too")) + 5.0) < 0.01, "the last one counts")
        wait_for(lambda: bridge.bound().get("vocals") == "vocals too", "all was told")
        theirs = [x for x, o in list(bridge.events) if isinstance(x, e.GainChanged) and o != "test"]
        assert theirs == []
        assert bridge.gain("vocals") == -5.0


def test_a_bridge_that_died_is_replaced() -> None:
    port = free_port()
    with Live(port, TRACKS) as live, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dead:
        dead.connect(("127.0.0.1", port))
        dead.send(encode(Message("/stembridge/hello", (1, 0))))
        dead.settimeout(30.0)
        assert dead.recv(65536)
        with linked(port) as bridge:
            wait_for(bridge.online, "after it has been silent for long enough")
            live.fader("vocals - Song", 0.5)
            wait_for(lambda: abs(bridge.gain("vocals") + 14.0) < 0.01, "and Live talks to us")


def test_gains_above_lives_top_are_not_dragged_down() -> None:
    with live_and_bridge() as (live, bridge):
        bridge.send(c.SetGain("vocals", 9.0))
        wait_for(lambda: live.position("vocals - Song") == 1.0, "Live shows its top")
        live.do("song.tracks[2].put('name', 'vocals again')")
        wait_for(lambda: bridge.bound().get("vocals") == "vocals again", "all values were told anew")
        live.do("song.tracks[2].mixer_device.volume.tell('value')")
        bridge.send(c.SetGain("drums", -1.0))
        wait_for(lambda: abs(true_db(live.position("drums - Song")) + 1.0) < 0.01, "a word after it all")
        assert bridge.gain("vocals") == 9.0
        live.fader("vocals again", 0.9)
        wait_for(lambda: abs(bridge.gain("vocals") - 2.0) < 0.01, "a hand that moves it down is heard")


def test_a_fade_arrives() -> None:
    with live_and_bridge() as (live, bridge):
        bridge.send(c.SetGain("vocals", -20.0, 0.5))
        wait_for(lambda: abs(true_db(live.position("vocals - Song")) + 20.0) < 0.05, "the end of the fade")
        wait_for(lambda: bridge.gain("vocals") == -20.0, "and nothing came back from on the way")


def test_tracks_that_come_go_move_and_change_their_names() -> None:
    with live_and_bridge() as (live, bridge):
        before = int(live.ask("world.listeners"))
        live.add("Intro", index=0)
        live.do("song.move_track(3, 0)")  # the vocals to the front
        live.fader("vocals - Song", 0.6)
        wait_for(lambda: abs(bridge.gain("vocals") + 10.0) < 0.01, "the moved track")
        live.do("[t for t in song.tracks if t.name == 'Click'][0].put('name', 'bass')")
        wait_for(lambda: bridge.bound().get("bass") == "bass", "a renamed track is bound")
        wait_for(lambda: abs(bridge.gain("bass") - LAW.db(0.5)) < 0.05, "and its fader counts")
        live.do("[t for t in song.tracks if t.name == 'bass'][0].put('name', 'nothing')")
        wait_for(lambda: "bass" not in bridge.bound(), "and unbound")
        live.do("song.delete_track(0)")
        wait_for(lambda: "vocals" not in bridge.bound(), "a deleted track is unbound")
        live.do("song.delete_track([t.name for t in song.tracks].index('Intro'))")
        live.add("vocals 2", 0.45)
        wait_for(lambda: bridge.bound().get("vocals") == "vocals 2", "a new track takes its place")
        wait_for(lambda: abs(bridge.gain("vocals") + 16.0) < 0.01, "with its gain")
        wait_for(lambda: live.ask("world.listeners") == before, "as many listeners as before")
        assert live.log() == []


def test_a_track_is_bound_by_hand() -> None:
    with live_and_bridge() as (live, bridge):
        bridge.running.call(lambda: bridge.link.bind("guitar", "click"))
        assert bridge.bound()["guitar"] == "Click"
        live.fader("Click", 0.6)
        wait_for(lambda: abs(bridge.gain("guitar") + 10.0) < 0.01, "its fader drives the stem")
        bridge.running.call(lambda: bridge.link.bind("vocals", ""))
        assert "vocals" not in bridge.bound()
        with pytest.raises(Refusal) as refused:
            bridge.running.call(lambda: bridge.link.bind("bass", "Nobody"))
        assert refused.value.code == "not_found"
        assert "Click" in refused.value.text


def test_live_is_restarted_and_so_is_the_bridge() -> None:
    port = free_port()
    with linked(port) as bridge:
        assert not bridge.online()
        with pytest.raises(Refusal) as refused:
            bridge.selected()
        assert refused.value.code == "daw_offline"
        live = Live(port, TRACKS)
        wait_for(bridge.online, "Live is found when it starts later")
        wait_for(lambda: len(bridge.bound()) == 2, "with its tracks")
        bridge.send(c.SetGain("vocals", -8.0))
        wait_for(lambda: abs(true_db(live.position("vocals - Song")) + 8.0) < 0.01, "told")
        live.kill()
        wait_for(lambda: not bridge.online(), "a crash is noticed")
        with Live(port, {"Intro": 0.85, "vocals - Song": live_position(-8.0)}) as again:
            wait_for(bridge.online, "the next one is found")
            wait_for(lambda: "drums" not in bridge.bound(), "its tracks are other ones")
            bridge.send(c.SetGain("vocals", -9.0))
            wait_for(lambda: abs(true_db(again.position("vocals - Song")) + 9.0) < 0.01, "and can be moved")
            bridge.close()
            with linked(port) as other:  # the bridge of before has said good-bye: no waiting
                wait_for(lambda: other.bound().get("vocals") == "vocals - Song", "a restarted bridge")
                wait_for(lambda: abs(other.gain("vocals") + 9.0) < 0.01, "finds the faders as they stand")


def test_a_live_that_hangs_is_offline_until_it_goes_on() -> None:
    with live_and_bridge() as (live, bridge):
        live.freeze(True)
        wait_for(lambda: not bridge.online(), "its silence is noticed")
        with pytest.raises(Refusal):
            bridge.selected()
        bridge.send(c.SetGain("vocals", -20.0))
        live.freeze(False)
        wait_for(bridge.online, "it goes on")
        wait_for(lambda: abs(true_db(live.position("vocals - Song")) + 20.0) < 0.05, "and is told")
        assert bridge.gain("vocals") == -20.0


def test_what_was_moved_while_live_was_away_is_told_when_it_is_back() -> None:
    port = free_port()
    with linked(port) as bridge:
        live = Live(port, TRACKS)
        wait_for(lambda: len(bridge.bound()) == 2, "bound")
        wait_for(lambda: abs(bridge.gain("vocals") + 6.0) < 0.01, "known")
        live.kill()
        wait_for(lambda: not bridge.online(), "gone")
        bridge.send(c.SetGain("vocals", -20.0))
        with Live(port, TRACKS) as again:
            wait_for(lambda: abs(true_db(again.position("vocals - Song")) + 20.0) < 0.05, "told")
            assert bridge.gain("vocals") == -20.0


def test_a_second_bridge_is_turned_away(caplog: pytest.LogCaptureFixture) -> None:
    with live_and_bridge() as (live, bridge), linked(live.port) as other:
        wait_for(lambda: "another bridge" in caplog.text, "it says why")
        assert not other.online()
        live.fader("vocals - Song", 0.5)
        wait_for(lambda: abs(bridge.gain("vocals") + 14.0) < 0.01, "the first goes on")


def test_import_mode_leaves_all_faders_alone() -> None:
    with live_and_bridge("import") as (live, bridge):
        bridge.send(c.SetGain("vocals", -20.0))
        live.fader("drums - Song", 0.5)
        assert bridge.running.call(lambda: bridge.link.state().mode) == "import"
        with pytest.raises(Refusal):  # an answer, so both have been there and back
            bridge.selected()
        assert bridge.gain("drums") == 0.0
        assert abs(live.position("vocals - Song") - 0.7) < 1e-6


def live_position(gain_db: float) -> float:
    return LAW.position(gain_db)
