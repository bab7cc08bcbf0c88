"""A streaming short-time Fourier transform and its inverse, on a grid anchored at frame 0.

Spectra are `(channels, times, bins)` complex64: one spectrum is contiguous, as the FFT writes it.
Spectrum t is centred at frame t * hop of the stream, the frames before the start and after the end
being zero (librosa's `center=True`), so there are 1 + n // hop spectra of n frames, and one more when
the hop is so long that the end would not be covered. The inverse weights by the window again and
divides by the sum of its squares (Griffin and Lim 1984), which is exact at the edges too.

How a stream is cut into blocks never changes a bit: pocketfft computes several transforms side by side
in SIMD lanes and the remainder one by one, so the number of transforms in a call is always filled up
to whole groups of lanes; sums over overlapping windows always run from the earliest to the latest.

>>> x = np.random.default_rng(0).standard_normal((2, 10_000)).astype(np.float32)
>>> spectra = stft(x, 2048, 512)
>>> spectra.shape, bool(np.allclose(istft(spectra, 2048, 512, 10_000), x, atol=1e-5))
((2, 20, 1025), True)
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..audio import Audio
from ..errors import ArgumentValueError, StateError

Spectra = NDArray[np.complex64]
"""`(channels, times, bins)` complex64."""

Window = Literal["hann", "sine"]

LANES = 16
"""The widest SIMD group of float32 transforms pocketfft is ever built with (AVX-512)."""


def analysis_window(name: Window, frames: int) -> NDArray[np.float32]:
    """The periodic window of that name; both are exact under overlap-add of their squares."""
    if name not in ("hann", "sine"):
        raise ArgumentValueError(f"a window is hann or sine; got {name!r}")
    sine: NDArray[np.float64] = np.sin(np.arange(frames) * (np.pi / frames))
    return np.asarray(sine**2 if name == "hann" else sine, np.float32)


def window_at(sample_rate: int, frames_at_44100: int = 2048) -> int:
    """The power of two nearest in duration to `frames_at_44100` frames at 44.1 kHz.

    >>> [window_at(rate) for rate in (8000, 22050, 44100, 48000, 96000)]
    [512, 1024, 2048, 2048, 4096]
    """
    return int(2 ** round(np.log2(frames_at_44100 * sample_rate / 44100)))


def spectra_of(frames: int, window_frames: int, hop_frames: int) -> int:
    """How many spectra a stream of that many frames has."""
    if frames == 0:
        return 0
    # With three quarters of overlap the window's middle half reaches every frame up to the end.
    # With less, frames past the last centre need one more spectrum.
    more = 1 if frames % hop_frames and window_frames < 4 * hop_frames else 0
    return 1 + frames // hop_frames + more


def stft_latency(window_frames: int, hop_frames: int) -> int:
    """How many frames `Stft` and `Istft` together hold back at most."""
    return window_frames if window_frames >= 4 * hop_frames else window_frames // 2 + 2 * hop_frames


def _check(window_frames: int, hop_frames: int, channels: int) -> None:
    if channels < 1 or window_frames < 2 or window_frames % 2 or not 1 <= hop_frames < window_frames:
        raise ArgumentValueError(
            "an STFT needs 1 or more channels, an even window of 2 or more frames and a hop shorter than it; "
            f"got {channels} channels, window {window_frames}, hop {hop_frames}"
        )


class Stft:
    """Audio in, spectra out."""

    def __init__(self, window_frames: int, hop_frames: int, channels: int, window: Window = "hann") -> None:
        _check(window_frames, hop_frames, channels)
        self.window_frames = window_frames
        self.hop_frames = hop_frames
        self.channels = channels
        self.bins = window_frames // 2 + 1
        self._window = analysis_window(window, window_frames)
        self._tile = np.zeros((_whole_groups(max(2 * LANES, channels)), window_frames), np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget everything; the next frame pushed is frame 0."""
        self._pending = np.zeros((self.channels, self.window_frames // 2), np.float32)
        self._frames = 0
        self._spectra = 0

    def push(self, block: Audio) -> Spectra:
        """Take one more block; return the spectra whose windows are now filled.

        Shape: block `(channels, n)`, returns `(channels, times, bins)`.
        """
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise ArgumentValueError(f"a block must be ({self.channels}, frames); got {block.shape}")
        self._frames += block.shape[1]
        self._pending = np.concatenate([self._pending, block], axis=1, dtype=np.float32)
        ready = max(0, (self._pending.shape[1] - self.window_frames) // self.hop_frames + 1)
        return self._transform(ready)

    def flush(self) -> Spectra:
        """End the stream: return the spectra that reach past its end; then be as after `reset`."""
        left = spectra_of(self._frames, self.window_frames, self.hop_frames) - self._spectra
        needed = (left - 1) * self.hop_frames + self.window_frames - self._pending.shape[1]
        self._pending = np.pad(self._pending, [(0, 0), (0, max(0, needed))])
        spectra = self._transform(left)
        self.reset()
        return spectra

    def _transform(self, count: int) -> Spectra:
        """Turn the first `count` windows of what is pending into spectra."""
        from scipy.fft import rfft

        spectra = np.empty((self.channels, count, self.bins), np.complex64)
        if count == 0:
            return spectra
        windows = sliding_window_view(self._pending, self.window_frames, axis=1)[:, :: self.hop_frames]
        step = self._tile.shape[0] // self.channels
        for start in range(0, count, step):
            n = min(step, count - start)
            rows = self.channels * n
            tile = self._tile[:rows].reshape(self.channels, n, self.window_frames)
            np.multiply(windows[:, start : start + n], self._window, out=tile)
            result = rfft(self._tile[: _whole_groups(rows)], axis=-1)
            spectra[:, start : start + n] = result[:rows].reshape(self.channels, n, self.bins)
        self._pending = self._pending[:, count * self.hop_frames :].copy()
        self._spectra += count
        return spectra


class Istft:
    """Spectra in, audio out; the inverse of `Stft` with the same window and hop."""

    def __init__(self, window_frames: int, hop_frames: int, channels: int, window: Window = "hann") -> None:
        _check(window_frames, hop_frames, channels)
        self.window_frames = window_frames
        self.hop_frames = hop_frames
        self.channels = channels
        self.bins = window_frames // 2 + 1
        self._window = analysis_window(window, window_frames)
        self._parts = -(-window_frames // hop_frames)  # how many windows overlap
        square = np.zeros(self._parts * hop_frames, np.float32)
        square[:window_frames] = self._window**2
        self._square = square.reshape(self._parts, hop_frames)
        self._tile = np.zeros((_whole_groups(max(2 * LANES, channels)), self.bins), np.complex64)
        self.reset()

    def reset(self) -> None:
        """Forget everything; the next spectrum pushed is centred at frame 0."""
        # Unfinished sums of the hops that the next windows still reach: (channels, parts - 1, hop).
        self._sums = np.zeros((self.channels, self._parts - 1, self.hop_frames), np.float32)
        self._spectra = 0
        self._frames = 0
        self._skip = self.window_frames // 2  # frames before the start of the stream
        self._held = np.zeros((self.channels, 0), np.float32)  # finished, yet perhaps past the end

    def push(self, spectra: Spectra) -> Audio:
        """Take more spectra; return the frames no later spectrum reaches.

        Shape: spectra `(channels, times, bins)`, returns `(channels, ready)`.
        """
        if spectra.ndim != 3 or (spectra.shape[0], spectra.shape[2]) != (self.channels, self.bins):
            raise ArgumentValueError(
                f"spectra must be ({self.channels}, times, {self.bins}); got {spectra.shape}"
            )
        count = spectra.shape[1]
        if count == 0:
            return np.zeros((self.channels, 0), np.float32)
        sums = np.zeros((self.channels, self._parts - 1 + count, self.hop_frames), np.float32)
        sums[:, : self._parts - 1] = self._sums
        self._overlap_add(spectra, sums)
        self._sums = sums[:, count:].copy()
        audio = sums[:, :count]
        steady = max(0, self._parts - 1 - self._spectra)  # the hops before see fewer windows
        for k in range(min(count, steady)):
            audio[:, k] *= self._weight(0, self._spectra + k + 1)
        if count > steady:
            audio[:, steady:] *= self._weight(0, self._parts)
        self._spectra += count
        # The stream is known to reach the last centre, or the one before where `spectra_of` adds one.
        certain = self._spectra - (1 if self.window_frames >= 4 * self.hop_frames else 2)
        return self._emit(audio, certain * self.hop_frames)

    def flush(self, frames: int) -> Audio:
        """End the stream, `frames` long in all: return the rest; then be as after `reset`.

        Raises StateError when the spectra that came do not reach that far.
        """
        if self._spectra < spectra_of(frames, self.window_frames, self.hop_frames):
            raise StateError(f"{frames} frames need more than the {self._spectra} spectra that came")
        for k in range(self._parts - 1):
            first = k + 1  # parts before this one belong to spectra that never came
            self._sums[:, k] *= self._weight(first, min(self._parts, self._spectra + first))
        rest = self._emit(self._sums, frames)
        self.reset()
        return rest

    def _overlap_add(self, spectra: Spectra, sums: Audio) -> None:
        from scipy.fft import irfft

        hop = self.hop_frames
        count = spectra.shape[1]
        step = self._tile.shape[0] // self.channels
        for start in range(0, count, step):
            n = min(step, count - start)
            rows = self.channels * n
            self._tile[:rows].reshape(self.channels, n, self.bins)[:] = spectra[:, start : start + n]
            result = irfft(self._tile[: _whole_groups(rows)], n=self.window_frames, axis=-1)
            windows = result[:rows].reshape(self.channels, n, self.window_frames)
            windows *= self._window
            # Hop b of the output gets part r of window b - r: the latest part first is the earliest window.
            for r in reversed(range(self._parts)):
                part = windows[:, :, r * hop : (r + 1) * hop]
                sums[:, start + r : start + r + n, : part.shape[2]] += part

    def _weight(self, first: int, last: int) -> NDArray[np.float32]:
        """One over the sum of the squared window's parts `first` to `last` - 1, each one hop long."""
        total = self._square[first:last].sum(axis=0, dtype=np.float64)
        return np.asarray(1.0 / np.maximum(total, 1e-8), np.float32)

    def _emit(self, hops: Audio, end: int) -> Audio:
        """Append finished hops; give out what lies before frame `end`."""
        audio = hops.reshape(self.channels, -1)
        skipped = min(self._skip, audio.shape[1])
        self._skip -= skipped
        self._held = np.concatenate([self._held, audio[:, skipped:]], axis=1)
        ready = max(0, min(end - self._frames, self._held.shape[1]))
        self._frames += ready
        finished, self._held = self._held[:, :ready].copy(), self._held[:, ready:].copy()
        return finished


def stft(audio: Audio, window_frames: int, hop_frames: int, window: Window = "hann") -> Spectra:
    """All spectra of `(channels, frames)` audio at once."""
    transform = Stft(window_frames, hop_frames, audio.shape[0], window)
    return np.concatenate([transform.push(audio), transform.flush()], axis=1)


def istft(
    spectra: Spectra, window_frames: int, hop_frames: int, frames: int, window: Window = "hann"
) -> Audio:
    """The audio, `frames` long, of spectra made by `stft` with the same window and hop."""
    transform = Istft(window_frames, hop_frames, spectra.shape[0], window)
    return np.concatenate([transform.push(spectra), transform.flush(frames)], axis=1)


def _whole_groups(transforms: int) -> int:
    return -(-transforms // LANES) * LANES
