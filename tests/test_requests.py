"""Flag over preset over config over default; the surfaces name things alike."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

import pytest
from stembridge.bridge.cli import render
from stembridge.bridge.config import Config, PluginSettings, RenderDefaults
from stembridge.bridge.inputs import Song
from stembridge.bridge.preset_spec import RenderSettings
from stembridge.bridge.requests import RenderRequest
from stembridge.model.audio import OutputFormat
from stembridge.model.errors import ArgumentValueError
from stembridge.model.rendering import RenderSpec

SONG = Song(Path("song.wav"))


@pytest.fixture
def preset(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(
        """
        schema = 1
        [render]
        model = "repet"
        format = "flac"
        bit_depth = "16"
        mute = ["accompaniment"]
        tail = 2
        [gains_db]
        vocals = -3
        [[chain.vocals]]
        plugin = "Compressor"
        [[chain.mix]]
        plugin = "Limiter"
        """
    )
    return str(path)


def spec(config: Config | None = None, **flags: object) -> RenderSpec:
    return RenderRequest(**flags).spec(SONG, config or Config())  # type: ignore[arg-type]


def test_flag_over_preset_over_config_over_default(preset: str) -> None:
    config = Config(render=RenderDefaults(model="hpss", overs="clip", out=Path("there")))
    assert (spec().model, spec().overs) == ("default", "gain")
    configured = spec(config)
    assert (configured.model, configured.overs, configured.out) == ("hpss", "clip", Path("there"))
    chosen = spec(config, preset=(preset,))
    assert (chosen.model, chosen.overs, chosen.tail) == ("repet", "clip", 2.0)
    assert chosen.format == OutputFormat("flac", "16")
    flagged = spec(
        config, preset=(preset,), model="classic", overs="error", format="wav", tail="until-silent"
    )
    assert (flagged.model, flagged.overs, flagged.tail) == ("classic", "error", "until-silent")
    assert flagged.format == OutputFormat("wav", "16")


def test_plugin_folders_of_the_config_reach_the_render() -> None:
    assert spec(Config(plugins=PluginSettings((Path("mine"),)))).plugin_folders == (Path("mine"),)


def test_gains_mutes_and_chains_of_flags_join_the_presets(preset: str) -> None:
    (version,) = spec(
        preset=(preset,), gain={"accompaniment": 1.0, "vocals": -9.0}, solo=("vocals",)
    ).versions
    assert version.name == "mine"
    assert version.mixer.gains_db == {"vocals": -9.0, "accompaniment": 1.0}
    assert version.mixer.mutes == {"accompaniment"}
    assert version.mixer.solos == {"vocals"}
    assert list(version.chains) == ["vocals"]
    assert version.mix_chain is not None
    assert version.implies_mix


def test_a_chain_flag_takes_the_presets_chain_for_that_stem_or_its_mix_chain(preset: str) -> None:
    (version,) = spec(chain={"vocals": preset, "drums": preset, "mix": preset}).versions
    assert [version.chains[stem].plugins[0].plugin for stem in ("vocals", "drums")] == [
        "Compressor",
        "Limiter",
    ]
    assert version.mix_chain is not None
    with pytest.raises(ArgumentValueError, match="has no chain for vocals"):
        spec(chain={"vocals": "karaoke"})


def test_presets_that_disagree_about_one_separation_are_told_apart(preset: str, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text('schema = 1\n[render]\nmodel = "classic"\n')
    with pytest.raises(ArgumentValueError, match="ask for different model"):
        spec(preset=(preset, str(other)))
    assert spec(preset=(preset, str(other)), model="hpss").model == "hpss"


def test_flac_without_a_depth_takes_the_best_it_can_hold() -> None:
    assert spec(format="flac").format == OutputFormat("flac", "24")
    with pytest.raises(ArgumentValueError, match="FLAC holds integers"):
        spec(format="flac", bit_depth="32f")


def test_flags_presets_config_and_requests_use_the_same_words() -> None:
    parser = argparse.ArgumentParser()
    render.configure(parser)
    flags = {action.dest for action in parser._actions}
    request = {field.name for field in fields(RenderRequest)} - {"options"}
    assert request | {"overlap", "segment", "shifts"} <= flags
    assert {field.name for field in fields(RenderSettings)} <= request
    assert {field.name for field in fields(RenderDefaults)} <= flags
    work = {"inputs", "help", "jobs", "no_cache", "dry_run", "json", "overlap", "segment", "shifts"}
    batch = {"cluster", "watch", "settle", "report"}
    assert flags - request == work | batch
