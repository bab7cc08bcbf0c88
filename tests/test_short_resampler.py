"""The resampler for sound that is heard at once: short, clean, and the same however it is fed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import signals
from stembridge.model.dsp.short_resampler import ShortResampler
from stembridge.model.errors import ArgumentTypeError, ArgumentValueError

RATES = [(48000, 44100), (44100, 48000), (96000, 44100), (44100, 96000), (88200, 44100), (44100, 192000)]


def whole(in_rate: int, out_rate: int, audio: signals.Audio) -> signals.Audio:
    resampler = ShortResampler(in_rate, out_rate, audio.shape[0])
    return np.concatenate([resampler.push(audio), resampler.flush()], axis=1)


def tone(part_of_nyquist: float, lower: int, rate: int, seconds: float = 0.5) -> signals.Audio:
    phase = np.pi * part_of_nyquist * lower * np.arange(round(seconds * rate)) / rate
    return np.sin(phase)[None].astype(np.float32)


@pytest.mark.parametrize(("in_rate", "out_rate"), RATES)
def test_how_it_is_cut_changes_no_bit_and_nothing_is_held_longer_than_said(
    in_rate: int, out_rate: int
) -> None:
    audio = signals.noise(9_000)
    resampler = ShortResampler(in_rate, out_rate, 2)
    assert resampler.latency <= 0.003 * in_rate * max(1.0, 44100 / min(in_rate, out_rate))
    rng, parts, at = np.random.default_rng(1), [], 0
    while at < audio.shape[1]:
        stop = min(at + int(rng.integers(0, 700)), audio.shape[1])
        parts.append(resampler.push(audio[:, at:stop]))
        at = stop
        given = sum(part.shape[1] for part in parts)
        assert given >= math.ceil((at - resampler.latency) * out_rate / in_rate)
    parts.append(resampler.flush())
    once = whole(in_rate, out_rate, audio)
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), once)
    assert once.shape[1] == math.floor(9_000 * out_rate / in_rate + 0.5)


@pytest.mark.parametrize(("in_rate", "out_rate"), RATES)
def test_the_band_passes_and_what_cannot_be_held_does_not(in_rate: int, out_rate: int) -> None:
    lower = min(in_rate, out_rate)
    for part in (0.1, 0.5, 0.93):
        heard = whole(in_rate, out_rate, tone(part, lower, in_rate))
        expected = tone(part, lower, out_rate, heard.shape[1] / out_rate)
        inside = slice(1000, -1000)
        error = heard[:, inside] - expected[:, inside]
        assert 20 * np.log10(np.std(error) / np.std(expected)) < -95
    if in_rate > out_rate:
        for part in (1.01, 0.98 * in_rate / out_rate):
            alias = whole(in_rate, out_rate, tone(part, lower, in_rate))[:, 1000:-1000]
            assert 20 * np.log10(np.std(alias) / np.sqrt(0.5)) < -95


def test_a_stream_that_starts_later_is_the_slice_of_the_whole() -> None:
    audio = signals.noise(20_000)
    resampler = ShortResampler(48000, 44100, 2)
    start = 30 * resampler.grid
    resampler.reset(start)
    later = np.concatenate([resampler.push(audio[:, start:]), resampler.flush()], axis=1)
    first, known = start * 44100 // 48000, resampler.context_frames
    np.testing.assert_array_equal(later[:, known:], whole(48000, 44100, audio)[:, first + known :])


def test_what_it_cannot_do_is_refused() -> None:
    assert not ShortResampler.suits(44100, 44100)
    assert not ShortResampler.suits(44100, 48001)
    with pytest.raises(ArgumentValueError, match="small common ratio"):
        ShortResampler(44100, 48001, 2)
    resampler = ShortResampler(48000, 44100, 2)
    with pytest.raises(ArgumentValueError, match="multiples of 160"):
        resampler.reset(7)
    with pytest.raises(ArgumentTypeError, match="float32"):
        resampler.push(np.zeros((2, 10)))  # type: ignore[arg-type]
    with pytest.raises(ArgumentValueError, match=r"must be \(2, frames\)"):
        resampler.push(np.zeros((1, 10), np.float32))
