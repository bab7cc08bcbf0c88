"""Medians, fast: over chosen rows of a table, and running along the first axis.

Both arrange the work in long contiguous runs, where numpy sorts and compares with SIMD.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentValueError
from .masks import Real


class RowMedian:
    """Medians over chosen rows of a table, column by column; keeps its scratch memory."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._rows = np.empty(0, np.float32)
        self._columns = np.empty(0, np.float32)

    def __call__(self, table: Real, rows: NDArray[np.intp]) -> Real:
        """The median of every column over the rows named, at least one. Shape `(width,)`.

        numpy sorts many short contiguous rows with SIMD, so the chosen rows are turned first; and each of
        the three steps is one long call, so several threads can work side by side.
        """
        size = len(rows) * self._width
        if self._rows.size < size:
            self._rows, self._columns = np.empty(size, np.float32), np.empty(size, np.float32)
        chosen = self._rows[:size].reshape(len(rows), self._width)
        columns = self._columns[:size].reshape(self._width, len(rows))
        np.take(table, rows, axis=0, out=chosen, mode="clip")  # clip: or numpy copies once more
        columns[:] = chosen.T
        columns.sort(axis=1)
        middle = columns[:, (len(rows) - 1) // 2] + columns[:, len(rows) // 2]
        middle *= np.float32(0.5)
        return middle


@dataclass(frozen=True)
class _Step:
    """Compare registers `a` and `b`; the values go to new registers, None where nobody needs one."""

    a: int
    b: int
    smaller: int | None
    larger: int | None
    done: tuple[int, ...]
    """Registers nobody reads after this step."""


def running_median(rows: Real, width: int) -> Real:
    """The median of every `width` rows that follow each other (an odd number), column by column.

    Shape: `(times + width - 1, ...)`, returns `(times, ...)`; pad first to keep the length.

    Neighbouring windows share most of their rows: the rows that a whole tile of outputs shares are
    sorted once, each half of it adds the rows it shares besides, and so on, while ranks that can no
    longer be the median are dropped (after Adams, "Fast median filters using separable sorting
    networks", 2021).

    >>> running_median(np.array([[5], [1], [4], [2], [3]], np.float32), 3).ravel().tolist()
    [4.0, 2.0, 3.0]
    """
    if width < 1 or width % 2 == 0:
        raise ArgumentValueError(f"a running median needs an odd width; got {width}")
    times = rows.shape[0] - width + 1
    if times <= 0 or width == 1:
        return rows[: max(0, times)].copy()
    tile, steps, outputs = _network(width)
    tiles = -(-times // tile)
    missing = tiles * tile + width - 1 - rows.shape[0]
    if missing:
        rows = np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)])
    # Register k starts as row k of every tile.
    inputs = tile + width - 1
    registers: dict[int, Real] = {k: rows[k : k + (tiles - 1) * tile + 1 : tile] for k in range(inputs)}
    free: list[Real] = []
    for step in steps:
        x, y = registers[step.a], registers[step.b]
        if step.smaller is not None:
            registers[step.smaller] = np.minimum(x, y, out=free.pop() if free else None)
        if step.larger is not None:
            registers[step.larger] = np.maximum(x, y, out=free.pop() if free else None)
        for register in step.done:
            array = registers.pop(register)
            if register >= inputs:  # those are views of `rows`
                free.append(array)
    result = np.empty((tiles, tile, *rows.shape[1:]), rows.dtype)
    for k, register in enumerate(outputs):
        result[:, k] = registers[register]
    return result.reshape(tiles * tile, *rows.shape[1:])[:times]


class RunningMedian:
    """`running_median` of a stream of rows, which is mirrored at its start and end (scipy's `reflect`).

    Rows come out in whole tiles but for the last ones, so that no work is done twice: of n rows in, at
    least n - `latency` are out.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._tile = _network(width)[0] if width > 1 else 1
        self.latency = width // 2 + self._tile - 1
        self.reset()

    def reset(self) -> None:
        """Forget everything; the next row pushed is the first."""
        self._rows: Real | None = None
        self._mirrored = False

    def push(self, rows: Real, last: bool = False) -> Real:
        """Take more rows `(times, width)`; return the medians that are known, all when `last`."""
        half = self.width // 2
        if self._rows is not None:
            rows = np.concatenate([self._rows, rows])
        if last and not self._mirrored:
            rows = np.pad(rows, [(half, half), (0, 0)], mode="symmetric") if len(rows) else rows
        elif last:
            rows = np.concatenate([rows, rows[len(rows) - half :][::-1]])
        elif not self._mirrored and len(rows) >= half:
            rows = np.concatenate([rows[:half][::-1], rows])
            self._mirrored = True
        ready = max(0, len(rows) - 2 * half) if last or self._mirrored else 0
        if not last:
            ready -= ready % self._tile
        medians = running_median(rows[: ready + 2 * half] if ready else rows[:0], self.width)
        if last:
            self.reset()
        else:
            self._rows = rows[ready:].copy()
        return medians


def along_frequency(magnitudes: Real, bins: int) -> Real:
    """The running median along the last axis, mirrored at both ends. Shape as it comes."""
    half = bins // 2
    columns = magnitudes.reshape(-1, magnitudes.shape[-1]).T
    padded = np.pad(columns, [(half, half), (0, 0)], mode="symmetric")
    return np.ascontiguousarray(running_median(padded, bins).T).reshape(magnitudes.shape)


@cache
def _network(width: int) -> tuple[int, tuple[_Step, ...], tuple[int, ...]]:
    """Outputs per tile, the comparisons in order, and the register of each output."""
    tile = 1 << ((width + 1) // 2).bit_length() - 1
    comparisons: list[tuple[int, int]] = []  # the n-th writes registers inputs + 2n and inputs + 2n + 1
    inputs = tile + width - 1

    def compare(a: int, b: int) -> tuple[int, int]:
        comparisons.append((a, b))
        smaller = inputs + 2 * len(comparisons) - 2
        return smaller, smaller + 1

    def merge(x: list[int], y: list[int]) -> list[int]:
        """Batcher's odd-even merge of two sorted lists of any lengths (Knuth, volume 3, 5.3.4)."""
        if not x or not y:
            return x + y
        if len(x) == len(y) == 1:
            return list(compare(x[0], y[0]))
        evens, odds = merge(x[::2], y[::2]), merge(x[1::2], y[1::2])
        merged = evens[:1]
        for odd, even in zip(odds, evens[1:], strict=False):
            merged += compare(odd, even)
        return merged + odds[len(evens) - 1 :] + evens[len(odds) + 1 :]

    def ordered(x: list[int]) -> list[int]:
        half = len(x) // 2
        return merge(ordered(x[:half]), ordered(x[half:])) if half else x

    def outputs_of(first: int, count: int, core: list[int], dropped: int) -> list[int]:
        """Registers of outputs `first` on; `core` is sorted, `dropped` shared rows lie below it."""
        middle, unknown = width // 2, count - 1
        low = max(dropped, middle - unknown)
        core = core[low - dropped : middle + 1 - dropped]
        if count == 1:
            return core
        half = count // 2
        before = ordered(list(range(first + half - 1, first + count - 1)))
        after = ordered(list(range(first + width, first + width + half)))
        return outputs_of(first, half, merge(core, before), low) + outputs_of(
            first + half, half, merge(core, after), low
        )

    outputs = outputs_of(0, tile, ordered(list(range(tile - 1, width))), 0)
    return tile, _only_needed(comparisons, inputs, outputs), tuple(outputs)


def _only_needed(comparisons: list[tuple[int, int]], inputs: int, outputs: list[int]) -> tuple[_Step, ...]:
    """Walk back from the outputs: leave out what they do not need, note where a register ends."""
    needed = set(outputs)
    steps: list[_Step] = []
    for n in range(len(comparisons) - 1, -1, -1):
        smaller, larger = inputs + 2 * n, inputs + 2 * n + 1
        if smaller in needed or larger in needed:
            a, b = comparisons[n]
            steps.append(
                _Step(
                    a,
                    b,
                    smaller if smaller in needed else None,
                    larger if larger in needed else None,
                    tuple({a, b} - needed),
                )
            )
            needed |= {a, b}
    return tuple(reversed(steps))
