"""A batch on the workers of a Dask scheduler: the same tasks, done there, reported here.

Dask keeps the queue, notices lost workers and gives their songs to others; outputs appear complete or not at
all, so doing a song again harms nothing. A few songs per worker are handed over at a time, which keeps a
scheduler small however long the batch.

Start them with `dask scheduler`, and on each machine `dask worker tcp://host:8786 --nthreads 1` (on one with
a GPU: `--resources GPU=1`). Files must lie where all of them see them under the same path, or behind URLs.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, fields, is_dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from stembridge.model.errors import (
    ArgumentValueError,
    CancelledError,
    ModelMissingError,
    StateError,
    StembridgeError,
)
from stembridge.model.platform import keep_freed_memory
from stembridge.model.stem_cache import StemCache

from .batches.task import SongReport, Step, Task, carry_out, plain
from .batches.workers import News
from .config import load_config

_AHEAD = 2
"""Songs handed over per thread there is: one that runs, one that waits."""
_STOP_S = 30.0
_LOOK_EVERY_S = 2.0
_STEP_EVERY_S = 1.0
_STEPS_PER_S = 200
"""How many steps a scheduler is asked to pass on, at most."""

_MUST_AGREE = ("stembridge", "numpy", "scipy", "pedalboard", "soundfile", "soxr", "torch", "distributed")
"""What samples, or the messages between machines, depend on."""


class ClusterWorkers:
    """The workers of one scheduler. Raises StateError or ModelMissingError where it cannot be used."""

    def __init__(
        self, address: str, inbox: SimpleQueue[Any], *, cached: bool = True, connect_s: float = 20.0
    ) -> None:
        """`cached`: whether each machine uses and fills its own stem cache."""
        try:
            from distributed import Client
        except ImportError as error:
            raise ModelMissingError(
                "--cluster needs Dask: pip install 'stembridge[cluster]' here and on every worker"
            ) from error
        self._inbox, self._cached = inbox, cached
        self._batch = f"stembridge-{secrets.token_hex(6)}"
        self._tasks: dict[int, Any] = {}
        """The futures of what was handed over and has not ended."""
        self._versions = versions()
        self._known: Mapping[str, Any] = {}
        self._looked = -_LOOK_EVERY_S
        try:
            connect: Any = Client
            self._client: Any = connect(address, timeout=connect_s, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise StateError(
                f"no Dask scheduler answers at {address} ({error}): start one with `dask scheduler`, and "
                "give the address it prints"
            ) from error
        try:
            self._check_versions()
            self._client.subscribe_topic(self._batch, self._hear)
        except BaseException:
            self._client.close()
            raise

    @property
    def room(self) -> int:
        """How many more tasks are welcome now: workers may come and go at any time."""
        return max(1, _AHEAD * self.threads) - len(self._tasks)

    def give(self, number: int, task: Task) -> None:
        """Hand a task over to whichever worker has room, one with a GPU where the task wants one."""
        call = Call(
            self._batch,
            number,
            absolute(task),
            self._versions,
            self._cached,
            max(_STEP_EVERY_S, self.threads / _STEPS_PER_S),
        )
        future: Any = self._client.submit(
            do,
            call,
            key=f"{self._batch}-{number}-{secrets.token_hex(4)}",
            pure=False,
            resources={"GPU": 1} if self._wants_gpu(task) else None,
        )
        self._tasks[number] = future
        future.add_done_callback(lambda done: self._ended(number, done))

    def stop(self) -> None:
        """Cancel what waits and what runs; returns when what runs has put its files away."""
        tasks, self._tasks = self._tasks, {}
        try:
            if tasks:
                self._client.cancel(list(tasks.values()), force=True)
                self._client.run(cancel, self._batch, on_error="ignore")
        except (OSError, TimeoutError):  # the scheduler is gone: its workers end by themselves
            pass
        finally:
            self._client.close()

    def _hear(self, event: tuple[float, Mapping[str, Any]]) -> None:
        """On the client's own thread: a step of a song."""
        said = event[1]
        number = int(said["number"])
        if number in self._tasks:
            step = Step(str(said["stage"]), float(said["fraction"]))
            self._inbox.put(News(number, step, str(said["worker"])))

    def _ended(self, number: int, future: Any) -> None:
        """On a thread of the client's: a song is done, or Dask has given it up."""
        if number not in self._tasks or self._tasks[number] is not future:
            return
        try:
            news, worker = future.result()
        except Exception as failed:
            error = failed
        else:
            self._over(number, News(number, news, worker))
            return
        reason = f"{type(error).__name__}: {error}"
        if type(error).__name__ == "KilledWorker":
            reason = "every worker that it was given to died"
        failure = StembridgeError(f"the cluster could not do it: {reason}")
        failure.code = "process_died" if "died" in reason else "internal"
        self._over(number, News(number, failure, ""))

    def _over(self, number: int, news: News) -> None:
        if self._tasks.pop(number, None) is not None:
            self._inbox.put(news)

    @property
    def threads(self) -> int:
        """How many songs the workers that are there can do at once."""
        return sum(int(worker["nthreads"]) for worker in self._workers().values())

    def _workers(self) -> Mapping[str, Any]:
        """What the scheduler knows of its workers; asked now and then, for a thousand are a long answer."""
        if time.monotonic() - self._looked >= _LOOK_EVERY_S:
            self._known = dict(self._client.scheduler_info(n_workers=-1)["workers"])
            self._looked = time.monotonic()
        return self._known

    def _wants_gpu(self, task: Task) -> bool:
        """Whether a task is for a worker that announces a GPU: it asks for one, or takes what there is."""
        from stembridge.model.registry import separator_entry

        device = getattr(task.spec, "device", "cpu")
        model = getattr(task.spec, "model", None)
        if not getattr(task.spec, "separates", True):  # a master by its mix alone
            return False
        if device not in ("auto", "cuda") or model is None or not separator_entry(model).uses_device:
            return False
        announced = any(worker.get("resources", {}).get("GPU") for worker in self._workers().values())
        if device == "cuda" and not announced:
            raise ArgumentValueError(
                "-d cuda: no worker of this cluster announces a GPU; start those that have one with "
                "`dask worker ... --resources GPU=1`"
            )
        return announced

    def _check_versions(self) -> None:
        """Refuse workers that would make other samples, or not understand what they are sent."""
        found = self._client.run(versions, on_error="return")
        for worker, theirs in found.items():
            if isinstance(theirs, BaseException):
                raise StateError(
                    f"the worker {worker} cannot run stembridge ({type(theirs).__name__}: {theirs}): install "
                    f"stembridge[cluster] {self._versions['stembridge']} in the environment it was started in"
                )
            _compare(self._versions, theirs, worker)


@dataclass(frozen=True)
class Call:
    """A task and what its worker needs to know besides."""

    batch: str
    number: int
    task: Task
    versions: Mapping[str, str]
    """The client's."""
    cached: bool
    step_every_s: float


def do(call: Call) -> tuple[SongReport | StembridgeError, str]:
    """On a worker: do one task, tell the batch how far it is, and stop when the batch is cancelled."""
    from distributed import get_worker

    keep_freed_memory()  # Dask's nanny asks for the opposite, which costs a render most of its time
    worker = get_worker()
    name, here = str(worker.address), _here(worker)
    here.running.add((call.batch, call.number))
    try:
        _compare(call.versions, versions(), name)
        with closing(carry_out(call.task, _cache() if call.cached else None)) as steps:
            told = 0.0
            for news in steps:
                if call.batch in here.cancelled:
                    return CancelledError("cancelled"), name
                if isinstance(news, SongReport):
                    return news, name
                if time.monotonic() - told >= call.step_every_s:
                    told = time.monotonic()
                    said = {"number": call.number, "stage": news.stage, "fraction": news.fraction}
                    worker.log_event(call.batch, {**said, "worker": name})
    except StembridgeError as error:
        return plain(error), name
    finally:
        here.running.discard((call.batch, call.number))
    return StateError(f"{call.task.source}: it ended without a result"), name


async def cancel(batch: str, dask_worker: Any = None) -> None:
    """On every worker: let the songs of a batch stop at their next step, and wait until they have."""
    here = _here(dask_worker)
    here.cancelled.add(batch)
    deadline = time.monotonic() + _STOP_S
    while any(one == batch for one, _ in list(here.running)) and time.monotonic() < deadline:
        await asyncio.sleep(0.02)


@dataclass
class _Here:
    """What a worker knows of the batches it works for."""

    running: set[tuple[str, int]] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)


def _here(worker: Any) -> _Here:
    found = worker.extensions.setdefault("stembridge", _Here())
    if not isinstance(found, _Here):
        raise StateError("somebody else keeps something on this Dask worker under our name")
    return found


def _cache() -> StemCache:
    """The stem cache of the machine a worker runs on."""
    config = load_config().cache
    return StemCache(config.folder, config.limit_bytes)


def versions() -> dict[str, str]:
    """What is installed here, of what must be the same everywhere; builds for other hardware count as one."""
    found = {"python": f"{sys.version_info[0]}.{sys.version_info[1]}"}
    for name in _MUST_AGREE:
        try:
            found[name] = version(name).partition("+")[0]
        except PackageNotFoundError:
            found[name] = "none"
    return found


def absolute(task: Task) -> Task:
    """The task with paths that mean the same wherever a worker was started."""
    return replace(task, spec=_absolute(task.spec))


def _absolute(value: Any) -> Any:
    if isinstance(value, Path):
        return value.expanduser().absolute()
    if isinstance(value, tuple):
        return tuple(map(_absolute, value))
    if isinstance(value, Mapping):
        return {key: _absolute(one) for key, one in value.items()}
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changes: dict[str, Any] = {
        one.name: _absolute(getattr(value, one.name)) for one in fields(value) if one.init
    }
    model = changes.get("model")
    if isinstance(model, str) and Path(model).expanduser().is_file():
        changes["model"] = str(Path(model).expanduser().absolute())
    return replace(value, **changes)


def _compare(ours: Mapping[str, str], theirs: Mapping[str, str], worker: str) -> None:
    """Raise StateError, naming every difference, unless two machines agree."""
    different = [
        f"{name} {ours.get(name, 'none')} here, {theirs.get(name, 'none')} there"
        for name in dict.fromkeys((*ours, *theirs))
        if ours.get(name) != theirs.get(name)
    ]
    if different:
        raise StateError(
            f"the worker {worker} has other versions ({'; '.join(different)}): install the same on all "
            "machines, or they would not make the same files"
        )
