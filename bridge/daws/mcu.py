"""Any DAW by Mackie Control: we are the device, with eight faders, mutes, solos, a master and a display.

The host writes its tracks' names above our strips; those that name a stem are bound to it, and their faders
drive the stem. What is moved here moves the host's fader, as a hand on a motor fader would. No file goes
this way, so the link is always `remote`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from stembridge.model.errors import ArgumentValueError

from .. import commands as c
from .. import events as e
from ..fader_laws import fader_law
from ..feedback import Feedback
from ..hub import Hub, Refusal
from ..midi.boxes import Outbox, Packet
from ..midi.ports import Ports
from ..session import MASTER
from . import mcu_messages as mcu
from .link import Mode, SelectedClip, StemImport
from .mcu_names import bound, strip_of

log = logging.getLogger(__name__)

VIRTUAL = ("Stembridge Mackie In", "Stembridge Mackie Out")
INTERVAL_S = 1 / 50
GATHER_S = 0.02
"""A fader's move waits this long: a host that sends everything anew may be about to rename the strip."""
SETTLE_S = 0.15
"""Names count when the display has been still for so long."""
HAND_S = 0.3
HELLO_S = 2.0
PAGE_S = 0.5
"""So long a host may take to show other tracks after a bank button."""
MOST_BANKS = 32
ECHO_S = 0.5
"""A host may take this long to repeat what it was told; by then others may have been told."""
_SAME = 1.5 * mcu.STEP


class McuLink:
    """One host that has us as its Mackie Control."""

    def __init__(
        self,
        hub: Hub,
        *,
        mode: Mode = "remote",
        input_name: str | None = None,
        output_name: str | None = None,
        law: str = "ardour",
        name: str = "mcu",
        api: str | None = None,
    ) -> None:
        """Without names the ports are virtual, `Stembridge Mackie In` and `... Out`; `law` is the host's.

        Raises ArgumentValueError for the mode `import`, MidiError where there can be no ports.
        """
        if mode != "remote":
            raise ArgumentValueError("Mackie Control carries no files: its mode is remote; got import")
        self.name = name
        self.mode: Mode = mode
        self._hub = hub
        self._origin = f"daw:{name}"
        self._law = fader_law(law)
        self._ports = Ports(
            self.receive,
            input_name=input_name,
            output_name=output_name,
            virtual=VIRTUAL,
            api=api,
            changed=self._changed,
        )
        self._outbox = Outbox(self._ports.send)
        self._feedback = Feedback(self._tell, resolution=lambda _control: _SAME, interval_s=INTERVAL_S)
        self._display = mcu.Display()
        self._labels: tuple[str, ...] = ("",) * mcu.STRIPS
        self._bound: dict[str, int] = {}
        self._by_hand: dict[str, str] = {}
        self._positions: list[float | None] = [None] * (mcu.STRIPS + 1)
        self._lights: dict[int, bool] = {}
        self._fresh: set[tuple[str, int]] = set()
        """What the host has moved and nobody has acted on: (`gain`, `mute` or `solo`, strip)."""
        self._gathering: asyncio.TimerHandle | None = None
        self._settling: asyncio.TimerHandle | None = None
        self._hands: dict[int, asyncio.TimerHandle] = {}
        self._told: dict[int, list[tuple[float, float]]] = {}
        """What was told lately about each strip's fader: positions and times."""
        self._checks: dict[int, asyncio.TimerHandle] = {}
        self._heard_at: float | None = None
        self._page_turned = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._looked = False
        self._master_lives = False
        """Whether the host has a master: one without leaves our fader at the bottom."""

    # The link.

    async def run(self) -> None:
        """Open the ports, and again whenever they come back, until cancelled."""
        self._hub.listen(self._offer)
        greeting = asyncio.create_task(self._greet())
        try:
            await self._ports.run()
        finally:
            self._hub.forget(self._offer)
            for task in (greeting, self._looking):
                if task is not None:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
            self._forget()

    def state(self) -> e.DawState:
        """Online once the host has shown its tracks; a silent host cannot be told from one that has gone."""
        online = self._ports.open and any(self._labels)
        age_s = -1.0 if self._heard_at is None else self._hub.clock() - self._heard_at
        return e.DawState(self.name, self.mode, "online" if online else "offline", age_s)

    def bind(self, stem: str, track: str) -> None:
        """Bind by the name of a track, of which the display shows a part; an empty one unbinds."""
        if track:
            if strip_of(self._labels, track) is None:
                shown = ", ".join(label for label in self._labels if label) or "nothing"
                raise Refusal("not_found", f"no track {track[:40]!r} on the display; it shows {shown}")
            self._by_hand[stem] = track
        else:
            self._by_hand.pop(stem, None)
        self._rebind()

    async def import_stems(self, stems: StemImport) -> int:
        """Always refused: no file goes this way."""
        raise Refusal("bad_args", f"Mackie Control carries no files: import job {stems.job} by another link")

    async def selected_clip(self) -> SelectedClip:
        """Always refused: a Mackie Control sees faders, no clips."""
        raise Refusal("bad_args", "Mackie Control sees no clips: use the link made for this DAW")

    # From the host.

    def receive(self, packets: list[Packet]) -> None:
        """Take what has come in. Called on the loop."""
        self._heard_at = self._hub.clock()
        for packet, _ in packets:
            status = packet[0] if packet else 0
            if status == 0xF0:
                self._sysex(packet)
            elif len(packet) == 3 and status & 0xF0 == 0xE0 and status & 0x0F <= mcu.MASTER_STRIP:
                self._positions[status & 0x0F] = mcu.position(packet[1], packet[2])
                self._fresh.add(("gain", status & 0x0F))
            elif len(packet) == 3 and status in (0x90, 0x80):
                self._light(packet[1], status == 0x90 and packet[2] == mcu.LIT)
        if self._fresh and self._gathering is None and self._settling is None:
            self._gathering = asyncio.get_running_loop().call_later(GATHER_S, self._gathered)

    def _sysex(self, packet: Sequence[int]) -> None:
        if (reply := mcu.answer(packet)) is not None:
            self._outbox.send(reply)
        written = mcu.display_text(packet)
        if written is not None and self._display.write(*written):
            for timer in (self._settling, self._gathering):
                if timer is not None:
                    timer.cancel()
            self._gathering = None
            self._settling = asyncio.get_running_loop().call_later(SETTLE_S, self._settled)

    def _light(self, note: int, lit: bool) -> None:
        for kind, first in (("solo", mcu.SOLO_NOTE), ("mute", mcu.MUTE_NOTE)):
            if first <= note < first + mcu.STRIPS:
                self._lights[note] = lit
                self._fresh.add((kind, note - first))

    def _settled(self) -> None:
        """The display is still: the names on it count."""
        self._settling = None
        self._labels = self._display.labels()
        self._page_turned.set()
        if self._looking is not None:
            return
        lost = self._rebind()
        missing = set(self._hub.session.stems) - set(self._bound)
        if any(self._labels) and missing and (lost or not self._looked):
            self._looking = asyncio.create_task(self._look_for_stems())

    def _gathered(self) -> None:
        """Carry out what the host has moved."""
        self._gathering = None
        if self._looking is not None:
            return
        stems = {strip: stem for stem, strip in self._bound.items()}
        fresh, self._fresh = self._fresh, set()
        for kind, strip in sorted(fresh):
            if kind == "gain" and strip == mcu.MASTER_STRIP:
                self._master_moved()
            elif strip in stems:
                self._moved(stems[strip], kind, strip)

    def _moved(self, stem: str, kind: str, strip: int) -> None:
        if kind == "gain":
            place = self._positions[strip]
            if place is not None and self._is_news(stem, strip, place):
                self._ask(c.SetFader(stem, place, self._law.name, 1024))
            return
        lit = self._lights.get((mcu.MUTE_NOTE if kind == "mute" else mcu.SOLO_NOTE) + strip)
        values = self._hub.session.desk.strips[stem]
        now = values.muted if kind == "mute" else values.soloed
        if lit is not None and lit != now:
            self._ask(c.SetMute(stem, lit) if kind == "mute" else c.SetSolo(stem, lit))

    def _master_moved(self) -> None:
        place = self._positions[mcu.MASTER_STRIP]
        self._master_lives = self._master_lives or bool(place)
        if place is not None and self._master_lives and self._is_news(MASTER, mcu.MASTER_STRIP, place):
            self._ask(c.SetMasterGain(self._law.snapped_db(place, 1024)))

    def _is_news(self, stem: str, strip: int, place: float) -> bool:
        """Whether a position is more than an echo, which may be one of an earlier position than the last."""
        loop = asyncio.get_running_loop()
        told = [one for one in self._told.get(strip, ()) if loop.time() - one[1] < ECHO_S]
        self._told[strip] = told
        if not any(abs(place - one) <= _SAME for one, _ in told):
            return self._feedback.heard(f"gain {stem}", place)
        if (timer := self._checks.pop(strip, None)) is not None:
            timer.cancel()
        if abs(place - told[-1][0]) > _SAME:
            # Should a hand have put it there, it is still there when echoes are over.
            self._checks[strip] = loop.call_later(ECHO_S, self._check, strip)
        return False

    def _check(self, strip: int) -> None:
        self._checks.pop(strip, None)
        self._fresh.add(("gain", strip))
        self._gathered()

    def _ask(self, command: c.Command) -> None:
        self._hub.send(command, self._origin, self._answered)

    def _answered(self, event: e.Event) -> None:
        if isinstance(event, e.Problem):
            log.warning("%s: %s", self.name, event.text)

    # Tracks and stems.

    def _rebind(self) -> bool:
        """Bind stems to what the display shows now; whether one was lost. The host's values win."""
        before, self._bound = self._bound, bound(self._labels, self._by_hand)
        for stem in before.keys() - self._bound.keys():
            self._publish(stem, "")
        for stem, strip in self._bound.items():
            if before.get(stem) != strip:
                self._told.pop(strip, None)
                for key in ("gain", "mute", "solo"):
                    self._fresh.add((key, strip))
                self._let_go(strip)
            if stem not in before:
                self._publish(stem, self._labels[strip])
        self._gathered()
        return bool(before.keys() - self._bound.keys())

    def _publish(self, stem: str, label: str) -> None:
        log.info("%s: %s is %s", self.name, stem, repr(label) if label else "on no track any more")
        self._hub.publish(e.TrackBound(self.name, stem, label), self._origin)

    async def _look_for_stems(self) -> None:
        """Page through the host's tracks, and stay where most stems are."""
        turns = 0
        while turns < MOST_BANKS and await self._turn(mcu.BANK_LEFT):
            turns += 1
        pages, here = [self._labels], 0
        while len(pages) < MOST_BANKS and await self._turn(mcu.BANK_RIGHT):
            pages.append(self._labels)
            here += 1
        best = max(range(len(pages)), key=lambda page: (len(bound(pages[page], self._by_hand)), -page))
        while here > best and await self._turn(mcu.BANK_LEFT):
            here -= 1
        await self._shift()
        self._looked = True
        self._looking = None
        self._rebind()

    async def _shift(self) -> None:
        """Move on track by track, as long as that shows more stems than before."""
        best, steps, since = len(bound(self._labels, self._by_hand)), 0, 0
        while steps < mcu.STRIPS - 1 and await self._turn(mcu.CHANNEL_RIGHT):
            steps, since = steps + 1, since + 1
            found = len(bound(self._labels, self._by_hand))
            if found > best:
                best, since = found, 0
            elif found < best:
                break
        for _ in range(since):
            await self._turn(mcu.CHANNEL_LEFT)

    async def _turn(self, button: int) -> bool:
        """Press a bank button; whether other tracks are shown."""
        before = self._labels
        self._page_turned.clear()
        for message in mcu.press(button):
            self._outbox.send(message)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._page_turned.wait(), PAGE_S)
        return self._labels != before

    # To the host.

    def _offer(self, event: e.Event, origin: str) -> None:
        own = origin == self._origin
        match event:
            case e.GainChanged(stem) | e.GainMoved(stem):
                self._show_gain(stem, self._bound.get(stem), own)
            case e.MasterGainChanged() | e.MasterGainMoved():
                self._show_gain(MASTER, mcu.MASTER_STRIP if self._master_lives else None, own)
            case e.MuteChanged(stem, on) if not own and stem in self._bound:
                self._feedback.offer(f"mute {stem}", float(on))
            case e.SoloChanged(stem, on) if not own and stem in self._bound:
                self._feedback.offer(f"solo {stem}", float(on))
            case e.StemsChanged():
                self._rebind()

    def _show_gain(self, stem: str, strip: int | None, own: bool) -> None:
        if strip is None:
            return
        place = self._law.position(self._hub.session.gain_db(stem, self._hub.clock()))
        there = self._positions[strip]
        # Its own fader is finer than what can be said here: never pull it to the nearest step.
        if not (own and there is not None and abs(place - there) <= _SAME):
            self._feedback.offer(f"gain {stem}", place)

    def _tell(self, key: str, value: float) -> None:
        kind, stem = key.split(" ")
        strip = mcu.MASTER_STRIP if stem == MASTER else self._bound.get(stem)
        if strip is None:
            return
        if kind == "gain":
            self._told.setdefault(strip, []).append((value, asyncio.get_running_loop().time()))
            if strip not in self._hands:
                self._outbox.send(mcu.touch(strip, True), ("touch", strip))
            else:
                self._hands[strip].cancel()
            self._hands[strip] = asyncio.get_running_loop().call_later(HAND_S, self._let_go, strip)
            self._outbox.send(mcu.fader(strip, value), ("fader", strip))
            return
        note = (mcu.MUTE_NOTE if kind == "mute" else mcu.SOLO_NOTE) + strip
        if self._lights.get(note, False) != bool(value):
            self._lights[note] = bool(value)
            for message in mcu.press(note):
                self._outbox.send(message)

    def _let_go(self, strip: int) -> None:
        if (timer := self._hands.pop(strip, None)) is not None:
            timer.cancel()
            self._outbox.send(mcu.touch(strip, False), ("touch", strip))

    # Coming and going.

    async def _greet(self) -> None:
        """Say that we are there until the host says anything."""
        while True:
            if self._ports.open and self._heard_at is None:
                self._outbox.send(mcu.hello())
            await asyncio.sleep(HELLO_S)

    def _changed(self, opened: bool) -> None:
        """The ports were opened, or are gone."""
        if not opened:
            log.warning("%s: the host's MIDI port is gone", self.name)
        self._forget()

    def _forget(self) -> None:
        """Start anew, as for a host that has been restarted."""
        for timer in (self._gathering, self._settling, *self._hands.values(), *self._checks.values()):
            if timer is not None:
                timer.cancel()
        self._gathering = self._settling = self._heard_at = None
        for kept in (self._hands, self._checks, self._told, self._lights):
            kept.clear()
        self._fresh.clear()
        self._feedback.forget()
        self._outbox.clear()
        self._display = mcu.Display()
        self._labels = ("",) * mcu.STRIPS
        self._positions = [None] * (mcu.STRIPS + 1)
        self._master_lives = self._looked = False
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        for stem in tuple(self._bound):
            self._publish(stem, "")
        self._bound = {}
