"""NI stem files (`.stem.mp4`): the mix and four stems of it as five streams of one MP4, for DJ programs.

Source: Native Instruments, "Stems File Specification": stream 0 is what players that know nothing of
stems play, 1 to 4 are drums, bass, other and vocals; a `stem` box in `moov.udta` names and colours them
and says what becomes of their sum. The same mastering for all five would make the mix and the sum of
its stems differ, so none is asked for: what is heard does not change when stems come in.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import ArgumentValueError, AudioFileError, StembridgeError
from ..files.cover import cover_of
from .finished import Finished
from .mp4_boxes import add_to_udta, read_from_udta
from .sound import Groups
from .stem_streams import check_streams, encode_streams, ffmpeg_program
from .target import MARK, Pack, PackProgress, print_of, target

Codec = Literal["aac", "alac"]

STEMS = ("drums", "bass", "other", "vocals")
"""Streams 1 to 4."""

_COLOURS = {"drums": "#009E73", "bass": "#D55E00", "other": "#CC79A7", "vocals": "#56B4E9"}
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_MARK_ATOM = f"----:com.stembridge:{MARK}"
_HEADROOM = 1 - 2**-22
"""What a loudest sum is brought down to: two of 24-bit steps below full scale."""


@dataclass(frozen=True)
class StemMp4Spec:
    """How a stem file is made."""

    codec: Codec = "aac"
    """`aac` at 256 kbit/s each, which every program reads, or `alac`, lossless."""
    mix: Path | None = None
    """What stream 0 is, of the stems' rate and length; None: the sum of the stems."""
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.codec not in ("aac", "alac"):
            raise ArgumentValueError(f"a codec is aac or alac; got {self.codec!r}")


def pack_stem_mp4(song: Finished, path: Path, spec: StemMp4Spec) -> Iterator[PackProgress]:
    """Make `path` from a song's stems; other stems than the four are summed into `other`.

    All five streams have the same number of frames. What would clip is turned down by one gain for all
    of them. Raises AudioFileError without ffmpeg, or for stems that a stem file cannot hold; OutputError,
    DiskFullError and VerificationError from writing and reading back.
    """
    program = ffmpeg_program()
    groups = _groups(song, spec.mix)
    files = {f"{number} {file.name}": file for number, group in enumerate(groups) for file in group}
    tags = song.tags()
    facts = {"kind": "stem.mp4", "codec": spec.codec, "title": song.title, "tags": tags, "version": 1}
    print_ = print_of(facts | {"groups": [[file.name for file in group] for group in groups]}, files)
    with target(path, print_, read_mark, overwrite=spec.overwrite) as part:
        if part is None:
            yield PackProgress("done", 1.0, (Pack(path, "stem.mp4", True),))
            return
        bare = part.with_name(f"{part.name}.mp4")
        with Groups(groups) as sound, contextlib.ExitStack() as stack:
            stack.callback(bare.unlink, missing_ok=True)
            _check(song, sound, spec.codec)
            peak = 0.0
            for fraction, block in _measured(sound):
                peak = max(peak, float(np.abs(block).max(initial=0)))
                yield PackProgress("measure", 0.15 * fraction)
            gain = min(1.0, _HEADROOM / peak) if peak else 1.0
            streams = encode_streams(program, sound, gain, spec.codec, bare)
            for fraction in streams.steps():
                yield PackProgress("encode", 0.15 + 0.6 * fraction)
            _tag(bare, tags, print_)
            add_to_udta(bare, part, b"stem", _stem_box(STEMS))
            for number in check_streams(program, part, path.name, streams.written, spec.codec):
                yield PackProgress("verify", 0.75 + 0.05 * number)
            figures = {
                "frames": sound.frames,
                "sample_rate": sound.sample_rate,
                "codec": spec.codec,
                "gain_db": round(20 * float(np.log10(gain)), 3) + 0.0,
                "bytes": part.stat().st_size,
            }
    yield PackProgress("done", 1.0, (Pack(path, "stem.mp4", False, figures),))


def read_stem_box(path: Path) -> Mapping[str, Any] | None:
    """What the `stem` box of a file says: version, stems and mastering; None without one.

    Raises AudioFileError for what is no MP4 file, or a box that is no JSON.
    """
    content = read_from_udta(path, b"stem")
    if content is None:
        return None
    try:
        data = json.loads(content)
        if not isinstance(data, dict):
            raise ValueError(f"got {type(data).__name__}")
    except ValueError as error:
        raise AudioFileError(f"{path}: expected a JSON object in its stem box ({error})") from error
    return data


def read_mark(path: Path) -> str | None:
    """What a stem file of ours was made of; None for a foreign or damaged one."""
    import mutagen
    import mutagen.mp4

    mp4: Any = mutagen.mp4
    try:
        if read_stem_box(path) is None:
            return None
        (mark,) = mp4.MP4(path)[_MARK_ATOM]
        return bytes(mark).decode()
    except (StembridgeError, mutagen.MutagenError, OSError, KeyError, ValueError):
        return None


def _groups(song: Finished, mix: Path | None) -> list[list[Path]]:
    """What the five streams are summed from."""
    known = {"drums", "bass", "vocals"}
    if missing := sorted(known - set(song.stems)):
        raise AudioFileError(
            f"{song.title}: a stem file holds drums, bass, other and vocals; there are no stems "
            f"{', '.join(missing)} (but {', '.join(song.stems) or 'no others'}). "
            "Render with a model of four stems"
        )
    by_stem = {stem: [path] for stem, path in song.stems.items() if stem in known}
    by_stem["other"] = [path for stem, path in song.stems.items() if stem not in known]
    stems = [by_stem[stem] for stem in STEMS]
    return [[mix] if mix is not None else [path for group in stems for path in group], *stems]


def _check(song: Finished, sound: Groups, codec: Codec) -> None:
    if sound.channels > 2:
        raise AudioFileError(f"{song.title}: a stem file is stereo; its stems have {sound.channels} channels")
    if codec == "aac" and sound.sample_rate not in _AAC_RATES:
        raise AudioFileError(
            f"{song.title}: AAC knows no {sound.sample_rate} Hz. Render with --sample-rate 48000, or take "
            "--codec alac"
        )
    if not sound.frames:
        raise AudioFileError(f"{song.title}: its stems are empty")


def _measured(sound: Groups) -> Iterator[tuple[float, np.ndarray[Any, Any]]]:
    done = 0
    for block in sound.blocks():
        done += block.shape[-1]
        yield done / sound.frames, block


def _stem_box(stems: tuple[str, ...]) -> bytes:
    """What the box says: names, colours, and a compressor and a limiter that are switched off."""
    compressor = {
        "enabled": False,
        "input_gain": 0.5,
        "output_gain": 0.5,
        "threshold": 0,
        "ratio": 3,
        "attack": 0.003,
        "release": 0.3,
        "hp_cutoff": 300,
        "dry_wet": 50,
    }
    limiter = {"enabled": False, "threshold": 0, "release": 0.05, "ceiling": -0.35}
    data = {
        "mastering_dsp": {"compressor": compressor, "limiter": limiter},
        "stems": [{"name": stem.capitalize(), "color": _COLOURS[stem]} for stem in stems],
        "version": 1,
    }
    return json.dumps(data, separators=(",", ":")).encode()


def _tag(path: Path, tags: Mapping[str, Any], print_: str) -> None:
    """Write text tags, cover and our mark."""
    import mutagen.easymp4
    import mutagen.mp4

    mp4: Any = mutagen.mp4
    easy: Any = mutagen.easymp4.EasyMP4(path)  # type: ignore[no-untyped-call]
    if easy.tags is None:
        easy.add_tags()
    easy.tags.clear()
    for name, values in tags.items():
        with contextlib.suppress(KeyError, ValueError):  # no such atom, or not in its grammar
            easy[name] = list(values)
    easy.save()
    file = mp4.MP4(path)
    cover = cover_of(tags)
    formats = {"image/png": mp4.MP4Cover.FORMAT_PNG, "image/jpeg": mp4.MP4Cover.FORMAT_JPEG}
    if cover is not None and cover.mime in formats:
        file.tags["covr"] = [mp4.MP4Cover(cover.data, formats[cover.mime])]
    file.tags[_MARK_ATOM] = [print_.encode()]
    file.save()
