"""From flags, a preset and config to what one master is asked to do: flag over preset over config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from stembridge.model.mastering import MasterSpec
from stembridge.model.mastering.spec import DEFAULT_TEMPLATE
from stembridge.model.mixer import MixerState
from stembridge.model.registry import Device
from stembridge.model.rendering import Version

from .config import Config
from .inputs import Song
from .presets import Preset, load_preset
from .requests import output_format, rate_of

OFF = "off"
"""The true-peak ceiling that is none."""


@dataclass(frozen=True)
class MasterRequest:
    """The flags of `master` as they were given, before a preset and config fill the gaps; None: not given.

    A preset's chains, gains and settings of the separation count, and its format; what it says about files
    of stems is for `render`.
    """

    preset: str | None = None
    reference: Path | None = None
    mix_amount: float | None = None
    lufs: float | None = None
    true_peak: float | str | None = None
    """dBTP, or `off`."""
    lookahead_ms: float | None = None
    release_ms: float | None = None
    sample_rate: str | None = None
    format: str | None = None
    bit_depth: str | None = None
    out: Path | None = None
    filename: str | None = None
    preview: bool = False
    drawn: bool = False
    model: str | None = None
    stems_from: Path | None = None
    device: str | None = None
    overwrite: bool = False
    seed: int = 0

    def spec(self, song: Song, config: Config) -> MasterSpec:
        """What mastering one song with these flags means.

        Raises ArgumentValueError for values that do not go together, PresetError for a bad preset.
        """
        preset = load_preset(self.preset) if self.preset is not None else Preset(name="")
        defaults = config.render

        def choose(key: str) -> Any:
            for place in (self, preset.master, preset.render, defaults):
                if (value := getattr(place, key, None)) is not None:
                    return value
            return None

        given: dict[str, Any] = {
            key: value
            for key in ("mix_amount", "true_peak", "lookahead_ms", "release_ms")
            if (value := choose(key)) is not None
        }
        if given.get("true_peak") == OFF:
            given["true_peak"] = None
        return MasterSpec(
            source=song.path,
            tree=song.tree,
            out=self.out or Path("mastered"),
            filename=self.filename or DEFAULT_TEMPLATE,
            treatment=_treatment(preset),
            reference=choose("reference"),
            lufs=choose("lufs"),
            sample_rate=rate_of(choose("sample_rate")),
            format=output_format(choose("format"), choose("bit_depth"), self.bit_depth is not None),
            seed=self.seed,
            preview=self.preview,
            drawn=self.drawn,
            model=(self.model or "default") if self.stems_from is not None else choose("model"),
            stems_from=self.stems_from,
            residual=choose("residual"),
            sensitivity=preset.render.sensitivity,
            device=cast(Device, self.device or defaults.device),
            overwrite=self.overwrite or defaults.overwrite,
            plugin_folders=config.plugins.folders,
            **given,
        )


def _treatment(preset: Preset) -> Version:
    state = MixerState(
        gains_db=preset.gains_db,
        mutes=frozenset(preset.render.mute),
        solos=frozenset(preset.render.solo),
        pans=preset.pan,
    )
    return Version(
        name=preset.name or None, mixer=state, chains=preset.stem_chains, mix_chain=preset.mix_chain
    )
