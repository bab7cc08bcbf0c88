"""Drum kits for one song: sampled, synthesised, or both at once, tuned, placed and processed, then played.

Every song gets its own kit: pieces from one kit or several, layers, tuning, decay, equalisation, levels,
width, a room, and a character (lo-fi, breakbeat, gated ...). A piece is processed once, as a few one-shots;
playing is adding slices.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np

from ..audio import Audio
from ..errors import ArgumentValueError
from .drum_models import MODELS
from .drum_samples import KIT_FOLDERS, Instrument, SampledKit, SampleStore, installed_kits
from .drum_sound import Bus, Colour, Room, Shaper, placed
from .drum_synthesis import RATE, SynthesisedKit
from .grooves import style_named
from .score import Hit, Split

_LEVELS_DB = MappingProxyType(
    {
        "kick": -12.0,
        "snare": -17.0,
        "rim": -24.0,
        "clap": -21.0,
        "hihat-closed": -34.5,
        "hihat-open": -32.5,
        "hihat-pedal": -37.0,
        "tom-low": -19.0,
        "tom-mid": -20.0,
        "tom-high": -21.0,
        "crash": -27.0,
        "ride": -34.0,
        "splash": -29.0,
        "tambourine": -34.0,
        "shaker": -39.0,
        "cowbell": -28.0,
        "conga": -25.0,
    }
)
"""RMS of the loudest 50 ms of each piece struck hard, about which songs vary."""

_PAN = MappingProxyType(
    {
        "hihat-closed": 0.35,
        "tom-low": -0.5,
        "tom-mid": -0.1,
        "tom-high": 0.3,
        "crash": -0.45,
        "ride": -0.4,
        "splash": 0.2,
    }
)
"""Where pieces stand seen by the drummer's audience, -1 to 1; what is not here is placed by chance."""
_CENTRED = ("kick", "snare", "rim", "clap")
_TOGETHER = int(0.02 * RATE)
_HATS = ("hihat-closed", "hihat-open", "hihat-pedal")
_RELATED = MappingProxyType(
    {
        "hihat-pedal": "hihat-closed",
        "hihat-open": "crash",
        "splash": "crash",
        "ride": "crash",
        "tom-high": "tom-mid",
        "tom-mid": "tom-low",
        "tom-low": "tom-mid",
    }
)
_SALT = "drums-209"
"""Chosen so that both splits get real kits, machines, and models of either kind."""


def split_of(name: str) -> Split:
    """The split a kit or a model belongs to, by its name alone: about a fifth is held out."""
    digest = hashlib.sha256((_SALT + name).encode()).digest()
    return "validation" if digest[0] % 5 == 0 else "train"


def sources(folder: Path | None = None) -> list[tuple[str, str, str]]:
    """Name, licence and origin of every installed kit that songs may use, for the model card."""
    kits = installed_kits(_folders(folder))
    return [(kit.name, kit.licence, f"Hydrogen drum kit by {kit.author}") for kit in kits]


def _folders(folder: Path | None) -> tuple[Path, ...]:
    return KIT_FOLDERS if folder is None else (folder,)


class _Source(Protocol):
    def shots(self, piece: str, rng: np.random.Generator) -> list[Audio]:
        """A few strokes from soft to loud, each `(1 or 2, frames)`."""


@dataclass(frozen=True)
class _Sampled:
    """An instrument of a sampled kit."""

    instrument: Instrument
    store: SampleStore

    def shots(self, piece: str, rng: np.random.Generator) -> list[Audio]:
        layers = self.instrument.layers
        # Three layers say what velocity does to the sound; more would only cost time.
        chosen = range(len(layers)) if len(layers) <= 3 else sorted(rng.choice(len(layers), 3, replace=False))
        loaded = [self.store.load(layers[i], piece) for i in chosen]
        return [shot for shot in loaded if shot.shape[1] > 64]


@dataclass(frozen=True)
class _Machine:
    """A piece of a synthesised kit."""

    kit: SynthesisedKit

    def shots(self, piece: str, rng: np.random.Generator) -> list[Audio]:
        forces: tuple[float, ...] = (0.3, 0.55, 0.8, 1.0) if self.kit.acoustic else (0.45, 1.0)
        if piece in ("crash", "splash", "clap"):
            forces = (1.0,)
        return [self.kit.shot(piece, force, rng)[np.newaxis] for force in forces]


@dataclass(frozen=True)
class _Part:
    """One layer of the sound of a piece."""

    source: _Source
    piece: str
    gain_db: float
    colour: Colour


@dataclass(frozen=True)
class _Piece:
    """What a piece of this song's kit is made of and where it stands."""

    parts: tuple[_Part, ...]
    level_db: float
    pan: float
    width: float
    send_db: float


class DrumKit:
    """The kit of one song. Its sound depends on how it was drawn, not on what it plays first."""

    def __init__(
        self, names: tuple[str, ...], pieces: dict[str, _Piece], room: Room, bus: Bus, seed: int
    ) -> None:
        self.names = names
        """The kits and models its pieces come from."""
        self._pieces, self._room, self._bus, self._seed = pieces, room, bus, seed
        self._shots: dict[str, list[Audio]] = {}
        rng = np.random.default_rng(seed)
        self._exponent = rng.uniform(0.9, 2.0)
        self._choked = {"kick"} if rng.random() < 0.4 else set()
        self._choke_s = rng.uniform(0.008, 0.05)

    def play(self, hits: Sequence[Hit], frames: int, rng: np.random.Generator) -> Audio:
        """The hits as sound, `(2, frames)` at 44.1 kHz; what rings beyond the end is cut.

        Nothing is limited: a sample can exceed 1 where many pieces meet. Raises ArgumentValueError for
        fewer frames than none and for pieces nobody knows.
        """
        if frames < 0:
            raise ArgumentValueError(f"frames must be 0 or more; got {frames}")
        out = np.zeros((2, frames), np.float32)
        for hit, until in self._lengths(hits):
            shots = self._shots_of(hit.piece)
            start = int(hit.start_s * RATE)
            if not shots or start >= frames or start < 0:
                continue
            place = hit.velocity**1.3 * len(shots) + rng.normal(0.0, 0.25)
            shot = shots[int(np.clip(place, 0, len(shots) - 1))]
            gain = np.float32(hit.velocity**self._exponent * rng.uniform(0.94, 1.06))
            length = min(shot.shape[1], frames - start, until)
            part = gain * shot[:, :length]
            if length == until < shot.shape[1]:
                fade = min(int(self._choke_s * RATE), length)
                part[:, length - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
            out[:, start : start + length] += part
        return self._bus.through(out)

    def _lengths(self, hits: Sequence[Hit]) -> Iterable[tuple[Hit, int]]:
        """Each hit and the frames until something chokes it: hi-hats one another, some kicks themselves."""
        never = 1 << 40
        hats: list[int] = []
        next_self = dict.fromkeys(self._choked, never)
        lengths: list[tuple[Hit, int]] = []
        fade = int(self._choke_s * RATE)
        for hit in sorted(hits, key=lambda hit: hit.start_s, reverse=True):
            start, until = int(hit.start_s * RATE), never
            if hit.piece in _HATS:
                # Two hi-hats at once are one thick stroke: neither chokes the other.
                choking = (later for later in reversed(hats) if later - start > _TOGETHER)
                until = next(choking, never) - start + fade
                hats.append(start)
            elif hit.piece in next_self:
                until, next_self[hit.piece] = next_self[hit.piece] - start + fade, start
            lengths.append((hit, until))
        return reversed(lengths)

    def _shots_of(self, name: str) -> list[Audio]:
        """The processed one-shots of a piece, soft to loud, made when it is first struck."""
        if name not in self._shots:
            if name not in self._pieces:
                raise ArgumentValueError(f"a piece is one of {', '.join(self._pieces)}; got {name!r}")
            rng = np.random.default_rng([self._seed, zlib.crc32(name.encode())])
            piece = self._pieces[name]
            layers = [
                [part.colour.applied(shot, part.gain_db) for shot in part.source.shots(part.piece, rng)]
                for part in piece.parts
            ]
            layers = [layer for layer in layers if layer]
            count = max((len(layer) for layer in layers), default=0)
            self._shots[name] = [
                self._finished(
                    piece, [layer[min(k * len(layer) // count, len(layer) - 1)] for layer in layers]
                )
                for k in range(count)
            ]
        return self._shots[name]

    def _finished(self, piece: _Piece, layers: list[Audio]) -> Audio:
        sound = np.zeros((2, max(layer.shape[1] for layer in layers)), np.float32)
        for layer in layers:
            sound[:, : layer.shape[1]] += placed(layer, piece.pan, piece.width)
        sound *= np.float32(10.0 ** (piece.level_db / 20.0))
        return self._room.around(sound, piece.send_db)


class DrumKits:
    """The kits of one split, from which every song draws its own.

    Finds the Hydrogen kits in `folder` (default: where they are installed); none at all is fine, the
    synthesised models remain.
    """

    def __init__(self, split: Split, folder: Path | None = None) -> None:
        self.kits = tuple(kit for kit in installed_kits(_folders(folder)) if split_of(kit.name) == split)
        self.models = tuple(model for model in MODELS if split_of(model.name) == split)
        self._store = SampleStore()

    def choose(self, rng: np.random.Generator, style: str) -> DrumKit:
        """Draw the kit of one song. Raises ArgumentValueError for an unknown style."""
        wanted = style_named(style)
        sampled = wanted.sampled if self.kits else 0.0
        kinds = np.array([0.75 * sampled, 0.75 * (1.0 - sampled), 0.25 * min(1.0, 4.0 * sampled)])
        kind = ("sampled", "synthesised", "hybrid")[int(rng.choice(3, p=kinds / kinds.sum()))]
        shaper = Shaper(rng, wanted.characters)
        machine = SynthesisedKit(self.models[int(rng.integers(len(self.models)))], rng)
        main = self._main_kit(rng, wanted.sampled) if kind != "synthesised" else None
        mixing = rng.choice([0.0, 0.0, 0.3, 0.7]) if kind != "synthesised" else 0.0
        names: set[str] = set()
        pieces: dict[str, _Piece] = {}
        flip = rng.choice([-1.0, 1.0])
        for piece, level_db in _LEVELS_DB.items():
            source: _Source | None = None
            if main is not None and (kind == "sampled" or rng.random() < 0.5):
                source = self._sampled(piece, main, mixing, rng)
            if source is None:
                source = _Machine(machine)
            parts = [_Part(source, piece, 0.0, shaper.colour(piece))]
            parts += self._layers(piece, machine, kind, shaper, rng)
            names |= {p.source.instrument.kit for p in parts if isinstance(p.source, _Sampled)}
            names |= {p.source.kit.name for p in parts if isinstance(p.source, _Machine)}
            pan = flip * _PAN.get(piece, rng.uniform(-0.6, 0.6)) + rng.normal(0.0, 0.1)
            if piece in _CENTRED:
                pan = rng.normal(0.0, 0.03)
            elif piece in _HATS:  # one pair of cymbals stands in one place
                pan = pieces[_HATS[0]].pan / max(shaper.width, 1e-6) if _HATS[0] in pieces else pan
            pieces[piece] = _Piece(
                tuple(parts),
                level_db + rng.normal(0.0, 2.5) + shaper.level_db(piece),
                float(np.clip(pan * shaper.width, -1.0, 1.0)),
                shaper.width * (0.35 if piece in _CENTRED else 0.9),
                shaper.send_db(piece),
            )
        return DrumKit(tuple(sorted(names)), pieces, shaper.room(), shaper.bus(), int(rng.integers(1 << 31)))

    def _main_kit(self, rng: np.random.Generator, acoustic: float) -> SampledKit:
        """A whole kit, one with layers the likelier the more acoustic the style is."""
        whole = [kit for kit in self.kits if {"kick", "snare", "hihat-closed"} <= set(kit.pieces)]
        whole = whole or list(self.kits)
        layered = [any(len(i.layers) > 2 for i in kit.pieces.get("snare", ())) for kit in whole]
        weights = np.where(layered, 0.15 + acoustic, 1.15 - acoustic)
        return whole[int(rng.choice(len(whole), p=weights / weights.sum()))]

    def _sampled(
        self, piece: str, main: SampledKit, mixing: float, rng: np.random.Generator
    ) -> _Source | None:
        """An instrument for the piece: of the main kit, of another, or of a related piece."""
        own = main.pieces.get(piece, ())
        others = [
            instrument for kit in self.kits if kit is not main for instrument in kit.pieces.get(piece, ())
        ]
        pool = own if own and (not others or rng.random() >= mixing) else others
        if not pool and piece in _RELATED:
            pool = main.pieces.get(_RELATED[piece], ())
        return _Sampled(pool[int(rng.integers(len(pool)))], self._store) if pool else None

    def _layers(
        self, piece: str, machine: SynthesisedKit, kind: str, shaper: Shaper, rng: np.random.Generator
    ) -> list[_Part]:
        """What lies under or over a piece: a sub under the kick, a clap or a second snare over the snare."""
        chance = {"sampled": 0.2, "synthesised": 0.12, "hybrid": 0.5}[kind]
        if piece == "kick" and rng.random() < 2.2 * chance:
            return [_Part(_Machine(machine), "kick", rng.uniform(-9.0, 0.0), shaper.sub())]
        if piece == "snare" and rng.random() < chance:
            over = str(rng.choice(["clap", "snare", "rim", "tom-high"]))
            pool = [i for kit in self.kits for i in kit.pieces.get(over, ())]
            source: _Source = _Machine(machine)
            if pool and kind != "synthesised":
                source = _Sampled(pool[int(rng.integers(len(pool)))], self._store)
            return [_Part(source, over, rng.uniform(-12.0, -2.0), shaper.colour(over))]
        return []
