"""The plan of a song: key, tempo, sections, and who plays where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .ensembles import IDIOMS, RECIPES, Idiom, Recipe
from .grooves import style_named
from .harmony import Key, choose_loop, chord_spans, fitting_mode
from .metre import Frame, Metre, Section

_FORMS: tuple[tuple[str, ...], ...] = (
    ("verse", "chorus"),
    ("verse", "chorus"),
    ("verse", "verse", "chorus"),
    ("verse", "pre-chorus", "chorus"),
    ("chorus", "verse"),
    ("intro", "verse"),
    ("intro", "verse", "chorus"),
    ("intro", "chorus"),
    ("chorus", "solo"),
    ("solo", "chorus"),
    ("verse", "solo", "verse"),
    ("bridge", "chorus"),
    ("break", "chorus"),
    ("verse", "break", "chorus"),
    ("chorus", "break", "chorus"),
    ("chorus", "outro"),
    ("verse",),
    ("chorus",),
)

# Energy, and how likely drums, bass, each other part and a lead voice are to be heard.
_CHARACTER: dict[str, tuple[float, float, float, float, float]] = {
    "intro": (0.35, 0.6, 0.6, 0.65, 0.08),
    "verse": (0.5, 0.92, 0.93, 0.7, 1.0),
    "pre-chorus": (0.6, 0.9, 0.93, 0.75, 1.0),
    "chorus": (0.85, 0.97, 0.97, 0.95, 1.0),
    "solo": (0.75, 0.95, 0.95, 0.8, 0.1),
    "bridge": (0.5, 0.75, 0.8, 0.75, 0.85),
    "break": (0.25, 0.35, 0.45, 0.6, 0.6),
    "outro": (0.45, 0.7, 0.75, 0.75, 0.3),
}


@dataclass(frozen=True)
class Part:
    """One instrument of the stem `other`, and the sections it plays in."""

    name: str
    recipe: Recipe
    centre: float
    sections: frozenset[int]
    solo: bool


@dataclass(frozen=True)
class Plan:
    """Everything decided before a note is written."""

    idiom: Idiom
    drum_style: str
    frame: Frame
    parts: tuple[Part, ...]
    drums: frozenset[int]
    """Sections the drums play in."""
    bass: frozenset[int]
    bass_sound: str
    voices: str
    """`sung`, `rap`, `backing` or `none`."""
    vocals: frozenset[int]
    stops: tuple[tuple[float, float], ...]
    """Spans of seconds in which the band falls silent."""
    pumping: bool


def plan_song(seconds: float, rng: np.random.Generator) -> Plan:
    """Decide on everything, for a song (a piece of one) of about so many seconds."""
    weights = np.array([idiom.weight for idiom in IDIOMS])
    idiom = IDIOMS[int(rng.choice(len(IDIOMS), p=weights / weights.sum()))]
    drum_style = str(rng.choice(idiom.drums))
    style = style_named(drum_style)
    low, high = style.tempo
    triplets = style.division == 3
    metre = Metre(
        tempo=float(np.clip(rng.uniform(low, high) * rng.uniform(0.97, 1.03), 48, 215)),
        beats=style.beats,
        swing=1.0 if triplets else float(rng.uniform(*style.swing)) * 3,
        swing_eighths=triplets,
    )
    loop = choose_loop(idiom.feelings, rng)
    key = Key(int(rng.integers(12)), fitting_mode(loop, rng))
    sections = _sections(idiom, metre, key, loop, seconds, rng)
    frame = Frame(metre, key, sections)
    voices = str(rng.choice(["sung", "rap", "backing", "none"], p=np.array(idiom.voices) / sum(idiom.voices)))
    vocals = frozenset() if voices == "none" else _playing(sections, 4, rng, rap=voices == "rap")
    drums = frozenset() if rng.random() < idiom.drumless else _playing(sections, 1, rng)
    bass = frozenset() if rng.random() < idiom.bassless else _playing(sections, 2, rng)
    parts = _parts(idiom, sections, vocals, rng)
    return Plan(
        idiom,
        drum_style,
        frame,
        _filled(parts, len(sections), drums | bass, rng),
        drums,
        bass,
        str(rng.choice(idiom.bass)),
        voices,
        vocals,
        _stops(frame, rng),
        bool(drums) and rng.random() < idiom.pumping,
    )


def _sections(
    idiom: Idiom, metre: Metre, key: Key, loop: str, seconds: float, rng: np.random.Generator
) -> tuple[Section, ...]:
    bars = int(np.ceil(seconds / metre.bar_s))
    form = _FORMS[int(rng.integers(len(_FORMS)))]
    while len(form) > 1 and bars / len(form) < 2:
        form = form[1:]
    per_bar = 2 if rng.random() < (0.25 if metre.bar_s > 1.8 else 0.08) else 1
    loops = {"verse": loop, "chorus": loop if rng.random() < 0.4 else choose_loop(idiom.feelings, rng)}
    loops["bridge"] = choose_loop(idiom.feelings, rng)
    sections: list[Section] = []
    first = 0
    for i, name in enumerate(form):
        left = bars - first
        length = left if i == len(form) - 1 else max(2, round(left / (len(form) - i) / 2) * 2)
        own = loops["chorus" if name in ("chorus", "solo") else "bridge" if name == "bridge" else "verse"]
        chords = chord_spans(own, key.tonic, length, metre.bar_s, metre.at(first, 0), per_bar)
        energy = float(np.clip(rng.normal(_CHARACTER[name][0], 0.12), 0.05, 1.0))
        sections.append(Section(name, first, length, energy, tuple(chords)))
        first += length
        if first >= bars:
            break
    return tuple(sections)


def _playing(
    sections: tuple[Section, ...], column: int, rng: np.random.Generator, *, rap: bool = False
) -> frozenset[int]:
    chosen = {
        i
        for i, section in enumerate(sections)
        if rng.random()
        < (0.85 if rap and column == 4 and section.name == "solo" else _CHARACTER[section.name][column])
    }
    return frozenset(chosen or {int(rng.integers(len(sections)))})


def _parts(
    idiom: Idiom, sections: tuple[Section, ...], vocals: frozenset[int], rng: np.random.Generator
) -> list[Part]:
    names = list(idiom.cores[int(rng.integers(len(idiom.cores)))])
    extra = int(rng.integers(idiom.extra_count[0], idiom.extra_count[1] + 1))
    names += [str(name) for name in rng.permutation(idiom.extras)[:extra] if str(name) not in names]
    parts = []
    for k, name in enumerate(names):
        heard = {i for i, section in enumerate(sections) if rng.random() < _CHARACTER[section.name][3]}
        if k >= 2:  # decoration waits for the louder sections
            heard = {i for i in heard if rng.random() < 0.4 + 0.6 * sections[i].energy}
        parts.append(_part(name, RECIPES[name], frozenset(heard), rng))
    # Where nobody sings an instrument often takes the lead, so that "leads in the middle" are not all voices.
    unsung = frozenset(range(len(sections))) - vocals
    if rng.random() < (0.75 if unsung else 0.12):
        lead = str(rng.choice(idiom.leads))
        where = unsung or frozenset({int(rng.integers(len(sections)))})
        parts.append(_part(lead, RECIPES[lead], where, rng, solo=True))
    return parts


def _part(
    name: str, recipe: Recipe, sections: frozenset[int], rng: np.random.Generator, *, solo: bool = False
) -> Part:
    centre = float(rng.uniform(*recipe.register))
    if recipe.sound.startswith(("gm:", "synth:")):  # keyboards are wide
        centre += float(rng.choice([-12, 0, 12], p=[0.16, 0.76, 0.08]))
    return Part(name, recipe, centre, sections, solo)


def _filled(
    parts: list[Part], count: int, others: frozenset[int], rng: np.random.Generator
) -> tuple[Part, ...]:
    """The parts that play at all: one does, and somebody in each section that drums and bass leave empty."""
    idle = not any(part.sections for part in parts)
    for i in range(count):
        if (idle and i == 0) or (i not in others and not any(i in part.sections for part in parts)):
            k = int(rng.integers(len(parts)))
            parts[k] = Part(
                parts[k].name, parts[k].recipe, parts[k].centre, parts[k].sections | {i}, parts[k].solo
            )
    return tuple(part for part in parts if part.sections)


def _stops(frame: Frame, rng: np.random.Generator) -> tuple[tuple[float, float], ...]:
    """The band stops for a beat or more before a new section, now and then."""
    metre = frame.metre
    stops = []
    for section in frame.sections[:-1]:
        if rng.random() < 0.12:
            end = metre.at(section.first_bar + section.bars, 0)
            stops.append((end - metre.beat_s * float(rng.choice([1, 2, metre.beats])), end))
    return tuple(stops)
