"""The streaming STFT: librosa's grid, an exact inverse, and no trace of how the stream was cut."""

from __future__ import annotations

import numpy as np
import pytest
import separating
import signals
from stembridge.model.dsp.stft import (
    Istft,
    Spectra,
    Stft,
    Window,
    istft,
    spectra_of,
    stft,
    stft_latency,
    window_at,
)
from stembridge.model.errors import ArgumentValueError, StateError

GRIDS = [(2048, 512), (1024, 768), (1024, 512), (512, 128), (4096, 1024), (96, 20)]


@pytest.mark.parametrize(("window", "hop"), GRIDS)
@pytest.mark.parametrize("frames", [1, 511, 2048, 20_011])
def test_the_inverse_returns_the_signal(window: int, hop: int, frames: int) -> None:
    x = signals.noise(frames, seed=frames)
    back = istft(stft(x, window, hop), window, hop, frames)
    assert back.shape == x.shape
    assert np.sqrt(np.mean((back - x) ** 2)) < 1e-6 * np.sqrt(np.mean(x**2)) + 1e-7


@pytest.mark.parametrize("kind", ["hann", "sine"])
def test_both_windows_invert(kind: Window) -> None:
    x = signals.noise(5000, channels=1, seed=3)
    assert np.abs(istft(stft(x, 256, 64, kind), 256, 64, 5000, kind) - x).max() < 1e-6


@pytest.mark.parametrize("frames", [1, 2048, 10_240, 12_345])
def test_spectra_are_librosas(frames: int) -> None:
    librosa = separating.librosa()
    x = signals.noise(frames, seed=1)
    theirs = librosa.stft(x, n_fft=2048, hop_length=512, pad_mode="constant").swapaxes(1, 2)
    ours = stft(x, 2048, 512)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-4
    back = librosa.istft(ours.swapaxes(1, 2), hop_length=512, length=frames)
    assert np.abs(back - istft(ours, 2048, 512, frames)).max() < 1e-5


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize(("window", "hop"), [(512, 128), (256, 192)])
def test_cuts_change_no_bit(seed: int, channels: int, window: int, hop: int) -> None:
    x = signals.noise(9001, channels, seed)
    whole = stft(x, window, hop)
    analysis, synthesis = Stft(window, hop, channels), Istft(window, hop, channels)
    spectra: list[Spectra] = []
    audio = []
    start = 0
    for size in signals.cuts(9001, seed, largest=2000):
        spectra.append(analysis.push(x[:, start : start + size]))
        audio.append(synthesis.push(spectra[-1]))
        start += size
        done = sum(a.shape[1] for a in audio)
        assert start - stft_latency(window, hop) <= done <= start
    spectra.append(analysis.flush())
    audio += [synthesis.push(spectra[-1]), synthesis.flush(9001)]
    assert np.array_equal(np.concatenate(spectra, axis=1), whole)
    together = np.concatenate(audio, axis=1)
    assert np.array_equal(together, istft(whole, window, hop, 9001))


def test_spectrum_by_spectrum_is_the_same_inverse() -> None:
    spectra = stft(signals.noise(6000), 512, 128)
    synthesis = Istft(512, 128, 2)
    parts = [synthesis.push(spectra[:, t : t + 1]) for t in range(spectra.shape[1])]
    parts.append(synthesis.flush(6000))
    assert np.array_equal(np.concatenate(parts, axis=1), istft(spectra, 512, 128, 6000))


def test_a_stream_that_starts_later_on_the_grid_has_the_same_spectra() -> None:
    x = signals.noise(20_000)
    whole, later = stft(x, 512, 128), stft(x[:, 1280:], 512, 128)
    assert np.array_equal(later[:, 2:], whole[:, 12:])


def test_a_stream_may_be_reused_after_flush_and_reset() -> None:
    x = signals.noise(3000)
    analysis = Stft(512, 128, 2)
    analysis.push(signals.noise(777, seed=9))
    analysis.reset()
    for _ in range(2):
        again = np.concatenate([analysis.push(x), analysis.flush()], axis=1)
        assert np.array_equal(again, stft(x, 512, 128))


def test_nothing_in_nothing_out() -> None:
    assert stft(signals.noise(0), 512, 128).shape == (2, 0, 257)
    assert istft(stft(signals.noise(0), 512, 128), 512, 128, 0).shape == (2, 0)
    assert spectra_of(0, 512, 128) == 0


def test_the_window_keeps_its_duration() -> None:
    for rate in (8000, 16000, 22050, 32000, 44100, 48000, 88200, 96000, 192000):
        assert 2**-0.5 <= (window_at(rate) / rate) / (2048 / 44100) <= 2**0.5


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ArgumentValueError, match="hop"):
        Stft(512, 512, 2)
    with pytest.raises(ArgumentValueError, match=r"\(2, frames\)"):
        Stft(512, 128, 2).push(signals.noise(10, channels=1))
    with pytest.raises(ArgumentValueError, match="257"):
        Istft(512, 128, 2).push(np.zeros((2, 1, 256), np.complex64))
    with pytest.raises(StateError, match="spectra"):
        Istft(512, 128, 2).flush(1000)
