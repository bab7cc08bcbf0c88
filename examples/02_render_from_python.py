"""The render behind the command line, from a script: progress, files, figures."""

import sys
import tempfile
from pathlib import Path

from demo_song import make_song, mixed
from pedalboard.io import AudioFile
from stembridge.model import MixerState, RenderSpec, Version, render

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
song = folder / "Song.wav"
mix = mixed(make_song(8.0))
with AudioFile(str(song), "w", 44100, num_channels=2, bit_depth=24) as file:
    file.write(mix)

quiet_vocals = Version("quiet vocals", MixerState(gains_db={"vocals": -9.0}))
spec = RenderSpec(song, folder / "out", stems=("vocals", "drums"), versions=(quiet_vocals,))
for progress in render(spec):
    if progress.result is not None:
        for entry in progress.result.files:
            print(f"{entry.file}: {entry.frames} frames, peak {entry.peak_db} dBFS, {entry.lufs} LUFS")
        print(f"{progress.result.realtime_factor:.1f}x real time")
