"""One file of a pack: made under a temporary name, marked as ours, published only when right."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import platform
from ..errors import OutputError, StembridgeError
from ..manifest import fingerprint
from ..rendering.output_file import make_folder, output_error, sweep, temporary_prefix
from ..rendering.pipeline import lock_path
from ..stem_cache import content_hash

MARK = "stembridge_pack"
"""The tag, or beginning of the zip's comment, that says what a file of ours was made of."""


@dataclass(frozen=True)
class Pack:
    """One finished file."""

    path: Path
    kind: str
    """`stem.mp4`, `zip`, `acapella` or `instrumental`."""
    skipped: bool
    """Whether it was there already, made of the same stems in the same way."""
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PackProgress:
    """How far a pack is; the last one carries what was made."""

    stage: str
    fraction: float
    packs: tuple[Pack, ...] = ()


def print_of(facts: Mapping[str, Any], files: Mapping[str, Path]) -> str:
    """A hash over everything that decides a pack's content."""
    return fingerprint({**facts, "files": {name: content_hash(path) for name, path in files.items()}})


@contextlib.contextmanager
def target(
    path: Path, print_: str, mark_of: Callable[[Path], str | None], *, overwrite: bool
) -> Iterator[Path | None]:
    """The temporary file that becomes `path` when the block ends well; None when all is there already.

    `mark_of` reads the mark of a file, None for a foreign or damaged one. Raises OutputError for a
    foreign file unless `overwrite`; then, and on any exception, nothing is changed and nothing left.
    """
    with platform.file_lock(lock_path(path)):
        if path.exists() and not overwrite:
            mark = mark_of(path) if path.is_file() else None
            if mark == print_:
                yield None
                return
            if mark is None:
                raise OutputError(
                    f"{path} is there and was not written by stembridge: move it away, choose another -o, "
                    "or allow --overwrite"
                )
        made = make_folder(path.parent)
        sweep(path)
        part = path.with_name(f"{temporary_prefix(path)}{os.getpid()}-{secrets.token_hex(3)}.part")
        try:
            yield part
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(part, path)
            platform.sync_folder(path.parent)
        except BaseException as error:
            part.unlink(missing_ok=True)
            for folder in made:
                with contextlib.suppress(OSError):  # somebody's files are in it by now
                    folder.rmdir()
            if isinstance(error, OSError) and not isinstance(error, StembridgeError):
                raise output_error(error, path) from error
            raise
