"""What a `/render` may say: options, paths, models and presets; and what becomes of it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from rendered import write_song
from stembridge.bridge.commands import SetGain, SetMute, SetPan, SetSensitivity, SetSolo
from stembridge.bridge.config import Config, RenderDefaults
from stembridge.bridge.desk import Desk
from stembridge.bridge.hub import Refusal
from stembridge.bridge.jobs.acceptance import Acceptance, Order
from stembridge.bridge.jobs.options import OPTIONS, markdown, parse_options
from stembridge.bridge.jobs.spec_json import spec_from_json, spec_to_json
from stembridge.bridge.requests import RenderRequest
from stembridge.bridge.session import Session
from stembridge.model.audio import OutputFormat
from stembridge.model.automation import Automation, Move
from stembridge.model.errors import ArgumentValueError
from stembridge.model.mixer import MixerState
from stembridge.model.plugins.chain_spec import ChainSpec, PluginSpec
from stembridge.model.rendering import RenderSpec, Version
from stembridge.model.units import Time


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    write_song(folder / "Album/Song.wav")
    return folder


def acceptance(root: Path, model: str = "classic") -> Acceptance:
    return Acceptance((root,), root.parent / "out", Config(render=RenderDefaults(model=model)))


def settled(root: Path, desk: Desk | None = None, preset: str | None = None, **options: str) -> RenderSpec:
    order = Order("Album/Song.wav", preset, parse_options(options.items()), desk or Desk())
    return spec_from_json(acceptance(root).settle(order).spec)


def refusal(work: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        work()
    return caught.value


# Options.


def test_every_option_is_a_flag_of_render_and_none_is_a_path() -> None:
    flags = {field.name for field in fields(RenderRequest)}
    separators = {option.key for option in OPTIONS if option.separator}
    assert {option.key for option in OPTIONS} - separators <= flags
    assert separators == {"overlap", "segment", "shifts"}
    for name in ("out", "filename", "stems_from", "automation", "preset", "overwrite"):
        assert refusal(lambda name=name: parse_options([(name, "/tmp/x")])).code == "bad_args"
    assert markdown().count("\n") == len(OPTIONS) + 1


def test_options_are_read_as_the_command_line_reads_them() -> None:
    pairs = [
        ("--gain", "vocals=-6"), ("gain", "drums=-inf,bass=+3"), ("two-stems", "vocals"), ("mix", "1"),
        ("dry", "off"), ("bit_depth", "16"), ("sample-rate", "48000"), ("start", "1:30.5"),
        ("tail", "until-silent"), ("mute", "bass"), ("mute", "drums"), ("segment", "6"), ("seed", "7"),
    ]  # fmt: skip
    assert parse_options(pairs) == {
        "gain": {"vocals": -6.0, "drums": -144.0, "bass": 3.0},
        "two_stems": "vocals",
        "mix": True,
        "dry": False,
        "bit_depth": "16",
        "sample_rate": 48000,
        "start": "1:30.5",
        "tail": "until-silent",
        "mute": ("bass", "drums"),
        "options": {"segment": 6.0},
        "seed": 7,
    }


@pytest.mark.parametrize(
    ("key", "text", "code", "words"),
    [
        ("gian", "vocals=1", "bad_args", "did you mean 'gain'"),
        ("zzz", "1", "bad_args", "there are model"),
        ("gain", "vocals", "bad_args", "stem=dB"),
        ("gain", "vocals=loud", "bad_args", "stem=dB"),
        ("gain", "vocals=nan", "bad_args", "stem=dB"),
        ("gain", "vocals=13", "bad_range", "+12 dB"),
        ("pan", "vocals=2", "bad_range", "-1 to 1"),
        ("sensitivity", "vocals=11", "bad_range", "0 to 10"),
        ("format", "mov", "bad_args", "wav, flac"),
        ("sample_rate", "4000", "bad_range", "8000 to 192000"),
        ("sample_rate", "44100.5", "bad_args", "keep or Hz"),
        ("start", "yesterday", "bad_args", "seconds (90)"),
        ("mix", "perhaps", "bad_args", "1 or 0"),
        ("model", "../../x.safetensors", "bad_args", "a model's name"),
        ("chain", "vocals=/tmp/evil.toml", "bad_args", "stem=preset"),
        ("stems", "vocals/../..", "bad_args", "names with commas"),
        ("seed", "1" * 300, "bad_args", "whole number"),
        ("mix", "1\n", "bad_args", "1 or 0"),
        ("overlap", "inf", "bad_args", "0 to 1"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_hint(key: str, text: str, code: str, words: str) -> None:
    problem = refusal(lambda: parse_options([(key, text)]))
    assert problem.code == code
    assert words in problem.text


def test_nothing_but_a_refusal_comes_of_any_text() -> None:
    random_ = random.Random(3)
    keys = [option.key for option in OPTIONS]
    letters = "0123456789=,:.-+einfastruxNK \t\0é/"
    for _ in range(5000):
        text = "".join(random_.choices(letters, k=random_.randrange(12)))
        with contextlib.suppress(Refusal):
            assert parse_options([(random_.choice(keys), text)])


def test_an_option_is_given_once() -> None:
    assert "given twice" in refusal(lambda: parse_options([("seed", "1"), ("seed", "2")])).text


# Paths.


def test_a_song_is_found_by_its_path_or_below_a_root(root: Path) -> None:
    song = root / "Album/Song.wav"
    for text in (str(song), "Album/Song.wav", str(root / "Album/../Album/Song.wav")):
        found, tree, stamp = acceptance(root).song(text)
        assert (found, tree) == (song, PurePosixPath("Album"))
        assert stamp == (song.stat().st_size, song.stat().st_mtime_ns, song.stat().st_ino)
    (root / "short.wav").symlink_to(song)
    assert acceptance(root).song("short.wav")[:2] == (song, PurePosixPath("Album"))


def test_nothing_outside_the_roots_is_told_of(root: Path, tmp_path: Path) -> None:
    outside = write_song(tmp_path / "private/Secret.wav")
    (root / "link.wav").symlink_to(outside)
    (root / "folder").symlink_to(outside.parent)
    (tmp_path / "music2").mkdir()
    write_song(tmp_path / "music2/Other.wav")
    texts = [
        str(outside), str(outside.parent / "not there.wav"), "link.wav", "folder/Secret.wav",
        "../private/Secret.wav", str(tmp_path / "music2/Other.wav"), "/etc/passwd", "/", "/dev/zero",
        "/proc/self/mem", "..", "Album/../..",
    ]  # fmt: skip
    for text in texts:
        assert refusal(lambda text=text: acceptance(root).song(text)).code == "path_denied", text


def test_a_song_is_a_regular_file(root: Path) -> None:
    os.mkfifo(root / "pipe.wav")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket.wav"))
        (root / "zero.wav").symlink_to("/dev/zero")
        (root / "loop.wav").symlink_to(root / "loop.wav")
        for text in ("pipe.wav", "socket.wav", "zero.wav", "Album"):
            assert refusal(lambda text=text: acceptance(root).song(text)).code == "path_denied", text
        assert refusal(lambda: acceptance(root).song("loop.wav")).code in ("not_found", "path_denied")
    for text in ("", "a\0b.wav", "http://host/x.wav", "file:///etc/passwd", "\\\\host\\share\\x.wav",
                 "//host/share/x.wav", "x" * 5000, "smb://host/x"):  # fmt: skip
        assert refusal(lambda text=text: acceptance(root).song(text)).code == "path_denied", text
    assert refusal(lambda: acceptance(root).song("Nothing.wav")).code == "not_found"
    assert refusal(lambda: acceptance(root).song("é" * 300 + ".wav")).code == "not_found"
    assert "--root" in refusal(lambda: Acceptance((), root).song("Album/Song.wav")).text


# What is settled.


def test_at_unity_only_the_stems_are_written(root: Path) -> None:
    spec = settled(root)
    assert spec.stems == ("drums", "bass", "other", "vocals")
    assert spec.versions == (Version(),)
    assert spec.out == root.parent / "out"
    assert spec.tree == PurePosixPath("Album")
    assert not spec.overwrite


def test_the_desk_is_settled_and_what_is_said_goes_before_it(root: Path) -> None:
    session = Session()
    for command in (
        SetGain("vocals", -6.0), SetGain("bass", -3.0), SetPan("bass", 0.5), SetMute("drums", True),
        SetSolo("guitar", True), SetSensitivity("vocals", 7.0), SetGain("residual", -9.0),
    ):  # fmt: skip
        session.apply(command, 0.0)
    spec = settled(root, session.desk, gain="bass=0", mute="other", sensitivity="drums=3")
    assert spec.versions[0].mixer == MixerState(
        gains_db={"vocals": -6.0}, pans={"bass": 0.5}, mutes=frozenset({"drums", "other"})
    )
    assert spec.sensitivity == {"vocals": 7.0, "drums": 3.0}
    assert spec.stems == ("drums", "bass", "other", "vocals")
    assert settled(root, session.desk, residual="file").versions[0].mixer.gains_db["residual"] == -9.0


def test_a_model_gives_the_stems_it_has(root: Path) -> None:
    session = Session()
    session.apply(SetGain("drums", -6.0), 0.0)
    spec = settled(root, session.desk, model="repet")
    assert spec.stems == ("accompaniment", "vocals")
    assert spec.versions == (Version(),)
    assert settled(root, model="repet", residual="file").stems == ("accompaniment", "vocals", "residual")
    assert settled(root, two_stems="vocals").stems is None


def test_a_preset_is_settled_with_all_it_says(root: Path) -> None:
    spec = settled(root, preset="karaoke")
    assert spec.versions[0].name == "karaoke"
    assert spec.stems == ("drums", "bass", "other", "vocals")


@pytest.mark.parametrize(
    ("preset", "options", "code", "words"),
    [
        ("karaok", {}, "not_found", "did you mean 'karaoke'"),
        ("/tmp/evil.toml", {}, "not_found", "by name"),
        ("../presets/karaoke.toml", {}, "not_found", "by name"),
        (None, {"model": "clasic"}, "bad_args", "did you mean 'classic'"),
        (None, {"gain": "vocal=3"}, "bad_args", "did you mean 'vocals'"),
        (None, {"stems": "guitar"}, "bad_args", "gives no stem 'guitar'"),
        (None, {"two_stems": "vocals", "stems": "bass"}, "bad_args", "leave one out"),
        (None, {"format": "flac", "bit_depth": "32f"}, "bad_args", "FLAC"),
        (None, {"preview": "5", "start": "1"}, "bad_args", "preview"),
        (None, {"chain": "vocals=nope"}, "not_found", "no preset"),
    ],
)
def test_what_cannot_be_is_refused_before_it_is_queued(
    root: Path, preset: str | None, options: dict[str, str], code: str, words: str
) -> None:
    problem = refusal(lambda: settled(root, None, preset, **options))
    assert problem.code == code
    assert words in problem.text


def test_overwriting_is_never_allowed_from_outside(root: Path) -> None:
    config = Config(render=RenderDefaults(model="classic", overwrite=True))
    order = Order("Album/Song.wav", None, {}, Desk())
    spec = spec_from_json(Acceptance((root,), root.parent / "out", config).settle(order).spec)
    assert not spec.overwrite


# As text.


def test_a_spec_survives_as_text_whatever_it_says() -> None:
    chain = ChainSpec((PluginSpec("Compressor", parameters={"ratio": 4.0}, mix=0.5),), "a.toml")
    file_chain = ChainSpec((PluginSpec(file="X.vst3", plugin_name="x", state=Path("s"), dual_mono=True),))
    moves = (
        Move(Time(samples=9), "vocals", "gain_db", -6.0),
        Move(Time(Fraction(1, 3)), "bass", "mute", 1.0),
    )
    version = Version(
        "loud",
        MixerState({"vocals": -6.5}, frozenset({"bass"}), frozenset({"drums"}), {"other": 0.25}, -1.0, True),
        submixes={"band": ("drums", "bass")},
        chains={"vocals": chain},
        mix_chain=file_chain,
        mix=True,
        automation=Automation(moves),
    )
    odd = Path(os.fsdecode(b"/music/caf\xe9 \xe2\x82\xac.wav"))
    spec = RenderSpec(
        odd, Path("/out"), "{track} {stem}.{ext}", PurePosixPath("a/b"), "repet", stems=("vocals",),
        versions=(version,), format=OutputFormat("flac", "24"), overs="clip", sample_rate=48000,
        residual="file", sensitivity={"vocals": 7.0}, start=Time(Fraction(1, 3)), end=Time(samples=99),
        preroll_s=1.5, tail="until-silent", post_fader=True, dry=True, device="cpu",
        options={"window_s": 10.0}, overwrite=True, seed=3, plugin_folders=(Path("/p"),),
    )  # fmt: skip
    text = spec_to_json(spec)
    assert text.isascii()
    assert spec_from_json(text) == spec
    plain = RenderSpec(odd)
    unsaid = {f.name for f in fields(spec) if getattr(spec, f.name) == getattr(plain, f.name)}
    assert unsaid <= {"source", "stems_from", "two_stems", "preview_s"}, (
        "say something else in this test, too"
    )
    assert {
        f.name for f in fields(Version) if getattr(version, f.name) == getattr(Version(), f.name)
    } == set()
    for other in (replace(plain, two_stems="bass", preview_s=3.0), replace(plain, stems_from=Path("s"))):
        assert spec_from_json(spec_to_json(other)) == other


def test_silence_is_a_number_and_equal_specs_are_equal_texts() -> None:
    def spec(gains_db: dict[str, float]) -> RenderSpec:
        return RenderSpec(Path("/a.wav"), versions=(Version(mixer=MixerState(gains_db)),))

    assert spec_to_json(spec({"bass": float("-inf")})) == spec_to_json(spec({"bass": -144.0}))
    assert spec_to_json(spec({"bass": 1.0, "drums": 2.0})) == spec_to_json(spec({"drums": 2.0, "bass": 1.0}))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1}', '{"schema": 1, "kazoo": 1}', "1"])
def test_what_is_no_spec_is_refused(text: str) -> None:
    with pytest.raises(ArgumentValueError, match="queue it again"):
        spec_from_json(text)


def test_a_newer_spec_is_refused() -> None:
    data = {**json.loads(spec_to_json(RenderSpec(Path("/a.wav")))), "schema": 99}
    with pytest.raises(ArgumentValueError, match="another version"):
        spec_from_json(json.dumps(data))


def test_automation_is_taken_by_its_name_and_in_place_of_the_desk(tmp_path: Path) -> None:
    song = tmp_path / "songs" / "song.wav"
    song.parent.mkdir()
    write_song(song)
    out = tmp_path / "out"
    (out / "automation").mkdir(parents=True)
    (out / "automation" / "ride.csv").write_text("time,control,value,ramp_ms\n100s,vocals.gain_db,-3,20\n")
    acceptance = Acceptance((song.parent,), out)
    session = Session()
    session.apply(SetGain("drums", -9.0), 0.0)
    flags = parse_options((("automation", "ride"), ("model", "classic")))
    settled = acceptance.settle(Order(str(song), None, flags, session.desk))
    (version,) = spec_from_json(settled.spec).versions
    assert version.automation is not None
    assert version.automation.moves[0].stem == "vocals"
    assert not any(version.mixer.gains_db.values())
    for name in ("none", "../ride", "/etc/passwd"):
        with pytest.raises(Refusal):
            acceptance.settle(Order(str(song), None, parse_options((("automation", name),)), session.desk))
