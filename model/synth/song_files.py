"""Songs on disk: a folder for each, complete or not there at all, made by as many processes as asked for."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from queue import Empty
from typing import Literal

import numpy as np

from ..audio import OutputFormat
from ..errors import ArgumentValueError, OutputError, StateError, StembridgeError
from ..files.encoder import create_audio
from ..platform import die_with_parent
from .score import Split
from .song import STEMS, Band, Song, song_name

SongContainer = Literal["wav", "flac"]

DESCRIPTION = "song.json"
_CEILING = 0.999
_BLOCK = 1 << 16
_ABANDONED_S = 600.0


@dataclass(frozen=True)
class SongProgress:
    """One song more, made or found."""

    done: int
    total: int
    name: str
    existed: bool


def write_song(song: Song, folder: Path, container: SongContainer = "wav") -> Path:
    """Write a song as `folder/NAME/{drums,bass,other,vocals}.EXT`, 16 bit, with `song.json` beside them.

    One gain for all stems makes them and their sum fit below full scale; it is in `song.json`. The folder
    appears when it is complete; a complete one that is there is kept. Returns it; raises OutputError
    or DiskFullError from the disk.
    """
    target = folder / song.name
    unfinished = folder / f".{song.name}.{os.getpid()}"
    peaks = [np.abs(stem).max(initial=0.0) for stem in song.stems.values()]
    peaks.append(np.abs(np.sum(list(song.stems.values()), axis=0)).max(initial=0.0))
    gain = np.float32(min(1.0, _CEILING / max(float(max(peaks)), 1e-9)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder, song.name)
        unfinished.mkdir()
        fmt = OutputFormat(container, "16")
        for name in STEMS:
            stem = song.stems[name]
            path = unfinished / f"{name}.{container}"
            with create_audio(path, fmt, song.sample_rate, stem.shape[0], stem.shape[1]) as writer:
                for start in range(0, stem.shape[1], _BLOCK):
                    writer.write(stem[:, start : start + _BLOCK] * gain)
        facts = {"name": song.name, "seed": song.seed, "sample_rate": song.sample_rate, "gain": float(gain)}
        text = json.dumps(facts | song.description, indent=1, ensure_ascii=False)
        (unfinished / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
        if not _complete(target):
            shutil.rmtree(target, ignore_errors=True)
            unfinished.rename(target)
    except OSError as error:
        raise (
            error
            if isinstance(error, OutputError)
            else OutputError(f"songs cannot be written to {folder}: {error.strerror or error}")
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def _sweep(folder: Path, name: str) -> None:
    """Remove what a process that was killed left of a song; what is new may be another one's work."""
    for left in folder.glob(f".{name}.*"):
        if time.time() - left.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(left, ignore_errors=True)


def generate(
    folder: Path,
    songs: int,
    seed: int,
    bank: Path,
    split: Split = "train",
    seconds: float = 24.0,
    workers: int = 1,
    container: SongContainer = "wav",
) -> Generator[SongProgress, None, None]:
    """Make the songs of the seeds from `seed` on, as many as asked for, in `folder`.

    Songs that are there are left alone, so a run may be stopped at any time and started again. Raises
    StateError before the first song for a bank with no voices of the split. Closing the iterator stops the
    work after the songs in progress.
    """
    if songs < 1 or workers < 1:
        raise ArgumentValueError(f"songs and workers must be 1 or more; got {songs} and {workers}")
    if container not in ("wav", "flac"):
        raise ArgumentValueError(f"songs are written as wav or flac; got {container!r}")
    band = Band(bank, split)
    missing = [k for k in range(seed, seed + songs) if not _complete(folder / song_name(k))]
    done = songs - len(missing)
    if done:
        yield SongProgress(done, songs, "", existed=True)
    if workers == 1 or len(missing) < 2:
        made = (_make(band, number, seconds, folder, container) for number in missing)
    else:
        made = _made_by_workers(missing, workers, _Order(bank, split, seconds, folder, container))
    with closing(made):
        for name in made:
            done += 1
            yield SongProgress(done, songs, name, existed=False)


@dataclass(frozen=True)
class _Order:
    """What every worker is told."""

    bank: Path
    split: Split
    seconds: float
    folder: Path
    container: SongContainer


def _complete(target: Path) -> bool:
    return (target / DESCRIPTION).is_file()


def _make(band: Band, number: int, seconds: float, folder: Path, container: SongContainer) -> str:
    """Make one song unless somebody else has made it meanwhile; its name."""
    if not _complete(folder / song_name(number)):
        write_song(band.make_song(number, seconds), folder, container)
    return song_name(number)


def _made_by_workers(missing: list[int], workers: int, order: _Order) -> Generator[str, None, None]:
    """Names of songs as processes finish them, each process taking every n-th song."""
    context = multiprocessing.get_context("spawn")
    results: Queue[str | Exception] = context.Queue()
    stop = context.Event()
    shares = [missing[k::workers] for k in range(min(workers, len(missing)))]
    processes = [
        context.Process(target=_work, args=(share, order, os.getpid(), stop, results)) for share in shares
    ]
    for process in processes:
        process.start()
    try:
        for _ in missing:
            result = _next_result(results, processes)
            if isinstance(result, Exception):
                raise result
            yield result
    finally:
        stop.set()
        for process in processes:
            process.join()


def _next_result(results: Queue[str | Exception], processes: list[SpawnProcess]) -> str | Exception:
    while True:
        # A process may have died right after its last message: look for one more before giving up.
        dead = [process.exitcode for process in processes if process.exitcode]
        try:
            return results.get(timeout=1.0)
        except Empty:
            if dead:
                raise StateError(
                    f"a process that makes songs died (exit code {dead[0]}): try fewer with -j"
                ) from None


def _work(
    numbers: list[int], order: _Order, parent: int, stop: Event, results: Queue[str | Exception]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    die_with_parent(parent)
    try:
        band = Band(order.bank, order.split)
        for number in numbers:
            if stop.is_set():
                return
            results.put(_make(band, number, order.seconds, order.folder, order.container))
    except StembridgeError as error:
        results.put(error)
