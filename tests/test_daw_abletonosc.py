"""The link to Live through AbletonOSC, over real UDP; AbletonOSC and Live are fakes."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bridges import RunningHub, running_hub, wait_for
from fake_abletonosc import FakeAbletonOsc
from fake_lom import Clip, World
from lives import free_port, write_wav
from stembridge.bridge import commands as c
from stembridge.bridge import events as e
from stembridge.bridge.daws.abletonosc import AbletonOscLink
from stembridge.bridge.daws.link import ImportedStem, Mode, SelectedClip, StemImport
from stembridge.bridge.fader_laws import fader_law
from stembridge.bridge.hub import Refusal

LAW = fader_law("live")


class Linked:
    """A hub with a link to AbletonOSC, and what happened on it."""

    def __init__(self, running: RunningHub, ports: tuple[int, int], mode: Mode) -> None:
        self.running = running
        self.link: AbletonOscLink = running.call(
            lambda: AbletonOscLink(running.hub, mode=mode, send_port=ports[0], listen_port=ports[1])
        )
        self.events: list[tuple[e.Event, str]] = []
        running.call(lambda: running.hub.listen(lambda event, origin: self.events.append((event, origin))))
        self._task: concurrent.futures.Future[None] = asyncio.run_coroutine_threadsafe(
            self.link.run(), running.loop
        )

    def send(self, command: c.Command) -> None:
        self.running.call(lambda: self.running.hub.send(command, "test"))

    def strip(self, stem: str) -> Any:
        return self.running.call(lambda: self.running.hub.session.desk.strips[stem])

    def gain(self, stem: str) -> float:
        return float(self.strip(stem).gain_db)

    def online(self) -> bool:
        return self.running.call(lambda: self.link.state().state) == "online"

    def bound(self) -> dict[str, str]:
        told = {event.stem: event.track for event, _ in list(self.events) if isinstance(event, e.TrackBound)}
        return {stem: track for stem, track in told.items() if track}

    def selected(self) -> SelectedClip:
        return asyncio.run_coroutine_threadsafe(self.link.selected_clip(), self.running.loop).result(30)

    def take(self, stems: StemImport) -> int:
        return asyncio.run_coroutine_threadsafe(self.link.import_stems(stems), self.running.loop).result(30)

    def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(concurrent.futures.CancelledError):
            self._task.result(30)


def world_of(**tracks: float) -> World:
    world = World()
    for name, position in tracks.items():
        add(world, name, position)
    return world


def add(world: World, name: str, position: float, index: int = -1) -> None:
    track = world.song.create_audio_track(index)
    track.put("name", name)
    track.mixer_device.volume.put("value", position)


@contextlib.contextmanager
def linked(ports: tuple[int, int], mode: Mode = "remote") -> Iterator[Linked]:
    with running_hub() as running:
        one = Linked(running, ports, mode)
        try:
            yield one
        finally:
            one.close()


@contextlib.contextmanager
def live_and_bridge(
    world: World, mode: Mode = "remote", places: bool = False
) -> Iterator[tuple[FakeAbletonOsc, Linked]]:
    ports = (free_port(), free_port())
    with linked(ports, mode) as bridge, FakeAbletonOsc(world, *ports, places=places) as live:
        wait_for(bridge.online, "AbletonOSC is found")
        wait_for(lambda: len(bridge.bound()) == 2, "the tracks are bound")
        yield live, bridge


def fader(live: FakeAbletonOsc, index: int, position: float) -> None:
    with live.lock:
        live.world.song.tracks[index].mixer_device.volume.put("value", position)


def position(live: FakeAbletonOsc, index: int) -> float:
    with live.lock:
        return float(live.world.song.tracks[index].mixer_device.volume.value)


def test_faders_go_both_ways_by_lives_law() -> None:
    with live_and_bridge(world_of(drums=0.85, vocals=0.7)) as (live, bridge):
        wait_for(lambda: abs(bridge.gain("vocals") + 6.0) < 0.001, "Live's gain at the start")
        for place in (1.0, 0.86, 0.5, 0.3, 0.1, 0.0):
            fader(live, 1, place)
            wait_for(lambda p=place: abs(bridge.gain("vocals") - LAW.db(p)) <= 0.01, f"{place}")  # type: ignore[misc]
        for gain_db in (6.0, -3.0, -20.0, -50.0, 0.0):
            bridge.send(c.SetGain("vocals", gain_db))
            wait_for(lambda g=gain_db: abs(LAW.db(position(live, 1)) - g) <= 0.01, f"{gain_db} dB")  # type: ignore[misc]
        fader(live, 1, 0.8507)
        wait_for(lambda: abs(position(live, 1) - 0.85) < 1e-6, "snapped to unity, and told so")
        assert bridge.gain("vocals") == 0.0


def test_mute_and_solo() -> None:
    with live_and_bridge(world_of(drums=0.85, vocals=0.85)) as (live, bridge):
        wait_for(lambda: bool(live.sent_to("/live/track/start_listen/solo")), "it listens")
        with live.lock:
            live.world.song.tracks[1].put("mute", True)
        wait_for(lambda: bridge.strip("vocals").muted, "from Live")
        bridge.send(c.SetSolo("vocals", True))
        bridge.send(c.SetMute("vocals", False))
        track = live.world.song.tracks[1]
        wait_for(lambda: track.solo and not track.mute, "to Live")


def test_fifty_moves_make_no_ping_pong() -> None:
    rng = random.Random(5)
    with live_and_bridge(world_of(drums=0.85, vocals=0.7)) as (live, bridge):
        wait_for(lambda: abs(bridge.gain("vocals") + 6.0) < 0.001, "it listens")
        live.heard.clear()
        bridge.events.clear()
        for _ in range(50):
            bridge.send(c.SetGain("vocals", rng.uniform(-30.0, 0.0)))
            # Live's answers come while we are sending on, each to a value that is old by then.
            wait_for(lambda: bridge.running.call(lambda: True), "the loop turns")
        bridge.send(c.SetGain("vocals", -5.0))
        wait_for(lambda: abs(LAW.db(position(live, 1)) + 5.0) < 0.01, "the last of ours")
        for _ in range(50):
            fader(live, 1, rng.uniform(0.2, 0.8))
        fader(live, 1, 0.8)
        wait_for(lambda: abs(bridge.gain("vocals") + 2.0) < 0.01, "the last of Live's")
        bridge.send(c.SetGain("drums", -1.0))
        wait_for(lambda: abs(LAW.db(position(live, 0)) + 1.0) < 0.01, "a word after it all")
        moves = [x for x, origin in list(bridge.events) if isinstance(x, e.GainChanged) and origin != "test"]
        assert len(moves) <= 51
        sent = [m for m in live.sent_to("/live/track/set/volume") if m[0] == 1]
        assert len(sent) <= 51 + 2
        assert bridge.gain("vocals") == pytest.approx(-2.0, abs=0.001)


def test_moves_that_cross_what_live_still_has_to_say_do_no_harm() -> None:
    world, ports = world_of(drums=0.85, vocals=0.7), (free_port(), free_port())
    with linked(ports) as bridge, FakeAbletonOsc(world, *ports, tick_s=0.15) as live:
        wait_for(lambda: abs(bridge.gain("vocals") + 6.0) < 0.001, "it listens")
        bridge.events.clear()
        rng = random.Random(6)
        gains = [rng.uniform(-30.0, 0.0) for _ in range(49)] + [-5.0]

        def start() -> None:
            loop = asyncio.get_running_loop()
            for place, gain_db in enumerate(gains):
                loop.call_later(0.03 * place, bridge.running.hub.send, c.SetGain("vocals", gain_db), "test")

        bridge.running.call(start)
        wait_for(lambda: abs(LAW.db(position(live, 1)) + 5.0) < 0.01, "the last one arrives")
        live.heard.clear()
        wait_for(lambda: len(live.sent_to("/live/song/get/track_names")) > 1, "all answers came back")
        assert [x for x, o in list(bridge.events) if isinstance(x, e.GainChanged) and o != "test"] == []
        assert bridge.gain("vocals") == -5.0


def test_a_burst_becomes_one_value_a_tick() -> None:
    with live_and_bridge(world_of(drums=0.85, vocals=0.7)) as (live, bridge):
        wait_for(lambda: abs(bridge.gain("vocals") + 6.0) < 0.001, "it listens")
        live.heard.clear()

        def burst() -> None:
            for step in range(500):
                bridge.running.hub.send(c.SetGain("vocals", -10.0 - step / 100), "test")

        bridge.running.call(burst)
        wait_for(lambda: abs(LAW.db(position(live, 1)) + 14.99) < 0.01, "the last one arrives")
        assert len(live.sent_to("/live/track/set/volume")) <= 3


def test_gains_above_lives_top_are_not_dragged_down() -> None:
    with live_and_bridge(world_of(drums=0.85, vocals=0.7)) as (live, bridge):
        wait_for(lambda: abs(bridge.gain("vocals") + 6.0) < 0.001, "it listens")
        bridge.send(c.SetGain("vocals", 9.0))
        wait_for(lambda: position(live, 1) == 1.0, "its top")
        with live.lock:
            live.world.song.tracks[1].mixer_device.volume.tell("value")
            add(live.world, "Intro", 0.85, 0)
        names = len(live.sent_to("/live/song/get/track_names"))
        wait_for(lambda: len(live.sent_to("/live/song/get/track_names")) > names + 1, "names were asked for")
        bridge.send(c.SetGain("drums", -1.0))
        wait_for(lambda: abs(LAW.db(position(live, 1)) + 1.0) < 0.01, "a word after it all")
        assert bridge.gain("vocals") == 9.0


def test_tracks_that_come_go_and_move() -> None:
    with live_and_bridge(world_of(drums=0.85, vocals=0.7)) as (live, bridge):
        wait_for(lambda: abs(bridge.gain("vocals") + 6.0) < 0.001, "known")
        with live.lock:
            add(live.world, "Intro", 0.3, 0)
        fader(live, 2, 0.6)  # its listener still speaks of track 1
        wait_for(lambda: abs(bridge.gain("vocals") + 10.0) < 0.001, "told by a listener with an old number")
        names = len(live.sent_to("/live/song/get/track_names"))
        wait_for(lambda: len(live.sent_to("/live/song/get/track_names")) > names + 1, "and again")
        bridge.send(c.SetGain("vocals", -3.0))
        wait_for(lambda: abs(LAW.db(position(live, 2)) + 3.0) < 0.01, "set at its new place")
        assert position(live, 0) == pytest.approx(0.3)
        assert position(live, 1) == pytest.approx(0.85)
        with live.lock:
            live.world.song.tracks[0].put("name", "bass 1")
        wait_for(lambda: bridge.bound().get("bass") == "bass 1", "a renamed track is bound")
        wait_for(lambda: abs(bridge.gain("bass") - LAW.db(0.3)) < 0.01, "and its fader counts")
        with live.lock:
            live.world.song.delete_track(2)
        wait_for(lambda: "vocals" not in bridge.bound(), "a deleted track is unbound")
        # Each bound track has three listeners: none is left over from before it moved.
        wait_for(lambda: live.world.listeners == 6, f"{live.world.listeners} listeners")


def test_live_is_restarted() -> None:
    ports = (free_port(), free_port())
    with linked(ports) as bridge:
        assert not bridge.online()
        with pytest.raises(Refusal) as refused:
            bridge.selected()
        assert refused.value.code == "daw_offline"
        with FakeAbletonOsc(world_of(drums=0.85, vocals=0.7), *ports):
            wait_for(lambda: abs(bridge.gain("vocals") + 6.0) < 0.001, "found when it starts later")
        with FakeAbletonOsc(world_of(intro=0.5, vocals=0.6), *ports) as live:  # at once: nobody was missed
            wait_for(lambda: abs(bridge.gain("vocals") + 10.0) < 0.001, "all is listened to anew")
            bridge.send(c.SetGain("vocals", -1.0))
            wait_for(lambda: abs(LAW.db(position(live, 1)) + 1.0) < 0.01, "and set")
        wait_for(lambda: not bridge.online(), "its end is noticed")
        bridge.send(c.SetGain("vocals", -20.0))
        with FakeAbletonOsc(world_of(vocals=LAW.position(-1.0)), *ports) as live:
            wait_for(lambda: abs(LAW.db(position(live, 0)) + 20.0) < 0.01, "told what it missed")


def test_a_taken_port_is_said(caplog: pytest.LogCaptureFixture) -> None:
    ports = (free_port(), free_port())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", ports[1]))
        with linked(ports) as bridge:
            wait_for(lambda: "to one program only" in caplog.text, "it is in the log")
            with pytest.raises(Refusal, match="lsof") as refused:
                bridge.selected()
            assert refused.value.code == "daw_offline"
            other.close()
            with FakeAbletonOsc(world_of(drums=0.85, vocals=0.7), *ports):
                wait_for(bridge.online, "the port is ours once it is free")


def test_the_selected_clip(tmp_path: Path) -> None:
    song = write_wav(tmp_path / "song.wav", 6.0)
    world = world_of(drums=0.85, vocals=0.85)
    with live_and_bridge(world) as (live, bridge):
        with pytest.raises(Refusal) as refused:
            bridge.selected()
        assert refused.value.code == "not_found"
        with live.lock:
            track = world.song.tracks[1]
            clip: Clip = track.clip_slots[2].create_audio_clip(song)
            world.song.view.selected_track, world.song.view.selected_scene = track, world.song.scenes[2]
            clip.warping, clip.loop_end = False, clip.seconds
        assert bridge.selected() == SelectedClip(song, None, None, "song.wav")
        with live.lock:
            clip.loop_start, clip.loop_end = 1.5, 4.0
        part = bridge.selected()
        assert part.start_s == pytest.approx(1.5)
        assert part.end_s == pytest.approx(4.0, abs=0.001)
        with live.lock:
            clip.warping = True
        assert bridge.selected() == SelectedClip(song, None, None, "song.wav")
        with live.lock:
            world.song.view.selected_scene = world.song.scenes[0]
        with pytest.raises(Refusal, match="no audio clip"):
            bridge.selected()


def stems_of(folder: Path) -> StemImport:
    names = ("drums", "vocals")
    paths = [Path(write_wav(folder / f"{name}.wav", 2.0)) for name in names]
    files = [ImportedStem(n, p, f"{n} - Song") for n, p in zip(names, paths, strict=True)]
    return StemImport(1, folder / "no.json", files, 0, -2.0)


def test_an_import_where_it_can(tmp_path: Path) -> None:
    world = world_of(drums=0.85, vocals=0.85)
    with live_and_bridge(world, "import", places=True) as (_, bridge):
        assert bridge.take(stems_of(tmp_path)) == 2
        assert [track.name for track in world.song.tracks[2:]] == ["drums - Song", "vocals - Song"]
        for track in world.song.tracks[2:]:
            assert track.mixer_device.volume.value == pytest.approx(0.8)
            assert [clip.start_time for clip in track.arrangement_clips] == [8.0]
        stems = stems_of(tmp_path)
        (tmp_path / "vocals.wav").unlink()
        with pytest.raises(Refusal, match="valid audio file"):
            bridge.take(stems)
        wait_for(lambda: len(world.song.tracks) == 4, "what was there of it is gone again")


def test_an_import_where_it_cannot(tmp_path: Path) -> None:
    world = world_of(drums=0.85, vocals=0.85)
    with live_and_bridge(world, "import") as (_, bridge):
        with pytest.raises(Refusal) as refused:
            bridge.take(stems_of(tmp_path))
        assert str(tmp_path / "vocals.wav") in refused.value.text
        assert len(world.song.tracks) == 2


def test_import_mode_leaves_all_faders_alone() -> None:
    with live_and_bridge(world_of(drums=0.85, vocals=0.7), "import") as (live, bridge):
        bridge.send(c.SetGain("vocals", -20.0))
        fader(live, 0, 0.5)
        with pytest.raises(Refusal):
            bridge.selected()  # an answer, so both have been there and back
        assert bridge.gain("drums") == 0.0
        assert not live.sent_to("/live/track/set/volume")
        assert not live.sent_to("/live/track/start_listen/volume")


def test_nonsense_from_its_port_changes_nothing() -> None:
    with live_and_bridge(world_of(drums=0.85, vocals=0.7)) as (live, bridge):
        wait_for(lambda: abs(bridge.gain("vocals") + 6.0) < 0.001, "known")
        listen = live._answer
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            for packet in (b"", b"/a", b"#bundle\0", b"/live/track/get/volume\0\0,ss\0a\0\0\0b\0\0\0",
                           b"/live/track/get/volume\0\0,\0\0\0", b"/live/error\0,\0\0\0"):  # fmt: skip
                other.sendto(packet, listen)
        fader(live, 1, 0.5)
        wait_for(lambda: abs(bridge.gain("vocals") + 14.0) < 0.001, "it goes on")
