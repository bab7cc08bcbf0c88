"""Sound that several passes go over: on disk, in blocks, gone when done."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..audio import Audio
from ..rendering.output_file import output_error

BLOCK_FRAMES = 1 << 16


class Spool:
    """A file of float32 frames: written once from start to end, then read as often as wanted.

    Raises OutputError or DiskFullError. `close` removes the file; twice is fine.
    """

    def __init__(self, path: Path, channels: int) -> None:
        self.path = path
        self.channels = channels
        self.frames = 0
        try:
            self._file: BinaryIO = open(path, "w+b")  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise output_error(error, path) from error

    def write(self, audio: Audio) -> None:
        """Append `(channels, n)`."""
        try:
            self._file.write(np.ascontiguousarray(audio.T).data)
        except OSError as error:
            raise output_error(error, self.path) from error
        self.frames += audio.shape[1]

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[Audio]:
        """Read frames `start` to `stop` (default: all), in blocks of at most `BLOCK_FRAMES`."""
        stop = self.frames if stop is None else min(stop, self.frames)
        each = 4 * self.channels
        try:
            self._file.flush()
        except OSError as error:
            raise output_error(error, self.path) from error
        with open(self.path, "rb") as file:
            file.seek(each * start)
            for at in range(start, stop, BLOCK_FRAMES):
                data = file.read(each * min(BLOCK_FRAMES, stop - at))
                yield np.ascontiguousarray(np.frombuffer(data, np.float32).reshape(-1, self.channels).T)

    def close(self) -> None:
        """Let go of it and remove the file."""
        with contextlib.suppress(OSError):
            self._file.close()
        self.path.unlink(missing_ok=True)
