"""How our ReaScripts start programs, and read what those say."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from peers import require
from reaper_runs import SCRIPTS, Place, lua, one_item, quoted, sound
from stembridge.bridge.daws.reaper_setup import install
from stembridge.model.errors import OutputError


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize(
    "name", ["with space", "it's", 'a "quoted" one', "naïve 雪 🎵", "$HOME `id` %PATH% ;&|"]
)
def test_names_of_any_kind_reach_the_program_as_they_are(place: Place, name: str) -> None:
    song = sound(place.folder / name / f"{name}.wav", 10.0)
    place.rendered(song)
    after = place.run(one_item(song) + "render()")
    assert after.sent[0][3] == f"s:{song}"
    assert after.item("vocals - Band")["take"]["file"] == str(
        place.folder / "separated" / name / f"{name} - vocals.wav"
    )


def test_batch_files_for_windows_quote_what_means_something_there(place: Place) -> None:
    words = [r"C:\Program Files\stembridge.exe", "send", "s:C:\\Lieder ä\\100% & more\\", 's:a"b']
    listed = ", ".join(quoted(word) for word in words)
    after = place.run(
        f"stub.os = 'Win64'; package.path = {quoted(SCRIPTS / '?.lua')} .. ';' .. package.path\n"
        "local process = require('stembridge.process')\n"
        f"stub.boxes[1] = process.script({{ {listed} }}, 'C:\\\\o', 'C:\\\\e', 'C:\\\\c', true)"
    )
    lines = after.boxes.split("\r\n")
    assert lines[1] == "chcp 65001 >nul"
    assert lines[2] == (
        r'"C:\Program Files\stembridge.exe" "send" "s:C:\Lieder ä\100%% & more\\" "s:a' + "'" + 'b"'
        r' >"C:\o" 2>"C:\e" <nul'
    )


JSON = [
    {"a": [1, 2.5, -3e-7, True, False, None], "b": {"": "x"}, "c": []},
    ["é", "雪", "🎵", 'q"uote\\', "tab\tnew\nline", "\x01"],
    0,
    "",
    [[[[]]], {}],
]


@pytest.mark.parametrize("value", JSON)
@pytest.mark.parametrize("ascii", [True, False])
def test_json_is_read_as_python_writes_it_and_written_as_it_reads(
    tmp_path: Path, value: Any, ascii: bool
) -> None:
    text = json.dumps(value, ensure_ascii=ascii)
    out = _json(tmp_path, f"io.write(json.encode(json.decode({quoted(text)})))")
    assert json.loads(out) == json.loads(text.replace("{}", "[]"))


@pytest.mark.parametrize(
    "text", ["", "{", "[1,]", '{"a" 1}', '"open', "[1] 2", "nul", '"\\x"', '"\\u12"', "[" * 100 + "]" * 100]
)
def test_what_is_no_json_is_an_error_with_a_place(tmp_path: Path, text: str) -> None:
    out = _json(
        tmp_path, f"local fine, why = pcall(json.decode, {quoted(text)}) io.write(tostring(fine), why)"
    )
    assert out.startswith("falsethis is no JSON")


def _json(tmp_path: Path, program: str) -> str:
    file = tmp_path / "try.lua"
    file.write_text(
        f"package.path = {quoted(SCRIPTS / '?.lua')}\nlocal json = require('stembridge.json')\n{program}"
    )
    done = subprocess.run([lua(), str(file)], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def test_files_are_put_where_reaper_looks_and_run_from_there(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "REAPER resource"
    with pytest.raises(OutputError, match="start REAPER once"):
        install(folder)
    folder.mkdir()
    first, second = install(folder), install(folder)
    assert first == second
    assert (folder / "OSC" / "Stembridge.ReaperOSC").is_file()
    assert not list(folder.rglob("*.part"))
    after = place.run(
        f"stub.run({quoted(folder / 'Scripts/Stembridge/Stembridge - render selected items.lua')})"
    )
    assert "No item is selected" in after.boxes
    # From the file that REAPER runs when it starts.
    startup = folder / "Scripts" / "__startup.lua"
    startup.write_text(
        'dofile(reaper.GetResourcePath() .. "/Scripts/Stembridge/Stembridge - listen for imports.lua")\n'
    )
    listens = place.run(
        f"stub.resource = {quoted(folder)}\nstub.run({quoted(startup)}, function() return true end)\n"
        "stub.boxes[1] = tostring(stub.toggles[40000])"
    )
    assert listens.boxes == "0"  # it ran, and said so until it ended


@pytest.mark.parametrize("script", sorted(SCRIPTS.rglob("*.lua")), ids=lambda path: path.name)
def test_scripts_set_no_globals(script: Path) -> None:
    """A name that is misspelt, or meant to be local, would be one."""
    listing = subprocess.run(
        [require("luac5.4"), "-l", "-p", str(script)], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    written, read = (set(re.findall(rf'{verb}TABUP.*_ENV "(\w+)"', listing)) for verb in ("SET", "GET"))
    assert written == set()
    assert read <= set(_GLOBALS.split())


_GLOBALS = """debug reaper gfx require package table string math io os utf8 ipairs pairs pcall error type
tostring tonumber next setmetatable"""
