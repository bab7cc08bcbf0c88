"""Loudness by ITU-R BS.1770-4, range by EBU Tech 3342, sample and true peaks: streaming, in flat memory.

>>> meter = LoudnessMeter(48000, 2)
>>> tone = 10 ** (-23 / 20) * np.sin(2 * np.pi * 1000 * np.arange(5 * 48000) / 48000)
>>> meter.push(np.tile(tone.astype(np.float32), (2, 1)))
>>> round(meter.integrated(), 1), round(gain_to_db(meter.sample_peak), 1)
(-23.0, -23.0)
"""

from __future__ import annotations

import copy
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio
from ..errors import ArgumentTypeError, ArgumentValueError
from ..units import gain_to_db
from .meter_filters import UNIT, KWeighting, TruePeak

_Energies = NDArray[np.float64]

ABSOLUTE_GATE_LUFS = -70.0
_OFFSET_DB = -0.691  # BS.1770-4: makes a 997 Hz sine at 0 dBFS in one front channel read -3.01 LUFS

_SEGMENT = 32768  # frames analysed at once: every grid below is anchored at frame 0, whatever is pushed
_HOPS_PER_SECOND = 100  # resolution of the momentary and short-term maxima
_GATING_HOPS = 10  # a gating block starts every 100 ms: 400 ms with 75 % overlap
_MOMENTARY_HOPS = 40
_SHORT_TERM_HOPS = 300

CHANNEL_WEIGHTS: dict[int, tuple[float, ...]] = {
    4: (1.0, 1.0, 1.41, 1.41),  # L R Ls Rs
    5: (1.0, 1.0, 1.0, 1.41, 1.41),  # L R C Ls Rs
    6: (1.0, 1.0, 1.0, 0.0, 1.41, 1.41),  # L R C LFE Ls Rs: the low-frequency channel does not count
    8: (1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.41, 1.41),  # L R C LFE, rear pair, side pair
}
"""Weights by number of channels, in the order of WAV files; 1.0 each where a number is not listed."""


@dataclass(frozen=True)
class Loudness:
    """What a meter has found; -infinity means silence (or nothing above the gate)."""

    integrated_lufs: float
    range_lu: float
    momentary_max_lufs: float
    short_term_max_lufs: float
    sample_peak_dbfs: float
    true_peak_dbtp: float


@dataclass(frozen=True)
class LoudnessOverTime:
    """Loudness ten times a second, in LUFS; -infinity is silence.

    Entry n of `momentary` is that of the 400 ms that end at 0.4 + n / 10 s of the sound, of `short_term`
    that of the 3 s that end at 3 + n / 10 s.
    """

    momentary: NDArray[np.float64]
    short_term: NDArray[np.float64]


class LoudnessMeter:
    """Measures one stream of audio; what it says does not depend on how the stream is cut into blocks.

    `weights` are one per channel, by default those of BS.1770-4 for that number of channels. Without
    `true_peak`, the true peak is not looked for and reads as the sample peak.

    All readings may be asked at any time and cover everything pushed so far. Memory grows by 16 bytes
    per 100 ms. Raises ArgumentValueError for a rate outside 8 to 192 kHz and for NaN or infinity.
    """

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        *,
        weights: Sequence[float] | None = None,
        true_peak: bool = True,
    ) -> None:
        if not 8000 <= sample_rate <= 192_000:
            raise ArgumentValueError(f"loudness is measured at 8000 to 192000 Hz; got {sample_rate}")
        if channels < 1:
            raise ArgumentValueError(f"audio has 1 channel or more; got {channels}")
        weights = weights if weights is not None else CHANNEL_WEIGHTS.get(channels, (1.0,) * channels)
        if len(weights) != channels or min(weights) < 0:
            raise ArgumentValueError(f"expected {channels} channel weights of 0 or more; got {list(weights)}")
        self.sample_rate = sample_rate
        self.channels = channels
        self._pending = np.zeros((channels, _SEGMENT), np.float32)
        self._filled = 0
        self._analysis = _Analysis(sample_rate, channels, weights, true_peak)

    def push(self, audio: Audio) -> None:
        """Measure one more block. Shape: `(channels, frames)` float32, frames >= 0."""
        if audio.ndim != 2 or audio.shape[0] != self.channels:
            raise ArgumentTypeError(
                f"audio must be ({self.channels}, frames) as this meter was made for; got {audio.shape}"
            )
        start = 0
        while start < audio.shape[1]:
            taken = min(_SEGMENT - self._filled, audio.shape[1] - start)
            self._pending[:, self._filled : self._filled + taken] = audio[:, start : start + taken]
            self._filled += taken
            start += taken
            if self._filled == _SEGMENT:
                self._analysis.push(self._pending)
                self._filled = 0

    def reset(self) -> None:
        """Forget everything that was pushed."""
        self._filled = 0
        self._analysis.reset()

    def result(self) -> Loudness:
        """All readings at once."""
        found = self._finished()
        return Loudness(
            integrated_lufs=found.integrated(),
            range_lu=found.range(),
            momentary_max_lufs=_lufs(found.momentary_max),
            short_term_max_lufs=_lufs(found.short_term_max),
            sample_peak_dbfs=gain_to_db(found.peak),
            true_peak_dbtp=gain_to_db(found.true_peak),
        )

    def integrated(self) -> float:
        """Gated programme loudness in LUFS; audio shorter than 400 ms counts as one block."""
        return self._finished().integrated()

    def loudness_range(self) -> float:
        """Loudness range in LU (EBU Tech 3342); 0 while fewer than 3 s were pushed."""
        return self._finished().range()

    def over_time(self) -> LoudnessOverTime:
        """Momentary and short-term loudness of everything so far."""
        found = self._finished()
        return LoudnessOverTime(_all_lufs(found.gating), _all_lufs(found.ranging))

    def gating_blocks(self) -> NDArray[np.float64]:
        """The mean squares of all 400 ms blocks so far: what `programme_loudness` gates over."""
        return np.array(self._finished().gating)

    @property
    def sample_peak(self) -> float:
        """The largest absolute sample so far, linear."""
        return self._finished().peak

    @property
    def true_peak(self) -> float:
        """The largest absolute value of the oversampled signal so far, linear; at least the sample peak."""
        return self._finished().true_peak

    def _finished(self) -> _Analysis:
        """The analysis as if the stream ended here, without disturbing the stream."""
        ended = self._analysis.copy()
        ended.end(self._pending[:, : self._filled])
        return ended


class _Analysis:
    """Everything known about the whole segments so far."""

    def __init__(self, sample_rate: int, channels: int, weights: Sequence[float], true_peak: bool) -> None:
        self._rate = sample_rate
        self._weights = np.asarray(weights, np.float32)
        self._filter = KWeighting(sample_rate, channels)
        self._oversampler = TruePeak(sample_rate, channels) if true_peak else None
        self.reset()

    def reset(self) -> None:
        self._filter.reset()
        if self._oversampler is not None:
            self._oversampler.reset()
        self._frames = 0
        self._open_hop = 0.0  # energy of the hop that the next segment goes on with
        self._recent = np.zeros(0)  # energies of the last hops, at most 3 s
        self._hops = 0
        self._energy = 0.0
        self.gating = array("d")  # mean squares of 400 ms blocks, one per 100 ms
        self.ranging = array("d")  # mean squares of 3 s blocks, one per 100 ms
        self.momentary_max = 0.0
        self.short_term_max = 0.0
        self.peak = 0.0
        self.true_peak = 0.0

    def copy(self) -> _Analysis:
        twin = copy.copy(self)
        twin._filter = copy.copy(self._filter)
        twin._oversampler = copy.copy(self._oversampler)
        twin.gating, twin.ranging = self.gating[:], self.ranging[:]
        return twin

    def push(self, segment: Audio) -> None:
        """Take one more segment: whole, or the last one of the stream."""
        frames = segment.shape[1]
        peak = max(float(segment.max()), -float(segment.min()))
        if not math.isfinite(peak):
            raise ArgumentValueError(
                f"audio must be finite; found NaN or infinity between {self._frames / self._rate:.2f} s and "
                f"{(self._frames + frames) / self._rate:.2f} s"
            )
        self.peak = max(self.peak, peak)
        self.true_peak = max(self.true_peak, peak)
        padded = segment if frames == _SEGMENT else _padded(segment, -frames % UNIT)
        if self._oversampler is not None:
            self.true_peak = self._oversampler.push(padded, self.true_peak)
        weighted = self._filter.push(padded)[:, :frames]
        self._measure(self._weights @ np.square(weighted, out=weighted))

    def end(self, rest: Audio) -> None:
        if rest.shape[1]:
            self.push(rest)
        if self._oversampler is not None:
            self.true_peak = self._oversampler.push(_padded(rest[:, :0], UNIT), self.true_peak)
        if not self.gating and self._frames:
            self.gating.append(self._energy / self._frames)
            self.momentary_max = self.gating[0]

    def _measure(self, squares: NDArray[np.float32]) -> None:
        """Add weighted squares: sum them into 10 ms hops, and hops into the three kinds of blocks."""
        start, end = self._frames, self._frames + squares.size
        self._frames = end
        first = start * _HOPS_PER_SECOND // self._rate
        last = end * _HOPS_PER_SECOND // self._rate  # the hop that stays open
        edges = (
            np.arange(first + 1, last + 1) * self._rate + _HOPS_PER_SECOND - 1
        ) // _HOPS_PER_SECOND - start
        edges = np.concatenate([[0], edges[edges < squares.size]])
        sums = np.add.reduceat(squares, edges, dtype=np.float64)
        self._energy += float(sums.sum())
        sums[0] += self._open_hop
        closed = last - first
        self._open_hop = float(sums[closed]) if closed < sums.size else 0.0
        self._recent = np.concatenate([self._recent, sums[:closed]])
        self._slide(closed)
        self._recent = self._recent[-_SHORT_TERM_HOPS:]

    def _slide(self, new: int) -> None:
        total = np.concatenate([[0.0], np.cumsum(self._recent)])
        ends = np.arange(self._hops + 1, self._hops + new + 1)
        self._hops += new
        for hops, kept in ((_MOMENTARY_HOPS, self.gating), (_SHORT_TERM_HOPS, self.ranging)):
            complete = ends[ends >= hops]
            index = complete - self._hops + self._recent.size
            mean = np.maximum(total[index] - total[index - hops], 0.0) / (
                hops * self._rate / _HOPS_PER_SECOND
            )
            largest = float(mean.max(initial=0.0))
            if hops == _MOMENTARY_HOPS:
                self.momentary_max = max(self.momentary_max, largest)
            else:
                self.short_term_max = max(self.short_term_max, largest)
            kept.extend(mean[complete % _GATING_HOPS == 0].tolist())

    def integrated(self) -> float:
        """BS.1770-4: the mean of the blocks above -70 LUFS and above 10 LU below those blocks' mean."""
        blocks = _gated(self.gating, -10.0)
        return _lufs(float(blocks.mean())) if blocks.size else -math.inf

    def range(self) -> float:
        """EBU Tech 3342: from the 10th to the 95th percentile of the short-term loudness above the gates."""
        blocks = _gated(self.ranging, -20.0)
        if not blocks.size:
            return 0.0
        low, high = np.percentile(blocks, (10, 95), method="nearest")
        return _lufs(float(high)) - _lufs(float(low))


def programme_loudness(parts: Sequence[NDArray[np.float64]]) -> float:
    """Integrated loudness in LUFS of several sounds as one programme: gated over the blocks of all.

    `parts` are what `LoudnessMeter.gating_blocks` gave for each.
    """
    blocks = _gated(array("d", np.concatenate([np.empty(0), *parts]).tolist()), -10.0)
    return _lufs(float(blocks.mean())) if blocks.size else -math.inf


def _padded(audio: Audio, frames: int) -> Audio:
    return np.pad(audio, ((0, 0), (0, frames)))


def _gated(mean_squares: array[float], relative_db: float) -> _Energies:
    """The blocks above the absolute gate and, of those, the ones above the relative gate."""
    blocks: _Energies = np.frombuffer(mean_squares, np.float64) if mean_squares else np.zeros(0)
    blocks = blocks[blocks > 10.0 ** ((ABSOLUTE_GATE_LUFS - _OFFSET_DB) / 10.0)]
    return blocks[blocks > blocks.mean() * 10.0 ** (relative_db / 10.0)] if blocks.size else blocks


def _lufs(mean_square: float) -> float:
    return _OFFSET_DB + 10.0 * math.log10(mean_square) if mean_square > 0 else -math.inf


def _all_lufs(mean_squares: array[float]) -> NDArray[np.float64]:
    return np.array([_lufs(mean_square) for mean_square in mean_squares])
