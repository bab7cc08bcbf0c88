"""A real Ardour in a temporary home, with an OSC port of its own: without a window (`Headless`, the engine
and the OSC surface, driven in Lua), or with one on a display of its own (`Windowed`)."""

from __future__ import annotations

import base64
import contextlib
import math
import os
import queue
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from peers import require

PATIENCE_S = 180.0
STEMS = ("vocals", "drums", "bass", "other")
SESSION = "song"

_CONFIG = """<?xml version="1.0" encoding="UTF-8"?>
<Ardour><Config><Option name="try-autostart-engine" value="1"/><Option name="hide-dummy-backend" value="0"/>
<Option name="osc-port" value="{port}"/></Config><Metadata/>
<Extra><AudioMIDISetup><EngineStates><State backend="None (Dummy)" driver="Normal Speed" device="Silence"
 input-device="" output-device="" sample-rate="44100" buffer-size="1024" n-periods="0" input-latency="0"
 output-latency="0" lm-input="" lm-output="" active="1" use-buffered-io="0" midi-option="1 in, 1 out, Silence"
 lru="1795220000"><MIDIDevices/></State></EngineStates></AudioMIDISetup></Extra>
<ControlProtocols><Protocol name="Open Sound Control (OSC)" active="1"/></ControlProtocols></Ardour>
"""

_ENGINE = """
local backend = AudioEngine:set_backend("None (Dummy)", "", "")
backend:set_sample_rate(44100)
backend:set_buffer_size(1024)
"""

_MAKE = """
local made = create_session(folder, name, 44100)
for _, track in ipairs(tracks) do
  made:new_audio_track(2, 2, nil, 1, track, -1, ARDOUR.TrackMode.Normal, true)
end
made:save_state("")
close_session()
"""

_SERVE = """
session = load_session(folder, name)
os.rename(home .. "/starting", home .. "/ready")
local function answer(number, fine, text)
  local file = io.open(home .. "/answer.part", "w")
  file:write(fine and "+" or "-", tostring(text))
  file:close()
  os.rename(home .. "/answer.part", home .. "/answer-" .. number)
end
local number = 1
while not io.open(home .. "/quit") do
  local file = io.open(home .. "/ask-" .. number)
  if file then
    local source = file:read("a")
    file:close()
    local run, why = load(source)
    if run then answer(number, pcall(run)) else answer(number, false, why) end
    number = number + 1
  end
  sleep(0.01)
end
session:save_state("")
close_session()
"""

_ACTION = """
local file = io.open(script)
local source = file:read("a")
file:close()
local factory = load(source:match("function factory.*$") .. "\\nreturn factory")()
local function quoted(text) return string.format("%q", text) end
file = io.open(out, "wb")
local slot = "scripts[" .. number .. "]"
file:write("scripts = {} ", slot, " = {} ", slot, "[\\"n\\"] = ", quoted("Stembridge"),
  " ", slot, "[\\"s\\"] = ", quoted(source), " ", slot, "[\\"f\\"] = ", quoted(string.dump(factory, true)),
  " ", slot, "[\\"a\\"] = {} ", slot, "[\\"c\\"] = \\"\\" ")
file:close()
"""


class Home:
    """A home with Ardour's configuration and one session."""

    slot = 3
    """The first that is free in a new Ardour."""

    def __init__(self, folder: Path, tracks: Sequence[str] = STEMS, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.session = folder / SESSION
        self.config = folder / "config" / "ardour7"
        self.environment = {
            **os.environ,
            "HOME": str(folder / "home"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_DATA_HOME": str(folder / "data"),
        }
        for name in ("home", "cache", "data", "config/ardour7"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (self.config / ".a7").touch()  # else a window greets new users
        (self.config / "config").write_text(_CONFIG.format(port=self.port))
        self._tracks = tuple(tracks)

    def make_session(self, action: Path | None = None) -> None:
        """Make the session; with `action`, put that script into a slot as the Script Manager does."""
        source = self._script(_ENGINE, _MAKE)
        if action is not None:
            source += self._script(
                _ACTION, script=str(action), out=str(self.folder / "scripts"), number=str(self.slot)
            )
        making = self._run_lua(source + "quit()\n")
        try:
            making.wait(PATIENCE_S)
        finally:
            making.kill()
        file = self.session / f"{SESSION}.ardour"
        text = file.read_text()
        text = re.sub(r'(name="Open Sound Control \(OSC\)"[^>]*)active="0"', r'\1active="1"', text)
        # Without them a window asks whether the other sound card is meant.
        file.write_text(re.sub(r"<EngineHints [^>]*/>", "", text))
        if action is not None:
            packed = base64.b64encode((self.folder / "scripts").read_bytes()).decode()
            (self.config / "ui_scripts").write_text(
                f'<?xml version="1.0" encoding="UTF-8"?>\n<UIScripts><ActionScript lua="Lua 5.3">{packed}'
                "</ActionScript><ActionHooks/></UIScripts>\n"
            )

    def serve(self) -> subprocess.Popen[bytes]:
        """Load the session in an Ardour without windows that takes orders in Lua."""
        for name in ("ready", "quit", *(path.name for path in self.folder.glob("a*-*"))):
            (self.folder / name).unlink(missing_ok=True)
        (self.folder / "starting").touch()
        process = self._run_lua(self._script(_ENGINE, _SERVE) + "quit()\n")
        wait_for((self.folder / "ready").exists, "Ardour loads its session", process)
        return process

    def _script(self, *parts: str, **values: str) -> str:
        values = {"home": str(self.folder), "folder": str(self.session), "name": SESSION, **values}
        lines = [f"local {key} = {lua_text(value)}\n" for key, value in values.items()]
        tracks = ", ".join(lua_text(track) for track in self._tracks)
        return f"do\n{''.join(lines)}local tracks = {{{tracks}}}\n{''.join(parts)}\nend\n"

    def _run_lua(self, source: str) -> subprocess.Popen[bytes]:
        script = self.folder / "run.lua"
        script.write_text(source)
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [require("ardour7-lua"), str(script)], env=self.environment, stdout=log, stderr=log
            )


class Headless:
    """An Ardour without windows: its engine, mixer and OSC surface are the real ones."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.port = home.port
        self._asked = 0
        self._process = home.serve()

    def lua(self, source: str) -> str:
        """Run Lua in it, where `session` is its session; return what that returns, as text."""
        self._asked += 1
        part, answer = self.home.folder / "ask.part", self.home.folder / f"answer-{self._asked}"
        part.write_text(source)
        part.rename(self.home.folder / f"ask-{self._asked}")
        wait_for(answer.exists, f"an answer to {source!r}", self._process)
        text = answer.read_text()
        assert text.startswith("+"), text
        return text[1:]

    def set_gain_db(self, track: str, gain_db: float) -> None:
        """Move a fader as a hand at Ardour's own mixer does."""
        gain = 10.0 ** (gain_db / 20.0) if gain_db > -144.0 else 0.0
        self.move(track, "gain", gain)

    def move(self, track: str, what: str, value: float) -> None:
        """Set a control (`gain`, `mute`, `solo`, `pan_azimuth`) to a value of Ardour's own."""
        self.lua(f"{_control(track, what)}:set_value({value!r}, PBD.GroupControlDisposition.NoGroup)")

    def control(self, track: str, what: str) -> float:
        """Where a control stands; a hair off while a gain moves."""
        return float(self.lua(f"return {_control(track, what)}:get_value()"))

    def gain_db(self, track: str) -> float:
        """Where a fader stands, in dB."""
        return 20.0 * math.log10(max(self.control(track, "gain"), 1e-10))

    def kill(self) -> None:
        """Kill it, as a crash does."""
        self._process.kill()
        self._process.wait(PATIENCE_S)

    def start(self) -> None:
        """Start it again, at the same port."""
        self._asked = 0
        self._process = self.home.serve()

    def close(self) -> None:
        """End it. Twice is fine."""
        if self._process.poll() is None:
            (self.home.folder / "quit").touch()
            try:
                self._process.wait(10.0)
            except subprocess.TimeoutExpired:
                self.kill()


class Windowed:
    """An Ardour with windows, on a display that nobody sees."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.port = home.port
        server, program = require("Xvfb"), require("ardour")
        read, write = os.pipe()
        with (home.folder / "log").open("ab") as log:
            self._screen = subprocess.Popen(
                [
                    server,
                    "-displayfd",
                    str(write),
                    *("-screen", "0", "1280x900x24", "-nolisten", "tcp"),
                ],
                pass_fds=(write,),
                stdout=log,
                stderr=log,
            )
            os.close(write)
            with os.fdopen(read) as numbers:
                self.display = f":{numbers.readline().strip()}"
            session = str(home.session / f"{SESSION}.ardour")
            environment = {**home.environment, "DISPLAY": self.display, "ARDOUR_TRY_AUTOSTART_ENGINE": "1"}
            self._process = subprocess.Popen(
                [program, "-n", "-a", session], env=environment, stdout=log, stderr=log
            )

    def close(self) -> None:
        """End both. Twice is fine."""
        for process in (self._process, self._screen):
            if process.poll() is None:
                process.kill()
                process.wait(PATIENCE_S)


class Tap:
    """A wire between a link and Ardour that notes every packet the link sends."""

    def __init__(self, port: int, late_s: float = 0.0) -> None:
        """`late_s`: how much later than it says it Ardour is heard."""
        self.sent: list[bytes] = []
        self._late_s = late_s
        self._late: queue.Queue[tuple[float, bytes]] = queue.Queue()
        self._inner = _udp_socket()
        self._outer = _udp_socket()
        self.port = int(self._inner.getsockname()[1])
        self._ardour = ("127.0.0.1", port)
        self._link: tuple[str, int] | None = None
        self._threads = [threading.Thread(target=part) for part in (self._out, self._back, self._late_back)]
        self._open = True
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Cut the wire."""
        self._open = False
        for thread in self._threads:
            thread.join(PATIENCE_S)
        self._inner.close()
        self._outer.close()

    def _out(self) -> None:
        while self._open:
            with contextlib.suppress(TimeoutError):
                packet, self._link = self._inner.recvfrom(65_536)
                self.sent.append(packet)
                self._outer.sendto(packet, self._ardour)

    def _back(self) -> None:
        while self._open:
            with contextlib.suppress(TimeoutError):
                self._late.put((time.monotonic() + self._late_s, self._outer.recv(65_536)))

    def _late_back(self) -> None:
        while self._open:
            with contextlib.suppress(queue.Empty):
                due, packet = self._late.get(timeout=0.2)
                time.sleep(max(due - time.monotonic(), 0.0))
                if self._link is not None:
                    self._inner.sendto(packet, self._link)


def _udp_socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    made.bind(("127.0.0.1", 0))
    made.settimeout(0.2)
    return made


@contextlib.contextmanager
def headless(folder: Path, tracks: Sequence[str] = STEMS) -> Iterator[Headless]:
    """An Ardour without windows until the block ends."""
    require("ardour7-lua")
    home = Home(folder, tracks)
    home.make_session()
    ardour = Headless(home)
    try:
        yield ardour
    finally:
        ardour.close()


@contextlib.contextmanager
def windowed(home: Home) -> Iterator[Windowed]:
    """An Ardour with windows until the block ends."""
    ardour = Windowed(home)
    try:
        yield ardour
    finally:
        ardour.close()


def free_port() -> int:
    """A UDP port that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("0.0.0.0", 0))
        return int(probe.getsockname()[1])


def _control(track: str, what: str) -> str:
    return f"session:route_by_name({lua_text(track)}):{what}_control()"


def lua_text(text: str) -> str:
    """Text as Lua writes it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def wait_for(holds: Callable[[], bool], what: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until something holds; fails, saying what, when the process ends or much time passes."""
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert process is None or process.poll() is None, f"Ardour ended before this: {what}"
        assert time.monotonic() < until, what
        time.sleep(0.01)
