"""Two parallel encoders for what is tall and what is wide in a spectrogram, and four decoders.

Pepino, "Separación de fuentes musicales mediante redes neuronales convolucionales con múltiples
decodificadores", 2019; after DeepConvSep: Chandna, Miron, Janer and Gómez, "Monoaural audio source
separation using deep convolutional neural networks", LVA/ICA 2017.

Axes: b examples, p patches, s stems, c channels, t times, f frequency bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import ArgumentValueError
from .patches import compressed, cut, levelled, restored
from .spectral_network import MagnitudeNetwork, NetworkConfig

PATCH_TIMES = 30
STEP = 64
"""Bins come in multiples of this: the strides of both tall convolutions together."""


@dataclass(frozen=True)
class ParallelEncoderConfig(NetworkConfig):
    """The sizes of a parallel encoder; as they stand those that are trained and shipped.

    Raises ArgumentValueError where sizes do not fit each other.
    """

    window_frames: int = 2048
    hop_frames: int = 512
    seen_bins: int = 768
    """The lowest bins, which the network sees (up to 16.5 kHz); those above are masked like the highest."""
    context_times: int = 5
    """At either end of a patch of 30 times, thrown away."""
    width: int = 32
    """Channels of the first convolution of both encoders."""
    tall: int = 8
    """Channels of the second tall convolution, each 15 times by a 64th of the bins."""
    wide: int = 8
    """Channels of the second wide convolution, each 1 time by a quarter of the bins."""
    latent: int = 160
    """Values a patch is reduced to."""
    power: float = 0.4
    """Exponent on the magnitudes the network sees."""
    wiener_power: float = 2.0
    """p in the masks |s_i|^p / sum |s_j|^p."""

    def __post_init__(self) -> None:
        """Check the sizes."""
        if self.seen_bins < STEP or self.seen_bins % STEP or self.seen_bins > self.bins:
            raise ArgumentValueError(
                f"the encoders see a multiple of {STEP} bins out of {self.bins}; got {self.seen_bins}"
            )
        if not 0 <= 2 * self.context_times < PATCH_TIMES:
            raise ArgumentValueError(
                f"context on both sides must leave something of {PATCH_TIMES} times; got {self.context_times}"
            )
        if min(self.channels, self.width, self.tall, self.wide, self.latent) < 1:
            raise ArgumentValueError(
                "channels, width, tall, wide and latent must be 1 or more; "
                f"got {self.channels}, {self.width}, {self.tall}, {self.wide} and {self.latent}"
            )
        if not 0 < self.power <= 1 or self.wiener_power <= 0:
            raise ArgumentValueError(
                "the power must be above 0 and at most 1, the exponent of the masks above 0; "
                f"got {self.power} and {self.wiener_power}"
            )


class ParallelEncoder(MagnitudeNetwork):
    """Patches of 30 times through a narrow latent and out again as four stems.

    Tall filters (80 bins by 1 time, then 192 by 2) see hits, wide ones (3 bins by 15 times, then 4 by 30)
    what is stationary: two convolutions each, with batch norm and ReLU, side by side on the stereo
    magnitudes. A fully connected layer joins them in one latent vector. Each stem has a fully connected
    layer of its own back to the size of both encodings; the transposed convolutions from there on, of the
    encoders' sizes, are shared by all stems. Their sum is the logarithm of a stem's magnitude; the masks
    are a Wiener filter that varies in time, a stem's share of the power of all, and add up to 1. Sounds wait
    for a patch and a window, 0.39 s: short enough to be played.

    A patch is brought to level 1 by its own root mean square (`patches`). Longer input is cut into patches,
    each for itself.

    Cost, in multiply-accumulates per second of audio, context included:

    - `parallel-encoder`: 2,433,930 parameters, 0.504 GMAC/s
    """

    name: ClassVar[str] = "parallel-encoder"
    loss: ClassVar[str] = "mse"
    config: ParallelEncoderConfig

    def __init__(self, config: ParallelEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.segment_times = PATCH_TIMES
        self.context_times = config.context_times
        tall = ((1, 16), (1, 5)), ((2, 4), (1, 3))
        wide = ((5, 1), (3, 3)), ((6, 4), (1, 1))
        self.tall_encoder = _encoder((config.channels, config.width, config.tall), tall)
        self.wide_encoder = _encoder((config.channels, config.width, config.wide), wide)
        self.tall_shape = (config.tall, PATCH_TIMES // 2, config.seen_bins // 64)
        self.wide_shape = (config.wide, 1, config.seen_bins // 4)
        self.tall_size = prod(self.tall_shape)
        encoded = self.tall_size + prod(self.wide_shape)
        self.latent = nn.Sequential(
            nn.Linear(encoded, config.latent, bias=False), nn.BatchNorm1d(config.latent), nn.ReLU()
        )
        self.stems = nn.Linear(config.latent, len(config.stems) * encoded)
        self.tall_decoder = _decoder((config.channels, config.width, config.tall), tall)
        self.wide_decoder = _decoder((config.channels, config.width, config.wide), wide)

    def masks(self, seen: Tensor) -> Tensor:
        """The Wiener masks of single patches.

        Shape: compressed magnitudes `(b, c, 30, f)` -> `(b, s, c, 30, f)`, adding up to 1 over s.
        """
        b, s = len(seen), len(self.config.stems)
        tall = self.tall_encoder(seen).flatten(1)  # (b, tall, 15, f / 64) -> (b, tall * 15 * f / 64)
        wide = self.wide_encoder(seen).flatten(1)  # (b, wide, 1, f / 4) -> (b, wide * f / 4)
        latent = self.latent(torch.cat([tall, wide], dim=1))  # (b, latent)
        # (b, s * encoded) -> (b * s, encoded): stems are examples to the shared decoders
        decoded = functional.relu(self.stems(latent)).reshape(b * s, -1)
        tall = self.tall_decoder(decoded[:, : self.tall_size].reshape(b * s, *self.tall_shape))
        wide = self.wide_decoder(decoded[:, self.tall_size :].reshape(b * s, *self.wide_shape))
        # (b * s, c, 30, f) -> (b, s, c, 30, f)
        logarithm = (tall + wide).float().reshape(b, s, *seen.shape[1:])
        # |s|^p / sum |s|^p with |s| = exp(logarithm)
        return functional.softmax(self.config.wiener_power * logarithm, dim=1)

    def magnitudes(self, mix: Tensor) -> Tensor:
        """Estimate the magnitudes of the stems: Wiener masks times mix."""
        b, c, times, bins = mix.shape
        # (b, c, p * 30, f) -> (b, p, c, 30, f) -> (b * p, c, 30, f)
        patches = cut(mix, PATCH_TIMES, bins).reshape(b, c, -1, PATCH_TIMES, bins)
        patches = patches.transpose(1, 2).flatten(0, 1)
        seen = compressed(levelled(patches)[..., : self.config.seen_bins], self.config.power)
        masks = self.masks(seen)
        # (b * p, s, c, 30, f) -> (b, p, s, c, 30, f) -> (b, s, c, p * 30, f)
        masks = masks.reshape(b, -1, *masks.shape[1:]).permute(0, 2, 3, 1, 4, 5).flatten(3, 4)
        return restored(masks, times, bins) * mix.unsqueeze(1)


Layers = tuple[tuple[tuple[int, int], tuple[int, int]], ...]
"""Per convolution its stride and its kernel in strides, as (times, bins)."""


class Folded(nn.Module):
    """Moves steps of times and bins into channels, which makes a strided convolution a plain one.

    A convolution whose kernel is a whole number of strides, and a transposed one just so, is the same sum
    of products either way (Shi et al., "Real-time single image and video super-resolution using an
    efficient sub-pixel convolutional neural network", CVPR 2016); with many channels and no stride it takes
    a CPU a third of the time.
    Shape: `(b, c, t, f)` -> `(b, c * step_t * step_f, t / step_t, f / step_f)`.
    """

    def __init__(self, step: tuple[int, int]) -> None:
        super().__init__()
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        """Fold."""
        b, c, t, f = x.shape
        x = x.reshape(b, c, t // self.step[0], self.step[0], f // self.step[1], self.step[1])
        # (b, c, t', step_t, f', step_f) -> (b, c, step_t, step_f, t', f') -> (b, c', t', f')
        x = x.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)
        return x.contiguous(memory_format=torch.channels_last)


class Unfolded(nn.Module):
    """The way back from `Folded`.

    Shape: `(b, c * step_t * step_f, t, f)` -> `(b, c, t * step_t, f * step_f)`.
    """

    def __init__(self, step: tuple[int, int]) -> None:
        super().__init__()
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        """Unfold."""
        b, _, t, f = x.shape
        x = x.reshape(b, -1, *self.step, t, f)
        # (b, c, step_t, step_f, t', f') -> (b, c, t', step_t, f', step_f) -> (b, c, t, f)
        return x.permute(0, 1, 4, 2, 5, 3).reshape(b, -1, t * self.step[0], f * self.step[1])


def _encoder(channels: tuple[int, ...], layers: Layers) -> nn.Sequential:
    """Strided convolutions with batch norm and ReLU from `channels[0]` to the last."""
    parts: list[nn.Module] = []
    for inputs, outputs, (stride, kernel) in zip(channels[:-1], channels[1:], layers, strict=True):
        convolution = nn.Conv2d(inputs * prod(stride), outputs, kernel, padding="same", bias=False)
        parts += [Folded(stride), convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*parts)


def _decoder(channels: tuple[int, ...], layers: Layers) -> nn.Sequential:
    """The transposed convolutions of an encoder, from its last channels back to the first."""
    parts: list[nn.Module] = []
    for i in reversed(range(len(layers))):
        stride, kernel = layers[i]
        outputs = channels[i] * prod(stride)
        last = i == 0
        parts += [nn.Conv2d(channels[i + 1], outputs, kernel, padding="same", bias=last), Unfolded(stride)]
        if not last:
            parts += [nn.BatchNorm2d(channels[i]), nn.ReLU()]
    return nn.Sequential(*parts)
