"""What is shown on a controller of the desk: without ports, with the real hub."""

from __future__ import annotations

import asyncio

from jack import until
from midi_desk import DRUMS, Desk, mapped, play, slots
from stembridge.bridge import commands as c
from stembridge.bridge.midi.controls import Control
from stembridge.bridge.midi.decoder import Move
from stembridge.bridge.midi.surface import HAND_S


def test_everything_is_shown_where_it_stands() -> None:
    async def scenario(desk: Desk) -> None:
        desk.hub.send(c.SetGain("drums", -144.0), "osc")
        desk.hub.send(c.SetMute("drums", True), "osc")
        desk.sent.clear()
        desk.surface.use(desk.surface._map)  # as after a controller has come back
        desk.surface.show_all()
        assert sorted(desk.sent) == [(0x90, 8, 1), (0xB0, 20, 0), (0xB0, 28, 99)]

    play(
        scenario,
        mapped(
            'cc = 20, address = "/stem/drums/gain"',
            'cc = 28, address = "/master/gain"',
            'note = 36, address = "/stem/drums/mute/toggle", led = "note 1 8", lit = 1',
        ),
    )


def test_a_change_elsewhere_is_shown_fifty_times_a_second_and_its_end_always() -> None:
    async def scenario(desk: Desk) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for step in range(400):
            desk.hub.send(c.SetFader("drums", step / 399), "osc")
            await asyncio.sleep(0.0005)
        await until(lambda: desk.sent[-1:] == [(0xB0, 20, 127)], "the end is shown")
        assert len(desk.sent) <= (loop.time() - began) * 50 + 2
        values = [message[2] for message in desk.sent]
        assert values == sorted(values)

    play(scenario, slots())


def test_a_moving_control_is_told_nothing_until_the_hand_is_off() -> None:
    async def scenario(desk: Desk) -> None:
        loop = asyncio.get_running_loop()
        desk.move(DRUMS, 30)
        moved = loop.time()
        desk.hub.send(c.SetGain("drums", 0.0), "osc")
        assert desk.sent == []
        await until(lambda: bool(desk.sent), "the change is shown")
        assert loop.time() - moved >= HAND_S - 0.01
        assert desk.sent == [(0xB0, 20, 99)]

    play(scenario, mapped('cc = 20, address = "/stem/drums/gain"'))


def test_a_fader_that_has_not_picked_up_shows_what_is_true() -> None:
    """A ring or a motor goes back to the value once it is let go."""

    async def scenario(desk: Desk) -> None:
        desk.move(DRUMS, 30, 31)
        await until(lambda: (0xB0, 20, 99) in desk.sent, "the true value is shown")
        assert desk.gain("drums") == 0.0

    play(scenario, slots("pickup"))


def test_a_snapped_value_goes_back_to_the_fader_that_was_moved() -> None:
    async def scenario(desk: Desk) -> None:
        desk.move(DRUMS, 12790, top=16383)
        assert desk.gain("drums") == 0.0
        await until(lambda: len(desk.sent) == 2, "unity is shown, in 14 bits")
        assert [message[1] for message in desk.sent] == [20, 52]
        assert desk.sent[0][2] << 7 | desk.sent[1][2] == round(desk.hub.session.law.position(0.0) * 16383)

    play(scenario, mapped('cc = 20, address = "/stem/drums/gain"'))


def test_what_a_controller_repeats_of_what_it_was_told_is_no_move() -> None:
    async def scenario(desk: Desk) -> None:
        desk.hub.send(c.SetGain("drums", -6.1), "osc")
        told = desk.sent[-1][2]
        desk.move(DRUMS, told)
        assert desk.gain("drums") == -6.1
        desk.move(DRUMS, told + 1)
        assert desk.gain("drums") > -6.1

    play(scenario, slots())


def test_a_light_is_put_right_after_its_button_was_let_go() -> None:
    async def scenario(desk: Desk) -> None:
        pad = Control("note", 1, 36)
        desk.surface.move([Move(pad, pressed=True)])
        await until(lambda: desk.sent == [(0x90, 36, 15)], "it is lit")
        desk.surface.move([Move(pad, pressed=False)])
        await until(lambda: desk.sent == [(0x90, 36, 15)] * 2, "and lit again")
        desk.press(pad)
        await until(lambda: desk.sent[-1] == (0x90, 36, 12), "and put out")

    play(scenario, mapped('note = 36, address = "/stem/drums/mute/toggle", lit = 15, unlit = 12'))


def test_two_faders_of_one_stem_follow_each_other() -> None:
    async def scenario(desk: Desk) -> None:
        desk.move(DRUMS, 50)
        await until(lambda: desk.sent == [(0xB0, 7, 50)], "the other one is told")

    play(scenario, mapped('cc = 20, address = "/stem/drums/gain"', 'cc = 7, address = "/stem/drums/fader"'))


def test_a_group_is_shown_only_while_its_members_agree() -> None:
    async def scenario(desk: Desk) -> None:
        desk.hub.send(c.SetGain("bass", -20.0), "osc")
        assert desk.sent == []
        desk.hub.send(c.SetGain("instrumental", -144.0), "osc")
        await until(lambda: desk.sent == [(0xB0, 20, 0)], "they agree")

    play(scenario, mapped('cc = 20, address = "/stem/instrumental/gain"'))


def test_a_fade_is_shown_on_its_way() -> None:
    async def scenario(desk: Desk) -> None:
        desk.hub.send(c.SetGain("drums", -144.0, 0.3), "osc")
        await until(lambda: desk.sent[-1:] == [(0xB0, 20, 0)], "the end")
        values = [message[2] for message in desk.sent]
        assert values == sorted(values, reverse=True)
        assert len(set(values)) > 3

    play(scenario, slots())
