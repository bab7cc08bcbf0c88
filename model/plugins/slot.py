"""One place in a chain: a plug-in, its dry path, one instance per channel where asked for, its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..audio import Audio
from ..dsp.fifo import Fifo
from ..effects.board import Board
from ..effects.effect import Effect
from ..errors import PluginError, StembridgeError


class Slot(Effect):
    """Runs one plug-in of a chain and answers for it: whatever goes wrong inside carries its name.

    With several instances each gets one channel. `mix` blends the dry sound in, delayed as the plug-in
    delays the wet. Raises PluginError when the plug-in does, and when it puts out NaN or infinity.
    """

    def __init__(
        self,
        title: str,
        instances: Sequence[Any],
        mix: float = 1.0,
        on_run: Callable[[], None] | None = None,
        *,
        where: str = "",
    ) -> None:
        """`on_run` is called before the plug-in's code is entered; `where` begins its errors."""
        super().__init__()
        self.title = title
        self._where = where
        self._boards = [Board([instance]) for instance in instances]
        self._mix = np.float32(mix)
        self._on_run = on_run or (lambda: None)
        self._dry = Fifo(1)
        self._sample_rate = 0.0

    @property
    def reported_latency_samples(self) -> int:
        """The plug-in's own."""
        return max(board.reported_latency_samples for board in self._boards)

    def _start(self, sample_rate: float, channels: int) -> None:
        if len(self._boards) not in (1, channels):
            raise PluginError(
                f"{self._where}{self.title} was set up for {len(self._boards)} channels; got {channels}"
            )
        self._sample_rate = sample_rate
        self._dry = Fifo(channels)
        self._forget()

    def _forget(self) -> None:
        self._on_run()
        for board in self._boards:
            board.reset()

    def _push(self, block: Audio, buffer_size: int) -> Audio:
        wet = self._run(
            lambda board, part: board.process_planar(part, self._sample_rate, buffer_size, reset=False), block
        )
        if self._mix == 1.0:
            return wet
        self._dry.push(block)
        return self._blend(wet)

    def _finish(self) -> Audio:
        rest = self._run(lambda board, _: board.flush(), self._no_frames())
        return rest if self._mix == 1.0 else self._blend(rest)

    def _no_frames(self) -> Audio:
        return np.empty((self._open_stream.channels, 0), np.float32)

    def _run(self, call: Callable[[Board, Audio], Audio], block: Audio) -> Audio:
        parts = [block] if len(self._boards) == 1 else list(block[:, None])
        self._on_run()
        try:
            out = [call(board, part) for board, part in zip(self._boards, parts, strict=True)]
        except (StembridgeError, ValueError, RuntimeError, TypeError) as error:
            raise PluginError(f"{self._where}{self.title}: {error}") from error
        wet = out[0] if len(out) == 1 else np.concatenate(out)
        if not np.isfinite(np.vdot(wet, wet)):
            raise PluginError(
                f"{self._where}{self.title} put out NaN or infinity; look at its settings, or leave it out"
            )
        return wet

    def _blend(self, wet: Audio) -> Audio:
        dry = self._dry.pop(wet.shape[1])
        return np.asarray(dry + self._mix * (wet - dry), np.float32)

    def __repr__(self) -> str:
        return f"<{self.title} in a chain>"
