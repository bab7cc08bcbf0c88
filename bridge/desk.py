"""The desk: one strip per stem, a master, and scenes. Frozen data; the session owns the one that counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from stembridge.model.errors import ArgumentValueError
from stembridge.model.units import MAX_GAIN_DB, SILENCE_DB

from .commands import INSTRUMENTAL

if TYPE_CHECKING:
    from stembridge.model.mixer import MixerState


class NotFoundError(ArgumentValueError, LookupError):
    """A stem, a scene or a job of a name that there is not."""


STEMS = ("drums", "bass", "other", "vocals")
"""The stems there are until a song says otherwise."""
RESIDUAL = "residual"
STRIPS = (*STEMS, "guitar", "piano", "accompaniment", RESIDUAL)
"""Every strip the desk keeps; those of absent stems hold their values until their stem is there again."""


@dataclass(frozen=True)
class Strip:
    """Where the controls of one stem stand."""

    gain_db: float = 0.0
    muted: bool = False
    soloed: bool = False
    pan: float = 0.0
    sensitivity: float = 5.0

    def __post_init__(self) -> None:
        if not SILENCE_DB <= self.gain_db <= MAX_GAIN_DB:
            raise ArgumentValueError(f"a gain is {SILENCE_DB:g} to {MAX_GAIN_DB:+g} dB; got {self.gain_db:g}")
        if not -1.0 <= self.pan <= 1.0:
            raise ArgumentValueError(f"a pan is -1 (left) to 1 (right); got {self.pan:g}")
        if not 0.0 <= self.sensitivity <= 10.0:
            raise ArgumentValueError(f"a sensitivity is 0 to 10; got {self.sensitivity:g}")


@dataclass(frozen=True)
class Desk:
    """Where everything stands."""

    strips: Mapping[str, Strip] = field(default_factory=lambda: dict.fromkeys(STRIPS, Strip()))
    master_gain_db: float = 0.0
    master_muted: bool = False

    def mixer_state(self, stems: Sequence[str]) -> MixerState:
        """What a mixer of these stems has to be told."""
        from stembridge.model.mixer import MixerState

        there = {stem: self.strips[stem] for stem in stems if stem in self.strips}
        return MixerState(
            gains_db={stem: strip.gain_db for stem, strip in there.items()},
            mutes=frozenset(stem for stem, strip in there.items() if strip.muted),
            solos=frozenset(stem for stem, strip in there.items() if strip.soloed),
            pans={stem: strip.pan for stem, strip in there.items()},
            master_gain_db=self.master_gain_db,
            master_mute=self.master_muted,
        )

    def to_data(self) -> dict[str, Any]:
        """Plain data for a file."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Desk:
        """The inverse of `to_data`; strips this version does not know are left out.

        Raises ArgumentValueError for data that is no desk.
        """
        try:
            strips = {name: Strip(**strip) for name, strip in data["strips"].items() if name in STRIPS}
            whole = {**dict.fromkeys(STRIPS, Strip()), **strips}
            return cls(whole, float(data["master_gain_db"]), bool(data["master_muted"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ArgumentValueError(f"not a desk of ours ({error!r})") from error


def members(name: str, stems: Sequence[str]) -> tuple[str, ...]:
    """The strips a name in an address stands for: itself, or the members of a group that are there.

    A number counts the stems from 1. Raises NotFoundError for a name that is no strip.

    >>> members("instrumental", STEMS), members("1", STEMS), members("residual", STEMS)
    (('drums', 'bass', 'other'), ('drums',), ('residual',))
    """
    if name == INSTRUMENTAL:
        return tuple(stem for stem in stems if stem != "vocals")
    if name.isascii() and name.isdigit() and 1 <= int(name[:6]) <= len(stems):
        return (stems[int(name[:6]) - 1],)
    if name in STRIPS:
        return (name,)
    raise NotFoundError(f"no stem {name[:40]!r}; there are {', '.join(stems)}, {RESIDUAL} and {INSTRUMENTAL}")
