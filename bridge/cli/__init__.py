"""The command line: the only place that parses arguments and prints.

Each command is a module here with `configure(parser)` and `run(arguments) -> exit code`, imported only
when it is asked for, so that `--help` and every error before work starts stay quick.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version

COMMANDS: dict[str, str] = {
    "render": "turn songs into stems and remixes",
    "master": "bring songs or an album to a sound, a loudness and a true-peak ceiling",
    "run": "do what a file of jobs asks for, as one batch",
    "pack": "make NI stem files, zips or acapellas of finished stems",
    "plot": "draw spectrograms of a song and its stems",
    "models": "list the separators",
    "presets": "list the presets, or describe one",
    "plugins": "list, show or edit plug-ins",
    "evaluate": "measure separators on songs whose stems are known",
    "synth": "make multitrack songs to train on",
    "train": "train a network",
    "cache": "size or clear the stem cache",
    "serve": "let a DAW trigger renders and ride stem gains, over OSC and MIDI",
    "play": "play a song, a folder of stems or a set list under the desk's faders",
    "live": "take an audio input apart as it comes, under the desk's faders",
    "devices": "list audio devices and MIDI ports",
    "desk": "faders and jobs of a running bridge, in the terminal",
    "send": "send one message to a running bridge, and print its answer",
    "daws": "list the DAWs that can be linked, or put our files where one looks for them",
    "addresses": "list the OSC addresses",
    "doctor": "say what is set up, what is missing, and why a setting holds",
}

INTERRUPTED = 130


class UsageError(Exception):
    """Arguments that contradict each other, found after parsing."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0 all done, 1 something failed, 2 usage, 130 interrupted."""
    # Work is spread over threads of our own; OpenBLAS's would only fight them for the cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    arguments = list(sys.argv[1:] if argv is None else argv)
    chosen = next((argument for argument in arguments if not argument.startswith("-")), None)
    if chosen not in COMMANDS:
        _overview().parse_args(arguments)
    assert chosen is not None
    place = arguments.index(chosen)
    text = COMMANDS[chosen]
    command = argparse.ArgumentParser(
        prog=f"stembridge {chosen}", description=text[0].upper() + text[1:] + "."
    )
    module = importlib.import_module(f"{__name__}.{chosen}")
    module.configure(command)
    rest = [*arguments[:place], *arguments[place + 1 :]]
    try:
        # Songs may stand before, between and after the flags.
        parsed = command.parse_intermixed_args(rest)
    except TypeError:  # argparse's word for a command that has sub-commands of its own
        parsed = command.parse_args(rest)
    return _run(module.run, parsed, command)


def _overview() -> argparse.ArgumentParser:
    """What there is, for `--help` and for a command that there is not."""
    parser = argparse.ArgumentParser(
        prog="stembridge",
        description="Stems, gains and plug-in chains, under a DAW's control.",
        epilog="`stembridge COMMAND --help` says more. Example: stembridge render song.flac --preset karaoke",
    )
    parser.add_argument("--version", action="version", version=f"stembridge {version('stembridge')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text)
    return parser


def _run(
    work: Callable[[argparse.Namespace], int], parsed: argparse.Namespace, command: argparse.ArgumentParser
) -> int:
    from stembridge.model.errors import StembridgeError
    from stembridge.model.platform import keep_freed_memory

    keep_freed_memory()
    # A file name need not be Unicode; printing one must not end the work.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    for number in _INTERRUPTS:
        signal.signal(number, _interrupt)
    try:
        code = work(parsed)
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
    except OSError as error:  # standard output's, say, where a full disk is behind it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"stembridge: error: {error}", file=sys.stderr)
        return 1


_INTERRUPTS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


def _interrupt(_number: int, _frame: object) -> None:
    """End as on Ctrl-C, once: what comes while things are being put away would leave them lying about."""
    for number in _INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
