"""Soft masks: between 0 and 1, sharing what there is, safe at the ends of float32."""

from __future__ import annotations

import numpy as np
import pytest
import signals
from stembridge.model.dsp.masks import energy, share
from stembridge.model.dsp.stft import stft


def magnitudes(seed: int) -> signals.Audio:
    return np.abs(signals.noise(500, 1, seed))


@pytest.mark.parametrize("power", [0.7, 1, 2, 3])
def test_two_shares_make_one(power: float) -> None:
    a, b = magnitudes(0), magnitudes(1)
    first, second = share(a, b, power), share(b, a, power)
    assert np.allclose(first + second, 1, atol=1e-6)
    assert np.allclose(first, a**power / (a**power + b**power), rtol=1e-4)


def test_a_margin_takes_from_both() -> None:
    a, b = magnitudes(0), magnitudes(1)
    assert (share(a, b, 2, margin=3) + share(b, a, 2, margin=3) < 1).all()
    assert np.allclose(share(a, b, 3, margin=11), a**3 / (a**3 + (11 * b) ** 3), rtol=1e-4)


@pytest.mark.parametrize("scale", [1e-20, 1e-6, 1.0, 1e18])
def test_shares_do_not_depend_on_level(scale: float) -> None:
    a, b = magnitudes(0), magnitudes(1)
    scaled = share(a * np.float32(scale), b * np.float32(scale), 3)
    assert np.allclose(scaled, share(a, b, 3), atol=1e-5)


def test_nothing_shares_nothing() -> None:
    zero = np.zeros((1, 4), np.float32)
    assert not share(zero, zero).any()
    assert (share(zero, zero, neither=0.5) == 0.5).all()
    assert (share(zero, zero + 1) == 0).all()
    assert (share(zero + 1, zero) == 1).all()


def test_energy_is_the_squared_magnitude() -> None:
    spectra = stft(signals.noise(3000), 256, 64)
    assert energy(spectra).dtype == np.float32
    assert np.allclose(energy(spectra), np.abs(spectra) ** 2, rtol=1e-5)
