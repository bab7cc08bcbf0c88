"""The stem cache: what comes back, what is never seen, who may be killed, who may fill the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import signals
from stembridge.model.audio import Audio, StemArray
from stembridge.model.cache_entry import CacheWriter
from stembridge.model.errors import (
    ArgumentTypeError,
    AudioFileNotFoundError,
    DamagedEntryError,
    StateError,
)
from stembridge.model.separators.cached import CachedSeparator, RecordingSeparator
from stembridge.model.stem_cache import CacheKey, StemCache, content_hash

STEMS = ("accompaniment", "vocals")


def estimates(frames: int, seed: int = 0) -> StemArray:
    return signals.noise(frames, 4, seed).reshape(2, 2, frames)


def key(name: str = "song", frames: int = 70_000) -> CacheKey:
    return CacheKey.of(name, "repet", 44100, 2, frames)


def begin(cache: StemCache, entry: CacheKey, frames: int = 70_000) -> CacheWriter:
    return cache.store(
        entry,
        STEMS,
        44100,
        2,
        frames,
        separator="repet",
        residual_stem="accompaniment",
        facts={"weights": None},
    )


def keep(cache: StemCache, entry: CacheKey, data: StemArray) -> CacheWriter:
    writer = begin(cache, entry, data.shape[2])
    start = 0
    for size in signals.cuts(data.shape[2], seed=1, largest=40_000):
        writer.write(data[:, :, start : start + size])
        start += size
    writer.close()
    return writer


def leftovers(cache: StemCache) -> list[str]:
    return sorted(path.name for path in (cache.folder / "tmp").glob("*"))


@pytest.mark.parametrize("frames", [0, 1, 32767, 32768, 32769, 100_000])
def test_what_was_stored_comes_back_to_the_bit(tmp_path: Path, frames: int) -> None:
    cache, data = StemCache(tmp_path / "cache"), estimates(frames)
    assert cache.lookup(key(frames=frames)) is None
    assert keep(cache, key(frames=frames), data).published
    assert leftovers(cache) == []
    found = cache.lookup(key(frames=frames))
    assert found is not None
    with found:
        assert found.stems == STEMS
        assert (found.info.separator, found.info.facts) == ("repet", {"weights": None})
        assert found.verify()
        np.testing.assert_array_equal(found.read(0, frames), data)
        rng = np.random.default_rng(2)
        for start, stop in np.sort(rng.integers(0, frames + 1, (30, 2))):
            np.testing.assert_array_equal(found.read(start, stop - start), data[:, :, start:stop])
        with pytest.raises(StateError, match=f"{frames} frames"):
            found.read(frames, 1)


def test_every_part_of_a_key_counts() -> None:
    def made(**changes: object) -> str:
        parts: dict[str, object] = {
            "source": "a",
            "separator": "unet",
            "sample_rate": 44100,
            "channels": 2,
            "frames": 10,
            "weights": "w",
            "parameters": {"power": 2, "width": 3},
        }
        return CacheKey.of(**(parts | changes)).digest  # type: ignore[arg-type]

    changed = [
        made(source="b"),
        made(separator="live"),
        made(sample_rate=48000),
        made(channels=1),
        made(frames=11),
        made(weights="v"),
        made(parameters={"power": 2}),
    ]
    assert len({made(), *changed}) == 8
    assert made(parameters={"width": 3, "power": 2}) == made()  # the order does not


def test_the_content_hash_is_of_the_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a.wav", tmp_path / "b.wav"
    first.write_bytes(bytes(3_000_000))
    second.write_bytes(bytes(3_000_000))
    assert content_hash(first) == content_hash(second)
    second.write_bytes(bytes(2_999_999) + b"\x01")
    assert content_hash(first) != content_hash(second)
    with pytest.raises(AudioFileNotFoundError):
        content_hash(tmp_path / "none.wav")


def test_nothing_is_published_before_the_end_or_of_the_wrong_length(tmp_path: Path) -> None:
    cache, data = StemCache(tmp_path), estimates(70_000)
    writer = begin(cache, key())
    writer.write(data[:, :, :69_999])
    assert cache.lookup(key()) is None
    assert not writer.close()
    assert writer.failed is not None
    assert "69999 frames" in writer.failed
    assert cache.lookup(key()) is None

    longer = begin(cache, key())
    longer.write(estimates(70_001))
    assert not longer.close()

    def crash() -> None:
        with begin(cache, key()) as doomed:
            doomed.write(data)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crash()
    assert cache.lookup(key()) is None
    assert leftovers(cache) == []
    with pytest.raises(ArgumentTypeError, match=r"\(2, 2, frames\)"):
        begin(cache, key()).write(data[:1])


@pytest.mark.parametrize("where", ["magic", "header", "cut", "grown", "empty"])
def test_a_damaged_file_reads_as_missing_and_goes(tmp_path: Path, where: str) -> None:
    cache = StemCache(tmp_path)
    keep(cache, key(), estimates(70_000))
    (path,) = tmp_path.glob("*.stems")
    data = bytearray(path.read_bytes())
    if where == "magic":
        data[0] ^= 1
    elif where == "header":
        data[40] ^= 1
    elif where == "cut":
        del data[-1000:]
    elif where == "grown":
        data += b"more"
    else:
        data.clear()
    path.write_bytes(data)
    assert cache.lookup(key()) is None
    assert not path.exists()
    assert keep(cache, key(), estimates(70_000)).published


def flip(folder: Path, at: float) -> Path:
    """Flip one bit of the only entry, at a fraction of its length."""
    (path,) = folder.glob("*.stems")
    stored = bytearray(path.read_bytes())
    stored[int(at * (len(stored) - 1))] ^= 1
    path.write_bytes(stored)
    return path


@pytest.mark.parametrize("at", [0.01, 0.5, 1.0])
def test_a_flipped_bit_reads_as_missing(tmp_path: Path, at: float) -> None:
    """In the first samples, in the second of three blocks, in the last checksum."""
    cache = StemCache(tmp_path)
    keep(cache, key(), estimates(70_000))
    path = flip(tmp_path, at)
    assert cache.lookup(key()) is None
    assert not path.exists()


def test_only_the_region_asked_for_is_checked(tmp_path: Path) -> None:
    cache, data = StemCache(tmp_path), estimates(70_000)
    keep(cache, key(), data)
    flip(tmp_path, 0.5)
    assert cache.lookup(key(), 0, 1000) is not None
    assert cache.lookup(key(), 30_000, 33_000) is None


def test_damage_after_opening_is_found_where_it_is(tmp_path: Path) -> None:
    cache, data = StemCache(tmp_path), estimates(70_000)
    keep(cache, key(), data)
    found = cache.lookup(key())
    assert found is not None
    flip(tmp_path, 0.5)  # in the same file that is open
    np.testing.assert_array_equal(found.read(0, 32768), data[:, :, :32768])
    with pytest.raises(DamagedEntryError, match="separate the song again"):
        found.read(30_000, 5000)
    assert cache.lookup(key()) is None


def test_the_least_recently_used_entry_goes_first(tmp_path: Path) -> None:
    data = estimates(10_000)
    cache = StemCache(tmp_path)
    for name in ("a", "b", "c"):
        keep(cache, key(name, 10_000), data)
    each = cache.size() // 3
    for age, name in ((300, "a"), (200, "b"), (100, "c")):
        path = tmp_path / f"{key(name, 10_000).digest}.stems"
        os.utime(path, (path.stat().st_mtime - age,) * 2)
    found = cache.lookup(key("a", 10_000))  # used now
    assert found is not None
    small = StemCache(tmp_path, limit_bytes=3 * each + 10)
    keep(small, key("d", 10_000), data)
    assert small.lookup(key("b", 10_000)) is None
    assert all(small.lookup(key(name, 10_000)) for name in "acd")
    StemCache(tmp_path).evict(0)
    assert cache.count() == 0
    np.testing.assert_array_equal(found.read(0, 10_000), data)  # who has it open reads on


def test_the_limit_holds_while_an_entry_is_made(tmp_path: Path) -> None:
    data = estimates(10_000)
    keep(StemCache(tmp_path), key("a", 10_000), data)
    limit = StemCache(tmp_path).size() + 100
    writer = begin(StemCache(tmp_path, limit), key("b", 10_000), 10_000)
    assert StemCache(tmp_path).size() == 0
    writer.write(data)
    assert writer.close()
    assert 0 < StemCache(tmp_path).size() <= limit


def test_an_entry_above_the_limit_is_not_begun(tmp_path: Path) -> None:
    cache = StemCache(tmp_path, limit_bytes=1000)
    writer = keep(cache, key(), estimates(70_000))
    assert not writer.published
    assert writer.failed is not None
    assert "do not fit" in writer.failed


def test_size_count_and_clear(tmp_path: Path) -> None:
    cache = StemCache(tmp_path / "not yet made")
    assert (cache.size(), cache.count(), cache.clear()) == (0, 0, 0)
    keep(cache, key("a"), estimates(70_000))
    keep(cache, key("b"), estimates(70_000))
    assert cache.count() == 2
    assert cache.size() == sum(path.stat().st_size for path in cache.folder.glob("*.stems"))
    assert cache.clear() > 2 * 16 * 70_000
    assert cache.count() == 0


def test_a_folder_that_cannot_be_written_is_a_reason_not_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = StemCache(tmp_path / "file" / "cache")
    assert cache.lookup(key()) is None
    writer = keep(cache, key(), estimates(70_000))
    assert writer.failed is not None
    assert "cannot be written" in writer.failed
    assert (cache.size(), cache.clear()) == (0, 0)


# Programs of their own: they tell what they have done on stdout and wait on stdin.
_PROGRAM = """
import sys
import numpy as np
from stembridge.model.stem_cache import CacheKey, StemCache

def writer(folder, frames):
    key = CacheKey.of("song", "repet", 44100, 2, frames)
    return key, StemCache(folder).store(
        key, ("accompaniment", "vocals"), 44100, 2, frames, separator="repet", residual_stem="accompaniment")

data = (0.25 * np.random.default_rng(0).standard_normal((4, 70_000))).astype(np.float32).reshape(2, 2, 70_000)
"""


def program(body: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM + body, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


_WAITING_WRITER = """
key, entry = writer(sys.argv[1], 70_000)
entry.write(data[:, :, :50_000])
print("half", flush=True)
sys.stdin.readline()
entry.write(data[:, :, 50_000:])
print(entry.close(), flush=True)
"""


def test_a_killed_writer_leaves_nothing_after_the_next_one(tmp_path: Path) -> None:
    cache = StemCache(tmp_path)
    with program(_WAITING_WRITER, tmp_path) as doomed:
        assert doomed.stdout is not None
        assert doomed.stdout.readline() == "half\n"
        doomed.kill()
    assert any(name.endswith(".part") for name in leftovers(cache))
    assert cache.lookup(key()) is None
    assert keep(cache, key(), estimates(70_000)).published
    assert leftovers(cache) == []


@pytest.mark.parametrize("steps", range(6))
def test_wherever_a_writer_is_killed_an_entry_is_whole_or_not_there(tmp_path: Path, steps: int) -> None:
    body = """
print("start", flush=True)
key, entry = writer(sys.argv[1], 70_000)
for start in (0, 30_000, 60_000):
    print("write", flush=True)
    entry.write(data[:, :, start : start + 30_000])
print("close", flush=True)
entry.close()
print("end", flush=True)
sys.stdin.readline()
"""
    with program(body, tmp_path) as doomed:
        assert doomed.stdout is not None
        for _ in range(1 + steps):
            assert doomed.stdout.readline()
        doomed.kill()
    cache = StemCache(tmp_path)
    found = cache.lookup(key())
    if found is not None:
        np.testing.assert_array_equal(found.read(0, 70_000), estimates(70_000))
    assert (found is not None) or steps < 5
    cache.clear()
    assert not list(tmp_path.glob("*.stems"))
    assert [name for name in leftovers(cache) if name.endswith(".part")] == []


def test_a_live_writer_is_not_swept(tmp_path: Path) -> None:
    cache = StemCache(tmp_path)
    with program(_WAITING_WRITER, tmp_path) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "half\n"
        cache.sweep()
        cache.clear()
        assert any(name.endswith(".part") for name in leftovers(cache))
        assert writer.communicate("go\n")[0] == "True\n"
    found = cache.lookup(key())
    assert found is not None
    np.testing.assert_array_equal(found.read(0, 70_000), estimates(70_000))
    assert leftovers(cache) == []


def test_many_processes_write_read_and_clear_one_key(tmp_path: Path) -> None:
    body = """
for turn in range(25):
    key, entry = writer(sys.argv[1], 70_000)
    entry.write(data)
    assert entry.close(), entry.failed
    found = StemCache(sys.argv[1]).lookup(key)
    if found is not None:  # the others clear
        with found:
            assert np.array_equal(found.read(0, 70_000), data)
    if turn % 5 == 4:
        StemCache(sys.argv[1]).clear()
print("done")
"""
    running = [program(body, tmp_path) for _ in range(3)]
    assert [process.communicate()[0] for process in running] == ["done\n"] * 3
    assert [process.returncode for process in running] == [0] * 3
    cache = StemCache(tmp_path)
    assert cache.count() <= 1
    cache.sweep()
    assert leftovers(cache) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes (POSIX)")
def test_no_room_while_writing_is_a_reason_not_an_error(tmp_path: Path) -> None:
    """The kernel refuses to let the file grow, as a full disk does."""
    body = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
key, entry = writer(sys.argv[1], 70_000)
entry.write(data)
print(entry.close(), entry.failed)
"""
    out = program(body, tmp_path).communicate()[0]
    assert out.startswith("False the cache cannot be written: ")
    assert leftovers(StemCache(tmp_path)) == []


class Halves:
    """A separator whose stems are half of the mix each, with 100 frames of latency."""

    name, residual_stem = "repet", "accompaniment"
    stems: tuple[str, ...] = STEMS
    sample_rate, channels = 44100, 2
    latency, context_frames, grid = 100, 0, 1

    def __init__(self) -> None:
        self.reset()

    def reset(self, start_frame: int = 0) -> None:
        self.held = np.zeros((2, 0), np.float32)

    def push(self, block: Audio) -> StemArray:
        self.held = np.concatenate([self.held, block], axis=1)
        ready = max(0, self.held.shape[1] - self.latency)
        out, self.held = self.held[:, :ready], self.held[:, ready:]
        return np.stack([out / 2, out / 2])

    def flush(self) -> StemArray:
        out = self.held
        self.reset()
        return np.stack([out / 2, out / 2])


def test_a_recorded_separation_plays_back_the_same(tmp_path: Path) -> None:
    cache, audio = StemCache(tmp_path), signals.noise(70_000)
    recording = RecordingSeparator(Halves(), begin(cache, key()))
    assert recording.latency == 100
    recording.reset(0)
    parts, start = [], 0
    for size in signals.cuts(70_000, seed=4):
        parts.append(recording.push(audio[:, start : start + size]))
        start += size
    parts.append(recording.flush())
    made = np.concatenate(parts, axis=2)

    found = cache.lookup(key())
    assert found is not None
    playing = CachedSeparator(found)
    assert (playing.name, playing.stems, playing.residual_stem) == ("repet", STEMS, "accompaniment")
    parts, start = [], 0
    for size in signals.cuts(70_000, seed=5):
        parts.append(playing.push(audio[:, start : start + size]))
        start += size
    np.testing.assert_array_equal(np.concatenate(parts, axis=2), made)
    assert playing.flush().shape == (2, 2, 0)
    playing.reset(12_345)  # a region
    np.testing.assert_array_equal(playing.push(audio[:, 12_345:13_000]), made[:, :, 12_345:13_000])


def test_a_region_is_not_recorded_as_the_whole(tmp_path: Path) -> None:
    cache = StemCache(tmp_path)
    writer = begin(cache, key())
    recording = RecordingSeparator(Halves(), writer)
    recording.reset(1000)
    recording.push(signals.noise(70_000))
    recording.flush()
    assert not writer.published
    assert cache.lookup(key()) is None


def test_an_entry_of_another_key_under_this_name_is_refused(tmp_path: Path) -> None:
    cache = StemCache(tmp_path)
    keep(cache, key("a"), estimates(70_000))
    (path,) = tmp_path.glob("*.stems")
    path.rename(tmp_path / f"{key('b').digest}.stems")
    assert cache.lookup(key("b")) is None
