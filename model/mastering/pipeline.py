"""The order of things in a master: plan, treat, level, write, measure, publish; for a song or an album."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import platform
from ..dsp.blas import one_thread
from ..errors import DiskFullError, StembridgeError
from ..rendering.output_file import existing, scaled_frames
from ..rendering.pipeline import lock_path
from ..rendering.plan import look_again
from ..rendering.record import already_rendered
from ..reports.messages import Message
from ..stem_cache import StemCache, content_hash
from . import record
from .levels import GainSearch
from .plan import MasterPlan, plan_album, plan_master
from .song import MasterResult, MasterSong
from .spec import AlbumSpec, MasterSpec

_TREATED = 0.6
"""The share of the work that is behind a song once it is treated."""


@dataclass(frozen=True)
class AlbumResult:
    """What became of an album: per song what was made, or why it was not."""

    album: AlbumSpec
    songs: tuple[MasterResult | StembridgeError, ...]
    gain_db: float
    lufs: float | None
    """What the album as a whole, or its loudest song, came to before it was written."""
    seconds: float = 0.0


@dataclass(frozen=True)
class Progress:
    """How far a master is. The last one carries the result."""

    stage: str
    """`wait`, `treat`, `level`, `write` or `done`; in an album with the song's name."""
    fraction: float
    """0 to 1 over the whole job."""
    result: MasterResult | None = field(default=None, compare=False)


@dataclass(frozen=True)
class AlbumProgress:
    """How far an album is. The last one carries the result."""

    stage: str
    fraction: float
    result: AlbumResult | None = field(default=None, compare=False)


def master(spec: MasterSpec, *, cache: StemCache | None = None) -> Generator[Progress, None, None]:
    """Master one song, yielding progress; the last item's `result` says what was made.

    In this order: chain, gain, sample rate, true-peak limiter, dither; loudness and true peak are those
    of the file as it reads back. Closing the iterator cancels it: nothing is left behind. Raises what
    `plan_master` raises, PluginError and its kinds, OutputError and DiskFullError; then, too, no file of
    this master is left.
    """
    began = time.monotonic()
    plan = plan_master(spec)
    while True:
        with platform.file_lock(lock_path(plan.files.manifest_path), wait=False) as held, one_thread():
            if held:
                yield from _master(_again(plan), cache, began)
                return
        yield Progress("wait", 0.0)
        time.sleep(0.2)


def master_album(album: AlbumSpec, *, cache: StemCache | None = None) -> Generator[AlbumProgress, None, None]:
    """Master the songs of an album by one gain, yielding progress; the last item's `result` says what came.

    All songs are treated and measured before the first is written. A song that fails is left out, and the
    gain found without it. Closing the iterator cancels it; songs that are complete by then stay. Raises
    what `plan_album` raises, and a song's error where none is left.
    """
    began = time.monotonic()
    planned = plan_album(album)
    plans = {number: plan for number, plan in enumerate(planned) if isinstance(plan, MasterPlan)}
    errors = {number: plan for number, plan in enumerate(planned) if isinstance(plan, StembridgeError)}
    locks = sorted({lock_path(plan.files.manifest_path) for plan in plans.values()})
    while True:
        with ExitStack() as stack:
            held = all(stack.enter_context(platform.file_lock(lock, wait=False)) for lock in locks)
            stack.enter_context(one_thread())
            if held:
                again = {number: _again(plan) for number, plan in plans.items()}
                yield from _Album(album, again, errors, cache, began).steps()
                return
        yield AlbumProgress("wait", 0.0)
        time.sleep(0.2)


def _again(plan: MasterPlan) -> MasterPlan:
    """The plan with the manifest as it is now: somebody else may have made what is asked for."""
    return replace(plan, files=look_again(plan.files))


def _master(plan: MasterPlan, cache: StemCache | None, began: float) -> Iterator[Progress]:
    """Carry a plan out, with its target locked."""
    yield Progress("treat", 0.0)
    source_hash = content_hash(plan.info.path)
    prints = record.fingerprints(plan, record.facts(plan, source_hash), None)
    if (there := _already(plan, prints)) is not None:
        yield Progress("done", 1.0, replace(there, seconds=time.monotonic() - began))
        return
    _check_room([plan])
    with ExitStack() as stack:
        song = MasterSong(plan, source_hash, cache, stack)
        for fraction in song.treat():
            yield Progress("treat", _TREATED * fraction)
        for fraction in song.level():
            yield Progress("level", _TREATED + 0.2 * fraction)
        for fraction in song.write():
            yield Progress("write", _TREATED + 0.2 + 0.2 * fraction)
        result = song.publish(prints, began)
    yield Progress("done", 1.0, result)


def _already(plan: MasterPlan, prints: Mapping[Path, str]) -> MasterResult | None:
    """What is there, if it is all that is asked for."""
    if plan.spec.overwrite or (entries := already_rendered(plan.files, prints)) is None:
        return None
    assert plan.files.manifest is not None
    made = plan.files.manifest.render(entries[0].render)
    figures: Mapping[str, Any] = made.parameters.get("master", {}) if made is not None else {}
    said = Message(1002, f"already mastered in {plan.files.manifest_path.parent}")
    return MasterResult(plan, entries, True, figures=figures, messages=(said,))


class _Album:
    """The work on an album, with all its targets locked."""

    def __init__(
        self,
        album: AlbumSpec,
        plans: Mapping[int, MasterPlan],
        errors: Mapping[int, StembridgeError],
        cache: StemCache | None,
        began: float,
    ) -> None:
        """`plans` and `errors` are by the song's place in the album."""
        self._album, self._plans, self._cache, self._began = album, plans, cache, began
        self._outcomes: dict[int, MasterResult | StembridgeError] = dict(errors)
        self._gain_db = 0.0
        self._lufs: float | None = None

    def steps(self) -> Iterator[AlbumProgress]:
        hashes, facts = {}, {}
        for number, plan in self._plans.items():
            yield AlbumProgress("treat", 0.0)
            with self._may_fail(number):
                hashes[number] = content_hash(plan.info.path)
                facts[number] = record.facts(plan, hashes[number])
        known = self._look(facts)
        missing = [number for number in facts if number not in self._outcomes]
        _check_room([self._plans[number] for number in missing])
        with ExitStack() as stack:
            songs: dict[int, MasterSong] = {}
            for place, number in enumerate(missing):
                song = MasterSong(self._plans[number], hashes[number], self._cache, stack)
                with self._may_fail(number):
                    for fraction in song.treat():
                        yield self._step("treat", number, _TREATED * (place + fraction) / len(missing))
                    songs[number] = song
            if songs:
                search = GainSearch(
                    [song.material for song in songs.values()], self._album.songs[0].lufs, self._album.anchor
                )
                if known is None:
                    for fraction in search.steps():
                        yield AlbumProgress("level", _TREATED + 0.2 * fraction)
                    self._lufs = search.lufs if math.isfinite(search.lufs) else None
                else:
                    search.gain_db, search.known = known, True
                self._gain_db = search.gain_db
                # Without a song that failed, the album is another one.
                whole = record.album_facts(
                    [facts[n] for n in facts if not self._failed(n)], self._album.anchor
                )
                for place, (number, song) in enumerate(songs.items()):
                    song.search = search
                    if not search.reached:
                        song.say(
                            3001, f"the album comes to {search.lufs:.1f} LUFS: more gain would only distort"
                        )
                    if any(self._failed(other) for other in self._outcomes):
                        song.say(
                            3006, "the album is incomplete: its gain was found without a song that failed"
                        )
                    with self._may_fail(number):
                        for fraction in song.write(album=True):
                            share = (place + fraction) / len(songs)
                            yield self._step("write", number, _TREATED + 0.2 + 0.2 * share)
                        prints = record.fingerprints(self._plans[number], facts[number], whole)
                        self._outcomes[number] = song.publish(prints, self._began)
        yield self._done()

    def _look(self, facts: Mapping[int, Mapping[str, Any]]) -> float | None:
        """Find out what is there already; returns the album's gain if any song of it is."""
        if len(facts) < len(self._album.songs):
            return None
        whole = record.album_facts(list(facts.values()), self._album.anchor)
        known = None
        for number, plan in self._plans.items():
            there = _already(plan, record.fingerprints(plan, facts[number], whole))
            if there is not None and "gain_db" in there.figures:
                self._outcomes[number] = there
                self._gain_db = known = float(there.figures["gain_db"])
        return known

    @contextmanager
    def _may_fail(self, number: int) -> Iterator[None]:
        """What goes wrong within costs this song alone."""
        try:
            yield
        except StembridgeError as error:
            self._outcomes[number] = error

    def _failed(self, number: int) -> bool:
        return isinstance(self._outcomes.get(number), StembridgeError)

    def _step(self, stage: str, number: int, fraction: float) -> AlbumProgress:
        return AlbumProgress(f"{stage} {self._plans[number].info.path.name}", fraction)

    def _done(self) -> AlbumProgress:
        outcomes = tuple(self._outcomes[number] for number in range(len(self._album.songs)))
        errors = [outcome for outcome in outcomes if isinstance(outcome, StembridgeError)]
        if len(errors) == len(outcomes):
            raise errors[0]
        seconds = time.monotonic() - self._began
        return AlbumProgress(
            "done", 1.0, AlbumResult(self._album, outcomes, self._gain_db, self._lufs, seconds)
        )


def _check_room(plans: Sequence[MasterPlan]) -> None:
    """Refuse before the work what cannot fit after it: the files, and the spools they are made from."""
    for folder in {existing(plan.path.parent) for plan in plans}:
        needed = sum(_bytes(plan) for plan in plans if existing(plan.path.parent) == folder)
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise DiskFullError(
                f"{len(plans)} masters need about {needed / 1e6:.0f} MB in {folder}, most of it only "
                f"meanwhile, and {free / 1e6:.0f} MB are free: make room or choose another -o"
            )


def _bytes(plan: MasterPlan) -> int:
    frames = scaled_frames(plan.info.frames, plan.info.sample_rate, plan.sample_rate)
    channels = plan.info.channels
    matching = 3 if plan.spec.reference is not None else 0
    # The spool and its envelope; the file once more while it is made again.
    return frames * 4 * ((2 + matching) * channels + 1)
