"""Fast medians against the plain ones."""

from __future__ import annotations

import numpy as np
import pytest
import signals
from stembridge.model.dsp.median import RowMedian, RunningMedian, along_frequency, running_median
from stembridge.model.errors import ArgumentValueError


def rows(times: int, width: int, seed: int = 0) -> signals.Audio:
    return np.abs(signals.noise(width, times, seed))


@pytest.mark.parametrize("width", [1, 3, 5, 7, 9, 11, 15, 17, 31, 33, 63])
@pytest.mark.parametrize("times", [1, 7, 16, 50])
def test_running_median_is_the_median_of_every_window(width: int, times: int) -> None:
    x = rows(times + width - 1, 5, seed=width)
    x[::3] = 0.25  # ties
    windows = np.lib.stride_tricks.sliding_window_view(x, width, axis=0)
    assert np.array_equal(running_median(x, width), np.median(windows, axis=-1))


def test_running_median_leaves_its_input_alone() -> None:
    x = rows(40, 3)
    before = x.copy()
    running_median(x, 9)
    assert np.array_equal(x, before)


def test_even_widths_are_refused() -> None:
    with pytest.raises(ArgumentValueError, match="odd"):
        running_median(rows(10, 2), 4)


@pytest.mark.parametrize("width", [1, 9, 31])
@pytest.mark.parametrize("times", [0, 1, 4, 15, 16, 100])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_stream_is_mirrored_at_its_ends(width: int, times: int, seed: int) -> None:
    x = rows(times, 6, seed)
    stream = RunningMedian(width)
    for _ in range(2):  # it is as new after its end
        parts = []
        start = 0
        for size in signals.cuts(times, seed, largest=700):
            parts.append(stream.push(x[start : start + size]))
            start += size
            assert sum(map(len, parts)) >= start - stream.latency
        parts.append(stream.push(x[:0], last=True))
        padded = np.pad(x, [(width // 2, width // 2), (0, 0)], mode="symmetric") if times else x
        assert np.array_equal(np.concatenate(parts), running_median(padded, width))


def test_along_frequency_filters_the_last_axis() -> None:
    x = rows(6, 50).reshape(2, 3, 50)
    padded = np.pad(x, [(0, 0), (0, 0), (4, 4)], mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 9, axis=-1)
    assert np.array_equal(along_frequency(x, 9), np.median(windows, axis=-1))


def test_row_median_is_the_median_of_the_rows_named() -> None:
    table = rows(60, 33)
    rng = np.random.default_rng(0)
    median = RowMedian(33)
    for count in (1, 2, 7, 60, 20):
        chosen = rng.choice(60, count, replace=False)
        assert np.allclose(median(table, chosen), np.median(table[chosen], axis=0), rtol=1e-6, atol=0)
