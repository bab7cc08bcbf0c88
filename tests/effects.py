"""Effects and helpers for tests of boards."""

from __future__ import annotations

import numpy as np
from stembridge.model.audio import Audio
from stembridge.model.dsp.fifo import Fifo
from stembridge.model.effects.effect import Effect

RATE = 44100


class Late(Effect):
    """Gives its input back `frames` late, times `scale`; `claims` is the latency it reports."""

    def __init__(self, frames: int, scale: float = 1.0, claims: int | None = None) -> None:
        super().__init__()
        self.frames = frames
        self.scale = np.float32(scale)
        self.claims = frames if claims is None else claims
        self.seen: list[int] = []

    @property
    def reported_latency_samples(self) -> int:
        return self.claims

    def _start(self, sample_rate: float, channels: int) -> None:
        self.queue = Fifo(channels)

    def _push(self, block: Audio, buffer_size: int) -> Audio:
        self.seen.append(block.shape[1])
        self.queue.push(self.scale * block)
        return self.queue.pop(max(0, len(self.queue) - self.frames))


class Smooth(Effect):
    """A running sum that leaks: what comes out depends on every frame before, but not on the cut."""

    reported_latency_samples = 0

    def _start(self, sample_rate: float, channels: int) -> None:
        self.level = np.zeros(channels)

    def _push(self, block: Audio, buffer_size: int) -> Audio:
        out = np.empty_like(block)
        for frame in range(block.shape[1]):
            self.level = 0.5 * self.level + block[:, frame]
            out[:, frame] = self.level
        return out


class Fragile(Late):
    """Breaks on a frame above 1."""

    def _push(self, block: Audio, buffer_size: int) -> Audio:
        if block.max() > 1.0:
            raise OverflowError("too loud")
        return super()._push(block, buffer_size)


def streamed(effect: Effect, audio: Audio, sizes: list[int], rate: float = RATE) -> Audio:
    """The audio in chunks of these sizes from a clean start, then what flush gives."""
    effect.reset()
    parts, start = [], 0
    for size in sizes:
        parts.append(effect.process_planar(audio[:, start : start + size], rate, reset=False))
        start += size
    assert start == audio.shape[1]
    return np.concatenate([*parts, effect.flush()], axis=1)


def evenly(frames: int, size: int) -> list[int]:
    """Chunks of one size, and what is left."""
    return [size] * (frames // size) + ([frames % size] if frames % size else [])
