"""The two filters of a loudness meter, as products of matrices: K weighting, and the interpolated peak.

A recursive filter over a block of 32 samples is one product with a Toeplitz matrix plus one with the state
at the block's start; the states follow from each other, in groups by another product, and from group to
group by a doubling scan. That is faster than a compiled per-sample loop and needs no `scipy.signal`, whose
import alone costs more than metering a song.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio

_Matrix = NDArray[np.float64]

BLOCK = 32
"""Frames per matrix row, and taps of the interpolator."""
_GROUP = 16  # blocks whose states come from one product
_AT_ONCE = 256  # blocks: products that stay in the cache
UNIT = BLOCK * _GROUP
"""The filters take whole numbers of so many frames."""


class KWeighting:
    """The two-stage K filter of BS.1770-4 at any rate, as products of matrices.

    With the state x[n+1] = A x[n] + B u[n], y[n] = C x[n] + D u[n], a block of N inputs u gives
    y = T u + O x[0] and x[N] = A^N x[0] + R u, where T is the Toeplitz matrix of the impulse response.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        a, b, c, d = k_weighting(sample_rate)
        powers = [np.linalg.matrix_power(a, n) for n in range(BLOCK)]
        response = np.array([d, *(c @ power @ b for power in powers[:-1])])
        lag = np.arange(BLOCK)[None, :] - np.arange(BLOCK)[:, None]  # [input, output]
        toeplitz = np.where(lag >= 0, response[np.maximum(lag, 0)], 0.0)
        reach = np.array([power @ b for power in reversed(powers)])  # (block, state)
        self._inputs = np.hstack([toeplitz, reach]).astype(np.float32)
        self._observe = np.array([c @ power for power in powers]).T.astype(np.float32)  # (state, block)
        # Rows are states, so matrices stand on their right, transposed. What the blocks of a group add:
        # to the state at the start of each block after them, and (last column) at the end of the group.
        steps = [np.linalg.matrix_power(a, BLOCK * n).T for n in range(_GROUP + 1)]
        nothing = np.zeros_like(a)
        self._within = np.block(
            [[steps[j - i - 1] if j > i else nothing for j in range(_GROUP + 1)] for i in range(_GROUP)]
        )
        self._carried = np.hstack(steps[:_GROUP])  # from the start of a group to that of each block
        self._group_step = steps[_GROUP]
        self._channels = channels
        self.reset()

    def reset(self) -> None:
        self._state = np.zeros((self._channels, self._group_step.shape[0]))

    def push(self, audio: Audio) -> NDArray[np.float32]:
        """Filter a whole number of units. Shape: `(channels, n)` in and out."""
        channels, frames = audio.shape
        product = audio.reshape(channels, -1, BLOCK) @ self._inputs
        order = self._state.shape[1]
        added = product[..., BLOCK:].reshape(channels, -1, _GROUP * order) @ self._within
        groups = np.concatenate([self._state[:, None], added[..., -order:]], axis=1)
        step, reach = self._group_step, 1
        while reach < groups.shape[1]:  # doubling: afterwards each state holds 2 * reach groups of the past
            groups[:, reach:] += groups[:, :-reach] @ step
            step, reach = step @ step, 2 * reach
        self._state = groups[:, -1]
        starts = added[..., :-order] + groups[:, :-1] @ self._carried
        out: NDArray[np.float32] = starts.astype(np.float32).reshape(channels, -1, order) @ self._observe
        out += product[..., :BLOCK]
        return out.reshape(channels, frames)


class TruePeak:
    """The peak between the samples: BS.1770-4 Annex 2, four times oversampled (twice from 96 kHz on).

    Each phase of the interpolator is a 32-tap sinc under a Kaiser window (half band of the new rate, so
    the samples themselves are its first phase). A block that cannot exceed what was already found,
    because its largest sample times the filter's largest gain stays below, is not computed.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._taps, self._gain = interpolation(4 if sample_rate < 96_000 else 2)
        self._channels = channels
        self.reset()

    def reset(self) -> None:
        self._last = np.zeros((self._channels, BLOCK), np.float32)

    def push(self, audio: Audio, found: float) -> float:
        """The larger of `found` and what a whole number of units reaches. Shape: `(channels, n)`."""
        joined = np.concatenate([self._last, audio], axis=1)
        self._last = audio[:, -BLOCK:].copy()
        starts = np.arange(0, joined.size, BLOCK)
        peaks = np.maximum.reduceat(np.abs(joined).ravel(), starts).reshape(self._channels, -1)
        pairs = np.maximum(peaks[:, :-1], peaks[:, 1:])
        blocks = joined.reshape(self._channels, -1, BLOCK)
        # The loudest blocks first: what they reach mostly settles all others.
        for least in (0.9, 0.0):
            limit = max(found / self._gain, least * float(pairs.max()))
            channel, block = np.nonzero(pairs > limit)
            for start in range(0, block.size, _AT_ONCE):
                which = channel[start : start + _AT_ONCE], block[start : start + _AT_ONCE]
                both = np.concatenate([blocks[which], blocks[which[0], which[1] + 1]], axis=1)
                curve = both @ self._taps
                found = max(found, float(curve.max()), -float(curve.min()))
        return found


def interpolation(times: int) -> tuple[NDArray[np.float32], float]:
    """The curve between samples as a product: `times - 1` points between each two, and the most it can gain.

    Two neighbouring blocks of samples, `(2 * BLOCK,)`, times the matrix `(2 * BLOCK, (times - 1) * BLOCK)`
    are the points of the later block, phase by phase, BLOCK / 2 frames late.
    """
    delay = np.arange(BLOCK) - BLOCK / 2
    phases = []
    for phase in range(1, times):
        at = delay + phase / times
        window = np.i0(6.0 * np.sqrt(np.maximum(1 - (at / (BLOCK / 2)) ** 2, 0.0))) / np.i0(6.0)
        taps = np.sinc(at) * window
        phases.append(taps / taps.sum())
    # The output at frame n of a phase is sum_k taps[k] u[n - k], over the block before and the block.
    lag = np.arange(BLOCK)[None, :] - np.arange(-BLOCK, BLOCK)[:, None]
    inside = (lag >= 0) & (lag < BLOCK)
    matrices = [np.where(inside, taps[np.where(inside, lag, 0)], 0.0) for taps in phases]
    gain = 1.0001 * max(float(np.abs(taps).sum()) for taps in phases)
    return np.hstack(matrices).astype(np.float32), gain


@functools.lru_cache(maxsize=8)
def k_weighting(sample_rate: int) -> tuple[_Matrix, _Matrix, _Matrix, float]:
    """A, B, C, D of the cascade: the shelf and the high-pass whose 48 kHz coefficients BS.1770-4 lists.

    The analogue prototypes behind those coefficients (found by B. De Man) go through the bilinear
    transform again at each rate.
    """
    warped = math.tan(math.pi * 1681.974450955533 / sample_rate)
    q, high = 0.7071752369554196, 10.0 ** (3.999843853973347 / 20.0)
    middle = high**0.4996667741545416
    scale = 1.0 + warped / q + warped**2
    shelf = (
        ((high + middle * warped / q + warped**2) / scale),
        (2.0 * (warped**2 - high) / scale),
        ((high - middle * warped / q + warped**2) / scale),
        (2.0 * (warped**2 - 1.0) / scale),
        ((1.0 - warped / q + warped**2) / scale),
    )
    warped, q = math.tan(math.pi * 38.13547087602444 / sample_rate), 0.5003270373238773
    scale = 1.0 + warped / q + warped**2
    highpass = (1.0, -2.0, 1.0, 2.0 * (warped**2 - 1.0) / scale, (1.0 - warped / q + warped**2) / scale)
    a1, b1, c1, d1 = _state_space(*shelf)
    a2, b2, c2, d2 = _state_space(*highpass)
    a = np.block([[a1, np.zeros((2, 2))], [np.outer(b2, c1), a2]])
    return a, np.concatenate([b1, b2 * d1]), np.concatenate([d2 * c1, c2]), d1 * d2


def _state_space(
    b0: float, b1: float, b2: float, a1: float, a2: float
) -> tuple[_Matrix, _Matrix, _Matrix, float]:
    """A biquad in transposed direct form II."""
    a = np.array([[-a1, 1.0], [-a2, 0.0]])
    return a, np.array([b1 - a1 * b0, b2 - a2 * b0]), np.array([1.0, 0.0]), b0
