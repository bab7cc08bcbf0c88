"""What may be asked of the bridge, whoever asks: a DAW over OSC, a controller over MIDI, a script.

A command is frozen data that has been checked for shape, not for sense: whether a stem or a job of that
name exists is known to whoever carries it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Property = Literal["gain", "fader", "mute", "solo", "pan", "sensitivity"]
"""What can be asked of a strip."""

INSTRUMENTAL = "instrumental"
"""The group of all stems but vocals; a name for a set of strips, with no value of its own."""


@dataclass(frozen=True)
class Command:
    """Anything that can be asked."""


# The desk. A `stem` is a strip's name (`vocals`, `residual`) or a group (`instrumental`).


@dataclass(frozen=True)
class SetGain(Command):
    """Move one fader to a gain in dB, -144 (silence) to +12, over `fade_s` seconds."""

    stem: str
    gain_db: float
    fade_s: float = 0.0


@dataclass(frozen=True)
class SetFader(Command):
    """Move one fader to a position, 0 to 1, by a fader law; close to 0 dB it snaps to 0 dB.

    `steps` is how many positions the sender's control has; 0 for a continuous one.
    """

    stem: str
    position: float
    law: str | None = None
    """None: the desk's own."""
    steps: int = 0


@dataclass(frozen=True)
class SetMute(Command):
    """Mute a stem, or open it again; None toggles."""

    stem: str
    muted: bool | None


@dataclass(frozen=True)
class SetSolo(Command):
    """Add a stem to what sounds alone, or take it out; None toggles."""

    stem: str
    soloed: bool | None


@dataclass(frozen=True)
class SetPan(Command):
    """Set the balance of a stem, -1 (left) to 1 (right)."""

    stem: str
    pan: float


@dataclass(frozen=True)
class SetSensitivity(Command):
    """Set how readily a stem takes what may be its own, 0 to 10; 5 is the separator's own."""

    stem: str
    sensitivity: float


@dataclass(frozen=True)
class TouchFader(Command):
    """Say that a hand is on a fader: nothing is sent to that control until it is let go."""

    stem: str
    touched: bool


@dataclass(frozen=True)
class SetMasterGain(Command):
    """Move the master fader to a gain in dB, over `fade_s` seconds."""

    gain_db: float
    fade_s: float = 0.0


@dataclass(frozen=True)
class SetMasterMute(Command):
    """Mute the whole mix, or open it again; None toggles."""

    muted: bool | None


@dataclass(frozen=True)
class AskStrip(Command):
    """Ask for one value of a strip."""

    stem: str
    property: Property


@dataclass(frozen=True)
class AskMaster(Command):
    """Ask for one value of the master."""

    property: Literal["gain", "mute"]


@dataclass(frozen=True)
class ListStems(Command):
    """Ask which stems there are, with their values."""


@dataclass(frozen=True)
class ResetMix(Command):
    """Bring everything to unity: gains 0 dB, no mute, no solo, balance in the middle."""

    fade_s: float = 0.0


@dataclass(frozen=True)
class StoreScene(Command):
    """Keep the desk as it stands under a name."""

    scene: str


@dataclass(frozen=True)
class RecallScene(Command):
    """Bring back a scene by its name or, where no scene has that name, by its number in the list (from 1)."""

    scene: str
    fade_s: float = 0.0


@dataclass(frozen=True)
class ForgetScene(Command):
    """Drop a scene."""

    scene: str


@dataclass(frozen=True)
class ListScenes(Command):
    """Ask for the names of all scenes, in the order they were first stored."""


# Jobs.


@dataclass(frozen=True)
class Render(Command):
    """Queue the render of one song; `options` are pairs of `render`'s flags and their text."""

    tag: str
    path: str
    preset: str | None = None
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RenderSelected(Command):
    """Queue the render of what is selected in the DAW."""

    tag: str = ""
    daw: str | None = None
    """None: the one link that can tell."""


@dataclass(frozen=True)
class AskJob(Command):
    """Ask for the state of a job; None: the running one."""

    job: int | None


@dataclass(frozen=True)
class ListJobs(Command):
    """Ask for the states of all jobs that are waiting, running, or ended lately."""


@dataclass(frozen=True)
class CancelJob(Command):
    """Stop a job; None: the running one."""

    job: int | None


@dataclass(frozen=True)
class ImportStems(Command):
    """Put the stems of a finished job onto tracks of a DAW."""

    job: int
    daw: str | None = None


# Links to DAWs, and MIDI.


@dataclass(frozen=True)
class ListDaws(Command):
    """Ask which links there are."""


@dataclass(frozen=True)
class AskDaw(Command):
    """Ask for the state of one link."""

    daw: str


@dataclass(frozen=True)
class BindTrack(Command):
    """Bind a DAW's track to a stem by hand, where its name does not say it; an empty track unbinds."""

    daw: str
    stem: str
    track: str


@dataclass(frozen=True)
class LearnMidi(Command):
    """Take the next control that moves as the one for an address (`/stem/vocals/gain`)."""

    address: str


@dataclass(frozen=True)
class ForgetMidi(Command):
    """Take an address off its control."""

    address: str


@dataclass(frozen=True)
class ListMidi(Command):
    """Ask which control moves what."""


# Playing.


@dataclass(frozen=True)
class LoadSong(Command):
    """Make a song, or a folder of stems, ready to play from its start; what plays fades out."""

    path: str


@dataclass(frozen=True)
class LoadSetlist(Command):
    """Take a list of songs to play one after another."""

    path: str


@dataclass(frozen=True)
class NextSong(Command):
    """Go on to the next song of the list."""


@dataclass(frozen=True)
class Play(Command):
    """Play from where the transport stands."""


@dataclass(frozen=True)
class Stop(Command):
    """Stop, and stay there."""


@dataclass(frozen=True)
class Locate(Command):
    """Go to a position in seconds, playing on if it plays."""

    position_s: float


@dataclass(frozen=True)
class Loop(Command):
    """Play a part over and over, from `start_s` to `end_s`; both 0: no longer."""

    start_s: float = 0.0
    end_s: float = 0.0


@dataclass(frozen=True)
class SetChain(Command):
    """Treat a stem (or `mix`) with the chain of a preset from the next load on; without one: no longer."""

    stem: str
    preset: str = ""


@dataclass(frozen=True)
class StartLive(Command):
    """Take an audio input apart as it comes, in place of a song; an empty name: as configured."""

    input: str = ""


@dataclass(frozen=True)
class StopLive(Command):
    """Let go of the input."""


@dataclass(frozen=True)
class FollowTransport(Command):
    """Play in time with a host's transport: `midi`, or the name of a link; empty: with nobody's."""

    source: str


@dataclass(frozen=True)
class AskTransport(Command):
    """Ask what plays, and where."""


@dataclass(frozen=True)
class AskPlayer(Command):
    """Ask for the audio device, its latency, and what went wrong there."""


@dataclass(frozen=True)
class RecordAutomation(Command):
    """Keep every move of a fader, with the position in the song, while it plays; or stop doing so."""

    on: bool


@dataclass(frozen=True)
class SaveAutomation(Command):
    """Write what was kept for the loaded song into a file beside the renders."""

    name: str


# The conversation itself; answered by the edge it came in at.


@dataclass(frozen=True)
class Subscribe(Command):
    """Send every change below an address prefix to the sender until the lease ends."""

    prefix: str = "/"
    lease_s: int = 60
    port: int = 0
    """Another port of the same host to send to; 0: where the request came from."""


@dataclass(frozen=True)
class Unsubscribe(Command):
    """End a subscription."""

    prefix: str = "/"


@dataclass(frozen=True)
class Ping(Command):
    """Ask for a sign of life; the arguments come back."""

    arguments: tuple[int | float | str, ...] = ()


@dataclass(frozen=True)
class Sync(Command):
    """Ask to be told once everything sent earlier has been applied."""

    number: int


@dataclass(frozen=True)
class AskVersion(Command):
    """Ask who answers here."""


@dataclass(frozen=True)
class AskStatus(Command):
    """Ask how things stand."""


@dataclass(frozen=True)
class DumpTraffic(Command):
    """Write every message in and out to the log, or stop doing so."""

    on: bool
