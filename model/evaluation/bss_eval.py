"""BSSEval version 4: SDR, ISR, SIR and SAR second by second, with one set of filters for the song.

An estimate e of the reference s_j is split (Vincent, Gribonval and Fevotte 2006) by projecting it on
copies of the references delayed by 0 to 511 frames, all channels together: P_j e on those of s_j alone,
P e on those of all references. Then

    SDR = |s_j|^2 / |e - s_j|^2                 ISR = |s_j|^2 / |P_j e - s_j|^2
    SIR = |P_j e|^2 / |P e - P_j e|^2           SAR = |P e|^2 / |e - P e|^2

in dB. Version 4 (Stoeter, Liutkus and Ito 2018) finds the filters over the whole song and applies them in
windows of one second that do not overlap, each taken by itself with silence around it. A window in which
any reference or estimate is silent counts for none of them. Figures are those of the package `museval`
0.4.1; its definitions are kept, its way is not: here correlations are summed block by block in the
frequency domain, the normal equations are solved once for all estimates, and energies are taken from
spectra (Parseval). That is more than ten times as fast, and memory does not grow with the song.

Axes: s references (estimates likewise), c channels, n frames, r rows (references by channels, e estimates
likewise), f frequency bins, l taps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..audio import StemArray
from ..errors import ArgumentValueError

TAPS = 512
"""Length of the distortion filters, in frames at any rate."""

_FFT = 8192
_BATCH = 8  # blocks correlated at once
_WORST, _BEST = -300.0, 300.0

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]
Pairs = Iterable[tuple[StemArray, StemArray]]
"""References and estimates, stretch by stretch, in step. Shape of both: `(s, c, n)`."""


@dataclass(frozen=True)
class BssFigures:
    """Ratios in dB: by window, NaN where something is silent. Shape: `(s, windows)` each."""

    sdr_db: Real
    isr_db: Real
    sir_db: Real
    sar_db: Real

    def medians(self) -> list[dict[str, float] | None]:
        """The median over windows for each stem, by figure; None where no window counts."""
        names = ("sdr_db", "isr_db", "sir_db", "sar_db")
        counted = ~np.isnan(self.sdr_db)
        return [
            {name: float(np.median(getattr(self, name)[row, mask])) for name in names} if mask.any() else None
            for row, mask in enumerate(counted)
        ]


def bss_eval(
    pairs: Callable[[], Pairs], stems: int, channels: int, window_frames: int, taps: int = TAPS
) -> BssFigures:
    """Score the estimates of one song against its references.

    `pairs` is called twice, once to find the filters and once to score; the stretches it gives may be of
    any lengths. `window_frames` is one second of frames. References must not be silent throughout.

    Raises ArgumentValueError when there are no frames.
    """
    filters = _Filters.of(pairs(), stems, channels, taps)
    columns = [filters.scores(*window) for window in _windows(pairs(), window_frames)]
    if not columns:
        raise ArgumentValueError("BSSEval needs audio: there are no frames")
    return BssFigures(*np.stack(columns, axis=-1))


def _windows(pairs: Pairs, frames: int) -> Iterator[tuple[StemArray, StemArray]]:
    """Whole windows of `frames`; the rest at the end only where there is no whole one."""
    parts: list[StemArray] = []
    held, given = 0, False
    for references, estimates in pairs:
        if references.shape != estimates.shape:
            raise ArgumentValueError(
                f"references and estimates must be alike; got {references.shape} and {estimates.shape}"
            )
        parts.append(np.stack([references, estimates]))
        held += references.shape[2]
        if held >= frames:
            both = np.concatenate(parts, axis=3)
            whole = held - held % frames
            for start in range(0, whole, frames):
                given = True
                yield tuple(both[..., start : start + frames])
            parts, held = [both[..., whole:]], held - whole
    if held and not given:
        yield tuple(np.concatenate(parts, axis=3))


class _Filters:
    """The filters that project each estimate on all references, and on its own reference alone."""

    def __init__(self, on_all: Real, on_own: Real) -> None:
        self._on_all = on_all
        """Shape: `(r, l, e)`."""
        self._on_own = on_own
        """Shape: `(s, c, l, c)`."""
        self._fft = 0

    @classmethod
    def of(cls, pairs: Pairs, stems: int, channels: int, taps: int) -> _Filters:
        """Solve the normal equations of the whole song."""
        rows = stems * channels
        lags = _Lags(rows, taps)
        for references, estimates in pairs:
            lags.push(references.reshape(rows, -1), estimates.reshape(rows, -1))
        products = lags.finish()  # (r, 2r, l)
        among, against = products[:, :rows], products[:, rows:]
        everything = _solve(_gram(among), against)
        own = np.empty((stems, channels, taps, channels))
        for stem in range(stems):
            of = slice(stem * channels, (stem + 1) * channels)
            own[stem] = _solve(_gram(among[of, of]), against[of, of])
        return cls(everything, own)

    def scores(self, references: StemArray, estimates: StemArray) -> Real:
        """SDR, ISR, SIR and SAR of each stem in one window. Shape: `(s, c, n)` twice, to `(4, s)`."""
        from scipy.fft import rfft

        stems, channels, frames = references.shape
        # museval's way: a sound whose channels cancel each other is silent, too
        silent = [not np.any(sound.sum(axis=0, dtype=np.float64)) for sound in (*references, *estimates)]
        if any(silent):
            return np.full((4, stems), np.nan)
        self._prepare(frames)
        true = rfft(references.astype(np.float64), self._fft)  # (s, c, f)
        given = rfft(estimates.astype(np.float64), self._fft)
        on_own = np.einsum("sacf,saf->scf", self._own, true)
        flat = true.reshape(stems * channels, -1)
        on_all = np.einsum("ref,rf->ef", self._all, flat).reshape(true.shape)
        energy = self._energy
        return np.stack(
            [
                _decibels(energy(true), energy(given - true)),
                _decibels(energy(true), energy(on_own - true)),
                _decibels(energy(on_own), energy(on_all - on_own)),
                _decibels(energy(on_all), energy(given - on_all)),
            ]
        )

    def _prepare(self, frames: int) -> None:
        """The filters' spectra for windows of that length, which hold all that filtering makes of them."""
        from scipy.fft import next_fast_len, rfft

        size = next_fast_len(frames + self._on_all.shape[1] - 1, real=True)
        if size != self._fft:
            self._fft = size
            self._all = np.ascontiguousarray(np.moveaxis(rfft(self._on_all, size, axis=1), 1, 2))
            self._own = np.ascontiguousarray(np.moveaxis(rfft(self._on_own, size, axis=2), 2, 3))

    def _energy(self, spectra: Complex) -> Real:
        """The energy of the sounds that have these spectra. Shape: `(s, c, f)` to `(s,)`."""
        power = spectra.real**2 + spectra.imag**2
        edges = power[..., 0] + (power[..., -1] if self._fft % 2 == 0 else 0)
        total = 2 * power.sum(axis=-1) - edges
        return np.asarray(total.sum(axis=-1) / self._fft)


class _Lags:
    """Sums of products of delayed rows a with rows b: sum over t of a[t - l] b[t], l from 0 on."""

    def __init__(self, rows: int, taps: int) -> None:
        self._rows, self._taps = rows, taps
        self._block = _FFT - taps + 1
        bins = _FFT // 2 + 1
        self._spectrum = np.zeros((bins, rows, 2 * rows), np.complex128)
        # what a block needs from before it
        self._held = np.zeros((2 * rows, taps - 1), np.float32)

    def push(self, a: NDArray[np.float32], b: NDArray[np.float32]) -> None:
        """Add the next frames. Shape: `(rows, n)` twice; b is joined by a itself."""
        self._held = np.concatenate([self._held, np.concatenate([a, b])], axis=1)
        step = self._block * _BATCH
        while self._held.shape[1] - (self._taps - 1) >= step:
            self._add(_BATCH)

    def finish(self) -> Real:
        """The sums. Shape: `(rows, 2 * rows, taps)`."""
        from scipy.fft import irfft

        left = self._held.shape[1] - (self._taps - 1)
        if left:
            blocks = -(-left // self._block)
            padding = blocks * self._block - left
            self._held = np.pad(self._held, ((0, 0), (0, padding)))
            self._add(blocks)
        # Entry k is the sum over t of a[t + k - (taps - 1)] b[t].
        lagged = irfft(np.moveaxis(self._spectrum, 0, 2), _FFT)
        return np.asarray(lagged[:, :, self._taps - 1 :: -1])

    def _add(self, blocks: int) -> None:
        from scipy.fft import rfft

        before = self._taps - 1
        used = self._held[:, : before + blocks * self._block].astype(np.float64)
        views = np.lib.stride_tricks.sliding_window_view(used[: self._rows], _FFT, axis=1)
        delayed = rfft(views[:, :: self._block], axis=2)  # (r, k, f)
        now = rfft(used[:, before:].reshape(2 * self._rows, blocks, self._block), _FFT, axis=2)
        # (f, r, k) times (f, k, 2r), k blocks
        self._spectrum += np.ascontiguousarray(delayed.transpose(2, 0, 1)) @ np.conj(now).transpose(2, 1, 0)
        self._held = self._held[:, blocks * self._block :]


def _gram(products: Real) -> Real:
    """Products of every delayed row with every other: Toeplitz blocks. Shape: `(r, r, l)` to `(rl, rl)`."""
    rows, _, taps = products.shape
    # at (p, q) of block (a, b): sum of a[t - p] b[t - q], which is ab[p - q] or ba[q - p]
    both = np.concatenate([products.transpose(1, 0, 2)[:, :, :0:-1], products], axis=2)
    gram = np.empty((rows, taps, rows, taps))
    for a in range(rows):
        for b in range(rows):
            views = np.lib.stride_tricks.sliding_window_view(both[a, b], taps)  # row p starts at lag p - 511
            gram[a, :, b, :] = views[:, ::-1]
    return gram.reshape(rows * taps, rows * taps)


def _solve(gram: Real, against: Real) -> Real:
    """Filters for each estimate. Shape: `(rl, rl)` and `(r, e, l)` to `(r, l, e)`."""
    rows, estimates, taps = against.shape
    wanted = against.transpose(0, 2, 1).reshape(rows * taps, estimates)
    # museval adds as little; more is only taken where rows are copies of each other
    gram.flat[:: len(gram) + 1] += np.finfo(float).eps
    try:
        filters = np.linalg.solve(gram, wanted)
    except np.linalg.LinAlgError:
        gram.flat[:: len(gram) + 1] += 1e-12 * float(np.trace(gram)) / len(gram)
        filters = np.linalg.solve(gram, wanted)
    return np.asarray(filters.reshape(rows, taps, estimates))


def _decibels(signal: Real, error: Real) -> Real:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.clip(10 * np.log10(signal / error), _WORST, _BEST))
