"""A stand-in for REAPER's OSC surface, after its published source: what it takes, says, repeats and keeps to
itself, driven by a real pattern file over real datagrams."""

from __future__ import annotations

import asyncio
import math
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PACKET_BYTES = 1024
KEYS = {
    "TRACK_NAME",
    "TRACK_VOLUME",
    "TRACK_VOLUME_TOUCH",
    "TRACK_MUTE",
    "TRACK_SOLO",
    "MASTER_VOLUME",
    "PLAY",
    "TIME",
}
SETTINGS = {"DEVICE_TRACK_COUNT", "REAPER_TRACK_FOLLOWS", "DEVICE_TRACK_FOLLOWS", "DEVICE_TRACK_BANK_FOLLOWS"}


@dataclass
class Track:
    """A track of the project."""

    name: str
    volume: float = 1.0
    mute: bool = False
    solo: bool = False
    touched: bool = False


def decibels(volume: float) -> float:
    """As REAPER has it: never below -150."""
    return -150.0 if volume < 2.98e-8 else max(20 * math.log10(volume), -150.0)


@dataclass
class Surface(asyncio.DatagramProtocol):
    """REAPER with some tracks."""

    patterns: str
    """Text of a pattern file."""
    send_to: tuple[str, int]
    tracks: list[Track] = field(default_factory=list)
    master: Track = field(default_factory=lambda: Track(""))
    took: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    """Messages with arguments that were taken."""
    sent: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.count = 8
        self.table: list[tuple[str, str, str]] = []  # key, flag, pattern
        for line in self.patterns.splitlines():
            words = line.split()
            if len(words) < 2 or words[0].startswith("#"):
                continue
            if words[0] in SETTINGS and len(words) == 2 and "/" not in words[1]:
                if words[0] == "DEVICE_TRACK_COUNT":
                    self.count = int(words[1])
                continue
            assert words[0] in KEYS | SETTINGS, words[0]
            for pattern in words[1:]:
                assert pattern[0] in "nfbtrsi"
                assert pattern[1] == "/"
                self.table.append((words[0], pattern[0], pattern[1:]))
        self._known: dict[str, object] = {}
        self._editing: tuple[str, str] | None = None
        self._queue: list[bytes] = []
        self.transport: asyncio.DatagramTransport | None = None

    async def open(self, port: int = 0) -> int:
        """Listen; the port."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", port))
        self.transport = transport
        return int(transport.get_extra_info("sockname")[1])

    def close(self) -> None:
        """As if it had quit."""
        if self.transport is not None:
            self.transport.close()
            self.transport = None

    # What a person does in REAPER.

    def start(self) -> None:
        """Tell everything, as when a surface is set up or refreshed."""
        self._known.clear()
        self._list_changed()

    def move(self, number: int, gain_db: float) -> None:
        self._track(number).volume = 10 ** (gain_db / 20) if gain_db > -150 else 0.0
        self._show(number, "VOLUME")

    def mute(self, number: int, on: bool) -> None:
        self._track(number).mute = on
        self._show(number, "MUTE")

    def solo(self, number: int, on: bool) -> None:
        self._track(number).solo = on
        self._show(number, "SOLO")

    def arrange(self, change: Callable[[list[Track]], object]) -> None:
        """Insert, delete, move or rename tracks."""
        change(self.tracks)
        self._list_changed()

    def gain_db(self, number: int) -> float:
        return decibels(self._track(number).volume)

    # The wire.

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        for name, arguments in _messages(data):
            self._take(name, arguments)
        self._flush()

    def _take(self, name: str, arguments: tuple[Any, ...]) -> None:
        for key, flag, pattern in self.table:
            found = re.fullmatch(re.escape(pattern).replace("@", r"(\d+)"), name)
            if found is None:
                continue
            self._known.pop(name, None)
            self._editing = (name, flag)
            if arguments:
                self.took.append((name, arguments))
            self._do(key, flag, int(found[1]) if found.groups() else 0, arguments)
            self._editing = None
            return

    def _do(self, key: str, flag: str, number: int, arguments: tuple[Any, ...]) -> None:
        value = arguments[0] if arguments else None
        if key == "DEVICE_TRACK_COUNT":
            if isinstance(value, int | float):
                self.count = int(value)
                self._list_changed()
            return
        if number > len(self.tracks):
            return
        track = self._track(number)
        if key.endswith("_NAME") and isinstance(value, str):
            track.name = value
        if key.endswith("_VOLUME"):
            if flag == "f" and isinstance(value, int | float):
                track.volume = 10 ** (value / 20)
            elif flag == "s" and isinstance(value, str):
                track.volume = 10 ** (float((re.match(r"[-+]?[\d.]*", value) or [""])[0] or 0) / 20)
            else:
                return
            self._show(number, "VOLUME")
        if key.endswith("_TOUCH") and value in (0, 1):
            track.touched = bool(value)
        for what in ("MUTE", "SOLO"):
            if key.endswith(f"_{what}") and isinstance(value, int | float) and value in (0, 1):
                setattr(track, what.lower(), bool(value))
                self._show(number, what)

    def _track(self, number: int) -> Track:
        return self.master if number == 0 else self.tracks[number - 1]

    def _list_changed(self) -> None:
        for number in range(self.count + 1):
            for what in ("NAME", "VOLUME", "MUTE", "SOLO"):
                self._show(number, what, flush=False)
        self._flush()

    def _show(self, number: int, what: str, *, flush: bool = True) -> None:
        there = number <= len(self.tracks)
        track = self._track(number) if there else Track("", volume=0.0)
        name = track.name or ("MASTER" if number == 0 else f"Track {number}")
        values: dict[str, dict[str, Any]] = {
            "NAME": {"s": name},
            "VOLUME": {"f": decibels(track.volume), "n": 0.5, "s": _text(track.volume)},
            "MUTE": {"b": float(track.mute)},
            "SOLO": {"b": float(track.solo)},
        }
        if number == 0:
            # The master is this surface's current track as well.
            self._say(f"MASTER_{what}", None, values[what])
            self._say(f"TRACK_{what}", None, values[what])
        elif number <= self.count:
            self._say(f"TRACK_{what}", number, values[what])
        if flush:
            self._flush()

    def _say(self, key: str, number: int | None, values: dict[str, Any]) -> None:
        for row, flag, pattern in self.table:
            if row != key or ("@" in pattern) != (number is not None) or flag not in values:
                continue
            name = pattern.replace("@", str(number))
            if self._editing == (name, flag) and flag not in "tb":
                continue  # nobody is told of their own move
            value = values[flag]
            if isinstance(value, float):
                value = struct.unpack(">f", struct.pack(">f", value))[0]
            if self._known.get(name) == value:
                continue
            self._known[name] = value
            self.sent.append((name, (value,)))
            self._queue.append(_message(name, value))

    def _flush(self) -> None:
        waiting, self._queue = self._queue, []
        while waiting and self.transport is not None:
            part = [waiting.pop(0)]
            while waiting and 16 + sum(4 + len(m) for m in (*part, waiting[0])) <= PACKET_BYTES:
                part.append(waiting.pop(0))
            packet = part[0] if len(part) == 1 else _bundle(part)
            self.transport.sendto(packet, self.send_to)


def _text(volume: float) -> str:
    return "-inf dB" if volume < 2.98e-8 else f"{decibels(volume):+.2f}dB"


def _padded(text: bytes) -> bytes:
    return text + b"\0" * (4 - len(text) % 4)


def _message(name: str, value: float | str) -> bytes:
    if isinstance(value, str):
        return _padded(name.encode()) + _padded(b",s") + _padded(value.encode())
    return _padded(name.encode()) + _padded(b",f") + struct.pack(">f", value)


def _bundle(messages: Iterable[bytes]) -> bytes:
    return b"#bundle\0" + b"\0" * 7 + b"\1" + b"".join(struct.pack(">i", len(m)) + m for m in messages)


def _messages(data: bytes) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """REAPER's own reading: i, f and s; a message with anything else is dropped whole."""
    if data[:8] == b"#bundle\0":
        place = 16
        while place < len(data):
            size = int.from_bytes(data[place : place + 4], "big")
            assert size <= 1024, "REAPER reads no longer message"
            yield from _messages(data[place + 4 : place + 4 + size])
            place += 4 + size
        return
    end = data.index(b"\0")
    name, place = data[:end].decode(), (end // 4 + 1) * 4
    end = data.index(b"\0", place)
    tags, place = data[place + 1 : end].decode(), (end // 4 + 1) * 4
    arguments: list[Any] = []
    for tag in tags:
        if tag in "if":
            arguments.append(struct.unpack(">i" if tag == "i" else ">f", data[place : place + 4])[0])
            place += 4
        elif tag == "s":
            end = data.index(b"\0", place)
            arguments.append(data[place:end].decode())
            place = (end // 4 + 1) * 4
        else:
            return
    yield name, tuple(arguments)


OURS = (
    Path(__file__).parent.parent / "bridge" / "daws" / "reaper_scripts" / "Stembridge.ReaperOSC"
).read_text(encoding="utf-8")  # fmt: skip
LIKE_DEFAULT = """
DEVICE_TRACK_COUNT 8
DEVICE_TRACK_COUNT i/device/track/count
TRACK_NAME s/track/name s/track/@/name
TRACK_MUTE b/track/mute b/track/@/mute
TRACK_SOLO b/track/solo b/track/@/solo
TRACK_VOLUME n/track/volume n/track/@/volume
TRACK_VOLUME s/track/volume/str s/track/@/volume/str
TRACK_VOLUME f/track/volume/db f/track/@/volume/db
MASTER_VOLUME n/master/volume s/master/volume/str
"""
"""What our link needs of REAPER's own pattern file, as its functions and addresses are documented."""
