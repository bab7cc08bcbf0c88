"""MIDI ports: virtual ones for others to connect to, or a controller's, opened again when it comes back.

Incoming bytes arrive on a thread of the driver, under JACK on its realtime thread: all that happens there is
that they are put into a bounded box. When the box is full, of each controller only the newest value stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .boxes import Inbox, Packet
from .controls import MidiError

log = logging.getLogger(__name__)

SCAN_S = 1.0
APIS = ("alsa", "jack", "coremidi", "windows")
CLIENT = "Stembridge"
_LAST_CALLBACK_S = 0.1


def find_port(names: Sequence[str], wanted: str) -> str | None:
    """The port that is meant, by its name or a part of it; ALSA's numbers change and count last.

    >>> find_port(["Midi Through:0 14:0", "nanoKONTROL2:nanoKONTROL2 CTRL 24:0"], "nanokontrol2")
    'nanoKONTROL2:nanoKONTROL2 CTRL 24:0'
    """
    wanted = wanted.casefold().strip()
    plain = re.sub(r" \d+:\d+$", "", wanted)
    folded = [(name, name.casefold()) for name in names if not name.startswith(CLIENT)]
    for fits in (
        lambda name: name == wanted,
        lambda name: re.sub(r" \d+:\d+$", "", name) == plain,
        lambda name: plain in name,
    ):
        for name, low in folded:
            if fits(low):
                return name
    return None


class Ports:
    """One input and one output, kept open."""

    def __init__(
        self,
        receive: Callable[[list[Packet]], None],
        *,
        input_name: str | None = None,
        output_name: str | None = None,
        virtual: tuple[str, str] = (f"{CLIENT} In", f"{CLIENT} Out"),
        api: str | None = None,
        changed: Callable[[bool], None] = lambda _open: None,
    ) -> None:
        """Without an input's name both ports are virtual, and named as `virtual` says.

        With one name both are ports of that name; with two, each its own. `receive` and
        `changed` (opened, or gone) are called on the loop. `api` is one of `APIS`; None: the system's own.

        Raises MidiError on systems without virtual ports, and where python-rtmidi is missing.
        """
        self._rtmidi = _rtmidi()
        self._api = driver(self._rtmidi, api)
        input_name = output_name if input_name is None else input_name
        if input_name is None and self._api == self._rtmidi.API_WINDOWS_MM:
            raise MidiError(
                "Windows has no virtual MIDI ports: install loopMIDI, make two ports there, and name them"
                " (`--midi-in NAME --midi-out NAME`, `--daw mcu:input_name=NAME,output_name=NAME`);"
                " or name a controller"
            )
        self._receive = receive
        self._changed = changed
        self._input_name = input_name
        self._output_name = output_name if output_name is not None else input_name
        self._virtual = virtual
        self._loop: asyncio.AbstractEventLoop | None = None
        self.inbox = Inbox(self._wake)
        self._input: Any = None
        self._output: Any = None
        self.input_port = ""
        """The whole name of the open input, or empty."""
        self.output_port = ""
        self._said = ""

    @property
    def open(self) -> bool:
        """Whether there is an input."""
        return bool(self.input_port)

    def send(self, message: Sequence[int]) -> None:
        """Send bytes, if the output is there. Never raises."""
        if self._output is None:
            return
        try:
            self._output.send_message(list(message))
        except (self._rtmidi.RtMidiError, ValueError, RuntimeError) as error:
            log.warning("MIDI to %s failed: %s", self.output_port, error)

    async def run(self) -> None:
        """Open the ports, and again whenever they come back, until cancelled."""
        self._loop = asyncio.get_running_loop()
        scanner: Any = None
        try:
            while True:
                try:
                    if self._input_name is None:
                        if not self.open:
                            await asyncio.to_thread(self._open_virtual)
                            self._changed(True)
                    else:
                        scanner = scanner or await asyncio.to_thread(self._scanner)
                        await self._scan(*scanner)
                    self._say("")
                except (self._rtmidi.RtMidiError, RuntimeError) as error:
                    self._say(f"no MIDI yet ({error}); trying again every second")
                    scanner = None
                await asyncio.sleep(SCAN_S)
        finally:
            await asyncio.to_thread(self.close)
            for port in scanner or ():
                port.delete()

    def close(self) -> None:
        """Close both ports. Twice is fine; may take a moment."""
        self._close_input()
        self._close_output()

    def _wake(self) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        packets = self.inbox.take()
        if packets:
            self._receive(packets)

    # Opening and closing; on worker threads, so that a slow server holds up nobody.

    def _open_virtual(self) -> None:
        in_name, out_name = self._virtual
        self._input = self._rtmidi.MidiIn(rtapi=self._api, name=in_name)
        self._listen(self._input)
        self._input.open_virtual_port(in_name)
        self._output = self._rtmidi.MidiOut(rtapi=self._api, name=out_name)
        self._output.open_virtual_port(out_name)
        self.input_port, self.output_port = in_name, out_name

    def _scanner(self) -> tuple[Any, Any]:
        name = f"{CLIENT} looks"
        return self._rtmidi.MidiIn(rtapi=self._api, name=name), self._rtmidi.MidiOut(
            rtapi=self._api, name=name
        )

    async def _scan(self, inputs: Any, outputs: Any) -> None:
        """Compare what is there with what is open."""
        there, able = inputs.get_ports(), outputs.get_ports()
        if self.output_port and self.output_port not in able:
            await asyncio.to_thread(self._close_output)
        if self.input_port and self.input_port not in there:
            self._say(f"{self.input_port} is gone; waiting for it to come back")
            await asyncio.to_thread(self._close_input)
            self._changed(False)
        opened = False
        if not self.output_port and (name := find_port(able, self._output_name or "")) is not None:
            self._output = await asyncio.to_thread(self._opened, self._rtmidi.MidiOut, name)
            self.output_port = name if self._output is not None else ""
            opened = self._output is not None
        if not self.input_port:
            if (name := find_port(there, self._input_name or "")) is None:
                known = ", ".join(repr(port) for port in there if not port.startswith(CLIENT)) or "none"
                self._say(f"no MIDI port {self._input_name!r}; waiting for it. There are: {known}", kept=True)
                return
            self._input = await asyncio.to_thread(self._opened, self._rtmidi.MidiIn, name)
            self.input_port = name if self._input is not None else ""
            opened = opened or self._input is not None
        if opened and self.input_port:
            log.info("MIDI: %s, out to %s", self.input_port, self.output_port or "nothing")
            self._changed(True)

    def _opened(self, make: Any, name: str) -> Any:
        """A port connected to one by its whole name; None where that has just gone."""
        port = make(rtapi=self._api, name=CLIENT)
        if make is self._rtmidi.MidiIn:
            self._listen(port)
        names = port.get_ports()
        if name not in names:
            port.delete()
            return None
        port.open_port(names.index(name), name="in" if make is self._rtmidi.MidiIn else "out")
        return port

    def _listen(self, port: Any) -> None:
        port.ignore_types(sysex=False, timing=False, active_sense=True)
        port.set_callback(self._callback)

    def _callback(self, event: tuple[Sequence[int], float], _data: object = None) -> None:
        self.inbox.put(event[0], time.monotonic())

    def _close_input(self) -> None:
        port, self._input, self.input_port = self._input, None, ""
        if port is None:
            return
        # Order matters: no more may come before the callback goes (the driver looks at it twice), and one on
        # its way, waiting for the interpreter, has to be through before the driver's thread is ended.
        port.close_port()
        time.sleep(_LAST_CALLBACK_S)
        port.cancel_callback()
        port.delete()

    def _close_output(self) -> None:
        port, self._output, self.output_port = self._output, None, ""
        if port is not None:
            port.close_port()
            port.delete()

    def _say(self, text: str, *, kept: bool = False) -> None:
        """Log a state once, not every second."""
        if text and text != self._said:
            log.warning("%s", text)
        if text or not kept:
            self._said = text or self._said


def _rtmidi() -> Any:
    try:
        import rtmidi
    except ImportError as error:
        raise MidiError("MIDI needs python-rtmidi: pip install 'stembridge[midi]'") from error
    return rtmidi


def driver(rtmidi: Any, name: str | None) -> int:
    """The driver to use. Raises MidiError for one that is not there."""
    ids = {
        "alsa": rtmidi.API_LINUX_ALSA,
        "jack": rtmidi.API_UNIX_JACK,
        "coremidi": rtmidi.API_MACOSX_CORE,
        "windows": rtmidi.API_WINDOWS_MM,
    }
    there = {key: value for key, value in ids.items() if value in rtmidi.get_compiled_api()}
    if name is not None:
        if name not in there:
            raise MidiError(f"the MIDI driver is one of {', '.join(there)} here; got {name!r}")
        return int(there[name])
    if sys.platform == "linux" and "jack" in there and not Path("/dev/snd/seq").exists():
        return int(there["jack"])
    if not there:
        raise MidiError("python-rtmidi was built without a MIDI driver for this system: reinstall it")
    return int(next(iter(there.values())))
