"""Other people's networks, small and with random weights, in the files their own programs write."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import peers

STEMS = ["drums", "bass", "other", "vocals"]


def optional(module: str) -> Any:
    """A module of a package that need not be there, or skip."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        peers.missing(f"{module} is not installed: {error}")


def htdemucs(seed: int = 0, sources: Sequence[str] = STEMS) -> Any:
    """A tiny HTDemucs with segments of a quarter of a second."""
    torch, demucs = optional("torch"), optional("demucs.htdemucs")
    torch.manual_seed(seed)
    return demucs.HTDemucs(
        list(sources), channels=8, bottom_channels=16, t_layers=1, t_heads=2, segment=Fraction(1, 4)
    ).eval()


def hdemucs(seed: int = 0) -> Any:
    """A tiny HDemucs with segments of half a second."""
    torch, demucs = optional("torch"), optional("demucs.hdemucs")
    torch.manual_seed(seed)
    return demucs.HDemucs(STEMS, channels=8, segment=0.5).eval()


def save_demucs(network: Any, path: Path, klass: str | None = None) -> Path:
    """Save as Demucs' authors export their models."""
    from safetensors.torch import save_file

    def plain(value: object) -> object:
        if isinstance(value, Fraction):
            return {"_type": "fraction", "numerator": value.numerator, "denominator": value.denominator}
        return str(value)

    args, kwargs = network._init_args_kwargs
    kind = type(network)
    metadata = {
        "klass": klass or f"{kind.__module__}.{kind.__qualname__}",
        "args": json.dumps(args, default=plain),
        "kwargs": json.dumps(kwargs, default=plain),
    }
    save_file(
        {key: value.contiguous() for key, value in network.state_dict().items()}, path, metadata=metadata
    )
    return path


def save_demucs_package(network: Any, path: Path, state: object = None) -> Path:
    """Save as Demucs v3 and v4 did until 4.0: a pickled dictionary, half precision."""
    torch = optional("torch")
    args, kwargs = network._init_args_kwargs
    halves = {key: value.half() for key, value in network.state_dict().items()}
    content = {"klass": type(network), "args": args, "kwargs": kwargs, "state": state or halves}
    torch.save({**content, "training_args": {"seed": 42, "dset": {"segment": 11.0}}}, path)
    return path


def save_umx(folder: Path, window: int = 512) -> Path:
    """Train nothing, save all: four targets and the separator's settings."""
    torch = optional("torch")
    from stembridge.model.separators.openunmix import umx_model

    model = umx_model("umx")
    torch.manual_seed(0)
    for target in STEMS:
        network = model.OpenUnmix(nb_bins=window // 2 + 1, nb_channels=2, hidden_size=16, max_bin=180)
        for name, buffer in network.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
        torch.save(network.state_dict(), folder / f"{target}.pth")
        args = {"nfft": window, "nhop": window // 4, "nb_channels": 2, "hidden_size": 16}
        (folder / f"{target}.json").write_text(json.dumps({"args": args}))
    settings = {"sample_rate": 44100, "nfft": window, "nhop": window // 4, "nb_channels": 2}
    (folder / "separator.json").write_text(json.dumps(settings))
    return folder


ROFORMER: dict[str, Any] = {
    "dim": 16,
    "depth": 2,
    "stereo": True,
    "time_transformer_depth": 1,
    "freq_transformer_depth": 1,
    "dim_head": 8,
    "heads": 1,
    "stft_n_fft": 512,
    "stft_win_length": 512,
    "stft_hop_length": 147,
    "dim_freqs_in": 257,
}
BANDS: dict[str, Any] = {"freqs_per_bands": (2,) * 16 + (8,) * 8 + (32,) * 4 + (33,)}
CHUNK = 147 * 60


def roformer(kind: str, **more: Any) -> Any:
    """A tiny network of the package."""
    torch, package = optional("torch"), optional("bs_roformer")
    torch.manual_seed(0)
    network = getattr(package, kind)(**{**ROFORMER, **more}).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def save_roformer_settings(
    path: Path, instruments: list[str], target: str | None, overlap: int = 2, **model: Any
) -> None:
    """Save the settings as the community's training program does, its tag for tuples included."""
    yaml = optional("yaml")
    content = {
        "audio": {"chunk_size": CHUNK, "num_channels": 2, "sample_rate": 44100},
        "model": {**ROFORMER, **model},
        "training": {"instruments": instruments, "target_instrument": target},
        "inference": {"batch_size": 1, "num_overlap": overlap},
    }
    path.write_text(yaml.dump(content))


def save_mdx(path: Path, dim_f: int = 200, dim_t: int = 32) -> Path:
    """A network of one convolution over the four planes, with a nonlinearity."""
    onnx = optional("onnx")
    helper, rng = onnx.helper, np.random.default_rng(0)
    weights = (0.4 * rng.standard_normal((4, 4, 3, 3))).astype(np.float32)
    shape = [1, 4, dim_f, dim_t]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["input", "weights"], ["sum"], pads=[1, 1, 1, 1]),
            helper.make_node("Tanh", ["sum"], ["output"]),
        ],
        "mdx",
        [helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, shape)],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))
    settings = {"n_fft": 512, "hop": 128, "dim_f": dim_f, "dim_t": dim_t}
    path.with_suffix(".json").write_text(
        json.dumps({**settings, "compensate": 1.035, "primary_stem": "Vocals"})
    )
    return path
