"""A JACK server of our own for MIDI tests, without a sound card; and controllers to plug into it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from peers import missing, require

try:
    import rtmidi
except ImportError:
    rtmidi = None

_READY_S = 30.0


@contextlib.contextmanager
def jack_server(period: int = 128) -> Iterator[str]:
    """Run a dummy server that everything in this process and its children uses by default; yield its name.

    It waits for its clients (`-S`): otherwise what a client sends is lost when a busy machine makes it late.
    """
    jackd, wait = require("jackd"), require("jack_wait")
    if rtmidi is None:
        missing("python-rtmidi is not installed (pip install 'stembridge[midi]')")
    if rtmidi.API_UNIX_JACK not in rtmidi.get_compiled_api():
        missing("python-rtmidi was built without JACK (Debian: apt install libjack-jackd2-dev, reinstall)")
    name = f"stembridge-{uuid.uuid4().hex[:8]}"
    ours = {"JACK_DEFAULT_SERVER": name, "JACK_NO_START_SERVER": "1", "JACK_NO_AUDIO_RESERVATION": "1"}
    before = {key: os.environ.get(key) for key in ours}
    os.environ.update(ours)
    server = subprocess.Popen(
        [jackd, "-n", name, "-r", "-S", "-t", "2000", "-d", "dummy", "-r", "48000", "-p", str(period)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + _READY_S
        while subprocess.run([wait, "-s", name, "-w", "-t", "1"], capture_output=True).returncode:
            if server.poll() is not None or time.monotonic() > deadline:
                missing(f"jackd does not start here (it ended with {server.poll()})")
        yield name
    finally:
        server.terminate()
        server.wait()
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


class Controller:
    """A controller: an output that sends, an input that hears what it is told."""

    def __init__(self, name: str, connect: tuple[str, str] | None = None) -> None:
        """Plug it in under a name; `connect` names an input and an output of others to connect to."""
        self._all: list[tuple[int, ...]] = []
        self._out: Any = rtmidi.MidiOut(rtapi=rtmidi.API_UNIX_JACK, name=name)
        self._in: Any = _input(f"{name} shows")
        if connect is None:
            self._out.open_virtual_port("out")
            self._in.open_virtual_port("in")
        else:
            self._out.open_port(_place(self._out, connect[0]), "out")
            self._in.open_port(_place(self._in, connect[1]), "in")
            self._wait_for_connections(name)

    @property
    def heard(self) -> list[tuple[int, ...]]:
        """Every message so far; a list to clear, too."""
        while self._in is not None and (event := self._in.get_message()) is not None:
            self._all.append(tuple(event[0]))
        return self._all

    def send(self, *messages: Sequence[int], pause_s: float = 0.0) -> None:
        """Send messages, with a pause after each."""
        for message in messages:
            self._out.send_message(list(message))
            if pause_s:
                time.sleep(pause_s)

    def unplug(self) -> None:
        """Pull the plug. Twice is fine."""
        for port in (self._in, self._out):
            if port is not None:
                port.close_port()
                port.delete()
        self._in = self._out = None

    def _wait_for_connections(self, name: str) -> None:
        """Until what is sent arrives: JACK connects at the end of a cycle, in the order it was asked to."""
        probe = _input(f"{name} probe")
        probe.open_port(_place(probe, f"{name}:out"), "in")
        deadline = time.monotonic() + _READY_S
        while probe.get_message() is None and time.monotonic() < deadline:
            self.send((0xF6,))
            time.sleep(0.02)
        probe.close_port()
        probe.delete()


def _input(name: str) -> Any:
    """An input that is asked, not called: nothing of Python runs on JACK's thread."""
    made = rtmidi.MidiIn(rtapi=rtmidi.API_UNIX_JACK, name=name, queue_size_limit=100_000)
    made.ignore_types(sysex=False)
    return made


def _place(port: Any, name: str) -> int:
    """The number of a port by a part of its name, as soon as it is there."""
    deadline = time.monotonic() + _READY_S
    while True:
        for place, there in enumerate(port.get_ports()):
            if name in there:
                return place
        if time.monotonic() > deadline:
            raise TimeoutError(f"no port {name!r}; there are {port.get_ports()}")
        time.sleep(0.02)


async def until(true: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Let the loop run until something is true; fail when it never is."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:g} s")
        await asyncio.sleep(0.01)
