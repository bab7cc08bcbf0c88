"""`stembridge render`: songs into stems and remixes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stembridge.bridge.cli import UsageError
from stembridge.bridge.cli.batch import (
    Maker,
    add_batch_flags,
    add_report_flag,
    check_inputs,
    reporting,
    run_songs,
)

if TYPE_CHECKING:
    from stembridge.bridge.batches.task import Task
    from stembridge.bridge.config import Config
    from stembridge.bridge.inputs import Song

EXAMPLES = """\
examples:
  stembridge render song.flac                         four stems beside each other
  stembridge render album/ --two-stems vocals -j 2    vocals and no_vocals of every song in a folder
  stembridge render song.wav --preset karaoke --preset acapella
  stembridge render song.wav --gain vocals=-6 --format flac --bit-depth 16
  stembridge render song.wav --start 1:00 --end 1:30 --stems drums
  stembridge render --watch incoming/ -o stems/       every song that comes into a folder
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.usage = "stembridge render SONG|DIR|GLOB... [flags]"
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    arg = parser.add_argument
    arg("inputs", nargs="*", metavar="SONG|DIR|GLOB", help="songs, folders (searched through) or globs")

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
    arg("--automation", type=Path, metavar="FILE", help="move the faders as a performance did (CSV)")
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
    arg("-o", "--out", type=_place, metavar="DIR", help="output folder, or URL (default: separated)")
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
    add_report_flag(arg)
    add_batch_flags(arg)


def run(arguments: argparse.Namespace) -> int:
    """Render everything; 0 all done, 1 some failed, 2 usage, 130 interrupted."""
    from stembridge.bridge.config import load_config

    check_inputs(arguments)
    config = load_config()
    with reporting(arguments, "Render report") as reports:
        return run_songs(arguments, config, task_maker(arguments, config), reports)


def task_maker(arguments: argparse.Namespace, config: Config) -> Maker:
    """What these flags make of songs. Raises UsageError for flags that no song would go with."""
    from stembridge.bridge.batches.task import Remote, Task
    from stembridge.bridge.presets import PresetError
    from stembridge.model.errors import ModelMissingError

    try:
        request = _request(arguments, config.render.model)
    except (PresetError, ModelMissingError) as error:
        raise UsageError(str(error)) from error
    out = arguments.out if isinstance(arguments.out, str) else None

    def tasks(songs: Iterable[Song]) -> Iterator[Task]:
        spec: Any = None
        for song in songs:
            if spec is None:  # presets are read once
                spec = request.spec(song, config)
            spec = replace(spec, source=song.path, tree=song.tree)
            remote = Remote(song.url, out) if song.url is not None or out is not None else None
            yield Task("render", spec, song.url or str(song.path), remote=remote)

    return tasks


def _request(arguments: argparse.Namespace, default_model: str) -> Any:
    from stembridge.bridge.requests import RenderRequest

    return RenderRequest(
        model=arguments.model,
        stems_from=arguments.stems_from,
        out=arguments.out if isinstance(arguments.out, Path) else None,
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
        automation=arguments.automation,
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


def _place(text: str) -> Path | str:
    """A folder, or a URL as it is."""
    return text if "://" in text else Path(text)
