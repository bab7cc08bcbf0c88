"""Sample rates changed block by block, by soxr.

VHQ computes in 64 bits: flat within 0.01 dB to 0.92 of the lower rate's Nyquist frequency, -3 dB at 0.95,
aliases below -150 dB, a thousand times real time.

Measured with soxr 1.1: how a stream is cut into chunks never changes a bit; a stream that starts later in
the song differs from the slice of the whole by the last bit of some samples (by 6e-6 between rates
without a small common ratio, such as 8192 and 44100 Hz), because soxr's FFT blocks fall elsewhere.
`anchored=True` removes that: soxr starts anew for every block of a grid that is anchored at frame 0, with
enough of its neighbours around it.
"""

from __future__ import annotations

import math

import numpy as np
import soxr
from numpy.typing import NDArray

from ..audio import Audio
from ..errors import ArgumentTypeError, ArgumentValueError

QUALITY = "VHQ"
_REACH = 160
"""Frames (of the lower rate) on either side that a VHQ filter reads; beyond 145 all taps are < 1e-9."""
_STREAM_LATENCY = 2048
"""Frames (of the lower rate, in input frames) that soxr holds back at most: its FFT blocks."""
_BLOCK = 16384
"""Frames between anchors, at least: soxr restarted so often costs a fifth of its speed."""


class Resampler:
    """A stream of audio from `in_rate` to `out_rate` (Hz), sample 0 on sample 0.

    After n frames pushed, `push` and `flush` have given round(n * out_rate / in_rate) frames (a half is
    rounded up). How the input is cut never changes a bit; equal rates pass every block through as it is.

    `anchored` costs latency and makes regions exact: a stream that `reset(start_frame)` starts on a multiple
    of `grid` gives, from `context_frames` after the start on, bit for bit the slice of the whole.
    """

    grid: int
    """Input frames between the positions where a region may start."""
    context_frames: int
    """Input frames on either side of a sample that can influence it, at most."""
    latency: int
    """Input frames held back at most: after n pushed, those that belong to n - latency are out."""

    def __init__(self, in_rate: int, out_rate: int, channels: int, *, anchored: bool = False) -> None:
        for name, value in (("in_rate", in_rate), ("out_rate", out_rate), ("channels", channels)):
            if value < 1:
                raise ArgumentValueError(f"{name} must be 1 or more; got {value}")
        self.in_rate, self.out_rate, self.channels = in_rate, out_rate, channels
        shared = math.gcd(in_rate, out_rate)
        # `down` input frames last exactly as long as `up` output frames
        self._down, self._up = in_rate // shared, out_rate // shared
        self.passthrough = in_rate == out_rate
        reach = math.ceil(_REACH * max(1.0, in_rate / out_rate))
        self._margin = -(-reach // self._down) * self._down
        # a power of two times `down`, so that a resampler there, one back and an STFT share a short grid
        self._block = self._down if anchored else 0
        while 0 < self._block < max(_BLOCK, 4 * self._margin):
            self._block *= 2
        if self.passthrough:
            self.grid, self.context_frames, self.latency = 1, 0, 0
        elif anchored:
            # in its last bit a sample hangs on everything that went through the same FFTs
            self.grid, self.context_frames = self._block, self._block + self._margin
            self.latency = self._block + self._margin
        else:
            self.grid, self.context_frames = self._down, reach
            self.latency = math.ceil(_STREAM_LATENCY * max(1.0, in_rate / out_rate))
        self._soxr = soxr.ResampleStream(in_rate, out_rate, channels, dtype="float32", quality=QUALITY)
        # anchored: a margin, one block, a margin; (frames, channels) as soxr takes them
        frames = self._block + 2 * self._margin if anchored else 0
        self._window: NDArray[np.float32] = np.zeros((frames, channels), np.float32)
        self._restart()

    def reset(self, start_frame: int = 0) -> None:
        """Forget everything; the next frame pushed is number `start_frame`, a multiple of `grid`.

        The first frame out is then number start_frame * out_rate / in_rate.
        """
        if start_frame < 0 or start_frame % self.grid:
            raise ArgumentValueError(
                f"{self.in_rate} to {self.out_rate} Hz starts at multiples of {self.grid}; got {start_frame}"
            )
        self._restart()

    def push(self, block: Audio) -> Audio:
        """Take the next block; return the frames that are finished.

        Shape: `(channels, n)`, n >= 0, to `(channels, m)`, m >= 0.
        """
        self._check(block)
        if self.passthrough:
            return block
        self._pushed += block.shape[1]
        return self._out(self._anchored(block) if self._block else [self._chunk(block.T)])

    def flush(self) -> Audio:
        """End the stream: return the frames still held back, then be as after `reset`."""
        total = (2 * self._pushed * self._up + self._down) // (2 * self._down)
        rest = total - self._given
        parts: list[NDArray[np.float32]] = []
        if self._block:
            silence = np.zeros((self.channels, self._block + self._margin), np.float32)
            while sum(map(len, parts)) < rest:
                parts += self._anchored(silence)
        elif rest > 0:
            # soxr rounds the length its own way: silence after the end gives a frame to spare
            silence = np.zeros((self.channels, 2 + self._down // self._up), np.float32)
            parts = [self._chunk(silence.T, last=True)]
        audio = self._out(parts)[:, :rest]
        self._restart()
        return np.ascontiguousarray(audio)

    def _restart(self) -> None:
        self._pushed = self._given = 0
        self._soxr.clear()
        self._window[: self._margin] = 0.0
        self._filled = self._margin
        self._lead = 0 if self._block else self._margin // self._down * self._up
        if self._lead:
            # soxr starts with half-empty filters; silence first, so that sample 0 is like any other
            self._drop(self._soxr.resample_chunk(np.zeros((self._margin, self.channels), np.float32)))

    def _chunk(self, frames: NDArray[np.float32], *, last: bool = False) -> NDArray[np.float32]:
        return self._drop(self._soxr.resample_chunk(np.ascontiguousarray(frames), last=last))

    def _drop(self, chunk: NDArray[np.float32]) -> NDArray[np.float32]:
        """Without what came out for the silence before the start."""
        lead = min(self._lead, len(chunk))
        self._lead -= lead
        return chunk[lead:]

    def _anchored(self, block: Audio) -> list[NDArray[np.float32]]:
        """Fill the window; each time it is full, resample it and keep what belongs to its block."""
        parts: list[NDArray[np.float32]] = []
        taken = 0
        size, keep = len(self._window), 2 * self._margin
        first = self._margin // self._down * self._up
        last = first + self._block // self._down * self._up
        while taken < block.shape[1]:
            count = min(size - self._filled, block.shape[1] - taken)
            self._window[self._filled : self._filled + count] = block[:, taken : taken + count].T
            self._filled += count
            taken += count
            if self._filled == size:
                self._soxr.clear()
                parts.append(self._chunk(self._window, last=True)[first:last])
                self._window[:keep] = self._window[size - keep :].copy()
                self._filled = keep
        return parts

    def _out(self, parts: list[NDArray[np.float32]]) -> Audio:
        frames = sum(map(len, parts))
        audio = np.empty((self.channels, frames), np.float32)
        at = 0
        for part in parts:
            audio[:, at : at + len(part)] = part.T
            at += len(part)
        self._given += frames
        return audio

    def _check(self, block: Audio) -> None:
        if block.dtype != np.float32:
            raise ArgumentTypeError(
                f"audio must be float32; got {block.dtype}. Convert it: astype(np.float32)"
            )
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise ArgumentValueError(f"audio must be ({self.channels}, frames); got {block.shape}")


def resample(audio: Audio, in_rate: int, out_rate: int) -> Audio:
    """All of `audio` at another rate, `(channels, frames)`, sample 0 on sample 0.

    >>> resample(np.zeros((2, 48000), np.float32), 48000, 44100).shape
    (2, 44100)
    """
    if audio.ndim != 2:
        raise ArgumentValueError(f"audio must be (channels, frames); got {audio.shape}")
    resampler = Resampler(in_rate, out_rate, audio.shape[0])
    return np.concatenate([resampler.push(audio), resampler.flush()], axis=1)
