"""Demucs' networks from the package `demucs`, streamed (Defossez 2021; Rouard, Massa and Defossez 2023).

The networks, their files and the order of things are the package's own: with the same reference level the
stems are those of `demucs.apply.apply_model` with `split=True`, to the end of the song. Three things differ.
Demucs normalises by the mean and deviation of the whole track, which a stream cannot know: here the level is
the constant `reference`. That changes little, because the networks normalise every segment again; what is
left are the 1e-5 they add to the deviation. The shift trick is off by default, and seeded where it is on. And
nothing out of a file is run: `.th` packages are read with weights only, and of what a file asks for only the
two network classes are made.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentValueError, ModelMissingError
from ..weights_files import (
    checked,
    given_path,
    hub_file,
    in_models_folder,
    package,
    torch_hub_file,
    torch_hub_folder,
)
from .network_workers import Warn
from .segments import SegmentNetwork, SegmentSeparator, as_warning

if TYPE_CHECKING:
    from torch import nn

REFERENCE = (0.0, 0.1)
"""The usual level of a song: no offset, a deviation of -20 dB of full scale in mono."""

_CLASSES = ("demucs.htdemucs.HTDemucs", "demucs.hdemucs.HDemucs")


class Demucs(SegmentSeparator):
    """Any model of Demucs v3 or v4: one network, or a bag of them with weights for each stem.

    `weights` is a `.safetensors` or `.th` file, a bag's `.yaml` with its models beside it, or a folder with
    one; None looks in the models folder, the caches of huggingface-hub and torch.hub, and the hub itself.
    `segment` is their length in seconds (None: as trained), `reference` the (mean, deviation) of the level;
    the other options are those of `SegmentSeparator`. `warn` is told when the device's memory does not do.

    Raises ModelMissingError for a missing package or file, a wrong hash, or no network to fetch it by;
    ArgumentValueError for options out of range, and for another rate than the model's.
    """

    name: str = "demucs"

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        *,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        overlap: float = 0.25,
        segment: float | None = None,
        shifts: int = 0,
        seed: int = 0,
        reference: tuple[float, float] = REFERENCE,
        parallel: int | None = None,
        warn: Warn | None = None,
    ) -> None:
        if weights is not None and type(self) is Demucs:
            self.name = Path(weights).expanduser().resolve().stem
        bag = load_bag(self.name, weights)
        from .torch_runner import TorchRunner  # after what may be missing, for it takes seconds

        networks = []
        for module, bag_weights in zip(bag.models, bag.weights, strict=True):
            transformer = hasattr(module, "valid_length")
            seconds = _segment_s(self.name, module.segment, segment, transformer)
            runner = TorchRunner(
                self.name,
                module,
                _forward(module),
                device,
                stems=len(bag.sources),
                warn=warn or as_warning,
                # The transformer pads whatever it is given to the length it was trained with.
                whole=transformer,
            )
            networks.append(
                SegmentNetwork(
                    runner,
                    tuple(bag.sources),
                    int(bag.samplerate * seconds),
                    channels=bag.audio_channels,
                    whole=transformer,
                    trailing=True,
                    weights=tuple(bag_weights),
                    segment_bytes=int(60e6 * float(seconds)) + (1 << 28),
                )
            )
        super().__init__(
            self.name,
            networks,
            sample_rate,
            channels,
            native_rate=bag.samplerate,
            overlap=overlap,
            shifts=shifts,
            seed=seed,
            reference=reference,
            parallel=parallel,
        )


class HtDemucs(Demucs):
    """Hybrid Transformer Demucs, four stems."""

    name = "htdemucs"


class HtDemucsFt(Demucs):
    """The same, fine-tuned for each stem: a bag of four."""

    name = "htdemucs_ft"


class HtDemucs6s(Demucs):
    """The same with guitar and piano."""

    name = "htdemucs_6s"


class HDemucsMmi(Demucs):
    """Hybrid Demucs (v3), retrained on MusDB and 800 more songs."""

    name = "hdemucs_mmi"


def load_bag(name: str, weights: str | os.PathLike[str] | None = None) -> Any:
    """Load a model as the package's `BagOfModels`; a single network is a bag of one.

    Raises ModelMissingError as `Demucs` does.
    """
    apply = package("demucs.apply", name, "demucs")
    path = _path(name, weights)
    if path is None:
        bag, files = _from_hub(name)
    elif path.suffix == ".yaml":
        bag = _bag(path)
        files = [_beside(path, signature) for signature in bag["models"]]
    else:
        bag, files = {}, [checked(path)]
    models = [_load(name, file) for file in files]
    return apply.BagOfModels(models, bag.get("weights"), bag.get("segment"))


def _path(name: str, weights: str | os.PathLike[str] | None) -> Path | None:
    """The file or bag that was given or lies in the models folder; None: look on the hub."""
    if weights is None:
        return in_models_folder((f"{name}/{name}.yaml", f"{name}.yaml", f"{name}.safetensors", f"{name}.th"))
    path = given_path(weights, name)
    if not path.is_dir():
        return path
    bags = sorted(path.glob("*.yaml"))
    choice = [bag for bag in bags if bag.stem == name] or bags
    if len(choice) != 1:
        raise ModelMissingError(f"{name}: {path} should hold {name}.yaml; it holds {len(bags)} .yaml files")
    return choice[0]


def _beside(bag: Path, signature: str) -> Path:
    for pattern in (f"{signature}.safetensors", f"{signature}.th", f"{signature}-*.th"):
        if found := sorted(bag.parent.glob(pattern)):
            return checked(found[0])
    raise ModelMissingError(
        f"{bag} names the model {signature}, which is not beside it: add {signature}.safetensors"
    )


def _from_hub(name: str) -> tuple[dict[str, Any], list[Path]]:
    """A bag from the caches of huggingface-hub or, as earlier versions kept it, torch.hub; else fetched."""
    hub = package("demucs.hf", name, "demucs")
    pretrained = package("demucs.pretrained", name, "demucs")
    old_bag = pretrained.REMOTE_ROOT / f"{name}.yaml"
    if old_bag.is_file():
        bag = _bag(old_bag)
        urls = pretrained._parse_remote_files(pretrained.REMOTE_ROOT / "files.txt")
        sources = [urls.get(signature, "") for signature in bag["models"]]
        if all(url and (torch_hub_folder() / url.rsplit("/", 1)[1]).is_file() for url in sources):
            return bag, [torch_hub_file(url, name) for url in sources]
    repository = f"{hub.DEFAULT_NAMESPACE}/{hub.hf_repo_name(name)}"
    bag = _bag(hub_file(repository, f"{name}.yaml", name))
    return bag, [hub_file(repository, f"{signature}.safetensors", name) for signature in bag["models"]]


def _bag(path: Path) -> dict[str, Any]:
    yaml = package("yaml", "demucs", "demucs")
    try:
        bag = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ModelMissingError(f"the bag of models {path} cannot be read: {error}") from error
    if not isinstance(bag, dict) or not isinstance(bag.get("models"), list):
        raise ModelMissingError(f"{path} should name a list `models`, as Demucs' bags do")
    return bag


def _load(name: str, path: Path) -> nn.Module:
    """One network from its file, by the package's own loader, once the file is known to hold no more."""
    try:
        if path.suffix == ".safetensors":
            return _load_safetensors(path)
        return _load_package(path)
    except ModelMissingError:
        raise
    except Exception as error:  # a damaged file can fail in any way inside the package
        raise ModelMissingError(
            f"{name}: {path} does not hold a Demucs model ({type(error).__name__}: {error}): fetch it again"
        ) from error


def _load_safetensors(path: Path) -> nn.Module:
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        metadata: Mapping[str, str] = file.metadata() or {}
    # The package imports whatever class the file names, and calls it.
    if metadata.get("klass") not in _CLASSES:
        raise ModelMissingError(
            f"{path} should hold one of {', '.join(_CLASSES)}; it names {metadata.get('klass')!r}"
        )
    if "structure" in metadata or not isinstance(json.loads(metadata["kwargs"]), dict):
        raise ModelMissingError(f"{path} holds quantised weights: use the model they were made from")
    loaded: nn.Module = package("demucs.hf", "demucs", "demucs").load_safetensors_model(path)
    return loaded


def _load_package(path: Path) -> nn.Module:
    """A `.th` package: a pickle, of which only the two classes, fractions and tensors are let in."""
    import pickle
    from fractions import Fraction

    import torch

    classes = [
        getattr(package(full.rpartition(".")[0], "demucs", "demucs"), full.rpartition(".")[2])
        for full in _CLASSES
    ]
    try:
        with torch.serialization.safe_globals([*classes, Fraction]):
            content = torch.load(path, "cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelMissingError(f"{path} holds more than weights, and code from a file is not run") from error
    if content["klass"] not in classes:
        raise ModelMissingError(f"{path} should hold one of {', '.join(_CLASSES)}")
    loaded: nn.Module = package("demucs.states", "demucs", "demucs").load_model(content)
    return loaded


def _segment_s(name: str, trained: Any, asked: float | None, transformer: bool) -> Any:
    """Seconds of a segment; the trained length may be a fraction, and is kept one."""
    if asked is None:
        return trained
    if asked <= 0 or (transformer and asked > trained):
        most = f" and at most {float(trained):g}" if transformer else ""
        raise ArgumentValueError(f"{name} takes segments above 0 s{most}; got {asked:g}")
    return asked


def _forward(module: nn.Module) -> Any:
    # (c, n) -> (1, c, n) -> (1, s, c, n) -> (s, c, n)
    return lambda mix: module(mix[None])[0]
