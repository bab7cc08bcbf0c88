"""Four stems without training: tonal or hit, centre or side, and where in the spectrum.

Every bin of the mix is weighed on two scales. Tonal against hit is median-filter separation (Fitzgerald
2010, see hpss.py) on the energy of all channels together. Centre against side is how alike the channels
are, phase included (after Avendano, "Frequency-domain source identification and manipulation in stereo
mixes", WASPAA 2003): the lead voice, bass, kick and snare are mixed to the centre, the rest is spread.

That makes four kinds of sound, and SHARES says what each kind is likely to be at each frequency. A bin is
given to the stems in these shares, as a Wiener filter would with so much knowledge, and they add up to
one: the estimates add up to the mix. The shares are rounded guesses about records in general, not a fit;
soft ones score better than deciding. One channel has no sides: its bins count as half centre, half side.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..dsp.masks import TINY, Real, energy, share
from ..dsp.median import RunningMedian, along_frequency
from ..dsp.stft import Spectra, window_at
from .spectral import SpectralSeparator

CORNERS_HZ = (60, 120, 200, 300, 3000, 6000, 12000)
"""Where SHARES has its columns; in between they follow the logarithm of frequency, outside the last."""

SHARES = {
    # kind:          drums, bass, other, vocals at each of the corners
    "tonal centre": (
        (0.3, 0.6, 0.1, 0.0),
        (0.3, 0.6, 0.1, 0.0),
        (0.1, 0.5, 0.3, 0.1),
        (0.1, 0.1, 0.3, 0.5),
        (0.1, 0.0, 0.4, 0.5),
        (0.4, 0.0, 0.3, 0.3),
        (0.7, 0.0, 0.1, 0.2),
    ),
    "tonal side": (
        (0.3, 0.6, 0.1, 0.0),
        (0.3, 0.5, 0.2, 0.0),
        (0.1, 0.2, 0.6, 0.1),
        (0.0, 0.0, 0.8, 0.2),
        (0.0, 0.0, 0.8, 0.2),
        (0.3, 0.0, 0.5, 0.2),
        (0.6, 0.0, 0.2, 0.2),
    ),
    "hit centre": (
        (0.8, 0.2, 0.0, 0.0),
        (0.8, 0.2, 0.0, 0.0),
        (0.8, 0.1, 0.1, 0.0),
        (0.7, 0.0, 0.2, 0.1),
        (0.6, 0.0, 0.2, 0.2),
        (0.7, 0.0, 0.1, 0.2),
        (0.8, 0.0, 0.0, 0.2),
    ),
    "hit side": (
        (0.8, 0.2, 0.0, 0.0),
        (0.8, 0.1, 0.1, 0.0),
        (0.7, 0.1, 0.2, 0.0),
        (0.5, 0.0, 0.4, 0.1),
        (0.5, 0.0, 0.4, 0.1),
        (0.6, 0.0, 0.2, 0.2),
        (0.8, 0.0, 0.0, 0.2),
    ),
}

TONAL_FRAMES = 9
"""Length of the median along time, in hops of 23 ms: a tone lasts longer than half of it."""
HIT_BINS = 31
"""Length of the median along frequency, in bins of 10.8 Hz: a hit is wider than half of it."""
HIT_MARGIN = 0.75
"""How much a hit counts against a tone: plucked and sung onsets are hits too, though not of drums."""


class Classic(SpectralSeparator):
    """Drums, bass, other and vocals; training-free."""

    name: str = "classic"
    stems: tuple[str, ...] = ("drums", "bass", "other", "vocals")
    residual_stem: str = "other"

    def __init__(self, sample_rate: int, channels: int) -> None:
        window = window_at(sample_rate, 4096)
        # (stems, bins) for each kind of sound
        frequencies = np.asarray(np.arange(window // 2 + 1) * (sample_rate / window), np.float64)
        self._shares = {kind: _shares_at(frequencies, rows) for kind, rows in SHARES.items()}
        self._along_time = RunningMedian(TONAL_FRAMES)
        self._waiting = np.zeros((channels, 0, window // 2 + 1), np.complex64)
        super().__init__(
            sample_rate,
            channels,
            window_frames=window,
            hop_frames=window // 4,
            behind=TONAL_FRAMES // 2,
            ahead=TONAL_FRAMES // 2,
            held=self._along_time.latency - TONAL_FRAMES // 2,
            piece=32,
        )

    def _restart(self) -> None:
        self._along_time.reset()
        self._waiting = self._waiting[:, :0]

    def _estimate(self, spectra: Spectra, last: bool) -> Iterator[Spectra]:
        tones = self._along_time.push(np.sqrt(energy(spectra).sum(axis=0)), last)
        waiting = np.concatenate([self._waiting, spectra], axis=1)
        mix, self._waiting = waiting[:, : len(tones)], waiting[:, len(tones) :].copy()
        total = energy(mix).sum(axis=0)
        tonal = share(tones, along_frequency(np.sqrt(total), HIT_BINS), margin=HIT_MARGIN)
        centre = _centredness(mix, total)

        estimates = np.empty((len(self.stems), *mix.shape), np.complex64)
        for k in range(len(self.stems)):
            table = {kind: rows[k] for kind, rows in self._shares.items()}
            # tonal * (centre * a + (1 - centre) * b) + (1 - tonal) * (centre * c + (1 - centre) * d)
            tone = table["tonal side"] + centre * (table["tonal centre"] - table["tonal side"])
            hit = table["hit side"] + centre * (table["hit centre"] - table["hit side"])
            np.multiply(mix, hit + tonal * (tone - hit), out=estimates[k])
        yield estimates


def _centredness(spectra: Spectra, total: Real) -> Real:
    """How much each bin belongs to the centre, 0 to 1, from `(channels, times, bins)`.

    Two channels: 2 Re(L R*) / (|L|^2 + |R|^2), which is 1 for equal ones, 0 for hard-panned or unrelated
    ones and negative out of phase, to the 16th power: only what is really alike counts. More channels:
    the mean over all pairs in the same sense.
    """
    channels = len(spectra)
    if channels == 1:
        return np.full(total.shape, 0.5, np.float32)
    together = energy(spectra.sum(axis=0)) - total
    alike: Real = np.asarray(together / np.maximum((channels - 1) * total, TINY))
    np.clip(alike, 0.0, 1.0, out=alike)
    for _ in range(4):
        alike *= alike
    return alike


def _shares_at(frequencies: NDArray[np.float64], rows: tuple[tuple[float, ...], ...]) -> Real:
    """One kind's shares at the given frequencies. Shape `(stems, bins)`."""
    place = np.log(np.maximum(frequencies, 1.0))
    corners = np.log(CORNERS_HZ)
    columns = [np.interp(place, corners, column) for column in zip(*rows, strict=True)]
    return np.asarray(columns, np.float32)
