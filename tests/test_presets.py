"""Presets: what ships works with the real plug-ins; what is wrong in one is found, with its line."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import get_args

import pytest
from stembridge.bridge import preset_toml
from stembridge.bridge.presets import (
    PresetError,
    RenderSettings,
    dump_preset,
    load_preset,
    parse_preset,
    preset_paths,
)
from stembridge.model.errors import StembridgeError
from stembridge.model.plugins.chain_spec import PluginSpec
from stembridge.model.plugins.trial import validate

SHIPPED = ("acapella", "drumless", "karaoke", "master-streaming", "practice-bass", "stem-master", "vocal-up")

EVERYTHING = """\
schema = 1
description = "Everything a preset can say: \\"quotes\\", ü."

[render]
model = "repet"
stems = ["drums", "bass"]
two_stems = "vocals"
mute = "drums, bass"
solo = ["vocals"]
submix = { beat = ["drums", "bass"], rest = "other+vocals" }
sensitivity = { vocals = 7 }
tail = "until-silent"
mix = true
post_fader = false
residual = "spread"
format = "flac"
bit_depth = 24
overs = "clip"
sample_rate = 48000

[gains_db]
vocals = -inf
drums = 3

[pan]
bass = -0.5

[[chain.vocals]]
file = "ZamCompX2.vst3"
plugin_name = "ZamCompX2"
state = "states/voice.vstpreset"
threshold_db = -12.5
mix = 0.5

[[chain.vocals]]
plugin = "Delay"
dual_mono = true
[chain.vocals.parameters]
mix = 0.2

[[chain.mix]]
plugin = "Gain"
gain_db = -1

[master]
lufs = -14
true_peak = -1
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own preset folder, empty."""
    monkeypatch.setattr("platformdirs.user_config_path", lambda _: tmp_path)
    (tmp_path / "presets").mkdir()
    return tmp_path / "presets"


@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_presets_work_with_the_real_plugins(name: str, rate: int) -> None:
    preset = load_preset(name)
    assert preset.description.endswith(".")
    for chain in preset.chains.values():
        assert chain.native, "a shipped preset must not need plug-ins that not everybody has"
        for channels in (1, 2):
            assert validate(chain, rate, channels).idle == ()


@pytest.mark.usefixtures("mine")
def test_nothing_ships_that_is_not_listed_here() -> None:
    assert tuple(sorted(preset_paths())) == SHIPPED


def test_shipped_presets_do_what_they_are_called() -> None:
    assert load_preset("karaoke").gains_db == {"vocals": -math.inf}
    assert load_preset("acapella").render.solo == ("vocals",)
    assert load_preset("vocal-up").gains_db == {"vocals": 3.0}
    assert load_preset("drumless").gains_db == {"drums": -math.inf}
    assert load_preset("practice-bass").gains_db["bass"] == -math.inf
    master = load_preset("stem-master")
    assert set(master.stem_chains) == {"drums", "bass", "other", "vocals"}
    assert master.mix_chain is not None


def test_everything_a_preset_can_say_is_read(tmp_path: Path) -> None:
    preset = parse_preset(EVERYTHING, "all", tmp_path / "all.toml")
    assert preset.render == RenderSettings(
        model="repet",
        stems=("drums", "bass"),
        two_stems="vocals",
        mute=("drums", "bass"),
        solo=("vocals",),
        submix={"beat": ("drums", "bass"), "rest": ("other", "vocals")},
        sensitivity={"vocals": 7.0},
        tail="until-silent",
        mix=True,
        post_fader=False,
        residual="spread",
        format="flac",
        bit_depth="24",
        overs="clip",
        sample_rate=48000,
    )
    assert preset.gains_db == {"vocals": -math.inf, "drums": 3.0}
    assert preset.pan == {"bass": -0.5}
    assert (preset.master.lufs, preset.master.true_peak) == (-14.0, -1.0)
    assert preset.chains["vocals"].plugins == (
        PluginSpec(
            file="ZamCompX2.vst3",
            plugin_name="ZamCompX2",
            state=tmp_path / "states/voice.vstpreset",
            parameters={"threshold_db": -12.5},
            mix=0.5,
        ),
        PluginSpec("Delay", dual_mono=True, parameters={"mix": 0.2}),
    )
    assert preset.chains["vocals"].origin == "all.toml, chain.vocals"
    assert preset.mix_chain is not None
    assert "mix" not in preset.stem_chains


def test_every_setting_is_a_flag_with_the_same_name() -> None:
    names = {field.name for field in dataclasses.fields(RenderSettings)}
    assert names == set(preset_toml._RENDER)
    # Each is set by EVERYTHING, so that the round trip below covers all of them.
    default = RenderSettings()
    read = parse_preset(EVERYTHING, "all").render
    assert all(getattr(read, name) != getattr(default, name) for name in names)


def test_choices_are_the_renderers() -> None:
    from stembridge.model.rendering import spec

    assert get_args(spec.Overs) == preset_toml.OVERS
    assert spec.UNTIL_SILENT == preset_toml.UNTIL_SILENT


@pytest.mark.parametrize("name", ["everything", *SHIPPED])
def test_what_is_written_reads_as_the_same_preset(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.toml"
    preset = parse_preset(EVERYTHING, name, path) if name == "everything" else load_preset(name)
    again = parse_preset(dump_preset(preset), name, preset.path)
    assert again == preset


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "starts with `schema = 1`; got None"),
        ("schema = true", 1, "starts with `schema = 1`"),
        ("\nschema = 2", 2, "schema 2 is newer than this Stembridge knows (1)"),
        ("schema = 1\ndescripton = 'x'", 2, "no key 'descripton'. Did you mean 'description'?"),
        ("schema = 1\ndescription = 3", 2, "description is a text"),
        ("schema = 1\nrender = 3", 2, "render is a table"),
        ("schema = 1\n[gain_db]\nvocals = 1", 2, "Did you mean 'gains_db'?"),
        ("schema = 1\n[render]\n\nmodle = 'x'", 4, "[render] has no key 'modle'. Did you mean 'model'?"),
        ("schema = 1\n[render]\nout = '/tmp'", 3, "[render] has no key 'out'"),
        ("schema = 1\n[render]\nbit_depth = 20", 3, "bit_depth is one of 16, 24, 32f; got 20"),
        ("schema = 1\n[render]\nformat = 'wma'", 3, "format is one of wav, flac, mp3, ogg, aiff; got 'wma'"),
        ("schema = 1\n[render]\nmix = 1", 3, "mix is true or false"),
        ("schema = 1\n[render]\nsample_rate = 44.1", 3, 'sample_rate is "keep" or a rate'),
        ("schema = 1\n[render]\ntail = -1", 3, "tail is a number, 0 to 600 seconds, or 'until-silent'"),
        ("schema = 1\n[render.sensitivity]\nvocals = 11", 2, "sensitivity is a number, 0 to 10"),
        ("schema = 1\n[render]\nsubmix = ['a']", 3, "submix is a table"),
        ("schema = 1\n[render]\nsolo = [1]", 3, "solo is a list of stems"),
        ("schema = 1\n[gains_db]\nvocals = 13", 3, "vocals is a number, at most 12 dB"),
        ("schema = 1\n[gains_db]\nvocals = nan", 3, "got nan"),
        ("schema = 1\n[gains_db]\nvocals = 'off'", 3, "got 'off'"),
        ("schema = 1\n[pan]\n'my stem' = 2", 3, "my stem is a number, -1 to 1"),
        ("schema = 1\n[master]\nlufs = 3", 3, "lufs is a number, -70 to 0 LUFS; got 3"),
        ("schema = 1\n[chain]\nvocals = 3", 3, "a chain is a list of plug-ins"),
        ("schema = 1\n[chain.vocals]\nplugin = 'Gain'", 2, "each under `[[chain.vocals]]`"),
        ("schema = 1\n[[chain.vocals]]\ngain_db = 3", 2, "names either plugin"),
        ("schema = 1\n[[chain.vocals]]\nplugin = 'Gian'", 2, "Did you mean 'Gain'?"),
        ("schema = 1\n[[chain.vocals]]\nplugin = 'Gain.vst3'", 2, "goes under `file`"),
        ("schema = 1\n[[chain.a]]\nplugin = 'Gain'\n[[chain.a]]\nplugin = 'Gain'\ngain = 1", 6, "'gain_db'"),
        (
            "schema = 1\n[[chain.a]]\nplugin = 'Gain'\ngain_db = 'x'\n[[chain.a]]\nplugin = 'Gain'",
            4,
            "any number",
        ),
        (
            "schema = 1\n[[chain.a]]\nplugin = 'Gain'\n[chain.a.parameters]\ngain = 1",
            5,
            "no parameter 'gain'",
        ),
        ("schema = 1\n[[chain.a]]\nplugin = 'Gain'\ndual_mno = true", 4, "Did you mean 'dual_mono'?"),
        ("schema = 1\n[[chain.a]]\nplugin = 'Gain'\ndual_mono = 1", 4, "dual_mono is true or false"),
        ("schema = 1\n[[chain.a]]\nplugin = 'Gain'\nmix = 2", 2, "mix must be 0 (dry) to 1 (wet)"),
        ("schema = 1\n[[chain.a]]\nplugin = 'Gain'\nstate = 'x'", 2, "for plug-in files"),
        ("schema = 1\n[[chain.a]]\nfile = 'x.vst3'\na = [1]", 4, "a is a number, a text or true/false"),
        ("schema = 1\n[[chain.a]]\nfile = 3", 3, "file is a text"),
        (
            "schema = 1\n[[chain.a]]\nplugin = 'Gain'\ngain_db = 1\nparameters = {gain_db = 2}",
            4,
            "given twice",
        ),
        ("schema = 1\n[render\n", None, "not TOML: "),
    ],
)
def test_what_is_wrong_is_found_with_its_line(
    text: str, line: int | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(PresetError) as caught:
        load_preset(path)
    assert message in str(caught.value)
    where = f"{path}, line {line}: " if line else f"{path}: "
    assert str(caught.value).startswith(where)
    assert isinstance(caught.value, StembridgeError)


def test_own_presets_go_before_shipped_ones(mine: Path) -> None:
    (mine / "karaoke.toml").write_text('schema = 1\ndescription = "Mine."')
    (mine / "loud.toml").write_text("schema = 1")
    assert load_preset("karaoke").description == "Mine."
    assert "loud" in preset_paths()
    assert load_preset(str(mine / "loud.toml")).name == "loud"


@pytest.mark.usefixtures("mine")
def test_a_preset_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(PresetError, match="Did you mean 'karaoke'"):
        load_preset("karoke")
    with pytest.raises(PresetError, match="no preset file at"):
        load_preset(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"\xff")
    with pytest.raises(PresetError, match="cannot be read as text"):
        load_preset(tmp_path / "latin.toml")
