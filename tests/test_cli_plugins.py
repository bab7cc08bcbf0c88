"""`stembridge plugins` and `stembridge presets`, as typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import peers
import pytest
from stembridge.bridge.cli import main


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cache, presets or settings of whoever runs the tests."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda _: tmp_path / "cache")
    monkeypatch.setattr("platformdirs.user_config_path", lambda _: tmp_path / "config")
    monkeypatch.setenv("STEMBRIDGE_CONFIG", str(tmp_path / "config.toml"))


Captured = pytest.CaptureFixture[str]


def run(*arguments: str) -> int:
    try:
        return main(arguments)
    except SystemExit as exit_:  # argparse
        return int(exit_.code or 0)


def test_native_effects_are_shown_with_every_parameter(capsys: Captured) -> None:
    assert run("plugins", "show", "Compressor") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Compressor, one of pedalboard's own"
    assert "  ratio         1 or more; default 1" in lines


def test_native_effects_as_json(capsys: Captured) -> None:
    assert run("plugins", "show", "LadderFilter", "--json") == 0
    shown = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)["parameters"]}
    assert shown["mode"]["choices"] == ["LPF12", "HPF12", "BPF12", "LPF24", "HPF24", "BPF24"]
    assert shown["cutoff_hz"]["range"] == "1 Hz to half the sample rate"
    assert shown["cutoff_hz"]["high"] is None
    assert shown["drive"]["default"] == 1.0


def test_an_installed_plugin_is_shown(capsys: Captured) -> None:
    peers.vst3("ZaMaximX2")
    assert run("plugins", "show", "ZaMaximX2") == 0
    text = capsys.readouterr().out
    assert text.startswith("ZaMaximX2 ")
    assert "480 samples of latency" in text
    assert "-30 to 0 dB; default 0" in text
    assert "(set by the host or the plug-in)" in text


def test_json_is_whole_although_plugins_print() -> None:
    # A process of its own, as plug-ins write past Python to descriptor 1.
    program = "import sys; from stembridge.bridge.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "plugins", "show", peers.vst3("ZaMaximX2"), "--json"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    about = json.loads(result.stdout)
    assert (about["name"], about["channels"], about["latency_samples"]) == ("ZaMaximX2", [2], 480)
    assert {"threshold_db", "release_ms"} <= {entry["name"] for entry in about["parameters"]}


def test_listing_survives_what_cannot_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "Broken.vst3").write_bytes(b"")
    (folder / "ZamEQ2.vst3").symlink_to(peers.vst3("ZamEQ2"))
    monkeypatch.setattr(
        "stembridge.model.plugins.plugin_files.plugin_folders", lambda configured=(): (folder,)
    )
    assert run("plugins", "list") == 0
    captured = capsys.readouterr()
    rows = captured.out.splitlines()
    assert rows[0].split() == ["Broken.vst3", "Broken", "cannot", "be", "used"]
    assert rows[1].split() == ["ZamEQ2.vst3", "ZamEQ2", "Damien", "Zammit", "mono", "only"]
    assert rows[2].startswith("pedalboard's own: Bitcrush, ")
    assert "warning: Broken.vst3 cannot be loaded" in captured.err
    assert run("plugins", "list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in listed["installed"]] == ["Broken", "ZamEQ2"]
    assert "Compressor" in listed["native"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("show", "Compresor"), 1, "Did you mean 'Compressor'?"),
        (("show", "/no/such.vst3"), 1, "no plug-in at /no/such.vst3"),
        (("edit", "Compressor", "--save", "x"), 1, "has no window"),
        (("edit", "Compressor"), 2, "--save"),
        (("frobnicate",), 2, "invalid choice"),
        ((), 2, "list|show|edit"),
    ],
)
def test_errors_say_what_to_do(arguments: tuple[str, ...], code: int, message: str, capsys: Captured) -> None:
    assert run("plugins", *arguments) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_no_window_without_a_display(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    assert run("plugins", "edit", peers.vst3("ZaMaximX2"), "--save", str(tmp_path / "x")) == 1
    assert "needs a display" in capsys.readouterr().err
    assert not (tmp_path / "x.toml").exists()


def test_presets_are_listed_a_line_each(capsys: Captured) -> None:
    assert run("presets") == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["karaoke", "Everything but the voice, to sing over."] in [
        line.split(maxsplit=1) for line in lines
    ]


def test_a_preset_is_described_in_full(capsys: Captured) -> None:
    assert run("presets", "stem-master") == 0
    text = capsys.readouterr().out
    assert "chain of the mix:" in text
    assert "Compressor  threshold_db=-16.0, ratio=2.0, attack_ms=15.0, release_ms=120.0, 50% wet" in text
    assert run("presets", "karaoke") == 0
    assert "  vocals: silent" in capsys.readouterr().out
    assert run("presets", "karaoke", "--json") == 0
    assert json.loads(capsys.readouterr().out)["gains_db"] == {"vocals": -144.0}


def test_a_bad_preset_of_ones_own_is_said_and_the_others_listed(tmp_path: Path, capsys: Captured) -> None:
    folder = tmp_path / "config/presets"
    folder.mkdir(parents=True)
    (folder / "bad.toml").write_text("schema = 1\n[gains]\n")
    (folder / "good.toml").write_text('schema = 1\ndescription = "Mine."\n')
    assert run("presets") == 1
    captured = capsys.readouterr()
    assert "bad.toml, line 2: a preset has no key 'gains'. Did you mean 'gains_db'?" in captured.err
    assert ["good", "Mine."] in [line.split(maxsplit=1) for line in captured.out.splitlines()]
    names = [line.split()[0] for line in captured.out.splitlines()]
    assert names == sorted(names)
    assert run("presets", "nothing") == 1
