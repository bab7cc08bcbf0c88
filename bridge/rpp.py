"""Writes REAPER projects (`.rpp`): stems on named and coloured tracks, for those who run no scripts.

The format is text: `<BLOCK` ... `>` with a word and its values a line. Everything that is not written has
REAPER's defaults when the project is opened. Files are named relative to the project where they can be.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stembridge.model.errors import ArgumentValueError, OutputError
from stembridge.model.manifest import Manifest

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

STEM_COLOURS: dict[str, Colour] = {
    "drums": (230, 159, 0),
    "bass": (86, 180, 233),
    "other": (0, 158, 115),
    "vocals": (213, 94, 0),
    "guitar": (240, 228, 66),
    "piano": (204, 121, 167),
    "accompaniment": (0, 114, 178),
    "residual": (128, 128, 128),
}
"""Colours that differ for eyes that see no red or no green (Okabe and Ito); the scripts use the same."""

_SOURCES = {
    ".wav": "WAVE", ".aif": "WAVE", ".aiff": "WAVE", ".flac": "FLAC", ".mp3": "MP3", ".ogg": "VORBIS",
}  # fmt: skip
_WRITTEN_FOR = '"7.0/win64"'
"""A version and a system whose colours have red in the lowest byte."""


@dataclass(frozen=True)
class Item:
    """A file on a track."""

    path: Path
    name: str
    length_s: float
    position_s: float = 0.0
    offset_s: float = 0.0
    """Where in the file it begins."""
    playrate: float = 1.0
    gain_db: float = 0.0
    muted: bool = False


@dataclass(frozen=True)
class Track:
    """A track with its items."""

    name: str
    items: Sequence[Item] = field(default_factory=tuple)
    colour: Colour | None = None
    gain_db: float = 0.0
    muted: bool = False


def stem_tracks(manifest: Manifest, folder: Path, *, with_source: bool = True) -> list[Track]:
    """A track for every stem of a manifest's last render, and the song itself, muted, above them.

    `folder` is the manifest's. Everything lies where it is in the song; a common gain that kept integer files
    from clipping is taken back. Raises ArgumentValueError for a manifest without stems.
    """
    last = manifest.renders[-1].id if manifest.renders else ""
    files = [f for f in manifest.files if f.render == last and f.kind in ("stem", "complement", "submix")]
    if not files:
        raise ArgumentValueError("a project needs stems, and this render wrote none; render stems first")
    source = Path(manifest.source["path"])
    rate = manifest.source["sample_rate"]
    song = source.stem
    tracks = []
    if with_source:
        whole = Item(source, song, manifest.source["frames"] / rate, muted=True)
        tracks.append(Track(song, [whole]))
    for file in files:
        item = Item(
            folder / file.file,
            f"{file.stem} - {song}",
            file.frames / file.sample_rate,
            position_s=file.start_frame / rate,
            gain_db=-file.gain_db,
        )
        tracks.append(Track(f"{file.stem} - {song}", [item], STEM_COLOURS.get(file.stem)))
    return tracks


def write_project(path: Path, tracks: Sequence[Track], sample_rate: int) -> None:
    """Write a project; complete or not at all, and never over what somebody else wrote.

    Raises ArgumentValueError for values no project can have, OutputError where it cannot be written.
    """
    text = project_text(tracks, sample_rate, path.parent)
    part = path.with_name(f".stembridge-{os.getpid()}-{uuid.uuid4().hex[:8]}.part")
    try:
        if path.exists() and _MARK not in path.read_text(encoding="utf-8", errors="replace")[:400]:
            raise OutputError(f"{path} is not a project of ours; move it away or choose another name")
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8", errors="surrogateescape", newline="\r\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def project_text(tracks: Sequence[Track], sample_rate: int, folder: Path) -> str:
    """The text of a project that lies in a folder."""
    return "\n".join(_project(tracks, sample_rate, folder)) + "\n"


_MARK = "Written by stembridge"


def _project(tracks: Sequence[Track], sample_rate: int, folder: Path) -> Iterator[str]:
    if sample_rate <= 0:
        raise ArgumentValueError(f"a project's sample rate is positive; got {sample_rate}")
    yield f"<REAPER_PROJECT 0.1 {_WRITTEN_FOR} 0"
    yield "  <NOTES 0 2"
    yield f"    |{_MARK}"
    yield "  >"
    yield f"  SAMPLERATE {sample_rate} 1 0"
    yield "  TEMPO 120 4 4"
    for track in tracks:
        yield from _indented(_track(track, folder))
    yield ">"


def _track(track: Track, folder: Path) -> Iterator[str]:
    number = _guid()
    yield f"<TRACK {number}"
    yield f"  NAME {quoted(track.name)}"
    if track.colour is not None:
        yield f"  PEAKCOL {_colour(track.colour)}"
    yield f"  VOLPAN {_number(_linear(track.gain_db))} 0 -1 -1 1"
    yield f"  MUTESOLO {int(track.muted)} 0 0"
    yield "  NCHAN 2"
    yield f"  TRACKID {number}"
    for item in track.items:
        yield from _indented(_item(item, folder))
    yield ">"


def _item(item: Item, folder: Path) -> Iterator[str]:
    if not item.length_s > 0 or item.position_s < 0 or not item.playrate > 0:
        raise ArgumentValueError(
            f"{item.name}: an item begins at 0 or later, and its length and rate are positive; got "
            f"{item.position_s:g}, {item.length_s:g} and {item.playrate:g}"
        )
    yield "<ITEM"
    yield f"  POSITION {_number(item.position_s)}"
    yield "  SNAPOFFS 0"
    yield f"  LENGTH {_number(item.length_s)}"
    # No repeats, and no fades that were not there: the stems add up to the song.
    yield "  LOOP 0"
    yield "  ALLTAKES 0"
    yield "  FADEIN 1 0 0 1 0 0"
    yield "  FADEOUT 1 0 0 1 0 0"
    yield f"  MUTE {int(item.muted)} 0"
    yield f"  IGUID {_guid()}"
    yield f"  NAME {quoted(item.name)}"
    yield f"  VOLPAN 1 0 {_number(_linear(item.gain_db))} -1"
    yield f"  SOFFS {_number(item.offset_s)}"
    yield f"  PLAYRATE {_number(item.playrate)} 1 0 -1 0 0.0025"
    yield "  CHANMODE 0"
    yield f"  GUID {_guid()}"
    yield f"  <SOURCE {_SOURCES.get(item.path.suffix.lower(), 'WAVE')}"
    yield f"    FILE {quoted(_relative(item.path, folder))}"
    yield "  >"
    yield ">"


def quoted(text: str) -> str:
    """A text as the format has it: between quotes that are not in it, as there are no escapes.

    >>> print(quoted("Song"), quoted('a "b"'), quoted("a \\"b\\" it's"))
    "Song" 'a "b"' `a "b" it's`
    """
    text = "".join(" " if character in "\r\n" else character for character in text)
    for quote in "\"'`":
        if quote not in text:
            return f"{quote}{text}{quote}"
    return "`" + text.replace("`", "'") + "`"


def _relative(path: Path, folder: Path) -> str:
    """The name of a file from the project's folder; in full where there is no way from one to the other."""
    try:
        return os.path.relpath(path.absolute(), folder.absolute())
    except ValueError:  # on another drive
        return str(path.absolute())


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _number(value: float) -> str:
    """Without an exponent, which the format does not know: to a hundredth of a sample and far beyond."""
    return f"{value:.14f}".rstrip("0").rstrip(".")


def _linear(gain_db: float) -> float:
    return float(10.0 ** (gain_db / 20.0))


def _colour(colour: Colour) -> int:
    """Red lowest, and the bit that says it is to be used."""
    red, green, blue = colour
    return red | green << 8 | blue << 16 | 1 << 24


def _guid() -> str:
    return "{" + str(uuid.uuid4()).upper() + "}"
