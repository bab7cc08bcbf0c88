"""The two files most asked for: the voice alone, and everything but it, called and tagged as songs are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..audio import OutputFormat
from ..errors import AudioFileError, StembridgeError, VerificationError
from ..files.decoder import open_audio
from ..files.encoder import create_audio
from ..files.quantise import Dither
from ..files.tags import read_tags
from .finished import Finished
from .sound import Groups
from .target import MARK, Pack, PackProgress, print_of, target

_NAMES = ("Acapella", "Instrumental")


@dataclass(frozen=True)
class AcapellaSpec:
    """How the two files are made."""

    format: OutputFormat = field(default_factory=lambda: OutputFormat("flac", "24"))
    overwrite: bool = False
    seed: int = 0
    """Of the dither."""


def pack_acapella(song: Finished, folder: Path, spec: AcapellaSpec) -> Iterator[PackProgress]:
    """Make `Song (Acapella)` and `Song (Instrumental)` in `folder`, with the song's tags and cover.

    The instrumental is the sum of all other stems. What would clip in an integer or lossy format is
    turned down by one gain for both. Raises AudioFileError without a voice or anything else; OutputError,
    DiskFullError and VerificationError from writing and reading back.
    """
    groups = _groups(song)
    tags = song.tags()
    made: list[Pack] = []
    with Groups(groups) as sound:
        gain: float | None = None
        for number, name in enumerate(_NAMES):
            path = folder / f"{song.title} ({name}).{spec.format.container}"
            titles = tuple(f"{title} ({name})" for title in tags["title"])
            facts = {"kind": name, "format": repr(spec.format), "seed": spec.seed, "tags": tags}
            files = {f"{place} {file.name}": file for place, group in enumerate(groups) for file in group}
            print_ = print_of(facts, files)
            with target(path, print_, read_mark, overwrite=spec.overwrite) as part:
                if part is None:
                    made.append(Pack(path, name.lower(), True))
                    continue
                if gain is None:
                    gain = 1.0
                    for fraction, enough in _gain(sound, spec.format):
                        gain = enough
                        yield PackProgress("measure", 0.2 * fraction)
                marked = tags | {"title": titles, MARK: (print_,)}
                done = 0
                with create_audio(
                    part,
                    spec.format,
                    sound.sample_rate,
                    sound.channels,
                    sound.frames,
                    tags=marked,
                    dither=Dither(spec.seed, name.lower(), 0),
                ) as writer:
                    for block in sound.blocks():
                        writer.write((block[number] * gain).astype(np.float32))
                        done += block.shape[-1]
                        yield PackProgress("encode", 0.2 + 0.4 * (number + done / sound.frames))
                _check(part, path.name, sound.frames, writer.peak, spec.format)
                figures = {"frames": sound.frames, "gain_db": round(20 * float(np.log10(gain)), 3) + 0.0}
            made.append(Pack(path, name.lower(), False, figures))
    yield PackProgress("done", 1.0, tuple(made))


def read_mark(path: Path) -> str | None:
    """What a file of ours was made of; None for a foreign or damaged one."""
    with contextlib.suppress(StembridgeError):
        with open_audio(path):
            pass
        return read_tags(path).get(MARK, (None,))[0]
    return None


def _groups(song: Finished) -> list[list[Path]]:
    voice = song.stems.get("vocals")
    others = [path for stem, path in song.stems.items() if stem != "vocals"]
    if voice is None or not others:
        raise AudioFileError(
            f"{song.title}: expected the stem vocals and others beside it; there is "
            f"{', '.join(song.stems) or 'none'}. Render with --two-stems vocals, or all stems"
        )
    return [[voice], others]


def _gain(sound: Groups, format: OutputFormat) -> Iterator[tuple[float, float]]:
    """How much is measured, and the gain under which nothing of that clips."""
    peak, done = 0.0, 0
    full = 1.0 - 2.0 / (1 << int(format.bit_depth)) * 3 if format.integer else 1.0
    clips = format.integer or format.lossy
    if not sound.frames:
        yield 1.0, 1.0
    for block in sound.blocks():
        peak = max(peak, float(np.abs(block).max()))
        done += block.shape[-1]
        yield done / sound.frames, min(1.0, full / peak) if clips and peak > full else 1.0


def _check(part: Path, name: str, frames: int, peak: float, format: OutputFormat) -> None:
    """Read a finished file back: its length, and its level where the format is lossless."""
    with open_audio(part) as reader:
        found, left = 0.0, reader.info.frames
        if left != frames:
            raise VerificationError(f"{name} should have {frames} frames, {left} are read back")
        while left:
            block = reader.read(min(left, 1 << 16))
            found = max(found, float(np.abs(block).max()))
            left -= block.shape[1]
    slack = 4.0 / (1 << int(format.bit_depth)) if format.integer else 0.0
    if not format.lossy and abs(found - peak) > slack:
        raise VerificationError(f"{name}: its peak is {peak:.6f}, {found:.6f} is read back")
