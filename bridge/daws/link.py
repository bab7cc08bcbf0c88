"""What a link to a DAW is, whatever its dialect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from ..desk import STRIPS
from ..events import DawState

Mode = Literal["remote", "import"]
"""`remote`: the DAW's faders drive our stems. `import`: the DAW owns the stems it was given; its faders are
left alone and leave ours alone, so that a gain is never applied twice."""


@dataclass(frozen=True)
class SelectedClip:
    """What is selected in a DAW: a file and the part of it that the clip plays."""

    path: str
    start_s: float | None = None
    """Where the clip starts in its file, handles not included; None: the whole file."""
    end_s: float | None = None
    name: str = ""


@dataclass(frozen=True)
class ImportedStem:
    """One file of a finished job, on its way to a track."""

    stem: str
    path: Path
    track: str
    """`vocals - Song`: binding reads the first word."""


@dataclass(frozen=True)
class StemImport:
    """What goes onto tracks."""

    job: int
    manifest: Path
    stems: Sequence[ImportedStem] = field(default_factory=tuple)
    start_frame: int = 0
    """The source frame that the files' frame 0 is."""
    gain_db: float = 0.0
    """What the tracks have to add to undo a common gain of integer files."""


class DawLink(Protocol):
    """One dialect. Everything is called on the hub's loop."""

    name: str
    mode: Mode

    async def run(self) -> None:
        """Connect, listen, and connect again whenever the DAW comes back, until cancelled."""

    def state(self) -> DawState:
        """How the link stands."""

    def bind(self, stem: str, track: str) -> None:
        """Bind a track by hand; an empty track unbinds. Raises Refusal(`not_found`) where it cannot."""

    async def import_stems(self, stems: StemImport) -> int:
        """Put stems onto tracks; return how many. Raises Refusal (`daw_offline`, `internal`)."""

    async def selected_clip(self) -> SelectedClip:
        """What is selected now. Raises Refusal (`daw_offline`, `not_found`)."""


def stem_of_track(track: str) -> str | None:
    """The stem a track's name speaks of: its first word; None where that is no stem.

    >>> stem_of_track("vocals - Song"), stem_of_track("Vocals 1"), stem_of_track("Lead Vox")
    ('vocals', 'vocals', None)
    """
    word = ""
    for character in track.strip().casefold():
        if not character.isalpha():
            break
        word += character
    return word if word in STRIPS else None
