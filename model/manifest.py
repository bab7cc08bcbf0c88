"""`{track}.stems.json`: what lies beside it, where it came from, and how it was made.

DAW scripts read only this file; `render` reads it to know which files are its own to replace and which
are already what was asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .errors import OutputError
from .stem_cache import content_hash

SCHEMA = 1


@dataclass(frozen=True)
class FileEntry:
    """One file that a render wrote."""

    file: str
    """Path relative to the manifest, with forward slashes."""
    render: str
    """The id of the render that wrote it, in `renders`."""
    kind: str
    """`stem`, `complement` (all but one stem), `submix`, `mix`, `master` or `preview`."""
    stem: str
    """The stem's or submix's name, or the name of the version a mix was made with; else what it is."""
    fingerprint: str
    """A hash over everything that decides this file's content; empty while it is being replaced."""
    bytes: int
    changed_ns: int
    """When it was last written, as the file system tells it."""
    hash: str
    """Of its bytes (BLAKE2b), to tell an edited file from a copied one."""
    sample_rate: int
    channels: int
    frames: int
    format: str
    bit_depth: str
    start_frame: int
    """The source frame that the file's frame 0 is, at the source's own rate."""
    gain_db: float
    """The common gain that kept an integer file from clipping; undo it by -gain_db."""
    peak_db: float | None
    """Sample peak of the file in dBFS; None for digital silence."""
    lufs: float | None
    """Integrated loudness (BS.1770-4); None where the gate leaves nothing."""


@dataclass(frozen=True)
class RenderEntry:
    """What all files of one render have in common."""

    id: str
    source_hash: str
    model: Mapping[str, Any]
    parameters: Mapping[str, Any]
    null_db: float | None
    """Null depth of its stems as read back; None when they need not null (chains, lossy, a subset)."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """Everything the renders of one song into one place say about themselves."""

    source: Mapping[str, Any]
    """The song as the last render found it."""
    renders: tuple[RenderEntry, ...]
    files: tuple[FileEntry, ...]
    schema: int = field(default=SCHEMA)

    def render(self, id: str) -> RenderEntry | None:
        """A render by its id."""
        return next((entry for entry in self.renders if entry.id == id), None)

    def entry(self, file: str) -> FileEntry | None:
        """The entry of a file by its relative name."""
        return next((entry for entry in self.files if entry.file == file), None)

    def to_json(self) -> str:
        """The text that is written."""
        data = asdict(self)
        data = {"schema": data.pop("schema"), **data}
        text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            text.encode()
        except UnicodeEncodeError:  # a file name that is no Unicode, as Linux allows
            text = json.dumps(data, indent=2, allow_nan=False) + "\n"
        return text


def read_manifest(path: Path) -> Manifest | None:
    """Read a manifest; None when there is none.

    Raises OutputError for a file of that name that this program did not write, or a newer one did.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(
            f"{path} cannot be read as a manifest: {error}; move it away to render here"
        ) from error
    try:
        data = json.loads(text)
        schema = data["schema"]
        if schema > SCHEMA:
            raise OutputError(
                f"{path} was written by a newer stembridge (schema {schema}, this one knows {SCHEMA}); "
                "update, or choose another -o"
            )
        renders = (RenderEntry(**{**e, "warnings": tuple(e["warnings"])}) for e in data["renders"])
        return Manifest(data["source"], tuple(renders), tuple(FileEntry(**e) for e in data["files"]))
    except (KeyError, TypeError, ValueError) as error:
        raise OutputError(
            f"{path} is not a manifest of ours ({error!r}); move it away to render here"
        ) from error


def is_intact(path: Path, entry: FileEntry) -> bool:
    """Whether a file is still what was written: the same size, and untouched or of the same content."""
    stat = path.stat()
    if stat.st_size != entry.bytes:
        return False
    return stat.st_mtime_ns == entry.changed_ns or content_hash(path) == entry.hash


def fingerprint(facts: Mapping[str, Any]) -> str:
    """Hash the facts that decide a file's content; equal facts, equal bytes.

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    text = json.dumps(facts, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
