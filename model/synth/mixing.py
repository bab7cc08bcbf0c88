"""Mixing as records are mixed: a chain for every part, places in the stereo field, levels, a shared master.

Whatever the master does is one gain over time that all stems share, so that they still add up to the mix.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio
from .score import Hit

# Loudness of a stem where it plays, in dB against the others; records vary by `_LEVEL_SD_DB` around it.
LEVELS_DB: Mapping[str, float] = {"drums": -5.0, "bass": -7.0, "other": -5.0, "vocals": -4.0}
_LEVEL_SD_DB = 3.0
_BLOCK = 4410


def active_level(audio: Audio) -> float:
    """RMS over the tenths of a second within 30 dB of the loudest: where something sounds. Silence is 0."""
    whole = audio.shape[1] // _BLOCK * _BLOCK
    if whole == 0:
        return float(np.sqrt(np.mean(audio**2))) if audio.size else 0.0
    power = np.mean(audio[:, :whole].reshape(audio.shape[0], -1, _BLOCK) ** 2, axis=(0, 2))
    loudest = float(power.max())
    return float(np.sqrt(power[power >= loudest * 1e-3].mean())) if loudest > 0 else 0.0


def levelled(audio: Audio, rms: float) -> Audio:
    """The audio brought to a level where it plays; silence stays silence."""
    level = active_level(audio)
    return audio * np.float32(rms / level) if level > 1e-7 else audio


def stem_level(stem: str, bias_db: float, rng: np.random.Generator) -> float:
    """How loud a stem is to be in this song, as an RMS where it plays."""
    return float(10 ** ((LEVELS_DB[stem] + bias_db + rng.normal(0, _LEVEL_SD_DB)) / 20) * 0.1)


def placed(audio: Audio, place: str, rng: np.random.Generator) -> Audio:
    """The part put into the stereo field: `centre`, `side` (anywhere between) or `wide`.

    What is the same on both sides becomes wide by a short delay or by panning; what is wide stays wide.
    """
    left, right = audio
    mono = float(np.abs(left - right).max()) < 1e-5
    if place == "centre":
        width = float(rng.uniform(0.0, 0.5))
        return _width(audio, width)
    if place == "wide" and mono and rng.random() < 0.7:
        late = int(rng.integers(300, 1200))
        echo = np.zeros_like(right)
        echo[late:] = right[:-late]
        return np.stack([left, echo] if rng.random() < 0.5 else [echo, left])
    pan = float(rng.choice([rng.uniform(-0.9, 0.9), rng.normal(0, 0.2)])) if mono or place == "side" else 0.0
    pan = float(np.clip(pan, -1, 1))
    gains = np.array([np.sqrt(1 - pan), np.sqrt(1 + pan)], np.float32)
    return _width(audio, float(rng.uniform(0.6, 1.1))) * gains[:, None]


def doubled(audio: Audio, above_hz: float, level_db: float, rng: np.random.Generator) -> Audio:
    """The middle of a part heard again on the sides, a moment later: more microphones, or a widener.

    Only what lies above `above_hz` is doubled, `level_db` louder than in the middle; the sum of both sides
    stays what it was.
    """
    import pedalboard as pb

    late = int(rng.integers(60, 900))
    middle = (audio[:1] + audio[1:]) * np.float32(0.5)
    high = pb.HighpassFilter(above_hz)(np.ascontiguousarray(middle, np.float32), 44100)
    side = np.zeros_like(middle)
    side[:, late:] = high[:, :-late] * np.float32(10 ** (level_db / 20))
    out: Audio = audio + np.concatenate([side, -side])
    return out


def swelling(frames: int, sample_rate: int, sd_db: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A gain that wanders as players do, some phrases louder than others. Shape: returns `(frames,)`."""
    every_s = float(rng.uniform(0.5, 4.0))
    count = int(frames / (every_s * sample_rate)) + 3
    gains_db = np.clip(rng.normal(0.0, sd_db, count), -2.5 * sd_db, 2.5 * sd_db)
    at = np.arange(frames) / (every_s * sample_rate) + rng.random()
    return np.asarray(10 ** (np.interp(at, np.arange(count), gains_db) / 20), np.float32)


def _width(audio: Audio, width: float) -> Audio:
    middle, side = (audio[0] + audio[1]) * np.float32(0.5), (audio[0] - audio[1]) * np.float32(0.5 * width)
    return np.stack([middle + side, middle - side])


def through(audio: Audio, plugins: list[Any], sample_rate: int) -> Audio:
    """The audio through a row of pedalboard plug-ins; silence is not worth the trip."""
    if not plugins or not np.any(audio):
        return audio
    import pedalboard as pb

    return np.asarray(pb.Chain(plugins)(np.ascontiguousarray(audio, np.float32), sample_rate), np.float32)


def part_chain(kind: str, beat_s: float, rng: np.random.Generator) -> list[Any]:
    """Effects for one part of `other`; kind is the first word of its sound (`gm`, `guitar`...)."""
    import pedalboard as pb

    lowest, highest = (40, 120) if kind == "guitar" else (20, 120)
    low_cut = float(np.exp(rng.uniform(np.log(lowest), np.log(highest))))
    chain: list[Any] = [pb.HighpassFilter(low_cut)]
    chain += _equaliser(rng, 3.0)
    if rng.random() < 0.3:  # bodies and rooms, closer to the microphone than samples are
        chain.append(pb.LowShelfFilter(float(rng.uniform(110, 280)), float(rng.uniform(1, 7))))
    if rng.random() < 0.2:
        chain.append(_compressor(rng))
    if rng.random() < 0.55:  # air that samples lack and records have
        chain.append(pb.HighShelfFilter(float(rng.uniform(4000, 8000)), float(rng.uniform(3, 12))))
    elif rng.random() < 0.15:
        chain.append(pb.LowpassFilter(float(rng.uniform(1500, 9000))))
    if rng.random() < (0.25 if kind != "solo" else 0.1):
        chain.append(
            pb.Chorus(
                float(rng.uniform(0.3, 2)), float(rng.uniform(0.1, 0.4)), mix=float(rng.uniform(0.15, 0.5))
            )
        )
    elif rng.random() < 0.06:
        chain.append(pb.Phaser(float(rng.uniform(0.1, 1.5)), float(rng.uniform(0.3, 0.8)), mix=0.4))
    if rng.random() < (0.4 if kind == "solo" else 0.18):
        chain.append(_delay(beat_s, rng))
    if rng.random() < 0.75:
        chain.append(_reverb(rng, (0.04, 0.35)))
    return chain


def bass_chain(rng: np.random.Generator) -> list[Any]:
    """Effects for the bass: from pure sub to growling mids."""
    import pedalboard as pb

    chain: list[Any] = [pb.HighpassFilter(float(rng.uniform(22, 45)))]
    character = rng.random()
    if character < 0.25:  # all sub
        chain.append(pb.LowpassFilter(float(rng.uniform(150, 500))))
    elif character < 0.6:  # cuts through: mids, drive
        chain.append(
            pb.PeakFilter(
                float(rng.uniform(600, 1800)), float(rng.uniform(2, 9)), float(rng.uniform(0.5, 1.2))
            )
        )
        chain.append(pb.LowShelfFilter(float(rng.uniform(80, 140)), float(rng.uniform(-5, 1))))
        if rng.random() < 0.5:
            chain.append(
                pb.Mix(
                    [
                        pb.Gain(0),
                        pb.Chain(
                            [
                                pb.HighpassFilter(150),
                                pb.Distortion(float(rng.uniform(8, 24))),
                                pb.LowpassFilter(4000),
                                pb.Gain(float(rng.uniform(-22, -12))),
                            ]
                        ),
                    ]
                )
            )
    else:
        chain.append(pb.LowShelfFilter(float(rng.uniform(55, 110)), float(rng.uniform(0, 7))))
    chain += _equaliser(rng, 2.5)
    if rng.random() < 0.25:
        chain.append(_compressor(rng))
    if rng.random() < 0.1:
        chain.append(pb.Chorus(float(rng.uniform(0.3, 1.2)), 0.2, mix=0.3))
    return chain


def drum_chain(rng: np.random.Generator) -> list[Any]:
    """Effects for the whole kit, mild: drums are what crests are made of."""
    import pedalboard as pb

    chain: list[Any] = [
        pb.LowShelfFilter(float(rng.uniform(55, 100)), float(rng.uniform(-1, 5))),
        *_equaliser(rng, 2.0),
    ]
    if rng.random() < 0.25:
        chain.append(_compressor(rng))
    if rng.random() < 0.25:
        chain.append(_reverb(rng, (0.03, 0.12)))
    return chain


def vocal_chain(beat_s: float, rng: np.random.Generator) -> list[Any]:
    """Effects for the voices: low cut, presence, compression, space."""
    import pedalboard as pb

    chain: list[Any] = [pb.HighpassFilter(float(rng.uniform(70, 160)))]
    chain += _equaliser(rng, 2.0)
    chain.append(pb.HighShelfFilter(float(rng.uniform(6000, 11000)), float(rng.uniform(-1, 5))))
    if rng.random() < 0.6:
        chain.append(_compressor(rng))
    if rng.random() < 0.15:
        chain.append(pb.Chain([pb.Distortion(float(rng.uniform(4, 12))), pb.Gain(-4)]))
    if rng.random() < 0.06:  # down a telephone
        chain += [pb.HighpassFilter(400), pb.LowpassFilter(3500)]
    if rng.random() < 0.12:
        chain.append(
            pb.Chorus(
                float(rng.uniform(0.3, 2)), float(rng.uniform(0.05, 0.3)), mix=float(rng.uniform(0.2, 0.5))
            )
        )
    elif rng.random() < 0.05:
        chain.append(pb.Phaser(float(rng.uniform(0.1, 1.5)), float(rng.uniform(0.3, 0.8)), mix=0.4))
    if rng.random() < 0.4:
        chain.append(_delay(beat_s, rng))
    if rng.random() < 0.9:  # near, or far away in a hall
        chain.append(_reverb(rng, (0.03, 0.3) if rng.random() < 0.85 else (0.3, 0.6)))
    return chain


def _equaliser(rng: np.random.Generator, sd_db: float) -> list[Any]:
    import pedalboard as pb

    chain: list[Any] = []
    for _ in range(int(rng.integers(1, 4))):
        hz = float(np.exp(rng.uniform(np.log(120), np.log(9000))))
        chain.append(pb.PeakFilter(hz, float(rng.normal(0, sd_db)), float(rng.uniform(0.4, 1.4))))
    if rng.random() < 0.4:
        chain.append(pb.HighShelfFilter(float(rng.uniform(4000, 9000)), float(rng.normal(0, sd_db))))
    return chain


def _compressor(rng: np.random.Generator) -> Any:
    import pedalboard as pb

    # Parts arrive at about -20 dB RMS: thresholds around that touch the peaks only.
    return pb.Compressor(
        threshold_db=float(rng.uniform(-22, -10)),
        ratio=float(rng.uniform(1.5, 3.5)),
        attack_ms=float(rng.uniform(3, 40)),
        release_ms=float(rng.uniform(60, 300)),
    )


def _delay(beat_s: float, rng: np.random.Generator) -> Any:
    import pedalboard as pb

    seconds = beat_s * float(rng.choice([0.25, 0.5, 0.75, 1.0]))
    return pb.Delay(min(seconds, 1.5), float(rng.uniform(0.1, 0.45)), float(rng.uniform(0.06, 0.25)))


def _reverb(rng: np.random.Generator, wet: tuple[float, float]) -> Any:
    import pedalboard as pb

    level = float(rng.uniform(*wet))
    return pb.Reverb(
        room_size=float(rng.beta(2, 2)),
        damping=float(rng.uniform(0.1, 0.9)),
        wet_level=level,
        dry_level=float(np.sqrt(1 - level)) * 0.5,
        width=float(rng.uniform(0.5, 1)),
    )


def pump(hits: list[Hit], frames: int, sample_rate: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """The gain of side-chain compression from the kick. Shape: returns `(frames,)`."""
    depth, release = float(rng.uniform(0.3, 0.9)), float(rng.uniform(0.1, 0.35))
    gain = np.ones(frames, np.float32)
    length = int(0.6 * sample_rate)
    t = np.arange(length, dtype=np.float32) / sample_rate
    dip = 1 - np.float32(depth) * np.exp(-((t / np.float32(release)) ** 2)) * np.minimum(t / 0.004, 1)
    for hit in hits:
        if hit.piece == "kick" and hit.start_s * sample_rate < frames:
            start = max(0, round(hit.start_s * sample_rate))
            stop = min(start + length, frames)
            gain[start:stop] = np.minimum(gain[start:stop], dip[: stop - start])
    return gain


def master(
    stems: dict[str, Audio], dense: float, sample_rate: int, rng: np.random.Generator
) -> dict[str, Audio]:
    """Bring the mix to the level of a record, limited more or less; one gain for all stems.

    `dense`, 0 to 1, is how hard this kind of music is pushed. Now and then there is no limiter at all and
    the mix is merely made to fit, as stems that were never mastered are.
    """
    mix = np.sum(list(stems.values()), axis=0)
    peak = float(np.abs(mix).max())
    if peak < 1e-6:
        return stems
    fitted = np.float32(float(rng.uniform(0.5, 0.98)) / peak)
    if rng.random() < 0.45 - 0.25 * dense:
        return {name: stem * fitted for name, stem in stems.items()}
    push_db = float(rng.uniform(0, 1.5 + 4 * dense))
    pushed = fitted * np.float32(10 ** (push_db / 20))
    gain = _limiting_gain(mix * pushed, 0.95, float(rng.uniform(0.05, 0.25)), sample_rate) * pushed
    return {name: stem * gain for name, stem in stems.items()}


def _limiting_gain(mix: Audio, ceiling: float, release_s: float, sample_rate: int) -> NDArray[np.float32]:
    """A look-ahead limiter's gain, computed backwards and forwards at once.

    The gain each block of 32 frames needs is held before and after it by a minimum filter, then smoothed
    by a window no longer than the hold, so that nothing exceeds the ceiling.
    """
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    block = 32
    frames = mix.shape[1]
    count = -(-frames // block)
    padded = np.zeros(count * block, np.float32)
    padded[:frames] = np.abs(mix).max(0)
    need = np.minimum(1.0, ceiling / np.maximum(padded.reshape(count, block).max(1), 1e-9))
    reach = max(3, int(release_s * sample_rate / block) // 2 * 2 + 1)
    smooth = uniform_filter1d(
        minimum_filter1d(need, reach, mode="nearest"), reach // 2 * 2 + 1, mode="nearest"
    )
    fast = uniform_filter1d(minimum_filter1d(need, 9, mode="nearest"), 5, mode="nearest")
    gain = np.minimum(smooth, fast)
    # Interpolation between block centres looks half a block ahead: take the lower neighbour for safety.
    gain = np.minimum(gain, np.minimum(np.roll(gain, 1), np.roll(gain, -1)))
    return np.asarray(np.interp(np.arange(frames), (np.arange(count) + 0.5) * block, gain), np.float32)
