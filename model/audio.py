"""What audio is here: arrays, what a file holds, what a file shall hold.

Arrays are `(channels, frames)` float32, C-contiguous; a set of stems is `(stems, channels, frames)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .errors import ArgumentValueError

Audio = NDArray[np.float32]
"""`(channels, frames)` float32."""

StemArray = NDArray[np.float32]
"""`(stems, channels, frames)` float32."""


def as_rows(stems: StemArray) -> Audio:
    """Stems as one array of `(stems * channels, frames)`, without a copy where that is possible."""
    return stems.reshape(stems.shape[0] * stems.shape[1], stems.shape[2])


BitDepth = Literal["16", "24", "32f"]
Container = Literal["wav", "flac", "mp3", "ogg", "aiff"]

BIT_DEPTHS: tuple[BitDepth, ...] = get_args(BitDepth)
CONTAINERS: tuple[Container, ...] = get_args(Container)
LOSSY: frozenset[Container] = frozenset({"mp3", "ogg"})


@dataclass(frozen=True)
class AudioInfo:
    """What an audio file holds, known before the first frame is decoded."""

    path: Path
    sample_rate: int
    channels: int
    frames: int
    """Exact: what decoding to the end gives."""
    bit_depth: str
    """`8`, `16`, `24`, `32` (integers), `32f`, `64f`, or `lossy`."""
    codec: str
    """`wav`, `flac`, `mp3`, `ogg`, `aiff`, or ffmpeg's name for what it decodes."""
    time_reference: int = 0
    """Frames since midnight, from a BWF `bext` chunk."""
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Tags by mutagen's easy names (`title`, `artist`, ...)."""
    warnings: tuple[str, ...] = ()
    """What was wrong with the file and how it was read all the same."""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate


@dataclass(frozen=True)
class OutputFormat:
    """Container and sample format of a file to be written.

    Raises ArgumentValueError for combinations that do not exist (32f FLAC).
    """

    container: Container = "wav"
    bit_depth: BitDepth = "32f"

    def __post_init__(self) -> None:
        if self.container not in CONTAINERS:
            raise ArgumentValueError(f"a format is one of {', '.join(CONTAINERS)}; got {self.container!r}")
        if self.bit_depth not in BIT_DEPTHS:
            raise ArgumentValueError(f"a bit depth is one of {', '.join(BIT_DEPTHS)}; got {self.bit_depth!r}")
        if self.container == "flac" and self.bit_depth == "32f":
            raise ArgumentValueError("FLAC holds integers only: ask for --bit-depth 16 or 24, or for WAV")

    @property
    def lossy(self) -> bool:
        """Whether the codec throws sound away: no null depth is promised then."""
        return self.container in LOSSY

    @property
    def integer(self) -> bool:
        """Whether samples are integers, which clip and need dither."""
        return self.container in {"wav", "flac", "aiff"} and self.bit_depth != "32f"
