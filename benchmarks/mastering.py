"""Meters against independent ones, the limiter against pedalboard's, and masters as others measure them.

    python benchmarks/mastering.py SONG|FOLDER... [-o TABLE.md]

A FOLDER of stems is summed to its song first. ffmpeg's `ebur128` is the independent meter (it prints one
decimal), pyloudnorm another where it is installed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pedalboard
from processes import machine, measure
from stembridge.model.audio import Audio, OutputFormat
from stembridge.model.dsp.limiter import Limiter
from stembridge.model.dsp.loudness import Loudness, LoudnessMeter
from stembridge.model.files.decoder import read_audio
from stembridge.model.files.encoder import create_audio

TARGETS = (-14.0, -9.0)
FORMATS = (("wav", "32f"), ("flac", "16"), ("mp3", "32f"), ("ogg", "32f"))
DRIVES_DB = (6.0, 12.0)
CEILING = -1.0


@dataclass(frozen=True)
class Independent:
    """What ffmpeg says."""

    lufs: float
    range_lu: float
    true_peak: float


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("songs", nargs="+", type=Path, metavar="SONG|FOLDER")
    parser.add_argument("--seconds", type=float, default=60.0, help="how much of each song is mastered")
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        songs = [summed(path, Path(name)) for path in arguments.songs]
        lines = [f"{len(songs)} songs, {machine()}. ffmpeg's ebur128 prints one decimal.", ""]
        for table in (meters(songs), limiters(songs), steps(), masters(songs, Path(name), arguments.seconds)):
            for line in table:
                print(line, flush=True)
                lines.append(line)
    if arguments.out is not None:
        arguments.out.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def summed(path: Path, folder: Path) -> Path:
    """The song itself, or the sum of the stems in a folder as a float WAV file."""
    if path.is_file():
        return path
    stems = [read_audio(stem) for stem in sorted(path.iterdir()) if stem.suffix in {".flac", ".wav"}]
    frames = min(audio.shape[1] for audio, _ in stems)
    mix = np.stack([audio[:, :frames] for audio, _ in stems]).sum(axis=0, dtype=np.float32)
    song = folder / f"{path.name}.wav"
    with create_audio(song, OutputFormat(), stems[0][1].sample_rate, mix.shape[0], frames) as writer:
        writer.write(mix)
    return song


def meters(songs: Sequence[Path]) -> Iterator[str]:
    """Ours, ffmpeg's and pyloudnorm's readings of the songs as they are."""
    yield "## Meters"
    yield ""
    yield "| song | LUFS | ffmpeg | pyloudnorm | LRA | ffmpeg | true peak dBTP | ffmpeg |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    worst = [0.0, 0.0, 0.0]
    for song in songs:
        audio, info = read_audio(song)
        ours, theirs = measured(audio, info.sample_rate), ffmpeg(song)
        differences = (
            ours.integrated_lufs - theirs.lufs,
            ours.range_lu - theirs.range_lu,
            ours.true_peak_dbtp - theirs.true_peak,
        )
        worst = [max(a, abs(b)) for a, b in zip(worst, differences, strict=True)]
        cells = [
            f"{ours.integrated_lufs:.2f} | {theirs.lufs:.1f} | {pyloudnorm_lufs(audio, info.sample_rate)}",
            f"{ours.range_lu:.2f} | {theirs.range_lu:.1f}",
            f"{ours.true_peak_dbtp:.2f} | {theirs.true_peak:.1f}",
        ]
        yield f"| {song.stem} | {' | '.join(cells)} |"
    yield f"| **largest difference** | | {worst[0]:.2f} LU | | | {worst[1]:.2f} LU | | {worst[2]:.2f} dB |"
    yield ""


def limiters(songs: Sequence[Path]) -> Iterator[str]:
    """True peaks above a ceiling of -1 dBTP, song by song driven into each limiter; and their gains."""
    yield f"## Limiters: true peak above a ceiling of {CEILING:g} dBTP, and what is left of the loudness"
    yield ""
    yield "| song | drive | ours | LUFS | Limiter | LUFS | BrickwallLimiter | LUFS |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for song in songs:
        audio, info = read_audio(song)
        rate = info.sample_rate
        for drive in DRIVES_DB:
            loud = np.asarray(audio * 10 ** (drive / 20), np.float32)
            cells = []
            for sound in limited(loud, rate).values():
                found = measured(sound, rate)
                cells += [f"{found.true_peak_dbtp - CEILING:+.2f} dB", f"{found.integrated_lufs:.1f}"]
            yield f"| {song.stem} | {drive:+.0f} dB | {' | '.join(cells)} |"
    yield ""


def steps() -> Iterator[str]:
    """How suddenly gains fall: a single loud sample over a soft level, looked at sample by sample."""
    yield "| limiter | largest step of the gain between two samples, before a single peak of +12 dBFS |"
    yield "|---|---:|"
    soft = np.full((1, 44100), 0.05, np.float32)
    soft[0, 22050] = 4.0
    for name, sound in limited(soft, 44100).items():
        gains = np.delete(sound[0] / soft[0], 22050)
        yield f"| {name} | {np.abs(np.diff(gains)).max():.3f} |"
    yield ""


def limited(audio: Audio, rate: int) -> dict[str, Audio]:
    """The same sound through each limiter: 100 ms of release, 5 ms of look-ahead where there is any."""
    limiter = Limiter(rate, audio.shape[0], CEILING)
    brickwall = pedalboard.BrickwallLimiter(
        ceiling_db=CEILING, release_ms=100.0, lookahead_ms=5.0, true_peak=True
    )
    return {
        "ours": np.concatenate([limiter.push(audio), limiter.flush()], axis=1),
        "Limiter": pedalboard.Limiter(threshold_db=CEILING, release_ms=100.0)(audio, rate),
        "BrickwallLimiter": brickwall(audio, rate),
    }


def masters(songs: Sequence[Path], folder: Path, seconds: float) -> Iterator[str]:
    """Whole `stembridge master` processes, and what ffmpeg measures on their files."""
    yield f"## Masters of {seconds:g} s at {CEILING:g} dBTP, measured by ffmpeg on the files"
    yield ""
    yield "| song | asked for | format | LUFS | true peak dBTP | CPU s | x real time (CPU) | peak MB |"
    yield "|---|---:|---|---:|---:|---:|---:|---:|"
    for song in songs:
        song = excerpt(song, seconds, folder)
        for lufs in TARGETS:
            for container, depth in FORMATS:
                command = [
                    sys.executable,
                    "-m",
                    "stembridge.bridge",
                    "master",
                    str(song),
                    "--lufs",
                    f"{lufs:g}",
                ]
                command += ["-o", str(folder / "out"), "--format", container, "--bit-depth", depth]
                run = measure([*command, "--overwrite"])
                made = folder / "out" / f"{song.stem}.{container}"
                found = ffmpeg(made)
                name = container if OutputFormat(container, depth).lossy else f"{container} {depth}"  # type: ignore[arg-type]
                yield (
                    f"| {song.stem} | {lufs:g} | {name} | {found.lufs:.1f} | {found.true_peak:.1f} | "
                    f"{run.cpu_s:.1f} | {seconds / run.cpu_s:.0f} | {run.peak_mb:.0f} |"
                )
    yield ""


def excerpt(song: Path, seconds: float, folder: Path) -> Path:
    """So much of the middle of a song, as a float WAV file."""
    audio, info = read_audio(song)
    frames = min(round(seconds * info.sample_rate), info.frames)
    start = (info.frames - frames) // 2
    path = folder / "excerpts" / f"{song.stem}.wav"
    path.parent.mkdir(exist_ok=True)
    with create_audio(path, OutputFormat(), info.sample_rate, info.channels, frames) as writer:
        writer.write(np.ascontiguousarray(audio[:, start : start + frames]))
    return path


def measured(audio: Audio, sample_rate: int) -> Loudness:
    """Our own meter."""
    meter = LoudnessMeter(sample_rate, audio.shape[0])
    meter.push(audio)
    return meter.result()


def ffmpeg(song: Path) -> Independent:
    """ffmpeg's `ebur128` over a whole file."""
    command = [
        "ffmpeg",
        "-nostats",
        "-hide_banner",
        "-i",
        str(song),
        "-af",
        "ebur128=peak=true",
    ]
    log = subprocess.run([*command, "-f", "null", "-"], capture_output=True, text=True, check=True).stderr
    summary = log[log.rindex("Summary:") :]
    return Independent(
        *(
            float(re.findall(rf"{word}:\s+(-?[\d.]+) (?:LUFS|LU|dBFS)", summary)[0])
            for word in ("I", "LRA", "Peak")
        )
    )


def pyloudnorm_lufs(audio: Audio, sample_rate: int) -> str:
    """pyloudnorm's integrated loudness with the standard's own filter, where it is installed."""
    try:
        import pyloudnorm
    except ImportError:
        return "–"
    return f"{pyloudnorm.Meter(sample_rate, 'DeMan').integrated_loudness(audio.T.astype(np.float64)):.2f}"


if __name__ == "__main__":
    main()
