"""The gain that brings songs to a loudness, limiter included: found by measuring, in passes over spools.

Limiting takes loudness away, by how much only the song tells. So the gain is tried, the limited sound
measured, and the gain moved by the secant rule until the loudness is right within `TOLERANCE_LU`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio
from ..dsp.fifo import Fifo
from ..dsp.limiter import MARGIN_DB, GainCurve, reduction_db, turned
from ..dsp.loudness import LoudnessMeter, programme_loudness
from ..dsp.peak_envelope import PeakEnvelope
from ..units import db_to_gain
from .spec import Anchor
from .spool import Spool

TOLERANCE_LU = 0.02
"""How near the search comes: what is left of 0.1 LU is for dither and codecs."""
MOST_PASSES = 10
_HIGHEST_GAIN_DB = 80.0
_LARGEST_STEP_DB = 6.0
_LEAST_SLOPE = 0.1
"""Where a dB more of gain gives less loudness than this, more gain is only distortion."""


class Material:
    """A treated song on disk, at its output rate: measured once, limited as often as needed."""

    def __init__(
        self, spool: Spool, sample_rate: int, *, lookahead_ms: float, release_ms: float, envelope_path: Path
    ) -> None:
        self.spool = spool
        self.sample_rate = sample_rate
        self.reduction_db = 0.0
        """The deepest reduction of the last pass."""
        self._times = {"lookahead_ms": lookahead_ms, "release_ms": release_ms}
        self._envelope_path = envelope_path
        self._envelope: Spool | None = None
        meter = LoudnessMeter(sample_rate, spool.channels)
        for block in spool.blocks():
            meter.push(block)
        found = meter.result()
        self.lufs = found.integrated_lufs
        self.true_peak_dbtp = found.true_peak_dbtp
        self.gating_blocks = meter.gating_blocks()
        self.limit_above_db = math.inf
        """A true peak above this is limited, in dBTP."""
        self.aim_db = math.inf
        """What the limiter aims at then."""

    def allow(self, ceiling_db: float, steps_db: float = 0.0) -> None:
        """Set the ceiling; when the limiter has to work it aims lower by `steps_db`, for dither."""
        self.limit_above_db = ceiling_db
        self.aim_db = ceiling_db - MARGIN_DB - steps_db

    def lower(self, by_db: float) -> None:
        """Limit in any case, and deeper: the file that was written was too high."""
        self.aim_db -= by_db
        self.limit_above_db = -math.inf

    def needs_limiting(self, gain_db: float) -> bool:
        """Whether the limiter has anything to do at a gain."""
        return self.true_peak_dbtp + gain_db > self.limit_above_db

    def sound(self, gain_db: float) -> Iterator[Audio]:
        """The song with a gain, limited where it must be."""
        gain = db_to_gain(gain_db)
        if not self.needs_limiting(gain_db):
            self.reduction_db = 0.0
            for block in self.spool.blocks():
                yield block if gain == 1.0 else np.asarray(block * np.float64(gain), np.float32)
            return
        curve = GainCurve(self.sample_rate, db_to_gain(self.aim_db), **self._times)
        waiting = Fifo(self.spool.channels)
        peaks = self._peaks().blocks()
        for block in self.spool.blocks():
            waiting.push(block)
            gains = curve.push(next(peaks)[0], gain)
            yield turned(waiting.pop(gains.size), gains * gain)
        rest = curve.flush()
        yield turned(waiting.pop(rest.size), rest * gain)
        self.reduction_db = reduction_db(curve.deepest)

    def measure(self, gain_db: float) -> tuple[NDArray[np.float64], float, float]:
        """Gating blocks, loudness and true peak at a gain."""
        if not self.needs_limiting(gain_db):
            self.reduction_db = 0.0
            blocks = self.gating_blocks * 10 ** (gain_db / 10)
            return blocks, programme_loudness([blocks]), self.true_peak_dbtp + gain_db
        meter = LoudnessMeter(self.sample_rate, self.spool.channels)
        for block in self.sound(gain_db):
            meter.push(block)
        found = meter.result()
        return meter.gating_blocks(), found.integrated_lufs, found.true_peak_dbtp

    def close(self) -> None:
        """Remove what is on disk."""
        self.spool.close()
        if self._envelope is not None:
            self._envelope.close()

    def _peaks(self) -> Spool:
        """The peak envelope, found when it is first needed: it is the same for every gain."""
        if self._envelope is None:
            envelope = PeakEnvelope(self.sample_rate, self.spool.channels)
            spool = self._envelope = Spool(self._envelope_path, 1)
            for block in self.spool.blocks():
                spool.write(envelope.push(block)[None])
            spool.write(envelope.flush()[None])
        return self._envelope


class GainSearch:
    """Finds one gain for one song or an album; its figures hold once `steps` has run to its end."""

    def __init__(
        self,
        materials: Sequence[Material],
        lufs: float | None,
        anchor: Anchor = "programme",
        gain_db: float | None = None,
    ) -> None:
        """`gain_db` is where to begin; without, where limiting would change nothing."""
        self._materials = materials
        self._target = lufs
        self._anchor = anchor
        self._begin = gain_db
        self.gain_db = 0.0
        self.lufs = -math.inf
        """What the gain gives."""
        self.passes = 0
        self.silent = False
        """Whether there is no loudness to bring anywhere."""
        self.known = False
        """Whether the gain was found by an earlier run, for an album of which songs are missing."""

    @property
    def reached(self) -> bool:
        """Whether the loudness is the one asked for, within 0.1 LU."""
        return self._target is None or self.silent or self.known or abs(self.lufs - self._target) <= 0.1

    def steps(self) -> Iterator[float]:
        """Search, yielding a fraction that grows towards 1."""
        before = self._loudness([(m.gating_blocks, m.lufs, m.true_peak_dbtp) for m in self._materials])
        self.silent = not math.isfinite(before)
        if self._target is None or self.silent:
            self.lufs = before
            return
        gain = self._begin if self._begin is not None else self._target - before
        tried: list[tuple[float, float]] = []
        while True:
            found = []
            for number, material in enumerate(self._materials, 1):
                found.append(material.measure(gain))
                yield (self.passes + number / len(self._materials)) / MOST_PASSES
            self.passes += 1
            tried.append((gain, self._loudness(found)))
            error = self._target - tried[-1][1]
            slope = _slope(tried)
            hopeless = error > 0 and slope < _LEAST_SLOPE
            if abs(error) <= TOLERANCE_LU or self.passes == MOST_PASSES or hopeless:
                break
            gain = min(
                gain + float(np.clip(error / max(slope, _LEAST_SLOPE), -_LARGEST_STEP_DB, _LARGEST_STEP_DB)),
                _HIGHEST_GAIN_DB,
            )
        target = self._target
        nearest = min(abs(target - lufs) for _, lufs in tried)
        # Where it cannot be reached, the last LU is not worth the distortion that it costs.
        near = nearest + (1.0 if nearest > 0.1 else 0.0)
        self.gain_db, self.lufs = min(one for one in tried if abs(target - one[1]) <= near)

    def _loudness(self, found: Sequence[tuple[NDArray[np.float64], float, float]]) -> float:
        if self._anchor == "loudest":
            return max(lufs for _, lufs, _ in found)
        return programme_loudness([blocks for blocks, _, _ in found])


def _slope(tried: Sequence[tuple[float, float]]) -> float:
    """How much loudness a dB of gain gives, by the last two tries; 1 before there are two."""
    if len(tried) < 2:
        return 1.0
    (gain_a, lufs_a), (gain_b, lufs_b) = tried[-2:]
    return (lufs_b - lufs_a) / (gain_b - gain_a) if gain_a != gain_b else 1.0
