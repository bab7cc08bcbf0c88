"""Songs to train on and be judged by: folders in, a list of tracks out.

One walk finds every layout: a folder that holds audio files is a song, its files are its stems, told by
name. That covers plain folders, MUSDB18-HQ (`train|test/TRACK/drums.wav`) and, leaving `Mixtures` out,
DSD100 (`Sources/Dev|Test/TRACK/drums.wav`); a `.stem.mp4` is a song of its own. The mix is never read:
what a network hears is the sum of the stems.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import AudioFileError, AudioFileNotFoundError, StembridgeError
from ..files.containers.wav import PCM, read_layout
from ..files.decoder import open_audio
from ..files.openers import recognise
from ..separators.stem_files import SUFFIXES, stem_files
from . import stem_mp4

_FOUR = ("drums", "bass", "other", "vocals")
_SPLITS = {"train": "train", "dev": "train", "test": "test", "valid": "valid", "validation": "valid"}
"""Folders that say what their songs are for, as in MUSDB18, DSD100 and our generator."""


class TrackWarning(UserWarning):
    """A song or a file that is left out, and why."""


@dataclass(frozen=True)
class StemFile:
    """One audio file of a song."""

    path: Path
    sample_rate: int
    channels: int
    frames: int
    wav_start: int | None = None
    """Where in the file its samples begin if they are plain 16-bit integers, which need no decoder."""
    gain: float = 1.0
    """What its samples are multiplied with."""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate


@dataclass(frozen=True)
class Track:
    """A song as files of stems, all beginning at the same time."""

    name: str
    files: Mapping[str, StemFile]
    """By the stem that the file's name says; a stem without a file is unknown, not silent."""
    split: str = ""
    """`train`, `valid` or `test` where the folder's layout says so."""
    weight: float = 1.0
    """How often a second of it is drawn, compared with a second of other songs."""
    seconds: float = field(init=False)
    """Length of the longest file; shorter ones are silent from their end on."""

    def __post_init__(self) -> None:
        longest = max((file.seconds for file in self.files.values()), default=0.0)
        object.__setattr__(self, "seconds", longest)

    def without(self, *stems: str) -> Track:
        """The same song with stems declared unknown (a silent bass.flac whose bass is in `other`)."""
        return replace(self, files={name: file for name, file in self.files.items() if name not in stems})

    def parts(self, stem: str, stems: Sequence[str]) -> tuple[StemFile, ...]:
        """The files whose sum is `stem` of a network that has `stems`; none when it is not known.

        `other` takes in what the network has no stem for (guitar, piano); `accompaniment` and `no_drums`
        are the sum of the rest where all of the rest (of drums, bass, other, vocals) is there.
        """
        names = [name for name in self.files if name != "accompaniment" and not name.startswith("no_")]
        if stem == "other":
            left = [name for name in names if name == "other" or name not in (*_FOUR, *stems)]
            return tuple(self.files[name] for name in left)
        if stem in self.files:
            return (self.files[stem],)
        if stem == "accompaniment" or stem.startswith("no_"):
            without = "vocals" if stem == "accompaniment" else stem.removeprefix("no_")
            rest = [name for name in names if name != without]
            if without in (*_FOUR, *names) and self._whole({*rest, without}):
                return tuple(self.files[name] for name in rest)
        return ()

    def _whole(self, names: set[str]) -> bool:
        """Whether stems of these names make a song; instruments by name may stand for `other`."""
        extra = names - {*_FOUR, "residual"}
        return all(name in names or (name == "other" and extra) for name in _FOUR)


def find_tracks(folder: str | os.PathLike[str], *, cache: Path | None = None) -> list[Track]:
    """Every song in a folder and its sub-folders, in order of their names.

    `.stem.mp4` files are decoded once into `cache` (default: this user's cache folder). A song that
    cannot be used is left out with a TrackWarning.

    Raises AudioFileNotFoundError when nothing usable is there.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise AudioFileNotFoundError(f"{folder}: expected a folder of songs, found none there")
    tracks: list[Track] = []
    problems: list[str] = []
    for song in _songs(folder):
        try:
            tracks.append(_track(folder, song, cache))
        except (StembridgeError, OSError) as error:
            problems.append(str(error))
            warnings.warn(f"left out: {error}", TrackWarning, stacklevel=2)
    if not tracks:
        found = f"; {len(problems)} could not be used, such as: {problems[0]}" if problems else ""
        raise AudioFileNotFoundError(
            f"{folder}: no songs in it{found}. Expected a folder of stems (drums.wav, bass.wav, other.wav, "
            "vocals.wav) for each song, MUSDB18-HQ, DSD100 or .stem.mp4 files"
        )
    return tracks


def _songs(folder: Path, seen: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Folders that hold stems, and `.stem.mp4` files, depth first; `seen` are the folders around this one."""
    seen |= {os.path.realpath(folder)}
    folders: list[Path] = []
    mp4s: list[Path] = []
    audio = False
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        warnings.warn(f"left out: {folder}: cannot be listed ({error})", TrackWarning, stacklevel=3)
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.name.lower().endswith(".stem.mp4"):
            mp4s.append(Path(entry.path))
        elif os.path.splitext(entry.name)[1].lower() in SUFFIXES:
            audio = True
        elif entry.is_dir():
            folders.append(Path(entry.path))
    if audio and not mp4s:
        yield folder
    yield from mp4s
    names = {path.name for path in folders}
    for path in folders:
        if path.name == "Mixtures" and "Sources" in names:
            continue
        if os.path.realpath(path) not in seen:  # else a link back
            yield from _songs(path, seen)


def _track(folder: Path, song: Path, cache: Path | None) -> Track:
    relative = song.relative_to(folder)
    name = relative.as_posix() if relative.parts else folder.name
    if song.suffix.lower() == ".mp4":
        song = stem_mp4.decode(song, cache)
        name = name[: -len(".stem.mp4")]
    split = next((_SPLITS[part.lower()] for part in relative.parts[:-1] if part.lower() in _SPLITS), "")
    paths = {stem: song / f"{stem}.wav" for stem in _FOUR}
    if sorted(os.listdir(song)) in (_OURS, sorted(path.name for path in paths.values())):
        return Track(name, {stem: _file(path) for stem, path in paths.items()}, split)
    found = stem_files(song)
    if not any(stem in (*_FOUR, "accompaniment") or stem.startswith("no_") for stem in found.paths):
        names = ", ".join(path.name for path in list(found.paths.values())[:3])
        raise AudioFileError(f"{song}: expected files named by stems, such as vocals.wav; got {names}")
    files = {}
    for stem, path in found.paths.items():
        if found.starts_s.get(stem):
            raise AudioFileError(f"{path}: a region of its song, not the whole; render the whole song")
        files[stem] = replace(_file(path), gain=10.0 ** (-found.gains_db.get(stem, 0.0) / 20.0))
    return Track(name, files, split)


_OURS = sorted([*(f"{stem}.wav" for stem in _FOUR), "song.json"])
"""What a song of the generator is made of; it needs no guessing at names."""


def _file(path: Path) -> StemFile:
    if recognise(path) == "wav":
        layout = read_layout(path)
        if layout.format_tag == PCM and layout.block_align == 2 * layout.channels:
            return StemFile(path, layout.sample_rate, layout.channels, layout.frames, layout.start)
    with open_audio(path) as reader:
        info = reader.info
    return StemFile(path, info.sample_rate, info.channels, info.frames)
