"""`stembridge play`: a song, a folder of stems or a set list, under the faders of a desk."""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stembridge.bridge.cli import INTERRUPTED, UsageError

if TYPE_CHECKING:
    from stembridge.bridge.client import Client
    from stembridge.bridge.messages import Message
    from stembridge.bridge.serve_settings import ServeSettings

EXAMPLES = """\
examples:
  stembridge play song.flac                      ride it with `stembridge desk`, OSC or a MIDI controller
  stembridge play song.flac --gain vocals=-12 --solo drums
  stembridge play multitrack/ --outputs drums=1-2,vocals=3-4,mix=5-6
  stembridge play concert.m3u --output "USB Audio"
"""

_SETLISTS = (".m3u", ".m3u8", ".txt", ".toml")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.usage = "stembridge play SONG|STEMS_DIR|SETLIST [flags]"
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    arg = parser.add_argument
    arg(
        "song", type=Path, metavar="SONG", help="a song, a folder of stems, or a set list (.m3u, .txt, .toml)"
    )
    arg("-n", "--model", metavar="NAME", help="separator (see `stembridge models`)")
    arg("--gain", action="append", default=[], metavar="STEM=DB")
    arg("--mute", action="append", default=[], metavar="STEM")
    arg("--solo", action="append", default=[], metavar="STEM")
    arg("--start", metavar="T", help="90, or 1:30.5")
    arg("--loop", metavar="T-T", help="play from one time to another, over and over: 1:00-1:15.5")
    arg("--output", metavar="DEV", help="audio device (see `stembridge devices`)")
    arg("--outputs", metavar="NAME=N-M,...", help="outputs of it: drums=1-2,vocals=3-4,mix=5-6")
    arg("--rate", type=int, metavar="HZ", help="of the device; default: each song's own")
    arg("--buffer", type=int, metavar="FRAMES", help="of the device; default 512")
    arg("--port", type=int, metavar="N", help="where the bridge listens or is; default 9331")


def run(arguments: argparse.Namespace) -> int:
    """Play to the end; 0 then, 1 where something keeps it from sounding, 130 interrupted."""
    from stembridge.bridge.client import Client

    if not arguments.song.exists():
        raise UsageError(f"no song, folder or set list at {arguments.song}")
    gains = [_pair(text) for text in arguments.gain]
    start_s = 0.0 if arguments.start is None else _seconds(arguments.start)
    loop = None if arguments.loop is None else _loop(arguments.loop)
    with ExitStack() as stack:
        port = _running_port(arguments) or stack.enter_context(_OwnBridge(arguments)).port
        client = stack.enter_context(Client("127.0.0.1", port))
        client.set("/subscribe", "/transport/", 60)
        client.set("/subscribe", "/player/", 60)
        client.set("/subscribe", "/song/", 60)
        for stem, gain_db in gains:
            client.set(f"/stem/{stem}/gain", gain_db)
        for stem in arguments.mute:
            client.set(f"/stem/{stem}/mute", 1)
        for stem in arguments.solo:
            client.set(f"/stem/{stem}/solo", 1)
        is_list = arguments.song.is_file() and arguments.song.suffix.casefold() in _SETLISTS
        address = "/setlist/load" if is_list else "/song/load"
        client.set(address, str(arguments.song.absolute()))
        try:
            return _Follower(client, port, start_s, loop).follow()
        except KeyboardInterrupt:
            client.send("/transport/stop")
            print("\nstembridge: stopped", file=sys.stderr)
            return INTERRUPTED


class _Follower:
    """Starts the song when it is there, and says how it goes until it ends."""

    def __init__(self, client: Client, port: int, start_s: float, loop: tuple[float, float] | None) -> None:
        self._client = client
        self._port = port
        self._start_s = start_s
        self._loop = loop
        self._length_s = 0.0
        self._started = False
        self._sounded = False
        self._last = True
        """Whether no song follows."""
        self._failed = False
        self._over = False
        self._terminal = sys.stderr.isatty()

    def follow(self) -> int:
        """Return when the last song has ended: 0, or 1 where nothing was heard."""
        while not self._over:
            message = self._client.receive(10.0)
            if message is None:
                self._client.send("/ping")  # renews the subscription
                continue
            self._take(message)
        return 1 if self._failed else 0

    def _take(self, message: Message) -> None:
        from stembridge.model.units import format_time

        match message.address, message.arguments:
            case "/song/loaded", (str(song), float(length_s), str(following)):
                self._length_s, self._last = length_s, not following
                then = f"; then {Path(following).name}" if following else ""
                desk = f"faders: `stembridge desk --port {self._port}`"
                self._say(f"{Path(song).name}, {format_time(length_s)}{then}; {desk}")
                if not self._started:
                    self._begin()
            case "/transport/position", (float(position_s),):
                self._sounded = True
                if self._terminal:
                    place = f"{format_time(position_s)} / {format_time(self._length_s)}"
                    print(f"\r  {place} ", end="", file=sys.stderr, flush=True)
            case "/transport/state", (state, float(position_s), float(length_s), _):
                ended = self._last and state == "stopped" and position_s >= length_s > 0
                self._over = self._over or (self._started and (ended or state == "empty"))
            case "/player/problem", (code, str(text)):
                self._say(f"{text} ({code!s})")
                if code not in ("underrun", "streamer_lost", "streamer_back", "device_back"):
                    # A device that goes while it plays is waited for; one that was never there is not.
                    self._failed = self._over = code != "device_lost" or not self._sounded
            case _:
                pass

    def _begin(self) -> None:
        self._started = True
        if self._loop is not None:
            self._client.send("/transport/loop", *self._loop)
        elif self._start_s:
            self._client.send("/transport/locate", self._start_s)
        self._client.send("/transport/play")

    def _say(self, text: str) -> None:
        print(f"\r{text}" if self._terminal else text, file=sys.stderr, flush=True)


class _OwnBridge:
    """A bridge in this process, for as long as the song plays."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        from stembridge.bridge.cli.serve import player_settings
        from stembridge.bridge.config import load_config
        from stembridge.bridge.serve_settings import settings_from

        self._config = load_config()
        settings = settings_from(self._config)
        player = player_settings(settings.player, arguments)
        if arguments.model is not None:
            player = replace(player, model=arguments.model)
        # What this command is given may be played, and what lies beside it (the songs of a list).
        roots = (*settings.roots, arguments.song.absolute().parent)
        self._settings = replace(settings, player=player, roots=roots)
        if arguments.port is not None:
            self._settings = replace(self._settings, port=arguments.port)
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="bridge")
        self.port = 0

    def __enter__(self) -> _OwnBridge:
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            raise self._failed
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve(self._settings))
        except BaseException as error:  # raised again where somebody waits for it
            self._failed = error
            self._ready.set()

    async def _serve(self, settings: ServeSettings) -> None:
        from stembridge.bridge.serve import Started, serve

        self._stop, self._loop = asyncio.Event(), asyncio.get_running_loop()

        def started(told: Started) -> None:
            self.port = told.ports.udp
            self._ready.set()

        await serve(settings, self._config, self._stop, started)


def _running_port(arguments: argparse.Namespace) -> int | None:
    """The port of a bridge that is running already; None: there is none."""
    from stembridge.bridge.cli.send import configured_port
    from stembridge.bridge.client import BridgeError, BridgeOfflineError, Client

    port = arguments.port or configured_port()
    try:
        with Client("127.0.0.1", port) as client:
            client.send("/version")
            message = client.receive(0.3)
            return port if message is not None and message.address == "/version" else None
    except (BridgeOfflineError, BridgeError):
        return None


def _pair(text: str) -> tuple[str, float]:
    stem, _, number = text.partition("=")
    try:
        return stem, float(number)
    except ValueError:
        raise UsageError(f"--gain takes STEM=DB; got {text!r}") from None


def _seconds(text: str) -> float:
    from stembridge.model.errors import ArgumentValueError
    from stembridge.model.units import parse_time

    try:
        time = parse_time(text)
    except ArgumentValueError as error:
        raise UsageError(str(error)) from error
    if time.seconds is None:
        raise UsageError(f"--start and --loop take seconds or minutes:seconds; got {text!r}")
    return float(time.seconds)


def _loop(text: str) -> tuple[float, float]:
    first, dash, last = text.partition("-")
    start_s, end_s = _seconds(first), _seconds(last) if dash else 0.0
    if end_s <= start_s:
        raise UsageError(f"--loop goes from one time to a later one, 1:00-1:15.5; got {text!r}")
    return start_s, end_s
