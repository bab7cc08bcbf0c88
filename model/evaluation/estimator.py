"""Whatever makes estimates of a song's stems, run as in a render, its estimates spooled to a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

import numpy as np

from ..audio import StemArray
from ..registry import Device, create_separator
from ..separation import StemStream
from ..training.tracks import Track
from .costs import Costs, Stopwatch
from .songs import SongReader, true_parts
from .yardsticks import BASELINES, ORACLES, STEMS, MakeYardstick, Yardstick

BLOCK_FRAMES = 1 << 16


class Estimator:
    """Whatever makes estimates: a separator as in a render, or a yardstick, which is told the stems."""

    def __init__(
        self,
        model: str,
        track: Track,
        song: SongReader,
        *,
        device: Device = "auto",
        yardstick: MakeYardstick | None = None,
    ) -> None:
        """Make it for one song; a `yardstick` that is given goes before what `model` names."""
        rate, channels = song.info.sample_rate, song.info.channels
        self._song = song
        self._yardstick: Yardstick | None = None
        self._rows: list[list[int]] = []
        self._costly = yardstick is not None
        self.stems: tuple[str, ...] = STEMS
        if make := yardstick or {**BASELINES, **ORACLES}.get(model):
            self._yardstick = make(rate, channels)
            parts = [true_parts(track, stem, STEMS) for stem in STEMS]
            self._rows = [[song.names.index(name) for name in names] for names in parts]
            return
        self._stream = StemStream(create_separator(model, rate, channels, device=device))
        self.stems = self._stream.stems

    def spool(
        self, start: int, stop: int, file: IO[bytes], progress: Callable[[float], None]
    ) -> Costs | None:
        """Write the estimates of a region, as in the whole song, frame by frame: `(n, s, c)` float32."""
        if self._yardstick is not None:
            return self._spool_yardstick(self._yardstick, start, stop, file, progress)
        stream, rate = self._stream, self._song.info.sample_rate
        # Whatever is loaded at the first push is loaded now, and the time is that of separating alone.
        warm_up = np.random.default_rng(0).standard_normal((stream.channels, rate)).astype(np.float32)
        stream.push(np.float32(0.01) * warm_up)
        stream.flush()
        begin = max(0, start - stream.context_frames)
        begin -= begin % stream.grid
        end = min(self._song.info.frames, stop + stream.context_frames)
        stream.reset(begin)
        self._song.seek(begin)
        at = begin
        watch = Stopwatch()
        for read in range(begin, end, BLOCK_FRAMES):
            mix, _ = self._song.read(min(BLOCK_FRAMES, end - read))
            with watch:
                stems = stream.push(mix).stems
            _write(file, _cut(stems, start - at, stop - at))
            at += stems.shape[2]
            progress((read - begin) / (end - begin))
        with watch:
            stems = stream.flush().stems
        _write(file, _cut(stems, start - at, stop - at))
        return watch.costs((end - begin) / rate)

    def _spool_yardstick(
        self,
        yardstick: Yardstick,
        start: int,
        stop: int,
        file: IO[bytes],
        progress: Callable[[float], None],
    ) -> Costs | None:
        """The same for one that knows the region only; None for those whose cost says nothing."""
        self._song.seek(start)
        watch = Stopwatch()
        for at in range(start, stop, BLOCK_FRAMES):
            mix, files = self._song.read(min(BLOCK_FRAMES, stop - at))
            truths = np.stack([files[rows].sum(axis=0) for rows in self._rows])
            with watch:
                stems = yardstick.push(mix, truths)
            _write(file, stems)
            progress((at - start) / (stop - start))
        with watch:
            rest = yardstick.flush()
        if rest is not None:
            _write(file, rest)
        return watch.costs((stop - start) / self._song.info.sample_rate) if self._costly else None


def _cut(stems: StemArray, first: int, last: int) -> StemArray:
    first = max(0, first)
    return stems[:, :, first : max(first, last)]


def _write(file: IO[bytes], stems: StemArray) -> None:
    file.write(np.ascontiguousarray(stems.transpose(2, 0, 1)).tobytes())
