"""The session: the one owner of the desk's state. Commands in, events out; no I/O, no threads, no clock.

Whoever calls passes the time in; `tick` moves the fades on. A command that cannot be carried out raises
ArgumentValueError (bad range) or NotFoundError (nothing of that name) and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from stembridge.model.errors import ArgumentValueError
from stembridge.model.units import MAX_GAIN_DB, SILENCE_DB

from . import commands as c
from . import events as e
from .desk import STEMS, STRIPS, Desk, NotFoundError, Strip, members
from .fader_laws import FaderLaw, fader_law

MASTER = "master"
LONGEST_FADE_S = 600.0
MOST_SCENES = 128
_SCENE_NAME = 100


@dataclass(frozen=True)
class _Fade:
    """A fader on its way, evenly along its travel: what a hand would do, and defined down to silence."""

    start_db: float
    end_db: float
    began: float
    seconds: float

    def gain_db(self, now: float, law: FaderLaw) -> float:
        part = (now - self.began) / self.seconds
        if part >= 1.0:
            return self.end_db
        start, end = law.position(self.start_db), law.position(self.end_db)
        return law.db(start + max(part, 0.0) * (end - start))


class Session:
    """The desk of one bridge, and its scenes."""

    def __init__(
        self,
        desk: Desk | None = None,
        scenes: Mapping[str, Desk] | None = None,
        *,
        stems: Sequence[str] = STEMS,
        law: str = "ardour",
    ) -> None:
        self.law = fader_law(law)
        self._desk = desk or Desk()
        self._scenes = dict(scenes or {})
        self._stems = tuple(stems)
        self._fades: dict[str, _Fade] = {}
        self._apply: dict[type[c.Command], Callable[..., list[e.Event]]] = {
            c.SetGain: self._set_gain,
            c.SetFader: self._set_fader,
            c.SetMute: self._set_mute,
            c.SetSolo: self._set_solo,
            c.SetPan: self._set_pan,
            c.SetSensitivity: self._set_sensitivity,
            c.TouchFader: self._touch_fader,
            c.SetMasterGain: self._set_master_gain,
            c.SetMasterMute: self._set_master_mute,
            c.AskStrip: self._ask_strip,
            c.AskMaster: self._ask_master,
            c.ListStems: self._list_stems,
            c.ResetMix: self._reset_mix,
            c.StoreScene: self._store_scene,
            c.RecallScene: self._recall_scene,
            c.ForgetScene: self._forget_scene,
            c.ListScenes: self._list_scenes,
        }

    @property
    def commands(self) -> tuple[type[c.Command], ...]:
        """The commands that are about the desk."""
        return tuple(self._apply)

    @property
    def desk(self) -> Desk:
        """Where everything is heading for (the targets of fades)."""
        return self._desk

    @property
    def scenes(self) -> dict[str, Desk]:
        """All scenes, in the order they were first stored."""
        return dict(self._scenes)

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems that are there."""
        return self._stems

    @property
    def fading(self) -> bool:
        """Whether `tick` has something to do."""
        return bool(self._fades)

    @property
    def fading_strips(self) -> tuple[str, ...]:
        """The strips (and `master`) that are on their way."""
        return tuple(self._fades)

    def apply(self, command: c.Command, now: float) -> tuple[e.Event, ...]:
        """Carry out one command at a time in seconds; return what changed, or the answers to a question.

        Raises ArgumentValueError for a value out of range or a name that is not there, and changes nothing.
        """
        return tuple(self._apply[type(command)](command, now))

    def tick(self, now: float) -> tuple[e.Event, ...]:
        """Where fades have got to; each ends with the exact gain it was heading for."""
        moved: list[e.Event] = []
        for name, fade in list(self._fades.items()):
            gain_db = fade.gain_db(now, self.law)
            if now - fade.began >= fade.seconds:
                del self._fades[name]
            moved.append(e.MasterGainMoved(gain_db) if name == MASTER else e.GainMoved(name, gain_db))
        return tuple(moved)

    def desk_at(self, now: float) -> Desk:
        """Where everything stands at a moment, fades on their way included: what a job freezes."""
        desk = self._desk
        strips = dict(desk.strips)
        for name in self._fades:
            if name != MASTER:
                strips[name] = replace(strips[name], gain_db=self.gain_db(name, now))
        return replace(desk, strips=strips, master_gain_db=self.gain_db(MASTER, now))

    def gain_db(self, strip: str, now: float) -> float:
        """Where one fader (or `master`) stands at a moment."""
        if strip in self._fades:
            return self._fades[strip].gain_db(now, self.law)
        return self._desk.master_gain_db if strip == MASTER else self._desk.strips[strip].gain_db

    def set_stems(self, stems: Sequence[str]) -> tuple[e.Event, ...]:
        """Say which stems are there now. Raises ArgumentValueError for names without a strip."""
        unknown = [stem for stem in stems if stem not in STRIPS]
        if unknown or not stems:
            raise ArgumentValueError(
                f"stems are one or more of {', '.join(STRIPS)}; got {', '.join(unknown)}"
            )
        if tuple(stems) == self._stems:
            return ()
        self._stems = tuple(stems)
        return (e.StemsChanged(self._stems),)

    # Faders.

    def _set_gain(self, command: c.SetGain, now: float) -> list[e.Event]:
        fade_s = _fade(command.fade_s)
        gain_db = _clamped(command.gain_db)
        return [
            event
            for stem in members(command.stem, self._stems)
            for event in self._aim(stem, gain_db, fade_s, now)
        ]

    def _set_fader(self, command: c.SetFader, now: float) -> list[e.Event]:
        if not 0.0 <= command.position <= 1.0:
            raise ArgumentValueError(f"a fader's position is 0 to 1; got {command.position:g}")
        law = self.law if command.law is None else fader_law(command.law)
        gain_db = law.snapped_db(command.position, command.steps)
        return self._set_gain(c.SetGain(command.stem, gain_db), now)

    def _set_master_gain(self, command: c.SetMasterGain, now: float) -> list[e.Event]:
        return self._aim(MASTER, _clamped(command.gain_db), _fade(command.fade_s), now)

    def _aim(self, strip: str, gain_db: float, fade_s: float, now: float) -> list[e.Event]:
        start_db = self.gain_db(strip, now)
        self._fades.pop(strip, None)
        if fade_s and start_db != gain_db:
            self._fades[strip] = _Fade(start_db, gain_db, now, fade_s)
        else:
            fade_s = 0.0
        if strip == MASTER:
            self._desk = replace(self._desk, master_gain_db=gain_db)
            return [e.MasterGainChanged(gain_db, fade_s)]
        self._edit(strip, gain_db=gain_db)
        return [e.GainChanged(strip, gain_db, fade_s)]

    # Switches and knobs.

    def _set_mute(self, command: c.SetMute, _now: float) -> list[e.Event]:
        changed: list[e.Event] = []
        for stem in members(command.stem, self._stems):
            muted = command.muted if command.muted is not None else not self._desk.strips[stem].muted
            self._edit(stem, muted=muted)
            changed.append(e.MuteChanged(stem, muted))
        return changed

    def _set_solo(self, command: c.SetSolo, _now: float) -> list[e.Event]:
        changed: list[e.Event] = []
        for stem in members(command.stem, self._stems):
            soloed = command.soloed if command.soloed is not None else not self._desk.strips[stem].soloed
            self._edit(stem, soloed=soloed)
            changed.append(e.SoloChanged(stem, soloed))
        return changed

    def _set_pan(self, command: c.SetPan, _now: float) -> list[e.Event]:
        Strip(pan=command.pan)  # checks the range before the first strip of a group changes
        stems = members(command.stem, self._stems)
        for stem in stems:
            self._edit(stem, pan=command.pan)
        return [e.PanChanged(stem, command.pan) for stem in stems]

    def _set_sensitivity(self, command: c.SetSensitivity, _now: float) -> list[e.Event]:
        Strip(sensitivity=command.sensitivity)
        stems = members(command.stem, self._stems)
        for stem in stems:
            self._edit(stem, sensitivity=command.sensitivity)
        return [e.SensitivityChanged(stem, command.sensitivity) for stem in stems]

    def _touch_fader(self, command: c.TouchFader, _now: float) -> list[e.Event]:
        stems = members(command.stem, self._stems)
        return [e.FaderTouched(stem, command.touched) for stem in stems]

    def _set_master_mute(self, command: c.SetMasterMute, _now: float) -> list[e.Event]:
        muted = command.muted if command.muted is not None else not self._desk.master_muted
        self._desk = replace(self._desk, master_muted=muted)
        return [e.MasterMuteChanged(muted)]

    # Questions.

    def _ask_strip(self, command: c.AskStrip, now: float) -> list[e.Event]:
        answers: list[e.Event] = []
        for stem in members(command.stem, self._stems):
            strip = self._desk.strips[stem]
            gain_db = self.gain_db(stem, now)
            values: dict[str, float] = {
                "gain": gain_db,
                "fader": self.law.position(gain_db),
                "mute": strip.muted,
                "solo": strip.soloed,
                "pan": strip.pan,
                "sensitivity": strip.sensitivity,
            }
            answers.append(e.StripValue(stem, command.property, values[command.property]))
        return answers

    def _ask_master(self, command: c.AskMaster, now: float) -> list[e.Event]:
        value = self.gain_db(MASTER, now) if command.property == "gain" else self._desk.master_muted
        return [e.MasterValue(command.property, value)]

    def _list_stems(self, _command: c.ListStems, now: float) -> list[e.Event]:
        answers: list[e.Event] = []
        for index, stem in enumerate(self._stems, 1):
            strip = self._desk.strips[stem]
            gain_db = self.gain_db(stem, now)
            answers.append(e.StemItem(index, stem, gain_db, strip.pan, strip.muted, strip.soloed))
        return [*answers, e.StemListEnd(len(self._stems))]

    # Scenes.

    def _reset_mix(self, command: c.ResetMix, now: float) -> list[e.Event]:
        strips = {name: Strip(sensitivity=strip.sensitivity) for name, strip in self._desk.strips.items()}
        return self._move_to(Desk(strips), _fade(command.fade_s), now)

    def _store_scene(self, command: c.StoreScene, now: float) -> list[e.Event]:
        name = command.scene.strip()
        if not name or len(name) > _SCENE_NAME or not name.isprintable():
            raise ArgumentValueError(
                f"a scene's name is 1 to {_SCENE_NAME} printable characters; got {name[:20]!r}"
            )
        if name not in self._scenes and len(self._scenes) >= MOST_SCENES:
            raise ArgumentValueError(
                f"there are {MOST_SCENES} scenes already: forget one first (/mix/forget)"
            )
        self._scenes[name] = self.desk_at(now)
        return [e.SceneStored(name)]

    def _recall_scene(self, command: c.RecallScene, now: float) -> list[e.Event]:
        name = self._scene(command.scene)
        changed = self._move_to(self._scenes[name], _fade(command.fade_s), now)
        return [*changed, e.SceneRecalled(name)]

    def _forget_scene(self, command: c.ForgetScene, _now: float) -> list[e.Event]:
        name = self._scene(command.scene)
        del self._scenes[name]
        return [e.SceneForgotten(name)]

    def _list_scenes(self, _command: c.ListScenes, _now: float) -> list[e.Event]:
        items: list[e.Event] = [e.SceneItem(index, name) for index, name in enumerate(self._scenes, 1)]
        return [*items, e.SceneListEnd(len(items))]

    def _scene(self, wanted: str) -> str:
        name = wanted.strip()
        if name in self._scenes:
            return name
        if name.isascii() and name.isdigit() and 1 <= int(name[:6]) <= len(self._scenes):
            return list(self._scenes)[int(name[:6]) - 1]
        known = ", ".join(self._scenes) or "none yet (/mix/store keeps one)"
        raise NotFoundError(f"no scene {name[:40]!r}; there are: {known[:200]}")

    def _move_to(self, desk: Desk, fade_s: float, now: float) -> list[e.Event]:
        """Head for another desk; only what differs from where things stand is moved and told."""
        changed: list[e.Event] = []
        for name, target in desk.strips.items():
            strip = self._desk.strips[name]
            if self.gain_db(name, now) != target.gain_db or strip.gain_db != target.gain_db:
                changed += self._aim(name, target.gain_db, fade_s, now)
            if strip.muted != target.muted:
                changed += self._set_mute(c.SetMute(name, target.muted), now)
            if strip.soloed != target.soloed:
                changed += self._set_solo(c.SetSolo(name, target.soloed), now)
            if strip.pan != target.pan:
                changed += self._set_pan(c.SetPan(name, target.pan), now)
            if strip.sensitivity != target.sensitivity:
                changed += self._set_sensitivity(c.SetSensitivity(name, target.sensitivity), now)
        if self.gain_db(MASTER, now) != desk.master_gain_db:
            changed += self._aim(MASTER, desk.master_gain_db, fade_s, now)
        if self._desk.master_muted != desk.master_muted:
            changed += self._set_master_mute(c.SetMasterMute(desk.master_muted), now)
        return changed

    def _edit(self, strip: str, **values: object) -> None:
        edited = replace(self._desk.strips[strip], **values)  # type: ignore[arg-type]
        self._desk = replace(self._desk, strips={**self._desk.strips, strip: edited})


def _clamped(gain_db: float) -> float:
    """A gain brought into the fader's range; what it became is told by the event."""
    if gain_db != gain_db or gain_db == float("inf"):
        raise ArgumentValueError(f"a gain is a number of dB; got {gain_db}")
    return min(max(gain_db, SILENCE_DB), MAX_GAIN_DB)


def _fade(seconds: float) -> float:
    if not 0.0 <= seconds <= LONGEST_FADE_S:
        raise ArgumentValueError(f"a fade takes 0 to {LONGEST_FADE_S:g} seconds; got {seconds:g}")
    return seconds
