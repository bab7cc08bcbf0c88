"""Five streams into one MP4 by the ffmpeg program, and read back from there."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import AudioFileError, DiskFullError, OutputError, VerificationError
from ..files.ffmpeg import how_to_install
from ..files.quantise import quantise
from .sound import Groups

_AAC_FRAME = 1024
_CLOSE_DB = 3.0
"""How far an AAC stream's energy may be from what went in; a wrong or broken stream is farther."""
_FAINT = 1e-6
"""Mean square below which that is not asked: -60 dBFS."""


@dataclass
class Written:
    """What went into one stream."""

    frames: int = 0
    energy: float = 0.0
    digest: hashlib.blake2b = field(default_factory=hashlib.blake2b)

    def take(self, interleaved: NDArray[np.float32]) -> None:
        """Count some more. Shape: `(frames, 2)`."""
        self.frames += len(interleaved)
        self.energy += float(np.square(interleaved, dtype=np.float64).sum())
        self.digest.update(np.ascontiguousarray(interleaved, "<f4").tobytes())


def ffmpeg_program() -> str:
    """Where ffmpeg is. Raises AudioFileError where it is not, with how to install it."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise AudioFileError(f"a stem file is written by ffmpeg, which is not on PATH: {how_to_install()}")
    return program


def encode_streams(
    program: str, sound: Groups, gain: float, codec: Literal["aac", "alac"], path: Path
) -> Streams:
    """Get ready to write all groups of `sound` as streams of `path`; `steps` does it."""
    return Streams(program, sound, gain, codec, path)


class Streams:
    """An encoding under way; `written` tells of each stream once `steps` has run to its end."""

    def __init__(
        self, program: str, sound: Groups, gain: float, codec: Literal["aac", "alac"], path: Path
    ) -> None:
        self.written: list[Written] = []
        self._program, self._sound, self._gain, self._codec, self._path = program, sound, gain, codec, path

    def steps(self) -> Iterator[float]:
        """Feed ffmpeg, yielding the fraction that is done. Raises OutputError or DiskFullError."""
        sound = self._sound
        first = True
        with tempfile.TemporaryFile() as log, _running(self._command(), log, feeding=True) as process:
            assert process.stdin is not None
            done = 0
            try:
                for block in sound.blocks():
                    rows = self._stereo(block)
                    if first:
                        self.written = [Written() for _ in rows]
                        first = False
                    for written, row in zip(self.written, rows, strict=True):
                        written.take(row)
                    process.stdin.write(np.ascontiguousarray(np.concatenate(rows, axis=1), "<f4").tobytes())
                    done += block.shape[-1]
                    yield done / sound.frames
                process.stdin.close()
            except BrokenPipeError:  # ffmpeg has given up: its log says why
                pass
            _end(process, log, self._path)

    def _stereo(self, block: NDArray[np.float64]) -> list[NDArray[np.float32]]:
        """Each group as 24-bit steps in floats, so that lossless stays lossless. Shape: `(n, 2)` each."""
        rows = []
        for group in block:
            audio = (group * self._gain).astype(np.float32)
            audio = quantise(audio, 24).astype(np.float32) / np.float32(1 << 23)
            rows.append(np.repeat(audio, 2, axis=0).T if len(audio) == 1 else audio.T)
        return rows

    def _command(self) -> list[str]:
        rate = str(self._sound.sample_rate)
        channels = range(5)
        graph = "[0:a]asplit=5" + "".join(f"[in{n}]" for n in channels) + ";"
        graph += ";".join(f"[in{n}]pan=stereo|c0=c{2 * n}|c1=c{2 * n + 1}[out{n}]" for n in channels)
        command = [self._program, "-hide_banner", "-loglevel", "error", "-y"]
        command += ["-f", "f32le", "-ar", rate, "-ac", "10", "-i", "pipe:0", "-filter_complex", graph]
        for n in channels:
            command += ["-map", f"[out{n}]"]
        if self._codec == "aac":
            command += ["-c:a", "aac", "-b:a", "256k"]
        else:
            command += ["-c:a", "alac", "-sample_fmt", "s32p", "-bits_per_raw_sample", "24"]
        # The edit list counts in the movie's own time: by samples, it tells the length exactly.
        command += ["-movie_timescale", rate, "-movflags", "+faststart", "-brand", "M4A "]
        command += ["-fflags", "+bitexact", "-flags:a", "+bitexact", "-map_metadata", "-1"]
        return [*command, "-f", "mp4", f"file:{self._path.absolute()}"]


def check_streams(
    program: str, path: Path, name: str, written: list[Written], codec: Literal["aac", "alac"]
) -> Iterator[int]:
    """Decode every stream of a finished file, yielding how many are found right.

    Raises VerificationError for a stream that is not what went in: to the sample for ALAC; for AAC its
    energy, and its length up to the end of its last packet (decoders differ in whether they cut it).
    """
    for number, wanted in enumerate(written):
        found = _decoded(program, path, number)
        longest = wanted.frames if codec == "alac" else -(-wanted.frames // _AAC_FRAME) * _AAC_FRAME
        if not wanted.frames <= found.frames <= longest:
            raise VerificationError(
                f"{name}: stream {number} should have {wanted.frames} frames, {found.frames} are read back"
            )
        if codec == "alac":
            right = found.digest.digest() == wanted.digest.digest()
        else:
            quiet = _FAINT * 2 * wanted.frames
            ratio = (found.energy + quiet) / (wanted.energy + quiet)
            right = abs(10 * np.log10(ratio)) <= _CLOSE_DB
        if not right:
            raise VerificationError(f"{name}: stream {number} does not sound as what was encoded")
        yield number + 1


def _decoded(program: str, path: Path, number: int) -> Written:
    command = [program, "-nostdin", "-hide_banner", "-loglevel", "error"]
    command += ["-protocol_whitelist", "file", "-i", f"file:{path.absolute()}", "-map", f"0:a:{number}"]
    command += ["-c:a", "pcm_f32le", "-f", "f32le", "-protocol_whitelist", "pipe", "pipe:1"]
    found = Written()
    with tempfile.TemporaryFile() as log, _running(command, log) as process:
        assert process.stdout is not None
        while data := process.stdout.read(8 << 17):
            found.take(np.frombuffer(data, "<f4").reshape(-1, 2))
        _end(process, log, path)
    return found


@contextlib.contextmanager
def _running(
    command: list[str], log: IO[bytes], *, feeding: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """ffmpeg, which does not outlive the block."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command,
        stdin=pipe if feeding else subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if feeding else pipe,
        stderr=log,
    )
    try:
        yield process
    finally:
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        process.wait()


def _end(process: subprocess.Popen[bytes], log: IO[bytes], path: Path) -> None:
    """Wait for the end, and raise what went wrong."""
    if process.wait() == 0:
        return
    log.seek(0)
    text = log.read(1 << 16).decode("utf-8", "replace").strip()
    if "No space left on device" in text:
        raise DiskFullError(f"no room in {path.parent} for a stem file: free some, or choose another folder")
    reason = text.splitlines()[-1] if text else f"it ended with {process.returncode}"
    raise OutputError(f"ffmpeg could not write or read the stem file in {path.parent}: {reason}")
