"""A voice as WORLD sees it: spectral envelope, aperiodicity and pitch over time, and where its syllables are.

Envelopes are decibels on 96 bands spaced evenly on the ERB-rate scale (Glasberg and Moore 1990), from 30 Hz
to 22.05 kHz, every 5 ms, relative to the loudest frame. A quarter of a byte per band and millisecond makes
a bank of thousands of phrases small, and everything a singer does to a voice (formant shifts, missing
treble, loudness) is a short matrix product on bands.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentValueError, AudioFileError, AudioFileNotFoundError, ModelMissingError

Floats = NDArray[np.float32]

BANDS = 96
FRAME_S = 0.005
"""Time between two frames of a track."""
FLOOR_DB = -110.0
STEP_DB = 0.5
NOISE_HZ = (0.0, 3000.0, 6000.0, 9000.0, 12000.0, 15000.0)
"""Where the noise share of a track is known; it is interpolated between."""


def erb_rate(hz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Frequency on the ERB-rate scale: 21.4 log10(1 + 0.00437 f)."""
    return np.asarray(21.4 * np.log10(1 + 0.00437 * np.asarray(hz, np.float64)))


@lru_cache
def band_hz() -> NDArray[np.float64]:
    """The centre frequency of each band."""
    rates = np.linspace(erb_rate(30.0), erb_rate(22050.0), BANDS)
    return np.asarray((10 ** (rates / 21.4) - 1) / 0.00437)


def band_positions(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where frequencies fall on the row of bands, as fractional indices within it."""
    low, high = erb_rate(30.0), erb_rate(22050.0)
    return np.asarray(np.clip((erb_rate(hz) - low) / (high - low) * (BANDS - 1), 0, BANDS - 1))


def interpolation(positions: NDArray[np.float64], rows: int) -> Floats:
    """The matrix that interpolates `rows` values linearly at fractional positions.

    Shape: positions `(n,)`, returns `(rows, n)`.
    """
    whole = np.minimum(positions.astype(int), rows - 2)
    part = positions - whole
    matrix = np.zeros((rows, len(positions)), np.float32)
    matrix[whole, np.arange(len(positions))] = 1 - part
    matrix[whole + 1, np.arange(len(positions))] += part
    return matrix


@dataclass(frozen=True)
class VoiceTrack:
    """A phrase or a few held notes of one voice."""

    envelope_db: Floats
    """`(frames, BANDS)`, power relative to the loudest frame."""
    noise: Floats
    """`(frames, len(NOISE_HZ))`: the share of the amplitude that is noise, 0 to 1."""
    f0_hz: Floats
    """`(frames,)`, 0 where unvoiced."""
    syllables: NDArray[np.int32]
    """`(syllables, 4)` frames: start, start of the vowel, end of the vowel, end."""
    bandwidth_hz: float
    """Above this the envelope is not known (the source's sampling rate was too low)."""

    @property
    def frames(self) -> int:
        """How many frames of `FRAME_S`."""
        return len(self.f0_hz)

    @property
    def median_hz(self) -> float:
        """The median pitch of what is voiced; 0 for a whisper."""
        voiced = self.f0_hz[self.f0_hz > 0]
        return float(np.median(voiced)) if len(voiced) else 0.0

    @property
    def voiced_share(self) -> float:
        """How much of the vowels is voiced, 0 to 1."""
        voiced = [np.mean(self.f0_hz[a:b] > 0) for _, a, b, _ in self.syllables if b > a]
        return float(np.mean(voiced)) if voiced else 0.0

    def save(self, path: Path) -> None:
        """Write the track; the file appears whole or not at all."""
        partial = path.with_name(f".{path.name}.partial")
        with partial.open("wb") as file:
            np.savez_compressed(
                file,
                envelope=np.clip((self.envelope_db - FLOOR_DB) / STEP_DB + 0.5, 0, 255).astype(np.uint8),
                noise=(np.clip(self.noise, 0, 1) * 255 + 0.5).astype(np.uint8),
                f0=self.f0_hz.astype(np.float16),
                syllables=self.syllables.astype(np.int32),
                bandwidth=np.float32(self.bandwidth_hz),
            )
        partial.replace(path)

    @staticmethod
    def load(path: Path) -> VoiceTrack:
        """Read a track that `save` wrote; AudioFileError when it is something else."""
        if not path.is_file():
            raise AudioFileNotFoundError(f"no voice track at {path}")
        try:
            with np.load(path, allow_pickle=False) as stored:
                return VoiceTrack(
                    envelope_db=stored["envelope"].astype(np.float32) * STEP_DB + FLOOR_DB,
                    noise=stored["noise"].astype(np.float32) / 255,
                    f0_hz=stored["f0"].astype(np.float32),
                    syllables=stored["syllables"],
                    bandwidth_hz=float(stored["bandwidth"]),
                )
        except (KeyError, ValueError, OSError) as error:
            raise AudioFileError(f"{path} is not a voice track ({error}): build the bank anew") from error


def _world() -> Any:
    """WORLD's extension module, loaded past its package.

    pyworld 0.3.5 asks setuptools for `pkg_resources`, which setuptools 82 no longer has, only to learn its
    own version; the compiled module beside it needs nothing of that.
    """
    import sys
    from importlib.util import find_spec, module_from_spec, spec_from_file_location

    if (known := sys.modules.get("pyworld.pyworld")) is not None:
        return known
    package = find_spec("pyworld")
    folders = package.submodule_search_locations if package else None
    found = [file for folder in folders or () for file in sorted(Path(folder).glob("pyworld.*.*"))]
    binaries = [file for file in found if file.suffix in (".so", ".pyd")]
    if not binaries:
        raise ModelMissingError("voices are analysed by pyworld, which is not installed: pip install pyworld")
    spec = spec_from_file_location("pyworld.pyworld", binaries[0])
    if spec is None or spec.loader is None:
        raise ModelMissingError(f"{binaries[0]} cannot be loaded: reinstall pyworld")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["pyworld.pyworld"] = module
    return module


def analyse(audio: Floats, sample_rate: int, highest_hz: float = 500.0) -> VoiceTrack:
    """Analyse one voice by WORLD (Morise et al. 2016: DIO, StoneMask, CheapTrick, D4C).

    Shape: audio `(frames,)`. Raises ArgumentValueError when it is silent or shorter than a
    syllable, ModelMissingError without pyworld.
    """
    if len(audio) < 0.1 * sample_rate or float(np.abs(audio).max()) < 1e-4:
        raise ArgumentValueError("a voice to analyse must last 0.1 s or more and not be silent")
    world = _world()
    # A trace of noise keeps digital silence out of the logarithms.
    x = audio.astype(np.float64) / float(np.abs(audio).max())
    x += 1e-5 * np.random.default_rng(len(audio)).standard_normal(len(audio))
    f0, times = world.dio(x, sample_rate, f0_floor=65.0, f0_ceil=highest_hz, frame_period=FRAME_S * 1000)
    f0 = world.stonemask(x, f0, times, sample_rate)
    power = world.cheaptrick(x, f0, times, sample_rate)
    coded = world.code_aperiodicity(world.d4c(x, f0, times, sample_rate), sample_rate)
    known_hz = sample_rate / 2 * 0.93  # above, anti-aliasing filters slope down
    bins_hz = np.linspace(0, sample_rate / 2, power.shape[1])
    decibels = 10 * np.log10(np.maximum(power, 1e-20)) @ _averaging(bins_hz)
    decibels[:, band_hz() > known_hz] = FLOOR_DB
    decibels -= np.percentile(decibels.max(axis=1), 99)
    noise = np.ones((len(f0), len(NOISE_HZ)), np.float32)
    noise[:, 1 : 1 + coded.shape[1]] = 10 ** (coded[:, : len(NOISE_HZ) - 1] / 20)
    noise[:, 1 + coded.shape[1] :] = noise[:, [coded.shape[1]]]
    noise[:, 0] = np.minimum(0.05, noise[:, 1])
    noise[f0 <= 0] = 1.0
    track = VoiceTrack(
        np.maximum(decibels, FLOOR_DB).astype(np.float32),
        noise,
        f0.astype(np.float32),
        np.zeros((0, 4), np.int32),
        known_hz,
    )
    return with_syllables(_trimmed(track))


def _averaging(bins_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix from FFT bins to bands: triangles as wide as a band, never narrower than two bins."""
    centres = band_positions(bins_hz)
    matrix = np.zeros((len(bins_hz), BANDS))
    for band, hz in enumerate(band_hz()):
        weights = np.maximum(0.0, 1 - np.abs(centres - band))
        nearest = interpolation(np.array([min(hz / bins_hz[1], len(bins_hz) - 1.0)]), len(bins_hz))[:, 0]
        matrix[:, band] = weights / weights.sum() if np.count_nonzero(weights) > 2 else nearest
    return matrix


def loudness_db(envelope_db: Floats) -> Floats:
    """The level of each frame between 250 Hz and 3.5 kHz, where vowels are loud and hiss is not."""
    chosen = (band_hz() > 250) & (band_hz() < 3500)
    return np.asarray(10 * np.log10(np.mean(10 ** (envelope_db[:, chosen] / 10), axis=1) + 1e-12), np.float32)


def hissiness(envelope_db: Floats) -> Floats:
    """How much a frame is a hiss rather than a vowel, 0 to 1, by where its power is. Shape: `(frames,)`."""
    hz = band_hz()
    low, high = (hz > 200) & (hz < 1500), (hz > 3000) & (hz < 7400)
    gap = envelope_db[:, high].max(axis=1) - envelope_db[:, low].max(axis=1)
    return np.asarray(1 / (1 + np.exp(-(gap + 3) / 3)), np.float32)


def mended(track: VoiceTrack) -> VoiceTrack:
    """The track with the frames voiced that a pitch tracker lost in the middle of a vowel.

    A whisper gets a breathy voice in all its vowels: it can be sung then.
    """
    voiced = track.f0_hz > 0
    vowel = np.zeros(track.frames, bool)
    for _, begin, stop, _ in track.syllables:
        vowel[begin:stop] = True
    if track.voiced_share < 0.3:
        breathy = np.where(vowel[:, None], np.minimum(track.noise, 0.6), track.noise).astype(np.float32)
        return replace(track, f0_hz=np.where(vowel, 150, 0).astype(np.float32), noise=breathy)
    lost = vowel & ~voiced & (hissiness(track.envelope_db) < 0.3)
    if not lost.any():
        return track
    known = np.flatnonzero(voiced)
    f0, noise = track.f0_hz.copy(), track.noise.copy()
    f0[lost] = np.interp(np.flatnonzero(lost), known, f0[known])
    for column in noise.T:
        column[lost] = np.interp(np.flatnonzero(lost), known, column[known])
    return replace(track, f0_hz=f0, noise=noise)


def _trimmed(track: VoiceTrack) -> VoiceTrack:
    """Without the silence around the phrase."""
    level = track.envelope_db.max(axis=1)
    heard = np.flatnonzero(level > -45)
    part = slice(max(0, heard[0] - 4), heard[-1] + 5)
    return replace(
        track, envelope_db=track.envelope_db[part], noise=track.noise[part], f0_hz=track.f0_hz[part]
    )


def with_syllables(track: VoiceTrack) -> VoiceTrack:
    """The track with its syllables found: peaks of loudness 80 ms apart that stand 3 dB above the valleys."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    level = gaussian_filter1d(loudness_db(track.envelope_db), 3.0)
    voiced = track.f0_hz > 0
    height = float(level.max()) - 28
    shape = track.envelope_db[:, (band_hz() > 250) & (band_hz() < 4000)]
    shape = gaussian_filter1d(shape - shape.mean(axis=1, keepdims=True), 2.0, axis=0)
    peaks, _ = find_peaks(
        np.pad(level, 1, constant_values=-120.0), height=height, distance=16, prominence=3.0
    )
    rows = []
    start = 0
    for k, peak in enumerate(peaks - 1):
        if k + 1 < len(peaks):
            end = int(peak + np.argmin(level[peak : peaks[k + 1]]))
        else:
            end = track.frames
        inside = level[start:end] > level[peak] - 6
        if voiced[peak]:
            inside &= voiced[start:end]
        # A vowel is also one sound: frames like the loudest one.
        spectrum = shape[start:end] - shape[peak]
        inside &= np.abs(spectrum).mean(axis=1) < 7
        inside[peak - start] = True
        breaks = np.flatnonzero(~inside) + start
        before, after = breaks[breaks < peak], breaks[breaks > peak]
        vowel = (before[-1] + 1 if len(before) else start), (after[0] if len(after) else end)
        if vowel[1] - vowel[0] >= 4:
            rows.append((start, *vowel, end))
            start = end
    return replace(track, syllables=np.array(rows, np.int32).reshape(-1, 4))
