"""Stems that add up to the mix, in step with it, however the stream is cut and wherever it starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import signals
import soundfile
from numpy.typing import NDArray
from stembridge.model.errors import ArgumentValueError, StateError
from stembridge.model.registry import create_separator
from stembridge.model.residual import RESIDUAL_POLICIES, ResidualPolicy, in_stem_order, stems_after
from stembridge.model.sensitivity import mask_exponent
from stembridge.model.separation import Separated, StemStream
from stembridge.model.separators.protocol import Separator
from stembridge.model.separators.stems_from import StemsFrom

RATE = 22050
Audio = signals.Audio
Stems = NDArray[np.float32]


class Shares:
    """Gives each stem a fixed share of the mix, `latency` frames late: what comes out is known."""

    name = "shares"
    residual_stem = "other"

    def __init__(self, shares: Mapping[str, float], latency: int = 700, grid: int = 48) -> None:
        self.stems = tuple(shares)
        self.sample_rate = RATE
        self.channels = 2
        self.latency = latency
        self.context_frames = 0
        self.grid = grid
        self._shares = np.array(list(shares.values()), np.float32)[:, None, None]
        self._pending = np.zeros((2, 0), np.float32)

    def reset(self, start_frame: int = 0) -> None:
        assert start_frame % self.grid == 0
        self._pending = np.zeros((2, 0), np.float32)

    def push(self, block: Audio) -> Stems:
        self._pending = np.concatenate([self._pending, block], axis=1)
        return self._give(max(0, self._pending.shape[1] - self.latency))

    def flush(self) -> Stems:
        return self._give(self._pending.shape[1])

    def _give(self, frames: int) -> Stems:
        ready, self._pending = self._pending[:, :frames], self._pending[:, frames:]
        stems: Stems = self._shares * ready
        return stems


def mix_of(seconds: float = 2.0, channels: int = 2) -> Audio:
    mix: Audio = sum(signals.song(seconds, RATE).values(), np.zeros((2, 1), np.float32))
    return mix[:channels]


def run(stream: StemStream, mix: Audio, cuts: list[int] | None = None) -> Separated:
    blocks: list[Separated] = []
    at = 0
    for size in cuts or [mix.shape[1]]:
        blocks.append(stream.push(mix[:, at : at + size]))
        at += size
        assert sum(block.frames for block in blocks) >= at - stream.latency
    blocks.append(stream.flush())
    return Separated(
        np.concatenate([block.mix for block in blocks], axis=1),
        np.concatenate([block.stems for block in blocks], axis=2),
        np.concatenate([block.residual for block in blocks], axis=1),
    )


def same(a: Separated, b: Separated) -> bool:
    return all(
        x.tobytes() == y.tobytes() for x, y in ((a.mix, b.mix), (a.stems, b.stems), (a.residual, b.residual))
    )


def null_db(mix: Audio, stems: Stems) -> float:
    err = mix - stems.sum(axis=0, dtype=np.float64)
    return float(10 * np.log10(np.sum(err**2) / np.sum(mix.astype(np.float64) ** 2) + 1e-30))


def repet(channels: int = 2) -> Separator:
    return create_separator("repet", RATE, channels, window_s=1.0, separation_s=0.2, threads=1)


@pytest.mark.parametrize("policy", ["other", "spread", "file"])
@pytest.mark.parametrize("channels", [1, 2])
def test_stems_null_against_the_mix(policy: ResidualPolicy, channels: int) -> None:
    mix = mix_of(channels=channels)
    out = run(StemStream(repet(channels), residual=policy, sensitivity={"vocals": 3}), mix)
    assert out.mix.tobytes() == mix.tobytes()
    assert null_db(mix, out.stems) < -120
    assert np.max(np.abs(out.residual)) < 1e-6
    exact = (mix - out.stems.sum(axis=0, dtype=np.float64)).astype(np.float32)
    np.testing.assert_allclose(out.residual, exact, atol=1e-12)


def test_none_keeps_the_residual_out_of_the_stems() -> None:
    mix = mix_of()
    raw = repet()
    estimates = np.concatenate([raw.push(mix), raw.flush()], axis=2)
    out = run(StemStream(repet(), residual="none"), mix)
    assert out.stems.tobytes() == estimates.tobytes()
    assert null_db(mix, np.concatenate([out.stems, out.residual[None]])) < -120


def test_other_joins_the_residual_stem_and_leaves_the_rest_alone() -> None:
    mix = mix_of()
    raw = run(StemStream(repet(), residual="none"), mix)
    out = run(StemStream(repet()), mix)
    assert out.stems[1].tobytes() == raw.stems[1].tobytes()
    np.testing.assert_allclose(out.stems[0], raw.stems[0] + raw.residual, atol=1e-6)


def test_file_makes_the_residual_a_stem() -> None:
    mix = mix_of()
    stream = StemStream(Shares({"drums": 0.25, "vocals": 0.5}), residual="file")
    out = run(stream, mix)
    assert stream.stems == ("drums", "vocals", "residual")
    np.testing.assert_allclose(out.stems[2], 0.25 * mix, atol=1e-7)


def test_other_adds_the_residual_stem_where_there_is_none() -> None:
    mix = mix_of()
    stream = StemStream(Shares({"vocals": 0.5, "strings": 0.25}))
    out = run(stream, mix)
    assert stream.stems == ("other", "vocals", "strings")
    np.testing.assert_allclose(out.stems, np.stack([0.25 * mix, 0.5 * mix, 0.25 * mix]), atol=1e-7)


def test_spread_shares_the_residual_by_energy() -> None:
    mix = mix_of()
    out = run(StemStream(Shares({"drums": 0.3, "other": 0.1, "vocals": 0.0}), residual="spread"), mix)
    np.testing.assert_allclose(out.stems[0], (0.3 + 0.9 * 0.6) * mix, atol=1e-5)
    np.testing.assert_allclose(out.stems[1], (0.1 + 0.1 * 0.6) * mix, atol=1e-5)
    np.testing.assert_allclose(out.stems[2], 0, atol=1e-6)


def test_spread_follows_the_bins() -> None:
    """What is left of a bass note goes to the stem that has the bass, of a whistle to the other."""
    frames = 2 * RATE
    low, high = signals.sine(200, frames, RATE), signals.sine(5000, frames, RATE)

    class Two(Shares):
        def _give(self, frames: int) -> Stems:
            start, self._at = self._at, self._at + frames
            super()._give(frames)
            return 0.7 * np.stack([low[:, start : start + frames], high[:, start : start + frames]])

        _at = 0

    out = run(StemStream(Two({"bass": 0, "other": 0}), residual="spread"), low + high)
    middle = slice(RATE // 2, -RATE // 2)
    np.testing.assert_allclose(out.stems[0][:, middle], low[:, middle], atol=2e-3)
    np.testing.assert_allclose(out.stems[1][:, middle], high[:, middle], atol=2e-3)


def test_spread_of_silence_is_silence() -> None:
    out = run(StemStream(repet(), residual="spread"), np.zeros((2, RATE), np.float32))
    assert not out.stems.any()
    assert not out.residual.any()


# Sensitivity


def test_five_is_the_model_s_own_mask_to_the_bit() -> None:
    mix = mix_of()
    plain = run(StemStream(repet()), mix)
    neutral = StemStream(repet(), sensitivity={"vocals": 5, "accompaniment": 5.0})
    assert neutral.latency == repet().latency
    assert same(run(neutral, mix), plain)
    changed = run(StemStream(repet(), residual="none", sensitivity={"accompaniment": 8}), mix)
    assert changed.stems[1].tobytes() == plain.stems[1].tobytes()


@pytest.mark.parametrize("value", [0, 2.5, 4, 7.5, 10])
def test_sensitivity_is_an_exponent_on_the_mask(value: float) -> None:
    mix = mix_of()
    stream = StemStream(
        Shares({"drums": 0.2, "other": 0.0, "vocals": 0.5}), residual="none", sensitivity={"vocals": value}
    )
    out = run(stream, mix)
    np.testing.assert_allclose(out.stems[2], 0.5 ** mask_exponent(value) * mix, atol=1e-5)
    assert out.stems[0].tobytes() == (np.float32(0.2) * mix).tobytes()


def test_sensitivity_keeps_more_the_higher_it_is() -> None:
    mix = mix_of()
    energies = [
        float(
            np.sum(
                run(StemStream(repet(), residual="none", sensitivity={"vocals": value}), mix).stems[1] ** 2
            )
        )
        for value in (0, 3, 5, 7, 10)
    ]
    assert energies == sorted(energies)
    assert energies[0] < 0.8 * energies[2] < 0.8 * energies[4]


def test_what_the_model_silenced_stays_silent() -> None:
    out = run(StemStream(Shares({"other": 1.0, "vocals": 0.0}), sensitivity={"vocals": 10}), mix_of())
    assert not out.stems[1].any()


def test_estimates_louder_than_the_mix_are_not_changed() -> None:
    mix = mix_of()
    out = run(StemStream(Shares({"vocals": 1.5}), residual="none", sensitivity={"vocals": 0}), mix)
    np.testing.assert_allclose(out.stems[0], 1.5 * mix, atol=1e-5)


@pytest.mark.parametrize("bad", [-0.1, 10.1, float("nan")])
def test_bad_sensitivities_are_refused(bad: float) -> None:
    with pytest.raises(ArgumentValueError, match="sensitivity of vocals must be 0 to 10"):
        StemStream(repet(), sensitivity={"vocals": bad})
    with pytest.raises(ArgumentValueError, match="no stem 'vocal': did you mean 'vocals'"):
        StemStream(repet(), sensitivity={"vocal": 3})


# Streaming


@pytest.mark.parametrize("policy", RESIDUAL_POLICIES)
@pytest.mark.parametrize("sensitivity", [{}, {"vocals": 2.0, "accompaniment": 7.0}])
def test_the_cut_changes_no_bit(policy: ResidualPolicy, sensitivity: dict[str, float]) -> None:
    mix = mix_of()
    stream = StemStream(repet(), residual=policy, sensitivity=sensitivity)
    whole = run(stream, mix)
    for seed in range(2):
        # The same stream again: a flush leaves it as new.
        assert same(run(stream, mix, signals.cuts(mix.shape[1], seed)), whole)


@pytest.mark.parametrize("policy", RESIDUAL_POLICIES)
def test_a_region_is_the_slice_of_the_whole(policy: ResidualPolicy) -> None:
    mix = mix_of(5.0)
    stream = StemStream(repet(), residual=policy, sensitivity={"vocals": 3.0})
    whole = run(stream, mix)
    start, stop = 2 * RATE + 77, 3 * RATE + 13
    begin = start - stream.context_frames
    begin -= begin % stream.grid
    end = stop + stream.context_frames
    assert begin > 0
    assert end < mix.shape[1]
    stream.reset(begin)
    part = run(stream, mix[:, begin:end], signals.cuts(end - begin, seed=3))
    here, there = slice(start - begin, stop - begin), slice(start, stop)
    assert part.mix[:, here].tobytes() == whole.mix[:, there].tobytes()
    assert part.stems[:, :, here].tobytes() == whole.stems[:, :, there].tobytes()
    assert part.residual[:, here].tobytes() == whole.residual[:, there].tobytes()


@pytest.mark.parametrize("policy", RESIDUAL_POLICIES)
@pytest.mark.parametrize("frames", [0, 1, 100])
def test_short_songs_keep_their_length(policy: ResidualPolicy, frames: int) -> None:
    mix = signals.noise(frames)
    stream = StemStream(repet(), residual=policy, sensitivity={"vocals": 3.0})
    out = run(stream, mix)
    assert out.mix.tobytes() == mix.tobytes()
    assert out.stems.shape == (len(stream.stems), 2, frames)
    assert out.residual.shape == (2, frames)
    if policy != "none":
        np.testing.assert_allclose(out.stems.sum(axis=0), mix, atol=1e-6)


def test_the_caller_may_fill_its_buffer_again() -> None:
    mix = mix_of(0.5)
    stream = StemStream(repet())
    buffer = np.empty((2, 1000), np.float32)
    mixes = []
    for start in range(0, 10_000, 1000):
        buffer[:] = mix[:, start : start + 1000]
        mixes.append(stream.push(buffer).mix)
    mixes.append(stream.flush().mix)
    assert np.concatenate(mixes, axis=1).tobytes() == mix[:, :10_000].tobytes()


def test_starts_off_the_grid_and_other_channels_are_refused() -> None:
    stream = StemStream(Shares({"vocals": 0.5}, grid=48), residual="spread")
    assert stream.grid == np.lcm(48, 256)
    with pytest.raises(ArgumentValueError, match="multiple of its grid"):
        stream.reset(48)
    stream.reset(stream.grid)
    with pytest.raises(ArgumentValueError, match=r"must be \(2, frames\)"):
        stream.push(np.zeros((1, 10), np.float32))
    with pytest.raises(ArgumentValueError, match="residual policy is one of"):
        StemStream(repet(), residual="drop")  # type: ignore[arg-type]


def test_a_separator_that_loses_frames_is_found_out() -> None:
    class Lossy(Shares):
        def flush(self) -> Stems:
            return super().flush()[:, :, :-1]

    stream = StemStream(Lossy({"vocals": 0.5}))
    stream.push(mix_of(0.2))
    with pytest.raises(StateError, match="gave 1 frames fewer"):
        stream.flush()


def test_stem_order_and_names() -> None:
    assert in_stem_order(["piano", "vocals", "zither", "bass", "cello", "drums"]) == (
        "drums", "bass", "vocals", "piano", "cello", "zither",
    )  # fmt: skip
    assert stems_after("file", ("vocals", "residual"), "other") == ("vocals", "residual")
    assert stems_after("none", ("vocals",), "other") == ("vocals",)


@pytest.mark.parametrize(
    ("rate", "channels"), [(8000, 1), (44100, 2), (48000, 3), (88200, 2), (96000, 5), (192000, 1)]
)
def test_rates_channels_and_wrappers_keep_every_promise(rate: int, channels: int) -> None:
    """Native rate and channel pairs under sensitivity and spread: cuts, regions, lengths, the null."""

    def stream() -> StemStream:
        separator = create_separator("hpss", rate, channels)
        return StemStream(separator, residual="spread", sensitivity={"percussive": 3.0})

    first = stream()
    begin, context = first.grid * -(-rate // 10 // first.grid), first.context_frames
    mix = signals.noise(begin + 2 * context + 3000, channels)
    whole = run(first, mix)
    assert whole.mix.tobytes() == mix.tobytes()
    assert null_db(mix, whole.stems) < -120
    assert same(run(first, mix, signals.cuts(mix.shape[1], 1, largest=40_000)), whole)
    region = stream()
    region.reset(begin)
    part = run(region, mix[:, begin:], signals.cuts(mix.shape[1] - begin, 2, largest=40_000))
    assert part.stems[:, :, context:].tobytes() == whole.stems[:, :, begin + context :].tobytes()
    assert part.residual[:, context:].tobytes() == whole.residual[:, begin + context :].tobytes()


def test_stems_from_files_start_anywhere(tmp_path: Path) -> None:
    parts = signals.song(1.0, RATE)
    for name in ("drums", "vocals"):
        soundfile.write(tmp_path / f"{name}.wav", parts[name].T, RATE, subtype="FLOAT")
    mix = sum(parts.values(), np.zeros((2, 1), np.float32))
    stream = StemStream(StemsFrom(tmp_path, RATE, 2))
    whole = run(stream, mix, signals.cuts(RATE, 1))
    assert stream.stems == ("drums", "other", "vocals")
    assert whole.stems[0].tobytes() == parts["drums"].tobytes()
    np.testing.assert_allclose(whole.stems[1], parts["bass"] + parts["other"], atol=1e-6)
    stream.reset(1234)
    assert run(stream, mix[:, 1234:]).stems.tobytes() == whole.stems[:, :, 1234:].tobytes()
