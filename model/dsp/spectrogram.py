"""A spectrogram small enough to look at, however long the sound: reduced as it streams."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio
from ..errors import ArgumentTypeError, ArgumentValueError, StateError

Scale = Literal["linear", "log"]

MAX_COLUMNS = 2000
_ROWS = 512
_LOWEST_HZ = 30.0  # where the logarithmic scale starts
_SMALLEST_HOP_S = 0.002
_BATCH = 64  # transforms at once
_FLOOR = 1e-14  # -140 dB


def window_frames(sample_rate: int, scale: Scale) -> int:
    """The length of the windows: the logarithmic scale needs narrow bins for its low octaves."""
    return 1 << round(math.log2((0.046 if scale == "linear" else 0.093) * sample_rate))


class Spectrogram:
    """Power over time and frequency of one signal of known length, at most 2000 columns wide.

    A column is the mean power of the windows centred in it; a row is the largest bin inside it, or lies
    between two bins where rows are narrower. 0 dB is a sine at full scale. Channels are averaged by power,
    so nothing cancels. Memory does not grow with `frames`. An excerpt may be given with the `before` and
    `after` frames around it, at most half a window, so that its edges look as they do in the whole.

    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(44100) / 44100).astype(np.float32)[None]
    >>> picture = Spectrogram(44100, 1, 44100)
    >>> picture.push(tone)
    >>> level_db = picture.finish()
    >>> bool(abs(level_db[:, 250].max()) < 1.5), round(float(picture.row_hz[level_db[:, 250].argmax()]), -2)
    (True, 1000.0)
    """

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        frames: int,
        *,
        scale: Scale = "linear",
        before: int = 0,
        after: int = 0,
    ) -> None:
        if frames < 1:
            raise StateError("there is no audio to draw: the region has 0 frames")
        self._size = window_frames(sample_rate, scale)
        if not 0 <= before <= self._size // 2 or after < 0:
            raise ArgumentValueError(f"0 to {self._size // 2} frames can go before; got {before}")
        self._channels = channels
        self._frames = frames
        self.columns = min(MAX_COLUMNS, max(1, round(frames / (_SMALLEST_HOP_S * sample_rate))))
        self._hop = max(1, min(self._size // 2, frames // self.columns))
        self._window = np.hanning(self._size + 1)[:-1].astype(np.float32)
        self._to_full_scale = float((2.0 / self._window.sum()) ** 2 / channels)
        self._rows = _Rows(self._size, sample_rate, scale)
        self.row_hz = self._rows.centres
        """The frequency in the middle of each row, rising."""
        self._sum = np.zeros((self.columns, self.row_hz.size), np.float64)
        self._count = np.zeros(self.columns, np.int64)
        self._expected = before + frames + after
        self._held = np.zeros((channels, self._size // 2 - before), np.float32)
        self._first = 0  # the window whose first frame is the first one held
        self._pushed = 0

    def push(self, audio: Audio) -> None:
        """Add the next block. Shape: `(channels, n)`, n >= 0. Raises StateError past the promised length."""
        if audio.ndim != 2 or audio.shape[0] != self._channels:
            raise ArgumentTypeError(f"audio must be ({self._channels}, frames); got {audio.shape}")
        self._pushed += audio.shape[1]
        if self._pushed > self._expected:
            raise self._other_length()
        self._held = np.concatenate([self._held, audio], axis=1)
        self._transform()

    def finish(self) -> NDArray[np.float32]:
        """The level in dB. Shape: `(rows, columns)`. Raises StateError before all frames have come."""
        if self._pushed != self._expected:
            raise self._other_length()
        self._held = np.pad(self._held, ((0, 0), (0, self._size)))
        self._transform()
        mean = self._sum / np.maximum(self._count, 1)[:, None]
        return (10.0 * np.log10(np.maximum(mean, _FLOOR))).astype(np.float32).T

    def _other_length(self) -> StateError:
        return StateError(f"the spectrogram was promised {self._expected} frames; {self._pushed} came")

    def _transform(self) -> None:
        """Use up every whole window that is held; window n is centred on frame n * hop."""
        ready = (self._held.shape[1] - self._size) // self._hop + 1
        ready = min(ready, -(-self._frames // self._hop) - self._first)
        if ready <= 0:
            return
        views = np.lib.stride_tricks.sliding_window_view(self._held, self._size, axis=1)[:, :: self._hop]
        for start in range(0, ready, _BATCH):
            windows = views[:, start : min(start + _BATCH, ready)]
            spectra = np.fft.rfft(windows * self._window, axis=2)
            power = (spectra.real**2 + spectra.imag**2).sum(axis=0) * self._to_full_scale
            centres = (self._first + start + np.arange(power.shape[0])) * self._hop
            self._add(self._rows.reduce(power), centres * self.columns // self._frames)
        self._first += ready
        self._held = self._held[:, ready * self._hop :].copy()

    def _add(self, rows: NDArray[np.float32], columns: NDArray[np.int64]) -> None:
        starts = np.concatenate([[0], np.flatnonzero(np.diff(columns)) + 1])
        self._sum[columns[starts]] += np.add.reduceat(rows, starts, axis=0)
        self._count[columns[starts]] += np.diff(np.append(starts, columns.size))


class _Rows:
    """Bins into rows: interpolated where rows are narrower than bins, the largest where they are wider."""

    def __init__(self, size: int, sample_rate: int, scale: Scale) -> None:
        bin_hz, highest = sample_rate / size, sample_rate / 2.0
        if scale == "linear":
            edges = np.linspace(0.0, highest, min(_ROWS, size // 2) + 1)
            self.centres = (edges[:-1] + edges[1:]) / 2
        else:
            edges = np.geomspace(_LOWEST_HZ, highest, _ROWS + 1)
            self.centres = np.sqrt(edges[:-1] * edges[1:])
        wide = np.diff(edges) >= bin_hz
        self._wide_from = int(np.argmax(wide)) if wide.any() else wide.size
        narrow = self.centres[: self._wide_from] / bin_hz
        self._below = np.floor(narrow).astype(np.int64)
        self._share = (narrow - self._below).astype(np.float32)
        # A wide row holds at least one bin: those from its lower edge to the next row's.
        self._starts = np.ceil(edges[self._wide_from : -1] / bin_hz - 1e-9).astype(np.int64)

    def reduce(self, power: NDArray[np.float32]) -> NDArray[np.float32]:
        """Shape: `(windows, bins)` in, `(windows, rows)` out."""
        below, above = power[:, self._below], power[:, self._below + 1]
        narrow = below + self._share * (above - below)
        if not self._starts.size:
            return narrow
        return np.concatenate([narrow, np.maximum.reduceat(power, self._starts, axis=1)], axis=1)
