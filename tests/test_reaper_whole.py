"""REAPER's side and the bridge's together: the listening script and the link, scripts and a real `send`."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from bridges import running_hub
from reaper_bridge import connected, run
from reaper_runs import RATE, SCRIPTS, Place, one_item, quoted, sound
from stembridge.bridge import commands as c
from stembridge.bridge import events as e
from stembridge.bridge.daws.link import ImportedStem, StemImport
from stembridge.bridge.daws.reaper_mailbox import default_folder
from stembridge.bridge.hub import Refusal, Request


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_script_answers_through_the_folder(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with connected([], mode="import", folder=tmp_path / "box") as both:
            seen: list[dict[str, Any]] = []

            async def script(answer: dict[str, Any]) -> None:
                waiting = tmp_path / "box" / "request.json"
                await both.until(waiting.exists, "a request")
                request = json.loads(waiting.rename(waiting.with_name("taken.json")).read_text())
                seen.append(request)
                part = waiting.with_name("answer.part")
                part.write_text(json.dumps({"id": request["id"], **answer}))
                part.rename(waiting.with_name("answer.json"))

            stem = ImportedStem("vocals", tmp_path / "v.wav", "vocals - Song")
            wanted = StemImport(7, tmp_path / "Song.stems.json", [stem], 100, -1.0)
            count, _ = await asyncio.gather(both.link.import_stems(wanted), script({"ok": True, "stems": 1}))
            assert count == 1
            assert seen[0]["stems"] == [
                {"stem": "vocals", "path": str(tmp_path / "v.wav"), "track": "vocals - Song"}
            ]
            clip, _ = await asyncio.gather(
                both.link.selected_clip(),
                script({"ok": True, "path": "/a.wav", "start_s": 1.5, "end_s": 2, "name": "a"}),
            )
            assert (clip.path, clip.start_s, clip.end_s, clip.name) == ("/a.wav", 1.5, 2, "a")
            with pytest.raises(Refusal, match="no item is selected") as refusal:
                await asyncio.gather(
                    both.link.selected_clip(),
                    script({"ok": False, "code": "not_found", "text": "no item is selected in REAPER"}),
                )
            assert refusal.value.code == "not_found"
            assert list((tmp_path / "box").iterdir()) == []

    run(scenario)


def test_without_a_script_the_refusal_says_which_to_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with connected([], mode="import", folder=tmp_path / "box") as both:
            both.link.mailbox._taken_s = 0.2
            with pytest.raises(Refusal, match="Stembridge - listen for imports") as refusal:
                await both.link.selected_clip()
            assert refusal.value.code == "daw_offline"
            assert list((tmp_path / "box").iterdir()) == []

    run(scenario)


LISTEN = """
stub.ext['Stembridge/folder'] = {folder}
script("listen for imports", function() return {stop} end)
"""


def listening(place: Place, folder: Path, stop: str, setup: str) -> asyncio.Future[Any]:
    """REAPER with the listening script running until something holds, in a thread of its own."""
    scenario = setup + LISTEN.format(folder=quoted(folder), stop=stop)
    return asyncio.get_running_loop().run_in_executor(None, lambda: place.run(scenario))


def test_the_listening_script_places_a_jobs_stems_at_their_items(place: Place) -> None:
    song, box = sound(place.folder / "Song.wav", 10.0), place.folder / "box"
    paths = place.rendered(song, start_s=2.0, seconds=6.0, gain_db=-1.0)
    manifest = paths[0].parent / "Song.stems.json"
    stems = [ImportedStem(n, p, f"{n} - Song") for n, p in zip(("vocals", "drums"), paths, strict=True)]

    async def scenario() -> None:
        async with connected([], mode="import", folder=box) as both:
            both.link.mailbox._taken_s = 60.0
            script = listening(place, box, "stub.undo_steps() > 0", one_item(song))
            assert await both.link.import_stems(StemImport(3, manifest, stems, 2 * RATE, -1.0)) == 2
            after = await script
            assert after.names == ["Band", "drums - Band", "vocals - Band"]
            take = after.item("vocals - Band")["take"]
            assert take["values"]["D_STARTOFFS"] == pytest.approx(1.0)
            assert take["values"]["D_VOL"] == pytest.approx(10 ** (1 / 20))
            assert after.item("Band")["values"]["B_MUTE"] == 1

    run(scenario)


def test_the_listening_script_tells_what_is_selected(place: Place) -> None:
    song, box = sound(place.folder / "Söng 雪.wav", 10.0), place.folder / "box"

    async def scenario() -> None:
        async with connected([], mode="import", folder=box) as both:
            both.link.mailbox._taken_s = 60.0
            stop = "not reaper.file_exists(scratch) and stub.done"
            answered = f"local scratch = {quoted(box / 'stop')}\n"
            (box).mkdir()
            (box / "stop").touch()
            setup = answered + one_item(song) + "stub.done = true\n"
            script = listening(place, box, stop, setup)
            clip = await both.link.selected_clip()
            assert (clip.path, clip.start_s, clip.end_s, clip.name) == (str(song), 3.0, 7.0, "Song")
            (box / "stop").unlink()
            await script

    run(scenario)


def test_the_listening_script_says_why_it_cannot(place: Place) -> None:
    box = place.folder / "box"

    async def scenario() -> None:
        async with connected([], mode="import", folder=box) as both:
            both.link.mailbox._taken_s = 60.0
            box.mkdir()
            (box / "stop").touch()
            setup = f"local scratch = {quoted(box / 'stop')}\nlocal t = stub.track{{ name = 'A' }}\n"
            script = listening(place, box, "not reaper.file_exists(scratch)", setup)
            with pytest.raises(Refusal, match="no item is selected in REAPER"):
                await both.link.selected_clip()
            gone = ImportedStem("vocals", place.folder / "gone.wav", "vocals - Song")
            with pytest.raises(Refusal, match=r"REAPER cannot open .*gone\.wav"):
                await both.link.import_stems(StemImport(3, place.folder / "none", [gone]))
            with pytest.raises(Refusal, match="no stems"):
                await both.link.import_stems(StemImport(3, place.folder / "none", []))
            (box / "stop").unlink()
            await script

    run(scenario)


def test_both_look_in_the_same_folder(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for data in (place.folder / "data", None):
        if data is None:
            monkeypatch.delenv("XDG_DATA_HOME", raising=False)
        else:
            monkeypatch.setenv("XDG_DATA_HOME", str(data))
        after = place.run(
            f"package.path = {quoted(SCRIPTS / '?.lua')} .. ';' .. package.path\n"
            "stub.boxes[1] = require('stembridge.settings').mailbox_folder()"
        )
        assert after.boxes == str(default_folder())


class Worker:
    """Answers renders as the bridge's queue does: accepted at once, then progress, stems and the end."""

    def __init__(self, place: Place, song: Path) -> None:
        self.paths = place.rendered(song, start_s=2.0, seconds=6.0)
        self.asked: list[c.Render] = []
        self.cancelled: list[int | None] = []
        self.holds = False

    def install(self, hub: Any) -> None:
        hub.handle([c.Render], lambda request: self.render(hub, request))
        hub.handle([c.CancelJob], lambda request: self.cancel(hub, request))
        hub.handle([c.AskJob], lambda request: request.reply(e.JobState(5, "running", 0.5, "", "", "")))

    def render(self, hub: Any, request: Request) -> Any:
        assert isinstance(request.command, c.Render)
        self.asked.append(request.command)
        tag = request.command.tag
        request.reply(e.JobAccepted(tag, 5, 0))
        return self.work(hub, tag)

    async def work(self, hub: Any, tag: str) -> None:
        asyncio.get_running_loop().call_later(0.1, hub.publish, e.JobProgress(5, tag, "separate", 0.5, 1.0))
        if not self.holds:
            asyncio.get_running_loop().call_later(0.3, self.end, hub, tag)

    def end(self, hub: Any, tag: str) -> None:
        for number, path in enumerate(self.paths, 1):
            stem = path.stem.rpartition(" - ")[2]
            hub.publish(e.JobStem(5, tag, number, stem, str(path), RATE, 1, -20.0))
        hub.publish(e.JobDone(5, tag, len(self.paths), 0.3))

    def cancel(self, hub: Any, request: Request) -> None:
        assert isinstance(request.command, c.CancelJob)
        self.cancelled.append(request.command.job)
        hub.publish(e.JobCancelled(5, self.asked[-1].tag))


def stembridge(place: Place) -> Path:
    """This checkout's own program."""
    program = place.folder / "stembridge"
    code = "import sys; from stembridge.bridge.cli import main; sys.exit(main())"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    program.chmod(0o755)
    return program


def real_program(place: Place, port: int) -> str:
    """Settings that run the real `stembridge send`."""
    program = quoted(stembridge(place))
    return f"stub.ext['Stembridge/program'] = {program}\nstub.ext['Stembridge/port'] = '{port}'\n"


def test_a_render_through_a_real_send_and_real_osc(place: Place) -> None:
    song = sound(place.folder / "it's a söng.wav", 10.0)
    worker = Worker(place, song)
    with running_hub() as bridge:
        bridge.call(lambda: worker.install(bridge.hub))
        after = place.run(real_program(place, bridge.ports.udp) + one_item(song) + "render(nil, 90)")
    [asked] = worker.asked
    assert (asked.path, asked.preset) == (str(song), None)
    assert asked.options == (("start", "16000s"), ("end", "64000s"))
    assert after.names == ["Band", "drums - Band", "vocals - Band"], after.boxes
    assert any("separate: 50 %" in line for line in after.data["drawn"])


def test_a_cancel_through_a_real_send(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    worker = Worker(place, song)
    worker.holds = True
    with running_hub() as bridge:
        bridge.call(lambda: worker.install(bridge.hub))
        after = place.run(
            real_program(place, bridge.ports.udp)
            + one_item(song)
            + """render(function()
                for _, line in ipairs(gfx.drawn) do
                    if line:find("50 %%") then stub.window = "closed" end
                end
            end, 90)"""
        )
    assert worker.cancelled == [5]
    assert after.names == ["Band"]


def test_no_bridge_at_all_is_said(place: Place) -> None:
    song = sound(place.folder / "Song.wav", 10.0)
    after = place.run(real_program(place, 1) + one_item(song) + "render(nil, 90)")
    assert "no bridge answers at" in after.boxes
    assert after.names == ["Band"]


@pytest.fixture
def served(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A real bridge with a link to REAPER; its port."""
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(place.folder / name))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    options = f"reaper:mode=import,listen_port=0,send_port=9,folder={place.folder / 'box'}"
    flags = ["--port", "0", "--root", str(place.folder), "--out", str(place.folder / "out")]
    flags += ["--state", str(place.folder / "state"), "--daw", options]
    bridge = subprocess.Popen([str(stembridge(place)), "serve", *flags], stdout=subprocess.PIPE, text=True)
    try:
        assert bridge.stdout is not None
        found = re.search(r"UDP (\d+)", bridge.stdout.readline())
        assert found is not None
        yield int(found[1])
    finally:
        bridge.terminate()
        bridge.communicate(timeout=60)


def test_a_real_bridge_renders_and_places(place: Place, served: int) -> None:
    song = place.folder / "it's a söng.wav"
    rng = np.random.default_rng(1)
    soundfile.write(song, rng.uniform(-0.2, 0.2, 10 * RATE), RATE, subtype="PCM_16")
    imports = [str(stembridge(place)), "send", "/stems/import", "1", "reaper", "--wait", "/import/done"]
    send = shlex.join([*imports, "--port", str(served), "--timeout", "60"])
    after = place.run(
        real_program(place, served)
        + "stub.ext['Stembridge/model'] = 'classic'\n"
        + one_item(song)
        + "render(nil, 110)\nassert(stub.undo_steps() == 1, stub.boxes[1])\n"
        + f"os.execute({quoted(send)} .. ' >/dev/null &')\n"
        + LISTEN.format(folder=quoted(place.folder / "box"), stop="stub.undo_steps() > 1")
    )
    assert after.names == ["Band", *(f"{stem} - Band" for stem in ("drums", "bass", "other", "vocals"))]
    assert [len(track["items"]) for track in after.data["tracks"]] == [1] * 5
    for track in after.data["tracks"][1:]:
        [item] = track["items"]
        file = item["take"]["file"]
        info = soundfile.info(file)
        # Seconds 3 to 7 of the song with a second around them, from the bridge's own manifest.
        assert (info.samplerate, info.frames) == (RATE, 6 * RATE)
        assert item["take"]["values"]["D_STARTOFFS"] == pytest.approx(1.0)
