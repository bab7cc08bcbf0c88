"""The Mackie Control link: its messages, and a host that does what hosts do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from jack import Controller, jack_server, until
from mcu_desk import LAW, Desk, running
from stembridge.bridge import commands as c
from stembridge.bridge import events as e
from stembridge.bridge.daws import mcu_messages as mcu
from stembridge.bridge.daws.link import StemImport
from stembridge.bridge.daws.mcu import VIRTUAL, McuLink
from stembridge.bridge.daws.mcu_names import bound, stem_of_label
from stembridge.bridge.hub import Hub, Refusal
from stembridge.bridge.session import Session
from stembridge.model.errors import ArgumentValueError


@pytest.fixture(scope="module")
def jack() -> Iterator[str]:
    with jack_server() as name:
        yield name


# Messages and names.


def test_our_position_is_exact_for_hosts_of_10_and_of_14_bits() -> None:
    for step in range(1024):
        status, low, high = mcu.fader(3, step / 1023)
        value = high << 7 | low
        assert (status, value >> 4) == (0xE3, step)
        assert abs(value / 16383 - step / 1023) < 1 / 16383
        assert mcu.position(low, high) == pytest.approx(step / 1023, abs=1 / 16383)
    assert mcu.position(0, 0) == 0.0
    assert mcu.position(0x70, 0x7F) == 1.0, "the highest that 10 bits can say"
    assert mcu.position(*mcu.fader(0, 1.0)[1:]) == 1.0


def test_a_device_answers_what_hosts_ask() -> None:
    head = bytes((0xF0, 0, 0, 0x66, 0x14))
    assert mcu.answer(head + b"\x00\xf7") == mcu.hello()
    assert mcu.answer(head + b"\x13\x00\xf7") == head + b"\x14V3.0 \xf7"
    assert mcu.answer(head + b"\x13\x00vocals \xf7") is None, "a second display"
    confirmed = mcu.answer(head + b"\x02" + bytes(11) + b"\xf7")
    assert confirmed == head + b"\x03STEMBRG\xf7"
    for other in (b"", b"\xf0\xf7", head, head + b"\x12\x00abc\xf7", b"\xf0\x7e\x00\x06\x01\xf7"):
        assert mcu.answer(other) is None
    assert all(byte < 0x80 for byte in mcu.hello()[1:-1])


def test_the_display_is_read_piece_by_piece() -> None:
    display = mcu.Display()
    head = bytes((0xF0, 0, 0, 0x66, 0x14, 0x12))
    for place, text in ((0, b"vocals drums  "), (56, b"0.0"), (52, b"endless"), (15, b"\x00bas\x7f")):
        written = mcu.display_text(head + bytes((place,)) + text + b"\xf7")
        assert written is not None
        display.write(*written)
    assert display.labels() == ("vocals", "drums", "bas", "", "", "", "", "endl")
    assert not display.write(0, "vocals ")
    assert not display.write(60, "other row")


@pytest.mark.parametrize(
    ("label", "stem"),
    [
        ("vocals", "vocals"), ("VOCALS", "vocals"), ("vocals1", "vocals"), ("vclsSn", "vocals"),
        ("vocls1", "vocals"),
        ("drmsMy", "drums"), ("bssSng", "bass"), ("thrSng", "other"), ("accompa", "accompaniment"),
        ("ccmpnm", "accompaniment"), ("residua", "residual"), ("rsdlSn", "residual"), ("gtrSng", "guitar"),
        ("pnSong", "piano"), ("voice", None), ("Vox", None), ("", None), ("three", None), ("threes", None),
        ("bassoo", None), ("drumsti", None), ("Master", None), ("pn", None), ("bss", None),
    ],
)  # fmt: skip
def test_stems_are_known_by_what_a_display_shows_of_them(label: str, stem: str | None) -> None:
    assert stem_of_label(label) == stem


def test_a_whole_name_wins_over_a_shortened_one_and_a_hand_over_both() -> None:
    labels = ("vclsSn", "vocals", "Vox", "drums", "drums2")
    assert bound(labels, {}) == {"vocals": 1, "drums": 3}
    assert bound(labels, {"vocals": "vox"}) == {"vocals": 2, "drums": 3}


def test_no_file_goes_this_way() -> None:
    with pytest.raises(ArgumentValueError, match="remote"):
        McuLink(Hub(Session()), mode="import")

    async def scenario() -> None:
        link = McuLink(Hub(Session()), api="jack")
        with pytest.raises(Refusal):
            await link.import_stems(StemImport(1, Path("manifest.json")))
        with pytest.raises(Refusal):
            await link.selected_clip()
        with pytest.raises(Refusal, match="shows nothing"):
            link.bind("vocals", "Lead")
        assert link.state() == e.DawState("mcu", "remote", "offline", -1.0)

    asyncio.run(scenario())


# A host of many tracks.


class Host:
    """A host with tracks in banks of eight, at the other end of our ports."""

    def __init__(self, tracks: Sequence[str]) -> None:
        self.tracks = list(tracks)
        self.first = 0
        self.positions = dict.fromkeys(tracks, 0.5)
        self.wire = Controller("Host", VIRTUAL)
        self._read = 0

    def show(self) -> None:
        """Send names and faders of the bank, as hosts do after a bank button."""
        for strip in range(8):
            place = self.first + strip
            name = self.tracks[place] if place < len(self.tracks) else ""
            self.wire.send(mcu.fader(strip, self.positions.get(name, 0.0)))
            text = f"{name[:6]:7}".encode()
            self.wire.send(bytes((0xF0, 0, 0, 0x66, 0x14, 0x12, 7 * strip)) + text + b"\xf7")

    def work(self) -> None:
        """Carry out the bank buttons pressed, and note where faders were moved to."""
        heard, self._read = self.wire.heard[self._read :], len(self.wire.heard)
        for message in heard:
            by = {mcu.BANK_LEFT: -8, mcu.BANK_RIGHT: 8, mcu.CHANNEL_LEFT: -1, mcu.CHANNEL_RIGHT: 1}
            if message[0] == 0x90 and message[2] == 127 and message[1] in by:
                first = max(self.first + by[message[1]], 0)
                if first < len(self.tracks) and first != self.first:
                    self.first = first
                    self.show()
            elif message[0] & 0xF0 == 0xE0 and (message[0] & 0x0F) < 8:
                place = self.first + (message[0] & 0x0F)
                if place < len(self.tracks):
                    self.positions[self.tracks[place]] = mcu.position(message[1], message[2])

    def is_down(self, track: str) -> bool:
        return self.positions[track] == 0.0

    def has_more_than(self, count: int) -> bool:
        return len(self.bends()) > count

    def bends(self) -> list[tuple[int, ...]]:
        return [message for message in self.wire.heard if message[0] & 0xF0 == 0xE0]


def with_host(tracks: Sequence[str], scenario: Callable[[Desk, Host], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with running() as desk:
            host = await asyncio.to_thread(Host, tracks)

            async def work() -> None:
                while True:
                    host.work()
                    await asyncio.sleep(0.005)

            working = asyncio.create_task(work())
            try:
                host.show()
                await scenario(desk, host)
            finally:
                working.cancel()
                host.wire.unplug()

    asyncio.run(whole())


def test_stems_are_found_in_the_bank_where_they_are(jack: str) -> None:
    tracks = [f"take {n}" for n in range(11)] + ["drums", "bass", "other", "vocals", "reverb"]

    async def scenario(desk: Desk, host: Host) -> None:
        await until(lambda: len(desk.tracks) == 4, "all four are bound")
        await until(
            lambda: desk.gain("drums") == LAW.db(mcu.position(*mcu.fader(0, 0.5)[1:])), "the host's gain"
        )
        desk.ask(c.SetGain("vocals", -144.0))
        await until(lambda: host.positions["vocals"] == 0.0, "our gain")
        assert {name: host.positions[name] for name in tracks[:11]} == dict.fromkeys(tracks[:11], 0.5)

    with_host(tracks, scenario)


def test_stems_across_two_banks_are_brought_into_one(jack: str) -> None:
    tracks = [f"take {n}" for n in range(6)] + ["drums", "bass", "other", "vocals", "reverb"]

    async def scenario(desk: Desk, host: Host) -> None:
        await until(lambda: len(desk.tracks) == 4, "all four are bound")
        for stem in ("drums", "vocals"):
            desk.ask(c.SetGain(stem, -144.0))
            await until(partial(host.is_down, stem), stem)

    with_host(tracks, scenario)


def test_a_host_without_a_master_does_not_silence_ours(jack: str) -> None:
    async def scenario(desk: Desk, host: Host) -> None:
        host.wire.send(mcu.fader(8, 0.0), mcu.fader(0, 0.7))
        await until(lambda: desk.gain("drums") > -3.5 and desk.gain("drums") != 0.0, "what came after")
        assert desk.gain("master") == 0.0
        host.wire.send(mcu.fader(8, 0.5))
        await until(lambda: desk.gain("master") < -5.0, "a master that lives is followed")
        host.wire.send(mcu.fader(8, 0.0))
        await until(lambda: desk.gain("master") == -144.0, "down to silence")

    with_host(["drums"], scenario)


def test_a_host_that_repeats_everything_is_no_echo_chamber(jack: str) -> None:
    """Each of our moves comes back in the host's own rounding; nothing follows from that."""

    async def scenario(desk: Desk, host: Host) -> None:
        await until(lambda: "drums" in desk.tracks and desk.from_host() > 0, "bound")
        before, heard = desk.from_host(), len(host.bends())
        for step in range(50):
            desk.ask(c.SetGain("drums", -20.0 + step * 0.371))
            count = len(host.bends())
            await until(partial(host.has_more_than, count), "our move arrives")
            host.wire.send(host.bends()[-1])
        await asyncio.sleep(0)
        host.wire.send(mcu.fader(8, 0.5))
        await until(lambda: desk.gain("master") < -5.0, "everything sent before has been read")
        assert desk.from_host() == before
        assert len(host.bends()) - heard == 50
        assert desk.gain("drums") == pytest.approx(-20.0 + 49 * 0.371)

    with_host(["drums"], scenario)


def test_a_track_bound_by_hand(jack: str) -> None:
    async def scenario(desk: Desk, host: Host) -> None:
        await until(lambda: desk.link.state().state == "online", "names are shown")
        desk.link.bind("vocals", "Lead Vox")
        assert desk.tracks["vocals"] == "Lead V"
        desk.ask(c.SetGain("vocals", -144.0))
        await until(lambda: host.positions["Lead Vox"] == 0.0, "our gain")
        desk.link.bind("vocals", "")
        assert "vocals" not in desk.tracks

    with_host(["kit", "Lead Vox"], scenario)
