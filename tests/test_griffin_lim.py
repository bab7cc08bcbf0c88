"""Griffin and Lim: no round makes it worse, and a good first phase is worth many rounds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import signals
from stembridge.model.dsp.griffin_lim import griffin_lim, spectral_convergence
from stembridge.model.dsp.stft import istft, stft
from stembridge.model.errors import ArgumentValueError

FRAMES = 11_025
GRID = (512, 128)


def magnitudes() -> signals.Audio:
    """Of the vocals of the made-up song."""
    return np.abs(stft(signals.song(1.0, 11_025)["vocals"], *GRID))


@pytest.mark.parametrize("grid", [(512, 128), (512, 384)])
def test_every_round_comes_nearer(grid: tuple[int, int]) -> None:
    wanted = np.abs(stft(signals.song(1.0, 11_025)["other"], *grid))
    off = [
        spectral_convergence(wanted, griffin_lim(wanted, *grid, FRAMES, iterations=n), *grid)
        for n in (0, 1, 2, 4, 8, 16)
    ]
    assert all(later < earlier for earlier, later in pairwise(off))
    assert off[-1] < 0.6 * off[0]


def test_the_right_phase_is_kept() -> None:
    song = signals.song(1.0, 11_025)["vocals"]
    spectra = stft(song, *GRID)
    found = griffin_lim(np.abs(spectra), *GRID, FRAMES, iterations=3, start=spectra)
    assert np.abs(found - song).max() < 1e-4


def test_the_phase_of_the_mix_is_a_better_start_than_chance() -> None:
    stems = signals.song(1.0, 11_025)
    mix = stft(np.sum(list(stems.values()), axis=0, dtype=np.float32), *GRID)
    wanted = magnitudes()
    by_mix = griffin_lim(wanted, *GRID, FRAMES, iterations=8, start=mix)
    by_chance = griffin_lim(wanted, *GRID, FRAMES, iterations=8)
    assert spectral_convergence(wanted, by_mix, *GRID) < spectral_convergence(wanted, by_chance, *GRID)


def test_the_same_twice_and_silence_stays_silence() -> None:
    wanted = magnitudes()
    once, again = (griffin_lim(wanted, *GRID, FRAMES, iterations=2) for _ in range(2))
    assert np.array_equal(once, again)
    assert once.dtype == np.float32
    assert once.shape == (2, FRAMES)
    silent = np.zeros_like(wanted)
    assert not griffin_lim(silent, *GRID, FRAMES, iterations=2).any()
    assert spectral_convergence(silent, np.zeros((2, FRAMES), np.float32), *GRID) == 0


def test_no_iterations_is_the_phase_given() -> None:
    spectra = stft(signals.noise(FRAMES), *GRID)
    found = griffin_lim(2 * np.abs(spectra), *GRID, FRAMES, iterations=0, start=spectra)
    assert np.allclose(found, 2 * istft(spectra, *GRID, FRAMES), atol=1e-5)


def test_shapes_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ArgumentValueError, match="257"):
        griffin_lim(magnitudes()[..., :-1], *GRID, FRAMES)
    with pytest.raises(ArgumentValueError, match="spectra of shape"):
        griffin_lim(magnitudes(), *GRID, FRAMES, start=np.zeros((2, 3, 257), np.complex64))
    with pytest.raises(ArgumentValueError, match="iterations"):
        griffin_lim(magnitudes(), *GRID, FRAMES, iterations=-1)
