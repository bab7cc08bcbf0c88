"""One separator on one song: separate it as a render does, then hold the stems against the true ones.

Estimates are spooled to a file, so memory does not grow with the song; the song is read once to separate
it, once to score, and twice more for BSSEval.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..audio import Audio, StemArray
from ..dsp.spectrogram import Spectrogram
from ..errors import ArgumentValueError
from ..registry import Device
from ..training.tracks import Track
from ..units import Time, format_time
from .bss_eval import bss_eval
from .costs import Costs
from .estimator import BLOCK_FRAMES, Estimator
from .metrics import StemFigures, Sums
from .songs import SongReader, true_parts
from .spectral_metrics import SpectralFigures, SpectralSums
from .yardsticks import BASELINES, MakeYardstick

ACCOMPANIMENT = "accompaniment"
"""Everything but the vocals: scored for separators of more stems too, as the sum of the others."""

_SEPARATING = 0.7
"""The share of separating in what progress shows."""


@dataclass(frozen=True)
class Task:
    """What is to be measured."""

    track: Track
    model: str
    """A separator's name, a checkpoint's path, or a name in `yardsticks`."""
    start: Time | None = None
    stop: Time | None = None
    seconds: float | None = None
    """The length from `start` on, instead of `stop`."""
    device: Device = "auto"
    bss: bool = True
    """Whether to compute BSSEval, too."""
    picture: Path | None = None
    """A PNG for true and estimated spectrograms."""
    yardstick: MakeYardstick | None = None
    """What makes the estimates instead of what `model` names; a function that other processes can import."""


@dataclass(frozen=True)
class StemScore:
    """Everything about one stem of one song."""

    plain: StemFigures
    spectral: SpectralFigures
    bss: Mapping[str, float] | None = None
    """Medians over windows of `sdr_db`, `isr_db`, `sir_db`, `sar_db`."""

    def facts(self) -> dict[str, Any]:
        """All figures by name; those of BSSEval start with `bss_`."""
        bss = self.bss or dict.fromkeys(("sdr_db", "isr_db", "sir_db", "sar_db"))
        return {
            **asdict(self.plain),
            **asdict(self.spectral),
            **{f"bss_{name}": figure for name, figure in bss.items()},
        }


@dataclass(frozen=True)
class SongScore:
    """Everything about one separator on one song."""

    model: str
    song: str
    seconds: float
    """Length of what was scored."""
    own: tuple[str, ...]
    """The separator's stems."""
    stems: Mapping[str, StemScore]
    """By name: those of `own` whose truth is known, and the accompaniment."""
    costs: Costs | None
    """None for yardsticks."""


@dataclass(frozen=True)
class _Target:
    """A stem to be scored: which of the song's files and which of the estimates it is the sum of."""

    name: str
    files: list[int]
    estimates: list[int]

    def of(self, files: StemArray, estimates: StemArray) -> tuple[Audio, Audio]:
        return files[self.files].sum(axis=0), estimates[self.estimates].sum(axis=0)


def evaluate_song(
    task: Task, folder: Path, progress: Callable[[float], None] = lambda fraction: None
) -> SongScore:
    """Measure one separator on one song; `folder` takes the spooled estimates while it works.

    Peak memory is that of the process so far: for a figure of the separator's alone, call it in a new one.

    Raises ArgumentValueError for a region outside the song or a song none of whose stems are known to the
    separator, and what `SongReader` and `create_separator` raise.
    """
    with SongReader(task.track) as song, tempfile.TemporaryFile(dir=folder) as spool:
        start, stop = _region(task, song)
        separator = Estimator(task.model, task.track, song, device=task.device, yardstick=task.yardstick)
        costs = separator.spool(start, stop, spool, lambda done: progress(done * _SEPARATING))
        targets = _targets(task.track, song.names, separator.stems)
        if not targets:
            raise ArgumentValueError(
                f"{task.track.name}: none of {', '.join(separator.stems)} is known there "
                f"(its files are {', '.join(song.names)})"
            )
        region = _Region(song, start, stop, spool, len(separator.stems))
        scoring = (1 - _SEPARATING) / (3 if task.bss else 1)
        scores = _scores(region, targets, task, lambda done: progress(_SEPARATING + done * scoring))
        if task.bss:
            scores = _with_bss(region, targets, scores, separator.stems)
        progress(1.0)
        return SongScore(
            task.model, task.track.name, region.frames / song.info.sample_rate, separator.stems, scores, costs
        )


def _region(task: Task, song: SongReader) -> tuple[int, int]:
    rate, frames = song.info.sample_rate, song.info.frames
    start = 0 if task.start is None else task.start.frames(rate)
    stop = frames if task.stop is None else min(frames, task.stop.frames(rate))
    if task.seconds is not None:
        stop = min(stop, start + round(task.seconds * rate))
    if not start < stop:
        raise ArgumentValueError(
            f"{task.track.name}: the region from {format_time(start / rate)} to {format_time(stop / rate)} "
            f"is empty: the song lasts {format_time(frames / rate)}"
        )
    return start, stop


def _targets(track: Track, files: Sequence[str], stems: tuple[str, ...]) -> list[_Target]:
    estimates = {name: [row] for row, name in enumerate(stems)}
    if "vocals" in stems and ACCOMPANIMENT not in stems:
        estimates[ACCOMPANIMENT] = [row for row, name in enumerate(stems) if name != "vocals"]
    parts = {name: true_parts(track, name, stems) for name in estimates}
    return [
        _Target(name, [files.index(part) for part in parts[name]], rows)
        for name, rows in estimates.items()
        if parts[name]
    ]


class _Region:
    """Truth and estimates of a region, read in step as often as wanted."""

    def __init__(self, song: SongReader, start: int, stop: int, spool: IO[bytes], stems: int) -> None:
        self._song, self._start, self._stop, self._spool, self._stems = song, start, stop, spool, stems
        self.frames = stop - start
        self.sample_rate, self.channels = song.info.sample_rate, song.info.channels

    def blocks(self) -> Iterator[tuple[Audio, StemArray, StemArray]]:
        """Mix, the song's files and the estimates. Shape: `(c, n)`, `(files, c, n)`, `(stems, c, n)`."""
        self._song.seek(self._start)
        self._spool.seek(0)
        for at in range(self._start, self._stop, BLOCK_FRAMES):
            mix, files = self._song.read(min(BLOCK_FRAMES, self._stop - at))
            frames = mix.shape[1]
            raw = self._spool.read(4 * self._stems * self.channels * frames)
            estimates = np.frombuffer(raw, np.float32).reshape(frames, self._stems, self.channels)
            yield mix, files, np.ascontiguousarray(estimates.transpose(1, 2, 0))

    def pairs(self, targets: Sequence[_Target]) -> Iterator[tuple[StemArray, StemArray]]:
        """References and estimates of the targets. Shape: `(targets, c, n)` twice."""
        for _, files, estimates in self.blocks():
            both = [target.of(files, estimates) for target in targets]
            yield np.stack([true for true, _ in both]), np.stack([given for _, given in both])


def _scores(
    region: _Region, targets: Sequence[_Target], task: Task, progress: Callable[[float], None]
) -> dict[str, StemScore]:
    whole_mix = task.model == next(iter(BASELINES))
    sums = Sums(len(targets))
    spectral = SpectralSums(len(targets), region.channels, region.sample_rate)
    pictures: list[tuple[Spectrogram, Spectrogram]] = []
    if task.picture is not None:
        pictures = [(_spectrogram(region), _spectrogram(region)) for _ in targets]
    done = 0
    for mix, files, estimates in region.blocks():
        both = [target.of(files, estimates) for target in targets]
        if whole_mix:  # the mix stands for sums of stems as well
            both = [(true, mix) for true, _ in both]
        references, given = np.stack([true for true, _ in both]), np.stack([one for _, one in both])
        sums.add(mix, references, given)
        spectral.add(mix, references, given)
        for pair, (true, one) in zip(pictures, both, strict=False):
            pair[0].push(true)
            pair[1].push(one)
        done += mix.shape[1]
        progress(done / region.frames)
    if task.picture is not None:
        _draw(task, targets, pictures, region)
    rows = zip(targets, sums.figures(), spectral.figures(), strict=True)
    return {target.name: StemScore(plain, figures) for target, plain, figures in rows}


def _with_bss(
    region: _Region, targets: Sequence[_Target], scores: dict[str, StemScore], own: tuple[str, ...]
) -> dict[str, StemScore]:
    """With BSSEval of the separator's own stems; silent references can take no part."""
    taking = [one for one in targets if one.name in own and scores[one.name].plain.sdr_db is not None]
    if not taking:
        return scores
    figures = bss_eval(
        lambda: region.pairs(taking), len(taking), region.channels, window_frames=region.sample_rate
    )
    medians = zip(taking, figures.medians(), strict=True)
    return scores | {target.name: replace(scores[target.name], bss=median) for target, median in medians}


def _spectrogram(region: _Region) -> Spectrogram:
    return Spectrogram(region.sample_rate, region.channels, region.frames)


def _draw(
    task: Task,
    targets: Sequence[_Target],
    pictures: Sequence[tuple[Spectrogram, Spectrogram]],
    region: _Region,
) -> None:
    from ..plot import Panel, Picture, write_png

    assert task.picture is not None
    panels = []
    for target, (true, given) in zip(targets, pictures, strict=True):
        panels += [
            Panel(f"{target.name}: true", true.finish()),
            Panel(f"{target.name}: estimate", given.finish()),
        ]
    start_s = 0.0 if task.start is None else task.start.frames(region.sample_rate) / region.sample_rate
    title = f"{task.track.name}  \N{MIDDLE DOT}  {task.model}"
    end_s = start_s + region.frames / region.sample_rate
    write_png(Picture(title, tuple(panels), pictures[0][0].row_hz, "linear", start_s, end_s), task.picture)
