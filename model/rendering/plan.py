"""Everything about a render that can be known, and go wrong, before any work: stems, region, file names."""

from __future__ import annotations

import os
import string
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from ..audio import AudioInfo
from ..errors import ArgumentValueError, OutputError
from ..files.decoder import open_audio
from ..files.format_limits import check_format
from ..manifest import Manifest, is_intact, read_manifest
from ..mixer import Mixer
from ..registry import separator_entry
from ..residual import RESIDUAL, stems_after
from ..sensitivity import check_sensitivity
from ..separators.stems_from import find_stems, residual_stem_of
from ..units import Time
from . import naming
from .spec import RenderSpec, Version

_At = Callable[[str, int], Path]


@dataclass(frozen=True)
class Output:
    """One file to be written."""

    path: Path
    kind: str
    """`stem`, `complement` (all but one stem), `submix` or `mix`."""
    name: str
    """What stands for `{stem}` in its name."""
    version: int
    """Index into the spec's versions."""
    members: tuple[str, ...] = ()
    """The stems that a stem, complement or submix is made of."""


@dataclass(frozen=True)
class Plan:
    """A render that can be carried out."""

    spec: RenderSpec
    info: AudioInfo
    model: str
    """The separator's resolved name, never `default`."""
    weights_sha256: str | None
    """Of the tensors of the network that separates, if it is one of ours."""
    weights_identity: str | None
    """A hash over all of its checkpoint that its estimates depend on."""
    stems: tuple[str, ...]
    """The names the residual policy leaves (with `residual` under the policy `file`)."""
    start: int
    end: int
    """The region in source frames: start included, end not."""
    outputs: tuple[Output, ...]
    manifest_path: Path
    manifest: Manifest | None
    """What an earlier render wrote there."""

    @property
    def region(self) -> bool:
        """Whether less than the whole song is rendered."""
        return (self.start, self.end) != (0, self.info.frames)

    @property
    def sample_rate(self) -> int:
        """Of the outputs, in Hz."""
        return self.spec.sample_rate or self.info.sample_rate

    @property
    def paths(self) -> list[Path]:
        """Everything it writes, the manifest included."""
        return [*(output.path for output in self.outputs), self.manifest_path]

    @property
    def settled(self) -> RenderSpec:
        """The spec with its region spelt out, so that planning again need not search for a preview."""
        if self.spec.preview_s is None:
            return self.spec
        return replace(self.spec, preview_s=None, start=Time(samples=self.start), end=Time(samples=self.end))

    def relative(self, path: Path) -> str:
        """A file's name in the manifest."""
        return Path(os.path.relpath(path, self.manifest_path.parent)).as_posix()

    def own(self, path: Path) -> bool:
        """Whether a file that is there is our own: in the manifest, and not edited since."""
        entry = self.manifest.entry(self.relative(path)) if self.manifest is not None else None
        return entry is not None and (not entry.fingerprint or is_intact(path, entry))

    @property
    def stem_chains(self) -> bool:
        """Whether any version treats stems with plug-ins."""
        return any(version.chains for version in self.spec.versions)


def plan_render(spec: RenderSpec) -> Plan:
    """Work out what a render will read and write.

    Raises AudioFileNotFoundError or AudioFileError for the source, ArgumentValueError for stems, times or
    formats that do not fit it, ModelMissingError, and OutputError for files in the way.
    """
    with open_audio(spec.source) as reader:
        info = reader.info
    model, weights, stems = _stems(spec)
    _check_names(spec, info, stems)
    check_format(spec.format, spec.sample_rate or info.sample_rate, info.channels)
    start, end = _region(spec, info)
    whole = (start, end) == (0, info.frames)
    outputs = tuple(_outputs(spec, info, model, stems))
    if not whole:
        outputs = tuple(
            replace(output, path=naming.with_region(output.path, start, end, info.sample_rate))
            for output in outputs
        )
    manifest_path = spec.out / naming.manifest_name(spec.filename, _values(spec, info, model), spec.tree)
    plan = Plan(spec, info, model, *weights, stems, start, end, outputs, manifest_path, None)
    check_collisions(plan.paths)
    return look_again(plan)


def foreseen_paths(specs: Iterable[RenderSpec]) -> Iterator[tuple[Path, ...]]:
    """Per spec what a render of it will write, as far as names alone tell: no song is opened.

    A region's place is left out of the names. Empty where a name depends on what is in the song. Raises
    ModelMissingError, and ArgumentValueError for stems that there are none of.
    """
    known: dict[tuple[str, Path | None, str], tuple[str, tuple[str, ...]]] = {}
    for spec in specs:
        key = spec.model, spec.stems_from, spec.residual
        if key not in known:
            model, _, stems = _stems(spec)
            known[key] = model, stems
        model, stems = known[key]
        if _variables(spec.filename) & ({"bpm"} if spec.sample_rate is not None else {"bpm", "sample_rate"}):
            yield ()
            continue
        info = AudioInfo(spec.source, spec.sample_rate or 44100, 2, 1, "32f", "wav")
        outputs = (output.path for output in _outputs(spec, info, model, stems))
        yield *outputs, spec.out / naming.manifest_name(spec.filename, _values(spec, info, model), spec.tree)


def _variables(template: str) -> set[str]:
    names = (name for _, name, _, _ in string.Formatter().parse(template) if name is not None)
    return {naming.ALIASES.get(name, name) for name in names}


def look_again(plan: Plan) -> Plan:
    """The same plan with the manifest as it is now. Raises OutputError for files in the way."""
    plan = replace(plan, manifest=read_manifest(plan.manifest_path))
    _check_targets(plan)
    return plan


def check_collisions(paths: list[Path]) -> None:
    """Refuse two outputs on one path; upper and lower case count as the same, as on macOS and Windows."""
    seen: dict[str, Path] = {}
    for path in paths:
        other = seen.setdefault(str(path).casefold(), path)
        if other is not path:
            raise ArgumentValueError(
                f"two outputs would be written to one path, {path}: "
                "use {track}, {foldername} and {stem} in --filename to tell them apart"
            )


def _stems(spec: RenderSpec) -> tuple[str, tuple[str | None, str | None], tuple[str, ...]]:
    """The model's name, the hashes of its weights, and the stems that are left."""
    if spec.stems_from is not None:
        model, stems = "stems-from", tuple(find_stems(spec.stems_from))
        return model, (None, None), stems_after(spec.residual, stems, residual_stem_of(stems))
    entry = separator_entry(spec.model)
    stems = stems_after(spec.residual, entry.stems, entry.residual_stem)
    return entry.name, (entry.weights_sha256, entry.identity), stems


def complement(name: str) -> str | None:
    """The stem that `no_vocals` or `instrumental` is the rest of; None for any other name."""
    if name == "instrumental":
        return "vocals"
    return name.removeprefix("no_") if name.startswith("no_") else None


def _check_names(spec: RenderSpec, info: AudioInfo, stems: tuple[str, ...]) -> None:
    def check(name: str, where: str) -> None:
        if name not in stems:
            close = get_close_matches(name, stems, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ArgumentValueError(f"{where}: there is no stem {name!r}, only {', '.join(stems)}{hint}")

    for name in spec.stems or ():
        check(name if name in stems else complement(name) or name, "--stems")
    if spec.two_stems is not None:
        check(spec.two_stems, "--two-stems")
    for name in spec.sensitivity:
        check(name, "--sensitivity")
    check_sensitivity(spec.sensitivity, stems)
    for version in spec.versions:
        where = f"preset {version.name}" if version.name else "the mix"
        mixer = Mixer(
            stems, info.channels, info.sample_rate, residual_policy=spec.residual, state=version.mixer
        )
        if version.automation is not None:
            for _, state, _ in version.automation.states(mixer.state, info.sample_rate):
                mixer.state = state
        for name in version.chains:
            check(name, where)
        for submix, members in version.submixes.items():
            if submix in stems or submix == version.mix_name:
                raise ArgumentValueError(f"a submix needs a name of its own; {submix!r} is taken")
            for name in members:
                check(name, f"submix {submix}")


def _region(spec: RenderSpec, info: AudioInfo) -> tuple[int, int]:
    if spec.preview_s is not None:
        return loudest_region(info.path, spec.preview_s)
    start = spec.start.frames(info.sample_rate) if spec.start else 0
    end = min(spec.end.frames(info.sample_rate), info.frames) if spec.end else info.frames
    if start > info.frames or (start >= end and (spec.start or spec.end)):
        raise ArgumentValueError(
            f"the region from frame {start} to {end} is empty: {info.path.name} has {info.frames} frames "
            f"({info.seconds:.3f} s)"
        )
    return start, end


def loudest_region(path: Path, seconds: float) -> tuple[int, int]:
    """The region of so many seconds with the most energy, found on a grid of half seconds."""
    with open_audio(path) as reader:
        step = max(1, reader.info.sample_rate // 2)
        energies = []
        while (block := reader.read(step)).shape[1]:
            energies.append(float(np.square(block, dtype=np.float64).sum()))
        frames = reader.info.frames
    length = min(max(1, round(seconds * reader.info.sample_rate)), frames)
    if length >= frames:
        return 0, frames
    steps = max(1, length // step)
    sums = np.convolve(energies, np.ones(steps), mode="valid")
    start = min(int(sums.argmax()) * step, frames - length)
    return start, start + length


def _outputs(spec: RenderSpec, info: AudioInfo, model: str, stems: tuple[str, ...]) -> Iterator[Output]:
    def at(name: str, index: int) -> Path:
        values = {**_values(spec, info, model), "stem": name, "index": index}
        return spec.out / naming.expand(spec.filename, values, spec.tree)

    position = {name: place for place, name in enumerate(stems, 1)}
    if spec.two_stems is not None:
        rest = tuple(name for name in stems if name not in (spec.two_stems, RESIDUAL))
        yield Output(at(spec.two_stems, 1), "stem", spec.two_stems, 0, (spec.two_stems,))
        yield Output(at(f"no_{spec.two_stems}", 2), "complement", f"no_{spec.two_stems}", 0, rest)
        if spec.residual == "file":
            yield Output(at(RESIDUAL, 3), "stem", RESIDUAL, 0, (RESIDUAL,))
    elif spec.writes_stems:
        for name in dict.fromkeys(spec.stems or stems):
            if name in stems:
                yield Output(at(name, position[name]), "stem", name, 0, (name,))
            else:
                rest = tuple(other for other in stems if other not in (complement(name), RESIDUAL))
                yield Output(at(name, len(stems) + 1), "complement", name, 0, rest)
    for number, version in enumerate(spec.versions):
        yield from _version_outputs(version, number, at, len(stems))


def _version_outputs(version: Version, number: int, at: _At, count: int) -> Iterator[Output]:
    for place, (submix, members) in enumerate(version.submixes.items(), count + 1):
        yield Output(at(submix, place), "submix", submix, number, members)
    if version.implies_mix:
        yield Output(at(version.mix_name, count + len(version.submixes) + 1), "mix", version.mix_name, number)


def _values(spec: RenderSpec, info: AudioInfo, model: str) -> dict[str, str | int]:
    """What template variables stand for, but for those that differ between a song's outputs."""
    values: dict[str, str | int] = {
        "track": info.path.stem,
        "ext": spec.format.container,
        "trackext": info.path.suffix.lstrip("."),
        "foldername": str(spec.tree) if spec.tree is not None else info.path.resolve().parent.name,
        "model": model,
        "sample_rate": spec.sample_rate or info.sample_rate,
    }
    if bpm := info.tags.get("bpm"):
        values["bpm"] = bpm[0]
    return values


def _check_targets(plan: Plan) -> None:
    source = plan.spec.source.resolve()
    for output in plan.outputs:
        path = output.path
        if path.resolve() == source:
            raise OutputError(f"{path} is the source itself: choose another -o or --filename")
        if path.is_dir():
            raise OutputError(f"{path} is a folder: an output cannot take its place")
        if path.exists() and not plan.spec.overwrite and not plan.own(path):
            raise OutputError(
                f"{path} exists and was not written by stembridge, or changed since: "
                "move it away, choose another -o, or allow --overwrite"
            )
