"""OSC packets: golden bytes, everything hostile, and the trip through both directions."""

from __future__ import annotations

import contextlib
import random
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stembridge.bridge.messages import Message
from stembridge.bridge.osc.packets import MOST_NESTED, PacketError, bundles, decode, encode, walk

GAIN = b"/stem/vocals/gain\0\0\0,f\0\0\xc0\xc0\x00\x00"  # -6.0
PING = b"/ping\0\0\0,is\0\0\0\0\x07hi\0\0"[:8] + b",is\0" + b"\0\0\0\x07" + b"hi\0\0"
NOW = b"\0\0\0\0\0\0\0\x01"


def bundle(*elements: bytes, tag: bytes = NOW) -> bytes:
    return b"#bundle\0" + tag + b"".join(struct.pack(">i", len(one)) + one for one in elements)


def nested(depth: int) -> bytes:
    packet = GAIN
    for _ in range(depth):
        packet = bundle(packet)
    return packet


def test_golden_bytes() -> None:
    assert decode(GAIN) == [Message("/stem/vocals/gain", (-6.0,))]
    assert encode(Message("/stem/vocals/gain", (-6.0,))) == GAIN
    assert decode(PING) == [Message("/ping", (7, "hi"))]
    assert encode(Message("/ping", (7, "hi"))) == PING


@pytest.mark.parametrize(
    ("packet", "arguments"),
    [
        (b"/a\0\0", ()),  # very old senders leave the type tags out
        (b"/a\0\0,\0\0\0", ()),
        (b"/a\0\0,TFN\0\0\0\0", (True, False, None)),
        (b"/a\0\0,h\0\0" + struct.pack(">q", 2**40), (2**40,)),
        (b"/a\0\0,d\0\0" + struct.pack(">d", 0.1), (0.1,)),
        (b"/a\0\0,b\0\0\0\0\0\x05hello\0\0\0", (b"hello",)),
        (b"/a\0\0,s\0\0\0\0\0\0", ("",)),
        (b"/a\0\0,s\0\0caf\xc3\xa9\0\0\0", ("café",)),
    ],
)
def test_every_type_that_is_taken(packet: bytes, arguments: tuple[object, ...]) -> None:
    assert decode(packet) == [Message("/a", arguments)]  # type: ignore[arg-type]


HOSTILE = {
    "element of size -4": b"#bundle\0" + NOW + b"\xff\xff\xff\xfc",
    "element of size 0": b"#bundle\0" + NOW + b"\0\0\0\0",
    "element of size 2^30": b"#bundle\0" + NOW + b"\x40\0\0\0",
    "element that is no multiple of 4": b"#bundle\0" + NOW + b"\0\0\0\x05hello",
    "half a size": b"#bundle\0" + NOW + b"\0\0",
    "bundle without a time": b"#bundle\0\0\0\0",
    "3000 open arrays": b"/a\0\0," + b"[" * 3000 + b"\0" * 3,
    "3000 arguments that are not there": b"/a\0\0," + b"f" * 3000 + b"\0" * 3,
    "a float that is not there": b"/a\0\0,f\0\0",
    "a string that does not end": b"/a\0\0,s\0\0abcd",
    "an address that does not end": b"/abcdefg",
    "a blob of -1": b"/a\0\0,b\0\0\xff\xff\xff\xff",
    "a blob of 2^31-1": b"/a\0\0,b\0\0\x7f\xff\xff\xff",
    "400 nested bundles": nested(400),
    "1600 nested bundles": nested(1600),
    "an address that is no text": b"\xff\xfe\0\0,\0\0\0",
    "an address with odd bytes": b"/a\xff\xfe\0\0\0\0,\0\0\0",
    "a string that is no text": b"/a\0\0,s\0\0\xff\xfe\0\0",
    "an unknown type": b"/a\0\0,Z\0\0",
    "type tags without a comma": b"/a\0\0ff\0\0\0\0\0\0\0\0\0\0",
    "bytes left over": b"/a\0\0,i\0\0\0\0\0\1\0\0\0\2",
    "nothing": b"",
    "one byte": b"/",
    "65507 bytes of zero": b"\0" * 65507,
    "65507 bytes of address": b"/" + b"a" * 65506,
    "more than a datagram": b"/a\0\0,s\0\0" + b"a" * 70000 + b"\0" * 4,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_packets_are_refused_at_once(name: str) -> None:
    began = time.process_time()
    with pytest.raises(PacketError):
        decode(HOSTILE[name])
    # A bound on work, not on speed: what hangs or explodes takes seconds to hours.
    assert time.process_time() - began < 1.0


def test_floats_that_are_no_numbers_are_for_the_table_to_refuse() -> None:
    (message,) = decode(b"/a\0\0,f\0\0\x7f\xc0\0\0")
    assert message.arguments[0] != message.arguments[0]


def test_bundles_nest_so_deep_and_no_deeper() -> None:
    assert len(decode(nested(MOST_NESTED))) == 1
    with pytest.raises(PacketError, match="deep"):
        decode(nested(MOST_NESTED + 1))


def test_order_and_times_of_a_bundle() -> None:
    ahead = time.time() + 3600
    tag = struct.pack(">II", int(ahead) + 2_208_988_800, 0)
    packet = bundle(GAIN, bundle(PING, tag=tag), bundle(), GAIN)
    found = list(walk(packet))
    assert [timed.message.address for timed in found] == ["/stem/vocals/gain", "/ping", "/stem/vocals/gain"]
    assert found[0].due is None
    assert found[1].due == int(ahead)
    assert found[2].due is None


def test_what_comes_before_the_damage_is_taken() -> None:
    messages = walk(bundle(GAIN, b"/a\0\0,f\0\0"))
    assert next(messages).message.address == "/stem/vocals/gain"
    with pytest.raises(PacketError) as refused:
        next(messages)
    assert refused.value.address == "/a"


def test_messages_are_bundled_into_few_packets_in_order() -> None:
    messages = [Message(f"/stem/{n}/gain", (float(n),)) for n in range(200)]
    packets = list(bundles([encode(message) for message in messages]))
    assert [message for packet in packets for message in decode(packet)] == messages
    assert all(len(packet) <= 1400 for packet in packets)
    assert len(packets) < 10
    assert list(bundles([GAIN])) == [GAIN]
    assert list(bundles([])) == []


@given(
    st.lists(
        st.one_of(
            st.integers(-(2**31), 2**31 - 1),
            st.floats(width=32, allow_nan=False),
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
        )
    )
)
def test_what_is_encoded_decodes_to_the_same(arguments: list[int | float | str]) -> None:
    message = Message("/a/b", tuple(arguments))
    assert decode(encode(message)) == [message]


def test_text_that_no_peer_could_read_is_escaped() -> None:
    (message,) = decode(encode(Message("/a", ("caf\udce9\0.wav",))))
    assert message.arguments == ("caf\\udce9.wav",)


@settings(max_examples=500)
@given(st.binary(max_size=400))
def test_random_bytes_are_a_packet_or_an_error(data: bytes) -> None:
    for packet in (data, b"#bundle\0" + data, b"/a\0\0," + data):
        with contextlib.suppress(PacketError):
            decode(packet)


def test_damaged_packets_are_a_packet_or_an_error() -> None:
    """Every kind of packet with bytes changed, cut out, doubled, thousands of times."""
    random_ = random.Random(3)
    seeds = [GAIN, PING, bundle(GAIN, PING), nested(5), bundle(bundle(PING), GAIN), *HOSTILE.values()]
    seeds = [seed for seed in seeds if len(seed) < 2000]
    for _ in range(20_000):
        data = bytearray(random_.choice(seeds))
        for _ in range(random_.randrange(1, 5)):
            place = random_.randrange(len(data) + 1)
            match random_.randrange(4):
                case 0 if data:
                    data[place % len(data)] = random_.choice([0, 1, 0x2C, 0x5B, 0x7F, 0x80, 0xFF])
                case 1:
                    del data[place : place + random_.randrange(1, 9)]
                case 2:
                    data[place:place] = data[place : place + random_.randrange(1, 17)]
                case _:
                    data[place:place] = random_.randbytes(4)
        with contextlib.suppress(PacketError):
            decode(bytes(data))
