"""Results as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .evaluation import SongScore
from .summary import AVERAGE, MIDDLES, Results, average, over, total_costs

NOTHING = "\N{EN DASH}"
_COSTS = ("s", "CPU s", "x real time", "peak MB")


def markdown(results: Results) -> str:
    """Tables of everything: SDR by model and by song, BSSEval, the other figures, what was left out."""
    parts = [
        _sdr(results),
        _bss(results),
        _others(results),
        _songs(results),
        _left_out(results),
        _failed(results),
    ]
    return "\n".join(line for part in parts for line in part)


def _sdr(results: Results) -> Iterator[str]:
    several = len({score.song for score in results.scores}) > 1
    for middle in MIDDLES if several else ("mean",):
        yield f"## SDR in dB over the whole length{f': {middle} over songs' if several else ''}"
        yield ""
        yield from _head("model", *results.stems_and_average, *_COSTS)
        for model in results.models:
            scores = results.of(model)
            yield _row(model, *_sdr_cells(results, scores, middle), *_cost_cells(scores))
        yield ""


def _songs(results: Results) -> Iterator[str]:
    yield "## SDR in dB, song by song"
    yield ""
    yield from _head("song", "model", *results.stems_and_average, *_COSTS, texts=2)
    for song in dict.fromkeys(score.song for score in results.scores):
        for score in results.scores:
            if score.song == song:
                cells = _sdr_cells(results, [score], "mean")
                yield _row(_text(song), score.model, *cells, *_cost_cells([score]))
    yield ""


def _bss(results: Results) -> Iterator[str]:
    if not any(stem.bss for score in results.scores for stem in score.stems.values()):
        return
    yield "## BSSEval v4 in dB: median of seconds, median of songs"
    yield ""
    yield from _head("model", "stem", "SDR", "ISR", "SIR", "SAR", texts=2)
    names = ("bss_sdr_db", "bss_isr_db", "bss_sir_db", "bss_sar_db")
    for model in results.models:
        scores = results.of(model)
        for stem in results.stems:
            figures = [over(scores, stem, name, "median") for name in names]
            if any(figure is not None for figure in figures):
                yield _row(model, stem, *map(_decibels, figures))
    yield ""


def _others(results: Results) -> Iterator[str]:
    yield "## Other figures: mean over songs"
    yield ""
    heads = ("SI-SDR dB", "MSE", "spectrogram SNR dB", "spectrogram MAE", "silent references", "leak dB")
    yield from _head("model", "stem", *heads, texts=2)
    for model in results.models:
        scores = results.of(model)
        for stem in results.stems:
            if not any(stem in score.stems for score in scores):
                continue
            si_sdr, mse, snr, mae = (
                over(scores, stem, name, "mean") for name in ("si_sdr_db", "mse", "snr_db", "mae")
            )
            silent = [s.stems[stem].plain for s in scores if stem in s.stems and s.stems[stem].plain.silent]
            leaks = [plain.estimate_db for plain in silent if plain.estimate_db is not None]
            yield _row(
                model,
                stem,
                _decibels(si_sdr),
                NOTHING if mse is None else f"{mse:.2e}",
                _decibels(snr),
                NOTHING if mae is None else f"{mae:.5f}",
                str(len(silent)),
                _decibels(sum(leaks) / len(leaks) if leaks else None),
            )
    yield ""


def _left_out(results: Results) -> Iterator[str]:
    rows = list(results.left_out())
    if not rows:
        return
    yield "## Left out of SDR and BSSEval"
    yield ""
    yield "A silent reference has no SDR: what is estimated for it is leakage, in dB relative to the mix."
    yield "Where a stem is all the mix holds, its SDR would only say again what leaks into the others."
    yield ""
    yield from _head("song", "stem", "model", "why", "leak dB", texts=4)
    for score, name, stem in sorted(rows, key=lambda row: (row[0].song, row[1])):
        why, leak = ("silent", stem.plain.estimate_db) if stem.plain.silent else ("alone", None)
        shown = "none" if stem.plain.silent and leak is None else _decibels(leak)
        yield _row(_text(score.song), name, score.model, why, shown)
    yield ""


def _failed(results: Results) -> Iterator[str]:
    if not results.failures:
        return
    yield "## Failed"
    yield ""
    for failure in results.failures:
        yield f"- {failure.model} on {_text(failure.song)}: {_text(failure.text)}"
    yield ""


def _sdr_cells(results: Results, scores: Sequence[SongScore], middle: str) -> list[str]:
    figures = {stem: over(scores, stem, "sdr_db", middle) for stem in results.stems}
    figures[AVERAGE] = average(scores, middle)
    return [_decibels(figures[name]) for name in results.stems_and_average]


def _cost_cells(scores: Sequence[SongScore]) -> list[str]:
    costs = total_costs(scores)
    if costs is None:
        return [""] * len(_COSTS)
    figures = (costs["wall_s"], costs["cpu_s"], costs["speed"], costs["peak_mb"])
    return [
        NOTHING if figure is None else f"{figure:.{digits}f}"
        for figure, digits in zip(figures, (1, 1, 1, 0), strict=True)
    ]


def _head(*names: str, texts: int = 1) -> Iterator[str]:
    yield _row(*names)
    yield "|" + "---|" * texts + "---:|" * (len(names) - texts)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _decibels(figure: float | None) -> str:
    return NOTHING if figure is None else f"{figure:.2f}"


def _text(name: str) -> str:
    """A name that cannot break a table."""
    return " ".join(name.replace("|", "\\|").split())
