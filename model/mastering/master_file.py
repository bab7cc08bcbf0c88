"""The master on its way to its file, measured as read back, and made again until the ceiling holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack

from ..files.quantise import Dither
from ..files.tags import master_tags
from ..rendering.output_file import Extent, OutputFile, scaled_frames
from ..rendering.plan import Output
from ..rendering.verification import BLOCK_FRAMES, check_peak, opened, read_block
from ..reports.survey import Survey, Surveyor
from .levels import GainSearch, Material
from .plan import MasterPlan

MOST_TRIES = 8
_TRIES_BY_LIMITING = 5
"""How often the limiter is set lower before the whole song is: what a codec adds may not be its peaks."""
_DRIFT_LU = 0.07
_SLACK_DB = 1e-6
"""Rounding of the meter itself."""


class MasterFile:
    """Writes a song at a gain, reads the file, and writes it again while it is above the ceiling.

    Its results hold once `steps` has run to its end; `stack` discards the file unless it is published.
    """

    def __init__(self, plan: MasterPlan, material: Material, gain_db: float, lufs: float | None) -> None:
        """`lufs` is what the gain was found to give; None where the gain stays, whatever the loudness."""
        self._plan = plan
        self._material = material
        self._lufs = lufs
        self.gain_db = gain_db
        self.tries = 0
        self.passes = 0
        """How often the limited song was measured to correct its loudness."""
        self.turned_down_db = 0.0
        """What had to go from the whole song, where limiting did not keep a codec below the ceiling."""

    def steps(self, stack: ExitStack) -> Iterator[float]:
        """Write, read, judge, yielding a fraction that grows towards 1."""
        spec = self._plan.spec
        while True:
            self.file = self._written()
            stack.callback(self.file.discard)
            self.tries += 1
            for fraction in self._encode():
                yield (self.tries - 1 + 0.6 * fraction) / MOST_TRIES
            self.survey = measured(self.file, drawn=spec.drawn)
            yield (self.tries - 0.1) / MOST_TRIES
            excess, drift = self.excess_db, self._drift()
            if (self.holds and abs(drift) <= _DRIFT_LU) or self.tries == MOST_TRIES:
                return
            self.file.discard()
            if not self.holds:
                # A codec's overshoot moves as the sound does: a little more than was seen.
                margin = 0.05 if spec.format.lossy else 0.0005
                if self.tries < _TRIES_BY_LIMITING:
                    self._material.lower(excess + margin)
                else:
                    self.turned_down_db += excess + margin
            self._correct(drift)

    @property
    def holds(self) -> bool:
        """Whether the file read back stays below the ceiling."""
        return self.excess_db <= _SLACK_DB

    @property
    def excess_db(self) -> float:
        """By how much the file read back is above the ceiling; 0 and less: it holds."""
        ceiling, found = self._plan.spec.true_peak, self.survey.true_peak_dbtp
        return -math.inf if ceiling is None or found is None else found - ceiling

    def _drift(self) -> float:
        """How much louder the sound was found than the file reads back: what dither and codecs took away."""
        found = self.survey.lufs
        if self._lufs is None or found is None or self.turned_down_db:
            return 0.0
        return self._lufs - found

    def _correct(self, drift: float) -> None:
        """Find the gain again: the limiter was set lower, or a codec changes the loudness."""
        wanted = self._plan.spec.lufs
        if wanted is None or self._lufs is None or self.turned_down_db:
            return
        if abs(drift) <= _DRIFT_LU:
            drift = 0.0
        search = GainSearch([self._material], wanted + drift, gain_db=self.gain_db + drift)
        for _ in search.steps():
            pass
        self.gain_db, self._lufs = search.gain_db, search.lufs - drift
        self.passes += search.passes

    def _written(self) -> OutputFile:
        plan = self._plan
        return output_file(plan, plan.files.outputs[0], self._material.spool.frames, 0)

    def _encode(self) -> Iterator[float]:
        frames, done = self._material.spool.frames, 0
        self.file.open()
        for block in self._material.sound(self.gain_db - self.turned_down_db):
            self.file.write(block)
            done += block.shape[1]
            yield done / frames
        self.file.end()
        self.file.finish()


def output_file(plan: MasterPlan, output: Output, frames: int, start: int) -> OutputFile:
    """A file of the master, its frames already at the output's rate; frame 0 is frame `start` of it."""
    info, spec = plan.info, plan.spec
    return OutputFile(
        output.path,
        spec.format,
        source_rate=plan.sample_rate,
        sample_rate=plan.sample_rate,
        channels=info.channels,
        extent=Extent(0, 0, frames),
        tags=master_tags(info.tags, info.path.stem),
        time_reference=scaled_frames(info.time_reference, info.sample_rate, plan.sample_rate) + start,
        dither=Dither(spec.seed, output.name, start),
        clip=True,
        replaceable=spec.overwrite or (output.path.exists() and plan.files.own(output.path)),
    )


def measured(file: OutputFile, *, drawn: bool) -> Survey:
    """Read a finished file back: check it against what was written, and measure it."""
    surveyor = Surveyor(file.sample_rate, file.channels, drawn=drawn)
    peak = 0.0
    with opened(file) as reader:
        left = reader.info.frames
        while left:
            block = read_block(reader, file, min(BLOCK_FRAMES, left))
            peak = max(peak, float(block.max()), -float(block.min()))
            surveyor.push(block)
            left -= block.shape[1]
    if not file.format.lossy:
        check_peak(file, peak)
    return surveyor.finish()
