"""A torch network on a device, and what to do when the device's memory does not do."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..audio import Audio, StemArray
from ..dsp.overlap_add import OverlapAdd
from .network_workers import Warn

if TYPE_CHECKING:
    from torch import Tensor, nn

MOST_PIECES = 8
"""A segment is cut into so many pieces at most before the CPU takes over."""


def torch_device(device: str) -> torch.device:
    """The device of that name; `auto` is CUDA where there is one, else the CPU.

    Apple's `mps` is used when it is asked for.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


class TorchRunner:
    """Runs `forward` of a module on segments: `(channels, n)` in, `(stems, channels, n)` out.

    When the device runs out of memory the segment is cut into 2, 4, ... overlapping pieces, unless the
    network takes `whole` segments only, and then the CPU does it; either holds for all segments after it, and
    `warn` is told. Raises MemoryError when the CPU's memory does not do either.
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        forward: Callable[[Tensor], Tensor],
        device: str | torch.device,
        *,
        stems: int,
        warn: Warn,
        whole: bool = False,
    ) -> None:
        self.name = name
        self.device = torch_device(device) if isinstance(device, str) else device
        self._warn = warn
        self._module = module.eval().to(self.device)
        self._forward = forward
        self._stems = stems
        self._most = 1 if whole else MOST_PIECES
        self._pieces = 1
        # One segment at a time on an accelerator: side by side they would share its memory.
        self._turn: contextlib.AbstractContextManager[object] = (
            contextlib.nullcontext() if self.device.type == "cpu" else threading.Lock()
        )

    def __call__(self, mix: Audio) -> StemArray:
        """Run one segment."""
        with self._turn:
            while True:
                try:
                    return self._in_pieces(mix)
                except RuntimeError as error:
                    if not out_of_memory(error):
                        raise
                    self._make_room(error)

    def _in_pieces(self, mix: Audio) -> StemArray:
        if self._pieces == 1:
            return self._once(mix)
        size = -(-mix.shape[1] // self._pieces)
        pieces = OverlapAdd(
            self._once,
            stems=self._stems,
            channels=mix.shape[0],
            segment_frames=size,
            hop_frames=max(1, size * 3 // 4),
        )
        return np.concatenate([pieces.push(mix), pieces.flush()], axis=2)

    def _once(self, mix: Audio) -> StemArray:
        with torch.inference_mode():
            estimates: StemArray = (
                self._forward(torch.from_numpy(np.ascontiguousarray(mix)).to(self.device)).cpu().numpy()
            )
        return estimates

    def _make_room(self, error: RuntimeError) -> None:
        """Smaller pieces next time, or the CPU."""
        if self.device.type == "cpu":
            raise MemoryError(
                f"{self.name} ran out of memory: shorten --segment, or close other programs"
            ) from error
        if self._pieces < self._most:
            self._pieces *= 2
            self._warn(
                f"{self.name}: {self.device} is out of memory, going on in {self._pieces} pieces a segment"
            )
        else:
            self._pieces = 1
            self._module.to("cpu")
            self._warn(f"{self.name}: {self.device} is out of memory, going on on the CPU, which is slower")
            self.device = torch.device("cpu")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def out_of_memory(error: RuntimeError) -> bool:
    """Whether torch failed for want of memory, on whichever device."""
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text
