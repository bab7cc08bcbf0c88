"""Which output of the device carries what: `drums=1-2,vocals=3-4,mix=5-6`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from stembridge.model.audio import Audio
from stembridge.model.errors import ArgumentValueError

MIX = "mix"
CUE = "cue"
"""A second pair for the mix, for headphones."""


@dataclass(frozen=True)
class Outputs:
    """Name -> its first output (from 0) and how many; without any the mix goes to the first ones."""

    places: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def from_text(cls, places: Mapping[str, str]) -> Outputs:
        """Read `{"drums": "1-2", "vocals": "3"}`. Raises ArgumentValueError.

        >>> Outputs.from_text({"drums": "1-2", "vocals": "3"}).places["vocals"]
        (2, 1)
        """
        read: dict[str, tuple[int, int]] = {}
        for name, text in places.items():
            found = re.fullmatch(r"(\d+)(?:-(\d+))?", text.strip())
            first = int(found[1]) if found else 0
            last = int(found[2] or found[1]) if found else 0
            if not 1 <= first <= last <= 64:
                raise ArgumentValueError(f"outputs are `1-2` or `3`, up to 64; got {text!r} for {name}")
            read[name] = (first - 1, last - first + 1)
        return cls(read)

    @property
    def channels(self) -> int:
        """How many outputs the device must have."""
        return max((first + count for first, count in self.places.values()), default=2)

    def spread(
        self, channels: int, names: Sequence[str], mix: Audio, stems: Sequence[Audio]
    ) -> NDArray[np.float32]:
        """The device's frames `(channels, frames)`; what has no output of its own is in the mix only.

        A mono song sounds on both of a pair; outputs that are not there are left out.
        """
        out = np.zeros((channels, mix.shape[1]), np.float32)
        if not self.places:
            _put(out, (0, min(channels, max(mix.shape[0], 2))), mix)
            return out
        for name, place in self.places.items():
            if name in (MIX, CUE):
                _put(out, place, mix)
            elif name in names:
                _put(out, place, stems[names.index(name)])
        return out


def _put(out: NDArray[np.float32], place: tuple[int, int], audio: Audio) -> None:
    first, count = place
    for index in range(count):
        if first + index < out.shape[0]:
            if count < audio.shape[0] and count == 1:
                out[first] += audio.mean(axis=0)
            else:
                out[first + index] += audio[min(index, audio.shape[0] - 1)]
