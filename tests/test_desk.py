"""The terminal desk against a real hub on real sockets, driven by keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from bridges import running_hub
from peers import missing
from stembridge.bridge import events as e
from stembridge.bridge.client import Client
from stembridge.bridge.desk import Desk
from stembridge.bridge.desk_view import DeskView
from stembridge.bridge.messages import Message
from stembridge.model.units import SILENCE_DB

try:
    from stembridge.bridge.desk_screen import DeskScreen, Strip
except ImportError:
    missing("textual is not installed (pip install stembridge[desk])")
from textual.pilot import Pilot
from textual.widgets import Static


def test_view_is_what_the_messages_say() -> None:
    view = DeskView()
    for index, stem in enumerate(("drums", "vocals"), 1):
        view.take(Message("/stem/item", (index, stem, 0.0, 0.0, 0, 0)))
    view.take(Message("/stem/vocals/gain", (-6.0,)))
    view.take(Message("/stem/vocals/mute", (1,)))
    view.take(Message("/master/gain", (-1.5,)))
    view.take(Message("/job/accepted", ("take", 7, 0)))
    view.take(Message("/job/progress", (7, "take", "separate", 0.5, 12.0)))
    assert [stem for stem, _ in view] == ["drums", "vocals"]
    assert view.strip("vocals").gain_text.strip() == "-6.0 dB"
    assert view.strip("vocals").muted
    assert not view.strip("drums").muted
    assert view.master_gain_db == -1.5
    assert "50% separate, 12 s left" in view.jobs[7].line
    view.take(Message("/job/failed", (7, "take", "bad_file", "no audio")))
    assert view.jobs[7].line.endswith("failed: no audio")
    view.take(Message("/stem/vocals/gain", ("nonsense",)))
    view.take(Message("/something/new", (1, 2, 3)))


def test_view_keeps_the_jobs_that_go_on() -> None:
    view = DeskView()
    for job in range(30):
        view.take(Message("/job/accepted", (f"t{job}", job, 0)))
        if job != 3:
            view.take(Message("/job/done", (job, "", 4, 1.0)))
    assert 3 in view.jobs
    assert 29 in view.jobs
    assert len(view.jobs) <= 9


def test_keys_move_the_desk_and_the_desk_moves_the_screen() -> None:
    with running_hub() as bridge, Client("127.0.0.1", bridge.ports.udp) as client:
        strips = bridge.hub.session.desk.strips

        async def use() -> None:
            app = DeskScreen(client)
            async with app.run_test(size=(110, 30)) as pilot:
                await until(pilot, lambda: len(app.query(Strip)) == 5, "the strips never came")
                await pilot.press("down", "down", "down", "left", "left")
                await until(pilot, lambda: _gain(bridge, "vocals") == -1.0, "the key moved nothing")
                await pilot.press("m")
                await until(pilot, lambda: bridge.hub.session.desk.strips["vocals"].muted, "no mute")
                await pilot.press("up", "0", "pageup", "s")
                await until(pilot, lambda: _gain(bridge, "other") == 3.0, "page up moved nothing")
                await until(pilot, lambda: bridge.hub.session.desk.strips["other"].soloed, "no solo")
                await pilot.press("down", "down", "pagedown")
                await until(pilot, lambda: bridge.hub.session.desk.master_gain_db == -3.0, "no master")
                with Client("127.0.0.1", bridge.ports.udp) as other:
                    other.set("/stem/drums/gain", float("-inf"))
                await until(pilot, lambda: "-inf" in _text(app, 0), "another's move was not shown")
                await pilot.press("down", "right")  # the first strip again, out of silence
                await until(pilot, lambda: _gain(bridge, "drums") == pytest.approx(-60.0), "no way back")
                progress = e.JobProgress(1, "take", "separate", 0.25, 3.0)
                bridge.call(lambda: bridge.hub.publish(progress))
                shown = lambda: "25% separate" in str(app.query_one("#jobs", Static).render())  # noqa: E731
                await until(pilot, shown, "the job was not shown")
                await pilot.press("r")
                await until(pilot, lambda: bridge.hub.session.desk == Desk(), "no reset")

        asyncio.run(use())
        assert strips["vocals"].gain_db == 0.0  # the desk is never edited in place


def test_screen_says_when_no_bridge_answers_and_comes_back() -> None:
    with running_hub() as first:
        port = first.ports.udp
    with Client("127.0.0.1", port) as client:

        async def use() -> None:
            app = DeskScreen(client)
            async with app.run_test(size=(110, 30)) as pilot:
                shown = lambda: "no bridge answers" in str(app.query_one("#place", Static).render())  # noqa: E731
                await until(pilot, shown, "nothing was said")
                assert not app.online

        asyncio.run(use())


def _gain(bridge: object, stem: str) -> float:
    return bridge.hub.session.desk.strips[stem].gain_db  # type: ignore[attr-defined, no-any-return]


def _text(app: DeskScreen, index: int) -> str:
    return str(list(app.query(Strip))[index].render())


async def until(pilot: Pilot[None], holds: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + 30.0
    while not holds():
        assert time.monotonic() < ends, what
        await pilot.pause(0.02)


def test_silence_is_the_bottom() -> None:
    assert DeskView().strip("x").peak_db == SILENCE_DB
