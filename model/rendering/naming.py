"""Where outputs go: the file name template and what fills it in.

>>> values = {"model": "classic", "track": "Song", "stem": "bass", "ext": "wav"}
>>> expand(DEFAULT_TEMPLATE, values)
PurePosixPath('classic/Song/Song - bass.wav')
"""

from __future__ import annotations

import re
import string
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

from ..errors import ArgumentValueError

DEFAULT_TEMPLATE = "{model}/{track}/{track} - {stem}.{ext}"

ALIASES: Mapping[str, str] = {
    "filename": "track",
    "file_name": "track",
    "instrument": "stem",
    "instr": "stem",
    "codec": "ext",
    "dir_name": "foldername",
    "sr": "sample_rate",
}
"""The words other separators use for the same thing."""

VARIABLES = ("track", "stem", "ext", "trackext", "foldername", "model", "index", "bpm", "sample_rate")
"""Everything a template may name; `index` is the stem's place in its model, from 1."""

_VARYING = re.compile(r"\{(stem|instrument|instr|index|ext|codec)(:[^}]*)?\}")
_UNSAFE = re.compile(r"[\x00-\x1f/\\]")


def check_template(template: str, needed: Collection[str] = ("stem", "ext")) -> None:
    """Raise ArgumentValueError for a template that cannot work, before anything is rendered.

    `needed` are the variables without which outputs would share a name.
    """
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ArgumentValueError(f"the file name template {template!r} is malformed: {error}") from error
    names = [name for _, name, _, _ in parts if name is not None]
    for name in names:
        if ALIASES.get(name, name) not in VARIABLES:
            known = ", ".join(f"{{{variable}}}" for variable in VARIABLES)
            raise ArgumentValueError(f"the file name template has no variable {{{name}}}; it knows {known}")
    if not {ALIASES.get(name, name) for name in names} >= set(needed):
        wanted = " and ".join(f"{{{name}}}" for name in needed)
        raise ArgumentValueError(
            f"the file name template needs {wanted}, or outputs would share a name; got {template!r}"
        )
    path = PurePosixPath(template)
    if path.is_absolute() or ".." in path.parts:
        raise ArgumentValueError(
            f"the file name template stays under the output folder, which -o chooses; got {template!r}"
        )


def expand(
    template: str, values: Mapping[str, str | int], tree: PurePosixPath | None = None
) -> PurePosixPath:
    """Fill a template in; `tree` (the sub-folder a song was found in) is kept before the track's own part.

    Raises ArgumentValueError for a variable that has no value for this song (`{bpm}` without a tag).
    """
    return _filled(PurePosixPath(template).parts, values, tree, template)


def manifest_name(
    template: str, values: Mapping[str, str | int], tree: PurePosixPath | None = None
) -> PurePosixPath:
    """Where the manifest of all outputs that a template can make of one song lies, whichever are asked for.

    >>> values = {"model": "classic", "track": "Song", "foldername": "Live"}
    >>> manifest_name(DEFAULT_TEMPLATE, values)
    PurePosixPath('classic/Song/Song.stems.json')
    >>> manifest_name("{foldername} {track} {stem}.{ext}", values)
    PurePosixPath('Live Song.stems.json')
    """
    *folders, name = PurePosixPath(template).parts
    shared: list[str] = []
    for folder in folders:
        if _fields(folder) & {"stem", "index"}:
            break
        shared.append(folder)
    kept = _VARYING.sub("", name)
    last = _filled((kept,), values, None, template).name if kept else ""
    title = last.strip(" -_.,") or str(_safe(values["track"]))
    return _filled(tuple(shared), values, tree, template) / f"{title}.stems.json"


def _filled(
    parts: tuple[str, ...], values: Mapping[str, str | int], tree: PurePosixPath | None, template: str
) -> PurePosixPath:
    known = {name: _safe(value) for name, value in values.items()}
    lookup = {**known, **{alias: known[name] for alias, name in ALIASES.items() if name in known}}
    placed = tree is None or "foldername" in _fields(template)
    filled: list[str] = []
    for part in parts:
        if not placed and _fields(part) & {"track", "stem"}:
            assert tree is not None
            filled.extend(tree.parts)
            placed = True
        try:
            filled.append(part.format_map(lookup))
        except KeyError as error:
            raise ArgumentValueError(
                f"this song has no value for {{{error.args[0]}}} in {template!r}"
            ) from error
        except ValueError as error:
            raise ArgumentValueError(
                f"the file name template {template!r} cannot be filled in: {error}"
            ) from error
    if not placed and tree is not None:
        filled.extend(tree.parts)
    return PurePosixPath(*filled)


def _fields(text: str) -> set[str]:
    return {ALIASES.get(name, name) for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def with_region(path: Path, start: int, end: int, sample_rate: int) -> Path:
    """Name a region, in seconds where milliseconds tell it exactly and in samples where they do not.

    >>> with_region(Path("Song - bass.wav"), 1_323_000, 2_712_150, 44100).name
    'Song - bass @30-61.5.wav'
    >>> with_region(Path("Song - bass.wav"), 1_323_001, 2_712_150, 44100).name
    'Song - bass @1323001s-2712150s.wav'
    """
    if all(1000 * frame % sample_rate == 0 for frame in (start, end)):
        span = "-".join(f"{frame / sample_rate:.3f}".rstrip("0").rstrip(".") for frame in (start, end))
    else:
        span = f"{start}s-{end}s"
    return path.with_name(f"{path.stem} @{span}{path.suffix}")


def _safe(value: str | int) -> str | int:
    return _UNSAFE.sub("_", value) if isinstance(value, str) else value
