"""Every example runs as it stands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def run(example: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(example), *arguments], cwd=EXAMPLES, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("[0-9]*.py")), ids=lambda path: path.stem)
def test_examples_run(example: Path, tmp_path: Path) -> None:
    assert run(example, *([str(tmp_path)] if "argv" in example.read_text() else []))


def test_the_effect_keeps_its_word_in_the_example() -> None:
    printed = run(EXAMPLES / "01_effect_in_a_board.py").splitlines()
    assert printed[2] == "True"
    assert printed[0].count("(2, 352800)") == 2


def test_the_demo_makes_stems_remixes_and_a_picture(tmp_path: Path) -> None:
    printed = run(EXAMPLES / "demo.py", str(tmp_path))
    assert "null depth -" in printed
    assert "x real time" in printed
    assert (tmp_path / "stems/band-mixer/Demo Song/Demo Song - vocals.wav").is_file()
    assert (tmp_path / "remixes/band-mixer/Demo Song/Demo Song - karaoke.flac").is_file()
    assert (tmp_path / "Demo Song.png").read_bytes().startswith(b"\x89PNG")
