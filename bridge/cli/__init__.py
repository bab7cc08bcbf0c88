"""The command line: the only place that parses arguments and prints.

Each command is a module here with `configure(parser)` and `run(arguments) -> exit code`, imported only
when it is asked for, so that `--help` and every error before work starts stay quick.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version

COMMANDS: dict[str, str] = {
    "render": "turn songs into stems and remixes",
    "plot": "draw spectrograms of a song and its stems",
    "models": "list the separators",
    "presets": "list the presets, or describe one",
    "plugins": "list, show or edit plug-ins",
    "cache": "size or clear the stem cache",
    "doctor": "say what is set up, what is missing, and why a setting holds",
}

INTERRUPTED = 130


class UsageError(Exception):
    """Arguments that contradict each other, found after parsing."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0 all done, 1 something failed, 2 usage, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="stembridge",
        description="Stems, gains and plug-in chains, under a DAW's control.",
        epilog="example: stembridge render song.flac --preset karaoke",
    )
    parser.add_argument("--version", action="version", version=f"stembridge {version('stembridge')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == chosen:
            importlib.import_module(f"{__name__}.{name}").configure(command)
    parsed = parser.parse_args(arguments)
    return _run(parsed, commands.choices[parsed.command])


def _run(parsed: argparse.Namespace, command: argparse.ArgumentParser) -> int:
    from stembridge.model.errors import StembridgeError
    from stembridge.model.platform import keep_freed_memory

    keep_freed_memory()
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code: int = importlib.import_module(f"{__name__}.{parsed.command}").run(parsed)
        sys.stdout.flush()
        return code
    except UsageError as error:
        command.error(str(error))
    except StembridgeError as error:
        print(f"stembridge: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stembridge: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our results has left; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _terminate(_number: int, _frame: object) -> None:
    """End as on Ctrl-C, so that nothing half-done is left behind."""
    raise KeyboardInterrupt
