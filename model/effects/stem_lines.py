"""Stems on their way through the effects of a `StemSeparator`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..audio import Audio, StemArray
from ..dsp.fifo import Fifo
from ..separation import Separated
from .effect import Effect


class StemLines:
    """The stems on their way through their chains; those that are ahead wait, so all stay aligned."""

    def __init__(self, chains: Mapping[str, Effect], stems: Sequence[str]) -> None:
        self._chains = [chains.get(stem) for stem in stems]
        self._rate = 0

    @property
    def latency(self) -> int:
        """Frames the slowest chain holds back."""
        return max((chain.reported_latency_samples for chain in self._chains if chain is not None), default=0)

    def start(self, sample_rate: int, channels: int) -> None:
        """Begin a stream."""
        self._rate, self._channels = sample_rate, channels
        self._dry = Fifo((2 + len(self._chains)) * channels)
        self._wet = [None if chain is None else Fifo(channels) for chain in self._chains]
        for chain in self._chains:
            if chain is not None:
                chain.prepare(sample_rate, channels)

    def push(self, block: Separated, buffer_size: int) -> None:
        """Take the next block of stems."""
        if block.frames == 0:
            return
        self._dry.push(np.concatenate([block.mix, block.residual, *block.stems]))
        for chain, wet, stem in zip(self._chains, self._wet, block.stems, strict=True):
            if chain is not None and wet is not None:
                wet.push(chain.process_planar(stem, self._rate, buffer_size, reset=False))

    def finish(self) -> None:
        """Take what the chains still hold."""
        for chain, wet in zip(self._chains, self._wet, strict=True):
            if chain is not None and wet is not None:
                wet.push(chain.flush())

    def pop(self) -> tuple[Audio, StemArray, Audio, list[Audio | None]]:
        """What is finished on every line: mix, stems, residual, and the treated stems (None: no chain)."""
        frames = min([len(self._dry), *(len(wet) for wet in self._wet if wet is not None)])
        mix, residual, *stems = self._dry.pop(frames).reshape(2 + len(self._chains), self._channels, frames)
        return mix, np.stack(stems), residual, [None if wet is None else wet.pop(frames) for wet in self._wet]
