"""What a screen needs to know of a desk somewhere else, put together from the messages it sends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from stembridge.model.units import SILENCE_DB

from .messages import Message

_MOST_JOBS = 8


@dataclass
class StripView:
    """One stem as last told."""

    gain_db: float = 0.0
    fader: float = 0.0
    muted: bool = False
    soloed: bool = False
    pan: float = 0.0
    peak_db: float = SILENCE_DB
    rms_db: float = SILENCE_DB

    @property
    def gain_text(self) -> str:
        """The gain as people read it."""
        return "  -inf dB" if self.gain_db <= SILENCE_DB else f"{self.gain_db:+6.1f} dB"


@dataclass
class JobView:
    """One job as last told."""

    job: int
    tag: str = ""
    state: str = "queued"
    stage: str = ""
    fraction: float = 0.0
    eta_s: float = -1.0
    text: str = ""

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state in ("done", "failed", "cancelled")

    @property
    def line(self) -> str:
        """The job in one line."""
        name = f"{self.job:>4}  {self.tag or '-':<16.16}"
        if self.state == "running":
            eta = f", {self.eta_s:.0f} s left" if self.eta_s >= 0 else ""
            return f"{name}  {self.fraction:4.0%} {self.stage}{eta}"
        return f"{name}  {self.state}{': ' + self.text if self.text else ''}"


@dataclass
class DeskView:
    """The desk as last told."""

    stems: list[str] = field(default_factory=list)
    strips: dict[str, StripView] = field(default_factory=dict)
    master_gain_db: float = 0.0
    master_muted: bool = False
    jobs: dict[int, JobView] = field(default_factory=dict)
    complaint: str = ""
    """The last error."""

    def __iter__(self) -> Iterator[tuple[str, StripView]]:
        for stem in self.stems:
            yield stem, self.strip(stem)

    def strip(self, stem: str) -> StripView:
        """The strip of a stem."""
        return self.strips.setdefault(stem, StripView())

    def take(self, message: Message) -> None:
        """Note what a message says; what this version does not know is left aside."""
        parts, values = message.address.split("/")[1:], message.arguments
        match parts, values:
            case ["stem", "item"], (int(index), str(stem), *_):
                if index == 1:
                    self.stems = []
                self.stems.append(stem)
            case ["stem", str(stem), "gain"], (float(gain_db),):
                self.strip(stem).gain_db = gain_db
            case ["stem", str(stem), "fader"], (float(position),):
                self.strip(stem).fader = position
            case ["stem", str(stem), "mute"], (int(on),):
                self.strip(stem).muted = bool(on)
            case ["stem", str(stem), "solo"], (int(on),):
                self.strip(stem).soloed = bool(on)
            case ["stem", str(stem), "pan"], (float(pan),):
                self.strip(stem).pan = pan
            case ["meter", str(stem)], (float(peak_db), float(rms_db)):
                self.strip(stem).peak_db, self.strip(stem).rms_db = peak_db, rms_db
            case ["master", "gain"], (float(gain_db),):
                self.master_gain_db = gain_db
            case ["master", "mute"], (int(on),):
                self.master_muted = bool(on)
            case ["error"], (code, _, text, *_):
                self.complaint = f"{text!s} ({code!s})"
            case ["job", *what], (*_,):
                self._take_job(what, values)

    def _take_job(self, what: list[str], values: tuple[object, ...]) -> None:
        match what, values:
            case ["accepted"], (str(tag), int(job), *_):
                self._job(job).tag = tag
            case ["progress"], (int(job), str(tag), str(stage), float(fraction), float(eta_s)):
                view = self._job(job)
                view.tag, view.state, view.stage, view.fraction, view.eta_s = (
                    tag,
                    "running",
                    stage,
                    fraction,
                    eta_s,
                )
            case ["state"], (int(job), str(state), float(fraction), str(tag), _, str(text)):
                view = self._job(job)
                view.state, view.fraction, view.tag, view.text = state, fraction, tag, text
            case ["done"], (int(job), *_):
                self._job(job).state = "done"
            case ["cancelled"], (int(job), *_):
                self._job(job).state = "cancelled"
            case ["failed"], (int(job), _, _, str(text)):
                view = self._job(job)
                view.state, view.text = "failed", text

    def _job(self, job: int) -> JobView:
        if job not in self.jobs:
            self.jobs[job] = JobView(job)
            for old in sorted(self.jobs):
                if len(self.jobs) > _MOST_JOBS and self.jobs[old].over:
                    del self.jobs[old]
        return self.jobs[job]
