"""Ogg pages: checksums as libogg's, one serial number, the first packet of audio on a page of its own."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import signals
import soundfile
from mutagen.ogg import OggPage
from stembridge.model.files.ogg_pages import OggPages, page_checksum


def vorbis(file: io.BytesIO | OggPages, frames: int) -> None:
    """Let libsndfile write a stream."""
    with soundfile.SoundFile(file, "w", 44100, 2, format="OGG", subtype="VORBIS") as handle:
        handle.write(np.ascontiguousarray(signals.noise(frames).T))


def pages(data: bytes) -> list[Any]:
    """All pages, by mutagen's parser."""
    parse: Any = OggPage
    file, found = io.BytesIO(data), []
    while file.tell() < len(data):
        found.append(parse(file))
    return found


def test_the_checksum_is_that_of_libogg() -> None:
    vorbis(raw := io.BytesIO(), 5000)
    data = raw.getvalue()
    for page in pages(data):
        blank = bytearray(data[page.offset : page.offset + page.size])
        stored = int.from_bytes(blank[22:26], "little")
        blank[22:26] = bytes(4)
        assert page_checksum(bytes(blank)) == stored


@pytest.mark.parametrize("frames", [0, 1, 3000, 60_000])
def test_the_packets_stay_and_the_bytes_are_the_same_each_time(frames: int) -> None:
    vorbis(raw := io.BytesIO(), frames)
    first, second = io.BytesIO(), io.BytesIO()
    vorbis(OggPages(first), frames)
    vorbis(OggPages(second), frames)
    assert first.getvalue() == second.getvalue()
    ours, theirs = pages(first.getvalue()), pages(raw.getvalue())
    assert b"".join(b"".join(p.packets) for p in ours) == b"".join(b"".join(p.packets) for p in theirs)
    assert len({page.serial for page in ours}) == 1
    assert [page.sequence for page in ours] == list(range(len(ours)))
    assert ours[-1].position == theirs[-1].position
    assert soundfile.info(io.BytesIO(first.getvalue())).frames == frames


def test_a_short_stream_gets_a_page_for_its_first_packet() -> None:
    vorbis(OggPages(file := io.BytesIO()), 3000)
    vorbis(raw := io.BytesIO(), 3000)
    ours, theirs = pages(file.getvalue()), pages(raw.getvalue())
    assert len(ours) == len(theirs) + 1
    assert (ours[-2].position, len(ours[-2].packets), ours[-2].last) == (0, 1, False)
    assert (ours[-1].position, ours[-1].last) == (3000, True)
