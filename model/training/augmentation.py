"""What is done to the stems of a segment, so that no network sees the same song twice.

Everything is done to stems, and the mix is their sum afterwards: the truth stays the truth. What a mixing
desk does to the whole (level, clipping) is shared out so that this holds.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ..audio import Audio, StemArray
from ..errors import ArgumentValueError
from .effects import doubled, in_a_room, overdriven, reshaped
from .equaliser import filter_with, random_curve, random_cut

_FADE_S = 0.01
_INAUDIBLE = 1e-8
"""Mean power (-80 dBFS) of a stem that does not count as sounding."""
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


@dataclass(frozen=True)
class Augment:
    """How often (probabilities, of each stem unless said otherwise) and how much."""

    remix: tuple[float, float, int] = (0.3, 0.6, 40_000)
    """A stem comes from another song: probability at sample 0, at sample n and after, and n."""
    gain_sd_db: float = 4.0
    drop: float = 0.08
    """The stem is silent, and known to be; never all of them."""
    silence: float = 0.1
    """The stem is silent for a part of the segment."""
    swap: float = 0.5
    """Left becomes right."""
    polarity: float = 0.5
    speed: float = 0.3
    """A song is played faster and higher or slower and lower; of each song."""
    semitones: float = 3.0
    equalise: float = 0.5
    equalise_sd_db: float = 3.0
    """Per octave."""
    cut: float = 0.03
    """A high-pass or a low-pass."""
    width: float = 0.15
    """The side signal is scaled by up to 1.5."""
    mono: float = 0.05
    room: float = 0.12
    """Reverberation of the stem's own."""
    double: float = 0.08
    """The middle is heard again on the sides."""
    dynamics: float = 0.2
    """Loud and soft lie further apart, or nearer."""
    overdrive: float = 0.05
    codec: float = 0.01
    """An MP3 at a low bit rate, all stems of a segment alike."""
    clip: float = 0.03
    """The mix is softly clipped; of each segment."""
    level_db: tuple[float, float] = (-30.0, 6.0)
    """Level of the whole mix, drawn evenly from here."""

    def __post_init__(self) -> None:
        for name in ("drop", "silence", "swap", "polarity", "speed", "equalise", "cut", "width", "mono",
                     "room", "double", "dynamics", "overdrive", "codec", "clip"):  # fmt: skip
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ArgumentValueError(f"{name} is a probability, 0 to 1; got {getattr(self, name)}")
        start, end, over = self.remix
        if not (0.0 <= start <= 1.0 and 0.0 <= end <= 1.0 and over >= 0):
            raise ArgumentValueError(f"remix is two probabilities and a number of samples; got {self.remix}")

    @classmethod
    def none(cls) -> Augment:
        """Songs as they are: for validation."""
        nothing = {field.name: 0.0 for field in fields(cls) if field.name not in ("remix", "level_db")}
        return cls(remix=(0.0, 0.0, 0), level_db=(0.0, 0.0), **nothing)

    def remix_at(self, index: int) -> float:
        """The probability of a stem from another song in sample `index`.

        >>> [round(Augment(remix=(0.2, 0.6, 100)).remix_at(n), 2) for n in (0, 50, 100, 1000)]
        [0.2, 0.4, 0.6, 0.6]
        """
        start, end, over = self.remix
        return end if index >= over else start + (end - start) * index / over

    def speed_of_song(self, rng: np.random.Generator) -> float:
        """How fast a song is played: 1 as it is."""
        if rng.random() >= self.speed:
            return 1.0
        return float(2.0 ** (rng.uniform(-self.semitones, self.semitones) / 12.0))


def augment(stems: StemArray, sample_rate: int, settings: Augment, rng: np.random.Generator) -> StemArray:
    """Stems `(s, c, n)` as somebody else might have played and mixed them; `stems` itself is used up."""
    for stem in range(len(stems)):
        if stems[stem].any():
            stems[stem] = _played(stems[stem], sample_rate, settings, rng)
    _drop(stems, settings, rng)
    if rng.random() < settings.codec:
        stems = _coded(stems, sample_rate, rng)
    if rng.random() < settings.clip:
        _clip(stems, rng)
    if settings.level_db != (0.0, 0.0):
        stems *= np.float32(10.0 ** (rng.uniform(*settings.level_db) / 20.0))
    return stems


def _played(audio: Audio, sample_rate: int, settings: Augment, rng: np.random.Generator) -> Audio:
    """One stem: effects, filters, then everything that is a matrix of channels, then silence."""
    if rng.random() < settings.overdrive:
        audio = overdriven(audio, rng)
    if rng.random() < settings.dynamics:
        audio = reshaped(audio, rng)
    if rng.random() < settings.double:
        audio = doubled(audio, sample_rate, rng)
    if rng.random() < settings.room:
        audio = in_a_room(audio, sample_rate, rng)
    equalise, cut = rng.random() < settings.equalise, rng.random() < settings.cut
    if equalise and cut:
        curve = random_curve(rng, sample_rate, settings.equalise_sd_db)
        audio = filter_with(audio, curve * random_cut(rng, sample_rate))
    elif equalise:
        audio = filter_with(audio, random_curve(rng, sample_rate, settings.equalise_sd_db))
    elif cut:
        audio = filter_with(audio, random_cut(rng, sample_rate))
    gain_db = float(np.clip(rng.normal(0.0, 1.0), -3.0, 3.0)) * settings.gain_sd_db
    gain = 10.0 ** (gain_db / 20.0) * (-1.0 if rng.random() < settings.polarity else 1.0)
    swap, mono = rng.random() < settings.swap, rng.random() < settings.mono
    width = 0.0 if mono else rng.uniform(0.0, 1.5) if rng.random() < settings.width else 1.0
    if len(audio) == 2 and (swap or width != 1.0):
        # mid and side: left = mid + width * side, right = mid - width * side
        same, crossed = gain * (1.0 + width) / 2.0, gain * (1.0 - width) / 2.0
        matrix = np.array([[same, crossed], [crossed, same]], np.float32)
        audio = (matrix[::-1] if swap else matrix) @ audio
    elif gain != 1.0:
        audio = audio * np.float32(gain)
    if rng.random() < settings.silence:
        audio = _silenced(audio, sample_rate, rng)
    return audio


def _silenced(audio: Audio, sample_rate: int, rng: np.random.Generator) -> Audio:
    """Silence, faded, for a quarter to three quarters of the segment; it may lie across its ends."""
    frames = audio.shape[1]
    length = int(frames * rng.uniform(0.25, 0.75))
    start = int(rng.integers(-length // 2, frames - length // 2))
    # drawn with a length of its own before and behind, so that it may lie across the ends
    gain = np.ones(frames + 2 * length, np.float32)
    begin, end = start + length, start + 2 * length
    gain[begin:end] = 0.0
    fade = min(int(_FADE_S * sample_rate), length // 2)
    slope = np.linspace(1.0, 0.0, fade, dtype=np.float32)
    gain[begin : begin + fade] = slope
    gain[end - fade : end] = slope[::-1]
    return audio * gain[length : length + frames]


def _drop(stems: StemArray, settings: Augment, rng: np.random.Generator) -> None:
    energy = [float(np.vdot(stem, stem)) for stem in stems]
    audible = [number for number, heard in enumerate(energy) if heard > _INAUDIBLE * stems[0].size]
    dropped = [stem for stem in audible if rng.random() < settings.drop]
    if dropped and len(dropped) == len(audible):
        dropped.remove(dropped[int(rng.integers(len(dropped)))])
    stems[dropped] = 0.0


def _coded(stems: StemArray, sample_rate: int, rng: np.random.Generator) -> StemArray:
    """Through MP3 and back, each stem by itself, so that their sum is still the mix."""
    from pedalboard import MP3Compressor

    quality = float(rng.uniform(4.0, 9.5))
    if sample_rate not in _MP3_RATES:
        return stems
    peak = float(np.abs(stems).max())
    if peak == 0.0:
        return stems
    stems *= np.float32(0.5 / peak)
    for stem in range(len(stems)):
        if stems[stem].any():
            stems[stem] = MP3Compressor(vbr_quality=quality).process(stems[stem], sample_rate)
    stems *= np.float32(2.0 * peak)
    return stems


def _clip(stems: StemArray, rng: np.random.Generator) -> None:
    """Bend the peaks of the mix; every stem takes the gain that this is at each moment."""
    mix = stems.sum(axis=0)
    limit = float(np.abs(mix).max()) * rng.uniform(0.3, 0.9)
    if limit == 0.0:
        return
    mix /= np.float32(limit)
    quiet = np.abs(mix) < 1e-4
    mix[quiet] = 1.0
    gain = np.tanh(mix) / mix
    gain[quiet] = 1.0
    stems *= gain
