"""`stembridge live`: an audio input taken apart as it comes, under the faders of a desk."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from stembridge.bridge.cli import INTERRUPTED
from stembridge.bridge.cli.own_bridge import DeskStart, bridge_for, configure_desk

if TYPE_CHECKING:
    from stembridge.bridge.client import Client

EXAMPLES = """\
examples:
  stembridge live --mute vocals                  ride it with `stembridge desk`, OSC or a MIDI controller
  stembridge live --input "Line In" --output "USB Audio" --buffer 256
  stembridge live --input pulse --output pulse --chain drums=punch --outputs mix=1-2,drums=3-4
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.usage = "stembridge live [--input DEV] [--output DEV] [flags]"
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    arg = parser.add_argument
    arg("-n", "--model", metavar="NAME", help="separator; default `live`, which looks backwards only")
    arg("--input", metavar="DEV", help="audio device to listen to (see `stembridge devices`)")
    arg(
        "--margin", type=float, metavar="BUFFERS",
        help="how much later than the separator it sounds; default 2: more where it is too slow at times",
    )  # fmt: skip
    configure_desk(parser)


def run(arguments: argparse.Namespace) -> int:
    """Sound until interrupted; 130 then, 1 where something keeps it from sounding."""
    desk = DeskStart.of(arguments)
    with bridge_for(arguments, desk) as (client, port):
        client.set("/subscribe", "/transport/state", 60)
        client.set("/subscribe", "/player/", 60)
        client.set("/live/start", *([] if arguments.input is None else [arguments.input]))
        try:
            return _follow(client, port)
        except KeyboardInterrupt:
            client.send("/live/stop")
            print("\nstembridge: stopped", file=sys.stderr)
            return INTERRUPTED


def _follow(client: Client, port: int) -> int:
    """Say how it goes, until it ends: 0, or 1 where nothing was heard."""
    sounded = told = False
    while True:
        message = client.receive(10.0)
        if message is None:
            client.send("/ping")  # renews the subscription
            continue
        match message.address, message.arguments:
            case "/transport/state", (str(state), *_):
                if state == "live" and not sounded:
                    sounded = True
                    client.send("/player/state")
                elif state == "empty" and sounded:
                    return 0
            case "/player/state", (str(state), str(device), int(rate), int(buffer), float(latency_s), *_):
                if sounded and state == "running" and not told:
                    told = True
                    _say(
                        f"live on {device}: {rate} Hz, buffers of {buffer}, {1e3 * latency_s:.0f} ms from "
                        f"input to output; faders: `stembridge desk --port {port}`; Ctrl-C ends it"
                    )
            case "/player/problem", (str(code), str(text)):
                _say(f"{text} ({code})")
                if not sounded and code not in ("underrun", "overload", "chain_bypassed"):
                    return 1
            case "/error", (str(code), str(_), str(text), *_):
                _say(f"{text} ({code})")
                return 1
            case _:
                pass


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
