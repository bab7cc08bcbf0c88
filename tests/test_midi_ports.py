"""The boxes between a driver's thread and the loop, and the names of ports; no driver needed."""

from __future__ import annotations

import asyncio
import random
import threading

import pytest
from jack import until
from stembridge.bridge.midi.boxes import Inbox, Outbox
from stembridge.bridge.midi.ports import find_port


def test_the_newest_value_of_every_control_survives_any_flood() -> None:
    rng = random.Random(1)
    box = Inbox(lambda: None, limit=64)
    newest: dict[tuple[int, ...], tuple[int, ...]] = {}
    for at in range(20_000):
        message = (0xB0 | rng.randrange(4), rng.randrange(100), rng.randrange(128))
        if rng.random() < 0.2:
            message = (0xE0 | rng.randrange(16), rng.randrange(128), rng.randrange(128))
        newest[message[:1] if message[0] >= 0xE0 else message[:2]] = message
        box.put(message, at)
    packets = box.take()
    assert len(packets) <= 2 * len(newest)
    assert [at for _, at in packets] == sorted(at for _, at in packets)
    left = {tuple(m[:1] if m[0] >= 0xE0 else m[:2]): tuple(m) for m, _ in packets}
    assert left == newest
    assert box.dropped == 20_000 - len(packets)
    assert box.take() == []


def test_notes_are_bounded_too_and_in_order() -> None:
    box = Inbox(lambda: None, limit=64)
    for n in range(10_000):
        box.put((0x90, n % 128, n // 128), n)
    packets = box.take()
    assert 32 <= len(packets) <= 64
    assert [at for _, at in packets] == list(range(10_000 - len(packets), 10_000))


def test_a_box_wakes_once_for_all_that_waits() -> None:
    woken: list[int] = []
    box = Inbox(lambda: woken.append(1), limit=1000)

    def send() -> None:
        for n in range(100):
            box.put((0xB0, n, 1), n)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(woken) == 1
    assert len(box.take()) == 400
    box.put((0xB0, 1, 1), 0.0)
    assert len(woken) == 2


def test_what_goes_out_is_paced_and_the_newest_of_a_key_wins() -> None:
    async def scenario() -> None:
        written: list[tuple[float, int]] = []
        loop = asyncio.get_running_loop()
        box = Outbox(lambda message: written.append((loop.time(), message[2])))
        for value in range(1000):
            box.send((0xB0, value % 100, value % 128), key=value % 100)
        await until(lambda: len(written) >= 101, "all keys")
        assert sorted(value for _, value in written[1:]) == sorted(value % 128 for value in range(900, 1000))
        for first in range(len(written) - 2 * Outbox.AT_ONCE - 1):
            assert written[first + 2 * Outbox.AT_ONCE + 1][0] - written[first][0] >= 0.9 * Outbox.EVERY_S
        box.clear()
        box.send((0xF8, 0, 1))
        box.send((0xF8, 0, 2))
        await until(
            lambda: [value for _, value in written[-2:]] == [1, 2], "without a key nothing is replaced"
        )
        box.clear()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("nanoKONTROL2:nanoKONTROL2 _ CTRL 24:0", "nanoKONTROL2:nanoKONTROL2 _ CTRL 28:0"),
        ("nanokontrol2", "nanoKONTROL2:nanoKONTROL2 _ CTRL 28:0"),
        ("MIDI Mix", "MIDI Mix:MIDI Mix MIDI 1 32:0"),
        ("Through", "Midi Through:Midi Through Port-0 14:0"),
        ("Stembridge", None),
        ("Faderfox", None),
    ],
)
def test_ports_are_found_by_a_part_of_their_name_whatever_number_they_have_now(
    wanted: str, found: str | None
) -> None:
    there = [
        "Stembridge In:Stembridge In 129:0",
        "Midi Through:Midi Through Port-0 14:0",
        "nanoKONTROL2:nanoKONTROL2 _ CTRL 28:0",
        "MIDI Mix:MIDI Mix MIDI 1 32:0",
    ]
    assert find_port(there, wanted) == found
