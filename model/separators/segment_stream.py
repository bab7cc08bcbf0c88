"""A stream of overlapping segments, computed ahead on threads.

Segments lie on a grid anchored at frame 0 and fade into each other by triangles, as in Demucs (Defossez
2021). Several are computed side by side, each by one thread: a network that splits its own work over
threads rounds differently with every number of them, segments that are whole do not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future

import numpy as np

from ..audio import Audio, StemArray
from ..dsp.fifo import Fifo
from ..dsp.overlap_add import OverlapAdd
from ..errors import ArgumentValueError

Process = Callable[[Audio], StemArray]
"""`(channels, n)` in, `(stems, channels, n)` out; a function of its argument alone."""


class SegmentStream(OverlapAdd):
    """Overlapping segments of a stream, computed ahead on a pool; the same bits as one after the other.

    `held` segments are under way at a time, which adds `held - 1` hops to the latency. What is left at the
    end is less than a segment: a network that takes whole segments only (`whole`) gets it in the middle of
    one, with the frames before it and silence on either side, any other gets it as it is. With `trailing`,
    every grid point left begins such a segment (that is Demucs' own rule); without, only frames that no
    segment has reached yet do.
    """

    def __init__(
        self,
        process: Process,
        *,
        stems: int,
        channels: int,
        segment_frames: int,
        hop_frames: int,
        whole: bool,
        trailing: bool,
        pool: Executor | None = None,
        held: int = 1,
    ) -> None:
        self._run = process
        self._whole = whole
        self._trailing = trailing
        self._pool = pool
        self._held = held
        self._under_way: deque[Future[StemArray]] = deque()
        super().__init__(
            self._oldest,
            stems=stems,
            channels=channels,
            segment_frames=segment_frames,
            hop_frames=hop_frames,
        )
        self.latency += (held - 1) * hop_frames
        self.context_frames += segment_frames // 2 if whole else 0

    def reset(self, start_frame: int = 0) -> None:
        """Forget everything; the next frame pushed is number `start_frame`, a multiple of `grid`."""
        super().reset(start_frame)
        for future in self._under_way:
            future.cancel()
        self._under_way.clear()
        self._backlog = Fifo(self.channels)
        # From the first frame of the next segment to begin; and what came before the oldest under way.
        self._next = np.zeros((self.channels, 0), np.float32)
        self._behind = np.zeros((self.channels, self.segment_frames // 2), np.float32)

    def push(self, block: Audio) -> StemArray:
        """Take one more block; return the frames no later segment reaches, as far as they are computed."""
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise ArgumentValueError(f"a block must be ({self.channels}, frames); got {block.shape}")
        block = np.array(block, np.float32)
        self._backlog.push(block)
        self._next = np.concatenate([self._next, block], axis=1)
        count = max(0, (self._next.shape[1] - self.segment_frames) // self.hop_frames + 1)
        parts = [np.empty((self.stems, self.channels, 0), np.float32)]
        for k in range(count):
            start = k * self.hop_frames
            self._begin(self._next[:, start : start + self.segment_frames].copy())
            if len(self._under_way) == self._held:
                parts.append(super().push(self._backlog.pop(self.segment_frames - self._pending.shape[1])))
        self._next = self._next[:, count * self.hop_frames :].copy()
        return np.concatenate(parts, axis=2)

    def flush(self) -> StemArray:
        """End the stream: return the frames still held back, then be as after `reset`."""
        parts = [super().push(self._backlog.pop(len(self._backlog)))]
        while left := self._pending.shape[1]:
            if self._trailing or self._weight_sums[left - 1] == 0.0:
                self._sums[:, :, :left] += self._weights[:left] * self._last(self._pending)
                self._weight_sums[:left] += self._weights[:left]
            finished = min(self.hop_frames, left)
            parts.append(self._faded(finished))
            self._advance()
            self._remember(self._pending[:, :finished])
            self._pending = self._pending[:, finished:]
        self.reset()
        return np.concatenate(parts, axis=2)

    def _begin(self, segment: Audio) -> None:
        if self._pool is not None:
            self._under_way.append(self._pool.submit(self._run, segment))
            return
        done: Future[StemArray] = Future()
        done.set_result(self._run(segment))
        self._under_way.append(done)

    def _oldest(self, segment: Audio) -> StemArray:
        self._remember(segment[:, : self.hop_frames])
        return self._under_way.popleft().result()

    def _remember(self, frames: Audio) -> None:
        keep = self._behind.shape[1]
        self._behind = np.concatenate([self._behind, frames], axis=1)[:, -keep:] if keep else self._behind

    def _last(self, rest: Audio) -> StemArray:
        """The estimates for the end of the song, shorter than a segment."""
        if not self._whole:
            return self._on_pool(np.ascontiguousarray(rest))
        missing = self.segment_frames - rest.shape[1]
        before = missing // 2
        lead = self._behind[:, self._behind.shape[1] - before :]
        segment = np.concatenate(
            [lead, rest, np.zeros((self.channels, missing - before), np.float32)], axis=1
        )
        return self._on_pool(segment)[:, :, before : before + rest.shape[1]]

    def _on_pool(self, segment: Audio) -> StemArray:
        # The pool's threads are set up to compute alone; here would be another rounding.
        return self._run(segment) if self._pool is None else self._pool.submit(self._run, segment).result()
