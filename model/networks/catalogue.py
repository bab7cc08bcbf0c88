"""Which networks there are, by name. None is imported, nor torch, before it is asked for.

>>> [name for name in NETWORKS if name.startswith("unet")]
['unet', 'unet-full-band', 'unet-small']
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from ..errors import ArgumentValueError, ModelMissingError

if TYPE_CHECKING:
    from .spectral_network import NetworkConfig, SpectralNetwork


@dataclass(frozen=True)
class _Row:
    name: str
    module: str
    class_name: str
    variant: str = ""
    """The method of the config's class that gives the sizes to start from; none: its defaults."""

    def load(self) -> type[SpectralNetwork]:
        found = getattr(import_module(f".{self.module}", __package__), self.class_name)
        return cast("type[SpectralNetwork]", found)

    def config(self) -> NetworkConfig:
        config_class = getattr(import_module(f".{self.module}", __package__), f"{self.class_name}Config")
        make: Callable[[], NetworkConfig] = (
            getattr(config_class, self.variant) if self.variant else config_class
        )
        return make()


_ROWS = (
    _Row("band-mixer", "band_mixer", "BandMixer"),
    _Row("live", "band_mixer", "BandMixer", "live"),
    _Row("unet", "unet", "UNet"),
    _Row("unet-full-band", "unet", "UNet", "full_band"),
    _Row("unet-small", "unet", "UNet", "small"),
    _Row("cnn-blstm", "cnn_blstm", "CnnBlstm"),
    _Row("parallel-encoder", "parallel_encoder", "ParallelEncoder"),
)

_BY_NAME = {row.name: row for row in _ROWS}

NETWORKS: tuple[str, ...] = tuple(_BY_NAME)
"""The names, in the order they are shown. Some are the same network with other sizes to start from."""


def network_class(name: str) -> type[SpectralNetwork]:
    """The class behind a name. Raises ModelMissingError, naming the nearest ones, when there is none."""
    return _row(name).load()


def make_network(name: str, **config: Any) -> SpectralNetwork:
    """Build a network with untrained weights; `config` are the sizes that differ from that name's own.

    Lists are taken for tuples, as JSON knows no others. Raises ModelMissingError for an unknown name,
    ArgumentValueError for an unknown size, naming those there are, or for sizes that do not fit each other.
    """
    row = _row(name)
    start = row.config()
    known = [field.name for field in fields(start)]
    for key in config:
        if key not in known:
            raise ArgumentValueError(f"{name} has no size {key!r}; its sizes are {', '.join(known)}")
    make: Callable[[NetworkConfig], SpectralNetwork] = row.load()
    changed: dict[str, Any] = {key: _frozen(value) for key, value in config.items()}
    return make(replace(start, **changed))


def _row(name: str) -> _Row:
    if name in _BY_NAME:
        return _BY_NAME[name]
    near = get_close_matches(name, NETWORKS, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(NETWORKS)}"
    raise ModelMissingError(f"there is no network {name!r}: {hint}")


def _frozen(value: object) -> object:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
