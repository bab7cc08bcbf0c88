"""Threads on which a network runs, and what every stream through a network has to settle first.

torch is imported when the first thread starts.
"""

from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from ..checkpoint import CheckpointHeader, read_header
from ..dsp.stft import Spectra
from ..errors import ArgumentValueError

if TYPE_CHECKING:
    from .network_runner import NetworkRunner, RunningStream

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

STEP = 8
"""Segments are cut at multiples of so many spectra, for networks see two or more of them as one."""

Warn = Callable[[str], None]
"""Tells the user something, in a sentence."""


class Workers:
    """Threads on which a network runs; they go when this goes, and nothing starts before it is needed."""

    def __init__(
        self,
        header: CheckpointHeader,
        device: str,
        precision: Precision,
        context_times: int,
        parallel: int,
        warn: Warn | None,
    ) -> None:
        self._runner_of = header, device, precision, context_times, warn or _as_warning
        self._parallel = parallel
        self._runner: NetworkRunner | None = None
        self._pool: ThreadPoolExecutor | None = None

    def segment(self, spectra: Spectra) -> Future[Spectra]:
        """Begin with a segment; see `NetworkRunner.segment`."""
        pool, runner = self._started()
        return pool.submit(runner.segment, spectra)

    def stream(self, channels: int) -> RunningStream:
        """Begin a stream."""
        return self._started()[1].stream(channels)

    def chunks(self, stream: RunningStream, chunks: Sequence[Spectra], end: int | None) -> Future[Spectra]:
        """Push chunks into a stream, one by one; `end` is how many spectra there are in all, once known."""
        return self._started()[0].submit(
            lambda: np.concatenate([stream.push(chunk, end) for chunk in chunks], axis=2)
        )

    def _started(self) -> tuple[ThreadPoolExecutor, NetworkRunner]:
        if self._pool is None or self._runner is None:
            from .network_runner import use_one_thread

            self._runner = _runner(*self._runner_of)
            threads = min(self._parallel, os.cpu_count() or 1) if self._runner.device == "cpu" else 1
            self._pool = ThreadPoolExecutor(threads, "network", initializer=use_one_thread)
            weakref.finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)
        return self._pool, self._runner


def _runner(
    header: CheckpointHeader, device: str, precision: Precision, context_times: int, warn: Warn
) -> NetworkRunner:
    from .network_runner import NetworkRunner
    from .torch_runner import torch_device

    where = torch_device(device).type
    return NetworkRunner.of(header, device=where, precision=precision, context_times=context_times, warn=warn)


def usable(weights: Path | str, sample_rate: int, channels: int, precision: str) -> CheckpointHeader:
    """The header of a checkpoint that can be run in such a stream."""
    header = read_header(weights)
    if sample_rate != header.sample_rate:
        raise ArgumentValueError(
            f"{header.name} runs at {header.sample_rate} Hz; got {sample_rate} Hz: "
            "resample, as create_separator does"
        )
    if channels not in (1, 2) or header.channels not in (1, 2):
        raise ArgumentValueError(
            f"networks run on 1 or 2 channels; {header.name} sees {header.channels}, "
            f"the stream has {channels}"
        )
    if precision not in PRECISIONS:
        raise ArgumentValueError(f"precision is one of {', '.join(PRECISIONS)}; got {precision!r}")
    return header


def times_of(header: CheckpointHeader, seconds: float) -> int:
    """Seconds as spectra."""
    if not 0 < seconds <= 600:
        raise ArgumentValueError(f"a segment is up to 600 seconds long, and more than 0; got {seconds:g}")
    return round(seconds * header.sample_rate / header.hop_frames)


def _as_warning(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)
