"""A network as a separator: segments of the STFT in, estimates out, several at once, in order.

Segments are anchored at spectrum 0: segment k gives the spectra k * kept to (k + 1) * kept and sees
`context` more on either side; before the song and after its end there is silence. Every segment is run
whole, by one thread, in the same shape, so that its bits depend on what is in it alone.

torch is imported by the first push.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import numpy as np

from ..checkpoint import CheckpointHeader
from ..dsp.stft import Spectra
from ..errors import ArgumentValueError
from .network_workers import STEP, Precision, Warn, Workers, times_of, usable
from .spectral import SpectralSeparator

PARALLEL = 3
"""Segments under way at once; each more costs memory and latency. The same everywhere, as latency is."""


def segmented_latency(header: CheckpointHeader) -> int:
    """Spectra that the separator of a checkpoint holds back with its default options."""
    return PARALLEL * _kept(header) + header.context_times - 1


class NetworkSeparator(SpectralSeparator):
    """Estimates of a network that is run on segments."""

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        *,
        weights: Path | str,
        device: str = "auto",
        precision: Precision = "float32",
        segment: float | None = None,
        overlap: float | None = None,
        parallel: int = PARALLEL,
        warn: Warn | None = None,
    ) -> None:
        """Run the checkpoint `weights`.

        `segment` is the length of segments in seconds, `overlap` the share of a segment that its neighbours
        see too (half of it on either side); both are the network's own unless given. `parallel` segments are
        under way at once (on as many cores as there are), which changes latency and memory and no sample.
        `warn` is told when the device is too small; without it that is a RuntimeWarning.

        Raises ModelMissingError and CheckpointError for the file, ArgumentValueError for another sample
        rate than the network's and for options out of range.
        """
        header = usable(weights, sample_rate, channels, precision)
        self.name, self.stems, self.residual_stem = header.name, header.stems, header.residual_stem
        if parallel < 1:
            raise ArgumentValueError(f"parallel is 1 or more segments; got {parallel}")
        self._context = header.context_times
        self._kept = _kept(header)
        if segment is not None or overlap is not None:
            self._context, self._kept = _cut(header, segment, overlap)
        self._parallel = parallel
        super().__init__(
            sample_rate,
            channels,
            window_frames=header.window_frames,
            hop_frames=header.hop_frames,
            behind=self._kept - 1 + self._context,
            ahead=self._kept - 1 + self._context,
            held=(parallel - 1) * self._kept,
        )
        self.grid = self._kept * header.hop_frames
        bins = header.window_frames // 2 + 1
        self._segment = np.zeros((channels, self._kept + 2 * self._context, bins), np.complex64)
        self._workers = Workers(header, device, precision, self._context, parallel, warn)
        self._running: deque[tuple[Future[Spectra], int]] = deque()
        self._restart()

    def _restart(self) -> None:
        self._segment[:, : self._context] = 0
        self._filled = self._context
        """Spectra in the segment; it begins with those before its own."""
        for future, _ in self._running:
            future.cancel()
        self._running.clear()

    def _estimate(self, spectra: Spectra, last: bool) -> Iterator[Spectra]:
        length = self._segment.shape[1]
        start = 0
        while start < spectra.shape[1]:
            stop = min(spectra.shape[1], start + length - self._filled)
            self._segment[:, self._filled : self._filled + stop - start] = spectra[:, start:stop]
            self._filled += stop - start
            start = stop
            if self._filled == length:
                yield from self._run(self._kept)
        while last and self._filled > self._context:
            self._segment[:, self._filled :] = 0
            yield from self._run(min(self._kept, self._filled - self._context))
        while last and self._running:
            yield self._oldest()

    def _run(self, count: int) -> Iterator[Spectra]:
        """Start on the segment as it is, whose first `count` spectra count, and go on to the next."""
        self._running.append((self._workers.segment(self._segment.copy()), count))
        left = max(0, self._filled - self._kept)
        self._segment[:, :left] = self._segment[:, self._kept : self._kept + left]
        self._filled = left
        if len(self._running) == self._parallel:
            yield self._oldest()

    def _oldest(self) -> Spectra:
        future, count = self._running.popleft()
        return future.result()[:, :, :count]


def _kept(header: CheckpointHeader) -> int:
    return header.segment_times - 2 * header.context_times


def _cut(header: CheckpointHeader, segment: float | None, overlap: float | None) -> tuple[int, int]:
    """Context and kept spectra of segments as asked for, the latter in steps that networks may group by."""
    times = header.segment_times if segment is None else times_of(header, segment)
    context = header.context_times
    if overlap is not None:
        if not 0 <= overlap < 1:
            raise ArgumentValueError(f"overlap is a share of a segment, 0 to below 1; got {overlap:g}")
        context = round(overlap * times / 2 / STEP) * STEP
    if times - 2 * context < STEP:
        hop_s = header.hop_frames / header.sample_rate
        raise ArgumentValueError(
            f"{header.name} sees {context * hop_s:.2f} s to either side: "
            f"a segment must be {(2 * context + STEP) * hop_s:.2f} s or longer; got {times * hop_s:.2f} s"
        )
    return context, (times - 2 * context) // STEP * STEP
