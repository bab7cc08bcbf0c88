"""BS-RoFormer (Lu, Wang, Kong and Hung 2023) and Mel-Band RoFormer (Wang, Lu and Won 2023), streamed.

The networks are those of the package `BS-RoFormer`; weights and settings come as their authors share them, a
`.ckpt`, `.pth` or `.safetensors` with a `.yaml` beside it (`audio.chunk_size`, `model`,
`training.instruments` and `target_instrument`, `inference.num_overlap`). Most shared checkpoints are older
than what the package has become since: they have neither hyper-connections nor value residuals. Such a file
is told by the names of its weights, and gets the network as it was.

Only weights are read from a file, never code.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..audio import Audio, StemArray
from ..errors import ArgumentValueError, ModelMissingError
from ..weights_files import checked, package
from .network_workers import Warn
from .roformer_settings import RoFormerSettings, find_files, read_settings
from .segments import SegmentNetwork, SegmentSeparator, as_warning

if TYPE_CHECKING:
    from torch import Tensor, nn

_NOT_IN_THE_PACKAGE = {
    "linear_transformer_depth": 0,
    "mlp_expansion_factor": 4,
    "skip_connection": False,
    "use_torch_checkpoint": None,
    "sage_attention": None,
}
"""Settings of the training program that the package lacks, and which value changes nothing (None: any)."""


class RoFormer(SegmentSeparator):
    """A network from a checkpoint and its settings.

    `weights` is the checkpoint, its `.yaml` or a folder with one of each. A network for one stem gives its
    rest as a second: `accompaniment` beside `vocals`. `overlap` is that of the settings and `segment` (in
    seconds) their chunk unless given; the other options are those of `SegmentSeparator`. `warn` is told
    when the device's memory does not do.

    Raises ModelMissingError for a missing package or file and for files that do not fit each other or the
    package, ArgumentValueError for options out of range and another rate than the model's.
    """

    name: str = "roformer"

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        *,
        weights: str | os.PathLike[str],
        device: str = "auto",
        overlap: float | None = None,
        segment: float | None = None,
        shifts: int = 0,
        seed: int = 0,
        parallel: int | None = None,
        warn: Warn | None = None,
    ) -> None:
        checkpoint, settings_path = find_files(weights)
        settings = read_settings(settings_path)
        rate, hop = settings.sample_rate, settings.hop_frames
        if segment is not None and not hop / rate <= segment <= 600:
            raise ArgumentValueError(f"{checkpoint.stem} takes segments up to 600 s; got {segment:g} s")
        chunk = settings.chunk_frames if segment is None else round(segment * rate)
        module = load_network(checkpoint, settings)
        from .torch_runner import TorchRunner  # after what may be missing, for it takes seconds

        runner = TorchRunner(
            checkpoint.stem,
            module,
            _forward(module),
            device,
            stems=len(settings.outputs),
            warn=warn or as_warning,
        )

        def run(mix: Audio) -> StemArray:
            # The inverse STFT gives whole hops only.
            whole = np.pad(mix, [(0, 0), (0, -mix.shape[1] % hop)])
            estimates = runner(whole)[:, :, : mix.shape[1]]
            return estimates if settings.rest is None else np.concatenate([estimates, mix[None] - estimates])

        network = SegmentNetwork(
            run,
            settings.stems,
            chunk,
            channels=2 if settings.stereo else 1,
            segment_bytes=int(700e6 * chunk / rate),
        )
        super().__init__(
            checkpoint.stem,
            [network],
            sample_rate,
            channels,
            native_rate=rate,
            overlap=settings.overlap if overlap is None else overlap,
            shifts=shifts,
            seed=seed,
            parallel=parallel,
        )


def load_network(checkpoint: Path, settings: RoFormerSettings) -> nn.Module:
    """Make the package's network of the settings and load the checkpoint, every weight of it.

    Raises ModelMissingError for a file that holds anything else.
    """
    bs_roformer = package("bs_roformer", checkpoint.stem, "roformer")
    state = _state(checked(checkpoint))
    arguments = dict(settings.arguments)
    mel = settings.kind == "MelBandRoformer"
    for key, neutral in _NOT_IN_THE_PACKAGE.items():
        if key not in arguments or (mel and key == "linear_transformer_depth"):
            continue
        if (value := arguments.pop(key)) != neutral and neutral is not None:
            raise ModelMissingError(
                f"{settings.path} asks for {key} = {value!r}, which the package BS-RoFormer does not have"
            )
    old = not any(".branch." in key for key in state)
    if old:
        # The training program takes out the constant part of every stem, the package only when asked.
        arguments = {"zero_dc": True, **arguments, "num_residual_streams": 1}
        if mel:
            arguments = {"linear_transformer_depth": 0, **arguments, "add_value_residual": False}
    # Of each attention the package asks torch in a way that is about to go.
    warnings.filterwarnings("ignore", "`torch.backends.cuda.sdp_kernel", FutureWarning)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "A window was not provided", UserWarning)
            network: nn.Module = getattr(bs_roformer, settings.kind)(**arguments)
        if old:
            without_linear = mel and not arguments["linear_transformer_depth"]
            state = {_modern(key, 1 if without_linear else 0): value for key, value in state.items()}
            _forget_value_residuals(network)
        _load(network, state)
    except Exception as error:  # the package checks types and sizes with errors of many kinds
        problem = " ".join(str(error).split())[:200]
        raise ModelMissingError(
            f"{checkpoint} and {settings.path} do not fit the package's {settings.kind}: {problem}"
        ) from error
    return network


def _load(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Load every weight; one that several layers share may stand in the file once."""
    missing, unexpected = network.load_state_dict(state, strict=False)
    own = network.state_dict(keep_vars=True)
    loaded = {id(weight) for key, weight in own.items() if key not in missing}
    lacking = [key for key in missing if id(own[key]) not in loaded]
    if lacking or unexpected:
        raise ValueError(
            f"without {', '.join(lacking[:2]) or 'none'}, with {', '.join(unexpected[:2]) or 'none'}"
        )


def _state(path: Path) -> dict[str, Tensor]:
    """The weights in a checkpoint, by name."""
    import pickle

    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content = torch.load(path, "cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelMissingError(
            f"{path} holds more than weights, and code from a file is not run: save its weights alone"
        ) from error
    except Exception as error:  # a damaged file fails in its own way
        raise ModelMissingError(f"{path} cannot be read as weights ({error}): fetch it again") from error
    for key in ("state", "state_dict", "model_state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(v, torch.Tensor) for v in content.values()):
        raise ModelMissingError(f"{path} should hold named weights and nothing else")
    return content


def _modern(key: str, moved: int) -> str:
    """What the package calls a weight of an older checkpoint.

    Every attention and feed-forward is the branch of a (plain) residual now, and there is a place for a
    linear transformer before the other two.

    >>> _modern("layers.3.0.layers.1.0.norm.gamma", 1)
    'layers.3.1.layers.1.0.branch.norm.gamma'
    """
    parts = key.split(".")
    if parts[0] != "layers" or len(parts) < 4:
        return key
    parts[2] = str(int(parts[2]) + moved)
    if parts[3] == "layers" and len(parts) > 6:
        parts.insert(6, "branch")
    return ".".join(parts)


def _forget_value_residuals(network: nn.Module) -> None:
    """Take out what later versions put between the layers."""
    for module in network.modules():
        for name in ("to_value_residual_mix", "learned_value_residual_mix"):
            if getattr(module, name, None) is not None:
                setattr(module, name, None)


def _forward(network: nn.Module) -> Any:
    def forward(mix: Tensor) -> Tensor:
        # (c, n) -> (1, c, n) -> (1, s, c, n), or (1, c, n) from a network with one head
        estimates: Tensor = network(mix[None])[0]
        return estimates if estimates.ndim == 3 else estimates[None]

    return forward
