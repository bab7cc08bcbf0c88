"""A bridge for one command: the one that runs already, or one of its own; and the desk it begins with."""

from __future__ import annotations

import argparse
import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stembridge.bridge.cli import UsageError

if TYPE_CHECKING:
    from stembridge.bridge.client import Client
    from stembridge.bridge.serve_settings import ServeSettings


def configure_desk(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say how the desk stands, which chains there are, and what it sounds on."""
    arg = parser.add_argument
    arg("--gain", action="append", default=[], metavar="STEM=DB")
    arg("--mute", action="append", default=[], metavar="STEM")
    arg("--solo", action="append", default=[], metavar="STEM")
    arg("--preset", metavar="NAME|FILE", help="its faders, and its chains for stems and mix")
    arg(
        "--chain", action="append", default=[], metavar="STEM=PRESET",
        help="treat a stem, or `mix`, with a preset's chain; may repeat",
    )  # fmt: skip
    arg("--output", metavar="DEV", help="audio device (see `stembridge devices`)")
    arg("--outputs", metavar="NAME=N-M,...", help="outputs of it: drums=1-2,vocals=3-4,mix=5-6")
    arg("--rate", type=int, metavar="HZ", help="of the device; default: the song's or the input's own")
    arg("--buffer", type=int, metavar="FRAMES", help="of the device; default 512")
    arg("--latency", type=float, metavar="MS", help="how much the system may hold; default: little")
    arg("--port", type=int, metavar="N", help="where the bridge listens or is; default 9331")


@dataclass(frozen=True)
class DeskStart:
    """How the desk is to stand when it begins to sound."""

    gains_db: Mapping[str, float] = field(default_factory=dict)
    pan: Mapping[str, float] = field(default_factory=dict)
    mutes: Sequence[str] = ()
    solos: Sequence[str] = ()
    chains: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> DeskStart:
        """What the flags say, over what the preset says. Raises UsageError, PresetError."""
        gains = dict(gain_of(text) for text in arguments.gain)
        pairs = [text.partition("=") for text in arguments.chain]
        if wrong := next((text for stem, _, text in pairs if not stem or not text), None) is not None:
            raise UsageError(f"--chain takes STEM=PRESET; got {wrong!r}")
        chains = {stem: preset for stem, _, preset in pairs}
        if arguments.preset is None:
            return cls(gains, {}, arguments.mute, arguments.solo, chains)
        from stembridge.bridge.presets import load_preset

        preset = load_preset(arguments.preset)
        return cls(
            {**preset.gains_db, **gains},
            preset.pan,
            (*preset.render.mute, *arguments.mute),
            (*preset.render.solo, *arguments.solo),
            {**dict.fromkeys(preset.chains, arguments.preset), **chains},
        )

    def send(self, client: Client, *, chains: bool) -> None:
        """Put the desk there; with `chains` those, too, which a bridge that runs takes by name only."""
        for stem, gain_db in self.gains_db.items():
            client.set(f"/stem/{stem}/gain", gain_db)
        for stem, value in self.pan.items():
            client.set(f"/stem/{stem}/pan", value)
        for stem in self.mutes:
            client.set(f"/stem/{stem}/mute", 1)
        for stem in self.solos:
            client.set(f"/stem/{stem}/solo", 1)
        for stem, preset in self.chains.items() if chains else ():
            if preset.endswith(".toml") or "/" in preset:
                raise UsageError(
                    f"the bridge that runs already takes presets by name: put {preset} into the presets "
                    "folder, or give --port 0 for a bridge of its own"
                )
            client.set("/song/chain", stem, preset)


@contextmanager
def bridge_for(
    arguments: argparse.Namespace, desk: DeskStart, roots: Sequence[Path] = ()
) -> Iterator[tuple[Client, int]]:
    """A client of the bridge that runs already, or of one that ends with the block; and its port."""
    from stembridge.bridge.client import Client

    port = running_port(arguments)
    if port is not None:
        with Client("127.0.0.1", port) as client:
            desk.send(client, chains=True)
            yield client, port
        return
    with OwnBridge(arguments, desk.chains, roots) as own, Client("127.0.0.1", own.port) as client:
        desk.send(client, chains=False)
        yield client, own.port


class OwnBridge:
    """A bridge in this process, for as long as it is listened to."""

    def __init__(
        self, arguments: argparse.Namespace, chains: Mapping[str, str], roots: Sequence[Path] = ()
    ) -> None:
        """`chains` are presets by name or path; `roots` are folders whose songs may be played as well."""
        from stembridge.bridge.cli.serve import player_settings
        from stembridge.bridge.config import load_config
        from stembridge.bridge.serve_settings import settings_from

        self._config = load_config()
        settings = settings_from(self._config)
        player = player_settings(settings.player, arguments)
        player = replace(player, chains={**player.chains, **chains})
        if arguments.model is not None:
            player = replace(player, model=arguments.model, live_model=arguments.model)
        self._settings = replace(settings, player=player, roots=(*settings.roots, *roots))
        if arguments.port is not None:
            self._settings = replace(self._settings, port=arguments.port)
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="bridge")
        self.port = 0

    def __enter__(self) -> OwnBridge:
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


def running_port(arguments: argparse.Namespace) -> int | None:
    """The port of a bridge that is running already; None: there is none."""
    from stembridge.bridge.cli.send import configured_port
    from stembridge.bridge.client import BridgeError, BridgeOfflineError, Client

    if arguments.port == 0:
        return None
    port = arguments.port or configured_port()
    try:
        with Client("127.0.0.1", port) as client:
            client.send("/version")
            message = client.receive(0.3)
            return port if message is not None and message.address == "/version" else None
    except (BridgeOfflineError, BridgeError):
        return None


def gain_of(text: str) -> tuple[str, float]:
    stem, _, number = text.partition("=")
    try:
        return stem, float(number)
    except ValueError:
        raise UsageError(f"--gain takes STEM=DB; got {text!r}") from None
