"""The library: stems, gains and plug-in chains for audio in numpy arrays and files.

- `StemSeparator`, `Board` (also as `Pedalboard`), `Parallel`, `process`: effects, as in pedalboard;
- `render` and what it is asked for: `RenderSpec`, `Version`, `MixerState`, `ChainSpec`, `PluginSpec`;
- `master`, `master_album` and what they are asked for: `MasterSpec`, `AlbumSpec`;
- `create_separator`, `list_separators`, `StemStream`, `Mixer`: the parts, for streams of your own;
- `open_audio`, `create_audio`, `OutputFormat`: files, block by block;
- `StembridgeError` and its kinds, in `errors`.

Everything is imported when it is first used, so importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .audio import Audio, AudioInfo, OutputFormat
    from .effects.board import Board, Parallel, Pedalboard, process
    from .effects.effect import Effect
    from .effects.stem_separator import StemSeparator
    from .errors import StembridgeError
    from .files.decoder import open_audio, read_audio
    from .files.encoder import create_audio
    from .mastering import AlbumSpec, MasterResult, MasterSpec, master, master_album
    from .mixer import Mixer, MixerState
    from .plugins.chain_spec import ChainSpec, PluginSpec
    from .registry import create_separator, list_separators
    from .rendering import Progress, RenderResult, RenderSpec, Version, render
    from .separation import Separated, StemStream
    from .separators.protocol import Separator
    from .stem_cache import StemCache

_HOMES = {
    "audio": ("Audio", "AudioInfo", "OutputFormat"),
    "effects.board": ("Board", "Parallel", "Pedalboard", "process"),
    "plugins.chain_spec": ("ChainSpec", "PluginSpec"),
    "files.decoder": ("open_audio", "read_audio"),
    "effects.effect": ("Effect",),
    "files.encoder": ("create_audio",),
    "errors": ("StembridgeError",),
    "mastering": ("AlbumSpec", "MasterResult", "MasterSpec", "master", "master_album"),
    "mixer": ("Mixer", "MixerState"),
    "registry": ("create_separator", "list_separators"),
    "rendering": ("Progress", "RenderResult", "RenderSpec", "Version", "render"),
    "separation": ("Separated", "StemStream"),
    "separators.protocol": ("Separator",),
    "stem_cache": ("StemCache",),
    "effects.stem_separator": ("StemSeparator",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AlbumSpec",
    "Audio",
    "AudioInfo",
    "Board",
    "ChainSpec",
    "Effect",
    "MasterResult",
    "MasterSpec",
    "Mixer",
    "MixerState",
    "OutputFormat",
    "Parallel",
    "Pedalboard",
    "PluginSpec",
    "Progress",
    "RenderResult",
    "RenderSpec",
    "Separated",
    "Separator",
    "StemCache",
    "StemSeparator",
    "StemStream",
    "StembridgeError",
    "Version",
    "create_audio",
    "create_separator",
    "list_separators",
    "master",
    "master_album",
    "open_audio",
    "process",
    "read_audio",
    "render",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
