"""Stems through their plug-in chains, put back in step with the mix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .audio import Audio, StemArray
from .effect import Effect
from .fifo import Fifo
from .separation import Separated


@dataclass(frozen=True)
class Treated:
    """One aligned block: what was separated, and what became of the stems that have a chain."""

    mix: Audio
    stems: StemArray
    residual: Audio
    treated: tuple[Audio | None, ...]
    """Per stem the output of its chain; None for a stem without one."""


class StemChains:
    """Runs each stem's chain block by block; latency is taken out, so that all lines stay aligned.

    A chain hands back fewer frames than it took until its latency is filled; the others wait for it.
    """

    def __init__(self, stems: Sequence[str], chains: Mapping[str, Effect], sample_rate: int, channels: int):
        self._chains = [chains.get(stem) for stem in stems]
        self._sample_rate = sample_rate
        self._channels = channels
        self.reset()

    @property
    def latency(self) -> int:
        """Frames the slowest chain holds back."""
        return max((c.reported_latency_samples for c in self._chains if c is not None), default=0)

    def reset(self) -> None:
        """Forget everything."""
        for chain in self._chains:
            if chain is not None:
                chain.reset()
        stems = len(self._chains)
        self._dry = Fifo((stems + 2) * self._channels)
        self._wet = [None if chain is None else Fifo(self._channels) for chain in self._chains]

    def push(self, block: Separated) -> Treated:
        """Treat one more block; return the frames that are finished on every line."""
        if block.mix.shape[1]:
            self._dry.push(np.concatenate([block.mix, block.residual, *block.stems]))
            for chain, wet, stem in zip(self._chains, self._wet, block.stems, strict=True):
                if chain is not None and wet is not None:
                    wet.push(chain.process(stem, self._sample_rate, stem.shape[1], reset=False))
        return self._pop()

    def flush(self) -> Treated:
        """End the stream: return what the chains still hold."""
        for chain, wet in zip(self._chains, self._wet, strict=True):
            if chain is not None and wet is not None and len(wet) < len(self._dry):
                wet.push(chain.flush()[:, : len(self._dry) - len(wet)])
        return self._pop()

    def _pop(self) -> Treated:
        ready = min([len(self._dry), *(len(wet) for wet in self._wet if wet is not None)])
        lines = self._dry.pop(ready).reshape(-1, self._channels, ready)
        treated = tuple(None if wet is None else wet.pop(ready) for wet in self._wet)
        return Treated(lines[0], lines[2:], lines[1], treated)
