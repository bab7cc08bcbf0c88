"""Drum parts: the strokes of one section of a song in a style, played by somebody rather than by a grid.

A part is chosen for every role (kick, snare, time-keeping, percussion) on its own, so that a style has
many more bars than grids; each bar then varies, and energy thins it or thickens it.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from ..errors import ArgumentValueError
from .drum_styles import PIECES, STYLE_TABLE, Style
from .score import Hit

__all__ = ["STYLES", "STYLE_TABLE", "Style", "groove", "style_named"]

STYLES: tuple[str, ...] = tuple(style.name for style in STYLE_TABLE)
"""The names of all styles."""

_BY_NAME = MappingProxyType({style.name: style for style in STYLE_TABLE})
_LEVELS = MappingProxyType({"X": 1.0, "x": 0.8, "o": 0.55, "g": 0.28, "?": 0.6, ".": 0.0})
_DOUBT = 0.4
"""How often a stroke marked `?` is played."""
_HATS = ("hihat-closed", "hihat-open", "hihat-pedal")
_TOMS = ("tom-high", "tom-mid", "tom-low")
_LIFT = MappingProxyType({"hihat-closed": "hihat-open", "rim": "snare", "hihat-pedal": "hihat-closed"})
"""What a piece becomes where the music rises; the other way round where it falls."""

Grid = dict[str, list[float]]
"""Velocities of one bar by piece, one number a step, 0 for no stroke."""
Stroke = tuple[float, str, float]
"""Steps from the start of the bar, piece, velocity."""


def style_named(name: str) -> Style:
    """The style of this name. Raises ArgumentValueError where there is none."""
    if name not in _BY_NAME:
        raise ArgumentValueError(f"a drum style is one of {', '.join(STYLES)}; got {name!r}")
    return _BY_NAME[name]


def groove(
    style: str,
    bars: int,
    tempo: float,
    rng: np.random.Generator,
    *,
    energy: float,
    fill: bool,
    start_s: float = 0.0,
) -> list[Hit]:
    """The strokes of one section of `bars` bars at `tempo` beats per minute, in the order they sound.

    `energy`, 0 to 1, thins the part or thickens it; `fill` ends the section with a fill. Times count from
    the start of the song, in which the section starts at `start_s`; none lies before `start_s`, none after
    the end of the section. Raises ArgumentValueError for an unknown style, no bars, a tempo that is none.

    >>> hits = groove("rock", 2, 120.0, np.random.default_rng(1), energy=0.6, fill=False)
    >>> 0.0 <= hits[0].start_s < 0.05 and hits[-1].start_s < 4.0
    True
    """
    chosen = style_named(style)
    if bars < 1 or not 20.0 <= tempo <= 400.0:
        raise ArgumentValueError(f"a section has 1 bar or more at 20 to 400 bpm; got {bars} at {tempo}")
    energy = min(max(energy, 0.0), 1.0)
    pattern = _pattern(chosen, rng, energy)
    half_time = bars > 1 and rng.random() < chosen.half_time
    hands = _Hands(chosen, tempo, rng, energy)
    hits: list[Hit] = []
    for bar in range(bars):
        grid = {piece: list(row) for piece, row in pattern.items()}
        if half_time:
            grid = _stretched(grid, bar % 2)
        if bar % 4 != 0:
            _vary(grid, chosen, rng, chosen.variation * (1.4 if bar % 4 == 3 else 1.0))
        _thicken(grid, chosen, rng, energy)
        _one_hat(grid)
        strokes = [(float(i), p, v) for p, row in grid.items() for i, v in enumerate(row) if v > 0.0]
        strokes += _rolls(grid, chosen, rng)
        if fill and bar == bars - 1:
            strokes = _filled(strokes, chosen, rng, energy)
        elif bar == 0 and rng.random() < chosen.crash * (0.25 + 0.75 * energy):
            strokes = [s for s in strokes if s[0] >= 1 or s[1] not in (*_HATS, "ride")]
            strokes.append((0.0, "crash", rng.uniform(0.65, 1.0)))
        hits += hands.play(strokes, start_s, bar)
    end = start_s + bars * chosen.beats * 60.0 / tempo
    return sorted((h for h in hits if start_s <= h.start_s < end), key=lambda h: (h.start_s, h.piece))


def _pattern(style: Style, rng: np.random.Generator, energy: float) -> Grid:
    """One bar for the section: a part for each role, as full as the energy asks."""
    grid: Grid = {}
    _add(grid, _pick(style.kick, rng), style.steps, rng)
    _add(grid, _pick(style.snare, rng), style.steps, rng)
    # Tops are listed from sparse to busy: the energy points into the list, and chance around it.
    place = energy * (len(style.top) - 1) + rng.normal(0.0, 0.3 * len(style.top))
    _add(grid, style.top[int(np.clip(round(place), 0, len(style.top) - 1))], style.steps, rng)
    for chance in (0.15 + 0.65 * energy, 0.5 * energy**2):
        if style.colour and rng.random() < chance:
            _add(grid, _pick(style.colour, rng), style.steps, rng)
    if energy < 0.3:
        _thin(grid, style, rng, energy)
    elif energy > 0.75 and rng.random() < 0.35:
        for low, high in _LIFT.items():
            if low in grid and rng.random() < 0.6:
                grid[high] = [
                    max(a, b) for a, b in zip(grid.pop(low), grid.get(high, [0.0] * style.steps), strict=True)
                ]
    return grid


def _pick(parts: tuple[str, ...], rng: np.random.Generator) -> str:
    return parts[int(rng.integers(len(parts)))]


def _add(grid: Grid, part: str, steps: int, rng: np.random.Generator) -> None:
    """Lay a part into the bar; a short grid repeats until the bar is full."""
    for line in part.split(" | "):
        letter, marks = line.split(" ")
        marks *= steps // len(marks)
        row = grid.setdefault(PIECES[letter], [0.0] * steps)
        for i, mark in enumerate(marks):
            if mark != "?" or rng.random() < _DOUBT:
                row[i] = max(row[i], _LEVELS[mark])


def _thin(grid: Grid, style: Style, rng: np.random.Generator, energy: float) -> None:
    """Leave strokes or whole roles out of a quiet section."""
    for piece in list(grid):
        if rng.random() < 0.45 * (1.0 - energy / 0.3) and len(grid) > 1:
            del grid[piece]
            continue
        grid[piece] = [
            v if i % style.division == 0 or rng.random() < 0.35 + 2.0 * energy else 0.0
            for i, v in enumerate(grid[piece])
        ]
        if piece == "snare" and rng.random() < 0.4:
            grid["rim"] = grid.pop("snare")


def _stretched(grid: Grid, half: int) -> Grid:
    """Half time: each bar plays one half of the grid of kick and snare, every step twice as long."""
    out: Grid = {}
    for piece, row in grid.items():
        if piece in (*_HATS, "ride", "shaker", "crash"):
            out[piece] = row
            continue
        part = row[: len(row) // 2] if half == 0 else row[len(row) // 2 :]
        out[piece] = [v for value in part for v in (value, 0.0)][: len(row)]
        out[piece] += [0.0] * (len(row) - len(out[piece]))
    return out


def _vary(grid: Grid, style: Style, rng: np.random.Generator, amount: float) -> None:
    """Change a bar a little: a kick more or less, an open hat, a snare pushed by a step."""
    steps = style.steps
    if rng.random() < amount and "kick" in grid:
        i = int(rng.integers(1, steps))
        grid["kick"][i] = 0.0 if grid["kick"][i] else rng.choice([0.0, 0.6, 0.75])
    if rng.random() < 0.5 * amount and "hihat-closed" in grid:
        i = int(rng.choice([steps - 2, steps // 2 - 2, int(rng.integers(steps))]))
        grid["hihat-closed"][i] = 0.0
        grid.setdefault("hihat-open", [0.0] * steps)[i] = 0.75
    if rng.random() < 0.3 * amount and "snare" in grid:
        i = int(rng.integers(steps // 2, steps))
        grid["snare"][i] = max(grid["snare"][i], rng.choice([0.28, 0.55, 0.7]))
    for piece in ("hihat-closed", "ride", "shaker", "conga", "tambourine"):
        if piece in grid and rng.random() < 0.4 * amount:
            i = int(rng.integers(steps))
            grid[piece][i] = 0.0 if grid[piece][i] else 0.4


def _thicken(grid: Grid, style: Style, rng: np.random.Generator, energy: float) -> None:
    """Soft snare strokes on weak steps, as many as the style likes, and more kicks where it is loud."""
    if "kick" in grid and style.variation > 0.3:
        for i in range(0, style.steps, 2 if style.division == 4 else 1):
            if not grid["kick"][i] and rng.random() < 0.3 * (energy - 0.6):
                grid["kick"][i] = 0.65
    if "snare" not in grid or style.division != 4:
        return
    for i in range(1, style.steps, 2):
        if not grid["snare"][i] and rng.random() < 0.3 * style.ghosts * (0.4 + energy):
            grid["snare"][i] = rng.uniform(0.12, 0.32)


def _one_hat(grid: Grid) -> None:
    """Where the hi-hat is open it is not closed: one stroke, not two."""
    if "hihat-open" in grid and "hihat-closed" in grid:
        pairs = zip(grid["hihat-closed"], grid["hihat-open"], strict=True)
        grid["hihat-closed"] = [0.0 if opened else closed for closed, opened in pairs]


def _rolls(grid: Grid, style: Style, rng: np.random.Generator) -> list[Stroke]:
    """Hi-hats split into 2, 3 or 4 strokes to a step, as machines are programmed in trap and its kin."""
    if style.name not in ("trap", "drill", "dubstep", "electro", "hiphop") or "hihat-closed" not in grid:
        return []
    strokes: list[Stroke] = []
    often = {"trap": 0.75, "drill": 0.7}.get(style.name, 0.12)
    for _ in range(2):
        if rng.random() < often:
            start, length = int(rng.integers(0, style.steps - 1)), int(rng.choice([1, 2, 2, 4]))
            parts = int(rng.choice([2, 2, 3, 4]))
            slope = rng.choice([-0.4, 0.0, 0.4])
            total = min(length, style.steps - start) * parts
            strokes += [
                (start + k / parts, "hihat-closed", 0.6 + slope * (k / total - 0.5)) for k in range(1, total)
            ]
    return strokes


def _filled(strokes: list[Stroke], style: Style, rng: np.random.Generator, energy: float) -> list[Stroke]:
    """End the bar with a fill over its last one, two or all beats."""
    kind = style.fills[int(rng.integers(len(style.fills)))]
    beats = int(rng.choice([1, 2, style.beats], p=[0.4, 0.4, 0.2] if energy > 0.3 else [0.7, 0.3, 0.0]))
    start = style.steps - beats * style.division
    steps = np.arange(start, style.steps)
    rising = 0.55 + 0.45 * (steps - start + 1) / len(steps)
    kept = [s for s in strokes if s[0] < start]
    if kind == "gap":  # the band breathes: nothing, or one stroke of what there was
        return kept + [s for s in strokes if s[0] == start and rng.random() < 0.7]
    if kind == "roll":  # a machine's build-up: the strokes come twice as fast in its second half
        halves = [(float(i), "snare", 0.7 * r) for i, r in zip(steps, rising, strict=True)]
        return kept + halves + [(i + 0.5, "snare", 0.65 * r) for i, _, r in halves[len(halves) // 2 :]]
    if kind == "stutter":  # the first steps of the bar again and again
        length = int(rng.choice([1, 2, 3]))
        head = [s for s in strokes if s[0] < length and s[1] != "crash"]
        return kept + [
            (i + s[0], s[1], s[2])
            for i in range(start, style.steps, length)
            for s in head
            if i + s[0] < style.steps
        ]
    if kind == "pickup":  # the groove goes on, with a few more snares at its end
        return strokes + [
            (float(i), "snare", rng.uniform(0.4, 0.9)) for i in steps[-3:] if rng.random() < 0.7
        ]
    if kind == "double":  # double bass drum under toms
        kept += [(i + h, "kick", 0.75) for i in steps for h in (0.0, 0.5)]
    filled: list[Stroke] = []
    for k, (i, level) in enumerate(zip(steps, rising, strict=True)):
        if rng.random() < 0.14:
            continue
        tom = _TOMS[min(3 * k // len(steps), 2)]
        mixed = ("snare", "kick", tom, "snare")[int(rng.integers(4))]
        piece = {"toms": tom, "double": tom, "mixed": mixed}.get(kind, "snare")
        filled.append((float(i), piece, float(level * rng.uniform(0.8, 1.0))))
        if kind == "flams" and k % 2 == 0:
            filled.append((float(i) - 0.16, "snare", 0.4 * level))
        if kind == "toms" and k % style.division == 0 and rng.random() < 0.5:
            filled.append((float(i), "kick", 0.8))
    if rng.random() < 0.3 and style.division == 4:
        filled += [(i + 0.5, piece, 0.7 * v) for i, piece, v in filled[-3:]]
    return kept + filled


class _Hands:
    """Who plays: how loose, how late, with which accents; one for a section."""

    def __init__(self, style: Style, tempo: float, rng: np.random.Generator, energy: float) -> None:
        self._style, self._rng = style, rng
        self._step_s = 60.0 / tempo / style.division
        self._swing = rng.uniform(*style.swing) if style.division == 4 else 0.0
        self._loose_s = 1e-3 * rng.uniform(*style.looseness_ms)
        self._late_s = {
            "snare": 1e-3 * rng.uniform(*style.backbeat_ms),
            "clap": 1e-3 * rng.uniform(*style.backbeat_ms),
            "hihat-closed": 0.5 * rng.normal(0.0, self._loose_s),
            "shaker": rng.normal(0.0, self._loose_s),
            "conga": rng.normal(0.0, self._loose_s),
        }
        self._force = 0.62 + 0.38 * energy
        self._spread = 0.03 + 12.0 * self._loose_s
        self._accent = rng.uniform(0.0, 0.3)
        self._drift_s = 0.0

    def play(self, strokes: list[Stroke], start_s: float, bar: int) -> list[Hit]:
        """The strokes of one bar as they fall: swung, late, uneven."""
        rng, hits = self._rng, []
        bar_s = start_s + bar * self._style.steps * self._step_s
        self._drift_s = 0.7 * self._drift_s + rng.normal(0.0, 0.5 * self._loose_s)
        for step, piece, velocity in sorted(strokes):
            swung = step + (self._swing if int(step) % 2 == 1 else 0.0)
            late = self._late_s.get(piece, 0.0) + self._drift_s + rng.normal(0.0, self._loose_s)
            weak = 1.0 if step % self._style.division == 0 else 1.0 - self._accent
            force = velocity * self._force * (weak if piece in _HATS or piece in ("ride", "shaker") else 1.0)
            force *= 1.0 + rng.normal(0.0, self._spread)
            time_s = bar_s + swung * self._step_s + late
            # The first stroke of a section may not fall out of it however early the hand.
            hits.append(Hit(max(time_s, start_s), piece, float(np.clip(force, 0.05, 1.0))))
        return hits
