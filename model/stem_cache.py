"""Estimates that were made once, kept on disk by what they were made of: audio, separator, parameters.

What a killed writer leaves is swept by the next one, or continued where a long song is made with checkpoints;
the entries unused for longest go when the limit is
passed. Nothing here ever fails a
render: a cache that cannot be written says why in `CacheWriter.failed`, and a damaged entry is dropped and
reads as missing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .cache_checkpoint import SUFFIX as CHECKPOINT_SUFFIX
from .cache_checkpoint import CheckpointWriter, remove_checkpoint
from .cache_entry import SCHEMA, CachedStems, CacheWriter, EntryInfo, header, read_header, reason, remove
from .errors import AudioFileError, AudioFileNotFoundError, DamagedEntryError
from .platform import file_lock
from .separators.cached import CachedSeparator, RecordingSeparator

__all__ = [
    "DEFAULT_LIMIT_BYTES",
    "CacheKey",
    "CacheWriter",
    "CachedSeparator",
    "CachedStems",
    "EntryInfo",
    "RecordingSeparator",
    "StemCache",
    "content_hash",
]

DEFAULT_LIMIT_BYTES = 10 * 10**9

_SUFFIX = ".stems"
_FORGOTTEN_LOCK_S = 3600.0


def content_hash(path: Path | str) -> str:
    """BLAKE2b of a file's bytes in hex, read in pieces. Raises AudioFileNotFoundError or AudioFileError."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32)).hexdigest()
    except FileNotFoundError as error:
        raise AudioFileNotFoundError(f"no such file: {path}") from error
    except OSError as error:
        raise AudioFileError(f"{path} cannot be read: {error.strerror or error}") from error


@dataclass(frozen=True)
class CacheKey:
    """What an entry is found by: a digest of everything its samples depend on."""

    digest: str

    @classmethod
    def of(
        cls,
        source: str,
        separator: str,
        sample_rate: int,
        channels: int,
        frames: int,
        *,
        weights: str | None = None,
        parameters: Mapping[str, object] | None = None,
    ) -> CacheKey:
        """Make the key of the estimates of one source by one separator.

        `source` is the `content_hash` of the audio; `separator` a registered name, never `default`;
        `weights` the hash of a network's weights; `parameters` whatever else changes a sample (options,
        device, versions), as JSON-able values. Sensitivity and residual policy come later and are left out.

        >>> CacheKey.of("ab", "repet", 44100, 2, 100) == CacheKey.of("ab", "hpss", 44100, 2, 100)
        False
        """
        parts = {
            "schema": SCHEMA,
            "source": source,
            "separator": separator,
            "weights": weights,
            "parameters": dict(parameters or {}),
            "sample_rate": sample_rate,
            "channels": channels,
            "frames": frames,
        }
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return cls(hashlib.blake2b(text.encode(), digest_size=20).hexdigest())


class StemCache:
    """A folder of entries, shared by any number of processes.

    Shape of what is stored: `(stems, channels, frames)` float32. `limit_bytes` bounds the folder; 0 turns
    storing off. The folder is made when something is stored.
    """

    def __init__(self, folder: Path | str, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self.folder = Path(folder)
        self.limit_bytes = limit_bytes

    def lookup(self, key: CacheKey, start: int = 0, stop: int | None = None) -> CachedStems | None:
        """Open an entry and mark it as used; None when it is missing, or damaged (then it is dropped).

        The samples from frame `start` to `stop` are checked first, at several gigabytes a second, so that
        damage shows before work starts and not in its middle.
        """
        path = self._path(key)
        try:
            file = path.open("rb")
        except OSError:
            return None
        try:
            info, body_start = read_header(file, key.digest)
        except DamagedEntryError:
            file.close()
            remove(path)
            return None
        found = CachedStems(path, file, info, body_start)
        if not found.verify(start, stop):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return found

    def store(
        self,
        key: CacheKey,
        stems: Sequence[str],
        sample_rate: int,
        channels: int,
        frames: int,
        *,
        separator: str = "cached",
        residual_stem: str | None = None,
        facts: Mapping[str, object] | None = None,
        checkpoints: bool = False,
    ) -> CacheWriter:
        """Begin an entry of exactly `frames` frames. Never raises for the disk: see `CacheWriter.failed`.

        With `checkpoints` a `CheckpointWriter` comes back, which goes on where an earlier one was stopped,
        unless another process writes the same entry now.

        `separator` and `residual_stem` are what a `CachedSeparator` says of itself (without the latter:
        `other`, or else the first stem); `facts` are JSON-able and come back with the entry.
        """
        stems = tuple(stems)
        rest = residual_stem or ("other" if "other" in stems else stems[0])
        info = EntryInfo(separator, stems, rest, sample_rate, channels, frames, dict(facts or {}))
        made = key.digest, info, self._path(key), lambda: self.evict(self.limit_bytes)
        writer = CacheWriter(*made)
        held = contextlib.ExitStack()
        try:
            self.sweep()
            part, there = self._checkpoint(key), 0
            if checkpoints and held.enter_context(self._locked(part, touch=True)):
                writer, there = CheckpointWriter(*made), part.stat().st_size if part.exists() else 0
            needed = len(header(key.digest, info)) + info.body_bytes
            if needed > self.limit_bytes:
                limit = _megabytes(self.limit_bytes)
                writer.give_up(f"{_megabytes(needed)} of estimates do not fit in a cache of {limit}")
                return writer
            self.evict(self.limit_bytes - needed + there)
            free = shutil.disk_usage(self._temporary_folder()).free
            if free + there < 2 * needed:  # the outputs of a render need about as much again
                writer.give_up(f"only {_megabytes(free)} are free where the cache is ({self.folder})")
                return writer
            if isinstance(writer, CheckpointWriter):
                writer.continue_from(part, held.pop_all())
                return writer
            writer.open(self._temporary_folder() / f"{key.digest}.{os.getpid()}-{secrets.token_hex(4)}.part")
        except OSError as error:
            writer.give_up(reason(error))
        finally:
            held.close()
        return writer

    def size(self) -> int:
        """Bytes in finished entries, and in those that wait to be continued."""
        return sum(size for _, size, _ in (*self._entries(), *self._checkpoints()))

    def count(self) -> int:
        """Number of finished entries."""
        return len(self._entries())

    def clear(self) -> int:
        """Delete every entry; return the bytes freed. What is being written by others is left alone."""
        freed = sum(size for path, size, _ in self._entries() if remove(path))
        freed += sum(self._forget(path) for path, _, _ in self._checkpoints())
        self.sweep()
        return freed

    def evict(self, limit_bytes: int) -> None:
        """Delete the entries unused for longest until the rest fits in `limit_bytes`.

        Who has one of them open reads on undisturbed; where the system does not allow to delete it, the
        entry stays until the next time.
        """
        entries = sorted((*self._entries(), *self._checkpoints()), key=lambda entry: entry[2])
        total = sum(size for _, size, _ in entries)
        for path, size, _ in entries:
            if total <= limit_bytes:
                return
            if path.suffix == CHECKPOINT_SUFFIX:
                total -= self._forget(path)
            elif remove(path):
                total -= size

    def sweep(self) -> None:
        """Delete what writers that died have left: a live writer holds the lock beside its file."""
        folder = self.folder / "tmp"
        try:
            parts = list(folder.glob("*.part"))
            locks = list(folder.glob("*.lock"))
        except OSError:
            return
        for part in parts:
            lock = part.with_suffix(".lock")
            with contextlib.suppress(OSError), file_lock(lock, wait=False) as dead:
                if dead:
                    remove(part)
                    remove(lock)
        for lock in locks:  # made, but its writer died before or after the file beside it existed
            with contextlib.suppress(OSError):
                beside = any(lock.with_suffix(suffix).exists() for suffix in (".part", CHECKPOINT_SUFFIX))
                if not beside and _age(lock) > _FORGOTTEN_LOCK_S:
                    remove(lock)

    def _path(self, key: CacheKey) -> Path:
        return self.folder / f"{key.digest}{_SUFFIX}"

    def _temporary_folder(self) -> Path:
        folder = self.folder / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _checkpoint(self, key: CacheKey) -> Path:
        return self.folder / "tmp" / f"{key.digest}{CHECKPOINT_SUFFIX}"

    @contextlib.contextmanager
    def _locked(self, checkpoint: Path, *, touch: bool = False) -> Iterator[bool]:
        """Hold a checkpoint against other processes; yields False if one of them has it.

        The lock's file stays: were it deleted, two could hold a lock of one name.
        """
        lock = checkpoint.with_suffix(".lock")
        with file_lock(lock, wait=False) as held:
            if held and touch:
                os.utime(lock)
            yield held

    def _forget(self, checkpoint: Path) -> int:
        """Delete a checkpoint unless somebody writes it; returns the bytes freed."""
        with contextlib.suppress(OSError), self._locked(checkpoint) as held:
            return remove_checkpoint(checkpoint) if held else 0
        return 0

    def _entries(self) -> list[tuple[Path, int, float]]:
        """Path, bytes and time of last use of every finished entry."""
        return _found(self.folder, _SUFFIX)

    def _checkpoints(self) -> list[tuple[Path, int, float]]:
        """The same of every entry that waits to be continued, or is being written."""
        return _found(self.folder / "tmp", CHECKPOINT_SUFFIX)


def _found(folder: Path, suffix: str) -> list[tuple[Path, int, float]]:
    found = []
    with contextlib.suppress(OSError):
        for path in folder.glob(f"*{suffix}"):
            with contextlib.suppress(OSError):  # another process may delete it meanwhile
                status = path.stat()
                found.append((path, status.st_size, status.st_mtime))
    return found


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
