"""OSC packets: what is in a datagram, found out without trusting a byte of it.

python-osc builds and parses the messages, but only those that the walk here has found whole: every string
ended, every argument there, every size inside what holds it. Given others it can hang or raise anything.

A bundle is `#bundle\\0`, a time tag of 8 bytes, then elements of a size and as many bytes (OSC 1.0).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stembridge.model.errors import ArgumentValueError

from ..messages import Message, Value

LARGEST_BYTES = 65_535
MOST_NESTED = 8
MOST_ARGUMENTS = 512
BUNDLE_BYTES = 1_400
"""What a bundle of ours may hold: a datagram that no network cuts up."""

_SIZES = {"i": 4, "f": 4, "h": 8, "d": 8, "T": 0, "F": 0, "N": 0}
_HEAD = b"#bundle\x00"
_NOW = b"\x00\x00\x00\x00\x00\x00\x00\x01"
_EPOCH_1900_S = 2_208_988_800


class PacketError(ArgumentValueError):
    """Bytes that are no OSC packet, or one that is too big, too deep, or of types not spoken here."""

    def __init__(self, text: str, address: str = "") -> None:
        super().__init__(text)
        self.address = address
        """The address of the message that is wrong, where it could be read."""


@dataclass(frozen=True)
class Timed:
    """A message, and when it is meant to take effect (seconds as of `time.time`); None: at once."""

    message: Message
    due: float | None = None


def decode(packet: bytes) -> list[Message]:
    """All messages of a packet in order, time tags aside. Raises PacketError."""
    return [timed.message for timed in walk(packet)]


def walk(packet: bytes) -> Iterator[Timed]:
    """The messages of a packet, one by one; raises PacketError where it stops making sense.

    Nothing is read before it is asked for, so a packet of thousands may be taken in pieces.
    """
    if len(packet) > LARGEST_BYTES:
        raise PacketError(f"a packet has at most {LARGEST_BYTES} bytes; got {len(packet)}")
    # What is still to do, the innermost bundle last: where it goes on, where it ends, and its time.
    open_bundles: list[tuple[int, int, float | None]] = []
    start, end, due = 0, len(packet), None
    while True:
        if packet[start : start + 8] == _HEAD:
            if len(open_bundles) == MOST_NESTED:
                raise PacketError(f"bundles may lie {MOST_NESTED} deep; got more")
            if end - start < 16:
                raise PacketError("a bundle ends before its time tag")
            open_bundles.append((start + 16, end, _due(packet[start + 8 : start + 16])))
        else:
            yield Timed(_message(packet[start:end]), due)
        while open_bundles and open_bundles[-1][0] == open_bundles[-1][1]:
            open_bundles.pop()
        if not open_bundles:
            return
        place, limit, due = open_bundles[-1]
        if limit - place < 4:
            raise PacketError("a bundle's element has no size")
        size = int.from_bytes(packet[place : place + 4], "big", signed=True)
        start, end = place + 4, place + 4 + size
        if size < 4 or size % 4 or end > limit:
            raise PacketError(f"a bundle's element claims {size} bytes; {limit - place - 4} are there")
        open_bundles[-1] = (end, limit, due)


def encode(message: Message) -> bytes:
    """One message as a packet: ints as `i`, floats as `f`, strings as `s`.

    Raises ArgumentValueError for an int that 32 bits do not hold.
    """
    from pythonosc.osc_message_builder import OscMessageBuilder

    builder = OscMessageBuilder(message.address)
    for value in message.arguments:
        if isinstance(value, int):
            if not -(2**31) <= value < 2**31:
                raise ArgumentValueError(f"OSC's integers have 32 bits; got {value}")
            builder.add_arg(int(value), "i")
        elif isinstance(value, float):
            builder.add_arg(value, "f")
        else:
            builder.add_arg(_text(value), "s")
    return bytes(builder.build().dgram)


def bundles(packets: Sequence[bytes], largest: int = BUNDLE_BYTES) -> Iterator[bytes]:
    """Encoded messages as few packets in order: one alone as it is, several as a bundle for now."""
    waiting: list[bytes] = []
    size = 16
    for packet in packets:
        if waiting and size + 4 + len(packet) > largest:
            yield _bundle(waiting)
            waiting, size = [], 16
        waiting.append(packet)
        size += 4 + len(packet)
    if waiting:
        yield _bundle(waiting)


def _bundle(packets: Sequence[bytes]) -> bytes:
    if len(packets) == 1:
        return packets[0]
    return b"".join([_HEAD, _NOW, *(len(p).to_bytes(4, "big") + p for p in packets)])


def _due(tag: bytes) -> float | None:
    """NTP time, seconds since 1900 and 32 bits of fraction; the smallest number but one means at once."""
    seconds, fraction = int.from_bytes(tag[:4], "big"), int.from_bytes(tag[4:], "big")
    if seconds == 0:
        return None
    due = seconds - _EPOCH_1900_S + fraction / 2**32
    return due if due > time.time() else None


def _message(data: bytes) -> Message:
    address, place = _string(data, 0, "an address")
    if not address.startswith("/") or not address.isascii() or not address.isprintable():
        raise PacketError("an address starts with / and is plain ASCII")
    if place == len(data):
        return Message(address)
    tags, place = _string(data, place, "type tags")
    if not tags.startswith(","):
        raise PacketError("type tags start with a comma", address)
    if len(tags) - 1 > MOST_ARGUMENTS:
        raise PacketError(f"a message has at most {MOST_ARGUMENTS} arguments; got {len(tags) - 1}", address)
    for tag in tags[1:]:
        place = _after(data, place, tag, address)
    if place != len(data):
        raise PacketError(f"{len(data) - place} bytes follow the last argument", address)
    return Message(address, _parsed(data))


def _after(data: bytes, place: int, tag: str, address: str) -> int:
    """Where the argument ends that starts at `place`."""
    if tag == "s":
        return _string(data, place, "a string", address)[1]
    if tag == "b":
        size = int.from_bytes(data[place : place + 4], "big", signed=True)
        place += 4 + (size + 3) // 4 * 4
        if size < 0 or place > len(data):
            raise PacketError("a blob is longer than its message", address)
        return place
    if tag not in _SIZES:
        raise PacketError(f"arguments are of the types i f s h d T F N b; got {tag!r}", address)
    place += _SIZES[tag]
    if place > len(data):
        raise PacketError("a message ends before its last argument", address)
    return place


def _string(data: bytes, place: int, what: str, address: str = "") -> tuple[str, int]:
    """The text that starts at `place`, and where what follows starts: strings fill up to 4 bytes."""
    end = data.find(b"\0", place)
    after = place + (end - place) // 4 * 4 + 4
    if end < 0 or after > len(data):
        raise PacketError(f"{what} does not end", address)
    try:
        return data[place:end].decode("utf-8"), after
    except UnicodeDecodeError as error:
        raise PacketError(f"{what} is not UTF-8", address) from error


def _parsed(data: bytes) -> tuple[Value, ...]:
    from pythonosc.osc_message import OscMessage

    return tuple(OscMessage(data).params)


def _text(value: Value) -> str:
    """Text that any peer can read; a file name that is no Unicode shows its odd bytes as escapes."""
    return str(value).replace("\0", "").encode("utf-8", "backslashreplace").decode("utf-8")
