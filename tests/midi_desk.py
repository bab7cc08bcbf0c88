"""A hub with a controller's surface on it, without ports, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from stembridge.bridge.desk import Strip
from stembridge.bridge.hub import Hub
from stembridge.bridge.midi.controls import Control
from stembridge.bridge.midi.decoder import Move
from stembridge.bridge.midi.map_files import find_map, parse_map
from stembridge.bridge.midi.mapping import MidiMap
from stembridge.bridge.midi.surface import Surface
from stembridge.bridge.midi.takeover import Takeover
from stembridge.bridge.session import Session

DRUMS = Control("cc", 1, 20)


class Desk:
    """A hub with a surface on it; notes what the surface sends."""

    def __init__(
        self, midi_map: MidiMap, takeover: Takeover = "jump", session: Session | None = None
    ) -> None:
        self.hub = Hub(session or Session())
        self.sent: list[tuple[int, ...]] = []
        self.surface = Surface(
            self.hub, "midi", lambda message, _key: self.sent.append(tuple(message)), takeover
        )
        self.surface.use(midi_map)
        self.hub.listen(self.surface.offer)

    def gain(self, stem: str) -> float:
        desk = self.hub.session.desk
        return desk.master_gain_db if stem == "master" else desk.strips[stem].gain_db

    def strip(self, stem: str) -> Strip:
        return self.hub.session.desk.strips[stem]

    def move(self, control: Control, *values: int, top: int = 127) -> None:
        for value in values:
            self.surface.move([Move(control, value, top)])

    def press(self, control: Control) -> None:
        self.surface.move([Move(control, pressed=True), Move(control, pressed=False)])


def play(scenario: Callable[[Desk], Awaitable[None]], desk: Callable[[], Desk]) -> None:
    async def whole() -> None:
        one = desk()
        try:
            await scenario(one)
        finally:
            one.surface.close()
            await one.hub.close()

    asyncio.run(whole())


def slots(takeover: Takeover = "jump") -> Callable[[], Desk]:
    return lambda: Desk(find_map("slots"), takeover)


def mapped(*entries: str, takeover: Takeover = "jump") -> Callable[[], Desk]:
    text = "schema = 1\ncontrol = [\n" + ",\n".join("{ " + entry + " }" for entry in entries) + "]"
    return lambda: Desk(parse_map(text, "test"), takeover)
