"""Many songs' figures into one: means and medians, what was left out, what it cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

from ..residual import in_stem_order
from .evaluation import ACCOMPANIMENT, SongScore, StemScore

Middle = Callable[[Sequence[float]], float]

MIDDLES: dict[str, Middle] = {"mean": fmean, "median": median}

AVERAGE = "average"
"""The column of the mean over a separator's own stems."""


@dataclass(frozen=True)
class Failure:
    """A separator that gave nothing for a song."""

    model: str
    song: str
    code: str
    text: str


@dataclass(frozen=True)
class Results:
    """Everything that was measured, in the order it was asked for."""

    scores: tuple[SongScore, ...]
    failures: tuple[Failure, ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        """Names of separators and yardsticks with at least one song."""
        return tuple(dict.fromkeys(score.model for score in self.scores))

    @property
    def stems(self) -> tuple[str, ...]:
        """Every stem that was scored, in stem order, the accompaniment last."""
        names = in_stem_order({stem: None for score in self.scores for stem in score.stems})
        return tuple(sorted(names, key=lambda name: name == ACCOMPANIMENT))

    @property
    def stems_and_average(self) -> tuple[str, ...]:
        """Columns of a table: the average stands before the accompaniment, which has no part in it."""
        return tuple(
            sorted((*self.stems, AVERAGE), key=lambda name: (name == ACCOMPANIMENT, name == AVERAGE))
        )

    def of(self, model: str) -> list[SongScore]:
        """The songs of one separator."""
        return [score for score in self.scores if score.model == model]

    def left_out(self) -> Iterator[tuple[SongScore, str, StemScore]]:
        """Every stem that has no SDR, its reference being silent or all there is."""
        for score in self.scores:
            for name, stem in score.stems.items():
                if stem.plain.sdr_db is None:
                    yield score, name, stem

    def facts(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        return {
            "schema": 1,
            "summary": {model: self._summary(model) for model in self.models},
            "songs": [_facts(score) for score in self.scores],
            "failed": [asdict(failure) for failure in self.failures],
        }

    def _summary(self, model: str) -> dict[str, Any]:
        scores = self.of(model)
        figures = {
            middle: {
                stem: {name: over(scores, stem, name, middle) for name in _names(scores)}
                for stem in self.stems
                if any(stem in score.stems for score in scores)
            }
            for middle in MIDDLES
        }
        silent = [stem for score in scores for stem in score.stems.values() if stem.plain.silent]
        leaks = [stem.plain.estimate_db for stem in silent if stem.plain.estimate_db is not None]
        return {
            "stems": list(scores[0].own),
            "songs": len(scores),
            **figures,
            "average_sdr_db": {middle: average(scores, middle) for middle in MIDDLES},
            "silent_references": len(silent),
            "leak_db": fmean(leaks) if leaks else None,
            "costs": total_costs(scores),
        }


def over(scores: Sequence[SongScore], stem: str, figure: str, middle: str) -> float | None:
    """The mean or median over songs of one figure of one stem, where it is there; None where it never is."""
    facts = (score.stems[stem].facts() for score in scores if stem in score.stems)
    known = [fact[figure] for fact in facts if fact[figure] is not None]
    return MIDDLES[middle](known) if known else None


def average(scores: Sequence[SongScore], middle: str) -> float | None:
    """The mean over a separator's own stems of the mean or median SDR over songs."""
    stems = dict.fromkeys(stem for score in scores for stem in score.own)
    figures = [over(scores, stem, "sdr_db", middle) for stem in stems]
    known = [figure for figure in figures if figure is not None]
    return fmean(known) if known else None


def total_costs(scores: Sequence[SongScore]) -> dict[str, float | None] | None:
    """Time over all songs, the speed that makes, and the highest peak of memory; None for yardsticks."""
    costs = [score.costs for score in scores if score.costs is not None]
    if not costs:
        return None
    wall_s, audio_s = sum(one.wall_s for one in costs), sum(one.audio_s for one in costs)
    peaks = [one.peak_mb for one in costs if one.peak_mb is not None]
    return {
        "audio_s": audio_s,
        "wall_s": wall_s,
        "cpu_s": sum(one.cpu_s for one in costs),
        "speed": audio_s / wall_s if wall_s else None,
        "peak_mb": max(peaks, default=None),
    }


def _names(scores: Sequence[SongScore]) -> list[str]:
    """Figures that are numbers over songs."""
    stem = next(iter(scores[0].stems.values()))
    return [name for name in stem.facts() if name not in ("silent", "alone", "reference_db", "estimate_db")]


def _facts(score: SongScore) -> dict[str, Any]:
    return {
        "model": score.model,
        "song": score.song,
        "seconds": score.seconds,
        "stems": {name: stem.facts() for name, stem in score.stems.items()},
        "average_sdr_db": average([score], "mean"),
        "costs": None if score.costs is None else {**asdict(score.costs), "speed": score.costs.speed},
    }
