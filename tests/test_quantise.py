"""Quantisation: grid values untouched, dither that is triangular, independent, and keyed by position."""

from __future__ import annotations

import numpy as np
import pytest
import signals
from stembridge.model.errors import ArgumentValueError
from stembridge.model.files.quantise import Dither, quantise


@pytest.mark.parametrize("bits", [16, 24])
def test_every_16_bit_value_comes_back_as_the_same_integer(bits: int) -> None:
    values = np.arange(-32768, 32768, dtype=np.int32)
    source = (values / 32768).astype(np.float32)[np.newaxis]
    out = quantise(source, bits, Dither(3, "vocals"))
    assert np.array_equal(out[0], values << (bits - 16))


def test_24_bit_values_come_back_as_the_same_integers() -> None:
    values = np.random.default_rng(0).integers(-(2**23), 2**23, 100_000, dtype=np.int32)
    source = (values / 2**23).astype(np.float32)[np.newaxis]
    assert np.array_equal(quantise(source, 24, Dither(3, "vocals"))[0], values)


def test_silence_stays_silence_and_no_channel_is_asked_for_none() -> None:
    assert not quantise(np.zeros((2, 9000), np.float32), 16, Dither(1, "bass")).any()
    assert quantise(np.zeros((2, 0), np.float32), 16, Dither(1, "bass")).shape == (2, 0)


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("dither", [None, Dither(0, "mix")])
def test_what_is_out_of_range_saturates(bits: int, dither: Dither | None) -> None:
    top = 2 ** (bits - 1) - 1
    loud = np.array([[1.0, -1.0, 1.5, -1.5, 3e38, -3e38, 1.2345678]], np.float32)
    with np.errstate(all="raise"):
        out = quantise(loud, bits, dither)
    assert out.tolist() == [[top, -top - 1, top, -top - 1, top, -top - 1, top]]


def test_without_dither_samples_are_rounded() -> None:
    noise = signals.noise(5000)
    expected = np.rint(np.clip(noise.astype(np.float64), -1, 32767 / 32768) * 32768)
    assert np.array_equal(quantise(noise, 16), expected)


def test_dither_is_triangular_and_within_one_step() -> None:
    noise = Dither(5, "drums").noise(0, 0, 400_000).astype(np.float64)
    assert np.abs(noise).max() < 1
    assert noise.var() == pytest.approx(1 / 6, rel=0.01)
    assert noise.mean() == pytest.approx(0, abs=4 * np.sqrt(1 / 6 / noise.size))
    # The distribution of a triangle: P(n < x) = (1 + x)^2 / 2 for x <= 0, mirrored above.
    for x in (-0.75, -0.5, -0.25, 0.0):
        assert (noise < x).mean() == pytest.approx((1 + x) ** 2 / 2, abs=0.004)
        assert (noise > -x).mean() == pytest.approx((1 + x) ** 2 / 2, abs=0.004)


@pytest.mark.parametrize("lag", [1, 2, 7, 4096])
def test_dither_is_white(lag: int) -> None:
    noise = Dither(5, "drums").noise(0, 0, 200_000).astype(np.float64)
    assert abs(np.corrcoef(noise[lag:], noise[:-lag])[0, 1]) < 0.01


def test_channels_stems_and_seeds_have_dither_of_their_own() -> None:
    rows = [
        Dither(seed, stem).noise(channel, 0, 100_000)
        for seed in (0, 1)
        for stem in ("drums", "vocals")
        for channel in (0, 1)
    ]
    correlation = np.corrcoef(np.array(rows, np.float64)) - np.eye(len(rows))
    assert np.abs(correlation).max() < 0.015


@pytest.mark.parametrize("bits", [16, 24])
def test_the_error_does_not_depend_on_the_signal(bits: int) -> None:
    step = 2.0 ** (1 - bits)
    for level in (0.1, 0.3, 0.45):
        constant = np.full((1, 200_000), np.float32(level * step))
        error = quantise(constant, bits, Dither(2, "other"))[0] - level
        assert error.mean() == pytest.approx(0, abs=0.006)
        assert error.var() == pytest.approx(1 / 4, rel=0.02)  # 1/6 of dither and 1/12 of rounding


def test_only_samples_between_the_steps_are_dithered() -> None:
    samples = signals.noise(20_000, channels=1)
    samples[:, ::2] = np.rint(samples[:, ::2] * 32768) / np.float32(32768)
    out = quantise(samples, 16, Dither(9, "bass"))
    plain = quantise(samples, 16)
    assert np.array_equal(out[:, ::2], plain[:, ::2])
    assert (out[:, 1::2] != plain[:, 1::2]).mean() > 0.2
    assert np.abs(out - plain).max() == 1


@pytest.mark.parametrize("seed", range(3))
def test_cuts_change_nothing(seed: int) -> None:
    audio = signals.noise(30_000)
    dither = Dither(1, "vocals")
    whole = quantise(audio, 16, dither)
    parts, start = [], 0
    for size in signals.cuts(audio.shape[1], seed):
        parts.append(quantise(audio[:, start : start + size], 16, dither, start))
        start += size
    assert np.array_equal(np.concatenate(parts, axis=1), whole)


def test_a_region_has_the_noise_of_the_whole_even_after_hours() -> None:
    start = 12 * 3600 * 192_000  # beyond 32 bits
    audio = signals.noise(3000)
    whole = quantise(audio, 16, Dither(1, "vocals"), start)
    region = quantise(audio[:, 1000:], 16, Dither(1, "vocals", start_frame=start + 1000))
    assert np.array_equal(region, whole[:, 1000:])
    assert not np.array_equal(quantise(audio, 16, Dither(1, "vocals")), whole)


@pytest.mark.parametrize("bits", [1, 25, 32])
def test_depths_that_float_samples_cannot_fill_are_refused(bits: int) -> None:
    with pytest.raises(ArgumentValueError, match="2 to 24 bits"):
        quantise(signals.noise(4), bits)
