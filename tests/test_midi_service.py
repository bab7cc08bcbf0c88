"""MIDI through real ports, over JACK's dummy driver with small buffers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from jack import Controller, jack_server, until
from stembridge.bridge import commands as c
from stembridge.bridge import events as e
from stembridge.bridge.hub import Hub
from stembridge.bridge.midi.controls import MidiError
from stembridge.bridge.midi.service import MidiService
from stembridge.bridge.session import Session

VIRTUAL = ("Stembridge In", "Stembridge Out")


@pytest.fixture(scope="module", autouse=True)
def jack() -> Iterator[str]:
    with jack_server() as name:
        yield name


class Bridge:
    """A hub with MIDI on it, and what it has told."""

    def __init__(self, service: MidiService, hub: Hub) -> None:
        self.service = service
        self.hub = hub
        self.replies: list[e.Event] = []
        self.events: list[e.Event] = []
        hub.listen(lambda event, _origin: self.events.append(event))

    def gain(self, stem: str) -> float:
        return self.hub.session.desk.strips[stem].gain_db

    def ask(self, command: c.Command) -> None:
        self.hub.send(command, "test", self.replies.append)


def play(scenario: Callable[[Bridge], Awaitable[None]], **options: Any) -> None:
    async def whole() -> None:
        hub = Hub(Session())
        hub.start()
        service = MidiService(hub, api="jack", **options)
        bridge = Bridge(service, hub)
        service.start()
        try:
            await scenario(bridge)
        finally:
            await service.close()
            await service.close()
            await hub.close()

    asyncio.run(whole())


def moved(bridge: Bridge, gain_db: float) -> bool:
    return bridge.gain("drums") == gain_db


async def plugged(name: str = "Pad", connect: tuple[str, str] | None = VIRTUAL) -> Controller:
    return await asyncio.to_thread(Controller, name, connect)


def test_a_controller_moves_a_stem_and_sees_what_others_do() -> None:
    async def scenario(bridge: Bridge) -> None:
        await until(lambda: bridge.service.ports.open, "the ports are open")
        pad = await plugged()
        try:
            pad.send((0xB0, 23, 0))
            await until(lambda: bridge.gain("vocals") == -144.0, "silence")
            pad.send((0xB0, 23, 127))
            await until(lambda: bridge.gain("vocals") > 6.02, "the top")
            pad.heard.clear()
            bridge.hub.send(c.SetGain("bass", -144.0), "osc")
            await until(lambda: (0xB0, 21, 0) in pad.heard, "feedback")
        finally:
            pad.unplug()

    play(scenario)


def test_fourteen_bits() -> None:
    async def scenario(bridge: Bridge) -> None:
        await until(lambda: bridge.service.ports.open, "the ports are open")
        pad = await plugged()
        law = bridge.hub.session.law
        try:
            for value in (9944, 1, 16383, 12345):
                pad.send((0xB0, 20, value >> 7), (0xB0, 52, value & 0x7F))
                gain_db = law.db(value / 16383)
                await until(partial(moved, bridge, gain_db), f"{value}")
        finally:
            pad.unplug()

    play(scenario)


_BURST = """
import sys, time, rtmidi
out = rtmidi.MidiOut(rtapi=rtmidi.API_UNIX_JACK, name="Burst")
port = [n for n in out.get_ports() if "Stembridge In" in n][0]
out.open_port(out.get_ports().index(port), "out")
count, at_once, pause = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
for n in range(count):
    out.send_message([0xB0, 20 + n % 4, (n * 37) % 128])
    if n % at_once == at_once - 1:
        time.sleep(pause)
time.sleep(0.2)
for n, value in enumerate((11, 22, 33, 44)):
    out.send_message([0xB0, 20 + n, value])
print("sent", flush=True)
sys.stdin.read()
out.close_port()
out.delete()
"""


@pytest.mark.parametrize(("at_once", "pause_s"), [(8, 0.003), (5000, 0.0)])
def test_the_last_of_5000_messages_counts_exactly(at_once: int, pause_s: float) -> None:
    """From another process: as fast as a driver takes them, and faster, where it drops some."""

    async def scenario(bridge: Bridge) -> None:
        await until(lambda: bridge.service.ports.open, "the ports are open")
        law = bridge.hub.session.law
        sender = subprocess.Popen(
            [sys.executable, "-c", _BURST, "5000", str(at_once), str(pause_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            assert sender.stdout is not None
            await asyncio.to_thread(sender.stdout.readline)
            expected = [law.snapped_db(value / 127, 128) for value in (11, 22, 33, 44)]
            await until(
                lambda: [bridge.gain(stem) for stem in ("drums", "bass", "other", "vocals")] == expected,
                "the last value of each",
            )
        finally:
            sender.communicate()

    play(scenario)


def test_a_controller_is_waited_for_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(bridge: Bridge) -> None:
        await until(lambda: "no MIDI port 'Fader Box'" in caplog.text, "it says that it waits")
        box = await plugged("Fader Box", None)
        await until(lambda: (0xB0, 20, 99) in box.heard, "everything is shown")
        shown = {20, 21, 22, 23, 26, 27, 28}  # the stems there are, the residual, the group, the master
        await until(lambda: {message[1] for message in box.heard} == shown, "all of it")
        box.send((0xB0, 20, 99), (0xB0, 20, 10))
        await until(lambda: bridge.gain("drums") < -20.0, "it moves a fader")
        box.unplug()
        await until(lambda: not bridge.service.ports.open, "it is gone")
        assert "Fader Box" in caplog.text
        bridge.hub.send(c.SetGain("drums", -144.0), "osc")
        box = await plugged("Fader Box", None)
        try:
            await until(lambda: (0xB0, 20, 0) in box.heard, "everything is shown again")
            shown.remove(27)  # the members of the group differ now
            await until(lambda: {message[1] for message in box.heard} == shown, "all of it")
            box.send((0xB0, 20, 0), (0xB0, 20, 127))
            await until(lambda: bridge.gain("drums") > 6.0, "and it moves a fader again")
        finally:
            box.unplug()

    play(scenario, input_name="Fader Box")


def test_a_named_controller_picks_up() -> None:
    async def scenario(bridge: Bridge) -> None:
        box = await plugged("Fader Box", None)
        try:
            await until(lambda: len(box.heard) >= 7, "it is found and shown everything")
            box.send((0xB0, 20, 10), (0xB0, 20, 30), (0xB0, 21, 99), (0xB0, 21, 0))
            await until(lambda: bridge.gain("bass") == -144.0, "the one that was at its value moves")
            assert bridge.gain("drums") == 0.0
            box.send((0xB0, 20, 110))
            await until(lambda: bridge.gain("drums") > 1.0, "passing the value takes it")
        finally:
            box.unplug()

    play(scenario, input_name="Fader Box")


def test_a_known_controller_gets_its_map() -> None:
    async def scenario(bridge: Bridge) -> None:
        korg = await plugged("nanoKONTROL2", None)
        try:
            await until(lambda: (0xB0, 48, 0) in korg.heard, "its lights are put right")
            korg.send((0xB0, 48, 127), (0xB0, 48, 0))
            await until(lambda: bridge.hub.session.desk.strips["drums"].muted, "its M button mutes")
            await until(lambda: (0xB0, 48, 127) in korg.heard, "and is lit")
        finally:
            korg.unplug()

    play(scenario, input_name="nanokontrol2")


@pytest.mark.parametrize(
    ("address", "messages", "control", "kind"),
    [
        ("/stem/vocals/gain", [(0xB2, 90, n) for n in range(40, 60)], "cc 3 90", "7-bit"),
        (
            "/stem/vocals/gain",
            [m for n in range(8000, 9000, 50) for m in ((0xB0, 3, n >> 7), (0xB0, 35, n & 0x7F))],
            "cc 1 3",
            "14-bit",
        ),
        ("/master/gain", [(0xE8, 0, n) for n in range(40, 60)], "pitchbend 9", "pitch-bend"),
        ("/stem/bass/mute", [(0x99, 36, 100), (0x99, 36, 0)], "note 10 36", "note"),
        ("/stem/bass/solo/toggle", [(0xB0, 64, 127), (0xB0, 64, 0)], "cc 1 64", "button"),
        ("/stem/bass/pan", [(0xB0, 70, n) for n in (1, 1, 2, 127, 127)], "cc 1 70", "relative-twos"),
        ("/mix/recall verse", [(0xC0, 4)], "program 1 5", "program"),
        ("/job/cancel", [(0x90, 37, 1)], "note 1 37", "note"),
    ],
)
def test_every_kind_of_control_is_learned_and_stays(
    address: str, messages: Sequence[Sequence[int]], control: str, kind: str, tmp_path: Path
) -> None:
    async def learn(bridge: Bridge) -> None:
        await until(lambda: bridge.service.ports.open, "the ports are open")
        pad = await plugged()
        try:
            bridge.ask(c.LearnMidi(address))
            assert bridge.replies == [e.MidiLearning(address, 10.0)]
            await asyncio.to_thread(pad.send, *messages, pause_s=0.005)
            learned = e.MidiLearned(address, control, kind)
            await until(lambda: learned in bridge.replies and learned in bridge.events, "it is learned")
        finally:
            pad.unplug()

    async def again(bridge: Bridge) -> None:
        bridge.ask(c.ListMidi())
        assert e.MidiMapping(address, control, kind) in bridge.replies
        *mappings, end = bridge.replies
        assert end == e.MidiMapEnd(len(mappings))

    play(learn, state=tmp_path)
    play(again, state=tmp_path)


def test_a_learned_control_moves_its_value_and_no_longer_its_old_one(tmp_path: Path) -> None:
    async def scenario(bridge: Bridge) -> None:
        await until(lambda: bridge.service.ports.open, "the ports are open")
        pad = await plugged()
        try:
            bridge.ask(c.LearnMidi("/stem/vocals/gain"))
            await asyncio.to_thread(pad.send, *[(0xB0, 21, n) for n in range(30, 50)], pause_s=0.005)
            await until(
                lambda: e.MidiLearned("/stem/vocals/gain", "cc 1 21", "7-bit") in bridge.replies, "learned"
            )
            assert e.MidiForgotten("/stem/bass/gain") in bridge.replies, "what it was for is said"
            assert bridge.gain("bass") == 0.0, "while it is learned it moves nothing"
            pad.send((0xB0, 23, 5), (0xB0, 21, 0))
            await until(lambda: bridge.gain("vocals") == -144.0, "it moves the new one")
            bridge.ask(c.ForgetMidi("/stem/vocals/gain"))
            assert bridge.replies[-1] == e.MidiForgotten("/stem/vocals/gain")
            pad.send((0xB0, 21, 100), (0xB0, 20, 0))
            await until(lambda: bridge.gain("drums") == -144.0, "others go on")
            assert bridge.gain("vocals") == -144.0
        finally:
            pad.unplug()

    play(scenario, state=tmp_path)


def test_learning_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stembridge.bridge.midi.service.WINDOW_S", 0.5)

    async def scenario(bridge: Bridge) -> None:
        bridge.ask(c.LearnMidi("/stem/vocals/gain"))
        bridge.ask(c.LearnMidi("/render"))
        bridge.ask(c.LearnMidi("/stem/kazoo/gain"))
        bridge.ask(c.ForgetMidi("/stem/vocals/pan"))
        codes = [event.code for event in bridge.replies if isinstance(event, e.Problem)]
        assert codes == ["not_found", "bad_args", "not_found", "not_found"]
        await until(lambda: bridge.service.ports.open, "the ports are open")
        bridge.ask(c.LearnMidi("/stem/vocals/gain"))
        bridge.ask(c.LearnMidi("/stem/bass/gain"))
        problem = [event for event in bridge.replies if isinstance(event, e.Problem)][-1]
        assert "instead" in problem.text
        await until(
            lambda: isinstance(bridge.replies[-1], e.Problem) and "within 0.5 s" in bridge.replies[-1].text,
            "it gives up",
        )

    play(scenario)


def test_program_changes_recall_scenes_by_number() -> None:
    async def scenario(bridge: Bridge) -> None:
        await until(lambda: bridge.service.ports.open, "the ports are open")
        for gain_db, scene in ((-3.0, "verse"), (-9.0, "chorus")):
            bridge.hub.send(c.SetGain("bass", gain_db), "osc")
            bridge.hub.send(c.StoreScene(scene), "osc")
        pad = await plugged()
        try:
            pad.send((0xC0, 0))
            await until(lambda: bridge.gain("bass") == -3.0, "program 1 is the first scene")
            pad.send((0xC5, 1))
            await until(lambda: bridge.gain("bass") == -9.0, "program 2 the second, on any channel")
            pad.send((0xC0, 77), (0xB0, 21, 0))
            await until(lambda: bridge.gain("bass") == -144.0, "one that there is not does no harm")
        finally:
            pad.unplug()

    play(scenario)


def test_notes_work_only_when_asked_for() -> None:
    async def scenario(bridge: Bridge, on: bool) -> None:
        await until(lambda: bridge.service.ports.open, "the ports are open")
        pad = await plugged()
        try:
            pad.send((0x9F, 48, 100), (0xB0, 23, 0))
            await until(lambda: bridge.gain("vocals") == -144.0, "what came after")
            assert bridge.hub.session.desk.strips["drums"].muted == on
        finally:
            pad.unplug()

    play(lambda bridge: scenario(bridge, True), notes=True)
    play(lambda bridge: scenario(bridge, False))


def test_rubbish_on_the_wire_changes_nothing() -> None:
    async def scenario(bridge: Bridge) -> None:
        before = bridge.hub.session.desk
        at = time.monotonic()
        for packet in (
            [],
            [0],
            [0xB0],
            [0xB0, 20],
            [0xB0, 20, 200],
            [0xF0, 1, 2, 0xF7],
            [0xF8],
            [0xFF],
            [0x90, 1],
        ):
            bridge.service.receive([(packet, at)])
        assert bridge.hub.session.desk == before

    play(scenario)


def test_what_was_learned_and_is_damaged_is_put_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = tmp_path / "midi.toml"
    state.write_text("schema = 1\ncontrol = [{")

    async def scenario(bridge: Bridge) -> None:
        assert len(bridge.service.map) == 9

    play(scenario, state=tmp_path)
    assert "put aside" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["midi.toml.damaged"]


def test_a_driver_that_is_not_there_is_said() -> None:
    with pytest.raises(MidiError, match="jack"):
        MidiService(Hub(Session()), api="coremidi")
