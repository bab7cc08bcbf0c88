"""One output of a render: encoded beside the work, under a temporary name, published only when right."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import queue
import re
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..audio import Audio, OutputFormat
from ..dsp.loudness import LoudnessMeter
from ..dsp.resampler import Resampler
from ..errors import OutputError, VerificationError
from ..files.encoder import AudioWriter, create_audio
from ..files.quantise import Dither
from ..files.sink import write_error
from ..units import gain_to_db

_PART = re.compile(r"\.stembridge-[0-9a-f-]+\.part\.\w+")
_QUEUE_BLOCKS = 4
_COPY_FRAMES = 1 << 16


@dataclass(frozen=True)
class Extent:
    """Which frames of the source a file is made of, in a stream that begins before it."""

    first: int
    """The source frame the stream begins with."""
    start: int
    """The source frame the file begins with."""
    frames: int | None
    """Its length at the source's rate; None: until the stream ends."""


class OutputFile:
    """A file in the making: takes blocks on the caller's thread, measures and encodes them on its own.

    Integers can clip, and nobody knows before the last block; so samples bound for an integer or lossy
    format are kept in a spool beside the target too, and `encode` writes the file anew with a common gain
    when any output of the song went over (`clip`: never, overs saturate). A file whose length is not
    known yet is only spooled.
    """

    def __init__(
        self,
        path: Path,
        format: OutputFormat,
        *,
        source_rate: int,
        sample_rate: int,
        channels: int,
        extent: Extent,
        tags: Mapping[str, Sequence[str]],
        time_reference: int | None,
        dither: Dither,
        clip: bool = False,
        replaceable: bool = False,
    ) -> None:
        """`clip`: overs saturate; `replaceable`: what lies at `path` already may be replaced."""
        self.path = path
        self.format = format
        self.sample_rate = sample_rate
        self.channels = channels
        self.gain = 1.0
        self.highest = 0.0
        self.lowest = 0.0
        self.last_audible = 0
        """Frames up to the last one above the threshold of silence."""
        self.clipped = 0
        """Samples that were cut off at full scale, under `clip`."""
        self.written = 0
        """Frames that came, at the output's rate."""
        self._tags, self._time_reference, self._dither = tags, time_reference, dither
        self._clip = clip
        self._replaceable = replaceable
        frames = extent.frames
        self.frames = None if frames is None else scaled_frames(frames, source_rate, sample_rate)
        self._resampler: Resampler | None = None
        begin = extent.start
        if sample_rate != source_rate:
            self._resampler = Resampler(source_rate, sample_rate, channels, anchored=True)
            begin = resampler_start(self._resampler, extent.start)
            self._resampler.reset(begin)
        self._skip_in = begin - extent.first
        self._skip_out = scaled_frames(extent.start, source_rate, sample_rate) - scaled_frames(
            begin, source_rate, sample_rate
        )
        self._meter = LoudnessMeter(sample_rate, channels, true_peak=False)
        self._queue: queue.Queue[Audio | None] = queue.Queue(_QUEUE_BLOCKS)
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._writer: AudioWriter | None = None
        self._spool: BinaryIO | None = None
        token = f"{temporary_prefix(path)}{os.getpid()}-{secrets.token_hex(3)}"
        self.part = path.with_name(f"{token}.part{path.suffix}")
        self.spool_path = path.with_name(f"{token}.spool")
        self._over_limits = _limits(format)
        self._made: list[Path] = []

    def open(self) -> None:
        """Create the temporary files and start encoding."""
        self._made = make_folder(self.path.parent)
        sweep(self.path)
        try:
            if self.frames is None or (not self._clip and (self.format.integer or self.format.lossy)):
                self._spool = open(self.spool_path, "w+b")  # noqa: SIM115
            if self.frames is not None:
                self._writer = self._create(self.frames)
        except OSError as error:
            raise output_error(error, self.path) from error
        self._thread = threading.Thread(target=self._run, name=f"encode {self.path.name}", daemon=True)
        self._thread.start()

    def write(self, audio: Audio) -> None:
        """Take the next block of this output's stream, at the source's rate."""
        if self._skip_in:
            dropped = min(self._skip_in, audio.shape[1])
            self._skip_in -= dropped
            audio = audio[:, dropped:]
        if audio.shape[1]:
            self._put(audio)

    def end(self) -> None:
        """Say that no more will come; `finish` waits for what that takes."""
        self._put(None)

    def finish(self) -> None:
        """Wait, after `end`, until everything is encoded; raise what went wrong."""
        assert self._thread is not None
        self._thread.join()
        self._raise()
        if self.frames is not None and self.written != self.frames:
            raise VerificationError(
                f"{self.path.name} should have {self.frames} frames and got {self.written}: "
                "this is a fault in the separator or a plug-in"
            )

    @property
    def over(self) -> bool:
        """Whether some sample does not fit the format."""
        low, high = self._over_limits
        return self.highest > high or self.lowest < low

    @property
    def peak(self) -> float:
        """Largest absolute sample before the common gain."""
        return max(self.highest, -self.lowest)

    @property
    def lufs(self) -> float | None:
        """Integrated loudness of the file as written; None where the gate leaves nothing."""
        loudness = self._meter.integrated()
        return loudness + gain_to_db(self.gain) if math.isfinite(loudness) else None

    def encode(self, gain: float, frames: int | None = None) -> None:
        """Write the file from its spool, with a gain, cut to `frames` (at the output's rate)."""
        assert self._spool is not None
        self.gain = gain
        self.frames = frames if frames is not None else self.written
        try:
            self._spool.seek(0)
            left = self.frames
            with self._create(left) as writer:
                while left:
                    count = min(left, _COPY_FRAMES)
                    data = self._spool.read(4 * self.channels * count)
                    block = np.frombuffer(data, np.float32).reshape(-1, self.channels).T
                    writer.write(np.ascontiguousarray(block * np.float32(gain)))
                    left -= count
        except OSError as error:
            raise output_error(error, self.path) from error

    def check_target(self) -> None:
        """Raise OutputError where a foreign file has come to lie since the render was planned."""
        if not self._replaceable and self.path.exists():
            raise OutputError(
                f"{self.path} has appeared since the render began and was not written by stembridge: "
                "move it away, or allow --overwrite"
            )

    def publish(self) -> None:
        """Give the finished file its name."""
        self._drop_spool()
        try:
            os.replace(self.part, self.path)
        except OSError as error:
            raise output_error(error, self.path) from error

    def discard(self) -> None:
        """Stop and leave nothing behind; safe at any time, also twice."""
        if self._thread is not None and self._thread.is_alive():
            self._error = self._error or OutputError("discarded")
            with contextlib.suppress(queue.Empty):
                while True:
                    self._queue.get_nowait()
            self._queue.put(None)
            self._thread.join()
        self._drop_spool()
        self.part.unlink(missing_ok=True)
        for folder in self._made:
            with contextlib.suppress(OSError):  # somebody's files are in it by now, or ours
                folder.rmdir()

    def _create(self, frames: int) -> AudioWriter:
        return create_audio(
            self.part,
            self.format,
            self.sample_rate,
            self.channels,
            frames,
            tags=self._tags,
            time_reference=self._time_reference,
            dither=self._dither,
        )

    def _put(self, audio: Audio | None) -> None:
        while True:
            self._raise()
            try:
                self._queue.put(audio, timeout=0.5)
                return
            except queue.Full:
                continue

    def _raise(self) -> None:
        if self._error is not None:
            error, path = self._error, self.path
            raise output_error(error, path) if isinstance(error, OSError) else error

    def _run(self) -> None:
        """The encoding thread: until None comes; once something goes wrong, the rest is only drained."""
        ended = False
        try:
            while (audio := self._queue.get()) is not None:
                if self._error is None:
                    self._take(self._resampler.push(audio) if self._resampler else audio)
            ended = True
            if self._error is None and self._resampler:
                self._take(self._resampler.flush())
            if self._writer is not None:
                if self._error is not None or (self.over and not self._clip):
                    self._writer.abort()
                    self._writer = None
                elif self.written == self.frames:  # else `finish` says what is wrong
                    self._writer.close()
        except BaseException as error:  # handed to the caller's thread by _raise
            self._error = self._error or error
            with contextlib.suppress(Exception):
                if self._writer is not None:
                    self._writer.abort()
            while not ended and self._queue.get() is not None:
                pass

    def _take(self, audio: Audio) -> None:
        if self._skip_out:
            dropped = min(self._skip_out, audio.shape[1])
            self._skip_out -= dropped
            audio = audio[:, dropped:]
        if self.frames is not None:
            audio = audio[:, : self.frames - self.written]
        frames = audio.shape[1]
        if not frames:
            return
        if self._clip and (self.format.integer or self.format.lossy):
            low, high = self._over_limits
            self.clipped += int(np.count_nonzero((audio < low) | (audio > high)))
            audio = np.clip(audio, -1.0, 1.0)
        self._meter.push(audio)
        self.highest = max(self.highest, float(audio.max()))
        self.lowest = min(self.lowest, float(audio.min()))
        audible = np.flatnonzero(np.abs(audio).max(axis=0) > SILENCE)
        if audible.size:
            self.last_audible = self.written + int(audible[-1]) + 1
        self.written += frames
        if self._spool is not None:
            self._spool.write(np.ascontiguousarray(audio.T).tobytes())
        if self._writer is not None and (self._clip or not self.over):
            self._writer.write(audio)

    def _drop_spool(self) -> None:
        if self._spool is not None:
            with contextlib.suppress(OSError):
                self._spool.close()
            self._spool = None
        self.spool_path.unlink(missing_ok=True)


SILENCE = 10 ** (-90 / 20)
"""Below this (-90 dBFS) a tail counts as silent."""


def scaled_frames(frames: int, from_rate: int, to_rate: int) -> int:
    """How many frames a stream has at another rate: the nearest number, halves up."""
    return (2 * frames * to_rate + from_rate) // (2 * from_rate)


def common_gain(files: Sequence[OutputFile]) -> float:
    """The largest gain up to 1 under which no file clips, dither included."""
    gain = 1.0
    for file in files:
        low, high = file._over_limits
        if file.over:
            step = 2.0 / (1 << int(file.format.bit_depth)) if file.format.integer else 0.0
            gain = min(gain, (min(high, -low) - 2 * step) / file.peak)
    # A float32, so that who divides by it gets the very samples back that were multiplied.
    return float(np.nextafter(np.float32(gain), np.float32(0))) if gain < 1 else 1.0


def resampler_start(resampler: Resampler, start: int) -> int:
    """Where a resampled region's stream has to begin: early enough, and on the resampler's grid."""
    early = max(0, start - resampler.context_frames)
    return early - early % resampler.grid


def sweep(path: Path) -> None:
    """Remove what a killed render left of this output; the caller holds the target's lock."""
    if path.parent.is_dir():
        for entry in os.scandir(path.parent):
            if entry.name.startswith(temporary_prefix(path)):
                Path(entry.path).unlink(missing_ok=True)


def temporary_prefix(path: Path) -> str:
    """What temporary names of one output begin with: short whatever its name, and no other output's."""
    digest = hashlib.blake2b(os.fsencode(path.name), digest_size=8).hexdigest()
    return f".stembridge-{digest}-"


def output_error(error: OSError, path: Path) -> OutputError:
    """Say in one sentence why a file could not be written, by its own name and not its temporary one."""
    if isinstance(error, OutputError):
        return type(error)(_PART.sub(path.name, str(error)))
    return write_error(error, path, None, 0)


def existing(folder: Path) -> Path:
    """The folder itself, or its nearest parent that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def make_folder(folder: Path) -> list[Path]:
    """Make a folder and its parents; returns those that were not there, the innermost first."""
    there = existing(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(error, folder) from error
    return [one for one in (folder, *folder.parents) if there in one.parents]


def _limits(format: OutputFormat) -> tuple[float, float]:
    """The lowest and highest sample that does not clip."""
    if format.lossy:
        return -1.0, 1.0
    if not format.integer:
        return -math.inf, math.inf
    # Half a step more than the largest integer still rounds to it.
    full = float(1 << (int(format.bit_depth) - 1))
    return -1.0 - 0.5 / full, (full - 0.5) / full
