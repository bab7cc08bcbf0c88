"""Runs our ReaScripts in a real Lua under a stub of REAPER's API, with real files and a program to start."""

from __future__ import annotations

import json
import subprocess
import sys
import wave
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers import require
from stembridge.model.manifest import FileEntry, Manifest, RenderEntry

TESTS = Path(__file__).parent
SCRIPTS = TESTS.parent / "bridge" / "daws" / "reaper_scripts"
RENDER = SCRIPTS / "Stembridge - render selected items.lua"
RATE = 8000

_PROGRAM = """#!{python}
import json, pathlib, sys, time
here = pathlib.Path(__file__).parent
words = sys.argv[1:]
with (here / "log.jsonl").open("a") as log:
    log.write(json.dumps(words) + "\\n")
if "/job/cancel" in words:
    (here / "cancel").touch()
    sys.exit(0)
replies = json.loads((here / "replies.json").read_text())
reply = replies.get(words[3][2:]) or replies["*"]
for line in reply["lines"]:
    if line == "wait":
        while not (here / "cancel").exists():
            time.sleep(0.01)
    else:
        print(json.dumps(line), flush=True)
if reply.get("once"):
    replies[words[3][2:]] = reply["once"]
    (here / "replies.json").write_text(json.dumps(replies))
print(reply.get("error", ""), file=sys.stderr)
sys.exit(reply.get("code", 0))
"""


def lua() -> str:
    """The interpreter: REAPER embeds 5.4."""
    return require("lua5.4")


def quoted(text: object) -> str:
    """A text as Lua writes it."""
    return '"' + "".join(f"\\{byte:03d}" if not 32 <= byte < 127 or byte in b'"\\' else chr(byte)
                         for byte in str(text).encode()) + '"'  # fmt: skip


def sound(path: Path, seconds: float, rate: int = RATE) -> Path:
    """A WAV file of silence."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * round(seconds * rate)))
    return path


@dataclass
class Run:
    """What was there when a scenario was over."""

    data: dict[str, Any]
    sent: list[list[str]]

    @property
    def tracks(self) -> dict[str, Any]:
        """Tracks by name."""
        return {track["name"]: track for track in self.data["tracks"]}

    @property
    def names(self) -> list[str]:
        """Their order."""
        return [track["name"] for track in self.data["tracks"]]

    @property
    def boxes(self) -> str:
        """All that was said in boxes."""
        return "\n".join(self.data["boxes"])

    def item(self, track: str, number: int = 0) -> dict[str, Any]:
        """An item of a track."""
        found: dict[str, Any] = self.tracks[track]["items"][number]
        return found


@dataclass
class Place:
    """A folder with a program that answers from what was recorded, and songs with stems."""

    folder: Path
    replies: dict[str, Any] = field(default_factory=dict)
    job: int = 6

    @property
    def program(self) -> Path:
        """The stand-in for `stembridge`."""
        path = self.folder / "bin dir" / "stem'bridge"
        if not path.exists():
            path.parent.mkdir(parents=True)
            path.write_text(_PROGRAM.format(python=sys.executable))
            path.chmod(0o755)
        return path

    def rendered(
        self,
        song: Path,
        start_s: float = 0.0,
        seconds: float = 10.0,
        stems: Sequence[str] = ("vocals", "drums"),
        gain_db: float = 0.0,
    ) -> list[Path]:
        """Stems of a song with their manifest, and the answers that name them."""
        out = self.folder / "separated" / song.stem
        paths = [sound(out / f"{song.stem} - {stem}.wav", seconds) for stem in stems]
        start = round(start_s * RATE)
        files = tuple(
            FileEntry(path.name, "r1", "stem", stem, "f", 1, 1, "h", RATE, 1, round(seconds * RATE), "wav",
                      "16", start, gain_db, -20.0, None)
            for stem, path in zip(stems, paths, strict=True)
        )  # fmt: skip
        source = {"path": str(song), "hash": "h", "sample_rate": RATE, "channels": 1, "frames": 80_000}
        manifest = Manifest(source, (RenderEntry("r1", "h", {}, {}, None),), files)
        (out / f"{song.stem}.stems.json").write_text(manifest.to_json())
        self.job += 1
        self.answer(
            song,
            *[
                said("/job/stem", self.job, "t", n, stem, str(path), RATE, 1, -20.0)
                for n, (stem, path) in enumerate(zip(stems, paths, strict=True), 1)
            ],
            said("/job/done", self.job, "t", len(stems), 0.1),
        )
        return paths

    def answer(self, song: Path, *lines: Any, code: int = 0, error: str = "") -> None:
        """What the program says to a render of a song."""
        accepted = said("/job/accepted", "t", self.job, 0)
        self.replies[str(song)] = {"lines": [accepted, *lines], "code": code, "error": error}

    def run(self, scenario: str, *, interpreter: str | None = None) -> Run:
        """Run Lua with `stub` and `render()` at hand; what `stub.print` printed last is the outcome."""
        replies = self.program.parent / "replies.json"
        replies.write_text(json.dumps(self.replies))
        text = (
            f"package.path = {quoted(TESTS / '?.lua')} .. ';' .. package.path\n"
            'local stub = require("reaper_stub")\n'
            f"stub.resource = {quoted(self.folder / 'REAPER ü')}\n"
            f"stub.ext['Stembridge/program'] = {quoted(self.program)}\n"
            f"local scripts = {quoted(SCRIPTS)} .. '/Stembridge - '\n"
            "local function script(name, ...) stub.run(scripts .. name .. '.lua', ...) end\n"
            "local function render(...) script('render selected items', ...) end\n"
            f"{scenario}\nstub.print(stub.dump())\n"
        )
        file = self.folder / "scenario.lua"
        file.write_text(text)
        done = subprocess.run([interpreter or lua(), str(file)], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr + done.stdout
        log = self.program.parent / "log.jsonl"
        sent = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return Run(json.loads(done.stdout.splitlines()[-1]), sent)


def said(address: str, *arguments: object) -> dict[str, Any]:
    """A line as `send --json` prints it."""
    return {"address": address, "arguments": list(arguments)}


def one_item(song: Path, item: str = "D_POSITION = 20, D_LENGTH = 4", take: str = "D_STARTOFFS = 3") -> str:
    """A project of one track with one selected item."""
    return f"""
    local track = stub.track{{ name = "Band" }}
    local item = stub.item(track, {{ file = {quoted(song)}, name = "Song.wav", {item}, take = {{ {take} }} }})
    """
