"""`stembridge render`: songs into stems and remixes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from stembridge.bridge.cli import INTERRUPTED, UsageError
from stembridge.bridge.cli.progress import ProgressPrinter

EXAMPLES = """\
examples:
  stembridge render song.flac                         four stems beside each other
  stembridge render album/ --two-stems vocals -j 2    vocals and no_vocals of every song in a folder
  stembridge render song.wav --preset karaoke --preset acapella
  stembridge render song.wav --gain vocals=-6 --format flac --bit-depth 16
  stembridge render song.wav --start 1:00 --end 1:30 --stems drums
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.usage = "stembridge render SONG|DIR|GLOB... [flags]"
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    arg = parser.add_argument
    arg("inputs", nargs="+", metavar="SONG|DIR|GLOB", help="songs, folders (searched through) or globs")

    group = parser.add_argument_group("stems")
    arg = group.add_argument
    arg("-n", "--model", "--name", metavar="NAME", help="separator (see `stembridge models`)")
    arg("--stems-from", type=Path, metavar="DIR", help="take stems that exist already, by file name")
    arg("--stems", type=_names, metavar="A,B", help="write only these stems (also no_vocals, instrumental)")
    arg("--two-stems", metavar="STEM", help="write STEM and no_STEM")
    arg("--residual", choices=("other", "spread", "file", "none"), help="what becomes of the unclaimed rest")
    arg("--sensitivity", action="append", type=_pair(float), default=[], metavar="STEM=0..10",
        help="more of the stem (10) or less bleed (0); 5 is the separator's own")  # fmt: skip

    group = parser.add_argument_group("mix")
    arg = group.add_argument
    arg("--mix", action="store_true", default=None, help="write the mix beside the stems")
    arg("--gain", action="append", type=_pair(float), default=[], metavar="STEM=DB")
    arg("--pan", action="append", type=_pair(float), default=[], metavar="STEM=-1..1")
    arg("--mute", action="append", default=[], metavar="STEM")
    arg("--solo", action="append", default=[], metavar="STEM")
    arg("--submix", action="append", type=_pair(_plus), default=[], metavar="NAME=A+B")
    arg(
        "--preset",
        action="append",
        default=[],
        metavar="NAME|FILE",
        help="may repeat: one separation serves all",
    )
    arg("--chain", action="append", type=_pair(str), default=[], metavar="STEM=PRESET",
        help="treat a stem (or `mix`) with a preset's chain")  # fmt: skip
    arg("--post-fader", action="store_true", default=None, help="stems as they sound in the mix")
    arg("--dry", action="store_true", help="stems without their chains")
    arg("--tail", metavar="S|until-silent", help="let chains ring out past the end")

    group = parser.add_argument_group("region")
    arg = group.add_argument
    arg("--start", metavar="T", help="90, 1:30.5 or 48000s (samples)")
    arg("--end", metavar="T")
    arg("--preroll", type=float, metavar="S", help="start chains this long before the region, not at 0:00")
    arg("--preview", type=float, metavar="S", help="only the loudest S seconds")

    group = parser.add_argument_group("files")
    arg = group.add_argument
    arg("-o", "--out", type=Path, metavar="DIR", help="output folder (default: separated)")
    arg("--filename", metavar="TEMPLATE", help="default: {model}/{track}/{track} - {stem}.{ext}")
    arg("--format", choices=("wav", "flac", "mp3", "ogg", "aiff"))
    arg("--bit-depth", choices=("16", "24", "32f"))
    arg("--overs", choices=("gain", "clip", "error"), help="integer files: one common gain, clip, or refuse")
    arg("--sample-rate", metavar="keep|HZ")
    arg("--seed", type=int, default=0, help="of the dither")
    arg("--overwrite", action="store_true", help="replace files that stembridge did not write, too")

    group = parser.add_argument_group("work")
    arg = group.add_argument
    arg("-d", "--device", choices=("cpu", "cuda", "mps", "auto"))
    arg("--overlap", type=float, metavar="0..1", help="of segments, for networks that have them")
    arg("--segment", type=float, metavar="S", help="length of segments, likewise")
    arg("--shifts", type=int, metavar="N", help="averaged time shifts, likewise")
    arg("-j", "--jobs", type=_jobs, metavar="N", help="songs at once")
    arg("--no-cache", action="store_true", help="neither use nor fill the stem cache")
    arg("--dry-run", action="store_true", help="say what would be written, and stop")
    arg("--json", action="store_true", help="one JSON object per song on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Render everything; 0 all done, 1 some failed, 2 usage, 130 interrupted."""
    from stembridge.bridge.config import load_config
    from stembridge.bridge.inputs import find_songs
    from stembridge.bridge.presets import PresetError
    from stembridge.model.errors import ArgumentValueError, ModelMissingError, StembridgeError
    from stembridge.model.rendering import Plan, check_collisions, plan_render
    from stembridge.model.stem_cache import StemCache

    config = load_config()
    try:
        request = _request(arguments, config.render.model)
    except (PresetError, ModelMissingError) as error:
        raise UsageError(str(error)) from error
    songs = find_songs(arguments.inputs)
    if not songs:
        raise UsageError(f"no songs in {', '.join(map(str, arguments.inputs))}")
    report = _Report(arguments.json, len(songs))
    plans: list[Plan] = []
    failed: list[tuple[Path, StembridgeError]] = []
    for song in songs:
        try:
            plans.append(plan_render(request.spec(song, config)))
        except (PresetError, ModelMissingError) as error:
            raise UsageError(str(error)) from error
        except StembridgeError as error:
            failed.append((song.path, error))
    if len(failed) == len(songs) and all(isinstance(failure, ArgumentValueError) for _, failure in failed):
        raise UsageError(str(failed[0][1]))
    for path, failure in failed:
        report.failed(path, failure)
    try:
        check_collisions([path for plan in plans for path in plan.paths])
    except ArgumentValueError as error:
        raise UsageError(str(error)) from error
    report.flush()
    if arguments.dry_run:
        for plan in plans:
            report.planned(plan)
        return 1 if report.failures else 0
    if not plans:
        return 1
    cache = None if arguments.no_cache else StemCache(config.cache.folder, config.cache.limit_bytes)
    return _render(plans, cache, arguments.jobs or config.render.jobs, report)


def _render(plans: Sequence[Any], cache: Any, jobs: int, report: _Report) -> int:
    from stembridge.bridge.batch import render_all
    from stembridge.model.errors import StembridgeError

    fractions = [0.0] * len(plans)
    finished = 0
    try:
        with closing(render_all([plan.settled for plan in plans], cache, jobs)) as events:
            for event in events:
                plan, news = plans[event.song], event.news
                if isinstance(news, StembridgeError):
                    fractions[event.song] = 1.0
                    report.failed(plan.info.path, news)
                elif news.result is not None:
                    fractions[event.song] = 1.0
                    report.done(news.result)
                else:
                    fractions[event.song] = news.fraction
                    report.progress(plan.info.path, news.stage, sum(fractions) / len(fractions))
                    continue
                finished += 1
                report.flush()
    except KeyboardInterrupt:
        report.flush()
        left = len(plans) - finished
        print(f"stembridge: interrupted; {finished} done, {left} not, nothing half-written", file=sys.stderr)
        return INTERRUPTED
    report.close()
    return 1 if report.failures else 0


class _Report:
    """What the user reads: results on standard output, progress and errors on standard error."""

    def __init__(self, as_json: bool, songs: int) -> None:
        self._json = as_json
        self._songs = songs
        self._printer = ProgressPrinter()
        self._lines: list[str] = []
        self._hinted = False
        self._done = 0
        self.failures = 0

    def progress(self, path: Path, stage: str, fraction: float) -> None:
        text = "waiting for another render of" if stage == "wait" else stage
        self._printer.show(path.name, text, fraction)

    def planned(self, plan: Any) -> None:
        if self._json:
            self._lines.append(_json({"source": str(plan.info.path), "status": "planned", "model": plan.model,
                                      "files": [str(output.path) for output in plan.outputs]}))  # fmt: skip
        else:
            self._lines += [f"{plan.info.path} ({plan.model})", *(f"  {o.path}" for o in plan.outputs)]
        self.flush()

    def done(self, result: Any) -> None:
        self._done += 1
        plan = result.plan
        folder = plan.manifest_path.parent
        if self._json:
            self._lines.append(_json(_facts(result)))
        elif result.skipped:
            self._lines.append(
                f"{plan.info.path}: already rendered in {folder} (same song, model and settings)"
            )
        else:
            self._lines.append(f"{plan.info.path} -> {folder}")
            for entry in result.files:
                peak = "silent" if entry.peak_db is None else f"peak {entry.peak_db:+.2f} dBFS"
                loud = "" if entry.lufs is None else f", {entry.lufs:.1f} LUFS"
                self._lines.append(f"  {entry.file}  ({peak}{loud})")
            self._lines.append("  " + ", ".join(_summary(result)))
        for warning in result.warnings:
            self._printer.note(f"stembridge: {plan.info.path.name}: {warning}")
        if plan.spec.model == "default" and plan.spec.stems_from is None and not self._hinted:
            from stembridge.bridge.advice import advice

            self._hinted = True
            if line := advice(plan.model):
                self._printer.note(f"stembridge: {line}")

    def failed(self, path: Path, error: Any) -> None:
        self.failures += 1
        if self._json:
            facts = {
                "source": str(path),
                "status": "failed",
                "error": {"code": error.code, "text": str(error)},
            }
            self._lines.append(_json(facts))
        where = "" if path.name in str(error) else f"{path}: "
        self._printer.note(f"stembridge: error: {where}{error}")

    def flush(self) -> None:
        self._printer.clear()
        for line in self._lines:
            print(line, flush=True)
        self._lines.clear()

    def close(self) -> None:
        self.flush()
        if self._songs > 1:
            note = f"stembridge: {self._done} of {self._songs} songs done, {self.failures} failed"
            self._printer.note(note)


def _summary(result: Any) -> list[str]:
    parts = [f"{result.plan.model}", f"{result.realtime_factor:.1f}x real time"]
    if result.null_db is not None:
        parts.append(f"null depth {result.null_db:.1f} dB")
    if result.gain_db:
        parts.append(f"common gain {result.gain_db:+.2f} dB so that no file clips")
    if result.cached:
        parts.append("stems from the cache")
    return parts


def _facts(result: Any) -> dict[str, Any]:
    plan = result.plan
    return {
        "source": str(plan.info.path),
        "status": "skipped" if result.skipped else "done",
        "model": plan.model,
        "manifest": str(plan.manifest_path),
        "files": [str(plan.manifest_path.parent / entry.file) for entry in result.files],
        "null_db": result.null_db,
        "gain_db": round(result.gain_db, 6),
        "realtime_factor": round(result.realtime_factor, 3),
        "cached": result.cached,
        "warnings": list(result.warnings),
    }


def _json(facts: dict[str, Any]) -> str:
    return json.dumps(facts)


def _request(arguments: argparse.Namespace, default_model: str) -> Any:
    from stembridge.bridge.requests import RenderRequest

    return RenderRequest(
        model=arguments.model,
        stems_from=arguments.stems_from,
        out=arguments.out,
        filename=arguments.filename,
        stems=arguments.stems,
        two_stems=arguments.two_stems,
        gain=dict(arguments.gain),
        pan=dict(arguments.pan),
        mute=_flat(arguments.mute),
        solo=_flat(arguments.solo),
        submix=dict(arguments.submix),
        sensitivity=dict(arguments.sensitivity),
        mix=arguments.mix,
        preset=tuple(arguments.preset),
        chain=dict(arguments.chain),
        tail=arguments.tail,
        post_fader=arguments.post_fader,
        dry=arguments.dry,
        format=arguments.format,
        bit_depth=arguments.bit_depth,
        overs=arguments.overs,
        sample_rate=arguments.sample_rate,
        residual=arguments.residual,
        start=arguments.start,
        end=arguments.end,
        preroll=arguments.preroll,
        preview=arguments.preview,
        device=arguments.device,
        options=_options(arguments, arguments.model or _preset_model(arguments.preset) or default_model),
        overwrite=arguments.overwrite,
        seed=arguments.seed,
    )


def _preset_model(presets: list[str]) -> str | None:
    from stembridge.bridge.presets import load_preset

    return next((model for name in presets if (model := load_preset(name).render.model)), None)


def _options(arguments: argparse.Namespace, model: str) -> dict[str, Any]:
    """The separator's settings that were given and that it has; the others are named and left out."""
    from stembridge.model.registry import separator_entry

    given = {key: getattr(arguments, key) for key in ("overlap", "segment", "shifts")}
    given = {key: value for key, value in given.items() if value is not None}
    if not given or arguments.stems_from is not None:
        return {}
    entry = separator_entry(model)
    name, known = entry.name, entry.options()
    for key in sorted(given.keys() - set(known)):
        print(f"stembridge: {name} has no {key}; --{key} changes nothing", file=sys.stderr)
    return {key: value for key, value in given.items() if key in known}


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError("name at least one stem")
    return names


def _plus(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split("+") if name.strip())
    if not names:
        raise ValueError
    return names


def _flat(values: list[str]) -> tuple[str, ...]:
    return tuple(name for value in values for name in _names(value))


def _pair(kind: Any) -> Any:
    """A parser of NAME=VALUE."""

    def parse(text: str) -> tuple[str, Any]:
        name, equals, value = text.partition("=")
        try:
            if not (name.strip() and equals):
                raise ValueError
            return name.strip(), kind(value.strip())
        except ValueError:
            what = "a number" if kind is float else "stems joined by +" if kind is _plus else "a name"
            raise argparse.ArgumentTypeError(f"expected NAME=VALUE with {what}; got {text!r}") from None

    return parse


def _jobs(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of songs, 1 or more; got {text!r}")
    return int(text)
