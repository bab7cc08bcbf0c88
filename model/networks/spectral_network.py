"""What every network here is: spectra of the mix in, spectra of its stems out.

Axes throughout: b examples, s stems, c channels, t times (spectra), f frequency bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

STEMS = ("drums", "bass", "other", "vocals")
"""The four stems everywhere, in this order."""


@dataclass(frozen=True)
class NetworkConfig:
    """What a network needs to know of the sound it is given; each network adds its own sizes.

    The STFT is that of `model.dsp.stft`: a periodic Hann window, spectrum t centred at frame
    t * hop_frames, no scaling.
    """

    sample_rate: int = 44100
    channels: int = 2
    window_frames: int = 4096
    hop_frames: int = 1024
    stems: tuple[str, ...] = STEMS
    residual_stem: str = "other"

    @property
    def bins(self) -> int:
        """Frequency bins of one spectrum."""
        return self.window_frames // 2 + 1


class SpectralNetwork(nn.Module):
    """A network that turns spectra of the mix into estimates of the stems' spectra.

    Offline, it is run on segments of `segment_times` spectra, of which `context_times` at either end
    only serve as context and are thrown away; segments are anchored at spectrum 0, what lies before the
    song and after its end is zero. A network whose estimates depend on no more than `context_times`
    spectra to either side gives the same result however long its segments are.
    """

    name: ClassVar[str]
    """As in the registry and in checkpoints."""
    loss: ClassVar[str]
    """What it is trained with unless told otherwise; a name from `training.losses`."""
    config: NetworkConfig
    segment_times: int
    context_times: int

    def forward(self, spectra: Tensor) -> Tensor:
        """Estimate the stems.

        Shape: complex64 `(b, c, t, f)` -> complex64 `(b, s, c, t, f)`.
        """
        raise NotImplementedError

    def squared_errors(self, mix: Tensor, stems: Tensor) -> Tensor:
        """What the estimates of each stem are off by: |estimate - stem|^2, summed over all but b and s.

        Shape: complex64 `(b, c, t, f)` and `(b, s, c, t, f)` -> float32 `(b, s)`.
        """
        parts = torch.view_as_real(self(mix) - stems)
        return parts.square().sum(dim=(2, 3, 4, 5))


class MagnitudeNetwork(SpectralNetwork):
    """A network that knows magnitudes only: every estimate has the phase of the mix."""

    def magnitudes(self, mix: Tensor) -> Tensor:
        """Estimate the magnitudes of the stems from those of the mix.

        Shape: float32 `(b, c, t, f)` -> float32 `(b, s, c, t, f)`, all >= 0.
        """
        raise NotImplementedError

    def forward(self, spectra: Tensor) -> Tensor:
        """Estimate the stems, with the phase of the mix."""
        mix = spectra.abs()
        # (b, s, c, t, f) * (b, 1, c, t, f); a silent bin has no phase and stays silent
        return self.magnitudes(mix) * (spectra / mix.clamp_min(1e-8)).unsqueeze(1)
