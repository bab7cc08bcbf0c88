"""Where outputs go: the file name template and what fills it in.

>>> values = {"model": "classic", "track": "Song", "stem": "bass", "ext": "wav"}
>>> expand(DEFAULT_TEMPLATE, values)
PurePosixPath('classic/Song/Song - bass.wav')
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
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

_UNSAFE = re.compile(r"[\x00-\x1f/\\]")


def check_template(template: str) -> None:
    """Raise ArgumentValueError for a template that cannot work, before anything is rendered."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ArgumentValueError(f"the file name template {template!r} is malformed: {error}") from error
    names = [name for _, name, _, _ in parts if name is not None]
    for name in names:
        if ALIASES.get(name, name) not in VARIABLES:
            known = ", ".join(f"{{{variable}}}" for variable in VARIABLES)
            raise ArgumentValueError(f"the file name template has no variable {{{name}}}; it knows {known}")
    if not {ALIASES.get(name, name) for name in names} >= {"stem", "ext"}:
        raise ArgumentValueError(
            "the file name template needs {stem} and {ext}, or outputs would share a name; "
            f"got {template!r}"
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
    check_template(template)
    filled = {name: _safe(value) for name, value in values.items()}
    uses_tree = any(
        ALIASES.get(name or "", name) == "foldername" for _, name, _, _ in string.Formatter().parse(template)
    )
    parts: list[str] = []
    placed = tree is None or uses_tree
    for part in PurePosixPath(template).parts:
        fields = {ALIASES.get(n, n) for _, n, _, _ in string.Formatter().parse(part) if n is not None}
        if not placed and fields & {"track", "stem"}:
            assert tree is not None
            parts.extend(tree.parts)
            placed = True
        lookup = {**filled, **{alias: filled[name] for alias, name in ALIASES.items() if name in filled}}
        try:
            parts.append(part.format_map(lookup))
        except KeyError as error:
            raise ArgumentValueError(
                f"this song has no value for {{{error.args[0]}}} in {template!r}"
            ) from error
        except ValueError as error:
            raise ArgumentValueError(
                f"the file name template {template!r} cannot be filled in: {error}"
            ) from error
    return PurePosixPath(*parts)


def with_region(path: Path, start_s: float, end_s: float) -> Path:
    """Name a region: `Song - bass.wav` -> `Song - bass @30-61.5.wav`."""
    return path.with_name(f"{path.stem} @{_plain(start_s)}-{_plain(end_s)}{path.suffix}")


def _plain(seconds: float) -> str:
    return f"{seconds:.3f}".rstrip("0").rstrip(".")


def _safe(value: str | int) -> str | int:
    return _UNSAFE.sub("_", value) if isinstance(value, str) else value
