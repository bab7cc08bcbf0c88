"""An import as our script in Ardour is asked for it."""

from __future__ import annotations

import json
from pathlib import Path

from .ardour_clips import sources_of
from .ardour_script import Line, Links
from .link import StemImport


def import_request(stems: StemImport, links: Links, clips: Path) -> list[Line]:
    """Say what goes where: the song, by every path and name it may have in Ardour, and the tracks.

    Reads the manifest beside the stems and makes links to them. Raises OSError for files that are not there.
    """
    song, rate, frames = _song(stems.manifest)
    lines: list[Line] = [
        ("action", "import"),
        ("start_s", f"{stems.start_frame / rate:.9f}"),
        ("gain", f"{10.0 ** (stems.gain_db / 20.0):.9f}"),
    ]
    if song is not None:
        lines += [("song", str(path)) for path in (song, song.resolve(), *sources_of(song, clips))]
        lines.append(("name", song.stem, f"{frames / rate:.9f}"))
    for stem in stems.stems:
        stem.path.stat()
        lines.append(("track", stem.stem, str(links.add(stem.path, stem.track))))
    return lines


def _song(manifest: Path) -> tuple[Path | None, float, int]:
    """The song's path, rate (Hz) and length in frames; a manifest that does not tell costs only the place."""
    try:
        source = json.loads(manifest.read_bytes())["source"]
        return Path(source["path"]), float(source["sample_rate"]), int(source["frames"])
    except (OSError, ValueError, KeyError, TypeError):
        return None, 44_100.0, 0
