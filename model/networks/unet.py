"""The U-Net on magnitude patches.

Jansson, Humphrey, Montecchio, Bittner, Kumar and Weyde, "Singing voice separation with deep U-Net
convolutional networks", ISMIR 2017.

Axes: b examples, s stems, c channels, t times, f frequency bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..errors import ArgumentValueError
from .patches import compressed, cut, levelled, restored
from .spectral_network import MagnitudeNetwork, NetworkConfig

LEVELS = 6
STEP = 2**LEVELS
"""Bins and times are halved that often, so both come in multiples of this."""
DROPOUT_LEVELS = 3


@dataclass(frozen=True)
class UNetConfig(NetworkConfig):
    """The sizes of a U-Net; as they stand those of the paper.

    Raises ArgumentValueError where sizes do not fit each other.
    """

    sample_rate: int = 8192
    channels: int = 1
    window_frames: int = 1024
    hop_frames: int = 768
    stems: tuple[str, ...] = ("accompaniment", "vocals")
    residual_stem: str = "accompaniment"
    seen_bins: int = 512
    """The lowest bins, which the network sees; what lies above (here the Nyquist frequency) is masked
    like the highest of them."""
    patch_times: int = 128
    context_times: int = 16
    """At either end of a patch, thrown away: masks are worst where half of what they need is missing."""
    width: int = 16
    """Channels of the first level; each further level has twice as many."""
    dropout: float = 0.5
    """Chance of a value to be dropped in the first three levels of the decoder, in training."""
    power: float = 1.0
    """Exponent on the magnitudes the network sees; the paper shows them as they are."""

    def __post_init__(self) -> None:
        """Check the sizes."""
        if self.seen_bins < STEP or self.seen_bins % STEP or self.seen_bins > self.bins:
            raise ArgumentValueError(
                f"a U-Net sees a multiple of {STEP} bins out of {self.bins}; got {self.seen_bins}"
            )
        if self.patch_times < STEP or self.patch_times % STEP:
            raise ArgumentValueError(f"a patch has a multiple of {STEP} times; got {self.patch_times}")
        if not 0 <= 2 * self.context_times < self.patch_times:
            raise ArgumentValueError(
                f"context on both sides must leave something of {self.patch_times} times; "
                f"got {self.context_times}"
            )
        if self.width < 1 or not 0 <= self.dropout < 1 or not 0 < self.power <= 1:
            raise ArgumentValueError(
                "a U-Net needs a width of 1 or more, 0 <= dropout < 1 and 0 < power <= 1; "
                f"got width {self.width}, dropout {self.dropout}, power {self.power}"
            )

    @classmethod
    def full_band(cls, width: int = 16, dropout: float = 0.5) -> UNetConfig:
        """The same network for 44.1 kHz stereo, on compressed magnitudes up to 11 kHz.

        Narrower ones are made by `width`: half of it is a quarter of the parameters and operations.
        """
        return cls(
            sample_rate=44100,
            channels=2,
            window_frames=4096,
            hop_frames=1024,
            seen_bins=1024,
            width=width,
            dropout=dropout,
            power=0.4,
        )

    @classmethod
    def small(cls) -> UNetConfig:
        """The full-band network at half width: the one that is trained and shipped."""
        return cls.full_band(width=8, dropout=0.2)


class StemUNet(nn.Module):
    """The U-Net of one stem: levelled magnitudes in, mask out."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        sizes = [config.channels, *(config.width << level for level in range(LEVELS))]
        self.down = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(sizes[level], sizes[level + 1], 5, stride=2, padding=2, bias=False),
                nn.BatchNorm2d(sizes[level + 1]),
                nn.LeakyReLU(0.2),
            )
            for level in range(LEVELS)
        )
        self.up = nn.ModuleList()
        for level in reversed(range(1, LEVELS)):
            above = 1 if level == LEVELS - 1 else 2  # all but the deepest also get the skip of their level
            self.up.append(
                nn.Sequential(
                    nn.ConvTranspose2d(
                        above * sizes[level + 1],
                        sizes[level],
                        5,
                        stride=2,
                        padding=2,
                        output_padding=1,
                        bias=False,
                    ),
                    nn.BatchNorm2d(sizes[level]),
                    nn.ReLU(),
                    nn.Dropout(config.dropout if level >= LEVELS - DROPOUT_LEVELS else 0.0),
                )
            )
        self.mask = nn.ConvTranspose2d(2 * sizes[1], sizes[0], 5, stride=2, padding=2, output_padding=1)

    def forward(self, seen: Tensor) -> Tensor:
        """Shape: `(b, c, t, f)` with t and f multiples of `STEP` -> the same, in 0..1."""
        x = seen
        skips = []
        for down in self.down:
            x = down(x)  # (b, width * 2^l, t / 2^(l+1), f / 2^(l+1))
            skips.append(x)
        skips.pop()
        for up in self.up:
            # (b, 2 * width * 2^l, t / 2^(l+1), f / 2^(l+1)): the decoder's half, then the encoder's
            x = torch.cat([up(x), skips.pop()], dim=1)
        return torch.sigmoid(self.mask(x).float())


class UNet(MagnitudeNetwork):
    """One U-Net per stem, each with a sigmoid mask on the magnitudes of the mix.

    Six levels of 5x5 convolutions with stride 2, batch norm and leaky ReLU 0.2 down; transposed
    convolutions with batch norm and ReLU up, dropout in the first three, every level beside the encoder's
    of its size; trained by the mean absolute difference of magnitudes. A patch is brought to level 1 by
    its own root mean square (`patches`); the paper divides by the song's maximum, which no stream knows.
    The masks depend on the whole patch.

    Cost, both stems together, in multiply-accumulates per second of audio, context included:

    - `unet`, as published: 19,643,618 parameters, 0.167 GMAC/s
    - `unet-full-band`: 19,646,020 parameters, 1.388 GMAC/s
    - `unet-small`, the one shipped: 4,914,212 parameters, 0.365 GMAC/s
    """

    name: ClassVar[str] = "unet"
    loss: ClassVar[str] = "l1"
    config: UNetConfig

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        self.segment_times = config.patch_times
        self.context_times = config.context_times
        self.nets = nn.ModuleList(StemUNet(config) for _ in config.stems)

    def magnitudes(self, mix: Tensor) -> Tensor:
        """Estimate the magnitudes of the stems: mask times mix."""
        seen = compressed(cut(levelled(mix), STEP, self.config.seen_bins), self.config.power)
        seen = seen.contiguous(memory_format=torch.channels_last)
        masks = torch.stack([net(seen) for net in self.nets], dim=1)  # (b, s, c, t', f')
        return restored(masks, mix.shape[2], mix.shape[3]) * mix.unsqueeze(1)
