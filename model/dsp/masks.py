"""Time-frequency masks and the arithmetic around them.

Everything here is built from additions, multiplications, divisions and square roots, which IEEE 754
rounds in one way only: the same spectrum gives the same mask, wherever in an array it stands.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .stft import Spectra

Real = NDArray[np.float32]

TINY = np.float32(1e-30)
"""Below any magnitude that matters; keeps silence from dividing zero by zero."""


def energy(spectra: Spectra) -> Real:
    """The squared magnitude of every bin, in the shape of `spectra`."""
    return np.asarray(spectra.real * spectra.real + spectra.imag * spectra.imag)


def raised(x: Real, power: float) -> Real:
    """`x ** power` for x >= 0; small whole powers by multiplication."""
    if power == 1:
        return x
    if power == 2:
        return np.asarray(x * x)
    if power == 3:
        return np.asarray(x * x * x)
    return np.asarray(np.power(x, np.float32(power)))


def share(of: Real, against: Real, power: float = 2.0, margin: float = 1.0, neither: float = 0.0) -> Real:
    """The soft mask `of**p / (of**p + (margin * against)**p)`; `neither` where both are 0.

    With power 2 and margin 1 it is a Wiener filter; a margin above 1 keeps only what clearly
    outweighs the rest (Driedger, Mueller and Disch 2014). Shapes: all alike.

    >>> share(np.float32([3, 0, 1]), np.float32([1, 0, 1])).tolist()
    [0.8999999761581421, 0.0, 0.5]
    """
    # Relative to the larger one, so that no power of a small or large number leaves float32.
    scale = np.maximum(np.maximum(of, against), TINY)
    a = raised(np.asarray(of / scale, np.float32), power)
    b = np.float32(margin**power) * raised(np.asarray(against / scale, np.float32), power)
    b += a
    mask = np.asarray(a / np.maximum(b, TINY))
    if neither:
        mask[b == 0] = neither
    return mask
