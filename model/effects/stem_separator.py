"""A separator as an effect: one mix in, the same mix out with every stem under its own fader."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio, StemArray
from ..errors import ArgumentValueError
from ..mixer import Mixer
from ..registry import Device, create_separator, resolve
from ..remix import stem_index
from ..residual import ResidualPolicy, stems_after
from ..separation import StemStream
from ..separators.protocol import Separator
from ..separators.stems_from import StemsFrom
from .arguments import check_array, checked_rate
from .board import Board
from .effect import BUFFER_SIZE, Effect
from .items import check_duplicates
from .layout import Layout, LayoutMemory
from .stem_lines import StemLines
from .stem_parameters import MASTER, Kind, StemParameters

STEMS_FROM = "stems-from"

_BLOCK_FRAMES = 1 << 16


class StemSeparator(Effect):
    """Takes a mix apart, treats and rides the stems, and sums them up again.

    Parameters are attributes, one set per stem: `vocals_gain_db` (-144 to +12; -144 and below is
    silence), `vocals_mute`, `vocals_solo`, `vocals_pan` (-1 to 1), `vocals_sensitivity` (0 to 10), and
    `master_gain_db`. They may be set from any thread while sound runs and move there within 20 ms;
    only a sensitivity waits for the next stream.

    With everything at its default the input comes back bit for bit. Stems may have `chains`: plug-ins
    whose latency is made up for, and which can be edited at any time (`chains["vocals"].append(...)`);
    an edit that changes a chain's latency needs a `reset()`.

    `residual` says what becomes of the sound no estimate claims (`other`, `spread`, `file`, `none`);
    `stems_from` reads stems from files in a folder instead of separating; further options go to the
    model. Any rate in whole hertz and any number of channels will do.

    Raises ModelMissingError for an unknown model, ArgumentValueError for an unknown stem or option or a
    value out of range.

    >>> karaoke = StemSeparator("repet", gains_db={"vocals": float("-inf")})
    >>> karaoke.stem_names, karaoke.vocals_gain_db
    (('accompaniment', 'vocals'), -144.0)
    >>> karaoke.vocals_gain_db = -12
    >>> karaoke.vocal_gain_db = -6
    Traceback (most recent call last):
        ...
    AttributeError: there is no parameter 'vocal_gain_db': did you mean 'vocals_gain_db'?
    """

    def __init__(
        self,
        model: str = "default",
        *,
        gains_db: Mapping[str, float] | None = None,
        mute: str | Iterable[str] = (),
        solo: str | Iterable[str] = (),
        pan: Mapping[str, float] | None = None,
        sensitivity: Mapping[str, float] | None = None,
        residual: ResidualPolicy = "other",
        chains: Mapping[str, Any] | None = None,
        master_gain_db: float = 0.0,
        device: Device = "auto",
        stems_from: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        if stems_from is not None and model not in ("default", STEMS_FROM):
            raise ArgumentValueError(
                f"take stems either from a model ({model}) or from {stems_from}, not both"
            )
        self._stems_from = stems_from
        self._model = STEMS_FROM if stems_from is not None else resolve(model)
        self._chosen = model  # the path of a checkpoint says more than its name
        self._device: Device = device
        self._options = options
        self._residual: ResidualPolicy = residual
        self._core: StemStream | None = None
        separator = self._make_separator(44100, 2)
        names = stems_after(residual, separator.stems, separator.residual_stem)
        self._parameters = StemParameters(names, separator.stems, residual)
        self._parameters.update(
            {
                **self._by_name("gain_db", gains_db or {}),
                **self._by_name("mute", dict.fromkeys(_several(mute), True)),
                **self._by_name("solo", dict.fromkeys(_several(solo), True)),
                **self._by_name("pan", pan or {}),
                **self._by_name("sensitivity", sensitivity or {}),
                MASTER: master_gain_db,
            }
        )
        self._core = self._make_core(separator)
        self._core_sensitivity = self._parameters.sensitivity
        self._chains = {
            names[stem_index(names, stem)]: _chain(items) for stem, items in (chains or {}).items()
        }
        check_duplicates(self._chains.values())
        self._lines = StemLines(self._chains, names)
        self._names = names
        self._mixer: Mixer | None = None
        self._latency = 0

    # What it is.

    @property
    def model(self) -> str:
        """The model's own name, never `default`."""
        return self._model

    @property
    def stem_names(self) -> tuple[str, ...]:
        """The stems, in order, as `stems()` returns them."""
        return self._names

    @property
    def residual(self) -> ResidualPolicy:
        """What becomes of the sound no estimate claims."""
        return self._residual

    @property
    def chains(self) -> Mapping[str, Effect]:
        """The plug-ins of each stem that has any."""
        return MappingProxyType(self._chains)

    @property
    def parameters(self) -> dict[str, float | bool]:
        """All parameters by name, with their values."""
        return {name: self._parameters.get(name) for name in self._parameters.names}

    def set_parameters(self, **values: float | bool) -> None:
        """Set several parameters in one step, all of them or, if one is wrong, none."""
        self._parameters.update(values)

    def _by_name(self, kind: Kind, by_stem: Mapping[str, Any]) -> dict[str, Any]:
        return {self._parameters.name_of(stem, kind): value for stem, value in by_stem.items()}

    def parts(self) -> Iterable[object]:
        """The chains."""
        return self._chains.values()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._parameters.get(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or hasattr(type(self), name):
            super().__setattr__(name, value)
        else:
            self._parameters.update({name: value})

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._parameters.names]

    def __repr__(self) -> str:
        moved = "".join(f" {name}={value:g}" for name, value in self._parameters.moved().items())
        return f"<stembridge.StemSeparator model={self._model}{moved} at {id(self):#x}>"

    # Taking apart.

    def stems(self, audio: NDArray[np.floating], sample_rate: float) -> dict[str, NDArray[np.float32]]:
        """The stems of a whole piece by name, after the residual policy; before chains and gains.

        Takes arrays as `process` does and raises what it raises; each stem comes in the same layout. A
        stream that is open is left alone.
        """
        layout, planar, rate = _read(audio, sample_rate)
        with self._lock:
            core = self._idle_core(rate, layout.channels)
            blocks = [core.push(block).stems for block in _cut(planar)]
            blocks.append(core.flush().stems)
        return _named(core.stems, blocks, layout)

    def estimates(self, audio: NDArray[np.floating], sample_rate: float) -> dict[str, NDArray[np.float32]]:
        """What the model itself makes of a whole piece, without sensitivity and residual; else as `stems`."""
        layout, planar, rate = _read(audio, sample_rate)
        with self._lock:
            separator = self._idle_core(rate, layout.channels).separator
            blocks = [separator.push(block) for block in _cut(planar)]
            blocks.append(separator.flush())
        return _named(separator.stems, blocks, layout)

    def close(self) -> None:
        """Release the files of `stems_from`; the next use opens them again."""
        with self._lock:
            self.reset()
            self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _drop(self) -> None:
        if self._core is not None and isinstance(self._core.separator, StemsFrom):
            self._core.separator.close()
        self._core = None

    def _idle_core(self, sample_rate: int, channels: int) -> StemStream:
        """A core at its start, which no stream is using."""
        if self.streaming:
            return self._make_core(self._make_separator(sample_rate, channels))
        self._set_up(sample_rate, channels)
        assert self._core is not None
        self._core.reset()
        return self._core

    def _set_up(self, sample_rate: int, channels: int) -> StemStream:
        """Have a core for this rate, channel count and the sensitivities as they stand."""
        core = self._core
        if core is None or (core.sample_rate, core.channels) != (sample_rate, channels):
            self._drop()
            core = self._make_core(self._make_separator(sample_rate, channels))
        elif self._core_sensitivity != self._parameters.sensitivity:
            core = self._make_core(core.separator)
        self._core, self._core_sensitivity = core, self._parameters.sensitivity
        return core

    def _make_core(self, separator: Separator) -> StemStream:
        return StemStream(separator, residual=self._residual, sensitivity=self._parameters.sensitivity)

    def _make_separator(self, sample_rate: int, channels: int) -> Separator:
        if self._stems_from is not None:
            return StemsFrom(self._stems_from, sample_rate, channels, **self._options)
        return create_separator(self._chosen, sample_rate, channels, device=self._device, **self._options)

    # The stream.

    @property
    def reported_latency_samples(self) -> int:
        """The model's latency and that of the slowest chain; at 44.1 kHz until another rate was used."""
        if self.streaming:
            return self._latency
        with self._lock:
            rate, channels = (
                (44100, 2) if self._core is None else (self._core.sample_rate, self._core.channels)
            )
            return self._set_up(rate, channels).latency + self._lines.latency

    def _start(self, sample_rate: float, channels: int) -> None:
        rate = _whole_rate(sample_rate)
        self._set_up(rate, channels).reset()
        self._mixer = self._parameters.mixer(channels, rate)
        self._lines.start(rate, channels)
        assert self._core is not None
        self._latency = self._core.latency + self._lines.latency

    def _forget(self) -> None:
        for chain in self._chains.values():
            chain.reset()

    def _push(self, block: Audio, buffer_size: int) -> Audio:
        assert self._core is not None
        self._lines.push(self._core.push(block), buffer_size)
        return self._mixed()

    def _finish(self) -> Audio:
        assert self._core is not None
        self._lines.push(self._core.flush(), BUFFER_SIZE)
        self._lines.finish()
        return self._mixed()

    def _whole(self, audio: Audio, sample_rate: float, buffer_size: int) -> Audio:
        if not self._chains and self._parameters.unity:
            # The remix law returns the mix itself; only what the request says has to be checked.
            self._begin(sample_rate, audio.shape[0])
            if self._latency > 0:
                self._stream = None
                return audio
        return super()._whole(audio, sample_rate, buffer_size)

    def _mixed(self) -> Audio:
        assert self._mixer is not None
        return self._mixer.mix(*self._lines.pop())


def _read(array: NDArray[np.floating], sample_rate: float) -> tuple[Layout, Audio, int]:
    layout = LayoutMemory().read(check_array(array))
    if layout.channels == 0:
        raise ArgumentValueError(f"there is no channel in an array of shape {array.shape}")
    return layout, layout.planar(array), _whole_rate(checked_rate(sample_rate))


def _cut(audio: Audio) -> Iterator[Audio]:
    for start in range(0, audio.shape[1], _BLOCK_FRAMES):
        yield np.ascontiguousarray(audio[:, start : start + _BLOCK_FRAMES])


def _named(names: Sequence[str], blocks: list[StemArray], layout: Layout) -> dict[str, NDArray[np.float32]]:
    whole = np.concatenate(blocks, axis=2)
    return {name: layout.restored(stem) for name, stem in zip(names, whole, strict=True)}


def _whole_rate(sample_rate: float) -> int:
    if not float(sample_rate).is_integer():
        raise ArgumentValueError(f"a separator runs at a whole number of hertz; got {sample_rate}")
    return int(sample_rate)


def _several(names: str | Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _chain(items: Any) -> Effect:
    return (
        items if isinstance(items, Effect) else Board(items if isinstance(items, list | tuple) else [items])
    )
