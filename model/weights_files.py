"""Where the weights of other people's models are found, and whether they are what they should be.

In this order: the path that was given; the models folder of this user; the caches of the packages
(huggingface-hub and torch.hub); then, once, the network, through those two. A file whose hash is known is
checked before anything in it is read, and nothing here ever runs code out of a file.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import platformdirs

from .errors import ModelMissingError

_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8})$")
_WHOLE_HASH = re.compile(r"[0-9a-f]{64}")


def models_folder() -> Path:
    """The folder for weights that were fetched by hand."""
    return platformdirs.user_data_path("stembridge") / "models"


def package(module: str, model: str, extra: str) -> Any:
    """Import a module of an optional package; ModelMissingError says how to get it."""
    try:
        return import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        absent = isinstance(error, ModuleNotFoundError) and error.name == name
        problem = "which is not installed" if absent else f"which does not load ({error})"
        raise ModelMissingError(
            f"{model} needs the package {name}, {problem}: pip install 'stembridge[{extra}]'"
        ) from error


def given_path(weights: str | os.PathLike[str], model: str) -> Path:
    """The path of weights that were asked for by the user; ModelMissingError where nothing is."""
    path = Path(weights).expanduser()
    if not path.exists():
        raise ModelMissingError(f"{model}: there are no weights at {path}: give a file or folder that exists")
    return path


def in_models_folder(names: Iterable[str]) -> Path | None:
    """The first of these names that is in the models folder."""
    return next((path for name in names if (path := models_folder() / name).exists()), None)


def expected_sha256(path: Path) -> str | None:
    """The hash a file should have, whole or its beginning, or None where nobody has written it down.

    It is taken from `<file>.sha256` beside it (as sha256sum writes it), from the name of a `.th` or `.pth`
    (`drums-9619578f.pth`, the custom of torch.hub), or from the name huggingface-hub stores the file under.
    """
    beside = path.with_name(path.name + ".sha256")
    if beside.is_file():
        return beside.read_text(encoding="utf-8").split(maxsplit=1)[0].lower()
    if path.suffix in (".th", ".pth") and (found := _HASH_IN_NAME.search(path.stem)):
        return found[1]
    stored = path.resolve().name
    return stored if _WHOLE_HASH.fullmatch(stored) else None


def checked(path: Path, sha256: str | None = None) -> Path:
    """The path itself, if the file is there and has the hash that it should have, where that is known.

    Raises ModelMissingError for a file that is missing, cannot be read or has another hash.
    """
    if not path.is_file():
        raise ModelMissingError(f"the weights {path} are missing: fetch them again")
    expected = (sha256 or expected_sha256(path) or "").lower()
    if not expected:
        return path
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelMissingError(f"the weights {path} cannot be read: {error.strerror or error}") from error
    if not found.startswith(expected):
        raise ModelMissingError(
            f"the weights {path} are damaged: their SHA-256 should begin with {expected[:8]} and begins with "
            f"{found[:8]}; delete the file and fetch it again"
        )
    return path


def hub_file(repository: str, name: str, model: str) -> Path:
    """A file of a huggingface repository: from a folder named as the model in the models folder, from the
    hub's cache, else fetched, with the hub's own progress bar.

    Raises ModelMissingError without network, and for a file with a wrong hash.
    """
    if (local := in_models_folder((f"{model}/{name}",))) is not None:
        return checked(local)
    hub = package("huggingface_hub", model, "demucs")
    cached = hub.try_to_load_from_cache(repository, name)
    if isinstance(cached, str):
        return checked(Path(cached))

    def fetch() -> Path:
        # Asked once, it says at once that there is no network; the download would try for half a minute.
        hub.get_hf_file_metadata(hub.hf_hub_url(repository, name))
        return Path(hub.hf_hub_download(repository, name))

    return checked(_fetched(fetch, f"https://huggingface.co/{repository}", name, model))


def torch_hub_file(url: str, model: str) -> Path:
    """A file that torch.hub keeps by the name in its URL: from a folder named as the model in the models
    folder, from torch.hub's cache, else fetched, with its own progress bar.

    The name ends in the beginning of its hash. Raises ModelMissingError without network, and for a file with
    a wrong hash.
    """
    name = url.rsplit("/", 1)[1]
    path = torch_hub_folder() / name
    local = in_models_folder((f"{model}/{name}",)) or path
    if local.is_file():
        return checked(local)

    def fetch() -> Path:
        import torch

        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=expected_sha256(Path(name)))
        return path

    return checked(_fetched(fetch, url, name, model))


def torch_hub_folder() -> Path:
    """Where torch.hub keeps what it fetched; known without importing torch."""
    if (torch := sys.modules.get("torch")) is not None:
        return Path(torch.hub.get_dir()) / "checkpoints"
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub" / "checkpoints"


def in_hub_cache(repository: str) -> bool:
    """Whether huggingface-hub has fetched anything of a repository."""
    try:
        cache = import_module("huggingface_hub.constants").HF_HUB_CACHE
    except ImportError:
        return False
    return any(Path(cache).glob(f"models--{repository.replace('/', '--')}/snapshots/*/*"))


def package_version(name: str) -> str | None:
    """The version of an installed distribution, or None; nothing is imported."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _fetched(fetch: Callable[[], Path], source: str, name: str, model: str) -> Path:
    try:
        return fetch()
    except Exception as error:  # the hubs' own errors and those of the HTTP client below have no common class
        cause = str(error.__cause__ or error).strip().partition("\n")[0]
        raise ModelMissingError(
            f"{model} could not fetch {name} from {source} ({cause}): go online once, or put its files into "
            f"{models_folder() / model}"
        ) from error
