"""A network as a separator, spectrum after spectrum: nothing is computed twice, little is held back.

The stream is cut into chunks of a constant size, anchored at its first spectrum, so that bits do not depend
on how the input was cut. Causal networks take one spectrum at a time and have the latency of the STFT.

torch is imported by the first push.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..checkpoint import CheckpointHeader
from ..dsp.stft import Spectra
from .network_workers import STEP, Precision, Warn, Workers, times_of, usable
from .spectral import SpectralSeparator

if TYPE_CHECKING:
    from .network_runner import RunningStream

CHUNK = 64
"""Spectra that a network which looks ahead takes at once: more are hardly faster."""

ALL_FRAMES = 1 << 50
"""A context longer than any song: what a state without an end remembers."""


def streamed_latency(header: CheckpointHeader, segment: float | None = None) -> int:
    """Spectra held back by the stream of a checkpoint."""
    late, (chunk, ahead) = header.late_times or 0, _chunks(header, segment)
    return late + (ahead + 1) * chunk - 1


class StreamedNetworkSeparator(SpectralSeparator):
    """Estimates of a network that is run as a stream."""

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        *,
        weights: Path | str,
        device: str = "auto",
        precision: Precision = "float32",
        segment: float | None = None,
        warn: Warn | None = None,
    ) -> None:
        """Run the checkpoint `weights`, `segment` seconds at once (unless given: what suits the network).

        For a causal network `auto` is the CPU: one spectrum is too little for a GPU. `warn` is told when the
        device is too small; without it that is a RuntimeWarning.

        Raises ModelMissingError and CheckpointError for the file, ArgumentValueError for another sample
        rate than the network's and for options out of range.
        """
        header = usable(weights, sample_rate, channels, precision)
        self.name, self.stems, self.residual_stem = header.name, header.stems, header.residual_stem
        chunk, self._ahead = _chunks(header, segment)
        self._late = header.late_times or 0
        super().__init__(
            sample_rate,
            channels,
            window_frames=header.window_frames,
            hop_frames=header.hop_frames,
            behind=header.behind_times or 0,
            ahead=0,
            held=streamed_latency(header, segment),
        )
        self.grid = chunk * header.hop_frames
        if header.behind_times is None:
            self.context_frames = ALL_FRAMES
        self._chunk = np.zeros((channels, chunk, header.window_frames // 2 + 1), np.complex64)
        if header.causal and device == "auto":
            device = "cpu"
        self._workers = Workers(header, device, precision, 0, 1, warn)
        self._running: deque[Future[Spectra]] = deque()
        self._restart()

    def _restart(self) -> None:
        for future in self._running:
            future.cancel()
        self._running.clear()
        self._stream: RunningStream | None = None
        self._filled = 0
        """Spectra in the chunk."""
        self._given = 0
        """Spectra that came."""
        self._answered = 0
        """Spectra that answers have come for; the first `late_times` of them lie before the song."""

    def _estimate(self, spectra: Spectra, last: bool) -> Iterator[Spectra]:
        self._given += spectra.shape[1]
        chunk = self._chunk.shape[1]
        ready: list[Spectra] = []
        start = 0
        while start < spectra.shape[1]:
            stop = min(spectra.shape[1], start + chunk - self._filled)
            self._chunk[:, self._filled : self._filled + stop - start] = spectra[:, start:stop]
            self._filled += stop - start
            start = stop
            if self._filled == chunk:
                ready.append(self._chunk.copy())
                self._filled = 0
        yield from self._run(ready, None)
        if not last or not self._given:
            return
        self._chunk[:, self._filled :] = 0
        ready = [self._chunk.copy()] if self._filled else []
        silent = np.zeros_like(self._chunk)
        asked = self._given - self._filled
        ready += [silent] * (-(-(self._given + self._late - asked) // chunk) - len(ready))
        yield from self._run(ready, self._given)
        while self._running:
            yield self._counted(self._running.popleft().result())

    def _run(self, chunks: list[Spectra], end: int | None) -> Iterator[Spectra]:
        """Give chunks to the network; take what is due."""
        if self._stream is None and chunks:
            self._stream = self._workers.stream(self._chunk.shape[0])
        # One spectrum at a time: the way to the other thread and back is worth it for several together.
        together = len(chunks) if self._ahead == 0 else 1
        for start in range(0, len(chunks), max(1, together)):
            assert self._stream is not None
            self._running.append(self._workers.chunks(self._stream, chunks[start : start + together], end))
            if len(self._running) > self._ahead:
                yield self._counted(self._running.popleft().result())

    def _counted(self, estimates: Spectra) -> Spectra:
        """What of an answer belongs to the song."""
        first = self._answered - self._late
        self._answered += estimates.shape[2]
        return estimates[:, :, max(0, -first) : max(0, self._given - first)]


def _chunks(header: CheckpointHeader, segment: float | None) -> tuple[int, int]:
    """Spectra in a chunk, and how many chunks are under way while another waits."""
    if header.causal:
        return (1 if segment is None else max(1, times_of(header, segment))), 0
    return (CHUNK if segment is None else max(1, times_of(header, segment) // STEP) * STEP), 1
