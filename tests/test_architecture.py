"""The laws of the house: who may import whom, one copy of every class, doctests that run."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import stembridge.bridge
import stembridge.model

ROOT = Path(__file__).resolve().parent.parent


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Every module a file imports anywhere in it; relative ones start with dots."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def modules(package: object) -> list[str]:
    """The names of all modules of a package."""
    name, path = package.__name__, package.__path__  # type: ignore[attr-defined]
    return [
        module.name for module in pkgutil.walk_packages(path, name + ".") if "__main__" not in module.name
    ]


MODULES = modules(stembridge.model) + modules(stembridge.bridge)


def test_model_knows_nothing_of_the_bridge() -> None:
    forbidden = ("stembridge.bridge", "pythonosc", "mido", "argparse", "typer", "bridge")
    for path in sorted((ROOT / "model").rglob("*.py")):
        for line, name in imported(path):
            assert not name.startswith(forbidden), f"{path.name}:{line} imports {name}"
            depth = len(path.relative_to(ROOT / "model").parts)
            assert len(name) - len(name.lstrip(".")) <= depth, f"{path.name}:{line} leaves the package"


def test_only_the_command_line_prints_and_parses_arguments() -> None:
    for part in ("model", "bridge"):
        for path in sorted((ROOT / part).rglob("*.py")):
            if "cli" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    assert node.func.id != "print", f"{path.name}:{node.lineno} prints"
            assert "argparse" not in {name for _, name in imported(path)}, path.name


SYSTEM = {"fcntl", "msvcrt", "ctypes", "resource", "pwd"}


def test_system_specific_calls_live_in_one_place() -> None:
    for path in sorted((ROOT / "model").rglob("*.py")) + sorted((ROOT / "bridge").rglob("*.py")):
        allowed = {"platform.py": SYSTEM, "blas.py": {"ctypes"}, "soundfont.py": {"ctypes"}}.get(
            path.name, set()
        )
        for line, name in imported(path):
            assert name not in SYSTEM - allowed, f"{path.name}:{line} imports {name}"


def test_nothing_is_imported_twice_under_another_name() -> None:
    for name in MODULES:
        importlib.import_module(name)
    doubles = [name for name in sys.modules if name.split(".")[0] in {"model", "bridge", "presets"}]
    assert not doubles


@pytest.mark.parametrize("name", MODULES)
def test_doctests(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


HEAVY = {"torch", "scipy", "matplotlib", "soxr", "soundfile", "mutagen", "pedalboard", "numpy"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["render", "--help"], ["render"]])
def test_words_alone_load_no_audio_library(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom stembridge.bridge.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        f"print('\\nLOADED', sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("LOADED []")


def test_training_free_separation_does_without_torch() -> None:
    code = (
        "import sys, numpy as np\nfrom stembridge.model import StemSeparator\n"
        "StemSeparator(model='classic').stems(np.zeros((2, 9000), np.float32), 44100)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
