"""The sound of packs: stems read side by side, and summed in groups."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..errors import AudioFileError
from ..files.decoder import AudioReader, open_audio

BLOCK_FRAMES = 1 << 16


class Groups:
    """Groups of stem files that are summed; all files must agree in rate, channels and length.

    Raises AudioFileError where they do not.
    """

    def __init__(self, groups: Sequence[Sequence[Path]]) -> None:
        paths = dict.fromkeys(path for group in groups for path in group)
        self._groups = groups
        self._stack = contextlib.ExitStack()
        try:
            self._readers: Mapping[Path, AudioReader] = {
                path: self._stack.enter_context(open_audio(path)) for path in paths
            }
            infos = [reader.info for reader in self._readers.values()]
            first = infos[0]
            for info in infos:
                here, there = ((one.sample_rate, one.channels, one.frames) for one in (info, first))
                if here != there:
                    raise AudioFileError(
                        f"{info.path.name} and {first.path.name} must be of one length, rate and number of "
                        f"channels: {here[2]} and {there[2]} frames, {here[0]} and {there[0]} Hz, {here[1]} "
                        f"and {there[1]} channels. Render them together"
                    )
        except BaseException:
            self._stack.close()
            raise
        self.sample_rate, self.channels, self.frames = first.sample_rate, first.channels, first.frames

    def blocks(self) -> Iterator[NDArray[np.float64]]:
        """The sums from the start, shape `(groups, channels, n)`; an empty group is silence."""
        for reader in self._readers.values():
            reader.seek(0)
        left = self.frames
        while left:
            count = min(left, BLOCK_FRAMES)
            read = {path: reader.read(count) for path, reader in self._readers.items()}
            out = np.zeros((len(self._groups), self.channels, count))
            for sums, group in zip(out, self._groups, strict=True):
                for path in group:
                    sums += read[path]
            yield out
            left -= count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
