"""The tone of a voice: formant shift, the treble that speech synthesis lacks, a spectrum as in recordings."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .voice_track import BANDS, Floats, VoiceTrack, band_hz, band_positions, hissiness, interpolation

Array = NDArray[np.float64]

BALANCE_HZ = (93, 187, 375, 750, 1250, 1750, 2500, 3500, 5000, 7000, 9000, 11000, 14000, 18000)
BALANCE_DB = (-9, 0, 0, -2, -8, -11, -16, -20, -20, -18, -20, -24, -29, -40)
"""Long-term power density of recorded singing (dry and produced takes of several singers, measured)."""

RUSTLE = np.array([0, 0.1, 0.3, 0.5, 0.65, 0.75], np.float32)
"""The share of noise in a clear voice, at `NOISE_HZ`."""


@dataclass(frozen=True)
class Tone:
    """What makes one singer sound unlike another with the same words."""

    warp: float
    """Formants are this much higher than the source's."""
    voiced_slope_db: float
    """Per octave above what is known of the source, in vowels."""
    hiss_slope_db: float
    """The same in consonants."""
    sibilance_db: float
    """Gain on hiss."""
    balance_db: tuple[float, ...]
    """The long-term spectrum to come near to, per band."""
    faith: float
    """How near, 0 to 1."""
    phase: float
    """See `vocoder.synthesise`."""
    pulsation: float
    rustle: float
    """How noisy the treble of vowels is, about 1."""

    @staticmethod
    def draw(rng: np.random.Generator, lowest: float, highest: float) -> Tone:
        """Draw a tone with formants shifted by a factor from `lowest` to `highest`."""
        octaves = np.log2(band_hz() / 1000)
        target = np.interp(octaves, np.log2(np.array(BALANCE_HZ) / 1000), BALANCE_DB)
        target = target + rng.normal(-0.5, 1.3) * np.clip(octaves, -1.5, 3)
        target += rng.normal(0, 3.5) * (1 / (1 + 2.0 ** (-4 * (octaves - 2.3))))  # air
        target += rng.normal(0, 3) * np.exp(-0.5 * ((octaves - rng.uniform(0.5, 2)) / 0.5) ** 2)  # presence
        target += np.interp(octaves, np.arange(-6, 6), rng.normal(0, 1.8, 12))
        return Tone(
            warp=float(np.exp(rng.uniform(np.log(lowest), np.log(highest)))),
            voiced_slope_db=float(rng.uniform(-16, -7)),
            hiss_slope_db=float(rng.uniform(-6, 2)),
            sibilance_db=float(rng.normal(2.5, 3)),
            balance_db=tuple(float(v) for v in target),
            faith=float(rng.uniform(0.7, 1)),
            phase=float(rng.uniform(0.6, 1.1)),
            pulsation=float(rng.uniform(0, 0.9)),
            rustle=float(rng.uniform(0.3, 1.3)),
        )

    def hummed(self) -> Tone:
        """The tone through closed lips."""
        octaves = np.maximum(np.log2(band_hz() / 450), 0)
        closed = np.array(self.balance_db) - 14 * octaves
        return replace(self, balance_db=tuple(float(v) for v in closed), faith=1.0)

    def coloured(self, track: VoiceTrack) -> VoiceTrack:
        """The track up to 22 kHz, with its formants shifted and its hiss at the tone's level."""
        hz = band_hz()
        known = int(np.count_nonzero(hz <= track.bandwidth_hz))
        envelope = track.envelope_db.copy()
        hissing = hissiness(envelope)[:, None]
        if known < BANDS:
            octaves = np.log2(hz[known:] / hz[known - 1])
            slope = self.voiced_slope_db + hissing * (self.hiss_slope_db - self.voiced_slope_db)
            edge = envelope[:, known - 5 : known].mean(axis=1, keepdims=True)
            roll = -10 * np.maximum(np.log2(hz[known:] / 12000), 0)
            envelope[:, known:] = edge + slope * octaves + roll
        hiss = self.sibilance_db / (1 + (3000 / hz) ** 4)
        envelope += (hissing * hiss).astype(np.float32)
        envelope = envelope @ interpolation(band_positions(hz / self.warp), BANDS)
        # What harmonics there are above 6 kHz drown in noise; speech synthesis at 16 kHz cannot tell.
        noise = np.maximum(track.noise, np.minimum(self.rustle * RUSTLE, 0.95))
        return replace(track, envelope_db=envelope, noise=noise, bandwidth_hz=22050.0)

    def balanced(self, envelope_db: Floats) -> Floats:
        """The rows with an equaliser on top that brings their long-term spectrum near the tone's."""
        from scipy.ndimage import gaussian_filter1d

        loud = envelope_db[envelope_db.max(axis=1) > -60]
        if not len(loud):
            return envelope_db
        own = 10 * np.log10(np.mean(10 ** (loud / 10), axis=0) + 1e-11)
        target = np.array(self.balance_db)
        middle = (band_hz() > 200) & (band_hz() < 1200)
        gap = (target - target[middle].mean()) - (own - own[middle].mean())
        gain = self.faith * np.clip(gaussian_filter1d(gap, 3.0, mode="nearest"), -14, 20)
        gain = np.where(band_hz() < 120, np.minimum(gain, 3), gain)
        even = envelope_db + gain
        # No consonant much louder than the vowels: it would set the peak of the whole voice.
        power = 10 * np.log10(10 ** (even / 10) @ np.gradient(band_hz()) + 1e-20)
        loudest = np.percentile(power[power > power.max() - 40], 85) + 2
        return np.asarray(even - 0.85 * np.maximum(power - loudest, 0)[:, None], np.float32)
