"""The loudest half minute before and after, equally loud, so that ears compare sound and not level."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np

from ..audio import Audio
from ..dsp.loudness import LoudnessMeter
from ..dsp.resampler import Resampler
from ..errors import VerificationError
from ..files.decoder import open_audio
from ..rendering.output_file import OutputFile
from ..rendering.plan import loudest_region
from ..units import db_to_gain
from .master_file import measured, output_file
from .plan import MasterPlan
from .spec import PREVIEW_S
from .spool import BLOCK_FRAMES

_FADE_S = 0.02
_MATCH_LU = 0.1


class Previews:
    """Writes what `PREVIEW_NAMES` names; `files` and `start` hold once `steps` has run to its end.

    The louder of the two is turned down, so neither clips.
    """

    def __init__(self, plan: MasterPlan, master: OutputFile) -> None:
        self._plan = plan
        self._master = master
        self.files: list[OutputFile] = []
        self.start = 0
        """The frame of the song that they begin with, at its own rate."""

    def steps(self, stack: ExitStack) -> Iterator[float]:
        """Write both, yielding the fraction done. `stack` discards them unless they are published."""
        plan = self._plan
        first, last = loudest_region(self._master.part, PREVIEW_S)
        self.start = round(first * plan.info.sample_rate / plan.sample_rate)
        sounds = self._before(first, last), self._after(first, last)
        loudness = [_loudness(sound, plan.sample_rate) for sound in sounds]
        yield 0.3
        quieter = min(loudness)
        for output, sound, lufs in zip(plan.files.outputs[1:], sounds, loudness, strict=True):
            gain = db_to_gain(quieter - lufs) if math.isfinite(quieter) else 1.0
            file = output_file(plan, output, last - first, first)
            self.files.append(file)
            stack.callback(file.discard)
            file.open()
            file.write(sound * np.float32(gain))
            file.end()
            file.finish()
            yield 0.3 + 0.3 * len(self.files)
        self._check()

    def _check(self) -> None:
        before, after = (measured(file, drawn=False).lufs for file in self.files)
        if before is not None and after is not None and abs(before - after) > _MATCH_LU:
            raise VerificationError(
                f"the previews of {self._plan.info.path.name} should be equally loud and read back at "
                f"{before:.2f} and {after:.2f} LUFS"
            )

    def _before(self, first: int, last: int) -> Audio:
        """The song as it came, at the master's rate."""
        info, rate = self._plan.info, self._plan.sample_rate
        resampler = Resampler(info.sample_rate, rate, info.channels)
        parts = []
        with open_audio(info.path) as reader:
            at = 0
            while at < last:
                block = reader.read(BLOCK_FRAMES)
                out = resampler.push(block) if block.shape[1] else resampler.flush()
                if at + out.shape[1] > first:  # a slice of nothing would keep its block
                    parts.append(out[:, max(0, first - at) : last - at])
                at += out.shape[1]
        return _faded(np.concatenate(parts, axis=1), rate)

    def _after(self, first: int, last: int) -> Audio:
        """The master as it was written."""
        with open_audio(self._master.part) as reader:
            reader.seek(first)
            return _faded(reader.read(last - first), self._plan.sample_rate)


def _loudness(audio: Audio, sample_rate: int) -> float:
    meter = LoudnessMeter(sample_rate, audio.shape[0], true_peak=False)
    meter.push(audio)
    return meter.integrated()


def _faded(audio: Audio, sample_rate: int) -> Audio:
    """With its ends faded, so that neither clicks."""
    frames = audio.shape[1]
    ends = np.minimum(np.arange(frames), np.arange(frames)[::-1]) / (_FADE_S * sample_rate)
    return np.asarray(audio * np.minimum(1.0, ends), np.float32)
