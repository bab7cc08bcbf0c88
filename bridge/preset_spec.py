"""What a preset can say, as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stembridge.model.errors import StembridgeError
from stembridge.model.plugins.chain_spec import ChainSpec

SCHEMA = 1
"""The newest form of preset files that this version reads and writes."""

MIX = "mix"
"""The name under which the mix has its chain."""


class PresetError(StembridgeError, ValueError):
    """A preset that is not there, or does not say what a preset can say."""


@dataclass(frozen=True)
class RenderSettings:
    """The flags of `render` that a preset can set, under the same names; None: not set."""

    model: str | None = None
    stems: tuple[str, ...] | None = None
    two_stems: str | None = None
    mute: tuple[str, ...] = ()
    solo: tuple[str, ...] = ()
    submix: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sensitivity: Mapping[str, float] = field(default_factory=dict)
    tail: float | str | None = None
    """Seconds, or `until-silent`."""
    mix: bool | None = None
    post_fader: bool | None = None
    residual: str | None = None
    format: str | None = None
    bit_depth: str | None = None
    overs: str | None = None
    sample_rate: int | str | None = None
    """Hz, or `keep`."""


@dataclass(frozen=True)
class MasterSettings:
    """What `master` aims at; None: not set."""

    lufs: float | None = None
    true_peak: float | None = None
    mix_amount: float | None = None
    reference: str | None = None
    """A song to sound like; relative to the preset."""
    lookahead_ms: float | None = None
    release_ms: float | None = None


@dataclass(frozen=True)
class Preset:
    """One preset, read and checked."""

    name: str
    description: str = ""
    render: RenderSettings = field(default_factory=RenderSettings)
    gains_db: Mapping[str, float] = field(default_factory=dict)
    pan: Mapping[str, float] = field(default_factory=dict)
    chains: Mapping[str, ChainSpec] = field(default_factory=dict)
    """Per stem; the chain of the mix is under `mix`."""
    master: MasterSettings = field(default_factory=MasterSettings)
    path: Path | None = None

    @property
    def stem_chains(self) -> dict[str, ChainSpec]:
        """The chains of stems, without the mix's."""
        return {stem: chain for stem, chain in self.chains.items() if stem != MIX}

    @property
    def mix_chain(self) -> ChainSpec | None:
        """The chain the mix goes through, if any."""
        return self.chains.get(MIX)
