"""Networks as streams of spectra: chunk after chunk in, as many estimates out, late by a constant.

Only some networks can do that; the others are run on segments.
"""

from __future__ import annotations

from typing import Any, Protocol, Self, cast

from torch import Tensor

from .band_mixer import BandMixer
from .band_mixer_stream import BandMixerStream, on_device
from .spectral_network import SpectralNetwork


class NetworkStream(Protocol):
    """One stream through one network. A push that fails leaves it as it was."""

    late_times: int
    """How many spectra later than its own spectrum an estimate comes."""

    def end_at(self, times: int) -> None:
        """Say how many spectra there are in all, before the last of them is pushed; zeros follow."""

    def push(self, spectra: Tensor) -> Tensor:
        """Take a chunk; return the estimates of the spectra `late_times` before.

        Shape: complex64 `(b, c, t, f)` -> complex64 `(b, s, c, t, f)`.
        """

    def moved(self, network: SpectralNetwork) -> Self:
        """The same stream going on with the same network on another device."""


def late_times(network: SpectralNetwork) -> int | None:
    """How late the stream of a network is; None where it cannot be run as one."""
    if getattr(network.config, "causal", False):
        return 0
    return BandMixerStream(network).late_times if isinstance(network, BandMixer) else None


def behind_times(network: SpectralNetwork) -> int | None:
    """How many spectra before its own an estimate depends on; None: all there were."""
    config = network.config
    if isinstance(network, BandMixer) and network.config.causal:
        return 2 * (sum(network.config.dilations) + network.config.level_times)
    return None if getattr(config, "causal", False) else network.context_times


def open_stream(network: SpectralNetwork, batch: int) -> NetworkStream:
    """Begin a stream of `batch` examples through a network whose `late_times` are known."""
    if isinstance(network, BandMixer) and not network.config.causal:
        return BandMixerStream(network, batch)
    return CausalStream(network, batch)


class CausalStream:
    """A causal network's state, carried on from chunk to chunk."""

    late_times = 0

    def __init__(self, network: SpectralNetwork, batch: int) -> None:
        self._network = cast(Any, network)
        self._state = self._network.initial_state(batch)

    def end_at(self, times: int) -> None:
        """See `NetworkStream`; what looks backwards only need not know."""

    def push(self, spectra: Tensor) -> Tensor:
        """See `NetworkStream`."""
        estimates, self._state = self._network.step(spectra, self._state)
        return cast(Tensor, estimates)

    def moved(self, network: SpectralNetwork) -> CausalStream:
        """See `NetworkStream`."""
        other = CausalStream(network, 1)
        other._state = on_device(self._state, next(network.parameters()).device)
        return other
