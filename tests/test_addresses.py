"""The address table: every row decodes, answers, is documented, and says no when it should."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
from stembridge.bridge import commands as c
from stembridge.bridge import events as e
from stembridge.bridge.addresses import (
    ADDRESSES,
    PUSHES,
    Address,
    BadArgumentsError,
    BadRangeError,
    find,
    markdown,
    value_addresses,
)
from stembridge.bridge.desk import STEMS
from stembridge.bridge.hub import Hub
from stembridge.bridge.messages import Value
from stembridge.bridge.osc.packets import decode, encode
from stembridge.bridge.session import Session
from stembridge.bridge.translation import to_command, to_messages

ROWS = [pytest.param(row, id=row.path) for row in ADDRESSES]
ROOT = Path(__file__).parents[1]


def concrete(row: Address) -> str:
    return row.path.replace("{stem}", "vocals")


def sample(row: Address) -> tuple[Value, ...]:
    kinds: dict[str, Value] = {"number": 0.5, "switch": 1, "integer": 3, "string": "/x", "id": 7}
    return tuple(kinds[argument.kind] for argument in row.arguments)


@pytest.mark.parametrize("row", ROWS)
def test_every_row_is_found_and_becomes_a_command(row: Address) -> None:
    found = find(concrete(row))
    assert found == (row, "vocals" if "{stem}" in row.path else "")
    command = to_command(row, "vocals", sample(row))
    assert isinstance(command, c.Command)
    assert to_command(row, "vocals", sample(row)) == command


@pytest.mark.parametrize("row", ROWS)
def test_numbers_of_every_type_are_the_same(row: Address) -> None:
    """Int, float, double, true: whatever a controller sends for a whole number."""
    whole: list[Value] = [1 if argument.kind != "string" else "/x" for argument in row.arguments]
    floats: list[Value] = [float(one) if isinstance(one, int) else one for one in whole]
    if row.trigger and len(floats) == 1:
        floats = whole  # a lone float presses a button
    if any(argument.kind == "id" for argument in row.arguments):
        floats = whole
    assert to_command(row, "vocals", whole) == to_command(row, "vocals", floats)


@pytest.mark.parametrize("row", [row for row in ADDRESSES if row.ask is not None], ids=lambda row: row.path)
def test_a_value_is_asked_for_without_arguments(row: Address) -> None:
    command = to_command(row, "vocals", ())
    assert isinstance(command, c.AskStrip | c.AskMaster)


@pytest.mark.parametrize("row", [row for row in ADDRESSES if row.trigger], ids=lambda row: row.path)
def test_a_trigger_is_pressed_and_let_go(row: Address) -> None:
    pressed = to_command(row, "vocals", (1.0,))
    assert pressed == to_command(row, "vocals", ())
    assert to_command(row, "vocals", (0.0,)) is None


@pytest.mark.parametrize("row", ROWS)
def test_too_many_arguments_are_refused(row: Address) -> None:
    if not row.rest:
        with pytest.raises(BadArgumentsError, match="takes"):
            to_command(row, "vocals", (*sample(row), "more"))


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, b"blob", None, "text"])
def test_arguments_of_other_kinds_are_refused(row: Address, bad: Value) -> None:
    for place, argument in enumerate(row.arguments):
        if isinstance(bad, str) and argument.kind in ("string", "id"):
            continue
        arguments = list(sample(row))
        arguments[place] = bad
        with pytest.raises((BadArgumentsError, BadRangeError), match=argument.name):
            to_command(row, "vocals", arguments)


@pytest.mark.parametrize(
    "address", ["", "/", "/stem", "/stem/", "/stem//gain", "/stem/{stem}", "/stem/a/b/c"]
)
def test_other_addresses_are_not_found(address: str) -> None:
    assert find(address) is None


def test_values_are_what_patterns_reach() -> None:
    addresses = list(value_addresses(STEMS))
    assert len(addresses) == 5 * 6 + 2
    assert all(found is not None and found[0].value for found in map(find, addresses))


def test_render_reads_preset_and_options() -> None:
    found = find("/render")
    assert found is not None
    row = found[0]
    assert to_command(row, "", ("t", "/a.wav")) == c.Render("t", "/a.wav")
    assert to_command(row, "", ("t", "/a.wav", "karaoke")) == c.Render("t", "/a.wav", "karaoke")
    pairs = (("format", "flac"), ("start", "1.5"))
    assert to_command(row, "", ("t", "/a.wav", "", "format", "flac", "start", 1.5)) == c.Render(
        "t", "/a.wav", None, pairs
    )
    assert to_command(row, "", ("t", "/a.wav", "format", "flac")) == c.Render(
        "t", "/a.wav", None, (("format", "flac"),)
    )
    with pytest.raises(BadArgumentsError):
        to_command(row, "", ("t", "/a.wav", b"blob"))


def test_every_command_has_an_address_and_every_address_a_command() -> None:
    made = {type(to_command(row, "vocals", sample(row))) for row in ADDRESSES}
    made |= {type(row.ask("vocals")) for row in ADDRESSES if row.ask is not None}
    everything = {kind for kind in vars(c).values() if isinstance(kind, type) and issubclass(kind, c.Command)}
    assert made == everything - {c.Command}


def _sample_event(kind: type[e.Event]) -> e.Event:
    from dataclasses import fields

    values: dict[str, object] = {
        "str": "x", "int": 3, "float": 0.5, "bool": True, "Property": "gain",
        "tuple[str, ...]": ("drums",), "tuple[int | float | str, ...]": (1, 2.5, "x"),
    }  # fmt: skip
    return kind(**{field.name: values[str(field.type)] for field in fields(kind)})


EVENTS = [
    kind
    for kind in vars(e).values()
    if isinstance(kind, type) and issubclass(kind, e.Event) and kind is not e.Event
]


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_every_event_can_be_sent_as_ints_floats_and_strings(kind: type[e.Event]) -> None:
    event = _sample_event(kind)
    messages = to_messages(event, lambda gain: 0.5)
    # Between a client and its own fader, and between a host's clock and the player.
    assert messages or kind in (e.FaderTouched, e.HostTransport)
    for message in messages:
        assert all(type(argument) in (int, float, str) for argument in message.arguments)
        assert decode(encode(message)) == [message]


def test_pushed_messages_have_the_types_the_table_says() -> None:
    types = {push.path.replace("{stem}", "x"): push.tags for push in PUSHES}
    names = {int: "i", float: "f", str: "s"}
    seen = set()
    for kind in EVENTS:
        for message in to_messages(_sample_event(kind), lambda gain: 0.5):
            if message.address in types:
                tags = "".join(names[type(argument)] for argument in message.arguments)
                assert tags == types[message.address], message
                seen.add(message.address)
    assert seen == set(types)


def test_desk_commands_are_all_carried_out() -> None:
    hub = Hub(Session())
    for row in ADDRESSES:
        command = to_command(row, "vocals", sample(row))
        assert command is not None
        if type(command) in hub.session.commands and not isinstance(command, c.RecallScene | c.ForgetScene):
            hub.session.apply(command, 0.0)


def test_readme_holds_the_table() -> None:
    assert markdown() in (ROOT / "README.md").read_text(encoding="utf-8")


def test_command_prints_the_table() -> None:
    run = [sys.executable, "-m", "stembridge.bridge", "addresses"]
    text = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert all(row.path in text for row in ADDRESSES)
    assert all(push.path in text for push in PUSHES)
    table = subprocess.run([*run, "--markdown"], capture_output=True, text=True, check=True).stdout
    assert table.strip() == markdown()
