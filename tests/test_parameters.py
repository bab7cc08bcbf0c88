"""Parameters: what is listed is what the real plug-ins have, and what they take."""

from __future__ import annotations

import math
from typing import Any

import pedalboard
import peers
import pytest
from stembridge.model.errors import PluginParameterError
from stembridge.model.plugins.parameters import (
    Parameter,
    external_parameters,
    make_native,
    native_effects,
    native_parameters,
    set_external,
    suggest,
)

RATE = 44100
MADE_OF_NOTHING = sorted(set(native_effects()) - {"Convolution"})


def test_effects_are_effects() -> None:
    assert {"Compressor", "Reverb", "Resample", "Convolution"} <= set(native_effects())
    assert not {"Chain", "Mix", "Pedalboard", "VST3Plugin", "Plugin", "IIRFilter"} & set(native_effects())


@pytest.mark.parametrize("name", MADE_OF_NOTHING)
def test_every_bound_is_one_the_real_effect_takes(name: str) -> None:
    for key, parameter in native_parameters(name).items():
        if parameter.kind == "choice":
            values: list[Any] = list(parameter.choices)
        elif parameter.kind == "switch":
            values = [False, True]
        else:
            high = parameter.high if parameter.high != math.inf else math.nextafter(RATE / 2, 0)
            values = [value for value in (parameter.low, high, parameter.default) if value is not None]
        for value in values:
            plugin = make_native(name, {key: value}, RATE)
            got = getattr(plugin, key)
            if isinstance(value, float):
                assert got == pytest.approx(value, rel=1e-5)
            else:
                assert getattr(got, "name", got) == value


@pytest.mark.parametrize("name", MADE_OF_NOTHING)
def test_every_number_refuses_what_is_no_number(name: str) -> None:
    for key, parameter in native_parameters(name).items():
        for value in (math.nan, math.inf, "1", True):
            if parameter.kind == "number":
                with pytest.raises(PluginParameterError, match=rf"{name}: {key} must be"):
                    make_native(name, {key: value}, RATE)


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        (Parameter("a", "number", -12.0, 12.0, unit="dB"), "-12 to 12 dB"),
        (Parameter("a", "number", 1.0), "1 or more"),
        (Parameter("a", "number", None, 0.0, unit="dB"), "0 dB or less"),
        (Parameter("a", "number", unit="dB"), "any number (dB)"),
        (Parameter("a", "number", 1.0, math.inf, unit="Hz"), "1 Hz to half the sample rate"),
        (Parameter("a", "switch"), "true or false"),
        (Parameter("a", "choice", choices=("x", "y")), "'x', 'y'"),
    ],
)
def test_ranges_read_well(parameter: Parameter, text: str) -> None:
    assert parameter.range_text == text


def test_a_plugin_files_parameters_are_all_there_and_set() -> None:
    plugin: Any = pedalboard.load_plugin(peers.vst3("ZamCompX2"))  # type: ignore[attr-defined]
    known = external_parameters(plugin)
    assert set(known) == set(plugin.parameters)
    assert (known["threshold_db"].low, known["threshold_db"].high, known["threshold_db"].unit) == (
        -80,
        0,
        "dB",
    )
    assert known["current_program"].choices == ("Zero", "PoppySnare", "VocalLeveller")
    assert known["ratio"].default == pytest.approx(4.0)
    assert not known["gain_reduction_db"].automatable
    set_external(plugin, {"threshold_db": -20, "ratio": 2.0, "stereo_detection": True}, "Z")
    now = external_parameters(plugin)
    assert now["threshold_db"].value == pytest.approx(-20, abs=0.1)
    assert now["ratio"].value == pytest.approx(2, abs=0.01)
    assert now["stereo_detection"].value == 1.0


def test_nothing_is_set_when_one_value_is_wrong() -> None:
    plugin: Any = pedalboard.load_plugin(peers.vst3("ZamCompX2"))  # type: ignore[attr-defined]
    with pytest.raises(PluginParameterError, match="makeup_db must be 0 to 30 dB; got 31"):
        set_external(plugin, {"threshold_db": -20, "makeup_db": 31}, "Z")
    assert plugin.threshold_db == 0


def test_choices_may_be_given_as_numbers_where_they_are_numbers() -> None:
    parameter = Parameter("voices", "choice", choices=("1", "2", "Many"))
    assert parameter.check(2, "Z") == "2"
    assert parameter.check("Many", "Z") == "Many"
    with pytest.raises(PluginParameterError, match="voices must be '1', '2', 'Many'; got 3"):
        parameter.check(3, "Z")
    with pytest.raises(PluginParameterError):
        parameter.check(True, "Z")


def test_suggestions_are_near_or_absent() -> None:
    assert suggest("COMPRESSOR", ["Compressor", "Gain"]) == ". Did you mean 'Compressor'?"
    assert suggest("xyz", ["Compressor", "Gain"]) == ""
