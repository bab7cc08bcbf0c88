"""Everything about a master that can be known, and go wrong, before any work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from ..audio import AudioInfo
from ..errors import ArgumentValueError, ModelMissingError, StembridgeError
from ..files.decoder import open_audio
from ..files.format_limits import check_format
from ..rendering import Output, Plan, check_collisions, naming, plan_render
from ..rendering.plan import look_again
from .spec import AlbumSpec, MasterSpec

MASTER = "master"
"""The kind of a master's file in the manifest, and what stands for `{stem}` in its name."""

PREVIEW_NAMES = ("preview A (before)", "preview B (after)")


@dataclass(frozen=True)
class MasterPlan:
    """A master that can be carried out."""

    spec: MasterSpec
    files: Plan
    """What is written and where, as the render's parts that write and record know it."""
    stems: Plan | None
    """The render that makes the treated mix from stems; None where no stems are needed."""

    @property
    def info(self) -> AudioInfo:
        """Of the song."""
        return self.files.info

    @property
    def sample_rate(self) -> int:
        """Of the outputs, in Hz."""
        return self.files.sample_rate

    @property
    def path(self) -> Path:
        """The master."""
        return self.files.outputs[0].path

    @property
    def paths(self) -> list[Path]:
        """Everything it writes, the manifest included."""
        return self.files.paths


def plan_master(spec: MasterSpec) -> MasterPlan:
    """Work out what mastering one song will read and write.

    Raises AudioFileNotFoundError or AudioFileError for the song and the reference, ArgumentValueError for
    what does not fit the song, ModelMissingError for a separator or matchering, OutputError for files in
    the way.
    """
    with open_audio(spec.source) as reader:
        info = reader.info
    check_format(spec.format, spec.sample_rate or info.sample_rate, info.channels)
    stems = None
    if spec.separates:
        version = replace(spec.treatment, mix=True)
        whole = plan_render(replace(spec.rendering, versions=(version,), overwrite=True))
        stems = replace(whole, outputs=tuple(output for output in whole.outputs if output.kind == "mix"))
    elif spec.treatment.mix_chain is not None:
        spec.treatment.mix_chain.located(spec.plugin_folders)
    if spec.reference is not None:
        _check_reference(spec.reference, info)
    values = _values(spec, info)
    path = spec.out / naming.expand(spec.filename, values, spec.tree)
    names = PREVIEW_NAMES if spec.preview else ()
    outputs = (
        Output(path, MASTER, MASTER, 0),
        *(Output(_beside(path, name), "preview", name, 0) for name in names),
    )
    files = Plan(
        spec=spec.rendering,
        info=info,
        model=stems.model if stems is not None else "none",
        weights_sha256=stems.weights_sha256 if stems is not None else None,
        weights_identity=stems.weights_identity if stems is not None else None,
        stems=stems.stems if stems is not None else (),
        start=0,
        end=info.frames,
        outputs=outputs,
        manifest_path=spec.out / naming.manifest_name(spec.filename, values, spec.tree),
        manifest=None,
    )
    check_collisions(files.paths)
    return MasterPlan(spec, look_again(files), stems)


def plan_album(album: AlbumSpec) -> list[MasterPlan | StembridgeError]:
    """Plan every song of an album; a song that cannot be read or written is its error.

    Raises ArgumentValueError and ModelMissingError, which are about all songs, and the first song's error
    where no song is left.
    """
    plans: list[MasterPlan | StembridgeError] = []
    for song in album.songs:
        try:
            plans.append(plan_master(song))
        except (ArgumentValueError, ModelMissingError):
            raise
        except StembridgeError as error:
            plans.append(error)
    good = [plan for plan in plans if isinstance(plan, MasterPlan)]
    check_collisions([path for plan in good for path in plan.paths])
    if not good and isinstance(plans[0], StembridgeError):
        raise plans[0]
    return plans


def foreseen_masters(specs: Iterable[MasterSpec]) -> Iterator[tuple[Path, ...]]:
    """Per song what will be written, as far as names alone tell: none is opened.

    Empty where a name depends on what is in the song.
    """
    for spec in specs:
        info = AudioInfo(spec.source, spec.sample_rate or 44100, 2, 1, "32f", "wav")
        try:
            values = _values(spec, info)
            path = spec.out / naming.expand(spec.filename, values, spec.tree)
            manifest = spec.out / naming.manifest_name(spec.filename, values, spec.tree)
        except ArgumentValueError:  # it names the song's tempo
            yield ()
            continue
        names = PREVIEW_NAMES if spec.preview else ()
        yield (path, *(_beside(path, name) for name in names), manifest)


def _beside(path: Path, name: str) -> Path:
    return path.with_name(f"{path.stem} - {name}{path.suffix}")


def _check_reference(reference: Path, info: AudioInfo) -> None:
    if find_spec("matchering") is None:
        raise ModelMissingError(
            "--reference needs the package matchering, which is not installed: "
            "pip install stembridge[reference]"
        )
    with open_audio(reference) as reader:
        channels = reader.info.channels
    for path, count in ((info.path, info.channels), (reference, channels)):
        if count != 2:
            raise ArgumentValueError(
                f"{path.name} has {count} channel{'s' * (count != 1)}; matching a reference compares the "
                "middle and the sides of two stereo songs: make it stereo first, or leave --reference out"
            )


def _values(spec: MasterSpec, info: AudioInfo) -> dict[str, str | int]:
    """What template variables stand for."""
    values: dict[str, str | int] = {
        "track": info.path.stem,
        "stem": MASTER,
        "index": 1,
        "ext": spec.format.container,
        "trackext": info.path.suffix.lstrip("."),
        "foldername": str(spec.tree) if spec.tree is not None else info.path.resolve().parent.name,
        "model": spec.model if spec.separates else MASTER,
        "sample_rate": spec.sample_rate or info.sample_rate,
    }
    if bpm := info.tags.get("bpm"):
        values["bpm"] = bpm[0]
    return values
