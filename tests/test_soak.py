"""The long checks, run by `make soak`: hours of audio, many kills."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import signals
import soundfile
from processes import measure

pytestmark = pytest.mark.soak

RATE = 44100


def write_long(path: Path, seconds: float) -> Path:
    """The same minute again and again, each time a little different in level, so that nothing is constant."""
    minute = np.sum(list(signals.song(60.0).values()), axis=0).T
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16") as file:
        left = round(seconds * RATE)
        turn = 0
        while left:
            block = minute[:left] * (0.7 + 0.3 * np.cos(turn))
            file.write(block)
            left -= len(block)
            turn += 1
    return path


def peak_megabytes(*arguments: object) -> float:
    """Run a command to its end; return the most memory it held."""
    return measure([sys.executable, "-m", "stembridge.bridge", *map(str, arguments)]).peak_mb


@pytest.mark.parametrize("model", ["default", "classic", "repet"])
def test_two_hours_need_no_more_memory_than_three_minutes(tmp_path: Path, model: str) -> None:
    flags = ["-n", model, "--format", "flac", "--bit-depth", "16", "--no-cache", "-o"]
    short = peak_megabytes("render", write_long(tmp_path / "short.wav", 180), *flags, tmp_path / "a")
    long = peak_megabytes("render", write_long(tmp_path / "long.wav", 7200), *flags, tmp_path / "b")
    print(f"\n{model}: {short:.0f} MB for 3 minutes, {long:.0f} MB for 2 hours")
    assert long < 1.1 * short


def test_a_hundred_kills_leave_no_half_file(tmp_path: Path) -> None:
    song = write_long(tmp_path / "song.wav", 30)
    out = tmp_path / "out"
    dice = random.Random(7)
    flags = ["-n", "classic", "-o", str(out), "--no-cache", "--overwrite"]
    command = [sys.executable, "-m", "stembridge.bridge", "render", str(song), *flags]
    killed = 0
    for _ in range(100):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(dice.uniform(0.0, 2.5))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
        for path in out.rglob("*.wav"):
            if not path.name.startswith("."):
                assert soundfile.info(path).frames == 30 * RATE
    print(f"\n{killed} of 100 renders killed")
    assert killed > 20
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert not list(out.rglob(".*"))
