"""`stembridge run`: a file of jobs, done as one batch."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from stembridge.bridge.cli import UsageError
from stembridge.bridge.cli.batch import (
    Maker,
    add_batch_flags,
    add_report_flag,
    reporting,
    run_tasks,
    run_watched,
)

if TYPE_CHECKING:
    from stembridge.bridge.batches.task import Task
    from stembridge.bridge.config import Config
    from stembridge.bridge.inputs import Song
    from stembridge.bridge.jobs_toml import Flag, Job

EXAMPLES = """\
JOBS.toml:
  schema = 1
  [defaults]                      # for every job that has such a flag
  format = "flac"
  [[job]]
  kind = "render"                 # a command; its keys are its flags, with _ for -
  inputs = ["album/", "*.wav"]    # relative to this file, as all paths
  two_stems = "vocals"
  out = "karaoke"
"""

_NAME_OR_FILE = frozenset({"preset", "chain", "model"})
"""Flags that take a name or a file: a file where there is one."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", type=Path, metavar="JOBS.toml", help="what to do")
    add_report_flag(parser.add_argument)
    add_batch_flags(parser.add_argument)


def run(arguments: argparse.Namespace) -> int:
    """Do all jobs; 0 all done, 1 some failed, 2 usage, 130 interrupted."""
    from stembridge.bridge.config import load_config
    from stembridge.bridge.inputs import find_songs
    from stembridge.bridge.jobs_toml import JobsError, read_jobs
    from stembridge.bridge.presets import PresetError
    from stembridge.model.errors import ArgumentValueError

    config = load_config()
    parsers = _parsers()
    flags = {kind: _flags(parser) for kind, parser in parsers.items()}
    try:
        jobs = read_jobs(arguments.file, flags, _batch_keys(), watched=arguments.watch is not None)
        makers = [_maker(job, parsers[job.kind], config, arguments) for job in jobs]
    except JobsError as error:
        raise UsageError(str(error)) from error
    if arguments.watch is not None:
        if any(job.inputs for job in jobs):
            raise UsageError("--watch gives the jobs their songs: leave out their inputs")
        with reporting(arguments, arguments.file.stem) as reports:
            return run_watched(arguments, config, arguments.watch, _each(makers), reports)
    songs = [find_songs(job.inputs) for job in jobs]
    for job, found in zip(jobs, songs, strict=True):
        if not found:
            raise UsageError(f"{job.where}: no songs in {', '.join(job.inputs)}")

    def tasks() -> Iterator[Task]:
        for make, found in zip(makers, songs, strict=True):
            yield from make(found)

    try:
        total = sum(1 for _ in tasks())  # an album of many songs is one task
    except (ArgumentValueError, PresetError) as error:
        raise UsageError(str(error)) from error

    with reporting(arguments, arguments.file.stem) as reports:
        return run_tasks(arguments, config, tasks, total, reports)


def _each(makers: list[Maker]) -> Maker:
    """What all jobs make of each song, as it comes."""

    def tasks(songs: Iterable[Song]) -> Iterator[Task]:
        for song in songs:
            for make in makers:
                yield from make([song])

    return tasks


class _JobParser(argparse.ArgumentParser):
    """A command's parser whose errors are about a file of jobs."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of ending the program."""
        raise argparse.ArgumentError(None, message)


def _parsers() -> dict[str, argparse.ArgumentParser]:
    from stembridge.bridge.batches.task import KINDS

    parsers: dict[str, argparse.ArgumentParser] = {}
    for kind in KINDS:
        parsers[kind] = _JobParser(add_help=False)
        import_module(f"stembridge.bridge.cli.{kind}").configure(parsers[kind])
    return parsers


def _batch_keys() -> set[str]:
    parser = argparse.ArgumentParser(add_help=False)
    add_report_flag(parser.add_argument)
    add_batch_flags(parser.add_argument)
    return {action.dest for action in parser._actions}


def _flags(parser: argparse.ArgumentParser) -> dict[str, Flag]:
    """The keys of one kind of job, and what they take."""
    from stembridge.bridge.jobs_toml import Flag

    batch = _batch_keys()
    return {
        action.dest: Flag(max(action.option_strings, key=len), _takes(action), _path(action))
        for action in parser._actions
        if action.option_strings and action.dest not in batch
    }


def _takes(action: argparse.Action) -> Any:
    if action.nargs == 0:
        return "switch"
    if not isinstance(action.default, list):
        return "one"
    return "pairs" if "=" in str(action.metavar) else "many"


def _path(action: argparse.Action) -> Any:
    if action.type is Path or getattr(action.type, "__name__", "") == "_place":
        return "always"
    return "where there is one" if action.dest in _NAME_OR_FILE else "never"


def _maker(job: Job, parser: argparse.ArgumentParser, config: Config, batch: argparse.Namespace) -> Maker:
    from stembridge.bridge.jobs_toml import JobsError

    try:
        parsed = parser.parse_args(job.arguments)
        parsed.report = batch.report
        if batch.watch is not None and getattr(parsed, "album", False):
            raise UsageError("an album is complete before it is mastered: it cannot come by --watch")
        return import_module(f"stembridge.bridge.cli.{job.kind}").task_maker(parsed, config)  # type: ignore[no-any-return]
    except (argparse.ArgumentError, argparse.ArgumentTypeError, UsageError) as error:
        raise JobsError(f"{job.where}: {error}") from error
