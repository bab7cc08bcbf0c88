"""Other people's models as the registry lists them: by name, by path, and those in the models folder.

The figures of the named ones are published ones; whose and on what stands in `sdr_songs`. Nothing is
imported here to list them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from . import weights_files
from .errors import ModelMissingError
from .model_files import identity_of, model_at
from .registry import SeparatorEntry
from .separators.segments import latency_of
from .weights_files import in_hub_cache, in_models_folder, package_version, torch_hub_folder

_FOUR = ("drums", "bass", "other", "vocals")
_RATE = 44100
_CC_BY_NC_SA = "CC BY-NC-SA 4.0: not for commercial use"


@dataclass(frozen=True)
class _Named:
    """A model that its package knows by name, and how to tell whether its weights are here."""

    entry: SeparatorEntry
    package: str
    extra: str
    files: tuple[str, ...]
    """In torch.hub's cache, as patterns."""
    repository: str | None = None
    """On huggingface."""


def _named(
    name: str,
    description: str,
    class_name: str,
    package: str,
    segment_frames: int,
    files: tuple[str, ...],
    *,
    licence: str,
    size_mb: int,
    sdr_db: Mapping[str, float],
    sdr_songs: str,
    speed: float | None,
    stems: tuple[str, ...] = _FOUR,
    repository: str | None = None,
) -> _Named:
    entry = SeparatorEntry(
        name,
        description,
        stems,
        "other",
        package,
        class_name,
        latency_s=round(latency_of(segment_frames, 0.25, _RATE), 1),
        licence=licence,
        needs=f"torch and the package {package}",
        max_rate=_RATE,
        uses_device=True,
        rate=_RATE,
        size_bytes=size_mb * 10**6,
        sdr_db=sdr_db,
        sdr_songs=sdr_songs,
        speed=speed,
    )
    return _Named(entry, package, package, files, repository)


_HT_FRAMES = 343_980
_EXCERPTS = "7 s excerpts of MUSDB18, as measured by StemSplit"
_MUSDB = "MUSDB18-HQ, as published"

_NAMED = (
    _named(
        "htdemucs",
        "Hybrid Transformer Demucs",
        "HtDemucs",
        "demucs",
        _HT_FRAMES,
        ("955717e8-*.th",),
        repository="adefossez/HTDemucs",
        licence="MIT",
        size_mb=84,
        sdr_db={"average": 8.4},
        sdr_songs=_EXCERPTS,
        speed=1.2,
    ),
    _named(
        "htdemucs_ft",
        "Hybrid Transformer Demucs fine-tuned for each stem, four networks",
        "HtDemucsFt",
        "demucs",
        _HT_FRAMES,
        ("f7e0c4bc-*.th", "d12395a8-*.th", "92cfc3b6-*.th", "04573f0d-*.th"),
        repository="adefossez/HTDemucs-ft",
        licence="MIT",
        size_mb=337,
        sdr_db={"drums": 10.1, "bass": 10.4, "other": 6.3, "vocals": 9.2, "average": 9.0},
        sdr_songs="MUSDB18-HQ, average as published, stems as measured by StemSplit",
        speed=0.29,
    ),
    _named(
        "htdemucs_6s",
        "Hybrid Transformer Demucs with guitar and piano (experimental)",
        "HtDemucs6s",
        "demucs",
        _HT_FRAMES,
        ("5c90dfd2-*.th",),
        repository="adefossez/HTDemucs-6s",
        licence="MIT",
        size_mb=55,
        sdr_db={},
        sdr_songs="",
        speed=None,
        stems=(*_FOUR, "guitar", "piano"),
    ),
    _named(
        "hdemucs_mmi",
        "Hybrid Demucs (v3), trained on 800 more songs",
        "HDemucsMmi",
        "demucs",
        44 * _RATE,
        ("75fc33f5-*.th",),
        repository="adefossez/Demucs-hdemucs_mmi",
        licence="MIT",
        size_mb=167,
        sdr_db={"average": 7.9},
        sdr_songs=_EXCERPTS,
        speed=1.7,
    ),
    _named(
        "umxhq",
        "Open-Unmix, a recurrent network for each stem",
        "UmxHq",
        "openunmix",
        10 * _RATE,
        ("drums-9619578f.pth", "bass-8d85a5bd.pth", "other-b52fbbf7.pth", "vocals-b62c91ce.pth"),
        licence="MIT",
        size_mb=142,
        sdr_db={"drums": 6.0, "bass": 5.1, "other": 4.3, "vocals": 6.3, "average": 5.4},
        sdr_songs=_MUSDB,
        speed=5.3,
    ),
    _named(
        "umxl",
        "Open-Unmix of twice the width, trained on more songs",
        "UmxL",
        "openunmix",
        10 * _RATE,
        ("drums-69e0ebd4.pth", "bass-2ca1ce51.pth", "other-c8c5b3e6.pth", "vocals-bccbd9aa.pth"),
        licence=_CC_BY_NC_SA,
        size_mb=452,
        sdr_db={"drums": 7.2, "bass": 6.0, "other": 4.9, "vocals": 7.2, "average": 6.3},
        sdr_songs=_MUSDB,
        speed=None,
    ),
)
_BY_NAME = {named.entry.name: named for named in _NAMED}


def list_other_models() -> tuple[SeparatorEntry, ...]:
    """Those with a name, then those in the models folder; `missing` says how to get what is not here."""
    found: dict[str, SeparatorEntry] = {}
    folder = weights_files.models_folder()
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            entry = model_at(path)
        except ModelMissingError:
            continue  # a file without its settings is no model yet; asked for by path, it says so
        if entry is not None and entry.name not in _BY_NAME:
            found.setdefault(entry.name, entry)
    return (*(_checked(named) for named in _NAMED), *found.values())


def other_model(name: str) -> SeparatorEntry | None:
    """What is known about a model of other people, by its name or path; None if it is none of theirs.

    Raises ModelMissingError for a file whose settings are missing or wrong.
    """
    if name in _BY_NAME:
        return _checked(_BY_NAME[name])
    if (entry := model_at(Path(name).expanduser())) is not None:
        return entry
    return next((entry for entry in list_other_models() if entry.name == name), None)


def _checked(named: _Named) -> SeparatorEntry:
    """The entry, with what is missing and a hash over what its estimates depend on."""
    name = named.entry.name
    own = in_models_folder((name, f"{name}.yaml", f"{name}.safetensors", f"{name}.th"))
    there = own is not None or (
        all(any(torch_hub_folder().glob(pattern)) for pattern in named.files)
        or (named.repository is not None and in_hub_cache(named.repository))
    )
    missing = ""
    if package_version(named.package) is None:
        missing = f"pip install 'stembridge[{named.extra}]'"
    elif not there:
        missing = f"its weights ({named.entry.size_bytes / 1e6:.0f} MB) are fetched at the first use"
    files = [] if own is None else [own] if own.is_file() else sorted(own.iterdir())
    stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return replace(named.entry, missing=missing, identity=identity_of(named.package, str(stats)))
