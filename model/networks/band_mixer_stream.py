"""A `BandMixer` that looks ahead, run over a stream: what `forward` gives for the whole, chunk by chunk.

Every layer along time keeps what it will need again and answers late, by as much as it looks ahead. So
nothing is computed twice, memory is that of a chunk, and its features stay in the processor's cache; on
segments, each would have to be computed with its whole context on either side.

Axes: b examples, s stems, c channels, t times (spectra), n tokens, k bands, g groups of bins, d features.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import ArgumentValueError
from .band_mixer import BandMixer, MixerBlock
from .spectral_network import SpectralNetwork


@dataclass(frozen=True)
class _Held:
    """What is kept of the spectra so far; replaced as a whole by every push."""

    mix: Tensor
    """Until their estimates come, `(b, c, late, f)`."""
    powers: Tensor
    """Until their level is known, `(b, 3, late, g)`."""
    energy: Tensor
    """What levels are the mean of, `(b, late)`."""
    passed: tuple[Tensor, ...]
    """Per block what went past its convolution, `(b, dilation, k, d)`."""
    seen: tuple[Tensor, ...]
    """Per block what its convolution will see again, `(b, 2 * dilation, k, d)`."""
    times: int
    """Spectra so far."""


class BandMixerStream:
    """One stream of spectra through one network; see `streaming.NetworkStream`.

    Before the first spectrum and after the end there is nothing: every layer sees zeros there, as it does
    beyond the edges of what `forward` is given.
    """

    def __init__(self, network: BandMixer, batch: int = 1) -> None:
        config = network.config
        if config.causal:
            raise ArgumentValueError("a causal band mixer needs no stream of its own: it has `step`")
        self._network = network
        each = config.times_per_token
        self._late_levels = -(-config.level_times // each) * each
        self.late_times = self._late_levels + each * sum(config.dilations)
        self._end: int | None = None
        device = network.norm.weight.device
        groups = sum(bands * count for bands, count, _ in config.bands)
        bands = sum(row[0] for row in config.bands)
        mix = torch.zeros(batch, config.channels, self.late_times, config.bins, dtype=torch.complex64)
        self._held = _Held(
            mix.to(device),
            torch.zeros(batch, 3, self._late_levels, groups, device=device),
            torch.zeros(batch, self._late_levels + config.level_times, device=device),
            tuple(torch.zeros(batch, d, bands, config.width, device=device) for d in config.dilations),
            tuple(torch.zeros(batch, 2 * d, bands, config.width, device=device) for d in config.dilations),
            0,
        )

    def end_at(self, times: int) -> None:
        """Say how many spectra there are in all, before the last of them is pushed; zeros follow."""
        self._end = times

    def push(self, spectra: Tensor) -> Tensor:
        """Take a chunk; return the estimates of the spectra `late_times` before.

        Shape: complex64 `(b, c, t, f)`, t a multiple of `times_per_token`, -> complex64 `(b, s, c, t, f)`.
        """
        network, each, held = self._network, self._network.config.times_per_token, self._held
        times = spectra.shape[2]
        if times % each:
            raise ArgumentValueError(f"a chunk must be a multiple of {each} spectra; got {times}")
        mix, mix_held = _shifted(held.mix, spectra, 2)
        powers = network.powers(spectra)
        energy = torch.cat([held.energy, network.energy(powers)], dim=1)
        powers, powers_held = _shifted(held.powers, powers, 2)
        first = held.times - self._late_levels
        x = network.tokens(self._inside(network.seen(powers, self._level(energy, first, times)), first, 1, 2))
        token = first // each
        passed, seen = [], []
        for block, block_passed, block_seen in zip(network.blocks, held.passed, held.seen, strict=True):
            block = cast(MixerBlock, block)
            window = torch.cat([block_seen, self._inside(block.before_time(x), token, each, 1)], dim=1)
            seen.append(window[:, x.shape[1] :])
            x, left = _shifted(block_passed, x, 1)
            passed.append(left)
            x = _through(block, x, window)
            token -= block.reach // 2
        estimates = network.per_bin(network.read_out(x)) * mix.unsqueeze(1)
        self._held = _Held(
            mix_held, powers_held, energy[:, times:], tuple(passed), tuple(seen), held.times + times
        )
        return estimates

    def moved(self, network: SpectralNetwork) -> BandMixerStream:
        """The same stream going on with the same network on another device."""
        other = BandMixerStream(cast(BandMixer, network))
        other._held = on_device(self._held, other._network.norm.weight.device)
        other._end = self._end
        return other

    def _level(self, energy: Tensor, first: int, times: int) -> Tensor:
        """The mean power around each of the spectra from number `first` on. Shape `(b, t)`."""
        reach = self._network.config.level_times
        sums = energy[:, : times + 2 * reach].unfold(1, 2 * reach + 1, 1).sum(-1)
        place = torch.arange(first, first + times, device=energy.device)
        after = place + reach + 1
        if self._end is not None:
            after = after.clamp_max(self._end)
        return sums / (after - (place - reach).clamp_min(0)).clamp_min(1)

    def _inside(self, values: Tensor, first: int, each: int, dim: int) -> Tensor:
        """Zero what lies before the stream or after its end along `dim`, in steps of `each` spectra."""
        count = values.shape[dim]
        end = first + count if self._end is None else -(-self._end // each)
        if first >= 0 and first + count <= end:
            return values
        place = torch.arange(first, first + count, device=values.device)
        shape = [count if axis == dim else 1 for axis in range(values.dim())]
        return values * ((place >= 0) & (place < end)).view(shape)


def _through(block: MixerBlock, x: Tensor, window: Tensor) -> Tensor:
    """A block whose convolution sees `window` instead of the zeros it would pad `x` with."""
    conv = block.along_time
    dilation = (block.reach // 2, 1)
    return block.mixed(
        x, functional.conv2d(window.permute(0, 3, 1, 2), conv.weight, conv.bias, dilation=dilation)
    )


def _shifted(held: Tensor, new: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Put `new` behind what is held; return as much from the front, and what is held then."""
    both = torch.cat([held.to(new.dtype), new], dim=dim)
    count = new.shape[dim]
    return both.narrow(dim, 0, count), both.narrow(dim, count, both.shape[dim] - count)


def on_device(value: Any, device: torch.device) -> Any:
    """Tensors, and whatever tuples, lists and dataclasses hold of them, on a device; the rest as it is."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, tuple | list):
        return type(value)(on_device(item, device) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return dataclasses.replace(value, **{name: on_device(getattr(value, name), device) for name in names})
    return value
