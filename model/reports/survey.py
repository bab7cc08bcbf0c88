"""What can be drawn and said of one sound: levels, loudness over time, waveform, spectrum; in flat memory."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio
from ..dsp.loudness import LoudnessMeter
from ..dsp.third_octaves import ThirdOctaves

POINTS = 600
"""Most points that a curve keeps."""

FULL_SCALE = 1.0 - 2.0**-15
"""From here on a sample counts as clipped: the largest that 16 bits can hold."""


@dataclass(frozen=True)
class Survey:
    """One sound, measured. Levels in dB; None for what is silent or cannot be told."""

    sample_rate: int
    channels: int
    frames: int
    lufs: float | None
    range_lu: float
    momentary_max_lufs: float | None
    short_term_max_lufs: float | None
    sample_peak_dbfs: float | None
    true_peak_dbtp: float | None
    clipped: int
    """Samples at full scale or above."""
    lows: tuple[float, ...] = ()
    """The waveform: the lowest and highest sample of each stretch, over all channels."""
    highs: tuple[float, ...] = ()
    momentary: tuple[float | None, ...] = ()
    """Loudest momentary loudness of each stretch of the song, in LUFS."""
    short_term: tuple[float | None, ...] = ()
    spectrum_db: tuple[float | None, ...] = ()
    """Long-term power per third-octave band, in dB below a full-scale sine's; see `dsp.third_octaves`."""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate


@dataclass
class _Waveform:
    """Lowest and highest sample per stretch; stretches double when there are too many of them."""

    stretch: int = 1024
    lows: list[float] = field(default_factory=list)
    highs: list[float] = field(default_factory=list)

    def push(self, audio: Audio, at: int) -> None:
        """Take frames that start at frame `at`."""
        low, high = audio.min(axis=0), audio.max(axis=0)
        edges = np.arange(-at % self.stretch, low.size, self.stretch)
        if not edges.size or edges[0] != 0:
            edges = np.concatenate([[0], edges])
        new_lows = np.minimum.reduceat(low, edges).tolist()
        new_highs = np.maximum.reduceat(high, edges).tolist()
        if at % self.stretch:
            self.lows[-1] = min(self.lows[-1], new_lows.pop(0))
            self.highs[-1] = max(self.highs[-1], new_highs.pop(0))
        self.lows += new_lows
        self.highs += new_highs
        while len(self.lows) > 2 * POINTS:
            self.lows = [min(self.lows[n : n + 2]) for n in range(0, len(self.lows), 2)]
            self.highs = [max(self.highs[n : n + 2]) for n in range(0, len(self.highs), 2)]
            self.stretch *= 2


class Surveyor:
    """Measures one stream of audio; what it finds does not depend on how the stream is cut.

    With `drawn` it also keeps what pictures need: waveform, loudness over time, spectrum.
    """

    def __init__(self, sample_rate: int, channels: int, *, drawn: bool = True) -> None:
        self._rate, self._channels = sample_rate, channels
        self.meter = LoudnessMeter(sample_rate, channels)
        self._frames = self._clipped = 0
        self._waveform = _Waveform() if drawn else None
        self._spectrum = ThirdOctaves(sample_rate, channels) if drawn else None

    def push(self, audio: Audio) -> None:
        """Take the next block, `(channels, n)`."""
        if not audio.shape[1]:
            return
        self.meter.push(audio)
        if max(float(audio.max()), -float(audio.min())) >= FULL_SCALE:
            self._clipped += int(np.count_nonzero(np.abs(audio) >= FULL_SCALE))
        if self._waveform is not None and self._spectrum is not None:
            self._waveform.push(audio, self._frames)
            self._spectrum.push(audio)
        self._frames += audio.shape[1]

    def finish(self) -> Survey:
        """Everything that was found."""
        found = self.meter.result()
        plain = Survey(
            sample_rate=self._rate,
            channels=self._channels,
            frames=self._frames,
            lufs=finite(found.integrated_lufs),
            range_lu=round(found.range_lu, 4),
            momentary_max_lufs=finite(found.momentary_max_lufs),
            short_term_max_lufs=finite(found.short_term_max_lufs),
            sample_peak_dbfs=finite(found.sample_peak_dbfs),
            true_peak_dbtp=finite(found.true_peak_dbtp),
            clipped=self._clipped,
        )
        if self._waveform is None or self._spectrum is None:
            return plain
        time = self.meter.over_time()
        return replace(
            plain,
            lows=tuple(round(value, 4) for value in self._waveform.lows),
            highs=tuple(round(value, 4) for value in self._waveform.highs),
            momentary=_thinned(time.momentary),
            short_term=_thinned(time.short_term),
            spectrum_db=self._spectrum.finish(),
        )


def finite(value: float) -> float | None:
    """A level as JSON can hold it: None for minus infinity.

    >>> finite(float("-inf")), finite(-14.00049)
    (None, -14.0005)
    """
    return round(value, 4) if math.isfinite(value) else None


def _thinned(values: NDArray[np.float64]) -> tuple[float | None, ...]:
    """At most `POINTS` values, the loudest of each stretch."""
    if not values.size:
        return ()
    step = -(-values.size // POINTS)
    loudest = np.maximum.reduceat(values, np.arange(0, values.size, step))
    return tuple(round(value, 2) if math.isfinite(value) else None for value in loudest.tolist())
