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
from dataclasses import dataclass
from pathlib import Path

from ..errors import ArgumentValueError, AudioFileNotFoundError
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


def stem_files(folder: str | os.PathLike[str]) -> StemFiles:
    """Tell the stems in a folder by their files' names; sub-folders are not searched.

    An accompaniment (or `no_drums`, ...) beside any stem it contains would be heard twice and is left
    out. Raises AudioFileNotFoundError when the folder is not there or holds no stems, and
    ArgumentValueError when two files claim one stem.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise AudioFileNotFoundError(f"{folder}: expected a folder of stems, found none there")
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not files:
        raise AudioFileNotFoundError(f"{folder}: no audio files in it, expected stems like vocals.wav")
    words = [_words(path.stem) for path in files]
    prefix = _shared(words)
    suffix = _shared([name[prefix:][::-1] for name in words])
    paths: dict[str, Path] = {}
    left_out: list[str] = []
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
        raise AudioFileNotFoundError(
            f"{folder}: no stems in it, only {', '.join(path.name for path in files)}"
        )
    return StemFiles({name: paths[name] for name in in_stem_order(paths)}, tuple(left_out))


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
