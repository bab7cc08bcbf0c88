"""What a render writes down about itself, and how the next one knows that nothing is left to do."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..automation import automation_text
from ..manifest import FileEntry, Manifest, RenderEntry, fingerprint, is_intact
from ..mixer import MixerState
from ..platform import sync_folder
from ..registry import separator_entry
from ..stem_cache import content_hash
from ..units import SILENCE_DB, gain_to_db
from .output_file import OutputFile, output_error
from .plan import Output, Plan
from .spec import Version


def fingerprints(plan: Plan, source_hash: str) -> dict[Path, str]:
    """Per output a hash over everything that decides its content."""
    spec = plan.spec
    common: dict[str, Any] = {
        "stembridge": version("stembridge"),
        "source": source_hash,
        "model": plan.model,
        "weights": plan.weights_identity,
        "stems_from": _folder_facts(spec.stems_from) if spec.stems_from is not None else None,
        "options": dict(spec.options),
        "device": device(plan),
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
    facts["mixer"] = _mixer_facts(chosen.mixer) if faded else None
    if faded and chosen.automation is not None:
        facts["automation"] = automation_text(chosen.automation)
    if output.kind == "mix" and chosen.mix_chain is not None:
        facts["mix_chain"] = chosen.mix_chain.located(folders).facts()
    if chosen.chains or chosen.mix_chain is not None:
        facts["preroll"] = spec.preroll_s
    return facts


def _mixer_facts(state: MixerState) -> dict[str, Any]:
    """A mixer's state as JSON can hold it: sets in order, silence as a number."""
    plain = asdict(state)
    for name in ("mutes", "solos"):
        plain[name] = sorted(plain[name])
    plain["gains_db"] = {stem: max(gain_db, SILENCE_DB) for stem, gain_db in state.gains_db.items()}
    return plain


def _folder_facts(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of the files stems are taken from: cheap, and changes when they do."""
    files = [folder] if folder.is_file() else sorted(folder.iterdir())
    stats = [(path.name, path.stat()) for path in files if path.is_file()]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]


def already_rendered(plan: Plan, prints: Mapping[Path, str]) -> tuple[FileEntry, ...] | None:
    """The entries of all outputs, if each is there as the manifest says and made as asked."""
    if plan.manifest is None:
        return None
    entries = []
    for output in plan.outputs:
        entry = plan.manifest.entry(plan.relative(output.path))
        if entry is None or entry.fingerprint != prints[output.path]:
            return None
        if not output.path.is_file() or not is_intact(output.path, entry):
            return None
        entries.append(entry)
    return tuple(entries)


def file_entry(plan: Plan, output: Output, file: OutputFile, render_id: str, print_: str) -> FileEntry:
    """Describe one finished file."""
    peak = file.peak * file.gain
    loudness = file.lufs
    stat = file.part.stat()
    assert file.frames is not None
    return FileEntry(
        file=plan.relative(output.path),
        render=render_id,
        kind=output.kind,
        stem=output.name,
        fingerprint=print_,
        bytes=stat.st_size,
        changed_ns=stat.st_mtime_ns,
        hash=content_hash(file.part),
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


def render_entry(plan: Plan, source_hash: str, null_db: float | None, warnings: Sequence[str]) -> RenderEntry:
    """Describe what all files of a render have in common."""
    spec = plan.spec
    model = {
        "name": plan.model,
        "weights_sha256": plan.weights_sha256,
        "stems": list(plan.stems),
        "stembridge": version("stembridge"),
    }
    parameters: dict[str, Any] = {
        "stems_from": None if spec.stems_from is None else str(spec.stems_from.resolve()),
        "residual": spec.residual,
        "sensitivity": dict(spec.sensitivity),
        "options": dict(spec.options),
        "start_frame": plan.start,
        "end_frame": plan.end,
        "overs": spec.overs,
        "seed": spec.seed,
        "tail": spec.tail,
        "post_fader": spec.post_fader,
        "dry": spec.dry,
        "versions": [_version_facts(chosen) for chosen in spec.versions],
    }
    depth = round(null_db, 2) if null_db is not None else None
    id = fingerprint({"source": source_hash, "model": model, "parameters": parameters})[:12]
    return RenderEntry(id, source_hash, model, parameters, depth, tuple(warnings))


def _version_facts(chosen: Version) -> dict[str, Any]:
    chains = {**chosen.chains, **({"mix": chosen.mix_chain} if chosen.mix_chain is not None else {})}
    ridden = chosen.automation
    return {
        "name": chosen.name,
        "mixer": _mixer_facts(chosen.mixer),
        "automation": None if ridden is None else fingerprint({"moves": automation_text(ridden)}),
        "submixes": {name: list(members) for name, members in chosen.submixes.items()},
        "chains": {stem: chain.to_json()["plugins"] for stem, chain in chains.items()},
    }


def write_manifest(plan: Plan, render: RenderEntry, entries: Sequence[FileEntry]) -> None:
    """Write the manifest beside the outputs; what earlier renders left stays listed."""
    info, path = plan.info, plan.manifest_path
    kept: list[FileEntry] = []
    renders: list[RenderEntry] = []
    if plan.manifest is not None:
        new = {entry.file for entry in entries}
        kept = [e for e in plan.manifest.files if e.file not in new and (path.parent / e.file).is_file()]
        used = {entry.render for entry in kept} - {render.id}
        renders = [entry for entry in plan.manifest.renders if entry.id in used]
    manifest = Manifest(
        source={
            "path": str(info.path.resolve()),
            "hash": render.source_hash,
            "sample_rate": info.sample_rate,
            "channels": info.channels,
            "frames": info.frames,
            "time_reference": info.time_reference,
        },
        renders=(*renders, render),
        files=(*kept, *entries),
    )
    ending = f".{fingerprint({'name': path.name})[:12]}.part"
    part = path.with_name(f".stembridge-{os.getpid()}{ending}")
    for name in os.listdir(path.parent):
        if name.startswith(".stembridge-") and name.endswith(ending):  # its render was killed right here
            path.with_name(name).unlink(missing_ok=True)
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(manifest.to_json())
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise output_error(error, path) from error
    sync_folder(path.parent)


def device(plan: Plan) -> str:
    """The device as far as it matters: training-free separators run on the CPU whatever is asked for."""
    known = plan.spec.stems_from is None and separator_entry(plan.spec.model).uses_device
    return plan.spec.device if known else "cpu"
