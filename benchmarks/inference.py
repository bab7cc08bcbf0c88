"""What running a network costs: ours beside peers, precisions, chunks, threads, ONNX Runtime, malloc.

python benchmarks/inference.py [--only WORD]... [--runs 5] [--one-thread] [-o TABLE.md]

Weights are random: speed does not depend on values. Every row runs in a process of its own. Speed is
seconds of audio per second of process CPU time (median), so it does not depend on what else runs; wall time
is given for more than one thread. Only the network is measured, without STFT and inverse, context and overlap
included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from processes import machine
from stembridge.model.platform import keep_freed_memory

RATE = 44100
Work = tuple[float, Callable[[], object]]
"""Seconds of audio, and what separates them."""


def stream(name: str, chunk: int, **sizes: Any) -> Work:
    """One of our networks run as a stream, in chunks of so many spectra."""
    import torch
    from stembridge.model.networks.catalogue import make_network
    from stembridge.model.networks.streaming import open_stream

    network = make_network(name, **sizes).eval()
    running = open_stream(network, 1)
    hop, bins = network.config.hop_frames, network.config.bins
    spectra = torch.randn(1, 2, chunk, bins, dtype=torch.complex64)
    times = max(1, 192 // chunk)
    return times * chunk * hop / RATE, lambda: [running.push(spectra) for _ in range(times)]


def segment(name: str, times: int | None = None, **sizes: Any) -> Work:
    """One of our networks on a segment, its own or one of so many spectra."""
    import torch
    from stembridge.model.networks.catalogue import make_network
    from stembridge.model.networks.folding import fold_batch_norm

    network = make_network(name, **sizes).eval()
    fold_batch_norm(network)
    config = network.config
    times = times or network.segment_times
    spectra = torch.randn(1, config.channels, times, config.bins, dtype=torch.complex64)
    kept = times - 2 * network.context_times
    return kept * config.hop_frames / config.sample_rate, lambda: network(spectra)


def spleeter_size() -> Work:
    """Four U-Nets as published but for the sample rate: 512 x 1024 patches (11.9 s), width 16, no overlap."""
    four = ("drums", "bass", "other", "vocals")
    return segment("unet-full-band", stems=four, patch_times=512, context_times=0, residual_stem="other")


def umx_size() -> Work:
    """Open-Unmix's hq model: per stem a bidirectional LSTM of 3 x 512 between linear layers."""
    import torch
    from torch import nn

    class Umx(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before = nn.Linear(2 * 1487, 512)
            self.body = nn.LSTM(512, 256, num_layers=3, bidirectional=True)
            self.after = nn.Sequential(nn.Linear(1024, 512), nn.ReLU(), nn.Linear(512, 2 * 2049))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen = torch.tanh(self.before(x))
            return torch.relu(self.after(torch.cat([seen, self.body(seen)[0]], dim=-1)))

    networks = nn.ModuleList(Umx() for _ in range(4)).eval()
    magnitudes = torch.rand(430, 1, 2 * 1487)
    return 430 * 1024 / RATE, lambda: [network(magnitudes) for network in networks]


def htdemucs() -> Work:
    """Demucs' default: 7.8 s segments that overlap by a quarter; its own STFT is part of it."""
    import torch
    from demucs.htdemucs import HTDemucs

    network = HTDemucs(
        ["drums", "bass", "other", "vocals"], bottom_channels=512, t_layers=5, segment=7.8
    ).eval()
    mix = torch.randn(1, 2, int(7.8 * RATE))
    return 0.75 * 7.8, lambda: network(mix)


def onnx(module: Any, inputs: tuple[Any, ...], audio_s: float) -> Work:
    """The same module through ONNX Runtime."""
    import onnxruntime
    import torch

    path = Path(tempfile.mkdtemp()) / "network.onnx"
    torch.onnx.export(module, inputs, str(path), dynamo=False, opset_version=17)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feed = {item.name: value.numpy() for item, value in zip(session.get_inputs(), inputs, strict=True)}
    return audio_s, lambda: session.run(None, feed)


def unet_magnitudes(runtime: str) -> Work:
    """The small U-Net from magnitudes to masks, which ONNX can hold (it knows no complex numbers)."""
    import torch
    from stembridge.model.networks.catalogue import make_network
    from stembridge.model.networks.folding import fold_batch_norm

    network = make_network("unet-small").eval()
    fold_batch_norm(network)
    body: Any = network.nets[0]  # type: ignore[index]
    seen = torch.rand(1, 2, 128, 1024)
    audio_s = 96 * 1024 / RATE
    if runtime == "onnx":
        return onnx(body, (seen,), audio_s)
    seen = seen.contiguous(memory_format=torch.channels_last)
    return audio_s, lambda: body(seen)


def mixer_body(runtime: str) -> Work:
    """The band mixer's blocks and heads on 64 spectra."""
    import torch
    from stembridge.model.networks.catalogue import make_network
    from torch import nn

    class Body(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network: Any = make_network("band-mixer").eval()

        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            network = self.network
            for block in network.blocks:
                x, _ = block(x, None)
            x = network.norm(x).permute(2, 0, 1, 3).flatten(1, 2)
            rows = torch.split_with_sizes(x, [bands for bands, _, _ in network.config.bands])
            hidden = [nn.functional.silu(row) for row in network.heads(rows)]
            masks: list[torch.Tensor] = network.masks_of(hidden)
            return masks

    body = Body().eval()
    config = body.network.config
    tokens = torch.rand(1, 64 // config.times_per_token, sum(row[0] for row in config.bands), config.width)
    audio_s = 64 * config.hop_frames / RATE
    return onnx(body, (tokens,), audio_s) if runtime == "onnx" else (audio_s, lambda: body(tokens))


CASES: dict[str, Callable[[], Work]] = {
    **{
        f"band-mixer, stream, {n} spectra at once": partial(stream, "band-mixer", n) for n in (8, 32, 64, 256)
    },
    "band-mixer, segments of 1352": lambda: segment("band-mixer"),
    "band-mixer, segments of 584": lambda: segment("band-mixer", 584),
    **{f"live, {n} spectra at once": partial(stream, "live", n) for n in (1, 8, 64)},
    "unet (small), patches of 128": lambda: segment("unet-small"),
    "unet (small), patches of 512": lambda: segment("unet-small", 512),
    "unet as published, 8192 Hz mono": lambda: segment("unet"),
    "cnn-blstm": lambda: segment("cnn-blstm"),
    "parallel-encoder": lambda: segment("parallel-encoder"),
    "Spleeter size: four U-Nets": spleeter_size,
    "umxhq size, no Wiener filter": umx_size,
    "htdemucs": htdemucs,
    "unet (small) body, torch": lambda: unet_magnitudes("torch"),
    "unet (small) body, ONNX Runtime": lambda: unet_magnitudes("onnx"),
    "band-mixer body, 64 spectra, torch": lambda: mixer_body("torch"),
    "band-mixer body, 64 spectra, ONNX Runtime": lambda: mixer_body("onnx"),
}

TUNED = ("band-mixer, stream, 64", "band-mixer, segments of 1352", "unet (small), patches of 128", "Spleeter")
"""Measured without `keep_freed_memory`, too."""


def one(case: str, runs: int, precision: str, tuned: bool) -> dict[str, float]:
    """Measure one case in this process."""
    import torch

    if tuned:
        keep_freed_memory()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.manual_seed(0)
    audio_s, work = CASES[case]()
    cpu, wall = [], []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        work()
        for _ in range(runs):
            began, used = time.perf_counter(), time.process_time()
            work()
            cpu.append(time.process_time() - used)
            wall.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu": audio_s / statistics.median(cpu), "wall": audio_s / statistics.median(wall), "mb": peak}


def measured(case: str, runs: int, threads: int = 1, precision: str = "float32", tuned: bool = True) -> Any:
    """Measure one case in a process of its own; None where it cannot run."""
    command = [sys.executable, __file__, "--one", case, "--runs", str(runs), "--precision", precision]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(
        command + ([] if tuned else ["--untuned"]), capture_output=True, text=True, env=environment
    )
    if done.returncode:
        print(f"{case}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def table(words: list[str], runs: int, one_thread: bool) -> str:
    """Run everything, or the cases that a word is in; as Markdown."""
    cases = [case for case in CASES if not words or any(word in case for word in words)]
    lines = [
        f"Measured on {machine()}. Seconds of audio per second of process CPU time; random weights.",
        "",
        "| network | float32 | bfloat16 | float32, 2 threads | (wall) | untuned malloc | peak MB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for case in cases:
        is_onnx = "ONNX" in case
        plain = measured(case, runs)
        rough = None if is_onnx else measured(case, runs, precision="bfloat16")
        double = None if one_thread else measured(case, runs, threads=2)
        loose = measured(case, runs, tuned=False) if case.startswith(TUNED) else None
        cells = [_x(plain, "cpu"), _x(rough, "cpu"), _x(double, "cpu"), _x(double, "wall"), _x(loose, "cpu")]
        peak = f"{plain['mb']:.0f}" if plain else "–"
        lines.append(f"| {case} | {' | '.join(cells)} | {peak} |")
        print(lines[-1], file=sys.stderr)
    return "\n".join(lines) + "\n"


def _x(figures: Any, key: str) -> str:
    return f"{figures[key]:.3g}x" if figures else "–"


def main() -> None:
    """Parse arguments, measure, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="WORD", help="cases with this in their name"
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--one-thread", action="store_true", help="leave two threads out")
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--one", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--precision", default="float32", help=argparse.SUPPRESS)
    parser.add_argument("--untuned", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(arguments.one, arguments.runs, arguments.precision, not arguments.untuned)))
        return
    text = table(arguments.only, arguments.runs, arguments.one_thread)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
