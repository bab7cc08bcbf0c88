"""A long song whose render was killed: continued to the same bytes, and only from sound blocks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import signals
import soundfile
from rendered import classic_spec, files, run
from stembridge.model.audio import Audio, StemArray
from stembridge.model.cache_checkpoint import CheckpointWriter
from stembridge.model.cache_entry import BLOCK_FRAMES, CacheWriter
from stembridge.model.registry import create_separator
from stembridge.model.rendering import render
from stembridge.model.separators.cached import ContinuedSeparator, RecordingSeparator
from stembridge.model.separators.protocol import Separator
from stembridge.model.stem_cache import CacheKey, StemCache

BLOCKS = 7
FRAMES = BLOCKS * BLOCK_FRAMES - 1234
LONG_S = 301.0
RATE = 8000


def begin(cache: StemCache, separator: Separator, frames: int = FRAMES) -> CacheWriter:
    key = CacheKey.of("song", separator.name, separator.sample_rate, separator.channels, frames)
    return cache.store(
        key,
        separator.stems,
        separator.sample_rate,
        separator.channels,
        frames,
        separator=separator.name,
        residual_stem=separator.residual_stem,
        checkpoints=True,
    )


def mix(frames: int, rate: int) -> Audio:
    sources = signals.song(frames / rate + 0.1, rate)
    return np.ascontiguousarray(np.sum(list(sources.values()), axis=0)[:, :frames], np.float32)


def separated(separator: Separator, audio: Audio, stop: int | None = None, seed: int = 3) -> StemArray:
    """The estimates of a song pushed in random cuts; up to a frame and then given up, with `stop`."""
    separator.reset()
    parts, start = [], 0
    for size in signals.cuts(audio.shape[1] if stop is None else stop, seed=seed, largest=50_000):
        parts.append(separator.push(audio[:, start : start + size]))
        start += size
    if stop is None:
        parts.append(separator.flush())
    return np.concatenate(parts, axis=2)


def made(name: str, rate: int) -> Separator:
    options: dict[str, Any] = {"window_s": 2.5} if name == "repet" else {}
    return create_separator(name, rate, 2, device="cpu", **options)


@pytest.mark.parametrize(
    ("name", "rate", "frames"),
    [
        ("classic", 44100, FRAMES),
        ("classic", 96000, FRAMES),
        ("hpss", 48000, FRAMES),
        ("repet", 44100, 4 * FRAMES),
        ("default", 48000, 4 * FRAMES),
        ("live", 44100, FRAMES),
    ],
)
def test_what_is_continued_is_what_would_have_been_made(
    tmp_path: Path, name: str, rate: int, frames: int
) -> None:
    audio = mix(frames, rate)
    whole = separated(made(name, rate), audio)
    cache = StemCache(tmp_path)
    kept = 0
    for turn, stop in enumerate((frames // 2, frames * 3 // 4, None)):
        separator = made(name, rate)
        writer = begin(cache, separator, frames)
        assert isinstance(writer, CheckpointWriter)
        assert writer.kept_frames >= kept
        kept = writer.kept_frames
        recording = ContinuedSeparator(separator, writer) if turn else RecordingSeparator(separator, writer)
        estimates = separated(recording, audio, stop, seed=turn)
        np.testing.assert_array_equal(estimates, whole[:, :, : estimates.shape[2]])
        writer.abort()  # as the end of an interrupted render does; nothing after the last turn
    assert kept > 0
    assert estimates.shape == whole.shape
    (entry,) = tmp_path.glob("*.stems")
    found = cache.lookup(CacheKey.of("song", separator.name, rate, 2, frames))
    assert found is not None
    np.testing.assert_array_equal(found.read(0, frames), whole)
    assert [path.suffix for path in (tmp_path / "tmp").iterdir()] == [".lock"]
    assert cache.size() == entry.stat().st_size


def half_made(tmp_path: Path) -> tuple[StemCache, Path, Audio]:
    """A cache in which a song's first blocks are waiting to be continued."""
    cache, audio, separator = StemCache(tmp_path), mix(FRAMES, 44100), made("classic", 44100)
    writer = begin(cache, separator)
    separated(RecordingSeparator(separator, writer), audio, 6 * BLOCK_FRAMES)
    writer.abort()
    (checkpoint,) = (tmp_path / "tmp").glob("*.checkpoint")
    return cache, checkpoint, audio


@pytest.mark.parametrize(
    ("spoil", "kept"),
    [
        ("nothing", 5),
        ("block 3", 3),
        ("marks gone", 0),
        ("mark torn", 4),
        ("cut in block 2", 2),
        ("header", 0),
    ],
)
def test_only_sound_blocks_are_kept(tmp_path: Path, spoil: str, kept: int) -> None:
    cache, checkpoint, audio = half_made(tmp_path)
    marks = checkpoint.with_suffix(".marks")
    data = bytearray(checkpoint.read_bytes())
    block_bytes = BLOCK_FRAMES * 4 * 2 * 4
    body = len(data) - len(marks.read_bytes()) // 4 * block_bytes
    if spoil == "block 3":
        data[body + 3 * block_bytes + 1000] ^= 1
    elif spoil == "cut in block 2":
        del data[body + 2 * block_bytes + 1000 :]
    elif spoil == "header":
        data[30] ^= 1
    elif spoil == "marks gone":
        marks.unlink()
    elif spoil == "mark torn":
        marks.write_bytes(marks.read_bytes()[:-3])
    checkpoint.write_bytes(data)
    separator = made("classic", 44100)
    writer = begin(cache, separator)
    assert isinstance(writer, CheckpointWriter)
    assert writer.kept_frames == kept * BLOCK_FRAMES
    estimates = separated(ContinuedSeparator(separator, writer), audio)
    np.testing.assert_array_equal(estimates, separated(made("classic", 44100), audio))


def test_a_song_that_two_write_is_continued_by_one(tmp_path: Path) -> None:
    cache, checkpoint, _ = half_made(tmp_path)
    first, second = begin(cache, made("classic", 44100)), begin(cache, made("classic", 44100))
    assert isinstance(first, CheckpointWriter)
    assert not isinstance(second, CheckpointWriter)
    cache.evict(0)
    assert checkpoint.exists()  # its writer is alive
    first.abort()
    second.abort()
    assert cache.size() == checkpoint.stat().st_size
    assert cache.clear() >= 5 * BLOCK_FRAMES * 32
    assert not checkpoint.exists()
    assert cache.size() == 0


def test_a_full_cache_lets_the_oldest_go_be_it_finished_or_not(tmp_path: Path) -> None:
    _, checkpoint, _ = half_made(tmp_path)
    small = StemCache(tmp_path, 7_000_000)
    writer = small.store(CacheKey.of("b", "x", 44100, 2, 200_000), ("vocals", "other"), 44100, 2, 200_000)
    assert writer.failed is None
    assert not checkpoint.exists()
    writer.abort()


def long_song(path: Path) -> Path:
    """Five minutes that cost little: ten seconds of telephone again and again, never at the same level."""
    part = np.sum(list(signals.song(10.0, RATE).values()), axis=0)[0]
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        left, turn = round(LONG_S * RATE), 0
        while left:
            block = part[:left] * (0.6 + 0.02 * (turn % 20))
            file.write(block)
            left -= len(block)
            turn += 1
    return path


_KILLED = """
import os, signal, sys
from pathlib import Path
from stembridge.model.rendering import RenderSpec, render
from stembridge.model.stem_cache import StemCache
for progress in render(RenderSpec(Path(sys.argv[1]), Path(sys.argv[2]), model="classic", stems=("bass",)), cache=StemCache(sys.argv[3])):
    if progress.stage == "separate" and progress.fraction > float(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
"""  # noqa: E501


def test_a_long_render_killed_twice_goes_on_and_gives_the_same_bytes(tmp_path: Path) -> None:
    song = long_song(tmp_path / "song.wav")
    cache = StemCache(tmp_path / "cache")
    for fraction in (0.3, 0.6):
        arguments = map(str, (song, tmp_path / "a", cache.folder, fraction))
        assert subprocess.run([sys.executable, "-c", _KILLED, *arguments]).returncode == -9
    result = run(classic_spec(song, tmp_path / "a", stems=("bass",)), cache)
    assert 0.55 * LONG_S < result.continued_s < LONG_S
    assert not result.cached
    undisturbed = run(classic_spec(song, tmp_path / "b", stems=("bass",)), None)
    assert undisturbed.continued_s == 0.0
    ours, theirs = files(tmp_path / "a"), files(tmp_path / "b")
    assert list(ours) == list(theirs)
    for name, path in ours.items():
        if path.suffix == ".wav":
            assert path.read_bytes() == theirs[name].read_bytes(), name
        else:
            hashes = [[e["hash"] for e in json.loads(p.read_text())["files"]] for p in (path, theirs[name])]
            assert hashes[0] == hashes[1]
    assert run(classic_spec(song, tmp_path / "c", stems=("bass",)), cache).cached


def test_an_interrupted_long_render_is_continued_and_a_short_one_leaves_nothing(tmp_path: Path) -> None:
    cache = StemCache(tmp_path / "cache")
    long = long_song(tmp_path / "long.wav")
    short = tmp_path / "short.wav"
    soundfile.write(short, mix(20 * 44100, 44100).T, 44100)
    for song in (short, long):
        steps = render(classic_spec(song, tmp_path / "out", stems=("bass",)), cache=cache)
        for progress in steps:
            if progress.stage == "separate" and progress.fraction > 0.4:
                break
        steps.close()
    assert not files(tmp_path / "out")
    assert [path.suffix for path in files(cache.folder).values()] == [".checkpoint", ".lock", ".marks"]
    assert run(classic_spec(long, tmp_path / "out", stems=("bass",)), cache).continued_s > 0.3 * LONG_S
