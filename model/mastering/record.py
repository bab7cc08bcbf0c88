"""What a master writes down about itself, and how the next one knows that nothing is left to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..manifest import FileEntry, RenderEntry, fingerprint
from ..rendering.output_file import OutputFile
from ..rendering.record import file_entry, render_entry
from ..rendering.record import fingerprints as render_fingerprints
from ..reports.messages import Message
from ..reports.survey import Survey
from ..stem_cache import content_hash
from .plan import MasterPlan


def facts(plan: MasterPlan, source_hash: str) -> dict[str, Any]:
    """Everything that decides the content of a song's master, but for its album."""
    spec = plan.spec
    chain = spec.treatment.mix_chain if spec.mix_amount else None
    return {
        "stembridge": version("stembridge"),
        "source": source_hash,
        "stems": None
        if plan.stems is None
        else sorted(render_fingerprints(plan.stems, source_hash).values()),
        "chain": None if chain is None else chain.located(spec.plugin_folders).facts(),
        "reference": None
        if spec.reference is None
        else [content_hash(spec.reference), version("matchering")],
        "mix_amount": spec.mix_amount,
        "lufs": spec.lufs,
        "true_peak": spec.true_peak,
        "limiter": [spec.lookahead_ms, spec.release_ms],
        "sample_rate": plan.sample_rate,
        "format": asdict(spec.format),
        "seed": spec.seed,
    }


def album_facts(songs: Sequence[Mapping[str, Any]], anchor: str) -> dict[str, Any]:
    """What decides the gain of an album: all its songs, in any order."""
    return {"anchor": anchor, "songs": sorted(fingerprint(song) for song in songs)}


def fingerprints(
    plan: MasterPlan, song: Mapping[str, Any], album: Mapping[str, Any] | None
) -> dict[Path, str]:
    """Per output a hash over everything that decides its content."""
    return {
        output.path: fingerprint({**song, "album": album, "kind": output.kind, "name": output.name})
        for output in plan.files.outputs
    }


def master_entry(
    plan: MasterPlan, source_hash: str, messages: Sequence[Message], result: Mapping[str, Any]
) -> RenderEntry:
    """Describe what the files of one master have in common; `result` are its figures."""
    spec = plan.spec
    entry = render_entry(plan.files, source_hash, None, [str(message) for message in messages])
    parameters = {
        **entry.parameters,
        "master": {
            "reference": None if spec.reference is None else str(spec.reference.resolve()),
            "mix_amount": spec.mix_amount,
            "lufs": spec.lufs,
            "true_peak": spec.true_peak,
            "lookahead_ms": spec.lookahead_ms,
            "release_ms": spec.release_ms,
            **result,
        },
    }
    id = fingerprint({"source": source_hash, "model": entry.model, "parameters": parameters})[:12]
    return replace(entry, id=id, parameters=parameters)


def output_entries(
    plan: MasterPlan,
    files: Sequence[OutputFile],
    record: RenderEntry,
    prints: Mapping[Path, str],
    measured: Survey,
    preview_start: int,
) -> tuple[FileEntry, ...]:
    """Describe the finished files: the master as it was read back, then the previews."""
    entries = []
    for output, file in zip(plan.files.outputs, files, strict=True):
        entry = file_entry(plan.files, output, file, record.id, prints[output.path])
        if output is plan.files.outputs[0]:
            peak = measured.sample_peak_dbfs
            entry = replace(
                entry,
                peak_db=None if peak is None else round(peak, 3),
                lufs=None if measured.lufs is None else round(measured.lufs, 2),
            )
        else:
            entry = replace(entry, start_frame=preview_start)
        entries.append(entry)
    return tuple(entries)
