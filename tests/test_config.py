"""config.toml: what it sets, what holds without it, and what it is told when it is wrong."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from stembridge.bridge.config import Config, ConfigError, RenderDefaults, config_path, load_config
from stembridge.model.rendering.naming import DEFAULT_TEMPLATE
from stembridge.model.rendering.spec import RenderSpec

FULL = """\
schema = 1

[render]
model = "repet"
out = "/music/stems"
filename = "{track}/{stem}.{ext}"
format = "flac"
bit_depth = 24
overs = "clip"
sample_rate = 48000
residual = "file"
device = "cpu"
jobs = 2
overwrite = true

[plugins]
folders = ["/opt/vst3", "mine"]

[cache]
folder = "stems"
limit_gb = 2.5

[[osc.client]]
host = "10.0.0.2"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    config = load_config(tmp_path / "none.toml")
    assert config == Config()
    assert config.path is None
    assert config.cache.limit_bytes == 10 * 10**9
    assert {setting.origin for setting in config.settings()} == {"default"}
    assert load_config(write(tmp_path, "")).render == RenderDefaults()


def test_the_defaults_are_those_of_render() -> None:
    spec, defaults = RenderSpec(Path("song.wav")), RenderDefaults()
    for name in ("model", "out", "filename", "overs", "residual", "device", "overwrite"):
        assert getattr(defaults, name) == getattr(spec, name), name
    assert (defaults.format, defaults.bit_depth) == (spec.format.container, spec.format.bit_depth)
    assert defaults.filename == DEFAULT_TEMPLATE


def test_every_key_is_read_and_knows_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, FULL)
    config = load_config(path)
    render = config.render
    assert render == RenderDefaults(
        model="repet",
        out=Path("/music/stems"),
        filename="{track}/{stem}.{ext}",
        format="flac",
        bit_depth="24",
        overs="clip",
        sample_rate=48000,
        residual="file",
        device="cpu",
        jobs=2,
        overwrite=True,
    )
    assert config.plugins.folders == (Path("/opt/vst3"), tmp_path / "mine")  # relative to the file
    assert (config.cache.folder, config.cache.limit_bytes) == (tmp_path / "stems", 2_500_000_000)
    assert config.later == {"osc": {"client": [{"host": "10.0.0.2"}]}}
    lines = dict(enumerate(FULL.splitlines(), 1))
    for setting in config.settings():
        name = setting.key.partition(".")[2]
        line = int(setting.origin.removeprefix(f"{path}, line "))
        assert lines[line].startswith(f"{name} =")
    named = {setting.key for setting in config.settings()}
    assert named == {
        f"{table}.{one.name}"
        for table in ("render", "plugins", "cache")
        for one in dataclasses.fields(getattr(config, table))
    }


def test_what_is_not_set_is_a_default_still(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, '[render]\n"format" = "mp3"\n'))
    assert config.origin("render.format") == f"{tmp_path / 'config.toml'}, line 2"
    assert config.origin("render.model") == "default"
    assert config.render.format == "mp3"


def test_keys_written_on_one_line_are_read_without_a_line(tmp_path: Path) -> None:
    path = write(tmp_path, 'render = { format = "mp3" }\n')
    assert load_config(path).origin("render.format") == str(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[render]\nmodle = 'x'", r"line 2: \[render\] has no key 'modle'\. Did you mean 'model'\?"),
        ("[rendr]\n", r"line 1: the configuration has no key 'rendr'\. Did you mean 'render'\?"),
        ("[cache]\nxyzzy = 1", r"It has folder, limit_gb"),
        ("[render]\n\nformat = 'wma'", r"line 3: format is one of wav, flac, mp3, ogg, aiff; got 'wma'"),
        ("[render]\nbit_depth = 8", "bit_depth is one of 16, 24, 32f; got 8"),
        ("[render]\nbit_depth = true", "bit_depth is one of 16, 24, 32f; got True"),
        ("[render]\novers = 1.5", "overs is one of gain, clip, error"),
        ("[render]\nresidual = ['other']", "residual is one of other, spread, file, none"),
        ("[render]\njobs = 0", "jobs is a whole number, 1 to 256; got 0"),
        ("[render]\njobs = true", "jobs is a whole number"),
        ("[render]\noverwrite = 'yes'", "overwrite is true or false; got 'yes'"),
        ("[render]\nsample_rate = 400000", "sample_rate is 'keep' or 8000 to 192000 Hz"),
        ("[render]\nfilename = '{track}'", r"line 2: the file name template needs \{stem\}"),
        ("[render]\nout = 3", "out is a folder; got 3"),
        ("[render]\nmodel = ''", "model is a text"),
        ("[render]\ndevice = 'tpu'", "device is one of auto, cpu, cuda, mps"),
        ("[plugins]\nfolders = 'x'", "folders is a list of folders"),
        ("[plugins]\nfolders = ['x', 3]", "folders is a folder"),
        ("[cache]\nlimit_gb = -1", "limit_gb is a number of gigabytes"),
        ("render = 3", r"line 1: render is a table, `\[render\]`; got 3"),
        ("schema = 2", r"line 1: schema 2 is newer than this Stembridge knows \(1\): update it"),
        ("schema = '1'", "schema is a number, 1; got '1'"),
        ("[render\n", "not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(write(tmp_path, text))
    assert str(caught.value).startswith(str(tmp_path / "config.toml"))


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read as text"):
        load_config(path)


def test_the_environment_names_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "[render]\njobs = 7\n")
    monkeypatch.setenv("STEMBRIDGE_CONFIG", str(path))
    assert config_path() == path
    assert load_config().render.jobs == 7
    monkeypatch.delenv("STEMBRIDGE_CONFIG")
    assert config_path().name == "config.toml"
