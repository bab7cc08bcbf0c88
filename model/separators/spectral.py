"""What separators that weigh the bins of one STFT have in common: streaming, grids, counting."""

from __future__ import annotations

import abc
from collections.abc import Iterator

import numpy as np

from ..audio import Audio, StemArray
from ..dsp.stft import Istft, Spectra, Stft, stft_latency
from ..errors import ArgumentValueError


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
        ready: list[StemArray] = []
        for start in range(0, block.shape[1], self._piece):
            ready += self._stems(self._analyse(block[:, start : start + self._piece]))
        return self._joined(ready)

    def flush(self) -> StemArray:
        """End the stream: return the frames still held back."""
        ready = self._stems(self._analysis.flush(), last=True)
        ready.append(self._by_stem(self._synthesis.flush(self._frames)))
        self.reset()
        return self._joined(ready)

    def _stems(self, spectra: Spectra, last: bool = False) -> list[StemArray]:
        """The frames that more spectra of the mix complete, in parts."""
        parts = []
        for estimates in self._estimate(spectra, last):
            flat = estimates.reshape(len(self.stems) * self.channels, *estimates.shape[2:])
            parts.append(self._by_stem(self._synthesis.push(flat)))
        return parts

    def _by_stem(self, audio: Audio) -> StemArray:
        return audio.reshape(len(self.stems), self.channels, audio.shape[1])

    def _joined(self, parts: list[StemArray]) -> StemArray:
        return np.concatenate([np.zeros((len(self.stems), self.channels, 0), np.float32), *parts], axis=2)

    def _analyse(self, piece: Audio) -> Spectra:
        """The spectra that one more piece of the mix completes."""
        return self._analysis.push(piece)

    @abc.abstractmethod
    def _restart(self) -> None:
        """Forget what earlier spectra left behind."""

    @abc.abstractmethod
    def _estimate(self, spectra: Spectra, last: bool) -> Iterator[Spectra]:
        """Take the next spectra of the mix; give the stems' spectra that are finished, all when `last`.

        Shape: spectra `(channels, times, bins)`, yields `(stems, channels, some, bins)`, where a long
        separator yields often so that memory stays flat.
        """
