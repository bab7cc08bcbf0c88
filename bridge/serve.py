"""The process a DAW talks to: everything put together, started in order, ended in reverse.

Control, in the terms of the architecture: one loop, no torch, nothing that waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .config import Config
from .daws.ardour import ArdourLink
from .daws.catalogue import make_link
from .daws.service import DawService
from .desk_file import DeskFile, load_session
from .hub import Hub
from .jobs.service import JobService
from .jobs.state_folder import StateFolder
from .midi.service import MidiService
from .osc.announcement import Announcement
from .osc.service import OscService
from .osc.transports import Ports, Transports
from .player.playable import find_playable
from .player.service import LiveSettings, PlayerService
from .serve_settings import ServeSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Started:
    """What a bridge says when it is ready."""

    hosts: Sequence[str]
    ports: Ports
    links: Sequence[str]
    midi: str
    announced: bool


async def serve(
    settings: ServeSettings,
    config: Config,
    stop: asyncio.Event,
    started: Callable[[Started], None],
) -> None:
    """Run a bridge until `stop` is set. Raises StembridgeError for what keeps it from starting."""
    async with contextlib.AsyncExitStack() as stack:
        state = stack.enter_context(StateFolder(settings.state))
        desk_path = state.path / "desk.json"
        hub = Hub(load_session(desk_path, settings.fader_law))
        hub.start()
        stack.push_async_callback(hub.close)

        links = [make_link(hub, daw.name, daw.options) for daw in settings.daws]
        # What a link has made of a DAW's own files may be rendered, too.
        made = tuple(link.clips for link in links if isinstance(link, ArdourLink))
        settings = replace(settings, roots=(*settings.roots, *made))
        jobs = JobService(hub, state, settings, config)
        osc = OscService(hub, jobs_waiting=lambda: jobs.waiting)
        transports = Transports(osc)
        ports = await transports.open(settings.hosts, settings.port)
        stack.push_async_callback(transports.close)
        state.note(os.getpid(), ports.udp)

        desk_file = DeskFile(hub, desk_path)
        desk_file.start()
        stack.push_async_callback(desk_file.close)
        await jobs.start()
        stack.push_async_callback(jobs.close)
        osc.start()
        stack.callback(osc.close)
        for client in settings.clients:
            osc.add_permanent(transports.peer(client.host, client.port), client.prefix)

        player = PlayerService(
            hub,
            _player_settings(settings),
            state.path / "player.sock",
            lambda text: find_playable(settings.roots, text),
            out=settings.out.absolute(),
            model=settings.player.model,
            live=LiveSettings(settings.player.input, settings.player.live_model, settings.player.margin),
            chains=settings.player.chains,
            plugin_folders=config.plugins.folders,
        )
        await player.start()
        stack.push_async_callback(player.close)

        daws = DawService(hub, links, jobs.stems_of)
        daws.start()
        stack.push_async_callback(daws.close)
        midi = ""
        if settings.midi.wanted:
            service = MidiService(
                hub,
                input_name=settings.midi.input,
                output_name=settings.midi.output,
                midi_map=settings.midi.map,
                takeover=settings.midi.takeover,
                channel=settings.midi.channel,
                notes=settings.midi.notes,
                state=state.path,
            )
            service.start()
            midi = settings.midi.input or "virtual ports"
            stack.push_async_callback(service.close)
        announced = False
        if settings.announce:
            announcement = Announcement(settings.hosts, ports.udp)
            announced = await announcement.start()
            stack.push_async_callback(announcement.close)
        # What is there now stays: a full collection over it would hold the loop up for tens of milliseconds.
        gc.collect()
        gc.freeze()
        started(Started(settings.hosts, ports, [link.name for link in links], midi, announced))
        await stop.wait()


def _player_settings(settings: ServeSettings) -> dict[str, object]:
    """What the player's process is told when it starts."""
    player = settings.player
    return {
        "fader_law": settings.fader_law,
        "sample_rate": player.rate,
        "outputs": dict(player.outputs),
        "device": {"output": player.output, "buffer_frames": player.buffer, "latency_s": player.latency},
    }
