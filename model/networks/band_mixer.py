"""The separator of this project: bands that talk to each other, one body, four heads.

After the band-split idea (Luo and Yu, "Music source separation with band-split RNN", 2023), with what is
cheap on a CPU in place of its recurrent layers: along time a dilated convolution shared by all bands
(as in temporal convolutional networks; Bai, Kolter and Koltun 2018), across bands a small
multi-layer perceptron that sees all of them at once (after MLP-Mixer; Tolstikhin et al. 2021). Everything
is a matrix product of a size that bfloat16 units like.

The network sees magnitudes only, relative to a running level, and gives each bin of each channel to the
four stems by a softmax, so that its estimates add up to the mix. Bins that lie close together at high
frequencies share a mask. `live` is the same network looking backwards only.

Axes: b examples, s stems, c channels, t times (spectra), n tokens, k bands, g groups of bins, d features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import ArgumentValueError
from .spectral_network import NetworkConfig, SpectralNetwork

Bands = tuple[tuple[int, int, int], ...]
"""Rows of (bands, groups of a band, bins of a group); groups are powers of two. Nyquist joins the last."""

BANDS_4096: Bands = ((12, 8, 1), (18, 16, 1), (12, 16, 2), (8, 24, 4), (2, 16, 16))
"""For 4096-frame windows: 86 Hz wide to 1 kHz, 172 Hz to 4 kHz, 345 Hz to 8 kHz, then 1 and 2.8 kHz."""

KINDS = 4
"""Left, right, middle and side: what is seen of every group."""
FLOOR = 1e-4
"""The mean power of a bin below which a level counts as silence (about -75 dB of full scale)."""


@dataclass(frozen=True)
class BandMixerConfig(NetworkConfig):
    """Sizes of a `BandMixer`."""

    bands: Bands = BANDS_4096
    width: int = 96
    """Features of a band."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 4, 2, 1)
    """One block each, in tokens."""
    shared: int = 8
    """Features by which a band is known to the others."""
    mixing: int = 192
    """Hidden width of what mixes the bands."""
    times_per_token: int = 2
    level_times: int = 86
    """Spectra to either side (causal: twice as many before) over which the level is averaged."""
    causal: bool = False

    @classmethod
    def live(cls, **sizes: Any) -> BandMixerConfig:
        """Looking backwards only, one spectrum a token, and small enough for a tenth of a core."""
        small = {"width": 64, "mixing": 128, "dilations": (1, 2, 4, 8, 16, 32), "times_per_token": 1}
        return cls(**{**small, "causal": True, **sizes})

    def __post_init__(self) -> None:
        covered = sum(bands * groups * bins for bands, groups, bins in self.bands)
        if covered != self.bins - 1:
            raise ArgumentValueError(
                f"bands must cover all bins but Nyquist's ({self.bins - 1}); these cover {covered}"
            )
        if self.channels != 2:
            raise ArgumentValueError(f"a band mixer is made for 2 channels; got {self.channels}")
        if min(self.width, self.shared, self.mixing, self.times_per_token, self.level_times) < 1:
            raise ArgumentValueError("all sizes of a band mixer must be 1 or more")
        if self.causal and self.times_per_token != 1:
            raise ArgumentValueError("a causal band mixer has one spectrum a token: it waits for no other")


@dataclass(frozen=True)
class State:
    """What a causal network carries from one spectrum to the next."""

    levels: Tensor
    """Mean powers of the last spectra, `(b, level_times * 2)`."""
    known: int
    """How many of them there were."""
    history: tuple[Tensor, ...]
    """Per block what its convolution still reaches, `(b, 2 * dilation, k, d)`."""


class BandMixer(SpectralNetwork):
    """Bands mixed along time and across frequency."""

    name: ClassVar[str] = "band-mixer"
    loss: ClassVar[str] = "sdr"
    config: BandMixerConfig

    def __init__(self, config: BandMixerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or BandMixerConfig()
        tokens = sum(config.dilations)
        # The last token of a level's window may be cut off by the grouping into tokens: one more.
        self.context_times = (
            0 if config.causal else (tokens + 1) * config.times_per_token + config.level_times
        )
        self.segment_times = 2 * self.context_times + 1024
        seen = KINDS * config.times_per_token
        given = len(config.stems) * config.channels * config.times_per_token
        self.split = _PerBand([(bands, seen * groups, config.width) for bands, groups, _ in config.bands])
        self.blocks = nn.ModuleList(MixerBlock(config, dilation) for dilation in config.dilations)
        self.norm = nn.LayerNorm(config.width)
        self.heads = _PerBand([(bands, config.width, config.width) for bands, _, _ in config.bands])
        self.masks_of = _PerBand([(bands, config.width, given * groups) for bands, groups, _ in config.bands])

    def forward(self, spectra: Tensor) -> Tensor:
        """Estimate the stems. Shape: complex64 `(b, c, t, f)` -> complex64 `(b, s, c, t, f)`."""
        masks, _ = self._masks(self.powers(spectra), None)
        return self.per_bin(masks) * spectra.unsqueeze(1)

    def initial_state(self, batch: int) -> State:
        """The state before the first spectrum of a causal network."""
        config = self.config
        if not config.causal:
            raise ArgumentValueError("only a causal network carries a state")
        bands = sum(row[0] for row in config.bands)
        device = self.norm.weight.device
        history = [torch.zeros(batch, 2 * d, bands, config.width, device=device) for d in config.dilations]
        return State(torch.zeros(batch, 2 * config.level_times, device=device), 0, tuple(history))

    def step(self, spectra: Tensor, state: State) -> tuple[Tensor, State]:
        """Estimate the stems of the next spectra of a stream; what `forward` gives for the whole of it.

        Shape: complex64 `(b, c, t, f)`, t >= 1 -> complex64 `(b, s, c, t, f)` and the next state.
        """
        if not self.config.causal:
            raise ArgumentValueError("only a causal network carries a state")
        masks, after = self._masks(self.powers(spectra), state)
        return self.per_bin(masks) * spectra.unsqueeze(1), cast(State, after)

    def squared_errors(self, mix: Tensor, stems: Tensor) -> Tensor:
        """See `SpectralNetwork.squared_errors`; in powers, without a complex number more than needed.

        With a real mask m on the mix X and a stem S, |m X - S|^2 = m^2 |X|^2 - 2 m Re(X* S) + |S|^2, and all
        three may be summed over the bins of a group first.
        """
        with torch.no_grad():
            powers = self.powers(mix)
            # (b, s, c, t, 2 * f) -> (b, s, c, t, g)
            alike = self._grouped(_real(stems) * _real(mix).unsqueeze(1))
            own = torch.linalg.vector_norm(_real(stems), dim=(2, 3, 4)).square()
        masks, _ = self._masks(powers, None)
        mixed = powers[:, :2].unsqueeze(1)  # (b, 1, c, t, g)
        errors: Tensor = (masks * (masks * mixed - 2.0 * alike)).sum(dim=(2, 3, 4)) + own
        return errors

    def powers(self, spectra: Tensor) -> Tensor:
        """|L|^2, |R|^2 and Re(L R*), summed over groups. Shape `(b, c, t, f)` -> `(b, 3, t, g)`."""
        left, right = _real(spectra).unbind(1)
        return self._grouped(torch.stack([left * left, right * right, left * right], dim=1))

    def _grouped(self, values: Tensor) -> Tensor:
        """Sum over the real and imaginary parts of each group's bins. Shape `(..., 2 * f)` -> `(..., g)`."""
        rows: list[Tensor] = []
        first = 0
        for bands, groups, bins in self.config.bands:
            count = 2 * bands * groups * bins
            rows.append(_folded(values[..., first : first + count], 2 * bins))
            first += count
        rows[-1][..., -1] += values[..., -2] + values[..., -1]
        return torch.cat(rows, dim=-1)

    def per_bin(self, masks: Tensor) -> Tensor:
        """Every bin the mask of its group. Shape `(..., g)` -> `(..., f)`."""
        rows: list[Tensor] = []
        first = 0
        for bands, groups, bins in self.config.bands:
            row = masks[..., first : first + bands * groups]
            rows.append(row if bins == 1 else row.repeat_interleave(bins, dim=-1))
            first += bands * groups
        return torch.cat([*rows, masks[..., -1:]], dim=-1)

    def _masks(self, powers: Tensor, state: State | None) -> tuple[Tensor, State | None]:
        """Masks that add up to one over the stems, and the state. `(b, 3, t, g)` -> `(b, s, c, t, g)`."""
        times, each = powers.shape[2], self.config.times_per_token
        level, recent, known = self._level(self.energy(powers), state)
        seen = self.seen(powers, level)
        if times % each:
            seen = functional.pad(seen, (0, 0, 0, each - times % each))
        x = self.tokens(seen)
        history = []
        for index, block in enumerate(self.blocks):
            x, reached = block(x, None if state is None else state.history[index])
            history.append(reached)
        masks = self.read_out(x)[:, :, :, :times]
        return masks, None if state is None else State(recent, known, tuple(history))

    def energy(self, powers: Tensor) -> Tensor:
        """The mean power of a bin. Shape `(b, 3, t, g)` -> `(b, t)`."""
        return powers[:, :2].sum(dim=(1, 3)) / (2 * self.config.bins)

    def seen(self, powers: Tensor, level: Tensor) -> Tensor:
        """Square roots of magnitudes over the level. Shape `(b, 3, t, g)` and `(b, t)` -> `(b, 4, t, g)`."""
        left, right, alike = powers.unbind(1)
        both = 0.25 * (left + right)
        kinds = torch.stack([left, right, both + 0.5 * alike, both - 0.5 * alike], dim=1)
        widths = [float(bins) for bands, groups, bins in self.config.bands for _ in range(bands * groups)]
        each = torch.tensor(widths, dtype=kinds.dtype, device=kinds.device)
        relative = kinds.clamp_min(0.0) / ((level + FLOOR)[:, None, :, None] * each)
        return (relative + 1e-8).sqrt().sqrt()

    def tokens(self, seen: Tensor) -> Tensor:
        """What goes into the blocks. Shape `(b, 4, t, g)` -> `(b, n, k, d)`."""
        count = seen.shape[2] // self.config.times_per_token
        rows = torch.cat(self.split(self._by_band(seen)))  # (k, b * n, d)
        bands, _, width = rows.shape
        return rows.reshape(bands, -1, count, width).permute(1, 2, 0, 3).contiguous()

    def read_out(self, x: Tensor) -> Tensor:
        """The masks that come out of the blocks. Shape `(b, n, k, d)` -> `(b, s, c, t, g)`."""
        count = x.shape[1]
        x = self.norm(x).permute(2, 0, 1, 3).flatten(1, 2)  # (k, b * n, d)
        rows = torch.split_with_sizes(x, [bands for bands, _, _ in self.config.bands])
        hidden = [functional.silu(row) for row in self.heads(rows)]
        return torch.softmax(self._by_group(self.masks_of(hidden), count).float(), dim=1)

    def _level(self, energy: Tensor, state: State | None) -> tuple[Tensor, Tensor, int]:
        """The mean of `(b, t)` over the level's window, of what is there of it."""
        length = 2 * self.config.level_times
        times = energy.shape[1]
        if state is not None:
            window = torch.cat([state.levels, energy], dim=1)
            known = [min(length, state.known + i) for i in range(1, times + 1)]
            counts = torch.tensor(known, dtype=energy.dtype, device=energy.device)
            sums = window.unfold(1, length, 1)[:, 1:].sum(-1)
            return sums / counts, window[:, -length:], known[-1]
        before, after = (length - 1, 0) if self.config.causal else (length // 2, length // 2)
        padded = functional.pad(energy, (before, after))
        sums = padded.unfold(1, before + after + 1, 1).sum(-1)
        place = torch.arange(times, device=energy.device)
        counts = (place + after + 1).clamp_max(times) - (place - before).clamp_min(0)
        return sums / counts, energy, 0

    def _by_band(self, seen: Tensor) -> list[Tensor]:
        """`(b, kinds, t, g)` as one `(bands, b * n, features)` per row of bands."""
        each = self.config.times_per_token
        rows = []
        first = 0
        for bands, groups, _ in self.config.bands:
            row = seen[..., first : first + bands * groups]
            first += bands * groups
            batch, kinds, times, _ = row.shape
            row = row.reshape(batch, kinds, times // each, each, bands, groups)
            rows.append(row.permute(4, 0, 2, 1, 3, 5).flatten(3).flatten(1, 2))
        return rows

    def _by_group(self, rows: Sequence[Tensor], tokens: int) -> Tensor:
        """The heads' `(bands, b * n, features)` as `(b, s, c, t, g)`; the inverse of `_by_band`."""
        config = self.config
        each, stems, channels = config.times_per_token, len(config.stems), config.channels
        parts = []
        for row, (bands, groups, _) in zip(rows, config.bands, strict=True):
            part = row.reshape(bands, -1, tokens, stems, channels, each, groups)
            parts.append(part.permute(1, 3, 4, 2, 5, 0, 6).flatten(5).flatten(3, 4))
        return torch.cat(parts, dim=-1)


def _real(spectra: Tensor) -> Tensor:
    """Real and imaginary parts side by side. Shape complex `(..., f)` -> `(..., 2 * f)`."""
    return torch.view_as_real(spectra).flatten(-2)


def _folded(values: Tensor, size: int) -> Tensor:
    """Sums of every `size` neighbours, a power of two: by halves, which is quick where rows are short."""
    while size > 1:
        values = values[..., 0::2] + values[..., 1::2]
        size //= 2
    return values


class _PerBand(nn.Module):
    """A linear layer for every band; bands of one size are multiplied together."""

    def __init__(self, sizes: Sequence[tuple[int, int, int]]) -> None:
        """Take rows of (bands, features in, features out)."""
        super().__init__()
        self.weights = nn.ParameterList(
            nn.Parameter(torch.empty(bands, inputs, outputs).uniform_(-1, 1) * inputs**-0.5)
            for bands, inputs, outputs in sizes
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(bands, 1, out)) for bands, _, out in sizes)

    def forward(self, rows: Sequence[Tensor]) -> list[Tensor]:
        """`(bands, examples, features in)` each -> `(bands, examples, features out)` each."""
        return [
            torch.baddbmm(bias, row, weight)
            for row, weight, bias in zip(rows, self.weights, self.biases, strict=True)
        ]


class MixerBlock(nn.Module):
    """One step along time, then one across bands, both added to what came in. `(b, n, k, d)` throughout."""

    def __init__(self, config: BandMixerConfig, dilation: int) -> None:
        super().__init__()
        bands = sum(row[0] for row in config.bands)
        width = config.width
        self.reach = 2 * dilation
        self.causal = config.causal
        self.before_time = nn.LayerNorm(width)
        padding = (0 if config.causal else dilation, 0)
        self.along_time = nn.Conv2d(width, 2 * width, (3, 1), dilation=(dilation, 1), padding=padding)
        self.after_time = nn.Linear(2 * width, width)
        self.before_bands = nn.LayerNorm(width)
        self.to_shared = nn.Linear(width, config.shared)
        self.mix_in = nn.Linear(bands * config.shared, config.mixing)
        self.mix_out = nn.Linear(config.mixing, bands * config.shared)
        self.from_shared = nn.Linear(config.shared, width)
        # A block starts as doing nothing, so that a deep stack of them learns from the first step.
        for last in (self.after_time, self.from_shared):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, history: Tensor | None) -> tuple[Tensor, Tensor]:
        """Take what comes after `history`; return it changed, and the history of the next call."""
        seen = self.before_time(x)
        if self.causal:
            seen = (
                functional.pad(seen, (0, 0, 0, 0, self.reach, 0))
                if history is None
                else torch.cat([history.to(seen.dtype), seen], dim=1)
            )
        x = self.mixed(x, self.along_time(seen.permute(0, 3, 1, 2)))
        return x, seen[:, -self.reach :]

    def mixed(self, x: Tensor, moved: Tensor) -> Tensor:
        """What comes out for `x` whose convolution along time gave `moved`.

        Shape: `(b, n, k, d)` and `(b, 2 * d, n, k)`, channels last in memory: the same order of bytes.
        """
        x = x + self.after_time(functional.silu(moved.permute(0, 2, 3, 1)))
        known = self.to_shared(self.before_bands(x)).flatten(2)  # (b, n, k * shared)
        mixed = self.mix_out(functional.silu(self.mix_in(known)))
        out: Tensor = x + self.from_shared(functional.silu(mixed.reshape(*x.shape[:3], -1)))
        return out
