"""Mackie Control as its device speaks it: faders, buttons, a display, and what a host asks of a device.

After the published message tables of the Mackie Control and Logic Control. Positions have 10 bits in a 14-bit
message; hosts that send all 14 are understood too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

STRIPS = 8
MASTER_STRIP = 8
SOLO_NOTE, MUTE_NOTE, TOUCH_NOTE = 8, 16, 104
BANK_LEFT, BANK_RIGHT, CHANNEL_LEFT, CHANNEL_RIGHT = 46, 47, 48, 49
LIT = 127
"""A light that is on; 1 is one that blinks, 0 one that is off."""

STEP = 1 / 1023
"""How far two positions lie apart."""
_TOP = 16383
_COARSE_TOP = 1023 << 4

HEADER = (0x00, 0x00, 0x66)
_READY, _CONFIRMED, _VERSION = 0x01, 0x03, 0x14
_DISPLAY = 0x12
_SERIAL = tuple(b"STEMBRG")
_CHALLENGE = (0x01, 0x02, 0x03, 0x04)


def fader(strip: int, position: float) -> bytes:
    """Our fader at a position, 0 to 1: exact for hosts that read 10 bits and for those that read 14."""
    coarse = round(min(max(position, 0.0), 1.0) * 1023)
    value = coarse << 4 | coarse >> 6
    return bytes((0xE0 | strip, value & 0x7F, value >> 7))


def position(low: int, high: int) -> float:
    """The position a host moves our fader to; the highest that 10 bits can say is the top."""
    value = high << 7 | low
    return 1.0 if value >= _COARSE_TOP else value / _TOP


def touch(strip: int, touched: bool) -> bytes:
    """A hand on our fader, or gone from it."""
    return bytes((0x90, TOUCH_NOTE + strip, 127 if touched else 0))


def press(note: int) -> tuple[bytes, bytes]:
    """A button pressed and let go."""
    return bytes((0x90, note, 127)), bytes((0x90, note, 0))


def hello(device: int = 0x14) -> bytes:
    """A device that is ready, with a serial number and a challenge for hosts that want to answer one."""
    return bytes((0xF0, *HEADER, device, _READY, *_SERIAL, *_CHALLENGE, 0xF7))


def answer(message: Sequence[int]) -> bytes | None:
    """What a device answers to a sysex message of the host; None for what is no question."""
    if len(message) < 7 or tuple(message[1:4]) != HEADER:
        return None
    device, command = message[4], message[5]
    match command:
        case 0x00:
            return hello(device)
        case 0x02:  # the host's answer to our challenge: we believe every host
            return bytes((0xF0, *HEADER, device, _CONFIRMED, *_SERIAL, 0xF7))
        case 0x13 if len(message) == 8:  # longer ones write to a second display
            return bytes((0xF0, *HEADER, device, _VERSION, *b"V3.0 ", 0xF7))
    return None


def display_text(message: Sequence[int]) -> tuple[int, str] | None:
    """Where on the display a sysex message writes and what; None for other messages."""
    if len(message) < 8 or tuple(message[1:4]) != HEADER or message[5] != _DISPLAY:
        return None
    text = "".join(chr(byte) if 32 <= byte < 127 else " " for byte in message[7:-1])
    return message[6], text


WIDTH = 7


@dataclass
class Display:
    """The upper row of the display: seven characters for each strip, where hosts write the tracks' names."""

    row: list[str] = field(default_factory=lambda: [" "] * (STRIPS * WIDTH))

    def write(self, place: int, text: str) -> bool:
        """Write, and say whether that changed the row; what lies outside it is left out."""
        before = list(self.row)
        for offset, character in enumerate(text, place):
            if 0 <= offset < len(self.row):
                self.row[offset] = character
        return self.row != before

    def labels(self) -> tuple[str, ...]:
        """What stands above each strip."""
        row = "".join(self.row)
        return tuple(row[strip * WIDTH : (strip + 1) * WIDTH].strip() for strip in range(STRIPS))
