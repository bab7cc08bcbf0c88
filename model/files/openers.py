"""Which decoder takes which file: told by content, not by name."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import AudioFileError
from . import ffmpeg
from .containers import aiff, flac, mp3, ogg, wav
from .containers.splice import Splice
from .source import FlacSource, PedalboardSource, Source


@dataclass(frozen=True)
class Opened:
    """A source and what its container told besides the samples."""

    source: Source
    codec: str
    frames: int
    bit_depth: str
    warnings: tuple[str, ...] = ()
    time_reference: int = 0


def open_source(path: Path) -> Opened:
    """Find out what a file is and open the decoder for it.

    Raises AudioFileError when it is no audio, or audio that cannot be decoded here.
    """
    try:
        return _OPENERS[recognise(path)](path)
    except PermissionError as error:
        raise AudioFileError(f"{path}: cannot be read ({error})") from error


def recognise(path: Path) -> str:
    """What a file is by its first bytes: a key of the table of openers; `other` is left to ffmpeg."""
    size = path.stat().st_size
    if size == 0:
        raise AudioFileError(f"{path}: expected audio, got an empty file (0 bytes). Export it again")
    with path.open("rb") as file:
        tag = 0
        while length := flac.id3_length(file, tag):
            tag += length
        file.seek(tag)
        head = file.read(12)
        for beginning, name, ending in _MAGIC:
            if head.startswith(beginning) and head.endswith(ending):
                return name
        # MP3 has no magic number; junk before the first frame is believed only of files that say MP3
        deep = tag > 0 or path.suffix.lower() in (".mp3", ".mpga")
        found = mp3.find_frame(file, tag, size, 1 << 18 if deep else 1)
        return "other" if found is None else "mp3"


_MAGIC = (
    (b"RIFF", "wav", b"WAVE"),
    (b"RF64", "wav", b"WAVE"),
    (b"BW64", "wav", b"WAVE"),
    (b"RIFX", "soundfile", b"WAVE"),
    (b"FORM", "aiff", b"AIFF"),
    (b"FORM", "aiff", b"AIFC"),
    (b"fLaC", "flac", b""),
    (b"OggS", "ogg", b""),
    (b"riff\x2e\x91\xcf\x11", "soundfile", b""),
    (b"caff", "soundfile", b""),
    (b".snd", "soundfile", b""),
)


def _open_wav(path: Path) -> Opened:
    layout = wav.read_layout(path)
    container_bits = 8 * layout.block_align // layout.channels
    fits = {wav.PCM: (8, 16, 24, 32), wav.FLOAT: (32, 64), wav.ALAW: (8,), wav.MULAW: (8,)}
    if container_bits not in fits.get(layout.format_tag, ()):
        # pedalboard fills compressed WAVs that were cut with silence and refuses some; libsndfile does not
        opened = _open_soundfile(path) if layout.format_tag in (2, 0x11, 0x31) else _open_ffmpeg(path)
        frames = opened.frames
        # some writers count something else in `fact`: it is believed within the last block only
        if layout.fact_frames and 0 < frames - layout.fact_frames < layout.block_frames:
            frames = layout.fact_frames
        warnings = layout.warnings + opened.warnings
        return dataclasses.replace(
            opened, frames=frames, codec="wav", warnings=warnings, time_reference=layout.time_reference
        )
    source = PedalboardSource(path, Splice(path, layout.mended()) if layout.mend else None)
    if source.frames != layout.frames and not layout.mend:
        source.close()
        source = PedalboardSource(path, Splice(path, layout.mended()))
    bit_depth = source.bit_depth
    if layout.format_tag in (wav.ALAW, wav.MULAW):
        bit_depth = "lossy"
    elif layout.format_tag == wav.PCM:
        bit_depth = f"{(layout.bits + 7) // 8 * 8}"
    return _checked(path, source, "wav", layout.frames, bit_depth, layout.warnings, layout.time_reference)


def _open_aiff(path: Path) -> Opened:
    layout = aiff.read_layout(path)
    floats = layout.compression.lower() == b"fl32"
    if (
        layout.compression not in aiff.DECODED_BY_PEDALBOARD
        or layout.bits > 32
        or (floats and layout.bits != 32)
    ):
        opened = _open_soundfile(path)
        return dataclasses.replace(opened, codec="aiff", warnings=layout.warnings + opened.warnings)
    source = PedalboardSource(path, Splice(path, layout.mended()) if layout.mend else None)
    return _checked(path, source, "aiff", layout.frames, source.bit_depth, layout.warnings)


def _open_flac(path: Path) -> Opened:
    layout = flac.read_layout(path)
    if layout.bits not in (8, 16, 24) or not layout.rising:
        # glued together without renumbering: libFLAC reads the first piece, ffmpeg all of them
        return dataclasses.replace(_open_ffmpeg(path), codec="flac")
    spliced = Splice(path, layout.mended()) if layout.mend else None
    source = FlacSource(path, spliced, layout.frames, layout.md5)
    return _checked(path, source, "flac", layout.frames, source.bit_depth, layout.warnings)


def _open_mp3(path: Path) -> Opened:
    from .soundfile_source import Mp3Source

    layout = mp3.read_layout(path)
    return Opened(Mp3Source(path, layout), "mp3", layout.frames, "lossy", layout.warnings)


def _open_ogg(path: Path) -> Opened:
    layout = ogg.read_layout(path)
    if layout.codec != "vorbis" or layout.streams > 1:
        # pedalboard reads the first of several chained songs and says nothing
        opened = _open_ffmpeg(path)
        codec = "ogg" if layout.codec == "vorbis" else opened.codec
        return dataclasses.replace(opened, codec=codec, warnings=layout.warnings + opened.warnings)
    source = PedalboardSource(path)
    return Opened(source, "ogg", source.frames, "lossy", layout.warnings)


def _open_soundfile(path: Path) -> Opened:
    from .soundfile_source import SoundfileSource

    source = SoundfileSource(path)
    codec = path.suffix.lower().removeprefix(".")
    return Opened(source, codec, source.frames, source.bit_depth)


def _open_ffmpeg(path: Path) -> Opened:
    decoded = ffmpeg.decode(path)
    source: Source
    try:
        layout = wav.read_layout(decoded.wav)
        source = PedalboardSource(decoded.wav, delete=True)
    except BaseException:
        decoded.wav.unlink(missing_ok=True)
        raise
    with contextlib.suppress(PermissionError):  # Windows keeps open files; there close() removes it
        decoded.wav.unlink()
    return _checked(path, source, decoded.codec, layout.frames, decoded.bit_depth, decoded.warnings)


def _checked(
    path: Path,
    source: Source,
    codec: str,
    frames: int,
    bit_depth: str,
    warnings: tuple[str, ...],
    time_reference: int = 0,
) -> Opened:
    """Refuse a decoder that disagrees with what was counted."""
    if source.frames != frames:
        found = source.frames
        source.close()
        raise AudioFileError(
            f"{path}: expected {frames} frames, the decoder finds {found}: a damaged header. Export it again"
        )
    return Opened(source, codec, frames, bit_depth, warnings, time_reference)


_OPENERS: dict[str, Callable[[Path], Opened]] = {
    "wav": _open_wav,
    "aiff": _open_aiff,
    "flac": _open_flac,
    "mp3": _open_mp3,
    "ogg": _open_ogg,
    "soundfile": _open_soundfile,
    "other": _open_ffmpeg,
}
