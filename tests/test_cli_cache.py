"""`stembridge cache size|clear`, and the cache at work under `stembridge render`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import signals
import soundfile
from stembridge.bridge.cli import main
from stembridge.model.stem_cache import CacheKey, StemCache


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StemCache:
    """Two songs in a cache of its own."""
    config = tmp_path / "config.toml"
    config.write_text('[cache]\nfolder = "kept"\nlimit_gb = 1\n')
    monkeypatch.setenv("STEMBRIDGE_CONFIG", str(config))
    cache = StemCache(tmp_path / "kept")
    for name in ("a", "b"):
        with cache.store(CacheKey.of(name, "repet", 44100, 1, 1000), ["x", "y"], 44100, 1, 1000) as writer:
            writer.write(np.ones((2, 1, 1000), np.float32))
    return cache


def test_size(cache: StemCache, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "size", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "folder": str(cache.folder),
        "limit_bytes": 10**9,
        "songs": 2,
        "bytes": cache.size(),
    }
    assert main(["cache", "size"]) == 0
    assert "1.00 GB, 2 separated songs" in capsys.readouterr().out


def test_clear(cache: StemCache, capsys: pytest.CaptureFixture[str]) -> None:
    size = cache.size()
    assert main(["cache", "clear", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["freed_bytes"], facts["songs"], facts["bytes"]) == (size, 0, 0)
    assert cache.count() == 0
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out.startswith("0.0 MB freed")


def test_another_word_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["cache", "burn"])
    assert caught.value.code == 2
    assert "size" in capsys.readouterr().err


def test_a_render_from_the_cache_gives_the_same_bytes_and_outlives_damage(
    cache: StemCache, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    song = tmp_path / "song.wav"
    mix = np.sum(list(signals.song(2.0).values()), axis=0)
    soundfile.write(song, mix.T, 44100, subtype="FLOAT")

    def remix(out: str, *options: str) -> tuple[bool, bytes]:
        command = ["render", str(song), "-n", "hpss", "--gain", "percussive=-6", "-o", str(tmp_path / out)]
        assert main([*command, "--json", *options]) == 0
        facts = json.loads(capsys.readouterr().out)
        (file,) = facts["files"]
        return facts["cached"], Path(file).read_bytes()

    assert remix("a", "--no-cache") == (False, remix("b")[1])
    assert cache.count() == 3
    cached, data = remix("c")
    assert cached
    assert data == remix("a", "--no-cache")[1]
    newest = max(cache.folder.glob("*.stems"), key=lambda path: path.stat().st_size)
    stored = bytearray(newest.read_bytes())
    stored[len(stored) // 2] ^= 1
    newest.write_bytes(stored)
    assert remix("d") == (False, data)  # separated again, and kept again
    assert remix("e") == (True, data)
