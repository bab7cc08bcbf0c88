"""The arguments of `process`: of the right kind, and possible."""

from __future__ import annotations

import math
from typing import SupportsFloat, SupportsIndex, SupportsInt, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentTypeError, ArgumentValueError

LARGEST_BUFFER = 1 << 16
"""Larger blocks are cut: beyond about two million frames pedalboard itself takes the process down."""


def check_array(array: object) -> NDArray[np.floating]:
    """Return `array` if it is a numpy array of 32- or 64-bit floats. Raises ArgumentTypeError."""
    if not isinstance(array, np.ndarray):
        raise ArgumentTypeError(f"input_array must be a numpy.ndarray; got {type(array).__name__}")
    if array.dtype.char not in "fd":
        raise ArgumentTypeError(
            "only supports 32-bit and 64-bit floating point audio for processing; got "
            f"{array.dtype}. Convert it: audio.astype(np.float32), scaled to -1..1."
        )
    return array


def checked_arguments(sample_rate: object, buffer_size: object, reset: object) -> tuple[float, int, bool]:
    """The other arguments of `process`. Raises ArgumentTypeError and ArgumentValueError."""
    if isinstance(buffer_size, float | np.floating) or not isinstance(buffer_size, SupportsIndex):
        raise ArgumentTypeError(f"buffer_size must be an integer; got {buffer_size!r}")
    size = int(cast(SupportsInt, buffer_size))
    if size < 0:
        raise ArgumentTypeError(f"buffer_size must be 1 or more; got {size}")
    if size == 0:
        raise ArgumentValueError("buffer_size must be 1 or more; got 0, with which nothing would move")
    if not (reset is None or isinstance(reset, int | np.bool_)):
        raise ArgumentTypeError(f"reset must be True or False; got {reset!r}")
    return checked_rate(sample_rate), min(size, LARGEST_BUFFER), bool(reset)


def checked_rate(sample_rate: object) -> float:
    """A sample rate in Hz. Raises ArgumentTypeError and ArgumentValueError."""
    if not isinstance(sample_rate, SupportsFloat) or isinstance(sample_rate, np.ndarray):
        raise ArgumentTypeError(f"sample_rate must be a number of hertz; got {sample_rate!r}")
    rate = float(sample_rate)
    if not (math.isfinite(rate) and rate > 0):
        raise ArgumentValueError(f"sample_rate must be above 0 Hz and finite; got {rate:g}")
    return rate
