"""Synthetic songs as scores: chords, lines, melodies, plans."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from stembridge.model.errors import ArgumentValueError
from stembridge.model.synth.accompaniment import ROLES, accompany
from stembridge.model.synth.arrangement import Plan, plan_song
from stembridge.model.synth.bass_lines import BASS_LINES, bass_line, in_one_voice
from stembridge.model.synth.ensembles import IDIOMS, RECIPES
from stembridge.model.synth.grooves import STYLES
from stembridge.model.synth.harmony import (
    LOOPS,
    MODES,
    Key,
    choose_loop,
    chord_spans,
    guitar_voicing,
    nearest_in,
    parse_chord,
    scale_step,
    voicing,
)
from stembridge.model.synth.melody import harmony_line, solo, vocal_melody
from stembridge.model.synth.metre import Frame, Metre, Section
from stembridge.model.synth.score import Note
from stembridge.model.synth.soloists import SOLO_PROGRAMS, SOLOISTS
from stembridge.model.synth.synthesiser import INSTRUMENTS


def a_frame(loop: str = "I vi IV V", beats: int = 4) -> tuple[Frame, Section]:
    metre = Metre(tempo=120, beats=beats)
    key = Key(0, "major")
    section = Section("verse", 2, 4, 0.5, tuple(chord_spans(loop, 0, 4, metre.bar_s, metre.at(2, 0))))
    return Frame(metre, key, (section,)), section


def dissonant(notes: list[Note], section: Section) -> float:
    """The share of notes that are not in the chord they start on."""
    outside = [round(n.pitch) % 12 not in section.chord_at(n.start_s + 0.03).chord.classes for n in notes]
    return float(np.mean(outside))


@pytest.mark.parametrize(
    ("numeral", "classes", "bass"),
    [
        ("I", {2, 6, 9}, 2),
        ("vi7", {11, 2, 6, 9}, 11),
        ("bVII", {0, 4, 7}, 0),
        ("V7", {9, 1, 4, 7}, 9),
        ("i5", {2, 9}, 2),
        ("I/3", {2, 6, 9}, 6),
        ("IVmaj7", {7, 11, 2, 6}, 7),
        ("iiø", {4, 7, 10, 2}, 4),
        ("V7sus4", {9, 2, 4, 7}, 9),
    ],
)
def test_chords_in_d(numeral: str, classes: set[int], bass: int) -> None:
    chord = parse_chord(numeral, 2)
    assert chord.classes == classes
    assert chord.bass == bass


def test_every_loop_is_made_of_chords_and_nonsense_is_not() -> None:
    for loops in LOOPS.values():
        for loop in loops:
            for numeral in loop.split():
                assert 2 <= len(parse_chord(numeral, 5).classes) <= 5
    for nonsense in ("H", "Ix", "", "viiii", "I7b"):
        with pytest.raises(ArgumentValueError, match="Roman numeral"):
            parse_chord(nonsense, 0)


def test_voicings_hold_the_chord_and_move_little() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        before: tuple[int, ...] = ()
        for span in chord_spans(choose_loop(["major", "minor", "soul"], rng), 0, 8, 2.0, 0.0):
            now = voicing(span.chord, 4, 62, before)
            assert {note % 12 for note in now} <= span.chord.classes
            assert list(now) == sorted(set(now))
            assert abs(np.mean(now) - 62) < 9
            if before:
                assert abs(np.mean(now) - np.mean(before)) < 7
            before = now


def test_guitar_shapes_fit_the_hand() -> None:
    for numeral in ("I", "ii", "IV7", "bVII", "vi"):
        chord = parse_chord(numeral, 4)
        shape = guitar_voicing(chord)
        assert len(shape) >= 3
        assert shape[0] % 12 == chord.root
        assert {note % 12 for note in shape} <= chord.classes
        assert list(shape) == sorted(shape)


def test_scale_steps_go_up_the_scale_and_back() -> None:
    for mode, steps in MODES.items():
        scale = Key(3, mode).scale
        assert scale_step(scale, 63, len(steps)) == 75
        assert scale_step(scale, scale_step(scale, 63, 3), -3) == 63
    assert nearest_in({0, 7}, 66.4) == 67


def test_swing_moves_off_beats_and_nothing_else() -> None:
    straight, swung = Metre(100), Metre(100, swing=1.0)
    triplets = Metre(100, swing=1.0, swing_eighths=True)
    for step in (0, 2, 4, 8):
        assert swung.at(3, step) == pytest.approx(straight.at(3, step))
    assert swung.at(0, 1) == pytest.approx(straight.at(0, 1) + straight.step_s / 3)
    assert triplets.at(1, 2) == pytest.approx(straight.at(1, 0) + 2 / 3 * straight.beat_s)
    times = [triplets.at(0, step) for step in range(17)]
    assert times == sorted(times)


@pytest.mark.parametrize("name", BASS_LINES)
@pytest.mark.parametrize("beats", [3, 4])
def test_bass_lines_are_low_single_and_follow_the_chords(name: str, beats: int) -> None:
    frame, section = a_frame(beats=beats)
    kicks = [frame.metre.at(bar, step) for bar in range(2, 6) for step in (0, 6)]
    notes = in_one_voice(bass_line(name, frame, section, 30, kicks, np.random.default_rng(1)))
    start, end = frame.metre.at(2, 0), frame.metre.at(6, 0)
    assert notes
    assert all(28 <= note.pitch <= 62 for note in notes)
    assert all(start - 0.05 <= note.start_s < end for note in notes)
    for note, following in pairwise(notes):
        assert note.start_s + note.seconds <= following.start_s + 1e-6
    assert dissonant(notes, section) < 0.55


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("beats", [3, 4])
def test_every_role_plays_its_section_in_its_register(role: str, beats: int) -> None:
    frame, section = a_frame(beats=beats)
    for seed in range(3):
        notes = accompany(role, frame, section, 55, np.random.default_rng(seed))
        start, end = frame.metre.at(2, 0), frame.metre.at(6, 0)
        assert notes
        assert all(start - 1e-6 <= note.start_s < end for note in notes)
        assert all(28 <= note.pitch <= 100 for note in notes)
        assert all(0 < note.velocity <= 1 and note.seconds > 0 for note in notes)
        if role not in ("riff", "counter", "power", "power rhythm", "chug", "lead-up"):
            assert dissonant(notes, section) == 0


def test_melodies_breathe_stay_in_range_and_in_the_scale() -> None:
    frame, section = a_frame("I V vi IV")
    for seed in range(20):
        rng = np.random.default_rng(seed)
        notes = vocal_melody(frame, section, 60, rng, drive=float(rng.random()))
        assert notes
        assert all(45 <= note.pitch <= 80 for note in notes)
        sung = sum(note.seconds for note in notes)
        assert 0.15 < sung / (section.bars * frame.metre.bar_s) < 1.0
        inside = [round(n.pitch) % 12 in {*frame.key.scale, *parse_chord("I", 0).classes} for n in notes]
        assert np.mean(inside) > 0.9
        third = harmony_line(frame, section, notes, "third above")
        gaps = [other.pitch - note.pitch for note, other in zip(notes, third, strict=True)]
        assert all(1 <= gap <= 6 for gap in gaps)
        lead = solo(frame, section, 72, rng, speed=float(rng.random()))
        assert lead
        assert all(52 <= note.pitch <= 92 for note in lead)


def test_plans_vary_and_are_complete() -> None:
    plans = [plan_song(24.0, np.random.default_rng(seed)) for seed in range(300)]
    assert {plan.idiom.name for plan in plans} == {idiom.name for idiom in IDIOMS}
    assert len({plan.frame.key.name for plan in plans}) > 40
    for plan in plans:
        assert plan.frame.sections[0].first_bar == 0
        last = plan.frame.sections[-1]
        assert plan.frame.metre.at(last.first_bar + last.bars, 0) >= 24.0
        assert plan.parts
        for i in range(len(plan.frame.sections)):
            heard = plan.drums | plan.bass
            assert i in heard or any(i in part.sections for part in plan.parts)
    voices = [plan.voices for plan in plans]
    assert 0.6 < np.mean([voice == "sung" for voice in voices]) < 0.85
    for voice in ("rap", "backing", "none"):
        assert 0.02 < np.mean([v == voice for v in voices]) < 0.25
    assert 0.04 < np.mean([not plan.drums for plan in plans]) < 0.25


def test_tables_name_what_there_is() -> None:
    for idiom in IDIOMS:
        assert set(idiom.drums) <= set(STYLES)
        assert set(idiom.feelings) <= set(LOOPS)
        assert set(idiom.lines) <= set(BASS_LINES)
        assert {name for core in idiom.cores for name in core} <= set(RECIPES)
        assert set(idiom.extras) | set(idiom.leads) <= set(RECIPES)
    sounds = [recipe.sound for recipe in RECIPES.values()] + [s for idiom in IDIOMS for s in idiom.bass]
    for sound in sounds:
        kind, _, choice = sound.partition(":")
        if kind == "gm":
            assert all(0 <= int(program) < 128 for program in choice.split(","))
        elif kind == "synth":
            assert choice in INSTRUMENTS
        elif kind == "solo":
            assert choice in SOLOISTS or choice in SOLO_PROGRAMS
        else:
            assert kind == "guitar"
    for recipe in RECIPES.values():
        assert set(recipe.roles) <= {*ROLES, "solo"}


def test_plans_of_three_beats_have_three_beats() -> None:
    waltzes: list[Plan] = []
    for seed in range(200):
        plan = plan_song(24.0, np.random.default_rng(seed))
        if plan.drum_style == "waltz":
            waltzes.append(plan)
    assert waltzes
    assert all(plan.frame.metre.beats == 3 for plan in waltzes)
