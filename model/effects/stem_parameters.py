"""The controls of a set of stems as named parameters: `vocals_gain_db`, `drums_mute`, `bass_pan`."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np

from ..errors import ArgumentTypeError
from ..mixer import Mixer
from ..remix import stem_index
from ..residual import ResidualPolicy
from ..sensitivity import NEUTRAL, check_sensitivity

Kind = Literal["gain_db", "mute", "solo", "pan", "sensitivity"]

MASTER = "master_gain_db"


class StemParameters:
    """Values by parameter name, checked, for a mixer of any rate and channel count.

    Every stem has a gain, mute, solo and balance; those that the model itself gives also have a
    sensitivity. Characters of a stem's name that a Python name cannot hold become `_`. May be set and
    read from any thread.

    Raises ArgumentValueError for unknown stems and values out of range, ArgumentTypeError for values of
    the wrong kind.
    """

    def __init__(self, stems: tuple[str, ...], model_stems: tuple[str, ...], policy: ResidualPolicy) -> None:
        self._stems = stems
        self._model_stems = model_stems
        self._policy = policy
        self._lock = threading.Lock()
        self._mixer = Mixer(stems, 1, 44100, residual_policy=policy)
        self.sensitivity: Mapping[str, float] = {}
        """Those that are not neutral."""
        kinds: tuple[Kind, ...] = ("gain_db", "mute", "solo", "pan")
        self._names: dict[str, tuple[str, Kind]] = {
            f"{_python_name(stem)}_{kind}": (stem, kind) for stem in stems for kind in kinds
        }
        for stem in model_stems:
            self._names[f"{_python_name(stem)}_sensitivity"] = (stem, "sensitivity")

    @property
    def names(self) -> tuple[str, ...]:
        """All parameter names, the master's last."""
        return (*self._names, MASTER)

    def mixer(self, channels: int, sample_rate: int) -> Mixer:
        """A mixer for one stream, which these parameters move from now on."""
        with self._lock:
            self._mixer = Mixer(
                self._stems,
                channels,
                sample_rate,
                residual_policy=self._policy,
                state=self._mixer.state,
            )
            return self._mixer

    @property
    def unity(self) -> bool:
        """Whether the mix is to stay as it is."""
        return self._mixer.unity

    def get(self, name: str) -> float | bool:
        """The value of one parameter. Raises AttributeError naming the nearest one."""
        if name == MASTER:
            return self._mixer.state.master_gain_db
        stem, kind = self._found(name)
        if kind == "sensitivity":
            return self.sensitivity.get(stem, NEUTRAL)
        state = self._mixer.state
        if kind == "gain_db":
            return state.gains_db[stem]
        if kind == "pan":
            return state.pans[stem]
        return stem in (state.mutes if kind == "mute" else state.solos)

    def name_of(self, stem: str, kind: Kind) -> str:
        """The parameter of one stem. Raises ArgumentValueError naming the nearest stem."""
        stem_index(self._model_stems if kind == "sensitivity" else self._stems, stem)
        return f"{_python_name(stem)}_{kind}"

    def update(self, values: Mapping[str, object]) -> None:
        """Set parameters by name, all of them or, if one is wrong, none.

        Raises AttributeError naming the nearest one when there is none of a name.
        """
        with self._lock:
            now = self._mixer.state
            master = now.master_gain_db
            numbers: dict[str, dict[str, float]] = {
                "gain_db": dict(now.gains_db),
                "pan": dict(now.pans),
                "sensitivity": dict(self.sensitivity),
            }
            switches = {"mute": set(now.mutes), "solo": set(now.solos)}
            for name, value in values.items():
                if name == MASTER:
                    master = _number(name, value)
                    continue
                stem, kind = self._found(name)
                if kind in switches:
                    (switches[kind].add if _switch(name, value) else switches[kind].discard)(stem)
                else:
                    numbers[kind][stem] = _number(name, value)
            sensitivity = check_sensitivity(numbers["sensitivity"], self._model_stems)
            self._mixer.state = replace(
                now,
                gains_db=numbers["gain_db"],
                pans=numbers["pan"],
                mutes=frozenset(switches["mute"]),
                solos=frozenset(switches["solo"]),
                master_gain_db=master,
            )
            self.sensitivity = sensitivity

    def moved(self) -> dict[str, float | bool]:
        """The parameters that are not at their default."""
        neutral = {"sensitivity": NEUTRAL}
        values = {name: self.get(name) for name in self.names}
        return {
            name: value
            for name, value in values.items()
            if value != (neutral.get(self._names[name][1], 0) if name in self._names else 0)
        }

    def _found(self, name: str) -> tuple[str, Kind]:
        if name in self._names:
            return self._names[name]
        near = get_close_matches(name, self.names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(self.names)}"
        raise AttributeError(f"there is no parameter {name!r}: {hint}")


def _python_name(stem: str) -> str:
    return re.sub(r"\W", "_", stem)


def _number(what: str, value: Any) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise ArgumentTypeError(f"{what} must be a number; got {value!r}")
    return float(value)


def _switch(what: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_) and not (isinstance(value, int) and value in (0, 1)):
        raise ArgumentTypeError(f"{what} must be True or False; got {value!r}")
    return bool(value)
