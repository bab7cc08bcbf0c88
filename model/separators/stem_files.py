"""Which file of a folder holds which stem, by name.

A file's name is cut into words. The last word that names a stem wins: `song_(Vocals)_model.wav`,
`Song - vocals.flac`, `01 drums.aif`; `no_vocals` and `instrumental` are the accompaniment, `no_drums`
a stem of that name. A name without such a word is a stem of its own, called by the words that the
folder's files do not share (`Song - lead synth.wav` beside `Song - vocals.wav`: `lead-synth`). What is
called mix, mixture, mixdown, master or original, or has no word of its own (the song beside its
stems), is the mix and left out.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from ..errors import ArgumentValueError, AudioFileNotFoundError, OutputError
from ..manifest import read_manifest
from ..residual import in_stem_order

_ENDINGS = "wav wave w64 rf64 bwf flac aif aiff aifc caf au mp3 ogg oga opus m4a mp4 aac wma wv"
SUFFIXES = frozenset(f".{ending}" for ending in _ENDINGS.split())
"""Endings of audio files; anything else in the folder is none of ours."""

_WORDS = {
    "drums": "drums drum",
    "bass": "bass",
    "other": "other others",
    "vocals": "vocals vocal voice voices vox acapella",
    "guitar": "guitar guitars",
    "piano": "piano",
    "accompaniment": "accompaniment instrumental instrum novocals",
    "residual": "residual",
}
_STEM_OF = {word: stem for stem, words in _WORDS.items() for word in words.split()}
_MIXES = frozenset(["mix", "mixture", "mixdown", "master", "original"])


@dataclass(frozen=True)
class StemFiles:
    """The stems of a folder in stem order, and what was left out, each with the reason."""

    paths: dict[str, Path]
    left_out: tuple[str, ...] = ()
    gains_db: dict[str, float] = field(default_factory=dict)
    """The common gain each was written with, where a manifest beside them tells it."""
    starts_s: dict[str, Fraction] = field(default_factory=dict)
    """Where in the song each begins, likewise."""


def is_stem_mp4(path: Path) -> bool:
    """Whether a file is named as NI's stem files are."""
    return path.name.lower().endswith((".stem.mp4", ".stem.m4a"))


def stem_files(folder: str | os.PathLike[str]) -> StemFiles:
    """Tell the stems in a folder by their files' names; sub-folders are not searched.

    An NI stem file is a folder of four, which ffmpeg unpacks into this user's cache.

    What a manifest of ours tells goes before names: mixes, submixes and complements are no stems, regions
    begin where they were cut out, and gains can be undone. Of several such files of one stem, one that
    holds the whole song goes before a region, a later one before an earlier.

    An accompaniment (or `no_drums`, ...) beside any stem it contains would be heard twice and is left
    out. Raises AudioFileNotFoundError when the folder is not there or holds no stems, and
    ArgumentValueError when two files claim one stem.
    """
    folder = Path(folder)
    if is_stem_mp4(folder) and folder.is_file():
        from ..training.stem_mp4 import decode

        folder = decode(folder)
    if not folder.is_dir():
        raise AudioFileNotFoundError(f"{folder}: expected a folder of stems, found none there")
    files = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in SUFFIXES and path.is_file() and not is_stem_mp4(path)
    ]
    if not files:
        raise AudioFileNotFoundError(f"{folder}: no audio files in it, expected stems like vocals.wav")
    ours, left_out = _rendered(folder, files)
    files = [path for path in files if path.name not in ours and not _said(path, left_out)]
    words = [_words(path.stem) for path in files]
    prefix = _shared(words)
    suffix = _shared([name[prefix:][::-1] for name in words])
    paths = {stem.name: folder / file for file, stem in ours.items()}
    for path, name in zip(files, words, strict=True):
        # Words that all files begin with are the song's: "Voices - strings" beside "Voices - drums".
        stem = _known(name[prefix:]) or _own(name[prefix : len(name) - suffix])
        if stem is not None and stem.isdigit():
            stem = _known(name) or stem
        if stem is None:
            left_out.append(f"{path.name}: taken for the mix")
        elif stem in paths:
            raise ArgumentValueError(
                f"{folder}: {paths[stem].name} and {path.name} both name the stem {stem!r}; "
                "keep one there, or give the other a name of its own"
            )
        else:
            paths[stem] = path
    for whole in [name for name in paths if name == "accompaniment" or name.startswith("no_")]:
        without = {whole, "residual", "vocals" if whole == "accompaniment" else whole.removeprefix("no_")}
        if parts := sorted(set(paths) - without):
            left_out.append(f"{paths[whole].name}: {', '.join(parts)} would sound twice")
            del paths[whole]
    if not paths:
        raise AudioFileNotFoundError(f"{folder}: no stems in it ({'; '.join(left_out)})")
    told = {stem.name: stem for stem in ours.values()}
    return StemFiles(
        {name: paths[name] for name in in_stem_order(paths)},
        tuple(left_out),
        {name: stem.gain_db for name, stem in told.items()},
        {name: stem.start_s for name, stem in told.items()},
    )


@dataclass(frozen=True)
class _Rendered:
    """What a manifest says of one stem's file."""

    name: str
    gain_db: float
    start_s: Fraction
    whole: bool


def _rendered(folder: Path, files: list[Path]) -> tuple[dict[str, _Rendered], list[str]]:
    """The stems that renders of ours left in a folder, by file name, and what of theirs is none."""
    there = {path.name for path in files}
    chosen: dict[str, tuple[str, _Rendered]] = {}
    left_out: list[str] = []
    for path in sorted(folder.glob("*.stems.json")):
        try:
            manifest = read_manifest(path)
        except OutputError:  # somebody else's file of that name
            continue
        for entry in manifest.files if manifest is not None else ():
            if entry.file not in there:
                continue
            if entry.kind != "stem":
                left_out.append(f"{entry.file}: a {entry.kind}, not a stem")
                continue
            assert manifest is not None
            rate, frames = manifest.source["sample_rate"], manifest.source["frames"]
            whole = entry.start_frame == 0 and entry.frames * rate >= frames * entry.sample_rate - rate
            stem = _Rendered(entry.stem, entry.gain_db, Fraction(entry.start_frame, rate), whole)
            before = chosen.get(stem.name)
            if before is not None:
                keep_before = before[1].whole and not stem.whole
                left_out.append(f"{entry.file if keep_before else before[0]}: another of its stem is taken")
                if keep_before:
                    continue
            chosen[stem.name] = entry.file, stem
    return dict(chosen.values()), left_out


def _said(path: Path, left_out: list[str]) -> bool:
    return any(text.startswith(f"{path.name}: ") for text in left_out)


def _words(name: str) -> list[str]:
    """Lower-case words; `no` and what it takes away are one.

    >>> _words("01 Song_(No Vocals)-model")
    ['01', 'song', 'no_vocals', 'model']
    """
    words = re.findall(r"[^\W_]+", name.casefold())
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] == "no" and word in _STEM_OF:
            joined[-1] = f"no_{_STEM_OF[word]}"
        else:
            joined.append(word)
    return joined


def _known(words: list[str]) -> str | None:
    for word in reversed(words):
        if word == "no_vocals":
            return "accompaniment"
        if word in _STEM_OF or word.startswith("no_"):
            return _STEM_OF.get(word, word)
    return None


def _own(words: list[str]) -> str | None:
    """The name of a stem that no word names, or None for a mix; track numbers in front do not count."""
    while len(words) > 1 and words[0].isdigit():
        words = words[1:]
    return None if not words or words[-1] in _MIXES else "-".join(words)


def _shared(names: list[list[str]]) -> int:
    """How many words all names begin with; none where there is but one name."""
    if len(names) < 2:
        return 0
    count = 0
    for words in zip(*names, strict=False):
        if len(set(words)) > 1:
            break
        count += 1
    return count
