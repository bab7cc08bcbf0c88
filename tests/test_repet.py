"""REPET-SIM: librosa's recipe, streamed, with flat memory and the same bits on any number of threads."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import separating
import signals
from numpy.typing import NDArray
from stembridge.model.audio import Audio
from stembridge.model.dsp.stft import window_at
from stembridge.model.errors import ArgumentValueError
from stembridge.model.separators.protocol import Separator
from stembridge.model.separators.repet import BLOCK, Repet


def short(rate: int, channels: int) -> Separator:
    """A search that reaches past one block of spectra but not over these short songs."""
    return Repet(rate, channels, window_s=2.0, separation_s=0.3)


def recipe(librosa: Any, mix: Audio, rate: int, n_fft: int, nearest: bool) -> NDArray[np.float32]:
    """librosa's vocal separation example with 2 s of separation, margins 3 and 11, power 3."""
    hop = n_fft // 4
    spectra = librosa.stft(mix, n_fft=n_fft)
    full = np.abs(spectra)
    search = {"metric": "cosine", "width": int(librosa.time_to_frames(2, sr=rate, hop_length=hop))}
    if nearest:  # the distances are needed to rank neighbours; the default forgets them
        links = librosa.segment.recurrence_matrix(full, mode="distance", sparse=True, **search)
        repeating = librosa.decompose.nn_filter(full, rec=links, aggregate=np.median)
    else:
        repeating = librosa.decompose.nn_filter(full, aggregate=np.median, **search)
    repeating = np.minimum(full, repeating)
    masks = (
        librosa.util.softmask(repeating, 3 * (full - repeating), power=3),
        librosa.util.softmask(full - repeating, 11 * repeating, power=3),
    )
    return np.stack([librosa.istft(mask * spectra, n_fft=n_fft, length=mix.shape[1]) for mask in masks])


@pytest.mark.parametrize(("neighbours", "seconds"), [("earliest", 20.0), ("nearest", 13.3)])
def test_it_agrees_with_librosa_when_the_window_spans_the_song(neighbours: Any, seconds: float) -> None:
    """Within -30 dB: similarities are rounded to about 1e-4, so a neighbour or two may differ."""
    librosa = separating.librosa()
    rate = 8000
    mix = separating.song(seconds, rate) + signals.noise(int(seconds * rate), level=0.01)
    ours = separating.separate(Repet(rate, 2, neighbours=neighbours), mix)
    theirs = recipe(librosa, mix, rate, window_at(rate), neighbours == "nearest")
    for estimate, reference in zip(ours, theirs, strict=True):
        assert separating.error_db(reference, estimate) < -30


@pytest.mark.parametrize(("rate", "channels"), [(8000, 2), (44100, 1), (48000, 2)])
def test_it_streams(rate: int, channels: int) -> None:
    separating.check_stream(short, separating.song(4, rate, channels), rate)


def test_a_region_is_the_slice_of_the_whole() -> None:
    separating.check_region(short, separating.song(13, 8000), 8000, 50_000, 56_000)


@pytest.mark.parametrize("channels", [1, 2])
def test_edges(channels: int) -> None:
    separating.check_edges(short, 22050, channels)


def test_threads_change_no_bit() -> None:
    mix = separating.song(5, 16000)
    one, three = (
        separating.separate(Repet(16000, 2, window_s=2, separation_s=0.3, threads=n), mix) for n in (1, 3)
    )
    assert np.array_equal(one, three)


def test_silence_among_sound_stays_silence() -> None:
    mix = separating.song(6, 8000)
    mix[:, 16000:24000] = 0
    stems = separating.separate(short(8000, 2), mix)
    assert np.isfinite(stems).all()
    assert not stems[:, :, 17000:23000].any()


def test_a_song_too_short_to_repeat_is_all_accompaniment() -> None:
    mix = signals.noise(8000)
    accompaniment, vocals = separating.separate(Repet(8000, 2), mix)
    assert not vocals.any()
    assert np.abs(accompaniment - mix).max() < 1e-5


def test_what_repeats_goes_and_what_does_not_stays() -> None:
    rate = 16000
    loop = signals.noise(rate // 2, seed=1, level=0.1)
    accompaniment = np.tile(loop, (1, 24))
    t = np.arange(accompaniment.shape[1]) / rate
    glide = (0.2 * np.sin(2 * np.pi * (200 * t + 60 * t**2))).astype(np.float32)
    voice = np.stack([glide, glide])
    background, foreground = separating.separate(Repet(rate, 2, separation_s=0.4), accompaniment + voice)
    assert separating.error_db(accompaniment, background) < -10
    assert separating.error_db(voice, foreground) < -10


def test_memory_does_not_grow_with_the_song() -> None:
    def peak(seconds: int) -> int:
        separator = Repet(8000, 1, window_s=4.0, separation_s=0.5, threads=1)
        block = signals.noise(8000, 1)
        tracemalloc.start()
        for _ in range(seconds):
            separator.push(block)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(1)  # lazy imports
    assert peak(90) < 1.05 * peak(30)


def test_latency_covers_window_and_block() -> None:
    separator = Repet(8000, 1, window_s=4.0)
    assert 4 * 8000 < separator.latency < 4 * 8000 + (BLOCK + 8) * separator.grid


@pytest.mark.parametrize(
    "options", [{"window_s": 1.0}, {"separation_s": 0}, {"power": 0}, {"margin_background": 0.5}]
)
def test_options_that_make_no_sense_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ArgumentValueError, match="repet needs"):
        Repet(8000, 1, **options)  # type: ignore[arg-type]
    with pytest.raises(ArgumentValueError, match="earliest"):
        Repet(8000, 1, neighbours="latest")  # type: ignore[arg-type]
