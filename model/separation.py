"""From a separator's raw estimates to stems that add up to the mix, in step with it.

>>> from .registry import create_separator
>>> stream = StemStream(create_separator("repet", 44100, 1, window_s=10.0))
>>> mix = np.random.default_rng(0).standard_normal((1, 20_000)).astype(np.float32)
>>> blocks = [stream.push(mix[:, :7000]), stream.push(mix[:, 7000:]), stream.flush()]
>>> total = np.concatenate([block.stems.sum(axis=0) for block in blocks], axis=1)
>>> bool(np.allclose(total, mix, atol=1e-6))
True
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .audio import Audio, StemArray
from .dsp.fifo import Fifo
from .errors import ArgumentValueError, StateError
from .residual import ResidualPolicy, Spread, joined, rest_of, stems_after
from .sensitivity import Sensitivity, check_sensitivity
from .separators.protocol import Separator


@dataclass(frozen=True)
class Separated:
    """A stretch of a song taken apart; all three are equally long and in step.

    `stems` are s', after sensitivity and residual policy; `residual` is r' = mix - sum(s'), which is
    rounding dust under every policy but `none`.
    """

    mix: Audio
    stems: StemArray
    residual: Audio

    @property
    def frames(self) -> int:
        """The length in frames."""
        return int(self.mix.shape[1])


class _Stage(Protocol):
    """A step between estimates and stems; mix and stems go in and come out in step."""

    grid: int
    latency: int
    context_frames: int

    def reset(self) -> None: ...
    def push(self, mix: Audio, stems: StemArray) -> tuple[Audio, StemArray]: ...
    def flush(self) -> tuple[Audio, StemArray]: ...


class StemStream:
    """One separator made ready for use: aligned with its mix, sensitivity and residual policy applied.

    How the input is cut never changes a bit. A region that starts `context_frames` early, at a multiple
    of `grid`, and ends `context_frames` late, equals the slice of the whole. Raises ArgumentValueError
    for an unknown policy, an unknown stem in `sensitivity` or a value outside 0 to 10.
    """

    def __init__(
        self,
        separator: Separator,
        *,
        residual: ResidualPolicy = "other",
        sensitivity: Mapping[str, float] | None = None,
    ) -> None:
        self.separator = separator
        self.residual_policy = residual
        self.stems = stems_after(residual, separator.stems, separator.residual_stem)
        self.sample_rate = separator.sample_rate
        self.channels = separator.channels
        self._stages: list[_Stage] = []
        if changed := check_sensitivity(sensitivity or {}, separator.stems):
            self._stages.append(Sensitivity(changed, separator.stems, self.channels, self.sample_rate))
        if residual == "spread":
            names = separator.stems
            row = names.index(separator.residual_stem) if separator.residual_stem in names else 0
            self._stages.append(Spread(len(names), self.channels, self.sample_rate, row))
        self._order = [self.stems.index(name) for name in separator.stems]
        rest_name = {"other": separator.residual_stem, "file": "residual"}.get(residual)
        self._rest_row = None if rest_name is None else self.stems.index(rest_name)
        self.latency = separator.latency + sum(stage.latency for stage in self._stages)
        self.context_frames = separator.context_frames + sum(stage.context_frames for stage in self._stages)
        self.grid = math.lcm(separator.grid, *(stage.grid for stage in self._stages))
        self._waiting = Fifo(self.channels)

    def reset(self, start_frame: int = 0) -> None:
        """Forget everything; the next frame pushed is number `start_frame` of its song.

        Raises ArgumentValueError unless `start_frame` is a multiple of `grid`.
        """
        if start_frame < 0 or start_frame % self.grid:
            raise ArgumentValueError(
                f"a stream must start at a multiple of its grid ({self.grid} frames); got {start_frame}"
            )
        self.separator.reset(start_frame)
        for stage in self._stages:
            stage.reset()
        self._waiting = Fifo(self.channels)

    def push(self, block: Audio) -> Separated:
        """Take one more block of the mix; return what is finished.

        Shape: block `(channels, n)`, n >= 0. Raises ArgumentValueError for another shape.
        """
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise ArgumentValueError(f"a block must be ({self.channels}, frames); got {block.shape}")
        # A copy, for the caller may fill its buffer anew while these frames still wait.
        self._waiting.push(np.array(block, dtype=np.float32))
        estimates = self.separator.push(block)
        mix, stems = self._aligned(estimates), estimates
        for stage in self._stages:
            mix, stems = stage.push(mix, stems)
        return self._finished(mix, stems)

    def flush(self) -> Separated:
        """End the stream: return what is left, then be as after `reset`."""
        estimates = self.separator.flush()
        mix, stems = self._aligned(estimates), estimates
        if len(self._waiting):
            missing = len(self._waiting)
            self.reset()
            raise StateError(f"{self.separator.name} gave {missing} frames fewer than it was given")
        for stage in self._stages:
            mix, stems = _joined_ends(stage.push(mix, stems), stage.flush())
        return self._finished(mix, stems)

    def _aligned(self, estimates: StemArray) -> Audio:
        if estimates.shape[-1] > len(self._waiting):
            raise StateError(f"{self.separator.name} gave more frames than it was given")
        return self._waiting.pop(estimates.shape[-1])

    def _finished(self, mix: Audio, estimates: StemArray) -> Separated:
        if len(self.stems) == len(self._order):
            stems = estimates
        else:
            stems = np.zeros((len(self.stems), *mix.shape), np.float32)
            stems[self._order] = estimates
        if self._rest_row is not None:
            stems = joined(mix, stems, self._rest_row)
        return Separated(mix, stems, rest_of(mix, stems).astype(np.float32))


def _joined_ends(first: tuple[Audio, StemArray], second: tuple[Audio, StemArray]) -> tuple[Audio, StemArray]:
    mix = np.concatenate([first[0], second[0]], axis=1)
    return mix, np.concatenate([first[1], second[1]], axis=2)
