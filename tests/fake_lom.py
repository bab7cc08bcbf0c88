"""Live's object model as far as our Remote Script sees it, kept to what is known of Live.

Listeners are called at once, whoever changes something inside of one is refused, each access hands out a new
Python object for the same thing, deleted things raise, `warping` is put off until after the tick, ends keep
their numbers when warping ends, a file placed by script is warped at a guessed tempo, volumes are 32-bit
floats shown with one digit. Runs on Python 3.7, as Live 11's scripts do.
"""

from __future__ import annotations

import itertools
import math
import os
import re
import struct
import wave
from collections.abc import Callable
from typing import Any

GUESSED_BPM = 128.0
SHADOW_BEATS = 1 / 32
_POINTERS = itertools.count(0x7000, 0x10)
_LISTENER = re.compile(r"(?:(add|remove)_(\w+)_listener|(\w+)_has_listener)$")


def true_db(position: float) -> float:
    """What the fake's fader does: Live's straight line; below it a curve a little off the published fit."""
    if position <= 0.0:
        return -math.inf
    if position >= 0.4:
        return 40.0 * position - 34.0
    if position >= 0.15:
        fit = -((399.751894 * position - 201.871345) ** 2 + 12630.61132) / 799.503788
        return fit + 0.28 * (0.4 - position)
    return 118.426374 * math.pow(position, 5567 / 7504) - 70.0 + 0.07


class World:
    """Everything of one Live."""

    def __init__(self, version: tuple[int, int] = (12, 1), can_place: bool = True) -> None:
        self.version = version
        self.can_place = can_place
        self.start_moves_clip = False
        """Whether moving a clip's start in the arrangement moves its left edge along."""
        self.notifying = 0
        self.listeners = 0
        self.deferred: list[Callable[[], None]] = []
        self.undo_depth = 0
        self.changes: list[tuple[str, bool]] = []
        """What scripts changed, and whether inside an undo step."""
        self.steps = 0
        self.messages: list[str] = []
        self.log: list[str] = []
        self.song = Song(self)

    def hand(self) -> Handle:
        return Handle(self.song)

    def settle(self) -> None:
        """What Live puts off until after the tick."""
        waiting, self.deferred = self.deferred, []
        for work in waiting:
            work()


class Thing:
    """Something of Live's; scripts see it through handles only."""

    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    listenable: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()

    def __init__(self, world: World) -> None:
        self.world = world
        self.pointer = next(_POINTERS)
        self.gone = False
        self.callbacks: dict[str, list[Callable[[], None]]] = {}

    def put(self, name: str, value: Any) -> None:
        """Change a property as a person does, and tell who listens."""
        setter = getattr(self, "set_" + name, None)
        if setter is not None:
            setter(value)
        else:
            setattr(self, name, value)
        self.tell(name)

    def tell(self, name: str) -> None:
        self.world.notifying += 1
        try:
            for callback in list(self.callbacks.get(name, ())):
                callback()
        finally:
            self.world.notifying -= 1

    def die(self) -> None:
        self.gone = True
        self.world.listeners -= sum(len(held) for held in self.callbacks.values())
        self.callbacks = {}


class Handle:
    """A Python object for a thing; Live hands out a new one each time."""

    def __init__(self, thing: Thing) -> None:
        object.__setattr__(self, "_thing", thing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handle) and other._thing is self._thing

    def __hash__(self) -> int:
        return hash(self._live_ptr)

    @property
    def _live_ptr(self) -> int:
        return int(_alive(self).pointer)

    def __getattr__(self, name: str) -> Any:
        thing = _alive(self)
        match = _LISTENER.match(name)
        if match:
            return _listener(thing, match)
        if name in thing.methods:
            return _method(thing, name)
        if name == "arrangement_clips" and thing.group:
            raise RuntimeError("group tracks have no arrangement clips")
        if name in thing.readable or name in thing.writable:
            return _seen(getattr(thing, name))
        raise AttributeError(f"{type(thing).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        thing = _alive(self)
        if name not in thing.writable:
            raise AttributeError(f"property {name!r} of {type(thing).__name__!r} has no setter")
        _changes(thing, name)
        thing.put(name, value)


def _alive(handle: Handle) -> Any:
    thing = object.__getattribute__(handle, "_thing")
    if thing.gone:
        raise RuntimeError("the object does not exist any more")
    return thing


def _seen(value: Any) -> Any:
    if isinstance(value, Thing):
        return Handle(value)
    if isinstance(value, (list, tuple)):
        return tuple(_seen(item) for item in value)
    return value


def _changes(thing: Thing, name: str) -> None:
    if thing.world.notifying:
        raise RuntimeError(
            "Changes cannot be triggered by notifications. You will need to defer your response."
        )
    thing.world.changes.append((f"{type(thing).__name__}.{name}", thing.world.undo_depth > 0))


def _method(thing: Any, name: str) -> Callable[..., Any]:
    def called(*arguments: Any) -> Any:
        if name not in ("str_for_value", "begin_undo_step", "end_undo_step"):
            _changes(thing, name)
        given = [_alive(a) if isinstance(a, Handle) else a for a in arguments]
        return _seen(getattr(thing, name)(*given))

    return called


def _listener(thing: Any, match: Any) -> Callable[..., Any]:
    verb, name = match.group(1), match.group(2) or match.group(3)
    if name not in thing.listenable:
        raise AttributeError(f"{type(thing).__name__!r} has no listener for {name!r}")
    held = thing.callbacks.setdefault(name, [])

    def called(callback: Callable[[], None]) -> Any:
        if verb is None:
            return callback in held
        if (callback in held) == (verb == "add"):
            raise RuntimeError("Observer already connected" if verb == "add" else "Observer not connected")
        if verb == "add":
            held.append(callback)
            thing.world.listeners += 1
        else:
            held.remove(callback)
            thing.world.listeners -= 1
        return None

    return called


class Parameter(Thing):
    writable = ("value",)
    readable = ("min", "max", "name")
    listenable = ("value",)
    methods = ("str_for_value",)

    def __init__(self, world: World, name: str, value: float, low: float, high: float) -> None:
        super().__init__(world)
        self.name, self.min, self.max = name, low, high
        self.value = _single(value)

    def set_value(self, value: float) -> None:
        if not self.min <= value <= self.max:
            raise RuntimeError("Invalid value. Check the parameters range with min/max")
        self.value = _single(value)

    def str_for_value(self, value: float) -> str:
        shown = true_db(_single(value))
        return "-inf dB" if shown < -69.5 else f"{shown:.1f} dB"


class MixerDevice(Thing):
    readable = ("volume", "panning")

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.volume = Parameter(world, "Track Volume", 0.85, 0.0, 1.0)
        self.panning = Parameter(world, "Track Panning", 0.0, -1.0, 1.0)


class Track(Thing):
    readable = ("mixer_device", "clip_slots", "arrangement_clips", "canonical_parent", "has_audio_input")
    writable: tuple[str, ...] = ("name", "mute", "solo", "color")
    listenable: tuple[str, ...] = ("name", "mute", "solo", "color")

    def __init__(self, world: World, name: str, rows: int = 4) -> None:
        super().__init__(world)
        self.name, self.mute, self.solo, self.color = name, False, False, 0
        self.has_audio_input, self.group = True, False
        self.mixer_device = MixerDevice(world)
        self.clip_slots = [ClipSlot(world, self) for _ in range(rows)]
        self.arrangement_clips: list[Clip] = []
        if world.can_place:
            self.methods = ("create_audio_clip", "delete_clip")

    @property
    def canonical_parent(self) -> Song:
        return self.world.song

    def create_audio_clip(self, path: str, position: float) -> Clip:
        if position < 0.0:
            raise RuntimeError("a clip cannot begin before the arrangement")
        clip = Clip(self.world, self, path)
        clip.is_arrangement_clip = True
        clip.start_time = position
        self.arrangement_clips.append(clip)
        return clip

    def delete_clip(self, clip: Clip) -> None:
        self.arrangement_clips.remove(clip)
        clip.die()

    def die(self) -> None:
        things: list[Thing] = [self.mixer_device.volume, self.mixer_device.panning, self.mixer_device]
        things += [*self.clip_slots, *self.arrangement_clips]
        for thing in [*things, *[slot.clip for slot in self.clip_slots if slot.clip is not None]]:
            Thing.die(thing)
        super().die()


class MasterTrack(Track):
    writable = ("name", "color")
    listenable = ("name", "color")


class ClipSlot(Thing):
    readable = ("clip", "has_clip", "canonical_parent")

    def __init__(self, world: World, track: Track) -> None:
        super().__init__(world)
        self.canonical_parent = track
        self.clip: Clip | None = None
        if world.can_place:
            self.methods = ("create_audio_clip",)

    @property
    def has_clip(self) -> bool:
        return self.clip is not None

    def create_audio_clip(self, path: str) -> Clip:
        if self.clip is not None:
            raise RuntimeError("the slot is not empty")
        self.clip = Clip(self.world, self, path)
        return self.clip


class WarpMarker:
    """As Live's: seconds first, in spite of the name, and no keywords."""

    def __init__(self, *arguments: float) -> None:
        self.sample_time, self.beat_time = arguments


class Clip(Thing):
    # fmt: off
    readable = (
        "file_path", "is_audio_clip", "is_midi_clip", "is_arrangement_clip", "sample_rate", "sample_length",
        "start_time", "end_time", "gain_display_string", "warp_markers", "canonical_parent",
    )
    writable = (
        "name", "color", "gain", "pitch_coarse", "pitch_fine", "warping", "warp_mode", "looping",
        "loop_start", "loop_end", "start_marker", "end_marker", "muted",
    )
    # fmt: on
    listenable = ("name", "loop_start", "loop_end", "warping")
    methods = ("add_warp_marker", "remove_warp_marker")

    def __init__(self, world: World, parent: Thing, path: str) -> None:
        super().__init__(world)
        if not os.path.isabs(path) or not os.path.isfile(path):
            raise ValueError("The provided path does not appear to point to a valid audio file")
        with wave.open(path, "rb") as file:
            self.sample_rate, self.sample_length = float(file.getframerate()), file.getnframes()
        self.canonical_parent = parent
        self.file_path = path
        self.name, self.color, self.muted = os.path.basename(path), 0, False
        self.gain, self.gain_display_string = 0.4, "0.0 dB"
        self.pitch_coarse, self.pitch_fine = 0, 0.0
        self.warp_mode, self.warping = 0, True
        self.is_audio_clip, self.is_midi_clip, self.is_arrangement_clip = True, False, False
        self.start_time = 0.0
        self.extent: float | None = None
        """Of a looped clip in the arrangement, its length there."""
        self.markers = [(0.0, 0.0), (SHADOW_BEATS, SHADOW_BEATS * 60.0 / GUESSED_BPM)]
        self.looping = False
        self.loop_start = self.start_marker = 0.0
        self.loop_end = self.end_marker = self.seconds * GUESSED_BPM / 60.0

    @property
    def seconds(self) -> float:
        return self.sample_length / self.sample_rate

    @property
    def warp_markers(self) -> list[WarpMarker]:
        return [WarpMarker(second, beat) for beat, second in self.markers]

    @property
    def end_time(self) -> float:
        if self.extent is not None:
            return self.start_time + self.extent
        length = self.loop_end - self.loop_start
        return self.start_time + (length if self.warping else length * self.world.song.tempo / 60.0)

    def set_warping(self, on: bool) -> None:
        self.world.deferred.append(lambda: setattr(self, "warping", bool(on)))

    def set_looping(self, on: bool) -> None:
        if on and not self.warping:
            raise RuntimeError("unwarped clips cannot be looped")
        self.looping = bool(on)

    def set_loop_start(self, value: float) -> None:
        if value >= self.loop_end:
            raise RuntimeError("the loop's start must lie before its end")
        if self.world.start_moves_clip and self.is_arrangement_clip and not self.looping:
            self.start_time += value - self.loop_start
        self.loop_start = value
        if not self.looping:
            self.start_marker = value

    def set_loop_end(self, value: float) -> None:
        if value <= self.loop_start:
            raise RuntimeError("the loop's end must lie behind its start")
        self.loop_end = value
        if not self.looping:
            self.end_marker = value

    def set_start_marker(self, value: float) -> None:
        if self.looping:  # ignored without a word, otherwise
            self.start_marker = value

    def add_warp_marker(self, marker: WarpMarker) -> None:
        beat, second = marker.beat_time, marker.sample_time
        if not 0.0 <= second <= self.seconds:
            raise RuntimeError("Warp marker sample time is out of range")
        visible, tempo = self.markers[:-1], _tempo(self.markers[-2], self.markers[-1])
        if (beat, second) in visible:
            return
        visible = sorted([*visible, (beat, second)])
        for place in range(1, len(visible)):
            before, after = visible[place - 1], visible[place]
            if after[1] <= before[1] or not 5.0 <= _tempo(before, after) <= 999.0:
                raise RuntimeError("Segment length out of range")
        last = visible[-1]
        self.markers = [*visible, (last[0] + SHADOW_BEATS, last[1] + SHADOW_BEATS * 60.0 / tempo)]

    def remove_warp_marker(self, beat: float) -> None:
        if beat not in [known for known, _ in self.markers[:-1]]:
            raise RuntimeError("there is no warp marker, or only the shadow marker")
        self.markers = [marker for marker in self.markers if marker[0] != beat]


def _tempo(before: tuple[float, float], after: tuple[float, float]) -> float:
    if after[0] <= before[0] or after[1] <= before[1]:
        return math.inf
    return (after[0] - before[0]) / (after[1] - before[1]) * 60.0


class SongView(Thing):
    readable = ("highlighted_clip_slot",)
    writable = ("detail_clip", "selected_track", "selected_scene")
    listenable = ("detail_clip",)
    detail_clip: Clip | None = None
    highlighted_clip_slot: ClipSlot | None = None
    selected_track: Track | None = None
    selected_scene: Any = None


class Song(Thing):
    readable = ("tracks", "master_track", "view", "tempo", "scenes", "is_playing", "current_song_time")
    listenable = ("tracks", "tempo")
    methods = ("create_audio_track", "delete_track", "begin_undo_step", "end_undo_step")

    def __init__(self, world: World) -> None:
        super().__init__(world)
        world.song = self
        self.tempo = 120.0
        self.is_playing = False
        self.current_song_time = 0.0
        self.tracks: list[Track] = []
        self.scenes: list[Any] = [Thing(world) for _ in range(4)]
        self.master_track = MasterTrack(world, "Master")
        self.view = SongView(world)

    def create_audio_track(self, index: int = -1) -> Track:
        if not -1 <= index <= len(self.tracks):
            raise IndexError("track index out of range")
        track = Track(self.world, f"{len(self.tracks) + 1} Audio")
        self.tracks.insert(len(self.tracks) if index < 0 else index, track)
        self.tell("tracks")
        return track

    def delete_track(self, index: int) -> None:
        self.tracks.pop(index).die()
        self.tell("tracks")

    def move_track(self, start: int, end: int) -> None:
        """A person drags a track; scripts cannot."""
        self.tracks.insert(end, self.tracks.pop(start))
        self.tell("tracks")

    def begin_undo_step(self) -> None:
        self.world.undo_depth += 1

    def end_undo_step(self) -> None:
        if not self.world.undo_depth:
            raise RuntimeError("no undo step is open")
        self.world.undo_depth -= 1
        self.world.steps += 1


def _single(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])
