"""Ask a bridge for a render and move its faders, from Python.

    python 05_render_through_a_bridge.py [FOLDER]

Any process on this machine can do this, a DAW's script too: it is OSC over UDP. A bridge is started for the
occasion here; with `stembridge serve` running already, only the part inside `Client` is needed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from demo_song import make_song, mixed
from pedalboard.io import AudioFile
from stembridge.bridge.client import Client

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
song = folder / "song.wav"
with AudioFile(str(song), "w", 44100, num_channels=2, bit_depth=24) as file:
    file.write(mixed(make_song(8.0)))

command = [sys.executable, "-m", "stembridge.bridge", "serve", "--port", "0", "--root", str(folder)]
command += ["--out", str(folder / "stems"), "--state", str(folder / "state"), "--log", "warning"]
with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as bridge:
    assert bridge.stdout is not None
    said = ""
    while not said.endswith("ready\n"):
        said += bridge.stdout.readline()
    port = int(re.findall(r"UDP (\d+)", said)[0])

    with Client(port=port) as client:
        client.set("/stem/vocals/gain", -6.0)
        client.set("/mix/store", "vocals down")
        print("vocals at", client.ask("/stem/vocals/gain"), "dB")

        def show(progress: object) -> None:
            print("   ", progress)

        job = client.render(song, model="classic", format="flac", end="3", on_progress=show)
        for stem, path in job.stems.items():
            print(f"{stem}: {path.name}, {path.stat().st_size} bytes")
    bridge.terminate()
