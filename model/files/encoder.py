"""Audio files out: `create_audio` gives a writer for WAV, AIFF, FLAC, MP3 or Ogg Vorbis.

The number of frames is told beforehand and kept to; the same audio gives the same bytes, whenever and
however cut it is written; no failure of the disk is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from ..audio import Audio, OutputFormat
from ..errors import ArgumentTypeError, ArgumentValueError, StateError, VerificationError
from .aiff_file import aiff_header, aiff_samples
from .codecs import Encoder, FlacEncoder, OggEncoder, Samples
from .format_limits import check_format
from .mp3_file import Mp3Encoder
from .quantise import Dither, quantise
from .sink import Sink
from .tags import id3_tag
from .wav_file import BYTES_PER_SAMPLE, wav_header, wav_samples


def create_audio(
    path: Path | str,
    fmt: OutputFormat,
    sample_rate: int,
    channels: int,
    frames: int,
    *,
    tags: Mapping[str, Sequence[str]] | None = None,
    time_reference: int | None = None,
    dither: Dither | None = None,
) -> AudioWriter:
    """Start an audio file of exactly `frames` frames at exactly `path` (replaced if it is there).

    `tags` are by mutagen's easy names; `time_reference` (frames since midnight) becomes a WAV file's
    `bext` chunk; `dither` is for integer formats, None rounds. Raises ArgumentValueError for what the
    format cannot hold, before anything is written; OutputError or DiskFullError from the disk.
    """
    return AudioWriter(Path(path), fmt, sample_rate, channels, frames, tags or {}, time_reference, dither)


class AudioWriter:
    """An audio file being written; a context manager that closes, or aborts on an exception.

    What an aborted or failed writer leaves behind is for the caller to remove.
    """

    def __init__(
        self,
        path: Path,
        fmt: OutputFormat,
        sample_rate: int,
        channels: int,
        frames: int,
        tags: Mapping[str, Sequence[str]],
        time_reference: int | None,
        dither: Dither | None,
    ) -> None:
        self.path = path
        self.format = fmt
        self.sample_rate = sample_rate
        self.channels = channels
        self.frames = frames
        self.written = 0
        """Frames taken so far."""
        self.peak = 0.0
        """The largest absolute sample asked for so far, before saturation.

        Above 1.0 it was over: integers and MP3 clip there, and Ogg Vorbis keeps it for players that clip.
        """
        self._dither = dither
        check_format(fmt, sample_rate, channels, frames)
        self._encoder: Encoder | None
        self._sink, self._encoder = _open_encoder(
            path, fmt, sample_rate, channels, frames, tags, time_reference
        )

    def write(self, audio: Audio) -> None:
        """Append a block `(channels, n)` float32; n may be 0.

        Raises VerificationError for NaN, infinity (with the time of the first) and for more frames than
        were told; DiskFullError or OutputError when the disk refuses.
        """
        if self._encoder is None:
            raise StateError(f"{self.path} is closed: nothing more can be written to it")
        self._check(audio)
        if audio.shape[1] == 0:
            return
        samples: Samples = audio
        if self.format.integer:
            samples = quantise(audio, int(self.format.bit_depth), self._dither, self.written)
        self._encoder.write(samples)
        self._sink.check()
        self.written += audio.shape[1]

    def close(self) -> None:
        """Complete the file and bring it onto the disk; calling it again does nothing.

        Raises VerificationError if fewer frames came than were told.
        """
        if self._encoder is None:
            return
        if self.written != self.frames:
            self.abort()
            raise VerificationError(
                f"{self.path.name} was to hold {self.frames} frames, {self.written} came: "
                "the file is incomplete and must not be used"
            )
        try:
            self._encoder.finish()
            self._encoder = None
            self._sink.finish()
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Close without completing: what is on the disk is no audio file; calling it again does nothing."""
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.abort()
        self._sink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _check(self, audio: Audio) -> None:
        if audio.ndim != 2 or audio.shape[0] != self.channels:
            raise ArgumentValueError(
                f"audio must be (channels, frames) with {self.channels} channels; got {audio.shape}"
            )
        if audio.dtype != np.float32:
            raise ArgumentTypeError(f"audio must be float32; got {audio.dtype}. Use audio.astype('float32')")
        if self.written + audio.shape[1] > self.frames:
            raise VerificationError(
                f"{self.path.name} was to hold {self.frames} frames; {self.written + audio.shape[1]} came"
            )
        if audio.shape[1] == 0:
            return
        peak = max(float(audio.max()), -float(audio.min()))
        if not np.isfinite(peak):
            frame = int(np.flatnonzero(~np.isfinite(audio).all(axis=0))[0])
            at = (self.written + frame) / self.sample_rate
            value = audio[:, frame][~np.isfinite(audio[:, frame])][0]
            raise VerificationError(
                f"audio for {self.path.name} has {value} at {at:.6f} s (frame {self.written + frame}): "
                "only numbers can be written; a plug-in or the input may be at fault"
            )
        self.peak = max(self.peak, peak)


class _PcmEncoder:
    """Plain samples behind a header that is final."""

    def __init__(self, sink: Sink, header: bytes, pack: Callable[[Samples], memoryview]) -> None:
        self._sink = sink
        self._pack = pack
        self._bytes = 0
        sink.write(header)
        sink.check()

    def write(self, samples: Samples) -> None:
        data = self._pack(samples)
        self._bytes += len(data)
        self._sink.write(data)

    def finish(self) -> None:
        if self._bytes % 2:
            self._sink.write(b"\0")

    def abort(self) -> None:
        pass


def _open_encoder(
    path: Path,
    fmt: OutputFormat,
    sample_rate: int,
    channels: int,
    frames: int,
    tags: Mapping[str, Sequence[str]],
    time_reference: int | None,
) -> tuple[Sink, Encoder]:
    """The file and what fills it; leaves nothing open when it fails."""
    depth = fmt.bit_depth
    header = b""
    if fmt.container == "wav":
        header = wav_header(
            depth, sample_rate, channels, frames, tags=tags, id3=id3_tag(tags), time_reference=time_reference
        )
    elif fmt.container == "aiff":
        header = aiff_header(depth, sample_rate, channels, frames, id3=id3_tag(tags))
    size = len(header) + frames * channels * BYTES_PER_SAMPLE[depth] if header else None
    sink = Sink(path, size)
    try:
        match fmt.container:
            case "wav":
                return sink, _PcmEncoder(sink, header, partial(wav_samples, bit_depth=depth))
            case "aiff":
                return sink, _PcmEncoder(sink, header, partial(aiff_samples, bit_depth=depth))
            case "flac":
                return sink, FlacEncoder(sink, depth, sample_rate, channels, frames, tags)
            case "ogg":
                return sink, OggEncoder(sink, sample_rate, channels, tags)
            case "mp3":
                return sink, Mp3Encoder(sink, sample_rate, channels, frames, tags)
    except BaseException:
        sink.close()
        raise
