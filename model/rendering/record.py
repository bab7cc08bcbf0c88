"""What a render writes down about itself, and how the next one knows that nothing is left to do."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..units import gain_to_db
from .manifest import FileEntry, Manifest, fingerprint
from .output_file import OutputFile, output_error
from .plan import Output, Plan


def relative(plan: Plan, path: Path) -> str:
    """An output's name in the manifest."""
    return path.relative_to(plan.manifest_path.parent).as_posix()


def fingerprints(plan: Plan, source_hash: str) -> dict[Path, str]:
    """Per output a hash over everything that decides its content."""
    spec = plan.spec
    common: dict[str, Any] = {
        "stembridge": version("stembridge"),
        "source": source_hash,
        "model": plan.model,
        "stems_from": _folder_facts(spec.stems_from) if spec.stems_from is not None else None,
        "options": dict(spec.options),
        "device": spec.device,
        "region": [plan.start, plan.end],
        "residual": spec.residual,
        "sensitivity": dict(spec.sensitivity),
        "format": asdict(spec.format),
        "sample_rate": plan.sample_rate,
        "overs": spec.overs,
        # The common gain depends on every output, and so does the file where overs are turned down.
        "outputs": [output.name for output in plan.outputs]
        if spec.overs == "gain" and _clips(plan)
        else None,
        "seed": spec.seed,
        "tail": spec.tail,
    }
    return {output.path: fingerprint({**common, **_output_facts(plan, output)}) for output in plan.outputs}


def _clips(plan: Plan) -> bool:
    return plan.spec.format.integer or plan.spec.format.lossy


def _output_facts(plan: Plan, output: Output) -> dict[str, Any]:
    spec, chosen = plan.spec, plan.spec.versions[output.version]
    folders = spec.plugin_folders
    chained = output.kind == "mix" or not spec.dry
    faded = output.kind == "mix" or spec.post_fader
    facts: dict[str, Any] = {"kind": output.kind, "name": output.name, "members": output.members}
    facts["chains"] = (
        {stem: chain.located(folders).facts() for stem, chain in chosen.chains.items()} if chained else None
    )
    facts["mixer"] = repr(_sorted_state(asdict(chosen.mixer))) if faded else None
    if output.kind == "mix" and chosen.mix_chain is not None:
        facts["mix_chain"] = chosen.mix_chain.located(folders).facts()
    if chosen.chains or chosen.mix_chain is not None:
        facts["preroll"] = spec.preroll_s
    return facts


def _sorted_state(state: Mapping[str, Any]) -> dict[str, Any]:
    return {key: sorted(value) if isinstance(value, frozenset) else value for key, value in state.items()}


def _folder_facts(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of the files stems are taken from: cheap, and changes when they do."""
    stats = [(path.name, path.stat()) for path in sorted(folder.iterdir()) if path.is_file()]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]


def already_rendered(plan: Plan, prints: Mapping[Path, str]) -> tuple[FileEntry, ...] | None:
    """The entries of all outputs, if each is there as the manifest says and made as asked."""
    if plan.manifest is None:
        return None
    entries = []
    for output in plan.outputs:
        entry = plan.manifest.entry(relative(plan, output.path))
        if entry is None or entry.fingerprint != prints[output.path]:
            return None
        if not output.path.is_file() or output.path.stat().st_size != entry.bytes:
            return None
        entries.append(entry)
    return tuple(entries)


def file_entry(plan: Plan, output: Output, file: OutputFile, print_: str) -> FileEntry:
    """Describe one finished file."""
    peak = file.peak * file.gain
    loudness = file.lufs
    assert file.frames is not None
    return FileEntry(
        file=relative(plan, output.path),
        kind=output.kind,
        stem=output.name,
        fingerprint=print_,
        bytes=file.part.stat().st_size,
        sample_rate=plan.sample_rate,
        channels=plan.info.channels,
        frames=file.frames,
        format=plan.spec.format.container,
        bit_depth="lossy" if plan.spec.format.lossy else plan.spec.format.bit_depth,
        start_frame=plan.start,
        gain_db=gain_to_db(file.gain),
        peak_db=round(gain_to_db(peak), 3) if peak else None,
        lufs=round(loudness, 2) if loudness is not None else None,
    )


def write_manifest(
    plan: Plan,
    source_hash: str,
    entries: Sequence[FileEntry],
    null_db: float | None,
    warnings: Sequence[str],
) -> None:
    """Write the manifest beside the outputs; what earlier renders of this source left stays listed."""
    info, spec, path = plan.info, plan.spec, plan.manifest_path
    kept: list[FileEntry] = []
    if plan.manifest is not None and plan.manifest.source.get("hash") == source_hash:
        new = {entry.file for entry in entries}
        kept = [e for e in plan.manifest.files if e.file not in new and (path.parent / e.file).is_file()]
    manifest = Manifest(
        source={
            "path": str(info.path.resolve()),
            "hash": source_hash,
            "sample_rate": info.sample_rate,
            "channels": info.channels,
            "frames": info.frames,
            "time_reference": info.time_reference,
        },
        model={"name": plan.model, "stems": list(plan.stems), "stembridge": version("stembridge")},
        parameters={
            "residual": spec.residual,
            "sensitivity": dict(spec.sensitivity),
            "options": dict(spec.options),
            "start_frame": plan.start,
            "end_frame": plan.end,
            "overs": spec.overs,
            "seed": spec.seed,
            "tail": spec.tail,
            "versions": [v.name for v in spec.versions if v.name is not None],
        },
        files=(*kept, *entries),
        null_db=round(null_db, 2) if null_db is not None else None,
        warnings=tuple(warnings),
    )
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(manifest.to_json(), encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise output_error(error, path) from error
