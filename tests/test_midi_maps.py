"""Maps as files: those that ship, what users write, what was learned."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from stembridge.bridge.desk import NotFoundError
from stembridge.bridge.midi.controls import Control, MidiError
from stembridge.bridge.midi.map_files import (
    Learned,
    find_map,
    load_learned,
    load_map,
    map_for_port,
    parse_map,
    save_learned,
    shipped_maps,
)
from stembridge.bridge.midi.mapping import Mapping, target

SLOTS = ("drums", "bass", "other", "vocals", "guitar", "piano", "residual", "instrumental")


def entry(text: str) -> Mapping:
    (mapping,) = parse_map(f"schema = 1\ncontrol = [{{ {text} }}]", "test")
    return mapping


def test_the_slots_are_as_documented() -> None:
    assert [(str(m.control), m.address) for m in find_map("slots")] == [
        *((f"cc 1 {20 + n}", f"/stem/{stem}/gain") for n, stem in enumerate(SLOTS)),
        ("cc 1 28", "/master/gain"),
    ]
    assert {m.control.channel for m in find_map("slots", channel=5)} == {5}
    assert [str(m.control) for m in find_map("channels")] == [f"cc {n} 7" for n in range(1, 10)]
    assert all(m.control.channel == 16 for m in find_map("notes"))


@pytest.mark.parametrize(
    ("port", "name"),
    [
        ("nanoKONTROL2:nanoKONTROL2 nanoKONTROL2 _ CTR 24:0", "KORG nanoKONTROL2"),
        ("nanoKONTROL2 1 SLIDER/KNOB", "KORG nanoKONTROL2"),
        ("X-TOUCH MINI:X-TOUCH MINI MIDI 1 28:0", "Behringer X-Touch Mini"),
        ("Launch Control XL", "Novation Launch Control XL"),
        ("MIDI Mix", "AKAI MIDImix"),
        ("a2j:MIDI Mix [20] (capture): MIDI Mix MIDI 1", "AKAI MIDImix"),
    ],
)
def test_a_controller_is_known_by_its_port(port: str, name: str) -> None:
    found = map_for_port(port)
    assert found is not None
    assert found.name == name


def test_no_shipped_map_claims_an_unknown_port_or_uses_a_control_twice() -> None:
    assert map_for_port("Midi Through:Midi Through Port-0 14:0") is None
    assert map_for_port("") is None
    for name, midi_map in shipped_maps().items():
        controls = [mapping.control for mapping in midi_map]
        assert len(controls) == len(set(controls)) > 0, name
        fine = {mapping.control.fine for mapping in midi_map if mapping.kind in ("auto", "14-bit")}
        assert not fine & set(controls), f"{name}: a fine half is another control"


def test_a_map_of_a_user(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'schema = 1\nname = "Mine"\ntakeover = "scale"\nchannel = 2\n'
        '[[control]]\ncc = 7\naddress = "/stem/vocals/gain"\n'
        '[[control]]\nnote = 36\nchannel = 10\naddress = "/mix/recall second chorus"\nled = "cc 1 3"\n'
        '[[control]]\npitchbend = true\naddress = "/master/gain"\nmotor = true\n'
    )
    one = load_map(path)
    assert (one.name, one.takeover, len(one)) == ("Mine", "scale", 3)
    assert [str(m.control) for m in one] == ["cc 2 7", "note 10 36", "pitchbend 2"]
    assert [m.kind for m in one] == ["auto", "note", "pitch-bend"]
    assert find_map(str(path)) == one


@pytest.mark.parametrize(
    "text",
    [
        'cc = 7, address = "/stem/vocals/volume"',
        'cc = 7, address = "/stem/kazoo/gain"',
        'cc = 7, address = "/render"',
        'cc = 7, address = "/subscribe"',
        'cc = 7, address = "/mix/recall"',
        'cc = 7, address = "stem/vocals/gain"',
        'cc = 7, address = "/stem/vocals/gain 3"',
        'cc = 7',
        'address = "/master/gain"',
        'cc = 7, note = 3, address = "/master/gain"',
        'cc = 128, address = "/master/gain"',
        'cc = true, address = "/master/gain"',
        'cc = 7, channel = 0, address = "/master/gain"',
        'cc = 7, kind = "note", address = "/master/mute"',
        'cc = 7, kind = "9-bit", address = "/master/gain"',
        'note = 7, address = "/stem/vocals/gain"',
        'cc = 7, takeover = "grab", address = "/master/gain"',
        'cc = 7, address = "/master/gain", colour = 3',
        'cc = 7, address = "/master/mute", led = "lamp 3"',
        'cc = 7, address = "/master/mute", lit = 300',
    ],
)  # fmt: skip
def test_a_mistake_in_a_map_is_said(text: str) -> None:
    with pytest.raises((MidiError, NotFoundError)) as told:
        entry(text)
    assert "test, control 1" in str(told.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "= 3",
        "schema = 2",
        "schema = 1\nfoo = 3",
        "schema = 1\ncontrol = 3",
        "schema = 1\ntakeover = 'x'",
        "schema = 1\nports = 'x'",
        "schema = 1\ncontrol = [{cc=1,address='/master/gain'},{cc=1,address='/master/mute'}]",
    ],
)
def test_a_file_that_is_no_map_is_said(text: str, tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text(text)
    with pytest.raises(MidiError, match=r"map\.toml"):
        load_map(path)


def test_a_map_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(MidiError, match="nanokontrol2"):
        find_map("nanokontrol3")
    with pytest.raises(MidiError, match="cannot be read"):
        find_map(str(tmp_path / "none.toml"))


def test_addresses_are_kept_by_name() -> None:
    assert target("/stem/4/gain", ("drums", "bass", "other", "vocals")).text == "/stem/vocals/gain"
    assert target("/stem/instrumental/mute").text == "/stem/instrumental/mute"
    with pytest.raises(NotFoundError):
        target("/stem/9/gain", ("drums",))


def test_learning_steals_and_replaces() -> None:
    base = find_map("slots")
    mapping = Mapping(Control("cc", 1, 21), "/stem/vocals/gain", "7-bit")
    learned, stolen = base.learn(mapping)
    assert stolen == ("/stem/bass/gain",)
    assert learned.get(Control("cc", 1, 21)) == mapping
    assert learned.get(Control("cc", 1, 23)) is None, "its control of before is free"
    assert len(learned) == len(base) - 1


def test_what_was_learned_survives_and_applies_to_any_map(tmp_path: Path) -> None:
    path = tmp_path / "state" / "midi.toml"
    assert load_learned(path) == Learned()
    learned = Learned()
    for mapping in (
        Mapping(Control("cc", 1, 21), "/stem/vocals/gain", "14-bit"),
        Mapping(
            Control("note", 10, 36), '/mix/recall "it\'s" \\ a scene', "note", led=Control("cc", 1, 2), lit=9
        ),
        Mapping(Control("pitchbend", 9), "/master/gain", "pitch-bend", takeover="scale", motor=True),
        Mapping(Control("program", 3, 128), "/stem/bass/mute", "program"),
    ):
        learned = learned.learn(mapping, ("/stem/bass/gain",) if mapping.control.number == 21 else ())
    learned = learned.forget("/stem/drums/gain")
    save_learned(learned, path)
    assert load_learned(path) == learned
    assert list(path.parent.iterdir()) == [path], "nothing is left beside it"
    applied = load_learned(path).applied(find_map("slots"))
    assert applied.at("/stem/drums/gain") == ()
    assert applied.at("/stem/bass/gain") == ()
    assert [str(m.control) for m in applied.at("/stem/vocals/gain")] == ["cc 1 21"]
    assert learned.learn(Mapping(Control("cc", 1, 3), "/stem/drums/gain", "7-bit"), ()).forgotten == ()


def test_the_example_shows_a_map_and_the_slots_as_they_are() -> None:
    text = (Path(__file__).resolve().parent.parent / "examples" / "13_midi_controller.md").read_text()
    block = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert block is not None
    assert len(parse_map(block[1], "the example")) == 5
    for number, stem in enumerate(SLOTS, 20):
        assert re.search(rf"^\| \d \| {stem}\b.* \| CC {number} \|$", text, re.MULTILINE), stem
