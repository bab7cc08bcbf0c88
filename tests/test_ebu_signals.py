"""The test signals of EBU Tech 3341 and 3342 that are not programme, over time, within their tolerances.

Tech 3341 asks for 0.1 LU and for +0.2 / -0.4 dB of true peak, Tech 3342 for 1 LU of range. The integrated
cases 1 to 6 are in `test_loudness.py`; 7 and 8, and 5 and 6 of Tech 3342, are programmes that only the
EBU has.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from stembridge.model.audio import Audio
from stembridge.model.dsp.loudness import LoudnessMeter, programme_loudness

RATE = 48000
SILENT = -math.inf


def tones(*parts: tuple[float, float], rate: int = RATE) -> Audio:
    """1 kHz in both channels: (level in dBFS, seconds) in a row."""
    pieces = [
        10.0 ** (level / 20.0) * np.sin(2 * np.pi * 1000.0 * np.arange(round(seconds * rate)) / rate)
        for level, seconds in parts
    ]
    return np.tile(np.concatenate(pieces).astype(np.float32), (2, 1))


def metered(audio: Audio, rate: int = RATE) -> LoudnessMeter:
    meter = LoudnessMeter(rate, audio.shape[0])
    meter.push(audio)
    return meter


@pytest.mark.parametrize("level", [-23.0, -33.0])
def test_cases_1_and_2_read_the_same_on_all_three_scales(level: float) -> None:
    meter = metered(tones((level, 20.0)))
    time = meter.over_time()
    assert meter.integrated() == pytest.approx(level, abs=0.1)
    np.testing.assert_allclose(time.momentary, level, atol=0.1)
    np.testing.assert_allclose(time.short_term, level, atol=0.1)


def test_case_9_short_term_stands_still() -> None:
    time = metered(tones(*[(-20.0, 1.34), (-30.0, 1.66)] * 5)).over_time()
    np.testing.assert_allclose(time.short_term, -23.0, atol=0.1)


@pytest.mark.parametrize("late", range(20))
def test_case_10_short_term_wherever_it_begins(late: int) -> None:
    result = metered(tones((SILENT, 0.15 * late), (-23.0, 3.0), (SILENT, 1.0)), RATE).result()
    assert result.short_term_max_lufs == pytest.approx(-23.0, abs=0.1)


def test_case_11_short_term_of_tones_that_grow() -> None:
    parts, expected = [], []
    for n in range(20):
        level = -38.0 + n
        parts += [(SILENT, 0.15 * n), (level, 3.0), (SILENT, 3.0 - 0.15 * n)]
        expected.append(level)
    meter = LoudnessMeter(RATE, 2)
    found = []
    for n in range(20):
        meter.push(tones(*parts[3 * n : 3 * n + 3]))
        found.append(meter.result().short_term_max_lufs)
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_case_12_momentary_stands_still() -> None:
    time = metered(tones(*[(-20.0, 0.18), (-30.0, 0.22)] * 25)).over_time()
    np.testing.assert_allclose(time.momentary[6:], -23.0, atol=0.1)  # from 1 s on


@pytest.mark.parametrize("late", range(20))
def test_case_13_momentary_wherever_it_begins(late: int) -> None:
    result = metered(tones((SILENT, 0.02 * late), (-23.0, 0.4), (SILENT, 1.0))).result()
    assert result.momentary_max_lufs == pytest.approx(-23.0, abs=0.1)


def test_case_14_momentary_of_tones_that_grow() -> None:
    meter = LoudnessMeter(RATE, 2)
    found = []
    for n in range(20):
        meter.push(tones((SILENT, 0.02 * n), (-38.0 + n, 0.4), (SILENT, 0.4 - 0.02 * n)))
        found.append(meter.result().momentary_max_lufs)
    np.testing.assert_allclose(found, [-38.0 + n for n in range(20)], atol=0.1)


@pytest.mark.parametrize(
    ("case", "divisor", "degrees", "level", "dbtp"),
    [
        (15, 4, 0.0, 0.5, -6.0),
        (16, 4, 45.0, 0.5, -6.0),
        (17, 6, 60.0, 0.5, -6.0),
        (18, 8, 67.5, 0.5, -6.0),
        (19, 4, 45.0, 1.41, 3.0),
    ],
)
@pytest.mark.parametrize("rate", [44100, 48000])
def test_cases_15_to_19_true_peak_of_tones(
    case: int, divisor: int, degrees: float, level: float, dbtp: float, rate: int
) -> None:
    phase = 2 * np.pi * np.arange(rate) / divisor + np.deg2rad(degrees)
    fade = np.minimum(1.0, np.minimum(np.arange(rate), np.arange(rate)[::-1]) / 2000.0)
    tone = np.tile((level * fade * np.sin(phase)).astype(np.float32), (2, 1))
    found = metered(tone, rate).result().true_peak_dbtp
    assert dbtp - 0.4 <= found <= dbtp + 0.2, f"case {case}"


@pytest.mark.parametrize("offset", range(4))
def test_cases_20_to_23_a_single_peak_between_samples(offset: int) -> None:
    """A burst at a sixth of the rate, made at four times the rate, taken at each of the four places."""
    fine = np.arange(-4 * RATE // 2, 4 * RATE // 2)
    burst = np.cos(2 * np.pi * fine / 24) * np.exp(-0.5 * (fine / 400.0) ** 2)
    audio = np.tile(burst[offset::4].astype(np.float32), (2, 1))
    found = metered(audio).result().true_peak_dbtp
    assert -0.4 <= found <= 0.2


@pytest.mark.parametrize(
    ("levels", "range_lu"),
    [([-20, -30], 10), ([-20, -15], 5), ([-40, -20], 20), ([-50, -35, -20, -35, -50], 15)],
)
@pytest.mark.parametrize("rate", [44100, 48000])
def test_cases_1_to_4_of_tech_3342(levels: list[float], range_lu: float, rate: int) -> None:
    meter = metered(tones(*((level, 20.0) for level in levels), rate=rate), rate)
    assert meter.loudness_range() == pytest.approx(range_lu, abs=1.0)
    assert meter.loudness_range() == pytest.approx(range_lu, abs=0.1)  # what is reached


def test_an_album_is_gated_as_one_programme() -> None:
    """Two songs in a row and the two together, but for the blocks across the joint."""
    loud, soft = tones((-18.0, 20.0)), tones((-32.0, 40.0))
    both = programme_loudness([metered(loud).gating_blocks(), metered(soft).gating_blocks()])
    assert both == pytest.approx(metered(np.concatenate([loud, soft], axis=1)).integrated(), abs=0.05)
    assert programme_loudness([metered(loud).gating_blocks()]) == metered(loud).integrated()
    assert programme_loudness([]) == -math.inf


def test_what_was_heard_over_time_has_the_length_of_the_sound() -> None:
    meter = metered(tones((-23.0, 5.03)))
    time = meter.over_time()
    assert time.momentary.size == 1 + int((5.03 - 0.4) * 10)
    assert time.short_term.size == 1 + int((5.03 - 3.0) * 10)
    assert meter.over_time().momentary.size == time.momentary.size  # asking changes nothing
