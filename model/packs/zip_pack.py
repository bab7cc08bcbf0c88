"""A zip of a song's stems with their manifest: the same bytes for the same stems, wherever they lie."""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..dsp.loudness import LoudnessMeter
from ..errors import VerificationError
from ..files.decoder import open_audio
from ..manifest import FileEntry, Manifest, RenderEntry
from ..stem_cache import content_hash
from ..units import gain_to_db
from .finished import Finished
from .sound import BLOCK_FRAMES
from .target import MARK, Pack, PackProgress, print_of, target

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip knows, for every member: when is no part of what."""
_DEFLATED = frozenset([".wav", ".aif", ".aiff", ".json"])
_CHUNK = 1 << 20


@dataclass(frozen=True)
class ZipSpec:
    """How a zip is made."""

    overwrite: bool = False


def pack_zip(song: Finished, path: Path, spec: ZipSpec) -> Iterator[PackProgress]:
    """Make `path` with all files that the song's manifest tells of (or its stems), in a folder.

    The manifest inside tells of these files only, and of no folder of this machine. What is compressed
    already is stored. Raises OutputError, DiskFullError and VerificationError from writing and reading
    back.
    """
    files = _files(song)
    print_ = print_of({"kind": "zip", "title": song.title, "version": 1}, files)
    with target(path, print_, read_mark, overwrite=spec.overwrite) as part:
        if part is None:
            yield PackProgress("done", 1.0, (Pack(path, "zip", True),))
            return
        total = sum(file.stat().st_size for file in files.values()) or 1
        done = 0
        sums: dict[str, int] = {}
        with zipfile.ZipFile(part, "w", allowZip64=True) as made:
            made.comment = f"{MARK} {print_}".encode()
            for name, file in sorted(files.items()):
                member = _inside(song, name)
                for checksum, count in _added(made, member, file):
                    sums[member] = checksum
                    done += count
                    yield PackProgress("zip", 0.7 * done / total)
            text = _manifest(song).to_json()
            info = _info(_inside(song, f"{song.title}.stems.json"), len(text))
            made.writestr(info, text)
        for fraction in _checked(part, path.name, sums):
            yield PackProgress("verify", 0.7 + 0.3 * fraction)
        figures = {"files": len(files) + 1, "bytes": part.stat().st_size}
    yield PackProgress("done", 1.0, (Pack(path, "zip", False, figures),))


def read_mark(path: Path) -> str | None:
    """What a zip of ours was made of; None for a foreign or damaged one."""
    with contextlib.suppress(zipfile.BadZipFile, OSError, UnicodeDecodeError):
        with zipfile.ZipFile(path) as made:
            name, _, mark = made.comment.decode().partition(" ")
        return mark if name == MARK and len(mark) == 32 else None
    return None


def _files(song: Finished) -> dict[str, Path]:
    """What goes in, by its name relative to the manifest."""
    if song.entries:
        return {entry.file: song.folder / entry.file for entry in song.entries}
    return {path.name: path for path in song.stems.values()}


def _inside(song: Finished, name: str) -> str:
    return f"{song.title}/{name}"


def _info(name: str, size: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system = 3  # else the machine that it is made on shows
    info.external_attr = 0o644 << 16
    info.file_size = size
    deflated = Path(name).suffix.lower() in _DEFLATED
    info.compress_type = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    return info


def _added(made: zipfile.ZipFile, name: str, file: Path) -> Iterator[tuple[int, int]]:
    """Copy a file in, yielding its checksum so far and how many bytes came."""
    size, total = 0, 0
    with file.open("rb") as source, made.open(_info(name, file.stat().st_size), "w") as member:
        while data := source.read(_CHUNK):
            member.write(data)
            total, size = zlib.crc32(data, total), len(data)
            yield total, size
    if not size:
        yield 0, 0


def _checked(part: Path, name: str, sums: Mapping[str, int]) -> Iterator[float]:
    """Read all of it back."""
    with zipfile.ZipFile(part) as made:
        for number, (member, wanted) in enumerate(sums.items(), 1):
            found = 0
            try:
                with made.open(member) as file:
                    while data := file.read(_CHUNK):
                        found = zlib.crc32(data, found)
            except (zipfile.BadZipFile, KeyError) as error:
                raise VerificationError(f"{name}: {member} cannot be read back: {error}") from error
            if found != wanted:
                raise VerificationError(f"{name}: {member} reads back differently from what was written")
            yield number / len(sums)


def _manifest(song: Finished) -> Manifest:
    """The manifest of what is in the zip, the same wherever and whenever its files were made."""
    if song.manifest is None:
        return _told(song)
    source = dict(song.manifest.source)
    source["path"] = Path(str(source.get("path", ""))).name
    renders = []
    for render in song.manifest.renders:
        parameters = dict(render.parameters)
        if parameters.get("stems_from"):
            parameters["stems_from"] = Path(str(parameters["stems_from"])).name
        renders.append(replace(render, parameters=parameters))
    files = tuple(replace(entry, changed_ns=0) for entry in song.entries)
    return Manifest(source, tuple(renders), files)


def _told(song: Finished) -> Manifest:
    """A manifest for stems that have none: what can be told by looking at them."""
    entries = tuple(_entry(stem, path) for stem, path in song.stems.items())
    first = max(entries, key=lambda entry: entry.frames / entry.sample_rate)
    source = {
        "path": song.title,
        "hash": "",
        "sample_rate": first.sample_rate,
        "channels": first.channels,
        "frames": first.frames,
        "time_reference": 0,
    }
    model = {"name": "stems-from", "stems": list(song.stems)}
    return Manifest(source, (RenderEntry("files", "", model, {}, None),), entries)


def _entry(stem: str, path: Path) -> FileEntry:
    with open_audio(path) as reader:
        info = reader.info
        meter = LoudnessMeter(info.sample_rate, info.channels, true_peak=False)
        peak, left = 0.0, info.frames
        while left:
            block = reader.read(min(left, BLOCK_FRAMES))
            meter.push(block)
            peak = max(peak, float(np.abs(block).max()))
            left -= block.shape[1]
    loudness = meter.integrated()
    return FileEntry(
        file=path.name,
        render="files",
        kind="stem",
        stem=stem,
        fingerprint=content_hash(path),
        bytes=path.stat().st_size,
        changed_ns=0,
        hash=content_hash(path),
        sample_rate=info.sample_rate,
        channels=info.channels,
        frames=info.frames,
        format=path.suffix.lower().lstrip("."),
        bit_depth=info.bit_depth,
        start_frame=0,
        gain_db=0.0,
        peak_db=round(gain_to_db(peak), 3) if peak else None,
        lufs=round(loudness, 2) if np.isfinite(loudness) else None,
    )
