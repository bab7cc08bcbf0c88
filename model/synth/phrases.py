"""The phrase bank: text-to-speech voices and real singers, analysed once, to be sung from ever after.

A bank is a folder: `tracks/SPEAKER/LANGUAGE-NUMBER.npz` (see `VoiceTrack.save`) and `SOURCES.json`, which
credits every program, voice and recording with its licence. It can be used while it grows.
"""

from __future__ import annotations

import json
import re
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import ArgumentValueError, AudioFileNotFoundError, StateError
from .score import Split
from .speech import Speaker, installed_speakers, speak, text
from .voice_track import Floats, VoiceTrack, analyse, mended

SHARES = {"espeak-ng": 0.5, "festival": 0.37, "flite": 0.13}
"""How much of the bank each engine speaks, when all are installed."""

BATCH = 10
"""Phrases per job: festival starts slowly."""

REAL_LICENCES = {
    "berklee": "CC BY 3.0, OLPC Berklee Sound Library",
    "vocadito": "CC BY 4.0, vocadito data set",
    "mtg": "CC BY 4.0, MTG sms-tools-materials (freesound user xserra)",
    "massey": "CC0 1.0, Bart Massey",
}
"""By the start of a recording's folder name; a `LICENCE` file in the folder says it for any other."""


@dataclass(frozen=True)
class Progress:
    """How far a bank is."""

    done: int
    total: int
    """Phrases asked for; recordings are analysed first and count as one each."""
    speaker: str


@dataclass(frozen=True)
class _Job:
    speaker: Speaker
    language: str
    number: int
    """Names the files: the same number says the same words."""
    count: int
    seed: int

    def files(self, folder: Path) -> list[Path]:
        where = folder / "tracks" / self.speaker.name
        return [where / f"{self.language}-{self.number + k:05d}.npz" for k in range(self.count)]


def build_bank(
    folder: Path, *, phrases: int, seed: int, voices: Path | None = None, workers: int = 1
) -> Iterator[Progress]:
    """Fill a bank with about `phrases` spoken phrases, and with the real singing in `voices`.

    `voices` holds one subfolder per singer with sound files. What the folder already holds of the same seed
    is kept. Raises ModelMissingError when no text-to-speech program and no recording is at hand.
    """
    if phrases < 0 or workers < 1:
        raise ArgumentValueError(f"phrases must be 0 or more, workers 1 or more; got {phrases}, {workers}")
    if voices is not None and not voices.is_dir():
        raise AudioFileNotFoundError(f"no folder of recorded voices at {voices}")
    singers = sorted(path for path in voices.iterdir() if path.is_dir()) if voices else []
    speakers = installed_speakers() if phrases else []
    folder.mkdir(parents=True, exist_ok=True)
    _write_sources(folder, speakers, singers)
    total = phrases + len(singers)
    done = 0
    for singer in singers:
        analyse_recordings(singer, folder / "tracks" / f"sung-{singer.name}")
        done += 1
        yield Progress(done, total, singer.name)
    jobs = _plan(speakers, phrases, np.random.default_rng(seed)) if phrases else []
    if workers == 1:
        for job in jobs:
            _fill(folder, job)
            done += job.count
            yield Progress(done, total, job.speaker.name)
        return
    with ProcessPoolExecutor(workers) as pool:
        futures = {pool.submit(_fill, folder, job): job for job in jobs}
        for future in as_completed(futures):
            future.result()
            done += futures[future].count
            yield Progress(done, total, futures[future].speaker.name)


def _plan(speakers: Sequence[Speaker], phrases: int, rng: np.random.Generator) -> list[_Job]:
    """Jobs in random order, so that a bank that is still growing is already mixed."""
    jobs = []
    engines = sorted({speaker.engine for speaker in speakers})
    whole = sum(SHARES[engine] for engine in engines)
    number = 0
    for engine in engines:
        members = [speaker for speaker in speakers if speaker.engine == engine]
        left = round(phrases * SHARES[engine] / whole)
        batch = int(np.clip(-(-left // len(members)), 1, BATCH))
        turn = 0
        order = rng.permutation(len(members))
        while left > 0:
            speaker = members[order[turn % len(members)]]
            count = min(batch, left)
            jobs.append(
                _Job(speaker, str(rng.choice(speaker.languages)), number, count, int(rng.integers(2**31)))
            )
            turn, left, number = turn + 1, left - count, number + count
    return [jobs[k] for k in rng.permutation(len(jobs))]


def _fill(folder: Path, job: _Job) -> None:
    """Speak and analyse what is missing of one job."""
    import soundfile

    files = job.files(folder)
    if all(file.exists() for file in files):
        return
    files[0].parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(job.seed)
    with tempfile.TemporaryDirectory() as scratch:
        texts = [text(job.language, int(rng.integers(5, 12)), rng) for _ in files]
        for spoken in speak(job.speaker, job.language, texts, Path(scratch), rng):
            audio, sample_rate = soundfile.read(spoken, dtype="float32")
            _store(audio, sample_rate, 500.0, files[int(spoken.stem)])


def _store(audio: Floats, sample_rate: int, highest_hz: float, file: Path) -> None:
    """Analyse and save, unless there is nothing in it that could be sung."""
    if len(audio) < 0.3 * sample_rate or float(np.abs(audio).max()) < 1e-3:
        return
    track = analyse(audio, sample_rate, highest_hz)
    if len(track.syllables):
        track.save(file)


def analyse_recordings(singer: Path, into: Path) -> None:
    """Analyse the sound files of one real singer, cut at the silences."""
    import soundfile

    into.mkdir(parents=True, exist_ok=True)
    files = sorted(path for path in singer.iterdir() if path.suffix in (".ogg", ".flac", ".wav"))
    for n, path in enumerate(files):
        audio, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
        for k, (start, end) in enumerate(_takes(audio.mean(axis=1), sample_rate)):
            file = into / f"song-{n * 1000 + k:05d}.npz"
            if not file.exists():
                _store(audio[start:end].mean(axis=1), sample_rate, 1200.0, file)


def _takes(audio: Floats, sample_rate: int) -> list[tuple[int, int]]:
    """Stretches of 0.4 s to 5 s between silences, or between the quietest moments of what never pauses."""
    hop = sample_rate // 50
    level = np.sqrt(np.mean(audio[: len(audio) // hop * hop].reshape(-1, hop) ** 2, axis=1))
    takes = []
    start = 0
    quiet = level < 0.02 * float(level.max())
    while start < len(level):
        if quiet[start]:
            start += 1
            continue
        window = quiet[start : start + 250]
        pauses = np.flatnonzero(window)
        if len(pauses):
            end = start + int(pauses[0])
        else:
            end = (
                start + 100 + int(np.argmin(level[start + 100 : start + 250]))
                if len(window) == 250
                else len(level)
            )
        if end - start >= 20:
            takes.append((start * hop, end * hop))
        start = end
    return takes


def _write_sources(folder: Path, speakers: Sequence[Speaker], singers: Sequence[Path]) -> None:
    rows = [
        {**asdict(speaker), "name": speaker.name, "languages": len(speaker.languages)} for speaker in speakers
    ]
    for singer in singers:
        stated = singer / "LICENCE"
        known = [licence for start, licence in REAL_LICENCES.items() if singer.name.startswith(start)]
        licence = stated.read_text("utf-8").strip() if stated.is_file() else (known or ["not stated"])[0]
        rows.append(
            {"engine": "recording", "voice": singer.name, "name": f"sung-{singer.name}", "licence": licence}
        )
    partial = folder / ".SOURCES.json.partial"
    partial.write_text(json.dumps({"voices": rows}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(folder / "SOURCES.json")


SAME_PERSON = {
    "cmu_us_slt_arctic_hts": "slt",
    "kal_diphone": "kal",
    "kal16": "kal",
    "marathi_NSK_diphone": "NSK",
    "hindi_NSK_diphone": "NSK",
    "telugu_NSK_diphone": "NSK",
}


def split_of(speaker: str) -> Split:
    """The split a speaker belongs to, by name alone: about one in eight people is for validation.

    Voices of one person (`slt` in flite and festival, `iven2` and `iven3`) stay together.
    """
    voice = speaker.split("-", 2)[-1] if speaker.startswith("espeak-ng-") else speaker.split("-", 1)[-1]
    person = SAME_PERSON.get(voice, re.sub(r"(?<=\w\w)\d+$", "", voice))
    if speaker.startswith("sung-"):
        person = voice.split("-")[0] if voice.startswith("berklee") else voice
    # "57": a draw whose eighth has men, women, every kind of engine and one real singer in it.
    return "validation" if zlib.crc32(f"57{person}".encode()) % 8 == 0 else "train"


class PhraseBank:
    """The phrases of one split, by speaker."""

    def __init__(self, folder: Path, split: Split) -> None:
        self._files: dict[str, list[Path]] = {}
        for speaker in sorted(path for path in folder.glob("tracks/*") if split_of(path.name) == split):
            files = sorted(speaker.glob("[!.]*.npz"))
            if files:
                self._files[speaker.name] = files
        if not self._files:
            raise StateError(
                f"expected voice tracks for {split} in {folder}/tracks, found none: build the bank first, "
                "with more phrases if it holds only the other split"
            )

    @property
    def speakers(self) -> list[str]:
        """The names of the speakers, sorted."""
        return list(self._files)

    def phrases(self, speaker: str) -> list[Path]:
        """The speaker's phrases, sorted: what the spoken one language after the other."""
        return self._files[speaker]


@lru_cache(maxsize=512)
def phrase(path: Path) -> VoiceTrack:
    """Load a phrase; the last few hundred are kept."""
    return mended(VoiceTrack.load(path))
