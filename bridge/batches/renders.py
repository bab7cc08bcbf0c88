"""`render` as one kind of a batch's work: see `task.Kind`."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from stembridge.model.rendering import Plan, Progress, RenderResult, RenderSpec, plan_render
from stembridge.model.rendering import render as render_song
from stembridge.model.rendering.plan import foreseen_paths
from stembridge.model.stem_cache import StemCache

from .task import Planned, SongReport


def foreseen(specs: Iterable[RenderSpec]) -> Iterator[Sequence[Path]]:
    """Per song what will be written, as far as names alone tell."""
    return foreseen_paths(specs)


def plan(spec: RenderSpec) -> Planned:
    """Open the song, look at its header and at what is there already. Raises what `plan_render` raises."""
    found = plan_render(spec)
    facts = {
        "source": str(found.info.path),
        "kind": "render",
        "status": "planned",
        "model": found.model,
        "files": [str(output.path) for output in found.outputs],
    }
    lines = [f"{found.info.path} ({found.model})", *(f"  {output.path}" for output in found.outputs)]
    return Planned(found.settled, _seconds(found), found.paths, facts, lines)


def run(spec: RenderSpec, cache: StemCache | None) -> Generator[Progress, None, None]:
    """Render the song."""
    return render_song(spec, cache=cache)


def report(result: RenderResult) -> SongReport:
    """What was made, for programs and for people."""
    found = result.plan
    spec = found.spec
    asked_for = spec.model if spec.stems_from is None else "stems-from"
    return SongReport(
        kind="render",
        source=str(found.info.path),
        status="skipped" if result.skipped else "done",
        facts=_facts(result),
        lines=tuple(_lines(result)),
        warnings=result.warnings,
        audio_s=_seconds(found),
        seconds=result.seconds,
        hints={"asked_for": asked_for, "model": found.model},
    )


def _seconds(found: Plan) -> float:
    return (found.end - found.start) / found.info.sample_rate


def _facts(result: RenderResult) -> dict[str, Any]:
    found = result.plan
    return {
        "source": str(found.info.path),
        "kind": "render",
        "status": "skipped" if result.skipped else "done",
        "model": found.model,
        "manifest": str(found.manifest_path),
        "files": [str(found.manifest_path.parent / entry.file) for entry in result.files],
        "null_db": result.null_db,
        "gain_db": round(result.gain_db, 6),
        "realtime_factor": round(result.realtime_factor, 3),
        "cached": result.cached,
        "continued_s": round(result.continued_s, 3),
        "warnings": list(result.warnings),
    }


def _lines(result: RenderResult) -> Iterator[str]:
    found = result.plan
    folder = found.manifest_path.parent
    if result.skipped:
        yield f"{found.info.path}: already rendered in {folder} (same song, model and settings)"
        return
    yield f"{found.info.path} -> {folder}"
    for entry in result.files:
        peak = "silent" if entry.peak_db is None else f"peak {entry.peak_db:+.2f} dBFS"
        loud = "" if entry.lufs is None else f", {entry.lufs:.1f} LUFS"
        yield f"  {entry.file}  ({peak}{loud})"
    yield "  " + ", ".join(_summary(result))


def _summary(result: RenderResult) -> Iterator[str]:
    yield result.plan.model
    yield f"{result.realtime_factor:.1f}x real time"
    if result.null_db is not None:
        yield f"null depth {result.null_db:.1f} dB"
    if result.gain_db:
        yield f"common gain {result.gain_db:+.2f} dB so that no file clips"
    if result.cached:
        yield "stems from the cache"
    if result.continued_s:
        minutes, seconds = divmod(int(result.continued_s), 60)
        yield f"continued at {minutes}:{seconds:02d}, where an earlier render was stopped"
