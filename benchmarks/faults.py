"""A bridge and its worker killed at random moments, and what is left of it.

    python benchmarks/faults.py [--kills 100] [--seed 1] [-o benchmarks/results/faults.md]

A real `stembridge serve` renders short songs that come in over OSC. At random moments the bridge or its
render worker is killed (`kill -9`); a bridge is started again at once. In the end every job that was accepted
must have a terminal state, every finished job its files, and there must be no half-written file and no
process left.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import soundfile
from processes import machine
from stembridge.bridge.client import BridgeError, BridgeOfflineError, Client
from stembridge.model.manifest import read_manifest

PATIENCE_S = 300.0
_ENDS = ("done", "failed", "cancelled")
_WISHES: tuple[tuple[str, ...], ...] = (
    (),
    ("", "mix", "1"),
    ("", "start", "0.5", "end", "1.5"),
    ("", "format", "flac", "bit_depth", "16"),
    ("karaoke",),
    ("", "two_stems", "vocals"),
    ("limited",),
)
_LIMITED = """\
schema = 1
[[chain.mix]]
file = "ZaMaximX2.vst3"
"""


@dataclass
class Faults:
    """What was done, and what is wrong with the outcome; all of the second part is to be zero or empty."""

    kills: dict[str, int] = field(default_factory=lambda: {"bridge": 0, "worker": 0})
    jobs: int = 0
    accepted: int = 0
    """Jobs whose acceptance was heard of before the next kill."""
    done: int = 0
    seconds: float = 0.0
    unended: list[str] = field(default_factory=list)
    """Jobs that were accepted and have no terminal state, or are not known any more."""
    given_up: int = 0
    """Jobs that failed because two workers were killed before they had got anywhere with them."""
    failed: list[str] = field(default_factory=list)
    """Jobs that failed when they were asked for again and nobody killed anything."""
    half: list[str] = field(default_factory=list)
    """Files that are not finished, or that a finished job should have and has not."""
    orphans: list[str] = field(default_factory=list)
    """Processes that outlived their bridge or worker."""


class Bridge:
    """A `stembridge serve` in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "music").mkdir(parents=True, exist_ok=True)
        self._environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config"), "OMP_NUM_THREADS": "1"}
        config = folder / "config/stembridge"
        (config / "presets").mkdir(parents=True, exist_ok=True)
        cache = json.dumps(str(folder / "cache"))
        (config / "config.toml").write_text(
            f'schema = 1\n[render]\nmodel = "classic"\n[cache]\nfolder = {cache}\n', encoding="utf-8"
        )
        places = (Path("/usr/lib/vst3"), Path.home() / ".vst3")
        self.plugins = any((place / "ZaMaximX2.vst3").exists() for place in places)
        if self.plugins:
            (config / "presets/limited.toml").write_text(_LIMITED, encoding="utf-8")
        self._log = (folder / "bridge.log").open("ab")
        self.start()

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        place = [f"--{name}={self.folder / name}" for name in ("out", "state")]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stembridge.bridge", "serve", "--port=0",
             f"--root={self.folder / 'music'}", *place],
            stdout=subprocess.PIPE, stderr=self._log, env=self._environment, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        port = None
        for line in self.process.stdout:
            if found := re.search(r"UDP (\d+)", line):
                port = int(found[1])
            if line == "ready\n":
                break
        if port is None:
            raise RuntimeError(f"the bridge did not start: see {self.folder / 'bridge.log'}")
        self.port = port
        self.client = Client(port=port)

    def family(self) -> list[psutil.Process]:
        """The processes below it: its worker, and the plug-in hosts below that."""
        try:
            return list(psutil.Process(self.process.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def worker(self) -> psutil.Process | None:
        """Its render worker, if it has one now."""
        for process in self.family():
            try:
                if any("render_worker" in word for word in process.cmdline()):
                    return process
            except psutil.Error:
                continue
        return None

    def kill(self) -> list[psutil.Process]:
        """Kill it; return those of its family that are still there after a while."""
        family = self.family()
        self.process.kill()
        self.process.wait()
        self.client.close()
        return outlived(family)

    def stop(self) -> list[psutil.Process]:
        """End it properly; return those of its family that are still there after a while."""
        family = self.family()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.client.close()
        self._log.close()
        return outlived(family)


def outlived(family: list[psutil.Process]) -> list[psutil.Process]:
    """Those that do not go within ten seconds."""
    _, alive = psutil.wait_procs(family, timeout=10)
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def write_songs(folder: Path, seed: int) -> list[Path]:
    """Songs of 2 to 30 seconds."""
    rng = np.random.default_rng(seed)
    songs = []
    for number, seconds in enumerate((2, 3, 5, 10, 20, 30)):
        path = folder / f"Song {number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.standard_normal((44100 * seconds, 2)), 44100, "PCM_16")
        songs.append(path)
    return songs


def run(folder: Path, kills: int, seed: int, longest_wait_s: float = 3.0) -> Faults:
    """Do it all; deterministic but for the machine's own timing."""
    random_ = random.Random(seed)
    faults, began = Faults(), time.monotonic()
    songs = write_songs(folder / "music", seed)
    bridge = Bridge(folder)
    wishes = _WISHES if bridge.plugins else _WISHES[:-1]
    wanted: dict[str, tuple[str, ...]] = {}
    accepted: dict[str, int] = {}
    for number in range(kills):
        for _ in range(random_.randrange(1, 4)):
            tag = f"job {len(wanted)}"
            wish = random_.choice(wishes)
            wanted[tag] = (tag, str(random_.choice(songs)), *wish)
            bridge.client.send("/render", *wanted[tag])
        victim = random_.choice(("bridge", "worker"))
        _listen(bridge, random_.uniform(0, longest_wait_s), accepted)
        if victim == "worker" and (worker := bridge.worker()) is not None:
            family = worker.children(recursive=True)
            worker.kill()
            faults.orphans += [f"kill {number}: {process}" for process in outlived(family)]
        else:
            victim = "bridge"
            faults.orphans += [f"kill {number}: {process}" for process in bridge.kill()]
            bridge.start()
        faults.kills[victim] += 1
    _settle(bridge, wanted, accepted, faults)
    faults.orphans += [f"at the end: {process}" for process in bridge.stop()]
    _look_at_files(folder, faults)
    faults.seconds = time.monotonic() - began
    return faults


def _listen(bridge: Bridge, seconds: float, accepted: dict[str, int]) -> None:
    """Wait, and note which jobs are accepted meanwhile."""
    for message in bridge.client.messages(seconds):
        if message.address == "/job/accepted":
            tag, job, _ = message.arguments
            accepted[str(tag)] = int(str(job))


def _settle(
    bridge: Bridge, wanted: dict[str, tuple[str, ...]], accepted: dict[str, int], faults: Faults
) -> None:
    """Wait for every job to end, by its tag.

    A request that was on its way when its bridge was killed may never have been taken in, or its answer was
    lost: it is sent again, which changes nothing for a job that is there.
    """
    faults.jobs, faults.accepted = len(wanted), len(accepted)
    for tag, job in accepted.items():
        state, _, text = _state(bridge, job)
        faults.given_up += state == "failed" and "SIGKILL" in text
        if state not in (*_ENDS, "queued", "running"):
            faults.unended.append(f"{tag} was accepted as job {job}, which is {state}")
    known = {tag: job for tag, job in _jobs(bridge, wanted).items() if job is not None}
    for tag, job in accepted.items():
        if known.get(tag) != job:
            faults.unended.append(f"{tag} was accepted as job {job} and is job {known.get(tag)} now")
    until = time.monotonic() + PATIENCE_S
    waiting = dict(known)
    faults.unended += [f"{tag} was never accepted" for tag in wanted if tag not in known]
    while waiting and time.monotonic() < until:
        for tag, job in list(waiting.items()):
            state, code, text = _state(bridge, job)
            if state not in _ENDS:
                break  # those after it wait as well
            del waiting[tag]
            faults.done += state == "done"
            if state != "done":
                faults.failed.append(f"{tag} is {state}: {code} {text}")
        time.sleep(0.2)
    faults.unended += [f"{tag} (job {job}) has not ended" for tag, job in waiting.items()]


def _jobs(bridge: Bridge, wanted: dict[str, tuple[str, ...]]) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for tag, arguments in wanted.items():
        found[tag] = None
        for _ in range(5):
            try:
                answers = bridge.client.set("/render", *arguments)
            except (BridgeOfflineError, BridgeError):
                continue
            ids = [a.arguments[1] for a in answers if a.address == "/job/accepted" and a.arguments[0] == tag]
            if ids and isinstance(ids[0], int):
                found[tag] = ids[0]
                break
    return found


def _state(bridge: Bridge, job: int) -> tuple[str, str, str]:
    try:
        for message in bridge.client.set("/job/status", job):
            if message.address == "/job/state":
                _, state, _, _, code, text = message.arguments
                return str(state), str(code), str(text)
    except BridgeOfflineError:
        return "offline", "", ""
    except BridgeError as error:
        return "unknown", error.code, str(error)
    return "silent", "", ""


def _look_at_files(folder: Path, faults: Faults) -> None:
    """Every file is finished and known to its manifest, as it is."""
    listed = set()
    for path in sorted((folder / "out").rglob("*.stems.json")):
        listed.add(path)
        manifest = read_manifest(path)
        assert manifest is not None
        for entry in manifest.files:
            file = path.parent / entry.file
            listed.add(file)
            if not entry.fingerprint:
                faults.half.append(f"{file}: its manifest calls it unfinished")
            elif not file.is_file() or file.stat().st_size != entry.bytes:
                faults.half.append(f"{file}: not as its manifest says")
            elif soundfile.info(file).frames != entry.frames:
                faults.half.append(f"{file}: too short")
    for path in (folder / "out").rglob("*"):
        if path.is_file() and path not in listed:
            faults.half.append(f"{path}: no manifest knows it")
    for pattern in ("cache/tmp/*.part", "state/workers/*", "state/*.part"):
        faults.half += [str(path) for path in folder.glob(pattern)]


def table(faults: Faults) -> str:
    """The table, and what it was measured on."""
    rows = [
        ("kills of the bridge", faults.kills["bridge"]),
        ("kills of the render worker", faults.kills["worker"]),
        ("jobs asked for", faults.jobs),
        ("of those accepted before the next kill", faults.accepted),
        ("jobs given up after two kills at their very start, and asked for again", faults.given_up),
        ("jobs done in the end", faults.done),
        ("jobs without a terminal state", len(faults.unended)),
        ("jobs failed otherwise", len(faults.failed)),
        ("files left half, or missing", len(faults.half)),
        ("processes orphaned", len(faults.orphans)),
    ]
    lines = ["| | |", "|---|---|", *(f"| {name} | {count} |" for name, count in rows)]
    details = [*faults.unended, *faults.failed, *faults.half, *faults.orphans]
    if details:
        lines += ["", *(f"- {detail}" for detail in details)]
    lines += ["", f"{machine()}; {faults.seconds:.0f} s in all."]
    return "\n".join(lines)


def main() -> None:
    """Kill, look, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        text = table(run(Path(name), arguments.kills, arguments.seed))
    print(text)
    if arguments.out is not None:
        head = f"`python benchmarks/faults.py --kills {arguments.kills} --seed {arguments.seed}`"
        arguments.out.write_text(
            f"# Kills of the bridge and its worker\n\n{head}\n\n{text}\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
