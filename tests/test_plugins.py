"""Finding plug-ins, and looking inside them once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import peers
import pytest
from stembridge.model.errors import PluginError
from stembridge.model.plugins.plugin_files import find_plugin, installed_plugins, plugin_folders
from stembridge.model.plugins.scan import scan_plugins


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plug-in folder with files, bundles and a vendor's sub-folder, all empty."""
    for name in ("Flat.vst3/Contents/x86_64-linux", "Vendor/Deep.vst3/Contents", "notes"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "File.VST3").write_bytes(b"")
    (tmp_path / "Flat.vst3/Contents/Inner.vst3").write_bytes(b"")
    (tmp_path / "notes/readme.txt").write_bytes(b"")
    monkeypatch.setenv("VST3_PATH", str(tmp_path))
    return tmp_path


def names(folder: Path) -> list[str]:
    return [path.name for path in installed_plugins() if folder in path.parents]


def test_bundles_count_once_and_sub_folders_are_searched(folder: Path) -> None:
    assert names(folder) == ["Deep.vst3", "File.VST3", "Flat.vst3"]


@pytest.mark.parametrize("asked", ["Deep.vst3", "Deep", "deep.VST3", "Vendor/Deep.vst3", "vendor/deep"])
def test_a_plugin_is_found_by_what_people_call_it(folder: Path, asked: str) -> None:
    assert find_plugin(asked) == folder / "Vendor/Deep.vst3"


def test_a_whole_path_is_taken_as_it_is(folder: Path) -> None:
    assert find_plugin(str(folder / "Flat.vst3")) == folder / "Flat.vst3"
    with pytest.raises(PluginError, match="no plug-in at"):
        find_plugin(str(folder / "Flaw.vst3"))


def test_one_that_is_not_there_names_the_nearest_and_the_folders(folder: Path) -> None:
    with pytest.raises(PluginError) as caught:
        find_plugin("Depe.vst3")
    assert "Did you mean 'Deep.vst3'?" in str(caught.value)
    assert str(folder) in str(caught.value)


def test_configured_folders_go_first(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    mine = tmp_path_factory.mktemp("mine")
    (mine / "Flat.vst3").mkdir()
    assert plugin_folders([mine])[:2] == (mine, folder)
    assert find_plugin("Flat.vst3", [mine]) == mine / "Flat.vst3"
    assert find_plugin("Flat.vst3") == folder / "Flat.vst3"


def test_scanning_says_what_is_inside_and_looks_only_once(tmp_path: Path) -> None:
    paths = [Path(peers.vst3(name)) for name in ("ZamEQ2", "ZaMaximX2")]
    cache = tmp_path / "cache/plugins.json"
    mono, stereo = scan_plugins(paths, cache=cache)
    assert (mono.name, mono.file, mono.channels, mono.error) == ("ZamEQ2", "ZamEQ2.vst3", (1,), "")
    assert (stereo.channels, stereo.latency_samples, stereo.manufacturer) == ((2,), 480, "Damien Zammit")
    assert not stereo.instrument
    # Nobody loads a plug-in in no time at all: these answers come from the first look.
    assert list(scan_plugins(paths, cache=cache, timeout_s=0.0)) == [mono, stereo]
    assert all(
        "loading" in info.error for info in scan_plugins(paths, cache=cache, timeout_s=0.0, again=True)
    )


def test_a_changed_file_is_looked_at_again_and_a_bad_one_stops_nothing(tmp_path: Path) -> None:
    copy = tmp_path / "ZamEQ2.vst3"
    shutil.copytree(peers.vst3("ZamEQ2"), copy)
    bad = tmp_path / "Bad.vst3"
    bad.write_bytes(b"no plug-in")
    cache = tmp_path / "plugins.json"
    broken, fine = scan_plugins([bad, copy], cache=cache)
    assert "Bad.vst3 cannot be loaded" in broken.error
    assert (fine.name, fine.error) == ("ZamEQ2", "")
    (library,) = copy.rglob("*.so")
    os.utime(library, ns=(fine.changed_ns + 1, fine.changed_ns + 1))
    again = list(scan_plugins([bad, copy], cache=cache, timeout_s=0.0))
    assert again[0] == broken, "not looked at again, as it has not changed"
    assert "ZamEQ2.vst3 did not come back" in again[1].error


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": 99, "plugins": {}}', '{"schema": 1, "plugins": 3}']
)
def test_a_cache_that_cannot_be_read_is_started_afresh(tmp_path: Path, text: str) -> None:
    cache = tmp_path / "plugins.json"
    cache.write_text(text)
    (info,) = scan_plugins([Path(peers.vst3("ZamEQ2"))], cache=cache)
    assert info.name == "ZamEQ2"


def test_a_plugin_that_hangs_is_listed_with_the_reason(tmp_path: Path) -> None:
    paths = [Path(peers.vst3("ZamVerb")), Path(peers.vst3("ZamEQ2"))]
    hung, fine = scan_plugins(paths, timeout_s=2.0, cache=tmp_path / "plugins.json")
    assert "ZamVerb.vst3 did not come back from loading within 2 s" in hung.error
    assert (fine.name, fine.error) == ("ZamEQ2", "")
