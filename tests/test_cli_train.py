"""`stembridge train`, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from stembridge.bridge.cli import main
from stembridge.model.checkpoint import read_header

SIZES = {
    "sample_rate": 8000,
    "window_frames": 256,
    "hop_frames": 64,
    "bands": [[4, 4, 1], [4, 4, 2], [1, 5, 16]],
    "width": 8,
    "dilations": [1],
    "level_times": 8,
}


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """One short song with two of its stems on file."""
    folder = tmp_path / "songs" / "one"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("drums", "vocals"):
        soundfile.write(folder / f"{name}.wav", rng.standard_normal((16000, 2)) * 0.1, 8000)
    return folder.parent


def train(songs: Path, out: Path, *more: str) -> int:
    """Run the command for 50 steps."""
    small = ("--steps", "50", "--batch", "1", "--crop-s", "0.3", "--workers", "0", "--save-every", "25")
    config = ("--config", json.dumps(SIZES))
    return main(["train", "-n", "default", "--data", str(songs), "-o", str(out), *small, *config, *more])


def test_training_leaves_a_checkpoint_and_says_where(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train(songs, out, "--validation", str(songs), "--sources", "noise", "--licence", "CC0-1.0") == 0
    printed = capsys.readouterr()
    best = out / "best.safetensors"
    assert printed.out.strip() == str(best)
    assert "SDR in dB: drums" in printed.err
    header = read_header(best)
    assert header.network == "band-mixer"
    assert header.facts["training_data"] == "noise"
    assert header.facts["licence"] == "CC0-1.0"
    assert header.facts["training"]["seed"] == 0
    # What the songs do not have is not scored.
    assert set(header.facts["validation_sdr_db"]) == {"drums", "vocals", "average"}


def test_a_finished_run_has_nothing_left_to_do(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train(songs, out, "--json") == 0
    report, result = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert report["step"] == report["steps"] == 50
    assert result == {"weights": str(out / "last.safetensors")}
    before = (out / "last.safetensors").read_bytes()
    assert train(songs, out, "--json") == 0
    assert (out / "last.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (("--config", "{"), "JSON"),
        (("--config", "[1]"), "JSON object"),
        (("--config", '{"breadth": 3}'), "breadth"),
        (("--loss", "mae2"), "sdr"),
        (("--steps", "0"), "above 0"),
        (("--weight", "1", "--weight", "2"), "weights"),
        (("-n", "u-net"), "unet"),
    ],
)
def test_what_cannot_be_is_a_usage_error(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], word: str
) -> None:
    with pytest.raises(SystemExit) as end:
        train(songs, tmp_path / "run", *more)
    assert end.value.code == 2
    assert word in capsys.readouterr().err


def test_no_songs_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "none").mkdir()
    assert train(tmp_path / "none", tmp_path / "run") == 1
    assert "no songs in it" in capsys.readouterr().err
