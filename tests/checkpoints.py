"""Small networks with random weights, in real checkpoint files, for the tests that run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from stembridge.model.checkpoint import CheckpointHeader, save_checkpoint
from stembridge.model.networks.band_mixer import BandMixer, BandMixerConfig
from stembridge.model.networks.spectral_network import SpectralNetwork
from stembridge.model.networks.unet import UNet, UNetConfig

FACTS = {"description": "a random network", "licence": "CC0-1.0", "sdr_db": {"average": 1.5, "vocals": 1.0}}


def small_unet(seed: int = 0, **changes: Any) -> UNet:
    """Two stems, mono or as asked for, 64 patches at 8 kHz."""
    sizes: dict[str, Any] = {
        "sample_rate": 8000,
        "window_frames": 256,
        "hop_frames": 64,
        "seen_bins": 128,
        "patch_times": 64,
        "context_times": 16,
        "width": 2,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = UNet(UNetConfig(**{**sizes, **changes}))
    network.eval()
    return network


def small_mixer(seed: int = 0, **changes: Any) -> BandMixer:
    """Four stems, stereo, at 8 kHz; looks a few spectra to either side, or backwards only with `causal`."""
    sizes: dict[str, Any] = {
        "sample_rate": 8000,
        "window_frames": 256,
        "hop_frames": 64,
        "bands": ((4, 8, 1), (6, 16, 1)),
        "width": 8,
        "dilations": (1, 2),
        "mixing": 16,
        "times_per_token": 1,
        "level_times": 3,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = BandMixer(BandMixerConfig(**{**sizes, **changes}))
        # Its blocks start as doing nothing; these do something.
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
    network.eval()
    return network


def saved(network: SpectralNetwork, path: Path, **facts: object) -> CheckpointHeader:
    """Write a checkpoint with some facts."""
    return save_checkpoint(path, network, {**FACTS, **facts})
