"""Segments of a stream: memory that does not grow, and what happens when a device has too little of it."""

from __future__ import annotations

import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
import signals
import torch
from stembridge.model.audio import Audio, StemArray
from stembridge.model.errors import ArgumentValueError
from stembridge.model.separators.segments import SegmentNetwork, SegmentSeparator
from stembridge.model.separators.torch_runner import TorchRunner
from torch import Tensor, nn

RATE = 44100


def halves(mix: Audio) -> StemArray:
    return np.stack([mix / 2, mix / 4])


def separator(seconds: float = 1.0, **options: Any) -> SegmentSeparator:
    network = SegmentNetwork(halves, ("vocals", "drums"), round(seconds * RATE))
    given = {"native_rate": RATE, "overlap": 0.25, **options}
    return SegmentSeparator("halves", [network], RATE, 2, **given)


def peak_bytes(seconds: int) -> int:
    stream, block = separator(), signals.noise(1 << 16)
    tracemalloc.start()
    for _ in range(seconds * RATE // block.shape[1]):
        stream.push(block)
    stream.flush()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_follow_the_length() -> None:
    peak_bytes(10)
    assert peak_bytes(200) < 1.1 * peak_bytes(20)


def test_latency_is_what_is_under_way() -> None:
    hop = int(0.75 * RATE)
    assert separator(parallel=1).latency == RATE - 1
    assert separator(parallel=3).latency == RATE - 1 + 2 * hop
    assert separator().latency == RATE - 1 + 3 * hop  # 4 at most ...
    assert separator(44.0).latency == 44 * RATE - 1  # ... and 20 s


@pytest.mark.parametrize(
    "options", [{"overlap": 1.0}, {"shifts": -1}, {"parallel": 0}, {"reference": (0.0, 0.0)}]
)
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ArgumentValueError, match="halves needs"):
        separator(**options)


class SmallDevice(nn.Module):
    """Doubles the mix; away from the CPU it has room for `most` frames."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def forward(self, mix: Tensor) -> Tensor:
        if mix.device.type == "cpu":
            return torch.stack([2 * mix])
        if mix.shape[-1] > self.most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return torch.ones(1, *mix.shape)


@pytest.mark.parametrize("whole", [False, True])
def test_too_little_memory_means_smaller_pieces_then_the_cpu(whole: bool) -> None:
    """torch's device `meta` stands for the accelerator: it has no memory at all."""
    mix, said = signals.noise(8000), list[str]()
    network = SmallDevice(3000)
    runner = TorchRunner(
        "net", network, network, torch.device("meta"), stems=1, whole=whole, warn=said.append
    )
    first = runner(mix)
    if not whole:
        assert np.abs(first - 1).max() < 1e-6
        assert [text.rpartition("going on ")[2] for text in said] == [
            "in 2 pieces a segment",
            "in 4 pieces a segment",
        ]
        network.most = 10
        first = runner(mix)
    assert np.array_equal(first[0], 2 * mix)
    assert said[-1] == "net: meta is out of memory, going on on the CPU, which is slower"
    count = len(said)
    assert np.array_equal(runner(mix)[0], 2 * mix)
    assert len(said) == count


def test_too_little_memory_on_the_cpu_is_an_error() -> None:
    class Full(nn.Module):
        def forward(self, mix: Tensor) -> Tensor:
            return mix.expand(1 << 40, *mix.shape).clone()

    network = Full()
    runner = TorchRunner("net", network, network, "cpu", stems=1, warn=warnings.warn)
    with pytest.raises(MemoryError, match="net ran out of memory: shorten --segment"):
        runner(signals.noise(1000))
