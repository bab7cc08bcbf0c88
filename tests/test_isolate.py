"""Plug-ins in a child process: the same sound, and whatever they do stays there and is named."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import peers
import psutil
import pytest
import signals
import soundfile
from stembridge.model.effects.effect import Effect
from stembridge.model.errors import (
    ArgumentValueError,
    PluginCrashedError,
    PluginError,
    PluginTimeoutError,
    StateError,
)
from stembridge.model.plugins.chain import build
from stembridge.model.plugins.chain_spec import ChainSpec, PluginSpec
from stembridge.model.plugins.isolate import IsolatedChain, open_chain
from stembridge.model.plugins.plugin_process import PluginProcess

RATE = 44100
PATIENCE_S = 30


@pytest.fixture
def spec() -> ChainSpec:
    """A plug-in with latency, one that takes one channel, and one of pedalboard's own."""
    return ChainSpec(
        (
            PluginSpec(file=peers.vst3("ZaMaximX2"), parameters={"threshold_db": -12.0}, mix=0.7),
            PluginSpec(file=peers.vst3("ZamComp"), parameters={"threshold_db": -30.0}, dual_mono=True),
            PluginSpec("Reverb"),
        ),
        "test.toml, chain.vocals",
    )


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Fails the test if a child, a thread or a descriptor of this process outlives it."""
    gc.collect()
    before = _held()
    yield
    gc.collect()
    for thread in threading.enumerate():
        if thread.name == "plug-in host":
            thread.join(PATIENCE_S)
    assert _held() == before


def _held() -> tuple[list[int], int, list[str]]:
    me = psutil.Process()
    shared = [entry.name for entry in Path("/dev/shm").iterdir()] if Path("/dev/shm").is_dir() else []
    return [child.pid for child in me.children()], me.num_fds(), shared


def one_by_one(chain: Effect, audio: signals.Audio, sizes: list[int], buffer_size: int) -> signals.Audio:
    parts = [
        chain.process_planar(part, RATE, buffer_size, reset=False)
        for part in np.split(audio, np.cumsum(sizes)[:-1], axis=1)
    ]
    return np.concatenate([*parts, chain.flush()], axis=1)


@pytest.mark.usefixtures("nothing_left")
def test_isolated_is_bit_for_bit_what_in_process_is(spec: ChainSpec) -> None:
    audio = signals.noise(30_000)
    here = build(spec, RATE, 2)
    with IsolatedChain(spec, RATE, 2, block_frames=1024) as there:
        assert there.reported_latency_samples == here.reported_latency_samples == 480
        np.testing.assert_array_equal(there(audio, RATE, 1024), here(audio, RATE, 1024))
        for seed, buffer_size in ((1, 8192), (2, 512)):
            here.reset()
            there.reset()
            sizes = signals.cuts(audio.shape[1], seed, largest=1000)
            expected = one_by_one(here, audio, sizes, buffer_size)
            np.testing.assert_array_equal(one_by_one(there, audio, sizes, buffer_size), expected)


@pytest.mark.usefixtures("nothing_left")
def test_blocks_longer_than_the_shared_memory_cross_in_parts(spec: ChainSpec) -> None:
    audio = signals.noise(10_000)
    expected = build(spec, RATE, 2)(audio, RATE)
    with IsolatedChain(spec, RATE, 2, block_frames=100) as there:  # shorter than the latency, too
        np.testing.assert_allclose(there(audio, RATE), expected, atol=1e-6)


def test_a_native_chain_needs_no_child() -> None:
    before = psutil.Process().children()  # other tests may have left multiprocessing's own helper behind
    chain = open_chain(ChainSpec((PluginSpec("Gain", parameters={"gain_db": -6.0}),)), RATE, 2)
    assert not isinstance(chain, IsolatedChain)
    assert psutil.Process().children() == before


def test_only_what_it_was_opened_for_goes_in(spec: ChainSpec) -> None:
    with IsolatedChain(spec, RATE, 2) as chain:
        with pytest.raises(ArgumentValueError, match="opened for 2 channels at 44100 Hz; got 2 at 48000"):
            chain(signals.noise(10), 48000)
        with pytest.raises(ArgumentValueError, match="got 1 at 44100"):
            chain(signals.noise(10, channels=1), RATE)
        assert chain(signals.noise(10), RATE).shape == (2, 10)
    with pytest.raises(StateError, match="closed"):
        chain(signals.noise(10), RATE)
    chain.close()


@pytest.mark.usefixtures("nothing_left")
def test_a_plugin_that_hangs_on_load_is_given_up_and_named() -> None:
    spec = ChainSpec((PluginSpec("Gain"), PluginSpec(file=peers.vst3("ZamVerb"))), "test.toml, chain.mix")
    with pytest.raises(PluginTimeoutError) as caught:
        open_chain(spec, RATE, 2, load_timeout_s=2.0)
    assert "test.toml, chain.mix" in str(caught.value)
    assert "ZamVerb.vst3 did not come back from loading within 2 s" in str(caught.value)
    assert caught.value.code == "plugin_timeout"


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize(
    ("body", "kind", "how"),
    [
        ("abort();", PluginCrashedError, f"signal {signal.SIGABRT:d}"),
        ("*(volatile int *)0 = 1;", PluginCrashedError, f"signal {signal.SIGSEGV:d}"),
        ("_exit(3);", PluginCrashedError, "exit code 3"),
        ("for (;;) pause();", PluginTimeoutError, "within 2 s"),
    ],
)
def test_a_plugin_that_dies_or_hangs_on_load_is_named(
    body: str, kind: type[PluginError], how: str, tmp_path: Path
) -> None:
    spec = ChainSpec((PluginSpec(file=str(bad_vst3(tmp_path, body))),), "test.toml, chain.mix")
    with pytest.raises(kind, match=r"test.toml, chain.mix: Bad\.vst3 ") as caught:
        open_chain(spec, RATE, 2, load_timeout_s=2.0)
    assert how in str(caught.value)


def bad_vst3(folder: Path, body: str) -> Path:
    """A VST3 bundle whose library does `body` as soon as it is loaded."""
    gcc = peers.require("gcc")
    bundle = folder / "Bad.vst3"
    library = bundle / f"Contents/{os.uname().machine}-linux/Bad.so"
    library.parent.mkdir(parents=True)
    source = folder / "bad.c"
    source.write_text(
        "#include <stdlib.h>\n#include <unistd.h>\n"
        f"__attribute__((constructor)) static void start(void) {{ {body} }}\n"
    )
    subprocess.run([gcc, "-shared", "-fPIC", "-o", library, source], check=True)
    return bundle


def test_a_file_that_is_no_plugin_is_an_error_and_no_crash(tmp_path: Path) -> None:
    fake = tmp_path / "Fake.vst3"
    fake.write_bytes(b"\x7fELF" + bytes(100))
    with pytest.raises(PluginError, match=r"Fake\.vst3 cannot be loaded"):
        open_chain(ChainSpec((PluginSpec(file=str(fake)),)), RATE, 2)


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize(
    ("number", "kind", "text"),
    [
        (signal.SIGSTOP, PluginTimeoutError, "Convolution did not come back from processing within 2 s"),
        (
            signal.SIGSEGV,
            PluginCrashedError,
            "Convolution took its process down while processing (signal 11)",
        ),
    ],
)
def test_the_plugin_that_was_running_is_named(
    number: signal.Signals, kind: type[PluginError], text: str, tmp_path: Path
) -> None:
    # Twenty seconds of sound as one block through a minute of reverberation: about a second of work.
    soundfile.write(tmp_path / "room.wav", signals.noise(60 * RATE, level=0.01).T, RATE)
    room = PluginSpec("Convolution", parameters={"impulse_response_filename": str(tmp_path / "room.wav")})
    spec = ChainSpec(
        (PluginSpec(file=peers.vst3("ZamCompX2")), room, PluginSpec("Gain")), "test.toml, chain.mix"
    )
    block = signals.noise(20 * RATE)
    caught: list[PluginError] = []
    with IsolatedChain(spec, RATE, 2, block_frames=block.shape[1], process_timeout_s=2.0) as chain:

        def play() -> None:
            try:
                chain(block, RATE, block.shape[1])
            except PluginError as error:
                caught.append(error)

        pid = chain.pid
        assert pid is not None
        assert chain.running is None
        player = threading.Thread(target=play)
        player.start()
        while chain.running != "Convolution" and player.is_alive():
            pass
        os.kill(pid, number)
        player.join()
        assert isinstance(caught[0], kind)
        assert text in str(caught[0])
        assert "test.toml, chain.mix: " in str(caught[0])
        assert not psutil.pid_exists(pid)


@pytest.mark.usefixtures("nothing_left")
def test_slow_but_moving_is_not_hanging(spec: ChainSpec) -> None:
    # Three plug-ins a block, each allowed 1 s; the whole takes as long as it takes.
    with IsolatedChain(spec, RATE, 2, block_frames=64, process_timeout_s=1.0) as chain:
        audio = signals.noise(5 * RATE)
        assert chain(audio, RATE, 64).shape == audio.shape


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_child_killed_mid_stream_is_named_and_the_next_stream_has_a_new_one(
    spec: ChainSpec, number: signal.Signals
) -> None:
    audio = signals.noise(4096)
    with IsolatedChain(spec, RATE, 2) as chain:
        whole = chain(audio, RATE)
        chain.process(audio, RATE, reset=False)
        first = chain.pid
        assert first is not None
        os.kill(first, number)
        with pytest.raises(PluginCrashedError) as caught:
            chain.process(audio, RATE, reset=False)
        assert "ZaMaximX2.vst3 > ZamComp.vst3 > Reverb took its process down" in str(caught.value)
        assert f"signal {number:d}" in str(caught.value)
        assert not psutil.pid_exists(first)
        with pytest.raises(StateError, match="broke"):
            chain.process(audio, RATE, reset=False)
        chain.reset()
        np.testing.assert_array_equal(chain(audio, RATE), whole)
        assert chain.pid not in (None, first)


@pytest.mark.usefixtures("nothing_left")
def test_a_stopped_child_counts_as_hanging(spec: ChainSpec) -> None:
    with IsolatedChain(spec, RATE, 2, process_timeout_s=0.3) as chain:
        chain.process(signals.noise(100), RATE, reset=False)
        assert chain.pid is not None
        os.kill(chain.pid, signal.SIGSTOP)
        with pytest.raises(PluginTimeoutError, match=r"within 0\.3 s"):
            chain.process(signals.noise(100), RATE, reset=False)


@pytest.mark.usefixtures("nothing_left")
def test_a_dropped_chain_takes_its_child_along(spec: ChainSpec) -> None:
    chain: IsolatedChain | None = IsolatedChain(spec, RATE, 2)
    assert chain is not None
    pid = chain.pid
    assert pid is not None
    chain = None
    gc.collect()
    assert not psutil.pid_exists(pid)


def test_a_chain_outlives_the_thread_that_opened_it(spec: ChainSpec) -> None:
    # Linux sends the parent-death signal when the *thread* that started a child ends.
    opened: list[IsolatedChain] = []
    thread = threading.Thread(target=lambda: opened.append(IsolatedChain(spec, RATE, 2)))
    thread.start()
    thread.join()
    audio = signals.noise(5000)
    with opened[0] as chain:
        here = build(spec, RATE, 2)(audio, RATE)
        results: list[signals.Audio] = []
        other = threading.Thread(target=lambda: results.append(chain(audio, RATE)))
        other.start()
        other.join()
        np.testing.assert_array_equal(results[0], here)
        np.testing.assert_array_equal(chain(audio, RATE), here)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_child_outlives_a_killed_parent(number: signal.Signals) -> None:
    program = (
        "import sys\nfrom stembridge.model.plugins.isolate import *\n"
        "from stembridge.model.plugins.chain_spec import *\n"
        f"chain = IsolatedChain(ChainSpec((PluginSpec(file={peers.vst3('ZamCompX2')!r}),)), 44100, 2)\n"
        "print(chain.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(number)
        parent.wait(PATIENCE_S)
        child.wait(PATIENCE_S)
    assert not child.is_running()


def test_the_child_loads_no_torch(spec: ChainSpec) -> None:
    with IsolatedChain(spec, RATE, 2) as chain:
        assert chain.pid is not None
        maps = psutil.Process(chain.pid).memory_maps()
        assert any("pedalboard" in entry.path for entry in maps)
        assert not any("torch" in entry.path for entry in maps)


def test_a_frozen_program_is_its_own_host(tmp_path: Path) -> None:
    # As PyInstaller leaves it: sys.frozen is set and sys.executable is the program, not Python.
    program = tmp_path / "program"
    script = tmp_path / "script.py"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    program.chmod(0o755)
    script.write_text(
        f"import sys; sys.frozen = True; sys.executable = {str(program)!r}\n"
        "from stembridge.model.plugins.isolate_child import run_if_asked\n"
        "run_if_asked()\n"
        "import numpy as np, psutil\n"
        "from stembridge.model.plugins.isolate import *; from stembridge.model.plugins.chain_spec import *\n"
        f"chain = IsolatedChain(ChainSpec((PluginSpec(file={peers.vst3('ZamCompX2')!r}),)), 44100, 2)\n"
        "out = chain(np.ones((2, 100), np.float32), 44100)\n"
        "print(out.shape, '--stembridge-plugin-host' in psutil.Process(chain.pid).cmdline())\n"
    )
    result = subprocess.run([program], capture_output=True, text=True, timeout=PATIENCE_S)
    assert result.stdout == "(2, 100) True\n", result.stderr


def test_a_closed_process_cannot_be_asked() -> None:
    process = PluginProcess()
    assert process.alive
    process.close()
    process.close()
    assert not process.alive
    with pytest.raises(StateError):
        process.scan(Path(peers.vst3("ZamCompX2")))


def test_a_child_that_nobody_watches_ends_itself() -> None:
    # Where the parent cannot (killed, on a system that does not tell its children), long after it would.
    process = PluginProcess(load_timeout_s=PATIENCE_S)
    with pytest.raises(PluginCrashedError, match=r"ZamVerb\.vst3 took its process down .* \(exit code 1\)"):
        process.ask("scan", PATIENCE_S, file=peers.vst3("ZamVerb"), deadline_s=1.0)
    assert not process.alive
