"""The front cover of a song, from any container and into any: one tag beside the text tags.

Its name and form are those of Ogg's `METADATA_BLOCK_PICTURE`: a FLAC picture block (RFC 9639, section
8.8) in Base64. So a cover travels with the tags, and each container gets it in its own form.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COVER = "metadata_block_picture"
"""The tag's name."""

MAX_COVER_BYTES = 16_000_000
"""A larger picture is left behind: a FLAC block holds no more than 16 MiB."""

_FRONT = 3
_PICTURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)


@dataclass(frozen=True)
class Picture:
    """An image as it lies in a file, and what it is."""

    data: bytes
    mime: str
    description: str = ""
    width: int = 0
    height: int = 0
    depth: int = 0
    """Width, height and bits per pixel are 0 where its container does not tell them."""


def read_cover(path: Path) -> str | None:
    """The front cover of an audio file as the tag's text, or else its first picture; None without one.

    Pictures that are none, or larger than `MAX_COVER_BYTES`, do not count. Raises what mutagen raises.
    """
    import mutagen

    file = mutagen.File(path)
    if file is None:
        return None
    found = sorted(_pictures(file), key=lambda pair: pair[0] != _FRONT)
    return next((cover_text(picture) for _, picture in found), None)


def cover_text(picture: Picture) -> str:
    """A picture as the tag's text."""
    from mutagen.flac import Picture as Block

    block: Any = Block()  # type: ignore[no-untyped-call]
    block.type, block.data, block.mime, block.desc = _FRONT, picture.data, picture.mime, picture.description
    block.width, block.height, block.depth = picture.width, picture.height, picture.depth
    return base64.b64encode(block.write()).decode()


def cover_of(tags: Mapping[str, Sequence[str]]) -> Any | None:
    """The cover in tags as mutagen's FLAC picture; None where there is none, or what is there is none."""
    from mutagen.flac import Picture as Block
    from mutagen.flac import error

    for text in tags.get(COVER, ()):
        try:
            return Block(base64.b64decode(text, validate=True))  # type: ignore[no-untyped-call]
        except (error, binascii.Error, ValueError):
            continue
    return None


def without_cover(tags: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """The text tags alone."""
    return {name: values for name, values in tags.items() if name != COVER}


def cover_bytes(tags: Mapping[str, Sequence[str]], container: str) -> int:
    """How many bytes the cover takes in a FLAC or Ogg file."""
    texts = tags.get(COVER, ())
    if container == "flac":
        return sum(len(text) * 3 // 4 for text in texts[:1])
    return sum(4 + len(COVER) + 1 + len(text) for text in texts[:1])


def _pictures(file: Any) -> Iterable[tuple[int, Picture]]:
    """All usable pictures of a file with their types (3: front cover)."""
    for block in getattr(file, "pictures", ()):  # FLAC
        yield from _checked(block)
    tags = file.tags
    if tags is None:
        return
    if hasattr(tags, "getall"):  # ID3
        for frame in tags.getall("APIC"):
            yield from _usable(frame.type, Picture(bytes(frame.data), frame.mime, str(frame.desc)))
        return
    for image in tags.get("covr", ()):  # MP4
        yield from _usable(_FRONT, Picture(bytes(image), ""))
    for text in tags.get(COVER, ()):  # Ogg; in a FLAC too, by some programs
        if (block := cover_of({COVER: (text,)})) is not None:
            yield from _checked(block)


def _checked(block: Any) -> Iterable[tuple[int, Picture]]:
    picture = Picture(block.data, block.mime, block.desc, block.width, block.height, block.depth)
    return _usable(block.type, picture)


def _usable(type_: int, picture: Picture) -> Iterable[tuple[int, Picture]]:
    """A picture under its true kind: what containers call it is often wrong, and `-->` is an address."""
    if not 0 < len(picture.data) <= MAX_COVER_BYTES:
        return
    mime = next((mime for start, mime in _PICTURES if picture.data.startswith(start)), None)
    if mime is None and picture.data.startswith(b"RIFF") and picture.data[8:12] == b"WEBP":
        mime = "image/webp"
    if mime is None and not picture.mime.startswith("image/"):
        return
    description = picture.description[:200]
    yield (
        int(type_),
        Picture(
            picture.data, mime or picture.mime, description, picture.width, picture.height, picture.depth
        ),
    )
