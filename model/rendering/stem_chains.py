"""Stems through their plug-in chains, put back in step with the mix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..audio import Audio, StemArray
from ..fifo import Fifo
from ..separation import Separated
from .effect_stream import EffectStream


@dataclass(frozen=True)
class Treated:
    """One aligned block: what was separated, and what became of the stems that have a chain."""

    mix: Audio
    stems: StemArray
    residual: Audio
    treated: tuple[Audio | None, ...]
    """Per stem the output of its chain; None for a stem without one."""


class StemChains:
    """Runs each stem's chain; a line that is ahead waits for the slowest, so all stay aligned."""

    def __init__(self, stems: Sequence[str], chains: Mapping[str, EffectStream], channels: int) -> None:
        self._chains = [chains.get(stem) for stem in stems]
        self._channels = channels
        self.reset()

    @property
    def latency(self) -> int:
        """Frames the slowest chain holds back."""
        return max((chain.latency for chain in self._chains if chain is not None), default=0)

    def reset(self) -> None:
        """Forget everything."""
        for chain in self._chains:
            if chain is not None:
                chain.reset()
        self._dry = Fifo((len(self._chains) + 2) * self._channels)
        self._wet = [None if chain is None else Fifo(self._channels) for chain in self._chains]

    def push(self, block: Separated) -> Treated:
        """Treat one more block; return the frames that are finished on every line."""
        self._dry.push(np.concatenate([block.mix, block.residual, *block.stems]))
        for chain, wet, stem in zip(self._chains, self._wet, block.stems, strict=True):
            if chain is not None and wet is not None:
                wet.push(chain.push(stem))
        return self._pop()

    def flush(self) -> Treated:
        """End the stream: return what the chains still hold."""
        for chain, wet in zip(self._chains, self._wet, strict=True):
            if chain is not None and wet is not None:
                wet.push(chain.flush())
        return self._pop()

    def _pop(self) -> Treated:
        ready = min([len(self._dry), *(len(wet) for wet in self._wet if wet is not None)])
        lines = self._dry.pop(ready).reshape(len(self._chains) + 2, self._channels, ready)
        treated = tuple(None if wet is None else wet.pop(ready) for wet in self._wet)
        return Treated(lines[0], lines[2:], lines[1], treated)
