"""What becomes of the sound that no estimate claims: from raw estimates s to the stems s' of a policy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .audio import Audio, StemArray, as_rows
from .dsp.fifo import Fifo
from .dsp.stft import Istft, Stft, stft_latency, window_at
from .errors import ArgumentValueError

ResidualPolicy = Literal["other", "spread", "file", "none"]
"""`other`: joins the model's residual stem; `spread`: shared by energy; `file`: a stem of its own,
`residual`; `none`: kept out of the stems."""

RESIDUAL_POLICIES: tuple[ResidualPolicy, ...] = get_args(ResidualPolicy)

RESIDUAL = "residual"
"""The name of the residual where it is a stem."""

STEM_ORDER = ("drums", "bass", "other", "accompaniment", "vocals", "guitar", "piano")
"""How stems are listed; names that are not here follow in alphabetical order, the residual last."""


def in_stem_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sort stem names as they are listed everywhere.

    >>> in_stem_order(["vocals", "residual", "strings", "drums"])
    ('drums', 'vocals', 'strings', 'residual')
    """

    def key(name: str) -> tuple[bool, int, str]:
        known = STEM_ORDER.index(name) if name in STEM_ORDER else len(STEM_ORDER)
        return name == RESIDUAL, known, name

    return tuple(sorted(names, key=key))


def stems_after(policy: ResidualPolicy, stems: tuple[str, ...], residual_stem: str) -> tuple[str, ...]:
    """The stem names a policy leaves: `file` adds `residual`, `other` its residual stem if it is not there.

    >>> stems_after("file", ("accompaniment", "vocals"), "accompaniment")
    ('accompaniment', 'vocals', 'residual')
    """
    if policy not in RESIDUAL_POLICIES:
        raise ArgumentValueError(
            f"a residual policy is one of {', '.join(RESIDUAL_POLICIES)}; got {policy!r}"
        )
    if policy == "file" and RESIDUAL not in stems:
        return (*stems, RESIDUAL)
    if policy == "other" and residual_stem not in stems:
        return in_stem_order((*stems, residual_stem))
    return stems


def rest_of(mix: Audio, stems: StemArray) -> NDArray[np.float64]:
    """`mix - sum(stems)` in float64. Shape: `(channels, frames)` and `(stems, channels, frames)`."""
    rest: NDArray[np.float64] = mix.astype(np.float64)
    for stem in stems:
        rest -= stem
    return rest


def joined(mix: Audio, stems: StemArray, row: int) -> StemArray:
    """The stems with what is left of the mix added to stem `row`, so that they sum to the mix."""
    out = stems.copy()
    out[row] = 0.0
    out[row] = rest_of(mix, out)
    return out


class Spread:
    """Shares the residual R among the stems, per STFT bin, by their energy there.

    Stem i gets `w_i R` with `w_i = a_i / sum(a)`: the Wiener ratio of generalised energies (Liutkus and
    Badeau 2015). a_i is |S_i|^2 plus a thousandth of its mean over the spectrum, so that a bin in which
    no stem has energy, such as the band above a network's rate, goes by the energy of the moment
    instead of by rounding errors; where there is none at all, in equal shares. Sharing per bin keeps a
    cymbal that was missed out of the bass, which sharing per moment would not; the STFT grid is
    anchored at frame 0, so the cut into blocks changes nothing. Channels are treated alone.
    """

    def __init__(self, stems: int, channels: int, sample_rate: int, rest_row: int) -> None:
        self._stems = stems
        self._channels = channels
        self._rest_row = rest_row  # takes the transform's rounding, so the sum is the mix again
        window = window_at(sample_rate)
        self.grid = window // 4
        self.latency = stft_latency(window, self.grid)
        self.context_frames = window
        self._stft = Stft(window, self.grid, (stems + 1) * channels)
        self._istft = Istft(window, self.grid, stems * channels)
        self._waiting = Fifo((stems + 1) * channels)
        self._frames = 0

    def reset(self) -> None:
        """Forget everything; the next frame pushed is on the grid."""
        self._stft.reset()
        self._istft.reset()
        self._waiting = Fifo((self._stems + 1) * self._channels)
        self._frames = 0

    def push(self, mix: Audio, stems: StemArray) -> tuple[Audio, StemArray]:
        """Take more of mix and stems, equally long; return what is finished of both."""
        rest = rest_of(mix, stems).astype(np.float32)
        rows = as_rows(stems)
        self._frames += mix.shape[1]
        self._waiting.push(np.concatenate([mix, rows]))
        return self._shared(self._istft.push(self._shares(self._stft.push(np.concatenate([rest, rows])))))

    def flush(self) -> tuple[Audio, StemArray]:
        """End the stream: return the rest, then be as after `reset`."""
        tail = self._istft.push(self._shares(self._stft.flush()))
        finished = self._shared(np.concatenate([tail, self._istft.flush(self._frames)], axis=1))
        self.reset()
        return finished

    def _shares(self, spectra: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """From the spectra of residual and stems to the residual's shares, `(stems * channels, t, f)`."""
        split = spectra.reshape(self._stems + 1, self._channels, *spectra.shape[1:])  # s c t f
        energy = split[1:].real ** 2 + split[1:].imag ** 2
        energy += 1e-3 * energy.mean(axis=-1, keepdims=True) + np.float32(1e-20)
        total = energy[0].copy()
        for stem in energy[1:]:
            total += stem
        shares: NDArray[np.complex64] = split[0] * (energy / total)
        return shares.reshape(self._stems * self._channels, *spectra.shape[1:])

    def _shared(self, shares: Audio) -> tuple[Audio, StemArray]:
        waiting = self._waiting.pop(shares.shape[1])
        mix = waiting[: self._channels]
        stems = (waiting[self._channels :] + shares).reshape(self._stems, *mix.shape)
        return mix, joined(mix, stems, self._rest_row)
