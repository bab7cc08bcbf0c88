"""MIDI on one hub: ports, a map, what was learned, and the answers to `/midi/*`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import commands as c
from .. import events as e
from ..hub import Hub, Refusal, Reply, Request
from ..timecode import MidiClock
from .boxes import Outbox, Packet
from .controls import MidiError, control_of
from .decoder import Decoder, Move
from .learning import WINDOW_S, Learner
from .map_files import Learned, find_map, load_learned, map_for_port, save_learned
from .mapping import Mapping, MidiMap, Target, target
from .ports import Ports
from .surface import Surface, parse
from .takeover import Takeover

log = logging.getLogger(__name__)

ORIGIN = "midi"
LEARNED_FILE = "midi.toml"
COMMANDS = (c.LearnMidi, c.ForgetMidi, c.ListMidi)
_LOOK_S = 0.05


@dataclass
class _Learning:
    """An address that waits for its control."""

    target: Target
    learner: Learner
    reply: Reply
    until: float


class MidiService:
    """One controller, or the virtual ports, for one hub."""

    def __init__(
        self,
        hub: Hub,
        *,
        input_name: str | None = None,
        output_name: str | None = None,
        midi_map: str | None = None,
        takeover: Takeover | None = None,
        channel: int | None = None,
        notes: bool = False,
        state: Path | None = None,
        api: str | None = None,
    ) -> None:
        """Without names the ports are virtual: `Stembridge In` and `Stembridge Out`.

        `midi_map` is a map's name or file; None: by the port's name, else `slots` (on `channel`, else 1).
        `takeover` None: as the map says; else `pickup` for a controller that is named, `jump` for what is
        connected to the virtual ports. `notes` adds the map of that name. `state` is the folder where what is
        learned is kept, as `midi.toml`; None keeps it until the end. Raises MidiError.
        """
        self._hub = hub
        self._map_name = midi_map
        self._channel = channel
        self._notes = find_map("notes") if notes else MidiMap()
        self._state = None if state is None else state / LEARNED_FILE
        self._learned = _learned(self._state)
        self._takeover = takeover
        self._ports = Ports(
            self.receive, input_name=input_name, output_name=output_name, api=api, changed=self._changed
        )
        self._outbox = Outbox(self._ports.send)
        default: Takeover = takeover or ("jump" if input_name is None else "pickup")
        self._surface = Surface(hub, ORIGIN, lambda message, key: self._outbox.send(message, key), default)
        self._map = self._base("")
        self._decoder = Decoder(lambda control: self._map.kind_of(control))
        self._learning: _Learning | None = None
        self._clock = MidiClock()
        self._looking: asyncio.TimerHandle | None = None
        self._running: asyncio.Task[None] | None = None
        self._saving: asyncio.Task[None] | None = None

    @property
    def ports(self) -> Ports:
        """The ports, for who wants to say which they are."""
        return self._ports

    @property
    def map(self) -> MidiMap:
        """What moves what, what was learned included."""
        return self._map

    def start(self) -> None:
        """Open the ports, now or when they come; call from the loop."""
        self._surface.use(self._map)
        self._hub.handle(COMMANDS, self._carry_out)
        self._hub.listen(self._surface.offer)
        self._running = asyncio.create_task(self._ports.run())

    async def close(self) -> None:
        """Close the ports, and finish writing what was learned. Twice is fine."""
        self._hub.forget(self._surface.offer)
        self._surface.close()
        self._outbox.clear()
        if self._looking is not None:
            self._looking.cancel()
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running
            self._running = None
        if self._saving is not None:
            await self._saving

    def receive(self, packets: list[Packet]) -> None:
        """Carry out what has come in: bytes, each with the time they came at. Called on the loop."""
        moves: list[Move] = []
        for packet, at in packets:
            if packet and packet[0] >= 0xF0:
                self._follow(packet, at)
                continue
            message = parse(packet)
            found = control_of(message) if message is not None else None
            if message is None or found is None:
                continue
            control, value = found
            if self._learning is not None:
                self._learning.learner.feed(control, value, at)
            elif control.source == "program" and self._map.get(control) is None:
                recall = c.RecallScene(str(control.number))
                self._hub.send(recall, ORIGIN, _log_problem, "/mix/recall")
            elif (move := self._decoder.feed(message, at)) is not None:
                moves.append(move)
        self._surface.move(moves)

    def _follow(self, packet: Sequence[int], at: float) -> None:
        """Tell where the other side's transport is, where a message of the system says so."""
        told = self._clock.feed(packet, at)
        if told is not None:
            self._hub.publish(e.HostTransport(ORIGIN, told.playing, told.position_s, told.at))

    # The map.

    def _base(self, port: str) -> MidiMap:
        """The map for a port, with what was added and learned."""
        if self._map_name is not None:
            base = find_map(self._map_name, self._channel)
        else:
            base = map_for_port(port) or find_map("slots", self._channel)
        if self._takeover is not None:
            base = replace(base, takeover=self._takeover)
        more = tuple(mapping for mapping in self._notes if base.get(mapping.control) is None)
        return self._learned.applied(replace(base, mappings=(*base.mappings, *more)))

    def _use(self, midi_map: MidiMap) -> None:
        self._map = midi_map
        self._surface.use(midi_map)

    def _changed(self, opened: bool) -> None:
        """The ports were opened, or are gone."""
        self._outbox.clear()
        if opened:
            self._decoder.forget()
            self._use(self._base(self._ports.input_port))
            self._surface.new_controller()
            self._surface.show_all()

    # Questions and learning.

    def _carry_out(self, request: Request) -> Coroutine[Any, Any, None] | None:
        match request.command:
            case c.ListMidi():
                for mapping in self._map:
                    request.reply(e.MidiMapping(mapping.address, str(mapping.control), mapping.kind))
                request.reply(e.MidiMapEnd(len(self._map)))
            case c.LearnMidi(address):
                self._learn(address, request)
            case c.ForgetMidi(address):
                self._forget(address, request)
        return None

    def _target(self, address: str) -> Target:
        try:
            return target(address, self._hub.session.stems)
        except MidiError as error:
            raise Refusal("bad_args", str(error)) from error

    def _learn(self, address: str, request: Request) -> None:
        reached = self._target(address)
        if not self._ports.open:
            raise Refusal("not_found", "no MIDI port is open to learn from: connect the controller first")
        if self._learning is not None:
            self._give_up(f"{reached.text} is learned instead")
        until = asyncio.get_running_loop().time() + WINDOW_S
        learner = Learner(positioned=reached.positioned)
        self._learning = _Learning(reached, learner, request.reply, until)
        request.reply(e.MidiLearning(reached.text, WINDOW_S))
        self._looking = asyncio.get_running_loop().call_later(_LOOK_S, self._look)

    def _look(self) -> None:
        """See whether it is clear yet what is being moved."""
        learning, loop = self._learning, asyncio.get_running_loop()
        if learning is None:
            return
        found = learning.learner.decide(self._hub.clock())
        if found is not None:
            self._learning = None
            self._found(learning, Mapping(found[0], learning.target.text, found[1]))
        elif loop.time() >= learning.until:
            self._give_up(f"nothing was moved within {WINDOW_S:g} s (a fader needs a real move)")
        else:
            self._looking = loop.call_later(_LOOK_S, self._look)

    def _found(self, learning: _Learning, mapping: Mapping) -> None:
        learned_map, stolen = self._map.learn(mapping)
        lost = [address for address in stolen if not learned_map.at(address)]
        self._learned = self._learned.learn(mapping, lost)
        self._use(learned_map)
        for address in lost:
            self._tell(learning.reply, e.MidiForgotten(address))
        self._tell(learning.reply, e.MidiLearned(mapping.address, str(mapping.control), mapping.kind))
        self._surface.show_all()
        self._save(learning.reply)

    def _give_up(self, text: str) -> None:
        learning, self._learning = self._learning, None
        if self._looking is not None:
            self._looking.cancel()
        if learning is not None:
            learning.reply(e.Problem("not_found", "/midi/learn", f"{learning.target.text}: {text}"))

    def _forget(self, address: str, request: Request) -> None:
        reached = self._target(address)
        gone = self._map.at(reached.text)
        if not gone:
            raise Refusal("not_found", f"no control moves {reached.text}; `/midi/map` lists what does")
        self._learned = self._learned.forget(reached.text)
        self._use(self._map.without(gone))
        self._tell(request.reply, e.MidiForgotten(reached.text), request.origin)
        self._save(request.reply)

    def _tell(self, reply: Reply, event: e.Event, origin: str = "") -> None:
        reply(event)
        self._hub.publish(event, origin)

    def _save(self, reply: Reply) -> None:
        """Write what was learned, after what is being written already."""
        if self._state is not None:
            self._saving = asyncio.create_task(self._save_after(self._saving, self._state, reply))

    async def _save_after(self, earlier: asyncio.Task[None] | None, path: Path, reply: Reply) -> None:
        if earlier is not None:
            await earlier
        try:
            await asyncio.to_thread(save_learned, self._learned, path)
        except OSError as error:
            reply(e.Problem("internal", "/midi/learn", f"this holds until the end only: {error}"))


def _learned(state: Path | None) -> Learned:
    """What was learned before; a file that cannot be read is put aside, and said so."""
    if state is None:
        return Learned()
    try:
        return load_learned(state)
    except MidiError as error:
        aside = state.with_name(f"{state.name}.damaged")
        log.warning("%s; it is put aside as %s", error, aside.name)
        with contextlib.suppress(OSError):
            state.replace(aside)
        return Learned()


def _log_problem(event: e.Event) -> None:
    if isinstance(event, e.Problem):
        log.warning("MIDI %s: %s", event.address, event.text)
