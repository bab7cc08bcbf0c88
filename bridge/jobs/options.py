"""What `/render` may be told: a listed subset of the flags of `render`, never a path.

Reading them touches no file: names of presets and models are looked up later, away from the loop.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stembridge.model.errors import ArgumentValueError
from stembridge.model.units import MAX_GAIN_DB, SILENCE_DB, parse_time

from ..hub import Refusal

_Read = Callable[[str], Any]
"""Turns a text into a value; raises ValueError saying what it must be, _OutOfRange for a number."""

_LONGEST = 200


class _OutOfRange(ValueError):
    """A number of the right kind that is too small or too large."""


@dataclass(frozen=True)
class Option:
    """One flag."""

    key: str
    """As the flag, with underscores; hyphens are taken too."""
    takes: str
    read: _Read
    text: str
    repeats: bool = False
    """Whether it may come several times; its values are joined."""
    separator: bool = False
    """Whether it is a setting of the separator."""


def parse_options(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Read pairs of keys and texts into arguments of `RenderRequest`.

    Raises Refusal: `bad_args` for an unknown key (naming the nearest one) or a value of the wrong kind,
    `bad_range` for a number out of range.

    >>> parse_options([("gain", "vocals=-6"), ("gain", "drums=3"), ("bit-depth", "16"), ("mix", "1")])
    {'gain': {'vocals': -6.0, 'drums': 3.0}, 'bit_depth': '16', 'mix': True}
    """
    given: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    for key, text in pairs:
        option = _find(key)
        value = _value(option, text)
        into = settings if option.separator else given
        if option.key not in into:
            into[option.key] = value
        elif not option.repeats:
            raise Refusal("bad_args", f"{option.key} is given twice: {into[option.key]!r} and {value!r}")
        elif isinstance(value, dict):
            into[option.key] = {**into[option.key], **value}
        else:
            into[option.key] = (*into[option.key], *value)
    return {**given, "options": settings} if settings else given


def _find(key: str) -> Option:
    name = key.strip().lstrip("-").replace("-", "_").lower()
    if name in _BY_KEY:
        return _BY_KEY[name]
    if name in _NOT_HERE:
        raise Refusal("bad_args", f"{name} cannot be set from outside: {_NOT_HERE[name]}")
    near = difflib.get_close_matches(name[:_LONGEST], _BY_KEY, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_BY_KEY)}"
    raise Refusal("bad_args", f"render has no option {key[:40]!r}: {hint}")


def _value(option: Option, text: str) -> Any:
    if len(text) > _LONGEST or not text.isprintable():
        raise Refusal("bad_args", f"{option.key} takes {option.takes}; got {text[:40]!r}")
    try:
        return option.read(text.strip())
    except _OutOfRange as error:
        raise Refusal("bad_range", f"{option.key} {error}; got {text!r}") from error
    except ArgumentValueError as error:
        raise Refusal("bad_args", f"{option.key}: {error}") from error
    except ValueError as error:
        raise Refusal("bad_args", f"{option.key} takes {option.takes}; got {text!r}") from error


# Kinds of values.


def _name(text: str) -> str:
    """A name of a stem, model or preset: nothing that could be a path."""
    if not text or any(mark in text for mark in '/\\:*?"<>|=') or text.startswith((".", "~")):
        raise ValueError
    return text


def _names(text: str) -> tuple[str, ...]:
    return tuple(_name(name.strip()) for name in text.split(","))


def _number(lowest: float, highest: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        number = float(text)
        if not math.isfinite(number):
            raise ValueError
        if not lowest <= number <= highest:
            raise _OutOfRange(f"is {lowest:g} to {highest:g}")
        return number

    return read


def _whole(lowest: int, highest: int) -> Callable[[str], int]:
    number = _number(lowest, highest)

    def read(text: str) -> int:
        if not (value := number(text)).is_integer():
            raise ValueError
        return int(value)

    return read


def _gain(text: str) -> float:
    """A gain in dB, silence written as -144, -inf or less."""
    gain_db = float(text)
    if math.isnan(gain_db):
        raise ValueError
    if gain_db > MAX_GAIN_DB:
        raise _OutOfRange(f"is {SILENCE_DB:g} to {MAX_GAIN_DB:+g} dB")
    return max(gain_db, SILENCE_DB)


def _pairs(read_one: _Read) -> _Read:
    def read(text: str) -> dict[str, Any]:
        pairs = {}
        for pair in text.split(","):
            name, equals, value = pair.partition("=")
            if not equals:
                raise ValueError
            pairs[_name(name.strip())] = read_one(value.strip())
        return pairs

    return read


def _switch(text: str) -> bool:
    if text.lower() not in _SWITCHES:
        raise ValueError
    return _SWITCHES[text.lower()]


_SWITCHES = {"1": True, "true": True, "yes": True, "on": True,
             "0": False, "false": False, "no": False, "off": False}  # fmt: skip


def _choice(choices: Callable[[], Sequence[str]]) -> _Read:
    def read(text: str) -> str:
        if text not in choices():
            raise ArgumentValueError(f"one of {', '.join(choices())}; got {text!r}")
        return text

    return read


def _tail(text: str) -> float | str:
    from stembridge.model.rendering.spec import UNTIL_SILENT

    return UNTIL_SILENT if text == UNTIL_SILENT else _number(0, 600)(text)


def _time(text: str) -> str:
    """A time as `render` takes it; kept as text, for samples and seconds are both exact."""
    parse_time(text)
    return text


def _rate(text: str) -> int | str:
    return text if text == "keep" else _whole(8000, 192_000)(text)


# The lists of choices live where they are used; those modules are not needed before a job comes.
def _containers() -> Sequence[str]:
    from stembridge.model.audio import CONTAINERS

    return CONTAINERS


def _bit_depths() -> Sequence[str]:
    from stembridge.model.audio import BIT_DEPTHS

    return BIT_DEPTHS


def _overs() -> Sequence[str]:
    from stembridge.model.rendering.spec import OVERS

    return OVERS


def _residuals() -> Sequence[str]:
    from stembridge.model.residual import RESIDUAL_POLICIES

    return RESIDUAL_POLICIES


def _devices() -> Sequence[str]:
    from stembridge.model.registry import DEVICES

    return DEVICES


OPTIONS: tuple[Option, ...] = (
    Option("model", "a model's name", _name, "separator, by name"),
    Option("stems", "names with commas between", _names, "write only these (also `no_vocals`)", repeats=True),
    Option("two_stems", "a stem", _name, "write it and `no_` it"),
    Option("residual", "other, spread, file or none", _choice(_residuals), "what becomes of the rest"),
    Option("sensitivity", "stem=0..10", _pairs(_number(0, 10)), "in place of the desk's", repeats=True),
    Option("mix", "1 or 0", _switch, "write the mix, also at unity"),
    Option("gain", "stem=dB", _pairs(_gain), "in place of the desk's fader", repeats=True),
    Option("pan", "stem=-1..1", _pairs(_number(-1, 1)), "in place of the desk's", repeats=True),
    Option("mute", "names with commas between", _names, "besides the desk's mutes", repeats=True),
    Option("solo", "names with commas between", _names, "besides the desk's solos", repeats=True),
    Option(
        "chain", "stem=preset", _pairs(_name), "treat a stem (or `mix`) with a preset's chain", repeats=True
    ),
    Option(
        "automation", "a name", _name, "the faders as `/automation/save` kept them, in place of the desk's"
    ),
    Option("post_fader", "1 or 0", _switch, "stems as they sound in the mix"),
    Option("dry", "1 or 0", _switch, "stems without their chains"),
    Option("tail", "seconds or until-silent", _tail, "let chains ring out past the end"),
    Option("start", "a time (90, 1:30.5, 48000s)", _time, "where the region begins"),
    Option("end", "a time (90, 1:30.5, 48000s)", _time, "where it ends"),
    Option("preroll", "seconds", _number(0, 3600), "start chains so long before the region"),
    Option("preview", "seconds", _number(0.001, 86_400), "only the loudest so many seconds"),
    Option("format", "wav, flac, mp3, ogg or aiff", _choice(_containers), "of the files"),
    Option("bit_depth", "16, 24 or 32f", _choice(_bit_depths), "of the files"),
    Option("overs", "gain, clip or error", _choice(_overs), "what integer files do with overs"),
    Option("sample_rate", "keep or Hz", _rate, "of the files"),
    Option("seed", "a whole number", _whole(0, 2**31 - 1), "of the dither"),
    Option("device", "cpu, cuda, mps or auto", _choice(_devices), "where networks run"),
    Option(
        "overlap", "0 to 1", _number(0, 0.999), "of segments, for networks that have them", separator=True
    ),
    Option("segment", "seconds", _number(0.1, 600), "length of segments, likewise", separator=True),
    Option("shifts", "a whole number", _whole(0, 32), "averaged time shifts, likewise", separator=True),
)

_BY_KEY: Mapping[str, Option] = {option.key: option for option in OPTIONS}

_NOT_HERE: Mapping[str, str] = {
    "out": "outputs lie below the bridge's own --out",
    "filename": "set render.filename in the configuration",
    "stems_from": "no folder is named from outside",
    "overwrite": "files that Stembridge did not write are never replaced from outside",
    "preset": "its name stands before the options",
}


def markdown() -> str:
    """The table of the README."""
    rows = [f"| `{option.key}` | {option.takes} | {option.text} |" for option in OPTIONS]
    return "\n".join(["| option | takes | does |", "|---|---|---|", *rows])
