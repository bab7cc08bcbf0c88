"""`stembridge plot`: spectrograms of a song and its stems in one picture."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stembridge.bridge.cli import UsageError
from stembridge.bridge.cli.progress import ProgressPrinter


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    arg = parser.add_argument
    arg("song", type=Path, metavar="SONG")
    arg("-n", "--model", "--name", metavar="NAME", help="separator (see `stembridge models`)")
    arg("--stems-from", type=Path, metavar="DIR", help="take stems that exist already, by file name")
    arg("--stems", choices=("all", "fg-bg"), default="all",
        help="every stem, or foreground (the voice) and background")  # fmt: skip
    arg("--start", metavar="T", help="90, 1:30.5 or 48000s (samples)")
    arg("--end", metavar="T")
    arg("--log-frequency", action="store_true", help="octaves equally high")
    arg("-d", "--device", choices=("cpu", "cuda", "mps", "auto"))
    arg(
        "-o", "--out", type=Path, metavar="FILE.png", help="default: {track} - spectrogram.png in this folder"
    )
    arg("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Separate, draw, print the picture's path."""
    from stembridge.bridge.config import load_config
    from stembridge.model.errors import ArgumentValueError, ModelMissingError
    from stembridge.model.plot import check_matplotlib, plot_song

    if arguments.model is not None and arguments.stems_from is not None:
        raise UsageError("-n and --stems-from both say where stems come from: leave one out")
    check_matplotlib()
    defaults = load_config().render
    start, stop, suffix = _region(arguments)
    out = arguments.out or Path(f"{arguments.song.stem} - spectrogram{suffix}.png")
    model, device = arguments.model or defaults.model, arguments.device or defaults.device
    make = _maker(model, device, arguments.stems_from)
    with ProgressPrinter() as printer:
        try:
            picture = plot_song(
                arguments.song,
                out,
                make,
                start=start,
                stop=stop,
                scale="log" if arguments.log_frequency else "linear",
                view=arguments.stems,
                progress=lambda fraction: printer.show(arguments.song.name, "separate", fraction),
            )
        except (ArgumentValueError, ModelMissingError) as error:
            raise UsageError(str(error)) from error
    if arguments.json:
        facts = {
            "source": str(arguments.song),
            "picture": str(out),
            "panels": [panel.title for panel in picture.panels],
            "start_s": picture.start_s,
            "end_s": picture.end_s,
            "scale": picture.scale,
        }
        print(json.dumps(facts, ensure_ascii=False))
    else:
        print(out)
    return 0


def _maker(model: str, device: str, stems_from: Path | None) -> Callable[[Any], Any]:
    def make(info: Any) -> Any:
        if stems_from is not None:
            from stembridge.model.separators.stems_from import StemsFrom

            return StemsFrom(stems_from, info.sample_rate, info.channels, frames=info.frames)
        from stembridge.model.registry import create_separator

        return create_separator(model, info.sample_rate, info.channels, device=device)  # type: ignore[arg-type]

    return make


def _region(arguments: argparse.Namespace) -> tuple[int, int | None, str]:
    """First frame, frame after the last (None: the end), and what the file name says of it."""
    if arguments.start is None and arguments.end is None:
        return 0, None, ""
    from stembridge.model.files.decoder import open_audio
    from stembridge.model.rendering.naming import with_region
    from stembridge.model.units import parse_time

    with open_audio(arguments.song) as reader:
        rate, frames = reader.info.sample_rate, reader.info.frames
    try:
        start = parse_time(arguments.start).frames(rate) if arguments.start is not None else 0
        stop = parse_time(arguments.end).frames(rate) if arguments.end is not None else frames
    except ValueError as error:
        raise UsageError(str(error)) from error
    name = with_region(Path("x.png"), start, min(stop, frames), rate).stem
    return start, stop, name.removeprefix("x")
