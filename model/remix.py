"""The remix law over one block: stems, what chains made of them, and gains, summed to one mix.

See `mixer` for the law; here it is applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from .audio import Audio, StemArray
from .dsp.ramp import Gain, Span
from .errors import ArgumentValueError

Treated = StemArray | Sequence[Audio | None]
"""Stems after their chains: one array, or one `(channels, frames)` per stem with None for no chain."""


class Faders:
    """The gains of one block, ramps included; good for exactly `frames` frames."""

    def __init__(self, stems: tuple[str, ...], channels: int, spans: list[Span]) -> None:
        self._stems = stems
        self._channels = channels
        self._spans = spans
        self.frames = spans[-1].stop if spans else 0

    def mix(self, mix: Audio, stems: StemArray, residual: Audio, treated: Treated | None = None) -> Audio:
        """Apply the remix law up to the master: `mix + sum(g t - s) + (g_r - 1) r`.

        Shape: mix and residual `(channels, frames)`, stems `(stems, channels, frames)`; returns a new
        `(channels, frames)`. Raises ArgumentValueError for other shapes.
        """
        shape = (self._channels, self.frames)
        check_shape("mix", mix, shape)
        check_shape("residual", residual, shape)
        check_shape("stems", stems, (len(self._stems), *shape))
        chains = [None] * len(self._stems) if treated is None else list(treated)
        if len(chains) != len(self._stems):
            raise ArgumentValueError(
                f"treated must hold one entry per stem ({len(self._stems)}); got {len(chains)}"
            )
        for name, chained in zip(self._stems, chains, strict=True):
            if chained is not None:
                check_shape(f"treated {name}", chained, shape)
        out = np.empty(shape, dtype=np.float32)
        for span in self._spans:
            cut = slice(span.start, span.stop)
            for channel in range(self._channels):
                sources = [stem[channel, cut] for stem in stems]
                after = [None if chained is None else chained[channel, cut] for chained in chains]
                gains = list(span.gains[channel :: self._channels])
                out[channel, cut] = _remix(mix[channel, cut], sources, residual[channel, cut], after, gains)
        return out

    def post_fader(self, stem: str, audio: Audio) -> Audio:
        """One stem as it sounds in the mix: gain, balance, mute and solo applied, the master not.

        Shape: `(channels, frames)` in and out; at unity the same bits. The post-fader stems and the
        post-fader residual add up to the mix before its master.
        """
        check_shape(stem, audio, (self._channels, self.frames))
        row = stem_index(self._stems, stem) * self._channels
        out = np.empty_like(audio)
        for span in self._spans:
            for channel in range(self._channels):
                cut = slice(span.start, span.stop)
                out[channel, cut] = scaled(audio[channel, cut], span.gains[row + channel])
        return out


def _remix(
    mix: NDArray[np.float32],
    stems: list[NDArray[np.float32]],
    residual: NDArray[np.float32],
    treated: list[NDArray[np.float32] | None],
    gains: list[Gain],
) -> NDArray[np.float32] | NDArray[np.float64]:
    """The law for one channel of one span, all `(frames,)`; `gains` end with the residual's."""
    residual_gain = gains[-1]
    # No residual: mix - sum(s) - r is zero, so what is left of the law is the sum of what sounds.
    if holds_at(residual_gain, 0.0):
        total = np.zeros(mix.shape)
        for gain, stem, chained in zip(gains, stems, treated, strict=False):
            if not holds_at(gain, 0.0):
                total += gain * (stem if chained is None else chained).astype(np.float64)
        return total
    out: NDArray[np.float32] | NDArray[np.float64] = mix
    for gain, stem, chained in zip(gains, stems, treated, strict=False):
        if chained is not None:
            out = out + (gain * chained.astype(np.float64) - stem)
        elif not holds_at(gain, 1.0):
            out = out + (gain - 1.0) * stem.astype(np.float64)
    if not holds_at(residual_gain, 1.0):
        out = out + (residual_gain - 1.0) * residual.astype(np.float64)
    return out


def scaled(audio: NDArray[np.float32], gain: Gain) -> NDArray[np.float32]:
    """`audio * gain`, the product made in float64 and rounded once."""
    return (audio * np.asarray(gain, dtype=np.float64)).astype(np.float32)


def holds_at(gain: Gain, value: float) -> bool:
    """Whether a gain holds at `value`; one that moves never does, whatever it passes."""
    return isinstance(gain, float) and gain == value


def stem_index(stems: Sequence[str], name: str) -> int:
    """Where a stem stands; raises ArgumentValueError naming the nearest one when it is not there."""
    if name in stems:
        return stems.index(name)
    near = get_close_matches(name, stems, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the stems are {', '.join(stems)}"
    raise ArgumentValueError(f"there is no stem {name!r}: {hint}")


def check_shape(what: str, array: NDArray[np.float32], shape: tuple[int, ...]) -> None:
    """Raise ArgumentValueError unless `array` has that shape."""
    if array.shape != shape:
        raise ArgumentValueError(f"{what} must have the shape {shape}; got {array.shape}")
