"""Loudness against the standards' own test cases, ffmpeg, pyloudnorm and exact band-limited peaks."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import peers
import pyloudnorm
import pytest
import signals
import soundfile
from stembridge.model.audio import Audio
from stembridge.model.dsp.loudness import Loudness, LoudnessMeter
from stembridge.model.dsp.meter_filters import k_weighting
from stembridge.model.errors import ArgumentTypeError, ArgumentValueError

RATE = 48000


def tones(*parts: tuple[float, float], channels: int = 2, rate: int = RATE) -> Audio:
    """1 kHz sines in a row, each (level in dBFS, seconds); minus infinity is silence."""
    pieces = []
    for level_db, seconds in parts:
        t = np.arange(round(seconds * rate)) / rate
        pieces.append(10.0 ** (level_db / 20.0) * np.sin(2 * np.pi * 1000.0 * t))
    return np.tile(np.concatenate(pieces).astype(np.float32), (channels, 1))


def measure(audio: Audio, rate: int = RATE) -> Loudness:
    meter = LoudnessMeter(rate, audio.shape[0])
    meter.push(audio)
    return meter.result()


@pytest.mark.parametrize(
    ("parts", "lufs"),
    [
        ([(-23, 20)], -23.0),
        ([(-33, 20)], -33.0),
        ([(-36, 10), (-23, 60), (-36, 10)], -23.0),  # the relative gate
        ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23.0),  # the absolute gate too
        ([(-26, 20), (-20, 20.1), (-26, 20)], -23.0),  # nothing is gated
    ],
)
def test_the_integrated_cases_of_ebu_tech_3341(parts: list[tuple[float, float]], lufs: float) -> None:
    assert measure(tones(*parts)).integrated_lufs == pytest.approx(lufs, abs=0.1)


def test_surround_channels_are_weighted() -> None:
    """EBU Tech 3341 case 6, five channels; a sixth for low frequencies changes nothing."""
    front, centre, rear = (tones((level, 20), channels=1) for level in (-28, -24, -30))
    five = np.concatenate([front, front, centre, rear, rear])
    six = np.concatenate([front, front, centre, tones((-3, 20), channels=1), rear, rear])
    assert measure(five).integrated_lufs == pytest.approx(-23.0, abs=0.1)
    assert measure(six).integrated_lufs == pytest.approx(measure(five).integrated_lufs, abs=1e-5)


def test_mono_is_three_lu_below_the_same_sound_in_two_channels() -> None:
    mono, stereo = (measure(tones((-20, 2), channels=n)).integrated_lufs for n in (1, 2))
    assert stereo - mono == pytest.approx(10 * math.log10(2), abs=1e-6)


@pytest.mark.parametrize("late", [0.0, 0.15, 0.9, 1.35])
def test_the_short_term_maximum_of_a_3_s_tone(late: float) -> None:
    assert measure(tones((-math.inf, late), (-23, 3), (-math.inf, 1))).short_term_max_lufs == pytest.approx(
        -23, abs=0.1
    )


@pytest.mark.parametrize("late", [0.0, 0.02, 0.18, 0.38])
def test_the_momentary_maximum_of_a_400_ms_tone(late: float) -> None:
    found = measure(tones((-math.inf, late), (-23, 0.4), (-math.inf, 1)))
    assert found.momentary_max_lufs == pytest.approx(-23, abs=0.1)


def test_alternating_levels_average_in_3_s_and_in_400_ms() -> None:
    """EBU Tech 3341 cases 9 and 12."""
    assert measure(tones(*[(-20, 1.34), (-30, 1.66)] * 5)).short_term_max_lufs == pytest.approx(-23, abs=0.1)
    assert measure(tones(*[(-20, 0.18), (-30, 0.22)] * 25)).momentary_max_lufs == pytest.approx(-23, abs=0.1)


@pytest.mark.parametrize(
    ("levels", "range_lu"),
    [([-20, -30], 10), ([-20, -15], 5), ([-40, -20], 20), ([-50, -35, -20, -35, -50], 15)],
)
def test_the_loudness_range_cases_of_ebu_tech_3342(levels: list[float], range_lu: float) -> None:
    found = measure(tones(*((level, 20.0) for level in levels), rate=16000), 16000)
    assert found.range_lu == pytest.approx(range_lu, abs=0.2)


@pytest.mark.parametrize(
    ("divisor", "degrees", "level"),
    [(4, 0, 0.5), (4, 45, 0.5), (6, 60, 0.5), (8, 67.5, 0.5), (4, 45, math.sqrt(2))],
)
@pytest.mark.parametrize("rate", [44100, 48000, 96000, 192000])
def test_the_true_peak_cases_of_ebu_tech_3341(divisor: int, degrees: float, level: float, rate: int) -> None:
    phase = 2 * np.pi * np.arange(rate // 2) / divisor + np.deg2rad(degrees)
    fade = np.minimum(1.0, np.arange(phase.size) / 2000.0)
    fade = np.minimum(fade, fade[::-1])
    tone = np.tile((level * fade * np.sin(phase)).astype(np.float32), (2, 1))
    found = measure(tone, rate)
    wanted = 20 * math.log10(level)
    assert wanted - 0.2 <= found.true_peak_dbtp <= wanted + 0.2
    assert found.sample_peak_dbfs == pytest.approx(20 * math.log10(np.abs(tone).max()), abs=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_the_true_peak_of_noise_is_that_of_its_exact_interpolation(seed: int) -> None:
    """Periodic noise below 0.35 of the rate, interpolated 32 times by zero-padding its spectrum."""
    rng = np.random.default_rng(seed)
    size = 4096
    spectrum = np.zeros(size // 2 + 1, np.complex128)
    used = int(0.35 * size)
    spectrum[1:used] = rng.standard_normal(used - 1) + 1j * rng.standard_normal(used - 1)
    period = np.fft.irfft(spectrum, size)
    exact = np.abs(np.fft.irfft(spectrum, 32 * size)).max() * 32
    scale = 0.5 / np.abs(period).max()
    audio = np.tile(scale * period, (1, 5)).astype(np.float32)
    found = measure(audio)
    assert found.true_peak_dbtp == pytest.approx(20 * math.log10(scale * exact), abs=0.2)


def test_a_peak_between_the_last_samples_and_the_end_is_found() -> None:
    audio = signals.noise(1000, 1, level=0.01)
    audio[0, -2:] = 0.9  # the curve through two equal samples rises above both
    found = measure(audio)
    assert found.true_peak_dbtp > found.sample_peak_dbfs + 1.0


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 96000, 192000])
def test_the_filter_is_the_standards_at_every_rate(rate: int) -> None:
    """A per-sample recursion in double precision gives the same loudness."""
    from scipy.signal import lfilter

    audio = signals.noise(3 * rate, 1, seed=rate)
    a, b, c, d = k_weighting(rate)
    state, out = np.zeros(4), np.empty(2 * rate)
    for n, sample in enumerate(audio[0, : out.size].astype(np.float64)):
        out[n] = c @ state + d * sample
        state = a @ state + b * sample
    denominator = np.poly(a)
    numerator = np.poly(a - np.outer(b, c)) + (d - 1.0) * denominator
    np.testing.assert_allclose(lfilter(numerator, denominator, audio[0, : out.size]), out, atol=1e-6)
    starts = range(0, out.size - 2 * rate // 5 + 1, rate // 10)
    blocks = [np.mean(out[start : start + 2 * rate // 5] ** 2) for start in starts]
    wanted = -0.691 + 10 * math.log10(np.mean(blocks))
    assert measure(audio[:, : out.size], rate).integrated_lufs == pytest.approx(wanted, abs=0.01)


def test_the_coefficients_at_48_khz_are_the_published_ones() -> None:
    a, b, c, d = k_weighting(48000)
    denominator = np.poly(a)
    shelf, highpass = [1.0, -1.69065929318241, 0.73248077421585], [1.0, -1.99004745483398, 0.99007225036621]
    np.testing.assert_allclose(denominator, np.convolve(shelf, highpass), atol=1e-7)
    numerator = np.poly(a - np.outer(b, c)) + (d - 1.0) * denominator
    wanted = np.convolve([1.53512485958697, -2.69169618940638, 1.19839281085285], [1.0, -2.0, 1.0])
    np.testing.assert_allclose(numerator, wanted, atol=1e-7)


@pytest.mark.parametrize("rate", [44100, 96000, 11025])
def test_readings_do_not_depend_on_the_cut(rate: int) -> None:
    audio = signals.noise(5 * rate + 77, 2, seed=3)
    audio *= np.linspace(0.0, 1.0, audio.shape[1], dtype=np.float32)
    whole = measure(audio, rate)
    meter = LoudnessMeter(rate, 2)
    start = 0
    for number, size in enumerate(signals.cuts(audio.shape[1], seed=rate)):
        meter.push(audio[:, start : start + size])
        start += size
        if number % 40 == 0:
            meter.result()  # asking changes nothing
    assert meter.result() == whole
    meter.reset()
    assert meter.result() == LoudnessMeter(rate, 2).result()


def test_pyloudnorm_agrees_on_programme() -> None:
    stems = signals.song(12, seed=5)
    audio = np.asarray(sum(stems.values()), np.float32)
    audio[:, : audio.shape[1] // 3] *= 0.05  # something for the gate
    wanted = pyloudnorm.Meter(44100, "DeMan").integrated_loudness(audio.T.astype(np.float64))
    assert measure(audio, 44100).integrated_lufs == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
def test_ffmpeg_agrees(rate: int, tmp_path: Path) -> None:
    program = peers.require("ffmpeg")
    # Levels dBFS: the gate drops the first; the range's percentiles fall on the two long levels.
    levels = np.array([-50, -30, -30, -30, -18, -25, -12, -12])
    audio = signals.noise(3 * levels.size * rate, 2, seed=rate, level=1.0)
    audio *= np.repeat(10 ** (levels / 20), 3 * rate).astype(np.float32)
    soundfile.write(tmp_path / "noise.wav", audio.T, rate, subtype="FLOAT")
    command = [program, "-nostats", "-i", str(tmp_path / "noise.wav"), "-af", "ebur128=peak=true"]
    log = subprocess.run([*command, "-f", "null", "-"], capture_output=True, text=True, check=True).stderr
    summary = log[log.rindex("Summary:") :]
    lufs, range_lu, peak = (
        float(re.findall(rf"{word}:\s+(-?[\d.]+) (?:LUFS|LU|dBFS)", summary)[0])
        for word in ("I", "LRA", "Peak")
    )
    found = measure(audio, rate)
    assert found.integrated_lufs == pytest.approx(lufs, abs=0.1)
    assert found.range_lu == pytest.approx(range_lu, abs=0.2)
    assert found.true_peak_dbtp == pytest.approx(peak, abs=0.3)


def test_silence_and_nothing() -> None:
    silent = measure(np.zeros((2, RATE), np.float32))
    assert silent == LoudnessMeter(RATE, 2).result()
    assert silent == Loudness(-math.inf, 0.0, -math.inf, -math.inf, -math.inf, -math.inf)


def test_less_than_400_ms_is_one_block() -> None:
    short = tones((-23, 0.1))
    assert measure(short).integrated_lufs == pytest.approx(-23.0, abs=0.2)
    assert measure(short[:, :1]).sample_peak_dbfs == -math.inf  # a sine starts at 0


def test_without_true_peak_the_rest_reads_the_same() -> None:
    audio = signals.noise(RATE, 2)
    fast = LoudnessMeter(RATE, 2, true_peak=False)
    fast.push(audio)
    assert fast.integrated() == measure(audio).integrated_lufs
    assert fast.true_peak == fast.sample_peak


def test_memory_stays_flat() -> None:
    meter = LoudnessMeter(8000, 1)
    block = signals.noise(80_000, 1)
    for _ in range(60):
        meter.push(block)
    analysis = meter._analysis
    kept = analysis._recent.size + len(analysis.gating) + len(analysis.ranging)
    assert kept <= 300 + 2 * 10 * 600


def test_what_cannot_be_measured_is_refused() -> None:
    for rate in (7999, 192_001):
        with pytest.raises(ArgumentValueError, match="8000 to 192000"):
            LoudnessMeter(rate, 2)
    with pytest.raises(ArgumentValueError, match="1 channel"):
        LoudnessMeter(RATE, 0)
    with pytest.raises(ArgumentValueError, match="2 channel weights"):
        LoudnessMeter(RATE, 2, weights=(1.0,))
    with pytest.raises(ArgumentTypeError, match=r"\(2, frames\)"):
        LoudnessMeter(RATE, 2).push(np.zeros((1, 5), np.float32))
    audio = signals.noise(RATE)
    audio[1, 40_000] = np.nan
    with pytest.raises(ArgumentValueError, match=r"between 0\.68 s and 1\.00 s"):
        measure(audio)


def test_nothing_heavy_is_imported() -> None:
    code = "import sys, stembridge.model.dsp.loudness ; print({'scipy', 'torch'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "set()"
