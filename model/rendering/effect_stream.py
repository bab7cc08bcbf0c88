"""An effect as one line of a render: blocks in, the same frames out, later."""

from __future__ import annotations

import numpy as np

from ..audio import Audio
from ..effect import Effect
from ..fifo import Fifo

BLOCK_FRAMES = 8192
"""What plug-ins are fed; always the same, since some plug-ins' sound depends on it."""


class EffectStream:
    """Feeds an effect blocks of one size, whatever sizes come, and takes its latency out.

    After `flush` as many frames have come out as went in, aligned with them.
    """

    def __init__(self, effect: Effect, sample_rate: int, channels: int) -> None:
        self._effect = effect
        self._sample_rate = sample_rate
        self._channels = channels
        self.reset()

    @property
    def latency(self) -> int:
        """Frames held back at most."""
        return self._effect.reported_latency_samples + BLOCK_FRAMES

    def reset(self) -> None:
        """Forget everything."""
        self._effect.reset()
        self._waiting = Fifo(self._channels)
        self._owed = 0

    def push(self, block: Audio) -> Audio:
        """Take `(channels, n)` more frames; return `(channels, ready)` finished ones."""
        self._waiting.push(block)
        done = []
        while len(self._waiting) >= BLOCK_FRAMES:
            done.append(self._process(self._waiting.pop(BLOCK_FRAMES)))
        return self._joined(done)

    def flush(self) -> Audio:
        """End the stream: return the frames still owed."""
        done = []
        if len(self._waiting):
            done.append(self._process(self._waiting.pop(len(self._waiting))))
        if self._owed:
            rest = self._effect.flush()[:, : self._owed]
            self._owed -= rest.shape[1]
            done.append(rest)
        return self._joined(done)

    def _process(self, block: Audio) -> Audio:
        out = self._effect.process_planar(block, self._sample_rate, BLOCK_FRAMES, reset=False)
        self._owed += block.shape[1] - out.shape[1]
        return out

    def _joined(self, blocks: list[Audio]) -> Audio:
        return np.concatenate(blocks, axis=1) if blocks else np.empty((self._channels, 0), np.float32)
