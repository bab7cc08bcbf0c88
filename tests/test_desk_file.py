"""The desk on disk: what was set is there again, and a damaged file costs nothing but itself."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from stembridge.bridge import commands as c
from stembridge.bridge.desk import Desk
from stembridge.bridge.desk_file import DeskFile, load_session
from stembridge.bridge.hub import Hub
from stembridge.bridge.session import Session


def test_desk_and_scenes_come_back(tmp_path: Path) -> None:
    path = tmp_path / "state" / "desk.json"

    async def use() -> Session:
        hub = Hub(Session())
        hub.start()
        file = DeskFile(hub, path)
        file.start()
        hub.send(c.SetGain("vocals", -6.5), "test")
        hub.send(c.StoreScene("verse"), "test")
        hub.send(c.SetMute("drums", True), "test")
        await file.close()
        await file.close()
        hub.send(c.SetGain("vocals", -1.0), "test")  # nobody keeps this any more
        await hub.close()
        return hub.session

    session = asyncio.run(use())
    again = load_session(path, "ardour")
    assert again.desk.strips["vocals"].gain_db == -6.5
    assert again.desk.strips["drums"].muted
    assert again.scenes == session.scenes
    assert [one.name for one in path.parent.iterdir()] == ["desk.json"]


def test_it_is_written_while_faders_go_on_moving(tmp_path: Path) -> None:
    path = tmp_path / "desk.json"

    async def use() -> None:
        hub = Hub(Session())
        hub.start()
        file = DeskFile(hub, path)
        file.start()
        for step in range(600):
            hub.send(c.SetGain("vocals", -step / 100), "test")
            await asyncio.sleep(0.02)
            if path.exists():
                break
        assert path.exists()
        hub.forget(file._noted)
        await file.close()

    asyncio.run(use())
    assert load_session(path, "ardour").desk.strips["vocals"].gain_db < 0.0


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"schema": 1}', '{"schema": 99, "desk": {}, "scenes": {}}', "null"]
)
def test_damaged_file_is_kept_aside(tmp_path: Path, text: str) -> None:
    path = tmp_path / "desk.json"
    path.write_text(text)
    assert load_session(path, "ardour").desk == Desk()
    assert (tmp_path / "desk.damaged.json").read_text() == text


def test_desk_of_a_newer_version_with_more_strips_is_read(tmp_path: Path) -> None:
    path = tmp_path / "desk.json"
    data = Session().desk.to_data()
    data["strips"]["kazoo"] = data["strips"]["bass"]
    path.write_text(json.dumps({"schema": 1, "desk": data, "scenes": {}}))
    assert load_session(path, "live").desk == Desk()
