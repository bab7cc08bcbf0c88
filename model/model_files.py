"""Which of other people's models a file or folder holds, without loading it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from .errors import ModelMissingError
from .registry import SeparatorEntry
from .separators.onnx import SAMPLE_RATE
from .separators.onnx import read_settings as read_mdx_settings
from .separators.openunmix import SEGMENT_S, read_folder
from .separators.roformer_settings import SUFFIXES, find_files, read_settings
from .separators.segments import in_stem_order, latency_of, residual_stem_of
from .weights_files import package, package_version

_YAML = (".yaml", ".yml")
_DEMUCS = {"demucs.htdemucs.HTDemucs": 10.0, "demucs.hdemucs.HDemucs": 40.0}
"""Its classes, and the seconds of a segment where a file does not say."""


def model_at(path: Path) -> SeparatorEntry | None:
    """The model in a file or folder, or None if nothing there looks like one of other people's.

    Raises ModelMissingError for one whose settings are missing or wrong.
    """
    if path.suffix == ".onnx" and path.is_file():
        return _mdx(path)
    if path.is_dir() and (path / "separator.json").is_file():
        return _umx(path)
    if path.is_dir():
        settings = [file for file in sorted(path.iterdir()) if file.suffix in _YAML]
        return model_at(settings[0]) if len(settings) == 1 else None
    if not path.is_file():
        return None
    if path.suffix in _YAML:
        content = _yaml(path)
        if isinstance(content.get("models"), list):
            return _demucs(path, content)
        return _roformer(path) if "model" in content and "audio" in content else None
    if path.suffix == ".safetensors":
        metadata = safetensors_metadata(path)
        if metadata.get("klass") in _DEMUCS:
            return _demucs(path, {})
        if "stembridge" in metadata:
            return None
    if path.suffix in SUFFIXES and any(file.suffix in _YAML for file in path.parent.iterdir()):
        return _roformer(path)
    return None


def safetensors_metadata(path: Path) -> Mapping[str, str]:
    """The texts in the header of a `.safetensors` file; empty for one that has none or is damaged."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, 100 << 20)))
        found: Mapping[str, str] = header.get("__metadata__", {})
    except (OSError, ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


def identity_of(distribution: str, *parts: str) -> str:
    """A hash over what a model's estimates depend on: the package that computes them, and its files."""
    facts = [distribution, package_version(distribution), *parts]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _mdx(path: Path) -> SeparatorEntry:
    settings = read_mdx_settings(path)
    latency = latency_of(settings.segment_frames, 0.25, SAMPLE_RATE)
    beside = [
        file for file in (path.with_suffix(".json"), path.with_name("model_data.json")) if file.is_file()
    ]
    return _entry(path, "onnx", "Mdx", "onnxruntime", settings.stems, latency, SAMPLE_RATE, [path, beside[0]])


def _umx(path: Path) -> SeparatorEntry:
    files, settings = read_folder(path)
    rate = int(settings["sample_rate"])
    latency = latency_of(round(SEGMENT_S * rate), 0.25, rate)
    return _entry(
        path,
        "openunmix",
        "OpenUnmix",
        "openunmix",
        tuple(files),
        latency,
        rate,
        [*files.values(), path / "separator.json"],
    )


def _roformer(path: Path) -> SeparatorEntry:
    checkpoint, beside = find_files(path)
    settings = read_settings(beside)
    latency = latency_of(settings.chunk_frames, settings.overlap, settings.sample_rate)
    return _entry(
        checkpoint,
        "roformer",
        "RoFormer",
        "BS-RoFormer",
        settings.stems,
        latency,
        settings.sample_rate,
        [checkpoint, beside],
    )


def _demucs(path: Path, bag: Mapping[str, Any]) -> SeparatorEntry:
    files = [path]
    if bag:
        files = [path.with_name(f"{signature}.safetensors") for signature in bag["models"]]
    try:
        models = [safetensors_metadata(file) for file in files]
        arguments = [json.loads(model["kwargs"]) for model in models]
        (sources,) = json.loads(models[0]["args"]) or [arguments[0]["sources"]]
        segments = [
            _seconds(given.get("segment", _DEMUCS[model["klass"]]))
            for given, model in zip(arguments, models, strict=True)
        ]
        rate = int(arguments[0].get("samplerate", 44100))
        if "segment" in bag:
            segments = [float(bag["segment"])]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelMissingError(
            f"{path} should name models that lie beside it as .safetensors, as Demucs' own do; "
            f"{error!r} is missing or wrong"
        ) from error
    latency = max(latency_of(int(rate * seconds), 0.25, rate) for seconds in segments)
    return _entry(path, "demucs", "Demucs", "demucs", tuple(sources), latency, rate, [path, *files])


def _seconds(value: Any) -> float:
    if isinstance(value, dict):
        return float(value["numerator"]) / float(value["denominator"])
    return float(value)


def _yaml(path: Path) -> Mapping[str, Any]:
    yaml = package("yaml", path.name, "roformer")
    try:
        keys = [key.value for key, _ in yaml.compose(path.read_text(encoding="utf-8")).value]
        if "models" in keys:
            content: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
            return content
    except (OSError, ValueError, AttributeError, TypeError, yaml.YAMLError):
        return {}
    return dict.fromkeys(keys)


def _entry(
    path: Path,
    module: str,
    class_name: str,
    distribution: str,
    stems: Sequence[str],
    latency_s: float,
    rate: int,
    files: Sequence[Path],
) -> SeparatorEntry:
    """The entry of a model; its name is that of the file or folder."""
    hashes = [_sha256(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    ordered = in_stem_order(stems)
    entry = SeparatorEntry(
        path.name if path.is_dir() else path.stem,
        f"{class_name} from {path}",
        ordered,
        residual_stem_of(ordered),
        module,
        class_name,
        latency_s=round(latency_s, 2),
        licence="as its author says",
        needs=f"torch and the package {distribution}",
        max_rate=rate,
        uses_device=True,
        rate=rate,
        bound={"weights": path},
        weights=path,
        weights_sha256=hashes[0],
        identity=identity_of(distribution, *hashes),
        size_bytes=sum(file.stat().st_size for file in set(files)),
    )
    extra = {"onnxruntime": "onnx", "BS-RoFormer": "roformer"}.get(distribution, distribution)
    missing = "" if package_version(distribution) else f"pip install 'stembridge[{extra}]'"
    return replace(entry, missing=missing)


@lru_cache(maxsize=64)
def _sha256(path: str, size: int, changed_ns: int) -> str:
    """Of a whole file; asked for again only when the file has changed."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
