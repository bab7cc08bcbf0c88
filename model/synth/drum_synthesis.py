"""Synthesised drum kits: sine sweeps, membrane modes, shaped noise and clusters of metal.

A kit is one draw from a model of drum_models.py.
Membranes ring at the ratios of an ideal circular one (zeros of Bessel functions: 1, 1.59, 2.14, 2.30,
2.65, 2.92); machine hi-hats are clusters of square waves, as in the analogue drum machines of 1980.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentValueError
from .drum_models import DrumModel

RATE = 44100
Signal = NDArray[np.float32]
"""`(frames,)` float32."""
Band = tuple[float, float, float, float]
"""Noise from one frequency to another (Hz), its level, its decay time (seconds to -60 dB)."""

_MEMBRANE = (1.0, 1.59, 2.14, 2.30, 2.65, 2.92)
_SQUARES_HZ = (205.3, 304.4, 369.6, 522.7, 540.0, 800.0)
"""Oscillators of the best known analogue hi-hat; each kit detunes them."""


class SynthesisedKit:
    """One draw from a model: every piece can be struck, at any force.

    The same generator state gives the same kit; `shot` draws its noise from the generator it is given.
    """

    def __init__(self, model: DrumModel, rng: np.random.Generator) -> None:
        self.name = model.name
        self._of = {
            f.name: float(rng.uniform(*getattr(model, f.name))) for f in fields(model) if f.name != "name"
        }
        self._gated = bool(rng.random() < self._of["gate"])
        self._cluster = np.array(_SQUARES_HZ) * rng.uniform(0.7, 1.6) * np.exp(rng.normal(0.0, 0.08, 6))
        self._shell = np.exp(rng.normal(0.0, 0.02, 6))
        """Real heads are never tuned evenly: their modes stray from the ideal."""
        self._hand_hz = rng.uniform(170.0, 340.0)
        self._second = rng.uniform(1.3, 1.9)
        self._bursts = int(rng.integers(3, 6))
        self._peaks_hz = np.exp(rng.uniform(np.log(350.0), np.log(14000.0), 48))

    @property
    def acoustic(self) -> bool:
        """Whether it is of wood and skin, where no two strokes sound the same, rather than a machine."""
        return self._of["membrane"] >= 0.35

    def shot(self, piece: str, force: float, rng: np.random.Generator) -> Signal:
        """One stroke, `(frames,)`, from silence to -60 dB or less, its peak at 1.

        Raises ArgumentValueError for a piece that is none.
        """
        if piece not in _PLAYERS:
            raise ArgumentValueError(f"a piece is one of {', '.join(_PLAYERS)}; got {piece!r}")
        sound = _PLAYERS[piece](self, force, rng)
        fade = min(len(sound), 400)
        sound[-fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
        peak = float(np.abs(sound).max())
        return sound / np.float32(max(peak, 1e-9))

    def _kick(self, force: float, rng: np.random.Generator) -> Signal:
        p = self._of
        t = _time(min(p["kick_s"], 2.0) + 0.03)
        bend = 1.0 + p["sweep"] * (0.5 + 0.5 * force) * np.exp(-t / p["sweep_s"])
        body = np.sin(_phase(p["kick_hz"] * bend)) * _decay(t, p["kick_s"])
        ring = np.sin(_phase(p["kick_hz"] * self._second * bend)) * _decay(t, 0.35 * p["kick_s"])
        body = _driven(body + 0.5 * p["membrane"] * ring, p["drive"])
        beater = noise_bands(0.03, rng, ((800.0, 5000.0 * force + 1500.0, 1.0, 0.012),))
        body[: len(beater)] += np.float32(p["click"] * force) * beater
        return body

    def _snare(self, force: float, rng: np.random.Generator) -> Signal:
        p = self._of
        seconds = p["snare_s"] + 0.02
        head = self._struck(p["snare_hz"], 0.55 * p["snare_s"], p["membrane"], seconds, 0.25 * force)
        edge = p["wires_hz"]
        top = 6000.0 + 9000.0 * force
        wires = noise_bands(
            seconds,
            rng,
            (
                (edge, 3.0 * edge, 1.0, p["snare_s"]),
                (3.0 * edge, top, _tilt(p["bright"], 1.5), 0.7 * p["snare_s"]),
            ),
        )
        wires *= 1.0 - np.exp(-_time(seconds)[: len(wires)] / p["attack_s"])
        sound = _mixed(head, wires, p["wires"])
        if self._gated:
            cut = int(len(sound) * rng.uniform(0.35, 0.7))
            held = np.exp(_time(seconds)[:cut] * 2.3 / p["snare_s"])  # a compressor under the gate
            sound = (sound[:cut] * held).astype(np.float32)
        return sound

    def _rim(self, force: float, rng: np.random.Generator) -> Signal:
        hz = 2.2 * self._of["snare_hz"]
        wood = self._struck(
            hz, 0.05 + 0.05 * self._of["membrane"], 1.0, 0.12, 0.05, rates=(1.0, 2.7, 3.9, 5.3)
        )
        return _mixed(wood, noise_bands(0.12, rng, ((1500.0, 7000.0, 1.0, 0.02),)), 0.3 * force)

    def _clap(self, force: float, rng: np.random.Generator) -> Signal:
        tail = 0.6 * self._of["snare_s"]
        seconds = tail + 0.08
        noise = noise_bands(seconds, rng, ((700.0, 2400.0, 1.0, 9.0), (2400.0, 7000.0, 0.45 * force, 9.0)))
        t = _time(seconds)[: len(noise)]
        envelope = np.zeros_like(t)
        for k in range(self._bursts):
            since = t - 0.0105 * k * (1.0 + 0.1 * rng.normal())
            decay_s = tail if k == self._bursts - 1 else 0.03
            envelope = np.maximum(envelope, np.where(since >= 0.0, _decay(since, decay_s), 0.0))
        return (noise * envelope).astype(np.float32)

    def _hat(self, seconds: float, force: float, rng: np.random.Generator) -> Signal:
        p = self._of
        edge = p["hat_hz"] * (1.15 - 0.15 * force)
        total = min(1.2 * seconds + 0.03, 2.0)
        t = _time(total)
        cluster = np.sign(np.sin(2.0 * np.pi * np.outer(self._cluster, t))).sum(axis=0)
        cluster = _filtered(cluster.astype(np.float32), edge, 16000.0) * _decay(t, seconds)
        level = _tilt(p["bright"], 1.0)
        hiss = self._plate(
            total,
            rng,
            (
                (edge, 9000.0, 1.0, seconds),
                (9000.0, 17000.0, level, 0.8 * seconds),
                (0.4 * edge, edge, 0.25, 0.3 * seconds),
            ),
        )
        return _mixed(hiss, cluster, 0.85 * p["metal"] if not self.acoustic else 0.0)

    def _cymbal(self, seconds: float, ping: float, force: float, rng: np.random.Generator) -> Signal:
        p = self._of
        slope = _tilt(p["bright"], 1.2)
        low = 0.35 * (1.0 - 0.6 * ping)
        wash = self._plate(
            min(seconds, 3.2),
            rng,
            (
                (300.0, 1200.0, low, 1.1 * seconds),
                (1200.0, 3500.0, 0.7, seconds),
                (3500.0, 8000.0, 0.9 * slope, 0.8 * seconds),
                (8000.0, 17000.0, slope**2 * force, 0.5 * seconds),
            ),
        )
        t = _time(min(seconds, 3.2))[: len(wash)]
        wash *= (1.0 - 0.8 * (1.0 - ping) * np.exp(-t / 0.006)).astype(np.float32)
        if ping > 0.0:  # the stick on the bow of a ride, over its wash
            hz = self._peaks_hz[(self._peaks_hz > 1800.0) & (self._peaks_hz < 9000.0)][:7]
            bell = sum(
                (np.sin(2.0 * np.pi * f * t + k) * _decay(t, 0.5 * seconds) for k, f in enumerate(hz)),
                np.zeros_like(t),
            )
            wash = _mixed(wash * _decay(t, 1.5 * seconds), bell, 0.5 * ping)
        return wash

    def _tom(self, ratio: float, force: float, rng: np.random.Generator) -> Signal:
        p = self._of
        seconds = p["tom_s"] / ratio**0.5
        bend = 0.15 + 0.12 * p["sweep"] * (1.0 - p["membrane"])
        head = self._struck(p["tom_hz"] * ratio, seconds, p["membrane"], seconds + 0.02, bend * force)
        return _mixed(head, noise_bands(0.08, rng, ((400.0, 5000.0, 1.0, 0.05),)), 0.22 * force)

    def _conga(self, force: float, rng: np.random.Generator) -> Signal:
        slap = bool(rng.random() < 0.3)
        hz = self._hand_hz * (1.0 if rng.random() < 0.6 else 1.32)
        head = self._struck(hz, 0.12 if slap else 0.3, 0.5, 0.32, 0.06)
        return _mixed(
            head, noise_bands(0.32, rng, ((900.0, 6000.0, 1.0, 0.06),)), 0.4 * force if slap else 0.12
        )

    def _cowbell(self, force: float, rng: np.random.Generator) -> Signal:
        t = _time(0.35)
        low = 2.6 * self._hand_hz
        if not self.acoustic:
            tone = np.sign(np.sin(2.0 * np.pi * low * t)) + np.sign(np.sin(2.0 * np.pi * 1.48 * low * t))
            tone = _filtered(tone.astype(np.float32), 0.8 * low, 6.0 * low)
        else:
            tone = self._struck(low, 0.3, 1.0, 0.35, 0.0, rates=(1.0, 1.51, 2.74, 3.9, 5.2))[: len(t)]
        return (tone * (_decay(t, 0.3) + 1.5 * force * _decay(t, 0.05))).astype(np.float32)

    def _tambourine(self, force: float, rng: np.random.Generator) -> Signal:
        seconds = 0.1 + 0.15 * rng.random()
        sound = self._plate(0.3, rng, ((3500.0, 9000.0, 0.8, seconds), (9000.0, 16000.0, 0.9, seconds)))
        t = _time(0.3)[: len(sound)]
        late = 0.012 + 0.015 * rng.random()  # the jingles fall back a moment after the stroke
        sound *= 0.6 * force + np.where(t > late, np.exp(-(t - late) / 0.05), 0.0).astype(np.float32)
        return sound

    def _shaker(self, force: float, rng: np.random.Generator) -> Signal:
        edge = 0.7 * self._of["hat_hz"] + 1500.0
        sound = noise_bands(0.16, rng, ((edge, 2.2 * edge, 1.0, 9.0),))
        t = _time(0.16)[: len(sound)]
        peak = 0.012 + 0.05 * (1.0 - force) * rng.random() + 0.01
        sound *= (t / peak) * np.exp(1.0 - t / peak)
        return sound

    def _struck(
        self,
        hz: float,
        decay_s: float,
        upper: float,
        seconds: float,
        bend: float,
        rates: Sequence[float] = _MEMBRANE,
    ) -> Signal:
        """A membrane or a piece of wood: modes that die the faster the higher they are."""
        t = _time(seconds)
        glide = _phase(hz * (1.0 + bend * np.exp(-t / 0.025)))
        sound = np.zeros_like(t)
        for k, ratio in enumerate(rates):
            ratio *= float(self._shell[k])
            if hz * ratio < 16000.0 and (k == 0 or upper > 0.02):
                level = 1.0 if k == 0 else upper * 0.8 / (1.0 + 0.5 * k)
                sound += (
                    np.float32(level)
                    * np.sin(np.float32(ratio) * glide)
                    * _decay(t, decay_s / (1.0 + 0.6 * k))
                )
        return sound

    def _plate(self, seconds: float, rng: np.random.Generator, bands: Sequence[Band]) -> Signal:
        """Metal: noise whose spectrum is drawn towards the modes of this kit's cymbals."""
        tone = self._of["metal"] * 0.9
        return noise_bands(seconds, rng, bands, peaks_hz=self._peaks_hz, tone=tone)


def noise_bands(
    seconds: float,
    rng: np.random.Generator,
    bands: Sequence[Band],
    *,
    peaks_hz: NDArray[np.float64] | None = None,
    tone: float = 0.0,
) -> Signal:
    """Noise in bands that die away each at its own pace; peak 1. `tone` of its power sits at `peaks_hz`."""
    frames = good_length(int(seconds * RATE))
    hz = np.fft.rfftfreq(frames, 1.0 / RATE).astype(np.float32)
    spectrum = rng.standard_normal(len(hz), np.float32) + 1j * rng.standard_normal(len(hz), np.float32)
    if peaks_hz is not None and tone > 0.0:
        comb = np.zeros_like(hz)
        width = 3.0 + 0.0012 * peaks_hz
        for f, w in zip(peaks_hz, width, strict=True):
            near = slice(int(max(f - 12.0 * w, 0.0) / hz[1]), int((f + 12.0 * w) / hz[1]) + 1)
            comb[near] += 1.0 / (1.0 + ((hz[near] - f) / w) ** 2)
        # Both kinds of power are brought to the same mean before they are mixed.
        power = (1.0 - tone) + tone * comb**2 / max(float((comb**2).mean()), 1e-12)
        spectrum *= np.sqrt(power).astype(np.float32)
    t = np.arange(frames, dtype=np.float32) / np.float32(RATE)
    sound = np.zeros(frames, np.float32)
    for low, high, level, decay_s in bands:
        part = np.fft.irfft(spectrum * _edges(hz, low, high), frames)
        scale = level / max(float(np.sqrt(np.mean(part**2))), 1e-9)
        sound += np.float32(scale) * part.astype(np.float32) * _decay(t, decay_s)
    return sound / np.float32(max(float(np.abs(sound).max()), 1e-9))


def _edges(hz: Signal, low: float, high: float) -> Signal:
    """A pass band with second-order slopes on both sides (the magnitude of a resonance-free filter)."""
    safe = np.maximum(hz, 1.0)
    shape = 1.0 / np.sqrt((1.0 + (low / safe) ** 6) * (1.0 + (safe / high) ** 6))
    return shape.astype(np.float32)


def _filtered(x: Signal, low: float, high: float) -> Signal:
    frames = good_length(len(x))
    hz = np.fft.rfftfreq(frames, 1.0 / RATE).astype(np.float32)
    return np.fft.irfft(np.fft.rfft(x, frames) * _edges(hz, low, high), frames)[: len(x)].astype(np.float32)


def good_length(frames: int) -> int:
    """The next length of the form 2^k, 3 * 2^k or 5 * 2^k, which transforms are quick at."""
    frames = max(frames, 64)
    return min(m << max((-(-frames // m) - 1).bit_length(), 0) for m in (1, 3, 5))


def _time(seconds: float) -> Signal:
    return np.arange(good_length(int(seconds * RATE)), dtype=np.float32) / np.float32(RATE)


def _phase(hz: NDArray[np.floating]) -> Signal:
    return (2.0 * np.pi / RATE * np.cumsum(hz, dtype=np.float64)).astype(np.float32)


def _decay(t: Signal, seconds: float) -> Signal:
    """Exponential decay by 60 dB in so many seconds."""
    envelope: Signal = np.exp(t * np.float32(-6.9078 / max(seconds, 1e-3)))
    return envelope


def _driven(x: Signal, drive: float) -> Signal:
    driven: Signal = np.tanh(np.float32(drive) * x) / np.float32(np.tanh(drive))
    return driven


def _tilt(db_per_octave: float, octaves: float) -> float:
    return float(10.0 ** (db_per_octave * octaves / 20.0))


def _mixed(a: Signal, b: Signal, share: float) -> Signal:
    """`a` with `share` of `b`, both at peak 1; as long as the longer one."""
    out = np.zeros(max(len(a), len(b)), np.float32)
    out[: len(a)] += np.float32((1.0 - share) / max(float(np.abs(a).max()), 1e-9)) * a
    out[: len(b)] += np.float32(share / max(float(np.abs(b).max()), 1e-9)) * b
    return out


_Player = Callable[[SynthesisedKit, float, np.random.Generator], Signal]

_PLAYERS: MappingProxyType[str, _Player] = MappingProxyType(
    {
        "kick": SynthesisedKit._kick,
        "snare": SynthesisedKit._snare,
        "rim": SynthesisedKit._rim,
        "clap": SynthesisedKit._clap,
        "hihat-closed": lambda kit, force, rng: kit._hat(kit._of["hat_s"], force, rng),
        "hihat-open": lambda kit, force, rng: kit._hat(7.0 * kit._of["hat_s"], force, rng),
        "hihat-pedal": lambda kit, force, rng: kit._hat(0.7 * kit._of["hat_s"], 0.5 * force, rng),
        "tom-low": lambda kit, force, rng: kit._tom(1.0, force, rng),
        "tom-mid": lambda kit, force, rng: kit._tom(1.4, force, rng),
        "tom-high": lambda kit, force, rng: kit._tom(1.85, force, rng),
        "crash": lambda kit, force, rng: kit._cymbal(kit._of["cymbal_s"], 0.0, force, rng),
        "ride": lambda kit, force, rng: kit._cymbal(kit._of["cymbal_s"], 0.8, force, rng),
        "splash": lambda kit, force, rng: kit._cymbal(0.35 * kit._of["cymbal_s"], 0.0, force, rng),
        "tambourine": SynthesisedKit._tambourine,
        "shaker": SynthesisedKit._shaker,
        "cowbell": SynthesisedKit._cowbell,
        "conga": SynthesisedKit._conga,
    }
)
"""How each piece is struck."""
