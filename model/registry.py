"""Which separators there are, what they need, and how to make one for a stream.

Our networks are checkpoints in `model/weights/`; the path of any other checkpoint is a name, too. What is
known about them stands in their headers. Other people's models are in `other_models`.

Nothing is imported before it is needed: listing costs next to nothing, and torch is only imported where a
network runs or a device other than the CPU is asked for.

>>> separator_entry("repet").stems
('accompaniment', 'vocals')
>>> create_separator("repet", 96000, 2, window_s=10.0).sample_rate
96000
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, cast, get_args

from .errors import ArgumentTypeError, ArgumentValueError, ModelMissingError
from .separators.protocol import Separator

Device = Literal["auto", "cpu", "cuda", "mps"]
DEVICES: tuple[Device, ...] = get_args(Device)

DEFAULT = "band-mixer"
"""What the name `default` stands for."""

WEIGHTS = Path(__file__).with_name("weights")
"""Where our own checkpoints lie."""
NETWORKS = ("band-mixer", "live", "unet", "cnn-blstm", "parallel-encoder")
"""Those that are meant to lie there, in the order they are shown."""
CHECKPOINT_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class SeparatorEntry:
    """One separator: what it gives, what it needs, where it lives."""

    name: str
    description: str
    stems: tuple[str, ...]
    """Empty where they depend on the files given."""
    residual_stem: str
    module: str
    class_name: str
    latency_s: float
    """Seconds held back with the default options at 44.1 kHz."""
    licence: str = "GPL-3.0-or-later"
    needs: str = "nothing: training-free"
    max_rate: int | None = 48000
    """The highest rate it runs at itself, in Hz; above, it is resampled. None: any rate."""
    max_channels: int | None = 2
    """More channels are separated as stereo pairs. None: any number."""
    uses_device: bool = False
    """Whether `device` makes a difference; what does not runs on the CPU."""
    rate: int | None = None
    """The only rate it runs at itself, in Hz. None: see `max_rate`."""
    real_time: bool = False
    """Whether it only looks backwards, so that little may be held back at other rates, too."""
    bound: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the class that are settled by the name."""
    weights: Path | None = None
    """The file of its weights, where there is one."""
    weights_sha256: str | None = None
    """Of the tensors in it."""
    identity: str | None = None
    """A hash over all of the checkpoint that its estimates depend on."""
    size_bytes: int = 0
    """Of the weights."""
    parameters: int = 0
    """Numbers in the weights."""
    sdr_db: Mapping[str, float] = field(default_factory=dict)
    """As measured, per stem, and `average`."""
    sdr_songs: str = ""
    """What it was measured on, and by whom where that was not here."""
    speed: float | None = None
    """Seconds of audio per second of one core, as measured."""
    missing: str = ""
    """What is not installed, and how to install it; empty where all is there."""

    def options(self) -> dict[str, Any]:
        """The names of the options and their defaults."""
        parameters = inspect.signature(self.load()).parameters.values()
        given = ("device", "warn", *self.bound)
        known = [p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY and p.name not in given]
        return {p.name: p.default for p in known}

    def load(self) -> Callable[..., Separator]:
        """Import the class behind it."""
        module = import_module(f".separators.{self.module}", __package__)
        made = cast("Callable[..., Separator]", getattr(module, self.class_name))
        return partial(made, **self.bound) if self.bound else made


_CC0_SONGS = "four CC0 songs"

_ENTRIES = (
    SeparatorEntry(
        "classic",
        "four stems by tonal against hit, centre against side, and frequency",
        ("drums", "bass", "other", "vocals"),
        "other",
        "classic",
        "Classic",
        latency_s=0.25,
        sdr_db={"drums": 2.4, "bass": 2.9, "other": 3.4, "vocals": 1.4, "average": 2.5},
        sdr_songs=_CC0_SONGS,
        speed=130,
    ),
    SeparatorEntry(
        "repet",
        "vocals against what repeats (REPET-SIM), searched 60 s to either side",
        ("accompaniment", "vocals"),
        "accompaniment",
        "repet",
        "Repet",
        latency_s=63.1,
        sdr_db={"accompaniment": 11.3, "vocals": -1.1},
        sdr_songs=_CC0_SONGS,
        speed=14,
    ),
    SeparatorEntry(
        "hpss",
        "harmonic and percussive parts by median filters",
        ("harmonic", "percussive"),
        "harmonic",
        "hpss",
        "Hpss",
        latency_s=0.4,
        speed=149,
    ),
)

_BY_NAME = {entry.name: entry for entry in _ENTRIES}


def list_separators() -> tuple[SeparatorEntry, ...]:
    """All separators, in the order they are shown; one whose weights are damaged says so in `missing`."""
    paths = (WEIGHTS / f"{name}{CHECKPOINT_SUFFIX}" for name in NETWORKS)
    from .other_models import list_other_models

    return (*(_own_entry(path) for path in paths if path.is_file()), *_ENTRIES, *list_other_models())


def resolve(name: str) -> str:
    """The name a separator goes by: `default` becomes what it stands for today, a path its file's name.

    Raises ModelMissingError naming the nearest ones when there is none of that name.
    """
    return separator_entry(name).name


def separator_entry(name: str) -> SeparatorEntry:
    """What is known about a separator, by its name or the path of a checkpoint.

    Raises ModelMissingError, naming the nearest ones, when there is none of that name; CheckpointError
    for a checkpoint that cannot be used.
    """
    name = DEFAULT if name == "default" else name
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name not in NETWORKS and (other := _other_model(name)) is not None:
        return other
    if name.endswith(CHECKPOINT_SUFFIX):
        return _checkpoint_entry(Path(name).expanduser())
    if name in NETWORKS:
        weights = WEIGHTS / f"{name}{CHECKPOINT_SUFFIX}"
        if weights.is_file():
            return _checkpoint_entry(weights)
        raise ModelMissingError(
            f"the weights of {name} are not in this installation ({weights.name}): install it again, or give "
            f"the path of a {CHECKPOINT_SUFFIX} file as the model"
        )
    names = [entry.name for entry in list_separators()]
    near = get_close_matches(name, (*names, "default"), n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
    raise ModelMissingError(f"there is no model {name!r}: {hint}")


def _other_model(name: str) -> SeparatorEntry | None:
    from .other_models import other_model

    return other_model(name)


def _own_entry(path: Path) -> SeparatorEntry:
    from .checkpoint import CheckpointError

    try:
        return _checkpoint_entry(path)
    except CheckpointError as error:
        name = path.name.removesuffix(CHECKPOINT_SUFFIX)
        return SeparatorEntry(
            name, "a network", (), "other", "network", "NetworkSeparator", 0, missing=str(error)
        )


def _checkpoint_entry(path: Path) -> SeparatorEntry:
    """What a checkpoint says about itself."""
    from .checkpoint import read_header
    from .dsp.stft import stft_latency
    from .separators.network import segmented_latency
    from .separators.streamed_network import streamed_latency

    header = read_header(path)
    streamed = header.late_times is not None
    held = streamed_latency(header) if streamed else segmented_latency(header)
    latency = stft_latency(header.window_frames, header.hop_frames) + held * header.hop_frames
    facts = header.facts
    size = f"{header.parameters / 1e6:.1f} million parameters"
    return SeparatorEntry(
        header.name,
        str(facts.get("description", f"a network ({header.network}, {size})")),
        header.stems,
        header.residual_stem,
        "streamed_network" if streamed else "network",
        "StreamedNetworkSeparator" if streamed else "NetworkSeparator",
        latency_s=round(latency / header.sample_rate, 3),
        licence=str(facts.get("licence", "not said")),
        needs="torch",
        max_rate=header.sample_rate,
        uses_device=True,
        rate=header.sample_rate,
        real_time=header.causal,
        bound={"weights": path},
        weights=path,
        weights_sha256=header.sha256,
        identity=header.identity,
        size_bytes=header.bytes,
        parameters=header.parameters,
        sdr_db=dict(facts.get("sdr_db", {})),
        sdr_songs=str(facts.get("sdr_songs", "")),
        speed=facts.get("speed"),
    )


def native_rate(entry: SeparatorEntry, sample_rate: int) -> int:
    """The rate a separator runs at inside a stream of `sample_rate` Hz.

    A whole fraction of the outer rate where one keeps the band up to 16 kHz (its grids fit the outer ones
    best); else the highest rate it takes.

    >>> [native_rate(separator_entry("classic"), rate) for rate in (22050, 48000, 88200, 192000, 50000)]
    [22050, 48000, 44100, 48000, 48000]
    """
    if entry.rate is not None:
        return entry.rate
    if entry.max_rate is None or sample_rate <= entry.max_rate:
        return sample_rate
    divisor = -(-sample_rate // entry.max_rate)
    if sample_rate % divisor == 0 and sample_rate // divisor >= 32000:
        return sample_rate // divisor
    return entry.max_rate


def create_separator(
    name: str,
    sample_rate: int,
    channels: int,
    *,
    device: Device = "auto",
    warn: Callable[[str], None] | None = None,
    **options: object,
) -> Separator:
    """Make a separator for one stream of `sample_rate` Hz and `channels` channels.

    Mono and stereo are separated as they are; more channels as stereo pairs (and a single last one),
    each pair alone. Where the separator cannot run at that rate it is resampled, and what its own rate
    cannot hold stays out of the estimates. `warn` is told what the user should know while it runs.

    Raises ModelMissingError for an unknown name, ArgumentValueError for a rate or channel count below 1,
    an unknown option (naming those there are) or a device that is not there.
    """
    entry = separator_entry(name)
    if sample_rate < 1 or channels < 1:
        raise ArgumentValueError(
            f"a separator needs a rate and channels of 1 or more; got {sample_rate} Hz and {channels}"
        )
    check_device(device)
    known = entry.options()
    for option in options:
        if option not in known:
            raise ArgumentValueError(
                f"{entry.name} has no option {option!r}; its options are {', '.join(known) or 'none'}"
            )
    missing = [key for key, value in known.items() if value is inspect.Parameter.empty and key not in options]
    if missing:
        raise ArgumentTypeError(f"{entry.name} needs {', '.join(missing)}")
    if entry.uses_device:
        options |= {"device": device, "warn": warn}
    load = entry.load()

    def at_rate(count: int) -> Separator:
        rate = native_rate(entry, sample_rate)
        inner = load(rate, count, **options)
        if rate == sample_rate:
            return inner
        from .separators.native_rate import NativeRate

        return NativeRate(inner, sample_rate, short=entry.real_time)

    if entry.max_channels is None or channels <= entry.max_channels:
        return at_rate(channels)
    from .separators.channel_pairs import ChannelPairs

    return ChannelPairs(at_rate, channels)


def check_device(device: str) -> None:
    """Raise ArgumentValueError for a device that does not exist, here or at all.

    torch is asked for `cuda` and `mps` only.
    """
    if device not in DEVICES:
        raise ArgumentValueError(f"a device is one of {', '.join(DEVICES)}; got {device!r}")
    if device in ("auto", "cpu"):
        return
    import torch

    there = torch.cuda.is_available() if device == "cuda" else torch.backends.mps.is_available()
    if not there:
        raise ArgumentValueError(f"the device {device} was asked for, but torch finds none: use auto or cpu")
