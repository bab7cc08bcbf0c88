"""Harmonic and percussive: librosa's numbers, streamed."""

from __future__ import annotations

import numpy as np
import pytest
import separating
import signals
from stembridge.model.errors import ArgumentValueError
from stembridge.model.separators.hpss import Hpss


@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (8000, 1), (48000, 1)])
def test_it_streams(rate: int, channels: int) -> None:
    separating.check_stream(Hpss, separating.song(1.7, rate, channels), rate)


def test_a_region_is_the_slice_of_the_whole() -> None:
    separating.check_region(Hpss, separating.song(5, 16000), 16000, 35_000, 40_000)


@pytest.mark.parametrize("channels", [1, 2])
def test_edges(channels: int) -> None:
    separating.check_edges(Hpss, 22050, channels)


@pytest.mark.parametrize(("margin", "seconds"), [(1.0, 3.0), (2.5, 3.0), (1.0, 0.1)])
def test_it_agrees_with_librosa(margin: float, seconds: float) -> None:
    """Within -100 dB: what is left is the rounding of two FFTs."""
    librosa = separating.librosa()
    mix = separating.song(seconds)
    separator = Hpss(44100, 2, margin_harmonic=margin, margin_percussive=margin)
    ours = separating.separate(separator, mix)
    theirs = librosa.decompose.hpss(librosa.stft(mix), margin=margin)
    for estimate, spectrum in zip(ours, theirs, strict=True):
        reference = librosa.istft(spectrum, length=mix.shape[1])
        assert separating.error_db(reference, estimate) < -100


def test_tones_and_hits_part() -> None:
    tone = signals.sine(440, 88200)
    hits = np.zeros_like(tone)
    hits[:, 11025::22050] = 0.9
    harmonic, percussive = separating.separate(Hpss(44100, 2), tone + hits)
    assert separating.error_db(tone, harmonic) < -15
    assert separating.error_db(hits, percussive) < -3


def test_the_parts_add_up_to_the_mix() -> None:
    mix = separating.song(2)
    assert np.abs(separating.separate(Hpss(44100, 2), mix).sum(axis=0) - mix).max() < 1e-5


def test_margins_below_one_are_refused() -> None:
    with pytest.raises(ArgumentValueError, match="margins"):
        Hpss(44100, 2, margin_harmonic=0.5)
