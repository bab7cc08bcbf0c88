"""Render jobs: asked for, kept, rendered by a real worker process, told about until they end."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import peers
import psutil
import pytest
from job_bridges import JobBridge, job_bridge, left_half, write_noise
from rendered import files, read, write_song
from stembridge.bridge import commands as c
from stembridge.bridge import events as e
from stembridge.bridge.hub import Refusal


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write_song(tmp_path / "music/Album/Song.wav")


@pytest.fixture
def long_song(tmp_path: Path) -> Path:
    return write_noise(tmp_path / "music/Long.wav", 30)


def with_bridge(folder: Path, test: Callable[[JobBridge], Awaitable[None]], **settings: Any) -> None:
    async def run() -> None:
        async with job_bridge(folder, **settings) as bridge:
            await test(bridge)

    asyncio.run(run())


def test_a_render_gives_stems_that_add_up_to_the_song(song: Path, tmp_path: Path) -> None:
    async def test(bridge: JobBridge) -> None:
        await bridge.jobs.worker.warm.wait()
        stems = await bridge.rendered(c.Render("take 1", str(song)))
        assert list(stems) == ["drums", "bass", "other", "vocals"]
        assert stems["bass"] == tmp_path / "out/classic/Album/Song/Song - bass.wav"
        np.testing.assert_allclose(sum(map(read, stems.values())), read(song), atol=1e-6)
        accepted, *progress = [ev for ev in bridge.events if isinstance(ev, e.JobAccepted | e.JobProgress)]
        assert accepted == e.JobAccepted("take 1", 1, 0)
        steps = [event for event in progress if isinstance(event, e.JobProgress)]
        assert (steps[0].stage, steps[0].fraction) == ("read", 0.0)
        assert (steps[-1].stage, steps[-1].fraction) == ("done", 1.0)
        assert [step.fraction for step in steps] == sorted(step.fraction for step in steps)
        assert isinstance(bridge.events[-1], e.JobDone)
        assert await bridge.ask(c.AskJob(1)) == [e.JobState(1, "done", 1.0, "take 1", "", "")]
        assert (await bridge.refused(c.AskJob(None))).code == "not_found"
        assert (await bridge.refused(c.AskJob(99))).code == "not_found"
        # The files are for a DAW now.
        imported = await bridge.jobs.stems_of(1)
        assert [stem.track for stem in imported.stems] == [f"{stem} - Song" for stem in stems]
        assert imported.manifest.is_file()
        stems["bass"].unlink()
        with pytest.raises(Refusal, match="changed or gone"):
            await bridge.jobs.stems_of(1)

    with_bridge(tmp_path, test, warm="classic")


def test_a_job_freezes_the_desk_when_it_is_accepted(song: Path, tmp_path: Path) -> None:
    async def test(bridge: JobBridge) -> None:
        await bridge.ask(c.SetGain("vocals", -6.0))
        await bridge.ask(c.SetMute("drums", True))
        await bridge.ask(c.SetGain("guitar", 6.0))  # a strip this model has no stem for
        await bridge.ask(c.SetMasterGain(-3.0))
        since = len(bridge.events)
        bridge.hub.send(c.Render("", str(song)), "test")
        await bridge.ask(c.ResetMix())
        await bridge.heard(e.JobDone, since=since)
        stems = {ev.stem: read(Path(ev.path)) for ev in bridge.events if isinstance(ev, e.JobStem)}
        assert list(stems) == ["drums", "bass", "other", "vocals", "mix"]
        expected = 10 ** (-3 / 20) * (stems["bass"] + stems["other"] + 10 ** (-6 / 20) * stems["vocals"])
        np.testing.assert_allclose(stems["mix"], expected, atol=2e-6)
        assert np.abs(stems["drums"]).max() > 0.1

    with_bridge(tmp_path, test)


def test_at_unity_the_mix_is_written_when_asked_for_and_is_the_song(song: Path, tmp_path: Path) -> None:
    async def test(bridge: JobBridge) -> None:
        await bridge.ask(c.SetGain("vocals", -6.0))
        wishes = (("mix", "1"), ("gain", "vocals=0"), ("stems", "vocals,no_vocals"))
        stems = await bridge.rendered(c.Render("", str(song), None, wishes))
        assert list(stems) == ["vocals", "no_vocals", "mix"]
        assert np.array_equal(read(stems["mix"]), read(song))

    with_bridge(tmp_path, test)


def test_a_preset_renders_what_the_command_line_would_and_its_stems(song: Path, tmp_path: Path) -> None:
    from stembridge.bridge.config import Config
    from stembridge.bridge.inputs import Song
    from stembridge.bridge.requests import RenderRequest
    from stembridge.model.rendering import render

    async def test(bridge: JobBridge) -> None:
        await bridge.ask(c.SetGain("bass", -20.0))
        stems = await bridge.rendered(c.Render("", str(song), "karaoke"))
        assert list(stems) == ["drums", "bass", "other", "vocals", "karaoke"]
        request = RenderRequest(preset=("karaoke",), model="classic", out=tmp_path / "cli")
        *_, last = render(request.spec(Song(song), Config()))
        assert last.result is not None
        by_hand = last.result.plan.manifest_path.parent / last.result.files[0].file
        assert by_hand.read_bytes() == stems["karaoke"].read_bytes()

    with_bridge(tmp_path, test)


def test_sensitivities_of_the_desk_are_those_of_the_job(song: Path, tmp_path: Path) -> None:
    async def test(bridge: JobBridge) -> None:
        plain = read((await bridge.rendered(c.Render("", str(song))))["vocals"])
        await bridge.ask(c.SetSensitivity("vocals", 9.0))
        more = read((await bridge.rendered(c.Render("", str(song))))["vocals"])
        assert np.square(more).sum() > 1.05 * np.square(plain).sum()
        back = await bridge.rendered(c.Render("", str(song), None, (("sensitivity", "vocals=5"),)))
        assert np.array_equal(read(back["vocals"]), plain)

    with_bridge(tmp_path, test)


def test_a_tag_makes_asking_twice_the_same_as_asking_once(song: Path, tmp_path: Path) -> None:
    async def test(bridge: JobBridge) -> None:
        wish = c.Render("once", str(song))
        first, second = await asyncio.gather(bridge.ask(wish), bridge.ask(wish))
        assert first == second == [e.JobAccepted("once", 1, 0)]
        await bridge.end(1)
        told = [ev for ev in bridge.events if isinstance(ev, e.JobStem | e.JobDone)]
        assert await bridge.ask(wish) == [e.JobAccepted("once", 1, 0), *told]
        # A later job writes the same stems again, beside another mix: the first one's are what they were.
        await bridge.ask(c.SetMute("bass", True))
        await bridge.rendered(c.Render("other", str(song)))
        await bridge.ask(c.SetMute("bass", False))
        assert await bridge.ask(wish) == [e.JobAccepted("once", 1, 0), *told]
        # A file that is missing is made again, by the same job.
        stems = {ev.stem: Path(ev.path) for ev in told if isinstance(ev, e.JobStem)}
        kept = stems["bass"].read_bytes()
        stems["bass"].unlink()
        assert await bridge.rendered(wish) == stems
        assert stems["bass"].read_bytes() == kept
        assert len([job for job in bridge.jobs.queue.jobs() if job.tag == "once"]) == 1
        # Another song under the same name is another job; so are other wishes.
        write_song(song, level=0.5)
        assert await bridge.accepted(wish) == 3
        await bridge.end(3)
        assert await bridge.accepted(c.Render("once", str(song), None, (("stems", "bass"),))) == 4
        await bridge.end(4)

    with_bridge(tmp_path, test)


def test_a_tag_of_a_live_job_takes_no_other_wishes(long_song: Path, tmp_path: Path) -> None:
    async def test(bridge: JobBridge) -> None:
        await bridge.accepted(c.Render("mine", str(long_song)))
        problem = await bridge.refused(c.Render("mine", str(long_song), None, (("mix", "1"),)))
        assert (problem.code, problem.tag) == ("tag_conflict", "mine")
        await bridge.ask(c.CancelJob(1))
        assert await bridge.accepted(c.Render("mine", str(long_song), None, (("mix", "1"),))) == 2
        await bridge.ask(c.CancelJob(2))
        # One that was cancelled is taken up again when the same is asked for once more.
        assert await bridge.accepted(c.Render("mine", str(long_song), None, (("mix", "1"),))) == 2
        assert (await bridge.ask(c.AskJob(2)))[0].state in ("queued", "running")  # type: ignore[attr-defined]

    with_bridge(tmp_path, test)


def test_progress_comes_at_most_ten_times_a_second(long_song: Path, tmp_path: Path) -> None:
    async def test(bridge: JobBridge) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        await bridge.rendered(c.Render("", str(long_song)))
        steps = [event for event in bridge.events if isinstance(event, e.JobProgress)]
        # The first and the last come in any case.
        assert 4 <= len(steps) <= 10 * (clock() - began) + 2
        assert any(step.eta_s > 0 for step in steps)

    with_bridge(tmp_path, test)


def test_jobs_run_in_order_and_can_be_cancelled_in_line(long_song: Path, song: Path, tmp_path: Path) -> None:
    async def test(bridge: JobBridge) -> None:
        wishes = [c.Render("a", str(long_song)), *(c.Render(tag, str(song)) for tag in "bcd")]
        replies = await asyncio.gather(*(bridge.ask(wish) for wish in wishes))
        assert [reply[0] for reply in replies] == [
            e.JobAccepted(tag, n + 1, n) for n, tag in enumerate("abcd")
        ]
        await bridge.running(1)
        assert bridge.jobs.waiting == 4
        assert (await bridge.ask(c.AskJob(None)))[0].job == 1  # type: ignore[attr-defined]
        assert await bridge.ask(c.CancelJob(3)) == [e.JobState(3, "cancelled", 0.0, "c", "", "")]
        await bridge.end(4)
        ends = [ev.job for ev in bridge.events if isinstance(ev, e.JobDone | e.JobCancelled)]
        assert ends == [3, 1, 2, 4]
        # One that has ended stays as it is.
        assert (await bridge.ask(c.CancelJob(1)))[0].state == "done"  # type: ignore[attr-defined]
        *states, end = await bridge.ask(c.ListJobs())
        assert [state.state for state in states] == ["done", "done", "cancelled", "done"]  # type: ignore[attr-defined]
        assert end == e.JobListEnd(4)

    with_bridge(tmp_path, test)


@pytest.mark.parametrize("stopped", [False, True])
def test_cancelling_leaves_nothing_behind(long_song: Path, tmp_path: Path, stopped: bool) -> None:
    """Also where the worker does not answer, and has to be killed."""

    async def test(bridge: JobBridge) -> None:
        await bridge.accepted(c.Render("stop", str(long_song)))
        pid = await bridge.running(1)
        await bridge.heard(e.JobProgress, lambda event: event.stage == "separate")
        assert left_half(tmp_path / "out")
        if stopped:
            os.kill(pid, signal.SIGSTOP)
        assert (await bridge.ask(c.CancelJob(None)))[0].state == "cancelled"  # type: ignore[attr-defined]
        assert await bridge.end(1) == e.JobCancelled(1, "stop")
        assert not (tmp_path / "out").exists() or not list((tmp_path / "out").rglob("*"))
        # The next job is none the worse for it.
        await bridge.rendered(c.Render("", str(write_song(tmp_path / "music/Next.wav"))))
        assert not left_half(tmp_path)

    with_bridge(tmp_path, test, cancel_grace_s=0.5)


def test_a_worker_that_dies_costs_no_job(long_song: Path, tmp_path: Path) -> None:
    async def test(bridge: JobBridge) -> None:
        since = 0
        for _ in range(2):
            if not since:
                await bridge.accepted(c.Render("", str(long_song)))
            await bridge.heard(e.JobProgress, lambda event: event.stage == "separate", since)
            since = len(bridge.events)
            assert bridge.jobs.worker.pid is not None
            os.kill(bridge.jobs.worker.pid, signal.SIGKILL)
        assert isinstance(await bridge.end(1), e.JobDone)
        assert not left_half(tmp_path)

    with_bridge(tmp_path, test)


def test_a_job_that_kills_its_worker_without_getting_anywhere_fails(song: Path, tmp_path: Path) -> None:
    async def test(bridge: JobBridge) -> None:
        loop = asyncio.get_running_loop()

        def kill(event: e.Event, _origin: str) -> None:
            if isinstance(event, e.JobProgress) and event.job == 1 and bridge.jobs.worker.pid:
                loop.call_soon(os.kill, bridge.jobs.worker.pid, signal.SIGKILL)

        bridge.hub.listen(kill)
        await bridge.accepted(c.Render("bad", str(song)))
        end = await bridge.end(1)
        assert isinstance(end, e.JobFailed)
        assert (end.code, end.tag) == ("internal", "bad")
        assert "SIGKILL" in end.text
        bridge.hub.forget(kill)
        await bridge.rendered(c.Render("good", str(song)))

    with_bridge(tmp_path, test)


def test_a_worker_that_hangs_is_ended(song: Path, tmp_path: Path) -> None:
    async def test(bridge: JobBridge) -> None:
        def stop(event: e.Event, _origin: str) -> None:
            if isinstance(event, e.JobProgress) and event.fraction == 0.0 and bridge.jobs.worker.pid:
                os.kill(bridge.jobs.worker.pid, signal.SIGSTOP)

        bridge.hub.listen(stop)
        end = await bridge.end(await bridge.accepted(c.Render("", str(song))))
        assert isinstance(end, e.JobFailed)
        assert end.code == "no_progress"

    with_bridge(tmp_path, test, no_progress_s=1.0)


def test_a_worker_that_takes_too_much_memory_is_ended(song: Path, tmp_path: Path) -> None:
    async def test(bridge: JobBridge) -> None:
        end = await bridge.end(await bridge.accepted(c.Render("", str(song))))
        assert isinstance(end, e.JobFailed)
        assert end.code == "out_of_memory"
        assert "memory_gb" in end.text

    with_bridge(tmp_path, test, memory_bytes=1_000_000)


PLUGIN_PRESET = """\
schema = 1
[[chain.mix]]
file = "ZaMaximX2.vst3"
"""


@pytest.mark.parametrize("victim", ["plug-in", "worker"])
def test_plugins_that_die_are_named_and_those_of_a_dead_worker_die(
    long_song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    peers.vst3("ZaMaximX2")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    presets = tmp_path / "config/stembridge/presets"
    presets.mkdir(parents=True)
    (presets / "limited.toml").write_text(PLUGIN_PRESET)

    async def test(bridge: JobBridge) -> None:
        job = await bridge.accepted(c.Render("", str(long_song), "limited"))
        await bridge.heard(e.JobProgress, lambda event: event.stage == "separate")
        worker = psutil.Process(bridge.jobs.worker.pid)
        (host,) = worker.children()
        if victim == "worker":
            worker.kill()
            assert isinstance(await bridge.end(job), e.JobDone)
        else:
            host.kill()
            end = await bridge.end(job)
            assert isinstance(end, e.JobFailed)
            assert end.code == "plugin_crashed"
            assert "ZaMaximX2" in end.text
        assert not host.is_running()
        assert not left_half(tmp_path)

    with_bridge(tmp_path, test)


def test_what_is_wrong_with_a_song_is_said_by_its_code(tmp_path: Path) -> None:
    async def test(bridge: JobBridge) -> None:
        (tmp_path / "music/Text.wav").write_text("no sound")
        end = await bridge.end(await bridge.accepted(c.Render("", "Text.wav")))
        assert isinstance(end, e.JobFailed)
        assert end.code == "bad_file"
        gone = write_noise(tmp_path / "music/Gone.wav", 1)
        await bridge.accepted(c.Render("", str(write_noise(tmp_path / "music/Long.wav", 20))))
        job = await bridge.accepted(c.Render("", str(gone)))
        gone.unlink()
        end = await bridge.end(job)
        assert isinstance(end, e.JobFailed)
        assert end.code == "not_found"
        state = (await bridge.ask(c.AskJob(job)))[0]
        assert isinstance(state, e.JobState)
        assert (state.state, state.code, state.text) == ("failed", "not_found", end.text)
        swapped = write_song(tmp_path / "music/Swapped.wav")
        write_song(tmp_path / "elsewhere.wav")
        blocker = await bridge.accepted(
            c.Render("", str(tmp_path / "music/Long.wav"), None, (("seed", "1"),))
        )
        job = await bridge.accepted(c.Render("", str(swapped)))
        swapped.unlink()
        swapped.symlink_to(tmp_path / "elsewhere.wav")
        assert isinstance(await bridge.end(job), e.JobFailed)
        assert isinstance(await bridge.end(blocker), e.JobDone)

    with_bridge(tmp_path, test)


def test_the_cache_answers_a_second_request_also_for_a_region(song: Path, tmp_path: Path) -> None:
    async def test(bridge: JobBridge) -> None:
        whole = await bridge.rendered(c.Render("", str(song)))
        await bridge.ask(c.SetGain("vocals", -3.0))
        await bridge.rendered(c.Render("", str(song)))
        region = await bridge.rendered(
            c.Render("", str(song), None, (("start", "0.5"), ("end", "1"), ("stems", "bass")))
        )
        assert [job.result["cached"] for job in bridge.jobs.queue.jobs()] == [False, True, True]
        assert np.array_equal(read(region["bass"]), read(whole["bass"])[:, 22050:44100])

    with_bridge(tmp_path, test)


def test_a_bridge_that_ends_in_the_middle_goes_on_where_it_was(long_song: Path, tmp_path: Path) -> None:
    async def first(bridge: JobBridge) -> None:
        await bridge.accepted(c.Render("long", str(long_song)))
        await bridge.accepted(c.Render("next", str(long_song), None, (("stems", "bass"),)))
        await bridge.heard(e.JobProgress, lambda event: event.stage == "separate")

    async def second(bridge: JobBridge) -> None:
        assert bridge.jobs.waiting == 2
        assert not left_half(tmp_path / "out")
        assert isinstance(await bridge.end(1), e.JobDone)
        assert isinstance(await bridge.end(2), e.JobDone)
        assert [job.attempts for job in bridge.jobs.queue.jobs()] == [0, 0]
        assert await bridge.accepted(c.Render("third", str(long_song), None, (("stems", "drums"),))) == 3

    with_bridge(tmp_path, first)
    assert not left_half(tmp_path / "out")
    with_bridge(tmp_path, second, no_progress_s=20.0)
    assert not left_half(tmp_path)


def test_there_is_room_for_so_many_jobs(long_song: Path, tmp_path: Path) -> None:
    async def test(bridge: JobBridge) -> None:
        wishes = [c.Render(f"job {n}", str(long_song), None, (("seed", str(n)),)) for n in range(8)]
        replies = await asyncio.gather(*(bridge.ask(wish) for wish in wishes))
        assert [type(reply[0]) for reply in replies] == [e.JobAccepted] * 5 + [e.Problem] * 3
        assert {reply[0].code for reply in replies[5:]} == {"busy"}  # type: ignore[attr-defined]
        for job in (2, 3, 4, 5):
            await bridge.ask(c.CancelJob(job))
        assert await bridge.accepted(c.Render("late", str(long_song))) > 5

    with_bridge(tmp_path, test, most_queued=5)


def test_outputs_stay_below_the_output_folder(song: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/classic").symlink_to(elsewhere)
    odd = tmp_path / "music/...wav"
    shutil.copy(song, odd)

    async def test(bridge: JobBridge) -> None:
        end = await bridge.end(await bridge.accepted(c.Render("", str(song))))
        assert isinstance(end, e.JobFailed)
        assert "output folder" in end.text
        assert not files(elsewhere)
        (tmp_path / "out/classic").unlink()
        await bridge.end(await bridge.accepted(c.Render("", str(odd))))
        assert all(path.is_relative_to(tmp_path / "out") for path in tmp_path.rglob("*bass*"))

    with_bridge(tmp_path, test)


def test_a_worker_is_replaced_when_it_has_done_its_share(song: Path, tmp_path: Path) -> None:
    async def test(bridge: JobBridge) -> None:
        pids = set()
        for number in range(4):
            await bridge.rendered(c.Render("", str(song), None, (("seed", str(number)),)))
            pids.add(bridge.jobs.worker.pid)
        assert len(pids) > 1

    with_bridge(tmp_path, test, jobs=2)


def test_the_bridge_itself_never_loads_torch(song: Path, tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom job_bridges import job_bridge\n"
        "from stembridge.bridge import commands as c\n"
        "async def main():\n"
        f"    async with job_bridge(Path({str(tmp_path)!r}), model='default') as bridge:\n"
        f"        stems = await bridge.rendered(c.Render('', {str(song)!r}))\n"
        "        print(len(stems), 'torch' in sys.modules)\n"
        "asyncio.run(main())\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.stdout.strip() == "4 False", done.stderr


def test_what_others_print_does_not_reach_the_pipe(song: Path, tmp_path: Path) -> None:
    """The real worker, with a thread beside it that prints on descriptor 1 all the time, as plug-ins do."""
    from stembridge.bridge.jobs.spec_json import spec_to_json
    from stembridge.model.rendering import RenderSpec

    code = (
        "import os, sys, threading\nfrom stembridge.bridge.jobs import render_worker\n"
        "pipes = render_worker._private_pipes\n"
        "def noisy():\n"
        '    while True: os.write(1, b\'{"say": "done"}\\n\')\n'
        "def private():\n"
        "    made = pipes()\n    threading.Thread(target=noisy, daemon=True).start()\n    return made\n"
        "render_worker._private_pipes = private\n"
        f"render_worker.main(['{os.getpid()}'])\n"
    )
    setup = {"cache": None, "cache_bytes": 0, "journals": str(tmp_path / "workers"), "warm": None}
    spec = spec_to_json(RenderSpec(song, tmp_path / "out", model="classic"))
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        for line in (setup, {"do": "render", "job": 7, "spec": spec}):
            worker.stdin.write(json.dumps(line).encode() + b"\n")
        worker.stdin.flush()
        news: list[dict[str, Any]] = []
        while not news or news[-1]["say"] not in ("done", "failed"):
            news.append(json.loads(worker.stdout.readline()))
        worker.stdin.close()
        assert worker.wait(60) == 0
    assert news[0] == {"say": "ready"}
    assert len(news[-1]["result"]["files"]) == 4
    assert not list((tmp_path / "workers").iterdir())
