"""`stembridge render` end to end against librosa's vocal-separation recipe, whole processes, side by side.

    python benchmarks/render.py [SONG] [--seconds 180] [--runs 3] [-o TABLE.md]

Same job for both: decode a stereo song at its own rate, split vocals from what repeats (REPET-SIM), write
two files. librosa runs its published recipe (nn_filter, cosine, median, soft masks) on both channels.
Without SONG one is synthesised.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from pedalboard.io import AudioFile
from processes import alternate, machine, median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))
from demo_song import make_song, mixed

RECIPE = """
import sys
import librosa, numpy as np, soundfile
y, sr = librosa.load(sys.argv[1], sr=None, mono=False)
full, phase = librosa.magphase(librosa.stft(y))
filtered = librosa.decompose.nn_filter(
    full, aggregate=np.median, metric="cosine", width=int(librosa.time_to_frames(2, sr=sr)))
filtered = np.minimum(full, filtered)
back = librosa.util.softmask(filtered, 3 * (full - filtered), power=3)
fore = librosa.util.softmask(full - filtered, 11 * filtered, power=3)
for name, mask in (("vocals", fore), ("accompaniment", back)):
    sound = librosa.istft(mask * full * phase, length=y.shape[-1])
    soundfile.write(f"{sys.argv[2]}/{name}.wav", sound.T, sr, subtype="FLOAT")
"""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("song", nargs="?", type=Path)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        song, seconds = excerpt(arguments.song, arguments.seconds, folder)
        (folder / "recipe").mkdir()
        stembridge = [
            sys.executable,
            "-m",
            "stembridge.bridge",
            "render",
            str(song),
            "-o",
            str(folder / "out"),
        ]
        stembridge += ["--no-cache", "--overwrite"]
        commands = {
            "librosa recipe": [sys.executable, "-c", RECIPE, str(song), str(folder / "recipe")],
            "stembridge render -n repet": [*stembridge, "-n", "repet"],
            "stembridge render -n classic (4 stems)": [*stembridge, "-n", "classic"],
            "stembridge render -n classic --format flac": [*stembridge, "-n", "classic", "--format", "flac"],
        }
        results = alternate(commands, arguments.runs)
    lines = [
        f"{seconds:.0f} s stereo, {machine()}; median of {arguments.runs} runs, taken in turn.",
        "",
        "| command | wall s | CPU s | x real time | peak MB | wall against librosa | CPU against librosa |",
        "|---|---|---|---|---|---|---|",
    ]
    base = results["librosa recipe"]
    for command, runs in results.items():
        wall, cpu, peak = (median(runs, field) for field in ("wall_s", "cpu_s", "peak_mb"))
        against = [
            float(np.median([getattr(b, field) / getattr(r, field) for b, r in zip(base, runs, strict=True)]))
            for field in ("wall_s", "cpu_s")
        ]
        ratios = " | ".join(f"{ratio:.1f}x faster" if ratio != 1 else "1" for ratio in against)
        lines.append(f"| {command} | {wall:.1f} | {cpu:.1f} | {seconds / wall:.1f} | {peak:.0f} | {ratios} |")
    table = "\n".join(lines) + "\n"
    print(table)
    if arguments.out is not None:
        arguments.out.write_text(table, encoding="utf-8")


def excerpt(song: Path | None, seconds: float, folder: Path) -> tuple[Path, float]:
    """Write the stretch of the song that everyone is given: 16-bit WAV, which all read equally fast."""
    rate = 44100
    if song is None:
        mix = mixed(make_song(seconds))
    else:
        with AudioFile(str(song)) as file:
            rate = int(file.samplerate)
            mix = file.read(round(seconds * rate))
    path = folder / "song.wav"
    with AudioFile(str(path), "w", rate, num_channels=mix.shape[0], bit_depth=16) as out:
        out.write(np.clip(mix, -1, 1))
    return path, mix.shape[1] / rate


if __name__ == "__main__":
    main()
