"""Tags by mutagen's easy names (`title`, `artist`, `tracknumber`), whatever the container.

MP3, WAV and AIFF hold ID3 (WAV also LIST INFO), FLAC and Ogg Vorbis comments. Names that ID3 has no frame
for go into TXXX frames and come back from there. The front cover is the tag `metadata_block_picture`, see
`cover`.
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ..audio import LOSSY
from ..errors import AudioFileError, AudioFileNotFoundError
from .cover import COVER, cover_bytes, cover_of, read_cover, without_cover
from .sink import write_error
from .wav_file import INFO_NAMES, find_info

Tags = Mapping[str, Sequence[str]]

_FALSE_IN_A_REMIX = re.compile(
    r"replaygain_.*|r128_.*|isrc|acoustid_.*|fingerprint|musicip_.*"
    r"|musicbrainz_(track|recording|releasetrack)id|itun(norm|smpb|pgap).*|comment:itun.*"
    r"|accuraterip.*|encoder|encodedby|encodersettings|length|coverart.*|cuesheet|(?!metadata_block_).*picture|stembridge_.*"
    r"|waveformatextensible_channel_mask"
)
"""Loudness, identity, encoder and length of the recording: not those of a stem of it."""

_UNREADABLE = (OSError, ValueError, struct.error)

_NOT_IN_A_COMMENT_NAME = re.compile(r"[^ -<>-}]")


def read_tags(path: Path | str) -> dict[str, tuple[str, ...]]:
    """The tags of an audio file, its front cover among them; empty where none can be read.

    Raises AudioFileNotFoundError.
    """
    import mutagen
    from mutagen.easyid3 import EasyID3
    from mutagen.id3 import ID3

    path = Path(path)
    if not path.is_file():
        raise AudioFileNotFoundError(f"there is no file {path}")
    found: dict[str, tuple[str, ...]] = {}
    with contextlib.suppress(*_UNREADABLE, mutagen.MutagenError):
        found = _read_info(path)
        if cover := read_cover(path):
            found[COVER] = (cover,)
    try:
        file = mutagen.File(path, easy=True)
        if file is None or file.tags is None:
            return found
        tags = file.tags
        if isinstance(tags, ID3 | EasyID3):
            tags = _from_id3(mutagen.File(path).tags)
    except (*_UNREADABLE, mutagen.MutagenError):
        return found
    for name in tags.keys():  # noqa: SIM118 - some of mutagen's tags iterate over pairs
        values = tags[name]
        texts = tuple(str(value) for value in (values if isinstance(values, list) else [values]))
        if texts and not re.fullmatch(r"metadata_block_picture|coverart.*", name.lower()):
            found[name.lower()] = texts
    return found


def write_tags(path: Path | str, tags: Tags) -> None:
    """Make `tags` the text tags of an existing FLAC, MP3, Ogg, WAV or AIFF file; others are dropped.

    Pictures stay, unless there is a cover among `tags`, which takes their place.

    Raises AudioFileNotFoundError, AudioFileError for what is none of these, OutputError or DiskFullError.
    """
    import mutagen

    path = Path(path)
    if not path.is_file():
        raise AudioFileNotFoundError(f"there is no file {path}")
    try:
        file = mutagen.File(path)
        kind = type(file).__name__
        if kind in {"FLAC", "OggVorbis"}:
            _set_comments(file, tags)
        elif kind in {"MP3", "WAVE", "AIFF"}:
            _set_id3(file, tags)
        else:
            raise AudioFileError(
                f"tags can be written to FLAC, MP3, Ogg Vorbis, WAV below 4 GiB and AIFF; {path} is none"
            )
        file.save()
        if kind == "WAVE":
            _drop_info(path)
    except mutagen.MutagenError as error:
        raise AudioFileError(f"the tags of {path} cannot be written: {error}") from error
    except OSError as error:
        raise write_error(error, path, None, path.stat().st_size) from error


def stem_tags(source: Tags, stem: str) -> dict[str, tuple[str, ...]]:
    """The tags of a stem: those of its song, with the stem in the title, less what a remix makes false.

    >>> stem_tags({"title": ("Song",), "artist": ("A", "B"), "isrc": ("X",)}, "vocals")
    {'title': ('Song (vocals)',), 'artist': ('A', 'B')}
    >>> stem_tags({}, "bass")
    {'title': ('bass',)}
    """
    kept = _true_in_a_remix(source)
    titles = kept.pop("title", ())
    return {"title": tuple(f"{title} ({stem})" for title in titles) or (stem,)} | kept


def master_tags(source: Tags, name: str) -> dict[str, tuple[str, ...]]:
    """The tags of a master: those of its song, less what another sound makes false.

    A song without a title gets `name`.

    >>> master_tags({"title": ("Song",), "replaygain_track_gain": ("-3 dB",)}, "01 song")
    {'title': ('Song',)}
    """
    return {"title": (name,)} | _true_in_a_remix(source)


def _true_in_a_remix(source: Tags) -> dict[str, tuple[str, ...]]:
    return {
        name.lower(): tuple(values)
        for name, values in source.items()
        if values and not _FALSE_IN_A_REMIX.fullmatch(name.lower())
    }


def id3_tag(tags: Tags) -> bytes:
    """A whole ID3v2.4 tag without padding; empty for no tags."""
    if not tags:
        return b""
    import mutagen.easyid3
    import mutagen.id3

    id3: Any = mutagen.id3
    easy: Any = mutagen.easyid3.EasyID3()  # type: ignore[no-untyped-call]
    rest = []
    if (cover := cover_of(tags)) is not None:
        rest.append(id3.APIC(encoding=3, mime=cover.mime, type=cover.type, desc=cover.desc, data=cover.data))
    for name, values in without_cover(tags).items():
        texts = list(values)
        if name == "comment":
            rest.append(id3.COMM(encoding=3, lang="XXX", desc="", text=texts))
            continue
        # Some frames have a grammar of their own (a date, a UFID): what they would not keep goes to TXXX.
        with contextlib.suppress(KeyError, ValueError):
            easy[name] = texts
            if list(easy[name]) == texts:
                continue
            del easy[name]
        rest.append(id3.TXXX(encoding=3, desc=name, text=texts))
    frames = id3.ID3()
    if len(easy):
        easy.save(buffer := io.BytesIO(), v1=0)
        buffer.seek(0)
        frames.load(buffer)
    for frame in rest:
        frames.add(frame)
    frames.save(buffer := io.BytesIO(), v1=0, padding=lambda info: 0)
    return buffer.getvalue()


def comment_bytes(tags: Tags, container: str = "ogg") -> int:
    """How many bytes `tags` take as Vorbis comments (and a cover in FLAC), beside the vendor's name."""
    pairs = _comments(without_cover(tags))
    text = sum(4 + len(name) + 1 + len(value.encode()) for name, value in pairs)
    return text + cover_bytes(tags, container)


def replace_comments(file: BinaryIO, container: str, tags: Tags) -> None:
    """Put `tags` in the place of the comments of an open FLAC or Ogg Vorbis file.

    Nothing moves in the file where the old comments took as much room as the new ones and 8 bytes more.
    """
    from mutagen.flac import FLAC
    from mutagen.oggvorbis import OggVorbis

    file.seek(0)
    tagged = (OggVorbis if container in LOSSY else FLAC)(file)
    _set_comments(tagged, tags)
    file.seek(0)
    tagged.save(file, padding=lambda info: max(info.padding, 0))


def _comments(tags: Tags) -> list[tuple[str, str]]:
    return [
        (_NOT_IN_A_COMMENT_NAME.sub("_", name) or "_", value)
        for name, values in tags.items()
        for value in values
    ]


def _set_comments(file: Any, tags: Tags) -> None:
    if file.tags is None:
        file.add_tags()
    cover = cover_of(tags)
    kept = file.tags.get(COVER, ())
    file.tags.clear()
    file.tags.extend(_comments(without_cover(tags)))
    if cover is not None and hasattr(file, "add_picture"):
        file.clear_pictures()
        file.add_picture(cover)
        return
    covers = kept if cover is None else tags[COVER][:1]
    file.tags.extend([(COVER, text) for text in covers])


def _set_id3(file: Any, tags: Tags) -> None:
    """Replace text and comment frames; pictures and the like stay where no cover is given."""
    import mutagen.id3

    id3: Any = mutagen.id3
    if file.tags is None:
        file.add_tags()
    replaced = {"COMM"} if cover_of(tags) is None else {"COMM", "APIC"}
    for key, frame in list(file.tags.items()):
        if frame.FrameID[0] == "T" or frame.FrameID in replaced:
            del file.tags[key]
    if data := id3_tag(tags):
        for frame in id3.ID3(io.BytesIO(data)).values():
            file.tags.add(frame)


def _from_id3(frames: Any) -> dict[str, list[str]]:
    import mutagen.easyid3
    import mutagen.id3

    mutagen.id3.ID3.save(frames, buffer := io.BytesIO(), v1=0)
    buffer.seek(0)
    easy: Any = mutagen.easyid3.EasyID3(buffer)  # type: ignore[no-untyped-call]
    found = {name: list(easy[name]) for name in easy}
    if comments := [text for frame in frames.getall("COMM") if not frame.desc for text in frame.text]:
        found["comment"] = comments
    known = {name.replace("_", "") for name in found}
    for frame in frames.getall("TXXX"):
        name = frame.desc.lower()
        if re.sub("[ _]", "", name) not in known:  # EasyID3 knows some by other spellings
            found[name] = [str(text) for text in frame.text]
    return found


def _read_info(path: Path) -> dict[str, tuple[str, ...]]:
    names = {key: name for name, key in INFO_NAMES.items()}
    with path.open("rb") as file:
        return {names[key]: (text,) for key, text in find_info(file)[1].items() if key in names and text}


def _drop_info(path: Path) -> None:
    """Make LIST INFO junk: the tags are in the ID3 chunk now, and two that differ help nobody."""
    with path.open("r+b") as file:
        position = find_info(file)[0]
        if position is not None:
            file.seek(position)
            file.write(b"JUNK")
