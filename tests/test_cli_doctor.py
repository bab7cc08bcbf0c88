"""`stembridge doctor` on a good and on several bad set-ups."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from stembridge.bridge.cli import main


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of its own, and a configuration that is not there yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEMBRIDGE_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    return tmp_path


def doctor(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main(["doctor", "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def check(facts: dict[str, Any], name: str) -> dict[str, str]:
    """The worst finding of that name."""
    order = ["fail", "warn", "ok"]
    found: list[dict[str, str]] = [one for one in facts["checks"] if one["name"] == name]
    return min(found, key=lambda one: order.index(one["status"]))


def setting(facts: dict[str, Any], key: str) -> tuple[Any, str]:
    (found,) = (one for one in facts["settings"] if one["key"] == key)
    return found["value"], found["origin"]


def test_a_good_set_up_is_ready(capsys: pytest.CaptureFixture[str]) -> None:
    code, facts = doctor(capsys)
    assert code == 0, [one for one in facts["checks"] if one["status"] == "fail"]
    assert facts["ok"]
    for name in ("python", "stembridge", "pedalboard", "memory", "config", "outputs", "cache", "models"):
        assert check(facts, name)["text"]
    assert setting(facts, "render.model") == ("default", "default")
    assert "shipped" in check(facts, "presets")["text"]


def test_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "ready to render" in out
    assert any(line.split() == ["render.format", "wav", "default"] for line in out.splitlines())


def test_every_value_says_why_it_holds(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "config.toml").write_text('[render]\nformat = "flac"\nbit_depth = "16"\njobs = 2\n')
    (home / "mine.toml").write_text('schema = 1\n[render]\nbit_depth = "24"\n')
    _, facts = doctor(capsys, "--preset", str(home / "mine.toml"))
    assert setting(facts, "render.format") == ("flac", f"{home / 'config.toml'}, line 2")
    assert setting(facts, "render.bit_depth") == ("24", "preset mine")
    assert setting(facts, "render.jobs") == (2, f"{home / 'config.toml'}, line 4")
    assert setting(facts, "render.overs") == ("gain", "default")


def test_a_broken_configuration_is_a_failure_with_its_line(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "config.toml").write_text("[render]\n\nmodle = 'repet'\n")
    code, facts = doctor(capsys)
    assert code == 1
    assert "line 3" in check(facts, "config")["text"]
    assert check(facts, "config")["fix"]
    assert main(["doctor"]) == 1
    assert "not ready: config" in capsys.readouterr().out


def test_an_unknown_model_and_a_bad_output_folder_are_failures(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "file").write_text("in the way")
    (home / "config.toml").write_text(
        f'[render]\nmodel = "repett"\nout = "{home}/file/stems"\n[cache]\nfolder = "file/cache"\n'
    )
    code, facts = doctor(capsys)
    assert code == 1
    assert "repet" in check(facts, "models")["text"]
    assert check(facts, "outputs")["status"] == "fail"
    assert check(facts, "cache")["status"] == "warn"  # a render works without


def test_what_is_only_less_than_could_be_is_a_warning(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    presets = home / "settings" / "stembridge" / "presets"
    presets.mkdir(parents=True)
    (presets / "broken.toml").write_text("schema = 1\n[gains]\n")
    (home / "config.toml").write_text('[plugins]\nfolders = ["nowhere"]\n[cache]\nlimit_gb = 0\n')
    code, facts = doctor(capsys)
    assert code == 0
    assert "nowhere" in check(facts, "plug-ins")["text"]
    assert check(facts, "plug-ins")["status"] == "warn"
    if sys.platform == "linux":  # where XDG_CONFIG_HOME counts
        assert "broken.toml" in check(facts, "presets")["text"]
        assert check(facts, "presets")["status"] == "warn"
    assert check(facts, "cache")["text"].startswith("off")


def test_without_ffmpeg_it_says_what_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    code, facts = doctor(capsys)
    assert code == 0
    assert check(facts, "ffmpeg")["status"] == "warn"
    assert "m4a" in check(facts, "ffmpeg")["fix"]


def test_it_outlives_a_package_that_does_not_load() -> None:
    hide = "import sys; sys.modules['pedalboard'] = None"
    code = f"{hide}; from stembridge.bridge.cli import main; sys.exit(main(['doctor', '--json']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    facts = json.loads(done.stdout)
    assert "pedalboard" in check(facts, "presets")["text"]


def test_torch_is_not_imported() -> None:
    code = (
        "import sys; from stembridge.bridge.cli import main; main(['doctor']); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")


def test_full_names_the_devices(capsys: pytest.CaptureFixture[str]) -> None:
    _, facts = doctor(capsys, "--full")
    assert check(facts, "devices")["text"].startswith("cpu")
