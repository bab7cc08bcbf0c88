"""Runs of pedalboard's own plug-ins, kept exact where pedalboard by itself is not.

What pedalboard (0.9.26) does and what is done about it here:

- A plug-in is prepared anew, and loses its state, whenever a block is larger than all before it. So
  one stream uses one block size: that of its first chunk.
- A chunk with no more frames than channels is taken for transposed. So the container that holds the
  run has been shown the layout first.
- A VST3 that was just loaded counts the frames of its own warm-up as given. So a stream begins with a
  reset.
- Editing a container while it processes can crash the process, and a `Mix` edited after it was made
  does. So the plug-ins run in a container of ours that nobody else sees.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pedalboard

from ..audio import Audio
from ..dsp.fifo import Fifo
from ..errors import StateError
from .native_leaf import EVEN_BLOCK, PROBE_LIMIT, Leaf, primed_chain, run_chain

_WARM_BLOCK = 1024


class NativeGroup:
    """Neighbouring native plug-ins, run by pedalboard in one go."""

    def __init__(self, leaves: Sequence[Leaf]) -> None:
        self.leaves = tuple(leaves)
        self._chain: pedalboard.Chain | None = None
        self._spec: tuple[float, int] = (0.0, 0)
        # Plug-ins that were in another group of the same stream bring what they hold.
        self._inside = sum(leaf.inside for leaf in leaves)
        self._even: _Even | None = None

    @property
    def resumable(self) -> bool:
        """Whether a stream can go on where a whole piece ended."""
        return all(leaf.streams and leaf.known_latency == 0 for leaf in self.leaves)

    def latency(self, sample_rate: float, channels: int) -> int:
        """Frames it holds back; without a stream, plug-ins that do not tell are asked with silence."""
        return sum(leaf.latency(sample_rate, channels) for leaf in self.leaves)

    def latency_at(self, sample_rate: float, channels: int) -> int:
        """Frames it will hold back in a stream of this rate; may reset its plug-ins to find out."""
        return sum(leaf.latency_at(sample_rate, channels) for leaf in self.leaves)

    def start(self, sample_rate: float, channels: int) -> None:
        """Begin a stream."""
        for leaf in self.leaves:
            leaf.begin(sample_rate, channels)
        self._inside = 0
        self._even = None

    def push(self, block: Audio, sample_rate: float, buffer_size: int) -> Audio:
        """The next chunk of the stream, `(channels, n)`, n > 0."""
        due = block.shape[1]
        for leaf in self.leaves:
            due = leaf.used(due)
        if self.leaves[0].uneven:
            out = self._run_even(block, sample_rate, due)
        else:
            out = self._run_chunk(block, sample_rate, buffer_size)
        self._inside += block.shape[1] - out.shape[1]
        return out

    def finish(self, sample_rate: float, channels: int) -> Audio:
        """The frames that are still inside, pushed out by silence."""
        even = self._even or _Even(channels)
        limit = self._inside + PROBE_LIMIT
        while (missing := self._inside - len(even.ready)) > 0:
            if limit <= 0:
                raise StateError(f"{[leaf.plugin for leaf in self.leaves]} do not return their last frames")
            # Whole blocks, made up of what waits for one and silence.
            frames = -(-max(missing, len(even.waiting)) // EVEN_BLOCK) * EVEN_BLOCK
            even.waiting.push(np.zeros((channels, frames - len(even.waiting)), np.float32))
            even.ready.push(self._run_chunk(even.waiting.pop(frames), sample_rate, EVEN_BLOCK))
            limit -= frames
        return even.ready.pop(self._inside)

    def _run_even(self, block: Audio, sample_rate: float, due: int) -> Audio:
        """Blocks of one size through the plug-in; `due` frames back, so that its latency is constant."""
        self._even = even = self._even or _Even(block.shape[0])
        even.waiting.push(block)
        if frames := len(even.waiting) // EVEN_BLOCK * EVEN_BLOCK:
            even.ready.push(self._run_chunk(even.waiting.pop(frames), sample_rate, EVEN_BLOCK))
        return even.ready.pop(min(due, len(even.ready)))

    def _run_chunk(self, block: Audio, sample_rate: float, buffer_size: int) -> Audio:
        channels, frames = block.shape
        chain = self._ready(sample_rate, channels)
        size = self._block_size(chain, sample_rate, channels, min(buffer_size, frames))
        for leaf in self.leaves:
            leaf.block = size
        return run_chain(chain, block, sample_rate, size, reset=False)

    def whole(self, audio: Audio, sample_rate: float, buffer_size: int) -> Audio:
        """One whole piece, exactly as pedalboard does it."""
        channels, frames = audio.shape
        chain = self._ready(sample_rate, channels)
        for leaf in self.leaves:
            leaf.taken = 0
            leaf.block = min(buffer_size, frames)
            leaf.used(frames)
        self._inside = 0
        return run_chain(chain, audio, sample_rate, buffer_size, reset=True)

    def _ready(self, sample_rate: float, channels: int) -> pedalboard.Chain:
        if self._chain is None or self._spec != (sample_rate, channels):
            self._chain = primed_chain([leaf.plugin for leaf in self.leaves], sample_rate, channels)
            self._spec = (sample_rate, channels)
        return self._chain

    def _block_size(self, chain: pedalboard.Chain, rate: float, channels: int, frames: int) -> int:
        """The block size of this stream, which never grows."""
        if prepared := [leaf.block for leaf in self.leaves if leaf.block]:
            return min(prepared)
        if frames < _WARM_BLOCK // 4 and all(leaf.steady for leaf in self.leaves):
            # A tiny first chunk would make Convolution slow for the rest of the stream. These effects
            # can be prepared for larger blocks with silence, and a reset leaves them prepared.
            chain.process(np.zeros((channels, _WARM_BLOCK), np.float32), rate, _WARM_BLOCK, reset=True)
            chain.process(np.zeros((channels, 0), np.float32), rate, _WARM_BLOCK, reset=True)
            return _WARM_BLOCK
        return frames


class _Even:
    """What waits on both sides of a plug-in that is fed blocks of one size."""

    def __init__(self, channels: int) -> None:
        self.waiting = Fifo(channels)
        self.ready = Fifo(channels)
