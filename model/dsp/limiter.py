"""A look-ahead limiter for true peaks: gains that are smooth, linked and never too late.

For the largest value p[n] around frame n between samples (`PeakEnvelope`) and a ceiling c::

    q[n] = max(0, 1 - c / p[n])                     what has to go
    h[n] = max(q[n - H], ..., q[n + L - 1 + H])     known L frames ahead, held H frames around
    d[n] = max(h[n], exp(-1 / release) d[n - 1])    let go exponentially
    s[n] = sum over k < L of w[k] d[n - k]          smoothed by w >= 0, sum(w) = 1
    y[n] = (1 - s[n]) x[n]

Every d that s[n] is a mean of covers q[n], hence s[n] >= q[n]: the gain is down in time, however peaks
follow each other, while the attack has the shape of w. That smoothing a held minimum by a window of the
same length cannot overshoot is P. Hämäläinen's, "Smoothing of the control signal without clipped output in
digital peak limiters", DAFx 2002; w as a cascade of moving averages (here three: a bell of degree 2), and
the release before it, as in G. Luff, "Designing a straightforward limiter", 2022.

H is what the interpolation reads around a point: the gain stands still around a peak that decides, so
the peak between the samples of y is the one of x, turned down. What that leaves where several peaks of
like height meet (0.001 dB at most in 300 kinds of noise, driven up to 30 dB into it with any settings) is
taken off the ceiling. L is 64 frames at least, as far as the interpolation reads.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio
from ..errors import ArgumentValueError
from ..units import db_to_gain
from .fifo import Fifo
from .peak_envelope import PeakEnvelope

_Values = NDArray[np.float64]

LOOKAHEAD_MS = 5.0
RELEASE_MS = 100.0
_BLOCK = 4096  # frames whose gains are found at once, on a grid anchored at frame 0
_HELD = 16  # H: half of what the interpolation reads
_LEAST_BOX = 22  # a gain that moved within what the interpolation reads would make peaks of its own
MARGIN_DB = 0.002
"""What the limiter aims below its ceiling."""
_NOTHING = 1e-7
"""A reduction this small (a millionth of a dB) is over: the gain is 1 again and samples pass as they are."""


class GainCurve:
    """From a peak envelope to the gain of every frame, as a stream; see the head of this file.

    `push` takes `(n,)` and returns `(m,)` float64 for the frames that are finished, `flush` the rest.
    """

    def __init__(
        self,
        sample_rate: int,
        ceiling: float,
        *,
        lookahead_ms: float = LOOKAHEAD_MS,
        release_ms: float = RELEASE_MS,
    ) -> None:
        """`ceiling` is linear, and aimed at exactly. Raises ArgumentValueError for times that cannot be."""
        if not 0.5 <= lookahead_ms <= 50.0:
            raise ArgumentValueError(f"a limiter looks 0.5 to 50 ms ahead; got {lookahead_ms}")
        if not 5.0 <= release_ms <= 5000.0:
            raise ArgumentValueError(f"a limiter lets go in 5 to 5000 ms; got {release_ms}")
        if not ceiling > 0:
            raise ArgumentValueError(f"a ceiling lies above 0; got {ceiling}")
        self._ceiling = ceiling
        each = max(_LEAST_BOX, round(lookahead_ms * sample_rate / 3000))
        self._boxes = (each, each, each)
        self._ahead = 3 * each - 2  # L: frames the three moving averages span together
        self._decay = 1000.0 / (release_ms * sample_rate)
        self.latency = _BLOCK + self._ahead + _HELD
        """Frames held back at most."""
        self.deepest = 0.0
        """The largest reduction so far, as 1 - gain."""
        self._reset()

    def _reset(self) -> None:
        # The first frame needs d from L - 1 frames before it: gains begin there, and those are dropped.
        self._early = self._ahead - 1
        # q from H frames before the next block on
        self._wanted: _Values = np.zeros(_HELD + self._early)
        self._held: _Values = np.zeros(self._ahead - 1)  # d before the next block
        self._taken = self._given = 0

    def push(self, envelope: NDArray[np.float32], gain: float = 1.0) -> _Values:
        """Take the next of the envelope, all of it times `gain` (linear)."""
        self._taken += envelope.size
        # Above the ceiling only: silence must not be divided by.
        peaks = np.maximum(envelope * np.float64(gain), self._ceiling)
        self._wanted = np.concatenate([self._wanted, 1.0 - self._ceiling / peaks])
        parts = []
        while self._wanted.size >= _BLOCK + self._ahead - 1 + 2 * _HELD:
            parts.append(self._block())
        gains = np.concatenate(parts) if parts else np.empty(0)
        dropped = min(self._early, gains.size)
        self._early -= dropped
        gains = gains[dropped:]
        self._given += gains.size
        return gains

    def flush(self) -> _Values:
        """End the stream; return what is left of it."""
        left = self._taken - self._given
        quiet = np.zeros(left + 2 * (_BLOCK + self._ahead), np.float32)
        gains = self.push(quiet)[:left]
        self._reset()
        return gains

    def _block(self) -> _Values:
        span = self._ahead + 2 * _HELD
        wanted = self._wanted[: _BLOCK + span - 1]
        if not wanted.any() and not self._held.any():
            self._wanted = self._wanted[_BLOCK:]
            return np.ones(_BLOCK)
        held = _sliding_max(wanted, span)
        # d[n] = max over k of h[n - k] exp(-k decay): a running maximum of what is scaled by the decay.
        grown = np.exp(self._decay * np.arange(1, _BLOCK + 1))
        last = self._held[-1] if self._held.size else 0.0
        let_go = np.maximum(np.maximum.accumulate(held * grown), last) / grown
        let_go[let_go < _NOTHING] = 0.0
        smooth = np.concatenate([self._held, let_go])
        self._held = smooth[_BLOCK:].copy()
        self._wanted = self._wanted[_BLOCK:]
        self.deepest = max(self.deepest, float(let_go.max()))
        for box in self._boxes:
            smooth = _moving_mean(smooth, box)
        gains: _Values = 1.0 - np.clip(smooth, 0.0, 1.0)
        return gains


class Limiter:
    """Keeps the true peak of a stream below a ceiling, all channels by one gain.

    `push` takes `(channels, n)` float32 and returns the frames that are finished, `flush` the rest: all in
    all as many as went in, frame 0 on frame 0. How the stream is cut changes nothing, and where nothing
    comes near the ceiling samples pass as they are.
    """

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        ceiling_dbtp: float = -1.0,
        *,
        lookahead_ms: float = LOOKAHEAD_MS,
        release_ms: float = RELEASE_MS,
    ) -> None:
        self._envelope = PeakEnvelope(sample_rate, channels)
        self._curve = GainCurve(
            sample_rate,
            db_to_gain(ceiling_dbtp - MARGIN_DB),
            lookahead_ms=lookahead_ms,
            release_ms=release_ms,
        )
        self._waiting = Fifo(channels)

    @property
    def reduction_db(self) -> float:
        """The deepest reduction so far, in dB (0 or more)."""
        return reduction_db(self._curve.deepest)

    def push(self, audio: Audio) -> Audio:
        """Take the next block; return what is finished."""
        self._waiting.push(audio.copy())
        return self._limited(self._curve.push(self._envelope.push(audio)))

    def flush(self) -> Audio:
        """End the stream; return what is left of it."""
        first = self._limited(self._curve.push(self._envelope.flush()))
        return np.concatenate([first, self._limited(self._curve.flush())], axis=1)

    def _limited(self, gains: _Values) -> Audio:
        return turned(self._waiting.pop(gains.size), gains)


def turned(audio: Audio, gains: _Values) -> Audio:
    """Audio `(channels, n)` times one gain per frame, rounded once; the same bits where all gains are 1."""
    if bool((gains == 1.0).all()):
        return audio
    return np.asarray(audio * gains, dtype=np.float32)


def reduction_db(depth: float) -> float:
    """1 - gain in dB of reduction.

    >>> round(reduction_db(0.5), 2)
    6.02
    """
    return -20.0 * math.log10(1.0 - min(depth, 1.0 - 1e-9)) if depth else 0.0


def _sliding_max(values: _Values, span: int) -> _Values:
    """The largest of every `span` neighbours, `(n,)` to `(n - span + 1,)`.

    By M. van Herk and J. Gil and M. Werman: running maxima from both sides of a grid of `span`.
    """
    out = values.size - span + 1
    padded = np.zeros(-(-values.size // span) * span)
    padded[: values.size] = values
    grid = padded.reshape(-1, span)
    ahead = np.maximum.accumulate(grid, axis=1).reshape(-1)
    back = np.maximum.accumulate(grid[:, ::-1], axis=1)[:, ::-1].reshape(-1)
    found: _Values = np.maximum(back[:out], ahead[span - 1 : span - 1 + out])
    return found


def _moving_mean(values: _Values, span: int) -> _Values:
    """The mean of every `span` neighbours, `(n,)` to `(n - span + 1,)`."""
    if span == 1:
        return values
    total = np.concatenate([[0.0], np.cumsum(values)])
    mean: _Values = (total[span:] - total[:-span]) / span
    return mean
