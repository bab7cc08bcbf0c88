"""What separators are measured against: the mix itself, and ideal masks that are told the stems.

Axes: s stems, c channels, t times (spectra), f frequency bins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from ..audio import Audio, StemArray
from ..dsp.masks import TINY
from ..dsp.stft import Istft, Spectra, Stft, window_at

STEMS = ("drums", "bass", "other", "vocals")


class Yardstick(Protocol):
    """Something that makes estimates of a song's stems, and may look at the stems."""

    def push(self, mix: Audio, stems: StemArray) -> StemArray:
        """Take a block of mix and stems, return finished frames.

        Shape: `(c, n)` and `(s, c, n)` to `(s, c, m)`.
        """

    def flush(self) -> StemArray | None:
        """End the song: return the rest."""


class Mixture:
    """The mix, or a fixed part of it, as every stem."""

    def __init__(self, part: float) -> None:
        self._part = np.float32(part)

    def push(self, mix: Audio, stems: StemArray) -> StemArray:
        """The part of the mix. Shape: `(c, n)` and `(s, c, n)` to `(s, c, n)`."""
        return np.broadcast_to(mix * self._part, stems.shape).copy()

    def flush(self) -> StemArray | None:
        """Nothing is held back."""
        return None


class IdealMask:
    """The best that masks on the magnitudes of the mix can do; they are computed from the true stems.

    The ratio mask of a stem is its share of the summed magnitudes at each bin (power 1) for each channel;
    the binary mask gives each bin to the largest. STFT 4096/1024 at 44.1 kHz. What the mix holds besides
    the stems takes part as one more of them.
    """

    def __init__(self, sample_rate: int, channels: int, stems: int, *, binary: bool) -> None:
        window = window_at(sample_rate, 4096)
        self._stems, self._channels, self._binary = stems, channels, binary
        self._stft = Stft(window, window // 4, (1 + stems) * channels)
        self._istft = Istft(window, window // 4, stems * channels)
        self._frames = 0

    def push(self, mix: Audio, stems: StemArray) -> StemArray:
        """Estimates as far as windows are filled. Shape: `(c, n)` and `(s, c, n)` to `(s, c, ready)`."""
        self._frames += mix.shape[1]
        rows = np.concatenate([mix, stems.reshape(-1, mix.shape[1])])
        return self._shaped(self._istft.push(self._masked(self._stft.push(rows))))

    def flush(self) -> StemArray | None:
        """The rest."""
        tail = self._istft.push(self._masked(self._stft.flush()))
        return self._shaped(np.concatenate([tail, self._istft.flush(self._frames)], axis=1))

    def _masked(self, spectra: Spectra) -> Spectra:
        mix, flat = spectra[: self._channels], spectra[self._channels :]
        stems = flat.reshape(self._stems, self._channels, *flat.shape[1:])  # (s, c, t, f)
        sizes = np.abs(np.concatenate([stems, (mix - stems.sum(axis=0))[None]]))
        if self._binary:
            largest = sizes.argmax(axis=0)
            masks = np.stack([largest == row for row in range(self._stems)]).astype(np.float32)
        else:
            # rounding dust of a rest that is none would be all there is in bins that are silent
            sizes[-1][sizes[-1] < 1e-5 * sizes.max(axis=0)] = 0
            masks = sizes[:-1] / np.maximum(sizes.sum(axis=0), TINY)
        return np.asarray(masks * mix, np.complex64).reshape(flat.shape)

    def _shaped(self, audio: Audio) -> StemArray:
        return audio.reshape(self._stems, self._channels, -1)


MakeYardstick = Callable[[int, int], Yardstick]
"""Sample rate and channels in."""

BASELINES: dict[str, MakeYardstick] = {
    "mixture": lambda rate, channels: Mixture(1),
    f"mixture/{len(STEMS)}": lambda rate, channels: Mixture(1 / len(STEMS)),
}
"""By the names they have in tables; for `STEMS`."""

ORACLES: dict[str, MakeYardstick] = {
    "oracle IRM": lambda rate, channels: IdealMask(rate, channels, len(STEMS), binary=False),
    "oracle IBM": lambda rate, channels: IdealMask(rate, channels, len(STEMS), binary=True),
}
"""Likewise."""
