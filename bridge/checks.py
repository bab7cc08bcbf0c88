"""What `doctor` looks at: is everything here that a render needs, and what to do about what is not."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stembridge.model.errors import StembridgeError
from stembridge.model.platform import free_memory

from .config import Config, ConfigError, config_path, load_config

Status = Literal["ok", "warn", "fail"]

_PACKAGES = ("numpy", "scipy", "pedalboard", "soxr", "soundfile", "mutagen", "platformdirs")
_AGAIN = "install again: pip install --force-reinstall stembridge"
_NEEDED_MEMORY = 600_000_000  # what a render takes at most, whatever the length of the song
_NEEDED_DISK = 100_000_000


@dataclass(frozen=True)
class Check:
    """One finding; `fail` means that a render would stop at it, `fix` says what to do."""

    name: str
    status: Status
    text: str
    fix: str = ""


def all_checks(*, full: bool = False) -> tuple[Config, list[Check]]:
    """Look at everything; `full` imports torch, too, to see which devices it has (seconds).

    Returns the configuration that holds (the defaults where it cannot be read) and the findings.
    """
    config, settled = _configuration()
    checks = [*_versions(), *_torch(full), _ffmpeg(), _memory(), settled, *_folders(config)]
    checks += _guarded("plug-ins", lambda: _plugins(config))
    checks += _guarded("presets", _presets)
    checks += _guarded("models", lambda: _models(config))
    return config, [*checks, *_extras()]


def _guarded(name: str, look: Callable[[], Iterator[Check]]) -> list[Check]:
    """The findings of a look that needs packages, any of which may be the very thing that is missing."""
    try:
        return list(look())
    except ImportError as error:
        return [Check(name, "fail", f"cannot be looked at: {error}", _AGAIN)]


def _configuration() -> tuple[Config, Check]:
    path = config_path()
    try:
        config = load_config(path)
    except ConfigError as error:
        return Config(), Check("config", "fail", str(error), "correct that line, or move the file away")
    if config.path is None:
        return config, Check("config", "ok", f"no {path}; the defaults hold")
    later = f"; {', '.join(f'[{name}]' for name in config.later)} left to `serve`" if config.later else ""
    return config, Check("config", "ok", f"{path}, {len(config.lines)} settings{later}")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _versions() -> Iterator[Check]:
    yield Check("python", "ok", f"{platform.python_version()} on {platform.platform(terse=True)}")
    yield Check("stembridge", "ok", _version("stembridge") or "run from a folder, not installed")
    for package in _PACKAGES:
        if (found := _version(package)) is not None:
            yield Check(package, "ok", found)
        else:
            yield Check(package, "fail", "not installed", _AGAIN)


def _torch(full: bool) -> Iterator[Check]:
    found = _version("torch")
    if found is None:
        yield Check("torch", "warn", "not installed: networks cannot run", "pip install torch")
        return
    if not full:
        yield Check("torch", "ok", f"{found} (`doctor --full` looks for GPUs)")
        return
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Check("torch", "warn", f"{found} does not load: {error}", "pip install --force-reinstall torch")
        return
    devices = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps")
    yield Check("torch", "ok", found)
    yield Check("devices", "ok", ", ".join(["cpu", *devices]))


def _ffmpeg() -> Check:
    program = shutil.which("ffmpeg")
    if program is None:
        fix = "only needed for m4a, opus, mp4 and video: install ffmpeg and put it on PATH"
        return Check("ffmpeg", "warn", "not on PATH", fix)
    try:
        out = subprocess.run(
            [program, "-version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return Check("ffmpeg", "warn", f"{program} does not run: {error}", "install ffmpeg again")
    version = re.match(r"ffmpeg version (\S+)", out)
    return Check("ffmpeg", "ok", f"{version[1] if version else 'of unknown version'} ({program})")


def _memory() -> Check:
    free = free_memory()
    if free is None:
        return Check("memory", "ok", "this system does not say how much is free")
    text = f"{_size(free)} free"
    if free < _NEEDED_MEMORY:
        return Check("memory", "warn", text, f"a render takes up to {_size(_NEEDED_MEMORY)}: close something")
    return Check("memory", "ok", text)


def _folders(config: Config) -> Iterator[Check]:
    out = config.render.out.absolute()
    yield _folder("outputs", out, "fail", "set `out` under [render], or give -o", _NEEDED_DISK)
    cache = config.cache
    if not cache.limit_bytes:
        yield Check("cache", "ok", "off (limit_gb = 0): every render separates anew")
        return
    yield _folder(
        "cache", cache.folder, "warn", "set `folder` under [cache]: stems are separated anew until then"
    )


def _folder(name: str, folder: Path, bad: Status, fix: str, needed: int = 0) -> Check:
    """Whether files can be made in a folder, or in the nearest one above it that exists."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
        free = shutil.disk_usage(there).free
    except OSError as error:
        return Check(name, bad, f"{folder} cannot be written: {error.strerror or error}", fix)
    text = f"{folder}{'' if there == folder else ' (will be made)'}, {_size(free)} free"
    if free < needed:
        return Check(name, bad, text, f"make room, or {fix}")
    return Check(name, "ok", text)


def _plugins(config: Config) -> Iterator[Check]:
    from stembridge.model.plugins.plugin_files import installed_plugins, plugin_folders

    for folder in config.plugins.folders:
        if not folder.is_dir():
            yield Check("plug-ins", "warn", f"no folder {folder}", "correct `folders` under [plugins]")
    found = installed_plugins(config.plugins.folders)
    there = [str(folder) for folder in plugin_folders(config.plugins.folders) if folder.is_dir()]
    where = f" in {', '.join(there)}" if there else ""
    yield Check("plug-ins", "ok", f"{len(found)} file{'' if len(found) == 1 else 's'}{where}")


def _presets() -> Iterator[Check]:
    from .presets import preset_paths, read_preset, user_folder

    paths = preset_paths()
    for path in paths.values():
        try:
            read_preset(path)
        except StembridgeError as error:
            yield Check("presets", "warn", str(error), "correct it, or move it away")
    own = sum(path.parent == user_folder() for path in paths.values())
    yield Check("presets", "ok", f"{len(paths) - own} shipped, {own} in {user_folder()}")


def _models(config: Config) -> Iterator[Check]:
    from stembridge.model.registry import list_separators, resolve, separator_entry
    from stembridge.model.weights_files import models_folder

    names = ", ".join(entry.name for entry in list_separators())
    try:
        chosen = resolve(config.render.model)
    except StembridgeError as error:
        yield Check("models", "fail", str(error), "correct `model` under [render]")
        return
    if not installed(separator_entry(chosen).module):
        yield Check("models", "fail", f"{chosen} is not installed", _AGAIN)
        return
    meant = (
        f" ({config.render.model!r} is {chosen})"
        if chosen != config.render.model
        else f" ({chosen} is chosen)"
    )
    yield Check("models", "ok", names + meant)
    yield Check("models folder", "ok", f"{models_folder()}: for weights that were fetched by hand")


def installed(module: str) -> bool:
    """Whether the code of a separator is there, without importing it."""
    return importlib.util.find_spec(f"stembridge.model.separators.{module}") is not None


def _extras() -> Iterator[Check]:
    """The optional parts users install by name: `pip install 'stembridge[plot]'`."""
    parts: dict[str, list[str]] = {}
    for requirement in importlib.metadata.requires("stembridge") or []:
        match = re.match(r"""([A-Za-z0-9._-]+)[^;]*;.*extra == ["']([^"']+)["']""", requirement)
        if match and match[2] not in ("test", "dev"):
            parts.setdefault(match[2], []).append(match[1])
    for extra, packages in sorted(parts.items()):
        if missing := [package for package in packages if _version(package) is None]:
            fix = f"if you want it: pip install 'stembridge[{extra}]'"
            yield Check(f"extra {extra}", "warn", f"without {', '.join(missing)}", fix)
        else:
            yield Check(f"extra {extra}", "ok", ", ".join(f"{name} {_version(name)}" for name in packages))


def _size(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
