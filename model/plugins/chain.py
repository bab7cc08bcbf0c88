"""Plug-in chains made of real plug-ins: checked, built, tried out.

A chain is described by frozen dataclasses that presets and jobs can carry; `build` makes the plug-ins
in this process, `open_chain` (in `isolate`) in a child process where they may crash.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from pedalboard import load_plugin  # type: ignore[attr-defined]

from ..audio import Audio
from ..effects.board import Board
from ..errors import PluginError
from ..platform import restore_float_environment
from .chain_spec import ChainSpec, PluginSpec
from .parameters import make_native, set_external
from .plugin_files import find_plugin
from .slot import Slot

_PROBE_SECONDS = 0.5
_CHANGE = 1e-5
"""A plug-in whose output differs by less than this share of its input (-100 dB) changes nothing."""


def build(
    spec: ChainSpec,
    sample_rate: float,
    channels: int,
    *,
    on_load: Callable[[str], None] | None = None,
    on_run: Callable[[int], None] | None = None,
) -> Board:
    """Make the real plug-ins of a chain, in this process, checked and ready to run.

    `on_load` is told each plug-in's name before it is loaded, `on_run` its place (from 0) before each
    time it runs. Plug-in files can only be loaded on the main thread, and one that hangs or crashes
    takes this process along: `open_chain` keeps them apart.

    Raises PluginError (a plug-in that is not there, does not load or does not take so many channels) and
    PluginParameterError (a name or value it does not have), saying which entry of which chain.
    """
    slots = []
    for number, entry in enumerate(spec.plugins):
        if on_load is not None:
            on_load(entry.title)
        notice = None if on_run is None else partial(on_run, number)
        try:
            instances = _instances(entry, sample_rate, channels)
        except PluginError as error:
            raise spec.wrong(number + 1, error) from error
        slots.append(Slot(entry.title, instances, entry.mix, notice, where=spec.where(number + 1)))
    return Board(slots)


def _instances(entry: PluginSpec, sample_rate: float, channels: int) -> list[Any]:
    """Load what one entry needs: one plug-in, or one per channel."""
    count, each = (channels, 1) if entry.dual_mono else (1, channels)
    instances: list[Any] = []
    for _ in range(count):
        if entry.plugin is not None:
            instances.append(make_native(entry.plugin, entry.parameters, sample_rate))
        else:
            instances.append(load_external(entry))
            _check_channels(entry, instances[-1], sample_rate, each)
    return instances


def load_external(entry: PluginSpec) -> Any:
    """Load a VST3 or Audio Unit and give it its state, then its values.

    Raises PluginError or PluginParameterError.
    """
    path = find_plugin(entry.file or "")
    try:
        plugin: Any = load_plugin(str(path), plugin_name=entry.plugin_name)
    except (ImportError, ValueError, RuntimeError) as error:
        raise PluginError(f"{entry.title} cannot be loaded: {error}") from error
    finally:
        restore_float_environment()
    if entry.plugin_name is not None and plugin.name != entry.plugin_name:
        raise PluginError(f"{path.name} holds {plugin.name!r}, not {entry.plugin_name!r}")
    if plugin.is_instrument:
        raise PluginError(f"{entry.title} is an instrument; a chain takes effects")
    if entry.state is not None:
        try:
            if entry.state.suffix.lower() == ".vstpreset":
                plugin.load_preset(str(entry.state))
            else:
                plugin.raw_state = entry.state.read_bytes()
        except (OSError, ValueError, RuntimeError) as error:
            raise PluginError(f"{entry.title} did not take the state {entry.state}: {error}") from error
    set_external(plugin, entry.parameters, entry.title)
    return plugin


def _check_channels(entry: PluginSpec, plugin: Any, sample_rate: float, channels: int) -> None:
    """Find out by trying, which also makes the plug-in take its values over."""
    if takes_channels(plugin, channels, sample_rate):
        return
    if channels > 1 and takes_channels(plugin, 1, sample_rate):
        raise PluginError(
            f"{entry.title} takes one channel, the sound has {channels}: "
            "dual_mono = true runs one instance per channel"
        )
    counts = [str(n) for n in range(1, 9) if takes_channels(plugin, n, sample_rate)]
    also = f"; it takes {' or '.join(counts)}" if counts else ""
    raise PluginError(f"{entry.title} does not take {channels} channel{'s' * (channels != 1)}{also}")


def takes_channels(plugin: Any, channels: int, sample_rate: float = 44100) -> bool:
    """Whether a loaded plug-in processes so many channels."""
    try:
        plugin.process(np.zeros((channels, 512), np.float32), sample_rate)
    except ValueError:
        return False
    return True


def find_idle(chain: Board, sample_rate: float, channels: int) -> tuple[str, ...]:
    """Which slots of a built chain leave noise and tones of several levels as they are."""
    signal = probe_signal(sample_rate, channels)
    idle = []
    for slot in chain:
        assert isinstance(slot, Slot)
        out = slot.process_planar(signal, sample_rate)
        if np.sqrt(np.mean(np.square(out - signal))) < _CHANGE * np.sqrt(np.mean(np.square(signal))):
            idle.append(slot.title)
        slot.reset()
    return tuple(idle)


def probe_signal(sample_rate: float, channels: int) -> Audio:
    """Half a second of noise and tones from very soft to full scale: what any working effect changes.

    Shape: `(channels, frames)`; the channels differ, so that stereo effects have something to do.
    """
    frames = round(_PROBE_SECONDS * sample_rate)
    time = np.arange(frames) / sample_rate
    noise = np.random.default_rng(1).standard_normal((channels, frames))
    tones = np.sin(2 * np.pi * 110 * time) + np.sin(2 * np.pi * 1000 * time)
    steps = np.array([0.003, 0.03, 0.25, 1.0])
    level = np.repeat(steps, -(-frames // len(steps)))[:frames]
    return np.clip(level * (0.2 * noise + 0.3 * tones), -1.0, 1.0).astype(np.float32)
