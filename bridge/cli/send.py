"""`stembridge send`: one message to a running bridge, and what it answers.

For scripts in hosts that have no sockets of their own: quick to start, and truthful in its exit code.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stembridge.bridge.messages import Message, Value

EXAMPLES = """\
examples:
  stembridge send /stem/vocals/gain -6                  set a gain
  stembridge send /stem/vocals/gain                     ask for it
  stembridge send /mix/recall chorus 2.5                fade to a scene
  stembridge send /render take1 ~/song.flac karaoke --wait /job/done
"""

_ENDS = ("/job/done", "/job/failed", "/job/cancelled")
_ASK_AGAIN_S = 2.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.usage = "stembridge send ADDRESS [ARGUMENT...] [flags]"
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    arg = parser.add_argument
    arg("address", metavar="ADDRESS", help="see `stembridge addresses`")
    arg(
        "arguments",
        nargs="*",
        metavar="ARGUMENT",
        help="numbers and texts as they look; `i:3`, `f:1`, `s:5` say which is meant",
    )
    arg(
        "--wait",
        metavar="ADDRESS",
        help="go on until a message comes at this address (`/job/done`: of this job)",
    )
    arg("--timeout", type=float, metavar="S", help="of --wait; default: none")
    arg("--json", action="store_true", help="answers as JSON, one object per line")
    arg("--host", default="127.0.0.1")
    arg("--port", type=int, help="default: the configuration's, else 9331")


def run(arguments: argparse.Namespace) -> int:
    """Send and print the answers; 0 applied, 1 refused, failed or offline."""
    from stembridge.bridge.cli import UsageError
    from stembridge.bridge.client import Client
    from stembridge.model.errors import ArgumentValueError

    try:
        values = [_value(text) for text in arguments.arguments]
    except ValueError as error:
        raise UsageError(str(error)) from error
    answers = _Printer(arguments.json)
    with Client(arguments.host, arguments.port or configured_port()) as client:
        if arguments.wait:
            # The part above the last word: a job may end by another word than the one waited for.
            client.set("/subscribe", arguments.wait.rpartition("/")[0] + "/" or "/", 60)
        try:
            for message in client.exchange(arguments.address, *values):
                answers.take(message, arguments.wait)
        except ArgumentValueError as error:
            raise UsageError(str(error)) from error
        until = None if arguments.timeout is None else time.monotonic() + arguments.timeout
        while arguments.wait and not answers.ended and not answers.refused:
            if until is not None and time.monotonic() >= until:
                print(f"stembridge: nothing came at {arguments.wait} in time", file=sys.stderr)
                return 1
            left = _ASK_AGAIN_S if until is None else min(_ASK_AGAIN_S, until - time.monotonic())
            if (came := client.receive(left)) is not None:
                answers.take(came, arguments.wait)
            elif answers.job is not None:
                client.send("/job/status", answers.job)
            else:
                client.send("/ping")
    return 1 if answers.refused or answers.failed else 0


class _Printer:
    """Prints answers, and knows from them how it ends."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self.job: int | None = None
        self.ended = self.refused = self.failed = False

    def take(self, message: Message, wait: str | None) -> None:
        """One message from the bridge."""
        address, values = message.address, message.arguments
        if address == "/error":
            self.refused = True
            code, _, text, *_ = (*values, "", "", "")
            print(f"stembridge: error: {text!s} ({code!s})", file=sys.stderr)
            if self._json:
                self._print(message)
            return
        if address == "/job/accepted" and len(values) == 3 and isinstance(values[1], int):
            self.job = values[1]
        if address.startswith("/job/current/"):
            return
        if self.job is not None and address.startswith("/job/") and address != "/job/accepted":
            if values[:1] != (self.job,):
                return
            if address == "/job/progress" and not self._json:
                print(f"{values[2]!s}: {float(str(values[3]) or 0):.0%}", file=sys.stderr)
                return
            if address == "/job/state" and wait in _ENDS:
                if values[1] not in ("done", "failed", "cancelled"):
                    return
                address = f"/job/{values[1]!s}"
            if address in _ENDS and wait in _ENDS:
                self.ended, self.failed = True, address != wait
        elif wait is not None and address == wait:
            self.ended = True
        elif address in ("/pong", "/update", "/subscribed"):
            return
        self._print(message)

    def _print(self, message: Message) -> None:
        if self._json:
            print(json.dumps({"address": message.address, "arguments": list(message.arguments)}), flush=True)
        else:
            print(message.address, *message.arguments, flush=True)


def _value(text: str) -> Value:
    """What an argument on the command line means."""
    kind, colon, rest = text.partition(":")
    if colon and kind in ("i", "f", "s"):
        try:
            return rest if kind == "s" else int(rest) if kind == "i" else float(rest)
        except ValueError:
            raise ValueError(f"{text!r}: after {kind}: comes a number; got {rest!r}") from None
    with contextlib.suppress(ValueError):
        return int(text)
    with contextlib.suppress(ValueError):
        return float(text)
    return text


def configured_port() -> int:
    """The port that the configuration gives the bridge."""
    from stembridge.bridge.client import DEFAULT_PORT
    from stembridge.bridge.config import load_config

    port = load_config().later.get("serve", {}).get("port", DEFAULT_PORT)
    return port if isinstance(port, int) else DEFAULT_PORT
