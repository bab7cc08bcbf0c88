"""Figures for estimates: those that are known beforehand, and those of the reference implementation."""

from __future__ import annotations

import importlib
import itertools
from typing import Any

import numpy as np
import peers
import pytest
from multitracks import RATE, four_stems, noise, sdr_db
from stembridge.model.audio import StemArray
from stembridge.model.errors import ArgumentValueError
from stembridge.model.evaluation.bss_eval import BssFigures, bss_eval
from stembridge.model.evaluation.metrics import Sums
from stembridge.model.evaluation.spectral_metrics import SpectralSums


def cut_randomly(frames: int, seed: int) -> list[slice]:
    """Stretches that follow each other, some of them empty."""
    edges = np.sort(np.random.default_rng(seed).integers(0, frames + 1, 9))
    bounds = [0, *edges.tolist(), frames]
    return [slice(first, last) for first, last in itertools.pairwise(bounds)]


def test_figures_of_a_known_error_however_the_song_is_cut() -> None:
    references = noise(2, 2, 30_000)
    references[1] *= 0.5
    error = 0.1 * noise(2, 2, 30_000, seed=1)
    estimates = 0.5 * references + error
    mix = references.sum(axis=0)
    figures = []
    for seed in range(2):
        sums = Sums(2)
        for part in cut_randomly(30_000, seed):
            sums.add(mix[:, part], references[:, :, part], estimates[:, :, part])
        figures.append(sums.figures())
    assert [one.sdr_db for one in figures[0]] == pytest.approx([one.sdr_db for one in figures[1]])
    for row, one in enumerate(figures[0]):
        assert one.sdr_db == pytest.approx(sdr_db(references[row], estimates[row]), abs=1e-6)
        assert one.mse == pytest.approx(np.mean(np.square(references[row] - estimates[row])), rel=1e-4)
        # the projection of the estimate on the reference, spelled out
        s, e = references[row].ravel().astype(float), estimates[row].ravel().astype(float)
        target = e @ s / (s @ s) * s
        assert one.si_sdr_db == pytest.approx(
            10 * np.log10(target @ target / np.sum((e - target) ** 2)), abs=1e-6
        )


def test_si_sdr_does_not_see_a_gain() -> None:
    references = noise(1, 2, 10_000)
    estimates = references + 0.01 * noise(1, 2, 10_000, seed=1)
    mix = references[0] + noise(2, 10_000, seed=2)
    results = []
    for gain in (1.0, 0.3):
        sums = Sums(1)
        sums.add(mix, references, np.asarray(gain * estimates, np.float32))
        results.append(sums.figures()[0].si_sdr_db)
    assert results[0] == pytest.approx(40, abs=0.2)
    assert results[1] == pytest.approx(results[0], abs=1e-3)


def test_silent_references_leak_and_have_no_sdr() -> None:
    references = noise(3, 2, 10_000)
    references[1] = 0
    references[2] *= 1e-4  # 80 dB below
    mix = references.sum(axis=0)
    estimates = np.stack([mix, 0.1 * mix, 0 * mix])
    sums = Sums(3)
    sums.add(mix, references, estimates)
    heard, silent, faint = sums.figures()
    assert heard.alone
    assert not heard.silent
    assert heard.sdr_db is None
    assert silent.silent
    assert silent.sdr_db is None
    assert silent.estimate_db == pytest.approx(-20, abs=0.01)
    assert faint.silent
    assert faint.estimate_db is None


def test_spectrogram_figures_know_no_phase() -> None:
    references = noise(1, 2, 3 * RATE)
    mix = references[0] + noise(2, 3 * RATE, seed=1)
    sums = SpectralSums(1, 2, RATE)
    sums.add(mix, references, -0.5 * references)
    (figures,) = sums.figures()
    assert figures.snr_db == pytest.approx(10 * np.log10(4), abs=1e-3)


def test_spectrogram_mae_is_relative_to_the_loudest_bin_of_the_mix() -> None:
    # A tone in the middle of a bin (8 Hz apart) with a Hann window: three bins hold it, 1/2, 1 and 1/2.
    tone = np.sin(2 * np.pi * 800 * np.arange(4 * RATE) / RATE).astype(np.float32)[None]
    sums = SpectralSums(1, 1, RATE)
    sums.add(tone, tone[None], 0 * tone[None])
    (figures,) = sums.figures()
    assert figures.mae == pytest.approx(2 / (RATE // 16 + 1), rel=0.03)


def museval() -> Any:
    """The reference implementation of BSSEval v4, or skip."""
    try:
        return importlib.import_module("museval.metrics")
    except ImportError:
        peers.missing("museval is not installed")


def leaky(references: StemArray, seed: int = 3) -> StemArray:
    """Estimates with interference, a filter, crosstalk between channels and artefacts."""
    estimates = references + 0.2 * references[::-1] + 0.05 * references[:, ::-1]
    estimates[..., 7:] += 0.3 * references[..., :-7]
    return np.asarray(estimates + 0.1 * noise(*references.shape, seed=seed), np.float32)


def ours(references: StemArray, estimates: StemArray, seed: int = 0) -> BssFigures:
    parts = cut_randomly(references.shape[2], seed)
    return bss_eval(
        lambda: ((references[..., part], estimates[..., part]) for part in parts),
        len(references),
        references.shape[1],
        RATE,
    )


@pytest.mark.parametrize("channels", [1, 2])
def test_bss_eval_agrees_with_museval(channels: int) -> None:
    reference = museval()
    stems = four_stems(3.4)
    references: StemArray = np.stack([stems["drums"], stems["vocals"]])[:, :channels].copy()
    estimates = leaky(references)
    references[:, :, RATE : 2 * RATE] *= np.array([1, 0], np.float32)[:, None, None]  # a silent second
    figures = ours(references, estimates)
    expected = reference.bss_eval(
        references.transpose(0, 2, 1).astype(float), estimates.transpose(0, 2, 1).astype(float),
        window=RATE, hop=RATE,
    )  # fmt: skip
    for mine, theirs in zip(vars(figures).values(), expected[:4], strict=True):
        assert mine.shape == theirs.shape == (2, 3)
        assert np.array_equal(np.isnan(mine), np.isnan(theirs))
        assert np.isnan(mine[:, 1]).all()
        assert np.nanmax(np.abs(mine - theirs)) < 1e-4


def test_bss_eval_forgives_filters_in_sir_and_sar_only() -> None:
    references = noise(2, 2, 3 * RATE)
    delayed = np.roll(references, 20, axis=2)
    delayed[..., :20] = 0
    figures = ours(references, delayed)
    (first, second) = figures.medians()
    assert first is not None
    assert second is not None
    assert first["sdr_db"] == pytest.approx(-3, abs=0.3)  # two sounds that have nothing in common
    assert first["isr_db"] == pytest.approx(-3, abs=0.3)
    assert first["sir_db"] > 40
    assert second["sar_db"] > 20  # what the window's start cuts off of the delayed sound


def test_bss_eval_of_a_song_shorter_than_a_window() -> None:
    references = noise(2, 1, 3000)
    assert ours(references, leaky(references)).sdr_db.shape == (2, 1)
    with pytest.raises(ArgumentValueError, match="no frames"):
        ours(references[..., :0], references[..., :0])
