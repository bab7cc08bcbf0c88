"""A controller's surface: its moves become commands, and what changes elsewhere is shown on it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

import mido

from .. import commands as c
from .. import events as e
from ..desk import members
from ..feedback import Feedback
from ..hub import Hub
from ..session import MASTER
from ..translation import to_command
from .controls import Control, messages_for
from .decoder import PRESSED, Move
from .mapping import IMPORT, Mapping, MidiMap, Target, target
from .pairs import TOP_7, TOP_14
from .takeover import Grip, Takeover

log = logging.getLogger(__name__)

INTERVAL_S = 1 / 50
HAND_S = 0.25
"""So long after its last move a hand is taken to be on a control: nothing is sent to it."""
_SAME = 0.5


class Surface:
    """One controller under one map. Used from the event loop only."""

    def __init__(
        self,
        hub: Hub,
        origin: str,
        send: Callable[[Sequence[int], object], None],
        takeover: Takeover,
    ) -> None:
        """Sends bytes through `send(bytes, key)`, where the newest of a key wins."""
        self._hub = hub
        self._origin = origin
        self._send = send
        self._takeover: Takeover = takeover
        self._map = MidiMap()
        self._targets: dict[Control, Target] = {}
        self._grips: dict[Control, Grip] = {}
        self._shown: dict[tuple[str, str], list[Mapping]] = {}
        """Which controls show a value, by strip and parameter."""
        self._by_key: dict[str, Mapping] = {}
        self._tops: dict[Control, int] = {}
        """Controls that have turned out to speak 14 bits."""
        self._hands: dict[str, asyncio.TimerHandle] = {}
        self._mover: Control | None = None
        self._last_job: int | None = None
        self._feedback = Feedback(
            self._tell, resolution=lambda _control: _SAME, interval_s=INTERVAL_S, echoes=True
        )

    def use(self, midi_map: MidiMap) -> None:
        """Work by another map; where controls stand stays known."""
        self._let_go()
        self._map = midi_map
        self._targets = {mapping.control: target(mapping.address) for mapping in midi_map}
        self._by_key = {str(mapping.control): mapping for mapping in midi_map}
        self._shown = {}
        for mapping in midi_map:
            place = self._grips[mapping.control].place if mapping.control in self._grips else None
            mode = mapping.takeover or midi_map.takeover or self._takeover
            self._grips[mapping.control] = Grip(mode, place)
            reached = self._targets[mapping.control]
            if reached.parameter:
                for strip in reached.reached:
                    self._shown.setdefault((strip, reached.parameter), []).append(mapping)

    def new_controller(self) -> None:
        """Forget where controls stand: another one may be there now."""
        self._tops.clear()
        self._grips.clear()
        self.use(self._map)

    def close(self) -> None:
        """Let go of every timer. Twice is fine."""
        self._let_go()

    # In.

    def move(self, moves: Iterable[Move]) -> None:
        """Carry out moves; a control that has come to several places sets its value once, to the last."""
        waiting: dict[Control, list[Move]] = {}
        for move in moves:
            if move.pressed is None:
                waiting.setdefault(move.control, []).append(move)
            else:
                self._carry_out(waiting)
                self._press(move)
        self._carry_out(waiting)

    def _carry_out(self, waiting: dict[Control, list[Move]]) -> None:
        for control, moves in waiting.items():
            mapping = self._map.get(control)
            reached = self._targets.get(control)
            if mapping is None or reached is None or not reached.present(self._hub.session.stems):
                continue
            if moves[-1].top == TOP_14:
                self._tops[control] = TOP_14
            if not reached.positioned:
                self._switch(control, reached, moves[-1].value >= PRESSED)
            elif mapping.kind.startswith("relative"):
                self._step(mapping, reached, sum(move.steps for move in moves))
            else:
                self._slide(mapping, reached, moves)
        waiting.clear()

    def _slide(self, mapping: Mapping, reached: Target, moves: Sequence[Move]) -> None:
        """A fader or a knob with ends has come to places, one after the other."""
        key, grip = str(mapping.control), self._grips[mapping.control]
        last = moves[-1]
        if not self._feedback.heard(key, last.value):
            grip.place, grip.held = _place(reached, last.value, last.top), True
            return
        self._hand_on(key)
        value, moved = self._value(reached), False
        for move in moves:
            new = grip.move(_place(reached, move.value, move.top), value, 1 / move.top)
            if new is not None:
                value, moved = new, True
        if not moved:
            self._show(mapping)
        else:
            self._set(mapping.control, reached, value, last.top + 1 if value == grip.place else 0)

    def _step(self, mapping: Mapping, reached: Target, steps: int) -> None:
        """A knob without ends was turned."""
        value = min(max(self._value(reached) + steps / (TOP_7 + 1), 0.0), 1.0)
        self._hand_on(str(mapping.control))
        self._set(mapping.control, reached, value, TOP_7 + 1)

    def _set(self, control: Control, reached: Target, value: float, steps: int) -> None:
        law = self._hub.session.law
        if reached.parameter == "gain" and reached.stem:
            self._ask(control, c.SetFader(reached.stem, value, None, steps), reached)
        elif reached.parameter == "gain":
            self._ask(control, to_command(reached.row, "", (law.snapped_db(value, steps),)), reached)
        else:
            full = 2.0 * value - 1.0 if reached.parameter == "pan" else 10.0 * value
            self._ask(control, to_command(reached.row, reached.stem, (full,)), reached)

    def _switch(self, control: Control, reached: Target, on: bool) -> None:
        """What keeps its own state was switched."""
        if reached.parameter == "mute":
            mute = c.SetMute(reached.stem, on) if reached.stem else c.SetMasterMute(on)
            self._ask(control, mute, reached)
        elif reached.parameter == "solo":
            self._ask(control, c.SetSolo(reached.stem, on), reached)
        elif on:
            self._do(control, reached)

    def _press(self, move: Move) -> None:
        """A button or a note: it toggles what it is for, or does it."""
        mapping = self._map.get(move.control)
        reached = self._targets.get(move.control)
        if mapping is None or reached is None or not reached.present(self._hub.session.stems):
            return
        if not move.pressed:
            self._show(mapping)  # many a button has put its own light out
        elif reached.parameter == "mute":
            toggle = c.SetMute(reached.stem, None) if reached.stem else c.SetMasterMute(None)
            self._ask(None, toggle, reached)
        elif reached.parameter == "solo":
            self._ask(None, c.SetSolo(reached.stem, None), reached)
        else:
            self._do(move.control, reached)

    def _do(self, control: Control, reached: Target) -> None:
        if reached.row.path != IMPORT:
            self._ask(control, to_command(reached.row, reached.stem, reached.arguments), reached)
        elif self._last_job is not None:
            self._ask(control, c.ImportStems(self._last_job), reached)
        else:
            log.warning("MIDI: no job has finished yet whose stems could be imported")

    def _ask(self, control: Control | None, command: c.Command | None, reached: Target) -> None:
        """Send a command; what it changes is this control's own doing."""
        if command is None:
            return
        self._mover = control
        try:
            self._hub.send(command, self._origin, self._answered, reached.text)
        finally:
            self._mover = None

    def _answered(self, event: e.Event) -> None:
        if isinstance(event, e.Problem):
            log.warning("MIDI %s: %s", event.address, event.text)

    # Out.

    def offer(self, event: e.Event, origin: str) -> None:
        """Show what has happened; a listener of the hub."""
        match event:
            case e.GainChanged(stem) | e.GainMoved(stem):
                self._changed(stem, "gain", origin)
            case e.MasterGainChanged() | e.MasterGainMoved():
                self._changed(MASTER, "gain", origin)
            case e.PanChanged(stem):
                self._changed(stem, "pan", origin)
            case e.SensitivityChanged(stem):
                self._changed(stem, "sensitivity", origin)
            case e.MuteChanged(stem):
                self._changed(stem, "mute", origin)
            case e.SoloChanged(stem):
                self._changed(stem, "solo", origin)
            case e.MasterMuteChanged():
                self._changed(MASTER, "mute", origin)
            case e.StemsChanged():
                self.show_all()
            case e.JobDone(job):
                self._last_job = job

    def show_all(self) -> None:
        """Bring every light, ring and motor to where its value is."""
        for mapping in self._map:
            self._show(mapping)

    def _changed(self, strip: str, parameter: str, origin: str) -> None:
        for mapping in self._shown.get((strip, parameter), ()):
            own = origin == self._origin and mapping.control == self._mover
            if not own:
                self._grips[mapping.control].release()
            self._show(mapping, own=own)

    def _show(self, mapping: Mapping, *, own: bool = False) -> None:
        reached = self._targets[mapping.control]
        if not reached.parameter or not reached.present(self._hub.session.stems):
            return
        values = self._values(reached)
        if reached.positioned and len(set(values)) != 1:
            return  # a group whose members differ has no place
        if not reached.positioned:
            value = float(mapping.lit if values and all(values) else mapping.unlit)
        else:
            value = float(_value(reached, values[0], self._top(mapping)))
        self._feedback.offer(str(mapping.control), value, own=own)

    def _top(self, mapping: Mapping) -> int:
        fine = mapping.kind in ("14-bit", "pitch-bend")
        return TOP_14 if fine else self._tops.get(mapping.control, TOP_7)

    def _tell(self, key: str, value: float) -> None:
        mapping = self._by_key[key]
        led = mapping.led or mapping.control
        fine = mapping.led is None and self._top(mapping) == TOP_14
        for half, message in enumerate(messages_for(led, round(value), fine=fine)):
            self._send(message.bytes(), (led, half))

    def _hand_on(self, key: str) -> None:
        """Send a control nothing for a while: it is being moved."""
        if (timer := self._hands.get(key)) is not None:
            timer.cancel()
        else:
            self._feedback.touch(key, True)
        self._hands[key] = asyncio.get_running_loop().call_later(HAND_S, self._hand_off, key)

    def _hand_off(self, key: str) -> None:
        self._hands.pop(key, None)
        self._feedback.touch(key, False)

    def _let_go(self) -> None:
        for timer in self._hands.values():
            timer.cancel()
        self._hands.clear()
        self._feedback.forget()

    # Values.

    def _values(self, reached: Target) -> list[float]:
        """Where the strips of a target stand, as 0 to 1."""
        session, now = self._hub.session, self._hub.clock()
        strips = members(reached.stem, session.stems) if reached.stem else (MASTER,)
        values: list[float] = []
        for name in strips:
            strip = session.desk.strips.get(name)
            match reached.parameter:
                case "gain":
                    values.append(session.law.position(session.gain_db(name, now)))
                case "mute":
                    values.append(float(session.desk.master_muted if strip is None else strip.muted))
                case "solo" if strip is not None:
                    values.append(float(strip.soloed))
                case "pan" if strip is not None:
                    values.append((strip.pan + 1.0) / 2.0)
                case "sensitivity" if strip is not None:
                    values.append(strip.sensitivity / 10.0)
        return values

    def _value(self, reached: Target) -> float:
        """Where a target stands; for a group, the middle of its members."""
        values = self._values(reached)
        return sum(values) / len(values) if values else 0.0


def _place(reached: Target, value: int, top: int) -> float:
    """A control's value as 0 to 1; what has a middle has it at 64 (or 8192) exactly."""
    middle = (top + 1) // 2
    if reached.parameter == "gain":
        return value / top
    return 0.5 * value / middle if value <= middle else 0.5 + 0.5 * (value - middle) / (top - middle)


def _value(reached: Target, place: float, top: int) -> int:
    """The inverse of `_place`, to the nearest value."""
    middle = (top + 1) // 2
    if reached.parameter == "gain":
        return round(place * top)
    return round(place * 2 * middle if place <= 0.5 else middle + (2 * place - 1) * (top - middle))


def parse(packet: Sequence[int]) -> mido.Message | None:
    """A message from its bytes; None for clock, sysex and what is no MIDI."""
    if not packet or not 0x80 <= packet[0] < 0xF0:
        return None
    try:
        return mido.Message.from_bytes(packet)
    except ValueError:
        return None
