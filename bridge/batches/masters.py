"""`master` as one kind of a batch's work, songs and whole albums: see `task.Kind`."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from stembridge.model.errors import StembridgeError
from stembridge.model.mastering import (
    AlbumProgress,
    AlbumResult,
    AlbumSpec,
    MasterPlan,
    MasterResult,
    MasterSpec,
    Progress,
    foreseen_masters,
    master,
    master_album,
    plan_album,
    plan_master,
)
from stembridge.model.reports.messages import error_message
from stembridge.model.reports.sheet import Sheet, failed_sheet, master_sheet
from stembridge.model.stem_cache import StemCache

from .task import Planned, SongError, SongReport

Spec = MasterSpec | AlbumSpec


def foreseen(specs: Iterable[Spec]) -> Iterator[Sequence[Path]]:
    """Per song or album what will be written, as far as names alone tell."""
    for spec in specs:
        songs = spec.songs if isinstance(spec, AlbumSpec) else (spec,)
        yield [path for paths in foreseen_masters(songs) for path in paths]


def plan(spec: Spec) -> Planned:
    """Open the songs and look at what is there already. Raises what planning a master raises."""
    if isinstance(spec, MasterSpec):
        found = plan_master(spec)
        facts = {"source": str(found.info.path), **_planned([found])}
        return Planned(spec, found.info.seconds, found.paths, facts, list(_planned_lines([found])))
    plans = [one for one in plan_album(spec) if isinstance(one, MasterPlan)]
    facts = {"album": [str(one.info.path) for one in plans], **_planned(plans)}
    seconds = sum(one.info.seconds for one in plans)
    return Planned(
        spec, seconds, [path for one in plans for path in one.paths], facts, list(_planned_lines(plans))
    )


def run(spec: Spec, cache: StemCache | None) -> Generator[Progress | AlbumProgress, None, None]:
    """Master the song, or the album."""
    return master_album(spec, cache=cache) if isinstance(spec, AlbumSpec) else master(spec, cache=cache)


def report(result: MasterResult | AlbumResult) -> SongReport:
    """What was made, for programs and for people."""
    if isinstance(result, MasterResult):
        return SongReport(
            kind="master",
            source=str(result.plan.info.path),
            status="skipped" if result.skipped else "done",
            facts=_facts(result),
            lines=tuple(_lines(result)),
            warnings=result.warnings,
            audio_s=result.plan.info.seconds,
            seconds=result.seconds,
            hints={"sheets": _sheets([result])},
        )
    return _album_report(result)


def _album_report(result: AlbumResult) -> SongReport:
    """An album is one piece of work: it has failed where any song of it has, and says which."""
    sources = [str(song.source) for song in result.album.songs]
    pairs = list(zip(sources, result.songs, strict=True))
    good = [song for song in result.songs if isinstance(song, MasterResult)]
    failures = [(source, song) for source, song in pairs if isinstance(song, StembridgeError)]
    songs = [
        _facts(song) if isinstance(song, MasterResult) else _failure(source, song) for source, song in pairs
    ]
    skipped = all(song.skipped for song in good) and not failures
    status: Literal["done", "skipped", "failed"] = "failed" if failures else "skipped" if skipped else "done"
    lufs = result.lufs if result.lufs is None else round(result.lufs, 2)
    facts = {
        "kind": "master",
        "status": status,
        "album": sources,
        "anchor": result.album.anchor,
        "gain_db": round(result.gain_db, 4),
        "lufs": lufs,
        "songs": songs,
    }
    lines = [line for song in good for line in _lines(song)]
    came = "" if lufs is None else f", {lufs:.1f} LUFS by its {_ANCHORS[result.album.anchor]}"
    lines.append(f"album of {len(good)} songs: gain {result.gain_db:+.2f} dB{came}")
    error = None
    if failures:
        said = "; ".join(str(song) for _, song in failures)
        error = SongError(failures[0][1].code, f"{len(failures)} of {len(pairs)} songs failed: {said}")
    return SongReport(
        kind="master",
        source=f"album of {len(pairs)} songs",
        status=status,
        facts=facts,
        lines=tuple(lines),
        warnings=tuple(f"{song.plan.info.path.name}: {text}" for song in good for text in song.warnings),
        error=error,
        audio_s=sum(song.plan.info.seconds for song in good),
        seconds=result.seconds,
        hints={"sheets": _sheets(result.songs, sources)},
    )


_ANCHORS = {"programme": "sum as one programme", "loudest": "loudest song"}


def _sheets(
    songs: Sequence[MasterResult | StembridgeError], sources: Sequence[str] = ()
) -> tuple[Sheet, ...]:
    """What a report says of the songs, where one is wanted: those that were asked to be drawn."""
    drawn = any(isinstance(song, MasterResult) and song.plan.spec.drawn for song in songs)
    if not drawn:
        return ()
    return tuple(
        master_sheet(song)
        if isinstance(song, MasterResult)
        else failed_sheet("master", sources[number], song)
        for number, song in enumerate(songs)
    )


def _facts(result: MasterResult) -> dict[str, Any]:
    folder = result.plan.files.manifest_path.parent
    before = result.before
    return {
        "source": str(result.plan.info.path),
        "kind": "master",
        "status": "skipped" if result.skipped else "done",
        "manifest": str(result.plan.files.manifest_path),
        "files": [str(folder / entry.file) for entry in result.files],
        "before": None if before is None else _levels(before.lufs, before.true_peak_dbtp, before.range_lu),
        "after": _levels(
            result.figures.get("measured_lufs"),
            result.figures.get("measured_true_peak"),
            result.after.range_lu if result.after is not None else None,
        ),
        "gain_db": _rounded(result.figures.get("gain_db")),
        "reduction_db": result.figures.get("reduction_db"),
        "reached": result.figures.get("reached"),
        "holds": result.figures.get("holds"),
        "messages": [{"number": one.number, "text": one.text} for one in result.messages],
        "timings": dict(result.timings),
        "realtime_factor": round(result.realtime_factor, 3),
    }


def _failure(source: str, error: StembridgeError) -> dict[str, Any]:
    return {
        "source": source,
        "kind": "master",
        "status": "failed",
        "error": {"code": error.code, "text": str(error)},
        "messages": [{"number": error_message(error).number, "text": str(error)}],
    }


def _levels(lufs: float | None, true_peak: float | None, range_lu: float | None) -> dict[str, float | None]:
    return {"lufs": _rounded(lufs), "true_peak_dbtp": _rounded(true_peak), "range_lu": _rounded(range_lu)}


def _rounded(value: Any) -> float | None:
    return round(value, 3) if isinstance(value, float) else None


def _lines(result: MasterResult) -> Iterator[str]:
    plan = result.plan
    folder = plan.files.manifest_path.parent
    if result.skipped:
        yield f"{plan.info.path}: already mastered in {folder} (same song and settings)"
        return
    yield f"{plan.info.path} -> {folder}"
    for entry in result.files:
        loud = "silent" if entry.lufs is None else f"{entry.lufs:.1f} LUFS"
        peak = ""
        if entry.kind == "master" and (found := result.figures.get("measured_true_peak")) is not None:
            peak = f", true peak {found:+.2f} dBTP"
        yield f"  {entry.file}  ({loud}{peak})"
    yield "  " + ", ".join(_summary(result))


def _summary(result: MasterResult) -> Iterator[str]:
    before = result.before
    if before is not None and before.lufs is not None:
        yield f"before: {before.lufs:.1f} LUFS"
    if gain := result.figures.get("gain_db"):
        yield f"gain {gain:+.2f} dB"
    if reduction := result.figures.get("reduction_db"):
        yield f"limited by up to {reduction:.1f} dB"
    yield f"{result.realtime_factor:.1f}x real time"


def _planned(plans: Sequence[MasterPlan]) -> dict[str, Any]:
    files = [str(output.path) for plan in plans for output in plan.files.outputs]
    return {"kind": "master", "status": "planned", "files": files}


def _planned_lines(plans: Sequence[MasterPlan]) -> Iterator[str]:
    for plan in plans:
        yield str(plan.info.path)
        for output in plan.files.outputs:
            yield f"  {output.path}"
