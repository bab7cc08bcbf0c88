"""Rooms, doubling, dynamics and overdrive: what stems go through in training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stembridge.model.audio import StemArray
from stembridge.model.training.augmentation import Augment, augment

RATE = 8192


def only(**settings: float) -> Augment:
    return replace(Augment.none(), **settings)  # type: ignore[arg-type]


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(*shape: int) -> StemArray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_a_room_adds_a_tail_that_dies_away_and_keeps_what_came_first() -> None:
    click = np.zeros((1, 2, 60_000), np.float32)
    click[:, :, 1000] = 1.0
    for seed in range(20):
        (out,) = augment(click.copy(), 44100, only(room=1.0), rng_of(seed))
        assert np.abs(out[:, :1000]).max() < 1e-3 * np.abs(out).max()
        assert np.abs(out).max() == pytest.approx(np.abs(out[:, 1000]).max(), rel=0.3)
        energy = np.square(out).sum(axis=0)
        tail = energy[1001:]
        assert 0.005 < tail.sum() / energy.sum() < 0.55  # wet is never louder than dry
        assert tail[:20_000].sum() > 20 * tail[-3000:].sum()
        assert not np.array_equal(out[0], out[1])


def test_doubling_leaves_the_sum_of_both_sides_and_the_lowest_notes() -> None:
    time = np.arange(44100) / 44100
    for hz, low in ((30.0, True), (3000.0, False)):
        tone = np.repeat(np.sin(2 * np.pi * hz * time, dtype=np.float32)[None], 2, axis=0)[None]
        sides = []
        for seed in range(30):
            (out,) = augment(tone.copy(), 44100, only(double=1.0), rng_of(seed))
            assert np.allclose(out.sum(axis=0), tone[0].sum(axis=0), atol=1e-5)
            sides.append(np.abs(out[0] - out[1])[5000:].max() / 2)
        assert (max(sides) < 0.25) == low
        assert (max(sides) > 0.5) != low
    assert np.array_equal(augment(tone[:, :1].copy(), 44100, only(double=1.0), rng_of(0)), tone[:, :1])


def test_dynamics_drive_loud_and_soft_apart_or_together() -> None:
    stems = noise(1, 2, 40_000)
    stems[:, :, 20_000:] *= 0.1
    ratios = []
    for seed in range(60):
        (out,) = augment(stems.copy(), RATE, only(dynamics=1.0), rng_of(seed))
        loud, soft = (float(np.std(part)) for part in (out[:, 2000:18_000], out[:, 22_000:38_000]))
        ratios.append(20 * np.log10(loud / soft))
        assert np.corrcoef(out[0, 2000:18_000], stems[0, 0, 2000:18_000])[0, 1] > 0.98
    assert min(ratios) < 18 < 20 < 23 < max(ratios)  # 20 dB apart before
    assert np.mean(ratios) > 20.5


def test_overdrive_bends_peaks_and_keeps_the_power() -> None:
    stems = noise(1, 2, 5000)
    (out,) = augment(stems.copy(), RATE, only(overdrive=1.0), rng_of(3))
    assert np.square(out).sum() == pytest.approx(np.square(stems).sum(), rel=1e-4)
    assert np.abs(out).max() < np.abs(stems).max()
    order = np.argsort(stems[0], axis=None)
    assert (np.diff(out.reshape(-1)[order]) >= 0).all()
    assert not augment(np.zeros((1, 2, 9), np.float32), RATE, only(overdrive=1.0), rng_of(0)).any()
