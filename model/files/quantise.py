"""Integers from samples: dither that depends on nothing but where a sample stands, rounding, saturation.

Samples that are already on the target grid pass as they are, so an integer source at unity comes back
as the same integers, and digital silence stays silence.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio
from ..errors import ArgumentValueError

# splitmix64: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
_GAMMA = 0x9E3779B97F4A7C15
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)

_BLOCK = 8192  # frames per channel worked on at a time: all temporaries stay in the cache


@dataclass(frozen=True)
class Dither:
    """Triangular noise of +-1 step, a pure function of (seed, stem, channel, absolute frame).

    `start_frame` is the frame of the song that frame 0 of the output is, so a region of a song gets the
    very noise the whole song has there. Channels and stems have independent noise.

    >>> whole = Dither(1, "vocals").noise(0, 0, 100)
    >>> bool((Dither(1, "vocals", start_frame=40).noise(0, 0, 60) == whole[40:]).all())
    True
    """

    seed: int
    stem: str
    start_frame: int = 0

    def noise(self, channel: int, frame: int, frames: int) -> NDArray[np.float32]:
        """The noise of one channel for `frames` frames from `frame` on, in steps, within (-1, 1)."""
        key = hashlib.blake2b(f"{self.seed}\0{self.stem}\0{channel}".encode(), digest_size=8).digest()
        state = int.from_bytes(key, "little") + (self.start_frame + frame) * _GAMMA
        # Two uniform numbers of 32 bits each; their difference is triangular, with mean exactly 0.
        halves = splitmix64(state, frames).view(np.uint32).astype(np.float32)
        noise = halves[0::2] - halves[1::2]
        noise *= np.float32(2.0**-32)
        return noise


def splitmix64(state: int, count: int) -> NDArray[np.uint64]:
    """The `count` numbers that the generator splitmix64 gives from a state on.

    The state moves by a constant per number, so any stretch of the sequence can be had on its own.

    >>> splitmix64(1234567, 2).tolist()
    [6457827717110365317, 3203168211198807973]
    """
    numbers = np.arange(1, count + 1, dtype=np.uint64)
    numbers *= np.uint64(_GAMMA)
    numbers += np.uint64(state % 2**64)
    numbers ^= numbers >> np.uint64(30)
    numbers *= _MIX_1
    numbers ^= numbers >> np.uint64(27)
    numbers *= _MIX_2
    numbers ^= numbers >> np.uint64(31)
    return numbers


def quantise(audio: Audio, bits: int, dither: Dither | None = None, frame: int = 0) -> NDArray[np.int32]:
    """Turn samples into integers of `bits` bits; `frame` is the output frame the first one stands at.

    Shape: `(channels, frames)` float32 to `(channels, frames)` int32 in [-2^(bits-1), 2^(bits-1) - 1].
    A sample x with x * 2^(bits-1) a whole number is taken as it is; any other is dithered (not, when
    `dither` is None), then rounded. What is out of range saturates: -1.0 is on the grid, +1.0 is one
    step above it and becomes 2^(bits-1) - 1. Overs are the caller's affair, and so are NaNs.

    >>> quantise(np.array([[0.0, 0.5, -1.0, 1.0]], np.float32), 16, Dither(0, "drums")).tolist()
    [[0, 16384, -32768, 32767]]
    """
    if not 2 <= bits <= 24:
        raise ArgumentValueError(f"samples can be quantised to 2 to 24 bits; got {bits}")
    out = np.empty(audio.shape, np.int32)
    for channel, samples in enumerate(audio):
        for start in range(0, len(samples), _BLOCK):
            part = slice(start, start + _BLOCK)
            noise = None if dither is None else (dither, channel, frame + start)
            _quantise_row(samples[part], bits, noise, out[channel, part])
    return out


def _quantise_row(
    samples: NDArray[np.float32],
    bits: int,
    noise: tuple[Dither, int, int] | None,
    out: NDArray[np.int32],
) -> None:
    scale = 2 ** (bits - 1)
    # Twice full scale is as good as anything above it, and keeps all that follows exact in float32.
    steps = np.clip(samples, np.float32(-2), np.float32(2))
    steps *= np.float32(scale)
    if noise is None:
        np.rint(steps, out=steps)
    else:
        # Dither is added to the fraction alone: beside a 24-bit whole part it would lose its own bits.
        whole = np.floor(steps)
        steps -= whole
        off_grid = steps != 0
        if off_grid.any():
            dither, channel, frame = noise
            steps += dither.noise(channel, frame, len(steps))
            np.rint(steps, out=steps)
            steps *= off_grid
            whole += steps
        steps = whole
    np.clip(steps, np.float32(-scale), np.float32(scale - 1), out=steps)
    out[...] = steps
