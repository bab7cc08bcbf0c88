"""Figures for estimates of stems against the stems themselves, summed up as a song streams by.

With s a reference, e its estimate and d = e - s, all channels and frames taken as one vector:

- SDR = 10 log10(|s|^2 / |d|^2), the whole track's, as in the Music Demixing Challenge;
- SI-SDR = 10 log10(|a s|^2 / |e - a s|^2) with a = <e, s> / |s|^2 (Le Roux et al. 2019, no mean removed);
- MSE = |d|^2 / (channels * frames), full scale being 1.

>>> tone = np.sin(np.arange(8000) / 5).astype(np.float32)[None]
>>> sums = Sums(1)
>>> sums.add(tone + 0.1, tone[None], 0.9 * tone[None])
>>> figure = sums.figures()[0]
>>> round(figure.sdr_db, 2), figure.si_sdr_db > 100
(20.0, True)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..audio import Audio, StemArray
from ..errors import ArgumentValueError

SILENT_DB = -60.0
"""A reference whose energy is below this, relative to its mix, is taken for silent (and so is the rest of the
mix where the reference is all there is)."""

_FLOOR = 1e-12
"""The smallest error relative to the reference that is told from none: -120 dB is past float32."""


@dataclass(frozen=True)
class StemFigures:
    """One stem of one song. Ratios in dB are None where the reference is silent, or all there is."""

    sdr_db: float | None
    si_sdr_db: float | None
    mse: float
    silent: bool
    alone: bool
    """Whether the mix holds nothing but this stem: its SDR would only tell again what leaks elsewhere."""
    reference_db: float | None
    """Energy of the reference relative to the mix; None for no energy at all."""
    estimate_db: float | None
    """Energy of the estimate relative to the mix: where the reference is silent, all of it is leakage."""


class Sums:
    """Running sums over one song for `stems` stems; memory does not grow."""

    def __init__(self, stems: int) -> None:
        self._mix = 0.0
        self._samples = 0
        self._reference, self._error, self._product, self._estimate, self._rest = np.zeros((5, stems))

    def add(self, mix: Audio, references: StemArray, estimates: StemArray) -> None:
        """Take the next stretch. Shape: mix `(c, n)`; references and estimates `(s, c, n)`."""
        if references.shape != estimates.shape or references.shape[1:] != mix.shape:
            raise ArgumentValueError(
                f"references, estimates and mix must be (s, c, n), (s, c, n) and (c, n); got "
                f"{references.shape}, {estimates.shape} and {mix.shape}"
            )
        wide = references.astype(np.float64)
        error = estimates - wide
        self._reference += np.einsum("scn,scn->s", wide, wide)
        self._error += np.einsum("scn,scn->s", error, error)
        self._product += np.einsum("scn,scn->s", wide, error)
        self._estimate += np.sum(np.square(estimates, dtype=np.float64), axis=(1, 2))
        self._rest += np.sum(np.square(mix - wide), axis=(1, 2))
        self._mix += float(np.sum(np.square(mix, dtype=np.float64)))
        self._samples += mix.size

    def figures(self) -> list[StemFigures]:
        """What the sums so far amount to, one row per stem."""
        return [self._figure(row) for row in range(self._reference.size)]

    def _figure(self, row: int) -> StemFigures:
        reference, error = float(self._reference[row]), float(self._error[row])
        threshold = self._mix * 10 ** (SILENT_DB / 10)
        silent, alone = reference <= threshold, bool(self._rest[row] <= threshold)
        sdr_db = si_sdr_db = None
        if not (silent or alone):
            sdr_db = ratio_db(reference, error, reference)
            # e = s + d: a = 1 + <s, d> / |s|^2, and |e - a s|^2 = |d|^2 - <s, d>^2 / |s|^2, without
            # the difference of two large numbers that |e|^2 - a^2 |s|^2 would be.
            share = float(self._product[row]) / reference
            si_sdr_db = ratio_db((1 + share) ** 2 * reference, error - share**2 * reference, reference)
        return StemFigures(
            sdr_db,
            si_sdr_db,
            error / max(self._samples, 1),
            silent,
            alone and not silent,
            _relative_db(reference, self._mix),
            _relative_db(float(self._estimate[row]), self._mix),
        )


def ratio_db(signal: float, error: float, scale: float) -> float:
    """10 log10(signal / error), neither taken for less than 1e-12 of `scale`: about -120 to 120 dB."""
    floor = _FLOOR * scale
    return float(10 * np.log10(max(signal, floor) / max(error, floor)))


def _relative_db(energy: float, mix: float) -> float | None:
    return float(10 * np.log10(energy / mix)) if energy > 0 and mix > 0 else None
