"""Judging a network in training: segments that do not show, and figures that are true of the signal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from multitracks import noise, sdr_db, write_song
from stembridge.model.evaluation.validation import Excerpt, read_excerpts, separate, validate
from stembridge.model.networks.spectral_network import NetworkConfig, SpectralNetwork
from stembridge.model.training.tracks import find_tracks


class Smoothed(SpectralNetwork):
    """A quarter of the mix for each stem, made to depend on `context_times` spectra to either side."""

    name = "smoothed"
    loss = "l1"
    context_times = 2

    def __init__(self, segment_times: int = 16, weight: float = 0.0) -> None:
        super().__init__()
        self.config = NetworkConfig(window_frames=512, hop_frames=128)
        self.segment_times = segment_times
        self.weight = weight

    def forward(self, spectra: torch.Tensor) -> torch.Tensor:
        assert not self.training
        around = sum(torch.roll(spectra, shift, 2) for shift in (-2, -1, 1, 2))
        return (0.25 * spectra + self.weight * around)[:, None].repeat(1, 4, 1, 1, 1)


@pytest.mark.parametrize("frames", [1, 127, 20_000, 20_480])
def test_a_network_gives_the_same_however_its_segments_lie(frames: int) -> None:
    mix = noise(2, frames)
    results = [
        np.concatenate(list(separate(Smoothed(times, weight=0.1).eval(), mix, batch)), axis=2)
        for times, batch in ((16, 1), (16, 3), (9, 4), (400, 2))
    ]
    for result in results:
        assert result.shape == (4, 2, frames)
        assert np.allclose(result, results[0], atol=1e-6)


def test_validation_of_a_quarter_of_the_mix() -> None:
    stems = noise(4, 2, 30_000) * np.array([1, 2, 0.5, 0], np.float32)[:, None, None]
    mix = stems.sum(axis=0)
    network = Smoothed().train()
    excerpt = Excerpt("song", stems, np.array([True, False, True, True]))
    scores = validate(network, [excerpt])
    assert network.training
    assert set(scores.mean) == {"drums", "other"}  # bass is unknown, vocals are silent
    for row, name in ((0, "drums"), (2, "other")):
        assert scores.mean[name] == pytest.approx(sdr_db(stems[row], mix / 4), abs=0.01)
    assert scores.average == pytest.approx(np.mean(list(scores.mean.values())))


def test_excerpts_are_taken_where_most_stems_sound(tmp_path: Path) -> None:
    config = NetworkConfig(sample_rate=8000, stems=("accompaniment", "vocals"))
    network = Smoothed()
    network.config = config
    stems = {name: noise(2, 20 * 8000, seed=row) for row, name in enumerate(("drums", "other", "vocals"))}
    stems["vocals"][:, : 12 * 8000] = 0
    stems["vocals"][:, 15 * 8000 :] = 0
    stems["bass"] = np.asarray(stems["drums"] / 2, np.float32)
    write_song(tmp_path / "songs" / "one", stems)
    write_song(tmp_path / "songs" / "voice", {"vocals": stems["vocals"]})
    tracks = find_tracks(tmp_path / "songs")
    (excerpt,) = read_excerpts(network, tracks, seconds=3)
    assert excerpt.name == "one"
    cut = slice(12 * 8000, 15 * 8000)
    assert np.allclose(excerpt.stems[1], stems["vocals"][:, cut], atol=1e-4)
    rest = sum(stems[name][:, cut] for name in ("drums", "bass", "other"))
    assert np.allclose(excerpt.stems[0], rest, atol=3e-4)
    assert excerpt.present.all()
    (whole,) = read_excerpts(network, tracks)
    assert whole.stems.shape == (2, 2, 20 * 8000)
