"""Which sample rates and channels each container can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..audio import Container, OutputFormat
from ..errors import ArgumentValueError


@dataclass(frozen=True)
class _Limits:
    name: str
    rates: range | tuple[int, ...]
    channels: int

    def nearest(self, rate: int) -> str:
        """The legal rates next to `rate`, as one would say them."""
        if isinstance(self.rates, range):
            return str(min(max(rate, self.rates[0]), self.rates[-1]))
        below = [legal for legal in self.rates if legal < rate][-1:]
        above = [legal for legal in self.rates if legal > rate][:1]
        return " or ".join(str(legal) for legal in below + above)


_LIMITS: Mapping[Container, _Limits] = {
    "wav": _Limits("WAV", range(1, 1_000_001), 1024),
    "aiff": _Limits("AIFF", range(1, 1_000_001), 1024),
    "flac": _Limits("FLAC", range(1, 655_351), 8),
    "mp3": _Limits("MP3", (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000), 2),
    # libvorbis has no tuning above 200 kHz, and libsndfile crashes there.
    "ogg": _Limits("Ogg Vorbis", range(1000, 200_001), 255),
}


def check_format(fmt: OutputFormat, sample_rate: int, channels: int, frames: int = 0) -> None:
    """Raise ArgumentValueError for what no file of this format can hold, saying what would do."""
    limits = _LIMITS[fmt.container]
    name = limits.name
    if sample_rate not in limits.rates:
        raise ArgumentValueError(
            f"{name} has no {sample_rate} Hz: give --sample-rate {limits.nearest(sample_rate)}"
            + (" or --format wav" if fmt.container != "wav" else "")
        )
    if not 1 <= channels <= limits.channels:
        raise ArgumentValueError(
            f"{name} holds 1 to {limits.channels} channels, not {channels}"
            + (": choose --format wav" if fmt.container != "wav" else "")
        )
    if frames < 0:
        raise ArgumentValueError(f"a file holds 0 or more frames; got {frames}")
