"""What a finished render left: which files belong to a song, and which of them are its stems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from ..errors import AudioFileNotFoundError, OutputError
from ..files.tags import read_tags
from ..manifest import FileEntry, Manifest, is_intact, read_manifest
from ..separators.stem_files import is_stem_mp4, stem_files

_ENDING = ".stems.json"
_ALL_BUT_VOCALS = ("no_vocals", "instrumental", "accompaniment")


@dataclass(frozen=True)
class Finished:
    """The stems of one song, finished."""

    title: str
    """The song's name, for files to be called by."""
    folder: Path
    stems: dict[str, Path]
    """By name, all of one render; none where only remixes were rendered."""
    entries: tuple[FileEntry, ...] = ()
    """Everything the manifest tells of; empty without one."""
    manifest: Manifest | None = None

    def tags(self) -> dict[str, tuple[str, ...]]:
        """The song's own tags, as its stems carry them, cover included."""
        tags: dict[str, tuple[str, ...]] = {}
        for stem, path in self.stems.items():
            tags = read_tags(path)
            if titles := tags.get("title"):
                mark = f" ({stem})"
                own = tuple(title.removesuffix(mark) for title in titles if title != stem)
                return tags | {"title": own or (self.title,)}
        return {"title": (self.title,)} | tags


def find_finished(places: Iterable[Path]) -> Iterator[Finished | tuple[Path, Exception]]:
    """The songs at `places`: manifests, folders with manifests anywhere in them, or folders of stems.

    A place where there is none comes as itself and the error, so that others go on.
    """
    seen: set[Path] = set()
    for place in places:
        found = sorted(place.rglob(f"*{_ENDING}")) if place.is_dir() else [place]
        for path in found or [place]:
            if path.resolve() in seen:
                continue
            seen.add(path.resolve())
            try:
                yield finished(path)
            except (OSError, ValueError) as error:
                yield path, error


def finished(place: Path) -> Finished:
    """The song of a manifest, a folder of stems or a stem file.

    Raises AudioFileNotFoundError for what is neither, OutputError for a manifest that is none, or whose
    files have changed.
    """
    if place.is_dir():
        return Finished(place.resolve().name, place, stem_files(place).paths)
    if is_stem_mp4(place):
        return Finished(place.name[: -len(".stem.mp4")], place.parent, stem_files(place).paths)
    if not place.name.endswith(_ENDING):
        raise AudioFileNotFoundError(
            f"{place}: expected a folder of stems, a stem file, or the {_ENDING} that a render wrote"
        )
    manifest = read_manifest(place)
    if manifest is None:
        raise AudioFileNotFoundError(f"{place}: there is no such file")
    entries = tuple(_checked(place, entry) for entry in manifest.files)
    stems = {entry.stem: place.parent / entry.file for entry in _stems(manifest)}
    return Finished(place.name.removesuffix(_ENDING), place.parent, stems, entries, manifest)


def _checked(place: Path, entry: FileEntry) -> FileEntry:
    name = PurePath(entry.file)
    if name.is_absolute() or ".." in name.parts:
        raise OutputError(f"{place}: its file {entry.file} lies outside its folder; render the song again")
    path = place.parent / entry.file
    try:
        intact = bool(entry.fingerprint) and is_intact(path, entry)
    except FileNotFoundError:
        raise OutputError(f"{path} is gone, {place.name} tells of it: render the song again") from None
    if not intact:
        raise OutputError(
            f"{path} is not as its render left it. Render the song again, or put the stems you want into "
            "a folder of their own and name that"
        )
    return entry


def _stems(manifest: Manifest) -> list[FileEntry]:
    """The stems of the latest render that made any."""
    for render in reversed(manifest.renders):
        stems = [entry for entry in manifest.files if entry.render == render.id and entry.kind == "stem"]
        if {entry.stem for entry in stems} == {"vocals"}:
            stems += [
                entry
                for entry in manifest.files
                if entry.render == render.id and entry.kind == "complement" and entry.stem in _ALL_BUT_VOCALS
            ][:1]
        if stems:
            return stems
    return []
