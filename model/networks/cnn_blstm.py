"""A convolutional estimate of four spectrograms, refined by a bidirectional LSTM.

The recurrent half is that of Uhlich, Porcu, Giron, Enenkl, Kemp, Takahashi and Mitsufuji, "Improving
music source separation based on deep neural networks through data augmentation and network blending",
ICASSP 2017 (bidirectional LSTMs on magnitudes); handing a first estimate of all stems, with the mix, to a
second network that enhances them follows Nugraha, Liutkus and Vincent, "Multichannel audio source
separation with deep neural networks", IEEE/ACM TASLP 24(9), 2016.

Axes: b examples, s stems, c channels, t times, f frequency bins, k bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import ArgumentValueError
from .patches import compressed, cut, levelled, restored
from .spectral_network import MagnitudeNetwork, NetworkConfig

STRIDE = 4
STEP = STRIDE * STRIDE
"""Two convolutions divide the number of bins by this."""


@dataclass(frozen=True)
class CnnBlstmConfig(NetworkConfig):
    """The sizes of both halves; as they stand those that are trained and shipped.

    Raises ArgumentValueError where sizes do not fit each other.
    """

    seen_bins: int = 1536
    """The lowest bins, which the network sees (up to 16.5 kHz); those above are masked like the highest."""
    segment_times: int = 256
    context_times: int = 16
    """At either end of a segment, thrown away: there the LSTM knows one side only."""
    width: int = 16
    """Channels of the first convolution; the second has twice, the others three times as many."""
    blocks: int = 3
    """Residual convolutions between the strided ones, reaching 1, 2, 4, ... times to either side."""
    bands: int = 48
    """Into which bins are summed for the LSTM."""
    hidden: int = 192
    """Of the LSTM, in each direction."""
    power: float = 0.4
    """Exponent on the magnitudes both halves see."""

    def __post_init__(self) -> None:
        """Check the sizes."""
        if self.seen_bins < STEP or self.seen_bins % STEP or self.seen_bins > self.bins:
            raise ArgumentValueError(
                f"the estimator sees a multiple of {STEP} bins out of {self.bins}; got {self.seen_bins}"
            )
        if not 0 <= 2 * self.context_times < self.segment_times:
            raise ArgumentValueError(
                f"context on both sides must leave something of {self.segment_times} times; "
                f"got {self.context_times}"
            )
        if min(self.width, self.blocks, self.hidden) < 1 or not 2 <= self.bands <= self.seen_bins // 8:
            raise ArgumentValueError(
                f"width, blocks and hidden must be 1 or more, bands 2 to {self.seen_bins // 8}; "
                f"got {self.width}, {self.blocks}, {self.hidden} and {self.bands} bands"
            )
        if not 0 < self.power <= 1:
            raise ArgumentValueError(f"the power must be above 0 and at most 1; got {self.power}")


class Estimator(nn.Module):
    """The convolutional half: compressed magnitudes in, one unscaled log weight per stem and bin out."""

    def __init__(self, config: CnnBlstmConfig) -> None:
        super().__init__()
        first, second, inner = config.width, 2 * config.width, 3 * config.width
        # A kernel of 3 times and 8 bins with stride 4: each output sees half of what its neighbours see.
        self.first = _normed(nn.Conv2d(config.channels, first, (3, 8), (1, 4), (1, 2), bias=False))
        self.second = _normed(nn.Conv2d(first, second, (3, 8), (1, 4), (1, 2), bias=False))
        self.widen = _normed(nn.Conv2d(second, inner, 3, padding=1, bias=False))
        # Convolutions know no absolute frequency: a kick's lowest bin would look like any other edge.
        self.where = nn.Parameter(torch.zeros(inner, 1, config.seen_bins // STEP))
        self.blocks = nn.ModuleList(
            _normed(nn.Conv2d(inner, inner, 3, padding=(2**i, 1), dilation=(2**i, 1), bias=False))
            for i in range(config.blocks)
        )
        self.narrow = _normed(nn.ConvTranspose2d(inner, first, (3, 8), (1, 4), (1, 2), bias=False))
        stems = len(config.stems) * config.channels
        self.last = nn.ConvTranspose2d(2 * first, stems, (3, 8), (1, 4), (1, 2))
        self.stems = len(config.stems)

    def forward(self, seen: Tensor) -> Tensor:
        """Shape: `(b, c, t, f)` -> `(b, s, c, t, f)`."""
        fine = self.first(seen)  # (b, width, t, f / 4)
        x = self.widen(self.second(fine)) + self.where  # (b, 3 * width, t, f / 16)
        for block in self.blocks:
            x = x + block(x)
        x = torch.cat([self.narrow(x), fine], dim=1)  # (b, 2 * width, t, f / 4)
        # (b, s * c, t, f) -> (b, s, c, t, f)
        weights: Tensor = self.last(x)
        return weights.float().reshape(len(x), self.stems, -1, *weights.shape[2:])


class Refiner(nn.Module):
    """The recurrent half: the mix and all estimates in bands in, a correction per stem and band out."""

    mean: Tensor
    spread: Tensor

    def __init__(self, config: CnnBlstmConfig) -> None:
        super().__init__()
        self.stems = len(config.stems)
        self.power = config.power
        triangles = _triangles(config.bands, config.seen_bins)
        # On the way in a band is the mean of its bins; on the way out a bin mixes the two bands around it.
        self.register_buffer("mean", triangles / triangles.sum(dim=1, keepdim=True), persistent=False)
        self.register_buffer("spread", triangles, persistent=False)
        inputs = (1 + self.stems) * config.channels * config.bands
        self.lstm = nn.LSTM(inputs, config.hidden, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * config.hidden, self.stems * config.channels * config.bands)
        nn.init.zeros_(self.out.weight)  # starts as the first estimate
        nn.init.zeros_(self.out.bias)

    def forward(self, mix: Tensor, estimates: Tensor) -> Tensor:
        """Shape: mix `(b, c, t, f)`, estimates `(b, s, c, t, f)` -> `(b, s, c, t, f)`, to add to weights."""
        b, s, c, t, _ = estimates.shape
        seen = torch.cat([mix.unsqueeze(1), estimates], dim=1)  # (b, 1 + s, c, t, f)
        bands = compressed(seen @ self.mean.T, self.power)  # (b, 1 + s, c, t, k)
        x = bands.permute(0, 3, 1, 2, 4).reshape(b, t, -1)  # (b, t, (1 + s) * c * k)
        x, _ = self.lstm(x)  # (b, t, 2 * hidden)
        x = self.out(x).reshape(b, t, s, c, -1).permute(0, 2, 3, 1, 4)  # (b, s, c, t, k)
        spread: Tensor = x.float() @ self.spread
        return spread


class CnnBlstm(MagnitudeNetwork):
    """A convolutional network estimates all stems; a bidirectional LSTM, seeing them, corrects it.

    First half: two strided convolutions along frequency, residual ones with growing reach in time, two
    transposed ones back up; a softmax over stems weighs every bin of the mix. Second half: the mix and the
    four estimates, averaged in bands that widen with frequency, go through one bidirectional LSTM, whose
    output is added to the log weights before a second softmax: fine structure from the convolutions, what
    goes on for seconds from the LSTM. Both estimates of a bin add up to the mix.

    Trained by the mean squared difference of magnitudes, of both estimates (`stages`). The categorical
    cross-entropy that descriptions of this recipe pair with it is left out: it compares two probability
    distributions, and magnitudes are none. They do not add up to 1, over any axis; as targets they scale
    the loss by the level of the song; its minimum need not be where estimate and target agree, and it
    may be negative or infinite for estimates above 1 or at 0. Only dividing magnitudes by their sum over
    the stems would give it a meaning, and it would be that of a mask, not of a spectrogram.

    A segment is brought to level 1 by its own root mean square (`patches`). `first` alone depends on few
    times to either side, what the LSTM adds on the whole segment.

    Cost, in multiply-accumulates per second of audio, context included:

    - `cnn-blstm`: 1,301,896 parameters, 0.758 GMAC/s
    """

    name: ClassVar[str] = "cnn-blstm"
    loss: ClassVar[str] = "mse"
    config: CnnBlstmConfig

    def __init__(self, config: CnnBlstmConfig) -> None:
        super().__init__()
        self.config = config
        self.segment_times = config.segment_times
        self.context_times = config.context_times
        self.estimator = Estimator(config)
        self.refiner = Refiner(config)

    def stages(self, mix: Tensor) -> tuple[Tensor, Tensor]:
        """The estimates of the convolutional half and those refined by the LSTM, for a loss on both.

        Shape: float32 `(b, c, t, f)` -> twice float32 `(b, s, c, t, f)`, all >= 0.
        """
        times, bins = mix.shape[2:]
        seen = cut(levelled(mix), 1, self.config.seen_bins)
        x = compressed(seen, self.config.power).contiguous(memory_format=torch.channels_last)
        weights = self.estimator(x)
        first = functional.softmax(weights, dim=1)
        refined = functional.softmax(weights + self.refiner(seen, first * seen.unsqueeze(1)), dim=1)
        # (b, s, c, t, f) * (b, 1, c, t, f)
        return (
            restored(first, times, bins) * mix.unsqueeze(1),
            restored(refined, times, bins) * mix.unsqueeze(1),
        )

    def magnitudes(self, mix: Tensor) -> Tensor:
        """Estimate the magnitudes of the stems: what `stages` refined."""
        return self.stages(mix)[1]


def _normed(convolution: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU())


def _triangles(bands: int, bins: int) -> Tensor:
    """How much every bin belongs to every band; for a bin it adds up to 1.

    Bands are 4 bins apart at first and then farther by a constant ratio, as hearing has it, so the centre
    of band i is at `(bins + a) ** (i / last) * a ** (1 - i / last) - a` with the right a.
    Shape: `(k, f)`.
    """
    low, high = 1e-3, 1e6
    for _ in range(60):  # the first distance grows with a
        a = (low * high) ** 0.5
        first = a * ((bins + a) / a) ** (1 / (bands - 1)) - a
        low, high = (a, high) if first < 4 else (low, a)
    place = torch.arange(bands, dtype=torch.float64) / (bands - 1)
    centres = a * ((bins - 1 + a) / a) ** place - a
    f = torch.arange(bins, dtype=torch.float64)
    right = torch.searchsorted(centres, f).clamp(1, bands - 1)
    share = (f - centres[right - 1]) / (centres[right] - centres[right - 1])
    triangles = torch.zeros(bands, bins, dtype=torch.float64)
    columns = torch.arange(bins)
    triangles[right - 1, columns] = 1 - share
    triangles[right, columns] = share
    return triangles.clamp_min(0).float()
