"""What a training run is: everything that decides its weights, and how it is looked after."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from ..errors import ArgumentValueError

Precision = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class TrainingSpec:
    """A training run. Raises ArgumentValueError for values that cannot be.

    The same spec, songs and package versions give the same curve on a CPU.
    """

    network: str
    """A name from `networks.catalogue`."""
    out: Path
    """The run's folder: `last.safetensors`, `best.safetensors`, `curves.csv`, `curves.png`."""
    data: tuple[Path, ...] = ()
    """Folders of songs, in any layout `find_tracks` knows."""
    data_weights: tuple[float, ...] = ()
    """How often a song of each folder is drawn against one of the others; none: all alike."""
    validation: tuple[Path, ...] = ()
    config: Mapping[str, object] = field(default_factory=dict)
    """Sizes of the network that differ from its defaults."""
    loss: str | None = None
    """A name from `training.losses`; None: what the network names."""
    steps: int = 20_000
    batch: int = 4
    crop_s: float = 3.0
    learning_rate: float = 1.5e-3
    warm_up: int = 200
    """Steps in which the learning rate rises to its value."""
    cool_down: float = 0.3
    """The part of all steps, at the end, in which it falls to nothing."""
    weight_decay: float = 1e-2
    clip: float = 5.0
    """The norm that a step's gradient is cut to."""
    ema: float = 0.999
    """Decay of the running mean of the weights, which is what is validated and kept."""
    augmentation: bool = True
    precision: Precision = "auto"
    """`auto`: bfloat16 where the hardware multiplies it itself, else float32 (float16 on older GPUs)."""
    device: str = "auto"
    seed: int = 0
    workers: int = 1
    """Processes that read songs; their number changes nothing else."""
    threads: int | None = None
    """Of one operation; None: torch's choice."""
    compile: bool = False
    validate_every: int = 1000
    validation_s: float | None = 24.0
    """Seconds of each validation song, where most stems sound; None: all of it."""
    save_every: int = 200
    start_from: Path | None = None
    """A checkpoint whose weights begin the run, as far as names and shapes agree."""
    licence: str = "GPL-3.0-or-later"
    sources: str = ""
    """Where the songs come from, for the checkpoint's header."""

    def __post_init__(self) -> None:
        if not self.data:
            raise ArgumentValueError("training needs songs: name a folder of them")
        if self.data_weights and len(self.data_weights) != len(self.data):
            raise ArgumentValueError(
                f"{len(self.data)} folders need as many weights or none; got {len(self.data_weights)}"
            )
        counts = (self.steps, self.batch, self.validate_every, self.save_every)
        if min(counts) < 1 or self.crop_s <= 0 or self.workers < 0 or self.warm_up < 0:
            raise ArgumentValueError(
                "steps, batch, crop_s and intervals must be above 0, workers and warm_up not below"
            )
        if not 0 <= self.cool_down <= 1 or not 0 <= self.ema < 1 or self.learning_rate <= 0:
            raise ArgumentValueError("cool_down and ema lie between 0 and 1, learning_rate above 0")

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0: up, level, and down along half a cosine.

        Level until the end is decided, so a run that still gains can be given more steps and resumed
        without having cooled down too early (Hägele et al. 2024).
        """
        if step < self.warm_up:
            return self.learning_rate * (step + 1) / self.warm_up
        falling = self.cool_down * self.steps
        left = (self.steps - step) / falling if falling else 1.0
        if left >= 1.0:
            return self.learning_rate
        return self.learning_rate * 0.5 * (1.0 - math.cos(math.pi * max(left, 0.0)))

    def describe(self) -> dict[str, object]:
        """Everything as JSON."""
        plain: dict[str, object] = {}
        for key, value in asdict(self).items():
            if isinstance(value, Path):
                plain[key] = str(value)
            elif isinstance(value, tuple):
                plain[key] = [str(item) if isinstance(item, Path) else item for item in value]
            else:
                plain[key] = value
        return plain
