"""The README names what there is, and what it names is there."""

from __future__ import annotations

import argparse
import ast
import re
from pathlib import Path

import pytest
import stembridge.model
from stembridge.bridge.cli import COMMANDS, render
from stembridge.bridge.preset_toml import parse_preset
from stembridge.bridge.presets import preset_paths
from stembridge.model.registry import list_separators
from stembridge.model.rendering.naming import ALIASES, VARIABLES

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_it(name: str) -> None:
    assert f"stembridge {name}" in README


def test_every_flag_of_render_is_in_it() -> None:
    parser = argparse.ArgumentParser()
    render.configure(parser)
    for action in parser._actions:
        for flag in action.option_strings[-1:]:
            if flag not in {"--help", "--name"}:
                assert re.search(rf"{flag}\b", README) or action.option_strings[0] in README, flag


def test_no_command_in_it_has_a_flag_that_is_not_there() -> None:
    parser = argparse.ArgumentParser()
    render.configure(parser)
    known = {flag for action in parser._actions for flag in action.option_strings}
    for line in re.findall(r"^stembridge render .*$", README, re.MULTILINE):
        for flag in re.findall(r" (--?[a-z][a-z-]*)", line.split("#")[0]):
            assert flag in known, line


def test_every_separator_preset_and_template_variable_is_in_it() -> None:
    names = [entry.name for entry in list_separators()] + list(preset_paths())
    for name in names + [f"{{{variable}" for variable in (*VARIABLES, *ALIASES)]:
        assert name in README, name


def test_its_python_imports_what_there_is() -> None:
    for block in blocks("python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "stembridge.model":
                for alias in node.names:
                    assert hasattr(stembridge.model, alias.name)


def test_its_preset_can_be_read() -> None:
    (text,) = blocks("toml")
    preset = parse_preset(text, "readme", ROOT / "readme.toml")
    assert preset.gains_db == {"vocals": 2.0}
    assert preset.mix_chain is not None
