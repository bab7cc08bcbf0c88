"""`stembridge synth`: multitracks to train on, composed, played, sung and mixed from nothing."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from pathlib import Path

from stembridge.bridge.cli.progress import ProgressPrinter

EXAMPLES = """\
examples:
  stembridge synth songs/train --songs 1500 -j 4            songs of 24 s, four processes
  stembridge synth songs/validation --songs 50 --split validation
  stembridge synth songs/train --songs 3000 -j 4            goes on where the first run stopped

Wants FluidSynth with General MIDI soundfonts, text-to-speech programs and Hydrogen drum kits. On Debian:
  apt install libfluidsynth3 fluid-soundfont-gm timgm6mb-soundfont musescore-general-soundfont \\
    espeak-ng flite festival hydrogen-drumkits
"""

_SPLITS = ("train", "validation")
_BANK_SHARE = 0.2
"""Of the progress bar, where the voices have to be prepared first."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.usage = "stembridge synth FOLDER [flags]"
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    arg = parser.add_argument
    arg("folder", type=Path, metavar="FOLDER", help="songs go here, a folder each; those there are kept")
    arg("--songs", type=_positive, default=100, metavar="N", help="how many (100)")
    arg("--seconds", type=_seconds, default=24.0, metavar="S", help="length of a song (24)")
    arg("--seed", type=_whole, default=0, metavar="N", help="of the first song; the next has N + 1 (0)")
    arg("--split", choices=_SPLITS, default="train", help="which voices, kits and soundfonts may be heard")
    arg("--format", choices=("wav", "flac"), default="wav", help="of the stems, 16 bit")
    arg("-j", "--jobs", type=_positive, default=1, metavar="N", help="processes")
    group = parser.add_argument_group("voices")
    arg = group.add_argument
    arg("--bank", type=Path, metavar="DIR", help="where voices are kept, analysed (the user's cache)")
    arg("--phrases", type=_whole, default=1500, metavar="N", help="spoken phrases in a new bank (1500)")
    arg("--voices", type=Path, metavar="DIR", help="real singing for a new bank, a subfolder for each singer")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each song on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Build the bank where there is none, then make the songs that are missing."""
    from stembridge.model.synth.song import Band
    from stembridge.model.synth.song_files import generate

    bank = arguments.bank or _default_bank()
    with ProgressPrinter() as printer:
        printer.start()
        share = _BANK_SHARE if _build_bank(bank, arguments, printer) else 0.0
        for line in Band(bank, arguments.split).missing:
            printer.note(f"going on without: {line}")
        found = 0
        songs = generate(
            arguments.folder,
            arguments.songs,
            arguments.seed,
            bank,
            arguments.split,
            arguments.seconds,
            arguments.jobs,
            arguments.format,
        )
        with closing(songs):
            for progress in songs:
                fraction = share + (1 - share) * progress.done / progress.total
                printer.show(progress.name, f"{progress.done}/{progress.total} songs", fraction)
                if progress.existed:
                    found = progress.done
                elif arguments.json:
                    printer.clear()
                    print(json.dumps({"song": str(arguments.folder / progress.name)}), flush=True)
    if arguments.json:
        return 0
    new = arguments.songs - found
    print(f"{new} new song{'' if new == 1 else 's'}, {arguments.songs} in all, in {arguments.folder}")
    return 0


def _build_bank(bank: Path, arguments: argparse.Namespace, printer: ProgressPrinter) -> bool:
    """Prepare the voices unless they are there; whether that was needed.

    A bank that was interrupted is used as it is: deleting it builds it anew.
    """
    from stembridge.model.synth.phrases import build_bank

    if any(bank.glob("tracks/*/*.npz")):
        return False
    printer.note(f"preparing voices in {bank} (once)")
    steps = build_bank(
        bank,
        phrases=arguments.phrases,
        seed=0,
        voices=arguments.voices,
        workers=arguments.jobs,
    )
    for step in steps:
        printer.show(step.speaker, "voices", _BANK_SHARE * step.done / max(step.total, 1))
    return True


def _default_bank() -> Path:
    import platformdirs

    return platformdirs.user_cache_path("stembridge") / "voices"


def _positive(text: str) -> int:
    value = _whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {text}")
    return value


def _whole(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or more; got {text!r}")
    return value


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1.0 <= value <= 3600.0:
        raise argparse.ArgumentTypeError(f"expected 1 to 3600 seconds; got {text!r}")
    return value
