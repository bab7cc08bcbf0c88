"""The address table: every address, what it takes, which command it is, which event it carries.

Decoding, validation, answers, `stembridge addresses`, the README's table and the tests all walk it.
A path may hold one variable, `{stem}`. Numbers of any type are taken, `i`, `f` and `s` are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from stembridge.model.errors import ArgumentValueError

from . import commands as c
from .desk import RESIDUAL
from .messages import Value

PROTOCOL = "1.0"
"""The version of this table: the first number changes when an address changes its meaning."""

Kind = Literal["number", "switch", "integer", "string", "id"]


class BadArgumentsError(ArgumentValueError):
    """Arguments of the wrong number or kind."""


class BadRangeError(ArgumentValueError):
    """A number that is none, or outside what the address takes."""


@dataclass(frozen=True)
class Argument:
    """One argument of an address."""

    name: str
    kind: Kind
    unit: str = ""
    optional: bool = False

    @property
    def type_tag(self) -> str:
        """As OSC writes it: `i`, `f` or `s`; `i|s` for an id."""
        return {"number": "f", "switch": "i", "integer": "i", "string": "s", "id": "i|s"}[self.kind]


Make = Callable[[str, dict[str, Any]], c.Command]


@dataclass(frozen=True)
class Address:
    """What may be sent to one address."""

    path: str
    arguments: tuple[Argument, ...]
    make: Make
    text: str
    answers: str
    ask: Callable[[str], c.Command] | None = None
    """The command it is without any argument, where that asks for the value."""
    trigger: bool = False
    """A button may press it: one float, 0 for its release."""
    value: bool = False
    """A desk value: reached by patterns, never rate-limited."""
    rest: bool = False
    """Whatever follows the arguments is passed on as `rest`."""


@dataclass(frozen=True)
class Push:
    """An address that is only sent, never taken."""

    path: str
    tags: str
    text: str


def _number(name: str, unit: str = "", *, optional: bool = False) -> Argument:
    return Argument(name, "number", unit, optional)


def _string(name: str, *, optional: bool = False) -> Argument:
    return Argument(name, "string", "", optional)


_SECONDS = _number("seconds", "s", optional=True)
_STEM = "/stem/{stem}"

ADDRESSES: tuple[Address, ...] = (
    Address(
        f"{_STEM}/gain", (_number("gain", "dB"), _SECONDS),
        lambda stem, a: c.SetGain(stem, a["gain"], a.get("seconds", 0.0)),
        "the gain of a stem, -144 (silence) to +12 dB, at once or over some seconds", "the same address",
        ask=lambda stem: c.AskStrip(stem, "gain"), value=True,
    ),
    Address(
        f"{_STEM}/fader", (_number("position", "0..1"),),
        lambda stem, a: c.SetFader(stem, a["position"]),
        "the same as a position of the fader, by the desk's law; close to 0 dB it is 0 dB",
        "the same address",
        ask=lambda stem: c.AskStrip(stem, "fader"), value=True,
    ),
    Address(
        f"{_STEM}/mute", (Argument("muted", "switch"),),
        lambda stem, a: c.SetMute(stem, a["muted"]),
        "mute a stem", "the same address",
        ask=lambda stem: c.AskStrip(stem, "mute"), value=True,
    ),
    Address(
        f"{_STEM}/solo", (Argument("soloed", "switch"),),
        lambda stem, a: c.SetSolo(stem, a["soloed"]),
        "solo a stem; several solos add, mute beats solo", "the same address",
        ask=lambda stem: c.AskStrip(stem, "solo"), value=True,
    ),
    Address(
        f"{_STEM}/pan", (_number("pan", "-1..1"),),
        lambda stem, a: c.SetPan(stem, a["pan"]),
        "the balance of a stem", "the same address",
        ask=lambda stem: c.AskStrip(stem, "pan"), value=True,
    ),
    Address(
        f"{_STEM}/sensitivity", (_number("sensitivity", "0..10"),),
        lambda stem, a: c.SetSensitivity(stem, a["sensitivity"]),
        "more of the stem (10) or less bleed (0); heard in renders", "the same address",
        ask=lambda stem: c.AskStrip(stem, "sensitivity"), value=True,
    ),
    Address(
        f"{_STEM}/mute/toggle", (), lambda stem, _: c.SetMute(stem, None),
        "mute, or open again", "`/stem/{stem}/mute`", trigger=True,
    ),
    Address(
        f"{_STEM}/solo/toggle", (), lambda stem, _: c.SetSolo(stem, None),
        "solo, or not any more", "`/stem/{stem}/solo`", trigger=True,
    ),
    Address(
        f"{_STEM}/fader/touch", (Argument("touched", "switch"),),
        lambda stem, a: c.TouchFader(stem, a["touched"]),
        "1: a hand is on this client's fader, send it nothing; 0: it has let go", "",
    ),
    Address(
        "/master/gain", (_number("gain", "dB"), _SECONDS),
        lambda _, a: c.SetMasterGain(a["gain"], a.get("seconds", 0.0)),
        "the gain of the mix", "the same address", ask=lambda _: c.AskMaster("gain"), value=True,
    ),
    Address(
        "/master/mute", (Argument("muted", "switch"),), lambda _, a: c.SetMasterMute(a["muted"]),
        "mute the mix", "the same address", ask=lambda _: c.AskMaster("mute"), value=True,
    ),
    Address(
        "/stem/list", (), lambda *_: c.ListStems(),
        "ask for all stems", "`/stem/item ,isffii` index name gain pan mute solo, ..., `/stem/list/end ,i`",
        trigger=True,
    ),
    Address(
        "/mix/reset", (_number("press", optional=True), _SECONDS),
        lambda _, a: c.ResetMix(a.get("seconds", 0.0)),
        "all gains to 0 dB, no mute, no solo, balance in the middle; with a fade: `1.0 seconds`",
        "what changed", trigger=True,
    ),
    Address(
        "/mix/store", (_string("scene"),), lambda _, a: c.StoreScene(a["scene"]),
        "keep the desk as a scene", "`/mix/stored ,s`",
    ),
    Address(
        "/mix/recall", (Argument("scene", "id"), _SECONDS),
        lambda _, a: c.RecallScene(str(a["scene"]), a.get("seconds", 0.0)),
        "bring a scene back, by name or number", "what changed, `/mix/recalled ,s`",
    ),
    Address(
        "/mix/forget", (_string("scene"),), lambda _, a: c.ForgetScene(a["scene"]),
        "drop a scene", "`/mix/forgotten ,s`",
    ),
    Address(
        "/mix/list", (), lambda *_: c.ListScenes(),
        "ask for all scenes", "`/mix/item ,is` number name, ..., `/mix/list/end ,i`", trigger=True,
    ),
    Address(
        "/render", (_string("tag"), _string("path")),
        lambda _, a: _render(a["tag"], a["path"], a["rest"]),
        "queue a render: tag, path, [preset], then pairs of a flag of `render` and its value",
        "`/job/accepted ,sii` tag job position, once it is in the queue for good; or `/error`", rest=True,
    ),
    Address(
        "/render/selected", (_string("tag", optional=True), _string("daw", optional=True)),
        lambda _, a: c.RenderSelected(a.get("tag", ""), a.get("daw")),
        "queue a render of the DAW's selected clip", "as `/render`", trigger=True,
    ),
    Address(
        "/job/status", (Argument("job", "id", optional=True),), lambda _, a: c.AskJob(a.get("job")),
        "ask for the state of a job (none: the running one)",
        "`/job/state ,isfsss` job state fraction tag code text",
    ),
    Address(
        "/job/list", (), lambda *_: c.ListJobs(),
        "ask for the states of all jobs", "`/job/state`, ..., `/job/list/end ,i`", trigger=True,
    ),
    Address(
        "/job/cancel", (Argument("job", "id", optional=True),), lambda _, a: c.CancelJob(a.get("job")),
        "stop a job (none: the running one); a finished one stays as it is", "`/job/state`", trigger=True,
    ),
    Address(
        "/stems/import", (Argument("job", "id"), _string("daw", optional=True)),
        lambda _, a: c.ImportStems(a["job"], a.get("daw")),
        "put the stems of a finished job onto tracks of a DAW",
        "`/import/done ,iis` job stems daw, or `/import/failed ,iss` job code text",
    ),
    Address(
        "/song/load", (_string("path"),), lambda _, a: c.LoadSong(a["path"]),
        "make a song, or a folder of stems, ready to play", "`/song/loaded ,sfs` song length next",
    ),
    Address(
        "/song/next", (), lambda *_: c.NextSong(),
        "the next song of the list", "`/song/loaded`", trigger=True,
    ),
    Address(
        "/setlist/load", (_string("path"),), lambda _, a: c.LoadSetlist(a["path"]),
        "a list of songs: each is separated while the one before it plays", "`/song/loaded`",
    ),
    Address(
        "/song/chain", (_string("stem"), _string("preset", optional=True)),
        lambda _, a: c.SetChain(a["stem"], a.get("preset", "")),
        "treat a stem (or `mix`) with a preset's chain from the next load on; without one: no longer",
        "`/song/chain ,ss` stem preset",
    ),
    Address(
        "/live/start", (_string("input", optional=True),), lambda _, a: c.StartLive(a.get("input", "")),
        "take an audio input apart as it comes, in place of a song", "`/transport/state`, `/player/state`",
    ),
    Address(
        "/live/stop", (), lambda *_: c.StopLive(),
        "let go of the input", "`/transport/state`", trigger=True,
    ),
    Address("/transport/play", (), lambda *_: c.Play(), "play", "`/transport/state`", trigger=True),
    Address(
        "/transport/stop", (), lambda *_: c.Stop(),
        "stop, and stay there", "`/transport/state`", trigger=True,
    ),
    Address(
        "/transport/locate", (_number("position", "s"),), lambda _, a: c.Locate(a["position"]),
        "go to a position", "`/transport/state`",
    ),
    Address(
        "/transport/loop", (_number("start", "s", optional=True), _number("end", "s", optional=True)),
        lambda _, a: c.Loop(a.get("start", 0.0), a.get("end", 0.0)),
        "play a part over and over; without arguments: no longer", "`/transport/state`",
    ),
    Address(
        "/transport/follow", (_string("source", optional=True),),
        lambda _, a: c.FollowTransport(a.get("source", "")),
        "play in time with `midi` (clock, song position, MMC) or a linked DAW; without: with nobody",
        "`/transport/follow ,s`",
    ),
    Address(
        "/transport/state", (), lambda *_: c.AskTransport(),
        "ask what plays, and where", "`/transport/state ,sffs` state position length song", trigger=True,
    ),
    Address(
        "/player/state", (), lambda *_: c.AskPlayer(),
        "ask for the audio device",
        "`/player/state ,ssiifii` state device rate buffer latency underruns overloads", trigger=True,
    ),
    Address(
        "/automation/record", (Argument("on", "switch"),), lambda _, a: c.RecordAutomation(a["on"]),
        "keep every fader's move with its place in the song, while it plays", "`/automation/record ,i`",
    ),
    Address(
        "/automation/save", (_string("name"),), lambda _, a: c.SaveAutomation(a["name"]),
        "write them into a file, for `render --automation`", "`/automation/saved ,ssi` name path moves",
    ),
    Address(
        "/subscribe",
        (
            _string("prefix", optional=True),
            Argument("lease", "integer", "s", True),
            Argument("port", "integer", "", True),
        ),
        lambda _, a: c.Subscribe(a.get("prefix", "/"), a.get("lease", 60), a.get("port", 0)),
        "send every change below a prefix here, for 60 s or the lease; any packet renews it",
        "`/subscribed ,ssi` prefix client lease, then all values between `/update 1` and `/update 0`",
    ),
    Address(
        "/unsubscribe", (_string("prefix", optional=True),), lambda _, a: c.Unsubscribe(a.get("prefix", "/")),
        "end it", "`/unsubscribed ,s`",
    ),
    Address(
        "/ping", (), lambda _, a: c.Ping(tuple(a["rest"])),
        "a sign of life", "`/pong` with the same arguments", rest=True,
    ),
    Address(
        "/sync", (Argument("number", "integer"),), lambda _, a: c.Sync(a["number"]),
        "ask to be told once everything sent earlier is applied", "`/synced ,i`",
    ),
    Address(
        "/version", (), lambda *_: c.AskVersion(),
        "who answers here", "`/version ,ss` product protocol", trigger=True,
    ),
    Address(
        "/status", (), lambda *_: c.AskStatus(),
        "how things stand", "`/status ,siiif` state jobs clients stems uptime", trigger=True,
    ),
    Address(
        "/dump", (Argument("on", "switch"),), lambda _, a: c.DumpTraffic(a["on"]),
        "write every message in and out to the log", "`/dump ,i`",
    ),
    Address(
        "/daw/list", (), lambda *_: c.ListDaws(),
        "ask for the links", "`/daw/state ,sssf` daw mode state age, ..., `/daw/list/end ,i`", trigger=True,
    ),
    Address(
        "/daw/state", (_string("daw"),), lambda _, a: c.AskDaw(a["daw"]),
        "ask for one link", "`/daw/state`",
    ),
    Address(
        "/daw/bind", (_string("daw"), _string("stem"), _string("track", optional=True)),
        lambda _, a: c.BindTrack(a["daw"], a["stem"], a.get("track", "")),
        "bind a track by hand; without a track: unbind", "`/daw/bound ,sss` daw stem track",
    ),
    Address(
        "/midi/learn", (_string("address"),), lambda _, a: c.LearnMidi(a["address"]),
        "take the next control that moves for an address",
        "`/midi/learning ,sf` address seconds, then `/midi/learned ,sss` address control kind",
    ),
    Address(
        "/midi/forget", (_string("address"),), lambda _, a: c.ForgetMidi(a["address"]),
        "take an address off its control", "`/midi/forgotten ,s`",
    ),
    Address(
        "/midi/map", (), lambda *_: c.ListMidi(),
        "ask what moves what", "`/midi/mapping ,sss` address control kind, ..., `/midi/map/end ,i`",
        trigger=True,
    ),
)  # fmt: skip

PUSHES: tuple[Push, ...] = (
    Push("/job/progress", "issff", "job tag stage fraction eta (-1: unknown), at most ten times a second"),
    Push("/job/stem", "isissiif", "job tag n stem path rate channels peak, one for each file"),
    Push("/job/done", "isif", "job tag stems seconds"),
    Push("/job/failed", "isss", "job tag code text"),
    Push("/job/cancelled", "is", "job tag; nothing of it is left"),
    Push("/job/current/progress", "f", "the running job's fraction, for a widget"),
    Push("/job/current/text", "s", "the running job in words, for a widget"),
    Push("/transport/position", "f", "seconds, ten times a second while it plays"),
    Push(
        "/meter/{stem}", "ff", "peak and RMS of a stem or `master` in dBFS, 20 times a second while it plays"
    ),
    Push("/player/problem", "ss", "code text: a gap, an overload, a device that is gone"),
    Push("/stem/list/changed", "", "other stems are there: ask `/stem/list`"),
    Push("/update", "i", "1: all values follow; 0: that was all"),
    Push("/error", "ssss", "code address text tag"),
)

_BY_PATH = {row.path: row for row in ADDRESSES}
_MARK = "\0"


def find(address: str) -> tuple[Address, str] | None:
    """The row of an address and what stands in it for `{stem}` (else empty), or None."""
    if (row := _BY_PATH.get(address)) is not None and "{" not in row.path:
        return row, ""
    head, _, rest = address[1:].partition("/")
    if head == "stem":
        stem, _, leaf = rest.partition("/")
        if stem and (row := _BY_PATH.get(f"{_STEM}/{leaf}")) is not None:
            return row, stem
    return None


def value_addresses(stems: Sequence[str]) -> Iterator[str]:
    """Every concrete address of a desk value: what patterns are matched against."""
    for row in ADDRESSES:
        if row.value and "{stem}" in row.path:
            for stem in (*stems, *(() if RESIDUAL in stems else (RESIDUAL,))):
                yield row.path.replace("{stem}", stem)
        elif row.value:
            yield row.path


def signature(row: Address) -> str:
    """The arguments of an address as people read them: `gain [seconds]`."""
    names = [f"[{a.name}]" if a.optional else a.name for a in row.arguments]
    if row.ask is not None:
        names = [f"[{' '.join(names)}]"]
    return " ".join([*names, *(["..."] if row.rest else [])])


def markdown() -> str:
    """The table of the README."""
    rows = ["| address | takes | does | answers |", "|---|---|---|---|"]
    for row in ADDRESSES:
        takes = signature(row).replace("|", "\\|")
        rows.append(f"| `{row.path}` | {f'`{takes}`' if takes else ''} | {row.text} | {row.answers} |")
    rows += ["", "| sent to subscribers | types | what it says |", "|---|---|---|"]
    rows += [f"| `{push.path}` | `,{push.tags}` | {push.text} |" for push in PUSHES]
    return "\n".join(rows)


def _render(tag: str, path: str, rest: Sequence[Value]) -> c.Render:
    texts: list[str] = []
    for value in rest:
        if isinstance(value, bytes) or value is None:
            raise BadArgumentsError(f"/render takes strings and numbers; got {kind_of(value)}")
        texts.append(repr(value) if isinstance(value, float) else str(value))
    preset = texts.pop(0) if len(texts) % 2 else None
    return c.Render(tag, path, preset or None, tuple(zip(texts[0::2], texts[1::2], strict=True)))


def kind_of(value: Value) -> str:
    names = {bytes: "a blob", str: "a string", type(None): "nil"}
    return names.get(type(value), "a number")
