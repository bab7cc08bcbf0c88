"""What training makes small; one number for a batch.

Stems that a song does not have on file are left out: they are unknown, not silent.

Axes: b examples, s stems, c channels, t times, f frequency bins.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import ArgumentValueError
from ..networks.cnn_blstm import CnnBlstm
from ..networks.spectral_network import MagnitudeNetwork, SpectralNetwork

Loss = Callable[[SpectralNetwork, Tensor, Tensor, Tensor], Tensor]
"""`(network, mix, stems, present)`: complex `(b, c, t, f)`, `(b, s, c, t, f)`, bool `(b, s)` -> a scalar."""

SILENCE = 3e-3
"""Of the mix's energy: what a silent stem may be off by before it costs more than a loud one."""


def sdr(network: SpectralNetwork, mix: Tensor, stems: Tensor, present: Tensor) -> Tensor:
    """The negative signal-to-distortion ratio in dB, mean over all stems of all examples.

    10 log10((|s' - s|^2 + e) / (|s|^2 + e)) with e = 0.003 |mix|^2: scale-free, so quiet stems count as
    much as loud ones, and bounded for silent ones.
    """
    errors = network.squared_errors(mix, stems)
    with torch.no_grad():
        least = SILENCE * _energy(mix).unsqueeze(1) + 1e-6
        targets = _energy(stems)
    ratios = 10.0 * torch.log10((errors.clamp_min(0.0) + least) / (targets + least))
    return _mean(ratios, present)


def l1(network: SpectralNetwork, mix: Tensor, stems: Tensor, present: Tensor) -> Tensor:
    """The L1,1 norm of Jansson et al. (2017): sum over bins of | |s'| - |s| |, over that of the mix."""
    magnitudes = mix.abs()
    off = (_magnitudes(network, magnitudes) - stems.abs()).abs().sum(dim=(2, 3, 4))
    return _mean(off / (magnitudes.sum(dim=(1, 2, 3)).unsqueeze(1) + 1e-3), present)


def mse(network: SpectralNetwork, mix: Tensor, stems: Tensor, present: Tensor) -> Tensor:
    """The mean squared error of magnitudes, over the mean square of the mix's.

    A network of two stages is judged on both, so that the first stage means what it says.
    """
    magnitudes = mix.abs()
    whole = magnitudes.square().sum(dim=(1, 2, 3)).unsqueeze(1) + 1e-3
    targets = stems.abs()
    stages = (
        network.stages(magnitudes) if isinstance(network, CnnBlstm) else (_magnitudes(network, magnitudes),)
    )
    off = torch.stack([(stage - targets).square().sum(dim=(2, 3, 4)) for stage in stages])
    return _mean(off.mean(dim=0) / whole, present)


LOSSES: dict[str, Loss] = {"sdr": sdr, "l1": l1, "mse": mse}


def loss_by_name(name: str) -> Loss:
    """The loss of that name. Raises ArgumentValueError, naming those there are."""
    if name not in LOSSES:
        raise ArgumentValueError(f"a loss is one of {', '.join(LOSSES)}; got {name!r}")
    return LOSSES[name]


def _magnitudes(network: SpectralNetwork, mix: Tensor) -> Tensor:
    if not isinstance(network, MagnitudeNetwork):
        raise ArgumentValueError(
            f"this loss compares magnitudes, which {network.name} does not estimate: use sdr"
        )
    return network.magnitudes(mix)


def _energy(spectra: Tensor) -> Tensor:
    """Over the last three axes of complex spectra."""
    root: Tensor = torch.linalg.vector_norm(torch.view_as_real(spectra).flatten(-2), dim=(-3, -2, -1))
    return root.square()


def _mean(values: Tensor, present: Tensor) -> Tensor:
    """Over the stems that are there. Shape `(b, s)` each."""
    return (values * present).sum() / present.sum().clamp_min(1)
