"""Many songs at once: stems as they are for the editor, and a mix with a treated voice for the client.

    python 06_batch_stems_next_to_a_vst_chain.py FOLDER [PLUGIN.vst3]

The plug-in (pedalboard's own compressor without one) sits on the voice. Kill it and run it again: what is
finished is skipped.
"""

import subprocess
import sys
from pathlib import Path

from demo_song import make_song, mixed
from pedalboard.io import AudioFile

folder = Path(sys.argv[1])
plugin = (
    f'file = "{sys.argv[2]}"' if len(sys.argv) > 2 else 'plugin = "Compressor"\nthreshold_db = -24\nratio = 4'
)

for number in (1, 2):
    song = folder / "songs" / f"Song {number}.wav"
    song.parent.mkdir(exist_ok=True)
    with AudioFile(str(song), "w", 44100, num_channels=2, bit_depth=24) as file:
        file.write(mixed(make_song(4.0 + number)))

(folder / "voice.toml").write_text(f"""\
schema = 1
description = "The voice held steady, the band a little back."
[gains_db]
drums = -1.5
other = -1.5
[[chain.vocals]]
{plugin}
""")

(folder / "jobs.toml").write_text("""\
schema = 1
[defaults]
format = "flac"
bit_depth = "24"

[[job]]                 # four dry stems of every song
kind = "render"
inputs = "songs/"
out = "stems"

[[job]]                 # one mix of every song, by the same separation: it comes from the cache
kind = "render"
inputs = "songs/"
out = "mixes"
preset = "voice.toml"
""")

command = [sys.executable, "-m", "stembridge.bridge", "run", str(folder / "jobs.toml"), "--jobs", "2"]
sys.exit(subprocess.run(command).returncode)
