"""Open-Unmix (Stoter, Uhlich, Liutkus and Mitsufuji 2019) from the package `openunmix`, streamed.

One recurrent network a stem and a Wiener filter over all of them; both see what is around a frame, so the
song is cut into fixed anchored segments. On a song no longer than a segment the stems are those of the
package's `Separator` itself.

The package imports torchaudio for reading files and resampling, which nothing here does. Where torchaudio
cannot be imported, an empty module stands in its place while `openunmix` is imported, and no longer.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..audio import Audio, StemArray
from ..errors import ArgumentValueError, ModelMissingError
from ..weights_files import checked, given_path, in_models_folder, package, torch_hub_file
from .network_workers import Warn
from .segments import SegmentNetwork, SegmentSeparator, as_warning, in_stem_order

if TYPE_CHECKING:
    from torch import nn

SEGMENT_S = 10.0
"""As long as it pays: a longer one costs latency and memory, a shorter one more overlaps."""

_HUB = {
    "umxhq": (
        "https://zenodo.org/records/3370489/files/",
        ("drums-9619578f", "bass-8d85a5bd", "other-b52fbbf7", "vocals-b62c91ce"),
    ),
    "umxl": (
        "https://zenodo.org/records/5069601/files/",
        ("drums-69e0ebd4", "bass-2ca1ce51", "other-c8c5b3e6", "vocals-bccbd9aa"),
    ),
}
"""Where the package gets its weights; every name ends in the beginning of the file's SHA-256."""
_HUB_STFT = {"sample_rate": 44100, "nfft": 4096, "nhop": 1024, "nb_channels": 2}


class OpenUnmix(SegmentSeparator):
    """Open-Unmix with any number of targets.

    `weights` is a folder as the package's training writes it: `separator.json`, and for each target its
    `.pth` and `.json`. None looks in the models folder, in torch.hub's cache and, once, on the network.
    `iterations` of expectation maximisation refine the Wiener filter; the other options are those of
    `SegmentSeparator`. `warn` is told when the device's memory does not do.

    Raises ModelMissingError for a missing package or file, a wrong hash, or no network to fetch it by;
    ArgumentValueError for options out of range, and for another rate than the model's.
    """

    name: str = "openunmix"

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        *,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        overlap: float = 0.25,
        segment: float = SEGMENT_S,
        shifts: int = 0,
        seed: int = 0,
        iterations: int = 1,
        parallel: int | None = None,
        warn: Warn | None = None,
    ) -> None:
        if not 0 < segment <= 600 or iterations < 0:
            raise ArgumentValueError(
                f"{self.name} takes segments above 0 and up to 600 s and 0 or more iterations; "
                f"got {segment:g} s and {iterations}"
            )
        if weights is not None and type(self) is OpenUnmix:
            self.name = Path(weights).expanduser().resolve().name
        separator, stems, settings = load_separator(self.name, weights, iterations)
        from .torch_runner import TorchRunner  # after what may be missing, for it takes seconds

        runner = TorchRunner(
            self.name,
            separator,
            # (c, n) -> (1, c, n) -> (1, s, c, n) -> (s, c, n)
            lambda mix: separator(mix[None])[0],
            device,
            stems=len(stems),
            warn=warn or as_warning,
        )
        window = int(settings["nfft"])

        def run(mix: Audio) -> StemArray:
            # The STFT mirrors half a window at the ends, and needs more than that to mirror.
            return runner(np.pad(mix, [(0, 0), (0, max(0, window - mix.shape[1]))]))[:, :, : mix.shape[1]]

        rate = int(settings["sample_rate"])
        network = SegmentNetwork(
            run,
            stems,
            max(window, round(segment * rate)),
            channels=int(settings["nb_channels"]),
            whole=False,
            segment_bytes=int(40e6 * segment) + (1 << 27),
        )
        super().__init__(
            self.name,
            [network],
            sample_rate,
            channels,
            native_rate=rate,
            overlap=overlap,
            shifts=shifts,
            seed=seed,
            parallel=parallel,
        )


class UmxHq(OpenUnmix):
    """Open-Unmix trained on MUSDB18-HQ."""

    name = "umxhq"


class UmxL(OpenUnmix):
    """Open-Unmix of twice the width, trained on private material as well."""

    name = "umxl"


def load_separator(
    name: str, weights: str | os.PathLike[str] | None = None, iterations: int = 1
) -> tuple[nn.Module, tuple[str, ...], Mapping[str, Any]]:
    """Load a model as the package's `Separator`; also its stems, and the settings of its STFT.

    Raises ModelMissingError as `OpenUnmix` does.
    """
    model = umx_model(name)
    folder = in_models_folder((f"{name}/separator.json",)) if weights is None else given_path(weights, name)
    settings: Mapping[str, Any] = _HUB_STFT
    if folder is not None:
        files, settings = read_folder(folder if folder.is_dir() else folder.parent)
    else:
        if name not in _HUB:
            raise ModelMissingError(f"{name} has no weights of its own: give the path of its folder")
        address, names = _HUB[name]
        files = {part.rpartition("-")[0]: torch_hub_file(f"{address}{part}.pth", name) for part in names}
    targets = in_stem_order(list(files))
    separator: nn.Module = model.Separator(
        target_models={target: _target(model, files[target], settings) for target in targets},
        niter=iterations,
        sample_rate=float(settings["sample_rate"]),
        n_fft=settings["nfft"],
        n_hop=settings["nhop"],
        nb_channels=settings["nb_channels"],
    )
    return separator, targets, settings


def umx_model(name: str) -> Any:
    """The package's module `model`, imported whether torchaudio loads or not."""
    try:
        package("torchaudio", name, "openunmix")
    except (ModelMissingError, OSError):  # not installed; or without the CUDA libraries it wants
        sys.modules["torchaudio"] = ModuleType("torchaudio")
        try:
            return package("openunmix.model", name, "openunmix")
        finally:
            del sys.modules["torchaudio"]
    return package("openunmix.model", name, "openunmix")


def read_folder(folder: Path) -> tuple[dict[str, Path], Mapping[str, Any]]:
    """The files of a model by target, and the settings of its STFT. Raises ModelMissingError."""
    settings = _settings(folder / "separator.json", tuple(_HUB_STFT))
    return _in_folder(folder), settings


def _in_folder(folder: Path) -> dict[str, Path]:
    """The weights of each target in a folder: every `.json` but `separator.json` describes one."""
    files = {}
    for description in sorted(folder.glob("*.json")):
        target = description.stem
        if target == "separator":
            continue
        found = sorted(folder.glob(f"{target}*.pth"))
        if not found:
            raise ModelMissingError(
                f"{description} describes {target}, but there is no {target}.pth beside it"
            )
        files[target] = checked(found[0])
    if not files:
        raise ModelMissingError(f"{folder} should hold the .pth and .json of each target; it holds none")
    return files


def _target(model: Any, path: Path, settings: Mapping[str, Any]) -> nn.Module:
    """One target's network; its width and its bandwidth are those of its weights."""
    import pickle

    import torch

    try:
        state = torch.load(path, "cpu", weights_only=True)
        network: nn.Module = model.OpenUnmix(
            nb_bins=int(settings["nfft"]) // 2 + 1,
            nb_channels=int(settings["nb_channels"]),
            hidden_size=state["fc1.weight"].shape[0],
            max_bin=state["input_mean"].shape[0],
            **_recurrence(state),
        )
        # Weights of old versions also hold the STFT's window, as the package's loader knows.
        wrong = network.load_state_dict(state, strict=False).missing_keys
    except (pickle.UnpicklingError, RuntimeError, KeyError, EOFError, AttributeError) as error:
        raise ModelMissingError(
            f"{path} does not hold the weights of an Open-Unmix target ({error}): fetch it again"
        ) from error
    if missing := [key for key in wrong if not key.endswith("num_batches_tracked")]:
        raise ModelMissingError(f"{path} lacks {missing[0]} and {len(missing) - 1} more of its weights")
    return network


def _recurrence(state: Mapping[str, Any]) -> dict[str, Any]:
    layers = sum(key.startswith("lstm.weight_ih_l") and not key.endswith("_reverse") for key in state)
    return {"nb_layers": layers, "unidirectional": "lstm.weight_ih_l0_reverse" not in state}


def _settings(path: Path, needed: tuple[str, ...]) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelMissingError(
            f"{path} cannot be read ({error}): it says which STFT the weights need"
        ) from error
    if not isinstance(settings, dict) or not all(isinstance(settings.get(k), int | float) for k in needed):
        raise ModelMissingError(f"{path} should say {', '.join(needed)}")
    return settings
