"""How fast each stage of a render is by itself: x real time of stereo 44.1 kHz, one thread of Python.

python benchmarks/stages.py [--seconds 60] [-o TABLE.md]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from processes import machine
from stembridge.model.audio import Audio, OutputFormat
from stembridge.model.dsp.loudness import LoudnessMeter
from stembridge.model.dsp.resampler import Resampler
from stembridge.model.files.decoder import open_audio
from stembridge.model.files.encoder import create_audio
from stembridge.model.files.quantise import Dither
from stembridge.model.mixer import Mixer, MixerState
from stembridge.model.platform import keep_freed_memory
from stembridge.model.registry import create_separator
from stembridge.model.separation import StemStream

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))
from demo_song import make_song, mixed

RATE = 44100
BLOCK = 1 << 16


def blocks(audio: Audio) -> list[Audio]:
    """The song in the blocks a render works in."""
    return [audio[:, start : start + BLOCK] for start in range(0, audio.shape[1], BLOCK)]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of the fastest of three runs."""
    runs = []
    for _ in range(3):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        runs.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(runs)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    keep_freed_memory()
    song = make_song(arguments.seconds)
    stems, mix = list(song.values()), mixed(song)
    rows: list[tuple[str, float, float]] = []

    def row(name: str, work: Callable[[], object]) -> None:
        rows.append((name, *timed(work)))

    with tempfile.TemporaryDirectory() as folder:
        formats = [OutputFormat("wav", "32f"), OutputFormat("wav", "24"), OutputFormat("wav", "16")]
        formats += [
            OutputFormat("flac", "24"),
            OutputFormat("flac", "16"),
            OutputFormat("mp3"),
            OutputFormat("ogg"),
        ]
        for fmt in formats:
            name = f"{fmt.container} {'' if fmt.lossy else fmt.bit_depth}".strip()
            path = Path(folder) / f"song.{fmt.container}"
            row(
                f"encode {name}, dithered" if fmt.integer else f"encode {name}",
                partial(encode, path, fmt, mix),
            )
            row(f"decode {name}", partial(decode, path))
    row("loudness, range and true peak", lambda: measure(mix))
    row("resample 44.1 to 48 kHz", lambda: resample(mix))
    for model in ("classic", "hpss", "repet"):
        row(f"separate {model}", partial(separate, model, mix))
    row("mix four stems, faders moved", lambda: remix(stems, mix))
    seconds = mix.shape[1] / RATE
    lines = [
        f"{seconds:.0f} s stereo at 44.1 kHz, {machine()}; fastest of 3.",
        "",
        "| stage | x real time (wall) | x real time per CPU second |",
        "|---|---|---|",
        *(f"| {name} | {seconds / wall:.0f} | {seconds / cpu:.0f} |" for name, wall, cpu in rows),
    ]
    table = "\n".join(lines) + "\n"
    print(table)
    if arguments.out is not None:
        arguments.out.write_text(table, encoding="utf-8")


def encode(path: Path, fmt: OutputFormat, audio: Audio) -> None:
    """Write a file in blocks."""
    with create_audio(path, fmt, RATE, 2, audio.shape[1], dither=Dither(0, "mix")) as writer:
        for block in blocks(audio):
            writer.write(block)


def decode(path: Path) -> None:
    """Read a file in blocks."""
    with open_audio(path) as reader:
        while reader.read(BLOCK).shape[1]:
            pass


def measure(audio: Audio) -> None:
    """Meter a whole song."""
    meter = LoudnessMeter(RATE, 2)
    for block in blocks(audio):
        meter.push(block)
    meter.result()


def resample(audio: Audio) -> None:
    """Resample a whole song."""
    resampler = Resampler(RATE, 48000, 2)
    for block in blocks(audio):
        resampler.push(block)
    resampler.flush()


def separate(model: str, audio: Audio) -> None:
    """Separate a whole song, residual policy included."""
    stream = StemStream(create_separator(model, RATE, 2))
    for block in blocks(audio):
        stream.push(block)
    stream.flush()


def remix(stems: list[Audio], mix: Audio) -> None:
    """Apply the remix law with every fader off unity."""
    names = ("drums", "bass", "other", "vocals")
    mixer = Mixer(names, 2, RATE, state=MixerState(gains_db=dict.fromkeys(names, -3.0)))
    stacked = np.stack(stems)
    residual = np.zeros((2, BLOCK), np.float32)
    for start in range(0, mix.shape[1], BLOCK):
        cut = slice(start, start + BLOCK)
        block = mix[:, cut]
        mixer.mix(block, stacked[:, :, cut], residual[:, : block.shape[1]])


if __name__ == "__main__":
    main()
