"""`stembridge models`: what it lists is what the registry has."""

from __future__ import annotations

import json

import pytest
from stembridge.bridge.cli import main
from stembridge.model.registry import list_separators, resolve


def test_every_separator_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    for entry in list_separators():
        assert entry.name in out
        assert ", ".join(entry.stems) in out
        assert entry.description in out


def test_json_names_exactly_one_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    models = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in models] == [entry.name for entry in list_separators()]
    assert [model["name"] for model in models if model["default"]] == [resolve("default")]
    assert all(model["licence"] for model in models)
    assert all(model["installed"] or model["missing"] for model in models)


def test_one_is_described_with_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "repet"]) == 0
    assert "window_s" in capsys.readouterr().out
    assert main(["models", "repet", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert "window_s" in facts["options"]
    assert facts["stems"] == ["accompaniment", "vocals"]


def test_an_unknown_one_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "repett"]) == 1
    assert "repet" in capsys.readouterr().err
