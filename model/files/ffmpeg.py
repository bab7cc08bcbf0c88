"""What pedalboard does not decode, decoded by the ffmpeg program into a temporary file of floats.

The whole first audio stream is decoded before the first frame is read: only so the number of frames is
exact and every frame can be sought, and memory stays flat.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import AudioFileError, DiskFullError

_STREAM = re.compile(r"Stream #0:\d+.*?: Audio: (\w+)[^,]*, \d+ Hz, [^,]+, (\w+)(?: \((\d+) bit\))?")
_LOSSLESS = {"alac", "ape", "flac", "mlp", "shorten", "tak", "truehd", "tta", "wavpack", "wmalossless"}
_INSTALL = {
    "linux": "apt install ffmpeg, dnf install ffmpeg or pacman -S ffmpeg",
    "darwin": "brew install ffmpeg",
    "win32": "winget install ffmpeg",
}


@dataclass(frozen=True)
class Decoded:
    """A temporary WAV file of 32-bit floats; the caller deletes it."""

    wav: Path
    codec: str
    """ffmpeg's name of what it decoded (`aac`, `opus`, `alac`)."""
    bit_depth: str
    """`16`, `24`, ... of lossless codecs, `lossy` of others."""
    warnings: tuple[str, ...]


def how_to_install() -> str:
    """One line for an error message.

    >>> "ffmpeg" in how_to_install()
    True
    """
    return f"install ffmpeg ({_INSTALL.get(sys.platform, 'https://ffmpeg.org/download.html')})"


def decode(path: Path) -> Decoded:
    """Decode the first audio stream of any file ffmpeg knows.

    Raises AudioFileError when ffmpeg finds no audio in it or is not there, DiskFullError when the folder
    for temporary files is full.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise AudioFileError(
            f"{path}: expected WAV, AIFF, FLAC, MP3 or Ogg Vorbis, got something else. ffmpeg "
            f"may decode it: {how_to_install()}"
        )
    folder = tempfile.gettempdir()
    with tempfile.NamedTemporaryFile(prefix="stembridge-", suffix=".wav", delete=False) as made:
        wav = Path(made.name)
    # `file:` and the whitelist: a name with a colon is a name, and a playlist cannot reach the network
    command = [program, "-nostdin", "-hide_banner", "-loglevel", "level+info", "-nostats", "-y"]
    command += ["-protocol_whitelist", "file", "-i", f"file:{path.absolute()}", "-map", "0:a:0"]
    command += ["-c:a", "pcm_f32le", "-map_metadata", "-1", "-rf64", "auto", "-f", "wav", f"file:{wav}"]
    try:
        run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        log = run.stderr.decode("utf-8", "replace")
        complaints = [
            _without_marks(line) for line in log.splitlines() if re.search(r"\[(error|fatal)\]", line)
        ]
        if run.returncode != 0:
            if "No space left on device" in log:
                raise DiskFullError(f"{folder} is full while decoding {path}: free room or set TMPDIR")
            reason = "; ".join(complaints[:2]) or f"ffmpeg ended with {run.returncode}"
            raise AudioFileError(f"{path}: neither pedalboard nor ffmpeg finds audio in it ({reason})")
        return _report(wav, log, complaints)
    except BaseException:
        wav.unlink(missing_ok=True)
        raise


def _report(wav: Path, log: str, complaints: list[str]) -> Decoded:
    codec, bit_depth = "ffmpeg", "lossy"
    if match := _STREAM.search(log):
        codec = match[1]
        if codec in _LOSSLESS or codec.startswith("pcm_"):
            kind = match[2].rstrip("p")
            depth = {"u8": "8", "s16": "16", "s32": "32", "s64": "32", "flt": "32f", "dbl": "64f"}
            bit_depth = match[3] or depth.get(kind, "32f")
    warnings = (f"ffmpeg: {line}" for line in dict.fromkeys(complaints))
    return Decoded(wav, codec, bit_depth, tuple(warnings)[:4])


def _without_marks(line: str) -> str:
    """A log line without the addresses in brackets, which change with every run."""
    return re.sub(r"\[[^\]]*\]\s*", "", line).strip()
