"""`stembridge daws`: what can be linked, and every DAW's files in its place."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from stembridge.bridge.cli import main
from stembridge.bridge.daws import install
from stembridge.bridge.daws.catalogue import LINKS
from stembridge.model.errors import OutputError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with nothing in it, on a Mac."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(sys, "platform", "darwin")
    return tmp_path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_every_link_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["daws", "list"]) == 0
    out = capsys.readouterr().out
    for name in LINKS:
        assert name in out
    for name in install.SETUPS:
        assert f"stembridge daws install {name}" in out
    assert main(["daws", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["daw"] for row in rows] == list(LINKS)
    assert all(row["product"] for row in rows)


def test_lives_script_goes_into_the_user_library(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    library = home / "Music" / "Ableton" / "User Library"
    library.mkdir(parents=True)
    assert main(["daws", "install", "live"]) == 0
    target = library / "Remote Scripts" / "Stembridge"
    assert names(target) == {path.name for path in install.SCRIPT.glob("*.py")}
    assert {"__init__.py", "surface.py", "service.py"} <= names(target)
    out = capsys.readouterr().out
    assert str(target) in out
    assert "control surface" in out
    # An older copy is replaced whole, and nothing is left beside it.
    (target / "old_part.py").write_text("")
    (target / "__init__.py").write_text("")
    assert main(["daws", "install", "live"]) == 0
    assert names(target) == {path.name for path in install.SCRIPT.glob("*.py")}
    assert (target / "__init__.py").read_text()
    assert names(library) == {"Remote Scripts"}
    assert names(library / "Remote Scripts") == {"Stembridge"}


def test_lives_script_goes_where_it_is_told(home: Path) -> None:
    elsewhere = home / "My Library"
    elsewhere.mkdir()
    target = elsewhere / "Remote Scripts" / "Stembridge"
    assert install.install_live_script(elsewhere) == target
    assert install.install_live_script(elsewhere / "Remote Scripts") == target
    assert (target / "surface.py").is_file()


def test_without_a_user_library_it_says_where_it_looked(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["daws", "install", "live"]) == 1
    error = capsys.readouterr().err
    assert str(home / "Music" / "Ableton" / "User Library") in error
    assert "--to" in error
    assert main(["daws", "install", "live", "--to", str(home / "nowhere")]) == 1
    assert "nowhere" in capsys.readouterr().err


def test_windows_has_its_documents(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("OneDrive", str(home / "OneDrive"))
    assert install.user_libraries() == [
        home / "Documents" / "Ableton" / "User Library",
        home / "OneDrive" / "Documents" / "Ableton" / "User Library",
    ]
    monkeypatch.setattr(sys, "platform", "linux")
    assert install.user_libraries() == []
    with pytest.raises(OutputError, match="--to"):
        install.install_live_script()


def test_what_is_not_ours_is_left_alone(home: Path) -> None:
    stranger = home / "Remote Scripts" / "Stembridge"
    stranger.mkdir(parents=True)
    (stranger / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="not ours"):
        install.install("live", home)
    assert names(stranger) == {"thesis.txt"}
    stranger.rename(home / "kept")
    stranger.symlink_to(home / "kept")  # a developer's link is replaced, not what it points to
    install.install("live", home)
    assert (stranger / "surface.py").is_file()
    assert not stranger.is_symlink()
    assert names(home / "kept") == {"thesis.txt"}


def test_a_folder_that_cannot_be_written_is_an_error(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "Remote Scripts").write_text("a file where a folder should be")
    assert main(["daws", "install", "live", "--to", str(home)]) == 1
    assert "Ableton Live" in capsys.readouterr().err


def test_reapers_files(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = home / "REAPER"
    folder.mkdir()
    assert main(["daws", "install", "reaper", "--to", str(folder)]) == 0
    assert "REAPER" in capsys.readouterr().out
    assert (folder / "OSC" / "Stembridge.ReaperOSC").is_file()
    assert main(["daws", "install", "reaper", "--to", str(home / "nowhere")]) == 1


def test_ardours_files(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["daws", "install", "ardour"]) == 1
    assert "--to" in capsys.readouterr().err
    folder = home / "ardour8"
    folder.mkdir()
    assert main(["daws", "install", "ardour", "--to", str(folder)]) == 0
    assert (folder / "scripts" / "stembridge.lua").is_file()
