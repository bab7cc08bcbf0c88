"""From a `/render` to a job that can be queued: its song found under the roots, everything it says settled.

What is settled stays: the desk, the preset and the configuration as they are now, whenever the job runs.
Touches the disk, so it is called away from the loop; opens no song and hashes nothing.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from stembridge.model.errors import ArgumentValueError, ModelMissingError, StembridgeError

from ..config import Config
from ..desk import Desk
from ..hub import Refusal
from .job import Stamp

if TYPE_CHECKING:
    from stembridge.model.mixer import MixerState
    from stembridge.model.rendering import RenderSpec

LONGEST_PATH = 4096
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_NEUTRAL = 5.0


@dataclass(frozen=True)
class Order:
    """What was asked for, as far as it can be told without a disk."""

    path: str
    preset: str | None
    flags: Mapping[str, Any]
    """Arguments of `RenderRequest`, as `parse_options` reads them."""
    desk: Desk
    """The desk at the moment of asking."""


@dataclass(frozen=True)
class Settled:
    """What can be queued."""

    spec: str
    stamp: Stamp


@dataclass(frozen=True)
class Acceptance:
    """Where songs may lie, where outputs go, and what holds unless a job says otherwise."""

    roots: Sequence[Path]
    out: Path
    config: Config = field(default_factory=Config)

    def settle(self, order: Order) -> Settled:
        """Check an order and spell it out. Raises Refusal."""
        from .spec_json import spec_to_json

        source, tree, stamp = self.song(order.path)
        try:
            return Settled(spec_to_json(self._spec(source, tree, order)), stamp)
        except ModelMissingError as error:
            raise Refusal("not_found", str(error)) from error
        except StembridgeError as error:
            raise Refusal("bad_args", str(error)) from error

    # The song.

    def song(self, text: str) -> tuple[Path, PurePosixPath | None, Stamp]:
        """The song a path leads to, its folder below its root, and its stamp. Raises Refusal.

        Symlinks are followed first. A path that is not absolute is looked for under each root in turn.
        """
        check_path(text)
        roots = [os.path.realpath(root) for root in self.roots]
        if not roots:
            raise Refusal(
                "path_denied",
                "no folder is open to this: start the bridge with --root FOLDER (or serve.roots)",
            )
        text = os.path.expanduser(text) if text.startswith("~/") else text
        places = [text] if os.path.isabs(text) else [os.path.join(root, text) for root in roots]
        refusal: Refusal | None = None
        for place in places:
            try:
                return _song(place, roots)
            except Refusal as error:
                if refusal is None or error.code != "not_found":
                    refusal = error
        raise refusal or Refusal("not_found", f"no song at {text}")

    def key(self, text: str) -> str:
        """The root a path seems to lie under: what may be slow or dead as one."""
        for root in self.roots:
            if text.startswith(str(root)):
                return str(root)
        return ""

    def _automation(self, name: str) -> Path:
        """The file that `/automation/save` has written under a name. Raises Refusal."""
        path = self.out.absolute() / "automation" / f"{name}.csv"
        if not path.is_file():
            raise Refusal(
                "not_found", f"no automation of the name {name[:100]!r}: /automation/save keeps one"
            )
        return path

    # What is to be done with it.

    def _spec(self, source: Path, tree: PurePosixPath | None, order: Order) -> RenderSpec:
        from stembridge.model.registry import separator_entry
        from stembridge.model.residual import stems_after

        from ..inputs import Song
        from ..requests import RenderRequest

        presets = () if order.preset is None else (_preset(order.preset),)
        for name in order.flags.get("chain", {}).values():
            _preset(name)
        if "model" in order.flags:
            _check_model(order.flags["model"])
        flags = dict(order.flags)
        if "automation" in flags:
            flags["automation"] = self._automation(flags["automation"])
        request = RenderRequest(preset=presets, out=self.out.absolute(), **flags)
        spec = request.spec(Song(source, tree), self.config)
        entry = separator_entry(spec.model)
        if entry.missing:
            raise ModelMissingError(f"{entry.name} cannot be used here: {entry.missing}")
        stems = stems_after(spec.residual, entry.stems, entry.residual_stem)
        sensitivity = {**_sensitivities(order.desk, stems), **spec.sensitivity}
        (version,) = spec.versions
        if not presets and "automation" not in flags:
            version = replace(version, mixer=_over(order.desk.mixer_state(stems), version.mixer))
        version = replace(version, mixer=_without_neutral(version.mixer))
        spec = replace(
            spec,
            # A preset or a moved fader alone would have the mix written and the stems left out.
            stems=stems if spec.stems is None and spec.two_stems is None else spec.stems,
            versions=(version,),
            sensitivity={stem: value for stem, value in sensitivity.items() if value != _NEUTRAL},
            overwrite=False,
        )
        _check_stems(spec, stems)
        return spec


def check_path(text: str) -> None:
    """Refuse what no song's path looks like, before any disk is asked."""
    if not text or len(os.fsencode(text)) > LONGEST_PATH:
        raise Refusal("path_denied", f"a path has 1 to {LONGEST_PATH} bytes; got {len(os.fsencode(text))}")
    if "\0" in text:
        raise Refusal("path_denied", "a path holds no NUL")
    if text.startswith(("//", "\\\\")) or (_URL.match(text) and not (os.name == "nt" and text[1:2] == ":")):
        raise Refusal("path_denied", f"a path of this machine is taken, no URL or share; got {text[:80]!r}")


def _song(place: str, roots: Iterable[str]) -> tuple[Path, PurePosixPath | None, Stamp]:
    try:
        real = os.path.realpath(place)
    except (OSError, ValueError) as error:
        raise Refusal("path_denied", f"{place[:200]} is no path: {error}") from error
    within = [root for root in roots if real.startswith(root.rstrip(os.sep) + os.sep)]
    if not within:
        raise Refusal(
            "path_denied",
            f"{place[:200]} is not in a folder that is open to this (--root, serve.roots), links followed",
        )
    try:
        status = os.stat(real)
    except OSError as error:
        raise Refusal("not_found", f"no song at {place[:200]}: {error.strerror or error}") from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
        raise Refusal("path_denied", f"{place[:200]} is {kind}: a song is one file")
    folder = Path(real).parent.relative_to(max(within, key=len))
    tree = PurePosixPath(folder.as_posix())
    stamp = status.st_size, status.st_mtime_ns, status.st_ino
    return Path(real), tree if tree.parts else None, stamp


def _preset(name: str) -> str:
    """A preset's name, if there is one of that name. Raises Refusal; never takes a path."""
    from ..presets import preset_paths

    known = preset_paths()
    if name not in known:
        near = get_close_matches(name[:100], known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known) or 'none'}"
        raise Refusal("not_found", f"no preset {name[:80]!r}: {hint} Presets are given by name here.")
    return name


def _check_model(name: str) -> None:
    """Refuse what is no model's name; the path of a checkpoint is one to the registry, and not to us."""
    from stembridge.model.registry import list_separators

    known = ["default", *(entry.name for entry in list_separators())]
    if name not in known:
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise Refusal("bad_args", f"there is no model {name!r}: {hint}")


def _sensitivities(desk: Desk, stems: Sequence[str]) -> dict[str, float]:
    return {stem: desk.strips[stem].sensitivity for stem in stems if stem in desk.strips}


def _over(desk: MixerState, flags: MixerState) -> MixerState:
    """The desk, with what was said in the request in its place; mutes and solos add up."""
    return replace(
        desk,
        gains_db={**desk.gains_db, **flags.gains_db},
        pans={**desk.pans, **flags.pans},
        mutes=desk.mutes | flags.mutes,
        solos=desk.solos | flags.solos,
    )


def _without_neutral(state: MixerState) -> MixerState:
    """The same state with nothing in it that changes nothing: a desk at unity asks for no mix."""
    return replace(
        state,
        gains_db={stem: gain_db for stem, gain_db in state.gains_db.items() if gain_db != 0.0},
        pans={stem: pan for stem, pan in state.pans.items() if pan != 0.0},
    )


def _check_stems(spec: RenderSpec, stems: Sequence[str]) -> None:
    """Refuse names of stems that the model does not give."""
    from stembridge.model.rendering.plan import complement

    (version,) = spec.versions
    state = version.mixer
    named = [
        *(name if name in stems else complement(name) or name for name in spec.stems or ()),
        *([spec.two_stems] if spec.two_stems is not None else []),
        *spec.sensitivity, *state.gains_db, *state.pans, *state.mutes, *state.solos, *version.chains,
        *(member for members in version.submixes.values() for member in members),
    ]  # fmt: skip
    for name in named:
        if name not in stems:
            near = get_close_matches(name, stems, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ArgumentValueError(
                f"{spec.model} gives no stem {name[:40]!r}, only {', '.join(stems)}{hint}"
            )
