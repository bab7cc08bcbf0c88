"""Synthetic singers: the right notes, in the right places, in many voices, from a bank or from nothing."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import peers
import pytest
from numpy.typing import NDArray
from stembridge.model.errors import ArgumentValueError, AudioFileError, AudioFileNotFoundError, StateError
from stembridge.model.synth.delivery import STYLES, deliver, sung_phrases
from stembridge.model.synth.formant_voice import Tract, invent_phrase
from stembridge.model.synth.phrases import PhraseBank, build_bank, split_of
from stembridge.model.synth.score import Note, Split
from stembridge.model.synth.singing import LEVEL, PEAK, Singers
from stembridge.model.synth.vocoder import HOP, SAMPLE_RATE, Take, synthesise
from stembridge.model.synth.voice_track import BANDS, NOISE_HZ, VoiceTrack, analyse, band_hz

Samples = NDArray[np.float32]

MELODY = [
    Note(0.5 + 0.5 * k, 0.48, pitch, 0.8) for k, pitch in enumerate([60, 62, 64, 67, 65, 64, 62, 60])
] + [Note(5.5, 1.4, 64, 0.9)]
FRAMES = 8 * SAMPLE_RATE


def pitch_hz(audio: Samples, start_s: float, end_s: float) -> float:
    """The pitch of a stretch, by the highest peak of its autocorrelation between 65 Hz and 700 Hz."""
    piece = audio[round(start_s * SAMPLE_RATE) : round(end_s * SAMPLE_RATE)].astype(np.float64)
    spectrum = np.fft.rfft(piece * np.hanning(len(piece)), 4 * len(piece))
    kept = np.arange(len(spectrum)) * SAMPLE_RATE / (4 * len(piece)) < 2500
    correlation = np.fft.irfft(np.abs(spectrum) ** 2 * kept)
    lags = np.arange(SAMPLE_RATE // 700, SAMPLE_RATE // 65)
    # Of equally good periods the shortest is the pitch.
    good = correlation[lags] > 0.85 * correlation[lags].max()
    first = lags[int(np.argmax(good))]
    around = np.arange(first, min(first + 40, lags[-1]))
    lag = int(around[np.argmax(correlation[around])])
    before, here, after = correlation[lag - 1 : lag + 2]
    return float(SAMPLE_RATE / (lag + 0.5 * (before - after) / (before - 2 * here + after)))


def cents_off(hz: float, pitch: float) -> float:
    """The distance to a note, octaves ignored (a singer moves a melody by octaves)."""
    octaves = np.log2(hz / 440) - (pitch - 69) / 12
    return float(1200 * (octaves - round(octaves)))


def invented_track(seed: int = 0) -> VoiceTrack:
    rng = np.random.default_rng(seed)
    return invent_phrase(Tract.invent(rng), 8, rng)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Invented phrases saved as if they had been spoken: a bank without any program."""
    folder = tmp_path_factory.mktemp("bank")
    for speaker in ("espeak-ng-f2", "festival-lp_diphone", "sung-tenor", "espeak-ng-f5"):
        where = folder / "tracks" / speaker
        where.mkdir(parents=True)
        for k in range(3):
            rng = np.random.default_rng([k, len(speaker)])
            invent_phrase(Tract.invent(rng), 8, rng).save(where / f"de-{k:05d}.npz")
    return folder


def test_a_flat_envelope_is_noise_or_pulses_of_rms_1() -> None:
    flat = np.zeros((400, BANDS), np.float32)
    take = Take(np.full(400, 200.0), jitter=0, shimmer=0)
    for noise, voiced in ((1.0, 0.0), (0.0, 1.0)):
        share = np.full((400, len(NOISE_HZ)), noise, np.float32)
        rng = np.random.default_rng(0)
        audio = synthesise(flat, share, np.full(400, voiced, np.float32), [take], rng, breath_pulsation=0)
        assert audio.shape == (1, 400 * HOP)
        assert np.std(audio[0, 5000:-5000]) == pytest.approx(1, abs=0.05)


def test_the_filter_has_the_envelope_asked_for() -> None:
    wanted = (-20 * np.abs(np.log2(band_hz() / 900)) * (band_hz() > 100)).astype(np.float32)
    share = np.ones((800, len(NOISE_HZ)), np.float32)
    rng = np.random.default_rng(1)
    silent = np.zeros(800, np.float32)
    audio = synthesise(
        np.tile(np.maximum(wanted, -60), (800, 1)), share, silent, [Take(np.full(800, 100.0))], rng
    )
    windows = audio[0, 4096 : 4096 * 49].reshape(-1, 4096) * np.hanning(4096)
    power = np.mean(np.abs(np.fft.rfft(windows)) ** 2, axis=0) / np.sum(np.hanning(4096) ** 2)
    hz = np.fft.rfftfreq(4096, 1 / SAMPLE_RATE)
    for centre in (300, 600, 900, 2000, 4000):
        near = np.abs(np.log2(np.maximum(hz, 1) / centre)) < 0.06
        expected = np.interp(centre, band_hz(), wanted)
        assert 10 * np.log10(power[near].mean()) == pytest.approx(expected, abs=2)


def test_pulses_have_the_pitch_asked_for() -> None:
    share = np.zeros((300, len(NOISE_HZ)), np.float32)
    for hz in (82.4, 233.1, 523.3):
        rng = np.random.default_rng(2)
        take = Take(np.full(300, hz), jitter=0.004)
        audio = synthesise(np.zeros((300, BANDS), np.float32), share, np.ones(300, np.float32), [take], rng)
        assert abs(1200 * np.log2(pitch_hz(audio[0], 0.5, 1.0) / hz)) < 10


def test_a_track_survives_its_file(tmp_path: Path) -> None:
    track = invented_track()
    track.save(tmp_path / "a.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    back = VoiceTrack.load(tmp_path / "a.npz")
    heard = track.envelope_db < 17
    assert np.abs(back.envelope_db - track.envelope_db)[heard].max() <= 0.251
    assert np.array_equal(back.syllables, track.syllables)
    assert back.median_hz == pytest.approx(track.median_hz, rel=2e-3)


def test_what_is_no_track_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.npz").write_bytes(b"not a track")
    with pytest.raises(AudioFileError, match="build the bank anew"):
        VoiceTrack.load(tmp_path / "b.npz")
    with pytest.raises(AudioFileNotFoundError, match="no voice track"):
        VoiceTrack.load(tmp_path / "c.npz")


def test_analysis_finds_pitch_vowels_and_spectrum() -> None:
    require_pyworld()
    tone = harmonic_syllables([0.3, 0.9, 1.5])
    track = analyse(tone, 16000)
    assert track.median_hz == pytest.approx(150, rel=0.01)
    assert len(track.syllables) == 3
    assert track.voiced_share > 0.95
    assert track.bandwidth_hz < 8000
    loudest = track.envelope_db[track.syllables[1, 1] + 5]
    assert 400 < band_hz()[int(np.argmax(loudest))] < 1000


def require_pyworld() -> None:
    if find_spec("pyworld") is None:
        peers.missing("pyworld is not installed (pip install pyworld)")


def harmonic_syllables(starts: list[float]) -> Samples:
    """A buzz at 150 Hz with a formant near 700 Hz, 0.3 s at each of the starts, at 16 kHz."""
    t = np.arange(round(2.2 * 16000)) / 16000
    buzz = sum(np.cos(2 * np.pi * 150 * h * t) / (1 + ((150 * h - 700) / 200) ** 2) for h in range(1, 40))
    swell = sum(np.clip(np.sin(np.pi * (t - s) / 0.3), 0, 1) * ((t > s) & (t < s + 0.3)) for s in starts)
    return np.asarray(0.1 * buzz * swell, np.float32)


def test_silence_cannot_be_analysed() -> None:
    with pytest.raises(ArgumentValueError, match="not be silent"):
        analyse(np.zeros(16000, np.float32), 16000)


def test_invented_voices_differ_and_repeat() -> None:
    tracks = [invented_track(seed) for seed in range(6)]
    spectra = np.array([track.envelope_db.mean(axis=0) for track in tracks])
    apart = [np.abs(a - b).mean() for k, a in enumerate(spectra) for b in spectra[:k]]
    assert min(apart) > 1.5
    assert np.array_equal(invented_track(3).envelope_db, tracks[3].envelope_db)
    assert all(track.voiced_share > 0.9 and len(track.syllables) == 8 for track in tracks)


def test_phrases_are_cut_at_pauses_and_never_overlap() -> None:
    notes = [Note(0, 1.2, 60, 1), Note(1, 0.5, 62, 1), Note(1.6, 0.3, 64, 1), Note(3, 9, 65, 1)]
    groups = sung_phrases(notes, 5.0)
    assert [len(group) for group in groups] == [3, 1]
    assert groups[0][0].seconds == pytest.approx(1.0)
    assert groups[1][0].seconds == pytest.approx(2.0)


@pytest.mark.parametrize("seed", range(6))
def test_a_lead_sings_the_melody(bank: Path, seed: int) -> None:
    audio = Singers(bank, "train").sing(MELODY, FRAMES, np.random.default_rng(seed))
    assert audio.shape == (1, FRAMES)
    assert audio.dtype == np.float32
    off = [
        cents_off(pitch_hz(audio[0], n.start_s + 0.4 * n.seconds, n.start_s + 0.9 * n.seconds), n.pitch)
        for n in MELODY
    ]
    assert np.median(np.abs(off)) < 50


@pytest.mark.parametrize("seed", range(3))
def test_a_voice_is_silent_where_there_is_nothing_to_sing(bank: Path, seed: int) -> None:
    audio = Singers(bank, "train").sing(MELODY, FRAMES, np.random.default_rng(seed))[0]
    assert np.abs(audio[round(7.4 * SAMPLE_RATE) :]).max() < 1e-3
    assert np.abs(audio).max() <= PEAK + 1e-6
    heard = audio[round(0.6 * SAMPLE_RATE) : round(4.4 * SAMPLE_RATE)]
    assert LEVEL / 4 < np.sqrt(np.mean(heard**2)) < LEVEL * 2


def test_nothing_to_sing_is_silence(bank: Path) -> None:
    singers = Singers(bank, "train")
    rng = np.random.default_rng(0)
    assert not singers.sing([], 1000, rng).any()
    assert not singers.choir([], 1000, rng).any()
    assert not singers.adlibs([], 1000, rng).any()
    assert not singers.harmonies([[]], 1000, rng, 2).any()
    assert not singers.rap(0.0, 0.0, 0.5, 1000, rng).any()


def test_a_voice_has_presence_air_and_hiss(bank: Path) -> None:
    """As in recorded singing, on average: 1 to 4 kHz about 8 dB below what is lower, 6 to 16 kHz about 16."""
    singers = Singers(bank, "train")
    voices = [singers.sing(MELODY, FRAMES, np.random.default_rng(seed))[0] for seed in range(8)]
    power = np.array([np.abs(np.fft.rfft(voice)) ** 2 for voice in voices])
    hz = np.fft.rfftfreq(FRAMES, 1 / SAMPLE_RATE)

    def level(low: float, high: float) -> NDArray[np.float64]:
        return np.asarray(10 * np.log10(power[:, (hz >= low) & (hz < high)].sum(axis=1)))

    body = level(200, 1000)
    presence, air = body - level(1000, 4000), body - level(6000, 16000)
    assert 3 < presence.mean() < 13
    assert 8 < air.mean() < 26
    assert np.ptp(air) > 3


def test_seeds_repeat_and_differ(bank: Path) -> None:
    def voices(seed: int) -> Samples:
        return Singers(bank, "train").sing(MELODY, FRAMES, np.random.default_rng(seed))

    assert np.array_equal(voices(1), voices(1))
    assert not np.array_equal(voices(1), voices(2))


def test_harmonies_sing_their_parts_in_stereo(bank: Path) -> None:
    parts = [[Note(n.start_s, n.seconds, n.pitch + 4, n.velocity) for n in MELODY]]
    singers = Singers(bank, "train")
    audio = singers.harmonies(parts, FRAMES, np.random.default_rng(4), 1)
    assert audio.shape == (2, FRAMES)
    louder = audio[int(np.argmax(np.std(audio, axis=1)))]
    off = [
        cents_off(pitch_hz(louder, n.start_s + 0.4 * n.seconds, n.start_s + 0.9 * n.seconds), n.pitch)
        for n in parts[0]
    ]
    assert np.median(np.abs(off)) < 60
    spread = singers.harmonies(parts, FRAMES, np.random.default_rng(4), 3)
    assert np.std(spread[0] - spread[1]) > 0.1 * np.std(spread)
    with pytest.raises(ArgumentValueError, match="a part and a voice"):
        singers.harmonies([], FRAMES, np.random.default_rng(0), 1)


def test_harmonies_cast_the_singer_of_a_lead_with_the_same_generator(bank: Path) -> None:
    singers = Singers(bank, "train")
    lead = singers.cast(np.random.default_rng(11))
    again = singers.cast(np.random.default_rng(11))
    first, second = lead.words(MELODY[0]), again.words(MELODY[0])
    for _ in range(10):
        (track, row), (other, same) = next(first), next(second)
        assert row == same
        assert np.array_equal(track.envelope_db, other.envelope_db)


def test_a_choir_holds_chords(bank: Path) -> None:
    chord = [Note(0.5, 3.0, pitch, 0.8) for pitch in (57, 60, 64)]
    audio = Singers(bank, "train").choir(chord, 4 * SAMPLE_RATE, np.random.default_rng(3))
    assert audio.shape == (2, 4 * SAMPLE_RATE)
    piece = audio.mean(axis=0)[SAMPLE_RATE : 3 * SAMPLE_RATE]
    spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece))))
    hz = np.fft.rfftfreq(len(piece), 1 / SAMPLE_RATE)

    def strength(pitch: float) -> float:
        near = np.abs(12 * np.log2(np.maximum(hz, 1) / 440) + 69 - pitch) < 0.35
        return float(np.sum(spectrum[near] ** 2))

    for pitch in (57, 60, 64):
        assert strength(pitch) > 5 * strength(58.5)
    assert np.std(audio[0] - audio[1]) > 0.1 * np.std(audio)


def test_rap_stays_in_its_time(bank: Path) -> None:
    audio = Singers(bank, "train").rap(1.0, 4.8, 0.6, FRAMES, np.random.default_rng(5))
    assert audio.shape == (1, FRAMES)
    assert np.abs(audio[0, : round(0.5 * SAMPLE_RATE)]).max() < 1e-3
    assert np.abs(audio[0, round(6.3 * SAMPLE_RATE) :]).max() < 1e-3
    assert np.std(audio[0, SAMPLE_RATE : 5 * SAMPLE_RATE]) > 0.02
    with pytest.raises(ArgumentValueError, match="longer than 0 s"):
        Singers(bank, "train").rap(0, 1, 0, FRAMES, np.random.default_rng(5))


def test_adlibs_are_sparse(bank: Path) -> None:
    notes = [Note(2.0 * k, 0.8, 62, 0.8) for k in range(6)]
    frames = 12 * SAMPLE_RATE
    audio = Singers(bank, "train").adlibs(notes, frames, np.random.default_rng(2))
    level = np.sqrt(np.mean(audio[0].reshape(-1, SAMPLE_RATE // 10) ** 2, axis=1))
    assert 0.02 < np.mean(level > 0.01) < 0.7


@pytest.mark.parametrize("name", list(STYLES))
def test_every_style_is_singable(name: str) -> None:
    rng = np.random.default_rng(0)
    track = invented_track()
    words = [(track, row) for row in range(8)] * 4
    line = deliver(MELODY, lambda first: iter(words), STYLES[name][1].draw(rng), FRAMES, rng)
    assert np.isfinite(line.envelope_db).all()
    assert np.all((line.noise >= 0) & (line.noise <= 1))
    middle = round((MELODY[8].start_s + 0.7) * SAMPLE_RATE / HOP)
    assert line.pitch[middle] == pytest.approx(64, abs=1.3)


def test_a_person_belongs_to_one_split() -> None:
    people = [f"espeak-ng-person{k}x" for k in range(400)]
    held = [name for name in people if split_of(name) == "validation"]
    assert 25 < len(held) < 80
    assert split_of("flite-slt") == split_of("festival-cmu_us_slt_arctic_hts")
    assert split_of("espeak-ng-iven2") == split_of("espeak-ng-iven4") == split_of("espeak-ng-iven")
    assert split_of("sung-berklee-male-solo") == split_of("sung-berklee-male-ensemble")


def test_the_splits_of_a_bank_share_nobody(bank: Path) -> None:
    splits: list[Split] = ["train", "validation"]
    train, validation = (set(PhraseBank(bank, split).speakers) for split in splits)
    assert train
    assert validation == {"espeak-ng-f5"}
    assert not train & validation


def test_an_empty_bank_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="build the bank first"):
        Singers(tmp_path, "train")


def test_programs_and_recordings_fill_a_bank_and_are_credited(tmp_path: Path) -> None:
    import soundfile

    peers.require("espeak-ng")
    require_pyworld()
    singer = tmp_path / "voices" / "someone"
    singer.mkdir(parents=True)
    soundfile.write(singer / "take.wav", harmonic_syllables([0.1, 0.8, 1.6]), 16000)
    (singer / "LICENCE").write_text("CC0 1.0, a test\n", encoding="utf-8")
    folder = tmp_path / "bank"
    steps = list(build_bank(folder, phrases=6, seed=3, voices=tmp_path / "voices"))
    assert steps[-1].done == steps[-1].total == 7
    tracks = sorted(folder.glob("tracks/*/*.npz"))
    assert len(tracks) >= 6
    assert not list(folder.rglob("*.partial"))
    credited = {
        row["name"]: row["licence"] for row in json.loads((folder / "SOURCES.json").read_text())["voices"]
    }
    assert all(credited[path.parent.name] for path in tracks)
    assert credited["sung-someone"] == "CC0 1.0, a test"
    written = {path: path.stat().st_mtime_ns for path in tracks}
    list(build_bank(folder, phrases=6, seed=3, voices=tmp_path / "voices"))
    assert {path: path.stat().st_mtime_ns for path in tracks} == written


def test_bad_orders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentValueError, match="workers 1 or more"):
        next(build_bank(tmp_path, phrases=1, seed=0, workers=0))
    with pytest.raises(AudioFileNotFoundError, match="no folder of recorded voices"):
        next(build_bank(tmp_path, phrases=0, seed=0, voices=tmp_path / "nowhere"))
