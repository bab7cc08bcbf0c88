"""What is done to a song before its level: stems, chain, dry and wet, sample rate; all as one stream."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing

import numpy as np

from ..audio import Audio
from ..dsp.fifo import Fifo
from ..effects.effect import Effect
from ..errors import AudioFileError
from ..files.decoder import open_audio
from ..plugins.isolate import IsolatedChain, open_chain
from ..rendering.bus import BLOCK_FRAMES, Bus, try_out
from ..rendering.source import ReadAhead, Span, StemSource, file_stamp, open_separator
from ..stem_cache import StemCache
from .plan import MasterPlan


class Treatment:
    """The treated song, at its own rate: blocks of the song as it came and of what became of it, in step."""

    def __init__(self, plan: MasterPlan, source_hash: str, cache: StemCache | None, stack: ExitStack) -> None:
        """`stack` releases plug-ins and the separator."""
        self._plan = plan
        self._stamp = file_stamp(plan.info.path)
        self._source_hash, self._cache, self._stack = source_hash, cache, stack
        self.warnings: list[str] = []
        """What the user should know, once the stream has ended."""
        self.cached = False
        """Whether the stems came from the cache."""

    def blocks(self) -> Generator[tuple[Audio, Audio, float], None, None]:
        """Yield the song, the treated song, and the fraction done. Shape: `(channels, n)` twice."""
        if self._plan.stems is not None:
            yield from self._from_stems()
        else:
            yield from self._chained()

    def _chained(self) -> Iterator[tuple[Audio, Audio, float]]:
        info = self._plan.info
        chain = self._chain()
        rate = info.sample_rate
        dry, fed = Fifo(info.channels), Fifo(info.channels)
        done = 0
        with open_audio(info.path) as reader, ReadAhead(reader, 0, info.frames) as blocks:
            for block in blocks:
                self._check_unchanged()
                done += block.shape[1]
                fraction = done / max(1, info.frames)
                if chain is None:
                    yield block, block, fraction
                    continue
                dry.push(block)
                fed.push(block)
                while len(fed) >= BLOCK_FRAMES:
                    wet = chain.process_planar(fed.pop(BLOCK_FRAMES), rate, BLOCK_FRAMES, reset=False)
                    yield dry.pop(wet.shape[1]), wet, fraction
        if chain is not None:
            wet = chain.process_planar(fed.pop(len(fed)), rate, BLOCK_FRAMES, reset=False)
            yield dry.pop(wet.shape[1]), wet, 1.0
            wet = chain.flush()
            yield dry.pop(wet.shape[1]), wet, 1.0

    def _chain(self) -> Effect | None:
        """The chain of the mix, tried out and ready, if there is one."""
        spec, info = self._plan.spec, self._plan.info
        if spec.treatment.mix_chain is None or not spec.treatment.mix_chain.plugins or not spec.mix_amount:
            return None
        located = spec.treatment.mix_chain.located(spec.plugin_folders)
        self.warnings += try_out(located, info.sample_rate, info.channels)
        chain = open_chain(located, info.sample_rate, info.channels, block_frames=BLOCK_FRAMES)
        if isinstance(chain, IsolatedChain):
            self._stack.enter_context(closing(chain))
        chain.prepare(info.sample_rate, info.channels)
        return chain

    def _from_stems(self) -> Iterator[tuple[Audio, Audio, float]]:
        plan = self._plan.stems
        assert plan is not None
        opened = open_separator(plan, self._source_hash, self._cache, self._stack)
        self.cached = opened.cached
        bus = Bus(plan, self._stack)
        mixed = _Queue(plan.info.channels)
        bus.lead_to(dict.fromkeys((output.path for output in plan.outputs), mixed))
        dry = Fifo(plan.info.channels)
        source = StemSource(plan, opened.separator, Span(bus.first, bus.last), self._stamp)
        with open_audio(plan.info.path) as reader, closing(source.blocks(reader)) as blocks:
            for block, fraction in blocks:
                dry.push(block.mix)
                bus.push(block)
                wet = mixed.taken()
                yield dry.pop(wet.shape[1]), wet, fraction
        bus.finish()
        wet = mixed.taken()
        yield dry.pop(wet.shape[1]), wet, 1.0
        self.warnings += [*bus.warnings, *opened.warnings]

    def _check_unchanged(self) -> None:
        path = self._plan.info.path
        try:
            same = file_stamp(path) == self._stamp
        except OSError as error:
            raise AudioFileError(f"{path} went away while it was being mastered") from error
        if not same:
            raise AudioFileError(f"{path} changed while it was being mastered: master it again")


class _Queue:
    """Takes what the bus gives; the render's files do otherwise."""

    def __init__(self, channels: int) -> None:
        self._fifo = Fifo(channels)

    def write(self, audio: Audio) -> None:
        """Take the next block."""
        self._fifo.push(audio)

    def taken(self) -> Audio:
        """Everything that has come since."""
        return self._fifo.pop(len(self._fifo))


def blended(dry: Audio, wet: Audio, amount: float) -> Audio:
    """Part of the treated sound: `dry + amount * (wet - dry)`, rounded once; the very samples at 0 and 1."""
    if amount == 1.0 or wet is dry:
        return wet
    if amount == 0.0:
        return dry
    return np.asarray((1.0 - amount) * dry.astype(np.float64) + amount * wet.astype(np.float64), np.float32)
