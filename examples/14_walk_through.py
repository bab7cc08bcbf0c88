"""A walk through what there is, with its own pictures: separate, prove, look, master, hand over.

python 14_walk_through.py [FOLDER]
"""

import sys
import tempfile
from pathlib import Path

from demo_song import make_song, mixed
from pedalboard.io import AudioFile
from stembridge.model import (
    ChainSpec,
    MasterSpec,
    OutputFormat,
    PluginSpec,
    RenderSpec,
    Version,
    master,
    render,
)
from stembridge.model.packs import AcapellaSpec, find_finished, pack_acapella
from stembridge.model.plot import plot_song
from stembridge.model.separators.stems_from import StemsFrom

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
song = folder / "Song.flac"
with AudioFile(str(song), "w", 44100, num_channels=2, bit_depth=24) as file:
    file.write(mixed(make_song(8.0)))

# 1. Separate. The stems add up to the song again; how far below it the rest is, is measured on the files.
for progress in render(RenderSpec(song, folder / "stems")):
    if progress.result is not None:
        stems = progress.result
print(f"{len(stems.files)} stems; added up, they leave {stems.null_db:.0f} dB of the song")
for entry in stems.files:
    print(f"  {entry.stem}: {entry.lufs} LUFS, peak {entry.peak_db} dBFS")

# 2. Look: the song and its stems, from the files just made, one under another.
place = stems.plan.manifest_path.parent
picture = plot_song(
    song,
    folder / "Song.png",
    lambda info: StemsFrom(place, info.sample_rate, info.channels, frames=info.frames),
    scale="log",
)
print(f"Song.png: {', '.join(panel.title for panel in picture.panels)}")

# 3. Master: a gentle compressor, then as loud as a streaming service plays it, and no peak above -1 dBTP.
glue = PluginSpec("Compressor", parameters={"threshold_db": -18.0, "ratio": 1.5}, mix=0.7)
spec = MasterSpec(
    song,
    folder / "master",
    treatment=Version(mix_chain=ChainSpec((glue,))),
    lufs=-14.0,
    true_peak=-1.0,
    format=OutputFormat("flac", "24"),
)
for step in master(spec):
    if step.result is not None:
        figures = step.result.figures
print(f"mastered: {figures['measured_lufs']:.1f} LUFS, {figures['measured_true_peak']:+.2f} dBTP")

# 4. Hand over: the voice and the rest, with the song's tags and cover (`stembridge pack` does it, too).
for found in find_finished([folder / "stems"]):
    if isinstance(found, tuple):
        raise found[1]
    for packing in pack_acapella(found, folder, AcapellaSpec(overwrite=True)):
        for made in packing.packs:
            print(made.path.name)
