"""The order of things in a render: plan, read, separate, encode, verify, publish."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from .. import platform
from ..errors import DiskFullError, OutputError
from ..files.decoder import open_audio
from ..stem_cache import StemCache, content_hash
from ..units import gain_to_db
from .bus import Bus
from .manifest import FileEntry
from .output_file import OutputFile, common_gain, existing
from .plan import Plan, plan_render
from .record import already_rendered, file_entry, fingerprints, write_manifest
from .source import Span, StemSource, open_separator
from .spec import RenderSpec
from .verification import Verification


@dataclass(frozen=True)
class RenderResult:
    """What became of one song."""

    plan: Plan
    files: tuple[FileEntry, ...]
    skipped: bool = False
    """Whether everything was there already, made from the same source with the same settings."""
    cached: bool = False
    """Whether the stems came from the cache."""
    null_db: float | None = None
    gain_db: float = 0.0
    """The common gain that kept integer files from clipping."""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    """Time taken."""

    @property
    def realtime_factor(self) -> float:
        """Seconds of the song per second of work."""
        rendered = (self.plan.end - self.plan.start) / self.plan.info.sample_rate
        return rendered / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Progress:
    """How far a render is. The last one carries the result."""

    stage: str
    """`wait`, `read`, `separate`, `encode`, `verify` or `done`."""
    fraction: float
    """0 to 1 over the whole job."""
    result: RenderResult | None = field(default=None, compare=False)


def render(spec: RenderSpec, *, cache: StemCache | None = None) -> Generator[Progress, None, None]:
    """Render one song, yielding progress; the last item's `result` says what was made.

    Closing the iterator cancels it: nothing is left behind. Raises what `plan_render` raises, PluginError
    and its kinds, OutputError and DiskFullError; then, too, no file of this render is left.
    """
    began = time.monotonic()
    plan = plan_render(spec)
    lock, waited = _lock_path(plan.manifest_path), False
    while True:
        with platform.file_lock(lock, wait=False) as held:
            if held:
                # The render that was waited for may have made what is asked for here.
                yield from _render(plan_render(spec) if waited else plan, cache, began)
                return
        waited = True
        yield Progress("wait", 0.0)
        time.sleep(0.2)


def _render(plan: Plan, cache: StemCache | None, began: float) -> Iterator[Progress]:
    """Carry a plan out, with its target locked."""
    yield Progress("read", 0.0)
    source_hash = content_hash(plan.info.path)
    prints = fingerprints(plan, source_hash)
    if not plan.spec.overwrite and (entries := already_rendered(plan, prints)) is not None:
        null_db = plan.manifest.null_db if plan.manifest is not None else None
        result = RenderResult(plan, entries, True, null_db=null_db, seconds=time.monotonic() - began)
        yield Progress("done", 1.0, result)
        return
    _check_room(plan)
    with ExitStack() as stack:
        opened = open_separator(plan, source_hash, cache, stack)
        bus = Bus(plan, stack)
        files = bus.open_files()
        for file in files:
            stack.callback(file.discard)
            file.open()
        source = StemSource(plan, opened.separator, Span(bus.first, bus.last))
        with open_audio(plan.info.path) as reader, closing(source.blocks(reader)) as blocks:
            for block, fraction in blocks:
                bus.push(block)
                yield Progress("separate", 0.9 * fraction)
        bus.finish()
        for file in files:
            file.finish()
        for fraction in _encode(plan, files):
            yield Progress("encode", 0.9 + 0.04 * fraction)
        checked = Verification(plan, files)
        for fraction in checked.steps():
            yield Progress("verify", 0.94 + 0.06 * fraction)
        null_db = checked.null_db
        entries = tuple(
            file_entry(plan, output, file, prints[output.path])
            for output, file in zip(plan.outputs, files, strict=True)
        )
        for file in files:
            file.publish()
        warnings = [*plan.info.warnings, *bus.warnings, *opened.warnings]
        if opened.recording is not None and opened.recording.failed:
            warnings.append(f"its stems are not kept in the cache: {opened.recording.failed}")
        write_manifest(plan, source_hash, entries, null_db, warnings)
        for folder in {file.path.parent for file in files}:
            platform.sync_folder(folder)
    seconds, gain_db = time.monotonic() - began, gain_to_db(files[0].gain)
    result = RenderResult(plan, entries, False, opened.cached, null_db, gain_db, tuple(warnings), seconds)
    yield Progress("done", 1.0, result)


def _encode(plan: Plan, files: Sequence[OutputFile]) -> Iterator[float]:
    """Write from their spools the files that could not be written as the sound came."""
    frames = None
    if any(file.frames is None for file in files):
        shortest = (plan.end - plan.start) * plan.sample_rate // plan.info.sample_rate
        frames = max(shortest, *(file.last_audible for file in files))
    gain = 1.0
    if plan.spec.overs != "clip" and any(file.over for file in files):
        if plan.spec.overs == "error":
            loudest = max(files, key=lambda file: file.peak)
            raise OutputError(
                f"{loudest.path.name} would clip: its peak is {gain_to_db(loudest.peak):+.2f} dBFS; "
                "use --overs gain (one common gain), --overs clip, or --format wav --bit-depth 32f"
            )
        gain = common_gain(files)
    for done, file in enumerate(files, 1):
        if frames is not None or gain != 1.0:
            file.encode(gain, frames)
            yield done / len(files)


def _check_room(plan: Plan) -> None:
    """Refuse before the work what cannot fit after it."""
    spec = plan.spec
    samples = (plan.end - plan.start) * plan.sample_rate / plan.info.sample_rate * plan.info.channels
    # Lossless compression leaves half of loud music at worst; lossy files are far smaller.
    share = {"flac": 0.5, "mp3": 0.2, "ogg": 0.2}.get(spec.format.container, 1.0)
    each = {"16": 2, "24": 3, "32f": 4}[spec.format.bit_depth] * share
    spooled = spec.overs != "clip" and (spec.format.integer or spec.format.lossy)
    needed = len(plan.outputs) * samples * (each + (4 if spooled else 0))
    folder = existing(plan.manifest_path.parent)
    free = shutil.disk_usage(folder).free
    if needed > free:
        hint = " (of which most is only needed meanwhile, and not with --overs clip)" if spooled else ""
        raise DiskFullError(
            f"{len(plan.outputs)} files need about {needed / 1e6:.0f} MB in {folder}{hint}, and "
            f"{free / 1e6:.0f} MB are free: make room or choose another -o"
        )


def _lock_path(manifest: Path) -> Path:
    """A lock per target, away from it so that output folders hold outputs only."""
    name = hashlib.blake2b(str(manifest.resolve()).encode(), digest_size=12).hexdigest()
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"stembridge-{user}" / f"{name}.lock"
