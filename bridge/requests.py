"""From flags, presets and config to what one render is asked to do: flag over preset over config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from stembridge.model.audio import BitDepth, Container, OutputFormat
from stembridge.model.automation import read_automation
from stembridge.model.errors import ArgumentValueError
from stembridge.model.mixer import MixerState
from stembridge.model.plugins.chain_spec import ChainSpec
from stembridge.model.registry import Device
from stembridge.model.rendering import RenderSpec, Version
from stembridge.model.units import parse_time

from .config import Config
from .inputs import Song
from .presets import MIX, Preset, load_preset


@dataclass(frozen=True)
class RenderRequest:
    """The flags of `render` as they were given, before presets and config fill the gaps; None: not given."""

    model: str | None = None
    stems_from: Path | None = None
    out: Path | None = None
    filename: str | None = None
    stems: tuple[str, ...] | None = None
    two_stems: str | None = None
    gain: Mapping[str, float] = field(default_factory=dict)
    pan: Mapping[str, float] = field(default_factory=dict)
    mute: tuple[str, ...] = ()
    solo: tuple[str, ...] = ()
    submix: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sensitivity: Mapping[str, float] = field(default_factory=dict)
    mix: bool | None = None
    preset: tuple[str, ...] = ()
    chain: Mapping[str, str] = field(default_factory=dict)
    tail: str | None = None
    automation: Path | None = None
    post_fader: bool | None = None
    dry: bool = False
    format: str | None = None
    bit_depth: str | None = None
    overs: str | None = None
    sample_rate: str | None = None
    residual: str | None = None
    start: str | None = None
    end: str | None = None
    preroll: float | None = None
    preview: float | None = None
    device: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    overwrite: bool = False
    seed: int = 0

    def spec(self, song: Song, config: Config) -> RenderSpec:
        """What rendering one song with these flags means.

        Raises ArgumentValueError for values that do not go together, PresetError for a bad preset.
        """
        presets = [load_preset(name) for name in self.preset]
        defaults = config.render

        def choose(key: str) -> Any:
            flag = getattr(self, key)
            if flag is not None:
                return flag
            preset = _agreed(presets, key)
            return preset if preset is not None else getattr(defaults, key, None)

        residual, overs = choose("residual"), choose("overs")
        return RenderSpec(
            source=song.path,
            tree=song.tree,
            out=self.out or defaults.out,
            filename=self.filename or defaults.filename,
            model=self._model(choose("model")),
            stems_from=self.stems_from,
            stems=self.stems if self.two_stems is not None else choose("stems"),
            two_stems=self.two_stems if self.stems is not None else choose("two_stems"),
            versions=self._versions(presets),
            format=output_format(choose("format"), choose("bit_depth"), self.bit_depth is not None),
            overs=overs,
            sample_rate=rate_of(choose("sample_rate")),
            residual=residual,
            sensitivity={**(_agreed(presets, "sensitivity") or {}), **self.sensitivity},
            start=parse_time(self.start) if self.start is not None else None,
            end=parse_time(self.end) if self.end is not None else None,
            preroll_s=self.preroll,
            preview_s=self.preview,
            tail=_tail(choose("tail")),
            post_fader=bool(choose("post_fader")),
            dry=self.dry,
            device=cast(Device, self.device or defaults.device),
            options=self.options,
            overwrite=self.overwrite or defaults.overwrite,
            seed=self.seed,
            plugin_folders=config.plugins.folders,
        )

    def _model(self, chosen: str) -> str:
        """The model: none, where stems come from files and no flag asks for one."""
        return self.model or "default" if self.stems_from is not None else chosen

    def _versions(self, presets: list[Preset]) -> tuple[Version, ...]:
        chains = {stem: _stem_chain(stem, name) for stem, name in self.chain.items()}
        return tuple(self._version(preset, chains) for preset in presets or [Preset(name="")])

    def _version(self, preset: Preset, chains: Mapping[str, ChainSpec]) -> Version:
        state = MixerState(
            gains_db={**preset.gains_db, **self.gain},
            mutes=frozenset((*preset.render.mute, *self.mute)),
            solos=frozenset((*preset.render.solo, *self.solo)),
            pans={**preset.pan, **self.pan},
        )
        return Version(
            name=preset.name or None,
            mixer=state,
            submixes={**preset.render.submix, **self.submix},
            chains={**preset.stem_chains, **{s: c for s, c in chains.items() if s != MIX}},
            mix_chain=chains.get(MIX, preset.mix_chain),
            automation=None if self.automation is None else read_automation(self.automation),
            mix=bool(self.mix if self.mix is not None else preset.render.mix),
        )


def _agreed(presets: list[Preset], key: str) -> Any:
    """What the presets say about a setting that one separation can have only once."""
    said = {
        preset.name: value for preset in presets if (value := getattr(preset.render, key, None)) is not None
    }
    said = {name: value for name, value in said.items() if value != {} and value != ()}
    values = list(said.values())
    if any(value != values[0] for value in values):
        raise ArgumentValueError(
            f"presets {' and '.join(said)} ask for different {key.replace('_', ' ')}: "
            f"render them one at a time, or give --{key.replace('_', '-')}"
        )
    return values[0] if values else None


def _stem_chain(stem: str, name: str) -> ChainSpec:
    preset = load_preset(name)
    chain = preset.chains.get(stem) or preset.chains.get(MIX)
    if chain is None:
        there = ", ".join(preset.chains) or "none"
        raise ArgumentValueError(
            f"preset {name} has no chain for {stem} and none for the mix (its chains: {there})"
        )
    return chain


def output_format(container: Container, bit_depth: BitDepth, chosen: bool) -> OutputFormat:
    # 32f is the default everywhere but where it cannot be; only asking for it by name is an error there.
    if container == "flac" and bit_depth == "32f" and not chosen:
        bit_depth = "24"
    return OutputFormat(container, bit_depth)


def rate_of(value: str | int | None) -> int | None:
    if value is None or value == "keep":
        return None
    try:
        return int(value)
    except ValueError as error:
        raise ArgumentValueError(f"a sample rate is 'keep' or a number of Hz; got {value!r}") from error


def _tail(value: str | float | None) -> Any:
    if value is None or value == "until-silent":
        return value or 0.0
    try:
        return float(value)
    except ValueError as error:
        raise ArgumentValueError(f"a tail is a number of seconds or until-silent; got {value!r}") from error
