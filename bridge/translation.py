"""Between messages and what they mean: arguments into commands by the address table, events into messages."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from stembridge.model.units import SILENCE_DB

from . import commands as c
from . import events as e
from .addresses import Address, Argument, BadArgumentsError, BadRangeError, kind_of, signature
from .messages import Message, Value


def to_command(row: Address, stem: str, arguments: Sequence[Value]) -> c.Command | None:
    """The command that a message to an address is; None for the release of a button.

    Raises BadArgumentsError or BadRangeError.
    """
    if row.trigger and len(arguments) == 1 and isinstance(arguments[0], float | bool):
        if not math.isfinite(arguments[0]):
            raise BadRangeError(f"{row.path}: a press (or job) is a finite number; got {arguments[0]}")
        if arguments[0] == 0.0:
            return None
        if not row.arguments or row.arguments[0].kind != "number":
            arguments = ()
    if row.ask is not None and not arguments:
        return row.ask(stem)
    values: dict[str, Any] = {}
    for place, argument in enumerate(row.arguments):
        if place >= len(arguments):
            if not argument.optional:
                raise BadArgumentsError(
                    f"{row.path} takes {signature(row) or 'no arguments'}; got {len(arguments)}"
                )
            break
        values[argument.name] = _checked(row, argument, arguments[place])
    extra = tuple(arguments[len(row.arguments) :])
    if row.rest:
        values["rest"] = extra
    elif extra:
        raise BadArgumentsError(
            f"{row.path} takes {signature(row) or 'no arguments'}; got {len(arguments)} arguments"
        )
    return row.make(stem, values)


def _checked(row: Address, argument: Argument, value: Value) -> Any:
    if argument.kind == "string":
        if not isinstance(value, str):
            raise BadArgumentsError(f"{row.path}: {argument.name} is a string; got {kind_of(value)}")
        return value
    if argument.kind == "id" and isinstance(value, str):
        return _id(row, value) if argument.name == "job" else value
    if not isinstance(value, int | float):
        raise BadArgumentsError(f"{row.path}: {argument.name} is a number; got {kind_of(value)}")
    number = float(value)
    if math.isnan(number) or number == math.inf or (number == -math.inf and argument.unit != "dB"):
        raise BadRangeError(f"{row.path}: {argument.name} is a finite number; got {number}")
    if argument.kind == "number":
        return SILENCE_DB if number == -math.inf else number
    if argument.kind == "switch":
        return number != 0.0
    if number != int(number) or not -(2**31) <= number < 2**31:
        raise BadRangeError(f"{row.path}: {argument.name} is a whole number of 32 bits; got {number:g}")
    return int(number)


def _id(row: Address, text: str) -> int:
    try:
        return int(text) if len(text) <= 10 else int("no id")
    except ValueError as error:
        raise BadArgumentsError(f"{row.path}: a job's id is a number; got {text[:20]!r}") from error


# Events as messages.


def to_messages(event: e.Event, position_of: Callable[[float], float]) -> tuple[Message, ...]:
    """What is sent for an event; `position_of` is the desk's fader law."""
    match event:
        case e.GainChanged(stem, gain_db) | e.GainMoved(stem, gain_db):
            return (
                Message(f"/stem/{stem}/gain", (float(gain_db),)),
                Message(f"/stem/{stem}/fader", (float(position_of(gain_db)),)),
            )
        case e.MasterGainChanged(gain_db) | e.MasterGainMoved(gain_db):
            return (Message("/master/gain", (float(gain_db),)),)
        case e.MuteChanged(stem, on):
            return (Message(f"/stem/{stem}/mute", (int(on),)),)
        case e.SoloChanged(stem, on):
            return (Message(f"/stem/{stem}/solo", (int(on),)),)
        case e.PanChanged(stem, value):
            return (Message(f"/stem/{stem}/pan", (float(value),)),)
        case e.SensitivityChanged(stem, value):
            return (Message(f"/stem/{stem}/sensitivity", (float(value),)),)
        case e.MasterMuteChanged(on):
            return (Message("/master/mute", (int(on),)),)
        case e.StripValue(stem, name, value):
            typed = int(value) if name in ("mute", "solo") else float(value)
            return (Message(f"/stem/{stem}/{name}", (typed,)),)
        case e.MasterValue(name, value):
            return (Message(f"/master/{name}", (int(value) if name == "mute" else float(value),)),)
        case e.JobProgress(job, tag, stage, fraction, eta_s):
            return (
                Message("/job/progress", (job, tag, stage, float(fraction), float(eta_s))),
                Message("/job/current/progress", (float(fraction),)),
                Message("/job/current/text", (f"{tag or job}: {stage} {fraction:.0%}",)),
            )
        case e.Metered(stem, peak_db, rms_db):
            return (Message(f"/meter/{stem}", (float(peak_db), float(rms_db))),)
        case e.Pong(arguments):
            return (Message("/pong", tuple(arguments)),)
    if type(event) in _PLAIN:
        path, *names = _PLAIN[type(event)]
        return (Message(path, tuple(_sent(getattr(event, name)) for name in names)),)
    return ()


_PLAIN: dict[type[e.Event], tuple[str, ...]] = {
    e.StemItem: ("/stem/item", "index", "stem", "gain_db", "pan", "muted", "soloed"),
    e.StemListEnd: ("/stem/list/end", "count"),
    e.StemsChanged: ("/stem/list/changed",),
    e.SceneStored: ("/mix/stored", "scene"),
    e.SceneRecalled: ("/mix/recalled", "scene"),
    e.SceneForgotten: ("/mix/forgotten", "scene"),
    e.SceneItem: ("/mix/item", "index", "scene"),
    e.SceneListEnd: ("/mix/list/end", "count"),
    e.JobAccepted: ("/job/accepted", "tag", "job", "position"),
    e.JobStem: (
        "/job/stem", "job", "tag", "index", "stem", "path", "sample_rate", "channels", "peak_db",
    ),
    e.JobDone: ("/job/done", "job", "tag", "stems", "seconds"),
    e.JobFailed: ("/job/failed", "job", "tag", "code", "text"),
    e.JobCancelled: ("/job/cancelled", "job", "tag"),
    e.JobState: ("/job/state", "job", "state", "fraction", "tag", "code", "text"),
    e.JobListEnd: ("/job/list/end", "count"),
    e.ImportDone: ("/import/done", "job", "stems", "daw"),
    e.ImportFailed: ("/import/failed", "job", "code", "text"),
    e.DawState: ("/daw/state", "daw", "mode", "state", "age_s"),
    e.DawListEnd: ("/daw/list/end", "count"),
    e.TrackBound: ("/daw/bound", "daw", "stem", "track"),
    e.MidiLearning: ("/midi/learning", "address", "seconds"),
    e.MidiLearned: ("/midi/learned", "address", "control", "kind"),
    e.MidiForgotten: ("/midi/forgotten", "address"),
    e.MidiMapping: ("/midi/mapping", "address", "control", "kind"),
    e.MidiMapEnd: ("/midi/map/end", "count"),
    e.TransportState: ("/transport/state", "state", "position_s", "length_s", "song"),
    e.Following: ("/transport/follow", "source"),
    e.TransportPosition: ("/transport/position", "position_s"),
    e.SongLoaded: ("/song/loaded", "song", "length_s", "next"),
    e.PlayerState: (
        "/player/state", "state", "device", "sample_rate", "buffer_frames", "latency_s", "underruns",
        "overloads",
    ),
    e.ChainChanged: ("/song/chain", "stem", "preset"),
    e.PlayerProblem: ("/player/problem", "code", "text"),
    e.AutomationSaved: ("/automation/saved", "name", "path", "moves"),
    e.AutomationRecording: ("/automation/record", "on"),
    e.Subscribed: ("/subscribed", "prefix", "client", "lease_s"),
    e.Unsubscribed: ("/unsubscribed", "prefix"),
    e.SnapshotFrame: ("/update", "begins"),
    e.Synced: ("/synced", "number"),
    e.Version: ("/version", "product", "protocol"),
    e.Status: ("/status", "state", "jobs", "clients", "stems", "uptime_s"),
    e.Problem: ("/error", "code", "address", "text", "tag"),
}  # fmt: skip


def _sent(value: object) -> Value:
    """A field as it is sent; flags as 0 and 1."""
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, int | float | str) else str(value)
