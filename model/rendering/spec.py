"""What one song's render is asked to do: plain frozen data, checked against each other, no work done."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

from ..audio import OutputFormat
from ..automation import Automation
from ..errors import ArgumentValueError
from ..mixer import MixerState
from ..plugins.chain_spec import ChainSpec
from ..registry import Device
from ..residual import RESIDUAL_POLICIES, ResidualPolicy
from ..units import Time
from .naming import DEFAULT_TEMPLATE, check_template

Overs = Literal["gain", "clip", "error"]
OVERS: tuple[Overs, ...] = get_args(Overs)

UNTIL_SILENT = "until-silent"


@dataclass(frozen=True)
class Version:
    """One way to treat and sum the stems; one separation can serve several."""

    name: str | None = None
    """A preset's name, which its mix is named after; None for what plain flags ask for."""
    mixer: MixerState = field(default_factory=MixerState)
    automation: Automation | None = None
    """Moves of the mixer along the song; `mixer` is where it stands before the first."""
    submixes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    chains: Mapping[str, ChainSpec] = field(default_factory=dict)
    mix_chain: ChainSpec | None = None
    mix: bool = False
    """Whether the mix was asked for by itself."""

    @property
    def remixes(self) -> bool:
        """Whether it is about a mix of its own: a preset, or any gain, mute, solo, pan, submix, mix chain."""
        touched = self.mixer != MixerState() or bool(self.submixes) or self.mix_chain is not None
        return touched or self.automation is not None or self.name is not None

    @property
    def implies_mix(self) -> bool:
        """Whether a mix is written."""
        return self.mix or self.remixes

    @property
    def mix_name(self) -> str:
        """What the mix is called in place of a stem's name."""
        return self.name or "mix"


@dataclass(frozen=True)
class RenderSpec:
    """One song and everything that decides what becomes of it.

    Raises ArgumentValueError for values that contradict each other.
    """

    source: Path
    out: Path = Path("separated")
    filename: str = DEFAULT_TEMPLATE
    tree: PurePosixPath | None = None
    """The sub-folder of a folder input that the song was found in; outputs keep it."""
    model: str = "default"
    stems_from: Path | None = None
    stems: tuple[str, ...] | None = None
    """Which stems to write; None: all of them, unless a version remixes them."""
    two_stems: str | None = None
    versions: tuple[Version, ...] = (Version(),)
    format: OutputFormat = field(default_factory=OutputFormat)
    overs: Overs = "gain"
    sample_rate: int | None = None
    """None keeps the source's."""
    residual: ResidualPolicy = "other"
    sensitivity: Mapping[str, float] = field(default_factory=dict)
    start: Time | None = None
    end: Time | None = None
    preroll_s: float | None = None
    """Where chains start before a region; None: at the start of the song."""
    preview_s: float | None = None
    """Render only the loudest so many seconds."""
    tail: float | Literal["until-silent"] = 0.0
    """Seconds to let chains ring out past the end of the song."""
    post_fader: bool = False
    dry: bool = False
    device: Device = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the separator (`segment`, `overlap`, `shifts`)."""
    overwrite: bool = False
    seed: int = 0
    plugin_folders: tuple[Path, ...] = ()
    """Where plug-ins are looked for before the system's own folders."""

    def __post_init__(self) -> None:
        for name in ("source", "out", "stems_from"):
            if isinstance(value := getattr(self, name), str):
                object.__setattr__(self, name, Path(value))
        check_template(self.filename)
        if self.overs not in OVERS:
            raise ArgumentValueError(f"overs is one of {', '.join(OVERS)}; got {self.overs!r}")
        if self.residual not in RESIDUAL_POLICIES:
            raise ArgumentValueError(
                f"residual is one of {', '.join(RESIDUAL_POLICIES)}; got {self.residual!r}"
            )
        if self.sample_rate is not None and not 8000 <= self.sample_rate <= 192_000:
            raise ArgumentValueError(f"a sample rate lies between 8000 and 192000 Hz; got {self.sample_rate}")
        if self.tail != UNTIL_SILENT and not (isinstance(self.tail, int | float) and 0 <= self.tail <= 600):
            raise ArgumentValueError(f"a tail is 0 to 600 seconds or {UNTIL_SILENT!r}; got {self.tail!r}")
        for name, seconds in (("preroll", self.preroll_s), ("preview", self.preview_s)):
            if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
                raise ArgumentValueError(f"{name} is a number of seconds, 0 or more; got {seconds}")
        if self.preview_s == 0:
            raise ArgumentValueError("a preview of 0 seconds holds nothing: give it some seconds")
        if self.stems_from is not None and self.model != "default":
            raise ArgumentValueError(
                f"stems come either from {self.stems_from} or from the model {self.model}: leave one out"
            )
        if self.preview_s is not None and (self.start is not None or self.end is not None):
            raise ArgumentValueError("a preview chooses its own region: leave out either it or start and end")
        if self.stems is not None and self.two_stems is not None:
            raise ArgumentValueError("--stems and --two-stems both choose what to write: leave one out")
        names = [version.mix_name for version in self.versions]
        if len(set(names)) != len(names):
            raise ArgumentValueError(f"two versions would be written under one name: {', '.join(names)}")
        if len(self.versions) > 1 and self.post_fader:
            raise ArgumentValueError(
                f"post-fader stems need one set of gains, and {', '.join(names)} each have their own: "
                "render one preset at a time"
            )
        if len(self.versions) > 1 and self.writes_stems and not self.dry:
            treated = [version.mix_name for version in self.versions if version.chains]
            if treated:
                raise ArgumentValueError(
                    f"stems of several presets would be treated differently ({', '.join(treated)}): "
                    "add --dry to write them untreated, or render one preset at a time"
                )

    @property
    def writes_stems(self) -> bool:
        """Whether stems are written beside or instead of mixes."""
        if self.stems is not None or self.two_stems is not None or self.post_fader:
            return True
        return not any(version.remixes for version in self.versions)
