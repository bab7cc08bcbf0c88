"""Parameters of plug-ins: what there is, what each may be, and setting them with errors that help.

pedalboard takes `plugin.nope = 3` without a word and lets some of its own effects be set to NaN; here
every name and every value is checked against the real plug-in first.
"""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pedalboard

from ..errors import PluginError, PluginParameterError

Value = float | str | bool
"""What a parameter can be set to."""

Bounds = tuple[float | None, float | None]

_NYQUIST = math.inf
"""As an upper bound: less than half the sample rate."""

_SHARE: Bounds = (0.0, 1.0)
_SIGNED_SHARE: Bounds = (-1.0, 1.0)
_TIME: Bounds = (0.0, None)
_CUTOFF: Bounds = (1.0, _NYQUIST)
_ANY: Bounds = (None, None)
_FILTER = {"cutoff_frequency_hz": _CUTOFF, "gain_db": _ANY, "q": (1e-3, None)}

_BOUNDS: Mapping[str, Mapping[str, Bounds]] = {
    "Bitcrush": {"bit_depth": (0.0, 32.0)},
    "BrickwallLimiter": {"ceiling_db": _ANY, "lookahead_ms": (0.01, 100.0), "release_ms": (0.01, None)},
    "Chorus": {
        "rate_hz": (0.0, 100.0),
        "depth": _SHARE,
        "centre_delay_ms": (1.0, 100.0),
        "feedback": _SIGNED_SHARE,
        "mix": _SHARE,
    },
    "Clipping": {"threshold_db": _ANY},
    "Compressor": {
        "threshold_db": _ANY,
        "ratio": (1.0, None),
        "attack_ms": _TIME,
        "release_ms": _TIME,
    },
    "Convolution": {"mix": _SHARE},
    "Delay": {"delay_seconds": (0.0, 30.0), "feedback": _SHARE, "mix": _SHARE},
    "Distortion": {"drive_db": _ANY},
    "Gain": {"gain_db": _ANY},
    "HighShelfFilter": _FILTER,
    "HighpassFilter": {"cutoff_frequency_hz": _CUTOFF},
    "LadderFilter": {"cutoff_hz": _CUTOFF, "resonance": _SHARE, "drive": (1.0, None)},
    "Limiter": {"threshold_db": _ANY, "release_ms": _TIME},
    "LowShelfFilter": _FILTER,
    "LowpassFilter": {"cutoff_frequency_hz": _CUTOFF},
    "MP3Compressor": {"vbr_quality": (0.0, 10.0)},
    "NoiseGate": {
        "threshold_db": _ANY,
        "ratio": (1.0, None),
        "attack_ms": _TIME,
        "release_ms": _TIME,
    },
    "PeakFilter": _FILTER,
    "Phaser": {
        "rate_hz": (0.0, 100.0),
        "depth": _SHARE,
        "centre_frequency_hz": _CUTOFF,
        "feedback": _SIGNED_SHARE,
        "mix": _SHARE,
    },
    "PitchShift": {"semitones": (-72.0, 72.0)},
    "Resample": {"target_sample_rate": (1.0, None)},
    "Reverb": dict.fromkeys(
        ("room_size", "damping", "wet_level", "dry_level", "width", "freeze_mode"), _SHARE
    ),
}
"""Limits of pedalboard's own effects: those it enforces, and those that make sense where it does not."""

_UNITS = {"_db": "dB", "_hz": "Hz", "_ms": "ms", "_seconds": "s", "_rate": "Hz"}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a plug-in, under pedalboard's name for it."""

    name: str
    kind: Literal["number", "switch", "choice", "file"]
    low: float | None = None
    high: float | None = None
    """Infinity means: below half the sample rate."""
    step: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    default: Value | None = None
    """None where the plug-in does not say."""
    value: Value | None = None
    automatable: bool = True
    """False for what the host or the plug-in itself writes: meters, latency, block size."""

    @property
    def range_text(self) -> str:
        """What the parameter may be, as people write it.

        >>> Parameter("ratio", "number", 1.0, 20.0).range_text
        '1 to 20'
        """
        unit = f" {self.unit}" if self.unit else ""
        low = None if self.low is None else f"{self.low:g}{unit}"
        high = None if self.high is None else f"{self.high:g}{unit}"
        if self.kind == "switch":
            return "true or false"
        if self.kind == "choice":
            return ", ".join(repr(choice) for choice in self.choices)
        if self.kind == "file":
            return "the path of a file"
        if self.high == _NYQUIST:
            return f"{low} to half the sample rate"
        if low is None and high is None:
            return f"any number{unit and f' ({self.unit})'}"
        if high is None:
            return f"{low} or more"
        return f"{self.low:g} to {high}" if self.low is not None else f"{high} or less"

    def check(self, value: Value, owner: str, sample_rate: float | None = None) -> Value:
        """Return the value as the plug-in wants it.

        `owner` names the plug-in in errors. Raises PluginParameterError for another type or a value out
        of range, naming the range or the nearest choice.
        """
        wrong = f"{owner}: {self.name} must be {self.range_text}; got {value!r}"
        if self.kind == "switch":
            if isinstance(value, bool):
                return value
            raise PluginParameterError(wrong)
        if self.kind == "choice":
            text = value if isinstance(value, str) else self._choice_of(value)
            if text in self.choices:
                return text
            raise PluginParameterError(wrong + suggest(str(value), self.choices))
        if self.kind == "file":
            if isinstance(value, str) and Path(value).is_file():
                return value
            raise PluginParameterError(f"{owner}: {self.name} names a file that is not there: {value!r}")
        if isinstance(value, bool) and (self.low, self.high, self.step) == (0.0, 1.0, 1.0):
            return float(value)  # VST3 has no switches, only numbers with two steps
        if isinstance(value, bool | str) or not math.isfinite(value):
            raise PluginParameterError(wrong)
        high = self.high
        if high == _NYQUIST:
            high = math.nextafter(sample_rate / 2, 0) if sample_rate else None
            if high is not None:
                wrong += f" at {sample_rate:g} Hz"
        if (self.low is not None and value < self.low) or (high is not None and value > high):
            raise PluginParameterError(wrong)
        return float(value)

    def _choice_of(self, value: float) -> str:
        """The choice a number stands for: 2 for "2" or "2.0"."""
        for choice in self.choices:
            try:
                if not isinstance(value, bool) and float(choice) == value:
                    return choice
            except ValueError:
                continue
        return str(value)


def suggest(word: str, known: Iterable[str]) -> str:
    """Say which known word was probably meant, as the end of an error message; empty when none is near.

    >>> suggest("treshold_db", ["threshold_db", "ratio"])
    ". Did you mean 'threshold_db'?"
    """
    known = list(known)
    folded = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.5)
    return f". Did you mean {folded[near[0]]!r}?" if near else ""


@cache
def native_effects() -> Mapping[str, type[pedalboard.Plugin]]:
    """pedalboard's own effects by class name: no containers, no instruments, nothing abstract."""
    found: dict[str, type[pedalboard.Plugin]] = {}
    for name, kind in sorted(vars(pedalboard).items()):
        if not (inspect.isclass(kind) and issubclass(kind, pedalboard.Plugin)) or name.startswith("_"):
            continue
        if issubclass(kind, pedalboard.ExternalPlugin | pedalboard.PluginContainer):
            continue
        if not kind.__subclasses__():
            found[name] = kind
    return found


def native_class(name: str) -> type[pedalboard.Plugin]:
    """The class of one of pedalboard's own effects. Raises PluginError naming the nearest."""
    effects = native_effects()
    if name in effects:
        return effects[name]
    raise PluginError(
        f"{name!r} is not one of pedalboard's own effects ({', '.join(effects)}){suggest(name, effects)}"
        + ("" if "." not in name else " A plug-in file goes under `file`, not `plugin`.")
    )


def native_parameters(name: str) -> dict[str, Parameter]:
    """Every parameter of one of pedalboard's own effects, with its default."""
    kind = native_class(name)
    bounds = _BOUNDS.get(name, {})
    files = {"Convolution": ("impulse_response_filename",)}.get(name, ())
    found = {file: Parameter(file, "file") for file in files}
    plugin: Any = None if files else kind()
    for key in dir(kind):
        if key.startswith(("_", "is_", "impulse_response")):
            continue
        if not isinstance(inspect.getattr_static(kind, key), property):
            continue
        default: Any = getattr(plugin, key) if plugin is not None else 1.0
        low, high = bounds.get(key, _ANY)
        unit = next((unit for end, unit in _UNITS.items() if key.endswith(end)), "")
        members = getattr(type(default), "__members__", None)
        if isinstance(default, bool):
            found[key] = Parameter(key, "switch", default=default, value=default)
        elif members is not None:
            found[key] = Parameter(
                key, "choice", choices=tuple(members), default=default.name, value=default.name
            )
        else:
            shown = float(f"{float(default):.7g}")
            found[key] = Parameter(key, "number", low, high, unit=unit, default=shown, value=shown)
    return found


def make_native(name: str, values: Mapping[str, Value], sample_rate: float) -> pedalboard.Plugin:
    """Make one of pedalboard's own effects with the given values, all checked.

    Raises PluginError for an unknown effect, PluginParameterError for a wrong name or value.
    """
    kind: Any = native_class(name)
    parameters = native_parameters(name)
    checked = _checked(parameters, values, name, sample_rate)
    needed = [key for key, parameter in parameters.items() if parameter.kind == "file" and key not in values]
    if needed:
        raise PluginParameterError(f"{name} needs {needed[0]} = the path of an audio file")
    for key, value in checked.items():
        if parameters[key].kind == "choice":
            members = type(getattr(kind(), key)).__members__
            checked[key] = members[value]
    try:
        plugin: pedalboard.Plugin = kind(**checked)
    except (ValueError, TypeError, RuntimeError) as error:
        raise PluginParameterError(f"{name}: {str(error).splitlines()[0]}") from error
    return plugin


def external_parameters(plugin: Any) -> dict[str, Parameter]:
    """Every parameter of a loaded VST3 or Audio Unit, with its present value."""
    found: dict[str, Parameter] = {}
    for key, source in plugin.parameters.items():
        low, high, step = source.range
        value = getattr(plugin, key)
        common: dict[str, Any] = {"unit": (source.label or "").strip(), "automatable": source.is_automatable}
        if source.type is bool:
            default = source.default_raw_value >= 0.5
            found[key] = Parameter(key, "switch", default=default, value=bool(value), **common)
        elif source.type is str:
            choices = tuple(str(choice) for choice in source.valid_values)
            found[key] = Parameter(
                key, "choice", choices=choices, default=_default(source), value=str(value), **common
            )
        else:
            found[key] = Parameter(
                key, "number", low, high, step, default=_default(source), value=float(value), **common
            )
    return found


def set_external(plugin: Any, values: Mapping[str, Value], owner: str) -> None:
    """Set parameters of a loaded plug-in, in the order given, all checked before the first is set.

    Raises PluginParameterError naming the parameter, its range and the nearest valid name.
    """
    for key, value in _checked(external_parameters(plugin), values, owner, None).items():
        try:
            setattr(plugin, key, value)
        except (ValueError, TypeError, AttributeError) as error:
            raise PluginParameterError(f"{owner}: {key} = {value!r}: {error}") from error


def _checked(
    parameters: Mapping[str, Parameter], values: Mapping[str, Value], owner: str, sample_rate: float | None
) -> dict[str, Any]:
    for key in values:
        if key not in parameters:
            known = [name for name, parameter in parameters.items() if parameter.automatable]
            listed = f" Its parameters: {', '.join(known)}" if len(known) <= 30 else ""
            hint = suggest(key, known) or "."
            raise PluginParameterError(f"{owner} has no parameter {key!r}{hint}{listed}")
    return {key: parameters[key].check(value, owner, sample_rate) for key, value in values.items()}


def _default(source: Any) -> Value | None:
    """What a plug-in's default looks like in its own words; None where it cannot be told."""
    try:
        text = source.get_text_for_raw_value(source.default_raw_value)
    except (RuntimeError, ValueError):
        return None
    if source.type is str:
        return str(text)
    try:
        return float(text)
    except ValueError:
        return None
