"""Sampled drum kits in Hydrogen's format: which are installed, whose they are, what plays which piece.

A kit is a folder with a `drumkit.xml`: instruments with velocity layers, each layer one file. Only kits
whose licence lets everybody pass the sounds on are taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from xml.etree import ElementTree

import numpy as np

from ..audio import Audio
from .drum_synthesis import RATE

KIT_FOLDERS = (
    Path("/usr/share/hydrogen/data/drumkits"),
    Path("/usr/local/share/hydrogen/data/drumkits"),
    Path.home() / ".hydrogen/data/drumkits",
    Path.home() / ".local/share/hydrogen/data/drumkits",
)
"""Where Hydrogen keeps its kits (Debian: hydrogen-drumkits)."""

_FREE = re.compile(
    r"\b(a?gpl|lgpl|cc-?by|cc-?0|cc0|attribution|public domain|creative commons 0|general public)", re.I
)
_UNFREE = re.compile(r"non-?commercial|\bnc\b|no-?deriv|\bnd\b|-nc|-nd|sampling", re.I)

_RULES: tuple[tuple[str, str], ...] = (
    (r"roll|swish|choke|fx|zap|whistle|water|^\d+$", ""),
    (r"kick|bass ?drum|^bd|thump", "kick"),
    (r"djembe|conga|bongo|cajon|^drum|breaks drum", "conga"),
    (r"dununba.*head", "tom-low"),
    (r"sangban.*head", "tom-mid"),
    (r"kenkeni.*head", "tom-high"),
    (r"cowbell|agogo|clave|woodblock|(sangban|dununba|kenkeni).*bell", "cowbell"),
    (r"rim ?click|side ?stick|stick|click|rim ?shot only", "rim"),
    (r"snare|^sd|opaco", "snare"),
    (r"clap|snap", "clap"),
    (r"tambourine", "tambourine"),
    (r"shaker|maraca", "shaker"),
    (r"\btom.*(low|floor)|(low|floor).*tom", "tom-low"),
    (r"\btom.*mid|(mid|middle).*tom|tom 2|^tom$", "tom-mid"),
    (r"\btom", "tom-high"),
    (r"(pedal|foot).*(hh|hat)|(hh|hat).*(pedal|foot|\bpd)", "hihat-pedal"),
    (r"(open|ohh|free).*(hh|hat)?|(hh|hat).*(open|op\b|free)|ohh", "hihat-open"),
    (r"hh|hat", "hihat-closed"),
    (r"splash", "splash"),
    (r"crash|china|cymbal", "crash"),
    (r"ride", "ride"),
)
"""What the name of an instrument says about the piece it plays; the first rule that fits decides."""

_LONGEST_S = MappingProxyType({"crash": 3.5, "ride": 3.0, "hihat-open": 2.0, "splash": 2.0})
_FLOOR = 10.0 ** (-60.0 / 20.0)


@dataclass(frozen=True)
class Layer:
    """One file of an instrument, and the velocity up to which it is meant."""

    path: Path
    velocity: float
    semitones: float


@dataclass(frozen=True)
class Instrument:
    """One sound of a kit, its layers from soft to loud."""

    kit: str
    piece: str
    name: str
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class SampledKit:
    """A kit as its `drumkit.xml` tells it."""

    name: str
    author: str
    licence: str
    folder: Path
    pieces: Mapping[str, tuple[Instrument, ...]]


def installed_kits(folders: Iterable[Path]) -> tuple[SampledKit, ...]:
    """The kits in these folders that may be passed on, by name; what cannot be read is left out."""
    found: dict[str, SampledKit] = {}
    for folder in folders:
        for file in sorted(folder.glob("*/drumkit.xml")):
            kit = read_kit(file)
            if kit is not None:
                found.setdefault(kit.name, kit)
    return tuple(found[name] for name in sorted(found))


def read_kit(file: Path) -> SampledKit | None:
    """One kit, or None where it is damaged, empty, or its licence is unknown or forbids passing it on."""
    try:
        root = ElementTree.fromstring(file.read_text(encoding="utf-8", errors="replace"))
    except (ElementTree.ParseError, OSError):
        return None
    for element in root.iter():  # older kits have no namespace, newer ones have
        element.tag = element.tag.rsplit("}", 1)[-1]
    licence = (root.findtext("license") or root.findtext("licence") or _licence_beside(file.parent)).strip()
    if not is_free(licence):
        return None
    name = (root.findtext("name") or file.parent.name).strip()
    pieces: dict[str, list[Instrument]] = {}
    for element in root.iter("instrument"):
        instrument = _instrument(element, name, file.parent)
        if instrument is not None:
            pieces.setdefault(instrument.piece, []).append(instrument)
    if not pieces:
        return None
    author = (root.findtext("author") or "unknown").strip()
    return SampledKit(
        name, author, licence, file.parent, MappingProxyType({p: tuple(i) for p, i in pieces.items()})
    )


def is_free(licence: str) -> bool:
    """Whether a licence, as a kit words it, lets everybody change the sounds and pass them on.

    >>> is_free("GPL"), is_free("CC-BY-NC 3.0"), is_free("")
    (True, False, False)
    """
    return bool(_FREE.search(licence)) and not _UNFREE.search(licence)


def _licence_beside(folder: Path) -> str:
    """What the papers next to a kit say, for kits that do not say it in their XML."""
    for name in ("LICENSE", "COPYING", "README", "README.txt"):
        if (folder / name).is_file():
            text = (folder / name).read_text(encoding="utf-8", errors="replace")
            if "GNU General Public License" in " ".join(text.split()) or "GNU GPL" in text:
                return "GPL"
    return ""


def piece_named(name: str) -> str:
    """The piece an instrument of this name plays; empty where it plays none.

    >>> piece_named("Sabian Hat Open"), piece_named("Pearl Tom Floor"), piece_named("Zap 1")
    ('hihat-open', 'tom-low', '')
    """
    lower = name.strip().lower()
    return next((piece for pattern, piece in _RULES if re.search(pattern, lower)), "")


def _instrument(element: ElementTree.Element, kit: str, folder: Path) -> Instrument | None:
    name = element.findtext("name") or ""
    piece = piece_named(name)
    layers = []
    for layer in [*element.iter("layer"), element]:
        file = layer.findtext("filename")
        if file and "empty" not in file.lower() and (folder / file).is_file():
            layers.append(
                Layer(
                    folder / file, float(layer.findtext("max") or 1.0), float(layer.findtext("pitch") or 0.0)
                )
            )
    if not piece or not layers:
        return None
    return Instrument(kit, piece, name, tuple(sorted(layers, key=lambda layer: (layer.velocity, layer.path))))


class SampleStore:
    """Samples as they are played: at 44.1 kHz, cut to where they sound; read once and kept."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Layer, str], Audio] = {}

    def load(self, layer: Layer, piece: str) -> Audio:
        """One sample at its pitch, `(1 or 2, frames)`, its peak at 1; silence is one frame of silence."""
        key = (layer, piece)
        if key not in self._kept:
            self._kept[key] = _read(layer.path, layer.semitones, _LONGEST_S.get(piece, 1.6))
        return self._kept[key]


def _read(path: Path, semitones: float, longest_s: float) -> Audio:
    import soundfile
    import soxr

    data, rate = soundfile.read(path, dtype="float32", always_2d=True)
    rate *= 2.0 ** (semitones / 12.0)
    if rate != RATE:
        data = soxr.resample(data, rate, RATE)
    loud = np.abs(data).max(axis=1)
    peak = float(loud.max(initial=0.0))
    if peak < 1e-6 or not np.isfinite(peak):
        return np.zeros((1, 1), np.float32)
    sounding = np.flatnonzero(loud > _FLOOR * peak)
    # A little before the first sound: the foot of an attack is part of it.
    first = max(int(np.flatnonzero(loud > 0.01 * peak)[0]) - 40, 0)
    last = min(int(sounding[-1]) + 1, first + int(longest_s * RATE))
    cut = np.ascontiguousarray(data[first:last, :2].T / np.float32(peak))
    fade = min(cut.shape[1], 600)
    cut[:, -fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    if cut.shape[0] == 2 and float(np.abs(cut[0] - cut[1]).max()) < 1e-4:
        cut = np.ascontiguousarray(cut[:1])
    return cut
