"""What every separator promises, as checks the tests of each one share."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import peers
import pytest
import signals
from stembridge.model.audio import Audio, StemArray
from stembridge.model.errors import ArgumentValueError
from stembridge.model.separators.protocol import Separator

Make = Callable[[int, int], Separator]
"""Sample rate and channels in, a new separator out."""


def song(seconds: float, rate: int = 44100, channels: int = 2) -> Audio:
    """The mix of `signals.song`."""
    return mix_of(signals.song(seconds, rate))[:channels].copy()


def mix_of(stems: dict[str, Audio]) -> Audio:
    """The sum of stems."""
    total: Audio = np.sum(np.stack(list(stems.values())), axis=0, dtype=np.float32)
    return total


def librosa() -> Any:
    """librosa, the reference of the training-free separators, or skip."""
    try:
        return importlib.import_module("librosa")
    except ImportError:
        peers.missing("librosa is not installed")


def separate(separator: Separator, mix: Audio, sizes: list[int] | None = None) -> StemArray:
    """Push the mix in blocks of these sizes (default: at once) and flush."""
    parts = []
    start = 0
    for size in sizes or [mix.shape[1]]:
        parts.append(separator.push(mix[:, start : start + size]))
        start += size
        assert sum(p.shape[2] for p in parts) >= start - separator.latency
    parts.append(separator.flush())
    return np.concatenate(parts, axis=2)


def check_stream(make: Make, mix: Audio, rate: int, seeds: int = 2) -> None:
    """Any cut gives the same bits, as long as the mix; a flushed or reset separator is as new."""
    separator = make(rate, mix.shape[0])
    whole = separate(separator, mix)
    assert whole.shape == (len(separator.stems), *mix.shape)
    assert whole.dtype == np.float32
    for seed in range(seeds):
        assert np.array_equal(separate(separator, mix, signals.cuts(mix.shape[1], seed, 20_000)), whole)
    separator.push(signals.noise(5000, mix.shape[0], seed=99))
    separator.reset(3 * separator.grid)
    assert np.array_equal(separate(separator, mix), whole)


def check_region(make: Make, mix: Audio, rate: int, start: int, stop: int) -> None:
    """A region read with its context equals the slice of the whole, to the bit."""
    separator = make(rate, mix.shape[0])
    whole = separate(separator, mix)
    first = max(0, (start - separator.context_frames) // separator.grid * separator.grid)
    last = min(mix.shape[1], stop + separator.context_frames)
    assert first > 0, "the region must not reach the start, or nothing is tested"
    assert last < mix.shape[1], "the region must not reach the end, or nothing is tested"
    separator.reset(first)
    region = separate(separator, mix[:, first:last])
    assert np.array_equal(region[:, :, start - first : stop - first], whole[:, :, start:stop])
    with pytest.raises(ArgumentValueError, match="multiples"):
        separator.reset(separator.grid + 1)


def check_edges(make: Make, rate: int, channels: int) -> None:
    """Nothing, one frame and silence come back as they are; nothing is ever NaN."""
    separator = make(rate, channels)
    stems = len(separator.stems)
    assert separate(separator, signals.noise(0, channels)).shape == (stems, channels, 0)
    one = separate(separator, signals.noise(1, channels))
    assert one.shape == (stems, channels, 1)
    assert np.isfinite(one).all()
    assert not separate(separator, np.zeros((channels, rate // 2), np.float32)).any()
    half = signals.noise(rate // 2, channels)
    half[:, rate // 4 :] = 0
    assert np.isfinite(separate(separator, half)).all()


def error_db(reference: Audio, estimate: Audio) -> float:
    """How far below the reference the difference lies, in dB (negative is better)."""
    return float(10 * np.log10(np.sum((reference - estimate) ** 2) / np.sum(reference**2)))
