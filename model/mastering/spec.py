"""What mastering is asked to do: plain frozen data, checked against each other, no work done."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

from ..audio import OutputFormat
from ..dsp.limiter import LOOKAHEAD_MS, RELEASE_MS
from ..errors import ArgumentValueError
from ..mixer import MixerState
from ..registry import Device
from ..rendering import RenderSpec, Version
from ..rendering.naming import check_template
from ..residual import ResidualPolicy

Anchor = Literal["programme", "loudest"]
ANCHORS: tuple[Anchor, ...] = get_args(Anchor)

DEFAULT_TEMPLATE = "{track}.{ext}"
DEFAULT_TRUE_PEAK = -1.0

PREVIEW_S = 30.0
"""Length of the A/B previews."""


@dataclass(frozen=True)
class MasterSpec:
    """One song and everything that decides how it is mastered, in the order it is done.

    Raises ArgumentValueError for values that cannot be or contradict each other.
    """

    source: Path
    out: Path = Path("mastered")
    filename: str = DEFAULT_TEMPLATE
    tree: PurePosixPath | None = None
    """The sub-folder of a folder input that the song was found in; outputs keep it."""
    treatment: Version = field(default_factory=Version)
    """Chains of stems and of the mix, and a remix of the stems; only what touches stems separates them."""
    reference: Path | None = None
    """A song whose level and spectrum are matched after the chain (needs the package matchering)."""
    mix_amount: float = 1.0
    """How much of the treated sound: 0 is the song as it came, 1 the treated one alone."""
    lufs: float | None = None
    """The integrated loudness to reach; None leaves loudness alone."""
    sample_rate: int | None = None
    """None keeps the source's."""
    true_peak: float | None = DEFAULT_TRUE_PEAK
    """The ceiling in dBTP that holds in the file as written; None: no limiter."""
    lookahead_ms: float = LOOKAHEAD_MS
    release_ms: float = RELEASE_MS
    """How the limiter acts; see `dsp.limiter`."""
    format: OutputFormat = field(default_factory=OutputFormat)
    seed: int = 0
    """Of the dither."""
    preview: bool = False
    """Whether loudness-matched previews before and after are written too."""
    drawn: bool = False
    """Whether the result carries what a report draws: waveform, loudness over time, spectrum."""
    model: str = "default"
    stems_from: Path | None = None
    residual: ResidualPolicy = "other"
    sensitivity: Mapping[str, float] = field(default_factory=dict)
    device: Device = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)
    """What stems are separated by, as in a `RenderSpec`."""
    overwrite: bool = False
    plugin_folders: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        for name in ("source", "out", "stems_from", "reference"):
            if isinstance(value := getattr(self, name), str):
                object.__setattr__(self, name, Path(value))
        check_template(self.filename, needed=("ext",))
        if not (_number(self.mix_amount) and 0 <= self.mix_amount <= 1):
            raise ArgumentValueError(f"mix amount is 0 (dry) to 1 (wet); got {self.mix_amount!r}")
        if self.lufs is not None and not (_number(self.lufs) and -70 <= self.lufs <= 0):
            raise ArgumentValueError(f"a loudness to reach is -70 to 0 LUFS; got {self.lufs!r}")
        if self.true_peak is not None and not (_number(self.true_peak) and -40 <= self.true_peak <= 0):
            raise ArgumentValueError(f"a true-peak ceiling is -40 to 0 dBTP; got {self.true_peak!r}")
        if not (_number(self.lookahead_ms) and 0.5 <= self.lookahead_ms <= 50):
            raise ArgumentValueError(f"the limiter looks 0.5 to 50 ms ahead; got {self.lookahead_ms!r}")
        if not (_number(self.release_ms) and 5 <= self.release_ms <= 5000):
            raise ArgumentValueError(f"the limiter lets go in 5 to 5000 ms; got {self.release_ms!r}")
        if self.treatment.submixes:
            raise ArgumentValueError("a master is one mix; submixes are for render")
        _ = self.rendering  # what a render of it would refuse

    @property
    def rendering(self) -> RenderSpec:
        """The render that makes the treated mix from stems."""
        return RenderSpec(
            source=self.source,
            out=self.out,
            tree=self.tree,
            model=self.model,
            stems_from=self.stems_from,
            versions=(self.treatment,),
            format=self.format,
            sample_rate=self.sample_rate,
            residual=self.residual,
            sensitivity=self.sensitivity,
            device=self.device,
            options=self.options,
            overwrite=self.overwrite,
            seed=self.seed,
            plugin_folders=self.plugin_folders,
        )

    @property
    def separates(self) -> bool:
        """Whether stems are needed: they are treated or remixed."""
        touched = self.treatment.mixer != MixerState() or bool(self.treatment.chains)
        return touched and self.mix_amount > 0

    @property
    def treats(self) -> bool:
        """Whether anything is done to the sound before its level."""
        chained = self.treatment.mix_chain is not None and bool(self.treatment.mix_chain.plugins)
        return self.mix_amount > 0 and (self.separates or chained or self.reference is not None)


@dataclass(frozen=True)
class AlbumSpec:
    """Songs that are mastered by one gain, so that they keep their levels among each other.

    Raises ArgumentValueError where they aim at different loudness.
    """

    songs: tuple[MasterSpec, ...]
    anchor: Anchor = "programme"
    """What reaches the loudness: all songs as one programme, or the loudest of them."""

    def __post_init__(self) -> None:
        if self.anchor not in ANCHORS:
            raise ArgumentValueError(f"an album's anchor is one of {', '.join(ANCHORS)}; got {self.anchor!r}")
        if not self.songs:
            raise ArgumentValueError("an album has one song or more; got none")
        if len({song.lufs for song in self.songs}) > 1:
            raise ArgumentValueError("an album has one loudness to reach; its songs ask for several")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
