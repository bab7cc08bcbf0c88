"""Stems onto tracks: named, coloured, where the original lies and warped as it is, the original muted.

The work takes several ticks, one step each: Live puts off what is said about warping, so that what builds
on it has to wait. All of it lies in one undo step, and what cannot be finished is taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

from .clips import WarpMap, all_audio, file_seconds, played, selected, warp_map
from .fader import TOP_DB, gain_db, position_of

COLOURS = {
    "vocals": 0xFF94A6,
    "drums": 0xFFA529,
    "bass": 0x8BC5FF,
    "other": 0xBFFB00,
    "guitar": 0xD3AD71,
    "piano": 0xAC98EC,
    "accompaniment": 0x54C68C,
    "residual": 0xA9A9A9,
}
_SAME_S = 0.001
_SAME_BEATS = 1e-4


class Refused(Exception):
    """What cannot be done, with one of the bridge's codes and what to do instead."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Stem:
    """One file on its way."""

    def __init__(self, stem: str, name: str, path: str) -> None:
        self.stem, self.name, self.path = stem, name, path
        self.track: Any = None
        self.clip: Any = None


class Work:
    """One import. `step` once a tick until it says it is done."""

    def __init__(
        self,
        song: Any,
        make_marker: Callable[[float, float], Any],
        source: str,
        offset_s: float,
        gain_db: float,
        stems: Sequence[Stem],
    ) -> None:
        """`make_marker(second, beat)` makes one of Live's warp markers; `offset_s` is where in the source
        the stems' files begin; `gain_db` what their tracks have to add. Raises Refused where Live cannot.
        """
        self.notes: list[str] = []
        """What is not as it was asked for."""
        self._song = song
        self._make_marker = make_marker
        self._offset_s = offset_s
        self._gain_db = gain_db
        self._stems = stems
        self._original = _found(song, source)
        self._track: Any = None
        """The original's."""
        self._session = self._original is not None and not self._original.is_arrangement_clip
        self._can(song)
        self._steps = self._work()

    def step(self) -> bool:
        """Do a little; True when all is done. Raises Refused or whatever Live raises, all taken back."""
        try:
            next(self._steps)
        except StopIteration:
            return True
        return False

    def abandon(self) -> None:
        """Take back what is there."""
        self._steps.close()

    def _can(self, song: Any) -> None:
        maker: Any = next((track for track in song.tracks if len(track.clip_slots)), None)
        if self._session and maker is not None:
            maker = maker.clip_slots[0]
        maker = maker if maker is not None else song.master_track
        if not hasattr(maker, "create_audio_clip"):
            files = "; ".join(stem.path for stem in self._stems)
            raise Refused(
                "internal",
                "this Live cannot place files by script (12.0.5 and later can): drag them onto tracks, "
                f"from {files}",
            )

    def _work(self) -> Generator[None, None, None]:
        self._song.begin_undo_step()
        finished = False
        try:
            first, row = self._place()
            for count, stem in enumerate(self._stems):
                self._create(stem, first + count, row)
                yield
            yield
            for stem in self._stems:
                self._shape(stem)
                yield
            for stem in self._stems:
                if self._lie_elsewhere(stem):
                    yield
                    self._shape(stem)
                    yield
            for stem in self._stems:
                self._check(stem)
            if self._original is not None:
                self._original.muted = True
            finished = True
        finally:
            if not finished:
                self._take_back()
            self._song.end_undo_step()

    def _place(self) -> tuple[int, int]:
        """The index of the first new track, and the original's row (-1: in the arrangement)."""
        if self._original is None:
            self.notes.append("the original clip is not in this set: the stems lie at the start")
            return len(self._song.tracks), -1
        parent = track = self._original.canonical_parent
        tracks = list(self._song.tracks)
        for _ in range(3):  # a slot or a take lane lies between
            if track not in tracks:
                track = track.canonical_parent
        if track not in tracks:
            raise Refused("internal", "the original clip's track cannot be found: drag the files onto tracks")
        self._track = track
        row = list(track.clip_slots).index(parent) if self._session else -1
        return tracks.index(track) + 1, row

    def _create(self, stem: Stem, index: int, row: int) -> None:
        stem.track = self._song.create_audio_track(index)
        stem.track.name = stem.name
        if stem.stem in COLOURS:
            stem.track.color = COLOURS[stem.stem]
        self._set_level(stem.track)
        if self._session:
            self._begin(stem, stem.track.clip_slots[row].create_audio_clip(stem.path))
        else:
            start = 0.0 if self._original is None else float(self._original.start_time)
            self._begin(stem, stem.track.create_audio_clip(stem.path, start))

    def _begin(self, stem: Stem, clip: Any) -> None:
        stem.clip = clip
        clip.name = stem.name
        clip.warping = self._original is not None and bool(self._original.warping)

    def _lie_elsewhere(self, stem: Stem) -> bool:
        """Where moving a clip's start has moved its left edge along: place it again, by so much earlier."""
        if self._original is None or self._session or not hasattr(stem.track, "delete_clip"):
            return False
        start = float(self._original.start_time)
        moved = float(stem.clip.start_time) - start
        if abs(moved) <= _SAME_BEATS or start - moved < 0.0:
            return False
        stem.track.delete_clip(stem.clip)
        self._begin(stem, stem.track.create_audio_clip(stem.path, start - moved))
        return True

    def _set_level(self, track: Any) -> None:
        """As loud as the original's track was, and what integer files had to be turned down by."""
        wanted = self._gain_db
        if self._original is not None:
            mixer = self._track.mixer_device
            wanted += gain_db(mixer.volume, float(mixer.volume.value))
            track.mixer_device.panning.value = mixer.panning.value
        if wanted > TOP_DB:
            note = f"tracks are at {TOP_DB:+g} dB, the most Live has; {wanted:+.1f} dB were needed"
            if note not in self.notes:
                self.notes.append(note)
        if wanted != 0.0:
            volume = track.mixer_device.volume
            volume.value = position_of(volume, wanted)

    def _shape(self, stem: Stem) -> None:
        original, clip = self._original, stem.clip
        if original is None:
            # Live keeps the numbers of the ends when it stops warping, now read as seconds.
            _set_range(clip, 0.0, file_seconds(clip))
            return
        clip.gain = original.gain
        clip.pitch_coarse, clip.pitch_fine = original.pitch_coarse, original.pitch_fine
        start, end = played(original)
        if not original.warping:
            _set_range(clip, start - self._offset_s, end - self._offset_s)
            return
        clip.warp_mode = original.warp_mode
        warp = warp_map(original)
        if warp is None or not self._warp(clip, warp):
            clip.warping = False
            self.notes.append(f"{stem.name}: could not be warped as the original is; warp it by hand")
            return
        shift = warp.beat(self._offset_s)
        if original.looping:
            clip.looping = True
            for name in ("loop_end", "loop_start", "end_marker", "start_marker"):
                setattr(clip, name, float(getattr(original, name)) - shift)
        else:
            _set_range(clip, start - shift, end - shift)

    def _warp(self, clip: Any, warp: WarpMap) -> bool:
        """Lay a clip's beats on its file as the original's lie; whether that has worked.

        Live's first marker is second 0 at beat 0, and its last one cannot be moved; so beats are counted
        from where the stems' files begin, and all other markers are set.
        """
        # A hair inside the file: Live takes no marker beyond its end.
        shift, length = warp.beat(self._offset_s), file_seconds(clip) - _SAME_S / 2
        if length <= _SAME_S:
            return False
        inside = [(b, s - self._offset_s) for b, s in warp.markers[:-1]]
        inner = [(b - shift, s) for b, s in inside if _SAME_S < s < length - _SAME_S]
        wanted = [(0.0, 0.0), *inner, (warp.beat(self._offset_s + length) - shift, length)]
        for beat, _ in [(m.beat_time, m.sample_time) for m in list(clip.warp_markers)[1:-1]]:
            if all(abs(beat - known) > _SAME_BEATS for known, _ in wanted):
                _tried(lambda beat=beat: clip.remove_warp_marker(beat))  # type: ignore[misc]
        for beat, second in wanted[1:]:
            _tried(lambda b=beat, s=second: clip.add_warp_marker(self._make_marker(s, b)))  # type: ignore[misc]
        made = warp_map(clip)
        return made is not None and all(abs(made.second(b) - s) <= _SAME_S for b, s in wanted)

    def _check(self, stem: Stem) -> None:
        """See whether a clip lies where the original does."""
        original = self._original
        if original is None or self._session:
            return
        if abs(float(stem.clip.start_time) - float(original.start_time)) > _SAME_BEATS:
            self.notes.append(f"{stem.name}: starts at beat {stem.clip.start_time:.3f}; move it by hand")
        elif abs(float(stem.clip.end_time) - float(original.end_time)) > 0.01:
            self.notes.append(f"{stem.name}: is not as long as the original; trim it by hand")

    def _take_back(self) -> None:
        for stem in reversed(self._stems):
            if stem.track is not None:
                _tried(lambda track=stem.track: self._delete(track))  # type: ignore[misc]

    def _delete(self, track: Any) -> None:
        self._song.delete_track(list(self._song.tracks).index(track))


def _found(song: Any, source: str) -> Any:
    """The clip that plays a file: the selected one, else the first there is; None for none."""
    clip = selected(song)
    if clip is not None and _same_file(clip.file_path, source):
        return clip
    return next((c for c in all_audio(song) if _same_file(c.file_path, source) and not c.muted), None)


def _same_file(one: Any, other: str) -> bool:
    return str(one).replace("\\", "/").casefold() == other.replace("\\", "/").casefold()


def _set_range(clip: Any, start: float, end: float) -> None:
    """Without a loop, these two are the clip's ends; the one that makes room is moved first."""
    if start >= float(clip.loop_end):
        clip.loop_end, clip.loop_start = end, start
    else:
        clip.loop_start, clip.loop_end = start, end


def _tried(work: Callable[[], Any]) -> None:
    """Do what Live may refuse; what counts is looked at afterwards."""
    try:
        work()
    except Exception:  # whatever Live raises
        return
