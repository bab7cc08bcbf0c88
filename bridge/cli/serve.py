"""`stembridge serve`: the process a DAW talks to."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stembridge.bridge.cli import UsageError

if TYPE_CHECKING:
    from stembridge.bridge.serve import Started
    from stembridge.bridge.serve_settings import PlayerSettings, ServeSettings

EXAMPLES = """\
examples:
  stembridge serve --root ~/Music --daw ardour
  stembridge serve --midi-in nanoKONTROL2 --midi-out nanoKONTROL2
  stembridge serve --daw reaper:mode=import --daw mcu
  stembridge serve --lan                       for a tablet in the same network
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    arg = parser.add_argument
    arg("--port", type=int, metavar="N", help="UDP; TCP is one above; default 9331, 0 takes free ones")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--lan", action="store_true", help="listen in the local network, too, and announce it there"
    )
    where.add_argument("--listen", metavar="ADDR", help="listen at this address only")
    arg(
        "--root", action="append", type=Path, default=[], metavar="DIR", help="songs may lie here; may repeat"
    )
    arg("--out", type=Path, metavar="DIR", help="renders go here")
    arg("--state", type=Path, metavar="DIR", help="the queue and the desk are kept here")
    arg("--fader-law", choices=("ardour", "live", "reaper", "linear"), help="what a fader's position means")
    arg("--midi-in", metavar="NAME", help="a MIDI input, by name or part of it; `virtual` makes one")
    arg("--midi-out", metavar="NAME", help="where faders and lights are sent back to")
    arg("--midi-map", metavar="NAME|FILE", help="which control moves what; default: by the port's name")
    arg("--takeover", choices=("pickup", "jump", "scale"), help="how a fader without a motor takes hold")
    arg(
        "--daw",
        action="append",
        default=[],
        metavar="NAME[:OPTIONS]",
        help="link a DAW: ardour, reaper, live, abletonosc, mcu; `reaper:mode=import,port=9000`; may repeat",
    )
    arg("--output", metavar="DEV", help="audio device to play on (see `stembridge devices`)")
    arg("--outputs", metavar="NAME=N-M,...", help="outputs of it: drums=1-2,vocals=3-4,mix=5-6")
    arg("--input", metavar="DEV", help="audio device that `/live/start` listens to")
    arg("--rate", type=int, metavar="HZ", help="of the device; default: each song's own")
    arg("--buffer", type=int, metavar="FRAMES", help="of the device; default 512")
    arg(
        "--log",
        choices=("debug", "info", "warning"),
        default="info",
        help="how much is said on standard error",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until interrupted; 0 then, 1 where it cannot start, 2 usage."""
    from stembridge.bridge.config import ConfigError, load_config
    from stembridge.bridge.daws.catalogue import LinkError
    from stembridge.bridge.serve import serve
    from stembridge.bridge.serve_settings import SettingError

    config = load_config()
    try:
        settings = _settings(arguments)
    except (ConfigError, SettingError, LinkError) as error:
        raise UsageError(str(error)) from error
    logging.basicConfig(
        level=arguments.log.upper(), format="%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S"
    )

    async def until_interrupted() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            if sys.platform == "win32":
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
            else:
                loop.add_signal_handler(number, stop.set)
        await serve(settings, config, stop, lambda started: _announce(settings, started))

    asyncio.run(until_interrupted())
    return 0


def _settings(arguments: argparse.Namespace) -> ServeSettings:
    """Flags over configuration over defaults."""
    from stembridge.bridge.config import load_config
    from stembridge.bridge.daws.catalogue import check_link
    from stembridge.bridge.osc.transports import private_address
    from stembridge.bridge.serve_settings import parse_daw, settings_from

    settings = settings_from(load_config())
    changes: dict[str, object] = {}
    if arguments.port is not None:
        changes["port"] = arguments.port
    if arguments.lan:
        changes.update(hosts=("127.0.0.1", private_address()), announce=True)
    elif arguments.listen:
        changes["hosts"] = (arguments.listen,)
    if arguments.root:
        changes["roots"] = tuple(arguments.root)
    elif not settings.roots:
        changes["roots"] = (Path.cwd(),)
    for name in ("out", "state", "fader_law"):
        if getattr(arguments, name) is not None:
            changes[name] = getattr(arguments, name)
    if arguments.daw:
        changes["daws"] = tuple(parse_daw(text) for text in arguments.daw)
    midi = settings.midi
    named = {"input": arguments.midi_in, "output": arguments.midi_out, "map": arguments.midi_map,
             "takeover": arguments.takeover}  # fmt: skip
    midi = replace(midi, **{key: value for key, value in named.items() if value is not None})
    if "virtual" in (midi.input, midi.output):
        midi = replace(midi, virtual=True, input=None, output=None)
    changes["midi"] = midi
    changes["player"] = player_settings(settings.player, arguments)
    settings = replace(settings, **changes)  # type: ignore[arg-type]
    for daw in settings.daws:
        check_link(daw.name, daw.options)
    for root in settings.roots:
        if not root.is_dir():
            raise UsageError(f"--root {root} is no folder")
    return settings


def player_settings(player: PlayerSettings, arguments: argparse.Namespace) -> PlayerSettings:
    """The player's flags over what the configuration says."""
    from stembridge.bridge.player.outputs import Outputs

    keys = {"output": "output", "rate": "rate", "buffer": "buffer", "input": "input", "margin": "margin"}
    named = {key: getattr(arguments, flag, None) for key, flag in keys.items()}
    if getattr(arguments, "latency", None) is not None:
        named["latency"] = arguments.latency / 1e3
    player = replace(player, **{key: value for key, value in named.items() if value is not None})
    if arguments.outputs:
        pairs = [pair.partition("=") for pair in arguments.outputs.split(",")]
        player = replace(player, outputs={name.strip(): place for name, _, place in pairs})
    Outputs.from_text(player.outputs)
    return player


def _announce(settings: ServeSettings, started: Started) -> None:
    """Say where the bridge is, in lines that scripts can read as well."""
    places = ", ".join(settings.hosts)
    print(f"stembridge serves OSC at {places}: UDP {started.ports.udp}, TCP {started.ports.tcp}")
    roots = ", ".join(str(root.absolute()) for root in settings.roots)
    print(f"songs from {roots}; renders go to {settings.out.absolute()}")
    for link in started.links:
        print(f"linked: {link}")
    if started.midi:
        print(f"MIDI: {started.midi}")
    if started.announced:
        print("announced to the local network as _osc._udp")
    print("ready", flush=True)
