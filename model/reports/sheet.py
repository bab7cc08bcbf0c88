"""One song's report as data: what it was, what it became, how, and what there is to say about it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from ..errors import OutputError, StembridgeError
from ..files.decoder import open_audio
from ..manifest import read_manifest
from ..mastering import MasterResult
from ..plugins.chain_spec import ChainSpec, PluginSpec
from .messages import MEANINGS, Message, error_message
from .survey import Survey, Surveyor

SCHEMA = 1
_BLOCK_FRAMES = 1 << 16


@dataclass(frozen=True)
class Made:
    """One file that was made."""

    name: str
    """`master`, a stem, a submix, a preset."""
    file: str
    survey: Survey | None = None


@dataclass(frozen=True)
class Treated:
    """One plug-in that sound went through."""

    line: str
    """`mix`, or the stem."""
    plugin: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sheet:
    """Everything that is said about one song."""

    kind: Literal["master", "render"]
    source: str
    status: Literal["done", "skipped", "failed"]
    before: Survey | None = None
    made: tuple[Made, ...] = ()
    chain: tuple[Treated, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Single numbers and settings, by name."""
    messages: tuple[Message, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds per stage."""
    seconds: float = 0.0

    @property
    def title(self) -> str:
        """The song's name."""
        return self.source.replace("\\", "/").rpartition("/")[2]

    @property
    def after(self) -> Survey | None:
        """What the song as a whole became: the master, or the mix; None where there are only stems."""
        wholes = [made for made in self.made if made.name in ("master", self.figures.get("mix"))]
        return wholes[0].survey if wholes else None

    def to_json(self) -> dict[str, Any]:
        """Plain data, with the text of every number."""
        plain = asdict(self)
        plain["messages"] = [
            {"number": message.number, "text": message.text, "meaning": MEANINGS[message.number]}
            for message in self.messages
        ]
        return {"schema": SCHEMA, "stembridge": version("stembridge"), **plain}


def master_sheet(result: MasterResult) -> Sheet:
    """The report on a master. What had been there already is read for it."""
    plan, spec = result.plan, result.plan.spec
    folder = plan.files.manifest_path.parent
    before, after = result.before, result.after
    if result.skipped:
        before, after = survey_file(plan.info.path), survey_file(plan.path)
    made = [Made("master", str(plan.path), after)]
    made += [Made(entry.stem, str(folder / entry.file)) for entry in result.files[1:]]
    chains = dict(spec.treatment.chains) if plan.stems is not None else {}
    if spec.treatment.mix_chain is not None:
        chains["mix"] = spec.treatment.mix_chain
    settings = {
        "preset": spec.treatment.name,
        "model": plan.files.model if plan.stems is not None else None,
        "reference": None if spec.reference is None else str(spec.reference),
        "mix_amount": spec.mix_amount,
        "lufs": spec.lufs,
        "true_peak": spec.true_peak,
        "format": spec.format.container,
        "bit_depth": None if spec.format.lossy else spec.format.bit_depth,
    }
    return Sheet(
        kind="master",
        source=str(plan.info.path),
        status="skipped" if result.skipped else "done",
        before=before,
        made=tuple(made),
        chain=tuple(_treated(chains)),
        figures={**settings, **result.figures},
        messages=result.messages,
        timings=result.timings,
        seconds=round(result.seconds, 3),
    )


def render_sheet(
    manifest_path: Path,
    files: Sequence[Path],
    *,
    skipped: bool = False,
    messages: Sequence[Message] = (),
    seconds: float = 0.0,
) -> Sheet:
    """The report on a render: its manifest, its song and `files` of those it made are read for it.

    Raises OutputError where there is no manifest, and what `open_audio` raises.
    """
    manifest = read_manifest(manifest_path)
    names = {Path(os.path.relpath(file, manifest_path.parent)).as_posix() for file in files}
    entries = [entry for entry in manifest.files if entry.file in names] if manifest is not None else []
    if manifest is None or not entries:
        raise OutputError(f"{manifest_path} says nothing of these files: render them again")
    made = [
        Made(
            entry.stem, str(manifest_path.parent / entry.file), survey_file(manifest_path.parent / entry.file)
        )
        for entry in entries
    ]
    entry = manifest.render(entries[0].render)
    parameters: Mapping[str, Any] = entry.parameters if entry is not None else {}
    source = Path(manifest.source["path"])
    mixes = [one.stem for one in entries if one.kind == "mix"]
    return Sheet(
        kind="render",
        source=str(source),
        status="skipped" if skipped else "done",
        before=survey_file(source, parameters.get("start_frame", 0), parameters.get("end_frame")),
        made=tuple(made),
        chain=tuple(_listed(parameters.get("versions", ()))),
        figures={
            "model": entry.model["name"] if entry is not None else None,
            "mix": mixes[0] if mixes else None,
            "null_db": entry.null_db if entry is not None else None,
            "gain_db": entries[0].gain_db,
            "format": entries[0].format,
            "bit_depth": entries[0].bit_depth,
        },
        messages=(
            *messages,
            *(Message(3102, text) for text in (entry.warnings if entry is not None else ())),
        ),
        timings={"render": round(seconds, 3)} if seconds else {},
        seconds=round(seconds, 3),
    )


def failed_sheet(kind: Literal["master", "render"], source: str, error: StembridgeError) -> Sheet:
    """The report on a song that came to nothing."""
    return Sheet(kind, source, "failed", messages=(error_message(error),))


def survey_file(path: Path, start: int = 0, stop: int | None = None) -> Survey:
    """Measure a file from frame `start` to `stop` (default: its end). Raises what `open_audio` raises."""
    with open_audio(path) as reader:
        left = (reader.info.frames if stop is None else stop) - start
        surveyor = Surveyor(reader.info.sample_rate, reader.info.channels)
        reader.seek(start)
        while left > 0 and (block := reader.read(min(_BLOCK_FRAMES, left))).shape[1]:
            surveyor.push(block)
            left -= block.shape[1]
    return surveyor.finish()


def _treated(chains: Mapping[str, ChainSpec]) -> Iterator[Treated]:
    for line, chain in chains.items():
        for plugin in chain.plugins:
            shown: dict[str, Any] = dict(plugin.parameters)
            if plugin.mix != 1.0:
                shown["mix"] = plugin.mix
            if plugin.state is not None:
                shown["state"] = plugin.state.name
            if plugin.dual_mono:
                shown["dual_mono"] = True
            yield Treated(line, plugin.title, shown)


def _listed(versions: Sequence[Mapping[str, Any]]) -> Iterator[Treated]:
    """The chains of a manifest's versions."""
    for chosen in versions:
        prefix = f"{chosen['name']}: " if len(versions) > 1 else ""
        for line, plugins in chosen["chains"].items():
            chain = ChainSpec(tuple(PluginSpec.from_json(plugin) for plugin in plugins))
            yield from _treated({f"{prefix}{line}": chain})
