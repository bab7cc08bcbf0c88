"""The order of things in a render: plan, read, separate, encode, verify, publish."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from .. import platform
from ..dsp.blas import one_thread
from ..errors import DiskFullError, OutputError
from ..files.decoder import open_audio
from ..manifest import FileEntry, RenderEntry
from ..stem_cache import StemCache, content_hash
from ..units import gain_to_db
from .bus import Bus
from .output_file import OutputFile, common_gain, existing, scaled_frames
from .plan import Plan, look_again, plan_render
from .record import already_rendered, file_entry, fingerprints, render_entry, write_manifest
from .source import Span, StemSource, file_stamp, open_separator
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
    continued_s: float = 0.0
    """Seconds from the start whose stems a killed render of the same had finished."""
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
    lock = lock_path(plan.manifest_path)
    while True:
        with platform.file_lock(lock, wait=False) as held, one_thread():
            if held:
                # Another render may have made what is asked for here since the plan was made.
                yield from _render(look_again(plan), cache, began)
                return
        yield Progress("wait", 0.0)
        time.sleep(0.2)


def _render(plan: Plan, cache: StemCache | None, began: float) -> Iterator[Progress]:
    """Carry a plan out, with its target locked."""
    yield Progress("read", 0.0)
    stamp = file_stamp(plan.info.path)
    source_hash = content_hash(plan.info.path)
    prints = fingerprints(plan, source_hash)
    if not plan.spec.overwrite and (entries := already_rendered(plan, prints)) is not None:
        assert plan.manifest is not None
        record = plan.manifest.render(entries[0].render)
        null_db = record.null_db if record is not None else None
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
        source = StemSource(plan, opened.separator, Span(bus.first, bus.last), stamp)
        with open_audio(plan.info.path) as reader, closing(source.blocks(reader)) as blocks:
            for block, fraction in blocks:
                bus.push(block)
                yield Progress("separate", 0.9 * fraction)
        bus.finish()
        for file in files:
            file.end()
        for file in files:
            file.finish()
        for fraction in _encode(plan, files):
            yield Progress("encode", 0.9 + 0.04 * fraction)
        checked = Verification(plan, files)
        for fraction in checked.steps():
            yield Progress("verify", 0.94 + 0.06 * fraction)
        null_db = checked.null_db
        warnings = [*plan.info.warnings, *bus.warnings, *opened.warnings]
        if opened.recording is not None and opened.recording.failed:
            warnings.append(f"its stems are not kept in the cache: {opened.recording.failed}")
        if clipped := sum(file.clipped for file in files):
            warnings.append(f"{clipped} samples were clipped at full scale, as --overs clip asks")
        record = render_entry(plan, source_hash, null_db, warnings)
        entries = tuple(
            file_entry(plan, output, file, record.id, prints[output.path])
            for output, file in zip(plan.outputs, files, strict=True)
        )
        publish(plan, files, record, entries)
    seconds, gain_db = time.monotonic() - began, gain_to_db(files[0].gain)
    continued_s = opened.continued_frames / plan.info.sample_rate
    result = RenderResult(
        plan, entries, False, opened.cached, continued_s, null_db, gain_db, tuple(warnings), seconds
    )
    yield Progress("done", 1.0, result)


def publish(
    plan: Plan, files: Sequence[OutputFile], record: RenderEntry, entries: Sequence[FileEntry]
) -> None:
    """Give every file its name, and say so in the manifest.

    The manifest calls the files ours, but none of them finished, before the first one is there: whoever
    is killed in between leaves neither a foreign file of our own nor a stale claim that it is up to date.
    """
    for file in files:
        file.check_target()
    write_manifest(plan, record, [replace(entry, fingerprint="") for entry in entries])
    for file in files:
        file.publish()
    for folder in {file.path.parent for file in files}:
        platform.sync_folder(folder)
    write_manifest(plan, record, entries)


def _encode(plan: Plan, files: Sequence[OutputFile]) -> Iterator[float]:
    """Write from their spools the files that could not be written as the sound came."""
    frames = None
    if any(file.frames is None for file in files):
        shortest = scaled_frames(plan.end - plan.start, plan.info.sample_rate, plan.sample_rate)
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
    if frames is None and gain == 1.0:
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, _ in enumerate(pool.map(lambda file: file.encode(gain, frames), files), 1):
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


def lock_path(manifest: Path) -> Path:
    """A lock per target, away from it so that output folders hold outputs only."""
    name = hashlib.blake2b(os.fsencode(manifest.resolve()), digest_size=12).hexdigest()
    return Path(tempfile.gettempdir()) / f"stembridge-{platform.user()}" / f"{name}.lock"
