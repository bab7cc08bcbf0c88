"""The chain of the mix, after the faders and before the master: never late, never in the way of the device.

pedalboard's own effects run where they are called. A chain with plug-in files runs in a process of its own,
spoken to by a thread of its own, a fixed margin behind; what is not back in time, or never comes back, is
replaced by the untreated mix at the same delay (see `lateness`).
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from stembridge.model.audio import Audio
from stembridge.model.dsp.fifo import Fifo
from stembridge.model.effects.effect import Effect
from stembridge.model.errors import StembridgeError
from stembridge.model.plugins.chain_spec import ChainSpec
from stembridge.model.plugins.isolate import open_chain

from .history import History
from .lateness import Lateness
from .ring import BLOCK

log = logging.getLogger(__name__)

PATIENCE_S = 1.0
_KEPT_S = 1.0


class MixChain(Protocol):
    """As many frames out as in, `latency` frames later."""

    latency: int

    @property
    def overloads(self) -> int:
        """How often the untreated mix had to stand in."""

    def __call__(self, audio: Audio) -> Audio:
        """The next frames; called by the device."""

    def clear(self) -> None:
        """Go on at another place, with nothing left inside; called by the device."""

    def close(self) -> None:
        """End what belongs to it; once the device calls no more. Twice is fine."""


def open_mix_chain(
    spec: dict[str, Any], sample_rate: int, channels: int, margin: int, failed: Callable[[str], None]
) -> MixChain:
    """A chain as `ChainSpec.to_json` wrote it; `margin` is how many frames the device may ask for at once.

    Raises PluginError for what cannot be loaded. `failed` is told when it is bypassed, once.
    """
    chain_spec = ChainSpec.from_json(spec)
    chain = open_chain(chain_spec, sample_rate, channels, block_frames=BLOCK, process_timeout_s=PATIENCE_S)
    if chain_spec.native:
        return _NativeMixChain(chain, sample_rate, channels)
    return _DistantMixChain(chain, sample_rate, channels, margin, failed)


class _NativeMixChain:
    def __init__(self, chain: Effect, sample_rate: int, channels: int) -> None:
        self._chain, self._rate, self._channels = chain, sample_rate, channels
        chain.prepare(sample_rate, channels)
        self.latency = chain.reported_latency_samples
        self._begin()

    def __call__(self, audio: Audio) -> Audio:
        self._ready.push(self._chain.process_planar(audio, self._rate, BLOCK, reset=False))
        return self._ready.pop(int(audio.shape[1]))

    def clear(self) -> None:
        self._chain.prepare(self._rate, self._channels)
        self._begin()

    @property
    def overloads(self) -> int:
        return 0

    def close(self) -> None:
        """Nothing is held."""

    def _begin(self) -> None:
        self._ready = Fifo(self._channels)
        self._ready.push(np.zeros((self._channels, self.latency), np.float32))


class _DistantMixChain:
    """A chain in another process. The device's thread only puts blocks into queues and looks what came."""

    def __init__(
        self, chain: Effect, sample_rate: int, channels: int, margin: int, failed: Callable[[str], None]
    ) -> None:
        self._chain, self._rate, self._channels = chain, sample_rate, channels
        self._failed = failed
        chain.prepare(sample_rate, channels)
        reserve = Lateness(sample_rate).reserve
        self.latency = chain.reported_latency_samples + margin + reserve
        self._ahead = margin + reserve
        """Frames by which the untreated mix is later than the chain makes it."""
        self._tasks: queue.SimpleQueue[tuple[int, Audio | None]] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[int, Audio]] = queue.SimpleQueue()
        self._turn = 0
        """Goes up with every `clear`: what comes back of earlier ones is not wanted any more."""
        self._earlier_overloads = 0
        self._at = 0
        """The frame, counted from the last `clear`, that is sent next."""
        self._begin()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="mix chain", daemon=True)
        self._thread.start()

    @property
    def overloads(self) -> int:
        return self._earlier_overloads + self._lateness.overloads

    def __call__(self, audio: Audio) -> Audio:
        frames = int(audio.shape[1])
        self._sent.write(self._at, audio)
        self._tasks.put((self._turn, audio))
        while not self._done.empty():
            turn, part = self._done.get()
            if turn == self._turn:
                self._came.write(self._came.end, part)
        first, self._at = self._at - self.latency, self._at + frames
        # What comes back first belongs to the first frame that was sent.
        available = self._came.available(first)
        gains = self._lateness.gains(frames, available)
        dry = self._sent.read(first, frames)
        there = min(frames, available)
        if there == 0:
            return dry
        wet = self._came.read(first, there)
        if isinstance(gains, float) and gains == 1.0:
            return wet
        gain = gains if isinstance(gains, float) else gains[:there]
        dry[:, :there] = wet * gain + dry[:, :there] * (1.0 - gain)
        return dry

    def clear(self) -> None:
        self._earlier_overloads += self._lateness.overloads
        self._turn += 1
        self._tasks.put((self._turn, None))
        self._begin()

    def close(self) -> None:
        self._closing = True
        self._tasks.put((self._turn, None))
        self._thread.join(PATIENCE_S + 1.0)
        close = getattr(self._chain, "close", None)
        if close is not None:
            close()

    def _begin(self) -> None:
        capacity = self.latency + round(_KEPT_S * self._rate)
        self._sent = History(self._channels, capacity, zeros_before=True)
        self._came = History(self._channels, capacity, zeros_before=True)
        self._lateness = Lateness(self._rate, wet=True)
        self._at = 0

    def _work(self) -> None:
        try:
            while not self._closing:
                turn, audio = self._tasks.get()
                if audio is None:
                    self._chain.prepare(self._rate, self._channels)
                else:
                    self._done.put((turn, self._chain.process_planar(audio, self._rate, BLOCK, reset=False)))
        except StembridgeError as error:
            self._failed(f"mix: {error}; it is bypassed")
        # Nobody works any more: what is put into the queue is let go of, or it would grow.
        while not self._closing:
            self._tasks.get()
