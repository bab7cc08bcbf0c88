"""What moves of a controller do to the desk: without ports, with the real hub."""

from __future__ import annotations

from dataclasses import replace

import pytest
from midi_desk import DRUMS, Desk, mapped, play, slots
from stembridge.bridge import commands as c
from stembridge.bridge import events as e
from stembridge.bridge.hub import Request
from stembridge.bridge.midi.controls import Control
from stembridge.bridge.midi.decoder import Move
from stembridge.bridge.midi.map_files import find_map
from stembridge.bridge.midi.takeover import TAKEOVERS, Grip, Takeover
from stembridge.bridge.session import Session


def test_slots_are_stems_by_name_and_the_ends_are_exact() -> None:
    async def scenario(desk: Desk) -> None:
        for number, stem in ((20, "drums"), (21, "bass"), (22, "other"), (23, "vocals"), (28, "master")):
            desk.move(Control("cc", 1, number), 127)
            assert desk.gain(stem) == pytest.approx(6.0206, abs=1e-3), stem
            desk.move(Control("cc", 1, number), 0)
            assert desk.gain(stem) == -144.0, stem

    play(scenario, slots())


def test_an_absent_stem_ignores_its_slot_until_it_is_there() -> None:
    async def scenario(desk: Desk) -> None:
        guitar = Control("cc", 1, 24)
        desk.move(guitar, 3)
        assert desk.gain("guitar") == 0.0
        desk.hub.publish(desk.hub.session.set_stems(("drums", "bass", "other", "vocals", "guitar"))[0])
        desk.move(guitar, 0)
        assert desk.gain("guitar") == -144.0

    play(scenario, slots())


def test_the_instrumental_slot_moves_all_but_vocals() -> None:
    async def scenario(desk: Desk) -> None:
        desk.move(Control("cc", 1, 27), 0)
        assert [desk.gain(stem) for stem in ("drums", "bass", "other", "vocals")] == [
            -144.0,
            -144.0,
            -144.0,
            0.0,
        ]

    play(scenario, slots())


def test_unity_is_within_reach_of_every_resolution() -> None:
    """A 7-bit fader swept up and down stops at exactly 0 dB on its way; so does one of 14 bits."""

    async def scenario(desk: Desk) -> None:
        for top, sweep in ((127, range(128)), (16383, range(12700, 12900))):
            gains = []
            for value in sweep:
                desk.move(DRUMS, value, top=top)
                gains.append(desk.gain("drums"))
            assert 0.0 in gains
            assert gains == sorted(gains)

    play(scenario, slots())


def test_the_middle_of_a_knob_is_the_middle_exactly() -> None:
    async def scenario(desk: Desk) -> None:
        pan, sensitivity = Control("cc", 1, 1), Control("cc", 1, 2)
        for value, balance in ((0, -1.0), (64, 0.0), (127, 1.0)):
            desk.move(pan, value)
            assert desk.hub.session.desk.strips["bass"].pan == balance
            desk.move(sensitivity, value)
            assert desk.hub.session.desk.strips["bass"].sensitivity == 5.0 + 5.0 * balance

    play(scenario, mapped('cc = 1, address = "/stem/bass/pan"', 'cc = 2, address = "/stem/bass/sensitivity"'))


def test_buttons_notes_and_switches() -> None:
    async def scenario(desk: Desk) -> None:
        desk.press(Control("note", 1, 36))
        assert desk.strip("drums").muted
        desk.press(Control("note", 1, 36))
        assert not desk.strip("drums").muted
        desk.press(Control("cc", 1, 50))
        assert desk.strip("drums").soloed
        desk.move(Control("cc", 1, 51), 127, 127)
        assert desk.hub.session.desk.master_muted
        desk.move(Control("cc", 1, 51), 0)
        assert not desk.hub.session.desk.master_muted

    play(
        scenario,
        mapped(
            'note = 36, address = "/stem/drums/mute"',
            'cc = 50, address = "/stem/drums/solo/toggle"',
            'cc = 51, kind = "switch", address = "/master/mute"',
        ),
    )


def test_a_knob_without_ends_steps_from_where_the_value_is_and_finds_unity_again() -> None:
    async def scenario(desk: Desk) -> None:
        knob = Control("cc", 1, 16)
        seen = []
        for steps in [-1] * 20 + [1] * 20:
            desk.surface.move([Move(knob, steps=steps)])
            seen.append(round(desk.gain("bass"), 9))
        assert seen[:20] == sorted(seen[:20], reverse=True)
        assert len(set(seen)) == 21
        assert seen[-1] == 0.0
        desk.surface.move([Move(knob, steps=1)] * 3 + [Move(knob, steps=-3)])
        assert desk.gain("bass") == 0.0
        desk.surface.move([Move(knob, steps=-300)])
        assert desk.gain("bass") == -144.0

    play(scenario, mapped('cc = 16, kind = "relative-twos", address = "/stem/bass/gain"'))


def test_a_scene_and_an_import_from_buttons() -> None:
    async def scenario(desk: Desk) -> None:
        asked: list[c.Command] = []

        def take(request: Request) -> None:
            asked.append(request.command)

        desk.hub.handle((c.ImportStems, c.RenderSelected, c.CancelJob), take)
        desk.hub.send(c.SetGain("bass", -7.0), "osc")
        desk.press(Control("note", 1, 1))
        desk.hub.send(c.SetGain("bass", 0.0), "osc")
        desk.press(Control("program", 1, 3))
        assert desk.gain("bass") == -7.0
        desk.press(Control("note", 1, 2))
        assert asked == []
        desk.hub.publish(e.JobDone(12, "", 4, 1.0))
        for note in (2, 3, 4):
            desk.press(Control("note", 1, note))
        assert asked == [c.ImportStems(12), c.RenderSelected(), c.CancelJob(None)]

    play(
        scenario,
        mapped(
            'note = 1, address = "/mix/store the verse"',
            'program = 3, address = "/mix/recall the verse"',
            'note = 2, address = "/stems/import"',
            'note = 3, address = "/render/selected"',
            'note = 4, address = "/job/cancel"',
        ),
    )


# Takeover.


def test_pickup_waits_until_the_fader_has_reached_or_passed_the_value() -> None:
    async def scenario(desk: Desk) -> None:
        desk.move(DRUMS, 10, 40, 90)
        assert desk.gain("drums") == 0.0
        desk.move(DRUMS, 104)  # unity is at 99.3
        assert desk.gain("drums") == desk.hub.session.law.db(104 / 127)
        desk.move(DRUMS, 20)
        assert desk.gain("drums") < -20.0
        desk.hub.send(c.SetGain("drums", 0.0), "osc")
        desk.move(DRUMS, 21)
        assert desk.gain("drums") == 0.0, "moved elsewhere: the fader has lost it"
        desk.move(DRUMS, 99)
        assert desk.gain("drums") == 0.0
        desk.move(DRUMS, 20)
        assert desk.gain("drums") < -20.0

    play(scenario, slots("pickup"))


def test_scale_approaches_without_a_jump_and_meets() -> None:
    async def scenario(desk: Desk) -> None:
        def position() -> float:
            return desk.hub.session.law.position(desk.gain("drums"))

        desk.move(DRUMS, 20)
        assert desk.gain("drums") == 0.0
        last = position()
        for value in range(21, 128):
            desk.move(DRUMS, value)
            assert 0.0 <= position() - last < 0.02
            last = position()
        assert desk.gain("drums") == pytest.approx(6.0206, abs=1e-3)
        desk.move(DRUMS, 0)
        assert desk.gain("drums") == -144.0

    play(scenario, slots("scale"))


@pytest.mark.parametrize("mode", TAKEOVERS)
def test_every_takeover_ends_at_the_top_and_the_bottom(mode: Takeover) -> None:
    grip, value = Grip(mode), 0.6
    for place in [0.1, *(n / 127 for n in range(20, 128)), *(n / 127 for n in range(126, -1, -1))]:
        moved = grip.move(place, value, 1 / 127)
        value = value if moved is None else moved
        if place == 1.0:
            assert value == 1.0
    assert value == 0.0


def test_every_shipped_map_moves_and_shows_every_row() -> None:
    """Each row of each map reaches its value, from a controller that is in another place."""

    async def scenario(_desk: Desk) -> None:
        for name in ("slots", "channels", "nanokontrol2", "x-touch-mini", "launch-control-xl", "midimix"):
            midi_map = replace(find_map(name), takeover="jump")
            desk = Desk(
                midi_map, session=Session(stems=("drums", "bass", "other", "vocals", "guitar", "piano"))
            )
            for place, mapping in enumerate(midi_map):
                before = desk.hub.session.desk
                if mapping.kind in ("note", "button"):
                    desk.press(mapping.control)
                else:
                    desk.move(mapping.control, 127, 3 + place)
                if not mapping.address.startswith(("/render", "/job")):
                    assert desk.hub.session.desk != before, f"{name}: {mapping}"
            desk.surface.close()

    play(scenario, slots())
