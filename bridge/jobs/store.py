"""Jobs on disk: SQLite in WAL mode, written by one thread, so that nobody else ever waits for a disk.

What comes while a transaction is being synced goes into the next one together: a burst costs few syncs.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from stembridge.model.errors import StembridgeError

from .job import Job

log = logging.getLogger(__name__)

_MIGRATIONS = (
    """
    CREATE TABLE jobs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        place INTEGER NOT NULL,
        tag TEXT NOT NULL,
        spec TEXT NOT NULL,
        stamp TEXT NOT NULL,
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        furthest REAL NOT NULL,
        code TEXT NOT NULL,
        text TEXT NOT NULL,
        result TEXT NOT NULL
    )
    """,
)
"""What leads from each schema to the next; `PRAGMA user_version` counts those that were applied."""

SCHEMA = len(_MIGRATIONS)
_COLUMNS = ("id", "place", "tag", "spec", "stamp", "state", "attempts", "furthest", "code", "text", "result")
_SAVE = (
    f"INSERT INTO jobs ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS[1:])}"
)
_MOST_AT_ONCE = 32
"""How many writes share a sync: those who wait for them are told in one turn of their loop."""


class QueueFileError(StembridgeError, OSError):
    """A queue that cannot be read or written."""


@dataclass(frozen=True)
class Stored:
    """What an earlier bridge has left."""

    jobs: Sequence[Job]
    last_id: int
    """The highest id ever given, also to jobs that were forgotten since."""


_Write = Callable[[sqlite3.Connection], None]


class JobStore:
    """The file. Every method returns at once; the future tells when, and whether, it is on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inbox: SimpleQueue[tuple[_Write, Future[None]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def open(self) -> Future[Stored]:
        """Open or make the file, and read what is in it. Fails with QueueFileError."""
        opened: Future[Stored] = Future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name="job store", daemon=True)
        self._thread.start()
        return opened

    def save(self, job: Job) -> Future[None]:
        """Write a job as it is now."""
        row = _row(job)
        return self._do(lambda connection: _execute(connection, _SAVE, row))

    def forget(self, ids: Sequence[int]) -> Future[None]:
        """Drop jobs."""
        rows = [(id,) for id in ids]

        def drop(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM jobs WHERE id = ?", rows)

        return self._do(drop)

    def close(self) -> None:
        """Write what is waiting and let go of the file. Twice is fine."""
        if self._thread is not None:
            self._inbox.put(None)
            self._thread.join()
            self._thread = None

    def _do(self, write: _Write) -> Future[None]:
        written: Future[None] = Future()
        if self._thread is None:
            written.set_exception(QueueFileError(f"{self._path} is closed"))
        else:
            self._inbox.put((write, written))
        return written

    def _run(self, opened: Future[Stored]) -> None:
        """The thread."""
        try:
            connection = _open(self._path)
            with contextlib.closing(connection):
                opened.set_result(_read(connection))
                while (batch := self._batch()) is not None:
                    _commit(connection, batch, self._path)
        except (sqlite3.Error, OSError, QueueFileError) as error:
            if opened.done():
                log.exception("the queue of jobs %s has failed", self._path)
                return
            opened.set_exception(
                error
                if isinstance(error, QueueFileError)
                else QueueFileError(f"the queue of jobs {self._path} cannot be opened: {error}")
            )

    def _batch(self) -> list[tuple[_Write, Future[None]]] | None:
        """The next writes, as many as there are; None at the end."""
        if (first := self._inbox.get()) is None:
            return None
        batch = [first]
        with contextlib.suppress(Empty):
            while len(batch) < _MOST_AT_ONCE:
                if (more := self._inbox.get_nowait()) is None:
                    self._inbox.put(None)  # for the next call
                    break
                batch.append(more)
        # Whoever gave up waiting can do so no longer: the write is on its way.
        return [item for item in batch if item[1].set_running_or_notify_cancel()]


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _connected(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        kept = path.with_suffix(".damaged.sqlite")
        log.warning("%s is damaged (%s): kept as %s, the queue starts empty", path, error, kept.name)
        os.replace(path, kept)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return _connected(path)


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        schema = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if schema > SCHEMA:
            raise QueueFileError(
                f"{path} was written by a newer Stembridge (schema {schema}, this one knows {SCHEMA}): "
                "update, or choose another folder with --state"
            )
        for number in range(schema, SCHEMA):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_MIGRATIONS[number])
            connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _read(connection: sqlite3.Connection) -> Stored:
    rows = connection.execute(f"SELECT {', '.join(_COLUMNS)} FROM jobs ORDER BY id").fetchall()
    last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'").fetchone()
    return Stored([_job(row) for row in rows], int(last[0]) if last else 0)


def _commit(connection: sqlite3.Connection, batch: Sequence[tuple[_Write, Future[None]]], path: Path) -> None:
    """Do all writes of a batch, or none of them."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        for write, _ in batch:
            write(connection)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        for _, written in batch:
            written.set_exception(QueueFileError(f"the queue of jobs {path} cannot be written: {error}"))
        return
    for _, written in batch:
        written.set_result(None)


def _execute(connection: sqlite3.Connection, statement: str, row: Sequence[object]) -> None:
    connection.execute(statement, row)


def _row(job: Job) -> tuple[object, ...]:
    values = {name: getattr(job, name) for name in _COLUMNS}
    values |= {"stamp": json.dumps(job.stamp), "result": json.dumps(job.result)}
    return tuple(values.values())


def _job(row: Sequence[object]) -> Job:
    values = dict(zip(_COLUMNS, row, strict=True))
    values |= {"stamp": tuple(json.loads(str(values["stamp"]))), "result": json.loads(str(values["result"]))}
    return Job(**values)  # type: ignore[arg-type]
