"""What separators that weigh the bins of one STFT have in common: streaming, grids, counting."""

from __future__ import annotations

import abc

import numpy as np

from ..audio import Audio, StemArray
from ..errors import ArgumentValueError
from ..stft import Istft, Spectra, Stft, stft_latency


class SpectralSeparator(abc.ABC):
    """A separator between an `Stft` and an `Istft`; a child turns spectra of the mix into spectra of stems.

    `behind` and `ahead` are how many spectra before and after one its estimate may depend on, and
    `held` how many more may wait to be computed together.
    """

    name: str
    stems: tuple[str, ...]
    residual_stem: str

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        *,
        window_frames: int,
        hop_frames: int,
        behind: int,
        ahead: int,
        held: int = 0,
        piece: int = 64,
    ) -> None:
        self.sample_rate = sample_rate
        self.channels = channels
        self.grid = hop_frames
        self.latency = stft_latency(window_frames, hop_frames) + (ahead + held) * hop_frames
        self.context_frames = window_frames + max(behind, ahead) * hop_frames
        self._piece = piece * hop_frames
        self._analysis = Stft(window_frames, hop_frames, channels)
        self._synthesis = Istft(window_frames, hop_frames, channels * len(self.stems))
        self._frames = 0

    def reset(self, start_frame: int = 0) -> None:
        """Forget everything; the next frame pushed is number `start_frame`, a multiple of `grid`."""
        if start_frame < 0 or start_frame % self.grid:
            raise ArgumentValueError(
                f"{self.name} starts at multiples of {self.grid} frames at {self.sample_rate} Hz; "
                f"got {start_frame}. Start earlier and throw the frames before it away"
            )
        self._analysis.reset()
        self._synthesis.reset()
        self._frames = 0
        self._restart()

    def push(self, block: Audio) -> StemArray:
        """Take one more block of the mix; return the frames that are finished."""
        self._frames += block.shape[1]
        # In pieces, so that memory does not follow the size of the block.
        ready = [
            self._stems(self._analysis.push(block[:, start : start + self._piece]))
            for start in range(0, block.shape[1], self._piece)
        ]
        return np.concatenate(ready, axis=2) if ready else self._empty()

    def flush(self) -> StemArray:
        """End the stream: return the frames still held back."""
        ready = self._stems(self._analysis.flush(), last=True)
        rest = self._synthesis.flush(self._frames)
        rest = rest.reshape(len(self.stems), self.channels, rest.shape[1])
        self.reset()
        return np.concatenate([ready, rest], axis=2)

    def _empty(self) -> StemArray:
        return np.zeros((len(self.stems), self.channels, 0), np.float32)

    def _stems(self, spectra: Spectra, last: bool = False) -> StemArray:
        estimates = self._estimate(spectra, last)
        flat = estimates.reshape(len(self.stems) * self.channels, *estimates.shape[2:])
        audio = self._synthesis.push(flat)
        return audio.reshape(len(self.stems), self.channels, audio.shape[1])

    @abc.abstractmethod
    def _restart(self) -> None:
        """Forget what earlier spectra left behind."""

    @abc.abstractmethod
    def _estimate(self, spectra: Spectra, last: bool) -> Spectra:
        """Take the next spectra of the mix; return the stems' spectra that are finished, all when `last`.

        Shape: spectra `(channels, times, bins)`, returns `(stems, channels, ready, bins)`.
        """
