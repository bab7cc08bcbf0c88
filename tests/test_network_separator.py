"""Networks as separators: streaming laws, threads, precision, memory, devices; with small random weights."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import checkpoints
import numpy as np
import pytest
import separating
import signals
import torch
from stembridge.model.checkpoint import CheckpointError
from stembridge.model.dsp.stft import istft, stft
from stembridge.model.errors import ArgumentValueError, ModelMissingError
from stembridge.model.networks.spectral_network import NetworkConfig, SpectralNetwork
from stembridge.model.registry import create_separator, separator_entry
from stembridge.model.separators.network import NetworkSeparator
from stembridge.model.separators.network_runner import NetworkRunner, use_one_thread
from stembridge.model.separators.streamed_network import StreamedNetworkSeparator

RATE = 8000


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    networks: dict[str, SpectralNetwork] = {
        "unet": checkpoints.small_unet(),
        "stereo": checkpoints.small_unet(channels=2),
        "mixer": checkpoints.small_mixer(),
        "live": checkpoints.small_mixer(causal=True),
    }
    networks["mixer"].segment_times = 2 * networks["mixer"].context_times + 64
    for name, network in networks.items():
        checkpoints.saved(network, folder / f"{name}.safetensors")
    return {name: folder / f"{name}.safetensors" for name in networks}


def on_segments(path: Path) -> separating.Make:
    return lambda rate, channels: NetworkSeparator(rate, channels, weights=path)


@pytest.mark.parametrize(
    ("name", "channels"), [("unet", 1), ("unet", 2), ("stereo", 1), ("mixer", 2), ("mixer", 1)]
)
def test_it_streams(files: dict[str, Path], name: str, channels: int) -> None:
    separating.check_stream(on_segments(files[name]), separating.song(3.1, RATE, channels), RATE)


@pytest.mark.parametrize("name", ["unet", "mixer"])
def test_a_region_is_the_slice_of_the_whole(files: dict[str, Path], name: str) -> None:
    separating.check_region(on_segments(files[name]), separating.song(9, RATE), RATE, 32_000, 36_000)


@pytest.mark.parametrize("name", ["unet", "mixer"])
@pytest.mark.parametrize("channels", [1, 2])
def test_edges(files: dict[str, Path], name: str, channels: int) -> None:
    separating.check_edges(on_segments(files[name]), RATE, channels)


def test_a_network_sees_the_spectra_of_torch() -> None:
    """Training may use torch.stft: the two are one transform."""
    mix = separating.song(1.01, RATE)
    ours = stft(mix, 256, 64)
    window = torch.hann_window(256, periodic=True)
    theirs = torch.stft(
        torch.from_numpy(mix), 256, 64, window=window, center=True, pad_mode="constant", return_complex=True
    )
    assert np.allclose(ours, theirs.transpose(1, 2).numpy(), atol=1e-4)


@pytest.mark.parametrize("name", ["stereo", "mixer"])
def test_estimates_are_those_of_the_network_on_segments(files: dict[str, Path], name: str) -> None:
    separator = NetworkSeparator(RATE, 2, weights=files[name])
    mix = separating.song(2.2, RATE)
    network = checkpoints.small_unet(channels=2) if name == "stereo" else checkpoints.small_mixer()
    spectra = stft(mix, 256, 64)
    context, kept = network.context_times, separator.grid // 64
    padded = np.pad(spectra, [(0, 0), (context, context + kept), (0, 0)])
    parts = []
    for start in range(0, spectra.shape[1], kept):
        segment = torch.from_numpy(padded[None, :, start : start + kept + 2 * context].copy())
        with torch.inference_mode():
            parts.append(network(segment)[0, :, :, context : context + kept].numpy())
    estimates = np.concatenate(parts, axis=2)[:, :, : spectra.shape[1]]
    expected = np.stack([istft(stem, 256, 64, mix.shape[1]) for stem in estimates])
    assert np.allclose(separating.separate(separator, mix), expected, atol=1e-5)


def test_exact_context_makes_the_length_of_segments_a_matter_of_memory(files: dict[str, Path]) -> None:
    mix = separating.song(3, RATE)
    whole = separating.separate(NetworkSeparator(RATE, 2, weights=files["mixer"]), mix)
    for options in ({"segment": 0.5}, {"segment": 2.0, "overlap": 0.4}, {"parallel": 1}):
        other = NetworkSeparator(RATE, 2, weights=files["mixer"], **options)
        assert np.allclose(separating.separate(other, mix), whole, atol=1e-5)


def test_how_many_at_once_changes_latency_and_no_bit(files: dict[str, Path]) -> None:
    mix = separating.song(3, RATE)
    one, four = (NetworkSeparator(RATE, 2, weights=files["mixer"], parallel=n) for n in (1, 4))
    assert four.latency - one.latency == 3 * one.grid
    assert separating.separate(one, mix).tobytes() == separating.separate(four, mix).tobytes()


def test_one_channel_is_the_mean_of_two_equal_ones(files: dict[str, Path]) -> None:
    mono = separating.song(1.5, RATE, 1)
    single = separating.separate(NetworkSeparator(RATE, 1, weights=files["mixer"]), mono)
    double = separating.separate(
        NetworkSeparator(RATE, 2, weights=files["mixer"]), np.repeat(mono, 2, axis=0)
    )
    assert np.allclose(single[:, 0], double.mean(axis=1), atol=1e-6)


def test_a_network_of_one_channel_sees_each_alone(files: dict[str, Path]) -> None:
    mix = separating.song(1.5, RATE)
    both = separating.separate(NetworkSeparator(RATE, 2, weights=files["unet"]), mix)
    for channel in range(2):
        alone = separating.separate(
            NetworkSeparator(RATE, 1, weights=files["unet"]), mix[channel : channel + 1]
        )
        assert np.allclose(both[:, channel], alone[:, 0], atol=1e-6)


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
def test_other_rates_are_resampled(files: dict[str, Path], rate: int) -> None:
    path = str(files["mixer"])
    separating.check_stream(
        lambda at, channels: create_separator(path, at, channels), separating.song(1.2, rate), rate, seeds=1
    )
    low = signals.sine(440, rate)
    parts = separating.separate(create_separator(path, rate, 2), low)
    assert separating.error_db(low, parts.sum(axis=0)) < -50  # its masks add up to one


def test_more_channels_are_pairs(files: dict[str, Path]) -> None:
    mix = signals.noise(9000, 3)
    stems = separating.separate(create_separator(str(files["mixer"]), RATE, 3), mix)
    assert stems.shape == (4, 3, 9000)
    pair = separating.separate(create_separator(str(files["mixer"]), RATE, 2), mix[:2])
    assert stems[:, :2].tobytes() == pair.tobytes()


def as_stream(path: Path, segment: float | None = None) -> separating.Make:
    return lambda rate, channels: StreamedNetworkSeparator(rate, channels, weights=path, segment=segment)


@pytest.mark.parametrize("name", ["mixer", "live"])
@pytest.mark.parametrize("channels", [1, 2])
def test_streams_stream(files: dict[str, Path], name: str, channels: int) -> None:
    separating.check_stream(as_stream(files[name]), separating.song(2.1, RATE, channels), RATE)
    separating.check_edges(as_stream(files[name]), RATE, channels)


@pytest.mark.parametrize("name", ["mixer", "live"])
def test_a_region_of_a_stream_is_the_slice_of_the_whole(files: dict[str, Path], name: str) -> None:
    separating.check_region(as_stream(files[name]), separating.song(5, RATE), RATE, 20_000, 24_000)


def test_a_causal_network_has_the_latency_of_its_transform(files: dict[str, Path]) -> None:
    assert as_stream(files["live"])(RATE, 2).latency == 256
    assert as_stream(files["live"], 0.1)(RATE, 2).latency == 256 + 11 * 64


@pytest.mark.parametrize("name", ["mixer", "live"])
@pytest.mark.parametrize("segment", [None, 0.1])
@pytest.mark.parametrize("seconds", [0.003, 0.5, 0.512, 1.7])
def test_a_stream_is_the_forward_pass_on_the_whole(
    files: dict[str, Path], name: str, segment: float | None, seconds: float
) -> None:
    mix = separating.song(seconds, RATE)
    network = checkpoints.small_mixer(causal=name == "live")
    with torch.inference_mode():
        estimates = network(torch.from_numpy(stft(mix, 256, 64))[None])[0].numpy()
    expected = np.stack([istft(stem, 256, 64, mix.shape[1]) for stem in estimates])
    assert np.allclose(
        separating.separate(as_stream(files[name], segment)(RATE, 2), mix), expected, atol=1e-5
    )


def test_bfloat16_is_near_float32_and_another_thing(files: dict[str, Path]) -> None:
    mix = separating.song(2, RATE)
    exact = separating.separate(NetworkSeparator(RATE, 2, weights=files["mixer"]), mix)
    rough = separating.separate(NetworkSeparator(RATE, 2, weights=files["mixer"], precision="bfloat16"), mix)
    assert -90 < separating.error_db(exact.reshape(8, -1), rough.reshape(8, -1)) < -25


def test_the_callers_threads_are_left_alone(files: dict[str, Path]) -> None:
    code = (
        "import sys, threading, torch, numpy as np\n"
        "torch.set_num_threads(3)\n"
        "from stembridge.model.registry import create_separator\n"
        f"separator = create_separator({str(files['mixer'])!r}, 8000, 2)\n"
        "stems = separator.push(np.random.default_rng(0).standard_normal((2, 30000), np.float32))\n"
        "seen = [torch.get_num_threads()]\n"
        "new = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))\n"
        "new.start(); new.join(); print(seen)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[3, 3]"


def test_one_thread_is_one_thread() -> None:
    seen: list[int] = []

    def look() -> None:
        use_one_thread()
        time.sleep(0.05)
        seen.append(torch.get_num_threads())

    before = torch.get_num_threads()
    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1, 1, 1]
    assert torch.get_num_threads() == before


def test_the_bits_do_not_depend_on_torchs_threads(files: dict[str, Path]) -> None:
    code = (
        "import sys, hashlib, numpy as np\n"
        "from stembridge.model.registry import create_separator\n"
        "mix = np.random.default_rng(0).standard_normal((2, 40000), np.float32)\n"
        "for path in sys.argv[1:]:\n"
        "    separator = create_separator(path, 8000, 2)\n"
        "    stems = np.concatenate([separator.push(mix), separator.flush()], axis=2)\n"
        "    print(hashlib.sha256(stems.tobytes()).hexdigest())\n"
    )
    paths = [str(files[name]) for name in ("stereo", "mixer", "live")]
    hashes = set()
    for threads in ("1", "2", "3"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        command = [sys.executable, "-c", code, *paths]
        hashes.add(
            subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        )
    assert len(hashes) == 1
    assert len(set(next(iter(hashes)).split())) == 3


@pytest.mark.parametrize("make", [on_segments, as_stream])
def test_memory_does_not_follow_the_song(
    files: dict[str, Path], make: Callable[[Path], separating.Make]
) -> None:
    def peak(seconds: int) -> int:
        separator = make(files["mixer"])(RATE, 2)
        block = signals.noise(RATE)
        separator.push(block)
        tracemalloc.start()
        for _ in range(seconds):
            separator.push(block)
        separator.flush()
        return tracemalloc.get_traced_memory()[1]

    try:
        assert peak(60) < 1.2 * peak(6)
    finally:
        tracemalloc.stop()


def test_threads_go_with_their_separator(files: dict[str, Path]) -> None:
    def running() -> int:
        return sum(thread.name.startswith("network") for thread in threading.enumerate())

    gc.collect()
    before = running()
    separator = NetworkSeparator(RATE, 2, weights=files["mixer"])
    assert running() == before
    separator.push(signals.noise(3 * RATE))
    assert running() > before
    del separator
    gc.collect()
    deadline = time.monotonic() + 5
    while running() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert running() == before


class Greedy(SpectralNetwork):
    """Halves the mix, and has no memory for more than some spectra at once."""

    name: ClassVar[str] = "greedy"
    loss: ClassVar[str] = "l1"

    def __init__(self, most: int) -> None:
        super().__init__()
        self.config = NetworkConfig(stems=("accompaniment", "vocals"))
        self.most = most
        self.weight = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, spectra: torch.Tensor) -> torch.Tensor:
        if spectra.shape[2] > self.most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 EB")
        return torch.stack([spectra, spectra], dim=1) * self.weight

    def initial_state(self, batch: int) -> torch.Tensor:
        return torch.zeros(batch)

    def step(self, spectra: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self(spectra), state + spectra.shape[2]


def greedy_runner(most: int, on_cpu: int) -> tuple[NetworkRunner, list[str]]:
    said: list[str] = []
    runner = NetworkRunner(
        lambda device: Greedy(on_cpu if device == "cpu" else most),
        device="cpu:0",  # plays the GPU: another name than the CPU's own
        context_times=8,
        warn=said.append,
    )
    return runner, said


SPECTRA = stft(signals.noise(30_000), 256, 64)[:, :400]
HALVES = np.stack([SPECTRA, SPECTRA]) / 2


def test_where_memory_runs_out_on_segments_the_cpu_goes_on() -> None:
    runner, said = greedy_runner(150, 1000)
    for _ in range(2):
        assert np.array_equal(runner.segment(SPECTRA), HALVES[:, :, 8:-8])
    assert said == ["cpu:0 has too little memory: the CPU goes on"]
    with pytest.raises(MemoryError, match="shorter segment"):
        greedy_runner(150, 150)[0].segment(SPECTRA)


@pytest.mark.parametrize(
    ("most", "first", "last"),
    [
        (150, "chunks are run in 2 parts", "chunks are run in 4 parts"),
        (4, "chunks are run in 2 parts", "the CPU goes on"),
    ],
)
def test_where_memory_runs_out_in_a_stream_chunks_get_smaller_then_the_cpu_goes_on(
    most: int, first: str, last: str
) -> None:
    runner, said = greedy_runner(most, 1000)
    stream = runner.stream(2)
    assert np.array_equal(stream.push(SPECTRA, None), HALVES)
    assert first in said[0]
    assert last in said[-1]
    before = len(said)
    assert np.array_equal(stream.push(SPECTRA, None), HALVES)
    assert len(said) == before


def test_options_out_of_range_are_named(files: dict[str, Path]) -> None:
    def make(name: str = "mixer", **options: Any) -> object:
        return create_separator(str(files[name]), RATE, 2, **options)

    with pytest.raises(ArgumentValueError, match=r"sees 0\.13 s to either side: a segment must be 0\.32 s"):
        make("stereo", segment=0.3)
    with pytest.raises(ArgumentValueError, match="up to 600 seconds"):
        make(segment=0)
    with pytest.raises(ArgumentValueError, match="overlap is a share"):
        make("stereo", overlap=1.0)
    with pytest.raises(ArgumentValueError, match="precision is one of float32, bfloat16"):
        make(precision="int8")
    with pytest.raises(ArgumentValueError, match="parallel is 1 or more"):
        make("stereo", parallel=0)
    with pytest.raises(ArgumentValueError, match="live has no option 'overlap'"):
        make("live", overlap=0.5)
    with pytest.raises(ArgumentValueError, match="stereo has no option 'shifts'"):
        make("stereo", shifts=2)
    with pytest.raises(ArgumentValueError, match="runs at 8000 Hz; got 16000 Hz"):
        NetworkSeparator(16000, 2, weights=files["mixer"])


def test_the_registry_knows_checkpoints_by_their_path(files: dict[str, Path], tmp_path: Path) -> None:
    entry = separator_entry(str(files["mixer"]))
    made = create_separator(str(files["mixer"]), RATE, 2)
    assert (entry.name, entry.rate, entry.licence) == ("mixer", RATE, "CC0-1.0")
    assert entry.stems == ("drums", "bass", "other", "vocals")
    assert entry.sdr_db == {"average": 1.5, "vocals": 1.0}
    assert entry.parameters > 1000
    assert entry.latency_s == pytest.approx(made.latency / RATE, 0.01)
    assert list(separator_entry(str(files["unet"])).options()) == [
        "precision",
        "segment",
        "overlap",
        "parallel",
    ]
    assert list(separator_entry(str(files["live"])).options()) == ["precision", "segment"]
    with pytest.raises(ModelMissingError, match="no checkpoint"):
        separator_entry("none.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(files["mixer"].read_bytes()[:-1] + b"\xff")
    with pytest.raises(CheckpointError, match="damaged"):
        create_separator(str(damaged), RATE, 2).push(signals.noise(8 * RATE))
