"""Hours of sound through a master: memory does not grow with the length."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import signals
import soundfile
from processes import measure

RATE = 44100


def write_long(path: Path, minutes: int) -> None:
    """The same song over and over, softer and louder."""
    mix = 0.5 * np.sum(list(signals.song(60.0, RATE).values()), axis=0).T
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16") as file:
        for minute in range(minutes):
            file.write(np.clip(mix * (0.3 + 0.7 * (minute % 5) / 4), -1, 1))


@pytest.mark.soak
def test_two_hours_take_no_more_memory_than_ten_minutes(tmp_path: Path) -> None:
    peaks = {}
    for minutes in (10, 120):
        song = tmp_path / f"{minutes}.wav"
        write_long(song, minutes)
        command = [sys.executable, "-m", "stembridge.bridge", "master", str(song), "--lufs", "-10"]
        command += ["--preset", "master-streaming", "--preview", "-o", str(tmp_path / "out")]
        peaks[minutes] = measure([*command, "--format", "flac", "--bit-depth", "16"]).peak_mb
        song.unlink()
    assert peaks[120] < peaks[10] + 40
    assert peaks[120] < 400
    assert soundfile.info(tmp_path / "out/120.flac").frames == 120 * 60 * RATE
