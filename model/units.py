"""Decibels, gains, times and frames.

>>> db_to_gain(0.0), db_to_gain(-144.0), round(db_to_gain(-6.0), 5)
(1.0, 0.0, 0.50119)
>>> parse_time("1:30.5").frames(44100), parse_time("48000s").frames(44100)
(3991050, 48000)
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from .errors import ArgumentValueError

SILENCE_DB = -144.0
"""At or below this a gain is silence."""

MAX_GAIN_DB = 12.0
"""The top of every stem fader."""


def db_to_gain(db: float) -> float:
    """Turn decibels into a linear gain; exactly 1.0 at 0 dB, exactly 0.0 at -144 dB and below.

    Raises ArgumentValueError for NaN and +infinity.
    """
    if math.isnan(db) or db == math.inf:
        raise ArgumentValueError(f"a gain in dB must be a number below infinity; got {db}")
    if db <= SILENCE_DB:
        return 0.0
    return 1.0 if db == 0.0 else float(10.0 ** (db / 20.0))


def gain_to_db(gain: float) -> float:
    """Turn a linear gain (>= 0) into decibels; -infinity for 0.

    >>> gain_to_db(1.0), gain_to_db(0.0)
    (0.0, -inf)
    """
    if math.isnan(gain) or gain < 0:
        raise ArgumentValueError(f"a linear gain must be 0 or more; got {gain}")
    return 20.0 * math.log10(gain) if gain > 0 else -math.inf


@dataclass(frozen=True)
class Time:
    """A position in a song: exact seconds, or exact frames (`48000s`: s for samples, as in Ardour)."""

    seconds: Fraction | None = None
    samples: int | None = None

    def frames(self, sample_rate: int) -> int:
        """The nearest frame at `sample_rate` (Hz)."""
        if self.samples is not None:
            return self.samples
        assert self.seconds is not None
        return round(self.seconds * sample_rate)


_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)")


def parse_time(text: str) -> Time:
    """Read `90`, `90.25`, `1:30.5`, `1:02:03` (clock times) or `48000s` (samples).

    Raises ArgumentValueError for anything else.

    >>> parse_time("1:02:03").seconds
    Fraction(3723, 1)
    """
    text = text.strip()
    if match := re.fullmatch(r"(\d+)s", text):
        return Time(samples=int(match[1]))
    if match := _CLOCK.fullmatch(text):
        hours, minutes, seconds = match[1] or "0", match[2] or "0", match[3]
        return Time(seconds=Fraction(seconds) + 60 * int(minutes) + 3600 * int(hours))
    raise ArgumentValueError(
        f"a time is seconds (90), minutes:seconds (1:30.5) or samples (48000s); got {text!r}"
    )


def format_time(seconds: float) -> str:
    """Write seconds as people read them.

    >>> format_time(90.5), format_time(3723)
    ('1:30.500', '1:02:03.000')
    """
    millis = round(seconds * 1000)
    minutes, millis = divmod(millis, 60_000)
    hours, minutes = divmod(minutes, 60)
    clock = f"{millis // 1000:02d}.{millis % 1000:03d}"
    return f"{hours}:{minutes:02d}:{clock}" if hours else f"{minutes}:{clock}"
