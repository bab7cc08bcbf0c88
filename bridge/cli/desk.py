"""`stembridge desk`: faders and jobs of a running bridge, in the terminal."""

from __future__ import annotations

import argparse
import sys


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, help="default: the configuration's, else 9331")


def run(arguments: argparse.Namespace) -> int:
    """Show the desk until it is left; 1 where it cannot be shown."""
    from importlib.util import find_spec

    from stembridge.bridge.cli.send import configured_port
    from stembridge.bridge.client import Client
    from stembridge.model.errors import StembridgeError

    if find_spec("textual") is None:
        raise StembridgeError("the terminal desk needs textual: `pip install stembridge[desk]`")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise StembridgeError("the desk needs a terminal; scripts use `stembridge send`")
    from stembridge.bridge.desk_screen import DeskScreen

    with Client(arguments.host, arguments.port or configured_port()) as client:
        DeskScreen(client).run()
    return 0
