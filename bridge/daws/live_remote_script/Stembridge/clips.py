"""Clips: which one is selected, what part of its file it plays, and how its beats lie on the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

MOST_CLIPS = 20000
"""A search for a clip ends here."""


class WarpMap:
    """Beats of a clip against seconds of its file: straight lines between markers, and on beyond the ends.

    The last of Live's markers is its invisible one, which holds the tempo after the last visible one.
    """

    def __init__(self, markers: Sequence[tuple[float, float]]) -> None:
        """Markers are (beat, second), at least two, rising in both; raises ValueError for others."""
        self.markers = sorted(markers)
        steps = list(_pairs(self.markers))
        if not steps or any(a[0] >= b[0] or a[1] >= b[1] for a, b in steps):
            raise ValueError("warp markers rise in beats and in seconds")

    def second(self, beat: float) -> float:
        """Where in the file a beat lies."""
        return _along(self.markers, beat)

    def beat(self, second: float) -> float:
        """Which beat a place in the file is."""
        return _along([(b, a) for a, b in self.markers], second)


def warp_map(clip: Any) -> WarpMap | None:
    """A clip's map; None where Live does not tell."""
    try:
        return WarpMap([(float(m.beat_time), float(m.sample_time)) for m in clip.warp_markers])
    except Exception:  # an older Live, or markers that make no sense
        return None


def is_audio(clip: Any) -> bool:
    """Whether there is a clip, with a file."""
    return clip is not None and bool(clip.is_audio_clip)


def selected(song: Any) -> Any:
    """The audio clip in Live's clip view, else the one in the selected slot; None for none."""
    clip = song.view.detail_clip
    if is_audio(clip):
        return clip
    slot = song.view.highlighted_clip_slot
    clip = slot.clip if slot is not None else None
    return clip if is_audio(clip) else None


def all_audio(song: Any) -> Iterator[Any]:
    """Every audio clip, the arrangement's first, up to a limit."""
    seen = 0
    for track in song.tracks:
        slots = [slot.clip for slot in track.clip_slots]
        try:
            arranged = list(track.arrangement_clips)
        except Exception:  # a group has none, and Live raises
            arranged = []
        for clip in (*arranged, *slots):
            seen += 1
            if seen > MOST_CLIPS:
                return
            if is_audio(clip):
                yield clip


def played(clip: Any) -> tuple[float, float]:
    """What a clip plays, in its own unit: beats where it is warped, else seconds of its file."""
    if not clip.looping:
        # Without a loop these two are the start and end markers, whichever view the clip lies in.
        return float(clip.loop_start), float(clip.loop_end)
    start, end = float(clip.start_marker), float(clip.loop_end)
    if clip.is_arrangement_clip:
        length = float(clip.end_time) - float(clip.start_time)
        if start + length <= end:
            return start, start + length
    return min(start, float(clip.loop_start)), end


def file_seconds(clip: Any) -> float:
    """How long its file is; 0 where Live does not tell."""
    try:
        rate = float(clip.sample_rate)
        return float(clip.sample_length) / rate if rate > 0.0 else 0.0
    except Exception:  # an older Live
        return 0.0


def played_seconds(clip: Any) -> tuple[float, float] | None:
    """The part of its file that a clip plays; None where it cannot be told."""
    start, end = played(clip)
    if clip.warping:
        warp = warp_map(clip)
        if warp is None:
            return None
        start, end = warp.second(start), warp.second(end)
    whole = file_seconds(clip)
    start = max(start, 0.0)  # a clip may begin with silence before its file
    if whole > 0.0:
        end = min(end, whole)
    return (start, end) if end > start else None


def described(clip: Any) -> list[Any]:
    """A clip as it is told to the bridge: path, name, start, end (-1: unknown), and how it is played."""
    start, end = played_seconds(clip) or (-1.0, -1.0)
    return [
        str(clip.file_path),
        str(clip.name),
        start,
        end,
        file_seconds(clip),
        int(clip.warping),
        int(clip.warp_mode),
        int(clip.looping),
        int(clip.is_arrangement_clip),
        float(clip.gain),
        str(clip.gain_display_string),
        float(clip.pitch_coarse) + float(clip.pitch_fine) / 100.0,
    ]


def _pairs(
    points: Sequence[tuple[float, float]],
) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    for place in range(len(points) - 1):
        yield points[place], points[place + 1]


def _along(points: Sequence[tuple[float, float]], x: float) -> float:
    place = next((place for place in range(1, len(points) - 1) if x < points[place][0]), len(points) - 1)
    (x0, y0), (x1, y1) = points[place - 1], points[place]
    return y0 + (x - x0) * (y1 - y0) / (x1 - x0)
