"""A practice pack: for each instrument the song without it to play along, and one with it louder to learn.

    python 15_practice_pack.py [FOLDER [SONG]]

One separation serves all; `Song - practice.zip` in FOLDER is what goes to the band.
"""

import sys
import tempfile
from pathlib import Path

from demo_song import make_song, mixed
from pedalboard.io import AudioFile
from stembridge.model import (
    MixerState,
    OutputFormat,
    RenderSpec,
    Version,
    create_separator,
    open_audio,
    render,
)
from stembridge.model.packs import ZipSpec, finished, pack_zip

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
if len(sys.argv) > 2:
    song = Path(sys.argv[2])
else:
    song = folder / "Song.wav"
    with AudioFile(str(song), "w", 44100, num_channels=2, bit_depth=24) as file:
        file.write(mixed(make_song(8.0)))

with open_audio(song) as reader:
    stems = create_separator("default", reader.info.sample_rate, reader.info.channels).stems
versions = [Version(f"without {stem}", MixerState(mutes=frozenset([stem]))) for stem in stems]
versions += [Version(f"{stem} up 6 dB", MixerState(gains_db={stem: 6.0})) for stem in stems]
spec = RenderSpec(song, folder / "practice", versions=tuple(versions), format=OutputFormat("mp3"))
for progress in render(spec):
    if progress.result is not None:
        result = progress.result

for entry in result.files:
    print(f"{entry.file}: {entry.lufs} LUFS")
if result.gain_db:
    print(f"all turned down by {-result.gain_db:.2f} dB, or some would clip")

practice = finished(result.plan.manifest_path)
for step in pack_zip(practice, folder / f"{practice.title} - practice.zip", ZipSpec()):
    for made in step.packs:
        print(made.path.name, "(it was there)" if made.skipped else f"({made.figures['files']} files)")
