"""`stembridge play`: a song, a folder of stems or a set list, under the faders of a desk."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stembridge.bridge.cli import INTERRUPTED, UsageError
from stembridge.bridge.cli.own_bridge import DeskStart, bridge_for, configure_desk

if TYPE_CHECKING:
    from stembridge.bridge.client import Client
    from stembridge.bridge.messages import Message

EXAMPLES = """\
examples:
  stembridge play song.flac                      ride it with `stembridge desk`, OSC or a MIDI controller
  stembridge play song.flac --gain vocals=-12 --solo drums
  stembridge play song.flac --preset karaoke --chain vocals=plate
  stembridge play multitrack/ --outputs drums=1-2,vocals=3-4,mix=5-6
  stembridge play concert.m3u --output "USB Audio"
"""

_PASSING = ("underrun", "overload", "streamer_lost", "streamer_back", "device_back", "chain_bypassed")
"""Problems that do not end the sound."""

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
    arg("--start", metavar="T", help="90, or 1:30.5")
    arg("--loop", metavar="T-T", help="play from one time to another, over and over: 1:00-1:15.5")
    configure_desk(parser)


def run(arguments: argparse.Namespace) -> int:
    """Play to the end; 0 then, 1 where something keeps it from sounding, 130 interrupted."""
    if not arguments.song.exists():
        raise UsageError(f"no song, folder or set list at {arguments.song}")
    desk = DeskStart.of(arguments)
    start_s = 0.0 if arguments.start is None else _seconds(arguments.start)
    loop = None if arguments.loop is None else _loop(arguments.loop)
    # What this command is given may be played, and what lies beside it (the songs of a list).
    with bridge_for(arguments, desk, [arguments.song.absolute().parent]) as (client, port):
        client.set("/subscribe", "/transport/", 60)
        client.set("/subscribe", "/player/", 60)
        client.set("/subscribe", "/song/", 60)
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
                if code not in _PASSING:
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
