"""What is done to the sound of a drum kit: tuning, equalisation and decay of one-shots, room, width, bus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio
from .drum_models import Range
from .drum_synthesis import RATE, Signal, good_length

_TUNING = 48
"""Tuning resamples by a ratio of small integers over this, so that all layers of a piece agree exactly."""
_LOUD_FRAMES = int(0.05 * RATE)


@dataclass(frozen=True)
class Character:
    """One way to make a kit sound, as ranges a song draws from."""

    room_s: Range
    """Reverberation time to -60 dB."""
    send_db: Range
    low_pass_hz: Range = (16000.0, 20000.0)
    tilt_db: Range = (-1.6, 0.4)
    """Per octave, about 1 kHz."""
    low_db: Range = (0.0, 6.0)
    """A shelf below 75 Hz, on the kick more than on the rest."""
    semitones: Range = (-3.0, 3.0)
    damping: float = 0.4
    """How often a piece is damped."""
    drive: Range = (-0.5, 1.2)
    bits: Range = (0.0, 0.0)
    """Word length of an early sampler; 0 for none."""
    hold: Range = (1.0, 1.0)
    """Frames a sample is held for, as at a low sampling rate."""
    squeeze_db: Range = (-4.0, 6.0)
    """How far below its peaks compression of the whole kit begins."""
    gate: float = 0.0
    """How often the room of the snare is cut off."""


CHARACTERS: MappingProxyType[str, Character] = MappingProxyType(
    {
        "clean": Character((0.2, 0.6), (-26.0, -14.0)),
        "dry": Character((0.08, 0.25), (-34.0, -18.0), damping=0.8),
        "bigroom": Character((0.6, 1.8), (-15.0, -5.0), tilt_db=(-1.5, 0.3), damping=0.15),
        "gated": Character((0.8, 1.6), (-12.0, -3.0), gate=0.9, squeeze_db=(0.0, 6.0)),
        "soft": Character((0.2, 0.9), (-22.0, -10.0), (7000.0, 16000.0), (-2.5, -0.6), damping=0.2),
        "lofi": Character(
            (0.1, 0.4),
            (-26.0, -12.0),
            (3500.0, 11000.0),
            (-2.0, 0.0),
            drive=(0.5, 2.5),
            bits=(7.0, 12.0),
            hold=(1.0, 4.0),
        ),
        "break": Character(
            (0.1, 0.5),
            (-20.0, -8.0),
            (7000.0, 16000.0),
            (-1.0, 0.8),
            (-4.0, 2.0),
            (-1.0, 5.0),
            0.6,
            (0.3, 1.8),
            (0.0, 12.0),
            (1.0, 2.0),
            (0.0, 10.0),
        ),
        "hard": Character(
            (0.1, 0.5),
            (-28.0, -14.0),
            tilt_db=(-0.8, 1.0),
            low_db=(1.0, 8.0),
            drive=(0.5, 3.0),
            squeeze_db=(0.0, 8.0),
        ),
        "big808": Character(
            (0.1, 0.4), (-34.0, -18.0), tilt_db=(-1.0, 0.8), low_db=(1.0, 8.0), drive=(0.0, 1.0), damping=0.3
        ),
    }
)
"""All characters by name."""

_TUNE_TOGETHER = MappingProxyType(
    {
        "tom-low": "toms",
        "tom-mid": "toms",
        "tom-high": "toms",
        "hihat-open": "hats",
        "hihat-closed": "hats",
        "hihat-pedal": "hats",
    }
)
_ROOMY_DB = MappingProxyType(
    {"kick": -7.0, "snare": 2.0, "clap": 3.0, "tom-low": 1.0, "tom-mid": 1.0, "tom-high": 1.0, "shaker": -3.0}
)
_HIGH_PASS_HZ = MappingProxyType(
    {
        "hihat-closed": 250.0,
        "hihat-open": 250.0,
        "hihat-pedal": 250.0,
        "ride": 180.0,
        "crash": 150.0,
        "splash": 200.0,
        "shaker": 400.0,
        "tambourine": 400.0,
    }
)


@dataclass(frozen=True)
class Colour:
    """Tuning, equalisation and damping of one part of a piece."""

    steps: int = _TUNING
    """The tuning: the sound is resampled to `steps / 48` of its length."""
    tilt_db: float = 0.0
    low_db: float = 0.0
    bell_hz: float = 1000.0
    bell_db: float = 0.0
    high_pass_hz: float = 20.0
    low_pass_hz: float = 20000.0
    decay_s: float = float("inf")
    """Damping: time in which it takes away 60 dB."""

    def applied(self, shot: Audio, gain_db: float) -> Audio:
        """The sound coloured, its loudest 50 ms brought to `gain_db`. Shape: `(c, frames)`, frames change."""
        blocks = good_length(-(-(shot.shape[1] + 256) // _TUNING))
        before, after = blocks * _TUNING, blocks * self.steps
        # Resampling by cutting or padding the spectrum; equalisation costs one product more.
        spectrum = np.fft.rfft(shot, before)
        hz = np.fft.rfftfreq(before, 1.0 / RATE).astype(np.float32) * np.float32(_TUNING / self.steps)
        out = np.fft.irfft(spectrum * self._curve(np.maximum(hz, 5.0)), after).astype(np.float32)
        out = out[:, : int(shot.shape[1] * self.steps / _TUNING) + 200]
        if np.isfinite(self.decay_s):
            t = np.arange(out.shape[1], dtype=np.float32) / np.float32(RATE)
            out *= np.exp(t * np.float32(-6.9078 / self.decay_s))
        loudest = np.abs(out).max(axis=0) > 1e-3 * float(np.abs(out).max(initial=1e-9))
        out = out[:, : int(np.flatnonzero(loudest)[-1]) + 1 if loudest.any() else 1]
        fade = min(out.shape[1], 256)
        out[:, -fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
        return out * np.float32(10.0 ** (gain_db / 20.0) / max(loudness(out), 1e-9))

    def _curve(self, hz: Signal) -> Signal:
        """Gain by frequency."""
        octaves = np.log2(np.clip(hz, 60.0, 14000.0) / 1000.0)
        db = self.tilt_db * octaves
        db += self.low_db / (1.0 + (hz / 75.0) ** 2)
        db += self.bell_db * np.exp(-0.5 * (np.log2(hz / self.bell_hz) / 0.45) ** 2)
        gain = 10.0 ** (db / 20.0)
        gain /= np.sqrt((1.0 + (self.high_pass_hz / hz) ** 4) * (1.0 + (hz / self.low_pass_hz) ** 6))
        curve: Signal = gain.astype(np.float32)
        return curve


def loudness(shot: Audio) -> float:
    """RMS of the loudest 50 ms of a one-shot `(c, frames)`, in steps of 25 ms."""
    power = np.mean(shot * shot, axis=0)
    half = _LOUD_FRAMES // 2
    power = np.pad(power, (0, -len(power) % half + half))
    sums = power.reshape(-1, half).sum(axis=1)
    return float(np.sqrt((sums[1:] + sums[:-1]).max() / _LOUD_FRAMES))


def placed(shot: Audio, pan: float, width: float) -> Audio:
    """A one-shot `(1 or 2, frames)` as `(2, frames)`: its own image narrowed to `width`, at `pan`."""
    angle = 0.25 * np.pi * (1.0 + pan)
    left, right = np.float32(2.0**0.5 * np.cos(angle)), np.float32(2.0**0.5 * np.sin(angle))
    mid = 0.5 * (shot[0] + shot[-1])
    side = np.float32(0.5 * width) * (shot[0] - shot[-1])
    return np.stack([left * (mid + side), right * (mid - side)])


class Room:
    """A room drawn once for a kit: a few early reflections, then noise that dies away, darker as it goes."""

    def __init__(self, seconds: float, width: float, gate_s: float, rng: np.random.Generator) -> None:
        frames = max(int(min(seconds, 1.6) * RATE), 256)
        t = np.arange(frames, dtype=np.float32) / np.float32(RATE)
        noise = rng.standard_normal((2, frames), np.float32)
        noise[1] = width * noise[1] + np.sqrt(1.0 - width**2) * noise[0]
        mean = 0.5 * (noise[0] + noise[1])
        noise = mean + width * (noise - mean)
        spectrum = np.fft.rfft(noise, good_length(frames))
        hz = np.fft.rfftfreq(good_length(frames), 1.0 / RATE)
        bright, dark = rng.uniform(4000.0, 12000.0), rng.uniform(1200.0, 4000.0)
        high = np.fft.irfft(spectrum / (1.0 + (hz / bright) ** 2))[:, :frames]
        low = np.fft.irfft(spectrum / (1.0 + (hz / dark) ** 2))[:, :frames]
        late = (high * np.exp(-14.0 * t / seconds) + low * np.exp(-6.9 * t / seconds)).astype(np.float32)
        late[:, : int(rng.uniform(0.003, 0.02) * RATE)] = 0.0
        for _ in range(int(rng.integers(3, 8))):
            at = int(rng.uniform(0.002, 0.03) * RATE) % frames
            late[:, at] += rng.uniform(1.0, 4.0) * (1.0 + width * rng.normal(0.0, 0.5, 2)).astype(np.float32)
        self._response = late / np.float32(np.sqrt(np.mean(np.sum(late * late, axis=1))))
        self._gate = int(gate_s * RATE)
        self._spectra: dict[int, NDArray[np.complexfloating]] = {}

    def around(self, shot: Audio, send_db: float) -> Audio:
        """A placed one-shot in the room, `(2, more frames)`; below -45 dB the room is left out."""
        if send_db < -45.0:
            return shot
        frames = shot.shape[1] + self._response.shape[1] - 1
        size = good_length(frames)
        if size not in self._spectra:
            self._spectra[size] = np.fft.rfft(self._response, size)
        dry = np.fft.rfft(shot.mean(axis=0), size)
        wet = np.fft.irfft(self._spectra[size] * dry, size)[:, :frames].astype(np.float32)
        wet *= np.float32(10.0 ** (send_db / 20.0))
        if 0 < self._gate < frames:
            wet = wet[:, : max(self._gate, shot.shape[1])]
            wet[:, self._gate :] = 0.0
            wet[:, : self._gate][:, -400:] *= np.linspace(1.0, 0.0, min(400, self._gate), dtype=np.float32)
        wet[:, : shot.shape[1]] += shot
        level = np.abs(wet).max(axis=0)
        last = np.flatnonzero(level > 7e-4 * float(level.max(initial=1e-9)))
        return np.ascontiguousarray(wet[:, : int(last[-1]) + 1 if len(last) else 1])


@dataclass(frozen=True)
class Bus:
    """What the whole kit goes through."""

    drive: float = 0.0
    bits: int = 0
    hold: int = 1
    squeeze_db: float = 0.0

    def through(self, kit: Audio) -> Audio:
        """The kit `(2, frames)`, squeezed, driven and sampled coarsely; as loud as before."""
        if not kit.any():
            return kit
        peak = np.float32(np.abs(kit).max())
        before = float(np.sqrt(np.mean(kit * kit)))
        out = kit
        if self.squeeze_db > 0.5:
            from pedalboard import Compressor

            threshold_db = float(20.0 * np.log10(peak)) - self.squeeze_db
            out = Compressor(threshold_db, 3.0, 8.0, 120.0)(out, RATE)
        if self.drive > 0.05:
            out = np.tanh(out * np.float32(self.drive / peak)) * (peak / np.float32(np.tanh(self.drive)))
        if self.hold > 1:
            out = np.repeat(out[:, :: self.hold], self.hold, axis=1)[:, : kit.shape[1]]
        if self.bits:
            step = np.float32(2.0 ** (1 - self.bits)) * peak
            out = np.round(out / step) * step
        if out is kit:
            return kit
        after = float(np.sqrt(np.mean(out * out)))
        return (out * np.float32(before / max(after, 1e-9))).astype(np.float32)


class Shaper:
    """Draws, for one song, everything that is done to its kit."""

    def __init__(self, rng: np.random.Generator, favourites: Sequence[str]) -> None:
        pool = [*favourites, *favourites, *CHARACTERS]
        self.name = str(rng.choice(pool))
        self._is, self._rng = CHARACTERS[self.name], rng
        self.width = float(
            rng.choice([0.0, rng.uniform(0.2, 0.7), rng.uniform(0.6, 1.0)], p=[0.06, 0.44, 0.5])
        )
        self._tilt_db = rng.uniform(*self._is.tilt_db)
        self._low_db = rng.uniform(*self._is.low_db)
        self._low_pass_hz = rng.uniform(*self._is.low_pass_hz)
        self._send_db = rng.uniform(*self._is.send_db)
        self._tuned: dict[str, float] = {}
        self._tops_db = rng.normal(0.0, 3.0)

    def colour(self, piece: str) -> Colour:
        """The colour of a piece; toms are tuned together, so are hi-hats."""
        rng = self._rng
        group = _TUNE_TOGETHER.get(piece, piece)
        lowest, highest = self._is.semitones
        centre = 0.5 * (lowest + highest) - 0.8 * (piece == "kick")
        drawn = float(np.clip(rng.normal(centre, 1.4), lowest, highest))
        semitones = self._tuned.setdefault(group, drawn)
        damped = rng.random() < self._is.damping
        # Real snares have more middle than bare samples: they are recorded by every microphone of the kit.
        low, high, lift_db = (400.0, 2500.0, 3.0) if piece in ("snare", "clap") else (180.0, 9000.0, 0.0)
        shortest = {"crash": 0.8, "ride": 0.6, "kick": 0.2, "hihat-open": 0.3}.get(piece, 0.12)
        return Colour(
            steps=round(_TUNING * 2.0 ** (-semitones / 12.0)),
            tilt_db=self._tilt_db + rng.normal(0.0, 0.4),
            low_db=self._low_db if piece == "kick" else 0.3 * self._low_db,
            bell_hz=float(np.exp(rng.uniform(np.log(low), np.log(high)))),
            bell_db=rng.normal(lift_db, 3.0),
            high_pass_hz=_HIGH_PASS_HZ.get(piece, 25.0) * rng.uniform(0.6, 1.6),
            low_pass_hz=self._low_pass_hz,
            decay_s=shortest * float(np.exp(rng.uniform(0.0, 1.8))) if damped else float("inf"),
        )

    def sub(self) -> Colour:
        """What a kick passes to become the sub under another kick."""
        return Colour(tilt_db=0.0, low_db=3.0, low_pass_hz=self._rng.uniform(70.0, 140.0))

    def level_db(self, piece: str) -> float:
        """How much louder than usual a piece is: cymbals and hi-hats rise and fall together."""
        return self._tops_db if piece in _HIGH_PASS_HZ else 0.0

    def send_db(self, piece: str) -> float:
        """How loud a piece excites the room."""
        return float(self._send_db + _ROOMY_DB.get(piece, 0.0) + self._rng.normal(0.0, 2.0))

    def room(self) -> Room:
        """The room of the song."""
        seconds = self._rng.uniform(*self._is.room_s)
        gate_s = self._rng.uniform(0.12, 0.3) if self._rng.random() < self._is.gate else 0.0
        return Room(seconds, min(1.0, self.width + 0.1), gate_s, self._rng)

    def bus(self) -> Bus:
        """What the whole kit of the song goes through."""
        rng, of = self._rng, self._is
        bits = round(rng.uniform(*of.bits))
        return Bus(
            rng.uniform(*of.drive),
            bits if bits >= 6 else 0,
            round(rng.uniform(*of.hold)),
            rng.uniform(*of.squeeze_db),
        )
