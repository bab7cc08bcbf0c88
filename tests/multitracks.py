"""Songs whose stems are known, small enough for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import signals
import soundfile
from stembridge.model.audio import StemArray
from stembridge.model.training.tracks import Track, find_tracks

RATE = 8000
STEMS = ("drums", "bass", "other", "vocals")


def noise(*shape: int, seed: int = 0) -> StemArray:
    """White noise, a tenth of full scale."""
    return np.asarray(0.1 * np.random.default_rng(seed).standard_normal(shape), np.float32)


def write_song(folder: Path, stems: dict[str, StemArray], rate: int = RATE) -> Track:
    """Write stems as 16-bit WAV files."""
    folder.mkdir(parents=True)
    for name, audio in stems.items():
        soundfile.write(folder / f"{name}.wav", audio.T, rate, subtype="PCM_16")
    (track,) = find_tracks(folder)
    return track


def four_stems(seconds: float = 3.0, seed: int = 0) -> dict[str, StemArray]:
    """Short stems at a low rate."""
    stems = signals.song(seconds, RATE, seed=seed)
    return {name: stems[name] for name in STEMS}


def sdr_db(reference: StemArray, estimate: StemArray) -> float:
    """10 log10(sum s^2 / sum (s - e)^2)."""
    true = reference.astype(np.float64)
    return float(10 * np.log10(np.sum(true**2) / np.sum((true - estimate) ** 2)))
