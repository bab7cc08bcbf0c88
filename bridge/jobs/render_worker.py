"""The process that renders: one job after the other, with its model warm.

Commands come in as lines of JSON, news go out the same way, on descriptors of its own: what plug-ins print
on 1 goes to 2. When the pipe ends, so does the process; on Linux the kernel ends it with its parent.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from stembridge.model.errors import AudioFileNotFoundError, CancelledError, OutputError, StembridgeError
from stembridge.model.platform import die_with_parent, give_way, keep_freed_memory
from stembridge.model.units import SILENCE_DB

from .leftovers import Journal

EXIT_OUT_OF_MEMORY = 86
"""How this process ends when there is no memory left."""
_PROGRESS_S = 0.1
_END_S = 5.0


@dataclass
class _Orders:
    """What the parent has said, shared between the thread that listens and the one that works."""

    tasks: queue.SimpleQueue[Mapping[str, Any] | None] = field(default_factory=queue.SimpleQueue)
    cancelled: set[int] = field(default_factory=set)
    stopping: threading.Event = field(default_factory=threading.Event)


class _News:
    """The way back; from any thread."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lock = threading.Lock()

    def say(self, what: str, **details: Any) -> None:
        """Send a line; a parent that is gone does not matter, for this process goes too."""
        line = json.dumps({"say": what, **details}).encode() + b"\n"
        with self._lock, contextlib.suppress(OSError):
            self._file.write(line)


def main(arguments: list[str]) -> None:
    """Serve commands until the pipe ends. Does not return. The argument is the parent's process id."""
    die_with_parent(int(arguments[0]))
    for name in ("SIGINT", "SIGHUP"):  # what a terminal sends to all is the parent's to answer
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    commands, answers = _private_pipes()
    keep_freed_memory()
    news, orders = _News(answers), _Orders()
    setup = json.loads(commands.readline() or b"null")
    if setup is None:
        os._exit(0)
    threading.Thread(target=_listen, args=(commands, orders), name="orders", daemon=True).start()
    code = 1
    try:
        _work(setup, orders, news)
        code = 0
    except MemoryError:
        code = EXIT_OUT_OF_MEMORY
    finally:
        sys.stderr.flush()
        os._exit(code)  # without what libraries do at exit: nothing here is unfinished


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Move the pipes to descriptors of our own; what others print goes to standard error."""
    commands, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return os.fdopen(commands, "rb"), os.fdopen(answers, "wb", buffering=0)


def _listen(commands: BinaryIO, orders: _Orders) -> None:
    """The thread that hears orders while another one works."""
    for line in commands:
        order = json.loads(line)
        match order["do"]:
            case "render":
                orders.tasks.put(order)
            case "cancel":
                orders.cancelled.add(order["job"])
            case "stop":
                break
    orders.stopping.set()
    orders.tasks.put(None)
    time.sleep(_END_S)
    os._exit(1)  # it hangs: whoever comes next clears up


def _work(setup: Mapping[str, Any], orders: _Orders, news: _News) -> None:
    from stembridge.model.stem_cache import StemCache

    cache = StemCache(Path(setup["cache"]), setup["cache_bytes"]) if setup["cache"] else None
    with Journal(Path(setup["journals"])) as journal:
        news.say("ready")
        if setup["warm"]:
            threading.Thread(target=_warm, args=(setup["warm"], news), name="warm", daemon=True).start()
        if cache is not None:
            cache.sweep()
        while (order := orders.tasks.get()) is not None:
            _carry_out(order, cache, journal, orders, news)


def _warm(model: str, news: _News) -> None:
    """Load what a first job would wait for: the libraries, the network, and the paths through both."""
    give_way()
    began = time.monotonic()
    try:
        import numpy as np
        from stembridge.model import rendering  # noqa: F401
        from stembridge.model.registry import create_separator, separator_entry

        rate = separator_entry(model).rate or 44100
        separator = create_separator(model, rate, 2)
        separator.push(np.zeros((2, rate), np.float32))
        separator.flush()
    except Exception as error:  # a job will say so, too, if it needs what is missing
        news.say("cold", text=f"{type(error).__name__}: {error}")
        return
    news.say("warm", seconds=round(time.monotonic() - began, 3))


def _carry_out(order: Mapping[str, Any], cache: Any, journal: Journal, orders: _Orders, news: _News) -> None:
    """Do one job and say what became of it. Raises MemoryError, which ends the process."""
    job: int = order["job"]
    news.say("progress", job=job, stage="read", fraction=0.0)

    def check() -> None:
        if job in orders.cancelled or orders.stopping.is_set():
            raise CancelledError("cancelled")

    try:
        check()
        result = _render(job, order["spec"], cache, journal, check, news)
        news.say("done", job=job, result=result)
    except MemoryError:
        raise
    except CancelledError:
        news.say("cancelled", job=job)
    except StembridgeError as error:
        news.say("failed", job=job, code=error.code, text=str(error))
    except OSError as error:
        code = "disk_full" if error.errno == errno.ENOSPC else "internal"
        news.say("failed", job=job, code=code, text=f"{type(error).__name__}: {error}")
    except Exception as error:
        news.say("failed", job=job, code="internal", text=f"{type(error).__name__}: {error}")
    finally:
        orders.cancelled.discard(job)


def _render(job: int, text: str, cache: Any, journal: Journal, check: Any, news: _News) -> dict[str, Any]:
    from stembridge.model.rendering import plan_render, render

    from .spec_json import spec_from_json

    spec = spec_from_json(text)
    plan = plan_render(spec)
    check()
    inside(plan.paths, spec.out)
    if Path(os.path.realpath(spec.source)) != spec.source:
        raise AudioFileNotFoundError(
            f"{spec.source} has become a link since the job was queued: queue it again"
        )
    said = began = time.monotonic()
    journal.note(sorted({path.parent for path in plan.paths}))
    try:
        with closing(render(plan.settled, cache=cache)) as steps:
            for step in steps:
                if step.result is None:  # else all is in place, and it is too late
                    check()
                    if step.fraction >= 1.0:
                        news.say("publishing", job=job)
                now = time.monotonic()
                if now - said >= _PROGRESS_S or step.result is not None:
                    said = now
                    news.say("progress", job=job, stage=step.stage, fraction=step.fraction)
                result = step.result
    finally:
        journal.clear()
    assert result is not None
    return _facts(result, time.monotonic() - began)


def inside(paths: list[Path], folder: Path) -> None:
    """Refuse to write anywhere but below a folder, links followed. Raises OutputError."""
    root = Path(os.path.realpath(folder))
    for path in paths:
        if root not in Path(os.path.realpath(path.parent), path.name).parents or path.name in ("", "..", "."):
            raise OutputError(
                f"{path} does not lie below the output folder {folder}: nothing is written there"
            )


def _facts(result: Any, seconds: float) -> dict[str, Any]:
    """What the queue keeps of a finished render."""
    folder = result.plan.manifest_path.parent
    files = [
        {
            "stem": entry.stem,
            "kind": entry.kind,
            "path": str(folder / entry.file),
            "sample_rate": entry.sample_rate,
            "channels": entry.channels,
            "peak_db": SILENCE_DB if entry.peak_db is None else entry.peak_db,
            "start_frame": entry.start_frame,
            "gain_db": entry.gain_db,
            "bytes": entry.bytes,
            "changed_ns": entry.changed_ns,
            "hash": entry.hash,
        }
        for entry in result.files
    ]
    return {
        "manifest": str(result.plan.manifest_path),
        "track": result.plan.info.path.stem,
        "seconds": round(seconds, 3),
        "files": files,
        "skipped": result.skipped,
        "cached": result.cached,
        "null_db": result.null_db,
        "warnings": list(result.warnings),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
