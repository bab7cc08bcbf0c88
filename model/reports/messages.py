"""Numbered messages: what scripts can rely on, whatever words are around a number.

1xxx say what was done, 2xxx what is worth knowing, 3xxx what may not be wanted, 4xxx what went wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import ArgumentTypeError, StembridgeError

MEANINGS: Mapping[int, str] = {
    1001: "done",
    1002: "already there, made from the same source with the same settings: skipped",
    1003: "stems came from the cache",
    2001: "a gain was applied to reach the loudness",
    2002: "the limiter worked",
    2003: "the sample rate was changed",
    2004: "a reference was matched, in memory and at 44.1 kHz",
    2005: "the album has one gain, which this song got",
    2101: "the song has samples at full scale: it may be clipped",
    2102: "the song comes from a lossy file",
    3001: "the loudness was not reached",
    3002: "the limiter took away more than 6 dB",
    3003: "the true-peak ceiling does not hold in the decoded file",
    3004: "the song is silent: it has no loudness to change",
    3005: "samples were clipped at full scale, for want of a ceiling",
    3006: "the album is incomplete: a song failed, and the gain was found without it",
    3101: "something was wrong with the file, and how it was read all the same",
    3102: "a plug-in or a separator has something to say",
    4001: "bad_file: the song cannot be read",
    4002: "not_found: the song is not there",
    4003: "disk_full: no room for the outputs",
    4004: "plugin_crashed",
    4005: "plugin_timeout",
    4006: "no_progress",
    4007: "out_of_memory",
    4008: "model_missing: a separator, a package or weights are not installed",
    4009: "cancelled",
    4010: "internal: anything else; the text says what",
}
"""What each number means."""

_ERRORS = {text.split(":")[0]: number for number, text in MEANINGS.items() if number >= 4000}


@dataclass(frozen=True)
class Message:
    """One thing to say about one song."""

    number: int
    text: str

    def __post_init__(self) -> None:
        if self.number not in MEANINGS:
            raise ArgumentTypeError(f"a message has a number of the table; got {self.number}")

    def __str__(self) -> str:
        return f"M{self.number} {self.text}"

    @property
    def worth_a_line(self) -> bool:
        """Whether it should be shown unasked: from 3000 on."""
        return self.number >= 3000


def error_message(error: StembridgeError) -> Message:
    """The message for what ended a song.

    >>> from ..errors import AudioFileError
    >>> error_message(AudioFileError("a.wav: damaged")).number
    4001
    """
    return Message(_ERRORS.get(error.code, _ERRORS["internal"]), str(error))
