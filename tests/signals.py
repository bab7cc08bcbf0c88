"""Signals the tests make for themselves: `(channels, frames)` float32, seeded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]


def noise(frames: int, channels: int = 2, seed: int = 0, level: float = 0.25) -> Audio:
    """White noise of the given standard deviation."""
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal((channels, frames))).astype(np.float32)


def sine(hz: float, frames: int, sample_rate: int = 44100, channels: int = 2, level: float = 0.5) -> Audio:
    """A sine with 5 ms of fade at both ends, the same in all channels."""
    t = np.arange(frames) / sample_rate
    fade = np.minimum(1.0, np.minimum(np.arange(frames), np.arange(frames)[::-1]) / (0.005 * sample_rate))
    return np.tile((level * fade * np.sin(2 * np.pi * hz * t)).astype(np.float32), (channels, 1))


def song(seconds: float, sample_rate: int = 44100, seed: int = 0) -> dict[str, Audio]:
    """Four tiny stereo stems of a made-up song: beat, bass line, side chords, a sung line with vibrato."""
    rng = np.random.default_rng(seed)
    frames = round(seconds * sample_rate)
    t = np.arange(frames) / sample_rate
    beat = 0.5
    drums = np.zeros((2, frames))
    for k in range(int(seconds / beat) + 1):
        start = round(k * beat * sample_rate)
        n = min(round(0.15 * sample_rate), frames - start)
        if n <= 0:
            break
        decay = np.exp(-np.arange(n) / (0.03 * sample_rate))
        kick = np.sin(2 * np.pi * 60 * np.arange(n) / sample_rate) if k % 2 == 0 else 0.0
        drums[:, start : start + n] += decay * (0.6 * kick + 0.25 * rng.standard_normal((2, n)))
    notes = np.array([55.0, 65.4, 49.0, 73.4])[(t // (2 * beat)).astype(int) % 4]
    bass = np.tile(0.3 * np.sin(2 * np.pi * np.cumsum(notes) / sample_rate), (2, 1))
    chord = sum(np.sin(2 * np.pi * np.cumsum(notes * r) / sample_rate) for r in (4.0, 5.04, 5.99))
    other = np.stack([0.12 * chord, 0.06 * chord])
    pitch = 330.0 * 2 ** (np.floor(t / 0.7) % 5 / 12) * (1 + 0.01 * np.sin(2 * np.pi * 5.5 * t))
    phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
    envelope = np.clip(np.sin(2 * np.pi * t / 1.4), 0, None)
    vocals = np.tile(0.2 * envelope * sum(np.sin(h * phase) / h for h in range(1, 6)), (2, 1))
    stems = {"drums": drums, "bass": bass, "other": other, "vocals": vocals}
    return {name: np.ascontiguousarray(stem, dtype=np.float32) for name, stem in stems.items()}


def cuts(frames: int, seed: int, largest: int = 5000) -> list[int]:
    """Random block sizes that add up to `frames`, with 0- and 1-frame blocks among them."""
    rng = np.random.default_rng(seed)
    sizes: list[int] = []
    left = frames
    while left > 0:
        choices = np.array([0, 1, 2, rng.integers(3, 600), rng.integers(600, largest)])
        size = min(left, int(rng.choice(choices)))
        sizes.append(size)
        left -= size
    return sizes
