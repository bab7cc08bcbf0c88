"""Chains that play: opened once, kept in step with what has none, bypassed when a plug-in fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stembridge.model.audio import Audio
from stembridge.model.dsp.fifo import Fifo
from stembridge.model.effects.effect import Effect
from stembridge.model.effects.stem_lines import StemLines
from stembridge.model.errors import StembridgeError
from stembridge.model.plugins.chain_spec import ChainSpec
from stembridge.model.plugins.isolate import open_chain
from stembridge.model.remix import stem_index
from stembridge.model.separation import Separated

from .ring import BLOCK

FADE_S = 0.010
"""What a chain gives is kept so long, to fade from where it stops."""
PATIENCE_S = 0.5
"""A plug-in that takes longer over a block is as good as gone."""

Rows = NDArray[np.float32]


class GuardedChain(Effect):
    """A chain that may fail: from there on the untreated sound, at the same delay, after a cross-fade."""

    def __init__(self, chain: Effect, sample_rate: int, channels: int, failed: Callable[[str], None]) -> None:
        """`failed` is told why, once. The chain belongs to this effect from now on."""
        super().__init__()
        self._chain = chain
        self._failed = failed
        self._reserve = round(FADE_S * sample_rate)
        self._broken_chain = False
        self._dry, self._wet = Fifo(channels), Fifo(channels)
        chain.prepare(sample_rate, channels)
        self._latency = chain.reported_latency_samples

    @property
    def reported_latency_samples(self) -> int:
        """The chain's own, and what is kept to fade from."""
        return self._latency + self._reserve

    @property
    def bypassed(self) -> bool:
        """Whether it failed."""
        return self._broken_chain

    def close(self) -> None:
        """End the chain's process, if it has one."""
        close = getattr(self._chain, "close", None)
        if close is not None:
            close()

    def _start(self, sample_rate: float, channels: int) -> None:
        self._dry, self._wet = Fifo(channels), Fifo(channels)
        if not self._broken_chain:
            self._try(lambda: self._chain.prepare(sample_rate, channels))

    def _push(self, block: Audio, buffer_size: int) -> Audio:
        self._dry.push(block)
        if not self._broken_chain:
            rate = self._open_stream.sample_rate

            def process() -> None:
                self._wet.push(self._chain.process_planar(block, rate, buffer_size, reset=False))

            self._try(process)
        if self._broken_chain:
            return self._without()
        ready = max(len(self._wet) - self._reserve, 0)
        self._dry.pop(ready)
        return self._wet.pop(ready)

    def _finish(self) -> Audio:
        if not self._broken_chain:
            self._try(lambda: self._wet.push(self._chain.flush()))
        if self._broken_chain:
            return self._without()
        return self._wet.pop(len(self._wet))

    def _without(self) -> Audio:
        """Everything untreated; what the chain still gave fades into it."""
        left = min(len(self._wet), len(self._dry))
        wet, dry = self._wet.pop(left), self._dry.pop(len(self._dry))
        self._wet = Fifo(dry.shape[0])
        if left:
            fade = np.linspace(1.0, 0.0, left, endpoint=False, dtype=np.float32)
            dry[:, :left] = wet * fade + dry[:, :left] * (1.0 - fade)
        return dry

    def _try(self, do: Callable[[], None]) -> None:
        try:
            do()
        except StembridgeError as error:
            self._broken_chain = True
            self._failed(f"{error}; it is bypassed")
            self.close()


class Chains:
    """The chains of some stems, between the separator and the ring."""

    def __init__(
        self,
        specs: Mapping[str, Any],
        stems: Sequence[str],
        sample_rate: int,
        channels: int,
        failed: Callable[[str], None],
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Open the chains of `specs`: by stem, as `ChainSpec.to_json` writes them.

        What cannot be loaded, and what is for a stem that is not there, is told and left out.
        """
        self._rate, self._channels, self._stems = sample_rate, channels, tuple(stems)
        chains: dict[str, GuardedChain] = {}
        self._chains = chains
        for name, spec in specs.items():
            try:
                stem = stems[stem_index(stems, name)]
                chain = open_chain(
                    ChainSpec.from_json(spec), sample_rate, channels,
                    block_frames=BLOCK, process_timeout_s=patience_s,
                )  # fmt: skip
            except StembridgeError as error:
                failed(f"{name}: {error}; it is left out")
                continue
            chains[stem] = GuardedChain(chain, sample_rate, channels, partial(_name, failed, stem))
        self.treated = tuple(stem for stem in stems if stem in chains)
        self._lines = StemLines(chains, stems)
        self._pushed: deque[tuple[int, int]] = deque()
        """Where what went in lies in its song: frame, frames."""
        self.reset()

    @property
    def latency(self) -> int:
        """Frames that the slowest chain holds back."""
        return self._lines.latency

    def reset(self) -> None:
        """Begin at another place, with nothing left inside."""
        self._lines.start(self._rate, self._channels)
        self._pushed.clear()

    def push(self, frame: int, block: Separated) -> Iterator[tuple[int, Rows]]:
        """Take a block that lies at a frame of its song; give what is finished as rows of the ring.

        Shape: `(rows, n)`, n up to `BLOCK`, with the frame it lies at.
        """
        self._pushed.append((frame, block.frames))
        self._lines.push(block, BLOCK)
        return self._popped()

    def finish(self) -> Iterator[tuple[int, Rows]]:
        """Take what the chains still hold, as `push` gives it."""
        self._lines.finish()
        return self._popped()

    def close(self) -> None:
        """End every chain's process. Twice is fine."""
        for chain in self._chains.values():
            chain.close()

    def _popped(self) -> Iterator[tuple[int, Rows]]:
        mix, stems, residual, treated = self._lines.pop()
        after = [audio for audio in treated if audio is not None]
        rows = np.concatenate([mix, *stems, residual, *after])
        at = 0
        while at < rows.shape[1]:
            frame, frames = self._pushed.popleft()
            count = min(frames, rows.shape[1] - at, BLOCK)
            if count < frames:
                self._pushed.appendleft((frame + count, frames - count))
            yield frame, rows[:, at : at + count]
            at += count


def _name(failed: Callable[[str], None], stem: str, text: str) -> None:
    failed(f"{stem}: {text}")
