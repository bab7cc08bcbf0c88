"""What happens to a stem between the player and the record: rooms, doubling, dynamics, overdrive.

Cheap enough to be drawn anew for every segment. Shapes: `(channels, n)` in, the same out.
"""

from __future__ import annotations

import numpy as np
import scipy.fft

from ..audio import Audio

_LONGEST_S = 1.2
"""Of a room's response; what lasts longer is cut off at -20 dB or below."""
_BLOCK = 512
_LARGEST_DB = 9.0


def in_a_room(audio: Audio, sample_rate: int, rng: np.random.Generator) -> Audio:
    """The stem in a room of its own: decaying noise, darker the later, different left and right.

    Below 30 to 300 Hz it stays dry, as engineers leave it.
    """
    channels, frames = audio.shape
    decay_s = 0.15 * 16.0 ** rng.random()  # to -60 dB
    length = max(64, int(min(decay_s, _LONGEST_S) * sample_rate))
    t = np.arange(length, dtype=np.float32) / sample_rate
    response: Audio = rng.standard_normal((channels, length), np.float32)
    if channels == 2 and rng.random() < 0.3:
        response[1] += response[0] * np.float32(rng.uniform(0.5, 4.0))
    # its running mean, which takes over as time goes on
    dark = np.cumsum(response, axis=1)
    reach = int(rng.integers(4, 40))
    dark[:, reach:] -= dark[:, :-reach].copy()
    dark /= np.float32(np.sqrt(reach))
    late = np.minimum(t / np.float32(0.4 * decay_s), 1.0)
    decay: Audio = np.exp(t * np.float32(-6.9 / decay_s))
    response *= 1.0 - late
    response += dark * late
    response *= decay
    response /= np.sqrt(np.square(response).sum(axis=1, keepdims=True)) + np.float32(1e-9)
    before = int(rng.uniform(0.0, 0.03) * sample_rate)
    size = scipy.fft.next_fast_len(frames + length, real=True)
    hz = np.arange(size // 2 + 1, dtype=np.float32) * np.float32(sample_rate / size)
    corner = np.float32(rng.uniform(30.0, 300.0))
    spectra = scipy.fft.rfft(response, size, axis=1) * (hz * hz / (hz * hz + corner * corner))
    wet = scipy.fft.irfft(scipy.fft.rfft(audio, size, axis=1) * spectra, size, axis=1)[:, :frames]
    level = np.float32(10.0 ** (rng.uniform(-20.0, 0.0) / 20.0))
    out = audio.copy()
    out[:, before:] += level * wet[:, : frames - before]
    out /= np.sqrt(np.float32(1.0) + level * level)
    return out


def doubled(audio: Audio, sample_rate: int, rng: np.random.Generator) -> Audio:
    """The middle heard again on the sides, milliseconds late; left and right still add up to the same.

    It is heard twice with opposite signs, which leaves the lowest frequencies in the middle.
    """
    if len(audio) != 2:
        return audio
    first = int(rng.uniform(0.001, 0.02) * sample_rate)
    second = first + max(1, int(rng.uniform(0.0002, 0.002) * sample_rate))
    middle = audio.sum(axis=0) * np.float32(0.5 * 10.0 ** (rng.uniform(-20.0, -3.0) / 20.0))
    side = np.zeros_like(middle)
    side[first:] += middle[:-first]
    side[second:] -= middle[:-second]
    out: Audio = audio + np.stack([side, -side])
    return out


def reshaped(audio: Audio, rng: np.random.Generator) -> Audio:
    """Loud and soft driven further apart, or nearer: by a part of how far each moment is from the mean."""
    frames = audio.shape[1]
    count = frames // _BLOCK
    if count < 2:
        return audio
    blocks = audio[:, : count * _BLOCK].reshape(len(audio), count, _BLOCK)
    power = np.einsum("cnk,cnk->n", blocks, blocks) / (_BLOCK * len(audio))
    if not power.any():
        return audio
    levels = 10.0 * np.log10(np.maximum(power, 1e-4 * power.max()))
    slope = float(np.clip(rng.normal(0.12, 0.25), -0.4, 0.6))
    gains_db = np.clip(slope * (levels - 10.0 * np.log10(power.mean())), -_LARGEST_DB, _LARGEST_DB)
    centres = (np.arange(count) + 0.5) * _BLOCK
    gain = np.interp(np.arange(frames), centres, 10.0 ** (gains_db / 20.0))
    out: Audio = audio * gain.astype(np.float32)
    return out


def overdriven(audio: Audio, rng: np.random.Generator) -> Audio:
    """Peaks bent by a hyperbolic tangent, as loud as before."""
    peak = float(np.abs(audio).max(initial=0.0))
    if peak == 0.0:
        return audio
    before = float(np.vdot(audio, audio))
    out: Audio = np.tanh(audio * np.float32(rng.uniform(0.7, 4.0) / peak))
    out *= np.float32(np.sqrt(before / float(np.vdot(out, out))))
    return out
