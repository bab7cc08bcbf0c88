"""The main job from end to end, on a song it makes itself: stems, a remix through a chain, a picture.

python examples/demo.py [FOLDER]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from demo_song import make_song, mixed
from pedalboard.io import AudioFile

SAMPLE_RATE = 44100


def stembridge(*arguments: str) -> None:
    """Run a command as a user would, showing it first."""
    print(f"\n$ stembridge {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", "stembridge.bridge", *arguments], check=True)


def main() -> None:
    """Make the song, then separate, remix and draw it."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "demo")
    folder.mkdir(parents=True, exist_ok=True)
    song = folder / "Demo Song.flac"
    mix = mixed(make_song(sample_rate=SAMPLE_RATE))
    with AudioFile(str(song), "w", SAMPLE_RATE, num_channels=2, bit_depth=24) as file:
        file.write(mix)
    print(f"made {song} ({mix.shape[1] / SAMPLE_RATE:.0f} s)")

    stembridge("render", str(song), "-o", str(folder / "stems"), "--overwrite")
    presets = ("--preset", "karaoke", "--preset", "stem-master")
    files = ("--format", "flac", "--bit-depth", "24", "--overwrite")
    stembridge("render", str(song), "-o", str(folder / "remixes"), *presets, *files)
    stembridge("plot", str(song), "-o", str(folder / "Demo Song.png"), "--log-frequency")
    print(f"\nlisten to what lies in {folder}, look at {folder / 'Demo Song.png'}")


if __name__ == "__main__":
    main()
