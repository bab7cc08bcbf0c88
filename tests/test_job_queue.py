"""The queue of jobs: what is promised survives, order and attempts are as they should be."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from stembridge.bridge.desk import NotFoundError
from stembridge.bridge.hub import Refusal
from stembridge.bridge.jobs.aside import Aside, StuckError
from stembridge.bridge.jobs.job import Job
from stembridge.bridge.jobs.leftovers import Journal, is_temporary, sweep
from stembridge.bridge.jobs.queue import JobQueue
from stembridge.bridge.jobs.state_folder import StateFolder, StateFolderError
from stembridge.bridge.jobs.store import SCHEMA, JobStore, QueueFileError

STAMP = (100, 123456789012345678, 42)
PATIENCE_S = 60.0


@asynccontextmanager
async def opened(folder: Path, **limits: int) -> AsyncIterator[JobQueue]:
    queue = JobQueue(JobStore(folder / "jobs.sqlite"), **limits)
    await queue.open()
    try:
        yield queue
    finally:
        await queue.close()


def with_queue(folder: Path, test: Callable[[JobQueue], Awaitable[None]], **limits: int) -> None:
    async def run() -> None:
        async with opened(folder, **limits) as queue:
            await test(queue)

    asyncio.run(run())


def test_what_was_put_in_line_is_there_for_the_next_bridge(tmp_path: Path) -> None:
    async def first(queue: JobQueue) -> None:
        for tag in ("a", "", "b", "c"):
            await queue.add(tag, f"spec of {tag}", STAMP)
        queue.begin(1)
        await queue.done(1, {"files": [{"path": "\udcff.wav"}], "seconds": 1.5})
        queue.begin(2)
        assert (await queue.died(2, 0.4, "internal", "it died")).state == "queued"
        queue.begin(2)
        await queue.fail(3, "bad_file", "odd \udcff name")

    async def second(queue: JobQueue) -> None:
        done, again, failed, waiting = queue.jobs()
        assert done == Job(1, 1, "a", "spec of a", STAMP, "done", result=done.result)
        assert done.result == {"files": [{"path": "\udcff.wav"}], "seconds": 1.5}
        # It was running when the bridge ended: it is in line, and nothing of that counts.
        assert again == Job(2, 2, "", "spec of ", STAMP, "queued", 0, 0.4)
        assert (failed.state, failed.code, failed.text) == ("failed", "bad_file", "odd \\udcff name")
        assert waiting.state == "queued"
        assert (await queue.head()).id == 2
        assert queue.tagged("a") == done
        assert queue.tagged("") is None
        assert (await queue.add("d", "s", STAMP)).id == 5

    with_queue(tmp_path, first)
    with_queue(tmp_path, second)


def test_a_promise_outlives_the_process_that_made_it(tmp_path: Path) -> None:
    """Killed the moment after the promise, again and again: every job that was promised is there."""
    code = (
        "import asyncio, os, sys\nfrom pathlib import Path\n"
        "from stembridge.bridge.jobs.queue import JobQueue\n"
        "from stembridge.bridge.jobs.store import JobStore\n"
        "async def main():\n"
        f"    queue = JobQueue(JobStore(Path({str(tmp_path / 'jobs.sqlite')!r})))\n"
        "    await queue.open()\n"
        "    async def add(n):\n"
        "        job = await queue.add(f'{os.getpid()} {n}', 'spec', (1, 2, 3))\n"
        "        os.write(1, f'{job.id} {job.tag}\\n'.encode())\n"
        "        if n == int(sys.argv[1]): os.kill(os.getpid(), 9)\n"
        "    await asyncio.gather(*(add(n) for n in range(40)))\n"
        "asyncio.run(main())\n"
    )
    promised = []
    for last in (0, 17, 39):
        done = subprocess.run(
            [sys.executable, "-c", code, str(last)], capture_output=True, text=True, check=False
        )
        assert done.returncode == -9, done.stderr
        promised += done.stdout.split("\n")[:-1]
    assert len(promised) >= 3

    async def test(queue: JobQueue) -> None:
        there = {f"{job.id} {job.tag}" for job in queue.jobs()}
        assert set(promised) <= there
        assert len({job.id for job in queue.jobs()}) == len(queue.jobs())

    with_queue(tmp_path, test)


def test_a_job_is_promised_only_when_it_is_on_disk(tmp_path: Path) -> None:
    async def test(queue: JobQueue) -> None:
        await queue.add("first", "s", STAMP)
        other = sqlite3.connect(tmp_path / "jobs.sqlite", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")  # nobody else writes now
        adding = asyncio.ensure_future(queue.add("second", "s", STAMP))
        same = asyncio.ensure_future(queue.promised(2))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await asyncio.shield(adding)
        assert (await queue.head()).id == 1
        assert queue.waiting == 2
        queue.begin(1)
        head = asyncio.ensure_future(queue.head())
        await asyncio.sleep(0)
        assert not head.done()
        other.execute("COMMIT")
        other.close()
        async with asyncio.timeout(PATIENCE_S):
            assert (await adding).id == (await same).id == (await head).id == 2

    with_queue(tmp_path, test)


def test_a_disk_that_refuses_is_said_and_takes_no_job(tmp_path: Path) -> None:
    async def test(queue: JobQueue) -> None:
        await queue.add("kept", "s", STAMP)
        other = sqlite3.connect(tmp_path / "jobs.sqlite", isolation_level=None)
        other.execute("DROP TABLE jobs")
        with pytest.raises(QueueFileError, match="cannot be written"):
            await queue.add("lost", "s", STAMP)
        with pytest.raises(QueueFileError):
            await queue.add("kept", "other", STAMP)
        other.close()
        assert [job.tag for job in queue.jobs()] == ["kept"]
        assert queue.tagged("lost") is None
        kept = queue.tagged("kept")
        assert kept is not None
        assert kept.id == 1
        # What runs goes on as long as this bridge lives.
        queue.begin(1)
        assert (await queue.done(1, {})).state == "done"

    with_queue(tmp_path, test)


def test_jobs_come_in_the_order_they_were_asked_for(tmp_path: Path) -> None:
    async def test(queue: JobQueue) -> None:
        jobs = await asyncio.gather(*(queue.add("", str(n), STAMP) for n in range(100)))
        assert [job.id for job in jobs] == list(range(1, 101))
        assert [queue.position(job) for job in jobs] == list(range(100))
        await queue.cancel(2)
        queue.begin(1)
        assert (await queue.head()).id == 3
        assert queue.position(jobs[2]) == 1
        assert queue.running() == queue.get(1)
        # One whose worker died keeps its place; one that is asked for again goes to the end.
        await queue.died(1, 0.5, "internal", "")
        assert (await queue.head()).id == 1
        await queue.fail(1, "internal", "")
        again = await queue.again(1)
        assert (again.id, again.state, queue.position(again)) == (1, "queued", 98)
        with pytest.raises(NotFoundError, match="/job/list"):
            queue.get(101)

    with_queue(tmp_path, test)


@pytest.mark.parametrize(
    ("reached", "state", "attempts"),
    [
        ([0.0], "queued", 1),
        ([0.0, 0.0], "failed", 2),
        ([0.5], "queued", 0),
        ([0.5, 0.5, 0.2], "failed", 2),
        ([0.5, 0.3, 0.6, 0.7], "queued", 1),
        ([0.5, 0.3, 0.6, 0.2], "failed", 2),
        ([0.5, 0.501, 0.502], "failed", 2),  # as good as the same point
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "queued", 0),
    ],
)
def test_an_attempt_counts_that_got_no_further(
    tmp_path: Path, reached: list[float], state: str, attempts: int
) -> None:
    async def test(queue: JobQueue) -> None:
        await queue.add("", "s", STAMP)
        for fraction in reached:
            queue.begin(1)
            job = await queue.died(1, fraction, "out_of_memory", "too much")
        assert (job.state, job.attempts) == (state, attempts)
        assert job.code == ("out_of_memory" if state == "failed" else "")

    with_queue(tmp_path, test)


def test_there_is_an_end_to_what_is_queued_and_remembered(tmp_path: Path) -> None:
    async def first(queue: JobQueue) -> None:
        for n in range(3):
            await queue.add(f"tag {n}", "s", STAMP)
        with pytest.raises(Refusal, match="wait already") as caught:
            await queue.add("", "s", STAMP)
        assert caught.value.code == "busy"
        for n in (3, 1, 2):
            queue.begin(n)
            await queue.done(n, {})
        await queue.add("tag 9", "s", STAMP)
        await queue.cancel(4)
        assert [job.id for job in queue.jobs()] == [2, 4]
        assert queue.tagged("tag 2") is None
        assert queue.tagged("tag 1") == queue.get(2)
        assert [job.id for job in queue.recent(1)] == [4]

    async def second(queue: JobQueue) -> None:
        assert [job.id for job in queue.jobs()] == [2, 4]
        await queue.cancel((await queue.add("", "s", STAMP)).id)
        assert [job.id for job in queue.jobs()] == [4, 5]

    async def third(queue: JobQueue) -> None:
        await queue.add("", "s", STAMP)
        assert (await queue.head()).id == 6  # no id comes twice

    with_queue(tmp_path, first, most_queued=3, kept=2)
    with_queue(tmp_path, second, most_queued=3, kept=2)
    with_queue(tmp_path, third)


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    async def test(_: JobQueue) -> None:
        pass

    with_queue(tmp_path, test)
    with sqlite3.connect(tmp_path / "jobs.sqlite") as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    before = (tmp_path / "jobs.sqlite").read_bytes()
    with pytest.raises(QueueFileError, match="newer Stembridge"):
        with_queue(tmp_path, test)
    assert (tmp_path / "jobs.sqlite").read_bytes() == before


def test_a_damaged_file_is_kept_aside(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite").write_bytes(b"no database at all" * 100)

    async def test(queue: JobQueue) -> None:
        assert (await queue.add("", "s", STAMP)).id == 1

    with_queue(tmp_path, test)
    assert (tmp_path / "jobs.damaged.sqlite").read_bytes().startswith(b"no database")


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def test(_: JobQueue) -> None:
        pass

    with pytest.raises(QueueFileError, match="cannot be opened"):
        with_queue(tmp_path / "file", test)


def test_saving_a_job_that_is_there_replaces_it(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    store.open().result(PATIENCE_S)
    job = Job(7, 3, "tag", "spec", STAMP)
    for changed in (job, replace(job, state="running"), replace(job, attempts=1, furthest=0.25)):
        store.save(changed).result(PATIENCE_S)
    store.close()
    store.close()
    assert JobStore(tmp_path / "jobs.sqlite").open().result(PATIENCE_S).jobs == [changed]


# Beside the loop.


def test_work_beside_the_loop_keeps_its_order() -> None:
    async def test() -> None:
        aside = Aside()
        done: list[int] = []
        await asyncio.gather(*(aside.submit(partial(done.append, n)) for n in range(200)))
        assert done == list(range(200))
        with pytest.raises(ZeroDivisionError):
            await aside.submit(lambda: 1 // 0)
        assert await aside.submit(threading.get_ident) != threading.get_ident()
        aside.close()
        with pytest.raises(StuckError):
            await aside.submit(lambda: 1)

    asyncio.run(test())


def test_a_share_that_does_not_answer_holds_up_nobody_else() -> None:
    async def test() -> None:
        aside = Aside(timeout_s=0.2)
        answers = threading.Event()
        dead = aside.submit(answers.wait, "dead share")
        behind = aside.submit(lambda: "same share", "dead share")
        other = aside.submit(lambda: "well", "disk")
        async with asyncio.timeout(PATIENCE_S):
            for future in (dead, behind):
                with pytest.raises(StuckError):
                    await future
            assert await other == "well"
            with pytest.raises(StuckError):
                await aside.submit(lambda: "at once", "dead share")
            answers.set()
            while True:
                try:
                    assert await aside.submit(lambda: "back", "dead share") == "back"
                    break
                except StuckError:
                    await aside.submit(lambda: None, "disk")
        aside.close()

    asyncio.run(test())


# The state folder, and what workers leave.


def test_a_second_bridge_is_told_who_has_the_folder(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom stembridge.bridge.jobs.state_folder import StateFolder\n"
        f"with StateFolder(Path({str(tmp_path)!r})) as folder:\n"
        "    folder.note(4711, 9331)\n    print('here', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "here\n"
        with pytest.raises(StateFolderError, match=r"id 4711 at port 9331.*--state"), StateFolder(tmp_path):
            pass
        other.kill()
    # It left its note, and not its lock.
    with StateFolder(tmp_path) as folder:
        folder.note(os.getpid(), 1)
        with pytest.raises(StateFolderError), StateFolder(tmp_path):
            pass
    assert not (tmp_path / "bridge.json").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(StateFolderError, match="cannot be used"), StateFolder(tmp_path / "file"):
        pass


def test_what_a_killed_worker_had_under_way_is_removed_and_nothing_else(tmp_path: Path) -> None:
    journals, out = tmp_path / "workers", tmp_path / "out"
    code = (
        "import os\nfrom pathlib import Path\nfrom stembridge.bridge.jobs.leftovers import Journal\n"
        f"out = Path({str(out)!r})\n"
        f"with Journal(Path({str(journals)!r})) as journal:\n"
        "    journal.note([out / 'model/Song'])\n"
        "    (out / 'model/Song').mkdir(parents=True)\n"
        "    pid = os.getpid()\n"
        "    for name in (f'0123-{pid}-ab.part.wav', f'0123-{pid}-ab.spool', f'{pid}.0123.part'):\n"
        "        (out / 'model/Song' / f'.stembridge-{name}').write_text('half')\n"
        "    os.kill(pid, 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert len(list((out / "model/Song").iterdir())) == 3
    with Journal(journals) as mine:
        mine.note([tmp_path / "living"])
        assert sweep(journals, patience_s=0.0) == 3
        assert not out.exists()
        # A folder that is used by now stays, and so do other people's files in it.
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
        other = out / "model/Song/.stembridge-0123-1-ab.part.wav"
        other.write_text("of another process")
        assert sweep(journals, patience_s=0.0) == 3
        assert list((out / "model/Song").iterdir()) == [other]
        assert {path.stem for path in journals.iterdir()} == {str(os.getpid())}
    assert not list(journals.iterdir())
    assert sweep(journals) == 0
    assert not is_temporary("Song - bass.wav", 1)
