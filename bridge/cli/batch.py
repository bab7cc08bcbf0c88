"""What every command that works through songs has in common: its flags, what it prints, how it ends."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stembridge.bridge.cli import INTERRUPTED, UsageError
from stembridge.bridge.cli.progress import ProgressPrinter

if TYPE_CHECKING:
    from stembridge.bridge.batches.batch import Event
    from stembridge.bridge.batches.task import Planned, SongReport, Task
    from stembridge.bridge.config import Config
    from stembridge.bridge.inputs import Song

Maker = Callable[["Iterable[Song]"], "Iterator[Task]"]
"""Makes the tasks of a command's flags from songs."""

WATCH_EVERY_S = 2.0


def add_batch_flags(arg: Callable[..., Any]) -> None:
    """Add the flags of `-j`, `--cluster` and their like to a parser or a group of it."""
    arg("-j", "--jobs", type=_jobs, metavar="N", help="songs at once, each in a process of its own")
    arg(
        "--cluster",
        metavar="ADDRESS",
        help="let the workers of a Dask scheduler do it (tcp://host:8786); files on storage all of them see, "
        "or fsspec URLs",
    )
    arg("--watch", type=Path, metavar="DIR", help="take every song that comes into a folder, until Ctrl-C")
    arg("--settle", type=_seconds, default=WATCH_EVERY_S, metavar="S",
        help="watching: how long a file must stay as it is before it is taken (default: 2)")  # fmt: skip
    arg(
        "--no-cache",
        action="store_true",
        help="neither use nor fill the stem cache; a killed render of a long song then begins anew",
    )
    arg("--dry-run", action="store_true", help="say what would be written, and stop")
    arg("--json", action="store_true", help="one JSON object per song on standard output")


def add_report_flag(arg: Callable[..., Any]) -> None:
    """Add `--report`."""
    arg("--report", type=Path, metavar="DIR|FILE",
        help="pages and data on every song: a folder, .html or .json")  # fmt: skip


@contextlib.contextmanager
def reporting(arguments: argparse.Namespace, title: str) -> Iterator[list[SongReport] | None]:
    """What takes down what becomes of songs, where `--report` asks for it."""
    if arguments.report is None or arguments.dry_run:
        yield None
        return
    from stembridge.bridge.batch_report import BatchReports

    reports = BatchReports(arguments.report, title)
    try:
        yield reports
    finally:
        reports.close()


def check_inputs(arguments: argparse.Namespace) -> None:
    """Raise UsageError unless there are songs or a folder to watch; costs nothing."""
    if arguments.watch is not None and arguments.inputs:
        raise UsageError(f"either songs or --watch: got {arguments.inputs[0]} and {arguments.watch}")
    if arguments.watch is None and not arguments.inputs:
        raise UsageError("the following arguments are required: SONG|DIR|GLOB, or --watch DIR")


def run_songs(
    arguments: argparse.Namespace,
    config: Config,
    make: Maker,
    reports: list[SongReport] | None = None,
) -> int:
    """Do with the songs of `arguments.inputs`, or of a watched folder, what `make` makes of them.

    Returns the exit code: 0 all done, 1 some failed, 130 interrupted. Raises UsageError.
    """
    from stembridge.bridge.inputs import find_songs

    check_inputs(arguments)
    if arguments.watch is not None:
        return run_watched(arguments, config, arguments.watch, make, reports)
    songs = find_songs(arguments.inputs)
    if not songs:
        raise UsageError(f"no songs in {', '.join(map(str, arguments.inputs))}")
    return run_tasks(arguments, config, lambda: make(songs), len(songs), reports)


def run_watched(
    arguments: argparse.Namespace,
    config: Config,
    folder: Path,
    make: Maker,
    reports: list[SongReport] | None = None,
) -> int:
    """Do with every song that comes into a folder what `make` makes of it, until interrupted."""
    from stembridge.bridge.watch import FolderWatch

    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder that could be watched")
    if arguments.dry_run:
        raise UsageError(
            "--dry-run says what would be done now; nobody knows yet what will come into a folder"
        )
    watch = FolderWatch(folder, settle_s=arguments.settle)
    print(f"stembridge: watching {folder}; Ctrl-C ends it", file=sys.stderr)
    return run_tasks(arguments, config, lambda: make(watch.songs()), None, reports, watch.stop)


def run_tasks(
    arguments: argparse.Namespace,
    config: Config,
    tasks: Callable[[], Iterator[Task]],
    total: int | None,
    reports: list[SongReport] | None = None,
    end: Callable[[], None] | None = None,
) -> int:
    """Do all of `tasks()`; `total` is how many there are, None where they come as they like until `end`.

    What became of each is added to `reports`, for who writes them down.
    """
    from stembridge.bridge.batches.feed import check_collisions
    from stembridge.bridge.presets import PresetError
    from stembridge.model.errors import ArgumentValueError, ModelMissingError

    printer = BatchPrinter(arguments.json, total, reports)
    try:
        if total is not None:
            check_collisions(tasks())
        if arguments.dry_run:
            return _dry_run(tasks(), printer)
        with closing(_events(arguments, config, tasks(), total, end)) as events:
            return _follow(events, printer, total)
    except (ArgumentValueError, PresetError, ModelMissingError) as error:
        raise UsageError(str(error)) from error


def _events(
    arguments: argparse.Namespace,
    config: Config,
    tasks: Iterator[Task],
    total: int | None,
    end: Callable[[], None] | None,
) -> Generator[Event, None, None]:
    from queue import SimpleQueue

    from stembridge.bridge.batches.batch import run_batch, run_here
    from stembridge.bridge.batches.workers import LocalWorkers, Workers
    from stembridge.model.stem_cache import StemCache

    inbox: SimpleQueue[Any] = SimpleQueue()
    if arguments.cluster is not None:
        from stembridge.bridge.cluster import ClusterWorkers

        cluster = ClusterWorkers(arguments.cluster, inbox, cached=not arguments.no_cache)
        if not cluster.threads:
            print(f"stembridge: {arguments.cluster} has no workers yet; waiting for one", file=sys.stderr)
        workers: Workers = cluster
    else:
        cache = None if arguments.no_cache else StemCache(config.cache.folder, config.cache.limit_bytes)
        if total == 1:
            return run_here(next(tasks), cache)
        jobs = arguments.jobs or config.render.jobs
        workers = LocalWorkers(jobs if total is None else min(jobs, total), cache, inbox)
    return run_batch(tasks, workers, inbox, total=total, end=end)


def _dry_run(tasks: Iterator[Task], printer: BatchPrinter) -> int:
    from stembridge.bridge.batches.feed import Refused, planned
    from stembridge.bridge.batches.task import failed
    from stembridge.model.errors import ArgumentValueError, ModelMissingError

    held: list[Refused] = []
    begun = False
    for item in planned(tasks):
        if isinstance(item, Refused):
            if not begun and isinstance(item.error, ModelMissingError):
                raise item.error
            held.append(item)
            if not begun:
                continue
        else:
            begun = True
            printer.planned(item[0], item[1])
        for refused in held:
            printer.ended(failed(refused.task, refused.error))
        held.clear()
    if not begun and held and all(isinstance(refused.error, ArgumentValueError) for refused in held):
        raise held[0].error
    for refused in held:
        printer.ended(failed(refused.task, refused.error))
    printer.flush()
    return 1 if printer.failures else 0


def _follow(events: Generator[Event, None, None], printer: BatchPrinter, total: int | None) -> int:
    """Print what happens until it is over."""
    from stembridge.bridge.batches.task import Step

    try:
        for event in events:
            if isinstance(event.news, Step):
                printer.step(event.task, event.news, event.fraction, event.left_s)
            elif isinstance(event.news, str):
                printer.note(event.news)
            else:
                printer.ended(event.news)
    except KeyboardInterrupt:
        events.close()
        printer.flush()
        if total is None:
            printer.close("no longer watching; ")
            return 1 if printer.failures else 0
        left = total - printer.done - printer.failures
        print(
            f"stembridge: interrupted; {printer.done} done, {left} not, nothing half-written", file=sys.stderr
        )
        return INTERRUPTED
    printer.close()
    return 1 if printer.failures else 0


class BatchPrinter:
    """What the user reads: results on standard output, progress and errors on standard error."""

    def __init__(self, as_json: bool, total: int | None, reports: list[SongReport] | None = None) -> None:
        self._json = as_json
        self._total = total
        self._reports = reports
        self._printer = _BatchProgress()
        self._lines: list[str] = []
        self._hinted = False
        self.done = 0
        self.failures = 0

    def step(self, task: Task, step: Any, fraction: float, left_s: float | None) -> None:
        """A song is under way."""
        text = "waiting for another render of" if step.stage == "wait" else step.stage
        if self._total is None:
            fraction, left_s = step.fraction, None
        self._printer.left_s = left_s
        self._printer.show(task.source.replace("\\", "/").rpartition("/")[2], text, fraction)

    def planned(self, task: Task, found: Planned | None) -> None:
        """What a song would become."""
        if found is None:
            facts, lines = {"source": task.source, "kind": task.kind, "status": "planned"}, [task.source]
        else:
            facts, lines = dict(found.facts), list(found.lines)
        self._lines += [json.dumps(facts)] if self._json else lines
        self.flush()

    def ended(self, report: SongReport) -> None:
        """What a song has become."""
        if self._reports is not None:
            self._reports.append(report)
        if self._json:
            self._lines.append(json.dumps(report.facts))
        else:
            self._lines += report.lines
        name = report.source.replace("\\", "/").rpartition("/")[2]
        if report.error is not None:
            self.failures += 1
            where = "" if name in report.error.text else f"{report.source}: "
            self._printer.note(f"stembridge: error: {where}{report.error.text}")
        else:
            self.done += 1
        for warning in report.warnings:
            self._printer.note(f"stembridge: {name}: {warning}")
        self._hint(report)
        self.flush()

    def note(self, text: str) -> None:
        """Something to know."""
        self._printer.note(f"stembridge: {text}")

    def flush(self) -> None:
        """Print the results that wait."""
        self._printer.clear()
        for line in self._lines:
            print(line, flush=True)
        self._lines.clear()

    def close(self, prefix: str = "") -> None:
        """Print what there was of all."""
        self.flush()
        songs = self._total if self._total is not None else self.done + self.failures
        if songs != 1:
            note = f"stembridge: {prefix}{self.done} of {songs} songs done, {self.failures} failed"
            self._printer.note(note)

    def _hint(self, report: SongReport) -> None:
        if report.hints.get("asked_for") == "default" and not self._hinted:
            from stembridge.bridge.advice import advice

            self._hinted = True
            if line := advice(report.hints["model"]):
                self._printer.note(f"stembridge: {line}")


class _BatchProgress(ProgressPrinter):
    """The time left is the batch's own reckoning, which leaves out songs that needed nothing done."""

    def __init__(self) -> None:
        super().__init__()
        self.left_s: float | None = None
        self._start = time.monotonic()

    def show(self, label: str, stage: str, fraction: float) -> None:
        """Show how far the whole of the work is, 0 to 1."""
        self._began = time.monotonic()  # no reckoning by the base class
        if self.left_s is not None and time.monotonic() - self._start > 1.0:
            left = round(self.left_s)
            hours, minutes, seconds = left // 3600, left // 60 % 60, left % 60
            clock = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
            stage = f"{stage}, {clock} left"
        super().show(label, stage, fraction)


def _jobs(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of songs, 1 or more; got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        if (value := float(text)) >= 0:
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"expected a number of seconds, 0 or more; got {text!r}")
