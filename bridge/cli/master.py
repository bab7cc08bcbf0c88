"""`stembridge master`: songs brought to a sound, a loudness and a true-peak ceiling."""

from __future__ import annotations

import argparse
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
    run_tasks,
)

if TYPE_CHECKING:
    from stembridge.bridge.batches.task import Task
    from stembridge.bridge.config import Config
    from stembridge.bridge.inputs import Song

EXAMPLES = """\
examples:
  stembridge master song.wav --preset master-streaming        a chain, -14 LUFS, -1 dBTP
  stembridge master song.wav --lufs -9 --true-peak -1 --format flac --bit-depth 16
  stembridge master album/ --album --lufs -12 --report album.html
  stembridge master song.wav --reference loved.flac --mix-amount 0.6 --preview
Without --lufs, loudness is left alone; the ceiling of -1 dBTP holds unless --true-peak says otherwise.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.usage = "stembridge master SONG|DIR|GLOB... [flags]"
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    arg = parser.add_argument
    arg("inputs", nargs="*", metavar="SONG|DIR|GLOB", help="songs, folders (searched through) or globs")

    group = parser.add_argument_group("sound")
    arg = group.add_argument
    arg("--preset", metavar="NAME|FILE", help="chains of stems and of the mix, and what they aim at")
    arg("--reference", type=Path, metavar="FILE", help="sound like this song (needs matchering)")
    arg("--mix-amount", type=float, metavar="0..1", help="how much of the treated sound (default: 1)")
    arg("-n", "--model", "--name", metavar="NAME", help="separator, where the preset treats stems")
    arg("--stems-from", type=Path, metavar="DIR", help="take stems that exist already, by file name")
    arg("-d", "--device", choices=("cpu", "cuda", "mps", "auto"))

    group = parser.add_argument_group("level")
    arg = group.add_argument
    arg("--lufs", type=float, metavar="X", help="integrated loudness to reach (ITU-R BS.1770-4)")
    arg("--true-peak", type=_ceiling, metavar="DBTP|off", help="ceiling of the file as written (default: -1)")
    arg("--lookahead", type=float, metavar="MS", help="of the limiter (default: 5)")
    arg("--release", type=float, metavar="MS", help="of the limiter (default: 100)")
    arg(
        "--album",
        action="store_true",
        help="one gain for all songs, which keep their levels among each other",
    )
    arg("--album-anchor", choices=("programme", "loudest"),
        help="what reaches --lufs: all songs as one programme (default), or the loudest")  # fmt: skip

    group = parser.add_argument_group("files")
    arg = group.add_argument
    arg("-o", "--out", type=Path, metavar="DIR", help="output folder (default: mastered)")
    arg("--filename", metavar="TEMPLATE", help="default: {track}.{ext}")
    arg("--format", choices=("wav", "flac", "mp3", "ogg", "aiff"))
    arg("--bit-depth", choices=("16", "24", "32f"))
    arg("--sample-rate", metavar="keep|HZ")
    arg(
        "--preview",
        action="store_true",
        help="the loudest 30 s before and after, equally loud, beside the master",
    )
    add_report_flag(arg)
    arg("--seed", type=int, default=0, help="of the dither")
    arg("--overwrite", action="store_true", help="replace files that stembridge did not write, too")

    add_batch_flags(parser.add_argument_group("work").add_argument)


def run(arguments: argparse.Namespace) -> int:
    """Master everything; 0 all done, 1 some failed, 2 usage, 130 interrupted."""
    from stembridge.bridge.config import load_config
    from stembridge.bridge.inputs import find_songs

    check_inputs(arguments)
    if arguments.album and arguments.watch is not None:
        raise UsageError("an album is complete before it is mastered: --album and --watch do not go together")
    config = load_config()
    make = task_maker(arguments, config)
    with reporting(arguments, "Mastering report") as reports:
        if not arguments.album:
            return run_songs(arguments, config, make, reports)
        songs = find_songs(arguments.inputs)
        if not songs:
            raise UsageError(f"no songs in {', '.join(map(str, arguments.inputs))}")
        return run_tasks(arguments, config, lambda: make(songs), 1, reports)


def task_maker(arguments: argparse.Namespace, config: Config) -> Maker:
    """What these flags make of songs. Raises UsageError for flags that no song would go with."""
    from stembridge.bridge.batches.task import Task
    from stembridge.bridge.inputs import Song
    from stembridge.bridge.presets import PresetError
    from stembridge.model.errors import StembridgeError

    if arguments.album_anchor is not None and not arguments.album:
        raise UsageError("--album-anchor says how --album finds its gain: give --album too")
    request = _request(arguments)
    try:
        request.spec(Song(Path("song")), config)
    except (PresetError, StembridgeError) as error:
        raise UsageError(str(error)) from error

    def specs(songs: Iterable[Song]) -> Iterator[Any]:
        spec: Any = None
        for song in songs:
            if song.url is not None:
                raise UsageError(f"master works on files, not on URLs: fetch {song.url} first")
            if spec is None:  # presets are read once
                spec = request.spec(song, config)
            yield replace(spec, source=song.path, tree=song.tree)

    def tasks(songs: Iterable[Song]) -> Iterator[Task]:
        if not arguments.album:
            for spec in specs(songs):
                yield Task("master", spec, str(spec.source))
            return
        from stembridge.model.mastering import AlbumSpec

        album = AlbumSpec(tuple(specs(songs)), arguments.album_anchor or "programme")
        yield Task("master", album, f"album of {len(album.songs)} songs")

    return tasks


def _request(arguments: argparse.Namespace) -> Any:
    from stembridge.bridge.master_request import MasterRequest

    return MasterRequest(
        preset=arguments.preset,
        reference=arguments.reference,
        mix_amount=arguments.mix_amount,
        lufs=arguments.lufs,
        true_peak=arguments.true_peak,
        lookahead_ms=arguments.lookahead,
        release_ms=arguments.release,
        sample_rate=arguments.sample_rate,
        format=arguments.format,
        bit_depth=arguments.bit_depth,
        out=arguments.out,
        filename=arguments.filename,
        preview=arguments.preview,
        drawn=arguments.report is not None,
        model=arguments.model,
        stems_from=arguments.stems_from,
        device=arguments.device,
        overwrite=arguments.overwrite,
        seed=arguments.seed,
    )


def _ceiling(text: str) -> float | str:
    if text == "off":
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a level in dBTP, or off; got {text!r}") from None
