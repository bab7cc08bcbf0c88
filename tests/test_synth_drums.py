"""Drums of the song generator: parts that stay in their bars, kits that sound like what they are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from stembridge.model.audio import Audio
from stembridge.model.errors import ArgumentValueError
from stembridge.model.synth.drum_kits import DrumKits, sources, split_of
from stembridge.model.synth.drum_models import MODELS
from stembridge.model.synth.drum_samples import Layer, SampleStore, is_free, piece_named, read_kit
from stembridge.model.synth.drum_sound import Bus, Colour, Room, loudness, placed
from stembridge.model.synth.drum_styles import PIECES
from stembridge.model.synth.drum_synthesis import SynthesisedKit
from stembridge.model.synth.grooves import STYLE_TABLE, STYLES, groove
from stembridge.model.synth.score import Hit

RATE = 44100
NOWHERE = Path("/nonexistent")


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def centroid_hz(sound: Audio) -> float:
    """Where the energy of a sound lies on average."""
    power = np.abs(np.fft.rfft(sound.sum(axis=0))) ** 2
    return float((np.fft.rfftfreq(sound.shape[1], 1 / RATE) * power).sum() / power.sum())


def struck(piece: str, seed: int = 1, velocity: float = 1.0, seconds: float = 1.0) -> Audio:
    """One stroke on a synthesised kit."""
    kit = DrumKits("train", NOWHERE).choose(generator(seed), "pop")
    return kit.play([Hit(0.0, piece, velocity)], int(seconds * RATE), generator(0))


def test_every_grid_fills_its_bar() -> None:
    for style in STYLE_TABLE:
        for part in (*style.kick, *style.snare, *style.top, *style.colour):
            for line in part.split(" | "):
                letter, marks = line.split(" ")
                assert letter in PIECES, (style.name, line)
                assert style.steps % len(marks) == 0, (style.name, line)
                assert set(marks) <= set("Xxog?."), (style.name, line)


def test_styles_are_many_and_each_name_is_one() -> None:
    assert len(set(STYLES)) == len(STYLES) >= 16
    assert {3, 4} == {style.meter[0] for style in STYLE_TABLE}


@pytest.mark.parametrize("style", STYLES)
def test_strokes_stay_in_the_section_in_order(style: str) -> None:
    table = next(row for row in STYLE_TABLE if row.name == style)
    for seed, energy in enumerate((0.0, 0.5, 1.0)):
        tempo = table.tempo[seed % 2]
        hits = groove(style, 4, tempo, generator(seed), energy=energy, fill=True, start_s=7.0)
        assert hits == groove(style, 4, tempo, generator(seed), energy=energy, fill=True, start_s=7.0)
        times = [hit.start_s for hit in hits]
        assert times == sorted(times)
        assert times[0] >= 7.0
        assert times[-1] < 7.0 + 4 * table.beats * 60.0 / tempo
        assert all(0.0 < hit.velocity <= 1.0 and hit.piece in PIECES.values() for hit in hits)


def test_energy_thickens_opens_and_strengthens() -> None:
    def played(energy: float) -> list[Hit]:
        return [
            hit
            for style in STYLES
            for seed in range(4)
            for hit in groove(style, 4, 110.0, generator(seed), energy=energy, fill=False)
        ]

    quiet, middling, loud = (played(energy) for energy in (0.05, 0.5, 1.0))
    assert len(quiet) < 0.8 * min(len(middling), len(loud))
    ringing = [sum(hit.piece in ("hihat-open", "crash", "ride") for hit in part) for part in (middling, loud)]
    assert 1.3 * ringing[0] < ringing[1]
    force = [np.mean([hit.velocity for hit in part]) for part in (quiet, middling, loud)]
    assert force == sorted(force)


def test_bars_are_not_copies() -> None:
    for style in ("rock", "funk", "house"):
        hits = groove(style, 8, 120.0, generator(3), energy=0.7, fill=False)
        bars = [
            frozenset((round(h.start_s % 2.0 * 8), h.piece) for h in hits if h.start_s // 2 == k)
            for k in range(8)
        ]
        assert len(set(bars)) > 1, style


def test_a_backbeat_is_where_rock_puts_it() -> None:
    late = [
        abs((hit.start_s / 0.5) % 2 - 1)
        for seed in range(20)
        for hit in groove("rock", 4, 120.0, generator(seed), energy=0.5, fill=False)
        if hit.piece == "snare" and hit.velocity > 0.7
    ]
    assert np.median(late) < 0.05


def test_a_fill_lies_at_the_end_and_nowhere_else() -> None:
    def toms(fill: bool, beats: slice) -> int:
        return sum(
            hit.piece.startswith("tom")
            for seed in range(40)
            for hit in groove("rock", 2, 120.0, generator(seed), energy=0.7, fill=fill)
            if beats.start <= hit.start_s / 0.5 + 0.1 < beats.stop  # hands may be early
        )

    assert toms(True, slice(4, 8)) > 40
    assert toms(True, slice(0, 4)) == toms(False, slice(0, 8)) == 0


def test_swing_makes_weak_steps_late() -> None:
    def lateness(style: str) -> float:
        steps = [
            hit.start_s / (60.0 / 80.0 / 4)
            for seed in range(12)
            for hit in groove(style, 4, 80.0, generator(seed), energy=0.8, fill=False)
            if hit.piece in ("hihat-closed", "shaker")
        ]
        return float(np.mean([step - round(step - 0.1) for step in steps if round(step - 0.1) % 2 == 1]))

    assert lateness("lofi") > lateness("techno") + 0.05


def test_impossible_sections_are_refused() -> None:
    with pytest.raises(ArgumentValueError, match="a drum style is one of"):
        groove("polka-metal", 2, 120.0, generator(0), energy=0.5, fill=False)
    with pytest.raises(ArgumentValueError, match="a section has"):
        groove("rock", 0, 120.0, generator(0), energy=0.5, fill=False)


def test_pieces_sound_like_what_they_are() -> None:
    for model in MODELS:
        kit = SynthesisedKit(model, generator(5))
        shots = {piece: kit.shot(piece, 1.0, generator(6)) for piece in PIECES.values()}
        for piece, shot in shots.items():
            assert shot.dtype == np.float32
            assert np.isfinite(shot).all(), (model.name, piece)
            assert np.abs(shot).max() == pytest.approx(1.0, abs=1e-5)
            assert abs(float(shot[-1])) < 1e-3
        where = {piece: centroid_hz(shot[np.newaxis]) for piece, shot in shots.items()}
        assert where["kick"] < 300.0 < where["snare"] < where["hihat-closed"], model.name
        assert where["tom-low"] < where["tom-mid"] < where["tom-high"] < 600.0, model.name
        assert where["hihat-closed"] > 3000.0, model.name
        assert len(shots["crash"]) > len(shots["splash"]), model.name


def test_whole_models_and_kits_belong_to_one_split() -> None:
    train, validation = DrumKits("train"), DrumKits("validation")
    names = [{*(m.name for m in k.models), *(s.name for s in k.kits)} for k in (train, validation)]
    assert not names[0] & names[1]
    assert names[0] | names[1] >= {model.name for model in MODELS}
    assert train.models
    assert validation.models
    for kits, own in zip((train, validation), names, strict=True):
        for seed in range(5):
            assert set(kits.choose(generator(seed), "rock").names) <= own


@pytest.mark.parametrize("folder", [None, NOWHERE], ids=["installed", "none"])
def test_the_same_state_gives_the_same_song(folder: Path | None) -> None:
    kits = DrumKits("train", folder)
    hits = groove("funk", 2, 110.0, generator(0), energy=0.7, fill=True)
    songs = [kits.choose(generator(k), "funk").play(hits, 4 * RATE, generator(9)) for k in (1, 1, 2)]
    assert songs[0].shape == (2, 4 * RATE)
    assert songs[0].dtype == np.float32
    assert all(np.isfinite(song).all() for song in songs)
    np.testing.assert_array_equal(songs[0], songs[1])
    assert float(np.abs(songs[0] - songs[2]).max()) > 0.01


def test_what_sounds_does_not_depend_on_what_was_struck_before() -> None:
    hit = [Hit(0.0, "snare", 0.9)]
    first, second = (DrumKits("train", NOWHERE).choose(generator(4), "rock") for _ in range(2))
    first.play([Hit(0.0, "kick", 1.0), Hit(0.1, "crash", 1.0)], RATE, generator(0))
    np.testing.assert_array_equal(first.play(hit, RATE, generator(1)), second.play(hit, RATE, generator(1)))


def test_no_stroke_no_sound_and_none_before_the_first() -> None:
    kit = DrumKits("train", NOWHERE).choose(generator(1), "techno")
    assert not kit.play([], RATE, generator(0)).any()
    assert kit.play([Hit(0.2, "kick", 1.0)], 0, generator(0)).shape == (2, 0)
    late = kit.play([Hit(0.5, "snare", 1.0), Hit(3.0, "kick", 1.0)], RATE, generator(0))
    assert not late[:, : RATE // 2].any()
    assert late[:, RATE // 2 :].any()
    with pytest.raises(ArgumentValueError, match="a piece is one of"):
        kit.play([Hit(0.0, "gong", 1.0)], RATE, generator(0))


def test_harder_is_louder() -> None:
    for piece in ("kick", "snare", "hihat-closed"):
        soft, hard = (loudness(struck(piece, velocity=v)) for v in (0.3, 1.0))
        assert soft < 0.6 * hard, piece


def test_a_closed_hi_hat_chokes_an_open_one() -> None:
    kit = DrumKits("train", NOWHERE).choose(generator(2), "rock")
    ringing = kit.play([Hit(0.0, "hihat-open", 1.0)], RATE, generator(0))
    choked = kit.play([Hit(0.0, "hihat-open", 1.0), Hit(0.1, "hihat-pedal", 0.1)], RATE, generator(0))
    both = kit.play([Hit(0.0, "hihat-open", 1.0), Hit(0.005, "hihat-closed", 0.1)], RATE, generator(0))
    tail = slice(int(0.3 * RATE), int(0.6 * RATE))
    assert float(np.square(ringing[:, tail]).sum()) > 0.0
    assert float(np.square(choked[:, tail]).sum()) < 0.2 * float(np.square(ringing[:, tail]).sum())
    assert float(np.square(both[:, tail]).sum()) > 0.5 * float(np.square(ringing[:, tail]).sum())


def test_a_kick_has_sub_and_stands_in_the_middle() -> None:
    share, side = [], []
    for seed in range(12):
        kick = struck("kick", seed)
        power = np.abs(np.fft.rfft(kick.sum(axis=0))) ** 2
        hz = np.fft.rfftfreq(kick.shape[1], 1 / RATE)
        share.append(power[(hz > 30) & (hz < 80)].sum() / power.sum())
        side.append(np.square(kick[0] - kick[1]).sum() / np.square(kick[0] + kick[1]).sum())
    assert np.median(share) > 0.4
    assert max(side) < 0.1


def test_kits_have_the_crest_of_real_drums() -> None:
    kits = DrumKits("train")
    crests = []
    for seed, style in enumerate(STYLES[:12]):
        hits = groove(style, 4, 110.0, generator(seed), energy=0.7, fill=True)
        song = kits.choose(generator(seed), style).play(hits, 8 * RATE, generator(seed))
        crests.append(20.0 * np.log10(np.abs(song).max() / np.sqrt(np.mean(song**2))))
    assert 14.0 < np.median(crests) < 25.0


def test_tuning_moves_the_pitch_by_its_ratio() -> None:
    tone = np.sin(2 * np.pi * 440.0 * np.arange(RATE) / RATE).astype(np.float32)[np.newaxis]
    for steps in (40, 48, 57):
        tuned = Colour(steps=steps, decay_s=0.8).applied(tone, -20.0)
        power = np.abs(np.fft.rfft(tuned[0] * np.hanning(tuned.shape[1]), 4 * RATE)) ** 2
        assert float(np.argmax(power)) / 4 == pytest.approx(440.0 * 48 / steps, abs=1.0)
        assert loudness(tuned) == pytest.approx(0.1, rel=1e-3)


def test_rooms_ring_gates_shut_and_pans_hold_the_power() -> None:
    click = np.zeros((2, 100), np.float32)
    click[:, 0] = 1.0
    open_room = Room(0.6, 0.5, 0.0, generator(1)).around(click, -6.0)
    gated = Room(0.6, 0.5, 0.1, generator(1)).around(click, -6.0)
    assert open_room.shape[1] > 0.25 * RATE > 0.1 * RATE >= gated.shape[1] > 100
    np.testing.assert_array_equal(Room(0.6, 0.5, 0.0, generator(1)).around(click, -60.0), click)
    for pan in (-1.0, -0.3, 0.0, 0.8):
        assert float(np.square(placed(click[:1], pan, 1.0)).sum()) == pytest.approx(2.0, rel=1e-5)


def test_an_early_sampler_has_few_levels_and_holds_its_samples() -> None:
    noise = generator(0).uniform(-1, 1, (2, 8000)).astype(np.float32)
    coarse = Bus(bits=6, hold=4).through(noise)
    assert len(np.unique(coarse)) <= 2**6 + 1
    assert (coarse[:, 0::4] == coarse[:, 3::4]).all()
    assert np.sqrt(np.mean(coarse**2)) == pytest.approx(float(np.sqrt(np.mean(noise**2))), rel=1e-4)


XML = """<?xml version="1.0"?><drumkit_info {space}><name>{name}</name><author>A. Drummer</author>
{licence}<instrumentList>
<instrument><name>Kick</name><layer><filename>loud.wav</filename><min>0.5</min><max>1</max></layer>
<layer><filename>soft.wav</filename><min>0</min><max>0.5</max></layer></instrument>
<instrument><name>Snare</name><filename>loud.wav</filename></instrument>
<instrument><name>Closed HH</name><layer><filename>missing.wav</filename></layer></instrument>
</instrumentList></drumkit_info>"""


def hydrogen_kit(folder: Path, name: str, licence: str, *, space: str = "", rate: int = 48000) -> Path:
    """A kit of two files, as Hydrogen stores it."""
    (folder / name).mkdir(parents=True)
    t = np.arange(rate) / rate
    tone = np.where(t > 0.1, np.sin(2 * np.pi * 60 * t) * np.exp(-8 * (t - 0.1)), 0.0)
    soundfile.write(folder / name / "loud.wav", 0.8 * tone, rate)
    soundfile.write(folder / name / "soft.wav", np.stack([0.2 * tone, 0.1 * tone], axis=1), rate)
    text = XML.format(name=name, licence=licence and f"<license>{licence}</license>", space=space)
    (folder / name / "drumkit.xml").write_text(text, encoding="utf-8")
    return folder / name / "drumkit.xml"


def test_a_hydrogen_kit_is_read_with_its_layers(tmp_path: Path) -> None:
    space = 'xmlns="http://www.hydrogen-music.org/drumkit"'
    for name, namespace in (("old", ""), ("new", space)):
        kit = read_kit(hydrogen_kit(tmp_path, name, "GPL", space=namespace))
        assert kit is not None
        assert kit.author == "A. Drummer"
        assert set(kit.pieces) == {"kick", "snare"}
        assert [layer.path.name for layer in kit.pieces["kick"][0].layers] == ["soft.wav", "loud.wav"]
    loaded = SampleStore().load(Layer(tmp_path / "old/loud.wav", 1.0, 0.0), "kick")
    fifth = SampleStore().load(Layer(tmp_path / "old/loud.wav", 1.0, 7.0), "kick")
    assert fifth.shape[1] == pytest.approx(loaded.shape[1] / 2 ** (7 / 12), rel=0.01)
    assert loaded.shape[0] == 1
    assert np.abs(loaded).max() == pytest.approx(1.0, abs=0.01)
    assert loaded.shape[1] < 0.9 * RATE + 100, "leading silence is cut, 48 kHz became 44.1"
    power = np.abs(np.fft.rfft(loaded[0], 4 * RATE))
    assert float(np.argmax(power)) / 4 == pytest.approx(60.0, abs=2.0)


def test_only_kits_that_may_be_passed_on_are_used(tmp_path: Path) -> None:
    hydrogen_kit(tmp_path, "free", "CC-BY-SA 3.0")
    hydrogen_kit(tmp_path, "forbidden", "Attribution-NonCommercial 3.0")
    hydrogen_kit(tmp_path, "unsaid", "")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/drumkit.xml").write_text("<drumkit_info><name>", encoding="utf-8")
    assert sources(tmp_path) == [("free", "CC-BY-SA 3.0", "Hydrogen drum kit by A. Drummer")]
    used = [kit.name for split in ("train", "validation") for kit in DrumKits(split, tmp_path).kits]
    assert used == ["free"]
    song = DrumKits(split_of("free"), tmp_path).choose(generator(1), "rock")
    assert np.isfinite(
        song.play([Hit(0.0, piece, 0.8) for piece in PIECES.values()], RATE, generator(0))
    ).all()


@pytest.mark.parametrize(
    ("licence", "free"),
    [
        ("This drumkit is distributed under the GPL version 2 license", True),
        ("cc-by ==> http://creativecommons.org/licenses/by/3.0/", True),
        ("This work is licensed under the Creative Commons 0 License.", True),
        ("Attribution-Share Alike 3.0 United States", True),
        ("CC BY-ND 4.0", False),
        ("free for non commercial use", False),
        ("All rights reserved", False),
    ],
)
def test_licences(licence: str, free: bool) -> None:
    assert is_free(licence) is free


@pytest.mark.parametrize(
    ("name", "piece"),
    [
        ('Kick (Tama Superstar 22")', "kick"),
        ('Ride (Custom, Zagrebin 22")', "ride"),
        ("Floor Tom", "tom-low"),
        ("Pearl Snare Rimshot", "snare"),
        ("g#3 - hi-hat pedal", "hihat-pedal"),
        ("Side OHH", "hihat-open"),
        ("ride-crash20inch", "crash"),
        ("Maraca", "shaker"),
        ("17", ""),
        ("Snare Roll", ""),
    ],
)
def test_pieces_are_told_by_the_names_of_instruments(name: str, piece: str) -> None:
    assert piece_named(name) == piece
