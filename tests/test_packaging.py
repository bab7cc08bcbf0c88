"""What users get: the wheel, with everything in it and nothing beside it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # A copy of what is packaged: an old build/ beside the sources would slip deleted modules in.
    sources, folder = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for part in ("model", "bridge", "presets"):
        shutil.copytree(ROOT / part, sources / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
        str(sources),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("stembridge-*.whl"))


def test_the_wheel_holds_every_module_and_preset_and_nothing_else(wheel: Path) -> None:
    expected = set()
    for part in ("model", "bridge", "presets"):
        for path in (ROOT / part).rglob("*"):
            kinds = {".py", ".toml", ".typed", ".safetensors", ".lua", ".ReaperOSC"}
            if path.suffix in kinds or path.parent.name == "weights":
                expected.add(f"stembridge/{path.relative_to(ROOT).as_posix()}")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == expected


def test_every_folder_of_modules_is_listed_as_a_package() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {path.parent for part in ("model", "bridge", "presets") for path in (ROOT / part).rglob("*.py")}
    # Python that Live runs, not we: data, to be copied into Live's own folder.
    folders = {folder for folder in folders if "live_remote_script" not in folder.parts}
    assert listed == {"stembridge." + ".".join(folder.relative_to(ROOT).parts) for folder in folders}


def test_the_wheel_works_away_from_the_sources(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (tmp_path / "model.py").write_text("raise RuntimeError('the user has a model.py too')\n")
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "import stembridge.model, stembridge.bridge.presets\n"
        "print(stembridge.model.__file__)\n"
        "from stembridge.model import Board, StemSeparator\n"
        "print(len(stembridge.bridge.presets.preset_paths()))"
    )
    # -S keeps the editable install's hooks out; the libraries stay reachable by their folders.
    libraries = [path for path in sys.path if "site-packages" in path]
    code = f"import sys; sys.path += {libraries!r}\n" + code
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    where, count = done.stdout.split("\n")[:2]
    assert where.startswith(str(site))
    assert int(count) >= 6
