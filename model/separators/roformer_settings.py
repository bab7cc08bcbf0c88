"""What the `.yaml` beside a RoFormer's checkpoint says, as the community's training program writes it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import ModelMissingError
from ..weights_files import given_path, package
from .stem_names import pair_of, stem_name

SUFFIXES = (".ckpt", ".pth", ".safetensors")

_TUPLES = ("freqs_per_bands", "freq_range", "multi_stft_resolutions_window_sizes")


@dataclass(frozen=True)
class RoFormerSettings:
    """Which network a checkpoint is for, and how it is used."""

    path: Path
    kind: Literal["BSRoformer", "MelBandRoformer"]
    """The class in the package."""
    arguments: Mapping[str, Any]
    """What that class is made with."""
    sample_rate: int
    chunk_frames: int
    hop_frames: int
    stereo: bool
    overlap: float
    outputs: tuple[str, ...]
    """The stems the network gives."""
    rest: str | None
    """What is left of the mix, of a network for one stem."""

    @property
    def stems(self) -> tuple[str, ...]:
        """All stems, in the order they are computed."""
        return self.outputs if self.rest is None else (*self.outputs, self.rest)


def find_files(weights: str | os.PathLike[str]) -> tuple[Path, Path]:
    """The checkpoint and its settings, from the path of either or of their folder.

    The settings are the `.yaml` of the same name, of that name with `config_` before it, or the only one
    beside the checkpoint. Raises ModelMissingError.
    """
    path = given_path(weights, "roformer")
    folder = path if path.is_dir() else path.parent
    checkpoints = sorted(file for file in folder.iterdir() if file.suffix in SUFFIXES)
    settings = sorted(file for file in folder.iterdir() if file.suffix in (".yaml", ".yml"))
    if path.suffix in SUFFIXES:
        checkpoints = [path]
        named = [file for file in settings if file.stem.removeprefix("config_") == path.stem]
        settings = named or settings
    elif path.suffix in (".yaml", ".yml"):
        settings = [path]
        named = [file for file in checkpoints if file.stem == path.stem.removeprefix("config_")]
        checkpoints = named or checkpoints
    if len(checkpoints) != 1 or len(settings) != 1:
        raise ModelMissingError(
            f"{path} should lie with one checkpoint ({', '.join(SUFFIXES)}) and one .yaml of the same name; "
            f"there are {len(checkpoints)} and {len(settings)}"
        )
    return checkpoints[0], settings[0]


def read_settings(path: Path) -> RoFormerSettings:
    """Read a `.yaml`; of YAML's tags that make Python objects it may use the one for tuples only.

    Raises ModelMissingError for a file that says too little or what cannot be.
    """
    yaml = package("yaml", "roformer", "roformer")

    loader: Any = type("Loader", (yaml.SafeLoader,), {})

    def sequence(reader: Any, node: Any) -> tuple[Any, ...]:
        return tuple(reader.construct_sequence(node))

    loader.add_constructor("tag:yaml.org,2002:python/tuple", sequence)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), loader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        problem = " ".join(str(error).split())
        raise ModelMissingError(f"the settings {path} cannot be read: {problem}") from error
    if not isinstance(content, dict):
        raise ModelMissingError(f"the settings {path} should be a mapping with audio, model and training")
    return _settings(path, content)


def _settings(path: Path, content: Mapping[str, Any]) -> RoFormerSettings:
    try:
        audio, model, training = content["audio"], dict(content["model"]), content["training"]
        inference = content.get("inference") or {}
        instruments = [str(name) for name in training["instruments"]]
        heads = int(model.get("num_stems", 1))
        target = training.get("target_instrument")
        if target is None and heads == 1:
            target = instruments[0]
        outputs, rest = (
            pair_of(str(target)) if target is not None else (tuple(map(stem_name, instruments)), None)
        )
        settings = RoFormerSettings(
            path,
            "MelBandRoformer" if "num_bands" in model else "BSRoformer",
            {key: tuple(value) if key in _TUPLES and value else value for key, value in model.items()},
            sample_rate=int(audio.get("sample_rate", 44100)),
            chunk_frames=int(inference.get("chunk_size", audio["chunk_size"])),
            hop_frames=int(model.get("stft_hop_length", 512)),
            stereo=bool(model.get("stereo", False)),
            overlap=1 - 1 / int(inference.get("num_overlap", 2)),
            outputs=outputs,
            rest=rest,
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise ModelMissingError(
            f"{path} should say audio.chunk_size, model and training.instruments, as the settings of a "
            f"RoFormer do; {error!r} is missing or wrong"
        ) from error
    if len(set(outputs)) != heads:
        raise ModelMissingError(f"{path} names {', '.join(outputs)} for a network of {heads} stems")
    if (
        settings.sample_rate < 1
        or not 0 < settings.hop_frames <= settings.chunk_frames
        or settings.overlap < 0
    ):
        raise ModelMissingError(f"{path}: its rate, hop, chunk or overlap cannot be")
    return settings
