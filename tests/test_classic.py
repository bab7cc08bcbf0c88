"""The training-free four stems: streaming laws, and that every stem finds its place."""

from __future__ import annotations

import numpy as np
import pytest
import separating
import signals
from stembridge.model.separators.classic import SHARES, Classic


@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (8000, 1), (48000, 2), (32000, 3)])
def test_it_streams(rate: int, channels: int) -> None:
    mix = signals.noise(int(1.3 * rate), channels) if channels > 2 else separating.song(1.3, rate, channels)
    separating.check_stream(Classic, mix, rate)


def test_a_region_is_the_slice_of_the_whole() -> None:
    separating.check_region(Classic, separating.song(6, 16000), 16000, 40_000, 46_000)


@pytest.mark.parametrize("channels", [1, 2])
def test_edges(channels: int) -> None:
    separating.check_edges(Classic, 22050, channels)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_stems_add_up_to_the_mix(rate: int, channels: int) -> None:
    mix = separating.song(1, rate, channels)
    assert np.abs(separating.separate(Classic(rate, channels), mix).sum(axis=0) - mix).max() < 1e-5


def test_shares_add_up_to_one() -> None:
    for rows in SHARES.values():
        assert np.allclose(np.sum(rows, axis=1), 1)


@pytest.mark.parametrize(
    ("stem", "sound"),
    [
        ("bass", signals.sine(80, 44100)),
        ("vocals", signals.sine(600, 44100)),
        ("other", signals.sine(600, 44100) * np.array([[1], [0.3]])),
        ("drums", signals.noise(44100) * (np.arange(44100) % 11025 < 500)),
    ],
)
def test_the_loudest_stem_is_the_right_one(stem: str, sound: signals.Audio) -> None:
    stems = separating.separate(Classic(44100, 2), sound.astype(np.float32))
    energies = np.sum(stems.astype(np.float64) ** 2, axis=(1, 2))
    assert Classic.stems[int(np.argmax(energies))] == stem


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_it_beats_a_quarter_of_the_mix(rate: int) -> None:
    parts = signals.song(4, rate)
    mix = separating.mix_of(parts)
    stems = separating.separate(Classic(rate, 2), mix)
    ours = [separating.error_db(parts[name], stem) for name, stem in zip(Classic.stems, stems, strict=True)]
    quarter = [separating.error_db(parts[name], 0.25 * mix) for name in Classic.stems]
    assert np.mean(ours) < np.mean(quarter) - 1.5


def test_latency_is_a_fraction_of_a_second() -> None:
    for rate in (8000, 44100, 48000):
        assert Classic(rate, 2).latency < 0.5 * rate
