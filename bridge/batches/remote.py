"""Songs and outputs behind URLs: fetched to a temporary place, rendered there, sent as whole files.

fsspec speaks to whatever is behind a URL (object stores, SFTP, WebDAV, ...). An output is uploaded under a
temporary name and then moved where the file system can move; object stores show a file only when all of it is
there. The manifest goes first ("ours, unfinished") and last, as in a render to a folder, so a song is skipped
where the manifest says that the same render of the same bytes lies there, in files of that size.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import secrets
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from stembridge.model.errors import (
    ArgumentValueError,
    AudioFileError,
    AudioFileNotFoundError,
    ModelMissingError,
    OutputError,
    StembridgeError,
)
from stembridge.model.manifest import Manifest, read_manifest
from stembridge.model.rendering import Plan, RenderResult, plan_render
from stembridge.model.rendering.record import fingerprints
from stembridge.model.stem_cache import StemCache, content_hash

from .task import Remote, SongReport, Step, Task, kind_of, local_steps, plain

MANIFEST_SUFFIX = ".stems.json"


def is_url(text: str) -> bool:
    """Whether something is meant for fsspec and not for the file system.

    >>> is_url("s3://songs/a.wav"), is_url("songs/a.wav"), is_url("C:\\\\songs")
    (True, False, False)
    """
    return "://" in text


def find_urls(url: str, suffixes: frozenset[str]) -> Iterator[tuple[str, PurePosixPath | None]]:
    """The songs at a URL: itself, or what lies below a folder, or what a glob matches; with the sub-folder.

    What manifests there call their own is left out. Raises ModelMissingError without fsspec.
    """
    files, path = _open(url)
    if _has_magic(path):
        names, base = files.glob(path), None
    elif files.isdir(path):
        names, base = files.find(path), path.rstrip("/")
    else:
        yield url, None
        return
    ours = _written(files, [name for name in names if name.endswith(MANIFEST_SUFFIX)])
    for name in sorted(names):
        suffix = posixpath.splitext(name)[1].lower()
        if suffix not in suffixes or posixpath.basename(name).startswith(".") or name in ours:
            continue
        inside = posixpath.dirname(posixpath.relpath(name, base)) if base is not None else ""
        yield files.unstrip_protocol(name), PurePosixPath(inside) if inside else None


def carry_out_remote(
    task: Task, remote: Remote, cache: StemCache | None
) -> Generator[Step | SongReport, None, None]:
    """Do a task whose song or outputs lie behind URLs. Raises as a render, and OutputError for an upload."""
    if task.kind != "render":
        raise ArgumentValueError(f"{task.source}: URLs are for render; give {task.kind} paths")
    with tempfile.TemporaryDirectory(prefix="stembridge-") as folder:
        try:
            yield from _steps(task, remote, cache, Path(folder))
        except StembridgeError as error:
            told = plain(error)
            text = str(error)
            for local, url in ((Path(folder) / "out", remote.out), (Path(folder) / "in", remote.source)):
                if url is not None:
                    text = re.sub(
                        rf"(file:)?{re.escape(str(local))}(/[^/]+/{re.escape(_name(url))})?", url, text
                    )
            told.args = (text,)
            raise told from error


def _steps(
    task: Task, remote: Remote, cache: StemCache | None, folder: Path
) -> Generator[Step | SongReport, None, None]:
    spec = task.spec
    if remote.source is not None:
        yield Step("fetch", 0.0)
        spec = replace(spec, source=_fetched(remote.source, folder / "in"))
    if remote.out is None:
        for step in local_steps(replace(task, spec=spec), cache):
            yield _renamed(step, task, None) if isinstance(step, SongReport) else step
        return
    out = folder / "out"
    store = _Store(remote.out, out)
    plan = plan_render(replace(spec, out=out))
    store.pull_manifest(plan.manifest_path)
    plan = plan_render(replace(spec, out=out))
    if not spec.overwrite and store.complete(plan):
        result = RenderResult(plan, tuple(_entries(plan)), skipped=True)
        yield _renamed(kind_of(task.kind).report(result), task, store)
        return
    store.check_targets(plan)
    for step in local_steps(replace(task, spec=plan.spec), cache):
        if isinstance(step, Step):
            yield replace(step, fraction=0.95 * step.fraction)
            continue
        yield Step("send", 0.95)
        store.push(plan, remote.source)
        yield _renamed(step, task, store)


class _Store:
    """A folder behind a URL, and the local one that stands for it."""

    def __init__(self, url: str, local: Path) -> None:
        self._url = url.rstrip("/")
        self._files, self._root = _open(self._url)
        self._root = self._root.rstrip("/")
        self._local = local

    def url(self, path: Path | str) -> str:
        """Where a local path will lie."""
        inside = os.path.relpath(path, self._local).replace(os.sep, "/")
        return f"{self._url}/{inside}"

    def pull_manifest(self, manifest: Path) -> None:
        """Fetch what earlier renders said of themselves, with empty stand-ins for the files they wrote."""
        manifest.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self._files.get_file(self._at(manifest), str(manifest))

    def complete(self, plan: Plan) -> bool:
        """Whether everything a plan makes lies there, made from the same bytes with the same settings."""
        if plan.manifest is None or len(entries := _entries(plan)) < len(plan.outputs):
            return False
        prints = fingerprints(plan, content_hash(plan.spec.source))
        return all(
            entry.fingerprint == prints[output.path] and self._size(output.path) == entry.bytes
            for output, entry in zip(plan.outputs, entries, strict=True)
        )

    def check_targets(self, plan: Plan) -> None:
        """Refuse to replace what is not ours, and keep what else the manifest lists."""
        targets = {output.path for output in plan.outputs}
        for path in targets if not plan.spec.overwrite else ():
            entry = plan.manifest.entry(plan.relative(path)) if plan.manifest is not None else None
            size = self._size(path)
            if size is not None and (entry is None or (entry.fingerprint and entry.bytes != size)):
                raise OutputError(
                    f"{self.url(path)} exists and was not written by stembridge, or changed since: "
                    "move it away, choose another -o, or allow --overwrite"
                )
        for entry in plan.manifest.files if plan.manifest is not None else ():
            path = plan.manifest_path.parent / entry.file
            if path not in targets and self._size(path) is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()  # whoever writes the manifest keeps what is there

    def push(self, plan: Plan, source: str | None) -> None:
        """Send the outputs, and the manifest before and after them."""
        manifest = read_manifest(plan.manifest_path)
        if manifest is None:
            raise OutputError(f"the manifest of {plan.spec.source.name} has gone from the temporary folder")
        if source is not None:
            manifest = replace(manifest, source={**manifest.source, "path": source})
        names = {plan.relative(output.path) for output in plan.outputs}
        unfinished = tuple(
            replace(entry, fingerprint="") if entry.file in names else entry for entry in manifest.files
        )
        self._send_manifest(plan, replace(manifest, files=unfinished))
        for output in plan.outputs:
            self._send(output.path)
        self._send_manifest(plan, manifest)

    def _send_manifest(self, plan: Plan, manifest: Manifest) -> None:
        plan.manifest_path.write_text(manifest.to_json(), encoding="utf-8")
        self._send(plan.manifest_path)

    def _send(self, path: Path) -> None:
        target = self._at(path)
        folder, name = posixpath.split(target)
        part = f"{folder}/.stembridge-{secrets.token_hex(6)}.part"
        try:
            self._files.makedirs(folder, exist_ok=True)
            self._files.put_file(str(path), part)
            self._files.mv(part, target)
        except Exception as error:
            with contextlib.suppress(Exception):
                self._files.rm_file(part)
            raise OutputError(f"{self._url}: {name} cannot be sent: {error}") from error

    def _size(self, path: Path) -> int | None:
        try:
            return int(self._files.info(self._at(path))["size"])
        except FileNotFoundError:
            return None

    def _at(self, path: Path) -> str:
        inside = os.path.relpath(path, self._local).replace(os.sep, "/")
        return f"{self._root}/{inside}"


def _entries(plan: Plan) -> list[Any]:
    if plan.manifest is None:
        return []
    found = (plan.manifest.entry(plan.relative(output.path)) for output in plan.outputs)
    return [entry for entry in found if entry is not None]


def _renamed(report: SongReport, task: Task, store: _Store | None) -> SongReport:
    """The report with URLs in the place of temporary paths."""
    facts = {**report.facts, "source": task.source}
    lines = report.lines
    if store is not None:
        facts["manifest"] = store.url(facts["manifest"])
        facts["files"] = [store.url(file) for file in facts["files"]]
        folder = posixpath.dirname(facts["manifest"])
        done = f"{task.source} -> {folder}"
        there = f"{task.source}: already rendered in {folder} (same song, model and settings)"
        lines = (there if report.status == "skipped" else done, *lines[1:])
    elif lines:
        lines = (lines[0].replace(report.source, task.source), *lines[1:])
    return replace(report, source=task.source, facts=facts, lines=lines)


def _fetched(url: str, folder: Path) -> Path:
    """Download a song, keeping its name and its folder's, which output names may be made of."""
    files, path = _open(url)
    parent, name = posixpath.split(path)
    local = folder / (posixpath.basename(parent) or "songs") / name
    local.parent.mkdir(parents=True)
    try:
        files.get_file(path, str(local))
    except FileNotFoundError as error:
        raise AudioFileNotFoundError(f"no such file: {url}") from error
    except Exception as error:
        raise AudioFileError(f"{url} cannot be fetched: {error}") from error
    return local


def _written(files: Any, manifests: list[str]) -> set[str]:
    """What the manifests behind a URL call their own."""
    ours: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="stembridge-") as folder:
        for name in manifests:
            local = Path(folder) / "manifest"
            files.get_file(name, str(local))
            with contextlib.suppress(OutputError):  # somebody else's file of that name
                manifest = read_manifest(local)
                entries = manifest.files if manifest is not None else ()
                ours |= {posixpath.normpath(f"{posixpath.dirname(name)}/{e.file}") for e in entries}
    return ours


def _open(url: str) -> tuple[Any, str]:
    """The file system behind a URL, and the path in it."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise ModelMissingError(
            f"{url}: URLs need fsspec: pip install 'stembridge[cluster]', or give a path"
        ) from error
    try:
        files, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ArgumentValueError(f"{url}: {error}") from error
    return files, str(path)


def _name(url: str) -> str:
    return posixpath.basename(url)


def _has_magic(path: str) -> bool:
    return any(character in path for character in "*?[")
