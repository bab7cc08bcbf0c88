"""OSC 1.0 packets, only as much as a bridge sends, and nothing of them trusted."""

from __future__ import annotations

import struct
from typing import Any

LARGEST_BYTES = 16384
MOST_MESSAGES = 64
MOST_ARGUMENTS = 32
MOST_NESTED = 2

_BUNDLE = b"#bundle\x00"
_FORMS = {"i": ">i", "f": ">f", "d": ">d", "h": ">q"}


class PacketError(ValueError):
    """Bytes that are no packet a bridge would send."""


def decode(packet: bytes) -> list[tuple[str, list[Any]]]:
    """All messages of a packet as (address, arguments). Raises PacketError, and nothing else."""
    if len(packet) > LARGEST_BYTES:
        raise PacketError(f"more than {LARGEST_BYTES} bytes")
    messages: list[tuple[str, list[Any]]] = []
    # Elements still to read, the next one last, each with how deep it lies.
    waiting = [(packet, 0)]
    while waiting:
        data, depth = waiting.pop()
        if data[:8] == _BUNDLE:
            if depth == MOST_NESTED:
                raise PacketError(f"bundles lie more than {MOST_NESTED} deep")
            waiting.extend((element, depth + 1) for element in reversed(_elements(data)))
        else:
            messages.append(_message(data))
        if len(messages) + len(waiting) > MOST_MESSAGES:
            raise PacketError(f"more than {MOST_MESSAGES} messages")
    return messages


def encode(address: str, *arguments: Any) -> bytes:
    """One message: ints as `i`, floats as `d` (seconds and decibels keep their digits), text as `s`."""
    tags, parts = ",", []
    for value in arguments:
        if isinstance(value, int):  # also True and False
            tags, part = tags + "i", struct.pack(">i", value)
        elif isinstance(value, float):
            tags, part = tags + "d", struct.pack(">d", value)
        else:
            tags, part = tags + "s", _padded(str(value))
        parts.append(part)
    return _padded(address) + _padded(tags) + b"".join(parts)


def _padded(text: str) -> bytes:
    data = text.replace("\0", "").encode("utf-8", "backslashreplace") + b"\0"
    return data + b"\0" * (-len(data) % 4)


def _elements(data: bytes) -> list[bytes]:
    found: list[bytes] = []
    place = 16
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big", signed=True)
        if size < 4 or size % 4 or place + 4 + size > len(data) or len(found) == MOST_MESSAGES:
            raise PacketError("a bundle's element does not fit")
        found.append(data[place + 4 : place + 4 + size])
        place += 4 + size
    return found


def _message(data: bytes) -> tuple[str, list[Any]]:
    address, place = _text(data, 0)
    if not address.startswith("/"):
        raise PacketError("no address")
    if place == len(data):
        return address, []
    tags, place = _text(data, place)
    if not tags.startswith(",") or len(tags) > MOST_ARGUMENTS + 1:
        raise PacketError("no type tags, or too many")
    arguments: list[Any] = []
    for tag in tags[1:]:
        value: Any
        if tag == "s":
            value, place = _text(data, place)
        elif tag in _FORMS:
            end = place + struct.calcsize(_FORMS[tag])
            if end > len(data):
                raise PacketError("an argument is cut off")
            (value,) = struct.unpack(_FORMS[tag], data[place:end])
            place = end
        else:
            raise PacketError("arguments are of the types i f d h s")
        arguments.append(value)
    return address, arguments


def _text(data: bytes, place: int) -> tuple[str, int]:
    end = data.find(b"\0", place)
    after = place + (end - place) // 4 * 4 + 4
    if end < 0 or after > len(data):
        raise PacketError("a string does not end")
    try:
        return data[place:end].decode("utf-8"), after
    except UnicodeDecodeError as error:
        raise PacketError("a string is not UTF-8") from error
