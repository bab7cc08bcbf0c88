"""The terminal desk: faders, switches and jobs of a running bridge, over nothing but its public OSC."""

from __future__ import annotations

import time
from typing import ClassVar

from stembridge.model.units import MAX_GAIN_DB, SILENCE_DB
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.events import MouseDown, MouseScrollDown, MouseScrollUp
from textual.message import Message as ScreenMessage
from textual.reactive import reactive
from textual.widgets import Footer, Static

from .client import BridgeOfflineError, Client
from .desk_view import DeskView, StripView

STEP_DB = 0.5
LEAP_DB = 3.0
_POLL_S = 1 / 30
_SIGN_OF_LIFE_S = 2.0
_OFFLINE_S = 6.0
_WIDTH = 40


class Strip(Static):
    """One fader with its switches."""

    chosen: reactive[bool] = reactive(False)

    class Moved(ScreenMessage):
        """A mouse has put the fader somewhere: a position from 0 to 1, or a number of steps."""

        def __init__(self, stem: str, position: float | None, steps: int = 0) -> None:
            super().__init__()
            self.stem, self.position, self.steps = stem, position, steps

    def __init__(self, stem: str) -> None:
        super().__init__(markup=False)
        self.stem = stem

    def show(self, view: StripView) -> None:
        """Draw it as it stands."""
        filled = round(view.fader * _WIDTH)
        bar = "█" * filled + "░" * (_WIDTH - filled)
        meter = ""
        if view.peak_db > SILENCE_DB:
            meter = "▌" * round(max(view.rms_db + 60.0, 0.0) / 4.0)
        mark = "▶" if self.chosen else " "
        switches = f"{'M' if view.muted else '·'} {'S' if view.soloed else '·'}"
        self.update(f"{mark} {self.stem:<14}{bar} {view.gain_text}  {switches}  {meter}")

    def on_mouse_down(self, event: MouseDown) -> None:
        """A click on the bar puts the fader there."""
        place = (event.x - 16) / _WIDTH
        self.post_message(self.Moved(self.stem, place if -0.02 <= place <= 1.02 else None))

    def on_mouse_scroll_up(self, _event: MouseScrollUp) -> None:
        """Half a decibel up."""
        self.post_message(self.Moved(self.stem, None, 1))

    def on_mouse_scroll_down(self, _event: MouseScrollDown) -> None:
        """Half a decibel down."""
        self.post_message(self.Moved(self.stem, None, -1))


class DeskScreen(App[None]):
    """A desk in a terminal."""

    TITLE = "Stembridge"
    CSS = "Strip { height: 1; } #place { height: 1; text-style: bold; } #jobs { margin-top: 1; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        ("up", "choose(-1)", "choose"),
        ("down", "choose(1)", "choose"),
        ("left", f"nudge({-STEP_DB})", f"-{STEP_DB} dB"),
        ("right", f"nudge({STEP_DB})", f"+{STEP_DB} dB"),
        ("pagedown", f"nudge({-LEAP_DB})", f"-{LEAP_DB:g} dB"),
        ("pageup", f"nudge({LEAP_DB})", f"+{LEAP_DB:g} dB"),
        ("0", "set_gain(0.0)", "0 dB"),
        ("m", "switch('mute')", "mute"),
        ("s", "switch('solo')", "solo"),
        ("r", "reset", "reset all"),
        ("x", "cancel", "cancel job"),
        ("q", "quit", "quit"),
    ]

    def __init__(self, client: Client) -> None:
        super().__init__()
        self.client = client
        self.view = DeskView()
        self.online = False
        self._chosen = 0
        self._heard = 0.0
        self._asked = 0.0

    def compose(self) -> ComposeResult:
        """What is on the screen: where, the strips, the jobs."""
        yield Static(id="place", markup=False)
        yield Static(id="strips", markup=False)
        yield Static(id="jobs", markup=False)
        yield Footer()

    async def on_mount(self) -> None:
        """Begin to listen."""
        self.set_interval(_POLL_S, self.poll)
        await self.poll()

    async def poll(self) -> None:
        """Take what has come, keep the subscription, draw."""
        now = time.monotonic()
        if now - self._asked >= _SIGN_OF_LIFE_S:
            self._asked = now
            self._send(*(("/ping",) if self.online else ("/subscribe", "/", 60)))
        changed = False
        try:
            while (message := self.client.receive()) is not None:
                self._heard, changed = now, True
                self.view.take(message)
                if message.address == "/subscribed":
                    self.online = True
                    self._send("/job/list")
                if message.address in ("/subscribed", "/stem/list/changed"):
                    self._send("/stem/list")
        except BridgeOfflineError:
            changed, self.online = True, False
        if self.online and now - self._heard > _OFFLINE_S:
            changed, self.online = True, False
        if changed or not self._heard:
            await self._draw()

    def action_choose(self, step: int) -> None:
        """Go to another strip."""
        self._chosen = (self._chosen + step) % max(len(self.view.stems) + 1, 1)
        self.call_later(self._draw)

    def action_nudge(self, step_db: float) -> None:
        """Move the chosen fader; from silence it comes back at -60 dB."""
        gain_db = max(self._gain_db(), -60.0 - step_db) + step_db
        self.action_set_gain(SILENCE_DB if gain_db < -60.0 else min(gain_db, MAX_GAIN_DB))

    def action_set_gain(self, gain_db: float) -> None:
        """Set the chosen fader; what became of it comes back, and is drawn then."""
        if (stem := self._stem()) is None:
            self.view.master_gain_db = gain_db
            self._send("/master/gain", float(gain_db))
        else:
            self.view.strip(stem).gain_db = gain_db
            self._send(f"/stem/{stem}/gain", float(gain_db))
        self.call_later(self._draw)

    def action_switch(self, switch: str) -> None:
        """Turn a switch of the chosen strip."""
        if (stem := self._stem()) is not None:
            self._send(f"/stem/{stem}/{switch}/toggle")
        elif switch == "mute":
            self._send("/master/mute", 0 if self.view.master_muted else 1)

    def action_reset(self) -> None:
        """Everything to unity."""
        self._send("/mix/reset")

    def action_cancel(self) -> None:
        """Stop the running job."""
        self._send("/job/cancel")

    def on_strip_moved(self, moved: Strip.Moved) -> None:
        """A mouse has moved a fader, or chosen a strip."""
        names = [*self.view.stems, "master"]
        self._chosen = names.index(moved.stem)
        if moved.steps:
            self.action_nudge(moved.steps * STEP_DB)
        elif moved.position is not None and moved.stem != "master":
            position = min(max(moved.position, 0.0), 1.0)
            self.view.strip(moved.stem).fader = position
            self._send(f"/stem/{moved.stem}/fader", position)

    def _stem(self) -> str | None:
        """The chosen stem; None for the master."""
        return self.view.stems[self._chosen] if self._chosen < len(self.view.stems) else None

    def _gain_db(self) -> float:
        stem = self._stem()
        return self.view.master_gain_db if stem is None else self.view.strip(stem).gain_db

    def _send(self, address: str, *arguments: int | float | str) -> None:
        try:
            self.client.send(address, *arguments)
        except BridgeOfflineError:
            self.online = False

    async def _draw(self) -> None:
        place = self.query_one("#place", Static)
        if not self.online:
            place.update(f"no bridge answers at {self.client.place}: start one with `stembridge serve`")
            return
        place.update(f"bridge at {self.client.place}   {self.view.complaint}")
        names = [*self.view.stems, "master"]
        strips = list(self.query(Strip))
        if [strip.stem for strip in strips] != names:
            await self.query(Strip).remove()
            strips = [Strip(name) for name in names]
            await self.mount_all(strips, after="#strips")
        master = StripView(
            self.view.master_gain_db,
            max(self.view.master_gain_db + 60.0, 0.0) / (60.0 + MAX_GAIN_DB),
            self.view.master_muted,
        )
        for index, strip in enumerate(strips):
            strip.chosen = index == self._chosen
            strip.show(master if strip.stem == "master" else self.view.strip(strip.stem))
        jobs = [self.view.jobs[job].line for job in sorted(self.view.jobs)]
        self.query_one("#jobs", Static).update("\n".join(["jobs", *jobs]) if jobs else "no jobs")
