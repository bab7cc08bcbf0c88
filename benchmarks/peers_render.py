"""`stembridge render` with the default, whole processes, side by side with separation alone by its peers.

    python benchmarks/peers_render.py [SONG] [--seconds 180] [--runs 3] [--threads 1] [-o TABLE.md]

Ours decodes, separates, encodes four FLAC stems, reads them back and verifies them. The peers only separate
a whole song in memory: a Spleeter-class separation is four U-Nets of the published width on 11.9 s patches
with one STFT and four inverse ones; htdemucs is the package's own `apply_model` with its defaults but shifts.
Their weights are random: speed does not depend on them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from processes import alternate, machine, median
from render import excerpt

SPLEETER = """
import sys, soundfile, torch
from stembridge.model.networks.unet import UNet, UNetConfig
from stembridge.model.platform import keep_freed_memory
keep_freed_memory()
torch.manual_seed(0)
audio = torch.from_numpy(soundfile.read(sys.argv[1], dtype="float32", always_2d=True)[0].T.copy())
config = UNetConfig.full_band()
nets = [UNet(config).eval() for _ in range(2)]  # a pair of stems each: four U-Nets in all
window = torch.hann_window(4096)
with torch.inference_mode():
    spectra = torch.stft(audio, 4096, 1024, window=window, pad_mode="constant", return_complex=True)
    mix = spectra.abs().transpose(1, 2)
    patches = torch.nn.functional.pad(mix, (0, 0, 0, -mix.shape[1] % 512)).split(512, dim=1)
    for net in nets:
        masks = torch.cat([net.magnitudes(patch[None])[0] for patch in patches], dim=2)[:, :, : mix.shape[1]]
        for mask in masks / mix.clamp_min(1e-8):
            torch.istft(spectra * mask.transpose(1, 2), 4096, 1024, window=window, length=audio.shape[1])
"""

HTDEMUCS = """
import sys, soundfile, torch
from demucs.apply import apply_model
from demucs.htdemucs import HTDemucs
from stembridge.model.platform import keep_freed_memory
keep_freed_memory()
torch.manual_seed(0)
audio = torch.from_numpy(soundfile.read(sys.argv[1], dtype="float32", always_2d=True)[0].T.copy())
net = HTDemucs(["drums", "bass", "other", "vocals"], bottom_channels=512, segment=7.8).eval()
apply_model(net, audio[None], shifts=0, split=True, overlap=0.25)
"""


def main() -> None:
    """Measure and print the table."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("song", nargs="?", type=Path)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of torch in the peers")
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        song, seconds = excerpt(arguments.song, arguments.seconds, folder)
        ours = [sys.executable, "-m", "stembridge.bridge", "render", str(song), "-o", str(folder / "out")]
        ours += ["--no-cache", "--overwrite", "--format", "flac"]
        results = alternate(
            {
                "stembridge render, 4 FLAC stems": ours,
                "Spleeter class, separation alone": [sys.executable, "-c", SPLEETER, str(song)],
                "htdemucs, separation alone": [sys.executable, "-c", HTDEMUCS, str(song)],
            },
            arguments.runs,
        )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    lines = [
        f"{seconds:.0f} s stereo, {machine()}, {cores} used; median of {arguments.runs} runs, in turn.",
        "",
        "| command | wall s | CPU s | x real time | peak MB | CPU against ours |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    base = median(results["stembridge render, 4 FLAC stems"], "cpu_s")
    for command, runs in results.items():
        wall, cpu, peak = (median(runs, field) for field in ("wall_s", "cpu_s", "peak_mb"))
        lines.append(
            f"| {command} | {wall:.1f} | {cpu:.1f} | {seconds / wall:.1f} | {peak:.0f} | {cpu / base:.1f} |"
        )
    table = "\n".join(lines) + "\n"
    print(table)
    if arguments.out is not None:
        arguments.out.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
