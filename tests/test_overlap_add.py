"""Segments faded into each other: level, edges, cuts, regions."""

from __future__ import annotations

import numpy as np
import pytest
import signals
from numpy.typing import NDArray
from stembridge.model.dsp.overlap_add import OverlapAdd
from stembridge.model.errors import ArgumentValueError, StateError

Audio = signals.Audio
Stems = NDArray[np.float32]
SIZES = [(1000, 750), (1000, 500), (1000, 1000), (999, 250), (64, 1), (1, 1)]


def level(segment: Audio) -> Stems:
    """Depends on the whole segment and on the place in it, as a network does."""
    shape = np.linspace(0.5, 1.5, segment.shape[1], dtype=np.float32)
    louder = segment * np.float32(1 + np.max(np.abs(segment)))
    return np.stack([louder * shape, segment[:, ::-1] - segment])


def stream(segment: int, hop: int, channels: int = 2) -> OverlapAdd:
    return OverlapAdd(level, stems=2, channels=channels, segment_frames=segment, hop_frames=hop)


def run(overlap_add: OverlapAdd, mix: Audio, cuts: list[int] | None = None) -> Stems:
    blocks, at = [], 0
    for size in cuts or [mix.shape[1]]:
        blocks.append(overlap_add.push(mix[:, at : at + size]))
        at += size
        assert sum(block.shape[2] for block in blocks) >= at - overlap_add.latency
    return np.concatenate([*blocks, overlap_add.flush()], axis=2)


@pytest.mark.parametrize(("segment", "hop"), SIZES)
@pytest.mark.parametrize("frames", [0, 1, 300, 999, 1000, 1001, 1750, 1751, 6007])
def test_a_process_that_changes_nothing_leaves_the_sound_alone(segment: int, hop: int, frames: int) -> None:
    mix = signals.noise(frames)
    same = OverlapAdd(lambda x: x[None], stems=1, channels=2, segment_frames=segment, hop_frames=hop)
    out = run(same, mix)
    assert out.shape == (1, 2, frames)
    np.testing.assert_allclose(out[0], mix, atol=1e-6)


@pytest.mark.parametrize(("segment", "hop"), SIZES)
def test_the_cut_changes_no_bit(segment: int, hop: int) -> None:
    frames = 7003
    mix = signals.noise(frames)
    overlap_add = stream(segment, hop)
    whole = run(overlap_add, mix)
    for seed in range(3):
        assert run(overlap_add, mix, signals.cuts(frames, seed)).tobytes() == whole.tobytes()


@pytest.mark.parametrize(("segment", "hop"), SIZES)
def test_a_region_is_the_slice_of_the_whole(segment: int, hop: int) -> None:
    mix = signals.noise(9000)
    overlap_add = stream(segment, hop)
    whole = run(overlap_add, mix)
    start, stop = 3456, 5678
    begin = (start - overlap_add.context_frames) // hop * hop
    end = stop + overlap_add.context_frames
    overlap_add.reset(begin)
    part = run(overlap_add, mix[:, begin:end])
    assert part[:, :, start - begin : stop - begin].tobytes() == whole[:, :, start:stop].tobytes()


def test_every_segment_has_the_same_shape_and_none_is_run_in_vain() -> None:
    seen: list[Audio] = []

    def process(segment: Audio) -> Stems:
        seen.append(segment.copy())
        return segment[None]

    mix = signals.noise(1750, channels=1)
    overlap_add = OverlapAdd(process, stems=1, channels=1, segment_frames=1000, hop_frames=750)
    run(overlap_add, mix)
    assert [segment.shape for segment in seen] == [(1, 1000)] * 2  # the second one ends with the song
    run(overlap_add, np.pad(mix, [(0, 0), (0, 1)]))
    assert len(seen) == 2 + 3
    assert not seen[-1][:, 251:].any()
    assert run(overlap_add, mix[:, :0]).shape == (1, 1, 0)
    assert len(seen) == 2 + 3


def test_overlapping_results_are_cross_faded() -> None:
    """Segments that answer with their number: a line from one to the next, no step."""
    number = iter(range(100))
    overlap_add = OverlapAdd(
        lambda x: np.full((1, *x.shape), next(number), np.float32),
        stems=1, channels=1, segment_frames=1000, hop_frames=500,
    )  # fmt: skip
    out = run(overlap_add, np.zeros((1, 4000), np.float32))[0, 0]
    assert not out[:500].any()
    assert np.max(np.abs(np.diff(out))) < 2.01 / 500  # twice the slope where two fades meet
    np.testing.assert_allclose(np.diff(out[510:990]), 1 / 500, atol=1e-4)
    np.testing.assert_allclose(out[3500:], out[-1], atol=1e-6)


def test_bad_sizes_and_results_are_refused() -> None:
    for segment, hop in ((0, 0), (10, 11), (10, 0)):
        with pytest.raises(ArgumentValueError, match="1 <= hop_frames <= segment_frames"):
            stream(segment, hop)
    with pytest.raises(ArgumentValueError, match="multiples of 75"):
        stream(100, 75).reset(100)
    with pytest.raises(ArgumentValueError, match=r"must be \(2, frames\)"):
        stream(100, 75).push(np.zeros((1, 10), np.float32))
    wrong = OverlapAdd(lambda x: x[None], stems=2, channels=1, segment_frames=10, hop_frames=5)
    with pytest.raises(StateError, match=r"must be \(2, 1, 10\); got \(1, 1, 10\)"):
        wrong.push(np.zeros((1, 20), np.float32))
