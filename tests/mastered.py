"""What tests of `master` share: songs on disk, a master run to its end, an independent look at what came."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import signals
import soundfile
from stembridge.model.audio import Audio
from stembridge.model.dsp.loudness import Loudness, LoudnessMeter
from stembridge.model.files.decoder import read_audio
from stembridge.model.mastering import (
    AlbumProgress,
    AlbumResult,
    AlbumSpec,
    MasterResult,
    MasterSpec,
    Progress,
    master,
    master_album,
)
from stembridge.model.plugins.chain_spec import ChainSpec, PluginSpec
from stembridge.model.rendering import Version
from stembridge.model.stem_cache import StemCache


def write_song(
    path: Path,
    seconds: float = 3.0,
    rate: int = 44100,
    channels: int = 2,
    level: float = 0.5,
    subtype: str = "PCM_16",
    seed: int = 0,
) -> Path:
    mix = np.sum(list(signals.song(seconds, rate, seed).values()), axis=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, level * np.clip(mix[:channels].T, -1, 1), rate, subtype=subtype)
    return path


def run(spec: MasterSpec, cache: StemCache | None = None) -> MasterResult:
    last: Progress | None = None
    for progress in master(spec, cache=cache):
        assert last is None or progress.fraction >= last.fraction
        last = progress
    assert last is not None
    assert last.result is not None
    return last.result


def run_album(album: AlbumSpec) -> AlbumResult:
    last: AlbumProgress | None = None
    for progress in master_album(album):
        assert last is None or progress.fraction >= last.fraction
        last = progress
    assert last is not None
    assert last.result is not None
    return last.result


def chain(plugin: str, **parameters: Any) -> Version:
    """A treatment of the mix by one of pedalboard's effects."""
    return Version(mix_chain=ChainSpec((PluginSpec(plugin, parameters=parameters),)))


def sound(path: Path) -> Audio:
    return read_audio(path)[0]


def measured(path: Path) -> Loudness:
    """A file's levels, decoded anew."""
    audio, info = read_audio(path)
    meter = LoudnessMeter(info.sample_rate, info.channels)
    meter.push(audio)
    return meter.result()


def numbers(result: MasterResult) -> list[int]:
    return [message.number for message in result.messages]
