"""What separators have in common whose networks take a stretch of audio at a time."""

from __future__ import annotations

import math
import os
import random
import warnings
import weakref
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..audio import Audio, StemArray, as_rows
from ..dsp.fifo import Fifo
from ..errors import ArgumentValueError
from ..platform import free_memory
from ..residual import STEM_ORDER
from .segment_stream import Process, SegmentStream

PARALLEL = 4
"""How many segments are under way at most unless told otherwise, ..."""
HELD_S = 20.0
"""... and how many seconds longer one waits for them at most. The same everywhere, as latency is."""
SHIFT_S = 0.5
"""How far the shift trick moves the grid at most."""


@dataclass(frozen=True)
class SegmentNetwork:
    """One network ready to run: what it takes, what it gives, how its end of a song is handled."""

    run: Process
    """Stereo (or what `channels` says) of at most `segment_frames` frames in; safe to call from threads."""
    sources: tuple[str, ...]
    segment_frames: int
    channels: int = 2
    whole: bool = True
    trailing: bool = False
    weights: tuple[float, ...] | None = None
    """How much each source counts beside other networks' (a bag of models); None: 1 each."""
    segment_bytes: int = 1 << 30
    """About how much memory one segment under way takes."""


class SegmentSeparator:
    """A separator around one network, or several whose estimates are averaged.

    `reference` is (mean, standard deviation) of the level the networks are used to; the mix is normalised by
    these constants and never by itself, which a stream could not know. `shifts` averages so many runs on
    grids shifted by up to half a second, drawn by `seed`; 0 is one run on the grid itself. `parallel`
    segments are under way at once (on as many cores as there are), which changes latency and memory and no
    sample.

    Raises ArgumentValueError for another rate or number of channels than the networks know, and for options
    out of range.
    """

    def __init__(
        self,
        name: str,
        networks: Sequence[SegmentNetwork],
        sample_rate: int,
        channels: int,
        *,
        native_rate: int,
        overlap: float,
        shifts: int = 0,
        seed: int = 0,
        reference: tuple[float, float] = (0.0, 1.0),
        parallel: int | None = None,
    ) -> None:
        if sample_rate != native_rate or channels not in (1, 2):
            raise ArgumentValueError(
                f"{name} separates mono and stereo at {native_rate} Hz; got {channels} channels at "
                f"{sample_rate} Hz. create_separator resamples and pairs channels"
            )
        if not 0 <= overlap < 1 or shifts < 0 or reference[1] <= 0 or (parallel is not None and parallel < 1):
            raise ArgumentValueError(
                f"{name} needs 0 <= overlap < 1, shifts of 0 or more, parallel of 1 or more and a reference "
                f"deviation above 0; got overlap {overlap:g}, shifts {shifts}, parallel {parallel}, "
                f"reference {reference}"
            )
        sources = networks[0].sources
        self.name = name
        self.stems = in_stem_order(sources)
        self.residual_stem = residual_stem_of(self.stems)
        self.sample_rate = sample_rate
        self.channels = channels
        self._rows = [sources.index(stem) for stem in self.stems]
        self._reference = reference
        self._weights = np.array(
            [network.weights or (1.0,) * len(sources) for network in networks], np.float32
        )
        self._totals = self._weights.sum(axis=0)
        draw = random.Random(seed)
        furthest = int(SHIFT_S * sample_rate)
        self._streams: list[list[_ShiftedStream]] = []
        pool = _pool(networks, parallel)
        weakref.finalize(self, pool.shutdown, wait=False, cancel_futures=True)
        for network in networks:
            hop, held = grid_of(network.segment_frames, overlap, sample_rate, parallel)
            leads = [furthest - draw.randint(0, furthest) for _ in range(shifts)] or [0]
            self._streams.append(
                [
                    _ShiftedStream(
                        SegmentStream(
                            _for_channels(network, channels),
                            stems=len(sources),
                            channels=channels,
                            segment_frames=network.segment_frames,
                            hop_frames=hop,
                            whole=network.whole,
                            trailing=network.trailing,
                            pool=pool,
                            held=held,
                        ),
                        lead,
                    )
                    for lead in leads
                ]
            )
        streams = [shifted.stream for group in self._streams for shifted in group]
        self.latency = max(stream.latency for stream in streams)
        self.context_frames = max(stream.context_frames for stream in streams)
        self.grid = math.lcm(*(stream.grid for stream in streams))
        self.reset()

    def reset(self, start_frame: int = 0) -> None:
        """Forget everything; the next frame pushed is number `start_frame`, a multiple of `grid`."""
        if start_frame < 0 or start_frame % self.grid:
            raise ArgumentValueError(
                f"{self.name} starts at multiples of {self.grid} frames; got {start_frame}. "
                "Start earlier and throw the frames before it away"
            )
        for group in self._streams:
            for shifted in group:
                shifted.reset(start_frame)

    def push(self, block: Audio) -> StemArray:
        """Take one more block of the mix; return the frames that are finished."""
        mean, deviation = self._reference
        if self._reference != (0.0, 1.0):
            block = (block - np.float32(mean)) / np.float32(deviation)
        for group in self._streams:
            for shifted in group:
                shifted.push(block)
        return self._finished()

    def flush(self) -> StemArray:
        """End the stream: return the frames still held back, then be as after `reset`."""
        for group in self._streams:
            for shifted in group:
                shifted.flush()
        finished = self._finished()
        self.reset()
        return finished

    def _finished(self) -> StemArray:
        frames = min(len(shifted.ready) for group in self._streams for shifted in group)
        total = np.zeros((len(self.stems), self.channels, frames), np.float32)
        for group, weights in zip(self._streams, self._weights, strict=True):
            estimate = np.zeros_like(total)
            for shifted in group:
                estimate += shifted.ready.pop(frames).reshape(total.shape)
            total += estimate / np.float32(len(group)) * weights[:, None, None]
        total /= self._totals[:, None, None]
        mean, deviation = self._reference
        if self._reference != (0.0, 1.0):
            total = total * np.float32(deviation) + np.float32(mean)
        return total[self._rows]


class _ShiftedStream:
    """A stream whose grid begins `lead` frames before the song; those frames are silence."""

    def __init__(self, stream: SegmentStream, lead: int) -> None:
        self.stream = stream
        self._lead = lead
        self._rows = stream.stems * stream.channels
        self.ready = Fifo(self._rows)
        self._skip = 0

    def reset(self, start_frame: int) -> None:
        self.stream.reset(start_frame)
        self.ready = Fifo(self._rows)
        self._skip = self._lead
        if self._lead:
            self.push(np.zeros((self.stream.channels, self._lead), np.float32))

    def push(self, block: Audio) -> None:
        self._take(self.stream.push(block))

    def flush(self) -> None:
        self._take(self.stream.flush())

    def _take(self, estimates: StemArray) -> None:
        skipped = min(self._skip, estimates.shape[2])
        self._skip -= skipped
        self.ready.push(as_rows(estimates[:, :, skipped:]))


def grid_of(
    segment_frames: int, overlap: float, sample_rate: int, parallel: int | None = None
) -> tuple[int, int]:
    """The frames from one segment to the next, and how many are under way at once."""
    hop = max(1, int((1 - overlap) * segment_frames))
    return hop, parallel or min(PARALLEL, 1 + int(HELD_S * sample_rate) // hop)


def latency_of(segment_frames: int, overlap: float, sample_rate: int) -> float:
    """Seconds that a separator with such segments holds back.

    >>> round(latency_of(343_980, 0.25, 44100), 1)  # htdemucs: 7.8 s, and three more 5.85 s apart
    25.3
    """
    hop, held = grid_of(segment_frames, overlap, sample_rate)
    return (segment_frames - 1 + (held - 1) * hop) / sample_rate


def in_stem_order(sources: Sequence[str]) -> tuple[str, ...]:
    """The names in the order of the house, those it does not know last.

    >>> in_stem_order(["vocals", "drums", "strings", "bass", "other"])
    ('drums', 'bass', 'other', 'vocals', 'strings')
    """
    known = [name for name in STEM_ORDER if name in sources]
    return (*known, *(name for name in sources if name not in known))


def residual_stem_of(stems: Sequence[str]) -> str:
    """The stem that what no stem has joins: `other`, `accompaniment`, the rest of one stem, or the last.

    >>> residual_stem_of(["drums", "no_drums"]), residual_stem_of(["dry", "reverb"])
    ('no_drums', 'reverb')
    """
    for name in ("other", "accompaniment"):
        if name in stems:
            return name
    return next((name for name in stems if name.startswith("no_")), stems[-1])


def as_warning(text: str) -> None:
    """Tell what nobody else wants to be told: a RuntimeWarning."""
    warnings.warn(text, RuntimeWarning, stacklevel=2)


def _for_channels(network: SegmentNetwork, channels: int) -> Process:
    """The network for a stream of `channels`: mono is given twice and averaged; silence stays silence."""

    def run(mix: Audio) -> StemArray:
        if not mix.any():
            return np.zeros((len(network.sources), *mix.shape), np.float32)
        if channels == network.channels:
            return network.run(mix)
        if network.channels == 1:
            return np.concatenate([network.run(mix[c : c + 1]) for c in range(channels)], axis=1)
        estimates = network.run(np.repeat(mix, network.channels, axis=0))
        averaged: StemArray = np.mean(estimates, axis=1, keepdims=True, dtype=np.float32)
        return averaged

    return run


def _pool(networks: Sequence[SegmentNetwork], parallel: int | None) -> Executor:
    """Threads for as many segments side by side as there are cores, and memory for them."""
    free = free_memory()
    room = PARALLEL if free is None else free // max(network.segment_bytes for network in networks)
    threads = max(1, min(parallel or PARALLEL, os.cpu_count() or 1, room))
    return ThreadPoolExecutor(threads, "segment", initializer=_alone)


def _alone() -> None:
    from .network_runner import use_one_thread

    use_one_thread()
