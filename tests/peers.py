"""The real programs tests talk to: found, or the test skips and says why; in CI a missing peer fails."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

VST3_FOLDERS = (Path("/usr/lib/vst3"), Path("/usr/local/lib/vst3"), Path.home() / ".vst3")


def missing(reason: str) -> None:
    """Skip the test that lacks a peer; fail it in CI, where every peer must be installed."""
    if os.environ.get("CI"):
        pytest.fail(f"a peer is missing in CI: {reason}")
    pytest.skip(reason)


def require(program: str) -> str:
    """The path of a program (`ffmpeg`), or skip."""
    found = shutil.which(program)
    if found is None:
        missing(f"{program} is not on PATH")
    assert found is not None
    return found


def vst3(name: str) -> str:
    """The path of one of Debian's zam-plugins (`ZaMaximX2`), or skip."""
    for folder in VST3_FOLDERS:
        if (path := folder / f"{name}.vst3").exists():
            return str(path)
    missing(f"{name}.vst3 is not installed (Debian: apt install zam-plugins)")
    raise AssertionError
