"""One piece of a batch (a song to render, an album to master), what carries it out, what became of it.

Each kind of work is a module here with four functions, so that processes, machines, reports and the command
line know none of them by name; `KINDS` is the list.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from stembridge.model.errors import StembridgeError

if TYPE_CHECKING:
    from stembridge.model.stem_cache import StemCache

KINDS: Mapping[str, str] = {
    "render": "stembridge.bridge.batches.renders",
    "master": "stembridge.bridge.batches.masters",
}
"""Where each kind of work is described."""


@dataclass(frozen=True)
class Remote:
    """What of a task lies behind an fsspec URL and must be fetched and sent; None: a path as any other."""

    source: str | None = None
    out: str | None = None


@dataclass(frozen=True)
class Task:
    """One piece of a batch. It travels to other processes and machines as it is."""

    kind: str
    """A key of `KINDS`."""
    spec: Any
    """What that kind of work takes: a `RenderSpec`."""
    source: str
    """What people call it: the song's path or URL."""
    audio_s: float = 0.0
    """Seconds of audio; 0: not known yet."""
    remote: Remote | None = None


@dataclass(frozen=True)
class Planned:
    """What is known of a task before it is begun."""

    spec: Any
    """The same work, with what planning has settled, so that it need not be found out again."""
    audio_s: float
    paths: Sequence[Path]
    """Everything it will write."""
    facts: Mapping[str, Any]
    """The JSON object that `--dry-run --json` prints."""
    lines: Sequence[str]
    """The same for people."""


@dataclass(frozen=True)
class Step:
    """How far a task is."""

    stage: str
    """`wait`, `read`, `separate`, ..."""
    fraction: float
    """0 to 1."""


@dataclass(frozen=True)
class SongError:
    """Why a task failed."""

    code: str
    text: str


@dataclass(frozen=True)
class SongReport:
    """What became of one task: what reports are made of. Plain data, whoever did the work."""

    kind: str
    source: str
    status: Literal["done", "skipped", "failed"]
    facts: Mapping[str, Any]
    """The JSON object that `--json` prints."""
    lines: tuple[str, ...] = ()
    """The same for people."""
    warnings: tuple[str, ...] = ()
    error: SongError | None = None
    audio_s: float = 0.0
    seconds: float = 0.0
    """Time the work took."""
    attempts: int = 1
    """Above 1 where a worker died over it."""
    worker: str = ""
    """Where it was done last: a process id, or a Dask worker's address."""
    hints: Mapping[str, Any] = field(default_factory=dict)
    """What the command line wants to know besides (`asked_for` and `model` of a render)."""


class Kind(Protocol):
    """What a module that is named in `KINDS` has."""

    def foreseen(self, specs: Iterable[Any]) -> Iterator[Sequence[Path]]:
        """Per spec what it will write, as far as names alone tell; opens nothing."""

    def plan(self, spec: Any) -> Planned:
        """Find out everything that can go wrong before the work."""

    def run(self, spec: Any, cache: StemCache | None) -> Generator[Any, None, None]:
        """Do it, yielding objects with `stage`, `fraction` and (the last one) `result`."""

    def report(self, result: Any) -> SongReport:
        """Say what came of it."""


def kind_of(name: str) -> Kind:
    """The module behind a kind of work."""
    return cast(Kind, import_module(KINDS[name]))


def carry_out(task: Task, cache: StemCache | None) -> Generator[Step | SongReport, None, None]:
    """Do one task, here: steps, then its report.

    Closing the generator cancels it. Whatever goes wrong is a StembridgeError, so that a batch goes on.
    """
    try:
        if task.remote is not None:
            from .remote import carry_out_remote

            yield from carry_out_remote(task, task.remote, cache)
            return
        yield from local_steps(task, cache)
    except StembridgeError:
        raise
    except MemoryError as error:
        failure = StembridgeError(f"{task.source}: not enough memory")
        failure.code = "out_of_memory"
        raise failure from error
    except Exception as error:
        raise StembridgeError(f"{task.source}: {type(error).__name__}: {error}") from error


def local_steps(task: Task, cache: StemCache | None) -> Generator[Step | SongReport, None, None]:
    """Do a task whose files are all within reach."""
    kind = kind_of(task.kind)
    with closing(kind.run(task.spec, cache)) as steps:
        for step in steps:
            yield kind.report(step.result) if step.result is not None else Step(step.stage, step.fraction)


def failed(task: Task, error: StembridgeError, attempts: int = 1, worker: str = "") -> SongReport:
    """The report of a task that came to nothing."""
    facts = {
        "source": task.source,
        "kind": task.kind,
        "status": "failed",
        "error": {"code": error.code, "text": str(error)},
    }
    why = SongError(error.code, str(error))
    return SongReport(
        task.kind, task.source, "failed", facts, (), (), why, task.audio_s, 0.0, attempts, worker
    )


def plain(error: StembridgeError) -> StembridgeError:
    """An error that survives pickling: its text and its code, nothing attached."""
    copy = StembridgeError(str(error))
    copy.code = error.code
    return copy
