"""Stems onto the tracks of a real Ardour with windows, on a display that nobody sees, and out again."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree

import ardour as real
import numpy as np
import pytest
import soundfile
from peers import require
from stembridge.bridge.daws.ardour import ArdourLink
from stembridge.bridge.daws.ardour_script import find_slot, install
from stembridge.bridge.daws.link import ImportedStem, SelectedClip, StemImport
from stembridge.bridge.events import DawState
from stembridge.bridge.hub import Hub, Refusal
from stembridge.bridge.messages import Message
from stembridge.bridge.osc.packets import encode
from stembridge.bridge.session import Session

RATE = 44100
SECONDS = 2
PEAKS = {"Song": 0.5, "vocals": 0.3, "drums": 0.2}
MIXED = {
    "vocals - Song": (-6.0, 0.0, 1.0),
    "drums - Song": (0.0, 1.0, 0.5),
    "vocals - Song.1": (0.0, 1.0, 0.5),
}
PITCHES_HZ = {"Song": 220.0, "vocals": 440.0, "drums": 110.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ardour")


@pytest.fixture(scope="module")
def files(folder: Path) -> dict[str, Path]:
    """A song, and what would be its stems: sines, so that their peaks are known."""
    made = {}
    t = np.arange(RATE * SECONDS) / RATE
    for name, peak in PEAKS.items():
        made[name] = folder / f"{name}.wav"
        wave = peak * np.sin(2 * np.pi * PITCHES_HZ[name] * t)
        soundfile.write(made[name], np.stack([wave, wave], axis=1), RATE, "FLOAT")
    return made


def manifest(folder: Path, song: Path) -> Path:
    """What lies beside stems, as far as an import reads it."""
    path = folder / "Song.stems.json"
    source = {"path": str(song), "sample_rate": RATE, "frames": RATE * SECONDS}
    path.write_text(json.dumps({"schema": 1, "source": source}))
    return path


def test_stems_land_on_tracks_and_leave_through_the_faders(
    folder: Path, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One Ardour for everything: its start is what takes the time."""
    require("Xvfb")
    require("ardour")
    export = require("ardour7-export")
    home = real.Home(folder / "home", tracks=["click"])
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home.config.parent))
    [action] = install(folder / "exchange")
    assert action == home.config / "scripts" / "stembridge.lua"
    assert find_slot() is None
    home.make_session(action)
    assert find_slot() == home.slot

    async def test() -> None:
        hub = Hub(Session())
        hub.start()
        link = ArdourLink(hub, mode="import", port=home.port, folder=folder / "exchange")
        online = asyncio.Event()
        hub.listen(lambda event, _: online.set() if event == _online(event) else None)
        running = asyncio.create_task(link.run())
        try:
            await asyncio.wait_for(online.wait(), real.PATIENCE_S)
            await _test(link)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await hub.close()

    async def _test(link: ArdourLink) -> None:
        with pytest.raises(Refusal, match="no region is selected"):
            await link.selected_clip()

        # The song first, as a user's own file would lie there: Ardour keeps a copy of it under its name.
        song = files["Song"]
        stems = [ImportedStem("other", song, "Song")]
        assert await link.import_stems(StemImport(1, folder / "none.json", stems, 4410)) == 1
        assert link.tracks == ["click", "Song"]

        surface = _Surface(home.port)
        surface.send("/access_action", "Editor/select-all-objects")
        clip = await _selected(link)
        assert clip.name == "Song"
        assert (clip.start_s, clip.end_s) == (0.0, float(SECONDS))
        whole, rate = soundfile.read(clip.path, dtype="float32")
        assert rate == RATE
        assert Path(clip.path).name == "Song.wav"
        assert np.array_equal(whole, soundfile.read(song, dtype="float32")[0])

        # Stems of a part of it that starts half a second in, brought down by 3 dB to fit their format.
        stems = [
            ImportedStem("vocals", files["vocals"], "vocals - Song"),
            ImportedStem("drums", files["drums"], "drums - Song"),
        ]
        job = StemImport(2, manifest(folder, song), stems, start_frame=RATE // 2, gain_db=3.0)
        assert await link.import_stems(job) == 2
        assert link.tracks == ["click", "Song", "vocals - Song", "drums - Song"]

        # The file that the selection gave is the same song to Ardour; names are kept apart.
        stems = [ImportedStem("vocals", files["vocals"], "vocals - Song")]
        job = StemImport(3, manifest(folder, Path(clip.path)), stems)
        assert await link.import_stems(job) == 1
        assert link.tracks[-1].startswith("vocals - Song")
        assert len(set(link.tracks)) == 5

        session = home.session / f"{real.SESSION}.ardour"
        until = time.monotonic() + real.PATIENCE_S
        # A surface gets to know new strips in its own time, and what is sent to others before that is lost.
        while _mixed(session) != MIXED:
            assert time.monotonic() < until, f"the session is saved as it was mixed: {_mixed(session)}"
            surface.send("/strip/gain", 3, -6.0)
            surface.send("/strip/mute", 4, 1.0)
            surface.send("/strip/mute", 5, 1.0)
            surface.send("/strip/pan_stereo_position", 3, 0.0)
            await asyncio.sleep(0.2)
            surface.send("/save_state")
            await asyncio.sleep(0.2)
        surface.close()

    with real.windowed(home):
        asyncio.run(test())
    out = folder / "out.wav"
    # It may crash after it has written the whole file, so the file counts and not its exit status.
    subprocess.run(
        [export, "-o", str(out), str(home.session), real.SESSION],
        env=home.environment,
        timeout=120,
        check=False,
    )
    heard, rate = soundfile.read(out)
    assert rate == RATE
    # What is heard is the vocals, on the right, from half a second into the song to the song's end; the song
    # itself is muted. The region's gain is +3 dB, the fader's -6, and a region fades over 64 frames.
    stem = soundfile.read(files["vocals"])[0][:, 0] * 10 ** ((3.0 - 6.0) / 20)
    begins, frames = RATE // 2, RATE * SECONDS - RATE // 2
    assert np.abs(heard[: begins - 1]).max() < 1e-6
    assert np.abs(heard[begins + frames + 1 :]).max(initial=0.0) < 1e-6
    middle = slice(100, frames - 100)
    right = heard[begins : begins + frames, 1]
    assert np.abs(right[middle] - stem[:frames][middle]).max() < 1e-3
    assert np.abs(heard[:, 0]).max() < 1e-3
    assert 20 * np.log10(np.abs(right).max() / 0.3) == pytest.approx(-3.0, abs=0.01)


def _mixed(session: Path) -> dict[str, tuple[float, float, float]]:
    """Gain in dB, mute and pan (0 left, 1 right) of every stem's track, as the session was last saved."""
    try:
        routes = ElementTree.parse(session).getroot().find("Routes")
    except ElementTree.ParseError:  # it is being written
        return {}
    assert routes is not None
    found = {}
    for route in routes:
        at = {one.get("name"): float(one.get("value", "nan")) for one in route.iter("Controllable")}
        if " - Song" in route.get("name", ""):
            gain_db = round(20 * float(np.log10(at["gaincontrol"])), 2)
            found[route.get("name", "")] = (gain_db, at["mute"], at["pan-azimuth"])
    return found


class _Surface:
    """A control surface beside the link."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(real.PATIENCE_S)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._ardour = ("127.0.0.1", port)
        self.send("/set_surface", 0, 159, 16387, 2, 0, 0, self._socket.getsockname()[1])

    def send(self, address: str, *arguments: int | float | str) -> None:
        self._socket.sendto(encode(Message(address, arguments)), self._ardour)

    def close(self) -> None:
        self._socket.close()


def _online(event: object) -> object:
    return event if isinstance(event, DawState) and event.state == "online" else None


async def _selected(link: ArdourLink) -> SelectedClip:
    """What is selected, once Ardour has come round to selecting it."""
    until = time.monotonic() + real.PATIENCE_S
    while True:
        try:
            return await link.selected_clip()
        except Refusal:
            if time.monotonic() > until:
                raise
