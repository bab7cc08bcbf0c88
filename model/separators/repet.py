"""REPET-SIM: what repeats is the accompaniment, what does not is the voice.

Rafii and Pardo, "Music/voice separation using the similarity matrix", ISMIR 2012, with the margin masks
of librosa's vocal separation example. For each spectrum the most similar ones that are at least
`separation_s` away are found (cosine similarity of the magnitudes, all channels together); the median
of those, bin by bin and no larger than the mix, is the repeating part.

The search reaches `window_s` to either side instead of over the whole song, so memory is flat and a
region with its context equals the slice of the whole. With a window as long as the song this is
librosa's recipe with the neighbours ranked by similarity.

Similarities are exact: unit magnitude vectors are rounded to whole numbers whose products sum to less
than 2**24, so a float32 matrix product has nothing to round and its result depends neither on the order
of summation nor on threads or BLAS. The rounding blurs a cosine by about 1e-4.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio
from ..dsp.blas import one_thread
from ..dsp.masks import TINY, Real, energy, share
from ..dsp.median import RowMedian
from ..dsp.stft import Spectra, Stft, window_at
from ..errors import ArgumentValueError
from .spectral import SpectralSeparator

BLOCK = 256
"""How many spectra are compared with the window in one matrix product."""


Neighbours = Literal["earliest", "nearest"]
"""Which of the similar spectra the median is taken over; see `Repet._neighbours`."""


class Repet(SpectralSeparator):
    """Vocals and accompaniment by repetition; training-free."""

    name: str = "repet"
    stems: tuple[str, ...] = ("accompaniment", "vocals")
    residual_stem: str = "accompaniment"

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        *,
        window_s: float = 60.0,
        separation_s: float = 2.0,
        margin_background: float = 3.0,
        margin_foreground: float = 11.0,
        power: float = 3.0,
        neighbours: Neighbours = "earliest",
        threads: int | None = None,
    ) -> None:
        """Search `window_s` to either side; `threads` (default: all cores) never changes the result."""
        if not 0 < separation_s < window_s:
            raise ArgumentValueError(
                "repet needs 0 < separation_s < window_s: neighbours are that far away, and no further; "
                f"got {separation_s} and {window_s}"
            )
        if min(margin_background, margin_foreground) < 1 or power <= 0:
            raise ArgumentValueError(
                "repet needs margins of 1 or more and a power above 0; "
                f"got {margin_background}, {margin_foreground} and {power}"
            )
        if neighbours not in get_args(Neighbours):
            raise ArgumentValueError(f"neighbours is {' or '.join(get_args(Neighbours))}; got {neighbours!r}")
        window = window_at(sample_rate)
        hop = window // 4
        self._reach = math.ceil(window_s * sample_rate / hop)
        self._separation = max(1, int(separation_s * sample_rate / hop))
        self._margins = margin_background, margin_foreground
        self._power = power
        self._neighbour_rule = neighbours
        bins = window // 2 + 1
        self._channel_bins = channels, bins
        width = channels * bins
        # A rounded vector is longer than `scale` by at most half a unit per element, in quadrature.
        self._scale = np.float32(4095 - 0.5 * math.sqrt(width))
        self._rows = 2 * (self._reach + BLOCK)
        # Rings as long as the window. The mix itself waits as audio and is transformed once more.
        self._magnitudes = np.empty((self._rows, width), np.float32)
        self._units = np.empty((self._rows, width), np.int16)
        self._inverse_norms = np.empty(self._rows, np.float32)
        self._products = np.empty((BLOCK, self._rows), np.float32)
        self._late_audio: deque[Audio] = deque()
        self._late_analysis = Stft(window, hop, channels)
        self._threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads)
        super().__init__(
            sample_rate,
            channels,
            window_frames=window,
            hop_frames=hop,
            behind=self._reach,
            ahead=self._reach,
            held=BLOCK,
            piece=BLOCK,
        )
        self._restart()

    def _restart(self) -> None:
        self._known = 0  # spectra that came
        self._done = 0  # spectra whose estimates went out
        self._late_audio.clear()
        self._late_analysis.reset()
        self._late_spectra = np.empty((self._channel_bins[0], 0, self._channel_bins[1]), np.complex64)

    def _analyse(self, piece: Audio) -> Spectra:
        self._late_audio.append(piece.copy())
        return super()._analyse(piece)

    def _late(self, count: int) -> Spectra:
        """The next `count` spectra of the mix, whose turn has come. Shape `(channels, count, bins)`."""
        while self._late_spectra.shape[1] < count:
            more = (
                self._late_analysis.push(self._late_audio.popleft())
                if self._late_audio
                else self._late_analysis.flush()
            )
            self._late_spectra = np.concatenate([self._late_spectra, more], axis=1)
        spectra, self._late_spectra = np.split(self._late_spectra, [count], axis=1)
        return spectra

    def _estimate(self, spectra: Spectra, last: bool) -> Iterator[Spectra]:
        for start in range(0, spectra.shape[1], BLOCK):
            self._remember(spectra[:, start : start + BLOCK])
            while self._known - self._reach - self._done >= BLOCK:
                yield self._separate(BLOCK)
        while last and self._done < self._known:
            yield self._separate(min(BLOCK, self._known - self._done))

    def _remember(self, spectra: Spectra) -> None:
        """Store spectra, magnitudes and rounded unit vectors in the ring."""
        count = spectra.shape[1]
        rows = np.arange(self._known, self._known + count) % self._rows
        flat = np.ascontiguousarray(spectra.swapaxes(0, 1)).reshape(count, -1)
        squares = energy(flat)
        magnitudes = np.sqrt(squares)
        norms = np.sqrt(np.add.reduce(squares, axis=1))
        units = np.rint(magnitudes * (self._scale / np.maximum(norms, TINY))[:, None])
        lengths = np.sqrt(np.add.reduce(units * units, axis=1))  # whole numbers below 2**24: exact
        self._magnitudes[rows] = magnitudes
        self._units[rows] = units
        self._inverse_norms[rows] = np.where(lengths > 0, 1 / np.maximum(lengths, 1), 0)
        self._known += count

    def _separate(self, count: int) -> Spectra:
        """Estimate the next `count` spectra, at most BLOCK."""
        first = self._done
        start: int = max(0, first - self._reach)
        stop: int = min(self._known, first + count + self._reach)
        columns = np.arange(start, stop) % self._rows
        products = self._products[:count, : stop - start]
        units = self._units[columns[first - start :][:count]].astype(np.float32)

        def compare(k: int) -> None:
            others = self._units[columns[k : k + BLOCK]].astype(np.float32)
            np.matmul(units, others.T, out=products[:, k : k + BLOCK])

        with one_thread():
            list(self._pool.map(compare, range(0, stop - start, BLOCK)))
        products *= self._inverse_norms[columns]

        channels, bins = self._channel_bins
        estimates = np.empty((2, channels, count, bins), np.complex64)
        spectra = self._late(count)

        def work(part: range) -> None:
            median = RowMedian(channels * bins)
            for k in part:
                here = first + k
                low, high = max(start, here - self._reach), min(stop, here + self._reach + 1)
                near = self._neighbours(products[k, low - start : high - start], here - low)
                mix = spectra[:, k].reshape(-1)
                background, foreground = self._masks(median, mix, columns[near + (low - start)])
                estimates[0, :, k] = (background * mix).reshape(channels, bins)
                estimates[1, :, k] = (foreground * mix).reshape(channels, bins)

        list(self._pool.map(work, [range(t, count, self._threads) for t in range(self._threads)]))
        self._done += count
        return estimates

    def _neighbours(self, similarities: Real, here: int) -> NDArray[np.intp]:
        """The places of the spectra that place `here` is compared with, in order of time.

        As many as librosa takes by default, k = 2 * ceil(sqrt(n - 2 * separation + 1)) of n spectra in the
        window. Rule `nearest`: the k most similar ones at least `separation_s` away. Rule `earliest`: the
        first k in time of such ones among the k + 2 * separation most similar.
        """
        n = len(similarities)
        k = 2 * math.ceil(math.sqrt(max(1, n - 2 * self._separation + 1)))
        near = slice(max(0, here - self._separation + 1), here + self._separation)
        if self._neighbour_rule == "nearest":
            similarities[near] = -1
            away = n - int(np.count_nonzero(similarities < 0))
            return np.flatnonzero(_largest(similarities, min(away, k)))
        chosen = _largest(similarities, min(n - 1, k + 2 * self._separation))
        chosen[near] = False
        return np.flatnonzero(chosen)[:k]

    def _masks(self, median: RowMedian, mix: Spectra, rows: NDArray[np.intp]) -> tuple[Real, Real]:
        """Background and foreground masks of one spectrum whose neighbours are in these rows of the ring."""
        magnitude = np.sqrt(energy(mix))
        if len(rows) == 0:  # nothing to compare with: all of it may repeat
            return np.ones_like(magnitude), np.zeros_like(magnitude)
        repeating = np.minimum(median(self._magnitudes, rows), magnitude)
        rest = magnitude - repeating
        return (
            share(repeating, rest, self._power, self._margins[0]),
            share(rest, repeating, self._power, self._margins[1]),
        )


def _largest(values: Real, count: int) -> NDArray[np.bool_]:
    """Which values are the `count` largest; among equals the earlier ones."""
    if count <= 0:
        return np.zeros(len(values), np.bool_)
    bound = np.partition(values, len(values) - count)[len(values) - count]
    chosen: NDArray[np.bool_] = values > bound
    ties = np.flatnonzero(values == bound)
    chosen[ties[: count - int(np.count_nonzero(chosen))]] = True
    return chosen
