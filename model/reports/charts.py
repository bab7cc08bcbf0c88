"""Curves as inline SVG: no scripts, colours from the page's style sheet, readable in print.

Each chart is `WIDTH` units wide; classes `c0`, `c1`, ... colour the series, `axis` and `grid` the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from ..dsp.third_octaves import BAND_CENTRES_HZ
from .survey import Survey

WIDTH = 720
_NOMINAL = {126: "125", 251: "250", 501: "500"}
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 8, 8, 20


@dataclass(frozen=True)
class Series:
    """One curve: its name, its points by place (0 to 1) and value; None breaks it."""

    name: str
    points: Sequence[tuple[float, float | None]]
    colour: int
    thin: bool = False


def waveforms(surveys: Sequence[tuple[str, Survey, int]]) -> str:
    """Lowest and highest samples over time, one below the other."""
    each = 70
    parts = []
    for place, (name, survey, colour) in enumerate(surveys):
        top = place * (each + 18) + 14
        middle = top + each / 2
        count = max(1, len(survey.lows))
        step = (WIDTH - _LEFT - _RIGHT) / count
        scale = each / 2 / max(1.0, *(abs(v) for v in (*survey.lows, *survey.highs)), 1.0)
        upper = [(_LEFT + (n + 0.5) * step, middle - high * scale) for n, high in enumerate(survey.highs)]
        lower = [(_LEFT + (n + 0.5) * step, middle - low * scale) for n, low in enumerate(survey.lows)]
        outline = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*upper, *lower[::-1]])
        parts += [
            f'<text class="label" x="{_LEFT}" y="{top - 4}">{escape(name)}</text>',
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{middle}" y2="{middle}"/>',
            f'<polygon class="c{colour} fill" points="{outline}"/>',
        ]
    height = len(surveys) * (each + 18) + 20
    longest = max((survey.seconds for _, survey, _ in surveys), default=0.0)
    parts += _time_axis(longest, height)
    return _svg("Waveform", height, parts)


def loudness(surveys: Sequence[tuple[str, Survey, int]]) -> str:
    """Momentary (thin) and short-term loudness over time."""
    series = []
    longest = max((survey.seconds for _, survey, _ in surveys), default=0.0) or 1.0
    for name, survey, colour in surveys:
        for label, values, first, thin in (
            ("momentary", survey.momentary, 0.4, True),
            ("short-term", survey.short_term, 3.0, False),
        ):
            span = max(0.0, survey.seconds - first)
            points = [
                ((first + span * n / max(1, len(values) - 1)) / longest, value)
                for n, value in enumerate(values)
            ]
            series.append(Series(f"{name}, {label}", points, colour, thin))
    levels = [value for one in series for _, value in one.points if value is not None]
    high = 5.0 * -(-max(levels, default=-10.0) // 5)
    low = max(high - 50.0, 5.0 * (min(levels, default=-60.0) // 5))
    ticks = [(level, f"{level:.0f}") for level in _steps(low, high, 10.0)]
    parts = _lines(series, low, high, 180, ticks)
    parts += _time_axis(longest, 180)
    return _svg("Loudness in LUFS", 180, parts) + _legend(series)


def spectra(surveys: Sequence[tuple[str, Survey, int]]) -> str:
    """Power per third-octave band."""
    count = len(BAND_CENTRES_HZ)
    series = [
        Series(name, [((n + 0.5) / count, level) for n, level in enumerate(survey.spectrum_db)], colour)
        for name, survey, colour in surveys
    ]
    levels = [value for one in series for _, value in one.points if value is not None]
    high = 10.0 * -(-max(levels, default=0.0) // 10)
    low = max(high - 80.0, 10.0 * (min(levels, default=-80.0) // 10))
    parts = _lines(series, low, high, 200, [(level, f"{level:.0f}") for level in _steps(low, high, 20.0)])
    for n, centre in enumerate(BAND_CENTRES_HZ):
        if n % 3 == 1:
            x = _LEFT + (n + 0.5) / count * (WIDTH - _LEFT - _RIGHT)
            name = f"{centre / 1000:.0f}k" if centre >= 1000 else _NOMINAL.get(round(centre), f"{centre:.0f}")
            parts.append(f'<text class="tick" x="{x:.1f}" y="196" text-anchor="middle">{name}</text>')
    return _svg("Long-term spectrum in dB per third octave", 200, parts) + _legend(series)


def _lines(
    series: Iterable[Series], low: float, high: float, height: int, ticks: Sequence[tuple[float, str]]
) -> list[str]:
    span = max(high - low, 1e-9)
    inside = height - _TOP - _BOTTOM

    def y(value: float) -> float:
        return _TOP + (high - min(max(value, low), high)) / span * inside

    parts = []
    for level, text in ticks:
        parts += [
            f'<path class="grid" d="M{_LEFT} {y(level):.1f}H{WIDTH - _RIGHT}"/>',
            f'<text class="tick" x="{_LEFT - 4}" y="{y(level) + 3:.1f}" text-anchor="end">{text}</text>',
        ]
    for one in series:
        run: list[str] = []
        for place, value in [*one.points, (1.0, None)]:
            if value is not None:
                run.append(f"{_LEFT + place * (WIDTH - _LEFT - _RIGHT):.1f},{y(value):.1f}")
            elif run:
                kind = "line thin" if one.thin else "line"
                parts.append(f'<polyline class="c{one.colour} {kind}" points="{" ".join(run)}"/>')
                run = []
    return parts


def _time_axis(seconds: float, height: int) -> list[str]:
    if seconds <= 0:
        return []
    step = next((s for s in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800) if seconds / s <= 10), 3600)
    parts = []
    for at in _steps(0.0, seconds, float(step)):
        x = _LEFT + at / seconds * (WIDTH - _LEFT - _RIGHT)
        text = f"{int(at) // 60}:{int(at) % 60:02d}"
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - 4}" text-anchor="middle">{text}</text>')
    return parts


def _steps(low: float, high: float, step: float) -> Iterable[float]:
    at = -(-low // step) * step
    while at <= high:
        yield at
        at += step


def _svg(title: str, height: int, parts: Iterable[str]) -> str:
    inside = "".join(parts)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{inside}</svg>"
    )


def _legend(series: Iterable[Series]) -> str:
    items = "".join(
        f'<span class="c{one.colour} key{" thin" if one.thin else ""}">{escape(one.name)}</span>'
        for one in series
    )
    return f'<p class="legend">{items}</p>'
