"""What happens in the bridge, for whoever listens: frozen data, each with one meaning."""

from __future__ import annotations

from dataclasses import dataclass

from .commands import Property


@dataclass(frozen=True)
class Event:
    """Anything that happened."""


# The desk.


@dataclass(frozen=True)
class GainChanged(Event):
    """A fader is heading for a gain; during a fade also where it has got to."""

    stem: str
    gain_db: float
    fade_s: float = 0.0
    """Seconds until it is there; the mixer rides them at audio rate, feedback comes in steps."""


@dataclass(frozen=True)
class GainMoved(Event):
    """Where a fade has got to: for eyes and motor faders, not for the mixer."""

    stem: str
    gain_db: float


@dataclass(frozen=True)
class MuteChanged(Event):
    """A stem was muted or opened."""

    stem: str
    muted: bool


@dataclass(frozen=True)
class SoloChanged(Event):
    """A stem was soloed or not any more."""

    stem: str
    soloed: bool


@dataclass(frozen=True)
class PanChanged(Event):
    """The balance of a stem changed."""

    stem: str
    pan: float


@dataclass(frozen=True)
class SensitivityChanged(Event):
    """The sensitivity of a stem changed."""

    stem: str
    sensitivity: float


@dataclass(frozen=True)
class FaderTouched(Event):
    """A hand came onto a fader, or left it."""

    stem: str
    touched: bool


@dataclass(frozen=True)
class MasterGainChanged(Event):
    """The master fader is heading for a gain."""

    gain_db: float
    fade_s: float = 0.0


@dataclass(frozen=True)
class MasterGainMoved(Event):
    """Where a fade of the master has got to."""

    gain_db: float


@dataclass(frozen=True)
class MasterMuteChanged(Event):
    """The mix was muted or opened."""

    muted: bool


@dataclass(frozen=True)
class StemsChanged(Event):
    """Other stems are there now; ask `/stem/list`."""

    stems: tuple[str, ...]


@dataclass(frozen=True)
class SceneStored(Event):
    """A scene was kept under a name."""

    scene: str


@dataclass(frozen=True)
class SceneRecalled(Event):
    """A scene was brought back."""

    scene: str


@dataclass(frozen=True)
class SceneForgotten(Event):
    """A scene was dropped."""

    scene: str


# Answers to questions about the desk; sent to the asker only.


@dataclass(frozen=True)
class StripValue(Event):
    """One value of a strip: `f` for gain (dB), fader, pan and sensitivity, `i` for mute and solo."""

    stem: str
    property: Property
    value: float


@dataclass(frozen=True)
class MasterValue(Event):
    """One value of the master."""

    property: str
    value: float


@dataclass(frozen=True)
class StemItem(Event):
    """One line of the list of stems; `index` counts from 1."""

    index: int
    stem: str
    gain_db: float
    pan: float
    muted: bool
    soloed: bool


@dataclass(frozen=True)
class StemListEnd(Event):
    """The list of stems is complete."""

    count: int


@dataclass(frozen=True)
class SceneItem(Event):
    """One line of the list of scenes; `index` counts from 1."""

    index: int
    scene: str


@dataclass(frozen=True)
class SceneListEnd(Event):
    """The list of scenes is complete."""

    count: int


# Jobs.


@dataclass(frozen=True)
class JobAccepted(Event):
    """A job is in the queue for good; `position` 0 is the one that runs."""

    tag: str
    job: int
    position: int


@dataclass(frozen=True)
class JobProgress(Event):
    """How far a job has got: at most ten times a second, the first and the last always."""

    job: int
    tag: str
    stage: str
    fraction: float
    eta_s: float
    """-1 while it cannot be told."""


@dataclass(frozen=True)
class JobStem(Event):
    """One file of a finished job; `index` counts from 1, `peak_db` is -144 for silence."""

    job: int
    tag: str
    index: int
    stem: str
    path: str
    sample_rate: int
    channels: int
    peak_db: float


@dataclass(frozen=True)
class JobDone(Event):
    """A job is complete."""

    job: int
    tag: str
    stems: int
    seconds: float


@dataclass(frozen=True)
class JobFailed(Event):
    """A job has ended without a result."""

    job: int
    tag: str
    code: str
    text: str


@dataclass(frozen=True)
class JobCancelled(Event):
    """A job was stopped on request and has left nothing behind."""

    job: int
    tag: str


@dataclass(frozen=True)
class JobState(Event):
    """The answer to a question about a job.

    `state` is one of `queued running done failed cancelled`; code and text are empty unless it failed.
    """

    job: int
    state: str
    fraction: float
    tag: str
    code: str
    text: str


@dataclass(frozen=True)
class JobListEnd(Event):
    """The list of jobs is complete."""

    count: int


@dataclass(frozen=True)
class ImportDone(Event):
    """Stems of a job are on tracks of a DAW."""

    job: int
    stems: int
    daw: str


@dataclass(frozen=True)
class ImportFailed(Event):
    """Stems of a job could not be put onto tracks."""

    job: int
    code: str
    text: str


# Links to DAWs, and MIDI.


@dataclass(frozen=True)
class DawState(Event):
    """How a link stands: `state` is `online` or `offline`; seconds since something came from there, or -1."""

    daw: str
    mode: str
    """`remote`: its faders drive our stems; `import`: it owns the stems it imported."""
    state: str
    age_s: float


@dataclass(frozen=True)
class DawListEnd(Event):
    """The list of links is complete."""

    count: int


@dataclass(frozen=True)
class TrackBound(Event):
    """A track of a DAW and a stem belong together; an empty track: no longer."""

    daw: str
    stem: str
    track: str


@dataclass(frozen=True)
class MidiLearning(Event):
    """The next control that moves is taken for an address."""

    address: str
    seconds: float


@dataclass(frozen=True)
class MidiLearned(Event):
    """A control moves an address now; `control` reads `cc 1 20`, `kind` is `7-bit`, `14-bit`, `note`, ..."""

    address: str
    control: str
    kind: str


@dataclass(frozen=True)
class MidiForgotten(Event):
    """No control moves an address any more."""

    address: str


@dataclass(frozen=True)
class MidiMapping(Event):
    """One line of the MIDI map."""

    address: str
    control: str
    kind: str


@dataclass(frozen=True)
class MidiMapEnd(Event):
    """The MIDI map is complete."""

    count: int


# Playing.


@dataclass(frozen=True)
class TransportState(Event):
    """What plays and where: `state` is `empty loading stopped playing`."""

    state: str
    position_s: float
    length_s: float
    song: str


@dataclass(frozen=True)
class TransportPosition(Event):
    """Where it has got to, ten times a second while it plays."""

    position_s: float


@dataclass(frozen=True)
class HostTransport(Event):
    """Where the transport of a DAW or a MIDI clock is: a second of the song, at a moment (monotonic)."""

    source: str
    playing: bool
    position_s: float
    at: float


@dataclass(frozen=True)
class Following(Event):
    """Whose transport is followed; empty: nobody's."""

    source: str


@dataclass(frozen=True)
class SongLoaded(Event):
    """A song is ready to play; the seconds are its length."""

    song: str
    length_s: float
    next: str
    """The song after it, being separated ahead; empty: none."""


@dataclass(frozen=True)
class Metered(Event):
    """Peak and RMS of a stem (or `master`) over the last twentieth of a second, in dBFS."""

    stem: str
    peak_db: float
    rms_db: float


@dataclass(frozen=True)
class PlayerState(Event):
    """How the audio device stands: `state` is `off running lost`; gaps are counted from its start."""

    state: str
    device: str
    sample_rate: int
    buffer_frames: int
    latency_s: float
    underruns: int
    overloads: int


@dataclass(frozen=True)
class ChainChanged(Event):
    """From the next load on a stem (or `mix`) has the chain of a preset, or none."""

    stem: str
    preset: str


@dataclass(frozen=True)
class PlayerProblem(Event):
    """Something that was heard, or will be: `underrun overload device_lost streamer_lost bad_file ...`."""

    code: str
    text: str


@dataclass(frozen=True)
class AutomationSaved(Event):
    """The moves of a performance are in a file."""

    name: str
    path: str
    moves: int


@dataclass(frozen=True)
class AutomationRecording(Event):
    """Whether moves are kept."""

    on: bool


# The conversation.


@dataclass(frozen=True)
class Subscribed(Event):
    """A subscription holds for `lease_s` seconds, and longer with every packet."""

    prefix: str
    client: str
    lease_s: int


@dataclass(frozen=True)
class Unsubscribed(Event):
    """A subscription has ended."""

    prefix: str


@dataclass(frozen=True)
class SnapshotFrame(Event):
    """A snapshot of all values begins (1) or ends (0)."""

    begins: bool


@dataclass(frozen=True)
class Pong(Event):
    """The answer to a ping."""

    arguments: tuple[int | float | str, ...]


@dataclass(frozen=True)
class Synced(Event):
    """Everything sent earlier has been applied."""

    number: int


@dataclass(frozen=True)
class Version(Event):
    """Who answers here, and by which version of the addresses."""

    product: str
    protocol: str


@dataclass(frozen=True)
class Status(Event):
    """How things stand: `state` is `idle` or `rendering`, `jobs` are waiting or running."""

    state: str
    jobs: int
    clients: int
    stems: int
    uptime_s: float


@dataclass(frozen=True)
class Problem(Event):
    """Something asked for cannot be done; goes to the asker as `/error`.

    `code` is one of `unknown_address bad_args bad_range path_denied not_found busy tag_conflict rate_limited
    daw_offline internal`.
    """

    code: str
    address: str
    text: str
    tag: str = ""
