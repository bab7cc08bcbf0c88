"""`stembridge pack`: finished stems as NI stem files, zips, or acapella and instrumental."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stembridge.bridge.cli import UsageError
from stembridge.bridge.cli.progress import ProgressPrinter

if TYPE_CHECKING:
    from stembridge.model.packs import Finished, Pack, PackProgress

EXAMPLES = """\
examples:
  stembridge pack separated/ --format stem.mp4               every rendered song, for Traktor or Mixxx
  stembridge pack Song.stems.json --format zip -o Song.zip
  stembridge pack stems/ --acapella-instrumental --audio-format mp3
"""

_ENDINGS = {"stem.mp4": ".stem.mp4", "zip": ".zip"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.usage = "stembridge pack MANIFEST|DIR... --format stem.mp4|zip | --acapella-instrumental [flags]"
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    arg = parser.add_argument
    arg("places", nargs="+", type=Path, metavar="MANIFEST|DIR",
        help="the .stems.json of a render, a folder with some, a folder of stems, a stem file")  # fmt: skip
    arg("--format", action="append", choices=tuple(_ENDINGS), default=[],
        help="an NI stem file, or a zip of everything with its manifest; may repeat")  # fmt: skip
    arg("--acapella-instrumental", action="store_true", help="the voice, and everything else")
    arg("-o", "--out", type=Path, metavar="DIR|FILE", help="where to (default: packed)")
    arg("--overwrite", action="store_true", help="replace files that stembridge did not write, too")
    arg("--json", action="store_true", help="one JSON object per song on standard output")

    group = parser.add_argument_group("stem.mp4")
    arg = group.add_argument
    arg("--codec", choices=("aac", "alac"), help="256 kbit/s per stream (default), or lossless")
    arg("--mix", type=Path, metavar="FILE", help="what plays without stems (default: their sum)")

    group = parser.add_argument_group("acapella and instrumental")
    arg = group.add_argument
    arg("--audio-format", choices=("flac", "wav", "aiff", "mp3", "ogg"), help="default: flac")
    arg("--bit-depth", choices=("16", "24", "32f"), help="default: 24, and 32f in WAV and AIFF")


def run(arguments: argparse.Namespace) -> int:
    """Make every pack of every song; 0 all done, 1 some failed, 2 usage, 130 interrupted."""
    from stembridge.model.errors import ArgumentValueError
    from stembridge.model.packs import find_finished

    _check(arguments)
    try:
        specs = _specs(arguments)
    except ArgumentValueError as wrong:
        raise UsageError(str(wrong)) from wrong
    songs = list(find_finished(arguments.places))
    out = arguments.out or Path("packed")
    named = any(out.name.lower().endswith(ending) for ending in _ENDINGS.values())
    if named and len(songs) > 1:
        raise UsageError(f"{out} is one file, and there are {len(songs)} songs: name a folder")
    taken: dict[Path, str] = {}
    failed = False
    with ProgressPrinter(quiet=arguments.json) as printer:
        for number, song in enumerate(songs):
            if isinstance(song, tuple):
                failed = True
                _report(arguments, printer, str(song[0]), [], song[1])
                continue
            share = 1 / len(songs)
            made, error = _pack(song, specs, out, named, taken, printer, number * share, share)
            failed |= error is not None
            _report(arguments, printer, song.title, made, error)
    return 1 if failed else 0


def _pack(
    song: Finished,
    specs: dict[str, Any],
    out: Path,
    named: bool,
    taken: dict[Path, str],
    printer: ProgressPrinter,
    begun: float,
    share: float,
) -> tuple[list[Pack], Exception | None]:
    """All packs of one song, and what went wrong with it."""
    from stembridge.model.errors import OutputError, StembridgeError

    made: list[Pack] = []
    for place, (kind, spec) in enumerate(specs.items()):
        path = out if named else out / f"{song.title}{_ENDINGS.get(kind, ' (Acapella)')}"
        here = str(song.folder / song.title)
        try:
            if taken.setdefault(path, here) != here:
                raise OutputError(
                    f"{path} is made of {taken[path]} already, and {here} has the same name: "
                    "give each another -o"
                )
            for progress in _steps(kind, song, path, spec):
                fraction = (place + progress.fraction) / len(specs)
                printer.show(song.title, progress.stage, begun + share * fraction)
                made += progress.packs
        except (StembridgeError, OSError) as error:
            return made, error
    return made, None


def _steps(kind: str, song: Finished, path: Path, spec: Any) -> Iterator[PackProgress]:
    from stembridge.model.packs import pack_acapella, pack_stem_mp4, pack_zip

    if kind == "stem.mp4":
        return pack_stem_mp4(song, path, spec)
    if kind == "zip":
        return pack_zip(song, path, spec)
    return pack_acapella(song, path.parent, spec)


def _check(arguments: argparse.Namespace) -> None:
    """Raise UsageError for flags that do not go together."""
    formats = set(arguments.format)
    if not formats and not arguments.acapella_instrumental:
        raise UsageError("what to make? --format stem.mp4, --format zip or --acapella-instrumental")
    if "stem.mp4" not in formats and (arguments.codec or arguments.mix):
        raise UsageError("--codec and --mix are about stem files: give --format stem.mp4 too")
    if not arguments.acapella_instrumental and (arguments.audio_format or arguments.bit_depth):
        raise UsageError(
            "--audio-format and --bit-depth are about acapella and instrumental: a zip holds the stems as "
            "they are"
        )
    if arguments.mix is not None and not arguments.mix.is_file():
        raise UsageError(f"--mix {arguments.mix}: there is no such file")
    if arguments.out is not None:
        ending = next(
            (kind for kind, end in _ENDINGS.items() if arguments.out.name.lower().endswith(end)), None
        )
        if ending is not None and (formats != {ending} or arguments.acapella_instrumental):
            raise UsageError(f"{arguments.out} names one {ending} file, and other things are asked for")


def _specs(arguments: argparse.Namespace) -> dict[str, Any]:
    from stembridge.model.audio import OutputFormat
    from stembridge.model.packs import AcapellaSpec, StemMp4Spec, ZipSpec

    specs: dict[str, Any] = {}
    if "stem.mp4" in arguments.format:
        specs["stem.mp4"] = StemMp4Spec(arguments.codec or "aac", arguments.mix, arguments.overwrite)
    if "zip" in arguments.format:
        specs["zip"] = ZipSpec(arguments.overwrite)
    if arguments.acapella_instrumental:
        container: Any = arguments.audio_format or "flac"
        depth: Any = arguments.bit_depth or ("24" if container == "flac" else "32f")
        specs["acapella"] = AcapellaSpec(OutputFormat(container, depth), arguments.overwrite)
    return specs


def _report(
    arguments: argparse.Namespace,
    printer: ProgressPrinter,
    song: str,
    made: list[Pack],
    error: Exception | None,
) -> None:
    printer.clear()
    if arguments.json:
        packs = [
            {"path": str(pack.path), "kind": pack.kind, "skipped": pack.skipped, **pack.figures}
            for pack in made
        ]
        facts = {"song": song, "packs": packs, "error": None if error is None else str(error)}
        print(json.dumps(facts, ensure_ascii=False), flush=True)
        return
    for pack in made:
        gain_db = pack.figures.get("gain_db", 0.0)
        note = (
            " (it was there)"
            if pack.skipped
            else f" ({gain_db:+.2f} dB, or it would clip)"
            if gain_db
            else ""
        )
        print(f"{pack.path}{note}", flush=True)
    if error is not None:
        print(f"stembridge: error: {error}", file=sys.stderr, flush=True)
