"""What separators do to real songs: SDR per stem, speed and memory, as a Markdown table.

python benchmarks/separators.py SONGS_DIR [--models classic,repet,hpss] [--baselines] [-o TABLE.md]

SONGS_DIR holds one folder per song with its stems as audio files (drums, bass, other, vocals). The mix is
their sum. SDR is 10 log10(sum ref^2 / sum (ref - est)^2) over the whole song, after the residual has joined
its stem; references that are silent (60 dB below the mix) are left out and counted. Every song and model
runs in a process of its own; time is that of separating alone, memory the peak of the process.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from baselines import STEMS, Quarter, RepetSplit, Split, oracle
from processes import machine
from stembridge.model.audio import Audio, StemArray
from stembridge.model.files.decoder import open_audio, read_audio
from stembridge.model.platform import keep_freed_memory
from stembridge.model.registry import create_separator, resolve

BLOCK = 1 << 16
SILENT_DB = -60.0

PARTS = {
    "accompaniment": ("drums", "bass", "other"),
    "harmonic": ("bass", "other", "vocals"),
    "percussive": ("drums",),
}
"""What the true stem of that name is made of, where it is not one of the four."""


class Stream(Protocol):
    """What is measured: as much of a separator as it takes."""

    def push(self, block: Audio) -> StemArray:
        """Take a block, return finished frames."""

    def flush(self) -> StemArray | None:
        """Return the rest."""


BASELINES: dict[str, Callable[[int, int], Stream]] = {
    "mix / 4": lambda rate, channels: Quarter(),
    "HPSS + 180 Hz split": lambda rate, channels: Split(rate, channels, centre=False),
    "REPET-SIM + HPSS + split": RepetSplit,
    "HPSS + split + centre mask": lambda rate, channels: Split(rate, channels, centre=True),
}
ORACLE = "oracle ratio mask, 4096"


def stem_files(song: Path) -> dict[str, Path]:
    """The song's stems by name."""
    return {path.stem: path for path in sorted(song.iterdir()) if path.stem in STEMS}


def blocks(song: Path) -> Iterator[StemArray]:
    """The song's stems in blocks `(4, channels, n)`; a stem without a file is silent."""
    readers = {name: open_audio(path) for name, path in stem_files(song).items()}
    try:
        while True:
            read = {name: reader.read(BLOCK) for name, reader in readers.items()}
            first = next(iter(read.values()))
            if first.shape[1] == 0:
                return
            silence = np.zeros_like(first)
            yield np.stack([read.get(name, silence) for name in STEMS])
    finally:
        for reader in readers.values():
            reader.close()


def separate(song: Path, model: str, out: Path) -> dict[str, Any]:
    """Separate the song, estimates to the raw file `out`; return names, times and peak memory."""
    info = open_audio(next(iter(stem_files(song).values()))).info
    names: tuple[str, ...] = STEMS
    residual_stem = None
    stream: Stream
    if model in BASELINES:
        stream = BASELINES[model](info.sample_rate, info.channels)
    else:
        separator = create_separator(model, info.sample_rate, info.channels)
        stream, names, residual_stem = separator, separator.stems, separator.residual_stem
    wall_s = cpu_s = 0.0

    def timed(work: Callable[[], StemArray | None]) -> None:
        nonlocal wall_s, cpu_s
        wall, cpu = time.perf_counter(), time.process_time()
        stems = work()
        wall_s += time.perf_counter() - wall
        cpu_s += time.process_time() - cpu
        if stems is not None:
            file.write(np.ascontiguousarray(stems.transpose(2, 0, 1)).tobytes())

    with out.open("wb") as file:
        for references in blocks(song):
            mix = references.sum(axis=0)
            timed(lambda mix=mix: stream.push(mix))  # type: ignore[misc]
        timed(stream.flush)
    return {
        "names": names,
        "residual_stem": residual_stem,
        "seconds": info.seconds,
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def score(song: Path, run: dict[str, Any], estimates: Path) -> dict[str, float | None]:
    """SDR of each stem in dB, None where the reference is silent."""
    names = run["names"]
    signal, error = np.zeros(len(names)), np.zeros(len(names))
    total = 0.0
    with estimates.open("rb") as file:
        for references in blocks(song):
            channels, frames = references.shape[1:]
            mix = references.sum(axis=0)
            raw = np.frombuffer(file.read(4 * len(names) * channels * frames), np.float32)
            stems = raw.reshape(frames, len(names), channels).transpose(1, 2, 0).copy()
            if run["residual_stem"]:
                stems[names.index(run["residual_stem"])] += mix - stems.sum(axis=0)
            for k, name in enumerate(names):
                truth = sum(references[STEMS.index(part)] for part in PARTS.get(name, (name,)))
                signal[k] += np.sum(np.square(truth, dtype=np.float64))
                error[k] += np.sum(np.square(truth - stems[k], dtype=np.float64))
            total += float(np.sum(np.square(mix, dtype=np.float64)))
    return {
        name: float(10 * np.log10(signal[k] / max(error[k], 1e-20)))
        if signal[k] > total * 10 ** (SILENT_DB / 10)
        else None
        for k, name in enumerate(names)
    }


def run_one(song: Path, model: str) -> dict[str, Any]:
    """Everything about one song and one model."""
    with tempfile.TemporaryDirectory() as folder:
        estimates = Path(folder) / "estimates"
        if model == ORACLE:
            files = stem_files(song)
            audio = {name: read_audio(path)[0] for name, path in files.items()}
            silence = np.zeros_like(next(iter(audio.values())))
            rate = open_audio(next(iter(files.values()))).info.sample_rate
            stems = oracle(rate, np.stack([audio.get(name, silence) for name in STEMS]))
            estimates.write_bytes(np.ascontiguousarray(stems.transpose(2, 0, 1)).tobytes())
            run: dict[str, Any] = {"names": STEMS, "residual_stem": None}
        else:
            run = separate(song, model, estimates)
        return {**run, "sdr_db": score(song, run, estimates)}


def in_own_process(song: Path, model: str) -> dict[str, Any]:
    """`run_one` in a new process, so that its peak memory is its own."""
    command = [sys.executable, __file__, "--one", model, str(song)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{model} on {song.name} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def decibels(scores: list[float | None]) -> list[float]:
    """The scores there are."""
    return [score for score in scores if score is not None]


def mean(scores: list[float | None]) -> float | None:
    """The mean of the scores there are."""
    known = decibels(scores)
    return float(np.mean(known)) if known else None


def row(model: str, song: str, scores: list[float | None], cost: str) -> str:
    """One line: scores, their average, cost."""
    cells = ["–" if score is None else f"{score:.2f}" for score in [*scores, mean(scores)]]
    return f"| {model} | {song} | {' | '.join(cells)} | {cost} |"


def tables(results: dict[str, dict[str, dict[str, Any]]]) -> Iterator[str]:
    """Lines of Markdown: one table per set of stems; `results` by model, then by song."""
    kinds = dict.fromkeys(tuple(next(iter(runs.values()))["names"]) for runs in results.values())
    for names in kinds:
        yield f"| model | song | {' | '.join(names)} | average | s | CPU s | x real time | peak MB |"
        yield "|---|---|" + "---:|" * (len(names) + 5)
        silent: set[tuple[str, str]] = set()
        for model, runs in results.items():
            if tuple(next(iter(runs.values()))["names"]) != names:
                continue
            scores = {song: [run["sdr_db"][name] for name in names] for song, run in runs.items()}
            for song, run in runs.items():
                yield row(model, song, scores[song], costs(run))
                silent |= {(song, name) for name, s in zip(names, scores[song], strict=True) if s is None}
            stems = [mean(list(column)) for column in zip(*scores.values(), strict=True)]
            yield row(f"**{model}**", "**all**", stems, total_costs(list(runs.values())))
        yield ""
        yield f"Silent references left out (–): {len(silent)} of {len(names) * len(runs)}."
        yield ""


def costs(run: dict[str, Any]) -> str:
    """Time and memory cells of one run; an oracle has none."""
    if "wall_s" not in run:
        return " | | | "
    speed = run["seconds"] / run["wall_s"]
    return f"{run['wall_s']:.1f} | {run['cpu_s']:.1f} | {speed:.0f} | {run['peak_mb']:.0f}"


def total_costs(runs: list[dict[str, Any]]) -> str:
    """The same over all songs: sums, and the highest peak."""
    if "wall_s" not in runs[0]:
        return " | | | "
    total = {key: sum(run[key] for run in runs) for key in ("seconds", "wall_s", "cpu_s")}
    return costs({**total, "peak_mb": max(run["peak_mb"] for run in runs)})


def main() -> None:
    """Measure, print and write the table."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("songs", type=Path, metavar="SONGS_DIR")
    parser.add_argument("--models", default="classic,repet,hpss", help="comma-separated")
    parser.add_argument("--baselines", action="store_true", help="measure the plain ways and the oracle too")
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        keep_freed_memory()  # as the command line does
        json.dump(run_one(arguments.songs, arguments.one), sys.stdout)
        return
    songs = [path for path in sorted(arguments.songs.iterdir()) if path.is_dir() and stem_files(path)]
    if not songs:
        parser.error(f"no folder in {arguments.songs} holds stems named {', '.join(STEMS)}")
    models = [resolve(name) for name in arguments.models.split(",")]
    if arguments.baselines:
        models = [*BASELINES, *models, ORACLE]
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for model in models:
        for song in songs:
            results.setdefault(model, {})[song.name] = in_own_process(song, model)
            print(f"{model}: {song.name}", file=sys.stderr)
    text = "\n".join([f"Measured on {machine()}.", "", *tables(results)])
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
