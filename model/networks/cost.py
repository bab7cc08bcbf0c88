"""What a network costs: how many numbers it holds, how many multiplications a second of audio takes."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from .spectral_network import SpectralNetwork


def parameters(network: nn.Module) -> int:
    """How many trained numbers the network holds."""
    return sum(p.numel() for p in network.parameters())


def macs_per_second(network: SpectralNetwork) -> int:
    """Multiply-accumulates of one segment, per second of audio that is kept of it.

    Counted are matrix products and convolutions, recurrent ones included, context included as it is
    computed too; pointwise operations, the STFT and its inverse are not. Nothing is computed: the network
    is run on torch's `meta` device.
    """
    config = network.config
    twin = copy.deepcopy(network).to("meta").eval()
    kept_s = (network.segment_times - 2 * network.context_times) * config.hop_frames / config.sample_rate
    shape = (1, config.channels, network.segment_times, config.bins)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        twin(torch.zeros(shape, dtype=torch.complex64, device="meta"))
    # the counter takes a multiply-accumulate for two operations
    operations: int = counter.get_total_flops()
    return round(operations / 2 / kept_s)
