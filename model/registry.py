"""Which separators there are, what they need, and how to make one for a stream.

Nothing is imported before it is needed: listing costs nothing, and torch is only imported where a
device other than the CPU is asked for.

>>> resolve("default"), separator_entry("repet").stems
('classic', ('accompaniment', 'vocals'))
>>> create_separator("repet", 96000, 2, window_s=10.0).sample_rate
96000
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Literal, cast, get_args

from .errors import ArgumentTypeError, ArgumentValueError, ModelMissingError
from .separators.protocol import Separator

Device = Literal["auto", "cpu", "cuda", "mps"]
DEVICES: tuple[Device, ...] = get_args(Device)

DEFAULT = "classic"
"""What the name `default` stands for."""


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

    def options(self) -> dict[str, Any]:
        """The names of the options and their defaults."""
        parameters = inspect.signature(self.load()).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}

    def load(self) -> Callable[..., Separator]:
        """Import the class behind it."""
        module = import_module(f".separators.{self.module}", __package__)
        return cast("Callable[..., Separator]", getattr(module, self.class_name))


_ENTRIES = (
    SeparatorEntry(
        "classic",
        "four stems by tonal against hit, centre against side, and frequency",
        ("drums", "bass", "other", "vocals"),
        "other",
        "classic",
        "Classic",
        latency_s=0.25,
    ),
    SeparatorEntry(
        "repet",
        "vocals against what repeats (REPET-SIM), searched 60 s to either side",
        ("accompaniment", "vocals"),
        "accompaniment",
        "repet",
        "Repet",
        latency_s=63.1,
    ),
    SeparatorEntry(
        "hpss",
        "harmonic and percussive parts by median filters",
        ("harmonic", "percussive"),
        "harmonic",
        "hpss",
        "Hpss",
        latency_s=0.4,
    ),
)

_BY_NAME = {entry.name: entry for entry in _ENTRIES}


def list_separators() -> tuple[SeparatorEntry, ...]:
    """All separators, in the order they are shown."""
    return _ENTRIES


def resolve(name: str) -> str:
    """The name a separator is registered under: `default` becomes what it stands for today.

    Raises ModelMissingError naming the nearest ones when there is none of that name.
    """
    name = DEFAULT if name == "default" else name
    if name in _BY_NAME:
        return name
    near = get_close_matches(name, (*_BY_NAME, "default"), n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(_BY_NAME)}"
    raise ModelMissingError(f"there is no model {name!r}: {hint}")


def separator_entry(name: str) -> SeparatorEntry:
    """What is known about a separator. Raises ModelMissingError as `resolve` does."""
    return _BY_NAME[resolve(name)]


def native_rate(entry: SeparatorEntry, sample_rate: int) -> int:
    """The rate a separator runs at inside a stream of `sample_rate` Hz.

    A whole fraction of the outer rate where one keeps the band up to 16 kHz (its grids fit the outer ones
    best); else the highest rate it takes.

    >>> [native_rate(separator_entry("classic"), rate) for rate in (22050, 48000, 88200, 192000, 50000)]
    [22050, 48000, 44100, 48000, 48000]
    """
    if entry.max_rate is None or sample_rate <= entry.max_rate:
        return sample_rate
    divisor = -(-sample_rate // entry.max_rate)
    if sample_rate % divisor == 0 and sample_rate // divisor >= 32000:
        return sample_rate // divisor
    return entry.max_rate


def create_separator(
    name: str, sample_rate: int, channels: int, *, device: Device = "auto", **options: object
) -> Separator:
    """Make a separator for one stream of `sample_rate` Hz and `channels` channels.

    Mono and stereo are separated as they are; more channels as stereo pairs (and a single last one),
    each pair alone. Where the separator cannot run at that rate it is resampled, and what its own rate
    cannot hold stays out of the estimates.

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
        options["device"] = device
    load = entry.load()

    def at_rate(count: int) -> Separator:
        rate = native_rate(entry, sample_rate)
        inner = load(rate, count, **options)
        if rate == sample_rate:
            return inner
        from .separators.native_rate import NativeRate

        return NativeRate(inner, sample_rate)

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
