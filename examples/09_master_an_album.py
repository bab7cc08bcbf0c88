"""An album mastered by one gain: the quiet song stays the quiet one, and no peak goes over.

    python 09_master_an_album.py FOLDER

Three songs of different levels get the same gentle chain, reach -14 LUFS as one programme and stay at or
below -1 dBTP; FOLDER/report/index.html shows what became of each. Run again, it says that all is there.
"""

import sys
from pathlib import Path

from demo_song import make_song, mixed
from pedalboard.io import AudioFile
from stembridge.model import AlbumSpec, ChainSpec, MasterSpec, OutputFormat, PluginSpec, Version, master_album
from stembridge.model.errors import StembridgeError
from stembridge.model.reports.sheet import failed_sheet, master_sheet
from stembridge.model.reports.writer import ReportWriter

folder = Path(sys.argv[1])
for title, level in {"1 Loud": 0.9, "2 Quiet": 0.25, "3 Last": 0.6}.items():
    (folder / "songs").mkdir(parents=True, exist_ok=True)
    with AudioFile(str(folder / "songs" / f"{title}.wav"), "w", 44100, num_channels=2, bit_depth=24) as file:
        file.write(level * mixed(make_song(6.0)))

glue = PluginSpec("Compressor", parameters={"threshold_db": -18.0, "ratio": 1.5, "attack_ms": 30.0}, mix=0.7)
album = AlbumSpec(
    tuple(
        MasterSpec(
            song,
            folder / "mastered",
            treatment=Version(mix_chain=ChainSpec((glue,))),
            lufs=-14.0,
            true_peak=-1.0,
            format=OutputFormat("flac", "24"),
            drawn=True,  # the report draws waveforms and loudness
        )
        for song in sorted((folder / "songs").glob("*.wav"))
    ),
    anchor="programme",  # or "loudest": that song reaches -14 LUFS, the others stay below it
)

for progress in master_album(album):
    if progress.result is not None:
        result = progress.result

print(f"one gain for all: {result.gain_db:+.2f} dB")
with ReportWriter(folder / "report", "The album") as report:
    for spec, song in zip(album.songs, result.songs, strict=True):
        if isinstance(song, StembridgeError):
            print(f"{spec.source.name}: {song}")
            report.add(failed_sheet("master", str(spec.source), song))
            continue
        lufs, peak = song.figures["measured_lufs"], song.figures["measured_true_peak"]
        note = " (it was there)" if song.skipped else ""
        print(f"{spec.source.stem}: {lufs:.1f} LUFS, {peak:+.2f} dBTP{note}")
        report.add(master_sheet(song))
