"""`stembridge evaluate`: separators on songs whose stems are known, as tables of figures."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import sys
import warnings
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stembridge.bridge.cli import INTERRUPTED, UsageError
from stembridge.bridge.cli.progress import ProgressPrinter

EXAMPLES = """\
examples:
  stembridge evaluate songs/ -n default -n classic --baselines --oracle
  stembridge evaluate musdb18hq/test -n default --json scores.json --markdown scores.md
  stembridge evaluate songs/ -n runs/live/best.safetensors --start 1:00 --seconds 30 --no-bss

A folder holds songs as folders of stems (drums.wav, bass.wav, other.wav, vocals.wav), told by their names; a
stem without a file is unknown and not scored. The mix is the file mixture.* or else the sum of the stems.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.usage = "stembridge evaluate SONGS_DIR... [-n MODEL]... [flags]"
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    arg = parser.add_argument
    arg("songs", nargs="+", type=Path, metavar="SONGS_DIR", help="folders of songs, searched through")
    arg("-n", "--model", "--name", action="append", default=[], metavar="MODEL",
        help="a separator's name or a checkpoint's path; may repeat (default: the one set up)")  # fmt: skip
    arg("--baselines", action="store_true", help="the mixture, a quarter of it, repet and classic, too")
    arg("--oracle", action="store_true", help="ideal ratio and binary masks, too: what masks could do")
    arg("--no-bss", action="store_true", help="without BSSEval, which takes most of the scoring time")
    arg("-d", "--device", choices=("cpu", "cuda", "mps", "auto"))

    group = parser.add_argument_group("region of every song")
    arg = group.add_argument
    arg("--start", metavar="T", help="90, 1:30.5 or 48000s (samples)")
    arg("--end", metavar="T")
    arg("--seconds", type=float, metavar="S", help="the length, instead of --end")

    group = parser.add_argument_group("results")
    arg = group.add_argument
    arg("--json", metavar="FILE|-", help="every figure as JSON; - is standard output, without the tables")
    arg("--markdown", type=Path, metavar="FILE", help="the tables, which otherwise go to standard output")
    arg("--plots", type=Path, metavar="DIR", help="true and estimated spectrograms, a PNG for each song")
    arg("-j", "--jobs", type=int, default=1, metavar="N",
        help="at once; times are those of a busy machine then")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Measure everything; 0 all done, 1 some failed, 2 usage, 130 interrupted."""
    from stembridge.model.errors import ModelMissingError, StembridgeError
    from stembridge.model.evaluation.runs import run_all
    from stembridge.model.evaluation.summary import Failure, Results

    if arguments.jobs < 1:
        raise UsageError(f"--jobs must be 1 or more; got {arguments.jobs}")
    if arguments.seconds is not None and (arguments.end is not None or not arguments.seconds > 0):
        raise UsageError("--seconds must be more than 0 and goes without --end")
    if arguments.plots is not None:
        from stembridge.model.plot import check_matplotlib

        check_matplotlib()
    try:
        models = _models(arguments)
    except ModelMissingError as error:
        raise UsageError(str(error)) from error
    tasks = _tasks(arguments, models)
    scores: dict[int, Any] = {}
    failures: list[Failure] = []
    fractions = [0.0] * len(tasks)
    interrupted = False
    with ProgressPrinter() as printer:
        try:
            with closing(run_all(tasks, arguments.jobs)) as events:
                for event in events:
                    task = tasks[event.task]
                    label = f"{task.model}: {task.track.name}"
                    if isinstance(event.news, float):
                        fractions[event.task] = event.news
                    elif isinstance(event.news, StembridgeError):
                        fractions[event.task] = 1.0
                        failures.append(
                            Failure(task.model, task.track.name, event.news.code, str(event.news))
                        )
                        printer.note(f"stembridge: error: {label}: {event.news}")
                    else:
                        fractions[event.task] = 1.0
                        scores[event.task] = event.news
                    printer.show(label, "evaluate", sum(fractions) / len(fractions))
        except KeyboardInterrupt:
            interrupted = True
            left = len(tasks) - len(scores) - len(failures)
            printer.note(f"stembridge: interrupted; {len(scores)} done, {left} not")
    results = Results(tuple(score for _, score in sorted(scores.items())), tuple(failures))
    if results.scores or not interrupted:
        _write(results, arguments)
    return INTERRUPTED if interrupted else 1 if failures else 0


def _models(arguments: argparse.Namespace) -> list[str]:
    """Separators and yardsticks in the order of the tables; raises ModelMissingError."""
    from stembridge.bridge.config import load_config
    from stembridge.model.errors import ModelMissingError
    from stembridge.model.evaluation.yardsticks import BASELINES, ORACLES
    from stembridge.model.registry import separator_entry

    names = list(arguments.model)
    if arguments.baselines:
        names = ["repet", "classic", *names]
    elif not names and not arguments.oracle:
        names = [load_config().render.model]
    models: list[str] = []
    for name in names:
        entry = separator_entry(name)
        if entry.missing:
            raise ModelMissingError(f"{name}: {entry.missing}")
        # several checkpoints may be of one name: the path tells them apart
        models.append(name if os.sep in name or Path(name).is_file() else entry.name)
    yardsticks = [*(BASELINES if arguments.baselines else ())], [*(ORACLES if arguments.oracle else ())]
    return list(dict.fromkeys([*yardsticks[0], *models, *yardsticks[1]]))


def _tasks(arguments: argparse.Namespace, models: list[str]) -> list[Any]:
    """Every song with every model, song by song."""
    from stembridge.model.errors import ArgumentValueError
    from stembridge.model.evaluation.evaluation import Task
    from stembridge.model.units import parse_time

    try:
        start, stop = (
            None if text is None else parse_time(text) for text in (arguments.start, arguments.end)
        )
    except ArgumentValueError as error:
        raise UsageError(str(error)) from error
    return [
        Task(
            track,
            model,
            start,
            stop,
            arguments.seconds,
            device=arguments.device or "auto",
            bss=not arguments.no_bss,
            picture=None if arguments.plots is None else arguments.plots / _picture_name(track.name, model),
        )
        for track in _songs(arguments.songs)
        for model in models
    ]


def _songs(folders: list[Path]) -> list[Any]:
    """The songs in all folders, under names that differ; what is left out is said."""
    from dataclasses import replace

    from stembridge.model.evaluation.songs import worth_evaluating
    from stembridge.model.training.tracks import find_tracks

    songs: dict[str, Any] = {}
    for folder in folders:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            tracks = find_tracks(folder)
        if said:
            more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
            print(f"stembridge: {said[0].message}{more}", file=sys.stderr)
        for track in tracks:
            if not worth_evaluating(track):
                print(
                    f"stembridge: left out: {track.name}: a single stem, nothing to separate", file=sys.stderr
                )
                continue
            name = track.name
            if name in songs:
                name = f"{folder.resolve().name}/{name}"
            number = 2
            while name in songs:
                name, number = f"{track.name} ({number})", number + 1
            songs[name] = replace(track, name=name)
    if not songs:
        raise UsageError(f"no song with two stems or more in {', '.join(map(str, folders))}")
    return list(songs.values())


def _picture_name(song: str, model: str) -> str:
    plain = f"{song} - {model}".replace(os.sep, "_").replace("/", "_")
    return f"{plain}.png"


def _write(results: Any, arguments: argparse.Namespace) -> None:
    from stembridge.model.evaluation.tables import markdown

    region = {name: getattr(arguments, name) for name in ("start", "end", "seconds")}
    about = {
        "stembridge": version("stembridge"),
        "machine": _machine(),
        "jobs": arguments.jobs,
        "region": region,
    }
    facts = json.dumps({**results.facts(), **about}, indent=1, ensure_ascii=False)
    tables = f"{_heading(results, about)}\n\n{markdown(results)}"
    if arguments.json not in (None, "-"):
        _write_file(Path(arguments.json), facts + "\n")
    if arguments.markdown is not None:
        _write_file(arguments.markdown, tables)
    if arguments.json == "-":
        print(facts)
    elif arguments.markdown is None:
        print(tables, end="")


def _heading(results: Any, about: dict[str, Any]) -> str:
    songs = len({score.song for score in results.scores})
    region = ", ".join(f"{name} {value}" for name, value in about["region"].items() if value is not None)
    jobs = f", {about['jobs']} at once" if about["jobs"] > 1 else ""
    return (
        f"{songs} {'song' if songs == 1 else 'songs'} ({region or 'whole'}), measured by stembridge "
        f"{about['stembridge']} on {about['machine']}{jobs}."
    )


def _machine() -> str:
    """What it ran on, in words."""
    import platform

    python = f"Python {platform.python_version()}"
    return f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, {python}"


def _write_file(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all."""
    from stembridge.model.files.sink import write_error

    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        raise write_error(error, path, None, 0) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
