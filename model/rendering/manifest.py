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

from ..errors import OutputError

SCHEMA = 1


@dataclass(frozen=True)
class FileEntry:
    """One file that a render wrote."""

    file: str
    """Path relative to the manifest, with forward slashes."""
    kind: str
    """`stem`, `submix` or `mix`."""
    stem: str
    """The stem's name, the submix's name, or the name of the version a mix was made with."""
    fingerprint: str
    """A hash over everything that decides this file's content."""
    bytes: int
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
class Manifest:
    """Everything one folder's renders of one song say about themselves."""

    source: Mapping[str, Any]
    model: Mapping[str, Any]
    parameters: Mapping[str, Any]
    files: tuple[FileEntry, ...]
    null_db: float | None = None
    """Null depth of the stems as read back; None when they need not null (chains, lossy, a subset)."""
    warnings: tuple[str, ...] = ()
    schema: int = field(default=SCHEMA)

    def entry(self, file: str) -> FileEntry | None:
        """The entry of a file by its relative name."""
        return next((entry for entry in self.files if entry.file == file), None)

    def to_json(self) -> str:
        """The text that is written."""
        data = asdict(self)
        data = {"schema": data.pop("schema"), **data}
        return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


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
        files = tuple(FileEntry(**entry) for entry in data["files"])
        return Manifest(
            data["source"], data["model"], data["parameters"], files, data["null_db"], tuple(data["warnings"])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise OutputError(
            f"{path} is not a manifest of ours ({error!r}); move it away to render here"
        ) from error


def fingerprint(facts: Mapping[str, Any]) -> str:
    """Hash the facts that decide a file's content; equal facts, equal bytes.

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    text = json.dumps(facts, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
